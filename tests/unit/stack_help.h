/* SPDX-License-Identifier: Apache-2.0 */
/* A CloudFormation that follows a script, on loopback: each step is one request that must come and the answer to it.
 * One connection carries one request, so that what breaks is the request that was meant to. */
#ifndef PAYHOOK_TESTS_STACK_HELP_H
#define PAYHOOK_TESTS_STACK_HELP_H

#include "net/aws.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRIPT_REQUEST_SIZE = 1 << 18, SCRIPT_BROKEN = 1, SCRIPT_HALF = 2 };

struct script_step {
    const char *asks; /* words, each of which the request's form must hold; NULL ends the script */
    int status;       /* SCRIPT_BROKEN: closed without an answer; SCRIPT_HALF: 200, closed half-way */
    const char *body;
    bool stays; /* it answers all further requests that hold its words, too */
};

struct script_stand {
    const struct script_step *steps;
    size_t at, count; /* the next step; requests */
    char trouble[4096];
    char *request;
    int listener;
    uint16_t port;
    pthread_t thread;
};

static inline bool script_read(struct script_stand *stand, int fd) {
    size_t size = 0, head = 0, body = 0;
    while (head == 0 || size < head + body) {
        long got = recv(fd, stand->request + size, SCRIPT_REQUEST_SIZE - 1 - size, 0);
        if (got <= 0) return false;
        size += (size_t)got;
        stand->request[size] = '\0';
        const char *end = strstr(stand->request, "\r\n\r\n");
        if (head > 0 || end == NULL) continue;
        head = (size_t)(end - stand->request) + 4;
        const char *length = strcasestr(stand->request, "content-length:");
        if (length != NULL && length < end) body = strtoul(length + 15, NULL, 10);
    }
    return true;
}

static inline bool script_holds(const char *request, const char *words) {
    char word[512];
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)size, words);
        if (strstr(request, word) == NULL) return false;
        words += size;
        words += strspn(words, " ");
    }
    return true;
}

static inline void script_answer(const struct script_step *step, int fd) {
    char head[256];
    if (step->status == SCRIPT_BROKEN) return;
    size_t size = strlen(step->body), sent = step->status == SCRIPT_HALF ? size / 2 : size;
    int head_size =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d X\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                 step->status == SCRIPT_HALF ? 200 : step->status, size);
    (void)!send(fd, head, (size_t)head_size, MSG_NOSIGNAL);
    (void)!send(fd, step->body, sent, MSG_NOSIGNAL);
}

static inline void *script_run(void *context) {
    struct script_stand *stand = context;
    for (;;) {
        int fd = accept(stand->listener, NULL, NULL);
        if (fd < 0) return NULL;
        if (script_read(stand, fd)) {
            const char *form = strstr(stand->request, "\r\n\r\n") + 4;
            const struct script_step *step = &stand->steps[stand->at];
            size_t back = stand->at;
            while (back > 0 && stand->steps[back - 1].stays && !script_holds(form, stand->steps[back - 1].asks))
                back--;
            stand->count++;
            if (step->asks != NULL && script_holds(form, step->asks)) {
                stand->at++;
                script_answer(step, fd);
            } else if (back > 0 && stand->steps[back - 1].stays) {
                script_answer(&stand->steps[back - 1], fd);
            } else {
                script_answer(&(const struct script_step){"", 400, "<Error><Code>OffScript</Code></Error>", false}, fd);
                if (stand->trouble[0] == '\0')
                    (void)snprintf(stand->trouble, sizeof stand->trouble, "step %zu wants %s, and there came %.300s",
                                   stand->at, step->asks != NULL ? step->asks : "nothing", form);
            }
        }
        close(fd);
    }
}

static inline void script_open(struct script_stand *stand, const struct script_step *steps) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    *stand = (struct script_stand){.steps = steps, .request = malloc(SCRIPT_REQUEST_SIZE)};
    stand->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stand->request == NULL || stand->listener < 0 ||
        bind(stand->listener, (struct sockaddr *)&address, size) != 0 || listen(stand->listener, 128) != 0 ||
        getsockname(stand->listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&stand->thread, NULL, script_run, stand) != 0)
        abort();
    stand->port = ntohs(address.sin_port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", stand->port);
    setenv("AWS_ENDPOINT_URL", url, 1);
}

