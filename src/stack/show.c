/* SPDX-License-Identifier: Apache-2.0 */
/* What a person reads before and while something is deployed. A line of a table is built from fields: each is cut at a
 * character, with "…" in the place of the rest, so that no line is ever wider than the terminal, which lets a tree be
 * drawn again in its place. Sentences are broken at blanks instead, and never cut. Names, values and reasons come from
 * CloudFormation and whoever made the stack: they go through stack_text, character by character.
 *
 * It decides one thing: which changes may allow somebody more than before. It cannot read policies, so that any new or
 * changed one counts. */
#include "stack/show.h"

#include "base/err.h"
#include "codec/json.h"
#include "stack/call.h"

enum { ELAPSED_COLUMNS = 7, STATUS_COLUMNS = 18, CONTEXT_COLUMNS = 12, PARAGRAPH_COLUMNS_MAX = 100 };

#define BOLD   "1"
#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"
#define CYAN   "36"
#define DIM    "2"

/* -- Lines ----------------------------------------------------------------------------------------------- */

struct line {
    struct writer *out;
    struct show_style style;
    uint32_t used, pending; /* columns written; blanks that are written once something follows */
};

static struct line line_make(struct show_style style, struct writer *out) {
    return (struct line){.out = out, .style = style};
}

/* One character as it is shown. */
struct glyph {
    char text[32];
    size_t len;
    uint32_t columns;
};

/* East Asian and pictures take two columns, and no table of Unicode's is kept for that: what may be wide counts as
 * wide, since a line that is too short does no harm. */
static uint32_t columns_of(struct str character) {
    const unsigned char *p = (const unsigned char *)character.ptr;
    if (character.len < 3) return 1;
    if (character.len == 4) return 2;
    bool narrow = p[0] == 0xe0 || (p[0] == 0xe1 && p[1] >= 0x86) || p[0] == 0xe2;
    return narrow ? 1 : 2;
}

/* The first character of s, which is not empty; its size there. */
static size_t glyph_read(struct str s, struct glyph *ret_glyph) {
    size_t size = 1;
    while (size < 4 && size < s.len && ((unsigned char)s.ptr[size] & 0xc0) == 0x80)
        size++;
    if ((unsigned char)s.ptr[0] < 0x80 || !json_is_utf8(str_make(s.ptr, size))) size = 1;
    struct writer w = writer_make(ret_glyph->text, sizeof ret_glyph->text);
    stack_text(&w, str_make(s.ptr, size));
    check(!w.overflow);
    bool as_it_was = size > 1 && str_eq(writer_str(&w), str_make(s.ptr, size));
    ret_glyph->len = w.len;
    ret_glyph->columns = as_it_was ? columns_of(writer_str(&w)) : (uint32_t)w.len;
    return size;
}

/* Columns of s, but no more than max + 1. */
static uint32_t measure(struct str s, uint32_t max) {
    uint32_t columns = 0;
    struct glyph glyph;
    for (size_t at = 0; at < s.len && columns <= max;) {
        at += glyph_read(str_from_index(s, at), &glyph);
        columns += glyph.columns;
    }
    return columns <= max ? columns : max + 1;
}

static void color(struct line *line, const char *code) {
    if (line->style.colors) writer_format(line->out, "\x1b[%sm", code);
}
static void color_end(struct line *line) {
    if (line->style.colors) writer_put(line->out, STR("\x1b[0m"));
}

static uint32_t left(const struct line *line) {
    uint32_t used = line->used + line->pending;
    return used < line->style.width ? line->style.width - used : 0;
}

/* As many columns of s as fit into max and the line. */
static uint32_t put_max(struct line *line, struct str s, uint32_t max) {
    if (max > left(line)) max = left(line);
    if (s.len == 0 || max == 0) return 0;
    for (; line->pending > 0; line->pending--, line->used++)
        writer_char(line->out, ' ');
    bool cut = measure(s, max) > max;
    uint32_t columns = 0, room = cut ? max - 1 : max;
    struct glyph glyph;
    for (size_t at = 0; at < s.len;) {
        at += glyph_read(str_from_index(s, at), &glyph);
        if (columns + glyph.columns > room) break;
        writer_put(line->out, str_make(glyph.text, glyph.len));
        columns += glyph.columns;
    }
    if (cut) {
        writer_put(line->out, STR("…"));
        columns++;
    }
    line->used += columns;
    return columns;
}

static void put(struct line *line, struct str s) { (void)put_max(line, s, UINT32_MAX); }

