/* SPDX-License-Identifier: Apache-2.0 */
/* The document is never taken apart and written anew: what changes is cut out of its text and put in, so that whatever
 * else it holds, members nobody here knows and numbers of any size among them, stays the bytes it was. A new member
 * comes last in its object, behind the blanks that the last one stands behind.
 *
 * What is put together on the way lies in secret memory. What a secret must be like, and which settings and providers
 * there are, is not known here. */
#include "stack/secret.h"

#include "base/os.h"
#include "codec/json.h"

#define API_KEY "api_key"

enum { EDITS_MAX = SECRET_SETTINGS_MAX + 2, KEY_SIZE_MAX = 48 };
static_assert(sizeof "/sources//" + SOURCE_NAME_SIZE_MAX + KEY_SIZE_MAX <= JSON_POINTER_SIZE_MAX, "pointers fit");
static_assert(EDITS_MAX + 4 <= JSON_POINTERS_MAX, "all places are found in one pass");

static struct err no_use(struct writer *message, const char *sentence) {
    writer_put(message, str_from(sentence));
    return err_make(ERR_INPUT, 0, "use the secret");
}

/* [a-z][more a-z0-9-]… of at most size_max bytes. */
static bool is_word(struct str word, size_t size_max, const char *more) {
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        bool letter = c >= 'a' && c <= 'z',
             other = c == '-' || (c >= '0' && c <= '9') || (c != '\0' && strchr(more, c));
        if (!letter && (i == 0 || !other)) return false;
    }
    return word.len > 0 && word.len <= size_max;
}

bool secret_is_source_name(struct str name) {
    return is_word(name, SOURCE_NAME_SIZE_MAX, "") && !str_eq(name, STR("default"));
}

/* Why a text cannot be put into a document; NULL: it can. */
static const char *text_fault(struct str text) {
    if (text.len == 0) return "is empty";
    if (text.len > SECRET_SIZE_MAX) return "is longer than any secret may be";
    return json_is_utf8(text) ? NULL : "is not a text (UTF-8)";
}

static bool is_good_change(const struct secret_change *change, struct writer *message) {
    bool api_key = str_eq(change->source, STR(API_KEY));
    const char *fault;
    if (!api_key && !secret_is_source_name(change->source)) {
        writer_put(message,
                   STR("a source's name is a lower-case letter, then at most 62 lower-case letters, digits and "
                       "'-' (not default), or it is api_key"));
        return false;
    }
    if (api_key && (change->provider.ptr != NULL || change->setting_count > 0)) {
        writer_put(message, STR("api_key is no source: it takes neither a provider nor settings"));
        return false;
    }
    if (change->value_count == 0 || change->value_count > SOURCE_SECRETS_MAX) {
        writer_format(message, "%d to %d secrets can be put at once", 1, SOURCE_SECRETS_MAX);
        return false;
    }
    for (size_t i = 0; i < change->value_count; i++) {
        if ((fault = text_fault(change->values[i])) == NULL) continue;
        writer_format(message, "secret %zu %s", i + 1, fault);
        return false;
    }
    check(change->setting_count <= SECRET_SETTINGS_MAX);
    for (size_t i = 0; i < change->setting_count; i++) {
        struct str key = change->settings[i].key;
        bool twice = str_eq(key, STR("provider")) || str_eq(key, STR("secrets"));
        for (size_t k = 0; k < i; k++)
            twice = twice || str_eq(key, change->settings[k].key);
        if (twice || !is_word(key, KEY_SIZE_MAX, "_")) {
            writer_format(message, "setting %zu has the name of none, or one that is set otherwise or twice", i + 1);
            return false;
        }
        if ((fault = text_fault(change->settings[i].value)) == NULL) continue;
        writer_format(message, "the value of setting %.*s %s", STR_ARG(key), fault);
        return false;
    }
    return true;
}

static void put_list(struct writer *w, const struct str *values, size_t count) {
    writer_char(w, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) writer_put(w, STR(", "));
        json_write_string(w, values[i], false);
    }
    writer_char(w, ']');
}

/* Where the document is cut, in order of place; cuts do not overlap. */
struct edit {
    size_t place, cut_size;
    struct str text;
};
struct merge {
    struct str document;
    struct edit edits[EDITS_MAX];
    size_t edit_count;
    struct arena texts; /* in secret memory, large enough for all that is put in */
};

static void add_edit(struct merge *merge, const char *place, size_t cut_size, struct str text) {
    struct edit edit = {(size_t)(place - merge->document.ptr), cut_size, text};
    size_t at = merge->edit_count++;
    check(at < EDITS_MAX);
    check(text.ptr != NULL);
    for (; at > 0 && merge->edits[at - 1].place > edit.place; at--)
        merge->edits[at] = merge->edits[at - 1];
    merge->edits[at] = edit;
}

/* A member's value: in the place of the old one, or as a new last member of the object. before: members that were added
 * to the object already. */
