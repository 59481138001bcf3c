// What hssctl asks of the loader: adding, showing, changing, deleting, lists with flow control, import and
// export.
#include "tests/unit/loader_fixture.h"
#include "loader/document/import_doc.h"

#define IMSI "001010000000001"
#define KEYS "\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\",\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\""

static uint64_t id = 1;

static int setup(void **state)
{
	(void)state;
	world_open(1000);
	return 0;
}

static int call(const char *text)
{
	return world_call(++id, text);
}

// One call with an IMSI and more arguments.
static int on(const char *cmd, const char *imsi, const char *more)
{
	char text[4096];
	snprintf(text, sizeof(text), "{\"cmd\":\"%s\",\"args\":{\"imsi\":\"%s\"%s}}", cmd, imsi, more);
	return call(text);
}

static const char *error(void)
{
	static char text[512];
	json_t *v = json_loads((char *)sent_find(IPC_ADMIN_END, id)->body, 0, NULL);
	const char *e = json_string_value(json_object_get(v, "error"));
	snprintf(text, sizeof(text), "%s", e ? e : "");
	json_decref(v);
	return text;
}

static const struct cache_record *record(const char *imsi)
{
	return cache_find(world.l.cache, imsi_of(imsi));
}

static void add_show_delete(void **state)
{
	(void)state;
	assert_int_equal(on("subscriber add", IMSI,
			    "," KEYS ",\"msisdn\":[\"15551234567\"],\"apn\":[\"internet\",\"ims\"]"),
			 ADMIN_OK);
	assert_non_null(record(IMSI));
	msisdn_t number;
	assert_true(msisdn_parse(slice_str("15551234567"), &number));
	assert_ptr_equal(cache_find_msisdn(world.l.cache, number), record(IMSI));
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->apn_cnt, 2);
	assert_int_equal(on("subscriber add", IMSI, "," KEYS), ADMIN_REFUSED);
	assert_string_equal(error(), "the subscriber exists");

	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	json_t *row = world_row(id), *sec = json_object_get(row, "security");
	assert_string_equal(json_string_value(json_object_get(sec, "k")), "***");
	assert_string_equal(json_string_value(json_object_get(sec, "opc")), "***");
	assert_int_equal(json_integer_value(json_object_get(sec, "sqn")), 32);
	json_decref(row);
	assert_int_equal(on("subscriber show", IMSI, ",\"secrets\":true"), ADMIN_OK);
	row = world_row(id);
	sec = json_object_get(row, "security");
	assert_string_equal(json_string_value(json_object_get(sec, "k")), "465B5CE8B199B49FAA5F0A2EE238A6BC");
	json_decref(row);

	assert_int_equal(on("subscriber delete", IMSI, ""), ADMIN_OK);
	assert_null(record(IMSI));
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_REFUSED);
	assert_string_equal(error(), "no such subscriber");
	assert_int_equal(on("subscriber delete", IMSI, ""), ADMIN_REFUSED);
}

static void wrong_calls(void **state)
{
	(void)state;
	assert_int_equal(call("{}"), ADMIN_USAGE);
	assert_int_equal(call("not json"), ADMIN_USAGE);
	assert_int_equal(call("[1]"), ADMIN_USAGE);
	assert_int_equal(call("{\"cmd\":\"subscriber explode\"}"), ADMIN_USAGE);
	assert_int_equal(call("{\"cmd\":\"subscriber show\",\"args\":[]}"), ADMIN_USAGE);
	assert_int_equal(on("subscriber show", "12x45", ""), ADMIN_USAGE);
	assert_int_equal(on("subscriber add", IMSI, ",\"k\":\"12\""), ADMIN_REFUSED);
	assert_string_equal(error(), "security.k: expected 32 hex digits, got 2");
	assert_int_equal(on("sqn set", IMSI, ",\"sqn\":\"x\""), ADMIN_USAGE);
	assert_int_equal(on("sqn set", IMSI, ",\"sqn\":281474976710656"), ADMIN_USAGE);
	assert_int_equal(on("sqn show", IMSI, ""), ADMIN_REFUSED);
	assert_int_equal(on("location cancel", IMSI, ""), ADMIN_REFUSED);
	assert_int_equal(on("sqn jump", IMSI, ",\"by\":0"), ADMIN_USAGE);
}

