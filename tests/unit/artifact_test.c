/* SPDX-License-Identifier: Apache-2.0 */
/* The account, the zip and its bucket, over services that follow a script: what is asked and in which order, what is
 * deleted and what is not, and the sentence for every refusal. */
#include "stack/artifact.h"

#include "aws_stub.h"
#include "base/limits.h"
#include "zip_help.h"

#include <unistd.h>

#define ACCOUNT "123456789012"
#define BUCKET  "payhook-artifacts-123456789012-eu-west-1"
#define SHA     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_2   "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_3   "2123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY     "payhook/dev/x86_64/" SHA ".zip"
#define AT      " " BUCKET ". /"

static struct stack_names names;

static int set_up(void **state) {
    (void)state; /* there is none */
    stack_names_make(STR("dev"), &names);
    return 0;
}

/* -- The account ----------------------------------------------------------------------------------------- */

#define IDENTITY(account)                                                                                              \
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"         \
    "<Arn>arn:aws:iam::1:user/x</Arn><Account>" account                                                                \
    "</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

static void test_account(void **state) {
    (void)state; /* there is none */
    static const struct {
        int status;
        const char *error, *body;
        enum err_kind kind;
        const char *sentence;
    } cases[] = {
        {200, NULL, IDENTITY(ACCOUNT), ERR_OK, ""},
        {200, NULL, IDENTITY("12345678901"), ERR_NETWORK, "cannot be read"},
        {200, NULL, IDENTITY("1234567890123"), ERR_NETWORK, "cannot be read"},
        {200, NULL, IDENTITY("12345678901x"), ERR_NETWORK, "cannot be read"},
        {200, NULL, IDENTITY(""), ERR_NETWORK, "cannot be read"},
        {200, NULL, "<a/>", ERR_NETWORK, "cannot be read"},
        {200, NULL, "{}", ERR_NETWORK, "cannot be read"},
        {200, NULL, "", ERR_NETWORK, "cannot be read"},
        {403, "InvalidClientTokenId", "", ERR_DENIED, "AWS_ACCESS_KEY_ID"},
        {403, "SignatureDoesNotMatch", "", ERR_DENIED, "secret access key"},
        {400, "SomethingElse", "", ERR_INPUT, "AWS STS refuses GetCallerIdentity"},
        {0, NULL, NULL, ERR_NETWORK, "is eu-west-1 a region"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct stub_row row = {"GetCallerIdentity",
                                     "POST  \nAction=GetCallerIdentity&Version=2011-06-15",
                                     cases[i].status,
                                     cases[i].error,
                                     cases[i].body,
                                     NULL,
                                     NULL};
        char text[1024], account[13] = "untouched";
        struct writer message = writer_make(text, sizeof text);
        stub_open(&row, 1);
        struct err result = account_find(&stub_aws, &message, account);
        if (result.kind != cases[i].kind || strstr(writer_cstr(&message), cases[i].sentence) == NULL)
            fail_msg("%zu: %d, %s", i, (int)result.kind, text);
        assert_string_equal(account, cases[i].kind == ERR_OK ? ACCOUNT : "untouched");
    }
}

/* -- The zip --------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/payhook-artifact-XXXXXX", path[64];

static void write_file(const void *bytes, size_t size) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static struct err read_artifact(const char *arch, const char *region, const char *bucket, struct artifact *artifact,
                                char *text, size_t size) {
    struct writer message = writer_make(text, size);
    struct err result = artifact_read(path, &names, arch, ACCOUNT, region, bucket, &message, artifact);
    (void)writer_cstr(&message);
    return result;
}

static void test_zip(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *name, *arch, *member;
        uint32_t mode;
        size_t size;
        struct {
            size_t offset;
            uint8_t byte;
        } patches[2];
        const char *sentence; /* NULL: it is good */
    } cases[] = {
        {"good", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{0}}, NULL},
        {"linked to an address", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{16, 2}}, NULL},
        {"for arm64", "arm64", "bootstrap", S_IFREG | 0755, 500, {{18, 183}}, NULL},
        {"of its head alone", "x86_64", "bootstrap", S_IFREG | 0755, 64, {{0}}, NULL},
        {"for the other one",
         "x86_64",
         "bootstrap",
         S_IFREG | 0755,
         500,
         {{18, 183}},
         "is for arm64 and the stack for x86_64 (--arch); make lambda makes"},
        {"for the other one",
         "arm64",
         "bootstrap",
         S_IFREG | 0755,
         500,
         {{0}},
         "is for x86_64 and the stack for arm64 (--arch); make lambda ARCH=arm64 makes"},
        {"for 32 bits", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{4, 1}}, "no program (64-bit ELF)"},
        {"for big-endians", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{5, 2}}, "no program (64-bit ELF)"},
        {"for another processor", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{18, 40}}, "another kind of processor"},
        {"for a large number", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{19, 1}}, "another kind of processor"},
        {"an object file", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{16, 1}}, "ELF of another kind"},
        {"a core dump", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{16, 4}}, "ELF of another kind"},
        {"a script", "x86_64", "bootstrap", S_IFREG | 0755, 500, {{0, '#'}, {1, '!'}}, "no program (64-bit ELF)"},
        {"short", "x86_64", "bootstrap", S_IFREG | 0755, 63, {{0}}, "no program (64-bit ELF)"},
        {"empty", "x86_64", "bootstrap", S_IFREG | 0755, 0, {{0}}, "no program (64-bit ELF)"},
        {"not to be run", "x86_64", "bootstrap", S_IFREG | 0644, 500, {{0}}, "has mode 0644, not 0755"},
        {"to be run by its owner", "x86_64", "bootstrap", S_IFREG | 0700, 500, {{0}}, "has mode 0700, not 0755"},
        {"with more than that", "x86_64", "bootstrap", S_IFREG | 04755, 500, {{0}}, "has mode 4755, not 0755"},
        {"a link", "x86_64", "bootstrap", S_IFLNK | 0755, 500, {{0}}, "not 0755"},
        {"from elsewhere", "x86_64", "bootstrap", 0, 500, {{0}}, "has mode 0000, not 0755"},
        {"in a folder",
         "x86_64",
         "dist/bootstrap",
         S_IFREG | 0755,
         500,
         {{0}},
         "has no bootstrap in it; make lambda makes"},
        {"another handler", "x86_64", "index.py", S_IFREG | 0755, 500, {{0}}, "has no bootstrap in it"},
    };
    char zip[16384], text[1024];
    uint8_t program[500];
    struct artifact artifact;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elf_make(program, sizeof program, 62);
        for (size_t k = 0; k < 2 && (k == 0 || cases[i].patches[k].offset > 0); k++)
            if (cases[i].patches[k].byte != 0) program[cases[i].patches[k].offset] = cases[i].patches[k].byte;
        struct zip_part part = {cases[i].member, program, cases[i].size, cases[i].mode, false, 0, 0};
        struct writer w = writer_make(zip, sizeof zip);
        (void)zip_write(&w, &part, 1, "");
        write_file(zip, w.len);
        struct err result = read_artifact(cases[i].arch, "eu-west-1", NULL, &artifact, text, sizeof text);
        if (cases[i].sentence != NULL) {
            if (result.kind != ERR_INPUT || strstr(text, cases[i].sentence) == NULL || strstr(text, path) == NULL ||
                strstr(text, "--zip") == NULL)
                fail_msg("%s: %d, %s", cases[i].name, (int)result.kind, text);
            continue;
        }
        if (err_is(result)) fail_msg("%s: %s", cases[i].name, text);
        assert_string_equal(artifact.bucket, BUCKET);
        assert_true(artifact.is_ours);
        assert_int_equal(artifact.size, w.len);
        assert_memory_equal(artifact.bytes, zip, w.len);
        char command[256], key[256];
        (void)snprintf(command, sizeof command, "printf payhook/dev/%s/$(sha256sum %s | cut -c1-64).zip", cases[i].arch,
                       path);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        assert_non_null(fgets(key, sizeof key, pipe));
        (void)pclose(pipe);
        assert_string_equal(artifact.key, key);
        artifact_done(&artifact);
        assert_null(artifact.bytes);
        artifact_done(&artifact);
    }
    write_file("no zip", 6);
    assert_int_equal(read_artifact("x86_64", "eu-west-1", NULL, &artifact, text, sizeof text).kind, ERR_INPUT);
    assert_non_null(strstr(text, ": it is no zip, or a damaged one; make lambda makes"));
    write_file("", 0);
    assert_int_equal(read_artifact("x86_64", "eu-west-1", NULL, &artifact, text, sizeof text).kind, ERR_INPUT);
    assert_int_equal(truncate(path, STACK_ARTIFACT_SIZE_MAX + 1), 0);
    assert_int_equal(read_artifact("x86_64", "eu-west-1", NULL, &artifact, text, sizeof text).kind, ERR_INPUT);
    assert_non_null(strstr(text, "the file is too large"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_artifact("arm64", "eu-west-1", NULL, &artifact, text, sizeof text).kind, ERR_ABSENT);
    assert_non_null(strstr(text, "make lambda ARCH=arm64 makes it, --zip names another"));
}

