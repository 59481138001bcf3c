// hss-load's own parts: its card against published vectors, its histogram, its command line, its messages.
// The vectors are written out here, apart from tests/data, because hss-load is the second opinion about what
// the server computes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/base/ident.h"
#include "tests/support/guard.h"
#include "tests/support/tmp.h"
#include "tools/hss-load/latency.h"
#include "tools/hss-load/message.h"
#include "tools/hss-load/subscribers.h"

#define K1    "465b5ce8b199b49faa5f0a2ee238a6bc"
#define OPC1  "cd63cb71954a9f4e48a5994e37a02baf"
#define RAND1 "23553cbe9637a89d218ae64dae47bf35"

// TS 35.208 4.3.1, 4.3.3, 4.3.4 and TS 35.207 4.3.2 (4.3.2 of TS 35.208 repeats the first set).
static const struct milenage_case {
	const char *k, *rand, *sqn, *amf, *op, *opc, *f1, *f1star, *f2, *f3, *f4, *f5, *f5star;
} milenage_cases[] = {
    {K1, RAND1, "ff9bb4d0b607", "b9b9", "cdc202d5123e20f62b6d676ac72cb318", OPC1, "4a9ffac354dfafb3",
     "01cfaf9ec4e871e9", "a54211d5e3ba50bf", "b40ba9a3c58b2a05bbf0d987b21bf8cb",
     "f769bcd751044604127672711c6d3441", "aa689c648370", "451e8beca43b"},
    {"fec86ba6eb707ed08905757b1bb44b8f", "9f7c8d021accf4db213ccff0c7f71a6a", "9d0277595ffc", "725c",
     "dbc59adcb6f9a0ef735477b7fadf8374", "1006020f0a478bf6b699f15c062e42b3", "9cabc3e99baf7281",
     "95814ba2b3044324", "8011c48c0c214ed2", "5dbdbb2954e8f3cde665b046179a5098",
     "59a92d3b476a0443487055cf88b2307b", "33484dc2136b", "deacdd848cc6"},
    {"9e5944aea94b81165c82fbf9f32db751", "ce83dbc54ac0274a157c17f80d017bd6", "0b604a81eca8", "9e09",
     "223014c5806694c007ca1eeef57f004f", "a64a507ae1a2a98bb88eb4210135dc87", "74a58220cba84c49",
     "ac2cc74a96871837", "f365cd683cd92e96", "e203edb3971574f5a94b0d61b816345d",
     "0c4524adeac041c4dd830d20854fc46b", "f0b9c08ad02e", "6085a86c6f63"},
    {"0396eb317b6d1c36f19c1c84cd6ffd16", "c00d603103dcee52c4478119494202e8", "fd8eef40df7d", "af17",
     "ff53bade17df5d4e793073ce9d7579fa", "53c15671c60a4b731c55b4a441c0bde2", "5df5b31807e258b0",
     "a8c016e51ef4a343", "d3a628ed988620f0", "58c433ff7a7082acd424220f2b67c556",
     "21a8c1f929702adb3e738488b9f5c5da", "c47783995f72", "30f1197061c1"},
};

static void unhex(const char *text, uint8_t *out, unsigned len)
{
	assert_true(hex_parse(slice_str(text), out, len));
}

static void assert_hex(const uint8_t *got, unsigned len, const char *want)
{
	char text[129];
	hex_text(got, len, text);
	assert_string_equal(text, want);
}

