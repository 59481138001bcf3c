// Takes filter criteria out of XML whose structure is known to be right: every element that the tables ask for is there.
#include <string.h>
#include "lib/ims/extract.h"
#include "lib/ims/schema.h"

static bool text_of(struct draft *d, const xmlNode *node, enum draft_text kind, struct slice *out)
{
	xmlChar *content = xmlNodeGetContent(node);
	bool ok = draft_text(d, ims_xml_at(node), (const char *)node->name, kind,
			     slice_str(content ? (const char *)content : ""), out);

	xmlFree(content);
	return ok;
}

static void pair(struct draft *d, const xmlNode *node, const char *first, struct draft_spt *out)
{
	const xmlNode *content = ims_xml_child(node, "Content");

	(void)text_of(d, ims_xml_child(node, first), DRAFT_ERE, &out->text);
	out->has_content = content != NULL;
	if (content)
		(void)text_of(d, content, DRAFT_ERE, &out->content);
}

static void condition(struct draft *d, const xmlNode *n, struct draft_spt *out)
{
	if (ims_xml_is(n, "RequestURI")) {
		out->kind = SPT_REQUEST_URI;
		(void)text_of(d, n, DRAFT_ERE, &out->text);
	} else if (ims_xml_is(n, "Method")) {
		out->kind = SPT_METHOD;
		(void)text_of(d, n, DRAFT_METHOD, &out->text);
	} else if (ims_xml_is(n, "SIPHeader")) {
		out->kind = SPT_SIP_HEADER;
		pair(d, n, "Header", out);
	} else if (ims_xml_is(n, "SessionCase")) {
		out->kind = SPT_SESSION_CASE;
		out->session_case = (uint8_t)schema_number(n);
	} else if (ims_xml_is(n, "SessionDescription")) {
		out->kind = SPT_SESSION_DESCRIPTION;
		pair(d, n, "Line", out);
	}
}

static void spt(struct draft *d, const xmlNode *node, struct draft_spt *out)
{
	out->at = ims_xml_at(node);
	for (const xmlNode *n = ims_xml_first(node); n; n = ims_xml_next(n)) {
		if (ims_xml_is(n, "ConditionNegated")) {
			out->negated = schema_number(n) != 0;
		} else if (ims_xml_is(n, "Group")) {
			if (out->group_cnt < IMS_GROUP_MAX)
				out->groups[out->group_cnt++] = (uint32_t)schema_number(n);
			else
				ims_report_error(d->report, ims_xml_at(n), "expected at most %u groups in an SPT", IMS_GROUP_MAX);
		} else if (ims_xml_is(n, "Extension")) {
			for (const xmlNode *e = ims_xml_first(n); e; e = ims_xml_next(e))
				out->registration_types |= (uint8_t)(1u << schema_number(e));
		} else {
			condition(d, n, out);
		}
	}
}

static void trigger(struct draft *d, const xmlNode *node, struct draft_criterion *out)
{
	unsigned cnt = 0;

	for (const xmlNode *n = ims_xml_first(node); n; n = ims_xml_next(n))
		cnt += ims_xml_is(n, "SPT");
	out->has_trigger = true;
	out->cnf = schema_number(ims_xml_child(node, "ConditionTypeCNF")) != 0;
	if (cnt > IMS_SPT_MAX) {
		ims_report_error(d->report, ims_xml_at(node), "expected at most %u SPTs in a trigger point", IMS_SPT_MAX);
		return;
	}
	out->spt = draft_room(d, cnt * sizeof *out->spt);
	if (!out->spt)
		return;
	for (const xmlNode *n = ims_xml_first(node); n; n = ims_xml_next(n))
		if (ims_xml_is(n, "SPT"))
			spt(d, n, &out->spt[out->spt_cnt++]);
}

static void server(struct draft *d, const xmlNode *node, struct draft_criterion *out)
{
	const xmlNode *handling = ims_xml_child(node, "DefaultHandling"), *info = ims_xml_child(node, "ServiceInfo");
	const xmlNode *extension = ims_xml_child(node, "Extension");

	(void)text_of(d, ims_xml_child(node, "ServerName"), DRAFT_SERVER, &out->server);
	if (handling)
		out->default_handling = (int8_t)schema_number(handling);
	out->has_service_info = info && text_of(d, info, DRAFT_PLAIN, &out->service_info);
	out->include_request = extension && ims_xml_child(extension, "IncludeRegisterRequest");
	out->include_response = extension && ims_xml_child(extension, "IncludeRegisterResponse");
}

void extract_criterion(struct draft *d, const xmlNode *criterion)
{
	const xmlNode *point = ims_xml_child(criterion, "TriggerPoint"), *part = ims_xml_child(criterion, "ProfilePartIndicator");

	if (d->criterion_cnt == IMS_CRITERIA_MAX) {
		ims_report_error(d->report, ims_xml_at(criterion), "expected at most %u filter criteria", IMS_CRITERIA_MAX);
		return;
	}
	struct draft_criterion *c = &d->criterion[d->criterion_cnt++];
	*c = (struct draft_criterion){.at = ims_xml_at(criterion), .default_handling = -1, .part = -1};
	c->priority = (uint32_t)schema_number(ims_xml_child(criterion, "Priority"));
	if (point)
		trigger(d, point, c);
	server(d, ims_xml_child(criterion, "ApplicationServer"), c);
	if (part)
		c->part = (int8_t)schema_number(part);
}

static void authorization(struct draft *d, const xmlNode *node)
{
	const xmlNode *media = ims_xml_child(node, "SubscribedMediaProfileId"), *extension = ims_xml_child(node, "Extension");
	const xmlNode *list = extension ? ims_xml_child(extension, "ListOfServiceIds") : NULL;

	if (media)
		d->media_profile = schema_number(media);
	for (const xmlNode *n = list ? ims_xml_first(list) : NULL; n; n = ims_xml_next(n)) {
		if (d->service_cnt == IMS_SERVICE_MAX) {
			ims_report_error(d->report, ims_xml_at(n), "expected at most %u ServiceIds", IMS_SERVICE_MAX);
			return;
		}
		(void)text_of(d, n, DRAFT_LITERAL, &d->service[d->service_cnt++]);
	}
}

static void shared_sets(struct draft *d, const xmlNode *extension)
{
	for (const xmlNode *n = ims_xml_first(extension); n; n = ims_xml_next(n)) {
		if (!ims_xml_is(n, "SharedIFCSetID"))
			continue;
		if (d->shared_set_cnt == IMS_SHARED_MAX) {
			ims_report_error(d->report, ims_xml_at(n), "expected at most %u SharedIFCSetIDs", IMS_SHARED_MAX);
			return;
		}
		d->shared_sets[d->shared_set_cnt++] = (uint32_t)schema_number(n);
	}
}

void extract_profile(struct draft *d, const xmlNode *holder)
{
	for (const xmlNode *n = ims_xml_first(holder); n; n = ims_xml_next(n)) {
		if (ims_xml_is(n, "InitialFilterCriteria"))
			extract_criterion(d, n);
		else if (ims_xml_is(n, "CoreNetworkServicesAuthorization"))
			authorization(d, n);
		else if (ims_xml_is(n, "Extension"))
			shared_sets(d, n);
	}
}
