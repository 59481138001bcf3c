// A loader without processes: its cache in memory files, its database in a directory of its own, its answers
// recorded. The fold thread is stopped unless a test starts it, the event loop is absent: txn_commit is
// called by the test.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "apps/apps.h"
#include "apps/s6a/loader.h"
#include "lib/base/change_key.h"
#include "lib/base/clock.h"
#include "loader/admin/admin.h"
#include "loader/commit/load.h"
#include "loader/loader.h"
#include "loader/store/local_priv.h"
#include "loader/commit/hss_request.h"
#include "loader/upstream/problems.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream_csv.h"
#include "tests/support/tmp.h"

#ifndef WORLD_APPS
#define WORLD_APPS loader_apps // a test may have applications of its own
#endif
#define SENT_MAX 20000

struct sent {
	enum role role;
	unsigned index;
	uint16_t type;
	uint64_t id;
	size_t len;
	uint8_t *body;
};

struct world {
	struct loader l;
	struct config config;
	char dir[64];
	int records, records_ro, sqn, control_fd;
	struct control *control;
	struct sent sent[SENT_MAX];
	unsigned sent_cnt;
	const char *vfs;
};

static struct world world;

static inline void world_sent_clear(void)
{
	for (unsigned i = 0; i < world.sent_cnt; i++)
		free(world.sent[i].body);
	world.sent_cnt = 0;
}

static inline void world_send(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id,
			      const void *body, size_t len)
{
	(void)l;
	assert_true(ipc_length_valid(type, (uint32_t)len));
	assert_true(world.sent_cnt < SENT_MAX);
	struct sent *s = &world.sent[world.sent_cnt++];
	*s = (struct sent){
	    .role = role, .index = index, .type = type, .id = id, .len = len, .body = malloc(len + 1)};
	memcpy(s->body, body, len);
	s->body[len] = 0;
}

static inline void world_memory(uint32_t max)
{
	assert_int_equal(cache_create(max, 0, &world.records, &world.records_ro, &world.sqn), 0);
	world.control_fd = control_create(1, 4);
	world.control = control_map(world.control_fd, true);
	assert_non_null(world.control);
}

static inline void world_memory_close(void)
{
	munmap(world.control, sizeof(*world.control));
	close(world.control_fd);
	close(world.records);
	close(world.records_ro);
	close(world.sqn);
}

static inline int world_attach(void)
{
	world.l =
	    (struct loader){.config = &world.config, .send = world_send, .stats = &world.control->stats[1]};
	int rc = loader_init(&world.l, &(struct loader_options){.dir = world.dir,
								.vfs = world.vfs,
								.records_fd = world.records,
								.sqn_fd = world.sqn,
								.op_fd = -1,
								.control = world.control,
								.apps = WORLD_APPS});
	if (rc == 0)
		local_fold_stop(world.l.local);
	return rc;
}

static inline void world_open(uint32_t max)
{
	log_init("test", LOG_LEVEL_ERROR, false, false);
	tmp_dir(world.dir, sizeof(world.dir), "hss-test-XXXXXX");
	world.config.max_subscribers = max;
	world.config.hss_request_lifetime_s = 3600;
	world_memory(max);
	assert_int_equal(world_attach(), 0);
}

// What `kill -9` leaves: nothing is committed, published or answered any more. Files as they are, memory as
// it is.
static inline void world_kill(void)
{
	struct loader *l = &world.l;
	upstream_csv_stop(l);
	admin_free(l);
	problems_free(l);
	load_free(l);
	hss_requests_free(l);
	txn_free(l);
	loader_stop_apps(l);
	local_free(&l->local);
	builder_free(&l->builder);
	record_ctx_fini(&l->records);
	free(l->dup);
	close(l->lock_fd);
}

static inline void world_remove(void)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", world.dir);
	assert_int_equal(system(cmd), 0);
}

static inline void world_close(void)
{
	loader_fini(&world.l);
	world_memory_close();
	world_sent_clear();
	world_remove();
}

