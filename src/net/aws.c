/* SPDX-License-Identifier: Apache-2.0 */
/* A call goes through tries: credentials at hand (else it waits for the finder), signed anew, sent, judged. What may be
 * cured by another try is tried again after a wait that is drawn anew each time (full jitter), until its deadline.
 *
 * The services differ by a row of a table. It does not know the operations, page through lists, or assume roles. */
#include "net/aws.h"

#include "base/os.h"
#include "codec/json.h"
#include "codec/sigv4.h"
#include "net/credentials.h"
#include "net/error.h"
#include "net/trace.h"
#include "net/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <zlib.h>

enum { CONNECT_MS = 2000, CALLS_KEPT = 64 };

/* One row a service: its name in host names and signatures, that in variables, and how long its answers may take. */
static const struct service {
    const char *name, *variable;
    uint32_t first_byte_ms;
    bool global; /* one for a whole partition */
} services[] = {
    {"dynamodb", "DYNAMODB", 3000},
    {"secretsmanager", "SECRETS_MANAGER", 3000},
    {"cloudformation", "CLOUDFORMATION", 20000},
    {"s3", "S3", 20000},
    {"sts", "STS", 10000},
    {"lambda", "LAMBDA", 30000},
    {"logs", "CLOUDWATCH_LOGS", 10000},
    {"iam", "IAM", 10000, .global = true},
};
/* Where the global ones are, and which region their requests are signed for (AWS General Reference, "AWS Identity and
 * Access Management endpoints and quotas"). The first row whose prefix the region has. */
static const struct partition {
    const char *regions, *place, *signed_for;
} partitions[] = {
    {"cn-", ".cn-north-1.amazonaws.com.cn", "cn-north-1"},
    {"us-gov-", ".us-gov.amazonaws.com", "us-gov-west-1"},
    {"", ".amazonaws.com", "us-east-1"},
};
enum { SERVICE_COUNT = sizeof services / sizeof services[0] };

/* Where a service is. */
struct endpoint {
    bool known, given; /* given by the environment */
    char text[512];    /* authority, NUL, path without a "/" at its end */
    struct client_target target;
    struct str authority, path;
    const char *region; /* that requests are signed for */
};

struct call {
    TAILQ_ENTRY(call) next;
    struct aws *aws;
    struct aws_call call;
    const struct service *service;
    aws_done *done;
    void *context;
    struct http_request request;
    struct client_target target;
    struct arena arena;
    struct aws_answer answer;
    struct err failure; /* of the last try */
    int64_t started_us; /* wall clock */
    bool refound;       /* credentials were refused as expired, and found again */
};
TAILQ_HEAD(call_queue, call);

struct aws {
    struct client *client;
    struct finder *finder;
    char region[64];
    struct endpoint endpoints[SERVICE_COUNT];
    struct call_queue waiting; /* for credentials */
    struct call_queue unused;
    size_t unused_count;
    bool finding;
    char *kept; /* what aws_request's answer points to, kept_size bytes; it may hold a secret */
    size_t kept_size;
    struct aws_answer answer;
    struct client_response response;
};

/* -- Opening --------------------------------------------------------------------------------------------- */

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* A label of a host name: it becomes one. */
static bool is_region(const char *region) {
    size_t size = strlen(region);
    for (size_t i = 0; i < size; i++)
        if (!(islower((unsigned char)region[i]) || isdigit((unsigned char)region[i]) || region[i] == '-')) return false;
    return size > 0 && size < sizeof((struct aws *)0)->region;
}

struct err aws_open(const struct aws_options *options, struct writer *message, struct aws **ret_aws) {
    struct aws *aws = calloc(1, sizeof *aws);
    check(aws != NULL);
    TAILQ_INIT(&aws->waiting);
    TAILQ_INIT(&aws->unused);
    struct err failure = client_open(message, &aws->client);
    if (!err_is(failure)) failure = finder_open(aws->client, options->profile, message, &aws->finder);
    if (err_is(failure)) {
        aws_close(aws);
        return failure;
    }
    const char *region = options->region;
    /* A profile that was named on the command line goes before the environment, as its keys do. */
    const char *of_profile = finder_region(aws->finder);
    if (region == NULL && options->profile != NULL && of_profile[0] != '\0') region = of_profile;
    if (region == NULL) region = environment("AWS_REGION");
    if (region == NULL) region = environment("AWS_DEFAULT_REGION");
    if (region == NULL) region = of_profile[0] != '\0' ? of_profile : "us-east-1";
    if (!is_region(region)) {
        writer_put(message, STR("the AWS region is not the name of one: "));
        writer_escaped(message, str_from(region));
        aws_close(aws);
        return err_make(ERR_INPUT, 0, "find the AWS region");
    }
    memcpy(aws->region, region, strlen(region) + 1);
    *ret_aws = aws;
    return err_ok();
}