static void gap(struct line *line, uint32_t columns) { line->pending += columns; }

/* A column of a table. */
static void field(struct line *line, struct str s, uint32_t columns) { gap(line, columns - put_max(line, s, columns)); }

static void field_right(struct line *line, struct str s, uint32_t columns) {
    uint32_t size = measure(s, columns);
    if (size < columns) gap(line, columns - size);
    (void)put_max(line, s, columns);
}

static void line_end(struct line *line) {
    writer_char(line->out, '\n');
    *line = line_make(line->style, line->out);
}

/* Text as a paragraph: broken at blanks, a longer word alone on its line. */
static void paragraph(struct line *line, struct str text, uint32_t indent) {
    struct glyph glyph;
    bool first = true;
    uint32_t width = line->style.width < PARAGRAPH_COLUMNS_MAX ? line->style.width : PARAGRAPH_COLUMNS_MAX;
    while (text.len > 0) {
        size_t size = 0;
        while (size < text.len && text.ptr[size] != ' ' && text.ptr[size] != '\n')
            size++;
        struct str word = str_make(text.ptr, size);
        text = str_from_index(text, size < text.len ? size + 1 : size);
        if (word.len == 0) continue;
        uint32_t columns = measure(word, width);
        if (!first && line->used + 1 + columns > width) {
            line_end(line);
            first = true;
        }
        if (!first) gap(line, 1);
        if (first && line->used == 0) gap(line, indent);
        for (; line->pending > 0; line->pending--, line->used++)
            writer_char(line->out, ' ');
        for (size_t at = 0; at < word.len;) {
            at += glyph_read(str_from_index(word, at), &glyph);
            writer_put(line->out, str_make(glyph.text, glyph.len));
        }
        line->used += columns;
        first = false;
    }
    line_end(line);
}

/* -- Plans ----------------------------------------------------------------------------------------------- */

static const struct action_row {
    const char *symbol, *color, *count, *word; /* "2 to create"; word is JSON's */
} actions[] = {
    [CHANGE_ADD] = {"+", GREEN, "to create", "create"},
    [CHANGE_MODIFY] = {"~", YELLOW, "to change", "update"},
    [CHANGE_REPLACE] = {"±", RED, "to replace", "replace"},
    [CHANGE_MAYBE_REPLACE] = {"±", RED, "perhaps to replace", "maybe_replace"},
    [CHANGE_REMOVE] = {"-", RED, "to delete", "delete"},
    [CHANGE_IMPORT] = {"=", CYAN, "to import", "import"},
};
enum { ACTION_COUNT = sizeof actions / sizeof actions[0] };

static bool has_prefix(struct str path, const char *const *prefixes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct str prefix = str_from(prefixes[i]);
        if (str_starts(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '.')) return true;
    }
    return false;
}

static struct str property_name(const struct property_change *property) {
    return str_starts(property->path, STR("Properties.")) ? str_from_index(property->path, 11) : property->path;
}

/* A new or changed permission counts, whatever it says; of a role and the URL, what says who may do what. */
static bool property_widens(const struct change *change, const struct property_change *property) {
    static const char *const policies[] = {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies",
                                           "PolicyDocument", "PermissionsBoundary"};
    static const char *const cors[] = {"Cors"}, *const boundary[] = {"PermissionsBoundary"}, *const tags[] = {"Tags"};
    struct str name = property_name(property);
    bool goes = property->after.ptr == NULL && property->before.ptr != NULL; /* less than before, but for a bound */
    if (str_eq(change->type, STR("AWS::Lambda::Permission"))) return !has_prefix(name, tags, 1);
    if (!str_eq(change->type, STR("AWS::Lambda::Url")))
        return has_prefix(name, policies, 5) && (!goes || has_prefix(name, boundary, 1));
    return has_prefix(name, cors, 1) || (str_eq(name, STR("AuthType")) && !str_eq(property->after, STR("AWS_IAM")));
}

static bool widens(const struct change *change) {
    bool iam = str_starts(change->type, STR("AWS::IAM::")), url = str_eq(change->type, STR("AWS::Lambda::Url"));
    bool permission = str_eq(change->type, STR("AWS::Lambda::Permission"));
    if ((!iam && !url && !permission) || change->action == CHANGE_REMOVE || change->action == CHANGE_IMPORT)
        return false;
    if (change->action == CHANGE_ADD) return !url; /* who may call a new URL is said in sentences */
    if (change->property_count == 0) return true;  /* it is not told what changes */
    for (size_t i = 0; i < change->property_count; i++)
        if (property_widens(change, &change->properties[i])) return true;
    return false;
}

