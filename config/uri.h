// MongoDB's connection strings, as far as hssd has to know them without linking the driver: what is plainly
// wrong is told before anything starts, and what is secret in them is never shown. Pure functions, any
// process.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"

#define CONFIG_URI_MAX 4096 // with its NUL; a uri_file may hold longer ones than the configuration

// Whether `uri` is of the form mongodb://[user[:password]@]host[:port],...[/[database][?options]], or
// mongodb+srv:// with one host and no port. The driver judges the rest. false: *expected says what it should
// be.
bool config_uri_valid(const char *uri, const char **expected) MUST_USE;
// The same with the password, and the values of options that hold one, replaced by ***; cut off at `cap`.
void config_uri_mask(const char *uri, char *out, size_t cap);
// Reads the connection string that is the content of a file; blanks and line ends behind it are left out. 0,
// -EINVAL (too long, not printable, not valid), or a negative errno. The caller wipes `out`.
int config_uri_read(int fd, char out[CONFIG_URI_MAX]) MUST_USE;
