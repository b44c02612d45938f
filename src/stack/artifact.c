/* SPDX-License-Identifier: Apache-2.0 */
/* The zip's place is its content's digest: what is there is what we have, so that a HEAD decides whether to upload, and
 * trying again is harmless. Every call of S3 says whose bucket it should be. Only objects whose keys have exactly our
 * form are ever deleted: a bucket given with --bucket has others.
 *
 * A bucket with a dot in its name is addressed in the path, since no certificate covers it as a host (Amazon S3 User
 * Guide, "Virtual hosting of general purpose buckets"). It makes no buckets and no settings of them: the template of
 * the stack payhook-artifacts does. Zips of more than one PUT (5 GB) do not exist here. */
#include "stack/artifact.h"

#include "base/os.h"
#include "codec/digest.h"
#include "codec/text.h"
#include "codec/xml.h"
#include "stack/call.h"
#include "stack/zip.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { OBJECT_KEY_MAX = 1024, TARGET_MAX = 4096, OBJECTS_IN_PAGE = 200 };

/* -- Who we are ------------------------------------------------------------------------------------------ */

static struct err unread(const char *what, struct writer *message) {
    writer_format(message, "the answer of %s cannot be read; try again", what);
    return err_make(ERR_NETWORK, 0, "make sense of the answer");
}

struct err account_find(struct aws *aws, struct writer *message, char ret_account[13]) {
    struct aws_call call = {.service = "sts",
                            .operation = "GetCallerIdentity",
                            .content_type = STR("application/x-www-form-urlencoded"),
                            .body = STR("Action=GetCallerIdentity&Version=2011-06-15"),
                            .deadline_us = os_mono_us() + STACK_FIRST_CALL_MS_MAX * INT64_C(1000)};
    const struct aws_answer *answer;
    TRY(stack_call(aws, &call, message, &answer, NULL));
    if (answer->status != 200) return stack_call_refused(&call, answer, message);
    char memory[16384];
    struct arena arena = arena_make(memory, sizeof memory);
    const struct xml_node *root;
    bool full;
    if (!xml_read(answer->body, &arena, &root, &full)) return unread("AWS STS", message);
    struct str account = xml_text(xml_child(root, STR("GetCallerIdentityResult")), STR("Account"));
    uint64_t digits;
    if (account.len != 12 || !str_u64(account, UINT64_MAX, &digits)) return unread("AWS STS", message);
    memcpy(ret_account, account.ptr, 12);
    ret_account[12] = '\0';
    return err_ok();
}

/* -- The zip --------------------------------------------------------------------------------------------- */

/* What --arch calls the machines (ELF, e_machine). */
static const struct machine {
    const char *arch;
    uint16_t number;
} machines[] = {{"x86_64", EM_X86_64}, {"arm64", EM_AARCH64}};
enum { MACHINE_COUNT = sizeof machines / sizeof machines[0] };

/* NULL: it is a program for this architecture. */
static const char *program_fault(const struct zip_member *member, const char *arch, const char **ret_other) {
    const uint8_t *head = member->head;
    *ret_other = NULL;
    if (member->head_size < sizeof(Elf64_Ehdr) || memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64 ||
        head[EI_DATA] != ELFDATA2LSB)
        return "its bootstrap is no program (64-bit ELF)";
    uint16_t kind = (uint16_t)(head[16] | head[17] << 8), number = (uint16_t)(head[18] | head[19] << 8);
    if (kind != ET_EXEC && kind != ET_DYN) return "its bootstrap is no program (ELF of another kind)";
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        if (machines[i].number != number) continue;
        if (strcmp(machines[i].arch, arch) == 0) return NULL;
        *ret_other = machines[i].arch;
    }
    return "its bootstrap is for another kind of processor";
}
static_assert(ZIP_HEAD_SIZE >= sizeof(Elf64_Ehdr), "the head of a program fits");

static struct err artifact_fault(const char *path, const char *fault, const char *arch, struct writer *message) {
    writer_escaped(message, str_from(path));
    writer_format(message, ": %s; make lambda%s makes one that is right, --zip names another", fault,
                  strcmp(arch, "arm64") == 0 ? " ARCH=arm64" : "");
    return err_make(ERR_INPUT, 0, "use the function's zip");
}

