// Sequence numbers: the worked runs of vectors.json, played between a USIM (TS 33.102 C.2) and generators
// like those of an AuC that compose their numbers with lib/auth/sqn.h; then the refusals.
#include <stdlib.h>
#include "tests/unit/vector_file.h"
#include "lib/auth/sqn.h"

#define AUC_MAX 2

// Highest accepted SEQ per IND; `age_limit` 0 is "not used".
struct usim {
	uint64_t seq[SQN_IND_CNT];
	uint64_t delta;
	uint64_t age_limit;
};

struct auc {
	const char *name;
	uint64_t seq;
	unsigned ind_lo, ind_hi, ind;
};

static uint64_t usim_sqn_ms(const struct usim *u)
{
	unsigned top = 0;
	for (unsigned i = 1; i < SQN_IND_CNT; i++) {
		if (u->seq[i] > u->seq[top])
			top = i;
	}
	uint64_t sqn = 0;
	assert_true(sqn_compose(u->seq[top], top, &sqn));
	return sqn;
}

static bool usim_accepts(struct usim *u, uint64_t sqn)
{
	uint64_t seq = sqn_seq(sqn), top = sqn_seq(usim_sqn_ms(u));
	if (seq > top && seq - top > u->delta)
		return false;
	if (u->age_limit && top >= seq && top - seq >= u->age_limit)
		return false;
	if (seq <= u->seq[sqn_ind(sqn)])
		return false;
	u->seq[sqn_ind(sqn)] = seq;
	return true;
}

static uint64_t number(const json_t *object, const char *field)
{
	json_t *v = json_object_get(object, field);
	assert_true(json_is_integer(v));
	return (uint64_t)json_integer_value(v);
}

static void read_usim(const json_t *case_, struct usim *u)
{
	json_t *from = json_object_get(case_, "usim"), *start;
	const char *ind;
	*u = (struct usim){.delta = number(from, "delta")};
	assert_int_equal(number(from, "ind_bits"), SQN_IND_BITS);
	assert_int_equal(u->delta, SQN_DELTA);
	if (json_is_integer(json_object_get(from, "L")))
		u->age_limit = number(from, "L");
	json_object_foreach(json_object_get(from, "array"), ind, start)
	{
		unsigned long column = strtoul(ind, NULL, 10);
		assert_in_range(column, 0, SQN_IND_CNT - 1);
		u->seq[column] = (uint64_t)json_integer_value(start);
	}
}

static void read_aucs(const json_t *case_, struct auc aucs[AUC_MAX])
{
	unsigned n = 0;
	const char *name;
	json_t *from;
	json_object_foreach(json_object_get(case_, "auc"), name, from)
	{
		assert_in_range(n, 0, AUC_MAX - 1);
		unsigned hi = (unsigned)number(from, "ind_hi");
		aucs[n++] = (struct auc){
		    .name = name,
		    .seq = number(from, "seq"),
		    .ind_lo = (unsigned)number(from, "ind_lo"),
		    .ind_hi = hi,
		    .ind = hi,
		};
	}
}

static struct auc *auc_of(struct auc aucs[AUC_MAX], const json_t *step)
{
	const char *name = json_string_value(json_object_get(step, "auc"));
	for (unsigned i = 0; i < AUC_MAX; i++) {
		if (aucs[i].name && strcmp(aucs[i].name, name) == 0)
			return &aucs[i];
	}
	fail_msg("no AuC %s", name);
	return NULL;
}

static void play_batch(struct auc *auc, const json_t *step)
{
	json_t *expected = json_object_get(step, "sqn"), *text;
	size_t i;
	assert_int_equal(json_array_size(expected), number(step, "n"));
	auc->ind = auc->ind >= auc->ind_hi ? auc->ind_lo : auc->ind + 1;
	json_array_foreach(expected, i, text)
	{
		uint64_t sqn = 0;
		uint8_t octets[6];
		char hex[13];
		assert_true(sqn_compose(++auc->seq, auc->ind, &sqn));
		sqn_put(octets, sqn);
		hex_text(octets, 6, hex);
		assert_string_equal(hex, json_string_value(text));
		assert_int_equal(sqn_get(octets), sqn);
	}
}

static void play_verify(struct usim *u, const json_t *step)
{
	uint64_t sqn = vector_number(step, "sqn", 6);
	bool expected = strcmp(vector_string(step, "result"), "accept") == 0;
	assert_int_equal(sqn_seq(sqn), number(step, "seq"));
	assert_int_equal(sqn_ind(sqn), number(step, "ind"));
	assert_int_equal(usim_accepts(u, sqn), expected);
	assert_int_equal(usim_sqn_ms(u), vector_number(step, "sqn_ms_after", 6));
}

