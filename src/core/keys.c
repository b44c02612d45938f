/* SPDX-License-Identifier: Apache-2.0 */
/* The stored form is one line a key, "NAME ACCESS_KEY_ID SECRET CREATED\n", single blanks in between, in the order
 * added; names and ids are unique. The file is always replaced as a whole, so a reader sees the old one or the new one;
 * writers take DATA/keys.lock from reading to renaming. A line that is not exactly so makes the whole file unusable,
 * since nobody but us writes it and a key silently left out is a caller refused. Reading never takes the lock. It does
 * not say which key a request used. */
#include "core/keys.h"

#include "base/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    ACCESS_KEY_ID_SIZE = 20, /* bytes of ours, the prefix among them */
    SECRET_SIZE = 40,        /* bytes of ours */
    KEY_LINE_SIZE_MAX = sizeof(struct key_pair) + 32,
    KEYS_FILE_SIZE_MAX = IAM_KEYS_MAX * KEY_LINE_SIZE_MAX,
    PAIR_FILE_SIZE_MAX = 4096, /* bytes of a key file or curl configuration */
    LOCK_WAIT_MS = 10,
    LOCK_TRIES_MAX = 1000, /* ten seconds; then ERR_BUSY */
};

/* RFC 4648 §6 and §4. Their sizes are powers of two, so the low bits of a random byte choose without bias. */
static const char ID_PREFIX[] = "PHK";
static const char ID_LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char SECRET_LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static_assert(sizeof ID_LETTERS - 1 == 32 && sizeof SECRET_LETTERS - 1 == 64, "powers of two");

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_alnum(char c) { return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_name(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_alnum(c) && !(i > 0 && (c == '.' || c == '_' || c == '-'))) return false;
    }
    return s.len > 0 && s.len < sizeof((struct key_pair *)0)->name;
}

static bool is_own_id(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (!is_upper(s.ptr[i]) && !(s.ptr[i] >= '0' && s.ptr[i] <= '9')) return false;
    }
    return s.len == ACCESS_KEY_ID_SIZE;
}

static bool is_own_secret(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '+' && s.ptr[i] != '/') return false;
    }
    return s.len == SECRET_SIZE;
}

static void set_text(char *ret_text, size_t size, struct str s) {
    check(s.len < size);
    memcpy(ret_text, s.ptr, s.len);
    ret_text[s.len] = '\0';
}

static struct err path_make(const char *data_dir, const char *name, struct writer *message,
                            char (*ret_path)[PATH_MAX]) {
    struct writer path = writer_make(*ret_path, sizeof *ret_path);
    writer_format(&path, "%s/%s", data_dir, name);
    (void)writer_cstr(&path); /* looked at in overflow */
    if (!path.overflow && path.len < sizeof *ret_path) return err_ok();
    writer_put(message, STR("the path of the data folder is too long"));
    return err_make(ERR_INPUT, ENAMETOOLONG, "open the keys file");
}

static struct err failed_at(const char *path, struct err failure, struct writer *message) {
    writer_escaped(message, str_from(path));
    writer_format(message, ": could not %s", failure.where);
    if (failure.sys != 0) writer_format(message, ": %s", strerror(failure.sys));
    return failure;
}

/* Only we may read and write the file: it holds secrets, and whoever can write it can call POST /. */
static struct err file_check(const char *path, struct writer *message) {
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return err_make(ERR_ABSENT, errno, "open the keys file");
        return failed_at(path, err_make(errno == EACCES ? ERR_DENIED : ERR_SYSTEM, errno, "open the file"), message);
    }
    if (info.st_uid != geteuid()) {
        writer_escaped(message, str_from(path));
        writer_put(message, STR(" belongs to another user; run this command as that user"));
        return err_make(ERR_DENIED, 0, "use the keys file");
    }
    if ((info.st_mode & 077) != 0) {
        writer_escaped(message, str_from(path));
        writer_put(message,
                   STR(" can be read or written by others: chmod 600, and replace its keys if others were here"));
        return err_make(ERR_DENIED, 0, "use the keys file");
    }
    return err_ok();
}

