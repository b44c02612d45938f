/* SPDX-License-Identifier: Apache-2.0 */
/* A call is a form (AWS Query protocol): its parameters written one by one into the arena, or into memory of its own
 * where no arena is given. An answer is XML, read into the arena; one that breaks off is asked for again, which is safe
 * because everything that changes something carries a token.
 *
 * It decides nothing about stacks (stack/state.c, stack/apply.c) and knows of no nested stacks, stack sets or drift. */
#include "stack/cloudformation.h"

#include "base/limits.h"
#include "codec/text.h"
#include "stack/call.h"

enum { READ_TRIES = 3, SMALL_BODY_SIZE = 8192 };

/* -- Asking ---------------------------------------------------------------------------------------------- */

struct query {
    const char *operation;
    struct writer body;
};

static struct query query_make(const char *operation, struct writer body) {
    struct query query = {operation, body};
    writer_put(&query.body, STR("Action="));
    writer_put(&query.body, str_from(operation));
    writer_put(&query.body, STR("&Version=2010-05-15"));
    return query;
}

static void query_put(struct query *query, const char *name, struct str value) {
    writer_char(&query->body, '&');
    writer_put(&query->body, str_from(name));
    writer_char(&query->body, '=');
    text_percent_write(&query->body, value, false);
}

/* "Parameters.member.3.ParameterKey"; counted from 1. */
static void query_put_pairs(struct query *query, const char *list, const char *key, const char *value,
                            const struct stack_pair *pairs, size_t count) {
    char name[96];
    for (size_t i = 0; i < count; i++) {
        for (int is_value = 0; is_value < 2; is_value++) {
            struct writer w = writer_make(name, sizeof name);
            writer_format(&w, "%s.member.%zu.%s", list, i + 1, is_value ? value : key);
            query_put(query, writer_cstr(&w), is_value ? pairs[i].value : pairs[i].key);
        }
    }
}

static void query_put_imports(struct query *query, const struct stack_import *imports, size_t count) {
    static const char *const forms[] = {"ResourceType", "LogicalResourceId", "ResourceIdentifier.entry.1.key",
                                        "ResourceIdentifier.entry.1.value"};
    char name[96];
    for (size_t i = 0; i < count; i++) {
        const struct str values[] = {imports[i].type, imports[i].logical_id, imports[i].identifier, imports[i].value};
        for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
            struct writer w = writer_make(name, sizeof name);
            writer_format(&w, "ResourcesToImport.member.%zu.%s", i + 1, forms[k]);
            query_put(query, writer_cstr(&w), values[k]);
        }
    }
}

static struct err ask(struct aws *aws, const struct query *query, struct aws_call *call, struct writer *message,
                      const struct aws_answer **ret_answer, bool *ret_unsure) {
    if (query->body.overflow) {
        writer_format(message, "the request %s is larger than can be sent", query->operation);
        return err_make(ERR_INPUT, 0, "ask CloudFormation");
    }
    *call = (struct aws_call){
        .service = "cloudformation",
        .operation = query->operation,
        .content_type = STR("application/x-www-form-urlencoded; charset=utf-8"),
        .body = writer_str(&query->body),
    };
    return stack_call(aws, call, message, ret_answer, ret_unsure);
}

static bool is_good(const struct aws_answer *answer) { return answer->status >= 200 && answer->status < 300; }

static struct err no_room(const struct query *query, struct writer *message) {
    writer_format(message, "CloudFormation's answers to %s are larger than this program takes", query->operation);
    return err_make(ERR_MEMORY, 0, "read the answer");
}