static void test_milenage(void **state)
{
	struct sim s;
	(void)state;

	assert_int_equal(sim_init(&s), 0);
	for (size_t i = 0; i < sizeof milenage_cases / sizeof *milenage_cases; i++) {
		const struct milenage_case *c = &milenage_cases[i];
		struct sim_keys keys;
		struct sim_aka aka;
		uint8_t op[16], rand[16], sqn[6], amf[2], mac_a[8], mac_s[8];

		unhex(c->k, keys.k, 16);
		unhex(c->op, op, 16);
		unhex(c->rand, rand, 16);
		unhex(c->sqn, sqn, 6);
		unhex(c->amf, amf, 2);
		sim_opc(&s, keys.k, op, keys.opc);
		assert_hex(keys.opc, 16, c->opc);
		sim_f1(&s, &keys, rand, sqn, amf, mac_a, mac_s);
		assert_hex(mac_a, 8, c->f1);
		assert_hex(mac_s, 8, c->f1star);
		sim_f2345(&s, &keys, rand, &aka);
		assert_hex(aka.res, 8, c->f2);
		assert_hex(aka.ck, 16, c->f3);
		assert_hex(aka.ik, 16, c->f4);
		assert_hex(aka.ak, 6, c->f5);
		assert_hex(aka.ak_star, 6, c->f5star);
	}
	sim_fini(&s);
}

static void test_auts(void **state)
{
	struct sim s;
	struct sim_keys keys;
	uint8_t rand[16], auts[14];
	(void)state;

	assert_int_equal(sim_init(&s), 0);
	unhex("90dca4eda45b53cf0f12d7c9c3bc6a89", keys.k, 16);
	unhex("cb9cccc4b9258e6dca4760379fb82581", keys.opc, 16);
	unhex("9fddc72092c6ad036b6e464789315b78", rand, 16);
	sim_auts(&s, &keys, rand, 1, auts);
	assert_hex(auts, 14, "4f2039392ddd4bb4316ed4a14688");
	memset(rand, 0xaa, 16);
	sim_auts(&s, &keys, rand, 0x2a, auts);
	assert_hex(auts, 14, "43681ad3daf006bcde405a207267");
	sim_fini(&s);
}

// A published E-UTRAN vector (MCC 208, MNC 95), whole and with each part spoilt.
static void test_check_eutran(void **state)
{
	struct sim s;
	struct sim_keys keys;
	uint8_t rand[16], autn[16], xres[8], kasme[32], plmn[3] = {0x02, 0xf8, 0x59};
	struct sim_vector v = {.rand = rand, .xres = xres, .xres_len = 8, .autn = autn, .kasme = kasme};
	uint64_t sqn = 0;
	(void)state;

	assert_int_equal(sim_init(&s), 0);
	unhex("8baf473f2f8fd09487cccbd7097c6862", keys.k, 16);
	unhex("8e27b6af0e692e750f32667a3b14605d", keys.opc, 16);
	unhex("000102030405060708090a0b0c0d0e0f", rand, 16);
	unhex("6fbfa3801f5780007bde59886e96e4fe", autn, 16);
	unhex("2daf873d73f310c6", xres, 8);
	unhex("8748c1c0a2826fa405b1e27ea104434ae556c765e8f061ebdb8ae286c44616c2", kasme, 32);
	assert_null(sim_check(&s, &keys, plmn, &v, &sqn));
	assert_int_equal(sqn, 0x1cb7);

	xres[7] ^= 1;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "XRES");
	xres[7] ^= 1;
	v.xres_len = 4;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "XRES");
	v.xres_len = 8;
	autn[15] ^= 1;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "MAC of AUTN");
	autn[15] ^= 1;
	autn[5] ^= 1; // another SQN
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "MAC of AUTN");
	autn[5] ^= 1;
	kasme[0] ^= 0x80;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "KASME");
	kasme[0] ^= 0x80;
	plmn[2] = 0x58; // another serving network
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "KASME");
	sim_fini(&s);
}

static void make_autn(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], uint8_t amf0,
		      uint8_t autn[16])
{
	uint8_t sqn[6] = {0, 0, 0, 0, 1, 32}, mac_s[8];
	struct sim_aka aka;

	sim_f2345(s, keys, rand, &aka);
	for (int i = 0; i < 6; i++)
		autn[i] = sqn[i] ^ aka.ak[i];
	autn[6] = amf0;
	autn[7] = 0;
	sim_f1(s, keys, rand, sqn, autn + 6, autn + 8, mac_s);
}

