// Files that hold secrets. hssd opens them with the rights that it has, and passes each descriptor, unread, to the one role that
// may know its content (law 10): the operator's OP and the upstream's connection string go to the loader, the TLS key goes to
// frontends.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "supervisor/hssd.h"

static int open_one(const char *path)
{
	// not for long on a pipe without a writer
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

// The files of TLS, in the order of their BOOT bits; no revocation lists are an empty file. 0, or a negative
// errno and which one.
static int tls_open(const struct config *c, int fds[CONFIG_TLS_FILES], const char **path)
{
	const char *const paths[CONFIG_TLS_FILES] = {c->tls_certificate, c->tls_key, c->tls_ca,
						     c->tls_crl[0] ? c->tls_crl : "/dev/null"};
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++)
		fds[i] = -1;
	for (unsigned i = 0; i < CONFIG_TLS_FILES && paths[0][0]; i++) {
		int fd = open_one(paths[i]);
		if (fd >= 0) {
			fds[i] = fd;
			continue;
		}
		*path = paths[i];
		while (i--)
			close(fds[i]);
		return fd;
	}
	return 0;
}

// An empty path: none.
static bool secret_open(const char *key, const char *path, int *fd)
{
	if (!path[0])
		return true;
	*fd = open_one(path);
	if (*fd < 0)
		say("%s: %s: %s", key, path, err_text(*fd));
	return *fd >= 0;
}

bool files_open(struct hssd *h)
{
	const char *path = "";
	int rc = tls_open(&h->config, h->tls_fd, &path);
	if (rc < 0) {
		say("tls: %s: %s", path, err_text(rc));
		return false;
	}
	return secret_open("op_file", h->config.op_file, &h->op_fd) &&
	       secret_open("store.uri_file", h->config.store_uri_file, &h->uri_fd);
}

// Whether a block of PEM begins with this kind ("-----BEGIN X509 CRL-----"). The descriptor is taken.
static bool pem_holds(int fd, const char *kind)
{
	char line[128];
	bool found = false;
	FILE *f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return false;
	}
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, "-----BEGIN ", 11) == 0 && strstr(line, kind);
	fclose(f);
	return found;
}

// An empty path: none. kind: of PEM, NULL: what is inside isn't looked at.
static bool file_check(const struct hssd *h, struct config_error *e, const char *key, const char *path, const char *kind,
		       const char *expected)
{
	const char *why = NULL;
	struct stat st;
	int fd = path[0] ? open_one(path) : -1;
	if (!path[0])
		return true;
	if (fd < 0) {
		why = err_text(fd);
	} else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		why = "expected a regular file";
		close(fd);
	} else if (!kind) {
		close(fd);
	} else if (!pem_holds(fd, kind)) {
		why = expected;
	}
	if (why)
		config_tell(e, h->config_path, key, "%s: %s", path, why);
	return !why;
}

// In a process of its own that becomes this user; its exit status is the errno.
static int open_as(const char *user, const char *path)
{
	const struct passwd *pw = getpwnam(user);
	int status = 0;
	if (!pw)
		return ENOENT; // the start says so, too
	pid_t pid = fork();
	if (pid == 0) {
		if (initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
			_exit(errno);
		int fd = open_one(path);
		_exit(fd < 0 ? -fd : 0);
	}
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

// Checks a file that is opened long after the start by the user that the processes run as. The check itself
// may run as root, which may read more.
static void file_check_user(const struct hssd *h, struct config_error *e, const char *key, const char *path)
{
	const char *user = h->config.user;
	int rc = user[0] && geteuid() == 0 ? open_as(user, path) : 0;
	if (rc)
		config_tell(e, h->config_path, key, "%s: for the user %s: %s", path, user, err_text(rc));
}

void files_check(const struct hssd *h, struct config_error *e)
{
	const struct config *c = &h->config;
	(void)file_check(h, e, "tls.certificate", c->tls_certificate, "CERTIFICATE-----", "expected a certificate in PEM form");
	(void)file_check(h, e, "tls.key", c->tls_key, NULL, NULL);
	(void)file_check(h, e, "tls.ca", c->tls_ca, "CERTIFICATE-----", "expected certificates in PEM form");
	(void)file_check(h, e, "tls.crl", c->tls_crl, "X509 CRL-----", "expected revocation lists in PEM form");
	(void)file_check(h, e, "store.uri_file", c->store_uri_file, NULL, NULL);
	if (c->store == STORE_CSV && file_check(h, e, "store.path", c->store_path, NULL, NULL))
		file_check_user(h, e, "store.path", c->store_path);
}

bool files_reopen(struct hssd *h, const struct config *fresh)
{
	const char *path = "";
	int fds[CONFIG_TLS_FILES];
	int rc = tls_open(fresh, fds, &path);
	if (rc < 0) {
		log_error("reload_refused", LOG_STR("why", "a file of tls can't be opened"),
			  LOG_STR("path", path), LOG_STR("error", err_text(rc)));
		return false;
	}
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++) {
		if (h->tls_fd[i] >= 0)
			close(h->tls_fd[i]);
		h->tls_fd[i] = fds[i];
	}
	return true;
}
