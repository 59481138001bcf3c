// The loader alone, without processes and sockets: import, changes of state with an fsync for each batch, and
// the start, on a database of its own in DIR. usage: loader_speed DIR [SUBSCRIBERS [CHANGES [BATCH]]]
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "apps/apps.h"
#include "apps/s6a/state.h"
#include "loader/admin/admin.h"
#include "loader/commit/load.h"
#include "loader/loader.h"
#include "loader/commit/txn.h"
#include "lib/base/clock.h"

static struct config config;
static uint64_t acks, credit;

static void on_send(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id,
		    const void *body, size_t len)
{
	uint64_t n;
	(void)l;
	(void)role;
	(void)index;
	(void)id;
	acks += type == IPC_CHANGE_ACK;
	if (type == IPC_ADMIN_CREDIT && len == sizeof(n)) {
		memcpy(&n, body, sizeof(n));
		credit += n;
	}
}

static void frame(struct loader *l, enum role role, uint16_t type, uint64_t id, const void *body, size_t len)
{
	struct ipc_hdr hdr = {.len = (uint32_t)(sizeof(hdr) + len), .type = type, .id = id};
	loader_frame(l, role, 0, &hdr, body);
}

static void tell(const char *what, uint64_t n, uint64_t since_us)
{
	double s = (double)(clock_mono_us() - since_us) / 1e6;
	printf("%-28s %9llu in %7.3f s: %9.0f/s\n", what, (unsigned long long)n, s, (double)n / s);
}

static uint64_t imsi_v(unsigned i)
{
	char text[16];
	imsi_t imsi;
	snprintf(text, sizeof(text), "%015llu", 1010000000001ull + i);
	return imsi_parse(slice_str(text), &imsi) ? imsi.v : 0;
}

static void import_all(struct loader *l, unsigned n)
{
	static char data[128 * 1024];
	static const char call[] = "{\"cmd\":\"subscriber import\"}";
	const char *rest =
	    "\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\",\"amf\":\"8000\",\"op\":null,"
	    "\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\",\"sqn\":64},\"schema_version\":1,\"imeisv\":[],"
	    "\"mme_host\":[],"
	    "\"mme_realm\":[],\"purge_flag\":[],\"ambr\":{\"downlink\":{\"value\":1,\"unit\":3},\"uplink\":{"
	    "\"value\":1,"
	    "\"unit\":3}},\"slice\":[{\"sst\":1,\"default_indicator\":true,\"session\":[{\"name\":"
	    "\"internet\",\"type\":3,"
	    "\"qos\":{\"index\":9,\"arp\":{\"priority_level\":8,\"pre_emption_capability\":1,"
	    "\"pre_emption_vulnerability\":1}},\"ambr\":{\"downlink\":{\"value\":1,\"unit\":3},\"uplink\":{"
	    "\"value\":1,"
	    "\"unit\":3}},\"pcc_rule\":[]}]}],\"access_restriction_data\":32,\"subscriber_status\":0,"
	    "\"operator_determined_barring\":0,\"network_access_mode\":0,\"subscribed_rau_tau_timer\":12,\"__"
	    "v\":0}";
	uint64_t start = clock_mono_us(), given = 0;
	frame(l, ROLE_ADMIN, IPC_ADMIN_CALL, 1, call, sizeof(call) - 1);
	for (unsigned i = 0; i < n;) {
		size_t used = 0;
		for (; i < n && used + 1024 < sizeof(data); i++)
			used += (size_t)snprintf(data + used, sizeof(data) - used,
						 "{\"imsi\":\"%015llu\",\"msisdn\":[\"%llu\"],%s\n",
						 1010000000001ull + i, 15550000000ull + i, rest);
		frame(l, ROLE_ADMIN, IPC_ADMIN_DATA, 1, data, used);
		given += used;
		if (given % (8 * sizeof(data)) < sizeof(data))
			txn_commit(l);
		while (given - credit > 1u << 20) {
			usleep(1000);
			admin_folded(l);
		}
	}
	frame(l, ROLE_ADMIN, IPC_ADMIN_DATA, 1, "", 0);
	txn_commit(l);
	tell("import", n, start);
}

static void changes(struct loader *l, unsigned subscribers, unsigned n, unsigned batch)
{
	uint8_t body[512], state[S6A_STATE_MAX];
	uint64_t rng = 1, start = clock_mono_us();
	struct s6a_state s = {.serving[S6A_MME] = {.host = slice_str("mme01.epc.mnc001.mcc001.3gppnetwork.org"),
						   .realm = slice_str("epc.mnc001.mcc001.3gppnetwork.org"),
						   .plmn = {0, 0xf1, 0x10},
						   .time_us = start}};
	struct wr sw = wr_of(state, sizeof(state));
	s6a_state_put(&sw, &s);
	acks = 0;
	for (unsigned i = 0; i < n; i++) {
		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		imsi_t imsi = {imsi_v((unsigned)((rng >> 33) % subscribers))};
		const struct cache_record *r = cache_find(l->cache, imsi);
		struct ipc_change c = {.imsi = imsi.v,
				       .key = rng | 1,
				       .version = r ? r->version : 0,
				       .state_len = (uint16_t)wr_len(&sw),
				       .app = app_s6a};
		struct wr w = wr_of(body, sizeof(body));
		wr_bytes(&w, &c, sizeof(c));
		wr_bytes(&w, state, wr_len(&sw));
		frame(l, ROLE_WORKER, IPC_CHANGE, i + 2, body, wr_len(&w));
		if (i % batch == batch - 1)
			txn_commit(l);
	}
	txn_commit(l);
	char what[64];
	snprintf(what, sizeof(what), "changes, %u an fsync", batch);
	tell(what, acks, start);
}

int main(int argc, char **argv)
{
	struct loader l = {.config = &config, .send = on_send};
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 100000,
		 changes_cnt = argc > 3 ? (unsigned)atoi(argv[3]) : 200000;
	unsigned batch = argc > 4 ? (unsigned)atoi(argv[4]) : 256;
	if (argc < 2 || n == 0 || batch == 0) {
		fprintf(stderr, "usage: loader_speed DIR [SUBSCRIBERS [CHANGES [BATCH]]]\n");
		return 2;
	}
	config.max_subscribers = n;
	log_init("bench", LOG_LEVEL_WARN, false, false);
	int control_fd = control_create(1, 1);
	struct control *control = control_map(control_fd, true);
	for (int start = 0; start < 2; start++) {
		struct loader_options o = {.dir = argv[1], .op_fd = -1, .control = control, .apps = loader_apps};
		int ro;
		if (cache_create(n, 0, &o.records_fd, &ro, &o.sqn_fd))
			return 1;
		uint64_t t = clock_mono_us();
		if (loader_init(&l, &o))
			return 1;
		while (load_step(&l))
			;
		tell("start", l.header->subscriber_cnt, t);
		if (start == 0) {
			import_all(&l, n);
			changes(&l, n, changes_cnt, batch);
			t = clock_mono_us();
			uint64_t left = local_seq(l.local) - local_folded(l.local);
			while (!local_folded_to(l.local, local_seq(l.local)))
				usleep(1000);
			tell("folding what was left", left, t);
		}
		loader_fini(&l);
		close(o.records_fd);
		close(o.sqn_fd);
		close(ro);
	}
	return 0;
}
