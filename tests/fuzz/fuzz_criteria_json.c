// Filter criteria of a document that other programs write, too: any JSON in their place.
#include "tests/support/criteria.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ims_report report;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *list = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	struct ims_criteria c;

	if (!list)
		return 0;
	int rc = ims_criteria_from_json(list, "ims.profiles[0].filter_criteria", &c, &report);
	CHECK((rc == 0) == (report.errors == 0));
	if (rc == 0)
		criteria_compose(&c);
	else
		CHECK(!c.fragment && report.cnt && report.finding[0].text[0]);
	ims_criteria_free(&c);
	json_decref(list);
	return 0;
}