static void test_bucket_names(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *bucket, *region, *expected; /* NULL: refused */
    } cases[] = {
        {NULL, "eu-west-1", BUCKET},
        {"mine", "eu-west-1", "mine"},
        {"my.bucket-2", "eu-west-1", "my.bucket-2"},
        {"a23456789012345678901234567890123456789012345678901234567890123", "r",
         "a23456789012345678901234567890123456789012345678901234567890123"},
        {"a234567890123456789012345678901234567890123456789012345678901234", "r", NULL},
        {NULL, "a-region-whose-name-is-longer-than-any-is", NULL},
        {"", "r", NULL},
        {"ab", "r", NULL},
        {"Mine", "r", NULL},
        {"my_bucket", "r", NULL},
        {"evil.example.com/x", "r", NULL},
        {"mine@evil.example.com", "r", NULL},
        {"mine:80", "r", NULL},
        {"mine?x", "r", NULL},
        {"a b", "r", NULL},
        {"a\nb", "r", NULL},
        {".mine", "r", NULL},
        {"mine.", "r", NULL},
        {"mi..ne", "r", NULL},
        {"-mine", "r", NULL},
        {"mine-", "r", NULL},
    };
    char zip[16384], text[1024];
    uint8_t program[500];
    struct artifact artifact;
    elf_make(program, sizeof program, 62);
    struct zip_part part = {"bootstrap", program, sizeof program, S_IFREG | 0755, false, 0, 0};
    struct writer w = writer_make(zip, sizeof zip);
    (void)zip_write(&w, &part, 1, "");
    write_file(zip, w.len);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err result = read_artifact("x86_64", cases[i].region, cases[i].bucket, &artifact, text, sizeof text);
        if (result.kind != (cases[i].expected == NULL ? ERR_INPUT : ERR_OK)) fail_msg("%zu: %s", i, text);
        if (cases[i].expected == NULL) {
            assert_non_null(strstr(text, "not the name of an S3 bucket"));
            continue;
        }
        assert_string_equal(artifact.bucket, cases[i].expected);
        assert_int_equal(artifact.is_ours, cases[i].bucket == NULL);
        artifact_done(&artifact);
    }
}