static void set_changes_places(void **state)
{
	(void)state;
	world_add(IMSI);
	assert_int_equal(on("subscriber set", IMSI,
			    ",\"fields\":{\"subscriber_status\":1,\"slice.0.session.0.name\":\"corp\",\"note."
			    "a.b\":\"kept\","
			    "\"msisdn.0\":\"4912345\",\"schema_version\":null},\"force\":true"),
			 ADMIN_OK);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->subscriber_status, 1);
	for (int restarted = 0; restarted < 2; restarted++) {
		assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
		json_t *row = world_row(id);
		json_t *note = json_object_get(json_object_get(row, "note"), "a");
		assert_string_equal(json_string_value(json_object_get(note, "b")), "kept");
		assert_null(json_object_get(row, "schema_version"));
		json_decref(row);
		assert_int_not_equal(record(IMSI)->msisdn[0].v, 0);
		world_restart(true);
	}
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"slice.0.session.0.type\":9}"),
			 ADMIN_REFUSED);
	assert_string_equal(error(), "slice[0].session[0].type: expected 1 to 5, got 9");
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"slice.7.session\":1}"), ADMIN_REFUSED);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"imsi\":\"001010000000002\"}"),
			 ADMIN_USAGE);
	assert_int_equal(on("subscriber set", "001010000000009", ",\"fields\":{\"a\":1}"), ADMIN_REFUSED);
}

static void lists_wait_for_the_reader(void **state)
{
	(void)state;
	char imsi[16];
	for (unsigned i = 0; i < 600; i++) {
		snprintf(imsi, sizeof(imsi), "001010000000%03u", i);
		world_add(imsi);
	}
	world_sent_clear();
	const char *text = "{\"cmd\":\"subscriber list\"}";
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++id, 0, text, strlen(text));
	assert_int_equal(sent_count(IPC_ADMIN_ROW), 0); // not all of it is in the rows yet
	assert_true(fold_now() >= 0);
	admin_folded(&world.l);
	assert_int_equal(sent_count(IPC_ADMIN_ROW), ADMIN_WINDOW);
	uint64_t more = 100;
	world_frame(ROLE_ADMIN, IPC_ADMIN_MORE, id, 0, &more, sizeof(more));
	assert_int_equal(sent_count(IPC_ADMIN_ROW), ADMIN_WINDOW + 100);
	assert_int_equal(sent_count(IPC_ADMIN_END), 0);
	more = UINT64_MAX;
	world_frame(ROLE_ADMIN, IPC_ADMIN_MORE, id, 0, &more, sizeof(more));
	assert_int_equal(sent_count(IPC_ADMIN_ROW), 600);
	assert_int_equal(sent_count(IPC_ADMIN_END), 1);
	world_sent_clear();
	assert_int_equal(call("{\"cmd\":\"subscriber list\",\"args\":{\"prefix\":\"00101000000010\"}}"),
			 ADMIN_OK);
	assert_int_equal(sent_count(IPC_ADMIN_ROW), 10);
	// a client that goes away in the middle
	world_sent_clear();
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++id, 0, text, strlen(text));
	world_frame(ROLE_ADMIN, IPC_ADMIN_CANCEL, id, 0, "", 0);
	world_frame(ROLE_ADMIN, IPC_ADMIN_MORE, id, 0, &more, sizeof(more));
	assert_int_equal(sent_count(IPC_ADMIN_ROW), ADMIN_WINDOW);
	assert_int_equal(sent_count(IPC_ADMIN_END), 0);
}

static void begin_import(void)
{
	const char *text = "{\"cmd\":\"subscriber import\"}";
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++id, 0, text, strlen(text));
}

static void import_text(const char *lines)
{
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, id, 0, lines, strlen(lines));
	txn_commit(&world.l);
}

