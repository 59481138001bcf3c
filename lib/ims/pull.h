// Hostile XML, taken piece by piece: once, from front to end, in bounded memory. There are no entities but the five of XML, no
// DOCTYPE, no external text. What ends without a defect is well-formed (XML 1.0), its prefixes are declared (Namespaces in XML 1.0).
// Pure; workers link it.
#pragma once
#include "lib/base/wire.h"

#define IMS_PULL_DEPTH_MAX	32 // elements inside each other
#define IMS_PULL_ATTRIBUTES_MAX 32 // of one element
#define IMS_PULL_PREFIXES_MAX	32 // that are declared at a time

struct ims_pull {
	const uint8_t *p, *end;
	const char *why; // the first defect: text of ours, without any of the input; NULL: none
	struct slice open[IMS_PULL_DEPTH_MAX];
	unsigned depth;
	struct slice attribute[IMS_PULL_ATTRIBUTES_MAX]; // of the element that has just begun
	unsigned attribute_cnt;
	struct {
		struct slice name;
		unsigned depth; // of the element that declares it
	} prefix[IMS_PULL_PREFIXES_MAX];
	unsigned prefix_cnt;
	unsigned prefix_base; // prefixes that are declared before it do not count
};

enum ims_piece {
	IMS_PIECE_END,	 // of the text
	IMS_PIECE_START, // an element begins
	IMS_PIECE_EMPTY, // an element without content
	IMS_PIECE_STOP,	 // an element ends
	IMS_PIECE_TEXT,
	IMS_PIECE_BROKEN
};

// Takes one piece; comments and instructions are passed over. *name: that of an element, as it is spelled. `collect`: where the
// characters of text go, references resolved; may be NULL.
enum ims_piece ims_pull_next(struct ims_pull *r, struct slice *name, struct wr *collect);
// Before the root element and behind it, where there is no text.
enum ims_piece ims_pull_outside(struct ims_pull *r, struct slice *name);
// Takes byte order mark and XML declaration, where there are any.
void ims_pull_head(struct ims_pull *r);
// Notes a defect, unless there is one already.
enum ims_piece ims_pull_broken(struct ims_pull *r, const char *why);
// A name without its prefix.
struct slice ims_pull_local(struct slice name);

// Characters of XML in UTF-8, and none of them a control character: what may be written as a value.
bool ims_text_valid(struct slice s);

static inline bool ims_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
