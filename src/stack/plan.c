/* SPDX-License-Identifier: Apache-2.0 */
/* Reads changes as DescribeChangeSet gives them (AWS CloudFormation API Reference, ResourceChange). What is not said
 * clearly is taken for the worse: an action that is unknown, or decided only while it runs, may replace. Nothing is
 * asked or printed here. */
#include "stack/plan.h"

#include "base/err.h"
#include "base/limits.h"
#include "codec/json.h"
#include "stack/template.h"

static enum change_action action_of(const struct xml_node *change) {
    struct str action = xml_text(change, STR("Action")), replacement = xml_text(change, STR("Replacement"));
    if (str_eq(action, STR("Add"))) return CHANGE_ADD;
    if (str_eq(action, STR("Remove"))) return CHANGE_REMOVE;
    if (str_eq(action, STR("Import"))) return CHANGE_IMPORT;
    if (str_eq(action, STR("SyncWithActual"))) return CHANGE_MODIFY;
    if (str_eq(replacement, STR("True"))) return CHANGE_REPLACE;
    bool stays = str_eq(action, STR("Modify")) && (replacement.len == 0 || str_eq(replacement, STR("False")));
    return stays ? CHANGE_MODIFY : CHANGE_MAYBE_REPLACE;
}

/* "/Properties/Environment/Variables/A~1B" is "Properties.Environment.Variables.A/B" (RFC 6901 §4); where no path is
 * given, attribute and name. ptr NULL: the arena is full. */
static struct str path_of(const struct xml_node *target, struct arena *arena) {
    struct str pointer = xml_text(target, STR("Path")), name = xml_text(target, STR("Name"));
    struct writer w = arena_writer(arena);
    for (size_t i = 0; i < pointer.len; i++) {
        char c = pointer.ptr[i];
        char next = c == '~' && i + 1 < pointer.len ? pointer.ptr[i + 1] : '\0';
        if (next == '0' || next == '1') {
            writer_char(&w, next == '0' ? '~' : '/');
            i++;
        } else if (c != '/') {
            writer_char(&w, c);
        } else if (i > 0) {
            writer_char(&w, '.');
        }
    }
    if (pointer.len == 0) {
        writer_put(&w, xml_text(target, STR("Attribute")));
        if (name.len > 0) writer_char(&w, '.');
        writer_put(&w, name);
    }
    return arena_take(arena, &w);
}

static struct str value_of(const struct xml_node *target, struct str name) {
    const struct xml_node *value = xml_child(target, name);
    return value != NULL ? value->text : STR_NONE;
}

/* {"Key":"Owner","Value":"me"} is Owner, and me. */
static bool tag_read(struct str json, struct arena *arena, struct str *ret_key, struct str *ret_value) {
    struct json_pointer key, value;
    struct json_value found[2];
    bool full, good = json_pointer_compile(STR("/Key"), &key) && json_pointer_compile(STR("/Value"), &value);
    check(good);
    const struct json_pointer *pointers[] = {&key, &value};
    return json_scan(json, pointers, 2, found) == JSON_OK && found[0].type == JSON_TYPE_STRING &&
           found[1].type == JSON_TYPE_STRING && json_string_decode(found[0].raw, arena, ret_key, &full) &&
           json_string_decode(found[1].raw, arena, ret_value, &full);
}

/* A tag is told as "Tags.Owner" with its value; what is no tag stays as it is. False: the arena is full. */
static bool read_tag(const struct xml_node *target, struct arena *arena, struct property_change *property) {
    struct str before_key = STR_NONE, after_key = STR_NONE, before = STR_NONE, after = STR_NONE;
    if (!str_eq(xml_text(target, STR("Attribute")), STR("Tags"))) return true;
    bool had = property->before.ptr != NULL && tag_read(property->before, arena, &before_key, &before);
    bool has = property->after.ptr != NULL && tag_read(property->after, arena, &after_key, &after);
    if (!had && !has) return true;
    if (had && has && !str_eq(before_key, after_key)) return true;
    struct writer w = arena_writer(arena);
    writer_put(&w, STR("Tags."));
    writer_put(&w, has ? after_key : before_key);
    property->path = arena_take(arena, &w);
    if (had) property->before = before;
    if (has) property->after = after;
    return property->path.ptr != NULL;
}

