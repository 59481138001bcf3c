// Host names of the configuration become addresses, before anything listens or connects: processes in their sandboxes can't ask a
// resolver. hssd, at its start, at --check, and in a thread of its own at a reload: a resolver may take its time.
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "config/config.h"

// The first address of a name in place of it. NULL, or why there is none.
static const char *resolve(char *text, size_t cap)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	uint8_t octets[16];
	char address[NI_MAXHOST];

	if (!text[0] || inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1)
		return NULL;
	int rc = getaddrinfo(text, NULL, &hints, &found);
	if (rc)
		return gai_strerror(rc);
	rc = getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	address[rc ? 0 : strcspn(address, "%")] = 0; // without a scope
	if (rc || strlen(address) >= cap)
		return "no usable address";
	memset(text, 0, cap); // members are compared octet by octet
	memcpy(text, address, strlen(address));
	return NULL;
}

// false: told.
static bool resolve_at(char *text, const char *key, const char *name, struct config_error *e)
{
	char asked[CONFIG_HOST_MAX];
	snprintf(asked, sizeof(asked), "%s", text);
	const char *why = resolve(text, CONFIG_HOST_MAX);
	if (why)
		config_tell(e, name, key, "%s: %s", asked, why);
	return !why;
}

bool config_resolve(struct config *c, const char *name, struct config_error *e)
{
	char key[64];
	bool ok = true;

	for (uint32_t i = 0; i < c->listen_cnt; i++) {
		struct config_listen *l = &c->listen[i];
		snprintf(key, sizeof(key), "listen[%u].address", i);
		ok &= resolve_at(l->address, key, name, e);
		snprintf(key, sizeof(key), "listen[%u].addresses", i);
		for (uint32_t j = 0; j < l->address_cnt; j++)
			ok &= resolve_at(l->addresses[j], key, name, e);
	}
	ok &= resolve_at(c->metrics_address, "metrics.address", name, e);
	for (uint32_t i = 0; i < c->peer_cnt; i++) {
		snprintf(key, sizeof(key), "peers.list[%u].addresses", i);
		for (uint32_t j = 0; j < c->peer[i].address_cnt; j++)
			(void)resolve_at(c->peer[i].addresses[j], key, name, e);
	}
	return ok;
}
