/* SPDX-License-Identifier: Apache-2.0 */
/* The search for credentials, in the order of the AWS SDKs: environment, shared files, container, machine. What comes
 * from an endpoint expires, and is asked for again five minutes before; while that fails, what is still good is used.
 *
 * Secrets are held in one block of secret memory, replaced as a whole. Files and answers are wiped after they were
 * read. Roles to be assumed, single sign-on and credential programs are not ours: the sentence then says how to export.
 */
#include "net/credentials.h"

#include "base/os.h"
#include "net/profile.h"
#include "net/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REFRESH_BEFORE_US = 300 * 1000000, /* before they expire */
    REFRESH_AGAIN_US = 60 * 1000000,   /* after a refresh that failed */
    FAILURE_KEPT_US = 5 * 1000000,     /* how long nobody is asked again after a search that found nothing */
    CONTAINER_TRIES = 3,
};

/* Where an answer comes from, and what it is. */
enum step { STEP_CONTAINER, STEP_MACHINE_TOKEN, STEP_MACHINE_ROLE, STEP_MACHINE_CREDENTIALS };

struct finder {
    struct client *client;
    char profile[128];
    bool by_option;  /* --profile: the environment's credentials do not count */
    bool by_name;    /* or AWS_PROFILE: the profile must be there */
    char region[64]; /* the profile's */

    char *memory; /* secret, CREDENTIALS_SIZE_MAX; NULL: there are none */
    struct credentials credentials;
    int64_t expires_us, refresh_us; /* wall clock */
    int64_t failed_us;              /* monotonic clock: when a search last found nothing; INT64_MIN: it did not */

    finder_done *done; /* not NULL: a search is under way */
    void *context;
    enum step step;
    uint32_t tries;
    struct http_request request;
    struct client_target target;
    char text[4096]; /* of the request: target, Host */
    char *token;     /* secret, CREDENTIAL_TOKEN_SIZE_MAX: the endpoint's, sent with a request */
    size_t token_size;
    char trouble[640];
};

static void say(struct finder *finder, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -- What we have ---------------------------------------------------------------------------------------- */

static void say(struct finder *finder, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finder->trouble, sizeof finder->trouble, format, arguments); /* cut where it is too long */
    va_end(arguments);
}

static struct str put(struct writer *w, struct str s) {
    size_t start = w->len;
    writer_put(w, s);
    return str_make(w->ptr + start, w->overflow ? 0 : s.len);
}

/* Copies them into secret memory, in the place of those before. */
static bool keep(struct finder *finder, const struct credentials *found, int64_t expires_us) {
    if (!credential_is_good(found->access_key_id) || !credential_is_good(found->secret) ||
        !credential_is_good(found->session_token)) {
        say(finder, "AWS credentials with a control character, or longer than %d bytes, cannot be used",
            CREDENTIAL_TOKEN_SIZE_MAX);
        return false;
    }
    char *memory = os_secret_alloc(CREDENTIALS_SIZE_MAX);
    if (memory == NULL) {
        say(finder, "there is no memory for AWS credentials");
        return false;
    }
    struct writer w = writer_make(memory, CREDENTIALS_SIZE_MAX);
    struct credentials copy = {put(&w, found->access_key_id), put(&w, found->secret), put(&w, found->session_token)};
    check(!w.overflow);
    os_secret_free(finder->memory, CREDENTIALS_SIZE_MAX);
    finder->memory = memory;
    finder->credentials = copy;
    finder->expires_us = expires_us;
    int64_t now_us = os_wall_us();
    finder->refresh_us = expires_us == INT64_MAX ? INT64_MAX : expires_us - REFRESH_BEFORE_US;
    if (finder->refresh_us <= now_us) finder->refresh_us = now_us + (expires_us - now_us) / 2; /* they live shorter */
    finder->trouble[0] = '\0';
    return true;
}

const struct credentials *finder_have(struct finder *finder) {
    return finder->memory != NULL && os_wall_us() < finder->refresh_us ? &finder->credentials : NULL;
}

void finder_forget(struct finder *finder) {
    os_secret_free(finder->memory, CREDENTIALS_SIZE_MAX);
    finder->memory = NULL;
}

const char *finder_region(const struct finder *finder) { return finder->region; }
const char *finder_trouble(const struct finder *finder) { return finder->trouble; }