/* What did not go by the script, or NULL. */
static inline const char *script_close(struct script_stand *stand) {
    (void)shutdown(stand->listener, SHUT_RDWR);
    pthread_join(stand->thread, NULL);
    close(stand->listener);
    free(stand->request);
    if (stand->trouble[0] == '\0' && stand->steps[stand->at].asks != NULL)
        (void)snprintf(stand->trouble, sizeof stand->trouble, "step %zu did not come: %s", stand->at,
                       stand->steps[stand->at].asks);
    return stand->trouble[0] == '\0' ? NULL : stand->trouble;
}

static inline struct aws *script_aws(void) {
    static const char *const unset[] = {"AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_XRAY_DAEMON_ADDRESS",
                                        "AWS_ENDPOINT_URL_S3",
                                        "AWS_ENDPOINT_URL_CLOUDFORMATION",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        unsetenv(unset[i]);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
    setenv("AWS_REGION", "us-east-1", 1);
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    struct aws *aws;
    if (err_is(aws_open(&(const struct aws_options){0}, &message, &aws))) abort();
    return aws;
}

/* -- Answers as CloudFormation writes them --------------------------------------------------------------- */

#define CF_NAMESPACE " xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\""
#define CF_STACK_ID                                                                                                    \
    "arn:aws:cloudformation:us-east-1:123456789012:stack/TapStack-dev/aaf549a0-a413-11df-adb3-5081b3858e83"
#define CF_ANSWER(operation, content)                                                                                  \
    "<" operation "Response" CF_NAMESPACE ">\n  <" operation "Result>" content "</" operation                          \
    "Result>\n  <ResponseMetadata>\n    <RequestId>b9b4b068-3a41-11e5-94eb-example</RequestId>\n"                      \
    "  </ResponseMetadata>\n</" operation "Response>\n"
#define CF_ERROR(code, message)                                                                                        \
    "<ErrorResponse" CF_NAMESPACE ">\n  <Error>\n    <Type>Sender</Type>\n    <Code>" code                             \
    "</Code>\n    <Message>" message                                                                                   \
    "</Message>\n  </Error>\n  <RequestId>b9b4b068-3a41-11e5-94eb-example</RequestId>\n</ErrorResponse>\n"
#define CF_STACK_WITH(status, more)                                                                                    \
    CF_ANSWER("DescribeStacks",                                                                                        \
              "<Stacks><member><StackName>TapStack-dev</StackName><StackId>" CF_STACK_ID                               \
              "</StackId><CreationTime>2026-11-25T12:00:00.000Z</CreationTime><StackStatus>" status                    \
              "</StackStatus><DisableRollback>false</DisableRollback><NotificationARNs/>" more "</member></Stacks>")
#define CF_STACK(status) CF_STACK_WITH(status, "")
#define CF_NO_STACK      CF_ERROR("ValidationError", "Stack with id TapStack-dev does not exist")
#define CF_EVENT(number, seconds, physical, logical, type, status, reason)                                             \
    "<member><StackId>" CF_STACK_ID "</StackId><EventId>" number "</EventId><StackName>TapStack-dev</StackName>"       \
    "<LogicalResourceId>" logical "</LogicalResourceId><PhysicalResourceId>" physical                                  \
    "</PhysicalResourceId><ResourceType>" type "</ResourceType><Timestamp>2026-11-25T12:" seconds                      \
    "Z</Timestamp><ResourceStatus>" status "</ResourceStatus>" reason                                                  \
    "<ResourceProperties>{&quot;a&quot;:&quot;b&quot;}</ResourceProperties></member>"
#define CF_REASON(text) "<ResourceStatusReason>" text "</ResourceStatusReason>"
#define CF_STACK_EVENT(number, seconds, status, reason)                                                                \
    CF_EVENT(number, seconds, CF_STACK_ID, "TapStack-dev", "AWS::CloudFormation::Stack", status, reason)
#define CF_EVENTS(members, token) CF_ANSWER("DescribeStackEvents", "<StackEvents>" members "</StackEvents>" token)

#endif
