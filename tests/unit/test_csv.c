// Rows of a PyHSS file: what is a row, what is skipped, what is refused with which words; the document that
// comes of it.
#include "tests/unit/loader_fixture.h"
#include "loader/document/csv.h"
#include "tests/support/guard.h"

#define K   "465B5CE8B199B49FAA5F0A2EE238A6BC"
#define OP  "CDC202D5123E20F62B6D676AC72CB318"
#define OPC "E8ED289DEBA952E4283B54E88E6183CA"
#define ROW "001010000000001," K "," OP ",8000,4129,,internet;ims"

static struct csv *csv;
static struct csv_row row;
static struct record_error e;

static int setup(void **state)
{
	(void)state;
	csv = csv_new();
	return csv ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	csv_free(&csv);
	return 0;
}

static enum csv_line read_line(const char *text)
{
	e.text[0] = 0;
	return csv_read(csv, slice_str(text), &row, &e);
}

static void refused(const char *text, const char *why)
{
	assert_int_equal(read_line(text), CSV_BAD);
	assert_string_equal(e.text, why);
}

static void a_row(void **state)
{
	(void)state;
	assert_int_equal(read_line(ROW), CSV_ROW);
	assert_int_equal(row.imsi.v, imsi_of("001010000000001").v);
	assert_true(slice_eq(row.k, slice_str(K)) && slice_eq(row.op, slice_str(OP)));
	assert_true(row.has_sqn);
	assert_int_equal(row.sqn, 4129);
	json_t *doc = csv_document(csv, &row);
	json_t *sec = json_object_get(doc, "security");
	assert_string_equal(json_string_value(json_object_get(doc, "imsi")), "001010000000001");
	assert_string_equal(json_string_value(json_object_get(sec, "op")), OP);
	assert_true(json_is_null(json_object_get(sec, "opc")));
	assert_int_equal(json_integer_value(json_object_get(sec, "sqn")), 4129);
	json_t *sessions = json_object_get(json_array_get(json_object_get(doc, "slice"), 0), "session");
	assert_int_equal(json_array_size(sessions), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(sessions, 1), "name")), "ims");
	json_decref(doc);
	// another row with other APNs, and one with the same
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_line("001010000000002," K ",,"
					   ",\"\",1383"),
				 CSV_ROW);
		doc = csv_document(csv, &row);
		sessions = json_object_get(json_array_get(json_object_get(doc, "slice"), 0), "session");
		assert_int_equal(json_array_size(sessions), 1);
		assert_string_equal(json_string_value(json_object_get(doc, "imsi")), "001010000000002");
		sec = json_object_get(doc, "security");
		assert_true(json_is_null(json_object_get(sec, "op")));
		assert_string_equal(json_string_value(json_object_get(sec, "amf")), "8000");
		json_decref(doc);
	}
}

static void skipped(void **state)
{
	(void)state;
	assert_int_equal(read_line("\xef\xbb\xbf"), CSV_NOTHING);
	assert_int_equal(read_line("  \r"), CSV_NOTHING);
	assert_int_equal(read_line("#IMSI,K,OP,AMF,SQN\r"), CSV_NOTHING);
	assert_int_equal(read_line("# a note, with a comma"), CSV_NOTHING);
	assert_int_equal(read_line(" \"001010000000001\" , \"" K "\"," OP " ,8000,\"00042\"\r"), CSV_ROW);
	assert_int_equal(row.sqn, 42);
	assert_int_equal(read_line(""), CSV_NOTHING);
}

static void header_orders(void **state)
{
	(void)state;
	assert_int_equal(read_line("imsi,apn,opc,k"), CSV_NOTHING);
	assert_int_equal(read_line("001010000000001,corp," OPC "," K), CSV_ROW);
	assert_true(slice_eq(row.opc, slice_str(OPC)) && slice_eq(row.apn, slice_str("corp")));
	json_t *doc = csv_document(csv, &row), *sec = json_object_get(doc, "security");
	assert_true(json_is_null(json_object_get(sec, "op")));
	assert_string_equal(json_string_value(json_object_get(sec, "opc")), OPC);
	json_decref(doc);
	refused("001010000000001,corp," OPC "," K ",1", "expected 4 fields as in the header, got 5");
	// the header of PyHSS, and our eighth column in a row
	teardown(NULL);
	setup(NULL);
	assert_int_equal(read_line("IMSI,K,OP,AMF,SQN,RAND,APN"), CSV_NOTHING);
	assert_int_equal(read_line("001010000000001," K ",,8000,32,,internet," OPC), CSV_ROW);
	assert_true(slice_eq(row.opc, slice_str(OPC)));
	refused("IMSI,K,OP,AMF,SQN,RAND,APN", "IMSI: expected 5 to 15 digits, got other text");
}

