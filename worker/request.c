// The waiting room, and the life of a request from its arrival to its answer (request.h). Everything here is
// bounded: the room, the questions of one request, the answer.
#include "worker/request.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "worker/worker.h"
#include <errno.h>
#include <sys/mman.h>

static void *map_lazily(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, len, MADV_DONTDUMP);
	return p;
}

int waiting_init(struct waiting *wt)
{
	*wt = (struct waiting){0};
	wt->slot = map_lazily(sizeof(struct wait_slot) * WAITING_MAX);
	wt->big = map_lazily((size_t)IPC_BODY_MAX * WAITING_BIG_MAX);
	if (!wt->slot || !wt->big) {
		waiting_fini(wt);
		return -ENOMEM;
	}
	return 0;
}

void waiting_fini(struct waiting *wt)
{
	if (wt->slot)
		munmap(wt->slot, sizeof(struct wait_slot) * WAITING_MAX);
	if (wt->big)
		munmap(wt->big, (size_t)IPC_BODY_MAX * WAITING_BIG_MAX);
	*wt = (struct waiting){0};
}

// Slots never used before are taken in order, so that untouched ones cost no memory.
static struct wait_slot *waiting_take(struct waiting *wt)
{
	struct wait_slot *s;
	if (wt->free_head) {
		s = &wt->slot[wt->free_head - 1];
		wt->free_head = s->next_free;
	} else if (wt->used < WAITING_MAX) {
		s = &wt->slot[wt->used++];
	} else {
		return NULL;
	}
	s->generation++;
	return s;
}

static void waiting_give(struct waiting *wt, struct wait_slot *s)
{
	if (s->big)
		wt->big_used[(size_t)(s->big - wt->big) / IPC_BODY_MAX] = 0;
	s->big = NULL;
	s->kind = WAIT_NONE;
	s->next_free = wt->free_head;
	wt->free_head = (uint32_t)(s - wt->slot) + 1;
}

static uint8_t *waiting_big(struct waiting *wt)
{
	for (unsigned i = 0; i < WAITING_BIG_MAX; i++)
		if (!wt->big_used[i]) {
			wt->big_used[i] = 1;
			return wt->big + (size_t)i * IPC_BODY_MAX;
		}
	return NULL;
}

static void request_done(struct request *r)
{
	if (r->slot) {
		stat_set(r->w->stats, STAT_LOADER_WAITING, r->w->stats->c[STAT_LOADER_WAITING] - 1);
		block_leave(r->w, r->slot);
		turn_leave(r->w, r->slot);
		waiting_give(&r->w->waiting, r->slot);
	}
}

// Copies the request, its slots and its message to where they outlive the frame.
static struct request *request_keep(struct request *r)
{
	struct waiting *wt = &r->w->waiting;
	size_t slots_len = r->cmd->slot_cnt * sizeof(struct avp_slot);
	size_t need = slots_len + r->in.msg_len;
	struct wait_slot *s = need > IPC_BODY_MAX ? NULL : waiting_take(wt);
	if (!s)
		return NULL;
	s->big = NULL;
	if (need > sizeof s->bytes && !(s->big = waiting_big(wt))) {
		waiting_give(wt, s);
		return NULL;
	}
	uint8_t *at = s->big ? s->big : s->bytes;
	memcpy(at, r->slots, slots_len);
	memcpy(at + slots_len, r->msg, r->in.msg_len);
	s->r = *r;
	s->r.slot = s;
	s->turn = 0;
	s->r.slots = (const struct avp_slot *)at;
	s->r.msg = at + slots_len;
	s->since_us = clock_mono_us();
	stat_add(r->w->stats, STAT_LOADER_WAITING, 1);
	return &s->r;
}

uint64_t request_wait(struct request *r, enum wait_kind kind)
{
	if (r->tries >= REQUEST_TRIES_MAX)
		return 0;
	r->tries++;
	struct request *kept = r->slot ? r : request_keep(r);
	if (!kept)
		return 0;
	kept->slot->kind = kind;
	return (uint64_t)kept->slot->generation << 32 | ((uint64_t)(kept->slot - r->w->waiting.slot) + 1);
}