static void end_import(unsigned rows, unsigned errors)
{
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, id, 0, "", 0);
	struct sent *s = sent_find(IPC_ADMIN_END, id);
	assert_non_null(s);
	json_t *v = json_loads((char *)s->body, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(v, "rows")), rows);
	assert_int_equal(json_integer_value(json_object_get(v, "errors")), errors);
	assert_int_equal(json_integer_value(json_object_get(v, "status")), errors ? 1 : 0);
	json_decref(v);
}

static char *slurp(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	return text;
}

static void import_export_import(void **state)
{
	(void)state;
	static char exported[65536];
	begin_import();
	char *text = slurp(TEST_DATA "/subscribers.jsonl");
	import_text(text);
	uint64_t credit;
	memcpy(&credit, sent_find(IPC_ADMIN_CREDIT, id)->body, 8);
	assert_int_equal(credit, strlen(text));
	end_import(6, 0);
	assert_int_equal(world.l.header->subscriber_cnt, 6);
	// the location that the document came with
	struct slice host, realm;
	assert_true(cache_node_get(world.l.cache, record("001010000000101")->serving[0].node, &host, &realm));
	assert_true(slice_eq(host, slice_str("mme07.epc.mnc001.mcc001.3gppnetwork.org")));

	assert_true(fold_now() >= 0);
	world_sent_clear();
	assert_int_equal(call("{\"cmd\":\"subscriber export\"}"), ADMIN_OK);
	assert_int_equal(sent_count(IPC_ADMIN_ROW), 6);
	exported[0] = 0;
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_ADMIN_ROW) {
			strcat(exported, (char *)world.sent[i].body);
			strcat(exported, "\n");
		}
	struct cache_record before = *record("001010000000105");
	uint64_t next = loader_seq_next(&world.l, before.sqn);
	// into the same one: nothing moves
	begin_import();
	import_text(exported);
	end_import(6, 0);
	assert_int_equal(loader_seq_next(&world.l, record("001010000000105")->sqn), next);
	// into a new one: the same records
	world_close();
	setup(NULL);
	begin_import();
	import_text(exported);
	end_import(6, 0);
	const struct cache_record *after = record("001010000000105");
	assert_memory_equal(after->k, before.k, 16);
	assert_memory_equal(after->opc, before.opc, 16);
	assert_int_equal(loader_seq_next(&world.l, after->sqn), next);
	assert_true(cache_node_get(world.l.cache, record("001010000000101")->serving[0].node, &host, &realm));
}

static void bad_lines_are_named(void **state)
{
	(void)state;
	begin_import();
	import_text("{\"imsi\":\"001010000000001\",\"security\":{" KEYS "}}\n"
		    "\n"
		    "{\"imsi\":\"001010000000002\"\n"
		    "{\"imsi\":\"001010000000003\",\"security\":{}}\r\n"
		    "{\"imsi\":\"001010000000004\",\"security\":{" KEYS "}} trailing\n"
		    "  {\"imsi\" : \"001010000000005\" , \"security\" : {" KEYS "} }");
	end_import(2, 3);
	static const struct {
		int line;
		const char *error;
	} want[] = {{3, "not JSON"}, {4, "security.k: expected 32 hex digits, got nothing"}, {5, "not JSON"}};
	unsigned n = 0;
	for (unsigned i = 0; i < world.sent_cnt; i++) {
		json_t *v = world.sent[i].type == IPC_ADMIN_ROW
				? json_loads((char *)world.sent[i].body, 0, NULL)
				: NULL;
		if (json_object_get(v, "line")) {
			assert_true(n < 3);
			assert_int_equal(json_integer_value(json_object_get(v, "line")), want[n].line);
			const char *e = json_string_value(json_object_get(v, "error"));
			assert_int_equal(strncmp(e, want[n].error, strlen(want[n].error)), 0);
			n++;
		}
		json_decref(v);
	}
	assert_int_equal(n, 3);
	assert_non_null(record("001010000000001"));
	assert_non_null(record("001010000000005"));
}

