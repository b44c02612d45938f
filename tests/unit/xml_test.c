/* SPDX-License-Identifier: Apache-2.0 */
/* Documents as AWS writes them, and a table of those that must be refused. */
#include "codec/xml.h"

#include "base/err.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants those before it */
#include <cmocka.h>

enum { MEMORY_SIZE = 1 << 20 };

static struct arena make_arena(size_t size) {
    char *memory = malloc(size == 0 ? 1 : size);
    assert_non_null(memory);
    return arena_make(memory, size);
}

/* The tree as text: name(text)[children]. */
static void put_tree(struct writer *w, const struct xml_node *node) {
    for (; node != NULL; node = node->next) {
        writer_put(w, node->name);
        if (node->text.len > 0) {
            writer_char(w, '(');
            writer_put(w, node->text);
            writer_char(w, ')');
        }
        if (node->child != NULL) {
            writer_char(w, '[');
            put_tree(w, node->child);
            writer_char(w, ']');
        }
        if (node->next != NULL) writer_char(w, ' ');
    }
}

static const struct {
    const char *document, *tree;
} good[] = {
    {"<a/>", "a"},
    {"<a></a>", "a"},
    {"<?xml version=\"1.0\"?>\n<a/>\n", "a"},
    {"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", "a"},
    {"<?xml version=\"1.0\" encoding=\"utf-8\"?><a/>", "a"},
    {"\xef\xbb\xbf<a/>", "a"},
    {"<a>text</a>", "a(text)"},
    {"<a>&lt;&amp;&gt;&quot;&apos;</a>", "a(<&>\"')"},
    {"<a>&#65;&#x42;</a>", "a(AB)"},
    {"<a><![CDATA[<b>&amp;]]></a>", "a(<b>&amp;)"},
    {"<a>x<!-- no -->y<?pi z?></a>", "a(xy)"},
    {"<a>\xc3\xa9\xe2\x82\xac</a>", "a(\xc3\xa9\xe2\x82\xac)"},
    {"<a>one\r\ntwo</a>", "a(one\ntwo)"},
    {"<a b=\"c\" d='&amp;'/>", "a"},
    {"<n:a xmlns:n=\"urn:x\"><n:b>1</n:b></n:a>", "a[b(1)]"},
    {"<n:a><m:b/></n:a>", "a[b]"}, /* namespaces are not resolved */
    {"<a><b>1</b><c/><b>2</b></a>", "a[b(1) c b(2)]"},
    {"<a>x<b>y</b>z<b/>w</a>", "a(xzw)[b(y) b]"},
    {"<a> <b> 1 </b> </a>", "a(  )[b( 1 )]"},
};

static void test_good(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct arena arena = make_arena(MEMORY_SIZE);
        const struct xml_node *root;
        bool full;
        char text[1024];
        struct writer w = writer_make(text, sizeof text);
        if (!xml_read(str_from(good[i].document), &arena, &root, &full)) fail_msg("refused: %s", good[i].document);
        assert_false(full);
        put_tree(&w, root);
        assert_string_equal(writer_cstr(&w), good[i].tree);
        free(arena.memory);
    }
}