static void play_resync(struct auc *auc, const json_t *step)
{
	uint64_t next = 0;
	assert_true(sqn_seq_after_resync(auc->seq + 1, vector_number(step, "sqn_ms", 6), &next));
	auc->seq = next - 1;
	assert_int_equal(auc->seq, number(step, "seq_after"));
}

static void test_worked_runs(void **state)
{
	(void)state;
	size_t c, s;
	unsigned batches = 0, verifies = 0, resyncs = 0;
	json_t *case_, *step;
	json_array_foreach(vector_group("sqn_cases", 8), c, case_)
	{
		struct usim u;
		struct auc aucs[AUC_MAX] = {0};
		read_usim(case_, &u);
		read_aucs(case_, aucs);
		json_array_foreach(json_object_get(case_, "steps"), s, step)
		{
			const char *op = vector_string(step, "op");
			if (strcmp(op, "batch") == 0 && ++batches)
				play_batch(auc_of(aucs, step), step);
			else if (strcmp(op, "verify") == 0 && ++verifies)
				play_verify(&u, step);
			else if (strcmp(op, "resync") == 0 && ++resyncs)
				play_resync(auc_of(aucs, step), step);
			else
				fail_msg("unknown step %s", op);
		}
	}
	assert_int_equal(batches, 16);
	assert_int_equal(verifies, 29);
	assert_int_equal(resyncs, 3);
}

static void test_compose_split(void **state)
{
	(void)state;
	static const uint64_t seqs[] = {0, 1, 229, SQN_DELTA, SEQ_MAX - 1, SEQ_MAX};
	for (unsigned i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		for (unsigned ind = 0; ind < SQN_IND_CNT; ind++) {
			uint64_t sqn = 0;
			assert_true(sqn_compose(seqs[i], ind, &sqn));
			assert_true(sqn <= SQN_MAX);
			assert_int_equal(sqn_seq(sqn), seqs[i]);
			assert_int_equal(sqn_ind(sqn), ind);
		}
	}
}

static void test_compose_refuses(void **state)
{
	(void)state;
	uint64_t sqn = 77;
	assert_false(sqn_compose(SEQ_MAX + 1, 0, &sqn));
	assert_false(sqn_compose(UINT64_MAX, 0, &sqn));
	assert_false(sqn_compose(1, SQN_IND_CNT, &sqn));
	assert_int_equal(sqn, 77);
}

// Every (node, k) has a column of its own; the node kinds of one HSS fill its eight.
static void test_ind_rule(void **state)
{
	(void)state;
	uint32_t seen = 0;
	unsigned ind = 77;
	for (unsigned node = 0; node < SQN_NODE_CNT; node++) {
		for (unsigned k = 0; k < SQN_IND_PER_NODE; k++) {
			assert_true(sqn_ind_of(node, k, &ind));
			assert_int_equal(ind, node * 8 + k);
			seen |= UINT32_C(1) << ind;
		}
	}
	assert_int_equal(seen, UINT32_MAX);
	ind = 77;
	assert_false(sqn_ind_of(SQN_NODE_CNT, 0, &ind));
	assert_false(sqn_ind_of(0, SQN_IND_PER_NODE, &ind));
	assert_int_equal(ind, 77);
}

static void test_resync_never_lowers(void **state)
{
	(void)state;
	uint64_t seq = 0, sqn_ms = 0;
	assert_true(sqn_compose(100, 7, &sqn_ms));
	assert_true(sqn_seq_after_resync(1, sqn_ms, &seq));
	assert_int_equal(seq, 101);
	assert_true(sqn_seq_after_resync(101, sqn_ms, &seq));
	assert_int_equal(seq, 101);
	assert_true(sqn_seq_after_resync(5000, sqn_ms, &seq));
	assert_int_equal(seq, 5000);
}

// A USIM at, or a forged AUTS towards, the end of the SEQ space leaves no number to issue.
static void test_resync_exhausted(void **state)
{
	(void)state;
	uint64_t seq = 77, sqn_ms = 0;
	assert_true(sqn_compose(SEQ_MAX - 1, 31, &sqn_ms));
	assert_true(sqn_seq_after_resync(1, sqn_ms, &seq));
	assert_int_equal(seq, SEQ_MAX);
	seq = 77;
	assert_true(sqn_compose(SEQ_MAX, 0, &sqn_ms));
	assert_false(sqn_seq_after_resync(1, sqn_ms, &seq));
	assert_false(sqn_seq_after_resync(SEQ_MAX + 1, 0, &seq));
	assert_false(sqn_seq_after_resync(1, SQN_MAX + 1, &seq));
	assert_int_equal(seq, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_worked_runs),         cmocka_unit_test(test_compose_split),
	    cmocka_unit_test(test_compose_refuses),     cmocka_unit_test(test_ind_rule),
	    cmocka_unit_test(test_resync_never_lowers), cmocka_unit_test(test_resync_exhausted),
	};
	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
