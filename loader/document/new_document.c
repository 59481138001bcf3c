// Composes the document of a new subscriber from an operator's values or a row of CSV (new_document.h).
// Loader process, main thread; no state.
#include "loader/document/new_document.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loader/document/extjson.h"

#define OPTION_MAX 512u

static bool wrong(struct record_error *e, const char *option, const char *expected, const char *got)
{
	snprintf(e->text, sizeof(e->text), "%s: expected %s, got \"%.60s\"", option, expected, got);
	return false;
}

// ---- bit rates

static json_t *rate_json(unsigned long long value, int unit)
{
	return json_pack("{s:I,s:i}", "value", (json_int_t)value, "unit", unit);
}

// "100M"; *end behind it. NULL: none.
static json_t *rate(const char *text, const char **end)
{
	static const char units[] = "KMGT";
	char *behind;
	unsigned long long value = strtoull(text, &behind, 10);
	int unit = 0;
	if (*text < '0' || *text > '9' || value > 4294967295000ull)
		return NULL;
	const char *letter = *behind ? strchr(units, *behind & ~0x20) : NULL;
	if (letter) {
		unit = (int)(letter - units) + 1;
		behind++;
	}
	*end = behind;
	return rate_json(value, unit);
}

// "DOWN/UP", or one for both. NULL and *e: neither.
static json_t *rates(const char *option, const char *text, struct record_error *e)
{
	const char *end = text;
	json_t *down = rate(text, &end), *up = NULL;
	if (down && *end == '/')
		up = rate(end + 1, &end);
	else if (down)
		up = json_deep_copy(down);
	if (down && up && *end == 0)
		return json_pack("{s:o,s:o}", "downlink", down, "uplink", up);
	json_decref(down);
	json_decref(up);
	(void)wrong(e, option, "DOWN/UP in bit/s, like 100M/50M or 1G", text);
	return NULL;
}

static json_t *usual_rates(void)
{
	return json_pack("{s:o,s:o}", "downlink", rate_json(1, 3), "uplink", rate_json(1, 3));
}

// ---- APNs

static json_t *session(const char *name, int qci, int priority)
{
	json_t *arp = json_pack("{s:i,s:i,s:i}", "priority_level", priority, "pre_emption_capability", 1,
				"pre_emption_vulnerability", 1);
	return json_pack("{s:s,s:i,s:{s:i,s:o},s:o,s:[]}", "name", name, "type", 3, "qos", "index", qci, "arp", arp, "ambr",
			 usual_rates(), "pcc_rule");
}

static bool number(const char *option, const char *text, int most, int *out, struct record_error *e)
{
	char expected[40], *end;
	long v = strtol(text, &end, 10);
	snprintf(expected, sizeof(expected), "1 to %d", most);
	if (*end || v < 1 || v > most)
		return wrong(e, option, expected, text);
	*out = (int)v;
	return true;
}

static bool set_type(json_t *s, const char *text, struct record_error *e)
{
	static const char *const types[] = {"ipv4", "ipv6", "ipv4v6"};
	for (int i = 0; i < 3; i++)
		if (strcmp(text, types[i]) == 0)
			return json_object_set_new(s, "type", json_integer(i + 1)) == 0;
	return wrong(e, "--apn type", "ipv4, ipv6 or ipv4v6", text);
}

static bool set_address(json_t *s, const char *family, const char *text)
{
	json_t *ue = json_object_get(s, "ue"); // record.c judges what it is
	if (!ue) {
		ue = json_object();
		json_object_set_new(s, "ue", ue);
	}
	return json_object_set_new(ue, family, json_string(text)) == 0;
}

