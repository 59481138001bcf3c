// A worker without processes: a real cache, the worker's code, and the other ends of its channels (two
// frontends, the loader) in the test's hands. Requests go in as a frontend sends them, checked by the
// grammar; what an answer must always have is checked when it is taken. No CMocka in here: the fuzz target
// and the benchmark use it too.
#pragma once
#include <sys/mman.h>
#include <unistd.h>
#include "apps/apps.h"
#include "apps/s6a/location.h"
#include "cache/build.h"
#include "lib/diameter/request.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "tests/support/check.h"
#include "worker/link.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#ifndef WF_APPS
#define WF_APPS worker_apps // a test may have applications of its own
#endif
#define WF_FRAMES    20000
#define WF_FRONTENDS 2
#define WF_IMSI      "001010000000001"
#define WF_HOST      "mme01.epc.mnc001.mcc001.3gppnetwork.org"
#define WF_REALM     "epc.mnc001.mcc001.3gppnetwork.org"

static const uint8_t wf_plmn[3] = {0x00, 0xf1, 0x10};

struct wf_frame {
	struct ipc_hdr hdr;
	uint8_t *body;
	uint32_t len;
};

struct wf_queue {
	struct wf_frame f[WF_FRAMES];
	unsigned in, out;
};

struct wf {
	struct worker w;
	struct config config;
	struct stats_block *stats;
	struct event_base *base;
	int records, records_ro, sqn, control_fd;
	struct control *control;
	struct builder *b;
	struct channel *fe[WF_FRONTENDS], *ld; // the other ends
	struct wf_queue answers[WF_FRONTENDS], own[WF_FRONTENDS], asks;
	struct wf_frame sent[WF_FRAMES]; // whole messages, by id
	uint64_t next_id;
	unsigned activity;
	bool auto_ind;   // IND_HOST is answered at once
	bool count_only; // benchmark: answers are not kept
	uint8_t msg[IPC_BODY_MAX];
	const char *host; // Origin-Host of the requests
	uint8_t head_flags;
};

// ---- the worker's side: what main.c does --------------------------------------------------------

static inline void wf_flush(struct wf *f)
{
	worker_unpin(&f->w);
	if (f->w.loader)
		channel_flush(f->w.loader);
	for (unsigned i = 0; i < WF_FRONTENDS; i++)
		if (f->w.frontend[i])
			channel_flush(f->w.frontend[i]);
}

static inline void wf_on_batch(void *ctx, struct channel *ch)
{
	(void)ch;
	wf_flush(ctx);
}

static inline void wf_on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct wf *f = ctx;
	f->activity++;
	if (ch == f->w.loader) {
		link_frame(&f->w, hdr, body);
		return;
	}
	unsigned i = ch == f->w.frontend[0] ? 0 : 1;
	if (hdr->type == IPC_REQUEST)
		request_arrived(&f->w, i, hdr, body);
	else if (hdr->type == IPC_HSS_ANSWER)
		hss_request_answered(&f->w, hdr, body);
}

static inline void wf_on_down(void *ctx, struct channel *ch, int why)
{
	struct wf *f = ctx;
	(void)why;
	f->activity++;
	if (ch == f->w.loader)
		channel_free(&f->w.loader);
	request_loader_lost(&f->w);
	for (unsigned i = 0; i < WF_FRONTENDS; i++)
		if (ch == f->w.frontend[i]) {
			channel_free(&f->w.frontend[i]);
			request_frontend_lost(&f->w, i);
			hss_request_frontend_lost(&f->w, i);
		}
	wf_flush(f);
}

static const struct channel_ops wf_worker_ops = {
    .on_frame = wf_on_frame, .on_batch = wf_on_batch, .on_down = wf_on_down};

// ---- the test's side ----------------------------------------------------------------------------

