/* SPDX-License-Identifier: Apache-2.0 */
/* A write cannot be made to depend on what was read: PutSecretValue has no condition. But moving a label has one. So
 * the new document becomes a version without AWSCURRENT, held by a label of our own, and AWSCURRENT is then moved to it
 * from the version that was read and no other (AWS Secrets Manager API Reference, UpdateSecretVersionStage). Whoever
 * reads sees the old document or the new one.
 *
 * Documents, and the requests that carry them, lie in secret memory. An answer passes through the client's buffers,
 * which libevent does not wipe, and is wiped in net/aws once the next one comes; the command has no core dumps. What
 * the service says in words is never repeated. Merging is secret_merge.c's. */
#include "stack/secret.h"

#include "base/os.h"
#include "codec/json.h"
#include "codec/text.h"
#include "stack/call.h"

#define PLACEHOLDER "placeholder_value_replace_in_production" /* deploy/template.yaml */
#define LABEL       "payhook-next"

enum { VERSION_SIZE_MAX = 64, ID_SIZE_MAX = 512 /* the service's own limits */ };

/* A document and its version. */
struct held {
    char *memory;
    size_t size;
    struct str document;
    char version[VERSION_SIZE_MAX + 1];
};

static void held_done(struct held *held) {
    if (held->memory != NULL) os_secret_free(held->memory, held->size);
    held->memory = NULL;
}

static struct err no_memory(struct writer *message) {
    writer_put(message, STR("no memory for a secret"));
    return err_make(ERR_MEMORY, 0, "keep a secret");
}

static struct err unread(struct writer *message) {
    writer_put(message, STR("the answer of Secrets Manager cannot be read; try again"));
    return err_make(ERR_NETWORK, 0, "make sense of the answer");
}

static struct err refuse(struct str name, struct writer *message, enum err_kind kind, const char *sentence) {
    writer_put(message, STR("secret "));
    writer_escaped(message, name);
    writer_format(message, ": %s", sentence);
    return err_make(kind, 0, "use the secret");
}

/* -- Calls ----------------------------------------------------------------------------------------------- */

static const char *const targets[] = {"secretsmanager.GetSecretValue", "secretsmanager.PutSecretValue",
                                      "secretsmanager.UpdateSecretVersionStage"};
enum target { GET, PUT, MOVE };

/* Tells every refusal but the one of this error, where it is not NULL. */
static struct err ask(struct aws *aws, enum target target, struct str name, struct str body, const char *expected,
                      struct writer *message, const struct aws_answer **ret_answer) {
    struct aws_call call = {.service = "secretsmanager",
                            .operation = targets[target] + sizeof "secretsmanager",
                            .amz_target = targets[target],
                            .content_type = STR("application/x-amz-json-1.1"),
                            .body = body};
    struct err failure = stack_call(aws, &call, message, ret_answer, NULL);
    if (failure.kind == ERR_ABSENT) failure.kind = ERR_DENIED; /* credentials: here only a secret is absent */
    if (err_is(failure)) return failure;
    const struct aws_answer *answer = *ret_answer;
    if (answer->status >= 200 && answer->status < 300) return err_ok();
    if (expected != NULL && str_eq(answer->error, str_from(expected))) return err_ok();
    if (str_eq(answer->error, STR("ResourceNotFoundException")))
        return refuse(name, message, ERR_ABSENT,
                      "there is none of this name with a value, in this account and region; payhook stack up makes it");
    if (str_eq(answer->error, STR("InvalidRequestException")))
        return refuse(name, message, ERR_INPUT, "it is being deleted, or in no state to be used");
    if (str_eq(answer->error, STR("LimitExceededException")))
        return refuse(name, message, ERR_BUSY, "it has too many versions of the last 24 hours; try again tomorrow");
    return stack_call_refused(&call, answer, message);
}

/* {"SecretId": name, … without its end. */
static void begin_body(struct writer *w, struct str name) {
    writer_put(w, STR("{\"SecretId\":"));
    json_write_string(w, name, true);
}

