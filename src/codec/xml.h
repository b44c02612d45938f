/* SPDX-License-Identifier: Apache-2.0 */
/* XML as AWS's query services write it, read into a small tree. The only place that knows expat.
 * No document type, no entities but the five of XML, namespaces left out of names, attributes passed over. */
#ifndef PAYHOOK_CODEC_XML_H
#define PAYHOOK_CODEC_XML_H

#include "base/arena.h"

struct xml_node {
    struct str name;              /* without its prefix */
    struct str text;              /* its own character data, all of it; "" where there is none */
    const struct xml_node *child; /* first child, in order, or NULL */
    const struct xml_node *next;  /* next sibling, or NULL */
};

/* True: *ret_root is the document's element; everything lies in the arena. False: not well-formed, cut off, deeper than
 * XML_DEPTH_MAX, with a document type, or *ret_full: the arena is full. */
bool xml_read(struct str bytes, struct arena *arena, const struct xml_node **ret_root, bool *ret_full);
/* The first child of this name, or NULL; node may be NULL. */
const struct xml_node *xml_child(const struct xml_node *node, struct str name);
/* The next sibling of node that has the same name, or NULL. */
const struct xml_node *xml_next(const struct xml_node *node);
/* The text of the first child of this name; "" where there is none. */
struct str xml_text(const struct xml_node *node, struct str name);

#endif
