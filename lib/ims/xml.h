// XML as hostile text: parsed without a network, external files or entities, in UTF-8, bounded. Inside of hss_ims_xml.
#pragma once
#include <libxml/tree.h>
#include "lib/base/wire.h"
#include "lib/ims/report.h"

#define XML_TEXT_MAX (256u << 10) // octets of a file

// The document, to be freed with xmlFreeDoc; NULL and findings: it is not well-formed, longer than XML_TEXT_MAX, not in
// UTF-8, or has a DOCTYPE. `wrap`: text that has several roots gets one of this name; may be NULL.
xmlDoc *ims_xml_parse(struct slice text, const char *wrap, struct ims_report *report);

struct ims_at ims_xml_at(const xmlNode *node);
// Elements without a namespace or in the one of the root; others are not ours. NULL: no more.
const xmlNode *ims_xml_first(const xmlNode *parent);
const xmlNode *ims_xml_next(const xmlNode *node);
bool ims_xml_is(const xmlNode *node, const char *name);
// The child of this name; NULL: none.
const xmlNode *ims_xml_child(const xmlNode *parent, const char *name);