static struct err read_value(struct str body, struct str name, struct writer *message, struct held *ret_held) {
    struct json_pointer string, binary, version;
    bool good = json_pointer_compile(STR("/SecretString"), &string) &&
                json_pointer_compile(STR("/SecretBinary"), &binary) &&
                json_pointer_compile(STR("/VersionId"), &version);
    check(good);
    const struct json_pointer *pointers[] = {&string, &binary, &version};
    struct json_value found[3];
    if (json_scan(body, pointers, 3, found) != JSON_OK) return unread(message);
    if (found[1].type == JSON_TYPE_STRING)
        return refuse(name, message, ERR_INPUT, "it holds bytes, not a text: put it again as SecretString");
    if (found[0].type != JSON_TYPE_STRING || found[2].type != JSON_TYPE_STRING) return unread(message);
    struct held held = {.size = found[0].raw.len};
    struct arena arena = arena_make(held.version, sizeof held.version);
    struct str text;
    bool full;
    if (!json_string_decode(found[2].raw, &arena, &text, &full) || text.len == 0 || text.len > VERSION_SIZE_MAX)
        return unread(message);
    memmove(held.version, text.ptr, text.len);
    held.version[text.len] = '\0';
    held.memory = os_secret_alloc(held.size);
    if (held.memory == NULL) return no_memory(message);
    arena = arena_make(held.memory, held.size);
    if (!json_string_decode(found[0].raw, &arena, &text, &full)) {
        held_done(&held);
        return refuse(name, message, ERR_INPUT, "it holds what is no text");
    }
    memmove(held.memory, text.ptr, text.len); /* decoded in place, or still in the answer */
    held.document = str_make(held.memory, text.len);
    *ret_held = held;
    return err_ok();
}

static struct err get(struct aws *aws, struct str name, struct writer *message, struct held *ret_held) {
    char body[ID_SIZE_MAX * 6 + 32];
    struct writer w = writer_make(body, sizeof body);
    if (name.len > ID_SIZE_MAX) return refuse(name, message, ERR_INPUT, "no secret has such a long name");
    begin_body(&w, name);
    writer_char(&w, '}');
    check(!w.overflow);
    const struct aws_answer *answer;
    TRY(ask(aws, GET, name, writer_str(&w), NULL, message, &answer));
    return read_value(answer->body, name, message, ret_held);
}

static struct err put(struct aws *aws, struct str name, struct str document, const char *version,
                      struct writer *message) {
    size_t size = 6 * (document.len + ID_SIZE_MAX) + 256;
    char *memory = os_secret_alloc(size);
    if (memory == NULL) return no_memory(message);
    struct writer w = writer_make(memory, size);
    begin_body(&w, name);
    writer_format(&w, ",\"ClientRequestToken\":\"%s\",\"VersionStages\":[\"" LABEL "\"],\"SecretString\":", version);
    json_write_string(&w, document, false);
    writer_char(&w, '}');
    check(!w.overflow); /* get has looked at the name */
    const struct aws_answer *answer;
    struct err result = ask(aws, PUT, name, writer_str(&w), NULL, message, &answer);
    os_secret_free(memory, size);
    return result;
}

/* to NULL: only takes the label away. *ret_moved may be NULL. */
static struct err move(struct aws *aws, struct str name, const char *label, const char *from, const char *to,
                       struct writer *message, bool *ret_moved) {
    char body[ID_SIZE_MAX * 6 + 512];
    struct writer w = writer_make(body, sizeof body);
    begin_body(&w, name);
    writer_format(&w, ",\"VersionStage\":\"%s\",\"RemoveFromVersionId\":", label);
    json_write_string(&w, str_from(from), true);
    if (to != NULL) writer_format(&w, ",\"MoveToVersionId\":\"%s\"", to);
    writer_char(&w, '}');
    check(!w.overflow);
    const struct aws_answer *answer;
    TRY(ask(aws, MOVE, name, writer_str(&w), "InvalidParameterException", message, &answer));
    if (ret_moved != NULL) *ret_moved = answer->status < 300;
    return err_ok();
}

/* -- Setting --------------------------------------------------------------------------------------------- */

/* One round. *ret_moved: the secret is now as wanted, and *ret_new: by our doing. ret_read is filled in any case. */
static struct err set_once(struct aws *aws, struct str name, const struct secret_change *change, secret_judge *judge,
                           void *context, struct writer *message, struct held *ret_read, bool *ret_new,
                           bool *ret_moved) {
    TRY(get(aws, name, message, ret_read));
    size_t size = 2 * SECRET_STRING_SIZE_MAX;
    char *memory = os_secret_alloc(size);
    if (memory == NULL) return no_memory(message);
    struct writer out = writer_make(memory, size);
    struct err result = secret_merge(ret_read->document, change, &out, message);
    struct str document = writer_str(&out);
    *ret_new = !err_is(result) && !str_eq(document, ret_read->document);
    *ret_moved = !err_is(result) && !*ret_new;
    if (!err_is(result) && !judge(context, document, message)) result = err_make(ERR_INPUT, 0, "use the secret");
    if (!err_is(result) && *ret_new) {
        char version[33];
        uint8_t random[16];
        struct writer w = writer_make(version, sizeof version);
        os_random(random, sizeof random);
        text_hex_write(&w, random, sizeof random);
        (void)writer_cstr(&w);
        result = put(aws, name, document, version, message);
        if (!err_is(result)) result = move(aws, name, "AWSCURRENT", ret_read->version, version, message, ret_moved);
        if (!err_is(result)) { /* the label has done its work; where it cannot be taken away, the next change does it */
            char text[1024];
            struct writer unsaid = writer_make(text, sizeof text);
            (void)err_is(move(aws, name, LABEL, version, NULL, &unsaid, NULL));
        }
    }
    os_secret_free(memory, size);
    return result;
}