static struct err judge_zip(const char *path, struct str zip, const char *arch, struct writer *message) {
    struct zip_member member;
    bool absent;
    const char *fault = zip_member_read(zip, STR("bootstrap"), &member, &absent), *other;
    char text[128];
    struct writer w = writer_make(text, sizeof text);
    if (absent)
        writer_put(&w, STR("it has no bootstrap in it"));
    else if (fault != NULL)
        writer_format(&w, "it %s", fault);
    else if (member.mode != (S_IFREG | 0755))
        writer_format(&w, "its bootstrap has mode %04o, not 0755, so that it cannot be run", member.mode & 07777);
    else if ((fault = program_fault(&member, arch, &other)) != NULL && other != NULL)
        writer_format(&w, "its bootstrap is for %s and the stack for %s (--arch)", other, arch);
    else if (fault != NULL)
        writer_put(&w, str_from(fault));
    return w.len == 0 ? err_ok() : artifact_fault(path, writer_cstr(&w), arch, message);
}

/* Amazon S3 User Guide, "General purpose bucket naming rules", as far as a name that breaks them could lead elsewhere.
 */
static bool is_bucket_name(struct str name) {
    bool good = name.len >= 3 && name.len < BUCKET_NAME_MAX && name.ptr[0] != '.' && name.ptr[0] != '-' &&
                name.ptr[name.len - 1] != '.' && name.ptr[name.len - 1] != '-';
    for (size_t i = 0; i < name.len && good; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (c == '.' && name.ptr[i + 1] != '.');
    }
    return good;
}

static void put_prefix(struct writer *w, const struct stack_names *names) {
    writer_put(w, STR("payhook/"));
    writer_put(w, str_from(names->suffix));
    writer_char(w, '/');
}

struct err artifact_read(const char *path, const struct stack_names *names, const char *arch, const char *account,
                         const char *region, const char *bucket, struct writer *message,
                         struct artifact *ret_artifact) {
    check(strcmp(arch, "x86_64") == 0 || strcmp(arch, "arm64") == 0);
    struct artifact artifact = {.is_ours = bucket == NULL};
    struct writer place = writer_make(artifact.bucket, sizeof artifact.bucket);
    if (bucket != NULL)
        writer_put(&place, str_from(bucket));
    else
        writer_format(&place, "payhook-artifacts-%s-%s", account, region);
    bool fits = !place.overflow && place.len < sizeof artifact.bucket;
    if (!fits || !is_bucket_name(writer_str(&place))) {
        writer_put(message, STR("this is not the name of an S3 bucket: "));
        writer_escaped(message, fits ? writer_str(&place) : str_from(bucket != NULL ? bucket : region));
        return err_make(ERR_INPUT, 0, "use the bucket");
    }
    (void)writer_cstr(&place);

    struct str zip;
    struct err result = os_file_read(path, STACK_ARTIFACT_SIZE_MAX, &zip);
    if (err_is(result)) {
        writer_put(message, STR("the function's zip "));
        writer_escaped(message, str_from(path));
        writer_format(message, ": could not %s (%s); make lambda%s makes it, --zip names another", result.where,
                      err_kind_text(result.kind), strcmp(arch, "arm64") == 0 ? " ARCH=arm64" : "");
        return result;
    }
    union {
        const char *text;
        char *memory;
    } content = {.text = zip.ptr};
    artifact.bytes = content.memory;
    artifact.size = zip.len;
    result = judge_zip(path, zip, arch, message);
    if (err_is(result)) {
        artifact_done(&artifact);
        return result;
    }
    uint8_t digest[32];
    digest_sha256(zip, digest);
    struct writer key = writer_make(artifact.key, sizeof artifact.key);
    put_prefix(&key, names);
    writer_format(&key, "%s/", arch);
    text_hex_write(&key, digest, sizeof digest);
    writer_put(&key, STR(".zip"));
    (void)writer_cstr(&key);
    check(!key.overflow);
    *ret_artifact = artifact;
    return err_ok();
}

void artifact_done(struct artifact *artifact) {
    free(artifact->bytes);
    *artifact = (struct artifact){0};
}