/* Why a line is no key, or NULL. */
static const char *line_parse(struct str line, struct key_pair *ret_pair) {
    struct str name, id, secret, created;
    uint64_t created_s;
    if (!str_cut(line, ' ', &name, &line) || !str_cut(line, ' ', &id, &line) || !str_cut(line, ' ', &secret, &created))
        return "it is not NAME ACCESS_KEY_ID SECRET CREATED";
    if (!is_name(name)) return "the name is damaged";
    if (!is_own_id(id)) return "the access key id is damaged";
    if (!is_own_secret(secret)) return "the secret is damaged";
    if (!str_u64(created, INT64_MAX, &created_s)) return "the time is damaged";
    set_text(ret_pair->name, sizeof ret_pair->name, name);
    set_text(ret_pair->access_key_id, sizeof ret_pair->access_key_id, id);
    set_text(ret_pair->secret, sizeof ret_pair->secret, secret);
    ret_pair->created_s = (int64_t)created_s;
    return NULL;
}

static const char *pair_repeats(const struct key_pair *pairs, uint32_t count, const struct key_pair *pair) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, pair->name) == 0) return "the name is there already";
        if (strcmp(pairs[i].access_key_id, pair->access_key_id) == 0) return "the access key id is there already";
    }
    return NULL;
}

static struct err content_parse(const char *path, struct str content, struct writer *message, struct keys *ret_keys) {
    uint32_t count = 0;
    for (size_t i = 0; i < content.len; i++)
        count += content.ptr[i] == '\n';
    struct keys keys = {0};
    uint32_t at = count > IAM_KEYS_MAX ? IAM_KEYS_MAX + 1 : 0;
    const char *fault = count > IAM_KEYS_MAX ? "there are more keys than the limit" : NULL;
    if (fault == NULL && count > 0) {
        keys.pairs = os_secret_alloc(count * sizeof *keys.pairs);
        if (keys.pairs == NULL) return failed_at(path, err_make(ERR_MEMORY, 0, "keep its keys: no memory"), message);
        keys.count = count;
    }
    struct str line;
    while (fault == NULL && str_cut(content, '\n', &line, &content)) {
        check(at < count);
        check(keys.pairs != NULL);
        fault = line_parse(line, &keys.pairs[at]);
        if (fault == NULL) fault = pair_repeats(keys.pairs, at, &keys.pairs[at]);
        at++;
    }
    if (fault == NULL && content.len > 0) {
        fault = "it is cut off";
        at++;
    }
    if (fault == NULL) {
        check(at == count);
        *ret_keys = keys;
        return err_ok();
    }
    writer_escaped(message, str_from(path));
    writer_format(message, ":%u: %s; put back a copy, or remove the line and add a new key", at, fault);
    keys_done(&keys);
    return err_make(ERR_INPUT, 0, "read the keys file");
}

struct err keys_load(const char *data_dir, struct writer *message, struct keys *ret_keys) {
    char path[PATH_MAX];
    struct str content;
    TRY(path_make(data_dir, "keys", message, &path));
    struct err result = file_check(path, message);
    if (!err_is(result)) {
        result = os_file_read(path, KEYS_FILE_SIZE_MAX, &content);
        if (err_is(result)) (void)failed_at(path, result, message);
    }
    if (result.kind == ERR_ABSENT) *ret_keys = (struct keys){0};
    TRY(result);
    result = content_parse(path, content, message, ret_keys);
    os_wipe((char *)(uintptr_t)content.ptr, content.len);
    free((char *)(uintptr_t)content.ptr);
    return result;
}

void keys_done(struct keys *keys) {
    os_secret_free(keys->pairs, keys->count * sizeof *keys->pairs);
    *keys = (struct keys){0};
}

