/* SPDX-License-Identifier: Apache-2.0 */
/* A tree built from expat's callbacks, all of it in the arena; expat's own memory is gone when xml_read returns. An
 * element's text grows in place while nothing else is allocated behind it, and is copied where a child stands between
 * two pieces of it: what that may cost is bounded by the arena. UTF-8 only, whatever the document says of itself.
 *
 * It keeps no attributes, comments or processing instructions, and resolves no namespaces. */
#include "codec/xml.h"

#include "base/limits.h"

#include <expat.h>

struct reading {
    XML_Parser parser;
    struct arena *arena;
    struct xml_node *open[XML_DEPTH_MAX], *last_child[XML_DEPTH_MAX]; /* from the root to where we are */
    size_t depth;
    struct xml_node *root;
    bool full, refused;
};

static void refuse(struct reading *reading) {
    reading->refused = true;
    (void)XML_StopParser(reading->parser, XML_FALSE); /* fails only where parsing has ended */
}

static void refuse_full(struct reading *reading) {
    reading->full = true;
    refuse(reading);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes) {
    struct reading *reading = context;
    (void)attributes;
    if (reading->refused) return;
    if (reading->depth == XML_DEPTH_MAX) {
        refuse(reading);
        return;
    }
    const char *colon = strrchr(name, ':');
    struct xml_node *node = arena_new(reading->arena, struct xml_node, 1);
    struct str bare = arena_copy(reading->arena, str_from(colon != NULL ? colon + 1 : name));
    if (node == NULL || bare.ptr == NULL) {
        refuse_full(reading);
        return;
    }
    node->name = bare;
    node->text = STR("");
    if (reading->depth == 0) {
        reading->root = node;
    } else {
        struct xml_node *parent = reading->open[reading->depth - 1];
        struct xml_node *before = reading->last_child[reading->depth - 1];
        if (before == NULL)
            parent->child = node;
        else
            before->next = node;
        reading->last_child[reading->depth - 1] = node;
    }
    reading->open[reading->depth] = node;
    reading->last_child[reading->depth++] = NULL;
}

static void on_end(void *context, const XML_Char *name) {
    struct reading *reading = context;
    (void)name;
    if (!reading->refused) reading->depth--;
}

static void on_text(void *context, const XML_Char *bytes, int size) {
    struct reading *reading = context;
    if (reading->refused || reading->depth == 0) return;
    struct arena *arena = reading->arena;
    struct str *text = &reading->open[reading->depth - 1]->text;
    if (text->len == 0 || text->ptr + text->len != arena->memory + arena->used) {
        *text = arena_copy(arena, *text);
        if (text->ptr == NULL) *text = STR(""), refuse_full(reading);
    }
    if (reading->refused) return;
    if (arena_copy(arena, str_make(bytes, (size_t)size)).ptr == NULL) {
        refuse_full(reading);
        return;
    }
    text->len += (size_t)size;
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public_id,
                       int sub) {
    (void)name, (void)system, (void)public_id, (void)sub;
    refuse(context);
}

static void on_declaration(void *context, const XML_Char *version, const XML_Char *encoding, int standalone) {
    (void)version, (void)standalone;
    if (encoding != NULL && !str_eq_nocase(str_from(encoding), STR("UTF-8"))) refuse(context);
}

bool xml_read(struct str bytes, struct arena *arena, const struct xml_node **ret_root, bool *ret_full) {
    struct reading reading = {.arena = arena};
    *ret_full = false;
    if (bytes.len == 0 || bytes.len > STACK_ANSWER_SIZE_MAX) return false;
    if (str_has(bytes, '\0')) return false; /* of UTF-16, which the parser would take whatever it is told */
    reading.parser = XML_ParserCreate("UTF-8");
    if (reading.parser == NULL) {
        *ret_full = true;
        return false;
    }
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    XML_SetXmlDeclHandler(reading.parser, on_declaration);
    enum XML_Status status = XML_Parse(reading.parser, bytes.ptr, (int)bytes.len, XML_TRUE);
    bool no_memory = status != XML_STATUS_OK && XML_GetErrorCode(reading.parser) == XML_ERROR_NO_MEMORY;
    XML_ParserFree(reading.parser);
    *ret_full = reading.full || no_memory;
    if (status != XML_STATUS_OK || reading.refused) return false;
    *ret_root = reading.root;
    return true;
}

static const struct xml_node *find(const struct xml_node *node, struct str name) {
    while (node != NULL && !str_eq(node->name, name))
        node = node->next;
    return node;
}

const struct xml_node *xml_child(const struct xml_node *node, struct str name) {
    return node == NULL ? NULL : find(node->child, name);
}

const struct xml_node *xml_next(const struct xml_node *node) { return find(node->next, node->name); }

struct str xml_text(const struct xml_node *node, struct str name) {
    const struct xml_node *child = xml_child(node, name);
    return child != NULL ? child->text : STR("");
}