/* -- Uploads --------------------------------------------------------------------------------------------- */

static void check_owner(const struct aws_call *call) {
    assert_string_equal(call->service, "s3");
    assert_true(str_eq(call->extra[0].name, STR("x-amz-expected-bucket-owner")));
    assert_true(str_eq(call->extra[0].value, STR(ACCOUNT)));
    assert_null(call->extra[1].name.ptr);
    if (strcmp(call->operation, "PutObject") != 0) return;
    assert_true(str_eq(call->content_type, STR("application/zip")));
    assert_true(call->deadline_us - os_mono_us() > (STACK_UPLOAD_MS_MAX - 60000) * INT64_C(1000));
}

#define HEAD(status, header, value)                                                                                    \
    { "HeadObject", "HEAD" AT KEY "\n", status, status < 300 ? NULL : "Unknown", "", header, value }
#define PUT(status, error, header, value)                                                                              \
    { "PutObject", "PUT" AT KEY "\nzip", status, error, "", header, value }

static void test_upload(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *name;
        struct stub_row rows[3];
        size_t row_count;
        enum err_kind kind;
        bool is_new;
        const char *sentence;
    } cases[] = {
        {"there", {HEAD(200, "Content-Length", "3")}, 1, ERR_OK, false, ""},
        {"new", {HEAD(404, NULL, NULL), PUT(200, NULL, NULL, NULL)}, 2, ERR_OK, true, ""},
        {"of another size", {HEAD(200, "Content-Length", "2"), PUT(200, NULL, NULL, NULL)}, 2, ERR_OK, true, ""},
        {"of no size", {HEAD(200, NULL, NULL), PUT(200, NULL, NULL, NULL)}, 2, ERR_OK, true, ""},
        {"not to be listed", {HEAD(403, NULL, NULL), PUT(200, NULL, NULL, NULL)}, 2, ERR_OK, true, ""},
        {"no bucket",
         {HEAD(404, NULL, NULL), PUT(404, "NoSuchBucket", NULL, NULL)},
         2,
         ERR_ABSENT,
         false,
         "bucket " BUCKET ": there is no such bucket"},
        {"somebody else's",
         {HEAD(403, NULL, NULL), PUT(403, "AccessDenied", NULL, NULL)},
         2,
         ERR_DENIED,
         false,
         "does not belong to account " ACCOUNT},
        {"not to be written",
         {HEAD(404, NULL, NULL), PUT(403, "AccessDenied", NULL, NULL)},
         2,
         ERR_DENIED,
         false,
         "s3:PutObject"},
        {"of another region",
         {HEAD(301, "x-amz-bucket-region", "us-west-2")},
         1,
         ERR_INPUT,
         false,
         "is in another region, us-west-2, and Lambda"},
        {"of a region that is not told",
         {HEAD(301, NULL, NULL)},
         1,
         ERR_INPUT,
         false,
         "is in another region, and Lambda takes code from its own only: name one in eu-west-1"},
        {"of another region by 400",
         {HEAD(400, "x-amz-bucket-region", "us-west-2")},
         1,
         ERR_INPUT,
         false,
         "region, us-west-2"},
        {"signed for another",
         {HEAD(404, NULL, NULL), PUT(400, "AuthorizationHeaderMalformed", NULL, NULL)},
         2,
         ERR_INPUT,
         false,
         "is in another region"},
        {"moved for good",
         {HEAD(404, NULL, NULL), PUT(301, "PermanentRedirect", "x-amz-bucket-region", "a\nb")},
         2,
         ERR_INPUT,
         false,
         "another region, a\\x0ab,"},
        {"not yet known",
         {HEAD(404, NULL, NULL), PUT(307, "TemporaryRedirect", NULL, NULL)},
         2,
         ERR_BUSY,
         false,
         "not yet made the new bucket known"},
        {"not yet known, without words",
         {HEAD(307, NULL, NULL)},
         1,
         ERR_BUSY,
         false,
         "not yet made the new bucket known"},
        {"a bad request", {HEAD(400, NULL, NULL)}, 1, ERR_INPUT, false, "Amazon S3 refuses HeadObject: "},
        {"another refusal",
         {HEAD(404, NULL, NULL), PUT(400, "EntityTooLarge", NULL, NULL)},
         2,
         ERR_INPUT,
         false,
         "Amazon S3 refuses PutObject: "},
        {"no name for a bucket",
         {HEAD(404, NULL, NULL), PUT(400, "InvalidBucketName", NULL, NULL)},
         2,
         ERR_INPUT,
         false,
         "no name of a bucket"},
        {"nobody there", {HEAD(0, NULL, NULL)}, 1, ERR_NETWORK, false, "is eu-west-1 a region"},
        {"nobody there any more",
         {HEAD(404, NULL, NULL), PUT(0, NULL, NULL, NULL)},
         2,
         ERR_NETWORK,
         false,
         "Amazon S3"},
    };
    char zip[] = "zip";
    const struct artifact artifact = {.bucket = BUCKET, .key = KEY, .bytes = zip, .size = 3};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        struct writer message = writer_make(text, sizeof text);
        bool is_new = false;
        stub_open(cases[i].rows, cases[i].row_count);
        stub.before = check_owner;
        struct err result = artifact_upload(&stub_aws, &artifact, ACCOUNT, &message, &is_new);
        if (result.kind != cases[i].kind || strstr(writer_cstr(&message), cases[i].sentence) == NULL)
            fail_msg("%s: %d, %s", cases[i].name, (int)result.kind, text);
        if (cases[i].kind == ERR_OK) assert_int_equal(message.len, 0);
        assert_int_equal(is_new, cases[i].is_new);
        assert_int_equal(stub.next, cases[i].row_count);
    }
}

