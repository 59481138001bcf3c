// `imstool ng`: asks RTPengine what it does with the media of calls.
#include "tools/imstool/ng.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/clock.h"

static const struct im_option options[] = {
    [IN_SERVER] = {"server", "HOST:PORT", "RTPengine's listen-ng, listen-tcp-ng or listen-http; [::1]:2223 for IPv6", false},
    [IN_TRANSPORT] = {"transport", "udp|tcp|ws", "(udp)", false},
    [IN_PATH] = {"path", "PATH", "of ws (/)", false},
    [IN_FORMAT] = {"format", "bencode|json", "what is sent; the answer comes in the same (bencode)", false},
    [IN_TIMEOUT] = {"timeout-ms", "N", "how long an answer may take (5000)", false},
    [IN_REPEAT] = {"repeat-ms", "N", "udp: when to ask again, then twice as long each time (500)", false},
    [IN_LIMIT] = {"limit", "N", "list: at most N calls (32)", false},
    [IN_CALL_ID] = {"call-id", "ID", "", false},
    [IN_FROM_TAG] = {"from-tag", "TAG", "", false},
    [IN_TO_TAG] = {"to-tag", "TAG", "", false},
    [IN_SDP] = {"sdp", "FILE", "offer and answer: the SDP; - is standard input", false},
    [IN_INTERVAL] = {"interval-ms", "N", "watch: how often (2000)", false},
    [IN_COUNT] = {"count", "N", "watch: how many times (for ever)", false},
    {0},
};

// Names on the command line have - where RTPengine's have blanks. Others are sent as they are written.
static const struct verb {
	const char *name, *command;
	bool call_id, sdp;
} verbs[] = {
    {"ping", "ping", false, false},
    {"list", "list", false, false},
    {"query", "query", true, false},
    {"offer", "offer", true, true},
    {"answer", "answer", true, true},
    {"delete", "delete", true, false},
    {"statistics", "statistics", false, false},
    {"start-recording", "start recording", true, false},
    {"stop-recording", "stop recording", true, false},
    {"pause-recording", "pause recording", true, false},
    {"start-forwarding", "start forwarding", true, false},
    {"stop-forwarding", "stop forwarding", true, false},
    {"block-dtmf", "block DTMF", true, false},
    {"unblock-dtmf", "unblock DTMF", true, false},
    {"block-media", "block media", true, false},
    {"unblock-media", "unblock media", true, false},
    {"silence-media", "silence media", true, false},
    {"unsilence-media", "unsilence media", true, false},
    {"play-media", "play media", true, false},
    {"stop-media", "stop media", true, false},
    {"play-dtmf", "play DTMF", true, false},
    {"publish", "publish", true, true},
    {"subscribe-request", "subscribe request", true, false},
    {"subscribe-answer", "subscribe answer", true, true},
    {"unsubscribe", "unsubscribe", true, false},
};

// --- The request

// Members that are lists even if they have one value, and those that are text even if they look like a number.
static bool is_one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(key, *names) == 0)
			return true;
	return false;
}

static json_t *value_of(const char *key, const char *text)
{
	static const char *const texts[] = {"call-id", "from-tag", "to-tag", "via-branch", "label", "address", NULL};
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	if (value && !json_is_null(value) && !json_is_real(value) && (json_is_string(value) || !is_one_of(key, texts)))
		return value;
	json_decref(value);
	return json_string(text);
}

// KEY=VALUE: VALUE is JSON or, if it isn't, text; KEY twice is a list.
static int add_member(const struct im_args *a, json_t *request, const char *word)
{
	static const char *const lists[] = {"flags", "replace", "direction", "received-from", "supports",
					    "rtcp-mux", "SDES", "OSRTP", "T.38", "from-tags", NULL};
	const char *equals = strchr(word, '=');
	char *key = equals && equals > word ? strndup(word, (size_t)(equals - word)) : NULL;
	json_t *value, *old;

	if (!key)
		return im_usage(a, "%s: expected KEY=VALUE", word);
	value = value_of(key, equals + 1);
	old = json_object_get(request, key);
	if (!value)
		im_no(a, "%s: not UTF-8", word);
	else if (json_is_array(old))
		json_is_array(value) ? json_array_extend(old, value) : json_array_append(old, value);
	else if (old)
		json_object_set_new(request, key, json_pack("[O, O]", old, value));
	else if (is_one_of(key, lists) && !json_is_array(value))
		json_object_set_new(request, key, json_pack("[O]", value));
	else
		json_object_set(request, key, value);
	free(key);
	json_decref(value);
	return value ? 0 : IM_USAGE;
}

