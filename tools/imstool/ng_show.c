// How answers of RTPengine are shown: calls with their age, streams as a table, anything else member by member. An answer
// is what a server wanted to send: a member that is missing or of another type is shown as -.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/clock.h"
#include "tools/imstool/ng.h"

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "-";
}

// Numbers come as numbers or as text; -1: neither.
static int64_t number(const json_t *value)
{
	uint64_t v;

	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) && im_number(json_string_value(value), 0, INT64_MAX / 20, &v) ? (int64_t)v : -1;
}

static void number_cell(struct im_table *t, const json_t *object, const char *key)
{
	int64_t v = number(json_object_get(object, key));

	if (v < 0)
		im_cell(t, "-");
	else
		im_cell(t, "%" PRId64, v);
}

// How long ago a second of the wall clock was: "3 s", "5 min 2 s", "2 h 5 min".
static void age_text(int64_t since, char out[32])
{
	int64_t age = (int64_t)(clock_wall_us() / 1000000) - since;

	if (since < 0)
		snprintf(out, 32, "-");
	else if (age < 60)
		snprintf(out, 32, "%" PRId64 " s", age < 0 ? 0 : age);
	else if (age < 3600)
		snprintf(out, 32, "%" PRId64 " min %" PRId64 " s", age / 60, age % 60);
	else
		snprintf(out, 32, "%" PRId64 " h %" PRId64 " min", age / 3600, age / 60 % 60);
}

static unsigned stream_cnt(const json_t *answer)
{
	unsigned cnt = 0;
	json_t *tag, *media;
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(answer, "tags"), name, tag)
		json_array_foreach(json_object_get(tag, "medias"), i, media)
			cnt += (unsigned)json_array_size(json_object_get(media, "streams"));
	return cnt;
}

// --- list

// What RTPengine says about one call; an empty object: it has ended meanwhile.
static json_t *query_quietly(struct ng_client *c, const char *call_id)
{
	json_t *request = json_pack("{s:s, s:s}", "command", "query", "call-id", call_id), *answer = NULL, *clean = NULL;

	if (request && ng_client_call(c, request, &answer) == 0)
		clean = ng_clean(answer);
	json_decref(request);
	json_decref(answer);
	return clean ? clean : json_object();
}

static void list_row(const struct im_args *a, struct ng_client *c, struct im_table *t, const char *call_id)
{
	json_t *call = query_quietly(c, call_id);
	int64_t created = number(json_object_get(call, "created")), signal = number(json_object_get(call, "last signal"));
	char age[32], last[32];

	age_text(created, age);
	age_text(signal, last);
	if (a->json) {
		int64_t now = (int64_t)(clock_wall_us() / 1000000);
		json_t *row = json_pack("{s:s}", "call-id", call_id);
		if (created >= 0) {
			json_object_set_new(row, "created", json_integer(created));
			json_object_set_new(row, "age", json_integer(now > created ? now - created : 0));
			json_object_set_new(row, "streams", json_integer(stream_cnt(call)));
		}
		if (signal >= 0)
			json_object_set_new(row, "last signal", json_integer(signal));
		im_print_json_take(row);
	} else {
		im_cell(t, "%s", age);
		im_cell(t, "%s", last);
		im_cell(t, "%u", stream_cnt(call));
		im_cell(t, "%s", call_id);
	}
	json_decref(call);
}

int im_ng_list(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	json_t *answer = im_ng_ask(a, c, request), *calls, *call;
	struct im_table *t;
	size_t i;

	if (!answer || im_ng_refused(a, answer)) {
		json_decref(answer);
		return IM_NO;
	}
	calls = json_object_get(answer, "calls");
	t = im_table_new(4);
	if (!a->json && json_array_size(calls)) {
		im_cell(t, "AGE");
		im_cell(t, "SIGNAL");
		im_cell(t, "STREAMS");
		im_cell(t, "CALL-ID");
	}
	json_array_foreach(calls, i, call)
		if (json_is_string(call))
			list_row(a, c, t, json_string_value(call));
	im_table_print_free(&t, stdout);
	if (!a->json && !json_array_size(calls))
		puts("no calls");
	json_decref(answer);
	return IM_YES;
}

// --- query

static bool has_flag(const json_t *stream, const char *flag)
{
	json_t *value;
	size_t i;

	json_array_foreach(json_object_get(stream, "flags"), i, value)
		if (json_is_string(value) && strcmp(json_string_value(value), flag) == 0)
			return true;
	return false;
}