struct request *request_by_tag(struct worker *w, uint64_t tag, enum wait_kind kind)
{
	uint32_t index = (uint32_t)tag;
	if (index == 0 || index > w->waiting.used)
		return NULL;
	struct wait_slot *s = &w->waiting.slot[index - 1];
	return s->kind == kind && s->generation == tag >> 32 ? &s->r : NULL;
}

static bool request_too_old(const struct request *r)
{
	uint64_t now = r->w->now_us; // one time for the whole batch: the request may be younger
	return now > r->in.arrival_us && now - r->in.arrival_us > (uint64_t)r->w->config->request_timeout_ms * 1000;
}

static void dispatch(struct request *r)
{
	void (*run)(struct request *) = r->w->handler[r->cmd->id].run;
	if (run)
		run(r);
	else
		request_refuse(r, RESULT_COMMAND_UNSUPPORTED);
}

void request_resume(struct request *r)
{
	r->slot->kind = WAIT_NONE;
	worker_pin(r->w);
	// The frontend has answered it 3004, so it must not change anything any more; unless its change may
	// be stored already: then it goes on.
	if (!r->change_sent && request_too_old(r)) {
		request_refuse(r, RESULT_TOO_BUSY);
		return;
	}
	dispatch(r);
}

void request_resume_all(struct worker *w)
{
	block_forget_all(w);
	for (uint32_t i = 0; i < w->waiting.used; i++) {
		struct wait_slot *s = &w->waiting.slot[i];
		if (s->kind == WAIT_NONE || s->kind == WAIT_TURN)
			continue;
		s->r.resent = true;
		s->r.tries = 0;
		s->r.ind_asked = s->r.read_through_asked = false;
		request_resume(&s->r);
	}
	turn_run(w);
}

void request_loader_lost(struct worker *w)
{
	for (uint32_t i = 0; i < w->waiting.used; i++) {
		struct wait_slot *s = &w->waiting.slot[i];
		if (s->kind == WAIT_IND)
			request_resume(&s->r);
	}
}

void request_frontend_lost(struct worker *w, unsigned frontend)
{
	for (uint32_t i = 0; i < w->waiting.used; i++) {
		struct wait_slot *s = &w->waiting.slot[i];
		if (s->kind != WAIT_NONE && s->r.frontend == frontend)
			request_done(&s->r);
	}
	turn_run(w);
}

void request_sweep(struct worker *w)
{
	uint64_t now = clock_mono_us();
	uint64_t gone_us = (uint64_t)w->config->request_timeout_ms * 1000; // its frontend has answered it
	for (uint32_t i = 0; i < w->waiting.used; i++) {
		struct wait_slot *s = &w->waiting.slot[i];
		if (s->kind != WAIT_NONE && now - s->since_us > (s->r.change_sent ? WAITING_TIMEOUT_US : gone_us))
			request_done(&s->r);
	}
	turn_run(w);
}

// Siblings are semi-trusted: every length and offset is checked before it is used.
static bool request_read(struct request *r, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct rd rd = rd_of(body, hdr->len - sizeof *hdr);
	const uint8_t *fixed = rd_take(&rd, sizeof r->in);
	if (!fixed)
		return false;
	memcpy(&r->in, fixed, sizeof r->in);
	r->cmd = grammar_by_id(r->in.command);
	if (!r->cmd || !(r->cmd->flags & HEADER_R) || r->in.slot_cnt != r->cmd->slot_cnt)
		return false;
	const uint8_t *slots = rd_take(&rd, r->in.slot_cnt * sizeof(struct avp_slot));
	r->msg = rd_take(&rd, r->in.msg_len);
	if (!slots || !r->msg || r->in.msg_len < DIAMETER_HEADER_LEN)
		return false;
	r->slots = (const struct avp_slot *)slots; // 8-aligned: bodies are, and the fixed part is 48 octets
	uint64_t there = 0;
	for (unsigned i = 0; i < r->in.slot_cnt; i++) {
		const struct avp_slot *s = &r->slots[i];
		if (s->cnt && (s->off > r->in.msg_len || s->len > r->in.msg_len - s->off))
			return false;
		there |= (uint64_t)(s->cnt > 0) << i;
	}
	if (grammar_required(r->cmd) & ~there)
		return false;
	header_get(r->msg, &r->h);
	r->imsi.v = r->in.imsi;
	r->app = r->w->handler[r->cmd->id].app;
	// the answer takes these from the header
	return r->h.len == r->in.msg_len && r->h.code == r->cmd->code && r->h.app == r->cmd->app;
}

