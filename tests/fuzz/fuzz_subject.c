// An identity as hostile octets. The first octet chooses the form. What is taken has a canonical form that is
// its own, within its bounds and of the characters that it may have.
#include "lib/base/subject.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct subject s, again;
	if (size == 0)
		return 0;
	if (!subject_read(data[0] % (SUBJECT_FORM_CNT + 1), slice_of(data + 1, size - 1), &s)) {
		CHECK(s.type == SUBJECT_NONE && s.hash == 0 && s.len == 0 && s.text[0] == 0);
		return 0;
	}
	CHECK(s.hash && s.len && s.len <= SUBJECT_TEXT_MAX && s.text[s.len] == 0 && strlen(s.text) == s.len);
	CHECK(s.domain < s.len && subject_domain(&s).len <= s.len);
	static const uint8_t form_of[SUBJECT_TYPE_CNT] = {0, SUBJECT_FORM_IMSI, SUBJECT_FORM_MSISDN, SUBJECT_FORM_PRIVATE,
							  SUBJECT_FORM_PUBLIC, SUBJECT_FORM_IMEI};
	CHECK(subject_read(form_of[s.type], subject_text(&s), &again));
	CHECK(slice_eq(subject_text(&s), subject_text(&again)) && s.hash == again.hash && s.digits == again.digits &&
	      s.domain == again.domain && s.type == again.type);
	for (uint32_t i = 0; s.type != SUBJECT_PRIVATE && i < s.len; i++)
		CHECK(s.text[i] > ' ' && s.text[i] < 0x7f && s.text[i] != '<' && s.text[i] != '"');
	return 0;
}
