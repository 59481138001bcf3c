// Well-formed text: the check of UTF-8 (RFC 3629) that AVPs, identities and documents share.
#pragma once
#include "lib/base/wire.h"

// Whether `s` is well-formed UTF-8 without NUL: no overlong form, no surrogate, nothing above U+10FFFF.
bool utf8_valid(struct slice s);
