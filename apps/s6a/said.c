// Writes and reads what a document says of the location (said.h).
#include "apps/s6a/said.h"

enum { MME_THERE = 1, CANCEL = 2 };

static bool is_said(const struct s6a_serving *v)
{
	return v->host.len || v->time_us || v->flags;
}

void s6a_said_put(struct wr *w, const struct s6a_said *s)
{
	struct s6a_state state = {0};
	uint8_t flags = (uint8_t)((s->mme_there ? MME_THERE : 0) | (s->cancel ? CANCEL : 0));
	if (!flags && !is_said(&s->serving[S6A_MME]) && !is_said(&s->serving[S6A_SGSN]))
		return;
	memcpy(state.serving, s->serving, sizeof(state.serving));
	wr_u8(w, flags);
	s6a_state_put(w, &state);
}

bool s6a_said_get(struct slice octets, struct s6a_said *out)
{
	struct s6a_state state;
	*out = (struct s6a_said){0};
	if (octets.len == 0)
		return true;
	if (!s6a_state_get(slice_of(octets.p + 1, octets.len - 1), &state))
		return false;
	memcpy(out->serving, state.serving, sizeof(out->serving));
	out->mme_there = octets.p[0] & MME_THERE;
	out->cancel = octets.p[0] & CANCEL;
	return true;
}