static void address_cell(struct im_table *t, const char *address, int64_t port)
{
	if (strcmp(address, "-") == 0 || port <= 0)
		im_cell(t, "-");
	else
		im_cell(t, strchr(address, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64, address, port);
}

static int64_t ssrc_of(const json_t *stream)
{
	int64_t ssrc = number(json_object_get(stream, "SSRC"));
	return ssrc >= 0 ? ssrc
			 : number(json_object_get(json_array_get(json_object_get(stream, "ingress SSRCs"), 0), "SSRC"));
}

// What the receivers' reports say was lost: packets, or else the average in percent.
static void loss_cell(struct im_table *t, const json_t *answer, int64_t ssrc)
{
	char key[24];
	json_t *reports;
	int64_t lost, percent;

	snprintf(key, sizeof key, "%" PRId64, ssrc);
	reports = ssrc < 0 ? NULL : json_object_get(json_object_get(answer, "SSRC"), key);
	lost = number(json_object_get(reports, "cumulative loss"));
	percent = number(json_object_get(json_object_get(reports, "average MOS"), "packet loss"));
	if (lost >= 0)
		im_cell(t, "%" PRId64, lost);
	else if (percent >= 0)
		im_cell(t, "%" PRId64 " %%", percent);
	else
		im_cell(t, "-");
}

static void stream_row(struct im_table *t, const json_t *answer, const char *tag, const json_t *media,
		       const json_t *stream)
{
	const json_t *endpoint = json_object_get(stream, "endpoint"), *stats = json_object_get(stream, "stats");
	int64_t packets = number(json_object_get(stats, "packets")), ssrc = ssrc_of(stream);
	char last[32];

	im_cell(t, "%s", tag);
	im_cell(t, "%s", text(media, "type"));
	im_cell(t, "%s", text(media, "codec"));
	im_cell(t, has_flag(stream, "RTCP") ? (has_flag(stream, "RTP") ? "RTP+RTCP" : "RTCP") : "RTP");
	address_cell(t, text(stream, "local address"), number(json_object_get(stream, "local port")));
	address_cell(t, text(endpoint, "address"), number(json_object_get(endpoint, "port")));
	number_cell(t, stats, "packets");
	number_cell(t, stats, "errors");
	loss_cell(t, answer, ssrc);
	age_text(packets > 0 ? number(json_object_get(stream, "last packet")) : -1, last);
	im_cell(t, "%s", last);
	if (ssrc >= 0)
		im_cell(t, "%08" PRIx64, ssrc);
	else
		im_cell(t, "-");
}

static void query_table(const json_t *answer)
{
	static const char *const heads[] = {"TAG",     "MEDIA",  "CODEC", "STREAM", "LOCAL", "REMOTE",
					    "PACKETS", "ERRORS", "LOST",  "LAST",   "SSRC"};
	const unsigned columns = sizeof heads / sizeof *heads;
	struct im_table *t = im_table_new(columns);
	json_t *tag, *media, *stream;
	const char *name;
	char age[32], last[32];
	size_t i, k;

	age_text(number(json_object_get(answer, "created")), age);
	age_text(number(json_object_get(answer, "last signal")), last);
	printf("age %s, last signal %s ago\n", age, last);
	for (unsigned column = 0; column < columns; column++)
		im_cell(t, "%s", heads[column]);
	json_object_foreach(json_object_get(answer, "tags"), name, tag)
		json_array_foreach(json_object_get(tag, "medias"), i, media)
			json_array_foreach(json_object_get(media, "streams"), k, stream)
				stream_row(t, answer, name, media, stream);
	im_table_print_free(&t, stdout);
}

int im_ng_query(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	json_t *answer = im_ng_ask(a, c, request);
	bool refused;

	if (!answer)
		return IM_NO;
	refused = im_ng_refused(a, answer);
	if (a->json)
		im_print_json_take(json_incref(answer));
	else if (!refused)
		query_table(answer);
	json_decref(answer);
	return refused ? IM_NO : IM_YES;
}

// --- Anything else

static void show_value(const char *path, const json_t *value)
{
	char longer[1024];
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, member) {
			snprintf(longer, sizeof longer, "%s%s%s", path, *path ? "." : "", key);
			show_value(longer, member);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, member) {
			snprintf(longer, sizeof longer, "%s.%zu", path, i);
			show_value(longer, member);
		}
	} else {
		char *shown = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
		im_print_text(stdout, slice_str(path));
		fputs(": ", stdout);
		im_print_text(stdout, slice_str(shown ? shown : json_is_string(value) ? json_string_value(value) : ""));
		putchar('\n');
		free(shown);
	}
}

void im_ng_show(const json_t *answer)
{
	show_value("", answer);
}