static void call_free(struct call *call) {
    os_wipe(call->arena.memory, call->arena.used);
    free(call->arena.memory);
    free(call);
}

void aws_close(struct aws *aws) {
    if (aws == NULL) return;
    client_close(aws->client);
    finder_close(aws->finder);
    struct call *call;
    while ((call = TAILQ_FIRST(&aws->unused)) != NULL) {
        TAILQ_REMOVE(&aws->unused, call, next);
        call_free(call);
    }
    os_wipe(aws->kept, aws->kept_size);
    free(aws->kept);
    free(aws);
}

const char *aws_region(const struct aws *aws) { return aws->region; }
const char *aws_trouble(const struct aws *aws) { return finder_trouble(aws->finder); }

static bool set_endpoint(struct endpoint *endpoint, struct str url_text) {
    struct url url;
    if (!url_read(url_text, &url)) return false;
    struct writer w = writer_make(endpoint->text, sizeof endpoint->text);
    writer_put(&w, url.authority);
    writer_char(&w, '\0');
    writer_put(&w, url.path);
    if (w.overflow) return false;
    endpoint->authority = str_make(endpoint->text, url.authority.len);
    endpoint->path = str_make(endpoint->text + url.authority.len + 1, url.path.len);
    if (str_ends(endpoint->path, STR("/"))) endpoint->path.len--;
    return url_authority_read(endpoint->authority, url.target.tls, &endpoint->target);
}

/* NULL: what the environment says is no URL. */
static const struct endpoint *endpoint_of(struct aws *aws, const struct service *service) {
    struct endpoint *endpoint = &aws->endpoints[service - services];
    if (endpoint->known) return endpoint;
    char text[256];
    (void)snprintf(text, sizeof text, "AWS_ENDPOINT_URL_%s", service->variable);
    const char *given = environment(text);
    if (given == NULL) given = environment("AWS_ENDPOINT_URL");
    endpoint->region = aws->region;
    (void)snprintf(text, sizeof text, "https://%s.%s.amazonaws.com%s", service->name, aws->region,
                   strncmp(aws->region, "cn-", 3) == 0 ? ".cn" : "");
    if (service->global) {
        const struct partition *partition = partitions;
        while (strncmp(aws->region, partition->regions, strlen(partition->regions)) != 0)
            partition++;
        endpoint->region = partition->signed_for;
        (void)snprintf(text, sizeof text, "https://%s%s", service->name, partition->place);
    }
    endpoint->given = given != NULL;
    endpoint->known = set_endpoint(endpoint, str_from(given != NULL ? given : text));
    return endpoint->known ? endpoint : NULL;
}

/* -- One try --------------------------------------------------------------------------------------------- */

static void attempt(struct call *call);

static void conclude(struct call *call, struct err failure) {
    struct aws *aws = call->aws;
    struct aws_answer *answer = &call->answer;
    bool expected = str_eq(answer->error, STR("ConditionalCheckFailedException"));
    const struct trace_call trace = {
        .service = call->call.service,
        .operation = call->call.operation,
        .region = aws->region,
        .resource = call->call.trace_name,
        .request_id = answer->request_id,
        .started_us = call->started_us,
        .ended_us = os_wall_us(),
        .status = answer->status,
        .error = err_is(failure) ? str_from(failure.where)
                 : expected      ? STR("")
                                 : answer->error,
    };
    trace_call(&trace);
    call->done(call->context, failure, answer);
    os_wipe(call->arena.memory, call->arena.used);
    if (aws->unused_count < CALLS_KEPT) {
        TAILQ_INSERT_HEAD(&aws->unused, call, next);
        aws->unused_count++;
    } else {
        call_free(call);
    }
}

static void clear_answer(struct call *call) {
    call->answer = (struct aws_answer){.tries = call->answer.tries,
                                       .ambiguous = call->answer.ambiguous,
                                       .body = STR(""),
                                       .error = STR(""),
                                       .error_message = STR(""),
                                       .request_id = STR("")};
}

