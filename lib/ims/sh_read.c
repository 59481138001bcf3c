// See sh_read.h. The text is taken by pull.h.
#include "lib/ims/pull.h"
#include "lib/ims/sh_read.h"

static bool is(struct slice name, const char *what)
{
	return slice_eq(ims_pull_local(name), slice_str(what));
}

// Goes on to the end of the element that has just begun.
static bool skip_element(struct ims_pull *r)
{
	struct slice name;
	for (unsigned depth = r->depth; r->depth >= depth;)
		switch (ims_pull_next(r, &name, NULL)) {
		case IMS_PIECE_END: ims_pull_broken(r, "an element has no end"); return false;
		case IMS_PIECE_BROKEN: return false;
		default: break;
		}
	return true;
}

// The text of an element that has just begun and holds nothing else. false: broken.
static bool text_of(struct ims_pull *r, struct wr *out)
{
	struct slice name;
	for (;;)
		switch (ims_pull_next(r, &name, out)) {
		case IMS_PIECE_TEXT: break;
		case IMS_PIECE_STOP: return true;
		default: ims_pull_broken(r, "an element holds other elements, or has no end"); return false;
		}
}

static struct slice trimmed(struct slice s)
{
	while (s.len && ims_is_space(s.p[0]))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len && ims_is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool take_indication(struct ims_pull *r, struct sh_instance *i)
{
	struct wr w = wr_of(i->indication, sizeof i->indication);
	if (!text_of(r, &w))
		return false;
	i->indication_len = (uint32_t)wr_len(&w);
	if (w.err || i->indication_len == 0 || !ims_text_valid(wr_done(&w)))
		ims_pull_broken(r, "ServiceIndication is empty, too long, or holds control characters");
	return !r->why;
}

static bool take_sequence(struct ims_pull *r, struct sh_instance *i)
{
	char text[16];
	struct wr w = wr_of(text, sizeof text);
	uint32_t v = 0;
	if (!text_of(r, &w))
		return false;
	struct slice s = trimmed(wr_done(&w));
	for (uint32_t k = 0; k < s.len && v <= UINT16_MAX; k++)
		v = s.p[k] >= '0' && s.p[k] <= '9' ? v * 10 + (s.p[k] - '0') : UINT16_MAX + 1u;
	if (s.len == 0 || v > UINT16_MAX)
		ims_pull_broken(r, "SequenceNumber is no number from 0 to 65535");
	i->sequence = (uint16_t)v;
	return !r->why;
}

static bool take_data(struct ims_pull *r, struct sh_instance *i)
{
	const uint8_t *from = r->p;
	struct slice name = {0};
	r->prefix_base = r->prefix_cnt; // the data leave the document: what is declared around them is lost
	for (unsigned depth = r->depth; r->depth >= depth;) {
		enum ims_piece piece = ims_pull_next(r, &name, NULL);
		if (piece == IMS_PIECE_END || piece == IMS_PIECE_BROKEN) {
			ims_pull_broken(r, "ServiceData has no end");
			return false;
		}
	}
	r->prefix_base = 0;
	i->has_data = true;
	i->data = slice_of(from, (size_t)(name.p - 2 - from)); // up to the "</" of its end tag
	if (i->data.len == 0)
		ims_pull_broken(r, "ServiceData is empty");
	return !r->why;
}

static bool take_instance(struct ims_pull *r, struct sh_instance *i)
{
	bool has_indication = false, has_sequence = false;
	struct slice name;
	*i = (struct sh_instance){.sequence = 0};
	for (;;)
		switch (ims_pull_next(r, &name, NULL)) {
		case IMS_PIECE_TEXT: break;
		case IMS_PIECE_STOP:
			if (!has_indication || !has_sequence)
				ims_pull_broken(r, "RepositoryData without ServiceIndication or SequenceNumber");
			return !r->why;
		case IMS_PIECE_START:
			if (is(name, "ServiceIndication") && !has_indication)
				has_indication = take_indication(r, i);
			else if (is(name, "SequenceNumber") && !has_sequence)
				has_sequence = take_sequence(r, i);
			else if (is(name, "ServiceData") && !i->has_data)
				(void)take_data(r, i);
			else if (is(name, "Extension"))
				(void)skip_element(r);
			else
				ims_pull_broken(r, "RepositoryData holds an element that it may not hold, or twice");
			break;
		case IMS_PIECE_EMPTY:
			if (!is(name, "Extension"))
				ims_pull_broken(r, "RepositoryData holds an empty element");
			break;
		default: ims_pull_broken(r, "RepositoryData has no end"); return false;
		}
}

static void take_parts(struct ims_pull *r, struct sh_update *out)
{
	struct slice name;
	for (;;)
		switch (ims_pull_next(r, &name, NULL)) {
		case IMS_PIECE_TEXT: break;
		case IMS_PIECE_EMPTY:
			if (is(name, "RepositoryData"))
				ims_pull_broken(r, "RepositoryData is empty");
			out->has_other = true;
			break;
		case IMS_PIECE_START:
			if (!is(name, "RepositoryData")) {
				out->has_other = true;
				(void)skip_element(r);
			} else if (out->cnt == SH_READ_INSTANCES_MAX) {
				ims_pull_broken(r, "too many RepositoryData");
			} else if (take_instance(r, &out->instance[out->cnt])) {
				out->cnt++;
			}
			break;
		case IMS_PIECE_STOP: return;
		default: ims_pull_broken(r, "Sh-Data has no end"); return;
		}
}

const char *sh_update_read(struct slice text, struct sh_update *out)
{
	struct ims_pull r = {.p = text.p, .end = bytes_end(text.p, text.len)};
	struct slice name;
	out->cnt = 0;
	out->has_other = false;
	if (text.len == 0 || text.len > SH_READ_OCTETS_MAX)
		return text.len ? "the text is too long" : "the text is empty";
	ims_pull_head(&r);
	enum ims_piece piece = ims_pull_outside(&r, &name);
	if (piece == IMS_PIECE_BROKEN)
		return r.why;
	if ((piece != IMS_PIECE_START && piece != IMS_PIECE_EMPTY) || !is(name, "Sh-Data"))
		return "the root element is not Sh-Data";
	if (piece == IMS_PIECE_START)
		take_parts(&r, out);
	if (!r.why && ims_pull_outside(&r, &name) != IMS_PIECE_END)
		ims_pull_broken(&r, "something stands behind the root element");
	return r.why;
}