/* A bucket with a dot is no host name that a certificate covers. */
static void test_dotted_bucket(void **state) {
    (void)state; /* there is none */
    static const struct stub_row rows[] = {{"HeadObject", "HEAD  /my.bucket/" KEY "\n", 404, "Unknown", "", NULL, NULL},
                                           {"PutObject", "PUT  /my.bucket/" KEY "\nzip", 200, NULL, "", NULL, NULL}};
    char zip[] = "zip", text[1024];
    const struct artifact artifact = {.bucket = "my.bucket", .key = KEY, .bytes = zip, .size = 3};
    struct writer message = writer_make(text, sizeof text);
    bool is_new;
    stub_open(rows, 2);
    assert_false(err_is(artifact_upload(&stub_aws, &artifact, ACCOUNT, &message, &is_new)));
}

/* -- Lists ----------------------------------------------------------------------------------------------- */

#define OBJECT(key) "<Contents><Key>" key "</Key><Size>3</Size></Contents>"
#define LIST(objects)                                                                                                  \
    "<?xml version=\"1.0\"?><ListBucketResult "                                                                        \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>false</IsTruncated>" objects "</ListBucketResult>"
#define CUT_LIST(objects, token)                                                                                       \
    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>" token                                   \
    "</NextContinuationToken>" objects "</ListBucketResult>"