static int add_sdp(const struct im_args *a, json_t *request)
{
	uint8_t *text;
	size_t len;
	json_t *sdp;

	if (!im_read_file(a, a->value[IN_SDP], &text, &len))
		return IM_NO;
	sdp = json_stringn((char *)text, len);
	free(text);
	if (!sdp)
		return im_no(a, "%s: not UTF-8", a->value[IN_SDP]);
	json_object_set_new(request, "sdp", sdp);
	return 0;
}

static const struct verb *find_verb(const char *name)
{
	for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, name) == 0 || strcmp(verbs[i].command, name) == 0)
			return &verbs[i];
	return NULL;
}

static int add_options(const struct im_args *a, json_t *request)
{
	static const struct {
		enum im_ng_option option;
		const char *key;
	} members[] = {{IN_CALL_ID, "call-id"}, {IN_FROM_TAG, "from-tag"}, {IN_TO_TAG, "to-tag"}};
	uint64_t limit;

	for (unsigned i = 0; i < sizeof members / sizeof *members; i++) {
		const char *text = a->value[members[i].option];
		if (text && json_object_set_new(request, members[i].key, json_string(text)))
			return im_usage(a, "--%s: not UTF-8", members[i].key);
	}
	if (a->value[IN_LIMIT]) {
		if (!im_number(a->value[IN_LIMIT], 1, INT32_MAX, &limit))
			return im_usage(a, "--limit: expected a number from 1");
		json_object_set_new(request, "limit", json_integer((json_int_t)limit));
	}
	return a->value[IN_SDP] ? add_sdp(a, request) : 0;
}

// The words behind the verb: for the verbs about a call its id may come first, the rest is KEY=VALUE.
static int build(const struct im_args *a, const struct verb *verb, char **word, int word_cnt, json_t *request)
{
	int status = 0;

	if (verb && verb->call_id && word_cnt && !strchr(word[0], '=') && !a->value[IN_CALL_ID]) {
		json_object_set_new(request, "call-id", json_string(word[0]));
		word++, word_cnt--;
	}
	for (int i = 0; !status && i < word_cnt; i++)
		status = add_member(a, request, word[i]);
	if (!status)
		status = add_options(a, request);
	if (!status && verb && verb->call_id && !json_object_get(request, "call-id"))
		return im_usage(a, "%s needs a call id", verb->name);
	if (!status && verb && verb->sdp && !json_object_get(request, "sdp"))
		return im_usage(a, "%s needs --sdp FILE", verb->name);
	return status;
}

// --- Asking

json_t *im_ng_ask(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	const struct ng_counts *counts = ng_client_counts(c);
	struct ng_counts before = *counts;
	json_t *answer = NULL, *clean = NULL;

	if (ng_client_call(c, request, &answer)) {
		im_no(a, "%s: %s", a->value[IN_SERVER], ng_client_why(c));
		if (counts->foreign > before.foreign)
			fprintf(stderr, "%u answers to other requests have come\n", counts->foreign - before.foreign);
	} else {
		clean = ng_clean(answer);
	}
	json_decref(answer);
	return clean;
}

bool im_ng_refused(const struct im_args *a, const json_t *answer)
{
	const char *result = json_string_value(json_object_get(answer, "result"));
	const char *reason = json_string_value(json_object_get(answer, "error-reason"));

	if (result && (strcmp(result, "ok") == 0 || strcmp(result, "pong") == 0))
		return false;
	fflush(stdout);
	fprintf(stderr, "imstool %s: %s: ", a->command->name, a->value[IN_SERVER]);
	im_print_text(stderr, slice_str(reason ? reason : result ? result : "an answer without a result"));
	fputc('\n', stderr);
	return true;
}