/* The end of a search. What was there before is used as long as it is good. */
static void conclude(struct finder *finder, bool found) {
    finder_done *done = finder->done;
    int64_t now_us = os_wall_us();
    finder->done = NULL;
    if (!found && finder->memory != NULL && now_us < finder->expires_us) {
        finder->refresh_us =
            now_us + REFRESH_AGAIN_US < finder->expires_us ? now_us + REFRESH_AGAIN_US : finder->expires_us;
        found = true;
    }
    if (!found) {
        finder_forget(finder);
        finder->failed_us = os_mono_us();
    }
    done(finder->context, found ? err_ok() : err_make(ERR_ABSENT, 0, "find AWS credentials"));
}

/* -- Environment and files ------------------------------------------------------------------------------- */

static struct str environment(const char *name) {
    const char *value = getenv(name);
    return value != NULL ? str_from(value) : STR("");
}

/* Where a shared file is: named by the environment, or below the home folder. "" where there is no such place. */
static void file_path(const char *variable, const char *name, char *ret_path, size_t size) {
    struct str given = environment(variable), home = environment("HOME");
    struct writer w = writer_make(ret_path, size);
    if (given.len > 0 && str_starts(given, STR("~/"))) {
        writer_format(&w, "%s%s", home.ptr, given.ptr + 1);
    } else if (given.len > 0) {
        writer_put(&w, given);
    } else if (home.len > 0) {
        writer_format(&w, "%s/.aws/%s", home.ptr, name);
    }
    if (w.overflow) w.len = 0;
    (void)writer_cstr(&w); /* read in place */
}

/* Both shared files, to be wiped by files_done. The slices of profile are theirs. */
struct files {
    struct str credentials, config;
    struct profile profile;
};

static void files_done(struct files *files) {
    struct str *texts[] = {&files->credentials, &files->config};
    for (size_t i = 0; i < 2; i++) {
        char *memory = (char *)(uintptr_t)texts[i]->ptr;
        if (memory == NULL) continue;
        os_wipe(memory, texts[i]->len);
        free(memory);
        *texts[i] = STR_NONE;
    }
}

/* False: a file is there and cannot be read; trouble says so. */
static bool files_read(struct finder *finder, struct files *ret_files) {
    static const struct {
        const char *variable, *name;
    } places[] = {{"AWS_CONFIG_FILE", "config"}, {"AWS_SHARED_CREDENTIALS_FILE", "credentials"}};
    *ret_files = (struct files){.credentials = STR_NONE, .config = STR_NONE};
    for (size_t i = 0; i < 2; i++) { /* the second wins where both say something */
        char path[4096];
        struct str *text = i == 0 ? &ret_files->config : &ret_files->credentials;
        file_path(places[i].variable, places[i].name, path, sizeof path);
        if (path[0] == '\0') continue;
        struct err failure = os_file_read(path, AWS_FILE_SIZE_MAX, text);
        if (failure.kind == ERR_ABSENT) continue;
        if (err_is(failure)) {
            say(finder, "%s: could not %s: %s", path, failure.where, err_kind_text(failure.kind));
            files_done(ret_files);
            return false;
        }
        profile_read(*text, str_from(finder->profile), i == 0, &ret_files->profile);
    }
    return true;
}

enum found { FOUND, FOUND_NOTHING, FOUND_TROUBLE };

