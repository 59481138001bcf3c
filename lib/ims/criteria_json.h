// Filter criteria as a subscriber's document has them, in JSON: ims.profiles[].filter_criteria, and Open5GS's ifc. Loader.
#pragma once
#include <jansson.h>
#include "lib/ims/criterion.h"

// Appends the compiled fragment of a list of criteria (fragment.h). false: why->text begins with the place in the list,
// "[2].trigger_point.spt[0]...".
bool ims_criteria_read(const json_t *list, struct wr *out, struct ims_reason *why);