// The separation bit belongs to E-UTRAN vectors and to no others (TS 33.401 6.1.2).
static void test_check_separation_bit(void **state)
{
	struct sim s;
	struct sim_keys keys;
	struct sim_aka aka;
	uint8_t rand[16], autn[16], kasme[32] = {0}, plmn[3] = {0x00, 0xf1, 0x10};
	struct sim_vector v = {
	    .rand = rand, .xres = aka.res, .xres_len = 8, .autn = autn, .ck = aka.ck, .ik = aka.ik};
	uint64_t sqn = 0;
	(void)state;

	assert_int_equal(sim_init(&s), 0);
	unhex(K1, keys.k, 16);
	unhex(OPC1, keys.opc, 16);
	unhex(RAND1, rand, 16);
	sim_f2345(&s, &keys, rand, &aka);
	make_autn(&s, &keys, rand, 0x00, autn);
	assert_null(sim_check(&s, &keys, plmn, &v, &sqn));
	assert_int_equal(sqn, 288);
	aka.ik[3] ^= 4;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "CK or IK");
	make_autn(&s, &keys, rand, 0x80, autn);
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn), "AMF separation bit set in a UTRAN vector");
	make_autn(&s, &keys, rand, 0x00, autn);
	v.kasme = kasme;
	assert_string_equal(sim_check(&s, &keys, plmn, &v, &sqn),
			    "AMF separation bit clear in an E-UTRAN vector");
	sim_fini(&s);
}

static void test_latency(void **state)
{
	struct latency *h = calloc(1, sizeof *h);
	(void)state;

	assert_non_null(h);
	assert_int_equal(latency_percentile(h, 0.5), 0);
	for (uint64_t v = 1; v <= 100; v++)
		latency_add(h, v);
	assert_int_equal(latency_percentile(h, 0.5), 50);
	assert_int_equal(latency_percentile(h, 0.99), 99);
	assert_int_equal(latency_percentile(h, 1.0), 100);

	// every magnitude: right within 1/64 and never below the value
	for (unsigned bit = 7; bit < 39; bit++) {
		uint64_t v = ((uint64_t)1 << bit) + ((uint64_t)1 << bit) / 3;
		memset(h, 0, sizeof *h);
		latency_add(h, v);
		latency_add(h, v * 2);
		uint64_t got = latency_percentile(h, 0.5);
		assert_true(got >= v && got <= v + v / 64);
	}
	memset(h, 0, sizeof *h);
	latency_add(h, UINT64_MAX);
	latency_add(h, (uint64_t)1 << 40);
	assert_int_equal(h->count, 2);
	assert_true(latency_percentile(h, 0.5) == UINT64_MAX);
	free(h);
}

static enum hl_parsed parse(struct hl_options *o, const char *line)
{
	static char text[1024];
	char *argv[40], *save = NULL;
	int argc = 0;
	FILE *sink = fopen("/dev/null", "w");

