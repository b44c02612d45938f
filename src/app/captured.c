/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a request and a source from options. */
#include "app/captured.h"

#include "base/nearest.h"
#include "base/os.h"
#include "core/secrets.h"

#include <stdlib.h>

enum { COMMAND_BODY_SIZE_MAX = 64 << 20 };

static bool is_body(enum option_id id) { return id == OPTION_BODY || id == OPTION_BINARY; }

/* All -d in their order, joined by "&" as curl does. */
static bool read_body(const struct options *options, struct captured *captured, int *ret_code) {
    char *body = NULL;
    size_t size = 0;
    bool first = true;
    for (size_t i = 0; i < options->given_count; i++) {
        if (!is_body(options->given[i].id)) continue;
        const char *value = options->given[i].value;
        struct str piece = str_from(value);
        char *owned = NULL;
        if (value[0] == '@') {
            struct err failure = os_file_read(value + 1, COMMAND_BODY_SIZE_MAX, &piece);
            if (err_is(failure)) {
                free(body);
                *ret_code =
                    complain(EXIT_USAGE, "cannot read the body from %s: %s", value + 1, err_kind_text(failure.kind));
                return false;
            }
            owned = (char *)(uintptr_t)piece.ptr;
        }
        char *more = realloc(body, size + piece.len + 1);
        check(more != NULL);
        body = more;
        if (!first) body[size++] = '&';
        memcpy(body + size, piece.ptr, piece.len);
        size += piece.len;
        first = false;
        free(owned);
    }
    captured->memory = body;
    captured->request.body = body != NULL ? str_make(body, size) : STR("");
    return true;
}

static bool read_url(const char *url, struct captured *captured, int *ret_code) {
    struct str text = str_from(url);
    if (str_starts(text, STR("http://")))
        text = str_from_index(text, 7);
    else if (str_starts(text, STR("https://"))) {
        text = str_from_index(text, 8);
        captured->is_https = true;
    } else {
        *ret_code = complain(EXIT_USAGE, "the URL must begin with http:// or https://, not \"%s\"", url);
        return false;
    }
    size_t end = 0;
    while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?' && text.ptr[end] != '#')
        end++;
    captured->authority = str_make(text.ptr, end);
    text = str_from_index(text, end);
    if (captured->authority.len == 0 || str_has(captured->authority, '@')) {
        *ret_code = complain(EXIT_USAGE, "the URL needs a host and no user name: \"%s\"", url);
        return false;
    }
    struct str before, fragment;
    if (str_cut(text, '#', &before, &fragment)) text = before; /* never sent (RFC 9110 §7.1) */
    struct http_request *request = &captured->request;
    if (text.len == 0 || text.ptr[0] != '/') {
        if (text.len > 0) {
            *ret_code = complain(EXIT_USAGE, "the URL needs a path before its \"?\": \"%s\"", url);
            return false;
        }
        text = STR("/");
    }
    request->target = text;
    request_split_target(request);
    return true;
}

static bool add_header(struct captured *captured, const char *line, int *ret_code) {
    struct http_request *request = &captured->request;
    struct str name, value, text = str_from(line);
    if (!str_cut(text, ':', &name, &value)) {
        if (text.len < 2 || text.ptr[text.len - 1] != ';') {
            *ret_code = complain(EXIT_USAGE, "-H takes 'Name: value', not \"%s\"", line);
            return false;
        }
        name = str_make(text.ptr, text.len - 1); /* curl's way to send an empty one */
        value = STR("");
    }
    if (request->header_count == HTTP_HEADERS_MAX) {
        *ret_code = complain(EXIT_USAGE, "more than %d headers were given", HTTP_HEADERS_MAX);
        return false;
    }
    request->headers[request->header_count++] = (struct http_header){name, str_trim(value)};
    return true;
}

bool captured_read(const struct options *options, struct captured *ret_captured, int *ret_code) {
    *ret_captured = (struct captured){0};
    struct http_request *request = &ret_captured->request;
    const char *method = option_value(options, OPTION_METHOD);
    request->method = method != NULL ? str_from(method) : STR("POST");
    if (!read_url(options->words[0], ret_captured, ret_code)) return false;
    bool has_host = false;
    const char *line;
    for (size_t i = 0; (line = option_at(options, OPTION_HEADER, i)) != NULL; i++) {
        if (!add_header(ret_captured, line, ret_code)) return false;
        has_host = has_host || str_eq_nocase(request->headers[request->header_count - 1].name, STR("host"));
    }
    if (!has_host && request->header_count < HTTP_HEADERS_MAX)
        request->headers[request->header_count++] = (struct http_header){STR("Host"), ret_captured->authority};
    return read_body(options, ret_captured, ret_code);
}