// Others count SQNs in steps of 1, 32 or 100: whatever they left, nothing below it is used again.
static void an_sqn_of_another_system_is_rounded_up(void **state)
{
	static const struct {
		uint64_t sqn, seq;
	} steps[] = {{12345, 386}, {12352, 386}, {12353, 387}, {12384 + 31, 388}};
	char line[256];
	(void)state;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		begin_import();
		snprintf(line, sizeof(line),
			 "{\"imsi\":\"" IMSI "\",\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","
			 "\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\",\"sqn\":%llu}}\n",
			 (unsigned long long)steps[i].sqn);
		import_text(line);
		end_import(1, 0);
		assert_int_equal(loader_seq_next(&world.l, record(IMSI)->sqn), steps[i].seq);
		world_sent_clear();
	}
	assert_int_equal(on("sqn set", IMSI, ",\"sqn\":20001"), ADMIN_OK);
	assert_int_equal(loader_seq_next(&world.l, record(IMSI)->sqn), 626);
}

static json_t *row_with(const char *member)
{
	for (unsigned i = 0; i < world.sent_cnt; i++) {
		json_t *v = world.sent[i].type == IPC_ADMIN_ROW && world.sent[i].id == id
				? json_loads((char *)world.sent[i].body, 0, NULL)
				: NULL;
		if (json_object_get(v, member))
			return v;
		json_decref(v);
	}
	return NULL;
}

static void assert_told(const char *member, const char *text)
{
	json_t *v = row_with(member);
	assert_non_null(v);
	if (!strstr(json_string_value(json_object_get(v, member)), text))
		fail_msg("%s", json_string_value(json_object_get(v, member)));
	json_decref(v);
}

#define DOC(IMSI_TEXT, MORE) "{\"imsi\":\"" IMSI_TEXT "\",\"security\":{" KEYS "}" MORE "}\n"

static void begin_import_of(const char *args)
{
	char text[200];
	snprintf(text, sizeof(text), "{\"cmd\":\"subscriber import\",\"args\":{%s}}", args);
	world_sent_clear();
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++id, 0, text, strlen(text));
}

static void a_dry_run_changes_nothing(void **state)
{
	(void)state;
	begin_import_of("\"dry_run\":true");
	import_text(DOC(IMSI, "") DOC("00101000000000x", "") DOC("001010000000002", ",\"msisdn\":[5]"));
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, id, 0, "", 0);
	json_t *end = json_loads((char *)sent_find(IPC_ADMIN_END, id)->body, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(end, "rows")), 2);
	assert_int_equal(json_integer_value(json_object_get(end, "errors")), 1);
	assert_int_equal(json_integer_value(json_object_get(end, "status")), 1); // as hssctl ends
	assert_true(json_is_true(json_object_get(end, "dry_run")));
	json_decref(end);
	assert_told("error", "imsi: expected 5 to 15 digits");
	assert_told("warning", "msisdn[0]: expected text, got a number (left out)");
	assert_null(record(IMSI));
}

static void an_imsi_shorter_than_its_neighbours_is_told(void **state)
{
	(void)state;
	begin_import_of("");
	import_text(DOC("001010000000001", "") DOC("0010100000002", "") DOC("001010000000003", ""));
	end_import(3, 0);
	assert_told("warning", "IMSI 0010100000002 has 13 digits, most of this file have 15");
	json_t *v = row_with("warning");
	assert_int_equal(json_integer_value(json_object_get(v, "line")), 2);
	json_decref(v);
}

static void the_output_of_a_shell_is_imported(void **state)
{
	(void)state;
	begin_import_of("");
	import_text("#1 1\n{ _id: ObjectId('64c000000000000000000001'), imsi: '" IMSI "', security: { k: "
		    "'465B5CE8 B199B49F AA5F0A2E E238A6BC', opc: 'E8ED289D EBA952E4 283B54E8 8E6183CA', sqn: Long('4128'), }, }\n"
		    "#9 2\nType \"it\" for more\n#10 3\n{ imsi: Frob(1) }\n");
	end_import(1, 2);
	assert_int_equal(loader_seq_next(&world.l, record(IMSI)->sqn), 129);
	assert_told("error", "the shell stopped here");
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	json_t *v = world_row(id);
	assert_string_equal(json_string_value(json_object_get(json_object_get(v, "_id"), "$oid")),
			    "64c000000000000000000001");
	json_decref(v);
}