/* -- S3 -------------------------------------------------------------------------------------------------- */

/* One bucket of an account. */
struct bucket {
    struct aws *aws;
    struct str name;
    struct str account;
};

/* A call for an object (or, with key "" and a query, for the bucket), in memory of the caller's. */
struct s3_call {
    struct aws_call call;
    char prefix[BUCKET_NAME_MAX + 1], target[TARGET_MAX];
};

static void s3_call_make(const struct bucket *bucket, const char *method, const char *operation, struct str key,
                         struct str query, struct s3_call *ret) {
    *ret = (struct s3_call){.call = {.service = "s3", .operation = operation, .method = method}};
    bool in_path = str_has(bucket->name, '.');
    struct writer prefix = writer_make(ret->prefix, sizeof ret->prefix);
    struct writer target = writer_make(ret->target, sizeof ret->target);
    writer_put(&prefix, bucket->name);
    writer_char(&prefix, '.');
    writer_char(&target, '/');
    if (in_path) {
        writer_put(&target, bucket->name);
        writer_char(&target, '/');
    }
    text_percent_write(&target, key, true);
    writer_put(&target, query);
    check(!prefix.overflow && !target.overflow); /* a key has at most OBJECT_KEY_MAX bytes */
    if (!in_path) ret->call.host_prefix = writer_str(&prefix);
    ret->call.target = writer_str(&target);
    ret->call.extra[0] = (struct http_header){STR("x-amz-expected-bucket-owner"), bucket->account};
}

/* The sentence for what S3 says about a bucket rather than an object. ERR_OK: it is not of this kind. */
static struct err bucket_fault(const struct bucket *bucket, const struct aws_answer *answer, struct writer *message) {
    static const struct {
        const char *error;
        const char *sentence;
        enum err_kind kind;
    } rows[] = {
        {"NoSuchBucket", "there is no such bucket", ERR_ABSENT},
        {"InvalidBucketName", "that is no name of a bucket", ERR_INPUT},
        {"TemporaryRedirect", "S3 has not yet made the new bucket known everywhere; try again in some minutes",
         ERR_BUSY},
    };
    struct str region = client_header(answer->response, STR("x-amz-bucket-region"));
    bool elsewhere = answer->status == 301 || str_eq(answer->error, STR("PermanentRedirect")) ||
                     str_eq(answer->error, STR("AuthorizationHeaderMalformed")) ||
                     str_eq(answer->error, STR("IllegalLocationConstraintException")) ||
                     (answer->status == 400 && region.len > 0);
    const char *error = NULL, *sentence = NULL;
    enum err_kind kind = ERR_INPUT;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && sentence == NULL; i++) {
        error = rows[i].error;
        if (!str_eq(answer->error, str_from(error)) && !(answer->status == 307 && rows[i].kind == ERR_BUSY)) continue;
        sentence = rows[i].sentence;
        kind = rows[i].kind;
    }
    if (!elsewhere && sentence == NULL) return err_ok();
    writer_put(message, STR("bucket "));
    writer_escaped(message, bucket->name);
    if (!elsewhere) {
        writer_format(message, ": %s", sentence);
        return err_make(kind, 0, "use the bucket");
    }
    writer_put(message, STR(" is in another region"));
    if (region.len > 0 && !str_eq(region, str_from(aws_region(bucket->aws)))) {
        writer_put(message, STR(", "));
        writer_escaped(message, region);
    }
    writer_format(message,
                  ", and Lambda takes code from its own only: name one in %s with --bucket, or that region "
                  "with --region",
                  aws_region(bucket->aws));
    return err_make(ERR_INPUT, 0, "use the bucket");
}