static void set_member(struct merge *merge, struct str object, const struct json_value *old, struct str name,
                       struct str value, size_t *before) {
    if (old->type != JSON_TYPE_NONE) {
        add_edit(merge, old->raw.ptr, old->raw.len, value);
        return;
    }
    struct json_value last_name = {.type = JSON_TYPE_NONE}, last = last_name;
    size_t position = 0;
    while (json_object_next(object, &position, &last_name, &last)) {
    }
    bool empty = last.type == JSON_TYPE_NONE;
    const char *place = empty ? object.ptr + 1 : last.raw.ptr + last.raw.len;
    struct writer w = arena_writer(&merge->texts);
    if (!empty || *before > 0) writer_char(&w, ',');
    if (!empty) { /* on a line of its own where the last one is */
        size_t blanks = 0;
        while (strchr(" \t\r\n", last_name.raw.ptr[-(ptrdiff_t)blanks - 1]) != NULL)
            blanks++;
        writer_put(&w, blanks > 0 ? str_make(last_name.raw.ptr - blanks, blanks) : STR(" "));
    } else if (*before > 0) {
        writer_char(&w, ' ');
    }
    json_write_string(&w, name, true);
    writer_put(&w, STR(": "));
    writer_put(&w, value);
    add_edit(merge, place, 0, arena_take(&merge->texts, &w));
    ++*before;
}

static struct str list_text(struct merge *merge, const struct secret_change *change) {
    struct writer w = arena_writer(&merge->texts);
    put_list(&w, change->values, change->value_count);
    return arena_take(&merge->texts, &w);
}

static struct str string_text(struct merge *merge, struct str text) {
    struct writer w = arena_writer(&merge->texts);
    json_write_string(&w, text, false);
    return arena_take(&merge->texts, &w);
}

/* The whole object of a source that was not there. */
static struct str source_text(struct merge *merge, const struct secret_change *change, struct str provider) {
    struct writer w = arena_writer(&merge->texts);
    writer_put(&w, STR("{\"provider\": "));
    json_write_string(&w, provider, false);
    writer_put(&w, STR(", \"secrets\": "));
    put_list(&w, change->values, change->value_count);
    for (size_t i = 0; i < change->setting_count; i++) {
        writer_put(&w, STR(", "));
        json_write_string(&w, change->settings[i].key, true);
        writer_put(&w, STR(": "));
        json_write_string(&w, change->settings[i].value, false);
    }
    writer_char(&w, '}');
    return arena_take(&merge->texts, &w);
}

/* "/sources/NAME/KEY"; key ptr NULL: the source. */
static void point(struct json_pointer *pointer, struct str source, struct str key) {
    char text[JSON_POINTER_SIZE_MAX];
    struct writer w = writer_make(text, sizeof text);
    writer_put(&w, STR("/sources/"));
    writer_put(&w, source);
    if (key.ptr != NULL) {
        writer_char(&w, '/');
        writer_put(&w, key);
    }
    check(!w.overflow);
    check(json_pointer_compile(writer_str(&w), pointer));
}

/* What merging looks at, in one pass. */
enum place { PLACE_ROOT, PLACE_API_KEY, PLACE_SOURCES, PLACE_SOURCE, PLACE_PROVIDER, PLACE_SECRETS, PLACE_SETTINGS };

static struct err find_places(struct str document, const struct secret_change *change, struct writer *message,
                              struct json_value ret_found[PLACE_SETTINGS + SECRET_SETTINGS_MAX]) {
    struct json_pointer pointers[PLACE_SETTINGS + SECRET_SETTINGS_MAX];
    const struct json_pointer *list[PLACE_SETTINGS + SECRET_SETTINGS_MAX];
    size_t count = PLACE_SETTINGS + change->setting_count;
    bool good = json_pointer_compile(STR(""), &pointers[PLACE_ROOT]) &&
                json_pointer_compile(STR("/" API_KEY), &pointers[PLACE_API_KEY]) &&
                json_pointer_compile(STR("/sources"), &pointers[PLACE_SOURCES]);
    check(good);
    point(&pointers[PLACE_SOURCE], change->source, STR_NONE);
    point(&pointers[PLACE_PROVIDER], change->source, STR("provider"));
    point(&pointers[PLACE_SECRETS], change->source, STR("secrets"));
    for (size_t i = 0; i < change->setting_count; i++)
        point(&pointers[PLACE_SETTINGS + i], change->source, change->settings[i].key);
    for (size_t i = 0; i < count; i++)
        list[i] = &pointers[i];
    enum json_result result = json_scan(document, list, count, ret_found);
    if (result == JSON_OK && ret_found[PLACE_ROOT].type == JSON_TYPE_OBJECT) return err_ok();
    writer_format(message,
                  "the secret cannot be changed, since it holds no JSON object%s%s%s: put one there with aws "
                  "secretsmanager put-secret-value",
                  result != JSON_OK ? " (" : "", result != JSON_OK ? json_result_text(result) : "",
                  result != JSON_OK ? ")" : "");
    return err_make(ERR_INPUT, 0, "use the secret");
}