	assert_non_null(sink);
	snprintf(text, sizeof text, "hss-load %s", line);
	for (char *word = strtok_r(text, " ", &save); word && argc < 39; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	enum hl_parsed parsed = hl_options_parse(argc, argv, o, sink, sink);
	fclose(sink);
	return parsed;
}

static void test_options(void **state)
{
	struct hl_options o;
	(void)state;

	assert_int_equal(
	    parse(&o,
		  "attach --connect [::1]:3868 --imsi 001010000000001 --subscribers 1000 --rate 500 "
		  "--duration 2.5 --k " K1 " --opc " OPC1 " --verify all --plmn 310410 --order seq --json"),
	    HL_PARSED);
	assert_int_equal(o.kase, HL_ATTACH);
	assert_string_equal(o.host, "::1");
	assert_string_equal(o.port, "3868");
	assert_int_equal(o.imsi_first, 1010000000001);
	assert_int_equal(o.imsi_digits, 15);
	assert_int_equal(o.window, 0);
	assert_true(o.rate == 500 && o.duration == 2.5 && o.sequential && o.json);
	assert_int_equal(o.verify, HL_VERIFY_ALL);
	assert_memory_equal(o.plmn, "\x13\x00\x14", 3);

	assert_int_equal(parse(&o, "air --connect hss.example.org:1 --imsi 262420000000001"), HL_PARSED);
	assert_int_equal(o.window, 64);
	assert_int_equal(o.verify, HL_VERIFY_NONE); // there are no keys
	assert_memory_equal(o.plmn, "\x00\xf1\x10", 3);
	assert_int_equal(o.expect, 2001);
	assert_int_equal(parse(&o, "--help"), HL_PARSED_HELP);
	assert_int_equal(parse(&o, "--version"), HL_PARSED_HELP);
}

static void test_options_refused(void **state)
{
#define GOOD "air --connect 127.0.0.1:3868 --imsi 001010000000001 "
	static const char *const lines[] = {
	    "",
	    "air",
	    "air --imsi 001010000000001",
	    "air --connect 127.0.0.1:3868",
	    "attack --connect 127.0.0.1:3868 --imsi 001010000000001",
	    GOOD "again",
	    GOOD "--bogus",
	    GOOD "--window",
	    GOOD "--window 0",
	    GOOD "--window 1048577",
	    GOOD "--window 1x",
	    GOOD "--window -1",
	    GOOD "--window 5 --rate 5",
	    GOOD "--rate 0",
	    GOOD "--rate nan",
	    GOOD "--rate inf",
	    GOOD "--duration 5 --requests 5",
	    GOOD "--subscribers 0",
	    GOOD "--subscribers 99999999999999999999999",
	    GOOD "--k " K1,
	    GOOD "--opc " OPC1,
	    GOOD "--k " K1 "00 --opc " OPC1,
	    GOOD "--k " K1 " --opc " OPC1 " --op " OPC1,
	    GOOD "--k " K1 " --opc " OPC1 " --keys /dev/null",
	    GOOD "--verify all",
	    GOOD "--verify some",
	    GOOD "--plmn 0010",
	    GOOD "--plmn 0010a",
	    GOOD "--vectors 33",
	    GOOD "--connections 65",
	    GOOD "--expect 999",
	    GOOD "--retransmit",
	    GOOD "--sctp --tls-ca /dev/null",
	    GOOD "--host a;b",
	    "resync --connect 127.0.0.1:3868 --imsi 001010000000001",
	    "air --connect 127.0.0.1 --imsi 001010000000001",
	    "air --connect 127.0.0.1:0 --imsi 001010000000001",
	    "air --connect 127.0.0.1:65536 --imsi 001010000000001",
	    "air --connect ::1:3868 --imsi 001010000000001",
	    "air --connect :3868 --imsi 001010000000001",
	    "air --connect 127.0.0.1:3868 --imsi 0010100000000012",
	    "air --connect 127.0.0.1:3868 --imsi 00101000000000a",
	    "air --connect 127.0.0.1:3868 --imsi 999999999999999 --subscribers 2",
	};
	struct hl_options o;
	(void)state;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (parse(&o, lines[i]) != HL_PARSED_USAGE)
			fail_msg("accepted: %s", lines[i]);
}

// What was wrong stands alone, with one line of usage, and a key with a slip in it is not repeated.
static void test_a_mistake_is_not_buried(void **state)
{
	static char words[8][40] = {"hss-load", "air",	 "--connect", "127.0.0.1:1",
				    "--imsi",	"001010000000001", "--k",       K1 "0"};
	char *argv[9] = {0};
	struct hl_options o;
	char *text = NULL;
	size_t len = 0;
	FILE *err = open_memstream(&text, &len);
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		argv[i] = words[i];
	assert_int_equal(hl_options_parse(8, argv, &o, stdout, err), HL_PARSED_USAGE);
	fclose(err);
	assert_string_equal(text, "hss-load: --k: expected 32 hex digits\n"
				  "usage: hss-load CASE --connect HOST:PORT --imsi FIRST [options] (hss-load --help tells them)\n");
	free(text);
}

static void test_order_visits_everyone(void **state)
{
	static const uint64_t counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 1000, 1023, 1024, 1025};
	uint8_t seen[1025];
	(void)state;

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		for (int sequential = 0; sequential < 2; sequential++) {
			struct hl_subscribers s = {.count = counts[i], .sequential = sequential};
			memset(seen, 0, sizeof seen);
			for (uint64_t n = 0; n < s.count * 2; n++) {
				uint64_t x = hl_subscribers_pick(&s, n);
				assert_true(x < s.count);
				seen[x]++;
			}
			for (uint64_t n = 0; n < s.count; n++)
				assert_int_equal(seen[n], 2);
		}
}

