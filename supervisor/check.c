// `hssd --check` with an upstream: hssd does not link its driver, so the loader's program looks, in a process
// that has nothing but the configuration on its standard input and the file with the connection string as
// descriptor 3.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/hssd.h"

#define URI_FD 3

__attribute__((noreturn)) static void look(const struct hssd *h, int in, int out)
{
	char *argv[] = {(char *)h->program[ROLE_LOADER], (char *)"--check-store", NULL};
	// in and out are above URI_FD
	dup2(in, STDIN_FILENO);
	dup2(out, STDERR_FILENO);
	if (h->uri_fd >= 0 && h->uri_fd != URI_FD)
		dup2(h->uri_fd, URI_FD);
	else if (h->uri_fd == URI_FD)
		fcntl(URI_FD, F_SETFD, 0);
	close_range(URI_FD + 1, ~0u, 0);
	setenv("MONGOC_DISABLE_SHM", "1", 1); // as roles have it: and it says so when it can't make that file
	execv(argv[0], argv);
	_exit(127);
}

static void tell_config(const struct hssd *h, int fd)
{
	const uint8_t *p = (const uint8_t *)&h->config;
	size_t left = sizeof(h->config);
	while (left) {
		ssize_t n = write(fd, p, left);
		if (n < 0 && errno != EINTR)
			return;
		p += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
}

// What it says, one line.
static void read_line(int fd, char *out, size_t cap)
{
	size_t len = 0;
	ssize_t n;
	while (len + 1 < cap && (n = read(fd, out + len, cap - 1 - len)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	out[len] = 0;
	out[strcspn(out, "\n")] = 0;
}

bool check_store(struct hssd *h)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, status = 0;
	char line[512] = "";
	if (!files_open(h) || !roles_find_programs(h) || pipe2(in, O_CLOEXEC) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0)
		return false;
	// above URI_FD, whatever is open
	int far_in = fcntl(in[0], F_DUPFD_CLOEXEC, URI_FD + 1),
	    far_out = fcntl(out[1], F_DUPFD_CLOEXEC, URI_FD + 1);
	pid_t pid = fork();
	if (pid == 0)
		look(h, far_in, far_out);
	close(in[0]);
	close(far_in);
	close(out[1]);
	close(far_out);
	if (pid > 0) {
		tell_config(h, in[1]);
		close(in[1]);
		read_line(out[0], line, sizeof(line));
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	close(out[0]);
	if (pid > 0 && line[0])
		say("warning: %s: store: MongoDB: %s", h->config_path, line);
	else if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		say("warning: %s: store: MongoDB could not be looked at", h->config_path);
	return true;
}
