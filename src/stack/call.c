/* SPDX-License-Identifier: Apache-2.0 */
/* The first try goes alone, so that a host that is not there is told at once and not after all tries; what may pass is
 * then tried again by net/aws until the deadline. The sentences are chosen by what the services have in common (AWS
 * Query API, "Common Errors"); what is a service's own stays with the caller. */
#include "stack/call.h"

#include "base/limits.h"
#include "base/os.h"
#include "codec/xml.h"
#include "net/error.h"

enum { ERROR_ARENA_SIZE = 16384 };

static const char *service_word(const char *service) {
    static const char *const words[][2] = {
        {"cloudformation", "CloudFormation"},
        {"secretsmanager", "Secrets Manager"},
        {"sts", "AWS STS"},
        {"dynamodb", "DynamoDB"},
        {"lambda", "AWS Lambda"},
        {"s3", "Amazon S3"},
        {"logs", "CloudWatch Logs"},
        {"iam", "AWS IAM"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(service, words[i][0]) == 0) return words[i][1];
    return service;
}

void stack_text(struct writer *w, struct str text) {
    size_t start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.ptr[i] : '"';
        if (c != '"' && c != '\\' && c != '\n' && c != '\r' && c != '\t') continue;
        writer_escaped(w, str_make(text.ptr + start, i - start));
        if (i < text.len) writer_char(w, c == '"' || c == '\\' ? c : ' ');
        start = i + 1;
    }
}

/* -- Errors ---------------------------------------------------------------------------------------------- */

/* The error's message without entities, where the answer is XML: <ErrorResponse><Error>, or S3's <Error>. */
static struct str error_message(const struct aws_call *call, const struct aws_answer *answer, struct arena *arena) {
    const struct xml_node *root;
    bool full;
    if (strcmp(call->service, "secretsmanager") == 0) return STR(""); /* it might repeat what was sent */
    if (!str_starts(answer->body, STR("<")) || !xml_read(answer->body, arena, &root, &full))
        return answer->error_message;
    const struct xml_node *error = xml_child(root, STR("Error"));
    struct str text = xml_text(error != NULL ? error : root, STR("Message"));
    return text.len > 0 ? text : answer->error_message;
}

enum trouble {
    TROUBLE_NONE,
    TROUBLE_EXPIRED,
    TROUBLE_KEY,
    TROUBLE_DENIED,
    TROUBLE_CLOCK,
    TROUBLE_REGION,
    TROUBLE_BUSY
};

/* What no caller needs to tell apart. To add one: a line. */
static enum trouble trouble_of(const struct aws_answer *answer) {
    static const struct {
        const char *code;
        enum trouble trouble;
    } rows[] = {
        {"AccessDenied", TROUBLE_DENIED},
        {"AccessDeniedException", TROUBLE_DENIED},
        {"AllAccessDisabled", TROUBLE_DENIED},
        {"AuthFailure", TROUBLE_KEY},
        {"IncompleteSignature", TROUBLE_KEY},
        {"InvalidAccessKeyId", TROUBLE_KEY},
        {"InvalidClientTokenId", TROUBLE_KEY},
        {"InvalidSignatureException", TROUBLE_CLOCK},
        {"MissingAuthenticationToken", TROUBLE_KEY},
        {"OptInRequired", TROUBLE_REGION},
        {"RequestTimeTooSkewed", TROUBLE_CLOCK},
        {"SignatureDoesNotMatch", TROUBLE_CLOCK},
        {"UnauthorizedOperation", TROUBLE_DENIED},
        {"UnrecognizedClientException", TROUBLE_KEY},
    };
    if (answer->status >= 200 && answer->status < 300) return TROUBLE_NONE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_eq(answer->error, str_from(rows[i].code))) return rows[i].trouble;
    if (aws_error_is_expired(answer->error)) return TROUBLE_EXPIRED;
    if (answer->status >= 500 || answer->status == 429 || aws_error_is_passing(answer->error)) return TROUBLE_BUSY;
    return answer->status == 403 && str_eq(answer->error, STR("Unknown")) ? TROUBLE_DENIED : TROUBLE_NONE;
}

/* The action that allows a call: mostly they have one name. */
static void put_action_of(struct writer *message, const struct aws_call *call) {
    static const char *const others[][2] = {
        {"HeadObject", "GetObject"},
        {"HeadBucket", "ListBucket"},
        {"ListObjectsV2", "ListBucket"},
        {"DeleteObjects", "DeleteObject"},
    };
    const char *action = call->operation;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(call->operation, others[i][0]) == 0) action = others[i][1];
    writer_format(message, "%s:%s", call->service, action);
}

/* "… is not authorized to perform: s3:GetObject on resource: …" names the action better than the call does. */
static void put_action(struct writer *message, const struct aws_call *call, struct str text) {
    static const char phrase[] = "authorized to perform: ";
    const char *at = text.len > 0 ? memmem(text.ptr, text.len, phrase, sizeof phrase - 1) : NULL;
    if (at == NULL) {
        put_action_of(message, call);
        return;
    }
    struct str action = str_from_index(text, (size_t)(at - text.ptr) + sizeof phrase - 1), rest;
    (void)str_cut(action, ' ', &action, &rest);
    stack_text(message, action);
}