static bool load_keys(struct hl_subscribers *s, struct sim *sim, const char *content, const char *more)
{
	char path[200], line[400];
	struct hl_options o;
	tmp_path(path, sizeof path, "hss-load-keys-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	snprintf(line, sizeof line, "air --connect 127.0.0.1:3868 --keys %s %s", path, more);
	assert_int_equal(parse(&o, line), HL_PARSED);
	bool ok = hl_subscribers_init(s, &o, sim);
	unlink(path);
	return ok;
}

static void test_keys_file(void **state)
{
	struct sim sim;
	struct hl_subscribers s;
	(void)state;

	assert_int_equal(sim_init(&sim), 0);
	assert_true(load_keys(
	    &s, &sim, "# comment\n\n001010000000007 " K1 " " OPC1 "\n001010000000003\t" OPC1 " " K1 "\n",
	    ""));
	assert_int_equal(s.count, 2);
	assert_int_equal(s.digits, 15);
	assert_int_equal(hl_subscribers_imsi(&s, 0), 1010000000003);
	assert_hex(hl_subscribers_keys(&s, 0)->opc, 16, K1);
	assert_hex(hl_subscribers_keys(&s, 1)->k, 16, K1);
	hl_subscribers_fini(&s);

	assert_true(load_keys(&s, &sim, "001010000000007 " K1 " " OPC1 "\n",
			      "--imsi 001010000000006 --subscribers 2"));
	assert_null(hl_subscribers_keys(&s, 0));
	assert_hex(hl_subscribers_keys(&s, 1)->k, 16, K1);
	hl_subscribers_fini(&s);

	assert_false(load_keys(&s, &sim, "", ""));
	assert_false(load_keys(&s, &sim, "001010000000007 " K1 "\n", ""));
	assert_false(load_keys(&s, &sim, "00101000000000x " K1 " " OPC1 "\n", ""));
	assert_false(load_keys(&s, &sim, "001010000000007 " K1 " " OPC1 " extra\n", ""));
	assert_false(
	    load_keys(&s, &sim, "001010000000007 " K1 " " OPC1 "\n00101000000008 " K1 " " OPC1 "\n", ""));
	sim_fini(&sim);
}

static void test_request_template(void **state)
{
	struct hl_options o;
	struct hl_template t;
	uint8_t out[1400];
	struct slice text;
	(void)state;

	assert_int_equal(parse(&o, "air --connect 127.0.0.1:1 --imsi 001010000000001 --vectors 3"),
			 HL_PARSED);
	assert_true(hl_template_build(&t, HL_KIND_AIR, &o, 15, "mme01.example.org"));
	hl_template_stamp(&t, out, 1010000000042, 0x100000007ull, 4000000000u, 0x12345678, 0x9abcdef0, true);
	assert_int_equal(be24_get(out + 1), t.len);
	assert_int_equal(out[4], HL_FLAG_R | HL_FLAG_P | HL_FLAG_T);
	assert_int_equal(be32_get(out + 12), 0x12345678);
	assert_int_equal(be32_get(out + 16), 0x9abcdef0);
	struct slice avps = slice_of(out + HL_HEADER, t.len - HL_HEADER), group;
	assert_true(hl_avp_find(avps, 263, 0, &text));
	assert_true(slice_eq(text, slice_str("mme01.example.org;4000000001;0000000007")));
	assert_true(hl_avp_find(avps, 1, 0, &text));
	assert_true(slice_eq(text, slice_str("001010000000042")));
	assert_true(hl_avp_find(avps, 1408, 10415, &group));
	assert_int_equal(hl_avp_find_u32(group, 1410, 10415, 0), 3);
	assert_false(hl_avp_find(avps, 1408, 0, &group)); // the vendor counts
}

static size_t write_aia(uint8_t *buf, size_t cap)
{
	static const uint8_t bytes[32] = {1, 2, 3};
	struct wr w = wr_of(buf, cap);

	hl_header(&w, HL_FLAG_P, HL_CMD_AI, HL_APP_S6A, 1, 2);
	hl_put_text(&w, 263, 0, true, "a;1;2");
	uint8_t *result = hl_open(&w, 297, 0, true);
	hl_put_u32(&w, 266, 0, true, 10415);
	hl_put_u32(&w, 298, 0, true, 5420);
	hl_close(&w, result);
	uint8_t *info = hl_open(&w, 1413, 10415, true), *vector = hl_open(&w, 1414, 10415, true);
	hl_put(&w, 1447, 10415, true, bytes, 16);
	hl_put(&w, 1448, 10415, true, bytes, 8);
	hl_put(&w, 1449, 10415, true, bytes, 16);
	hl_put(&w, 1450, 10415, true, bytes, 32);
	hl_close(&w, vector);
	hl_close(&w, info);
	hl_finish(&w, buf);
	assert_false(w.err);
	return wr_len(&w);
}

// The answer, each truncation of it before a guard page, and each byte of it changed.
static void test_answer(void **state)
{
	uint8_t buf[512];
	size_t len = write_aia(buf, sizeof buf);
	struct guard g;
	struct hl_answer a;
	struct sim_vector v[2];
	int vectors = 0;
	(void)state;

	assert_true(hl_answer_parse(slice_of(buf, len), &a));
	assert_int_equal(a.result, 5420);
	assert_int_equal(hl_answer_vectors(a.auth_info, false, v, 2), 1);
	assert_memory_equal(v[0].kasme, "\1\2\3", 3);
	assert_int_equal(hl_answer_vectors(a.auth_info, true, v, 2), 0); // no UTRAN vectors
	guard_init(&g, len);
	for (size_t n = 0; n < len; n++)
		if (hl_answer_parse(slice_of(guard_copy(&g, buf, n), n), &a))
			vectors += hl_answer_vectors(a.auth_info, false, v, 2);
	assert_int_equal(vectors, 0);
	for (size_t i = HL_HEADER; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *p = guard_copy(&g, buf, len);
			p[i] ^= (uint8_t)(1u << bit);
			if (hl_answer_parse(slice_of(p, len), &a))
				assert_true(hl_answer_vectors(a.auth_info, false, v, 2) <= 1);
		}
	guard_fini(&g);
}

// RFC 9048, appendix D, case 1.
static void test_ck_ik_prime(void **state)
{
	uint8_t ck[16], ik[16], sqn_xor_ak[6], expected[32];
	struct sim s;
	(void)state;
	assert_int_equal(sim_init(&s), 0);
	unhex("5349fbe098649f948f5d2e973a81c00f", ck, 16);
	unhex("9744871ad32bf9bbd1dd5ce54e3e2e5a", ik, 16);
	unhex("bb52e91c747a", sqn_xor_ak, 6);
	unhex("0093962d0dd84aa5684b045c9edffa04ccfc230ca74fcc96c0a5d61164f5a76c", expected, 32);
	sim_prime(&s, "WLAN", sqn_xor_ak, ck, ik);
	assert_memory_equal(ck, expected, 16);
	assert_memory_equal(ik, expected + 16, 16);
	sim_fini(&s);
}

// An ECR names the user, and a phone after the last 14 digits of the IMSI.
static void test_equipment_check(void **state)
{
	static struct hl_template t;
	struct hl_options o;
	uint8_t out[1400];
	struct slice data, terminal;
	(void)state;

	assert_int_equal(parse(&o, "ecr --connect 127.0.0.1:1 --imsi 901700000000001"), HL_PARSED);
	assert_true(hl_template_build(&t, HL_KIND_ECR, &o, 15, "mme.test"));
	hl_template_stamp(&t, out, 901700000000042, 1, 0, 7, 8, false);
	struct slice avps = slice_of(out + HL_HEADER, t.len - HL_HEADER);
	assert_int_equal(be32_get(out + 8), HL_APP_S13);
	assert_true(hl_avp_find(avps, 1, 0, &data) && slice_eq(data, slice_str("901700000000042")));
	assert_true(hl_avp_find(avps, 1401, HL_VENDOR_3GPP, &terminal));
	assert_true(hl_avp_find(terminal, 1402, HL_VENDOR_3GPP, &data) && slice_eq(data, slice_str("01700000000042")));
}

// A CSCF's requests name the user twice; what an MAA holds is found, and not in any part of it.
static void test_cscf(void **state)
{
	static struct hl_template t;
	struct hl_options o;
	uint8_t out[1400], maa[400];
	struct slice data, item;
	struct sim_vector v[2];
	struct guard g;
	int vectors = 0;
	(void)state;

	assert_int_equal(parse(&o, "mar --connect 127.0.0.1:1 --imsi 001010000000001"), HL_PARSED);
	assert_string_equal(o.domain, "ims.mnc001.mcc001.3gppnetwork.org");
	assert_string_equal(o.dest_realm, o.domain);
	assert_true(hl_template_build(&t, HL_KIND_MAR, &o, 15, "scscf.test"));
	hl_template_stamp(&t, out, 1010000000042, 1, 0, 7, 8, false);
	struct slice avps = slice_of(out + HL_HEADER, t.len - HL_HEADER);
	assert_true(hl_avp_find(avps, 1, 0, &data));
	assert_true(slice_eq(data, slice_str("001010000000042@ims.mnc001.mcc001.3gppnetwork.org")));
	assert_true(hl_avp_find(avps, 601, HL_VENDOR_3GPP, &data));
	assert_true(slice_eq(data, slice_str("sip:001010000000042@ims.mnc001.mcc001.3gppnetwork.org")));
	assert_true(hl_avp_find(avps, 612, HL_VENDOR_3GPP, &item));
	assert_true(hl_avp_find(item, 608, HL_VENDOR_3GPP, &data) && slice_eq(data, slice_str("Digest-AKAv1-MD5")));
	assert_int_equal(hl_avp_find_u32(avps, 607, HL_VENDOR_3GPP, 0), 1);

	assert_int_equal(parse(&o, "wlan-mar --connect 127.0.0.1:1 --imsi 001010000000001 --anid WLAN"), HL_PARSED);
	assert_true(hl_template_build(&t, HL_KIND_WLAN_MAR, &o, 15, "aaa.test"));
	hl_template_stamp(&t, out, 1010000000042, 1, 0, 7, 8, false);
	avps = slice_of(out + HL_HEADER, t.len - HL_HEADER);
	assert_true(hl_avp_find(avps, 1, 0, &data));
	assert_true(slice_eq(data, slice_str("6001010000000042@nai.epc.mnc001.mcc001.3gppnetwork.org")));
	assert_true(hl_avp_find(avps, 1504, HL_VENDOR_3GPP, &data) && slice_eq(data, slice_str("WLAN")));
	assert_int_equal(parse(&o, "air --connect 127.0.0.1:1 --imsi 001010000000001 --anid WLAN"), HL_PARSED_USAGE);

	struct wr w = wr_of(maa, sizeof maa);
	uint8_t *group = hl_open(&w, 612, HL_VENDOR_3GPP, true);
	hl_put(&w, 609, HL_VENDOR_3GPP, true, "0123456789abcdefFEDCBA9876543210", 32);
	hl_put(&w, 610, HL_VENDOR_3GPP, true, "response", 8);
	hl_put(&w, 625, HL_VENDOR_3GPP, true, "0123456789abcdef", 16);
	hl_put(&w, 626, HL_VENDOR_3GPP, true, "fedcba9876543210", 16);
	hl_close(&w, group);
	assert_int_equal(hl_cx_vectors(wr_done(&w), v, 2), 1);
	assert_memory_equal(v[0].autn, "FEDCBA9876543210", 16);
	assert_false(hl_cx_digest_is(wr_done(&w), "00"));
	guard_init(&g, wr_len(&w));
	for (size_t n = 0; n < wr_len(&w); n++)
		vectors += hl_cx_vectors(slice_of(guard_copy(&g, maa, n), n), v, 2) > 0;
	assert_int_equal(vectors, 0);
	guard_fini(&g);
	assert_int_equal(parse(&o, "air --connect 127.0.0.1:1 --imsi 001010000000001 --ha1 00112233445566778899aabbccddeeff"), HL_PARSED_USAGE);
	assert_int_equal(parse(&o, "mar --connect 127.0.0.1:1 --imsi 001010000000001 --ha1 0011"), HL_PARSED_USAGE);
}

// What is answered to the server's own requests: Session-Id and Proxy-Info go back.
static void test_answer_to_request(void **state)
{
	uint8_t request[256], out[512];
	struct wr w = wr_of(request, sizeof request);
	struct hl_options o;
	struct slice data;
	(void)state;

	assert_int_equal(parse(&o, "air --connect 127.0.0.1:1 --imsi 001010000000001"), HL_PARSED);
	hl_header(&w, HL_FLAG_R | HL_FLAG_P, HL_CMD_CL, HL_APP_S6A, 77, 88);
	hl_put_text(&w, 263, 0, true, "hss;1;2");
	hl_put_text(&w, 284, 0, true, "as it came");
	hl_finish(&w, request);
	struct slice message = wr_done(&w);
	w = wr_of(out, sizeof out);
	hl_write_answer(&w, &o, "mme01.example.org", message);
	assert_int_equal(be24_get(out + 1), wr_len(&w));
	assert_int_equal(out[4], HL_FLAG_P);
	assert_int_equal(be32_get(out + 12), 77);
	assert_int_equal(be32_get(out + 16), 88);
	struct slice avps = slice_of(out + HL_HEADER, wr_len(&w) - HL_HEADER);
	assert_int_equal(hl_avp_find_u32(avps, 268, 0, 0), 2001);
	assert_true(hl_avp_find(avps, 263, 0, &data) && slice_eq(data, slice_str("hss;1;2")));
	assert_true(hl_avp_find(avps, 284, 0, &data) && slice_eq(data, slice_str("as it came")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_milenage),        cmocka_unit_test(test_auts),
	    cmocka_unit_test(test_check_eutran),    cmocka_unit_test(test_check_separation_bit),
	    cmocka_unit_test(test_latency),         cmocka_unit_test(test_options),
	    cmocka_unit_test(test_options_refused),
	    cmocka_unit_test(test_a_mistake_is_not_buried), cmocka_unit_test(test_order_visits_everyone),
	    cmocka_unit_test(test_keys_file),       cmocka_unit_test(test_request_template), cmocka_unit_test(test_equipment_check),
	    cmocka_unit_test(test_answer),
		cmocka_unit_test(test_ck_ik_prime),
	    cmocka_unit_test(test_cscf),          cmocka_unit_test(test_answer_to_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
