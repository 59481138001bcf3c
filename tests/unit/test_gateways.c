// PDN-GWs of APNs (apps/gateways.h): what nodes have told, read from any octets; which one counts; what is put into a profile.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above
#include <cmocka.h>
#include "apps/gateways.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "tests/support/guard.h"

#define VENDOR 10415

static union {
	uint8_t bytes[1024];
	struct cache_profile p;
} profile;

static void put_config(struct wr *w, uint32_t id, const char *name)
{
	size_t at = avp_group_begin(w, AVP_CODE_APN_Configuration, VENDOR, AVP_M);
	avp_put_u32(w, AVP_CODE_Context_Identifier, VENDOR, AVP_M, id);
	avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str(name));
	if (id == 3) // a fixed one
		avp_put_slice(w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M, slice_str("fix"));
	avp_group_end(w, at);
}

// internet, ims, fixed, and the wildcard
static const struct cache_profile *profile_of(void)
{
	struct wr w = wr_of(profile.p.avps, sizeof profile.bytes - sizeof profile.p);
	avp_put_u32(&w, AVP_CODE_Network_Access_Mode, VENDOR, AVP_M, 2);
	profile.p.head_len = (uint16_t)wr_len(&w);
	size_t at = avp_group_begin(&w, AVP_CODE_APN_Configuration_Profile, VENDOR, AVP_M);
	avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR, AVP_M, 1);
	put_config(&w, 1, "internet");
	put_config(&w, 2, "ims");
	put_config(&w, 3, "fixed");
	put_config(&w, 4, "*");
	avp_group_end(&w, at);
	assert_false(w.err);
	profile.p.epc_len = (uint16_t)(wr_len(&w) - profile.p.head_len);
	return &profile.p;
}

static void put_told(struct wr *w, const char *apn, uint32_t id, const char *info)
{
	avp_put_slice(w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M, slice_str(info));
	if (apn)
		avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str(apn));
	avp_put_u32(w, AVP_CODE_Context_Identifier, VENDOR, AVP_M, id);
}

// A ULR's list, then three NORs: a newer one, one by its number, one of an APN that is gone.
static struct slice kept(uint8_t out[1024])
{
	uint8_t chunk[256];
	struct wr w = wr_of(out, 1024), c = wr_of(chunk, sizeof chunk);
	size_t at = avp_group_begin(&c, AVP_CODE_Active_APN, VENDOR, 0);
	put_told(&c, "ims", 2, "old");
	avp_group_end(&c, at);
	at = avp_group_begin(&c, AVP_CODE_Active_APN, VENDOR, 0);
	put_told(&c, "mms", 4, "mms");
	avp_group_end(&c, at);
	wr_blob16(&w, wr_done(&c));
	const struct {
		const char *apn, *info;
		uint32_t id;
	} nor[] = {{"IMS", "new", 9}, {NULL, "one", 1}, {NULL, "gone", 77}};
	for (unsigned i = 0; i < 3; i++) {
		c = wr_of(chunk, sizeof chunk);
		put_told(&c, nor[i].apn, nor[i].id, nor[i].info);
		wr_blob16(&w, wr_done(&c));
	}
	assert_false(w.err);
	return wr_done(&w);
}

static void info_is(const struct gateways *g, const char *apn, const char *info)
{
	const struct gateway *one = gateway_of(g, slice_str(apn));
	assert_non_null(one);
	assert_true(slice_eq(one->info, slice_str(info)));
}

static void the_newest_counts(void **state)
{
	uint8_t octets[1024];
	struct gateways g;
	(void)state;
	gateways_read(kept(octets), profile_of(), &g);
	assert_int_equal(g.cnt, 3);
	info_is(&g, "ims", "new");
	info_is(&g, "internet", "one");
	info_is(&g, "mms", "mms");
	gateways_read((struct slice){0}, NULL, &g);
	assert_int_equal(g.cnt, 0);
}

static void kept_octets_cut_or_changed_anywhere(void **state)
{
	uint8_t octets[1024];
	struct gateways g;
	struct guard guard;
	(void)state;
	struct slice all = kept(octets);
	guard_init(&guard, sizeof octets);
	srand(3);
	for (unsigned n = 0; n < 20000; n++) {
		size_t len = n < all.len ? n : all.len;
		uint8_t *copy = guard_copy(&guard, octets, len);
		for (unsigned i = 0; n >= all.len && i < 3; i++)
			copy[(size_t)rand() % len] = (uint8_t)rand();
		gateways_read(slice_of(copy, len), profile_of(), &g);
		assert_true(g.cnt <= GATEWAYS_MAX);
		for (unsigned i = 0; i < g.cnt; i++)
			assert_true(g.one[i].apn.len <= GATEWAY_APN_MAX);
	}
	guard_fini(&guard);
}

static struct slice child(struct slice group, uint32_t code, uint32_t vendor)
{
	struct avp a = {.code = 0};
	return avp_find(group, code, vendor, &a) ? a.data : (struct slice){0};
}

static void a_profile_with_gateways(void **state)
{
	static const char *const info[] = {"one", "", "fix", ""};
	struct gateways g = {.cnt = 3, .one = {{.apn = slice_str("Internet"), .info = slice_str("one")},
					       {.apn = slice_str("fixed"), .info = slice_str("two")},
					       {.apn = slice_str("mms"), .info = slice_str("three")}}};
	const struct cache_profile *p = profile_of();
	uint8_t out[2048];
	struct wr w = wr_of(out, sizeof out);
	struct avp a;
	unsigned n = 0;
	(void)state;
	gateways_put_profile(&w, p, &g);
	assert_false(w.err);
	struct slice all = child(wr_done(&w), AVP_CODE_APN_Configuration_Profile, VENDOR);
	struct rd rd = rd_slice(all);
	assert_int_equal(child(all, AVP_CODE_Context_Identifier, VENDOR).len, 4);
	while (avp_next(&rd, &a) == AVP_WALK_ONE) {
		if (a.code != AVP_CODE_APN_Configuration)
			continue;
		assert_true(slice_eq(child(a.data, AVP_CODE_MIP6_Agent_Info, 0), slice_str(info[n])));
		struct slice specific = child(a.data, AVP_CODE_Specific_APN_Info, VENDOR);
		assert_true(slice_eq(child(specific, AVP_CODE_Service_Selection, 0), slice_str(n == 3 ? "mms" : "")));
		n++;
	}
	assert_int_equal(n, 4);
	// without any it is the profile's own
	w = wr_of(out, sizeof out);
	g.cnt = 0;
	gateways_put_profile(&w, p, &g);
	assert_true(slice_eq(wr_done(&w), slice_of(p->avps + p->head_len, p->epc_len)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_counts),
		cmocka_unit_test(kept_octets_cut_or_changed_anywhere),
		cmocka_unit_test(a_profile_with_gateways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