static struct err plan_source(struct merge *merge, const struct secret_change *change, const struct json_value *found,
                              struct writer *message) {
    const struct json_value *sources = &found[PLACE_SOURCES], *source = &found[PLACE_SOURCE];
    bool has_provider = found[PLACE_PROVIDER].type != JSON_TYPE_NONE;
    struct str provider = change->provider;
    if (sources->type != JSON_TYPE_NONE && sources->type != JSON_TYPE_OBJECT)
        return no_use(message, "\"sources\" in the secret is no object: put it right first");
    if (source->type != JSON_TYPE_NONE && source->type != JSON_TYPE_OBJECT)
        return no_use(message, "the secret holds this source in a form that is none: put it right first");
    if (provider.ptr == NULL && has_provider && found[PLACE_PROVIDER].type != JSON_TYPE_STRING)
        return no_use(message, "the secret names no provider for this source: give one with --provider");
    if (provider.ptr == NULL && !has_provider) provider = change->provider_if_new;
    if (provider.ptr == NULL && !has_provider)
        return no_use(message, "this source is new, and its name is not a provider's: give one with --provider");
    if (provider.ptr != NULL && text_fault(provider) != NULL)
        return no_use(message, "the provider's name is that of none");

    size_t before = 0;
    if (source->type == JSON_TYPE_NONE) {
        struct str text = source_text(merge, change, provider);
        if (sources->type == JSON_TYPE_NONE) {
            struct writer w = arena_writer(&merge->texts);
            writer_char(&w, '{');
            json_write_string(&w, change->source, true);
            writer_put(&w, STR(": "));
            writer_put(&w, text);
            writer_char(&w, '}');
            set_member(merge, found[PLACE_ROOT].raw, sources, STR("sources"), arena_take(&merge->texts, &w), &before);
        } else {
            set_member(merge, sources->raw, source, change->source, text, &before);
        }
        return err_ok();
    }
    if (provider.ptr != NULL)
        set_member(merge, source->raw, &found[PLACE_PROVIDER], STR("provider"), string_text(merge, provider), &before);
    set_member(merge, source->raw, &found[PLACE_SECRETS], STR("secrets"), list_text(merge, change), &before);
    for (size_t i = 0; i < change->setting_count; i++)
        set_member(merge, source->raw, &found[PLACE_SETTINGS + i], change->settings[i].key,
                   string_text(merge, change->settings[i].value), &before);
    return err_ok();
}

/* Every byte put in may be escaped (six for one), and stands in up to three texts. */
static size_t texts_size(struct str document, const struct secret_change *change) {
    size_t size = 2 * SOURCE_NAME_SIZE_MAX + 1024 + change->provider.len + change->provider_if_new.len;
    for (size_t i = 0; i < change->value_count; i++)
        size += change->values[i].len + 4;
    for (size_t i = 0; i < change->setting_count; i++)
        size += change->settings[i].key.len + change->settings[i].value.len + 8;
    return 3 * 6 * size + EDITS_MAX * document.len; /* blanks of the document are repeated with each member */
}

struct err secret_merge(struct str document, const struct secret_change *change, struct writer *out,
                        struct writer *message) {
    if (!is_good_change(change, message)) return err_make(ERR_INPUT, 0, "use the secret");
    struct json_value found[PLACE_SETTINGS + SECRET_SETTINGS_MAX];
    TRY(find_places(document, change, message, found));
    struct merge merge = {.document = document};
    size_t size = texts_size(document, change), before = 0;
    char *memory = os_secret_alloc(size);
    if (memory == NULL) {
        writer_put(message, STR("no memory for a secret"));
        return err_make(ERR_MEMORY, 0, "keep a secret");
    }
    merge.texts = arena_make(memory, size);
    struct err result = err_ok();
    if (str_eq(change->source, STR(API_KEY)))
        set_member(&merge, found[PLACE_ROOT].raw, &found[PLACE_API_KEY], STR(API_KEY),
                   change->value_count == 1 ? string_text(&merge, change->values[0]) : list_text(&merge, change),
                   &before);
    else
        result = plan_source(&merge, change, found, message);
    size_t place = 0;
    for (size_t i = 0; i < merge.edit_count && !err_is(result); i++) {
        const struct edit *edit = &merge.edits[i];
        writer_put(out, str_make(document.ptr + place, edit->place - place));
        writer_put(out, edit->text);
        place = edit->place + edit->cut_size;
    }
    if (!err_is(result)) writer_put(out, str_from_index(document, place));
    if (!err_is(result) && (out->overflow || out->len > SECRET_STRING_SIZE_MAX)) {
        writer_format(message, "the secret would have more than %d bytes", SECRET_STRING_SIZE_MAX);
        result = err_make(ERR_INPUT, 0, "use the secret");
    }
    os_secret_free(memory, size);
    return result;
}