void request_arrived(struct worker *w, unsigned frontend, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct request r = {.w = w, .frontend = frontend, .id = hdr->id};
	if (!request_read(&r, hdr, body)) {
		static struct log_limit limit;
		if (log_limit_pass(&limit, 1))
			log_error("frontend sent a request that is not one", LOG_INT("frontend", frontend));
		return;
	}
	worker_pin(w);
	if (request_too_old(&r)) {
		request_refuse(&r, RESULT_TOO_BUSY);
		return;
	}
	dispatch(&r);
}

// ---- answers ------------------------------------------------------------------------------------------------------

static void put_session_id(const struct request *r, struct wr *w)
{
	// the first row of every command that has one
	const struct avp_def *first = grammar_slot_avp(r->cmd, 0);
	struct slice sid = request_slot(r, 0);
	if (sid.len && first->code == AVP_CODE_Session_Id)
		avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, sid);
}

// The number of Proxy-Info in the request. Its slot is the last row but one of every command that has it.
static uint32_t proxy_cnt(const struct request *r)
{
	for (unsigned i = r->cmd->slot_cnt; i-- > 0;)
		if (grammar_slot_avp(r->cmd, i)->code == AVP_CODE_Proxy_Info)
			return r->slots[i].cnt;
	return 0;
}

// All Proxy-Info of the request, in order (RFC 6733 6.2).
static void put_proxy_info(const struct request *r, struct wr *w)
{
	struct rd rd = request_avps(r);
	struct avp a;
	for (uint32_t left = proxy_cnt(r); left && avp_next(&rd, &a) == AVP_WALK_ONE;)
		if (a.code == AVP_CODE_Proxy_Info && a.vendor == 0) {
			wr_slice(w, a.whole);
			wr_zero(w, -a.whole.len & 3u);
			left--;
		}
}

// Logs which subscriber of which peer is refused, and why. Operators look for this when a phone does not
// attach.
static void log_refusal(const struct request *r, uint32_t result, bool experimental)
{
	static struct log_limit limit;
	char imsi[16] = "";
	struct slice host = {0};
	if (!log_limit_pass(&limit, 20))
		return;
	for (unsigned i = 0; i < r->cmd->slot_cnt; i++)
		if (grammar_slot_avp(r->cmd, i)->code == AVP_CODE_Origin_Host && grammar_slot_avp(r->cmd, i)->vendor == 0)
			host = request_slot(r, i);
	if (r->imsi.v)
		imsi_text(r->imsi, imsi);
	log_info("request_refused", LOG_SLICE("peer", host), LOG_STR("command", r->cmd->name), LOG_IMSI("imsi", imsi),
		 LOG_STR("result", stat_result_text(stat_result_index(result, experimental))),
		 LOG_STR("rule", r->rule ? r->rule : ""), LOG_INT("suppressed", limit.suppressed));
	limit.suppressed = 0;
}

static void answer_open(struct request *r, struct wr *w, uint8_t flags, uint32_t result, bool experimental, size_t room)
{
	struct channel *ch = r->w->frontend[r->frontend];
	// Session-Id and Proxy-Info are copied: both are parts of the request
	size_t max = DIAMETER_HEADER_LEN + r->in.msg_len + 1024 + room;
	uint8_t *p = NULL;
	if (result / 1000 != 2)
		log_refusal(r, result, experimental);
	if (max > IPC_BODY_MAX) // a long request, of which the answer has only a part
		max = IPC_BODY_MAX;
	if (ch)
		p = channel_begin(ch, IPC_ANSWER, (uint16_t)stat_result_index(result, experimental), r->id, max);
	*w = wr_of(p, p ? max : 0);
	w->err = !p;
	header_begin(w, (uint8_t)((r->h.flags & HEADER_P) | flags), r->h.code, r->h.app, r->h.hop_by_hop,
		     r->h.end_to_end);
	put_session_id(r, w);
}