static inline void wf_queue_put(struct wf_queue *q, const struct ipc_hdr *hdr, const uint8_t *body)
{
	CHECK(q->in < WF_FRAMES);
	struct wf_frame *fr = &q->f[q->in++];
	fr->hdr = *hdr;
	fr->len = hdr->len - (uint32_t)sizeof *hdr;
	if (hdr->type == IPC_ANSWER) { // behind the message, the rule by which the request was refused
		uint32_t all = fr->len;
		CHECK(all >= DIAMETER_HEADER_LEN);
		fr->len = be24_get(body + 1);
		CHECK(fr->len <= all && all - fr->len <= IPC_RULE_MAX);
	}
	fr->body = malloc(fr->len ? fr->len : 1);
	CHECK(fr->body);
	if (fr->len)
		memcpy(fr->body, body, fr->len);
}

static inline void wf_other_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr,
				  const uint8_t *body)
{
	struct wf *f = ctx;
	f->activity++;
	if (ch == f->ld) {
		if (hdr->type == IPC_IND_HOST && f->auto_ind) {
			uint64_t hash, place;
			memcpy(&hash, body, 8);
			place = (uint64_t)(int64_t)builder_ind_add(f->b, hash);
			channel_send(ch, IPC_IND_HOST_ACK, hdr->id, &place, 8);
		} else {
			wf_queue_put(&f->asks, hdr, body);
		}
		return;
	}
	unsigned i = ch == f->fe[0] ? 0 : 1;
	if (!f->count_only)
		wf_queue_put(hdr->type == IPC_ANSWER ? &f->answers[i] : &f->own[i], hdr, body);
}

static inline void wf_other_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx;
	(void)ch;
	(void)why;
}

static const struct channel_ops wf_other_ops = {.on_frame = wf_other_frame, .on_down = wf_other_down};

static inline void wf_connect(struct wf *f, struct channel **worker_end, struct channel **test_end)
{
	int fds[2];
	CHECK(channel_pair(fds) == 0);
	*worker_end = channel_new_take(f->base, fds[0], 4u << 20, &wf_worker_ops, f);
	*test_end = channel_new_take(f->base, fds[1], 64u << 20, &wf_other_ops, f);
	CHECK(*worker_end && *test_end);
}

// Until nothing moves any more.
static inline void wf_run(struct wf *f)
{
	for (unsigned idle = 0; idle < 3; idle++) {
		unsigned before = f->activity;
		for (unsigned i = 0; i < WF_FRONTENDS; i++)
			if (f->fe[i])
				channel_flush(f->fe[i]);
		if (f->ld)
			channel_flush(f->ld);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		if (f->activity != before)
			idle = 0;
	}
}

static inline void wf_loader_away(struct wf *f)
{
	channel_free(&f->ld);
	wf_run(f);
	CHECK(!f->w.loader);
}

static inline void wf_loader_back(struct wf *f)
{
	wf_connect(f, &f->w.loader, &f->ld);
	request_resume_all(&f->w);
	wf_flush(f);
	wf_run(f);
}

static inline void wf_frontend_dies(struct wf *f, unsigned i)
{
	channel_free(&f->fe[i]);
	wf_run(f);
	CHECK(!f->w.frontend[i]);
}

