// See app_data.h. Owns the memory that the octets of the document in hand lie in.
#include "loader/commit/app_data.h"
#include "loader/commit/txn.h"
#include <stdio.h>

static uint8_t memory[2 * STATE_BODY_MAX];

// May one of an application's members be in the text? Seen without parsing it: most documents have none.
static bool may_have(const struct loader_app *app, struct slice text)
{
	char quoted[64];
	for (unsigned k = 0; app && app->members && app->members[k]; k++) {
		int n = snprintf(quoted, sizeof(quoted), "\"%s\"", app->members[k]);
		if (memmem(text.p, text.len, quoted, (size_t)n))
			return true;
	}
	return false;
}

// The parsed document, to be released; NULL: none of its members is an application's (or it is no JSON).
static json_t *parsed(const struct loader *l, const json_t *document, struct slice text)
{
	bool wanted = false;
	if (document)
		return json_incref((json_t *)document);
	for (unsigned i = 0; i < CACHE_APP_MAX && !wanted; i++)
		wanted = may_have(l->app[i], text);
	return wanted ? json_loadb((const char *)text.p, text.len, 0, NULL) : NULL;
}

static bool has_member(const struct loader_app *app, const json_t *document)
{
	for (unsigned k = 0; app && app->members && app->members[k]; k++) {
		const json_t *v = json_object_get(document, app->members[k]);
		if (v && !json_is_null(v))
			return true;
	}
	return false;
}

bool app_data_read(struct loader *l, const json_t *document, struct slice text, struct app_data *out,
		   struct record_error *e)
{
	json_t *doc = parsed(l, document, text);
	size_t used = 0;
	bool ok = true;
	*out = (struct app_data){0};
	for (unsigned i = 0; doc && ok && i < CACHE_APP_MAX; i++) {
		const struct loader_app *app = l->app[i];
		if (!has_member(app, doc))
			continue;
		size_t room = sizeof(memory) - used;
		struct wr w = wr_of(memory + used, room < STATE_BODY_MAX ? room : STATE_BODY_MAX);
		ok = app->read(l, doc, &w, e);
		if (ok && w.err) {
			snprintf(e->text, sizeof(e->text), "%s: too large", app->members[0]);
			ok = false;
		}
		out->octets[i] = wr_done(&w);
		out->any |= ok && wr_len(&w);
		used += wr_len(&w);
	}
	json_decref(doc);
	return ok;
}

json_t *app_data_stored(struct loader *l, const json_t *document, struct slice text)
{
	json_t *doc = parsed(l, document, text), *out = NULL;
	for (unsigned i = 0; doc && i < CACHE_APP_MAX; i++) {
		const struct loader_app *app = l->app[i];
		json_t *instead = has_member(app, doc) && app->stored ? app->stored(out ? out : doc) : NULL;
		if (!instead)
			continue;
		json_decref(out);
		out = instead;
	}
	json_decref(doc);
	return out;
}

void app_data_claim(struct loader *l, const struct app_data *d, bool note)
{
	uint64_t hash[CACHE_IDENTITY_CNT_MAX];
	for (unsigned i = 0; d->any && i < CACHE_APP_MAX; i++) {
		if (!d->octets[i].len || !l->app[i]->identities)
			continue;
		unsigned n = l->app[i]->identities(d->octets[i], hash, CACHE_IDENTITY_CNT_MAX);
		for (unsigned k = 0; k < n; k++)
			if (note)
				txn_claim(l, hash[k]);
			else
				txn_settle(l, hash[k]);
	}
}
