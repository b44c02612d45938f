/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the secret that a reference names. One row of a table a kind of reference; a reader copies into secret memory
 * and wipes whatever it went through. What is not a reference is never repeated in a message, since it may be the
 * secret itself. It does not judge the secret: whether it is long enough depends on the source (source_secret_fault).
 */
#include "core/secrets.h"

#include "base/limits.h"
#include "base/os.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct err secret_reader(struct str reference, struct str name, struct writer *message, struct str *ret_text);
static secret_reader read_file, read_env, read_aws;

/* To add a kind: its prefix, its reader, and a case in tests/unit/secrets_test.c. */
static const struct kind {
    const char *prefix;
    secret_reader *read;
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

static struct err copy_secret(struct str content, struct str reference, struct writer *message, struct str *ret_text) {
    if (content.len == 0) return unusable(ERR_INPUT, reference, message, "it is empty");
    if (content.len > SECRET_SIZE_MAX) {
        unusable(ERR_INPUT, reference, message, "it is too long; the limit is ");
        writer_format(message, "%d bytes", SECRET_SIZE_MAX);
        return err_make(ERR_INPUT, 0, "read the secret");
    }
    char *copy = os_secret_alloc(content.len);
    if (copy == NULL) return unusable(ERR_MEMORY, reference, message, "no memory for a secret");
    memcpy(copy, content.ptr, content.len);
    *ret_text = str_make(copy, content.len);
    return err_ok();
}

static struct err read_file(struct str reference, struct str name, struct writer *message, struct str *ret_text) {
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
    result = copy_secret(secret, reference, message, ret_text);
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

static struct err read_env(struct str reference, struct str name, struct writer *message, struct str *ret_text) {
    if (!is_variable_name(name)) return unusable(ERR_INPUT, STR("env:"), message, "this is no name of a variable");
    char variable[256];
    memcpy(variable, name.ptr, name.len);
    variable[name.len] = '\0';
    const char *value = getenv(variable);
    if (value == NULL) return unusable(ERR_ABSENT, reference, message, "the environment has no such variable");
    return copy_secret(str_from(value), reference, message, ret_text);
}

static struct err read_aws(struct str reference, struct str name, struct writer *message, struct str *ret_text) {
    (void)name, (void)ret_text; /* the columns of the table */
    return unusable(ERR_INPUT, reference, message,
                    "aws: references need AWS access, which this version does not have; use file: or env:");
}

struct err secret_read(struct str reference, struct writer *message, struct str *ret_text) {
    const struct kind *kind = kind_of(reference);
    if (kind == NULL) {
        writer_put(message, STR("a secret is named by a reference: file:PATH or env:NAME, never written here"));
        return err_make(ERR_INPUT, 0, "read the secret");
    }
    return kind->read(reference, str_from_index(reference, strlen(kind->prefix)), message, ret_text);
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
