// hssctl ims check: reads a file of filter criteria as the loader does, and says what is wrong with it or what it holds.
#include "admin/cli/cli.h"
#include "lib/ims/template.h"

int cli_ims_check(const struct cli_args *a)
{
	static uint8_t fragment[IMS_FRAGMENT_MAX];
	static struct ims_template_report report;
	struct wr w = wr_of(fragment, sizeof(fragment));
	if (!ims_template_load(a->file, &w, &report)) {
		fprintf(stderr, "%s\n", report.text);
		return CLI_REFUSED;
	}
	if (a->json)
		printf("{\"file\": \"%s\", \"filter_criteria\": %u, \"placeholders\": %u}\n", a->file, report.criteria, report.marks);
	else
		printf("%s: good, %u filter criteria, %u placeholders\n", a->file, report.criteria, report.marks);
	return report.criteria ? CLI_DONE : CLI_REFUSED;
}