/* One call whose refusals are all told. */
static struct err ask(const struct bucket *bucket, struct s3_call *s3, struct writer *message,
                      const struct aws_answer **ret_answer) {
    struct err failure = stack_call(bucket->aws, &s3->call, message, ret_answer, NULL);
    if (failure.kind == ERR_ABSENT) failure.kind = ERR_DENIED; /* credentials: here only a bucket is absent */
    if (failure.kind == ERR_DENIED && (*ret_answer)->status == 403) {
        writer_put(message, STR("; or the bucket "));
        writer_escaped(message, bucket->name);
        writer_put(message, STR(" does not belong to account "));
        writer_escaped(message, bucket->account);
    }
    if (err_is(failure) || ((*ret_answer)->status >= 200 && (*ret_answer)->status < 300)) return failure;
    TRY(bucket_fault(bucket, *ret_answer, message));
    return stack_call_refused(&s3->call, *ret_answer, message);
}

/* Without s3:ListBucket S3 answers 403 for what is not there, so that a 403 settles nothing: the PUT will. */
static struct err look(const struct bucket *bucket, const struct artifact *artifact, struct writer *message,
                       bool *ret_there) {
    struct s3_call s3;
    s3_call_make(bucket, "HEAD", "HeadObject", str_from(artifact->key), STR(""), &s3);
    const struct aws_answer *answer;
    struct writer sentence = *message;
    struct err failure = stack_call(bucket->aws, &s3.call, &sentence, &answer, NULL);
    *ret_there = false;
    if (failure.kind == ERR_DENIED && answer->status == 403) return err_ok();
    if (err_is(failure)) {
        *message = sentence;
        if (failure.kind == ERR_ABSENT) failure.kind = ERR_DENIED; /* as in ask */
        return failure;
    }
    if (answer->status == 404) return err_ok();
    if (answer->status != 200) {
        TRY(bucket_fault(bucket, answer, message));
        return stack_call_refused(&s3.call, answer, message);
    }
    uint64_t size;
    struct str length = client_header(answer->response, STR("content-length"));
    *ret_there = str_u64(length, UINT64_MAX, &size) && size == artifact->size;
    return err_ok();
}

struct err artifact_upload(struct aws *aws, const struct artifact *artifact, const char *account,
                           struct writer *message, bool *ret_new) {
    const struct bucket bucket = {aws, str_from(artifact->bucket), str_from(account)};
    bool there;
    TRY(look(&bucket, artifact, message, &there));
    if (!there) {
        struct s3_call s3;
        const struct aws_answer *answer;
        s3_call_make(&bucket, "PUT", "PutObject", str_from(artifact->key), STR(""), &s3);
        s3.call.content_type = STR("application/zip");
        s3.call.body = str_make(artifact->bytes, artifact->size);
        s3.call.deadline_us = os_mono_us() + STACK_UPLOAD_MS_MAX * INT64_C(1000);
        TRY(ask(&bucket, &s3, message, &answer));
    }
    *ret_new = !there;
    return err_ok();
}

/* -- Lists ----------------------------------------------------------------------------------------------- */

/* "payhook/SUFFIX/ARCH/SHA256.zip" */
static bool is_our_key(struct str key, struct str prefix) {
    struct str arch, file;
    uint8_t digest[32];
    if (!str_starts(key, prefix) || !str_cut(str_from_index(key, prefix.len), '/', &arch, &file)) return false;
    bool known = false;
    for (size_t i = 0; i < MACHINE_COUNT; i++)
        known = known || str_eq(arch, str_from(machines[i].arch));
    return known && str_ends(file, STR(".zip")) &&
           text_hex_read(str_make(file.ptr, file.len - 4), TEXT_HEX_LOWER, digest, sizeof digest);
}

/* What a list is wanted for. */
struct listing {
    const struct bucket *bucket;
    struct str prefix, keep, keep_too;
    struct arena *arena; /* of one page */
    struct writer *message;
};

static struct err delete_page(const struct listing *listing, const struct xml_node *result) {
    for (const struct xml_node *item = xml_child(result, STR("Contents")); item != NULL; item = xml_next(item)) {
        char text[OBJECT_KEY_MAX];
        struct writer w = writer_make(text, sizeof text);
        if (!text_percent_read(&w, xml_text(item, STR("Key")), true) || w.overflow) continue; /* none of ours */
        struct str key = writer_str(&w);
        if (!is_our_key(key, listing->prefix) || str_eq(key, listing->keep) || str_eq(key, listing->keep_too)) continue;
        struct s3_call s3;
        const struct aws_answer *answer;
        s3_call_make(listing->bucket, "DELETE", "DeleteObject", key, STR(""), &s3);
        TRY(ask(listing->bucket, &s3, listing->message, &answer));
    }
    return err_ok();
}

