// Template files and whole documents: XML to a draft, and the rules of a document's identities.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/subject.h"
#include "lib/ims/extract.h"
#include "lib/ims/schema.h"
#include "lib/ims/template.h"

// What is in a profile whose structure is wrong somewhere: those criteria that are right themselves, so that their values are
// looked at, too, and an operator sees all errors at once.
static void take_right_ones(struct draft *d, const xmlNode *holder)
{
	struct ims_report wrong = {0};

	for (const xmlNode *n = ims_xml_first(holder); n; n = ims_xml_next(n))
		if (ims_xml_is(n, "InitialFilterCriteria") && schema_check(n, SCHEMA_TEMPLATE, &wrong))
			extract_criterion(d, n);
}

// The root is a criterion, a list of them, a profile, or a subscription with one profile.
static void take(struct draft *d, const xmlNode *root, bool right)
{
	const xmlNode *profile = root;

	if (ims_xml_is(root, "InitialFilterCriteria")) {
		if (right)
			extract_criterion(d, root);
		return;
	}
	if (ims_xml_is(root, "IMSSubscription")) {
		const xmlNode *other;

		profile = ims_xml_child(root, "ServiceProfile");
		other = profile ? ims_xml_next(profile) : NULL;
		if (other && ims_xml_is(other, "ServiceProfile"))
			ims_report_error(d->report, ims_xml_at(other),
					 "a second ServiceProfile: expected one, whose filter criteria all identities have");
	}
	if (!profile)
		return;
	if (right)
		extract_profile(d, profile);
	else
		take_right_ones(d, profile);
	if (d->shared_set_cnt)
		ims_report_warning(d->report, ims_xml_at(profile), "SharedIFCSetID is not taken from a file; expected the number in a "
				   "subscriber's ims.profiles[].shared_filter_criteria");
}

int ims_template_parse(struct slice text, struct ims_criteria *out, struct ims_report *report)
{
	struct draft *d = draft_new(text.len, report);
	xmlDoc *doc;
	int rc = -EINVAL;

	*out = (struct ims_criteria){.media_profile = -1};
	if (!d)
		return -ENOMEM;
	doc = ims_xml_parse(text, "IFCs", report);
	if (doc) {
		const xmlNode *root = xmlDocGetRootElement(doc);

		take(d, root, schema_check(root, SCHEMA_TEMPLATE, report));
		if (draft_check(d))
			rc = draft_compile(d, out);
	}
	xmlFreeDoc(doc);
	draft_free(&d);
	return rc;
}

// The file's octets, to be freed; NULL and *rc: it can't be read, or is too long.
static char *read_file(const char *path, size_t *len, int *rc)
{
	char *text = malloc(XML_TEXT_MAX + 1);
	FILE *f = text ? fopen(path, "re") : NULL;

	*rc = !text ? -ENOMEM : !f ? -errno : 0;
	if (f) {
		*len = fread(text, 1, XML_TEXT_MAX + 1, f);
		if (ferror(f))
			*rc = -EIO;
		fclose(f);
	}
	if (*rc) {
		free(text);
		text = NULL;
	}
	return text;
}

int ims_template_read(const char *path, struct ims_criteria *out, struct ims_report *report)
{
	size_t len = 0;
	int rc;
	char *text = read_file(path, &len, &rc);

	*out = (struct ims_criteria){.media_profile = -1};
	*report = (struct ims_report){0};
	if (!text) {
		ims_report_error(report, (struct ims_at){0}, "%s", err_text(rc));
		return rc;
	}
	rc = ims_template_parse(slice_of(text, len), out, report);
	free(text);
	return rc;
}

// --- a whole document

// IdentityType of TS 29.228 annex E, as far as it has rules.
enum { WILDCARDED_PSI = 2, NON_DISTINCT_IMPU = 3, WILDCARDED_IMPU = 4 };

static void check_uri(struct draft *d, const xmlNode *node)
{
	xmlChar *text = xmlNodeGetContent(node);
	struct subject s;

	if (!text || !subject_read(SUBJECT_FORM_PUBLIC, slice_str((const char *)text), &s))
		ims_report_error(d->report, ims_xml_at(node), "%s: %.80s: expected a sip: or tel: URI", (const char *)node->name,
				 text ? (const char *)text : "");
	xmlFree(text);
}

static void check_identity(struct draft *d, const xmlNode *node)
{
	const xmlNode *one = ims_xml_child(node, "Extension"), *type = one ? ims_xml_child(one, "IdentityType") : NULL;
	const xmlNode *two = one ? ims_xml_child(one, "Extension") : NULL;
	const xmlNode *three = two ? ims_xml_child(two, "Extension") : NULL;
	const xmlNode *wildcard = three ? ims_xml_child(three, "WildcardedIMPU") : NULL;
	int64_t v = type ? schema_number(type) : 0;

	if (v != WILDCARDED_PSI && v != WILDCARDED_IMPU)
		check_uri(d, ims_xml_child(node, "Identity"));
	if (v == NON_DISTINCT_IMPU && !wildcard)
		ims_report_error(d->report, ims_xml_at(node), "IdentityType 3 without WildcardedIMPU");
	if (wildcard && v != NON_DISTINCT_IMPU && v != WILDCARDED_IMPU)
		ims_report_error(d->report, ims_xml_at(wildcard), "WildcardedIMPU with IdentityType %lld: expected 3 or 4", (long long)v);
}