#define QUERY "encoding-type=url&list-type=2&max-keys=200&prefix=payhook%2Fdev%2F\n"
#define PAGE(body)                                                                                                     \
    { "ListObjectsV2", "GET" AT "?" QUERY, 200, NULL, body, NULL, NULL }
#define NEXT(token, body)                                                                                              \
    { "ListObjectsV2", "GET" AT "?continuation-token=" token "&" QUERY, 200, NULL, body, NULL, NULL }
#define GONE(arch, sha)                                                                                                \
    { "DeleteObject", "DELETE" AT "payhook/dev/" arch "/" sha ".zip\n", 204, NULL, "", NULL, NULL }
#define REST(body)                                                                                                     \
    { "ListObjectsV2", "GET" AT "?encoding-type=url&list-type=2&max-keys=1&prefix=\n", 200, NULL, body, NULL, NULL }
#define REFUSED(operation, status, error)                                                                              \
    { operation, NULL, status, error, "", NULL, NULL }
#define OURS(arch, sha) OBJECT("payhook/dev/" arch "/" sha ".zip")

static const struct list_case {
    const char *name;
    bool remove; /* else prune, keeping SHA and SHA_2 for x86_64 */
    struct stub_row rows[8];
    size_t row_count;
    enum err_kind kind;
    bool others;
    const char *sentence;
} lists[] = {
    {"nothing to prune", false, {PAGE(LIST(""))}, 1, ERR_OK, false, ""},
    {"two to keep", false, {PAGE(LIST(OURS("x86_64", SHA) OURS("x86_64", SHA_2)))}, 1, ERR_OK, false, ""},
    {"one to prune",
     false,
     {PAGE(LIST(OURS("x86_64", SHA) OURS("x86_64", SHA_3))), GONE("x86_64", SHA_3)},
     2,
     ERR_OK,
     false,
     ""},
    {"of the other architecture",
     false,
     {PAGE(LIST(OURS("arm64", SHA) OURS("x86_64", SHA))), GONE("arm64", SHA)},
     2,
     ERR_OK,
     false,
     ""},
    {"written with escapes",
     false,
     {PAGE(LIST(OBJECT("payhook%2Fdev%2Farm64%2F" SHA_3 ".zip"))), GONE("arm64", SHA_3)},
     2,
     ERR_OK,
     false,
     ""},
    {"none of ours",
     false,
     {PAGE(LIST(OBJECT("payhook/dev/") OBJECT("payhook/dev/x86_64/") OBJECT("payhook/dev/x86_64/" SHA) OBJECT(
         "payhook/dev/x86_64/" SHA_3
         ".zip.txt") OBJECT("payhook/dev/x86_64/a" SHA_3 ".zip") OBJECT("payhook/dev/mips/" SHA_3 ".zip")
                    OBJECT("payhook/dev/x/x86_64/" SHA_3 ".zip") OBJECT("payhook/other/x86_64/" SHA_3 ".zip")
                        OBJECT("payhook/dev-2/x86_64/" SHA_3 ".zip") OBJECT("x") OBJECT("") OBJECT("%zz") OBJECT(
                            "payhook/dev/x86_64/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef.zip")
                            OBJECT("payhook%252Fdev%252Fx86_64%252F" SHA_3 ".zip") "<Contents/>"))},
     1,
     ERR_OK,
     false,
     ""},
    {"in pages",
     false,
     {PAGE(CUT_LIST(OURS("x86_64", SHA_3), "1/a+b=")), GONE("x86_64", SHA_3), NEXT("1%2Fa%2Bb%3D", CUT_LIST("", "2")),
      NEXT("2", LIST(OURS("arm64", SHA_2))), GONE("arm64", SHA_2)},
     5,
     ERR_OK,
     false,
     ""},
    {"pages without a token", false, {PAGE(CUT_LIST("", ""))}, 1, ERR_NETWORK, false, "cannot be read"},
    {"a bucket that is gone", false, {REFUSED("ListObjectsV2", 404, "NoSuchBucket")}, 1, ERR_OK, false, ""},
    {"gone in between",
     false,
     {PAGE(LIST(OURS("x86_64", SHA_3))), REFUSED("DeleteObject", 404, "NoSuchBucket")},
     2,
     ERR_OK,
     false,
     ""},
    {"no list", false, {PAGE("<Error/>")}, 1, ERR_NETWORK, false, "cannot be read"},
    {"half a list", false, {PAGE("<ListBucketResult><Contents><Key>a</Ke")}, 1, ERR_NETWORK, false, "cannot be read"},
    {"no answer at all", false, {PAGE("")}, 1, ERR_NETWORK, false, "cannot be read"},
    {"a document type",
     false,
     {PAGE("<!DOCTYPE a [<!ENTITY x \"y\">]><ListBucketResult>&x;</ListBucketResult>")},
     1,
     ERR_NETWORK,
     false,
     "cannot be read"},
    {"may not list", false, {REFUSED("ListObjectsV2", 403, "AccessDenied")}, 1, ERR_DENIED, false, "s3:ListBucket"},
    {"may not delete",
     false,
     {PAGE(LIST(OURS("x86_64", SHA_3))), REFUSED("DeleteObject", 403, "AccessDenied")},
     2,
     ERR_DENIED,
     false,
     "s3:DeleteObject"},
    {"nobody there", false, {REFUSED("ListObjectsV2", 0, NULL)}, 1, ERR_NETWORK, false, "Amazon S3"},
    {"in another region",
     false,
     {REFUSED("ListObjectsV2", 301, "PermanentRedirect")},
     1,
     ERR_INPUT,
     false,
     "another region"},

    {"all of it",
     true,
     {PAGE(LIST(OURS("x86_64", SHA) OURS("arm64", SHA_2))), GONE("x86_64", SHA), GONE("arm64", SHA_2), REST(LIST(""))},
     4,
     ERR_OK,
     false,
     ""},
    {"with others",
     true,
     {PAGE(LIST(OURS("x86_64", SHA))), GONE("x86_64", SHA), REST(LIST(OBJECT("payhook/prod/x86_64/" SHA ".zip")))},
     3,
     ERR_OK,
     true,
     ""},
    {"with what is not ours",
     true,
     {PAGE(LIST(OBJECT("payhook/dev/readme"))), REST(LIST(OBJECT("payhook/dev/readme")))},
     2,
     ERR_OK,
     true,
     ""},
    {"a bucket that is gone", true, {REFUSED("ListObjectsV2", 404, "NoSuchBucket")}, 1, ERR_OK, false, ""},
    {"gone at the end", true, {PAGE(LIST("")), REFUSED("ListObjectsV2", 404, "NoSuchBucket")}, 2, ERR_OK, false, ""},
    {"no second list", true, {PAGE(LIST("")), REST("<x/>")}, 2, ERR_NETWORK, false, "cannot be read"},
    {"may not list",
     true,
     {REFUSED("ListObjectsV2", 403, "AccessDenied")},
     1,
     ERR_DENIED,
     false,
     "does not belong to account"},
};