/* The same property is named once for each of its causes: one row is made of them. */
static bool read_properties(const struct xml_node *details, struct arena *arena, struct change *change) {
    size_t count = 0;
    const struct xml_node *detail = xml_child(details, STR("member"));
    for (const struct xml_node *d = detail; d != NULL && count < STACK_PROPERTIES_MAX; d = xml_next(d))
        count++;
    struct property_change *rows = arena_new(arena, struct property_change, count);
    if (rows == NULL) return false;
    size_t used = 0;
    for (size_t i = 0; i < count; i++, detail = xml_next(detail)) {
        const struct xml_node *target = xml_child(detail, STR("Target"));
        struct str recreation = xml_text(target, STR("RequiresRecreation"));
        struct property_change property = {
            .path = path_of(target, arena),
            .before = value_of(target, STR("BeforeValue")),
            .after = value_of(target, STR("AfterValue")),
            .recreates = recreation.len > 0 && !str_eq(recreation, STR("Never")),
        };
        if (property.path.ptr == NULL || !read_tag(target, arena, &property)) return false;
        if (property.path.len == 0) continue;
        size_t at = 0;
        while (at < used && !str_eq(rows[at].path, property.path))
            at++;
        if (at == used) {
            rows[used++] = property;
            continue;
        }
        if (rows[at].before.ptr == NULL) rows[at].before = property.before;
        if (rows[at].after.ptr == NULL) rows[at].after = property.after;
        rows[at].recreates |= property.recreates;
    }
    change->properties = rows;
    change->property_count = used;
    return true;
}

static bool read_change(const struct xml_node *node, struct arena *arena, struct change *ret_change) {
    *ret_change = (struct change){
        .action = action_of(node),
        .logical_id = xml_text(node, STR("LogicalResourceId")),
        .type = xml_text(node, STR("ResourceType")),
        .physical_id = xml_text(node, STR("PhysicalResourceId")),
        .holds_data = stack_type_holds_data(xml_text(node, STR("ResourceType"))),
    };
    return read_properties(xml_child(node, STR("Details")), arena, ret_change);
}

bool plan_add_page(struct plan *plan, const struct xml_node *result, struct arena *arena) {
    const struct xml_node *first = xml_child(xml_child(result, STR("Changes")), STR("member"));
    size_t count = plan->change_count;
    for (const struct xml_node *member = first; member != NULL; member = xml_next(member))
        if (xml_child(member, STR("ResourceChange")) != NULL) count++;
    if (count == plan->change_count) return true;
    if (count > STACK_CHANGES_MAX) return false;
    struct change *changes = arena_new(arena, struct change, count);
    if (changes == NULL) return false;
    if (plan->change_count > 0) memcpy(changes, plan->changes, plan->change_count * sizeof changes[0]);
    size_t at = plan->change_count;
    for (const struct xml_node *member = first; member != NULL; member = xml_next(member)) {
        const struct xml_node *node = xml_child(member, STR("ResourceChange"));
        if (node != NULL && !read_change(node, arena, &changes[at++])) return false;
    }
    check(at == count);
    plan->changes = changes;
    plan->change_count = count;
    return true;
}

const struct change *plan_danger(const struct plan *plan) {
    for (size_t i = 0; i < plan->change_count; i++) {
        const struct change *change = &plan->changes[i];
        bool loses = change->action == CHANGE_REPLACE || change->action == CHANGE_MAYBE_REPLACE ||
                     change->action == CHANGE_REMOVE;
        if (loses && change->holds_data) return change;
    }
    return NULL;
}