// CMocka's.
static inline int world_teardown(void **state)
{
	(void)state;
	world_close();
	return 0;
}

// The loader dies and comes back; with `power_cut` (or hssd dead) the memory files are new as well.
static inline void world_restart(bool power_cut)
{
	world_kill();
	if (power_cut) {
		world_memory_close();
		world_memory(world.config.max_subscribers);
	}
	assert_int_equal(world_attach(), 0);
	while (load_step(&world.l))
		;
}

// What the fold thread would do now.
static inline int fold_now(void)
{
	int n;
	do
		n = fold_step(world.l.local);
	while (n > 0);
	return n;
}

static inline imsi_t imsi_of(const char *text)
{
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(text), &imsi));
	return imsi;
}

static inline void world_frame(enum role role, uint16_t type, uint64_t id, uint16_t flags, const void *body,
			       size_t len)
{
	struct ipc_hdr hdr = {.len = (uint32_t)(sizeof(hdr) + len), .type = type, .flags = flags, .id = id};
	// a block of its own: reading beyond it is seen; of an empty body there is one octet, of no meaning
	uint8_t *copy = calloc(1, len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, body, len);
	loader_frame(&world.l, role, 0, &hdr, copy);
	free(copy);
}

static inline struct sent *sent_find(uint16_t type, uint64_t id)
{
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == type && world.sent[i].id == id)
			return &world.sent[i];
	return NULL;
}

static inline unsigned sent_count(uint16_t type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < world.sent_cnt; i++)
		n += world.sent[i].type == type;
	return n;
}

// ---- changes of S6a's state, decided as a worker decides them: from what the cache shows now

enum world_kind { WORLD_ULR_MME, WORLD_ULR_SGSN, WORLD_PUR, WORLD_NOR };

struct world_ask {
	enum world_kind kind;
	const char *imsi, *host, *realm;
	bool combined, clear_sgsn, cancel_other, repeated;
	uint32_t pur_flags;
	uint64_t key; // of the request; 0: one of its own
	struct slice kept[2];
	bool merge; // kept[1]
	uint16_t hdr_flags;
	uint64_t id; // of the frame
};

static inline bool world_decide(const struct world_ask *a, struct s6a_decision *d, uint16_t *version)
{
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(a->imsi));
	struct s6a_state now = {0};
	struct slice host = slice_str(a->host);
	*version = r ? r->version : 0;
	if (r)
		s6a_state_of(world.l.cache, r, &now);
	if (a->kind == WORLD_PUR)
		return s6a_purge(&now, host, a->pur_flags, d);
	if (a->kind == WORLD_NOR)
		return s6a_notify(&now, host, clock_wall_us(), 0, a->clear_sgsn, d);
	s6a_update_location(&now,
			    &(struct s6a_update){.kind = a->kind == WORLD_ULR_SGSN ? S6A_SGSN : S6A_MME,
						 .host = host,
						 .realm = slice_str(a->realm ? a->realm : "test"),
						 .plmn = {0x00, 0xf1, 0x10},
						 .now_us = clock_wall_us(),
						 .combined = a->combined,
						 .clear_sgsn = a->clear_sgsn,
						 .cancel_other = a->cancel_other},
			    d);
	return true;
}