static void attempt_later(void *context) { attempt(context); }
static void conclude_later(void *context) { conclude(context, ((struct call *)context)->failure); }

/* Amazon's "Exponential backoff and jitter": anything between nothing and a bound that doubles. */
static uint32_t draw_wait_ms(uint32_t tries) {
    uint32_t bound = AWS_RETRY_MS_MAX, random;
    if (tries < 16 && (uint32_t)AWS_RETRY_MS_MIN << (tries - 1) < bound)
        bound = (uint32_t)AWS_RETRY_MS_MIN << (tries - 1);
    os_random(&random, sizeof random);
    return random % (bound + 1);
}

/* True where the call will be tried again; what it got then is forgotten. */
static bool try_again(struct call *call) {
    if (call->call.once) return false;
    uint32_t wait_ms = draw_wait_ms(call->answer.tries);
    if (os_mono_us() + (int64_t)wait_ms * 1000 >= call->call.deadline_us) return false;
    client_after(call->aws->client, wait_ms, attempt_later, call);
    return true;
}

static bool is_json(struct str body) { return body.len == 0 || json_scan(body, NULL, 0, NULL) == JSON_OK; }

/* X-Amz-Crc32 of DynamoDB: over the bytes as sent. */
static bool has_good_checksum(const struct client_response *response) {
    struct str header = client_header(response, STR("x-amz-crc32"));
    uint64_t expected;
    if (header.ptr == NULL) return true;
    if (!str_u64(header, UINT32_MAX, &expected)) return false;
    return crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)response->body.ptr, response->body.len) == expected;
}

static void read_answer(struct call *call, const struct client_response *response) {
    struct aws_answer *answer = &call->answer;
    answer->status = response->status;
    answer->body = response->body;
    answer->response = response;
    answer->request_id = client_header(response, STR("x-amzn-requestid"));
    if (answer->request_id.ptr == NULL) answer->request_id = client_header(response, STR("x-amz-request-id"));
    if (answer->request_id.ptr == NULL) answer->request_id = STR("");
    if (response->status >= 200 && response->status < 300) return;
    struct aws_error error;
    aws_error_read(client_header(response, STR("content-type")), client_header(response, STR("x-amzn-errortype")),
                   response->body, &call->arena, &error);
    answer->error = error.code;
    answer->error_message = error.message;
}

static void on_response(void *context, struct err failure, const struct client_response *response) {
    struct call *call = context;
    struct aws_answer *answer = &call->answer;
    answer->tries++;
    bool unsure = response->ambiguous; /* this try, but for its answer */
    if (!err_is(failure) && !has_good_checksum(response))
        failure = err_make(ERR_NETWORK, 0, "trust the answer: its checksum is wrong");
    if (!err_is(failure) && call->call.amz_target != NULL && response->status >= 200 && response->status < 300 &&
        !is_json(response->body))
        failure = err_make(ERR_NETWORK, 0, "make sense of the answer");
    if (err_is(failure)) {
        answer->ambiguous = answer->ambiguous || unsure || response->status != 0;
        call->failure = failure;
        if (failure.kind != ERR_INPUT && failure.kind != ERR_MEMORY && try_again(call)) return;
        conclude(call, failure);
        return;
    }
    answer->ambiguous = answer->ambiguous || unsure;
    read_answer(call, response);
    bool expired = aws_error_is_expired(answer->error);
    bool again = response->status >= 500 || response->status == 429 || aws_error_is_passing(answer->error);
    if (expired && !call->refound && !call->call.once) {
        call->refound = true;
        finder_forget(call->aws->finder);
        again = true;
    }
    if (again && try_again(call)) {
        if (response->status >= 500) answer->ambiguous = true; /* it may have been carried out all the same */
        clear_answer(call);
        return;
    }
    conclude(call, err_ok());
}

static bool add(struct http_request *request, struct str name, struct str value) {
    if (request->header_count == HTTP_HEADERS_MAX) return false;
    request->headers[request->header_count++] = (struct http_header){name, value};
    return true;
}

static bool sign(struct aws *aws, const struct credentials *credentials, struct str service, struct str region,
                 struct http_request *request, struct arena *arena) {
    const struct sigv4_signer signer = {
        .access_key_id = credentials->access_key_id,
        .secret = credentials->secret,
        .session_token = credentials->session_token,
        .region = region.ptr != NULL ? region : str_from(aws->region),
        .service = service,
        .now_s = os_wall_us() / 1000000,
    };
    bool is_s3 = str_eq(service, STR("s3"));
    struct sigv4_options options = SIGV4_AWS_SERVICE;
    if (is_s3) options = (struct sigv4_options){0};
    return sigv4_sign(&signer, options, is_s3, request, arena);
}