// A profile: a head (Network-Access-Mode), an APN part, and a GPRS part when asked for.
static inline uint32_t wf_profile(struct wf *f, bool epc, bool gprs, uint32_t ard, uint32_t odb)
{
	union {
		uint8_t bytes[1024];
		struct cache_profile p;
	} u = {0};
	struct wr w = wr_of(u.p.avps, sizeof u.bytes - sizeof u.p);
	avp_put_u32(&w, AVP_CODE_Network_Access_Mode, VENDOR_3GPP, AVP_M, 2);
	u.p.head_len = (uint16_t)wr_len(&w);
	size_t at = wr_len(&w);
	if (epc) {
		size_t g = avp_group_begin(&w, AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, AVP_M);
		avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, AVP_M, 1);
		avp_put_u32(&w, AVP_CODE_All_APN_Configurations_Included_Indicator, VENDOR_3GPP, AVP_M, 0);
		size_t c = avp_group_begin(&w, AVP_CODE_APN_Configuration, VENDOR_3GPP, AVP_M);
		avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, AVP_M, 1);
		avp_put_u32(&w, AVP_CODE_PDN_Type, VENDOR_3GPP, AVP_M, 0);
		avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str("internet"));
		avp_group_end(&w, c);
		avp_group_end(&w, g);
	}
	u.p.epc_len = (uint16_t)(wr_len(&w) - at);
	at = wr_len(&w);
	if (gprs) {
		size_t g = avp_group_begin(&w, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, AVP_M);
		avp_put_u32(&w, AVP_CODE_Complete_Data_List_Included_Indicator, VENDOR_3GPP, AVP_M, 0);
		size_t c = avp_group_begin(&w, AVP_CODE_PDP_Context, VENDOR_3GPP, AVP_M);
		avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, AVP_M, 1);
		avp_put(&w, AVP_CODE_PDP_Type, VENDOR_3GPP, AVP_M, "\xf1\x21", 2);
		avp_put(&w, AVP_CODE_QoS_Subscribed, VENDOR_3GPP, AVP_M, "\x0b\x92\x1f", 3);
		avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str("internet"));
		avp_group_end(&w, c);
		avp_group_end(&w, g);
	}
	u.p.gprs_len = (uint16_t)(wr_len(&w) - at);
	CHECK(!w.err);
	u.p.access_restriction = ard;
	u.p.odb = odb;
	u.p.subscriber_status = odb != 0;
	u.p.len = (uint32_t)(sizeof u.p + wr_len(&w));
	uint32_t profile = builder_profile(f->b, &u.p);
	CHECK(profile);
	return profile;
}

static const uint8_t wf_k[16] = {0x46, 0x5b, 0x5c, 0xe8, 0xb1, 0x99, 0xb4, 0x9f,
				 0xaa, 0x5f, 0x0a, 0x2e, 0xe2, 0x38, 0xa6, 0xbc};
static const uint8_t wf_opc[16] = {0xe8, 0xed, 0x28, 0x9d, 0xeb, 0xa9, 0x52, 0xe4,
				   0x28, 0x3b, 0x54, 0xe8, 0x8e, 0x61, 0x83, 0xca};

// A new subscriber with SEQs [next, limit); the record is the caller's to change and wf_put again.
static inline struct cache_record wf_subscriber(struct wf *f, const char *imsi, uint32_t profile,
						uint64_t next, uint64_t limit)
{
	struct cache_record r = {.amf = 0x8000, .alg = ALG_MILENAGE, .profile = profile};
	CHECK(imsi_parse(slice_str(imsi), &r.imsi));
	CHECK(msisdn_parse(slice_str("491700000001"), &r.msisdn[0]));
	memcpy(r.k, wf_k, 16);
	memcpy(r.opc, wf_opc, 16);
	r.sqn = builder_sqn_take(f->b, next, limit);
	CHECK(r.sqn != UINT32_MAX && builder_put(f->b, &r) == 0);
	return r;
}

static inline void wf_load_state(struct wf *f, enum cache_load_state s)
{
	__atomic_store_n((uint32_t *)&builder_header(f->b)->load_state, s, __ATOMIC_RELEASE);
}

static inline struct wf *wf_new(uint32_t subscribers)
{
	struct wf *f = calloc(1, sizeof *f);
	bool fresh;
	CHECK(f);
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(f->config.host, sizeof f->config.host, "hss01.%s", WF_REALM);
	snprintf(f->config.realm, sizeof f->config.realm, "%s", WF_REALM);
	f->config.node_id = 1;
	f->config.max_vectors = 5;
	f->config.request_timeout_ms = 2000;
	f->config.hss_request_timeout_ms = 3000;
	f->auto_ind = true;
	f->host = WF_HOST;
	f->next_id = 1;
	f->head_flags = HEADER_R | HEADER_P;
	CHECK(cache_create(subscribers, 0, &f->records, &f->records_ro, &f->sqn) == 0);
	CHECK((f->control_fd = control_create(WF_FRONTENDS, 1)) >= 0);
	CHECK((f->control = control_map(f->control_fd, true)) != NULL);
	f->stats = &f->control->stats[control_instance(ROLE_WORKER, 0)];
	CHECK((f->b = builder_open(f->records, f->sqn, f->control, subscribers, 0, &fresh)) != NULL);
	CHECK(worker_init(&f->w, &f->config, f->stats, WF_APPS) == 0);
	CHECK(cache_open(&f->w.cache, f->records_ro, f->sqn, f->control, 0) == 0);
	CHECK((f->base = event_base_new()) != NULL);
	for (unsigned i = 0; i < WF_FRONTENDS; i++)
		wf_connect(f, &f->w.frontend[i], &f->fe[i]);
	wf_connect(f, &f->w.loader, &f->ld);
	wf_load_state(f, CACHE_COMPLETE);
	return f;
}