// As SIM vendors deliver them: names in any case and order, whatever separates them, PINs and PUKs between.
static void lists_of_sim_vendors(void **state)
{
	static const struct {
		const char *header, *row, *unused;
	} lists[] = {
	    {"IMSI,ICCID,ACC,PIN1,PUK1,PIN2,PUK2,Ki,OPC,ADM1",
	     "001010000000001,8988211000000000001,0001,1234,12345678,5678,87654321," K "," OPC ",11111111",
	     "ACC, PIN1, PUK1, PIN2, PUK2, ADM1"},
	    {"iccid;imsi;ki;opc;adm1", "8988211000000000001;001010000000001;" K ";" OPC ";11111111", "adm1"},
	    {"# vendor\tlist", NULL, NULL},
	    {"OPC\tKI\tICCID\tIMSI\tPIN1", OPC "\t" K "\t8988211000000000001\t001010000000001\t", "PIN1"},
	    {"IMSI ICCID KI OPC", "001010000000001  8988211000000000001 " K " " OPC, ""},
	    {"ICCID|IMSI|\"Ki\"|OPc|MSISDN", "\"8988211000000000001\"|001010000000001|" K "|" OPC "|49151", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (i != 3) {
			teardown(NULL);
			setup(NULL);
		}
		assert_int_equal(read_line(lists[i].header), CSV_NOTHING);
		if (!lists[i].row)
			continue; // its header is the next one
		assert_string_equal(csv_unused(csv), lists[i].unused);
		if (read_line(lists[i].row) != CSV_ROW)
			fail_msg("%s: %s", lists[i].row, e.text);
		assert_true(slice_eq(row.k, slice_str(K)) && slice_eq(row.opc, slice_str(OPC)));
		json_t *doc = csv_document(csv, &row);
		assert_string_equal(json_string_value(json_object_get(doc, "iccid")), "8988211000000000001");
		assert_string_equal(json_string_value(json_object_get(doc, "imsi")), "001010000000001");
		assert_int_equal(json_array_size(json_object_get(doc, "msisdn")), i == 5);
		json_decref(doc);
	}
}

static void bad_headers(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
	    {"IMSI,K,OP,K", "header: expected each column once, got \"K\" twice"},
	    {"IMSI,K,OP,Ki", "header: expected each column once, got \"Ki\" twice"},
	    {"IMSI,OP", "header: expected the columns IMSI,K,OP,AMF,SQN,RAND,APN, got none for K (or Ki)"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		teardown(NULL);
		setup(NULL);
		refused(rows[i].line, rows[i].why);
	}
}

static void bad_rows(void **state)
{
	char longer[6000];
	(void)state;
	refused("001010000000001", "expected IMSI,K,OP,AMF,SQN,RAND,APN, got 1 field");
	refused(",,,,,,,,", "expected IMSI,K,OP,AMF,SQN,RAND,APN, got 9 fields");
	refused("00101000000000x," K "," OP ",8000,1", "IMSI: expected 5 to 15 digits, got other text");
	refused("," K "," OP ",8000,1", "IMSI: expected 5 to 15 digits, got nothing");
	refused("001010000000001,465B," OP ",8000,1", "K: expected 32 hex digits, got 4");
	assert_int_equal(row.imsi.v, imsi_of("001010000000001").v);
	refused("001010000000001,," OP ",8000,1", "K: expected 32 hex digits, got 0");
	refused("001010000000001," K ",zz,8000,1", "OP: expected 32 hex digits, got other characters");
	refused("001010000000001," K "," OP ",80000,1", "AMF: expected 4 hex digits, got 5");
	refused("001010000000001," K "," OP ",8000,1e",
		"SQN: expected a decimal number below 281474976710656");
	refused("001010000000001," K "," OP ",8000,281474976710656",
		"SQN: expected a decimal number below 281474976710656");
	refused("001010000000001," K "," OP ",8000,1,,a b",
		"APN: expected names of up to 100 printable characters, "
		"separated by ;");
	refused("001010000000001,\"" K "," OP ",8000,1",
		"expected fields without quotes, or each in a pair of them");
	refused("001010000000001,\"" K "\"x," OP ",8000,1",
		"expected fields without quotes, or each in a pair of them");
	refused("001010000000001," K "," OP ",8000,1,,,12", "OPC: expected 32 hex digits, got 2");
	snprintf(longer, sizeof(longer), "001010000000001," K "," OP ",8000,1,,");
	for (unsigned i = 0; i < 51; i++)
		strcat(longer, "a;");
	refused(longer, "APN: expected at most 50 names, got 51");
	memset(strrchr(longer, ',') + 1, ';', 4097);
	longer[strlen("001010000000001," K "," OP ",8000,1,,") + 4097] = 0;
	refused(longer, "APN: expected at most 4096 characters, got 4097");
}

// Every beginning of every line, at the end of a page: nothing is read beyond it.
static void truncated(void **state)
{
	static const char *const lines[] = {ROW, "\xef\xbb\xbf#IMSI,K,OP,AMF,SQN,RAND,APN\r",
					    "\"001010000000001\",\"" K "\",,,,,\"a;b;;c\"", "# note",
					    ",\",\",,,;"};
	struct guard g;
	(void)state;
	guard_init(&g, 1000);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (size_t n = 0; n <= strlen(lines[i]); n++) {
			teardown(NULL);
			setup(NULL);
			if (csv_read(csv, slice_of(guard_copy(&g, lines[i], n), n), &row, &e) == CSV_ROW) {
				json_t *doc = csv_document(csv, &row);
				assert_non_null(doc);
				json_decref(doc);
			}
		}
	guard_fini(&g);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(a_row),       T(skipped),  T(header_orders), T(lists_of_sim_vendors),
					   T(bad_headers), T(bad_rows), T(truncated)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
