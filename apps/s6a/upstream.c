// What S6a writes into a subscriber's document in the upstream (loader/app.h), in the schema of Open5GS:
//
//	mme_host, mme_realm, mme_timestamp (int64, us), purge_flag, imeisv	as open5gs-hssd writes them
//	corehss { mme_plmn, sgsn_host, sgsn_realm, sgsn_timestamp, sgsn_plmn, sgsn_purged }	ours
//
// The MME's and the SGSN's part each carry their own time. When a location is removed, the time of the removal is kept, so that no
// older location comes back from elsewhere. Loader process, main thread.
#include <stdio.h>
#include "apps/s6a/loader.h"
#include "loader/loader.h"
#include "loader/upstream/up_fields.h"

struct names {
	const char *host, *realm, *time, *plmn, *purged;
};

static const struct names names[S6A_KIND_CNT] = {
	[S6A_MME] = {"mme_host", "mme_realm", "mme_timestamp", "corehss.mme_plmn", "purge_flag"},
	[S6A_SGSN] = {"corehss.sgsn_host", "corehss.sgsn_realm", "corehss.sgsn_timestamp", "corehss.sgsn_plmn",
		      "corehss.sgsn_purged"},
};

static void put_plmn(struct up_fields *f, const char *path, const uint8_t plmn[3])
{
	static const uint8_t unknown[3];
	char text[7];
	if (plmn_valid(plmn) && memcmp(plmn, unknown, 3) != 0) {
		plmn_text(plmn, text);
		up_set_text(f, path, slice_str(text));
	} else {
		up_unset(f, path);
	}
}

// Digits, as open5gs-hssd keeps it; the value is that of cache_record: their number less one above bit 60.
static void put_imeisv(struct up_fields *f, uint64_t imeisv)
{
	char text[32];
	snprintf(text, sizeof(text), "%0*llu", (int)(imeisv >> 60) + 1, (unsigned long long)(imeisv & ((1ull << 60) - 1)));
	up_set_text(f, "imeisv", slice_str(text));
}

static void put_serving(struct up_fields *f, const struct names *n, const struct s6a_serving *v)
{
	up_update_begin(f, n->time, v->time_us);
	if (v->host.len) {
		up_set_text(f, n->host, v->host);
		up_set_text(f, n->realm, v->realm);
		up_set_bool(f, n->purged, v->flags & SERVING_PURGED);
		put_plmn(f, n->plmn, v->plmn);
	} else {
		up_unset(f, n->host);
		up_unset(f, n->realm);
		up_unset(f, n->purged);
		up_unset(f, n->plmn);
	}
	up_set_int64(f, n->time, v->time_us);
}

void s6a_state_fields(const struct s6a_state *s, struct up_fields *f)
{
	bool imeisv = s->imeisv;
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		const struct s6a_serving *v = &s->serving[i];
		if (!v->host.len && !v->time_us)
			continue; // without a time there never was one: what stands there is not ours
		put_serving(f, &names[i], v);
		if (imeisv)
			put_imeisv(f, s->imeisv);
		imeisv = false;
	}
	if (!imeisv)
		return;
	up_update_begin(f, NULL, 0);
	put_imeisv(f, s->imeisv);
}

void s6a_write_back(const struct cache *c, const struct cache_record *r, struct up_fields *f)
{
	struct s6a_state s;
	s6a_state_of(c, r, &s);
	s6a_state_fields(&s, f);
}