static inline void wf_queue_free(struct wf_queue *q)
{
	for (unsigned i = 0; i < q->in; i++)
		free(q->f[i].body);
}

static inline void wf_free(struct wf *f)
{
	for (unsigned i = 0; i < WF_FRONTENDS; i++) {
		channel_free(&f->fe[i]);
		channel_free(&f->w.frontend[i]);
		wf_queue_free(&f->answers[i]);
		wf_queue_free(&f->own[i]);
	}
	wf_queue_free(&f->asks);
	for (unsigned i = 0; i < WF_FRAMES; i++)
		free(f->sent[i].body);
	channel_free(&f->ld);
	channel_free(&f->w.loader);
	event_base_free(f->base);
	worker_fini(&f->w);
	cache_close(&f->w.cache);
	builder_free(&f->b);
	munmap(f->control, sizeof *f->control);
	close(f->records);
	close(f->records_ro);
	close(f->sqn);
	close(f->control_fd);
	free(f);
}

// CMocka's: a world with the subscriber WF_IMSI, who has EPS and GPRS data and more SEQs than a test uses.
static inline int wf_setup(void **state)
{
	struct wf *f = wf_new(100);
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, 100000);
	*state = f;
	return 0;
}

static inline int wf_teardown(void **state)
{
	wf_free(*state);
	return 0;
}

// ---- requests -----------------------------------------------------------------------------------

// Header and what every request has, into f->msg. The identifiers follow from the number of the request.
static inline struct wr wf_begin(struct wf *f, uint32_t code, const char *imsi)
{
	struct wr w = wr_of(f->msg, sizeof f->msg);
	header_begin(&w, f->head_flags, code, APP_S6A, 0x1000u + (uint32_t)f->next_id,
		     0xe0000000u + (uint32_t)f->next_id);
	avp_put_slice(&w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("mme01;1;2;x"));
	avp_put_u32(&w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(&w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str(f->host));
	avp_put_slice(&w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str(WF_REALM));
	avp_put_slice(&w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(WF_REALM));
	avp_put_slice(&w, AVP_CODE_User_Name, 0, AVP_M, slice_str(imsi));
	return w;
}

// The body of a REQUEST frame for the message in `m`, as a frontend composes it; returns its length.
static inline size_t wf_request_body(const uint8_t *m, uint32_t len, uint8_t *out, size_t cap,
				     uint32_t peer_flags)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct header h;
	header_get(m, &h);
	const struct command *cmd = grammar_find(h.code, h.app, true);
	CHECK(cmd);
	if (!grammar_check(cmd, m, len, slots, &v)) {
		fprintf(stderr, "request is refused by the grammar: %u\n", v.result);
		abort();
	}
	struct ipc_request q = {.arrival_us = clock_mono_us(),
				.msg_len = len,
				.command = cmd->id,
				.slot_cnt = cmd->slot_cnt,
				.peer_flags = peer_flags};
	struct avp a;
	struct subject subject;
	struct slice spelling;
	CHECK(avp_find(slice_of(m + 20, len - 20), AVP_CODE_Origin_Host, 0, &a));
	q.host_hash = ident_hash_bytes(a.data, true);
	int slot = request_subject(cmd, m, slots, &subject, &spelling);
	q.imsi = subject_imsi(&subject).v;
	q.msisdn = subject_msisdn(&subject).v;
	q.subject = subject.hash;
	q.subject_type = subject.type;
	q.subject_slot = slot < 0 ? 0 : (uint8_t)slot;
	struct wr w = wr_of(out, cap);
	wr_bytes(&w, &q, sizeof q);
	wr_bytes(&w, slots, cmd->slot_cnt * sizeof *slots);
	wr_bytes(&w, m, len);
	CHECK(!w.err);
	return wr_len(&w);
}

