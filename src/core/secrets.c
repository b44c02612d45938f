/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the secret that a reference names. One row of a table a kind of reference; a reader copies into secret memory
 * and wipes whatever it went through. What is not a reference is never repeated in a message, since it may be the
 * secret itself. It does not judge the secret: whether it is long enough depends on the source (source_secret_fault).
 * How a secret is asked of AWS is secrets_aws.c's; here is only that one configuration asks for each once, failures
 * too, since a service that does not answer must not be waited for a thousand times. */
#include "core/secrets.h"

#include "base/os.h"
#include "core/secrets_aws.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct err kind_read(struct secret_reader *reader, struct str reference, struct str name,
                             struct writer *message, struct secret_texts *ret_texts);
static kind_read read_file, read_env, read_aws;

/* One secret that AWS was asked for. */
struct secret_fetched {
    struct secret_fetched *next;
    struct str text;   /* where it was got */
    struct err failed; /* else why not */
    char why[512];
    size_t id_size;
    char id[];
};

/* To add a kind: its prefix, its reader, and a case in tests/unit/secrets_test.c. */
static const struct kind {
    const char *prefix;
    kind_read *read;
} KINDS[] = {
    {"file:", read_file},
    {"env:", read_env},
    {"aws:", read_aws},
};

static const struct kind *kind_of(struct str text) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (str_starts(text, str_from(KINDS[i].prefix))) return &KINDS[i];
    }
    return NULL;
}

bool secret_is_reference(struct str text) { return kind_of(text) != NULL; }

static struct err unusable(enum err_kind kind, struct str reference, struct writer *message, const char *sentence) {
    writer_escaped(message, reference);
    writer_format(message, ": %s", sentence);
    return err_make(kind, 0, "read the secret");
}

/* A path as the system takes it. False where it is empty, too long, or holds a NUL. */
static bool path_from(struct str name, char (*ret_path)[PATH_MAX]) {
    if (name.len == 0 || name.len >= sizeof *ret_path || str_has(name, '\0')) return false;
    memcpy(*ret_path, name.ptr, name.len);
    (*ret_path)[name.len] = '\0';
    return true;
}

static struct err copy_secret(struct str content, struct str reference, struct writer *message,
                              struct secret_texts *ret_texts) {
    if (content.len == 0) return unusable(ERR_INPUT, reference, message, "it is empty");
    if (content.len > SECRET_SIZE_MAX) {
        unusable(ERR_INPUT, reference, message, "it is too long; the limit is ");
        writer_format(message, "%d bytes", SECRET_SIZE_MAX);
        return err_make(ERR_INPUT, 0, "read the secret");
    }
    char *copy = os_secret_alloc(content.len);
    if (copy == NULL) return unusable(ERR_MEMORY, reference, message, "no memory for a secret");
    memcpy(copy, content.ptr, content.len);
    *ret_texts = (struct secret_texts){.texts = {str_make(copy, content.len)}, .count = 1};
    return err_ok();
}

static struct err read_file(struct secret_reader *reader, struct str reference, struct str name, struct writer *message,
                            struct secret_texts *ret_texts) {
    (void)reader; /* a column of the table */
    char path[PATH_MAX];
    if (!path_from(name, &path)) return unusable(ERR_INPUT, reference, message, "this is no path");
    struct str content;
    struct err result = os_file_read(path, SECRET_SIZE_MAX + 1, &content);
    if (err_is(result)) {
        writer_escaped(message, reference);
        writer_format(message, ": could not %s", result.where);
        if (result.sys != 0) writer_format(message, ": %s", strerror(result.sys));
        return result;
    }
    char *memory = (char *)(uintptr_t)content.ptr; /* ours to wipe and free */
    struct str secret = content;
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\n') secret.len--;
    result = copy_secret(secret, reference, message, ret_texts);
    os_wipe(memory, content.len);
    free(memory);
    return result;
}

/* Names by POSIX.1-2017, Base Definitions §8.1, lower-case letters among them. Anything else is not shown. */
static bool is_variable_name(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return name.len > 0 && name.len <= 255;
}

static struct err read_env(struct secret_reader *reader, struct str reference, struct str name, struct writer *message,
                           struct secret_texts *ret_texts) {
    (void)reader; /* a column of the table */
    if (!is_variable_name(name)) return unusable(ERR_INPUT, STR("env:"), message, "this is no name of a variable");
    char variable[256];
    memcpy(variable, name.ptr, name.len);
    variable[name.len] = '\0';
    const char *value = getenv(variable);
    if (value == NULL) return unusable(ERR_ABSENT, reference, message, "the environment has no such variable");
    return copy_secret(str_from(value), reference, message, ret_texts);
}