static enum found find_in_environment(struct finder *finder) {
    struct credentials found = {environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
                                environment("AWS_SESSION_TOKEN")};
    if (finder->by_option || found.access_key_id.len == 0) return FOUND_NOTHING;
    if (found.secret.len == 0) {
        say(finder, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
        return FOUND_TROUBLE;
    }
    return keep(finder, &found, INT64_MAX) ? FOUND : FOUND_TROUBLE;
}

static enum found find_in_files(struct finder *finder) {
    struct files files;
    if (!files_read(finder, &files)) return FOUND_TROUBLE;
    const struct profile *profile = &files.profile;
    enum found result = FOUND_NOTHING;
    if (finder->by_name && !profile->found) {
        say(finder, "there is no profile %s in the shared AWS files (~/.aws/credentials, ~/.aws/config)",
            finder->profile);
        result = FOUND_TROUBLE;
    } else if (profile->access_key_id.len > 0 && profile->secret.len > 0) {
        struct credentials found = {profile->access_key_id, profile->secret, profile->session_token};
        if (found.session_token.ptr == NULL) found.session_token = STR("");
        result = keep(finder, &found, INT64_MAX) ? FOUND : FOUND_TROUBLE;
    } else if (profile->access_key_id.len > 0) {
        say(finder, "profile %s has aws_access_key_id, and no aws_secret_access_key", finder->profile);
        result = FOUND_TROUBLE;
    } else if (profile->elsewhere.ptr != NULL) {
        say(finder,
            "profile %s gets its credentials by %.*s: export them, with eval \"$(aws configure export-credentials "
            "--profile %s --format env)\"",
            finder->profile, STR_ARG(profile->elsewhere), finder->profile);
        result = FOUND_TROUBLE;
    }
    files_done(&files);
    return result;
}

/* -- Endpoints ------------------------------------------------------------------------------------------- */

static void ask(struct finder *finder, const char *method, struct str path, const char *token_header);

/* Answers hold secrets, and their bytes are the client's, not constant. */
static void wipe_answer(const struct client_response *response) {
    if (response->body.len > 0) os_wipe((char *)(uintptr_t)response->body.ptr, response->body.len);
}

static bool keep_answer(struct finder *finder, struct str body) {
    char *memory = os_secret_alloc(CREDENTIALS_SIZE_MAX);
    struct endpoint_credentials found;
    if (memory == NULL) {
        say(finder, "there is no memory for AWS credentials");
        return false;
    }
    struct arena arena = arena_make(memory, CREDENTIALS_SIZE_MAX);
    bool good = endpoint_credentials_read(body, &arena, &found);
    if (!good)
        say(finder, "what the credentials endpoint of the %s answers is not what it should be",
            finder->step == STEP_CONTAINER ? "container" : "machine");
    if (good && found.expires_s != INT64_MAX && found.expires_s <= os_wall_us() / 1000000) {
        say(finder, "the credentials endpoint gives credentials that have expired: is the clock right?");
        good = false;
    }
    good =
        good && keep(finder, &found.credentials, found.expires_s == INT64_MAX ? INT64_MAX : found.expires_s * 1000000);
    os_secret_free(memory, CREDENTIALS_SIZE_MAX);
    return good;
}

static bool keep_token(struct finder *finder, struct str token) {
    token = str_trim(token);
    while (token.len > 0 && (token.ptr[token.len - 1] == '\n' || token.ptr[token.len - 1] == '\r'))
        token.len--;
    if (token.len == 0 || !credential_is_good(token)) return false;
    if (finder->token == NULL) finder->token = os_secret_alloc(CREDENTIAL_TOKEN_SIZE_MAX);
    if (finder->token == NULL) return false;
    memcpy(finder->token, token.ptr, token.len);
    finder->token_size = token.len;
    return true;
}

static void ask_role(struct finder *finder, struct str role) {
    char path[256];
    struct writer w = writer_make(path, sizeof path);
    writer_put(&w, STR("/latest/meta-data/iam/security-credentials/"));
    writer_put(&w, role);
    if (w.overflow) {
        say(finder, "the instance metadata service names a role that cannot be right");
        conclude(finder, false);
        return;
    }
    finder->step = role.len == 0 ? STEP_MACHINE_ROLE : STEP_MACHINE_CREDENTIALS;
    ask(finder, "GET", writer_str(&w), "x-aws-ec2-metadata-token");
}

static bool is_role(struct str role) {
    for (size_t i = 0; i < role.len; i++) {
        char c = role.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr("+=,.@_-", c) == NULL)) return false; /* IAM's names */
    }
    return role.len > 0;
}

/* The step after an answer of 200. */
static void go_on(struct finder *finder, struct str body) {
    struct str role, rest;
    switch (finder->step) {
    case STEP_CONTAINER:
    case STEP_MACHINE_CREDENTIALS: conclude(finder, keep_answer(finder, body)); return;
    case STEP_MACHINE_TOKEN:
        if (keep_token(finder, body)) {
            ask_role(finder, STR(""));
            return;
        }
        break;
    case STEP_MACHINE_ROLE:
        if (!str_cut(body, '\n', &role, &rest)) role = body; /* of several the first */
        if (is_role(role)) {
            ask_role(finder, role);
            return;
        }
        break;
    }
    say(finder, "what the instance metadata service answers is not what it should be");
    conclude(finder, false);
}

static void ask_again(void *context);