static void a_list_of_a_sim_vendor_is_imported(void **state)
{
	(void)state;
	begin_import_of("\"format\":\"csv\"");
	import_text("IMSI;ICCID;ACC;PIN1;Ki;OPC\n" IMSI ";8988211000000000001;0001;1234;"
		    "465B5CE8B199B49FAA5F0A2EE238A6BC;E8ED289DEBA952E4283B54E88E6183CA\n");
	end_import(1, 0);
	assert_told("warning", "columns that are not used: ACC, PIN1");
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	json_t *v = world_row(id);
	assert_string_equal(json_string_value(json_object_get(v, "iccid")), "8988211000000000001");
	json_decref(v);
}

static void set_knows_the_members(void **state)
{
	(void)state;
	assert_int_equal(on("subscriber add", IMSI, "," KEYS), ADMIN_OK);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"subscriber_stauts\":1}"), ADMIN_REFUSED);
	assert_string_equal(error(), "subscriber_stauts: no such member; did you mean subscriber_status? (--force sets it all "
				     "the same)");
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"ambr\":{\"downlink\":{\"valeu\":2}}}"), ADMIN_REFUSED);
	assert_string_equal(error(), "ambr.downlink.valeu: no such member; did you mean ambr.downlink.value? (--force sets it "
				     "all the same)");
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"notes\":1},\"force\":true"), ADMIN_OK);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"notes\":null}"), ADMIN_OK);
	// by hand a wrong number is refused, not left out
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"msisdn\":[\"12x\"]}"), ADMIN_REFUSED);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"msisdn\":[\"+4915\"]}"), ADMIN_OK);
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	json_t *v = world_row(id);
	assert_string_equal(json_string_value(json_array_get(json_object_get(v, "msisdn"), 0)), "4915");
	json_decref(v);
	// what another system left in the document does not stand in the way
	begin_import_of("");
	import_text(DOC(IMSI, ",\"msisdn\":[5]"));
	end_import(1, 0);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"subscriber_status\":0}"), ADMIN_OK);
}

static unsigned listed(const char *args)
{
	char text[200];
	unsigned n = 0;
	snprintf(text, sizeof(text), "{\"cmd\":\"subscriber list\",\"args\":{%s}}", args);
	world_sent_clear();
	assert_int_equal(call(text), ADMIN_OK);
	for (unsigned i = 0; i < world.sent_cnt; i++)
		n += world.sent[i].type == IPC_ADMIN_ROW;
	return n;
}

static void lists_are_narrowed(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		char imsi[16], more[200];
		snprintf(imsi, sizeof(imsi), "00101000000000%u", i);
		snprintf(more, sizeof(more), "," KEYS ",\"msisdn\":[\"491%u\"]", i);
		assert_int_equal(on("subscriber add", imsi, more), ADMIN_OK);
	}
	assert_int_equal(on("subscriber bar", "001010000000002", ""), ADMIN_OK);
	world_ulr("001010000000003", 7, "mme7.test");
	txn_commit(&world.l);
	assert_int_equal(fold_now(), 0);
	assert_int_equal(listed(""), 5);
	assert_int_equal(listed("\"limit\":2"), 2);
	assert_int_equal(listed("\"status\":\"barred\""), 1);
	assert_int_equal(listed("\"status\":\"granted\",\"limit\":9"), 4);
	assert_int_equal(listed("\"node\":\"MME7.test\""), 1);
	assert_int_equal(listed("\"node\":\"granted\""), 0);
	assert_int_equal(listed("\"msisdn\":\"4914\""), 1);
	assert_int_equal(listed("\"msisdn\":\"4999\""), 0);
	assert_int_equal(listed("\"count\":true,\"status\":\"granted\""), 1);
	json_t *v = world_row(id);
	assert_int_equal(json_integer_value(json_object_get(v, "count")), 4);
	json_decref(v);
}