/* The reader's access to AWS in the region that an ARN names (arn:aws:secretsmanager:REGION:…), else in its own. */
static struct err reach_region(struct secret_reader *reader, struct str id, struct writer *message) {
    struct str region = STR(""), rest = id, part;
    if (str_starts(id, STR("arn:"))) {
        for (int i = 0; i < 4 && str_cut(rest, ':', &part, &rest); i++)
            region = i == 3 ? part : STR("");
    }
    if (region.len >= sizeof reader->region) region = STR("");
    if (reader->aws != NULL && str_eq(region, str_from(reader->region))) return err_ok();
    if (reader->aws != NULL) aws_close(reader->aws);
    reader->aws = NULL;
    if (region.len > 0) memcpy(reader->region, region.ptr, region.len);
    reader->region[region.len] = '\0';
    const struct aws_options options = {.region = region.len > 0 ? reader->region : NULL};
    return aws_open(&options, message, &reader->aws);
}

static const struct secret_fetched *fetch_once(struct secret_reader *reader, struct str id) {
    struct secret_fetched *fetched = reader->list;
    while (fetched != NULL && !str_eq(str_make(fetched->id, fetched->id_size), id))
        fetched = fetched->next;
    if (fetched != NULL) return fetched;
    fetched = malloc(sizeof *fetched + id.len);
    if (fetched == NULL) return NULL;
    *fetched = (struct secret_fetched){.next = reader->list, .id_size = id.len};
    memcpy(fetched->id, id.ptr, id.len);
    reader->list = fetched;
    struct writer why = writer_make(fetched->why, sizeof fetched->why);
    fetched->failed = reach_region(reader, id, &why);
    if (!err_is(fetched->failed))
        fetched->failed =
            secret_aws_fetch(reader->aws, id, os_mono_us() + SECRET_FETCH_MS_MAX * INT64_C(1000), &why, &fetched->text);
    (void)writer_cstr(&why); /* ends it in place */
    return fetched;
}

static struct err read_aws(struct secret_reader *reader, struct str reference, struct str name, struct writer *message,
                           struct secret_texts *ret_texts) {
    struct str id = name, pointer = STR_NONE;
    (void)str_cut(name, '#', &id, &pointer); /* without one, all of it is the id */
    if (id.len == 0 || str_has_control(id)) return unusable(ERR_INPUT, STR("aws:"), message, "this names no secret");
    const struct secret_fetched *fetched = fetch_once(reader, id);
    if (fetched == NULL) return unusable(ERR_MEMORY, reference, message, "no memory for a secret");
    if (err_is(fetched->failed)) return unusable(fetched->failed.kind, reference, message, fetched->why);
    if (pointer.ptr == NULL) return copy_secret(fetched->text, reference, message, ret_texts);
    const char *fault;
    struct err picked = secret_aws_pick(fetched->text, pointer, &fault, ret_texts);
    return err_is(picked) ? unusable(picked.kind, reference, message, fault) : picked;
}

struct err secret_reader_read(struct secret_reader *reader, struct str reference, struct writer *message,
                              struct secret_texts *ret_texts) {
    const struct kind *kind = kind_of(reference);
    if (kind == NULL) {
        writer_put(message,
                   STR("a secret is named by a reference: file:PATH, env:NAME or aws:NAME-OR-ARN, never written here"));
        return err_make(ERR_INPUT, 0, "read the secret");
    }
    return kind->read(reader, reference, str_from_index(reference, strlen(kind->prefix)), message, ret_texts);
}

void secret_reader_done(struct secret_reader *reader) {
    for (struct secret_fetched *fetched = reader->list, *next; fetched != NULL; fetched = next) {
        next = fetched->next;
        secret_done(fetched->text);
        free(fetched);
    }
    if (reader->aws != NULL) aws_close(reader->aws);
    *reader = (struct secret_reader){0};
}

struct err secret_read(struct str reference, struct writer *message, struct str *ret_text) {
    struct secret_reader reader = {0};
    struct secret_texts texts;
    struct err result = secret_reader_read(&reader, reference, message, &texts);
    secret_reader_done(&reader);
    if (err_is(result)) return result;
    if (texts.count == 1) {
        *ret_text = texts.texts[0];
        return result;
    }
    for (uint32_t i = 0; i < texts.count; i++)
        secret_done(texts.texts[i]);
    return unusable(ERR_INPUT, reference, message, "this names a list; name one text of it, such as #/secrets/0");
}

const char *secret_file(const char *reference) {
    const struct kind *kind = kind_of(str_from(reference));
    return kind != NULL && kind->read == read_file ? reference + strlen(kind->prefix) : NULL;
}

void secret_done(struct str text) { os_secret_free((void *)(uintptr_t)text.ptr, text.len); }

bool secret_is_exposed(struct str reference) {
    const struct kind *kind = kind_of(reference);
    char path[PATH_MAX];
    struct stat info;
    if (kind == NULL || kind->read != read_file) return false;
    if (!path_from(str_from_index(reference, strlen(kind->prefix)), &path)) return false;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0;
}