#define REST_OF(literal) literal, sizeof literal - 1
static const struct {
    const char *document;
    size_t size;
} bad[] = {
    {REST_OF("")},
    {REST_OF(" ")},
    {REST_OF("text")},
    {REST_OF("<")},
    {REST_OF("<a")},
    {REST_OF("<a>")},
    {REST_OF("</a>")},
    {REST_OF("<a></b>")},
    {REST_OF("<a><b></a></b>")},
    {REST_OF("<a/><b/>")},
    {REST_OF("<a/>text")},
    {REST_OF("text<a/>")},
    {REST_OF("<a/><?xml version=\"1.0\"?>")},
    {REST_OF(" <?xml version=\"1.0\"?><a/>")},
    {REST_OF("<a b></a>")},
    {REST_OF("<a b=c></a>")},
    {REST_OF("<a b=\"1\" b=\"2\"/>")},
    {REST_OF("<a b=\"<\"/>")},
    {REST_OF("<1/>")},
    {REST_OF("< a/>")},
    {REST_OF("<a>&</a>")},
    {REST_OF("<a>&amp</a>")},
    {REST_OF("<a>&unknown;</a>")},
    {REST_OF("<a>&#0;</a>")},
    {REST_OF("<a>&#x110000;</a>")},
    {REST_OF("<a>&#xD800;</a>")},
    {REST_OF("<a>]]></a>")},
    {REST_OF("<a><![CDATA[</a>")},
    {REST_OF("<a><!-- -- --></a>")},
    {REST_OF("<a><?xml version=\"1.0\"?></a>")},
    /* NUL, controls, what is no UTF-8 */
    {REST_OF("<a>\0</a>")},
    {REST_OF("<a\0/>")},
    {REST_OF("<a/>\0")},
    {REST_OF("\0<a/>")},
    {REST_OF("<a>\x01</a>")},
    {REST_OF("<a>\x1b[2J</a>")},
    {REST_OF("<a>\xff</a>")},
    {REST_OF("<a>\xe9</a>")},
    {REST_OF("<a>\xc0\xaf</a>")},
    {REST_OF("<a>\xed\xa0\x80</a>")},
    {REST_OF("<a>\xc3</a>")},
    /* other encodings, said and unsaid */
    {REST_OF("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>")},
    {REST_OF("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>")},
    {REST_OF("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>")},
    {REST_OF("<?xml version=\"1.0\" encoding=\"UTF-7\"?><a>+ADw-</a>")},
    {REST_OF("<?xml version=\"1.0\" encoding=\"no-such\"?><a/>")},
    {REST_OF("\xff\xfe<\0a\0/\0>\0")},
    {REST_OF("\xfe\xff\0<\0a\0/\0>")},
    {REST_OF("<\0a\0/\0>\0")},
    {REST_OF("\0\0\0<\0\0\0a\0\0\0/\0\0\0>")},
    /* document types, whatever they declare */
    {REST_OF("<!DOCTYPE a><a/>")},
    {REST_OF("<!DOCTYPE a []><a/>")},
    {REST_OF("<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/x.dtd\"><a/>")},
    {REST_OF("<!DOCTYPE a PUBLIC \"-//x\" \"file:///etc/passwd\"><a/>")},
    {REST_OF("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>")},
    {REST_OF("<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>")},
    {REST_OF("<!DOCTYPE a [<!ENTITY % p SYSTEM \"file:///etc/passwd\">%p;]><a/>")},
    {REST_OF("<!DOCTYPE a [<!ENTITY a0 \"ha\"><!ENTITY a1 \"&a0;&a0;&a0;&a0;\"><!ENTITY a2 \"&a1;&a1;&a1;&a1;\">"
             "<!ENTITY a3 \"&a2;&a2;&a2;&a2;\"><!ENTITY a4 \"&a3;&a3;&a3;&a3;\">]><a>&a4;&a4;&a4;</a>")},
    {REST_OF("<!DOCTYPE a [<!ENTITY a \"&b;\"><!ENTITY b \"&a;\">]><a>&a;</a>")},
    {REST_OF("<!DOCTYPE a [<!ATTLIST a b CDATA \"c\">]><a/>")},
    {REST_OF("<!DOCTYPE a")},
    {REST_OF("<a/><!DOCTYPE a>")},
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena arena = make_arena(MEMORY_SIZE);
        const struct xml_node *root = NULL;
        bool full = true;
        char *exact = malloc(bad[i].size == 0 ? 1 : bad[i].size); /* one byte too far is seen by the sanitizer */
        assert_non_null(exact);
        if (bad[i].size > 0) memcpy(exact, bad[i].document, bad[i].size);
        if (xml_read(str_make(exact, bad[i].size), &arena, &root, &full)) fail_msg("accepted: %s", bad[i].document);
        assert_null(root);
        assert_false(full);
        free(exact);
        free(arena.memory);
    }
}

static const char answer[] =
    "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\n  <Error>\n    "
    "<Type>Sender</Type>\n"
    "    <Code>ValidationError</Code>\n    <Message>Stack with id &apos;TapStack-dev&apos; does not exist</Message>\n"
    "  </Error>\n  <RequestId>b7a2</RequestId>\n</ErrorResponse>";

static void test_cut_at_each_length(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof answer; size++) {
        struct arena arena = make_arena(MEMORY_SIZE);
        const struct xml_node *root;
        bool full;
        assert_int_equal(xml_read(str_make(answer, size), &arena, &root, &full), size == sizeof answer - 1);
        assert_false(full);
        free(arena.memory);
    }
}