// Sends the message begun by wf_begin through frontend `fe` and lets everything run; returns its id.
static inline uint64_t wf_queue_request(struct wf *f, struct wr *w, unsigned fe, uint32_t peer_flags)
{
	header_finish(w, 0);
	CHECK(!w->err && f->next_id < WF_FRAMES);
	uint64_t id = f->next_id++;
	uint32_t len = (uint32_t)wr_len(w);
	uint8_t *p = channel_begin(f->fe[fe], IPC_REQUEST, 0, id, IPC_BODY_MAX);
	CHECK(p);
	channel_commit(f->fe[fe], wf_request_body(f->msg, len, p, IPC_BODY_MAX, peer_flags));
	f->sent[id].body = malloc(len);
	CHECK(f->sent[id].body);
	memcpy(f->sent[id].body, f->msg, len);
	f->sent[id].len = len;
	return id;
}

static inline uint64_t wf_send(struct wf *f, struct wr *w)
{
	uint64_t id = wf_queue_request(f, w, 0, 0);
	wf_run(f);
	return id;
}

// ---- answers ------------------------------------------------------------------------------------

struct wf_answer {
	uint64_t id;
	const uint8_t *msg;
	uint32_t len;
	struct header h;
	const struct command *cmd;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	uint32_t result;
	bool experimental;
};

static inline struct slice wf_body(const uint8_t *msg, uint32_t len)
{
	return slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
}

// The next Proxy-Info, empty when there is none; the AVPs before it are well-formed.
static inline struct slice wf_next_proxy(struct rd *r)
{
	struct avp avp;
	enum avp_walk step;
	while ((step = avp_next(r, &avp)) == AVP_WALK_ONE)
		if (avp.code == AVP_CODE_Proxy_Info)
			return avp.whole;
	CHECK(step == AVP_WALK_END);
	return (struct slice){0};
}

// Both messages have the same Proxy-Info in the same order.
static inline void wf_check_proxies(struct slice request, struct slice answer)
{
	struct rd a = rd_slice(request), b = rd_slice(answer);
	struct slice proxy;
	do {
		proxy = wf_next_proxy(&a);
		CHECK(slice_eq(proxy, wf_next_proxy(&b)));
	} while (proxy.len);
}

// Takes the oldest answer of this frontend, which must be there, and checks what every answer must be.
static inline struct wf_answer wf_take(struct wf *f, unsigned fe)
{
	struct wf_answer a = {0};
	struct wf_queue *q = &f->answers[fe];
	struct verdict v;
	struct avp avp;
	CHECK(q->out < q->in);
	struct wf_frame *fr = &q->f[q->out++];
	a.id = fr->hdr.id;
	a.msg = fr->body;
	a.len = fr->len;
	header_get(a.msg, &a.h);
	CHECK(a.h.len == a.len && a.len % 4 == 0);
	CHECK(a.id < WF_FRAMES && f->sent[a.id].body);
	const struct wf_frame *s = &f->sent[a.id];
	struct header h;
	header_get(s->body, &h);
	CHECK(h.hop_by_hop == a.h.hop_by_hop && h.end_to_end == a.h.end_to_end && h.code == a.h.code &&
		 h.app == a.h.app);
	CHECK(!(a.h.flags & (HEADER_R | HEADER_T)) && (a.h.flags & HEADER_P) == (h.flags & HEADER_P));
	a.cmd = grammar_find(a.h.code, a.h.app, false);
	CHECK(a.cmd);
	if (!grammar_check(a.cmd, a.msg, a.len, a.slots, &v)) {
		fprintf(stderr, "answer is refused by the grammar: %u\n", v.result);
		abort();
	}
	struct rd rd = rd_slice(wf_body(a.msg, a.len));
	CHECK(avp_next(&rd, &avp) == AVP_WALK_ONE && avp.code == AVP_CODE_Session_Id);
	CHECK(slice_eq(avp.data, slice_str("mme01;1;2;x")));
	wf_check_proxies(wf_body(s->body, s->len), wf_body(a.msg, a.len));
	CHECK(avp_find(wf_body(a.msg, a.len), AVP_CODE_Origin_Host, 0, &avp) &&
		 slice_eq(avp.data, slice_str(f->config.host)));
	if (avp_find(wf_body(a.msg, a.len), AVP_CODE_Experimental_Result, 0, &avp)) {
		struct avp code, vendor;
		CHECK(avp_find(avp.data, AVP_CODE_Experimental_Result_Code, 0, &code) &&
			 avp_u32(code.data, &a.result));
		CHECK(avp_find(avp.data, AVP_CODE_Vendor_Id, 0, &vendor) &&
			 be32_get(vendor.data.p) == VENDOR_3GPP);
		a.experimental = true;
	} else {
		CHECK(avp_find(wf_body(a.msg, a.len), AVP_CODE_Result_Code, 0, &avp) &&
			 avp_u32(avp.data, &a.result));
	}
	CHECK(((a.h.flags & HEADER_E) != 0) == (!a.experimental && a.result >= 3000 && a.result < 4000));
	CHECK(fr->hdr.flags == stat_result_index(a.result, a.experimental));
	return a;
}

