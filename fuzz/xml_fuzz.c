/* SPDX-License-Identifier: Apache-2.0 */
/* codec/xml over any bytes: what is accepted is a tree within the arena and bounded in depth, and comes out the same
 * from an arena of exactly the size that it takes; one byte less is full. Written again as XML it is the same tree. The
 * tree is then read as a change set (stack/plan). */
#include "base/err.h"
#include "base/limits.h"
#include "exact.h"
#include "stack/plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_SIZE = 1 << 20 };

static void check_within(struct str part, const struct arena *arena) {
    if (part.len == 0) return;
    check(part.ptr >= arena->memory);
    check(part.ptr + part.len <= arena->memory + arena->used);
}

/* The siblings from node on, which depth elements are around. */
static void check_tree(const struct xml_node *node, const struct arena *arena, size_t depth) {
    check(node == NULL || depth < XML_DEPTH_MAX);
    for (; node != NULL; node = node->next) {
        check_within(str_make((const char *)node, sizeof *node), arena);
        check_within(node->name, arena);
        check_within(node->text, arena);
        check(node->text.ptr != NULL);
        check(!str_has(node->name, '\0'));
        check(!str_has(node->text, '\0'));
        const struct xml_node *next = xml_next(node);
        check(next == NULL || str_eq(next->name, node->name));
        check(node->child == NULL || xml_child(node, node->child->name) == node->child);
        check_tree(node->child, arena, depth + 1);
    }
}

static bool trees_are_equal(const struct xml_node *a, const struct xml_node *b) {
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        if (!str_eq(a->name, b->name) || !str_eq(a->text, b->text) || !trees_are_equal(a->child, b->child))
            return false;
    return a == b;
}

static void put_tree(struct writer *w, const struct xml_node *node) {
    for (; node != NULL; node = node->next) {
        writer_char(w, '<');
        writer_put(w, node->name);
        writer_char(w, '>');
        for (size_t i = 0; i < node->text.len; i++) {
            unsigned char c = (unsigned char)node->text.ptr[i];
            if (c == '<' || c == '&' || c == '>' || c == '\r')
                writer_format(w, "&#%u;", c);
            else
                writer_char(w, (char)c);
        }
        put_tree(w, node->child);
        writer_put(w, STR("</"));
        writer_put(w, node->name);
        writer_char(w, '>');
    }
}

/* A name is what stands behind the last colon: it may begin with what no name begins with. */
static bool names_are_whole(const struct xml_node *node) {
    for (; node != NULL; node = node->next) {
        if (node->name.len == 0) return false;
        unsigned char c = (unsigned char)node->name.ptr[0];
        bool begins = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!begins || !names_are_whole(node->child)) return false;
    }
    return true;
}

static void check_again(const struct xml_node *root, struct arena *arena) {
    struct arena scratch = *arena;
    struct writer w = arena_writer(&scratch);
    put_tree(&w, root);
    struct str text = arena_take(&scratch, &w);
    const struct xml_node *again;
    bool full;
    if (text.ptr == NULL || !names_are_whole(root)) return;
    if (!xml_read(text, &scratch, &again, &full)) {
        check(full);
        return;
    }
    check(trees_are_equal(root, again));
}

static void check_plan(const struct xml_node *root, struct arena *arena) {
    struct plan plan = {0};
    for (int page = 0; page < 2; page++) {
        size_t count = plan.change_count;
        if (!plan_add_page(&plan, root, arena)) break;
        check(plan.change_count >= count);
        check(plan.change_count <= STACK_CHANGES_MAX);
    }
    for (size_t i = 0; i < plan.change_count; i++) {
        check_within(plan.changes[i].logical_id, arena);
        check(plan.changes[i].property_count <= STACK_PROPERTIES_MAX);
        for (size_t k = 0; k < plan.changes[i].property_count; k++) {
            check(plan.changes[i].properties[k].path.len > 0);
            check_within(plan.changes[i].properties[k].path, arena);
            check_within(plan.changes[i].properties[k].before, arena);
            check_within(plan.changes[i].properties[k].after, arena);
        }
    }
    const struct change *danger = plan_danger(&plan);
    check(danger == NULL || danger->holds_data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    exact_reset();
    char *copy = exact_room(size); /* exactly, so that one byte too far is seen */
    if (size > 0) memcpy(copy, data, size);
    struct str input = str_make(copy, size);
    struct arena arena = arena_make(exact_room(MEMORY_SIZE), MEMORY_SIZE);
    const struct xml_node *root = NULL, *same = NULL;
    bool full;
    if (!xml_read(input, &arena, &root, &full)) {
        check(root == NULL);
        return 0;
    }
    check(!full);
    check(root->next == NULL);
    check_tree(root, &arena, 0);
    size_t used = arena.used;
    struct arena exact = arena_make(exact_room(used), used);
    check(xml_read(input, &exact, &same, &full));
    check(trees_are_equal(root, same));
    exact = arena_make(exact_room(used - 1), used - 1);
    check(!xml_read(input, &exact, &same, &full));
    check(full);
    check_again(root, &arena);
    check_plan(root, &arena);
    return 0;
}