/* The request of a try, signed, in the call's arena. */
static bool make_request(struct call *call, const struct endpoint *endpoint, const struct credentials *credentials) {
    const struct aws_call *asked = &call->call;
    struct http_request *request = &call->request;
    struct arena *arena = &call->arena;
    bool in_path = endpoint->given && asked->host_prefix.len > 0;
    arena_reset(arena);

    struct writer w = arena_writer(arena);
    if (!in_path) writer_put(&w, asked->host_prefix);
    writer_put(&w, endpoint->authority);
    struct str host = arena_take(arena, &w);
    w = arena_writer(arena);
    writer_put(&w, endpoint->path);
    if (in_path) {
        writer_char(&w, '/');
        writer_put(&w, str_make(asked->host_prefix.ptr, asked->host_prefix.len - 1));
    }
    writer_put(&w, asked->target.len > 0 ? asked->target : STR("/"));
    request->target = arena_take(arena, &w);
    if (host.ptr == NULL || request->target.ptr == NULL) return false;
    if (!url_authority_read(host, endpoint->target.tls, &call->target)) return false;

    request->method = asked->method != NULL ? str_from(asked->method) : STR("POST");
    request->body = asked->body.len > 0 ? asked->body : STR("");
    request->header_count = 0;
    request_split_target(request);
    bool good = add(request, STR("Host"), host);
    if (asked->body.len > 0 || asked->content_type.len > 0 || asked->amz_target != NULL)
        good = good && add(request, STR("Content-Type"),
                           asked->content_type.len > 0 ? asked->content_type : STR("application/x-amz-json-1.0"));
    if (asked->amz_target != NULL) good = good && add(request, STR("X-Amz-Target"), str_from(asked->amz_target));
    for (size_t i = 0; i < sizeof asked->extra / sizeof asked->extra[0] && asked->extra[i].name.ptr != NULL; i++)
        good = good && add(request, asked->extra[i].name, asked->extra[i].value);
    return good && sign(call->aws, credentials, str_from(asked->service), str_from(endpoint->region), request, arena);
}

static void on_found(void *context, struct err failure) {
    struct aws *aws = context;
    aws->finding = false;
    struct call_queue waiting = TAILQ_HEAD_INITIALIZER(waiting);
    TAILQ_CONCAT(&waiting, &aws->waiting, next);
    struct call *call;
    while ((call = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, call, next);
        if (err_is(failure))
            conclude(call, failure);
        else
            attempt(call);
    }
}

static void find(void *context) {
    struct aws *aws = context;
    finder_find(aws->finder, on_found, aws);
}

/* Sends it, or has it wait for credentials. */
static struct err begin(struct call *call) {
    struct aws *aws = call->aws;
    int64_t left_us = call->call.deadline_us - os_mono_us();
    clear_answer(call);
    if (left_us < 1000)
        return err_is(call->failure) ? call->failure : err_make(ERR_TIMEOUT, 0, "begin before the deadline");
    const struct endpoint *endpoint = endpoint_of(aws, call->service);
    if (endpoint == NULL)
        return err_make(ERR_INPUT, 0, "use AWS_ENDPOINT_URL (or that of the service): it is not a URL");
    const struct credentials *credentials = finder_have(aws->finder);
    if (credentials == NULL) {
        TAILQ_INSERT_TAIL(&aws->waiting, call, next);
        if (!aws->finding) {
            aws->finding = true;
            client_after(aws->client, 0, find, aws);
        }
        return err_ok();
    }
    if (!make_request(call, endpoint, credentials)) return err_make(ERR_INPUT, 0, "sign the request: it is too large");
    int64_t left_ms = left_us / 1000;
    const struct client_timeouts timeouts = {
        .connect_ms = CONNECT_MS,
        .first_byte_ms = call->service->first_byte_ms,
        .whole_ms = left_ms > UINT32_MAX ? 0 : (uint32_t)left_ms,
        .once = call->call.once,
    };
    client_start(aws->client, &call->target, &call->request, timeouts, on_response, call);
    return err_ok();
}