/* One page, in the arena; token "" for the first. */
static struct err list_page(const struct listing *listing, struct str prefix, uint32_t count, struct str token,
                            const struct xml_node **ret_result) {
    char text[TARGET_MAX - BUCKET_NAME_MAX - 8];
    struct writer query = writer_make(text, sizeof text);
    writer_char(&query, '?');
    if (token.len > 0) {
        writer_put(&query, STR("continuation-token="));
        text_percent_write(&query, token, false);
        writer_char(&query, '&');
    }
    writer_format(&query, "encoding-type=url&list-type=2&max-keys=%u&prefix=", count);
    text_percent_write(&query, prefix, false);
    if (query.overflow) return unread("Amazon S3", listing->message);
    struct s3_call s3;
    const struct aws_answer *answer;
    s3_call_make(listing->bucket, "GET", "ListObjectsV2", STR(""), writer_str(&query), &s3);
    TRY(ask(listing->bucket, &s3, listing->message, &answer));
    bool full;
    arena_reset(listing->arena);
    if (!xml_read(answer->body, listing->arena, ret_result, &full) ||
        !str_eq((*ret_result)->name, STR("ListBucketResult")))
        return unread("Amazon S3", listing->message);
    return err_ok();
}

/* Deletes all of this prefix but what is kept. */
static struct err delete_all(const struct listing *listing) {
    char memory[TARGET_MAX];
    struct str token = STR("");
    for (size_t pages = 0; pages < STACK_OBJECTS_PAGES_MAX; pages++) {
        const struct xml_node *result = NULL;
        TRY(list_page(listing, listing->prefix, OBJECTS_IN_PAGE, token, &result));
        TRY(delete_page(listing, result));
        if (!str_eq(xml_text(result, STR("IsTruncated")), STR("true"))) return err_ok();
        struct writer w = writer_make(memory, sizeof memory);
        writer_put(&w, xml_text(result, STR("NextContinuationToken")));
        token = writer_str(&w);
        if (w.overflow || token.len == 0) break;
    }
    return unread("Amazon S3", listing->message);
}

/* ret_others may be NULL. A bucket that is not there holds nothing. */
static struct err clean(struct aws *aws, const char *name, const char *account, const struct stack_names *names,
                        struct str keep, struct str keep_too, struct writer *message, bool *ret_others) {
    char text[ARTIFACT_KEY_MAX];
    struct writer prefix = writer_make(text, sizeof text);
    put_prefix(&prefix, names);
    void *memory = malloc(STACK_OBJECTS_ARENA_SIZE);
    if (memory == NULL) {
        writer_put(message, STR("no memory for the list of the bucket"));
        return err_make(ERR_MEMORY, 0, "list the bucket");
    }
    struct arena arena = arena_make(memory, STACK_OBJECTS_ARENA_SIZE);
    const struct bucket bucket = {aws, str_from(name), str_from(account)};
    const struct listing listing = {&bucket, writer_str(&prefix), keep, keep_too, &arena, message};
    struct writer before = *message;
    const struct xml_node *result = NULL;
    struct err failure = delete_all(&listing);
    if (!err_is(failure) && ret_others != NULL) failure = list_page(&listing, STR(""), 1, STR(""), &result);
    if (failure.kind == ERR_ABSENT) {
        *message = before;
        failure = err_ok();
    }
    if (!err_is(failure) && ret_others != NULL) *ret_others = xml_child(result, STR("Contents")) != NULL;
    free(memory);
    return failure;
}

struct err artifact_prune(struct aws *aws, const char *bucket, const char *account, const struct stack_names *names,
                          struct str keep, struct str keep_too, struct writer *message) {
    return clean(aws, bucket, account, names, keep, keep_too, message, NULL);
}

struct err artifact_remove(struct aws *aws, const char *bucket, const char *account, const struct stack_names *names,
                           struct writer *message, bool *ret_others) {
    return clean(aws, bucket, account, names, STR(""), STR(""), message, ret_others);
}