static bool loses(const struct change *change) {
    return change->holds_data && (change->action == CHANGE_REPLACE || change->action == CHANGE_MAYBE_REPLACE ||
                                  change->action == CHANGE_REMOVE);
}

/* A value as a person reads it. */
static struct str value_text(struct str value) {
    if (value.ptr == NULL) return STR("(none)");
    if (value.len == 0) return STR("\"\"");
    if (str_starts(value, STR("{{changeSet:KNOWN_AFTER_APPLY}}"))) return STR("(known when it is done)");
    if (str_starts(value, STR("(Truncated"))) return STR("(a long text)");
    return value;
}

/* A value on a line of its own. Where it is cut, it begins shortly before the first difference. */
static void put_value(struct line *line, const char *sign, struct str value, size_t same) {
    gap(line, 10);
    put(line, str_from(sign));
    gap(line, 1);
    if (measure(value, left(line)) > left(line) && same > CONTEXT_COLUMNS && same <= value.len) {
        same -= CONTEXT_COLUMNS;
        while (same > 0 && ((unsigned char)value.ptr[same] & 0xc0) == 0x80)
            same--;
        value = str_from_index(value, same);
        put(line, STR("…"));
    }
    put(line, value);
    line_end(line);
}

static void put_property(struct line *line, const struct property_change *property) {
    struct str before = value_text(property->before), after = value_text(property->after);
    struct str note = property->recreates ? STR("  makes it new") : STR("");
    struct str name = property_name(property);
    bool told = property->before.ptr != NULL || property->after.ptr != NULL;
    bool same = told && str_eq(property->before, property->after);
    gap(line, 6);
    put(line, name);
    if (!told || same) {
        put(line, same ? STR(": may change") : STR(": changes"));
    } else {
        uint32_t room = left(line);
        uint32_t columns = 5 + measure(before, room) + measure(after, room) + measure(note, room);
        put(line, STR(":"));
        if (columns > room) {
            size_t common = 0;
            while (common < before.len && common < after.len && before.ptr[common] == after.ptr[common])
                common++;
            put(line, note);
            line_end(line);
            put_value(line, "-", before, common);
            put_value(line, "+", after, common);
            return;
        }
        gap(line, 1);
        put(line, before);
        put(line, STR(" → "));
        put(line, after);
    }
    put(line, note);
    line_end(line);
}

static void put_change(struct line *line, const struct change *change, uint32_t name_columns, uint32_t type_columns) {
    const struct action_row *row = &actions[change->action];
    if (widens(change)) {
        color(line, YELLOW);
        put(line, STR("!"));
        color_end(line);
    } else {
        gap(line, 1);
    }
    gap(line, 1);
    color(line, row->color);
    put(line, str_from(row->symbol));
    gap(line, 1);
    field(line, change->logical_id, name_columns);
    color_end(line);
    gap(line, 2);
    field(line, change->type, type_columns);
    gap(line, 2);
    put(line, change->physical_id);
    line_end(line);
    for (size_t i = 0; i < change->property_count; i++)
        put_property(line, &change->properties[i]);
}

static uint32_t widest(uint32_t columns, struct str text, uint32_t max) {
    uint32_t size = measure(text, max);
    if (size > max) size = max;
    return size > columns ? size : columns;
}

static void put_heading(struct line *line, const struct plan *plan) {
    color(line, BOLD);
    put(line, plan->stack);
    color_end(line);
    put(line, STR(" in "));
    put(line, plan->region);
    put(line, STR(", account "));
    put(line, plan->account);
    if (plan->kind == PLAN_CREATE) put(line, STR(": a new stack"));
    if (plan->kind == PLAN_NOTHING) put(line, STR(": nothing to do"));
    line_end(line);
}

static void put_losses(struct line *line, const struct plan *plan) {
    for (size_t i = 0; i < plan->change_count; i++) {
        const struct change *change = &plan->changes[i];
        if (!loses(change)) continue;
        char memory[2048];
        struct writer w = writer_make(memory, sizeof memory);
        writer_put(&w, STR("DATA LOSS: "));
        writer_put(&w, change->logical_id);
        writer_char(&w, ' ');
        writer_put(&w, change->physical_id);
        writer_put(&w, change->action == CHANGE_REMOVE    ? STR(" would be deleted")
                       : change->action == CHANGE_REPLACE ? STR(" would be replaced by an empty one")
                                                          : STR(" might be replaced by an empty one"));
        writer_put(&w, STR(", and all that it holds lost."));
        color(line, BOLD ";" RED);
        paragraph(line, writer_str(&w), 0);
        color_end(line);
    }
}