static inline bool wf_find(const struct wf_answer *a, uint32_t code, uint32_t vendor, struct avp *out)
{
	return avp_find(wf_body(a->msg, a->len), code, vendor, out);
}

static inline unsigned wf_answers(const struct wf *f, unsigned fe)
{
	return f->answers[fe].in - f->answers[fe].out;
}

// The oldest question to the loader, which must be of this type.
static inline struct wf_frame *wf_ask(struct wf *f, enum ipc_type type)
{
	CHECK(f->asks.out < f->asks.in);
	struct wf_frame *fr = &f->asks.f[f->asks.out++];
	if (fr->hdr.type != type) {
		fprintf(stderr, "asked %s instead of %s\n", ipc_type_name(fr->hdr.type), ipc_type_name(type));
		abort();
	}
	return fr;
}

static inline unsigned wf_asks(const struct wf *f)
{
	return f->asks.in - f->asks.out;
}

static inline void wf_reply(struct wf *f, enum ipc_type type, uint64_t id, uint64_t value)
{
	CHECK(channel_send(f->ld, type, id, &value, sizeof value));
	wf_run(f);
}

static inline void wf_change_ack(struct wf *f, uint64_t id, enum change_status status)
{
	wf_reply(f, IPC_CHANGE_ACK, id, status);
}

// The change that a CHANGE frame asks for; slices point into it.
struct wf_change {
	struct ipc_change c;
	struct slice state, kept[2];
	struct s6a_state s6a;
	struct s6a_cancel cancel[4];
};

static inline struct wf_change wf_read_change(const struct wf_frame *fr)
{
	struct wf_change x = {0};
	struct rd r = rd_of(fr->body, fr->len);
	memcpy(&x.c, rd_take(&r, sizeof x.c), sizeof x.c);
	x.state = rd_bytes(&r, x.c.state_len);
	x.kept[0] = rd_bytes(&r, x.c.kept_len[0]);
	x.kept[1] = rd_bytes(&r, x.c.kept_len[1]);
	CHECK(x.c.app == app_s6a && s6a_state_get(x.state, &x.s6a) && x.c.request_cnt <= 4);
	for (unsigned i = 0; i < x.c.request_cnt; i++) {
		struct ipc_change_request q;
		memcpy(&q, rd_take(&r, sizeof q), sizeof q);
		struct slice host = rd_bytes(&r, q.host_len), realm = rd_bytes(&r, q.realm_len);
		CHECK(s6a_cancel_get(q.purpose, rd_bytes(&r, q.data_len), &x.cancel[i]));
		x.cancel[i].host = host;
		x.cancel[i].realm = realm;
	}
	CHECK(!r.err && rd_left(&r) == 0);
	return x;
}