/* <XResponse><XResult>…: the result. NULL with ERR_OK: the answer is an error of the service's. */
static struct err ask_for(struct aws *aws, const struct query *query, struct arena *arena, struct aws_call *call,
                          struct writer *message, const struct aws_answer **ret_answer, bool *ret_unsure,
                          const struct xml_node **ret_result) {
    bool unsure = false;
    *ret_result = NULL;
    if (ret_unsure != NULL) *ret_unsure = false;
    char name[64];
    struct writer w = writer_make(name, sizeof name);
    writer_format(&w, "%sResult", query->operation);
    for (int tries = 0; tries < READ_TRIES; tries++) {
        TRY(ask(aws, query, call, message, ret_answer, &unsure));
        if (ret_unsure != NULL) *ret_unsure |= unsure || tries > 0;
        if (!is_good(*ret_answer)) return err_ok();
        struct arena before = *arena;
        const struct xml_node *root;
        bool full = false;
        if (xml_read((*ret_answer)->body, arena, &root, &full)) *ret_result = xml_child(root, writer_str(&w));
        if (*ret_result != NULL) return err_ok();
        *arena = before;
        if (full) return no_room(query, message);
    }
    writer_format(message, "CloudFormation's answer to %s breaks off, or is no XML that it writes: try again",
                  query->operation);
    return err_make(ERR_NETWORK, 0, "read the answer");
}

static bool says(const struct aws_answer *answer, struct str code, const char *words) {
    if (!str_eq(answer->error, code)) return false;
    size_t size = strlen(words);
    return size == 0 || (answer->error_message.len > 0 &&
                         memmem(answer->error_message.ptr, answer->error_message.len, words, size) != NULL);
}

static bool is_absent(const struct aws_answer *answer) {
    return says(answer, STR("ValidationError"), "does not exist") || says(answer, STR("ChangeSetNotFound"), "");
}

/* -- Stacks ---------------------------------------------------------------------------------------------- */

struct str stack_pair_value(const struct stack_pair *pairs, size_t count, struct str key) {
    for (size_t i = 0; i < count; i++)
        if (str_eq(pairs[i].key, key)) return pairs[i].value;
    return STR("");
}

/* "2026-11-25T13:00:00.123Z": microseconds since 1970, 0 where it is none. */
static int64_t time_of(struct str text) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    enum { FORM_SIZE = sizeof form - 1 };
    char bare[17];
    size_t size = 0;
    int64_t seconds;
    if (text.len < FORM_SIZE) return 0;
    for (size_t i = 0; i < FORM_SIZE; i++) {
        bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        if (form[i] == 'd' ? !digit : text.ptr[i] != form[i]) return 0;
        if (form[i] != '-' && form[i] != ':') bare[size++] = text.ptr[i];
    }
    bare[size++] = 'Z';
    if (!text_amz_date_read(str_make(bare, size), &seconds)) return 0;
    int64_t us = 0, unit = 100000;
    size_t at = FORM_SIZE;
    if (at < text.len && text.ptr[at] == '.')
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++, unit /= 10)
            us += unit * (text.ptr[at] - '0');
    return seconds * 1000000 + us;
}

static size_t read_pairs(const struct xml_node *list, struct str key, struct str value, struct stack_pair *pairs,
                         size_t max) {
    size_t count = 0;
    const struct xml_node *member = xml_child(list, STR("member"));
    for (; member != NULL && count < max; member = xml_next(member))
        pairs[count++] = (struct stack_pair){xml_text(member, key), xml_text(member, value)};
    return count;
}

/* Names of outputs are alphanumeric in a template; spec/stack.md's are "lambda_function_url". ptr NULL: no room. */
static struct str output_name(struct str key, struct arena *arena) {
    struct writer w = arena_writer(arena);
    for (size_t i = 0; i < key.len; i++) {
        bool capital = key.ptr[i] >= 'A' && key.ptr[i] <= 'Z';
        if (capital && i > 0) writer_char(&w, '_');
        writer_char(&w, capital ? (char)(key.ptr[i] - 'A' + 'a') : key.ptr[i]);
    }
    return arena_take(arena, &w);
}