static inline size_t world_change_body(const struct world_ask *a, const struct s6a_decision *d, uint16_t version,
				       uint8_t *body, size_t cap)
{
	static uint64_t next_key = 1ull << 32;
	uint8_t state[S6A_STATE_MAX], data[S6A_CANCEL_DATA_LEN];
	struct wr s = wr_of(state, sizeof(state)), w = wr_of(body, cap);
	s6a_state_put(&s, &d->next);
	assert_false(s.err);
	const struct ipc_change c = {
	    .imsi = imsi_of(a->imsi).v,
	    .key = change_key(a->key ? a->key : ++next_key, 316, 1, clock_wall_us()),
	    .options = (a->repeated ? CHANGE_REPEATED : 0u) | (a->kept[0].len ? CHANGE_KEPT_0 : 0u) |
		       (a->kept[1].len ? CHANGE_KEPT_1 : 0u) | (a->merge ? CHANGE_MERGE_1 : 0u),
	    .kept_len = {a->kept[0].len, a->kept[1].len},
	    .version = version,
	    .state_len = (uint16_t)wr_len(&s),
	    .request_cnt = (uint16_t)d->cancel_cnt,
	    .app = app_s6a};
	wr_bytes(&w, &c, sizeof(c));
	wr_bytes(&w, state, wr_len(&s));
	wr_slice(&w, a->kept[0]);
	wr_slice(&w, a->kept[1]);
	for (unsigned i = 0; i < d->cancel_cnt; i++) {
		const struct s6a_cancel *k = &d->cancel[i];
		const struct ipc_change_request head = {
		    .purpose = k->kind == S6A_SGSN ? S6A_CANCEL_SGSN : S6A_CANCEL_MME,
		    .host_len = (uint8_t)k->host.len,
		    .realm_len = (uint8_t)k->realm.len,
		    .data_len = S6A_CANCEL_DATA_LEN};
		wr_bytes(&w, &head, sizeof(head));
		wr_slice(&w, k->host);
		wr_slice(&w, k->realm);
		wr_slice(&w, s6a_cancel_data(k, data));
	}
	assert_false(w.err);
	return wr_len(&w);
}

// A worker's CHANGE under a->id; txn_commit is still to be called. false: nothing is sent, since the node does not serve
// the subscriber.
static inline bool world_change(const struct world_ask *a)
{
	uint8_t body[40000];
	struct s6a_decision d;
	uint16_t version;
	if (!world_decide(a, &d, &version))
		return false;
	size_t n = world_change_body(a, &d, version, body, sizeof(body));
	world_frame(ROLE_WORKER, IPC_CHANGE, a->id, a->hdr_flags, body, n);
	return true;
}

// A worker's ULR of this MME, under change id `id`; txn_commit is still to be called.
static inline void world_ulr(const char *imsi, uint64_t id, const char *host)
{
	assert_true(world_change(&(struct world_ask){.imsi = imsi, .host = host, .key = id, .id = id}));
}

// What that change's worker was told, which must be something.
static inline enum change_status world_ack(uint64_t id)
{
	uint64_t status;
	const struct sent *s = sent_find(IPC_CHANGE_ACK, id);
	assert_non_null(s);
	assert_int_equal(s->len, sizeof(status));
	memcpy(&status, s->body, sizeof(status));
	return (enum change_status)status;
}

// What a worker says of the HSS-initiated request `row`.
static inline void world_hss_sent(const char *imsi, uint64_t row, enum hss_sent_status status, uint32_t result)
{
	const struct ipc_hss_sent s = {.imsi = imsi_of(imsi).v, .status = status, .result = result};
	world_frame(ROLE_WORKER, IPC_HSS_SENT, row, 0, &s, sizeof(s));
}

// An admin call to its end: the status; rows stay in world.sent.
static inline int world_call(uint64_t id, const char *json)
{
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, id, 0, json, strlen(json));
	txn_commit(&world.l);
	struct sent *s = sent_find(IPC_ADMIN_END, id);
	assert_non_null(s);
	json_t *v = json_loads((char *)s->body, 0, NULL);
	int status = (int)json_integer_value(json_object_get(v, "status"));
	json_decref(v);
	return status;
}

static inline json_t *world_row(uint64_t id)
{
	struct sent *s = sent_find(IPC_ADMIN_ROW, id);
	assert_non_null(s);
	return json_loads((char *)s->body, 0, NULL);
}

static inline void world_add(const char *imsi)
{
	static uint64_t id = 1000000;
	char text[256];
	snprintf(text, sizeof(text),
		 "{\"cmd\":\"subscriber "
		 "add\",\"args\":{\"imsi\":\"%s\",\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","
		 "\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"}}",
		 imsi);
	assert_int_equal(world_call(++id, text), ADMIN_OK);
}
