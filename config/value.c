// What the text of one value means: checked against the row of its option, and stored in the configuration (see value.h). hssd.
#include "config/value.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number_parse(const char *text, uint32_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

static bool address_valid(const char *text)
{
	uint8_t buf[16];

	return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

static bool string_valid(const struct option_row *o, const char *text)
{
	size_t len = strlen(text);

	if (len < o->min || len > o->max)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] >= 0x7f)
			return false;
	}
	if (len == 0) // allowed by min: "none"
		return true;
	switch (o->kind) {
	case OPTION_NAME:
		return config_identity_valid(text);
	case OPTION_PATTERN:
		return config_identity_valid(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
	case OPTION_HOST:
		return address_valid(text) || config_host_valid(text);
	case OPTION_ADDRESS:
		return address_valid(text);
	case OPTION_PATH:
		return text[0] == '/';
	case OPTION_PLMN:
		return (o->min == 1 && strcmp(text, "*") == 0) || (len >= 3 && strspn(text, "0123456789") == len);
	default:
		return true;
	}
}

bool value_set(struct config *c, const struct option_row *o, size_t at, const char *text, bool plain)
{
	char *member = (char *)c + o->offset + at;
	const char *const *words = option_words(o->kind);
	uint32_t v = 0;

	if (words) {
		for (; words[v]; v++) {
			if (strcmp(words[v], text) == 0) {
				*(uint8_t *)member = (uint8_t)v;
				return true;
			}
		}
		return false;
	}
	switch (o->kind) {
	case OPTION_U32:
	case OPTION_U16:
		if (!plain || !number_parse(text, &v) || v < o->min || v > o->max)
			return false;
		if (o->kind == OPTION_U32)
			memcpy(member, &v, sizeof(v));
		else
			memcpy(member, &(uint16_t){(uint16_t)v}, sizeof(uint16_t));
		return true;
	case OPTION_BOOL:
		v = strcmp(text, "true") == 0;
		if (!plain || (!v && strcmp(text, "false") != 0))
			return false;
		*(bool *)member = v;
		return true;
	default:
		break;
	}
	if (!string_valid(o, text))
		return false;
	memset(member, 0, o->size);
	bool fold = o->kind == OPTION_NAME || o->kind == OPTION_PATTERN;
	for (size_t i = 0; text[i]; i++) // identities are kept in lower case: they are compared without it
		member[i] = fold && text[i] >= 'A' && text[i] <= 'Z'
				? (char)(text[i] | 0x20)
				: text[i];
	return true;
}

void value_expected(const struct option_row *o, char out[160])
{
	const char *const *words = option_words(o->kind);
	size_t n = 0;

	if (words) {
		for (unsigned i = 0; words[i]; i++) {
			if (n + strlen(words[i]) + 10 > 160) { // a long list: its beginning
				snprintf(out + n, 160 - n, " ...");
				return;
			}
			n += (size_t)snprintf(out + n, 160 - n, "%s%s",
					      i == 0         ? ""
					      : words[i + 1] ? ", "
							     : " or ",
					      words[i]);
		}
		return;
	}
	switch (o->kind) {
	case OPTION_U32:
	case OPTION_U16:
		snprintf(out, 160, "a whole number from %u to %u%s%s", o->min, o->max, *o->unit ? " " : "",
			 o->unit);
		break;
	case OPTION_BOOL:
		snprintf(out, 160, "true or false");
		break;
	case OPTION_NAME:
		snprintf(out, 160, "a DiameterIdentity (a domain name of at most %u characters)", o->max);
		break;
	case OPTION_PATTERN:
		snprintf(out, 160, "a DiameterIdentity of at most %u characters, or \"*.\" and the end of many", o->max);
		break;
	case OPTION_HOST:
		snprintf(out, 160, "an IPv4 or IPv6 address or a host name%s", o->min == 0 ? " or \"\"" : "");
		break;
	case OPTION_ADDRESS:
		snprintf(out, 160, "a numeric IPv4 or IPv6 address%s", o->min == 0 ? " or \"\"" : "");
		break;
	case OPTION_PLMN:
		snprintf(out, 160, o->min == 1 ? "3 to 6 leading digits of MCC and MNC, or *" : "MCC and MNC, 5 or 6 digits");
		break;
	case OPTION_PATH:
		snprintf(out, 160, "an absolute path of at most %u octets%s", o->max,
			 o->min == 0 ? " or \"\"" : "");
		break;
	default:
		snprintf(out, 160, "text of %u to %u printable ASCII characters", o->min, o->max);
		break;
	}
}

bool value_is_string(enum option_kind kind)
{
	return kind == OPTION_NAME || kind == OPTION_PATTERN || kind == OPTION_HOST || kind == OPTION_TEXT || kind == OPTION_URI || kind == OPTION_PATH ||
	       kind == OPTION_ADDRESS || kind == OPTION_PLMN || option_words(kind) != NULL;
}

const char *value_expand(const char *text, char *out, size_t cap, char got[160])
{
	size_t n = 0;
	while (*text && n + 1 < cap) {
		const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
		if (strncmp(text, "$${", 3) == 0)
			text++;
		if (!end) {
			out[n++] = *text++;
			continue;
		}
		char name[96];
		snprintf(name, sizeof(name), "%.*s", (int)(end - text - 2), text + 2);
		char *fallback = strstr(name, ":-");
		if (fallback)
			*fallback = 0;
		const char *value = getenv(name);
		if (fallback && (!value || !*value))
			value = fallback + 2;
		if (!value) {
			snprintf(got, 160, "the environment variable %s, which is not set", name);
			return NULL;
		}
		n += (size_t)snprintf(out + n, cap - n, "%s", value);
		text = end + 1;
	}
	if (*text || n + 1 > cap) {
		snprintf(got, 160, "a value that is too long");
		return NULL;
	}
	out[n] = 0;
	return out;
}