void captured_done(struct captured *captured) { free(captured->memory); }

static bool read_reference(const char *reference, struct made_source *made, struct str *ret_text, int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    if (made->text_count == sizeof made->texts / sizeof made->texts[0]) {
        *ret_code = complain(EXIT_USAGE, "at most %d secrets can be given", SOURCE_SECRETS_MAX);
        return false;
    }
    if (err_is(secret_read(str_from(reference), &message, ret_text))) {
        *ret_code = complain(EXIT_USAGE, "%s", writer_cstr(&message));
        return false;
    }
    made->texts[made->text_count++] = *ret_text;
    return true;
}

static bool is_setting(struct str name) {
    for (size_t i = 0; provider_setting_at(i) != NULL; i++)
        if (str_eq(name, str_from(provider_setting_at(i)))) return true;
    return false;
}

static bool apply_setting(const char *setting, struct made_source *made, int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct str name, value;
    if (!str_cut(str_from(setting), '=', &name, &value)) {
        *ret_code = complain(EXIT_USAGE, "--set takes KEY=VALUE, not \"%s\"", setting);
        return false;
    }
    /* These two name a file with a public key or certificate in it. */
    if ((str_eq(name, STR("certificate")) || str_eq(name, STR("public_key"))) &&
        !read_reference(value.ptr, made, &value, ret_code))
        return false;
    if (!is_setting(name)) {
        const char *nearest = nearest_word(name, provider_setting_at);
        *ret_code = nearest != NULL
                        ? complain(EXIT_USAGE, "there is no setting %.*s; did you mean %s?", STR_ARG(name), nearest)
                        : complain(EXIT_USAGE, "there is no setting %.*s", STR_ARG(name));
        return false;
    }
    if (!source_set(&made->source, name, value, &message)) {
        *ret_code = complain(EXIT_USAGE, "%s", writer_cstr(&message));
        return false;
    }
    return true;
}

static bool fill_source(const struct options *options, struct made_source *made, int *ret_code) {
    struct source *source = &made->source;
    const char *word;
    for (size_t i = 0; (word = option_at(options, OPTION_SET, i)) != NULL; i++)
        if (!apply_setting(word, made, ret_code)) return false;
    for (size_t i = 0; (word = option_at(options, OPTION_SECRET, i)) != NULL; i++) {
        if (source->secret_count == SOURCE_SECRETS_MAX) {
            *ret_code = complain(EXIT_USAGE, "at most %d secrets can be given", SOURCE_SECRETS_MAX);
            return false;
        }
        struct secret *secret = &source->secrets[source->secret_count++];
        if (!read_reference(word, made, &secret->text, ret_code)) return false;
        secret->fault = source_secret_fault(source, secret->text, option_set(options, OPTION_SHORT));
        if (secret->fault != NULL) {
            *ret_code = complain(EXIT_USAGE, "the secret of %s cannot be used: %s", word, secret->fault);
            return false;
        }
    }
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    if (!source_check(source, &message)) {
        *ret_code = complain(EXIT_USAGE, "%s", writer_cstr(&message));
        return false;
    }
    if (source_needs_secret(source) && source->secret_count == 0) {
        *ret_code = complain(EXIT_USAGE, "%s needs --secret file:PATH or env:NAME", provider_name(source->row));
        return false;
    }
    return true;
}

bool made_source_read(const struct options *options, const char *provider, struct made_source *ret_made,
                      int *ret_code) {
    *ret_made = (struct made_source){0};
    ret_made->source.row = provider_find(str_from(provider));
    ret_made->source.name = str_from(provider);
    if (ret_made->source.row == NULL) {
        const char *nearest = nearest_word(str_from(provider), provider_name_at);
        *ret_code = nearest != NULL
                        ? complain(EXIT_USAGE, "there is no provider \"%s\"; did you mean %s?", provider, nearest)
                        : complain(EXIT_USAGE, "there is no provider \"%s\"", provider);
        return false;
    }
    if (fill_source(options, ret_made, ret_code)) return true;
    made_source_done(ret_made);
    return false;
}

void made_source_done(struct made_source *made) {
    for (size_t i = 0; i < made->text_count; i++)
        secret_done(made->texts[i]);
    made->text_count = 0;
}
