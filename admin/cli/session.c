// The connection to the admin socket: lines out, lines in. Lines come from hss-admin of the same machine, yet
// they are bounded and looked at like any input.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "admin/cli/cli.h"
#include "lib/base/secret.h"

void cli_session_silent(const struct cli_session *s)
{
	fprintf(stderr,
		"hssctl: no answer for %u s; what was asked may have been done or not (hssctl status tells "
		"who is "
		"missing, --timeout SECONDS waits longer)\n",
		s->timeout_s);
}

int cli_session_open(struct cli_session *s, const struct cli_args *a)
{
	const struct timeval timeout = {.tv_sec = a->timeout_s};
	const char *path = a->socket;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int rc = CLI_REFUSED;

	*s = (struct cli_session){.fd = -1, .timeout_s = a->timeout_s, .in = malloc(CLI_LINE_MAX + 1)};
	if (!s->in) {
		fputs("hssctl: no memory\n", stderr);
		return rc;
	}
	if (strlen(path) >= sizeof(name.sun_path)) {
		fprintf(stderr, "hssctl: %s: longer than the name of a socket can be\n", path);
		return rc;
	}
	memcpy(name.sun_path, path, strlen(path) + 1);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	// one that can't be set is no timeout
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (s->fd < 0 || connect(s->fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		bool gone = errno == ENOENT || errno == ECONNREFUSED;

		fprintf(stderr, "hssctl: %s: %s%s\n", path, err_text(errno),
			gone ? " (is corehss running?)" : "");
		return rc;
	}
	return CLI_DONE;
}

void cli_session_close(struct cli_session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->in) {
		secret_wipe(s->in, CLI_LINE_MAX + 1);
		free(s->in);
	}
	*s = (struct cli_session){.fd = -1};
}

bool cli_session_send(struct cli_session *s, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(s->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			cli_session_silent(s);
			return false;
		}
		if (n < 0) {
			fprintf(stderr, "hssctl: the connection was lost: %s\n", err_text(errno));
			return false;
		}
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool cli_session_request(struct cli_session *s, const struct cli_args *a)
{
	const struct admin_request request = {.command = a->command, .args = a->args};
	char *text = admin_request_text(&request);
	size_t len = text ? strlen(text) : 0;
	bool ok = text && cli_session_send(s, text, len) && cli_session_send(s, "\n", 1);

	if (text)
		secret_wipe(text, len);
	free(text);
	return ok;
}

// {"row":X} or {"end":X}: X is left NUL-terminated.
static enum cli_line line_open(char *line, size_t n, char **text, size_t *len)
{
	enum cli_line kind = n > 8 && memcmp(line, "{\"row\":", 7) == 0   ? CLI_LINE_ROW
			     : n > 8 && memcmp(line, "{\"end\":", 7) == 0 ? CLI_LINE_END
									  : CLI_LINE_BROKEN;

	if (kind == CLI_LINE_BROKEN || line[n - 1] != '}') {
		fputs("hssctl: an answer that can't be read\n", stderr);
		return CLI_LINE_BROKEN;
	}
	line[n - 1] = 0;
	*text = line + 7;
	*len = n - 8;
	return kind;
}

// More octets into the buffer. false: no more now (*broken says whether ever).
static bool fill(struct cli_session *s, bool wait, bool *broken)
{
	ssize_t n;

	if (s->start > 0) {
		memmove(s->in, s->in + s->start, s->len - s->start);
		s->len -= s->start;
		s->start = 0;
	}
	if (s->len == CLI_LINE_MAX) {
		fputs("hssctl: an answer that is too long\n", stderr);
		*broken = true;
		return false;
	}
	do {
		n = recv(s->fd, s->in + s->len, CLI_LINE_MAX - s->len, wait ? 0 : MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		if (wait)
			cli_session_silent(s);
		*broken = wait;
		return false;
	}
	if (n <= 0) {
		fprintf(stderr, "hssctl: the connection was lost: %s\n", n < 0 ? err_text(errno) : "closed");
		*broken = true;
		return false;
	}
	s->len += (size_t)n;
	return true;
}

enum cli_line cli_session_next(struct cli_session *s, bool wait, char **text, size_t *len)
{
	size_t looked = 0;
	bool broken = false;

	for (;;) {
		char *line = s->in + s->start;
		size_t have = s->len - s->start;
		char *at = have > looked ? memchr(line + looked, '\n', have - looked) : NULL;

		if (at) {
			s->start += (size_t)(at - line) + 1;
			return line_open(line, (size_t)(at - line), text, len);
		}
		looked = have;
		if (!fill(s, wait, &broken))
			return broken ? CLI_LINE_BROKEN : CLI_LINE_NONE;
	}
}

int cli_session_end(const char *text, const struct admin_command *command)
{
	json_t *end = json_loads(text, 0, NULL);
	json_int_t status = json_integer_value(json_object_get(end, "status"));
	const char *error = json_string_value(json_object_get(end, "error"));
	const char *warning = json_string_value(json_object_get(end, "warning"));

	if (!json_is_object(end) || status < 0 || status > 2)
		status = CLI_REFUSED;
	if (status != CLI_DONE)
		fprintf(stderr, "hssctl: %s: %s\n", command->words, error ? error : "refused");
	else if (warning)
		fprintf(stderr, "hssctl: %s: warning: %s\n", command->words, warning);
	json_decref(end);
	return (int)status;
}
