// Members of a subscriber's document in the words of an operator: "1 Gbit/s" for a value and its unit, "IPv4v6" for a type.
// --json has them as they are.
#include <string.h>
#include <time.h>
#include "admin/cli/cli.h"

// Of a list of names by number; the number stays in front, since that is what `subscriber set` takes.
static bool named(json_int_t n, const char *const names[], size_t cnt, char out[256])
{
	if (n < 0 || (size_t)n >= cnt || !names[n])
		return false;
	snprintf(out, 256, "%lld (%s)", (long long)n, names[n]);
	return true;
}

static bool bits(json_int_t n, const char *const names[], size_t cnt, char out[256])
{
	size_t len = (size_t)snprintf(out, 256, "%lld (", (long long)n);

	if (n == 0)
		return snprintf(out, 256, "0 (none)") > 0;
	for (size_t i = 0; i < cnt && len < 200; i++) {
		if (n >> i & 1)
			len += (size_t)snprintf(out + len, 256 - len, "%s%s", out[len - 1] == '(' ? "" : ", ", names[i]);
	}
	snprintf(out + len, 256 - len, ")");
	return n >> cnt == 0;
}

static bool rate(const json_t *v, char out[256])
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
	const json_t *value = json_object_get(v, "value"), *unit = json_object_get(v, "unit");
	json_int_t u = json_integer_value(unit);

	if (!json_is_integer(value) || (unit && !json_is_integer(unit)) || u < 0 || u > 4)
		return false;
	snprintf(out, 256, "%lld %s", (long long)json_integer_value(value), units[u]);
	return true;
}

static bool time_of(json_int_t us, char out[256])
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	return us > 0 && gmtime_r(&t, &tm) && strftime(out, 256, "%Y-%m-%d %H:%M:%S UTC", &tm) > 0;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool number(const char *member, const char *path, json_int_t n, char out[256])
{
	static const char *const status[] = {"granted", "barred"};
	static const char *const barring[] = {"all packet services",
					      "roamers' access to APNs of the home network",
					      "roamers' access to APNs of the visited network",
					      "all outgoing calls",
					      "outgoing international calls",
					      "outgoing international calls, but to the home country",
					      "outgoing inter-zonal calls",
					      "outgoing inter-zonal calls, but to the home country",
					      "outgoing international and inter-zonal calls, but to the home country"};
	static const char *const mode[] = {"packet and circuit", "circuit only", "packet only"};
	static const char *const types[] = {NULL, "IPv4", "IPv6", "IPv4v6", "unstructured", "Ethernet"};
	static const char *const old_types[] = {"IPv4", "IPv6", "IPv4v6"};
	static const char *const preemption[] = {NULL, "off", "on"};
	static const char *const access[] = {"no UTRAN",     "no GERAN",   "no GAN",
					     "no HSPA evolution", "no E-UTRAN", "no handover to non-3GPP access",
					     "no NB-IoT",    "no enhanced coverage", "no NR beside E-UTRAN"};

	if (strcmp(member, "subscriber_status") == 0)
		return named(n, status, COUNT(status), out);
	if (strcmp(member, "operator_determined_barring") == 0)
		return named(n, barring, COUNT(barring), out);
	if (strcmp(member, "network_access_mode") == 0)
		return named(n, mode, COUNT(mode), out);
	if (strcmp(member, "access_restriction_data") == 0)
		return bits(n, access, COUNT(access), out);
	if (strcmp(member, "subscribed_rau_tau_timer") == 0)
		return snprintf(out, 256, "%lld min", (long long)n) > 0;
	if (strlen(member) > 10 && strcmp(member + strlen(member) - 10, "_timestamp") == 0)
		return time_of(n, out);
	if (strcmp(member, "type") == 0 && strncmp(path, "pdn.", 4) == 0)
		return named(n, old_types, COUNT(old_types), out);
	if (strcmp(member, "type") == 0)
		return named(n, types, COUNT(types), out);
	if (strncmp(member, "pre_emption_", 12) == 0 && strncmp(path, "pdn.", 4) != 0)
		return named(n, preemption, COUNT(preemption), out);
	return false;
}

bool cli_document_value(const char *path, const json_t *v, char out[256])
{
	const char *member = strrchr(path, '.');

	member = member ? member + 1 : path;
	if (json_is_object(v))
		return rate(v, out);
	return json_is_integer(v) && number(member, path, json_integer_value(v), out);
}
