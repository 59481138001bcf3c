// What a request that somebody pasted can do to the reader of Digest credentials, and what its values can do to the
// search for mistakes. Slices must lie inside the text, and a search must end.
#include "lib/sip/digest.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct digest_guess guess;

static void is_inside(struct slice s, const uint8_t *text, size_t size)
{
	CHECK(s.len == 0 || (s.p >= text && s.p + s.len <= text + size));
}

static void search(const struct digest_request *r, const struct digest_auth *a)
{
	struct digest_fault fault;
	struct digest_input in;
	struct digest_mistake m;

	if (!digest_input_of(r, a, &in, &fault)) {
		CHECK(fault.what);
		return;
	}
	in.password = slice_str("password");
	digest_guess_init(&guess, &in, r, a);
	CHECK(digest_guess_find(&guess, false, &m) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest_request r;
	struct digest_fault fault;
	uint8_t *text = malloc(size ? size : 1);

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	if (digest_request_parse(text, size, &r, &fault)) {
		CHECK(r.auth_cnt && r.auth_cnt <= DIGEST_AUTH_MAX);
		is_inside(r.body, text, size);
		is_inside(r.uri, text, size);
		is_inside(r.from, text, size);
		for (unsigned i = 0; i < r.auth_cnt; i++) {
			for (unsigned k = 0; k < DIGEST_PARAM_CNT; k++)
				is_inside(r.auth[i].param[k], text, size);
			search(&r, &r.auth[i]);
		}
	} else {
		CHECK(fault.what && fault.offset <= size);
	}
	free(text);
	return 0;
}