/* Writes the pairs but the one at index without (count: all), then extra where it is not NULL. */
static struct err keys_write(const char *path, const struct keys *keys, uint32_t without, const struct key_pair *extra,
                             struct writer *message) {
    size_t size = (keys->count + 1) * (size_t)KEY_LINE_SIZE_MAX;
    char *memory = os_secret_alloc(size);
    if (memory == NULL) return failed_at(path, err_make(ERR_MEMORY, 0, "write it: no memory"), message);
    struct writer out = writer_make(memory, size);
    for (uint32_t i = 0; i <= keys->count; i++) {
        const struct key_pair *pair = i < keys->count ? &keys->pairs[i] : extra;
        if (i == without || pair == NULL) continue;
        const char *const fields[] = {pair->name, pair->access_key_id, pair->secret};
        for (size_t field = 0; field < 3; field++) { /* no printf, which leaves secrets in buffers of its own */
            writer_put(&out, str_from(fields[field]));
            writer_char(&out, ' ');
        }
        writer_i64(&out, pair->created_s);
        writer_char(&out, '\n');
    }
    check(!out.overflow);
    struct err result = os_file_replace(path, 0600, writer_str(&out));
    os_secret_free(memory, size);
    return err_is(result) ? failed_at(path, result, message) : result;
}

/* The lock is another process's for as long as it takes to write one small file, so we wait for it. */
static struct err lock_take(const char *data_dir, struct writer *message, int *ret_fd) {
    char path[PATH_MAX];
    TRY(path_make(data_dir, "keys.lock", message, &path));
    struct err result = os_lock(path, ret_fd);
    for (int i = 0; result.kind == ERR_BUSY && i < LOCK_TRIES_MAX; i++) {
        const struct timespec wait = {.tv_nsec = LOCK_WAIT_MS * 1000000L};
        (void)nanosleep(&wait, NULL); /* cut short by a signal, it only tries sooner */
        result = os_lock(path, ret_fd);
    }
    return err_is(result) ? failed_at(path, result, message) : result;
}

static void random_text(const char *letters, size_t letter_count, char *ret_text, size_t size) {
    os_random(ret_text, size);
    for (size_t i = 0; i < size; i++)
        ret_text[i] = letters[(unsigned char)ret_text[i] & (letter_count - 1)];
}

static void pair_make(struct str name, int64_t now_s, struct key_pair *ret_pair) {
    *ret_pair = (struct key_pair){.created_s = now_s};
    set_text(ret_pair->name, sizeof ret_pair->name, name);
    memcpy(ret_pair->access_key_id, ID_PREFIX, sizeof ID_PREFIX - 1);
    random_text(ID_LETTERS, sizeof ID_LETTERS - 1, ret_pair->access_key_id + sizeof ID_PREFIX - 1,
                ACCESS_KEY_ID_SIZE - (sizeof ID_PREFIX - 1));
    random_text(SECRET_LETTERS, sizeof SECRET_LETTERS - 1, ret_pair->secret, SECRET_SIZE);
}

static uint32_t index_of(const struct keys *keys, struct str name) {
    uint32_t i = 0;
    while (i < keys->count && !str_eq(str_from(keys->pairs[i].name), name))
        i++;
    return i;
}

static struct err add_locked(const char *data_dir, struct str name, int64_t now_s, struct writer *message,
                             struct key_pair *ret_pair) {
    char path[PATH_MAX];
    struct keys keys;
    struct key_pair pair;
    TRY(path_make(data_dir, "keys", message, &path));
    struct err result = keys_load(data_dir, message, &keys);
    if (err_is(result) && result.kind != ERR_ABSENT) return result;
    if (index_of(&keys, name) < keys.count) {
        writer_format(message, "there is a key named %.*s already; choose another name, or remove that one first",
                      STR_ARG(name));
        result = err_make(ERR_INPUT, 0, "add the key");
    } else if (keys.count >= IAM_KEYS_MAX) {
        writer_format(message, "there are %d keys, which is the limit; remove one first", IAM_KEYS_MAX);
        result = err_make(ERR_FULL, 0, "add the key");
    } else {
        pair_make(name, now_s, &pair);
        result = keys_write(path, &keys, UINT32_MAX, &pair, message);
        if (!err_is(result)) *ret_pair = pair;
        os_wipe(&pair, sizeof pair);
    }
    keys_done(&keys);
    return result;
}