static void put_counts(struct line *line, const struct plan *plan) {
    size_t counts[ACTION_COUNT] = {0};
    bool first = true;
    for (size_t i = 0; i < plan->change_count; i++)
        counts[plan->changes[i].action]++;
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        char text[64];
        struct writer w = writer_make(text, sizeof text);
        if (counts[i] == 0) continue;
        writer_format(&w, "%s%zu %s", first ? "" : ", ", counts[i], actions[i].count);
        put(line, writer_str(&w));
        first = false;
    }
    put(line, first ? STR("No resource changes, only the stack's own settings.") : STR("."));
    line_end(line);
}

void show_plan(const struct plan *plan, struct show_style style, struct writer *out) {
    struct line line = line_make(style, out);
    put_heading(&line, plan);
    if (plan->kind == PLAN_NOTHING) return;
    line_end(&line);
    uint32_t name_columns = 0, type_columns = 0;
    bool marked = false;
    for (size_t i = 0; i < plan->change_count; i++) {
        name_columns = widest(name_columns, plan->changes[i].logical_id, style.width / 3);
        type_columns = widest(type_columns, plan->changes[i].type, style.width * 3 / 8);
    }
    for (size_t i = 0; i < plan->change_count; i++) {
        put_change(&line, &plan->changes[i], name_columns, type_columns);
        marked |= widens(&plan->changes[i]);
    }
    if (plan->change_count > 0) line_end(&line);
    put_losses(&line, plan);
    if (marked) {
        color(&line, YELLOW);
        put(&line, STR("! may allow somebody more than before"));
        color_end(&line);
        line_end(&line);
    }
    put_counts(&line, plan);
}

/* -- Access ---------------------------------------------------------------------------------------------- */

enum { ACCESS_NOTES_MAX = 2 };

static bool has_origin(struct str origins, struct str wanted) {
    struct str origin, rest = origins;
    while (str_cut(rest, ',', &origin, &rest))
        if (str_eq(str_trim(origin), wanted)) return true;
    return str_eq(str_trim(rest), wanted);
}

static size_t access_notes(const struct show_access *access, struct str ret_notes[ACCESS_NOTES_MAX]) {
    size_t count = 0;
    if (str_eq(access->auth, STR("NONE")))
        ret_notes[count++] =
            STR("Access: anybody may call the URL (NONE). /hooks/SOURCE alone is served there, each request proved by "
                "its provider's signature; POST / answers 403.");
    else
        ret_notes[count++] =
            STR("Access: the URL takes only requests signed with AWS credentials (AWS_IAM). Payment providers cannot "
                "sign so and get 403: they reach it through a relay that signs, or not at all. \"payhook stack up "
                "--auth NONE\" opens /hooks/SOURCE to them, once a source has a secret.");
    if (has_origin(access->cors_origins, STR("*")))
        ret_notes[count++] =
            STR("Warning: CORS allows * with credentials, so that any web page may call the URL from its visitors' "
                "browsers. --cors-origin https://shop.example narrows it.");
    return count;
}

void show_access(const struct show_access *access, struct show_style style, struct writer *out) {
    struct str notes[ACCESS_NOTES_MAX];
    size_t count = access_notes(access, notes);
    struct line line = line_make(style, out);
    for (size_t i = 0; i < count; i++) {
        bool warning = str_starts(notes[i], STR("Warning"));
        if (warning) color(&line, YELLOW);
        paragraph(&line, notes[i], 0);
        if (warning) color_end(&line);
    }
}

/* -- JSON ------------------------------------------------------------------------------------------------ */

static void json_text(struct writer *w, struct str text) {
    if (text.ptr == NULL)
        writer_put(w, STR("null"));
    else
        json_write_string(w, text, true); /* in ASCII, so that it does no harm to a terminal either */
}

/* ", "name": "text"" */
static void json_member(struct writer *w, const char *name, struct str text) {
    writer_format(w, ", \"%s\": ", name);
    json_text(w, text);
}

static void json_bool(struct writer *w, const char *name, bool value) {
    writer_format(w, ", \"%s\": %s", name, value ? "true" : "false");
}

