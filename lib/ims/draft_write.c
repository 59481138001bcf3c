// Compiles checked filter criteria: elements in the order of the schema (TS 29.228 annex E), no blanks, text escaped,
// markers as they are.
#include <errno.h>
#include <stdlib.h>
#include "lib/ims/draft.h"

static void text(struct wr *w, struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (c < IMS_MARK_END && c != '\t' && c != '\n' && c != '\r')
			wr_u8(w, c);
		else
			ims_put_value(w, slice_of(s.p + i, 1));
	}
}

static void element(struct wr *w, const char *name, struct slice content)
{
	ims_put(w, "<");
	ims_put(w, name);
	ims_put(w, ">");
	text(w, content);
	ims_put(w, "</");
	ims_put(w, name);
	ims_put(w, ">");
}

static void number(struct wr *w, const char *name, uint64_t v)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
	element(w, name, slice_str(digits));
}

static void pair(struct wr *w, const char *name, const char *first, const struct draft_spt *s)
{
	ims_put(w, "<");
	ims_put(w, name);
	ims_put(w, ">");
	element(w, first, s->text);
	if (s->has_content)
		element(w, "Content", s->content);
	ims_put(w, "</");
	ims_put(w, name);
	ims_put(w, ">");
}

static void write_spt(struct wr *w, const struct draft_spt *s)
{
	ims_put(w, "<SPT>");
	number(w, "ConditionNegated", s->negated);
	for (unsigned i = 0; i < s->group_cnt; i++)
		number(w, "Group", s->groups[i]);
	switch (s->kind) {
	case SPT_REQUEST_URI:
		element(w, "RequestURI", s->text);
		break;
	case SPT_METHOD:
		element(w, "Method", s->text);
		break;
	case SPT_SIP_HEADER:
		pair(w, "SIPHeader", "Header", s);
		break;
	case SPT_SESSION_CASE:
		number(w, "SessionCase", s->session_case);
		break;
	default:
		pair(w, "SessionDescription", "Line", s);
	}
	if (s->registration_types) {
		ims_put(w, "<Extension>");
		for (unsigned i = 0; i < 3; i++)
			if (s->registration_types >> i & 1)
				number(w, "RegistrationType", i);
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</SPT>");
}

static void write_criterion(struct wr *w, const struct draft_criterion *c)
{
	ims_put(w, "<InitialFilterCriteria>");
	number(w, "Priority", c->priority);
	if (c->has_trigger) {
		ims_put(w, "<TriggerPoint>");
		number(w, "ConditionTypeCNF", c->cnf);
		for (unsigned i = 0; i < c->spt_cnt; i++)
			write_spt(w, &c->spt[i]);
		ims_put(w, "</TriggerPoint>");
	}
	ims_put(w, "<ApplicationServer>");
	element(w, "ServerName", c->server);
	if (c->default_handling >= 0)
		number(w, "DefaultHandling", (uint64_t)c->default_handling);
	if (c->has_service_info)
		element(w, "ServiceInfo", c->service_info);
	if (c->include_request || c->include_response) {
		ims_put(w, "<Extension>");
		ims_put(w, c->include_request ? "<IncludeRegisterRequest/>" : "");
		ims_put(w, c->include_response ? "<IncludeRegisterResponse/>" : "");
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</ApplicationServer>");
	if (c->part >= 0)
		number(w, "ProfilePartIndicator", (uint64_t)c->part);
	ims_put(w, "</InitialFilterCriteria>");
}

// What has been written, in a block of its own length; NULL and 0 when it is nothing.
static int take(const struct wr *w, uint8_t **out, uint32_t *len)
{
	struct slice s = wr_done(w);

	*out = NULL;
	*len = s.len;
	if (!s.len)
		return 0;
	*out = malloc(s.len);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, s.p, s.len);
	return 0;
}

int draft_compile(const struct draft *d, struct ims_criteria *out)
{
	uint8_t *room = malloc(IMS_FRAGMENT_MAX);
	struct wr w = wr_of(room, IMS_FRAGMENT_MAX), v;
	int rc = -ENOMEM;

	*out = (struct ims_criteria){.media_profile = d->media_profile, .criteria_cnt = d->criterion_cnt};
	if (!room)
		goto out;
	for (unsigned i = 0; i < d->criterion_cnt; i++)
		write_criterion(&w, &d->criterion[i]);
	v = wr_of(w.p, wr_room(&w));
	for (unsigned i = 0; i < d->service_cnt; i++)
		element(&v, "ServiceId", d->service[i]);
	if (w.err || v.err) {
		ims_report_error(d->report, (struct ims_at){0}, "longer than %u octets of User-Data in all", IMS_FRAGMENT_MAX);
		rc = -EINVAL;
		goto out;
	}
	memcpy(out->shared_sets, d->shared_sets, sizeof out->shared_sets);
	out->shared_set_cnt = d->shared_set_cnt;
	out->marks = ims_fragment_marks(wr_done(&w));
	rc = take(&w, &out->fragment, &out->fragment_len);
	if (!rc)
		rc = take(&v, &out->services, &out->services_len);
out:
	free(room);
	if (rc)
		ims_criteria_free(out);
	return rc;
}

void ims_authorization_put(struct wr *w, const struct ims_criteria *c)
{
	if (c->media_profile < 0 && !c->services_len)
		return;
	ims_put(w, "<CoreNetworkServicesAuthorization>");
	if (c->media_profile >= 0)
		number(w, "SubscribedMediaProfileId", (uint64_t)c->media_profile);
	if (c->services_len) {
		ims_put(w, "<Extension><ListOfServiceIds>");
		wr_bytes(w, c->services, c->services_len);
		ims_put(w, "</ListOfServiceIds></Extension>");
	}
	ims_put(w, "</CoreNetworkServicesAuthorization>");
}

void ims_criteria_free(struct ims_criteria *c)
{
	free(c->fragment);
	free(c->services);
	*c = (struct ims_criteria){.media_profile = -1};
}