static bool set_option(json_t *s, char *word, struct record_error *e)
{
	json_t *qos = json_object_get(s, "qos");
	char *value = strchr(word, '=');
	int n;
	if (!value)
		return wrong(e, "--apn", "NAME,KEY=VALUE... with qci, arp, ambr, type, ipv4 or ipv6", word);
	*value++ = 0;
	if (strcmp(word, "qci") == 0)
		return number("--apn qci", value, 254, &n, e) && json_object_set_new(qos, "index", json_integer(n)) == 0;
	if (strcmp(word, "arp") == 0)
		return number("--apn arp", value, 15, &n, e) &&
		       json_object_set_new(json_object_get(qos, "arp"), "priority_level", json_integer(n)) == 0;
	if (strcmp(word, "ambr") == 0) {
		json_t *ambr = rates("--apn ambr", value, e);
		return ambr && json_object_set_new(s, "ambr", ambr) == 0;
	}
	if (strcmp(word, "type") == 0)
		return set_type(s, value, e);
	if (strcmp(word, "ipv4") == 0 || strcmp(word, "ipv6") == 0)
		return set_address(s, word, value);
	return wrong(e, "--apn", "qci, arp, ambr, type, ipv4 or ipv6", word);
}

// An option --apn. NULL and *e: not understood.
static json_t *session_of(const char *option, struct record_error *e)
{
	char copy[OPTION_MAX], *rest = copy, *word;
	if (snprintf(copy, sizeof(copy), "%s", option) >= (int)sizeof(copy)) {
		(void)wrong(e, "--apn", "less text", option);
		return NULL;
	}
	word = strsep(&rest, ",");
	bool ims = strcasecmp(word, "ims") == 0;
	json_t *s = session(word, ims ? 5 : 9, ims ? 1 : 8);
	while (s && (word = strsep(&rest, ",")))
		if (!set_option(s, word, e)) {
			json_decref(s);
			return NULL;
		}
	return s;
}

static json_t *sessions(const json_t *apn, struct record_error *e)
{
	json_t *list = json_array(), *name;
	size_t i;
	json_array_foreach(apn, i, name)
	{
		json_t *one = session_of(json_string_value(name) ? json_string_value(name) : "", e);
		if (!one) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, one);
	}
	if (json_array_size(list) == 0)
		json_array_append_new(list, session("internet", 9, 8));
	return list;
}

// ---- the whole

static json_t *security(const json_t *args)
{
	static const char *const keys[] = {"k", "op", "opc", "amf", "sqn", "algorithm"};
	json_t *sec = json_pack("{s:s}", "amf", "8000");
	int64_t sqn;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(args, keys[i]))
			json_object_set(sec, keys[i], json_object_get(args, keys[i]));
	// a shell passes text
	if (ext_decimal(json_string_value(json_object_get(sec, "sqn")), &sqn) == EXT_OK)
		json_object_set_new(sec, "sqn", json_integer(sqn));
	return sec;
}

// Without the plus that people write before a country's number.
static json_t *numbers(const json_t *given)
{
	json_t *list = json_array(), *one;
	size_t i;
	json_array_foreach(given, i, one)
	{
		const char *text = json_string_value(one);
		json_array_append_new(list, text ? json_string(text + (*text == '+')) : json_incref(one));
	}
	return list;
}

json_t *new_document(const json_t *args, struct record_error *e)
{
	const char *ambr_text = json_string_value(json_object_get(args, "ambr"));
	json_t *list = sessions(json_object_get(args, "apn"), e);
	json_t *ambr = list && ambr_text ? rates("--ambr", ambr_text, e) : usual_rates();
	if (!list || !ambr) {
		json_decref(list);
		json_decref(ambr);
		return NULL;
	}
	json_t *slice = json_pack("{s:i,s:b,s:o}", "sst", 1, "default_indicator", 1, "session", list);
	return json_pack("{s:i,s:O,s:o,s:o,s:o,s:[o],s:i,s:i,s:i,s:i,s:i}", "schema_version", 1, "imsi",
			 json_object_get(args, "imsi"), "msisdn", numbers(json_object_get(args, "msisdn")), "security",
			 security(args), "ambr", ambr, "slice", slice, "access_restriction_data", 32, "subscriber_status",
			 0, "operator_determined_barring", 0, "network_access_mode", 0, "subscribed_rau_tau_timer", 12);
}
