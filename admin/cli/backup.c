// `backup FILE` and `restore FILE`. The file is a line that says what it is, and then the database:
//
//	corehss-backup {"format":1,"size":N,"xxh64":"16 hex digits", ...}\n
//	N octets
//
// It holds keys: it is private, and complete or not there. Size and digest are checked when it is written, and before anything
// of it is sent.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "admin/cli/cli.h"
#include "lib/base/base64.h"
#include "lib/base/secret.h"

#define MAGIC      "corehss-backup "
#define HEADER_MAX 512
#define CHUNK      (24u << 10)

struct backup {
	const char *name; // of the file
	int fd;
	char header[HEADER_MAX];
	uint64_t size, digest, done;
	XXH64_state_t hash;
	uint8_t octets[64u << 10];
};

static int tell(const struct backup *b, const char *why)
{
	fprintf(stderr, "hssctl: %s: %s\n", b->name, why);
	return CLI_REFUSED;
}

static bool write_all(struct backup *b, const void *from, size_t len)
{
	const uint8_t *p = from;

	while (len) {
		ssize_t n = write(b->fd, p, len);

		if (n < 0 && errno != EINTR) {
			tell(b, err_text(errno));
			return false;
		}
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

// What the header says of the data behind it. false: it is none.
static bool header_take(struct backup *b, json_t *h)
{
	const char *digest = json_string_value(json_object_get(h, "xxh64"));
	json_int_t size = json_integer_value(json_object_get(h, "size"));
	char *text = json_dumps(h, JSON_COMPACT);
	bool good = text && strlen(text) < sizeof(b->header) && size > 0 && digest && strlen(digest) == 16;

	if (good) {
		snprintf(b->header, sizeof(b->header), "%s", text);
		b->size = (uint64_t)size;
		b->digest = strtoull(digest, NULL, 16);
	}
	free(text);
	return good;
}

// --- backup

// A file without a name where FILE is to be: an interrupted backup leaves nothing.
static bool create(struct backup *b)
{
	char *copy = strdup(b->name);

	b->fd = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
	if (b->fd < 0)
		tell(b, err_text(errno));
	free(copy);
	return b->fd >= 0;
}

// Gives it its name, in place of a file that has it.
static int publish(struct backup *b)
{
	char from[48], temporary[4096];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", b->fd); // lint: only opened
	if (fsync(b->fd) < 0)
		return tell(b, err_text(errno));
	if (linkat(AT_FDCWD, from, AT_FDCWD, b->name, AT_SYMLINK_FOLLOW) == 0)
		return CLI_DONE;
	if (errno != EEXIST || (size_t)snprintf(temporary, sizeof(temporary), "%s.%d", b->name, getpid()) >= sizeof(temporary))
		return tell(b, err_text(errno));
	if (linkat(AT_FDCWD, from, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) < 0)
		return tell(b, err_text(errno));
	if (rename(temporary, b->name) < 0) {
		int rc = errno;

		unlink(temporary);
		return tell(b, err_text(rc));
	}
	return CLI_DONE;
}

static bool backup_row(struct backup *b, const char *text)
{
	json_t *row = json_loads(text, 0, NULL), *header = json_object_get(row, "header");
	json_t *data = json_object_get(row, "data");
	size_t n = 0;
	bool good = false;

	if (header) {
		good = !b->size && header_take(b, header) && write_all(b, MAGIC, strlen(MAGIC)) &&
		       write_all(b, b->header, strlen(b->header)) && write_all(b, "\n", 1);
	} else if (b->size && json_string_length(data) <= BASE64_LEN(sizeof(b->octets))) {
		good = base64_decode(slice_of(json_string_value(data), json_string_length(data)), b->octets, &n) &&
		       write_all(b, b->octets, n);
		XXH64_update(&b->hash, b->octets, n);
		b->done += n;
	}
	json_decref(row);
	return good;
}

// Until the end has come. *rc: as the HSS says it.
static bool receive(struct backup *b, struct cli_session *s, const struct cli_args *a, int *rc)
{
	char *text;
	size_t len;

	for (;;) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW:
			if (!backup_row(b, text)) {
				tell(b, "what the HSS sends is no backup, or can't be written");
				return false;
			}
			break;
		case CLI_LINE_END:
			*rc = cli_session_end(text, a->command);
			return *rc == CLI_DONE;
		default:
			return false;
		}
	}
}