static void on_answer(void *context, struct err failure, const struct client_response *response) {
    struct finder *finder = context;
    if (!err_is(failure) && response->status == 200) {
        go_on(finder, response->body);
        wipe_answer(response);
        return;
    }
    wipe_answer(response);
    bool passing = err_is(failure) || response->status >= 500 || response->status == 429;
    if (finder->step == STEP_CONTAINER && passing && ++finder->tries < CONTAINER_TRIES) {
        client_after(finder->client, 100 * finder->tries, ask_again, finder);
        return;
    }
    if (finder->step == STEP_CONTAINER && err_is(failure))
        say(finder, "the container's credentials endpoint does not answer: could not %s", failure.where);
    else if (finder->step == STEP_CONTAINER)
        say(finder, "the container's credentials endpoint answers %d", response->status);
    else if (finder->step == STEP_MACHINE_TOKEN && err_is(failure))
        say(finder,
            "no AWS credentials: AWS_ACCESS_KEY_ID is not set, profile %s is not in the shared AWS files, there is no "
            "container endpoint, and no instance metadata service answers",
            finder->profile);
    else if (finder->step == STEP_MACHINE_ROLE && response->status == 404)
        say(finder, "no AWS credentials: this machine has no role (instance profile)");
    else if (err_is(failure))
        say(finder, "the instance metadata service broke off: could not %s", failure.where);
    else
        say(finder, "the instance metadata service answers %d", response->status);
    conclude(finder, false);
}

static void ask_again(void *context) {
    struct finder *finder = context;
    client_start(finder->client, &finder->target, &finder->request,
                 (struct client_timeouts){.connect_ms = 1000, .first_byte_ms = 2000, .whole_ms = 5000}, on_answer,
                 finder);
}

static void add(struct http_request *request, struct str name, struct str value) {
    request->headers[request->header_count++] = (struct http_header){name, value};
}

/* To finder->target, whose authority stands at the beginning of finder->text, NUL behind it. */
static void ask(struct finder *finder, const char *method, struct str path, const char *token_header) {
    struct http_request *request = &finder->request;
    struct writer w = writer_make(finder->text, sizeof finder->text);
    w.len = strlen(finder->text) + 1;
    request->method = str_from(method);
    request->target = put(&w, path);
    request->header_count = 0;
    request->body = STR("");
    request_split_target(request);
    if (w.overflow) {
        say(finder, "the path of the credentials endpoint is too long");
        conclude(finder, false);
        return;
    }
    add(request, STR("Host"), str_from(finder->text));
    add(request, STR("Accept"), STR("*/*"));
    if (finder->step == STEP_MACHINE_TOKEN)
        add(request, STR("x-aws-ec2-metadata-token-ttl-seconds"), STR("21600")); /* the longest there is */
    if (token_header != NULL && finder->token_size > 0)
        add(request, str_from(token_header), str_make(finder->token, finder->token_size));
    ask_again(finder);
}

/* The endpoint's address is kept in finder->text, so that the target may point at it. */
static bool set_target(struct finder *finder, struct str url_text, struct str *ret_path) {
    struct url url;
    if (!url_read(url_text, &url) || url.authority.len >= 300) return false;
    memcpy(finder->text, url.authority.ptr, url.authority.len);
    finder->text[url.authority.len] = '\0';
    check(url_authority_read(str_from(finder->text), url.target.tls, &finder->target));
    *ret_path = url.path.len > 0 ? url.path : STR("/");
    return true;
}

/* Credentials are asked of this host only: who can set one variable must not have them sent, or taken, from elsewhere.
 */
static bool is_container_host(struct str host) {
    static const char *const hosts[] = {"localhost", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (str_eq_nocase(host, str_from(hosts[i]))) return true;
    struct str rest = host, part;
    uint64_t number;
    for (int dots = 0; dots < 3; dots++) /* 127.0.0.0/8, as an address, since a name may begin like that */
        if (!str_cut(rest, '.', &part, &rest) || !str_u64(part, dots == 0 ? 127 : 255, &number) ||
            (dots == 0 && number != 127))
            return false;
    return str_u64(rest, 255, &number);
}

static bool read_container_token(struct finder *finder) {
    struct str file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), content;
    finder->token_size = 0;
    if (file.len == 0) {
        struct str given = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        if (given.len == 0 || keep_token(finder, given)) return true;
        say(finder, "AWS_CONTAINER_AUTHORIZATION_TOKEN cannot be sent");
        return false;
    }
    struct err failure = os_file_read(file.ptr, CREDENTIAL_TOKEN_SIZE_MAX, &content);
    if (err_is(failure)) {
        say(finder, "the container's token %s: could not %s: %s", file.ptr, failure.where, err_kind_text(failure.kind));
        return false;
    }
    bool good = keep_token(finder, content);
    if (!good) say(finder, "the container's token %s cannot be sent", file.ptr);
    os_wipe((char *)(uintptr_t)content.ptr, content.len);
    free((char *)(uintptr_t)content.ptr);
    return good;
}