struct err secret_set(struct aws *aws, struct str secret_name, const struct secret_change *change, secret_judge *judge,
                      void *context, struct writer *message, bool *ret_new) {
    char before[VERSION_SIZE_MAX + 1] = "";
    for (int i = 0; i < STACK_SECRET_TRIES_MAX; i++) {
        struct held held = {.memory = NULL};
        bool new = false, moved = false;
        struct err result = set_once(aws, secret_name, change, judge, context, message, &held, &new, &moved);
        held_done(&held);
        if (err_is(result)) return result;
        if (moved) {
            *ret_new = new || i > 0;
            return result;
        }
        if (strcmp(before, held.version) == 0)
            return refuse(secret_name, message, ERR_INPUT, "Secrets Manager does not let a new version take effect");
        memcpy(before, held.version, sizeof before);
    }
    return refuse(secret_name, message, ERR_BUSY,
                  "somebody else keeps writing it at the same time; nothing was changed, try again");
}

/* -- Looking --------------------------------------------------------------------------------------------- */

/* The document's root and sources. */
static struct err find_sources(const struct held *held, struct str name, struct writer *message,
                               struct json_value *ret_sources) {
    struct json_pointer root, sources;
    bool good = json_pointer_compile(STR(""), &root) && json_pointer_compile(STR("/sources"), &sources);
    check(good);
    const struct json_pointer *pointers[] = {&root, &sources};
    struct json_value found[2];
    if (json_scan(held->document, pointers, 2, found) != JSON_OK || found[0].type != JSON_TYPE_OBJECT)
        return refuse(name, message, ERR_INPUT, "it holds no JSON object");
    *ret_sources = found[1];
    return err_ok();
}

/* A text that is there, and no placeholder. */
static bool is_secret(const struct json_value *value, struct arena scratch) {
    struct str text;
    bool full;
    return value->type == JSON_TYPE_STRING && json_string_decode(value->raw, &scratch, &text, &full) && text.len > 0 &&
           !str_eq(text, STR(PLACEHOLDER));
}

static bool has_secret(struct str source, struct arena scratch) {
    struct json_value name, value, item;
    size_t position = 0, item_position = 0;
    while (json_object_next(source, &position, &name, &value)) {
        struct arena arena = scratch;
        struct str word;
        bool full;
        if (!json_string_decode(name.raw, &arena, &word, &full) || !str_eq(word, STR("secrets"))) continue;
        if (is_secret(&value, scratch)) return true;
        item_position = 0;
        while (json_array_next(value.raw, &item_position, &item))
            if (is_secret(&item, scratch)) return true;
    }
    return false;
}

/* Reads the secret, and calls for each of its sources; scratch is secret memory as large as the document. */
typedef void source_seen(void *context, struct str name, struct str source, struct arena scratch);
static struct err each_source(struct aws *aws, struct str secret_name, struct writer *message, source_seen *seen,
                              void *context) {
    struct held held;
    struct json_value sources, name, value;
    size_t position = 0;
    TRY(get(aws, secret_name, message, &held));
    struct err result = find_sources(&held, secret_name, message, &sources);
    char *memory = os_secret_alloc(held.size);
    if (!err_is(result) && memory == NULL) result = no_memory(message);
    struct arena scratch = arena_make(memory, held.size);
    while (!err_is(result) && json_object_next(sources.raw, &position, &name, &value)) {
        struct arena arena = scratch;
        struct str word;
        bool full;
        if (!json_string_decode(name.raw, &arena, &word, &full)) continue;
        seen(context, word, value.type == JSON_TYPE_OBJECT ? value.raw : STR(""), arena);
    }
    os_secret_free(memory, held.size);
    held_done(&held);
    return result;
}

static void look_for_secret(void *context, struct str name, struct str source, struct arena scratch) {
    (void)name;
    if (has_secret(source, scratch)) *(bool *)context = true;
}

struct err secret_has_source(struct aws *aws, struct str secret_name, struct writer *message, bool *ret_has) {
    bool has = false;
    TRY(each_source(aws, secret_name, message, look_for_secret, &has));
    *ret_has = has;
    return err_ok();
}

struct naming {
    void (*each)(void *context, struct str name);
    void *context;
};

/* A name of another form is none of a source, and may be anything. */
static void tell_name(void *context, struct str name, struct str source, struct arena scratch) {
    const struct naming *naming = context;
    (void)source, (void)scratch;
    if (secret_is_source_name(name)) naming->each(naming->context, name);
}

struct err secret_each_source(struct aws *aws, struct str secret_name, struct writer *message,
                              void (*each)(void *context, struct str name), void *context) {
    struct naming naming = {each, context};
    return each_source(aws, secret_name, message, tell_name, &naming);
}