static void attempt(struct call *call) {
    struct err failure = begin(call);
    if (err_is(failure)) conclude(call, failure);
}

/* -- Calls ----------------------------------------------------------------------------------------------- */

static const struct service *service_of(const char *name) {
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        if (strcmp(services[i].name, name) == 0) return &services[i];
    return NULL;
}

void aws_start(struct aws *aws, const struct aws_call *asked, aws_done *done, void *context) {
    struct call *call = TAILQ_FIRST(&aws->unused);
    if (call != NULL) {
        TAILQ_REMOVE(&aws->unused, call, next);
        aws->unused_count--;
    } else {
        call = calloc(1, sizeof *call);
        check(call != NULL);
        char *memory = malloc(AWS_CALL_ARENA_SIZE);
        check(memory != NULL);
        call->arena = arena_make(memory, AWS_CALL_ARENA_SIZE);
    }
    call->aws = aws;
    call->call = *asked;
    call->service = service_of(asked->service);
    check(call->service != NULL);
    call->done = done;
    call->context = context;
    call->failure = err_ok();
    call->started_us = os_wall_us();
    call->refound = false;
    call->answer = (struct aws_answer){0};
    call->failure = begin(call);
    if (err_is(call->failure)) client_after(aws->client, 0, conclude_later, call);
}

void aws_run(struct aws *aws) { client_run(aws->client); }

struct waited {
    struct aws *aws;
    struct err failure;
};

static char *copy(char **at, struct str *s) {
    char *start = *at;
    if (s->len > 0) memcpy(start, s->ptr, s->len);
    *at += s->len;
    *s = str_make(start, s->len);
    return start;
}

/* Copies what the answer points to: it is gone after the call back. */
static void keep_answer(struct aws *aws, const struct aws_answer *answer) {
    aws->answer = *answer;
    size_t size = answer->error.len + answer->error_message.len + answer->request_id.len + answer->body.len;
    uint32_t count = answer->response != NULL ? answer->response->header_count : 0;
    for (uint32_t i = 0; i < count; i++)
        size += answer->response->headers[i].name.len + answer->response->headers[i].value.len;
    size_t table_size = count * sizeof(struct http_header);
    os_wipe(aws->kept, aws->kept_size);
    free(aws->kept);
    aws->kept_size = table_size + size + 1;
    aws->kept = malloc(aws->kept_size);
    check(aws->kept != NULL);
    struct http_header *headers = (struct http_header *)(void *)aws->kept;
    char *at = aws->kept + table_size;
    copy(&at, &aws->answer.error);
    copy(&at, &aws->answer.error_message);
    copy(&at, &aws->answer.request_id);
    copy(&at, &aws->answer.body);
    if (answer->response == NULL) return;
    aws->response = *answer->response;
    for (uint32_t i = 0; i < count; i++) {
        headers[i] = answer->response->headers[i];
        copy(&at, &headers[i].name);
        copy(&at, &headers[i].value);
    }
    aws->response.headers = headers;
    aws->response.body = aws->answer.body;
    aws->answer.response = &aws->response;
}

static void on_waited(void *context, struct err failure, const struct aws_answer *answer) {
    struct waited *waited = context;
    waited->failure = failure;
    keep_answer(waited->aws, answer);
}

struct err aws_request(struct aws *aws, const struct aws_call *call, const struct aws_answer **ret_answer) {
    struct waited waited = {.aws = aws};
    aws_start(aws, call, on_waited, &waited);
    aws_run(aws);
    *ret_answer = &aws->answer;
    return waited.failure;
}

static void on_found_for_signing(void *context, struct err failure) { *(struct err *)context = failure; }

struct err aws_sign(struct aws *aws, struct str service, struct str region, struct http_request *request,
                    struct arena *arena, struct writer *message) {
    const struct credentials *credentials = finder_have(aws->finder);
    check(!aws->finding);
    if (credentials == NULL) {
        struct err failure = err_ok();
        finder_find(aws->finder, on_found_for_signing, &failure);
        client_run(aws->client);
        if (err_is(failure)) {
            writer_put(message, str_from(finder_trouble(aws->finder)));
            return failure;
        }
        credentials = finder_have(aws->finder);
        check(credentials != NULL);
    }
    if (sign(aws, credentials, service, region, request, arena)) return err_ok();
    writer_put(message, STR("the request is too large to be signed"));
    return err_make(ERR_INPUT, 0, "sign the request");
}