static void test_lists(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct list_case *c = &lists[i];
        char text[1024];
        struct writer message = writer_make(text, sizeof text);
        bool others = !c->others;
        stub_open(c->rows, c->row_count);
        stub.before = check_owner;
        struct err result = c->remove ? artifact_remove(&stub_aws, BUCKET, ACCOUNT, &names, &message, &others)
                                      : artifact_prune(&stub_aws, BUCKET, ACCOUNT, &names, STR(KEY),
                                                       STR("payhook/dev/x86_64/" SHA_2 ".zip"), &message);
        if (result.kind != c->kind || strstr(writer_cstr(&message), c->sentence) == NULL)
            fail_msg("%s: %d, %s", c->name, (int)result.kind, text);
        if (c->kind == ERR_OK) assert_int_equal(message.len, 0);
        if (c->remove && c->kind == ERR_OK) assert_int_equal(others, c->others);
        if (stub.next != stub.row_count) fail_msg("%s: %zu calls are left", c->name, stub.row_count - stub.next);
    }
}

/* A service that never comes to an end of its list is left. */
static size_t pages;
static void count_pages(const struct aws_call *call) {
    (void)call;
    pages++;
    stub.next = 0;
}
static void test_endless_list(void **state) {
    (void)state; /* there is none */
    static const struct stub_row rows[] = {{"ListObjectsV2", NULL, 200, NULL, CUT_LIST("", "same"), NULL, NULL}};
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    stub_open(rows, 1);
    stub.before = count_pages;
    assert_int_equal(artifact_prune(&stub_aws, BUCKET, ACCOUNT, &names, STR(""), STR(""), &message).kind, ERR_NETWORK);
    assert_int_equal(pages, STACK_OBJECTS_PAGES_MAX);
}

int main(void) {
    if (mkdtemp(folder) == NULL) return 1;
    (void)snprintf(path, sizeof path, "%s/f.zip", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_account, set_up),       cmocka_unit_test_setup(test_zip, set_up),
        cmocka_unit_test_setup(test_bucket_names, set_up),  cmocka_unit_test_setup(test_upload, set_up),
        cmocka_unit_test_setup(test_dotted_bucket, set_up), cmocka_unit_test_setup(test_lists, set_up),
        cmocka_unit_test_setup(test_endless_list, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(folder);
    return failed;
}