static void bar_and_unbar(void **state)
{
	(void)state;
	assert_int_equal(on("subscriber add", IMSI, "," KEYS), ADMIN_OK);
	assert_int_equal(on("subscriber bar", IMSI, ""), ADMIN_OK);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->odb, 1);
	assert_int_equal(on("subscriber bar", IMSI, ",\"what\":\"visited-apn\""), ADMIN_OK);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->odb, 4);
	assert_int_equal(on("subscriber bar", IMSI, ",\"what\":\"everything\""), ADMIN_USAGE);
	assert_int_equal(on("subscriber unbar", IMSI, ""), ADMIN_OK);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->subscriber_status, 0);
	assert_int_equal(on("subscriber bar", "001010000000009", ""), ADMIN_REFUSED);
}

static void add_with_its_options(void **state)
{
	static const struct {
		const char *apn, *why;
	} bad[] = {{"internet,qci=0", "--apn qci: expected 1 to 254, got \"0\""},
		   {"internet,speed=1", "--apn: expected qci, arp, ambr, type, ipv4 or ipv6, got \"speed\""},
		   {"internet,ambr=fast", "--apn ambr: expected DOWN/UP in bit/s, like 100M/50M or 1G, got \"fast\""},
		   {"internet,ipv4=10.0.0.256",
		    "slice[0].session[0].ue.ipv4: expected an IPv4 address, got \"10.0.0.256\""},
		   {"internet,type=ppp", "--apn type: expected ipv4, ipv6 or ipv4v6, got \"ppp\""}};
	char more[300];
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(more, sizeof(more), "," KEYS ",\"apn\":[\"%s\"]", bad[i].apn);
		assert_int_equal(on("subscriber add", IMSI, more), bad[i].why[0] == '-' ? ADMIN_USAGE : ADMIN_REFUSED);
		assert_string_equal(error(), bad[i].why);
	}
	assert_int_equal(on("subscriber add", IMSI,
			    "," KEYS ",\"ambr\":\"100M/50M\",\"msisdn\":[\"+4915\"],\"apn\":[\"internet,qci=7,arp=3,ambr=10M/"
			    "1M,type=ipv4,ipv4=10.45.0.9\",\"ims\"]"),
			 ADMIN_OK);
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	json_t *v = world_row(id), *s = json_array_get(
					 json_object_get(json_array_get(json_object_get(v, "slice"), 0), "session"), 0);
	json_t *qos = json_object_get(s, "qos");
	assert_int_equal(json_integer_value(json_object_get(qos, "index")), 7);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(qos, "arp"), "priority_level")), 3);
	assert_int_equal(json_integer_value(json_object_get(s, "type")), 1);
	assert_string_equal(json_string_value(json_object_get(json_object_get(s, "ue"), "ipv4")), "10.45.0.9");
	assert_string_equal(json_string_value(json_array_get(json_object_get(v, "msisdn"), 0)), "4915");
	json_t *down = json_object_get(json_object_get(v, "ambr"), "downlink");
	assert_int_equal(json_integer_value(json_object_get(down, "value")), 100);
	assert_int_equal(json_integer_value(json_object_get(down, "unit")), 2);
	json_decref(v);
	assert_int_equal(on("subscriber add", "001010000000002", ",\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\""), ADMIN_USAGE);
	assert_string_equal(error(), "--opc or --op is needed, since s6a.op_file is not set");
	assert_int_equal(on("subscriber add", "001010000000002", "," KEYS ",\"apn\":[\"a\",\"A\"]"), ADMIN_REFUSED);
}

static void a_location_without_network_and_time_is_unknown(void **state)
{
	(void)state;
	begin_import();
	import_text("{\"imsi\":\"" IMSI "\",\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","
		    "\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"},\"mme_host\":\"mme\",\"mme_realm\":\"r\"}\n");
	end_import(1, 0);
	assert_int_equal(on("location show", IMSI, ""), ADMIN_OK);
	json_t *v = world_row(id);
	json_t *mme = json_object_get(v, "mme");
	assert_string_equal(json_string_value(json_object_get(mme, "host")), "mme");
	assert_true(json_is_null(json_object_get(mme, "plmn")));
	assert_true(json_is_null(json_object_get(mme, "time_us")));
	json_decref(v);
	assert_int_equal(on("subscriber show", IMSI, ""), ADMIN_OK);
	v = world_row(id);
	assert_null(json_object_get(v, "mme_timestamp"));
	json_decref(v);
}