static void check_profile(struct draft *d, const xmlNode *profile)
{
	d->criterion_cnt = d->service_cnt = d->shared_set_cnt = 0;
	for (const xmlNode *n = ims_xml_first(profile); n; n = ims_xml_next(n))
		if (ims_xml_is(n, "PublicIdentity"))
			check_identity(d, n);
	extract_profile(d, profile);
	(void)draft_check(d);
}

int ims_user_data_check(struct slice text, struct ims_report *report)
{
	struct draft *d = draft_new(text.len, report);
	bool ok;
	xmlDoc *doc;

	if (!d)
		return -ENOMEM;
	d->literal = true;
	doc = ims_xml_parse(text, NULL, report);
	if (doc && schema_check(xmlDocGetRootElement(doc), SCHEMA_USER_DATA, report))
		for (const xmlNode *n = ims_xml_first(xmlDocGetRootElement(doc)); n; n = ims_xml_next(n))
			if (ims_xml_is(n, "ServiceProfile"))
				check_profile(d, n);
	ok = report->errors == 0;
	xmlFreeDoc(doc);
	draft_free(&d);
	return ok ? 0 : -EINVAL;
}

// --- hssctl

// A value of a fragment with its placeholders in words again; escapes stay.
static void value_text(const char *p, const char *end, char *room, size_t cap)
{
	struct wr w = wr_of(room, cap - 1);

	for (; p < end; p++) {
		uint8_t mark = (uint8_t)*p & (IMS_MARK_ERE - 1);

		if ((uint8_t)*p >= IMS_MARK_END) {
			wr_u8(&w, (uint8_t)*p);
		} else if (mark && mark < IMS_MARK_CNT) {
			ims_put(&w, "{");
			ims_put(&w, ims_mark_names[mark]);
			ims_put(&w, "}");
		}
	}
	room[wr_len(&w)] = 0;
}

// The server names of a fragment, each once, as a list of JSON.
static json_t *servers_of(struct slice fragment)
{
	static const char open[] = "<ServerName>", close[] = "</ServerName>";
	const char *p = (const char *)fragment.p, *end = p + fragment.len, *to;
	json_t *list = json_array();

	while (p && (p = memmem(p, (size_t)(end - p), open, sizeof open - 1)) != NULL) {
		char name[IMS_TEXT_MAX * 2];
		bool seen = false;

		p += sizeof open - 1;
		to = memmem(p, (size_t)(end - p), close, sizeof close - 1);
		if (!to)
			break;
		value_text(p, to, name, sizeof name);
		for (size_t i = 0; i < json_array_size(list); i++)
			seen |= strcmp(json_string_value(json_array_get(list, i)), name) == 0;
		if (!seen)
			json_array_append_new(list, json_string(name));
		p = to;
	}
	return list;
}

static json_t *placeholders_of(const struct ims_criteria *c)
{
	json_t *list = json_array();

	for (unsigned v = 1; v < IMS_MARK_CNT; v++)
		if (c->marks >> v & 1)
			json_array_append_new(list, json_string(ims_mark_names[v]));
	return list;
}

static void tell_list(const char *title, const char *open, const char *close, json_t *list, FILE *out)
{
	if (json_array_size(list))
		fputs(title, out);
	for (size_t i = 0; i < json_array_size(list); i++)
		fprintf(out, " %s%s%s", open, json_string_value(json_array_get(list, i)), close);
	if (json_array_size(list))
		fputc('\n', out);
}

static void tell(const struct ims_criteria *c, const char *path, bool json, FILE *out)
{
	json_t *servers = servers_of(ims_criteria_fragment(c)), *placeholders = placeholders_of(c);
	json_t *all = json_pack("{s:s, s:I, s:I, s:o, s:o}", "file", path, "filter_criteria", (json_int_t)c->criteria_cnt, "octets",
				(json_int_t)c->fragment_len, "servers", servers, "placeholders", placeholders);

	if (!all) {
		fputs("no memory\n", out);
		return;
	}
	if (c->media_profile >= 0)
		json_object_set_new(all, "media_profile", json_integer(c->media_profile));
	if (json) {
		json_dumpf(all, out, 0);
		fputc('\n', out);
	} else {
		fprintf(out, "%s: good, %u filter criteria, %u octets\n", path, c->criteria_cnt, c->fragment_len);
		tell_list("servers:", "", "", servers, out);
		tell_list("placeholders:", "{", "}", placeholders, out);
		if (c->media_profile >= 0)
			fprintf(out, "media profile: %lld\n", (long long)c->media_profile);
	}
	json_decref(all);
}

bool ims_template_tell(const char *path, bool json, FILE *out, FILE *err)
{
	struct ims_report *report = malloc(sizeof *report);
	struct ims_criteria c;
	int rc;

	if (!report) {
		fprintf(err, "%s: no memory\n", path);
		return false;
	}
	rc = ims_template_read(path, &c, report);
	ims_report_print(report, path, err);
	if (rc == 0)
		tell(&c, path, json, out);
	ims_criteria_free(&c);
	free(report);
	return rc == 0;
}
