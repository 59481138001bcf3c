// Key material: wiping, constant-time comparison, and text that may be shown (architecture law 10).
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Overwrites n bytes; the compiler may not leave it out.
void secret_wipe(void *p, size_t n);

// Compares n bytes in a time that does not depend on their content.
bool secret_equal(const void *a, const void *b, size_t n);

// What is printed instead of a secret.
#define SECRET_MASK "***"
