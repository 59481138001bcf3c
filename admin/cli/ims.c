// hssctl ims check: reads a file of filter criteria as the loader does, and says what is wrong with it or what it holds.
#include "admin/cli/cli.h"
#include "lib/ims/template.h"

int cli_ims_check(const struct cli_args *a)
{
	return ims_template_tell(a->file, a->json, stdout, stderr) ? CLI_DONE : CLI_REFUSED;
}