// Makes what the change asks for true in the cache, as the loader does, and says so.
static inline void wf_change_done(struct wf *f, const struct wf_frame *fr)
{
	struct wf_change x = wf_read_change(fr);
	const struct cache_record *now = cache_find(builder_cache(f->b), (imsi_t){x.c.imsi});
	CHECK(now);
	struct cache_record r = *now;
	for (unsigned i = 0; i < 2; i++) {
		const struct s6a_serving *v = &x.s6a.serving[i];
		r.serving[i].node = v->host.len ? builder_node(f->b, v->host, v->realm) : 0;
		memcpy(r.serving[i].plmn, v->plmn, 3);
		r.serving[i].flags = v->flags;
		r.serving[i].time_us = v->time_us;
	}
	r.imeisv = x.s6a.imeisv;
	r.data_mark = x.s6a.data_mark;
	r.change_key = x.c.key;
	r.version++;
	CHECK(builder_put(f->b, &r) == 0);
	wf_change_ack(f, fr->hdr.id, CHANGE_DONE);
}

// ---- commands -----------------------------------------------------------------------------------

static inline void wf_put_auth_group(struct wr *w, uint32_t code, uint32_t wanted, bool immediate,
				     struct slice resync)
{
	size_t at = avp_group_begin(w, code, VENDOR_3GPP, AVP_M);
	if (wanted)
		avp_put_u32(w, AVP_CODE_Number_Of_Requested_Vectors, VENDOR_3GPP, AVP_M, wanted);
	if (immediate)
		avp_put_u32(w, AVP_CODE_Immediate_Response_Preferred, VENDOR_3GPP, AVP_M, 1);
	if (resync.p)
		avp_put_slice(w, AVP_CODE_Re_Synchronization_Info, VENDOR_3GPP, AVP_M, resync);
	avp_group_end(w, at);
}

static inline void wf_put_plmn(struct wr *w, const uint8_t plmn[3])
{
	avp_put(w, AVP_CODE_Visited_PLMN_Id, VENDOR_3GPP, AVP_M, plmn, 3);
}

static inline void wf_put_features(struct wr *w, uint32_t list, uint32_t bits, uint8_t flags)
{
	size_t at = avp_group_begin(w, AVP_CODE_Supported_Features, VENDOR_3GPP, flags);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(w, AVP_CODE_Feature_List_ID, VENDOR_3GPP, 0, list);
	avp_put_u32(w, AVP_CODE_Feature_List, VENDOR_3GPP, 0, bits);
	avp_group_end(w, at);
}

// An AIR for `wanted` E-UTRAN vectors.
static inline struct wr wf_air(struct wf *f, const char *imsi, uint32_t wanted)
{
	struct wr w = wf_begin(f, 318, imsi);
	wf_put_auth_group(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, wanted, true, (struct slice){0});
	wf_put_plmn(&w, wf_plmn);
	return w;
}

static inline struct wr wf_ulr(struct wf *f, const char *imsi, uint32_t flags, uint32_t rat)
{
	struct wr w = wf_begin(f, 316, imsi);
	avp_put_u32(&w, AVP_CODE_RAT_Type, VENDOR_3GPP, AVP_M, rat);
	avp_put_u32(&w, AVP_CODE_ULR_Flags, VENDOR_3GPP, AVP_M, flags);
	wf_put_plmn(&w, wf_plmn);
	return w;
}

// `cnt` Proxy-Info, each with a Proxy-State one octet longer than the one before.
static inline void wf_put_proxies(struct wr *w, unsigned cnt, uint32_t state_len)
{
	static uint8_t bytes[40000];
	for (unsigned i = 0; i < cnt; i++) {
		char host[32];
		snprintf(host, sizeof host, "agent%u.example.org", i);
		memset(bytes, (int)i, sizeof bytes);
		size_t at = avp_group_begin(w, AVP_CODE_Proxy_Info, 0, AVP_M);
		avp_put_slice(w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str(host));
		avp_put(w, AVP_CODE_Proxy_State, 0, AVP_M, bytes, state_len + i);
		avp_group_end(w, at);
	}
}