static void json_change(struct writer *w, const struct change *change) {
    writer_format(w, "{\"action\": \"%s\"", actions[change->action].word);
    json_member(w, "logical_id", change->logical_id);
    json_member(w, "type", change->type);
    json_member(w, "physical_id", change->physical_id.len > 0 ? change->physical_id : STR_NONE);
    json_bool(w, "holds_data", change->holds_data);
    json_bool(w, "loses_data", loses(change));
    json_bool(w, "widens_access", widens(change));
    writer_put(w, STR(", \"properties\": ["));
    for (size_t i = 0; i < change->property_count; i++) {
        const struct property_change *property = &change->properties[i];
        writer_put(w, i > 0 ? STR(", {\"path\": ") : STR("{\"path\": "));
        json_text(w, property->path);
        json_member(w, "before", property->before);
        json_member(w, "after", property->after);
        json_bool(w, "replaces", property->recreates);
        writer_char(w, '}');
    }
    writer_put(w, STR("]}"));
}

static void json_access(struct writer *w, const struct show_access *access) {
    struct str notes[ACCESS_NOTES_MAX], origin, rest = access->cors_origins;
    size_t count = access_notes(access, notes);
    writer_put(w, STR(", \"access\": {\"auth\": "));
    json_text(w, access->auth);
    writer_put(w, STR(", \"cors_origins\": ["));
    while (str_cut(rest, ',', &origin, &rest)) {
        json_text(w, str_trim(origin));
        writer_put(w, STR(", "));
    }
    json_text(w, str_trim(rest));
    writer_put(w, STR("], \"notes\": ["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0) writer_put(w, STR(", "));
        json_text(w, notes[i]);
    }
    writer_put(w, STR("]}"));
}

void show_plan_json(const struct plan *plan, const struct show_access *access, struct writer *out) {
    static const char *const kinds[] = {[PLAN_CREATE] = "create", [PLAN_UPDATE] = "update", [PLAN_NOTHING] = "nothing"};
    writer_put(out, STR("{\"stack\": "));
    json_text(out, plan->stack);
    json_member(out, "region", plan->region);
    json_member(out, "account", plan->account);
    json_member(out, "kind", str_from(kinds[plan->kind]));
    writer_put(out, STR(", \"changes\": ["));
    for (size_t i = 0; i < plan->change_count; i++) {
        if (i > 0) writer_put(out, STR(", "));
        json_change(out, &plan->changes[i]);
    }
    writer_char(out, ']');
    if (access != NULL) json_access(out, access);
    writer_char(out, '}');
}

/* -- Progress -------------------------------------------------------------------------------------------- */

static const struct {
    const char *symbol, *color;
} states[] = {
    [PROGRESS_WAITING] = {"·", DIM},
    [PROGRESS_WORKING] = {"•", YELLOW},
    [PROGRESS_DONE] = {"✓", GREEN},
    [PROGRESS_FAILED] = {"✗", RED},
};

/* "7s", "1m05s", "2h07m"; nothing where it has not begun. */
static void put_elapsed(struct writer *w, const struct progress_row *row, int64_t now_us) {
    if (row->started_us == 0) return;
    int64_t seconds = ((row->ended_us != 0 ? row->ended_us : now_us) - row->started_us) / 1000000;
    if (seconds < 0) seconds = 0;
    if (seconds < 60)
        writer_format(w, "%llds", (long long)seconds);
    else if (seconds < 3600)
        writer_format(w, "%lldm%02llds", (long long)seconds / 60, (long long)seconds % 60);
    else
        writer_format(w, "%lldh%02lldm", (long long)seconds / 3600, (long long)seconds / 60 % 60);
}

/* What was taken back has come to its end, but not to the one that was wanted. */
static enum progress_state state_shown(const struct progress_row *row) {
    return row->state == PROGRESS_DONE && strstr(row->status, "ROLLBACK") != NULL ? PROGRESS_FAILED : row->state;
}

static void put_row(struct line *line, const struct progress_row *row, int64_t now_us, const char *waiting,
                    uint32_t name_columns, uint32_t status_columns) {
    char text[32];
    struct writer elapsed = writer_make(text, sizeof text);
    put_elapsed(&elapsed, row, now_us);
    color(line, states[state_shown(row)].color);
    put(line, str_from(states[state_shown(row)].symbol));
    color_end(line);
    gap(line, 1);
    field(line, str_from(row->logical_id), name_columns);
    gap(line, 2);
    field(line, row->status[0] != '\0' ? str_from(row->status) : str_from(waiting), status_columns);
    field_right(line, writer_str(&elapsed), ELAPSED_COLUMNS);
    gap(line, 2);
    if (row->state == PROGRESS_FAILED) put(line, str_from(row->reason));
    line_end(line);
}