static void put_what_it_says(struct writer *message, struct str text) {
    if (text.len == 0) return;
    writer_put(message, STR(" (AWS says: "));
    stack_text(message, text);
    writer_char(message, ')');
}

static struct err tell_trouble(const struct aws *aws, const struct aws_call *call, const struct aws_answer *answer,
                               enum trouble trouble, struct writer *message) {
    char memory[ERROR_ARENA_SIZE];
    struct arena arena = arena_make(memory, sizeof memory);
    struct str text = error_message(call, answer, &arena);
    switch (trouble) {
    case TROUBLE_NONE: break;
    case TROUBLE_EXPIRED:
        writer_put(message, STR("the AWS credentials have expired: sign in again (aws sso login, or as you got them) "
                                "and type the same command again"));
        return err_make(ERR_DENIED, 0, "use the AWS credentials");
    case TROUBLE_KEY:
        writer_put(message, STR("AWS does not know this access key: look at AWS_ACCESS_KEY_ID, or at the profile"));
        put_what_it_says(message, text);
        return err_make(ERR_DENIED, 0, "use the AWS credentials");
    case TROUBLE_CLOCK:
        writer_put(message, STR("AWS does not accept the signature: look at the secret access key, and whether this "
                                "machine's clock is right"));
        put_what_it_says(message, text);
        return err_make(ERR_DENIED, 0, "use the AWS credentials");
    case TROUBLE_DENIED:
        writer_put(message, STR("these AWS credentials may not call "));
        put_action(message, call, text);
        writer_put(message, STR(": allow it in their policy, or use others (--profile)"));
        put_what_it_says(message, text);
        return err_make(ERR_DENIED, 0, "call the service");
    case TROUBLE_REGION:
        writer_format(message, "this account has not enabled region %s: enable it, or choose another with --region",
                      aws_region(aws));
        return err_make(ERR_DENIED, 0, "call the service");
    case TROUBLE_BUSY:
        writer_format(message, "%s kept answering %d ", service_word(call->service), answer->status);
        writer_escaped(message, answer->error);
        writer_format(message, " to %s until time was up: try again in a minute", call->operation);
        return err_make(ERR_TIMEOUT, 0, "call the service");
    }
    return err_ok();
}

static struct err tell_failure(const struct aws *aws, const struct aws_call *call, struct err failure,
                               struct writer *message) {
    if (failure.kind == ERR_ABSENT) {
        writer_put(message, str_from(aws_trouble(aws)));
    } else if (strcmp(failure.where, "find the host's address") == 0) {
        writer_format(message, "could not find the address of %s in %s: is %s a region, and is there a network?",
                      service_word(call->service), aws_region(aws), aws_region(aws));
    } else {
        writer_format(message, "%s could not be asked to %s: could not %s (%s)", service_word(call->service),
                      call->operation, failure.where, err_kind_text(failure.kind));
    }
    return failure;
}

/* -- The call -------------------------------------------------------------------------------------------- */

struct err stack_call(struct aws *aws, struct aws_call *call, struct writer *message,
                      const struct aws_answer **ret_answer, bool *ret_unsure) {
    const struct aws_answer *answer;
    if (call->deadline_us == 0) call->deadline_us = os_mono_us() + (int64_t)STACK_CALL_MS_MAX * 1000;
    call->once = true;
    struct err failure = aws_request(aws, call, &answer);
    bool unsure = answer->ambiguous || answer->status >= 500;
    enum trouble trouble = err_is(failure) ? TROUBLE_NONE : trouble_of(answer);
    bool network = failure.kind == ERR_NETWORK || failure.kind == ERR_TIMEOUT;
    if (network && strcmp(failure.where, "find the host's address") == 0) network = false;
    if (network || trouble == TROUBLE_EXPIRED || trouble == TROUBLE_BUSY) {
        call->once = false;
        failure = aws_request(aws, call, &answer);
        unsure = unsure || answer->ambiguous || answer->status >= 500;
        trouble = err_is(failure) ? TROUBLE_NONE : trouble_of(answer);
    }
    if (ret_unsure != NULL) *ret_unsure = unsure;
    *ret_answer = answer;
    if (err_is(failure)) return tell_failure(aws, call, failure, message);
    return tell_trouble(aws, call, answer, trouble, message);
}

struct err stack_call_refused(const struct aws_call *call, const struct aws_answer *answer, struct writer *message) {
    char memory[ERROR_ARENA_SIZE];
    struct arena arena = arena_make(memory, sizeof memory);
    writer_format(message, "%s refuses %s: ", service_word(call->service), call->operation);
    struct str text = error_message(call, answer, &arena);
    if (text.len == 0) {
        writer_format(message, "%d ", answer->status);
        writer_escaped(message, answer->error);
    }
    stack_text(message, text);
    return err_make(ERR_INPUT, 0, "call the service");
}
