// Base64 (RFC 4648 4), with padding and nothing else: octets as text on the admin socket.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

// Writes BASE64_LEN(in.len) characters, without a NUL.
void base64_encode(struct slice in, char *out);
// `out` has room for in.len / 4 * 3 octets. false: it is no base64.
bool base64_decode(struct slice in, uint8_t *out, size_t *len) MUST_USE;