/* Whatever is changed in one byte, nothing but a yes or no comes of it. */
static void test_each_byte_changed(void **state) {
    (void)state;
    static const char others[] = {'\0', '<', '>', '&', '"', '\x80', '\xff'};
    for (size_t at = 0; at < sizeof answer - 1; at++) {
        for (size_t i = 0; i < sizeof others; i++) {
            char text[sizeof answer];
            struct arena arena = make_arena(MEMORY_SIZE);
            const struct xml_node *root;
            bool full;
            memcpy(text, answer, sizeof text);
            text[at] = others[i];
            (void)xml_read(str_make(text, sizeof answer - 1), &arena, &root, &full);
            assert_false(full);
            free(arena.memory);
        }
    }
}

static void test_arena_of_each_size(void **state) {
    (void)state;
    size_t needed = 0;
    for (size_t size = 0; needed == 0; size++) {
        struct arena arena = make_arena(size);
        const struct xml_node *root;
        bool full;
        bool read = xml_read(str_make(answer, sizeof answer - 1), &arena, &root, &full);
        assert_int_equal(full, !read);
        if (read) needed = size;
        free(arena.memory);
        assert_true(size < 8192);
    }
    assert_true(needed > sizeof answer / 2);
}

static bool read_nested(size_t depth, bool *ret_full) {
    char *text = malloc(depth * 7 + 1);
    assert_non_null(text);
    size_t size = 0;
    for (size_t i = 0; i < depth; i++)
        memcpy(text + size, "<a>", 3), size += 3;
    for (size_t i = 0; i < depth; i++)
        memcpy(text + size, "</a>", 4), size += 4;
    struct arena arena = make_arena(MEMORY_SIZE);
    const struct xml_node *root;
    bool read = xml_read(str_make(text, size), &arena, &root, ret_full);
    free(arena.memory);
    free(text);
    return read;
}

static void test_depth(void **state) {
    (void)state;
    bool full;
    assert_true(read_nested(XML_DEPTH_MAX, &full));
    assert_false(read_nested(XML_DEPTH_MAX + 1, &full));
    assert_false(full);
    assert_false(read_nested(100000, &full));
    assert_false(full);
}

static void test_size(void **state) {
    (void)state;
    size_t size = STACK_ANSWER_SIZE_MAX;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, ' ', size + 1);
    memcpy(text, "<a/>", 4);
    struct arena arena = make_arena(4096);
    const struct xml_node *root;
    bool full;
    assert_true(xml_read(str_make(text, size), &arena, &root, &full));
    assert_false(xml_read(str_make(text, size + 1), &arena, &root, &full));
    assert_false(full);
    free(arena.memory);
    free(text);
}

/* Text in many pieces between children: what it costs is bounded by the arena. */
static void test_text_in_pieces(void **state) {
    (void)state;
    enum { PIECES = 100000 };
    char *text = malloc(PIECES * 5 + 8);
    assert_non_null(text);
    size_t size = 0;
    memcpy(text, "<a>", 3), size = 3;
    for (size_t i = 0; i < PIECES; i++)
        memcpy(text + size, "x<b/>", 5), size += 5;
    memcpy(text + size, "</a>", 4), size += 4;
    struct arena arena = make_arena(MEMORY_SIZE);
    const struct xml_node *root;
    bool full;
    assert_false(xml_read(str_make(text, size), &arena, &root, &full));
    assert_true(full);
    free(arena.memory);
    free(text);
}

static void test_finding(void **state) {
    (void)state;
    struct arena arena = make_arena(MEMORY_SIZE);
    const struct xml_node *root;
    bool full;
    assert_true(xml_read(STR("<r><m>1</m><x/><m>2</m><e></e></r>"), &arena, &root, &full));
    const struct xml_node *m = xml_child(root, STR("m"));
    assert_true(str_eq(m->text, STR("1")));
    m = xml_next(m);
    assert_true(str_eq(m->text, STR("2")));
    assert_null(xml_next(m));
    assert_null(xml_child(root, STR("M")));
    assert_null(xml_child(root, STR("r")));
    assert_null(xml_child(NULL, STR("m")));
    assert_true(str_eq(xml_text(root, STR("m")), STR("1")));
    assert_true(str_eq(xml_text(root, STR("none")), STR("")));
    assert_non_null(xml_text(root, STR("none")).ptr);
    assert_non_null(xml_text(root, STR("e")).ptr);
    assert_true(str_eq(xml_text(NULL, STR("m")), STR("")));
    free(arena.memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut_at_each_length),
        cmocka_unit_test(test_each_byte_changed),
        cmocka_unit_test(test_arena_of_each_size),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_text_in_pieces),
        cmocka_unit_test(test_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