static bool read_stack(const struct xml_node *node, struct arena *arena, struct stack_description *stack) {
    static const struct str times[] = {{"DeletionTime", 12}, {"LastUpdatedTime", 15}, {"CreationTime", 12}};
    stack->exists = true;
    stack->id = xml_text(node, STR("StackId"));
    stack->status = xml_text(node, STR("StackStatus"));
    stack->reason = xml_text(node, STR("StackStatusReason"));
    for (size_t i = 0; i < sizeof times / sizeof times[0] && stack->began_us == 0; i++)
        stack->began_us = time_of(xml_text(node, times[i]));
    stack->parameter_count = read_pairs(xml_child(node, STR("Parameters")), STR("ParameterKey"), STR("ParameterValue"),
                                        stack->parameters, STACK_PARAMETERS_MAX);
    stack->output_count = read_pairs(xml_child(node, STR("Outputs")), STR("OutputKey"), STR("OutputValue"),
                                     stack->outputs, STACK_OUTPUTS_MAX);
    stack->tag_count = read_pairs(xml_child(node, STR("Tags")), STR("Key"), STR("Value"), stack->tags, STACK_TAGS_MAX);
    for (size_t i = 0; i < stack->output_count; i++) {
        stack->outputs[i].key = output_name(stack->outputs[i].key, arena);
        if (stack->outputs[i].key.ptr == NULL) return false;
    }
    return true;
}

struct err cloudformation_describe_stack(struct aws *aws, struct str name, struct arena *arena, struct writer *message,
                                         struct stack_description *ret_stack) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DescribeStacks", writer_make(memory, sizeof memory));
    query_put(&query, "StackName", name);
    struct aws_call call;
    const struct aws_answer *answer;
    const struct xml_node *result;
    TRY(ask_for(aws, &query, arena, &call, message, &answer, NULL, &result));
    struct stack_description stack = {.id = STR(""), .status = STR(""), .reason = STR("")};
    if (result == NULL && !is_absent(answer)) return stack_call_refused(&call, answer, message);
    const struct xml_node *node = result != NULL ? xml_child(xml_child(result, STR("Stacks")), STR("member")) : NULL;
    if (node != NULL && !read_stack(node, arena, &stack)) return no_room(&query, message);
    *ret_stack = stack;
    return err_ok();
}

struct err cloudformation_delete_stack(struct aws *aws, struct str name_or_id, struct str token,
                                       struct writer *message) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DeleteStack", writer_make(memory, sizeof memory));
    query_put(&query, "StackName", name_or_id);
    query_put(&query, "ClientRequestToken", token);
    struct aws_call call;
    const struct aws_answer *answer;
    TRY(ask(aws, &query, &call, message, &answer, NULL));
    if (is_good(answer) || is_absent(answer) || says(answer, STR("TokenAlreadyExistsException"), "")) return err_ok();
    struct err failure = stack_call_refused(&call, answer, message);
    if (says(answer, STR("ValidationError"), "TerminationProtection")) {
        writer_put(message, STR("; aws cloudformation update-termination-protection "
                                "--no-enable-termination-protection --stack-name "));
        stack_text(message, name_or_id);
        writer_format(message, " --region %s takes the protection off", aws_region(aws));
    }
    return failure;
}

/* -- Change sets ----------------------------------------------------------------------------------------- */

static struct err find_change_set(struct aws *aws, const struct change_set_request *request, struct arena *arena,
                                  struct aws_call *call, struct writer *message, const struct aws_answer **ret_answer,
                                  const struct xml_node **ret_result) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DescribeChangeSet", writer_make(memory, sizeof memory));
    query_put(&query, "ChangeSetName", request->name);
    query_put(&query, "StackName", request->stack);
    return ask_for(aws, &query, arena, call, message, ret_answer, NULL, ret_result);
}

