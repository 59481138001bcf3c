// What must hold of filter criteria that were taken, whatever they were read from: a document made of them passes the check of
// whole documents.
#pragma once
#include <string.h>
#include "lib/ims/draft.h"
#include "lib/ims/template.h"
#include "lib/ims/xml.h"
#include "tests/support/check.h"

static inline void criteria_compose(const struct ims_criteria *c)
{
	static const char head[] = "<IMSSubscription><PrivateID>a@ims.example</PrivateID><ServiceProfile><PublicIdentity>"
				   "<Identity>sip:a@ims.example</Identity></PublicIdentity>",
			  tail[] = "</ServiceProfile></IMSSubscription>";
	static struct ims_report report;
	struct slice fragment = ims_criteria_fragment(c);
	size_t room = ims_fragment_room(fragment, &draft_samples) + c->services_len + 1000;
	uint8_t *doc = malloc(room);
	struct wr w = wr_of(doc, room);

	CHECK(doc);
	CHECK(fragment.len <= IMS_FRAGMENT_MAX && c->criteria_cnt <= IMS_CRITERIA_MAX);
	ims_put(&w, head);
	ims_authorization_put(&w, c);
	ims_put_fragment(&w, fragment, &draft_samples);
	ims_put(&w, tail);
	CHECK(!w.err);
	if (wr_len(&w) <= XML_TEXT_MAX && ims_user_data_check(wr_done(&w), &report) != 0) {
		ims_report_print(&report, "composed", stderr);
		fprintf(stderr, "%.*s\n", (int)wr_len(&w), (const char *)doc);
		abort();
	}
	free(doc);
}