// SDP is lines: their ends and tabs are let through, other control characters are not.
static void print_sdp(const char *sdp)
{
	for (size_t len; *sdp; sdp += len) {
		len = strcspn(sdp, "\r\n\t");
		im_print_text(stdout, slice_of(sdp, len));
		if (sdp[len])
			putchar(sdp[len++]);
	}
}

static int ask_and_show(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	uint64_t from_us = clock_mono_us();
	json_t *answer = im_ng_ask(a, c, request);
	const char *sdp, *result;
	bool refused;

	if (!answer)
		return IM_NO;
	refused = im_ng_refused(a, answer);
	sdp = json_string_value(json_object_get(answer, "sdp"));
	result = json_string_value(json_object_get(answer, "result"));
	if (a->json)
		im_print_json_take(json_incref(answer));
	else if (!refused && sdp)
		print_sdp(sdp);
	else if (!refused && strcmp(result, "pong") == 0)
		printf("pong from %s in %.1f ms\n", a->value[IN_SERVER], (double)(clock_mono_us() - from_us) / 1000);
	else if (!refused)
		im_ng_show(answer);
	json_decref(answer);
	return refused ? IM_NO : IM_YES;
}

static int ask(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (strcmp(command, "list") == 0)
		return im_ng_list(a, c, request);
	if (strcmp(command, "query") == 0)
		return im_ng_query(a, c, request);
	return ask_and_show(a, c, request);
}

// Again and again; the status is that of the last time.
static int watch(const struct im_args *a, struct ng_client *c, const json_t *request)
{
	uint64_t interval_ms = 2000, count = UINT64_MAX;
	int status = IM_NO;

	if (a->value[IN_INTERVAL] && !im_number(a->value[IN_INTERVAL], 1, 86400000, &interval_ms))
		return im_usage(a, "--interval-ms: expected 1 to 86400000");
	if (a->value[IN_COUNT] && !im_number(a->value[IN_COUNT], 1, UINT64_MAX / 20, &count))
		return im_usage(a, "--count: expected a number from 1");
	for (uint64_t i = 0; i < count; i++) {
		struct timespec pause = {(time_t)(interval_ms / 1000), (long)(interval_ms % 1000) * 1000000};
		if (i && nanosleep(&pause, NULL))
			break;
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		else if (i && !a->json)
			putchar('\n');
		status = ask(a, c, request);
		if (fflush(stdout))
			break;
	}
	return status;
}

// --- The command

// HOST:PORT or [IPV6]:PORT, split in place.
static bool split_server(char *text, const char **host, const char **port)
{
	char *colon = strrchr(text, ':');
	size_t len;
	uint64_t n;

	if (!colon || !im_number(colon + 1, 1, 65535, &n))
		return false;
	*colon = 0;
	len = (size_t)(colon - text);
	*host = text;
	*port = colon + 1;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = 0;
		(*host)++;
		return true;
	}
	return len && !strchr(text, ':');
}

static bool one_of(const char *text, const char *const *names, int *out)
{
	for (int i = 0; text && names[i]; i++)
		if (strcmp(text, names[i]) == 0) {
			*out = i;
			return true;
		}
	return !text;
}

static int connection(const struct im_args *a, char *server, struct ng_options *o)
{
	static const char *const transports[] = {"udp", "tcp", "ws", NULL}, *const formats[] = {"bencode", "json", NULL};
	uint64_t timeout_ms = 5000, repeat_ms = 500;
	int transport = 0, format = 0;

	if (!split_server(server, &o->host, &o->port))
		return im_usage(a, "--server: expected HOST:PORT");
	if (!one_of(a->value[IN_TRANSPORT], transports, &transport))
		return im_usage(a, "--transport: expected udp, tcp or ws");
	if (!one_of(a->value[IN_FORMAT], formats, &format))
		return im_usage(a, "--format: expected bencode or json");
	if (transport == NG_TCP && format == NG_JSON)
		return im_usage(a, "--format json has no end that tcp could tell: udp or ws");
	if (a->value[IN_TIMEOUT] && !im_number(a->value[IN_TIMEOUT], 1, 3600000, &timeout_ms))
		return im_usage(a, "--timeout-ms: expected 1 to 3600000");
	if (a->value[IN_REPEAT] && !im_number(a->value[IN_REPEAT], 1, 3600000, &repeat_ms))
		return im_usage(a, "--repeat-ms: expected 1 to 3600000");
	o->path = a->value[IN_PATH];
	o->transport = (enum ng_transport)transport;
	o->format = (enum ng_format)format;
	o->timeout_ms = (unsigned)timeout_ms;
	o->repeat_ms = (unsigned)repeat_ms;
	return 0;
}

