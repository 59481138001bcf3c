// The checks of requests through interconnect peers (interconnect.h). No state. Runs in hss-frontend.
#include "frontend/interconnect.h"
#include <string.h>
#include "lib/diameter/dict.h"

// Does the name end in "." and the realm?
static bool is_in_realm(struct slice name, struct slice realm)
{
	return name.len > realm.len + 1 && name.p[name.len - realm.len - 1] == '.' &&
	       slice_eq_nocase(slice_of(name.p + name.len - realm.len, realm.len), realm);
}

static bool is_partner(const struct config *config, struct slice realm)
{
	for (uint32_t i = 0; i < config->partner_realm_cnt; i++) {
		struct slice p = slice_str(config->partner_realms[i]);
		bool any = p.len > 2 && p.p[0] == '*';
		if (any ? is_in_realm(realm, slice_of(p.p + 2, p.len - 2)) : slice_eq_nocase(realm, p))
			return true;
	}
	return config->partner_realm_cnt == 0;
}

// <DiameterIdentity>;... (RFC 6733 8.8).
static bool begins_with_host(struct slice session)
{
	const uint8_t *end = session.len ? memchr(session.p, ';', session.len) : NULL;
	bool dot = false;
	if (!end || end == session.p)
		return false;
	for (const uint8_t *p = session.p; p < end; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
		if (!letter && *p != '-' && *p != '.' && *p != '_')
			return false;
		dot |= *p == '.';
	}
	return dot;
}

const char *interconnect_finding(const struct config *config, struct slice our_realm, const struct interconnect_asked *q,
				 uint32_t *result)
{
	*result = RESULT_REALM_NOT_SERVED;
	if (slice_eq_nocase(q->realm, our_realm) || config_realm_served(config, q->realm))
		return "Origin-Realm is ours";
	if (!is_partner(config, q->realm))
		return "Origin-Realm is not in peers.partner_realms";
	*result = RESULT_UNABLE_TO_COMPLY;
	if (!is_in_realm(q->host, q->realm))
		return "Origin-Host is not in Origin-Realm";
	if (!begins_with_host(q->session))
		return "Session-Id does not begin with a host";
	return NULL;
}
