// Lines of the page of `status` that `top` has, too.
#pragma once
#include <jansson.h>
#include "admin/cli/screen.h"

// The alarms of a row of `status`, the worst first, in `most` lines at most; one line that says "none" when
// there is none.
void cli_status_alarms(struct page *p, const json_t *status, unsigned most);