struct err keys_add(const char *data_dir, struct str name, int64_t now_s, struct writer *message,
                    struct key_pair *ret_pair) {
    int lock;
    check(now_s >= 0);
    if (!is_name(name)) {
        writer_put(message, STR("a key's name is 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first"));
        return err_make(ERR_INPUT, 0, "add the key");
    }
    struct err result = os_private_dir(data_dir);
    if (err_is(result)) return failed_at(data_dir, result, message);
    TRY(lock_take(data_dir, message, &lock));
    result = add_locked(data_dir, name, now_s, message, ret_pair);
    (void)close(lock); /* nothing was written to it; closing is unlocking */
    return result;
}

static struct err no_such_key(struct str name, struct writer *message) {
    writer_put(message, STR("there is no key named "));
    writer_escaped(message, name);
    return err_make(ERR_ABSENT, 0, "remove the key");
}

static struct err remove_locked(const char *data_dir, struct str name, struct writer *message) {
    char path[PATH_MAX];
    struct keys keys;
    TRY(path_make(data_dir, "keys", message, &path));
    struct err result = keys_load(data_dir, message, &keys);
    if (err_is(result) && result.kind != ERR_ABSENT) return result;
    uint32_t index = index_of(&keys, name);
    result = index < keys.count ? keys_write(path, &keys, index, NULL, message) : no_such_key(name, message);
    keys_done(&keys);
    return result;
}

struct err keys_remove(const char *data_dir, struct str name, struct writer *message) {
    int lock;
    if (access(data_dir, F_OK) != 0 && errno == ENOENT) return no_such_key(name, message);
    struct err result = os_private_dir(data_dir);
    if (err_is(result)) return failed_at(data_dir, result, message);
    TRY(lock_take(data_dir, message, &lock));
    result = remove_locked(data_dir, name, message);
    (void)close(lock); /* as in keys_add */
    return result;
}

/* The text between the quotes of a line `user = "TEXT"` (curl(1), -K), or false. */
static bool curl_user(struct str line, struct str *ret_text) {
    line = str_trim(line);
    if (!str_starts(line, STR("user"))) return false;
    line = str_trim(str_from_index(line, 4));
    if (!str_starts(line, STR("="))) return false;
    line = str_trim(str_from_index(line, 1));
    if (line.len < 2 || line.ptr[0] != '"' || line.ptr[line.len - 1] != '"') return false;
    *ret_text = str_make(line.ptr + 1, line.len - 2);
    return true;
}

/* Ours or AWS's: letters and digits, then printable ASCII without blanks, quotes or backslashes. */
static bool pair_parse(struct str text, struct key_pair *ret_pair) {
    struct str id, secret;
    if (!str_cut(text, ':', &id, &secret)) return false;
    if (id.len == 0 || id.len >= sizeof ret_pair->access_key_id) return false;
    if (secret.len == 0 || secret.len >= sizeof ret_pair->secret) return false;
    for (size_t i = 0; i < id.len; i++) {
        if (!is_alnum(id.ptr[i])) return false;
    }
    for (size_t i = 0; i < secret.len; i++) {
        char c = secret.ptr[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\') return false;
    }
    *ret_pair = (struct key_pair){0};
    set_text(ret_pair->access_key_id, sizeof ret_pair->access_key_id, id);
    set_text(ret_pair->secret, sizeof ret_pair->secret, secret);
    return true;
}

struct err keys_read_pair(const char *path, struct writer *message, struct key_pair *ret_pair) {
    struct str content;
    struct err result = os_file_read(path, PAIR_FILE_SIZE_MAX, &content);
    if (err_is(result)) return failed_at(path, result, message);
    struct str text = content;
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') text.len--;
    struct str rest = text, line;
    bool more = true;
    while (more) {
        more = str_cut(rest, '\n', &line, &rest);
        if (curl_user(more ? line : rest, &text)) break;
    }
    if (!pair_parse(text, ret_pair)) {
        writer_escaped(message, str_from(path));
        writer_put(message, STR(": this is neither ACCESS_KEY_ID:SECRET nor a curl configuration with a line user = "
                                "\"ACCESS_KEY_ID:SECRET\""));
        result = err_make(ERR_INPUT, 0, "read the key");
    }
    os_wipe((char *)(uintptr_t)content.ptr, content.len);
    free((char *)(uintptr_t)content.ptr);
    return result;
}
