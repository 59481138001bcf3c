// Rows of traces: see trace_row.h. What a peer sends is read through the bounded reader, once more; texts
// that are no UTF-8 or have a NUL are left out.
#include "frontend/trace_row.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/frontend.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/secret.h"
#include "lib/diameter/app_name.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/grammar.h"

#define MASK '*'

// ---- masking -------------------------------------------------------------------------------------

static bool is_secret(const struct avp_def *def)
{
	static const uint16_t secret[] = {
#define SECRET(id) AVP_ID_##id,
#include "lib/diameter/secrets.def"
	};
	for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
		if (def->id == secret[i])
			return true;
	return false;
}

// What can't be read any more is masked too when `rest` says so.
static void mask_group(uint8_t *base, struct slice group, unsigned depth, bool rest)
{
	struct rd r = rd_slice(group);
	struct avp a;
	enum avp_walk walk;
	const uint8_t *at = group.p;

	while ((walk = avp_next(&r, &a)) == AVP_WALK_ONE) {
		const struct avp_def *def = dict_find(a.code, a.vendor);
		at = r.p;
		if (def && is_secret(def))
			memset(base + (a.data.p - base), MASK, a.data.len);
		else if (def && def->type == AVP_T_GROUPED && depth < GRAMMAR_DEPTH_MAX)
			mask_group(base, a.data, depth + 1, rest);
		else if (def && def->type == AVP_T_GROUPED)
			memset(base + (a.data.p - base), MASK, a.data.len);
	}
	if (walk == AVP_WALK_BROKEN && rest)
		memset(base + (at - base), MASK, (size_t)(group.p + group.len - at));
}

void trace_mask(uint8_t *msg, uint32_t len)
{
	if (len > DIAMETER_HEADER_LEN)
		mask_group(msg, slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN), 0,
			   !(msg[4] & HEADER_R));
}

// ---- a row ---------------------------------------------------------------------------------------

static void put_text(json_t *row, const char *name, struct slice s)
{
	bool good = s.len && !memchr(s.p, 0, s.len); // hssctl reads no NUL
	json_t *text = good ? json_stringn((const char *)s.p, s.len) : NULL;
	json_object_set_new(row, name, text ? text : json_null());
}

static void put_octets(json_t *row, const uint8_t *msg, uint32_t len, bool vectors)
{
	uint8_t *copy = len <= TRACE_MESSAGE_MAX ? malloc(len) : NULL;
	char *text = copy ? malloc(BASE64_LEN((size_t)len)) : NULL;

	if (text) {
		memcpy(copy, msg, len);
		if (!vectors)
			trace_mask(copy, len);
		base64_encode(slice_of(copy, len), text);
		json_object_set_new(row, "message", json_stringn(text, BASE64_LEN((size_t)len)));
		secret_wipe(text, BASE64_LEN((size_t)len));
	}
	if (copy)
		secret_wipe(copy, len);
	free(text);
	free(copy);
}

// "2001", "exp_5004"; nothing when the answer has none.
static void result_text(struct slice body, char out[24])
{
	struct avp avp, inner;
	uint32_t code;

	out[0] = 0;
	if (avp_find(body, AVP_CODE_Result_Code, 0, &avp) && avp_u32(avp.data, &code))
		snprintf(out, 24, "%u", code);
	else if (avp_find(body, AVP_CODE_Experimental_Result, 0, &avp) &&
		 avp_find(avp.data, AVP_CODE_Experimental_Result_Code, 0, &inner) &&
		 avp_u32(inner.data, &code))
		snprintf(out, 24, "exp_%u", code);
}

// The rule, else the peer's own words (Error-Message); and which AVP is at fault.
static void why_text(struct slice body, struct slice why, char *out, size_t room)
{
	struct avp avp;
	struct rd r;
	size_t n;

	if (!why.len && avp_find(body, AVP_CODE_Error_Message, 0, &avp))
		why = avp.data;
	n = (size_t)snprintf(out, room, "%.*s", (int)(why.len < 256 ? why.len : 256),
			     why.len ? (const char *)why.p : "");
	if (n >= room || !avp_find(body, AVP_CODE_Failed_AVP, 0, &avp))
		return;
	r = rd_slice(avp.data);
	if (avp_next(&r, &avp) != AVP_WALK_ONE)
		return;
	const struct avp_def *def = dict_find(avp.code, avp.vendor);
	if (def)
		snprintf(out + n, room - n, "%s%s", n ? ": " : "", def->name);
	else
		snprintf(out + n, room - n, "%sAVP %u of vendor %u", n ? ": " : "", avp.code, avp.vendor);
}

static void put_answer(json_t *row, const struct trace_about *about, struct slice body)
{
	char result[24], why[512];

	result_text(body, result);
	why_text(body, about->why, why, sizeof why);
	put_text(row, "result", slice_str(result));
	put_text(row, "rule", slice_str(why));
	json_object_set_new(row, "took_us",
			    about->took_us ? json_integer((json_int_t)about->took_us) : json_null());
}

json_t *trace_row(const struct conn *c, const struct trace_about *about, const uint8_t *msg, uint32_t len,
		  bool messages,
		  bool vectors)
{
	const struct header *h = &about->h;
	const struct command *cmd = grammar_find(h->code, h->app, h->flags & HEADER_R);
	struct slice body = slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
	const char *app = h->app == APP_BASE ? "base" : app_word(h->app);
	struct avp session;
	char number[16];
	json_t *row = json_pack("{s:s, s:I, s:s, s:b, s:s, s:I, s:I, s:I}", "event", "message", "time_us",
				(json_int_t)clock_wall_us(), "direction", about->in ? "in" : "out", "request",
				(int)(h->flags & HEADER_R ? 1 : 0), "address", c->address, "hop_by_hop",
				(json_int_t)h->hop_by_hop, "end_to_end", (json_int_t)h->end_to_end,
				"frontend",
				(json_int_t)c->fe->index);

	if (!row)
		return NULL;
	snprintf(number, sizeof number, "%u", h->code);
	put_text(row, "peer", slice_of(c->host, c->host_len));
	put_text(row, "command", slice_str(cmd ? cmd->name : number));
	put_text(row, "application", slice_str(app ? app : ""));
	put_text(row, "subject", about->subject);
	put_text(row, "session",
		 avp_find(body, AVP_CODE_Session_Id, 0, &session) ? session.data : (struct slice){0});
	if (!(h->flags & HEADER_R))
		put_answer(row, about, body);
	if (messages)
		put_octets(row, msg, len, vectors);
	return row;
}