/* False: there is no container endpoint. */
static bool ask_container(struct finder *finder) {
    struct str relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"), path;
    if (relative.len == 0 && full.len == 0) return false;
    bool good;
    struct str query = STR_NONE;
    if (relative.len > 0) {
        good = set_target(finder, STR("http://169.254.170.2"), &path) && relative.ptr[0] == '/';
        path = relative;
    } else {
        struct str before, after;
        if (str_cut(full, '?', &before, &after)) query = str_from_index(full, before.len);
        good = set_target(finder, query.ptr != NULL ? before : full, &path) && is_container_host(finder->target.host);
    }
    char whole[2048];
    struct writer w = writer_make(whole, sizeof whole);
    if (good) writer_put(&w, path);
    writer_put(&w, query);
    finder->step = STEP_CONTAINER;
    if (!good || w.overflow) {
        say(finder, "the container's credentials endpoint must be on this machine: AWS_CONTAINER_CREDENTIALS_FULL_URI "
                    "(or _RELATIVE_URI) is not");
        conclude(finder, false);
    } else if (read_container_token(finder)) {
        ask(finder, "GET", writer_str(&w), "authorization");
    } else {
        conclude(finder, false);
    }
    return true;
}

static void ask_machine(struct finder *finder) {
    struct str given = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT"), path;
    if (str_eq_nocase(environment("AWS_EC2_METADATA_DISABLED"), STR("true"))) {
        say(finder,
            "no AWS credentials: AWS_ACCESS_KEY_ID is not set, profile %s is not in the shared AWS files, there is no "
            "container endpoint, and AWS_EC2_METADATA_DISABLED says not to ask the machine",
            finder->profile);
        conclude(finder, false);
        return;
    }
    if (!set_target(finder, given.len > 0 ? given : STR("http://169.254.169.254"), &path)) {
        say(finder, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL");
        conclude(finder, false);
        return;
    }
    finder->token_size = 0;
    finder->step = STEP_MACHINE_TOKEN;
    ask(finder, "PUT", STR("/latest/api/token"), NULL);
}

/* -- The search ------------------------------------------------------------------------------------------ */

void finder_find(struct finder *finder, finder_done *done, void *context) {
    check(finder->done == NULL);
    finder->done = done;
    finder->context = context;
    finder->tries = 0;
    if (finder->failed_us != INT64_MIN && os_mono_us() - finder->failed_us < FAILURE_KEPT_US) {
        finder->done = NULL;
        done(context, err_make(ERR_ABSENT, 0, "find AWS credentials"));
        return;
    }
    finder->failed_us = INT64_MIN;
    enum found found = find_in_environment(finder);
    if (found == FOUND_NOTHING) found = find_in_files(finder);
    if (found != FOUND_NOTHING)
        conclude(finder, found == FOUND);
    else if (!ask_container(finder))
        ask_machine(finder);
}

struct err finder_open(struct client *client, const char *profile, struct writer *message, struct finder **ret_finder) {
    struct finder *finder = calloc(1, sizeof *finder);
    if (finder == NULL) {
        writer_put(message, STR("there is no memory"));
        return err_make(ERR_MEMORY, 0, "look for AWS credentials");
    }
    struct str name = profile != NULL ? str_from(profile) : environment("AWS_PROFILE");
    finder->client = client;
    finder->failed_us = INT64_MIN;
    finder->by_option = profile != NULL;
    finder->by_name = name.len > 0;
    if (name.len == 0) name = STR("default");
    struct files files;
    bool good = name.len < sizeof finder->profile && !str_has_control(name);
    if (good) memcpy(finder->profile, name.ptr, name.len);
    if (!good) say(finder, "the name of the AWS profile is too long, or none");
    /* A file that cannot be read matters here only where a profile was named: a function may have a home that is not
     * its own, and needs none. */
    if (good && files_read(finder, &files)) {
        struct str region = files.profile.region;
        if (region.len > 0 && region.len < sizeof finder->region) memcpy(finder->region, region.ptr, region.len);
        if (finder->by_option && !files.profile.found) {
            say(finder, "there is no profile %s in the shared AWS files (~/.aws/credentials, ~/.aws/config)",
                finder->profile);
            good = false;
        }
        files_done(&files);
    } else if (finder->by_name) {
        good = false;
    }
    if (!good) {
        writer_put(message, str_from(finder->trouble));
        free(finder);
        return err_make(ERR_INPUT, 0, "look for AWS credentials");
    }
    *ret_finder = finder;
    return err_ok();
}

void finder_close(struct finder *finder) {
    if (finder == NULL) return;
    finder_forget(finder);
    os_secret_free(finder->token, CREDENTIAL_TOKEN_SIZE_MAX);
    free(finder);
}