static void patch(const char *sql)
{
	char path[100];
	sqlite3 *db;
	snprintf(path, sizeof(path), "%s/hss.db", world.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

// The version before wrote profiles that took the number for a mask: 0 barred nobody.
static void a_barred_subscriber_of_the_version_before_is_barred_after_the_start(void **state)
{
	(void)state;
	assert_int_equal(on("subscriber add", IMSI, "," KEYS), ADMIN_OK);
	assert_int_equal(on("subscriber set", IMSI, ",\"fields\":{\"subscriber_status\":1}"), ADMIN_OK);
	assert_int_equal(fold_now(), 0);
	patch("UPDATE subscriber SET rec = x'02' || substr(rec, 2)");
	patch("UPDATE profile SET body = substr(body, 1, 8) || x'00000000' || substr(body, 13) "
			   "WHERE id = (SELECT profile FROM subscriber)");
	world_restart(true);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->subscriber_status, 1);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI))->odb, 1);
}

static void import_keeps_sqn_and_location(void **state)
{
	(void)state;
	char line[512];
	static const char doc[] =
	    "{\"imsi\":\"" IMSI "\",\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","
	    "\"opc\":\"%s\",\"sqn\":%d},\"mme_host\":\"other\",\"mme_realm\":\"r\"}\n";
	static const struct {
		const char *opc;
		int sqn;
		unsigned seq;
	} steps[] = {
	    {"E8ED289DEBA952E4283B54E88E6183CA", 3200, 100},
	    {"E8ED289DEBA952E4283B54E88E6183CA", 320, 100},  // never lower
	    {"E8ED289DEBA952E4283B54E88E6183CA", 6400, 200}, // higher
	    {"00000000000000000000000000000000", 320, 10},   // but with another OPc
	};
	for (unsigned i = 0; i < 4; i++) {
		begin_import();
		snprintf(line, sizeof(line), doc, steps[i].opc, steps[i].sqn);
		import_text(line);
		end_import(1, 0);
		assert_int_equal(loader_seq_next(&world.l, record(IMSI)->sqn), steps[i].seq);
		world_sent_clear();
	}
	assert_int_equal(on("location show", IMSI, ""), ADMIN_OK);
	json_t *row = world_row(id);
	assert_string_equal(json_string_value(json_object_get(json_object_get(row, "mme"), "host")), "other");
	json_decref(row);
	assert_int_equal(on("location cancel", IMSI, ""), ADMIN_OK);
	assert_int_equal(record(IMSI)->serving[0].node, 0);
	assert_int_equal(sent_count(IPC_HSS_SEND), 1);
	begin_import();
	import_text(line); // does not bring the location back
	end_import(1, 0);
	assert_int_equal(record(IMSI)->serving[0].node, 0);
}

static void a_full_cache_refuses(void **state)
{
	(void)state;
	world_close();
	world_open(3);
	world_add("001010000000001");
	world_add("001010000000002");
	begin_import();
	import_text("{\"imsi\":\"001010000000003\",\"security\":{" KEYS "}}\n"
		    "{\"imsi\":\"001010000000004\",\"security\":{" KEYS "}}\n"
		    "{\"imsi\":\"001010000000001\",\"security\":{" KEYS "}}\n");
	end_import(2, 1); // who exists can still be replaced
	assert_int_equal(on("subscriber add", "001010000000005", "," KEYS), ADMIN_REFUSED);
	assert_string_equal(error(), "the cache is full (cache.max_subscribers)");
	world_restart(true);
	assert_int_equal(world.l.header->subscriber_cnt, 3);
	assert_int_equal(on("subscriber delete", "001010000000001", ""), ADMIN_OK);
	assert_int_equal(on("subscriber add", "001010000000005", "," KEYS), ADMIN_OK);
}

