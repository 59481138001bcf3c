// The registration state in a subscriber's document in the upstream, where several nodes share it (loader/app.h): written as
// base64 of the row beside its time, read from what other nodes have written. The newest counts; of two of one second the
// one with the greater octets, on every node alike. Loader process.
#include "apps/cx/loader.h"
#include "apps/documents.h"
#include "lib/base/base64.h"
#include "loader/document/reader.h"
#include "loader/upstream/up_fields.h"

#define TEXT_MAX 24000

struct cx_members {
	struct slice state;
	uint32_t time_s;
};

static void begin(void *into)
{
	*(struct cx_members *)into = (struct cx_members){0};
}

static enum doc_result take(struct doc_walk *w, const struct doc_at *at, void *into)
{
	struct cx_members *m = into;
	(void)w;
	if (at->step != DOC_VALUE)
		return DOC_PASS_OVER;
	if (at->node->row == CX_ims_state)
		m->state = at->value->text;
	else if (at->node->row == CX_ims_timestamp)
		m->time_s = (uint32_t)at->value->n;
	return DOC_GO;
}

// The row's octets. What is none is as if it were not there.
static void said(const void *into, struct wr *out)
{
	const struct cx_members *m = into;
	size_t len = 0;
	if (!m->state.len || !m->time_s)
		return;
	uint8_t *to = out->p;
	if (m->state.len / 4 * 3 <= wr_room(out) && base64_decode(m->state, to, &len))
		out->p += len;
}

const struct doc_reader cx_reader = {
	.owner = DOC_OWNER_CX, .size = sizeof(struct cx_members), .begin = begin, .take = take, .said = said};

void cx_write_back(const struct cache *c, const struct cache_record *r, struct up_fields *f)
{
	static uint8_t row[IMS_STATE_MAX];
	static char text[TEXT_MAX];
	struct ims_state s;
	struct wr w = wr_of(row, sizeof(row));
	ims_state_of(c, r, &s);
	if (!s.time_s)
		return; // never one of ours
	ims_state_put(&w, &s, true);
	size_t len = BASE64_LEN(wr_len(&w));
	if (w.err || len > TEXT_MAX)
		return;
	base64_encode(wr_done(&w), text);
	up_update_begin(f, "corehss.ims_timestamp", s.time_s);
	up_set_text(f, "corehss.ims_state", slice_of(text, len));
	up_set_int64(f, "corehss.ims_timestamp", s.time_s);
}