static void told(const struct cli_args *a, const struct backup *b)
{
	json_t *h = json_loads(b->header, 0, NULL);

	if (a->json)
		printf("%s\n", b->header);
	else
		printf("%s: %lld subscribers, %llu octets, checked\n", b->name,
		       (long long)json_integer_value(json_object_get(h, "subscribers")), (unsigned long long)b->size);
	json_decref(h);
}

int cli_backup(struct cli_session *s, const struct cli_args *a)
{
	struct backup *b = calloc(1, sizeof(*b));
	int rc = CLI_REFUSED;

	if (!b)
		return rc;
	b->name = a->file;
	XXH64_reset(&b->hash, 0);
	if (create(b) && cli_session_request(s, a) && receive(b, s, a, &rc)) {
		if (b->size == 0 || b->done != b->size || XXH64_digest(&b->hash) != b->digest)
			rc = tell(b, "what came is not what the HSS has: nothing was kept");
		else
			rc = publish(b);
		if (rc == CLI_DONE)
			told(a, b);
	}
	if (b->fd >= 0)
		close(b->fd);
	secret_wipe(b, sizeof(*b));
	free(b);
	return rc;
}

// --- restore

// The line at the beginning; data follow at *at.
static bool header_read(struct backup *b, off_t *at)
{
	char line[HEADER_MAX + sizeof(MAGIC) + 1];
	ssize_t n = pread(b->fd, line, sizeof(line), 0);
	char *eol = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	json_t *h = NULL;
	bool good = eol && (size_t)n > strlen(MAGIC) && memcmp(line, MAGIC, strlen(MAGIC)) == 0;

	if (good) {
		h = json_loadb(line + strlen(MAGIC), (size_t)(eol - line) - strlen(MAGIC), 0, NULL);
		*at = eol - line + 1;
		good = h && header_take(b, h);
	}
	json_decref(h);
	if (!good)
		tell(b, "this is no backup that hssctl made");
	return good;
}

// All of it, before anything is sent.
static bool whole(struct backup *b, off_t at)
{
	ssize_t n;

	XXH64_reset(&b->hash, 0);
	while ((n = pread(b->fd, b->octets, sizeof(b->octets), at + (off_t)b->done)) > 0) {
		XXH64_update(&b->hash, b->octets, (size_t)n);
		b->done += (uint64_t)n;
	}
	if (n == 0 && b->done == b->size && XXH64_digest(&b->hash) == b->digest)
		return true;
	tell(b, n < 0 ? err_text(errno) : "it is damaged: its data are not those of its first line");
	return false;
}

static bool send_data(struct backup *b, struct cli_session *s, off_t at)
{
	char line[BASE64_LEN(CHUNK) + 1];
	ssize_t n;
	bool good = true;

	while (good && (n = pread(b->fd, b->octets, CHUNK, at)) > 0) {
		size_t len = BASE64_LEN((size_t)n);

		base64_encode(slice_of(b->octets, (size_t)n), line);
		line[len] = '\n';
		good = cli_session_send(s, line, len + 1);
		at += n;
	}
	secret_wipe(line, sizeof(line));
	return good && cli_session_send(s, "\n", 1);
}

static int restored(struct cli_session *s, const struct cli_args *a)
{
	char *text;
	size_t len;
	int rc = CLI_REFUSED;

	for (;;) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW:
			if (a->json)
				cli_json_row(stdout, text, len);
			break;
		case CLI_LINE_END:
			rc = cli_session_end(text, a->command);
			if (rc == CLI_DONE && !a->json)
				puts("Checked, and ready. It takes effect when the HSS is started again: systemctl restart corehss\n"
				     "What is there now is kept beside it in state_dir, as before-restore-hss.db.");
			return rc;
		default:
			return rc;
		}
	}
}

int cli_restore(struct cli_session *s, const struct cli_args *a)
{
	struct backup *b = calloc(1, sizeof(*b));
	off_t at = 0;
	int rc = CLI_REFUSED;

	if (!b)
		return rc;
	b->name = a->file;
	b->fd = open(a->file, O_RDONLY | O_CLOEXEC);
	if (b->fd < 0)
		rc = tell(b, err_text(errno));
	else if (header_read(b, &at) && whole(b, at) &&
		 json_object_set_new(a->args, "header", json_string(b->header)) == 0 && cli_session_request(s, a) &&
		 send_data(b, s, at))
		rc = restored(s, a);
	if (b->fd >= 0)
		close(b->fd);
	secret_wipe(b, sizeof(*b));
	free(b);
	return rc;
}