static void deleting_cancels_the_location(void **state)
{
	(void)state;
	begin_import();
	import_text("{\"imsi\":\"" IMSI "\",\"security\":{" KEYS
		    "},\"mme_host\":\"mme\",\"mme_realm\":\"r\"}\n");
	end_import(1, 0);
	assert_int_equal(on("subscriber delete", IMSI, ""), ADMIN_OK);
	struct ipc_hss_send d;
	struct s6a_cancel c = {0};
	assert_int_equal(sent_count(IPC_HSS_SEND), 1);
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_HSS_SEND) {
			memcpy(&d, world.sent[i].body, sizeof(d));
			const uint8_t *data = world.sent[i].body + sizeof(d) + d.host_len + d.realm_len;
			assert_true(s6a_cancel_get(d.purpose, slice_of(data, d.data_len), &c));
		}
	assert_int_equal(c.type, CANCEL_WITHDRAWAL);
	assert_int_equal(c.flags, CLR_S6A);
	world_add(IMSI);
	assert_int_equal(record(IMSI)->serving[0].node, 0);
}

static void status_tells_the_store(void **state)
{
	(void)state;
	world_add(IMSI);
	assert_int_equal(call("{\"cmd\":\"store status\"}"), ADMIN_OK);
	json_t *row = world_row(id);
	assert_string_equal(json_string_value(json_object_get(row, "load_state")), "complete");
	assert_string_equal(json_string_value(json_object_get(row, "disk")), "ok");
	assert_int_equal(json_integer_value(json_object_get(row, "subscribers")), 1);
	assert_int_equal(json_integer_value(json_object_get(row, "journal_rows")), 1);
	json_decref(row);
}

static void split_lines_mean_the_same(void **state)
{
	(void)state;
	struct import_docs *d = import_docs_new();
	char *text = slurp(TEST_DATA "/subscribers.jsonl"), *line = strtok(text, "\n");
	for (int n = 0; line; n++, line = strtok(NULL, "\n"))
		for (int again = 0; again < 2; again++) {
			json_error_t e;
			json_t *a = import_docs_parse(d, slice_str(line), &e), *b = json_loads(line, 0, NULL);
			assert_true(json_equal(a, b));
			json_decref(a);
			json_decref(b);
		}
	static const char *const odd[] = {"{}",
					  "{\"a\":1,}",
					  "{\"a\":[}]}",
					  "{\"imsi\":\"1\",\"x\":\"\\\"}\"}",
					  "{\"a\" 1}",
					  "{\"a\":}",
					  "{",
					  "[]",
					  "{\"imsi\":{\"imsi\":[1,{}]},\"y\":[]}",
					  "{\"a\":\"",
					  "{\"a\":1}}",
					  "{\"im\\u0073i\":\"1\"}"};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		json_error_t e;
		json_t *a = import_docs_parse(d, slice_str(odd[i]), &e), *b = json_loads(odd[i], 0, NULL);
		assert_int_equal(a != NULL, b != NULL);
		assert_true(!a || json_equal(a, b));
		json_decref(a);
		json_decref(b);
	}
	import_docs_free(&d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(add_show_delete),
	    T(wrong_calls),
	    T(set_changes_places),
	    T(lists_wait_for_the_reader),
	    T(import_export_import),
	    T(bad_lines_are_named),
	    T(a_barred_subscriber_of_the_version_before_is_barred_after_the_start),
	    T(an_sqn_of_another_system_is_rounded_up),
	    T(a_dry_run_changes_nothing),
	    T(an_imsi_shorter_than_its_neighbours_is_told),
	    T(the_output_of_a_shell_is_imported),
	    T(a_list_of_a_sim_vendor_is_imported),
	    T(set_knows_the_members),
	    T(lists_are_narrowed),
	    T(bar_and_unbar),
	    T(add_with_its_options),
	    T(a_location_without_network_and_time_is_unknown),
	    T(import_keeps_sqn_and_location),
	    T(a_full_cache_refuses),
	    T(deleting_cancels_the_location),
	    T(status_tells_the_store),
	    T(split_lines_mean_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
