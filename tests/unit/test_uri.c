// Connection strings: what is refused before the driver sees it, what is never shown, and the file with one.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "config/uri.h"

static const struct {
	const char *uri;
	bool valid;
	const char *masked;
} rows[] = {
    {"mongodb://h", true, "mongodb://h"},
    {"mongodb://127.0.0.1:27017", true, "mongodb://127.0.0.1:27017"},
    {"mongodb://h1:1,h2:65535,h3/db?replicaSet=rs0", true, "mongodb://h1:1,h2:65535,h3/db?replicaSet=rs0"},
    {"mongodb://[::1]:27017/", true, "mongodb://[::1]:27017/"},
    {"mongodb://[::1]", true, "mongodb://[::1]"},
    {"mongodb://%2Frun%2Fmongodb-27017.sock/open5gs", true, "mongodb://%2Frun%2Fmongodb-27017.sock/open5gs"},
    {"mongodb+srv://u:p@cluster.example.org/open5gs", true,
     "mongodb+srv://u:***@cluster.example.org/open5gs"},
    {"mongodb://u@h/?authMechanism=MONGODB-X509&tlsCertificateKeyFilePassword=x@y&tls=true", true,
     "mongodb://u@h/?authMechanism=MONGODB-X509&tlsCertificateKeyFilePassword=***&tls=true"},
    {"mongodb://h/?tls=true&authMechanismProperties=AWS_SESSION_TOKEN:x", true,
     "mongodb://h/?tls=true&authMechanismProperties=***"},
    {"mongodb://u:a@b:c@h:1/d", false, "mongodb://u:***@h:1/d"}, // not escaped: hidden all the same
    {"mongodb://u:a/b@h", false, "mongodb://u:***@h"},
    {"mongodb://", false, "mongodb://"},
    {"mongodb://u:p@", false, "mongodb://u:***@"},
    {"mongodb:///db", false, "mongodb:///db"},
    {"mongodb://h:0", false, "mongodb://h:0"},
    {"mongodb://h:65536", false, "mongodb://h:65536"},
    {"mongodb://h:x", false, "mongodb://h:x"},
    {"mongodb://h,,i", false, "mongodb://h,,i"},
    {"mongodb://h?tls=true", false, "mongodb://h?tls=true"},
    {"mongodb://[::1", false, "mongodb://[::1"},
    {"mongodb://h i", false, "mongodb://h i"},
    {"mongodb+srv://h:27017", false, "mongodb+srv://h:27017"},
    {"mongodb+srv://h,i", false, "mongodb+srv://h,i"},
    {"http://h", false, "http://h"},
    {"MONGODB://h", false, "MONGODB://h"},
    {"", false, ""},
};

static void forms(void **state)
{
	char masked[256], small[16];
	const char *expected;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (config_uri_valid(rows[i].uri, &expected) != rows[i].valid)
			fail_msg("%s", rows[i].uri);
		config_uri_mask(rows[i].uri, masked, sizeof(masked));
		assert_string_equal(masked, rows[i].masked);
		config_uri_mask(rows[i].uri, small, sizeof(small));
		assert_memory_equal(small, masked, strlen(small));
		assert_true(strlen(small) == 15 || strlen(small) == strlen(masked));
	}
}

static int read_content(const char *content, size_t len, char out[CONFIG_URI_MAX])
{
	int fd = memfd_create("uri", 0);
	assert_int_equal(write(fd, content, len), len);
	int rc = config_uri_read(fd, out);
	close(fd);
	return rc;
}

static void files(void **state)
{
	static char out[CONFIG_URI_MAX], large[CONFIG_URI_MAX];
	(void)state;
	assert_int_equal(read_content("mongodb://h \r\n\n", 15, out), 0);
	assert_string_equal(out, "mongodb://h");
	assert_int_equal(read_content("\n", 1, out), -EINVAL);
	assert_int_equal(read_content("mongodb://u:a@b@h\n", 18, out), -EINVAL);
	assert_int_equal(read_content("", 0, out), -EINVAL);
	assert_int_equal(read_content("a\0b", 3, out), -EINVAL);
	assert_int_equal(read_content("a b", 3, out), -EINVAL);
	memset(large, 'a', sizeof(large));
	memcpy(large, "mongodb://", 10);
	assert_int_equal(read_content(large, sizeof(large), out), -EINVAL);
	assert_string_equal(out, "");
	assert_int_equal(read_content(large, sizeof(large) - 1, out), 0);
	assert_int_equal(strlen(out), sizeof(large) - 1);
	assert_int_equal(config_uri_read(-1, out), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
