// Tests of AIR: a subscriber with keys, and the vectors of an answer recomputed from their RAND.
#pragma once
#include "tests/support/worker_fixture.h"
#include "lib/auth/sqn.h"

static struct auth auth;

static inline int setup(void **state)
{
	struct wf *f = wf_new(100);
	assert_int_equal(auth_init(&auth), 0);
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, false, 0, 0), 32, 1000);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	auth_fini(&auth);
	return wf_teardown(state);
}

static inline const struct cache_record *record(struct wf *f, const char *imsi)
{
	imsi_t i;
	assert_true(imsi_parse(slice_str(imsi), &i));
	return cache_find(builder_cache(f->b), i);
}

static inline struct sqn_words *words(struct wf *f)
{
	return &f->w.cache.sqn[record(f, WF_IMSI)->sqn];
}

static inline struct auth_keys keys_of(const struct cache_record *r)
{
	struct auth_keys k = {.alg = AUTH_MILENAGE, .amf = r->amf};
	memcpy(k.k, r->k, 16);
	memcpy(k.opc, r->opc, 16);
	return k;
}

static inline struct slice child(struct slice group, uint32_t code)
{
	struct avp a;
	assert_true(avp_find(group, code, VENDOR_3GPP, &a));
	return a.data;
}

// SQN of an AUTN, by AK of the RAND.
static inline uint64_t sqn_of(const struct auth_keys *k, const uint8_t *rand, const uint8_t *autn)
{
	struct aka_values v;
	assert_int_equal(milenage_f2345(&auth.milenage, k->k, k->opc, rand, &v), 0);
	uint8_t sqn[6];
	for (unsigned i = 0; i < 6; i++)
		sqn[i] = autn[i] ^ v.ak[i];
	return sqn_get(sqn);
}

struct got {
	unsigned eutran, utran;
	uint64_t sqn[64];
};

static inline void eutran_is_right(const struct auth_keys *k, struct slice g, struct got *got)
{
	struct eutran_vector v;
	const uint8_t *rand = child(g, AVP_CODE_RAND).p, *autn = child(g, AVP_CODE_AUTN).p;
	uint64_t sqn = sqn_of(k, rand, autn);
	assert_int_equal(auth_eutran_vector_for(&auth, k, sqn, wf_plmn, rand, &v), 0);
	assert_true(slice_eq(child(g, AVP_CODE_XRES), slice_of(v.xres, v.xres_len)));
	assert_true(slice_eq(child(g, AVP_CODE_AUTN), slice_of(v.autn, 16)));
	assert_true(slice_eq(child(g, AVP_CODE_KASME), slice_of(v.kasme, 32)));
	assert_true(autn[6] & 0x80);
	assert_int_equal(be32_get(child(g, AVP_CODE_Item_Number).p), ++got->eutran);
	got->sqn[got->eutran + got->utran - 1] = sqn;
}

static inline void utran_is_right(const struct auth_keys *k, struct slice g, struct got *got)
{
	struct utran_vector v;
	const uint8_t *rand = child(g, AVP_CODE_RAND).p, *autn = child(g, AVP_CODE_AUTN).p;
	uint64_t sqn = sqn_of(k, rand, autn);
	assert_int_equal(auth_utran_vector_for(&auth, k, sqn, rand, &v), 0);
	assert_true(slice_eq(child(g, AVP_CODE_XRES), slice_of(v.xres, v.xres_len)));
	assert_true(slice_eq(child(g, AVP_CODE_AUTN), slice_of(v.autn, 16)));
	assert_true(slice_eq(child(g, AVP_CODE_Confidentiality_Key), slice_of(v.ck, 16)));
	assert_true(slice_eq(child(g, AVP_CODE_Integrity_Key), slice_of(v.ik, 16)));
	assert_false(autn[6] & 0x80);
	assert_int_equal(be32_get(child(g, AVP_CODE_Item_Number).p), ++got->utran);
	got->sqn[got->eutran + got->utran - 1] = sqn;
}

// Every vector of a successful AIA, recomputed; their SQNs rise with one IND.
static inline struct got vectors(struct wf *f, const struct wf_answer *a)
{
	struct got got = {0};
	struct auth_keys k = keys_of(record(f, WF_IMSI));
	struct avp info, v;
	assert_int_equal(a->result, RESULT_SUCCESS);
	assert_false(a->experimental);
	assert_true(wf_find(a, AVP_CODE_Authentication_Info, VENDOR_3GPP, &info));
	struct rd rd = rd_slice(info.data);
	while (avp_next(&rd, &v) == AVP_WALK_ONE) {
		if (v.code == AVP_CODE_E_UTRAN_Vector)
			eutran_is_right(&k, v.data, &got);
		else if (v.code == AVP_CODE_UTRAN_Vector)
			utran_is_right(&k, v.data, &got);
		else
			fail();
	}
	for (unsigned i = 1; i < got.eutran + got.utran; i++) {
		assert_int_equal(sqn_seq(got.sqn[i]), sqn_seq(got.sqn[i - 1]) + 1);
		assert_int_equal(sqn_ind(got.sqn[i]), sqn_ind(got.sqn[0]));
	}
	return got;
}

static inline struct wf_answer air(struct wf *f, uint32_t wanted)
{
	struct wr w = wf_air(f, WF_IMSI, wanted);
	wf_send(f, &w);
	return wf_take(f, 0);
}

static inline void is_experimental(const struct wf_answer *a, uint32_t code)
{
	struct avp avp;
	assert_true(a->experimental);
	assert_int_equal(a->result, code);
	assert_false(wf_find(a, AVP_CODE_Authentication_Info, VENDOR_3GPP, &avp));
}

// A base result with a Failed-AVP that begins with this AVP.
static inline void is_failed(const struct wf_answer *a, uint32_t code, uint32_t avp_code)
{
	struct avp failed, inner;
	assert_false(a->experimental);
	assert_int_equal(a->result, code);
	assert_true(wf_find(a, AVP_CODE_Failed_AVP, 0, &failed));
	struct rd rd = rd_slice(failed.data);
	assert_int_equal(avp_next(&rd, &inner), AVP_WALK_ONE);
	assert_int_equal(inner.code, avp_code);
}