struct err cloudformation_create_change_set(struct aws *aws, const struct change_set_request *request,
                                            struct arena *arena, struct writer *message, struct str *ret_id) {
    if (request->template.len > STACK_TEMPLATE_SIZE_MAX) {
        writer_format(message,
                      "the template has %zu bytes, and CloudFormation takes at most %d in a call: write it to a file "
                      "(payhook stack template) and deploy that through a bucket (aws cloudformation deploy "
                      "--template-file FILE --s3-bucket BUCKET)",
                      request->template.len, STACK_TEMPLATE_SIZE_MAX);
        return err_make(ERR_INPUT, 0, "send the template");
    }
    struct arena scratch = *arena;
    struct query query = query_make("CreateChangeSet", arena_writer(&scratch));
    query_put(&query, "StackName", request->stack);
    query_put(&query, "ChangeSetName", request->name);
    query_put(&query, "ClientToken", request->name);
    query_put(&query, "ChangeSetType",
              request->import_count > 0 ? STR("IMPORT")
              : request->create         ? STR("CREATE")
                                        : STR("UPDATE"));
    query_put(&query, "Capabilities.member.1", STR("CAPABILITY_NAMED_IAM"));
    query_put_imports(&query, request->imports, request->import_count);
    query_put_pairs(&query, "Parameters", "ParameterKey", "ParameterValue", request->parameters,
                    request->parameter_count);
    query_put_pairs(&query, "Tags", "Key", "Value", request->tags, request->tag_count);
    query_put(&query, "TemplateBody", request->template);
    (void)arena_take(&scratch, &query.body); /* what is read goes behind it */
    struct aws_call call;
    const struct aws_answer *answer;
    const struct xml_node *result;
    bool unsure;
    TRY(ask_for(aws, &query, &scratch, &call, message, &answer, &unsure, &result));
    if (result == NULL && unsure && says(answer, STR("AlreadyExistsException"), ""))
        TRY(find_change_set(aws, request, &scratch, &call, message, &answer, &result)); /* an earlier try has made it */
    if (result == NULL) return stack_call_refused(&call, answer, message);
    struct str id = xml_text(result, STR("Id"));
    if (id.len == 0) id = xml_text(result, STR("ChangeSetId"));
    /* The request is let go: the id moves to where it stood. */
    char *place = arena_alloc(arena, 1, 1, 0);
    check(place != NULL && place <= id.ptr);
    memmove(place, id.ptr, id.len);
    arena->used += id.len;
    *ret_id = str_make(place, id.len);
    return err_ok();
}

struct err cloudformation_describe_change_set(struct aws *aws, struct str id, struct str next_token,
                                              struct arena *arena, struct writer *message,
                                              struct change_set_state *ret_state) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DescribeChangeSet", writer_make(memory, sizeof memory));
    query_put(&query, "ChangeSetName", id);
    query_put(&query, "IncludePropertyValues", STR("true"));
    if (next_token.len > 0) query_put(&query, "NextToken", next_token);
    struct aws_call call;
    const struct aws_answer *answer;
    const struct xml_node *result;
    TRY(ask_for(aws, &query, arena, &call, message, &answer, NULL, &result));
    if (result == NULL) {
        struct err failure = stack_call_refused(&call, answer, message);
        return is_absent(answer) ? err_make(ERR_ABSENT, 0, "find the change set") : failure;
    }
    *ret_state = (struct change_set_state){
        .status = xml_text(result, STR("Status")),
        .reason = xml_text(result, STR("StatusReason")),
        .result = result,
        .next_token = xml_text(result, STR("NextToken")),
    };
    return err_ok();
}

struct err cloudformation_delete_change_set(struct aws *aws, struct str id, struct writer *message) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DeleteChangeSet", writer_make(memory, sizeof memory));
    query_put(&query, "ChangeSetName", id);
    struct aws_call call;
    const struct aws_answer *answer;
    TRY(ask(aws, &query, &call, message, &answer, NULL));
    if (is_good(answer) || is_absent(answer)) return err_ok();
    struct err failure = stack_call_refused(&call, answer, message);
    bool busy = says(answer, STR("InvalidChangeSetStatus"), "");
    return busy ? err_make(ERR_BUSY, 0, "delete the change set") : failure;
}

struct err cloudformation_execute_change_set(struct aws *aws, struct str id, struct str token, struct writer *message) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("ExecuteChangeSet", writer_make(memory, sizeof memory));
    query_put(&query, "ChangeSetName", id);
    query_put(&query, "ClientRequestToken", token);
    struct aws_call call;
    const struct aws_answer *answer;
    bool unsure;
    TRY(ask(aws, &query, &call, message, &answer, &unsure));
    if (is_good(answer) || says(answer, STR("TokenAlreadyExistsException"), "")) return err_ok();
    bool stale = says(answer, STR("InvalidChangeSetStatus"), "");
    if (stale && unsure) return err_ok(); /* an earlier try has begun it; the watch will tell */
    struct err failure = stack_call_refused(&call, answer, message);
    if (stale) return err_make(ERR_BUSY, 0, "execute the change set");
    return is_absent(answer) ? err_make(ERR_ABSENT, 0, "execute the change set") : failure;
}