void request_answer_begin(struct request *r, struct wr *w, uint32_t result, bool experimental, size_t room)
{
	answer_open(r, w, 0, result, experimental, room);
	wr_bytes(w, r->w->head[r->app].octets, r->w->head[r->app].len);
	if (experimental) {
		size_t at = avp_group_begin(w, AVP_CODE_Experimental_Result, 0, AVP_M);
		avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
		avp_put_u32(w, AVP_CODE_Experimental_Result_Code, 0, AVP_M, result);
		avp_group_end(w, at);
	} else {
		avp_put_u32(w, AVP_CODE_Result_Code, 0, AVP_M, result);
	}
	wr_bytes(w, r->w->origin, r->w->origin_len);
}

// false: what was begun does not fit, and is withdrawn.
static bool answer_close(const struct request *r, struct wr *w)
{
	struct channel *ch = r->w->frontend[r->frontend];
	put_proxy_info(r, w);
	header_finish(w, 0);
	if (r->rule && !w->err && wr_room(w) >= IPC_RULE_MAX) // for those who trace (frontend/trace.h)
		wr_bytes(w, r->rule, strnlen(r->rule, IPC_RULE_MAX));
	if (w->err)
		channel_abandon(ch);
	else
		channel_commit(ch, wr_len(w));
	return !w->err;
}

void request_answer_end(struct request *r, struct wr *w)
{
	bool begun = w->base != NULL, sent = begun && answer_close(r, w);
	if (begun && !sent) {
		static struct log_limit limit;
		if (log_limit_pass(&limit, 1))
			log_error("answer_too_large", LOG_STR("command", r->cmd->name));
		request_answer_begin(r, w, RESULT_UNABLE_TO_COMPLY, false, 0);
		sent = w->base && answer_close(r, w);
	}
	if (!sent)
		stat_add(r->w->stats, STAT_CHANNEL_FULL, 1);
	request_done(r);
}

void request_answer(struct request *r, uint32_t result, bool experimental)
{
	struct wr w;
	request_answer_begin(r, &w, result, experimental, 0);
	request_answer_end(r, &w);
}

bool request_change_stands(struct request *r)
{
	if (r->change == CHANGE_DONE || r->change == CHANGE_DUPLICATE)
		return true;
	if (r->change == CHANGE_UNKNOWN_USER)
		request_answer(r, EXP_USER_UNKNOWN, true);
	else
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
	return false;
}

static void refuse_begin(struct request *r, struct wr *w, uint32_t result)
{
	const struct worker *wk = r->w;
	answer_open(r, w, HEADER_E, result, false, 0);
	// the short grammar of RFC 6733 7.2 has no Auth-Session-State: skip it (12 octets, first of `origin`)
	wr_bytes(w, wk->origin + 12, wk->origin_len - 12);
	avp_put_u32(w, AVP_CODE_Result_Code, 0, AVP_M, result);
}

void request_refuse(struct request *r, uint32_t result)
{
	struct wr w;
	refuse_begin(r, &w, result);
	if (result == RESULT_TOO_BUSY)
		stat_add(r->w->stats, STAT_TOO_BUSY, 1);
	request_answer_end(r, &w);
}

void request_redirect(struct request *r, struct slice host)
{
	struct wr w;
	refuse_begin(r, &w, RESULT_REDIRECT_INDICATION);
	size_t at = avp_group_begin(&w, AVP_CODE_Redirect_Host, 0, AVP_M);
	wr_bytes(&w, "aaa://", 6);
	wr_slice(&w, host);
	avp_group_end(&w, at);
	wr_zero(&w, -(6 + host.len) & 3u);
	request_answer_end(r, &w);
}

void request_answer_failed(struct request *r, const struct verdict *v)
{
	struct wr w;
	request_answer_begin(r, &w, v->result, false, sizeof v->failed + 16);
	verdict_put_failed_avp(v, &w);
	request_answer_end(r, &w);
}

void request_answer_bad_value(struct request *r, unsigned slot)
{
	const struct avp_slot *s = &r->slots[slot];
	const struct avp_def *def = grammar_slot_avp(r->cmd, slot);
	uint32_t head = def && def->vendor ? 12 : 8;
	struct verdict v = {0};
	if (s->cnt && s->off >= head)
		verdict_offending(&v, RESULT_INVALID_AVP_VALUE, slice_of(r->msg + s->off - head, s->len + head));
	else
		v.result = RESULT_INVALID_AVP_VALUE;
	request_answer_failed(r, &v);
}
