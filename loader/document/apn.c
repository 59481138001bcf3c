// What an APN may be called (apn.h).
#include "loader/document/apn.h"

#define LABEL_MAX 63u // RFC 1035 2.3.4

const char *apn_problem(struct slice name)
{
	uint32_t label = 0;
	for (uint32_t i = 0; i < name.len; i++) {
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return "expected an APN's name, got blanks or control characters in it";
		label = name.p[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return "expected labels of at most 63 octets, got a longer one";
		if (name.p[i] == '.' && (i == 0 || i + 1 == name.len || name.p[i - 1] == '.'))
			return "expected labels with a dot between them, got an empty label";
	}
	if (name.len > 5 && slice_eq_nocase(slice_of(name.p + name.len - 5, 5), slice_str(".gprs")))
		return "expected the network identifier alone, got one with an operator identifier (.mnc...mcc....gprs)";
	return NULL;
}