static int run_request(const struct im_args *a, const struct ng_options *o, const json_t *request, bool watched)
{
	struct ng_client *c;
	char why[256];
	int status;

	if (ng_client_new(&c, o, why, sizeof why))
		return im_no(a, "%s: %s", a->value[IN_SERVER], why);
	status = watched ? watch(a, c, request) : ask(a, c, request);
	ng_client_free(&c);
	return status;
}

static int run(const struct im_args *a)
{
	const char *name = a->word_cnt ? a->word[0] : NULL;
	bool watched = name && strcmp(name, "watch") == 0;
	const struct verb *verb = name ? find_verb(watched ? (a->word_cnt > 1 || a->value[IN_CALL_ID] ? "query" : "list") : name)
				       : NULL;
	struct ng_options o = {0};
	json_t *request;
	char *server;
	int status;

	if (!a->value[IN_SERVER])
		return im_usage(a, "--server HOST:PORT is needed");
	if (!name)
		return im_usage(a, "what to ask? ping, list, query, ...");
	server = strdup(a->value[IN_SERVER]);
	request = json_pack("{s:s}", "command", verb ? verb->command : name);
	if (!server || !request)
		status = request ? im_no(a, "no memory") : im_usage(a, "%s: not UTF-8", name);
	else
		status = connection(a, server, &o);
	if (!status)
		status = build(a, verb, a->word + 1, a->word_cnt - 1, request);
	if (!status)
		status = run_request(a, &o, request, watched);
	json_decref(request);
	free(server);
	return status;
}

const struct im_command im_ng = {
    .name = "ng",
    .synopsis = "ng --server HOST:PORT ping | list | statistics\n"
		"ng --server HOST:PORT query CALL-ID | delete CALL-ID [--from-tag TAG]\n"
		"ng --server HOST:PORT offer|answer --call-id ID --from-tag TAG [--to-tag TAG] --sdp FILE|- [KEY=VALUE ...]\n"
		"ng --server HOST:PORT watch [CALL-ID]",
    .summary = "RTPengine: which calls it has, what their streams do, and any of its commands",
    .options = options,
    .words = "ping list query offer answer delete statistics watch start-recording stop-recording pause-recording "
	     "start-forwarding stop-forwarding block-dtmf unblock-dtmf block-media unblock-media silence-media "
	     "unsilence-media play-media stop-media play-dtmf publish subscribe-request subscribe-answer unsubscribe",
    .details = "Asks RTPengine by its ng protocol. `list' shows each call with its age, `query' the streams of a call, `watch'\n"
	       "either of them again and again; `offer' and `answer' print the SDP that came back. Further commands:\n"
	       "start-, stop-, pause-recording, start-, stop-forwarding, block-, unblock-dtmf, block-, unblock-, silence-,\n"
	       "unsilence-media, play-, stop-media, play-dtmf, publish, subscribe-request, subscribe-answer, unsubscribe; what isn't\n"
	       "known here is sent as it is written. KEY=VALUE adds to the request: VALUE is JSON or else text, and a KEY that\n"
	       "is there twice is a list.",
    .examples = "  imstool ng --server 192.0.2.7:2223 ping\n"
		"  imstool ng --server 192.0.2.7:2223 list --limit 100\n"
		"  imstool ng --server 192.0.2.7:2223 query a84b4c76e66710@pc33.atlanta.com\n"
		"  imstool ng --server 192.0.2.7:2223 offer --call-id test --from-tag a --sdp offer.sdp ICE=remove flags=trust-address\n"
		"  imstool ng --server 192.0.2.7:2226 --transport ws --json statistics\n"
		"  imstool ng --server 192.0.2.7:2223 watch a84b4c76e66710@pc33.atlanta.com\n",
    .run = run,
};
