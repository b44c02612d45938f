/* SPDX-License-Identifier: Apache-2.0 */
/* One call, GetSecretValue (AWS Secrets Manager API Reference), and JSON read by slices, so that no tree of decoded
 * texts is left behind in the heap: what is decoded goes into secret memory. The answer itself passes through the
 * memory of aws_request, which is not wiped; core dumps are off where this runs for long. It keeps nothing: the server
 * reads at each load (secrets.c), the function keeps what it has read (config_cache.c). */
#include "core/secrets_aws.h"

#include "base/os.h"
#include "codec/json.h"

enum { SECRET_ID_SIZE_MAX = 2048 }; /* the service's own limit */

struct err secret_json_text(struct str raw, size_t size_max, struct str *ret_text) {
    check(raw.len >= 2);
    char *scratch = os_secret_alloc(raw.len);
    if (scratch == NULL) return err_make(ERR_MEMORY, 0, "keep a secret");
    struct arena arena = arena_make(scratch, raw.len);
    struct str text;
    bool full;
    struct err result = err_ok();
    if (!json_string_decode(raw, &arena, &text, &full) || text.len > size_max) {
        check(!full);
        result = err_make(ERR_INPUT, 0, "use the secret");
    } else if (text.len == 0) {
        *ret_text = STR("");
    } else {
        char *copy = os_secret_alloc(text.len);
        if (copy == NULL) {
            result = err_make(ERR_MEMORY, 0, "keep a secret");
        } else {
            memcpy(copy, text.ptr, text.len);
            *ret_text = str_make(copy, text.len);
        }
    }
    os_secret_free(scratch, raw.len);
    return result;
}

static struct err no_use(struct writer *message, const char *phrase) {
    writer_put(message, str_from(phrase));
    return err_make(ERR_INPUT, 0, "use the secret");
}

static struct err read_answer(struct str body, struct writer *message, struct str *ret_text) {
    struct json_pointer string, binary;
    bool good =
        json_pointer_compile(STR("/SecretString"), &string) && json_pointer_compile(STR("/SecretBinary"), &binary);
    check(good);
    const struct json_pointer *pointers[] = {&string, &binary};
    struct json_value found[2];
    if (json_scan(body, pointers, 2, found) != JSON_OK) {
        writer_put(message, STR("the answer of Secrets Manager cannot be read"));
        return err_make(ERR_NETWORK, 0, "read the secret");
    }
    if (found[0].type != JSON_TYPE_STRING)
        return no_use(message, found[1].type == JSON_TYPE_STRING
                                   ? "it holds bytes, not a text: put it again as SecretString"
                                   : "it has no value yet: put one with aws secretsmanager put-secret-value");
    struct str text;
    struct err result = secret_json_text(found[0].raw, SECRET_STRING_SIZE_MAX, &text);
    if (result.kind == ERR_MEMORY) {
        writer_put(message, STR("no memory for a secret"));
        return result;
    }
    if (err_is(result)) return no_use(message, "it is no text, or too long");
    if (text.len == 0) return no_use(message, "it is empty");
    *ret_text = text;
    return result;
}

struct err secret_aws_fetch(struct aws *aws, struct str id, int64_t deadline_us, struct writer *message,
                            struct str *ret_text) {
    char body[SECRET_ID_SIZE_MAX + 64];
    struct writer w = writer_make(body, sizeof body);
    writer_put(&w, STR("{\"SecretId\":"));
    json_write_string(&w, id, true);
    writer_char(&w, '}');
    if (w.overflow) return no_use(message, "no secret has such a long name");
    const struct aws_call call = {.service = "secretsmanager",
                                  .operation = "GetSecretValue",
                                  .amz_target = "secretsmanager.GetSecretValue",
                                  .content_type = STR("application/x-amz-json-1.1"),
                                  .body = writer_str(&w),
                                  .deadline_us = deadline_us};
    const struct aws_answer *answer;
    struct err asked = aws_request(aws, &call, &answer);
    if (err_is(asked)) {
        writer_format(message, "Secrets Manager could not be asked: could not %s (%s)", asked.where,
                      err_kind_text(asked.kind));
        return asked;
    }
    if (answer->status >= 200 && answer->status < 300) return read_answer(answer->body, message, ret_text);
    writer_format(message, "Secrets Manager answers %d ", answer->status);
    writer_escaped(message, answer->error);
    if (str_eq(answer->error, STR("AccessDeniedException")))
        writer_put(message, STR(": allow secretsmanager:GetSecretValue on it"));
    if (str_eq(answer->error, STR("ResourceNotFoundException")))
        writer_put(message, STR(": there is no such secret in this account and region"));
    return err_make(answer->status >= 500 ? ERR_NETWORK : ERR_DENIED, 0, "read the secret");
}

static struct err pick_text(const struct json_value *value, const char **ret_fault, struct secret_texts *ret_texts) {
    struct str text;
    if (value->type != JSON_TYPE_STRING) {
        *ret_fault = "what the pointer names is neither a text nor a list of texts";
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    if (ret_texts->count == SOURCE_SECRETS_MAX) {
        *ret_fault = "the list is longer than a source may have secrets";
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    struct err result = secret_json_text(value->raw, SECRET_SIZE_MAX, &text);
    *ret_fault = result.kind == ERR_MEMORY ? "no memory for a secret" : "a text there is no text, or too long";
    if (!err_is(result) && text.len == 0) {
        *ret_fault = "a text there is empty";
        result = err_make(ERR_INPUT, 0, "use the secret");
    }
    if (!err_is(result)) ret_texts->texts[ret_texts->count++] = text;
    return result;
}

struct err secret_aws_pick(struct str secret, struct str pointer, const char **ret_fault,
                           struct secret_texts *ret_texts) {
    struct json_pointer compiled;
    struct json_value found, item;
    struct secret_texts texts = {.count = 0};
    *ret_fault = "what stands behind # is no JSON Pointer, such as #/sources/stripe/secrets";
    if (!json_pointer_compile(pointer, &compiled)) return err_make(ERR_INPUT, 0, "use the secret");
    const struct json_pointer *pointers[] = {&compiled};
    *ret_fault = "the secret is not JSON";
    if (json_scan(secret, pointers, 1, &found) != JSON_OK) return err_make(ERR_INPUT, 0, "use the secret");
    struct err result = err_ok();
    if (found.type == JSON_TYPE_NONE) {
        *ret_fault = "the secret has nothing where the pointer points";
        return err_make(ERR_ABSENT, 0, "use the secret");
    }
    if (found.type == JSON_TYPE_ARRAY) {
        size_t position = 0;
        while (!err_is(result) && json_array_next(found.raw, &position, &item))
            result = pick_text(&item, ret_fault, &texts);
        if (!err_is(result) && texts.count == 0) {
            *ret_fault = "the list is empty";
            result = err_make(ERR_INPUT, 0, "use the secret");
        }
    } else {
        result = pick_text(&found, ret_fault, &texts);
    }
    if (!err_is(result)) {
        *ret_texts = texts;
        return result;
    }
    for (uint32_t i = 0; i < texts.count; i++)
        secret_done(texts.texts[i]);
    return result;
}
