// Text of XML documents for IMS, written without allocation: values escaped, and compiled fragments. A fragment is the XML
// of initial filter criteria, checked when it was read (filter_criteria.h, template.h), in which single octets that XML
// cannot hold stand for what differs from subscriber to subscriber: marks. Pure; workers link it.
#pragma once
#include "lib/base/wire.h"

// What a mark stands for.
enum ims_mark {
	IMS_MARK_NONE,
	IMS_MARK_IMSI,
	IMS_MARK_MSISDN, // the first one, digits alone
	IMS_MARK_DOMAIN,
	IMS_MARK_MCC,
	IMS_MARK_MNC, // three digits
	IMS_MARK_PRIVATE,
	IMS_MARK_PUBLIC, // the default identity of the set
	IMS_MARK_CNT
};
// Added to a mark that stands in a regular expression: what is special there in the subscriber's value gets a backslash.
#define IMS_MARK_ERE 0x10
// TAB, LF and CR of values are written as references, so that every octet below this one is a mark.
#define IMS_MARK_END 0x20

// "imsi", "impu" ...: the word between the braces of a placeholder. The first one is NULL.
extern const char *const ims_mark_names[IMS_MARK_CNT];

struct ims_names {
	struct slice by_mark[IMS_MARK_CNT]; // 0 is not used
};

// Appends text as it is.
void ims_put(struct wr *w, const char *xml);
// Appends a value: & < > and quotes escaped, TAB, LF and CR as references. Another control character sets w->err: none gets
// this far.
void ims_put_value(struct wr *w, struct slice value);
// <name>value</name>
void ims_put_element(struct wr *w, const char *name, struct slice value);
void ims_put_number(struct wr *w, const char *name, uint32_t value);
// Appends a fragment with the names in place of its marks. An octet that is no mark sets w->err.
void ims_put_fragment(struct wr *w, struct slice fragment, const struct ims_names *names);
// Text with marks that is no XML yet: the same, and nothing is escaped for XML.
void ims_fill(struct wr *w, struct slice text, const struct ims_names *names);
// A bit (1 << enum ims_mark) for each value that a fragment needs.
unsigned ims_fragment_marks(struct slice fragment);
// Octets that ims_put_fragment writes at most, ims_put_value at most.
size_t ims_fragment_room(struct slice fragment, const struct ims_names *names);
static inline size_t ims_value_room(struct slice value)
{
	return (size_t)value.len * 6;
}
