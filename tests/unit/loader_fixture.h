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
#include "loader/admin/admin.h"
#include "loader/commit/load.h"
#include "loader/loader.h"
#include "loader/store/local_priv.h"
#include "loader/commit/hss_request.h"
#include "loader/upstream/problems.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream_csv.h"
#include "tests/support/tmp.h"

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
								.control = world.control});
	if (rc == 0)
		local_fold_stop(world.l.local);
	return rc;
}

static inline void world_open(uint32_t max)
{
	log_init("test", LOG_LEVEL_ERROR, false, false);
	tmp_dir(world.dir, sizeof(world.dir), "hss-test-XXXXXX");
	world.config.max_subscribers = max;
	world.config.clr_lifetime_s = 3600;
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
	own_table_free(l);
	txn_free(l);
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

// A worker's ULR of this MME, under change id `id`; txn_commit is still to be called.
static inline void world_ulr(const char *imsi, uint64_t id, const char *host)
{
	uint8_t body[256];
	struct ipc_change c = {.imsi = imsi_of(imsi).v,
			       .dup_key = id,
			       .kind = CHANGE_ULR_MME,
			       .host_len = (uint16_t)strlen(host),
			       .realm_len = 4};
	struct wr w = wr_of(body, sizeof(body));
	wr_bytes(&w, &c, sizeof(c));
	wr_slice(&w, slice_str(host));
	wr_slice(&w, slice_str("test"));
	world_frame(ROLE_WORKER, IPC_CHANGE, id, 0, body, wr_len(&w));
}

// What that change's worker was told, which must be something.
static inline struct ipc_change_ack world_ack(uint64_t id)
{
	struct ipc_change_ack ack;
	const struct sent *s = sent_find(IPC_CHANGE_ACK, id);
	assert_non_null(s);
	assert_int_equal(s->len, sizeof(ack));
	memcpy(&ack, s->body, sizeof(ack));
	return ack;
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