/* -- Events ---------------------------------------------------------------------------------------------- */

struct page {
    struct page *newer;
    struct stack_event *events; /* the newest first */
    size_t count;
    struct str next_token;
};

static void read_event(const struct xml_node *node, struct stack_event *event) {
    struct str stack_id = xml_text(node, STR("StackId"));
    *event = (struct stack_event){
        .event_id = xml_text(node, STR("EventId")),
        .logical_id = xml_text(node, STR("LogicalResourceId")),
        .type = xml_text(node, STR("ResourceType")),
        .status = xml_text(node, STR("ResourceStatus")),
        .reason = xml_text(node, STR("ResourceStatusReason")),
        .at_us = time_of(xml_text(node, STR("Timestamp"))),
        .is_stack = stack_id.len > 0 && str_eq(xml_text(node, STR("PhysicalResourceId")), stack_id),
    };
}

/* A stack that is gone has no events: an empty page. */
static struct err read_page(struct aws *aws, struct str stack_id, struct str token, struct arena *arena,
                            struct writer *message, struct page *ret_page) {
    char memory[SMALL_BODY_SIZE];
    struct query query = query_make("DescribeStackEvents", writer_make(memory, sizeof memory));
    query_put(&query, "StackName", stack_id);
    if (token.len > 0) query_put(&query, "NextToken", token);
    struct aws_call call;
    const struct aws_answer *answer;
    const struct xml_node *result;
    TRY(ask_for(aws, &query, arena, &call, message, &answer, NULL, &result));
    if (result == NULL && !is_absent(answer)) return stack_call_refused(&call, answer, message);
    const struct xml_node *first =
        result != NULL ? xml_child(xml_child(result, STR("StackEvents")), STR("member")) : NULL;
    size_t count = 0;
    for (const struct xml_node *member = first; member != NULL; member = xml_next(member))
        count++;
    struct page page = {.events = arena_new(arena, struct stack_event, count), .count = count};
    page.next_token = result != NULL ? xml_text(result, STR("NextToken")) : STR("");
    if (page.events == NULL) return no_room(&query, message);
    for (size_t i = 0; i < count; i++, first = xml_next(first))
        read_event(first, &page.events[i]);
    *ret_page = page;
    return err_ok();
}

struct err cloudformation_newest_event(struct aws *aws, struct str stack_id, struct arena *arena,
                                       struct writer *message, int64_t *ret_at_us) {
    struct arena scratch = *arena;
    struct page page;
    TRY(read_page(aws, stack_id, STR(""), &scratch, message, &page));
    int64_t newest = 0;
    for (size_t i = 0; i < page.count; i++)
        if (page.events[i].at_us > newest) newest = page.events[i].at_us;
    *ret_at_us = newest;
    return err_ok();
}

/* Beyond this page all is known, or not ours. Whole pages are looked at, since events that come late stand behind newer
 * ones. */
static bool is_last(const struct page *page, const struct progress *progress) {
    for (size_t i = 0; i < page->count; i++)
        if (page->events[i].at_us < progress->started_us || progress_has(progress, page->events[i].event_id))
            return true;
    return page->next_token.len == 0;
}

struct err cloudformation_follow(struct aws *aws, struct str stack_id, struct arena *arena, struct writer *message,
                                 struct progress *progress) {
    struct arena scratch = *arena;
    struct page *newer = NULL;
    struct str token = STR("");
    for (;;) {
        struct page *page = arena_new(&scratch, struct page, 1);
        if (page == NULL) return no_room(&(struct query){.operation = "DescribeStackEvents"}, message);
        TRY(read_page(aws, stack_id, token, &scratch, message, page));
        page->newer = newer;
        newer = page;
        if (is_last(page, progress)) break;
        token = page->next_token;
    }
    for (const struct page *page = newer; page != NULL; page = page->newer)
        for (size_t i = page->count; i > 0; i--)
            (void)progress_add(progress, &page->events[i - 1]);
    return err_ok();
}