void show_heading(struct str text, struct show_style style, struct writer *out) {
    struct line line = line_make(style, out);
    put(&line, text);
    line_end(&line);
}

void show_progress(const struct progress *progress, int64_t wall_us, struct show_style style, struct writer *out) {
    struct line line = line_make(style, out);
    int64_t now_us = progress_now(progress, wall_us);
    uint32_t names = 0, statuses = STATUS_COLUMNS;
    for (size_t i = 0; i <= progress->row_count; i++) {
        const struct progress_row *row = i < progress->row_count ? &progress->rows[i] : &progress->stack;
        names = widest(names, str_from(row->logical_id), style.width * 2 / 5);
        statuses = widest(statuses, str_from(row->status), style.width / 2 - ELAPSED_COLUMNS);
    }
    bool over = progress->stack.state == PROGRESS_DONE || progress->stack.state == PROGRESS_FAILED;
    for (size_t i = 0; i <= progress->row_count; i++)
        put_row(&line, i < progress->row_count ? &progress->rows[i] : &progress->stack, now_us,
                over ? "not begun" : "waiting", names, statuses);
}

void show_progress_row(const struct progress_row *row, struct writer *out) {
    struct str status = str_from(row->status);
    writer_put(out, status);
    for (size_t i = status.len; i < STATUS_COLUMNS; i++)
        writer_char(out, ' ');
    writer_put(out, STR("  "));
    stack_text(out, str_from(row->logical_id));
    writer_put(out, STR(" ("));
    stack_text(out, str_from(row->type));
    writer_char(out, ')');
    if (row->ended_us != 0) {
        writer_put(out, STR(", "));
        put_elapsed(out, row, row->ended_us);
    }
    if (row->state == PROGRESS_FAILED && row->reason[0] != '\0') {
        writer_put(out, STR(": "));
        stack_text(out, str_from(row->reason));
    }
    writer_char(out, '\n');
}

static const struct progress_row *cause_of(const struct progress *progress) {
    if (progress->cause == PROGRESS_CAUSE_STACK) return &progress->stack;
    return progress->cause < progress->row_count ? &progress->rows[progress->cause] : NULL;
}

void show_cause(const struct progress *progress, struct show_style style, struct writer *out) {
    const struct progress_row *row = cause_of(progress);
    if (row == NULL) return;
    struct line line = line_make(style, out);
    char memory[STACK_LOGICAL_ID_MAX + STACK_TYPE_MAX + STACK_STATUS_MAX + 32];
    struct writer w = writer_make(memory, sizeof memory);
    writer_format(&w, "The first failure: %s (%s), %s:", row->logical_id, row->type, progress->cause_status);
    color(&line, RED);
    paragraph(&line, writer_str(&w), 0);
    color_end(&line);
    paragraph(&line, progress->cause_reason[0] != '\0' ? str_from(progress->cause_reason) : STR("no reason is given"),
              2);
}

void show_cause_json(const struct progress *progress, struct writer *out) {
    const struct progress_row *row = cause_of(progress);
    if (row == NULL) {
        writer_put(out, STR("null"));
        return;
    }
    writer_put(out, STR("{\"logical_id\": "));
    json_text(out, str_from(row->logical_id));
    json_member(out, "type", str_from(row->type));
    json_member(out, "status", str_from(progress->cause_status));
    json_member(out, "reason", str_from(progress->cause_reason));
    writer_char(out, '}');
}

/* -- Outputs --------------------------------------------------------------------------------------------- */

void show_outputs(const struct stack_description *stack, bool json, struct writer *out) {
    size_t widest_name = 0;
    if (json) writer_char(out, '{');
    for (size_t i = 0; i < stack->output_count; i++) {
        if (stack->outputs[i].key.len > widest_name && stack->outputs[i].key.len <= 64)
            widest_name = stack->outputs[i].key.len;
    }
    for (size_t i = 0; i < stack->output_count; i++) {
        const struct stack_pair *output = &stack->outputs[i];
        if (json) {
            if (i > 0) writer_put(out, STR(", "));
            json_text(out, output->key);
            writer_put(out, STR(": "));
            json_text(out, output->value);
            continue;
        }
        stack_text(out, output->key);
        for (size_t k = output->key.len; k < widest_name; k++)
            writer_char(out, ' ');
        writer_put(out, STR(" = "));
        stack_text(out, output->value);
        writer_char(out, '\n');
    }
    if (json) writer_char(out, '}');
}
