// A file of filter criteria as hostile text, read as a template and as a whole document. What is taken must make a document that
// passes the check of documents; what is refused must say why.
#include "tests/support/criteria.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ims_report report;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ims_criteria c;
	int rc = ims_template_parse(slice_of(data, size), &c, &report);

	CHECK((rc == 0) == (report.errors == 0));
	if (rc == 0)
		criteria_compose(&c);
	else
		CHECK(!c.fragment && report.cnt && report.finding[0].text[0]);
	ims_criteria_free(&c);
	rc = ims_user_data_check(slice_of(data, size), &report);
	CHECK((rc == 0) == (report.errors == 0));
	return 0;
}
