// Sh-Data of an application server as hostile text: it is taken or refused with a reason, and what is taken is bounded and lies
// inside of the text.
#include "lib/ims/pull.h"
#include "lib/ims/sh_read.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sh_update u;
	const char *why = sh_update_read(slice_of(data, size), &u);
	CHECK(u.cnt <= SH_READ_INSTANCES_MAX);
	for (unsigned i = 0; !why && i < u.cnt; i++) {
		const struct sh_instance *n = &u.instance[i];
		CHECK(n->indication_len && ims_text_valid(sh_instance_indication(n)));
		CHECK(n->has_data == (n->data.len != 0));
		CHECK(!n->has_data || (n->data.p > data && n->data.p + n->data.len < data + size));
	}
	return 0;
}
