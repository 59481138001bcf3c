// `hssd --check`: what of this machine the configuration counts on. Everything that is wrong is told, with the line of the
// configuration that has to change. Changes nothing, and starts nothing. hssd.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/options.h"
#include "lib/ims/template.h"
#include "lib/base/err.h"
#include "lib/base/ident.h"
#include "lib/base/secret.h"
#include "supervisor/hssd.h"

#define TELL(h, e, key, ...) config_tell(e, (h)->config_path, key, __VA_ARGS__)

// Whether an interface has this address: a socket of any port can be bound to it.
static int address_here(const char *text)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = {0};
	int rc = 0;

	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
		a.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1)
		a.any.sa_family = AF_INET6;
	else
		return 0; // a name that was not resolved: told already
	int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (bind(fd, &a.any, a.any.sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6)) < 0)
		rc = errno;
	close(fd);
	return rc;
}

static void check_address(const struct hssd *h, struct config_error *e, const char *key, const char *text, bool freebind)
{
	int rc = freebind || !text[0] ? 0 : address_here(text);
	if (rc == EADDRNOTAVAIL)
		TELL(h, e, key, "%s: no interface of this machine has this address%s", text,
		     strncmp(key, "listen", 6) == 0 ? " (freebind: true listens on it all the same)" : "");
	else if (rc)
		TELL(h, e, key, "%s: %s", text, err_text(rc));
}

static void check_addresses(const struct hssd *h, struct config_error *e)
{
	char key[48];
	for (uint32_t i = 0; i < h->config.listen_cnt; i++) {
		const struct config_listen *l = &h->config.listen[i];
		snprintf(key, sizeof(key), "listen[%u].address", i);
		check_address(h, e, key, l->address, l->freebind);
		snprintf(key, sizeof(key), "listen[%u].addresses", i);
		for (uint32_t j = 0; j < l->address_cnt; j++)
			check_address(h, e, key, l->addresses[j], l->freebind);
	}
	check_address(h, e, "metrics.address", h->config.metrics_address, false);
}

static void check_names(const struct hssd *h, struct config_error *e)
{
	const struct config *c = &h->config;
	if (c->user[0] && !getpwnam(c->user))
		TELL(h, e, "user", "%s: no such user", c->user);
	if (c->admin_group[0] && !getgrnam(c->admin_group))
		TELL(h, e, "admin.group", "%s: no such group", c->admin_group);
}

// A directory that is there, or that can be made since the one above it is there.
static void check_directory(const struct hssd *h, struct config_error *e, const char *key, const char *dir, int rights)
{
	struct stat st;
	char above[CONFIG_PATH_MAX];
	snprintf(above, sizeof(above), "%s", dir);
	const char *parent = dirname(above);

	if (stat(dir, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			TELL(h, e, key, "%s: it is a file, expected a directory", dir);
		else if (access(dir, rights) < 0)
			TELL(h, e, key, "%s: %s", dir, err_text(errno));
	} else if (errno != ENOENT) {
		TELL(h, e, key, "%s: %s", dir, err_text(errno));
	} else if (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode)) {
		TELL(h, e, key, "%s: neither it nor %s is a directory", dir, parent);
	} else if (access(parent, W_OK | X_OK) < 0) {
		TELL(h, e, key, "%s: it is not there and can't be made in %s: %s", dir, parent, err_text(errno));
	}
}

static void check_directories(const struct hssd *h, struct config_error *e)
{
	char socket_path[CONFIG_PATH_MAX];
	snprintf(socket_path, sizeof(socket_path), "%s", h->config.admin_socket);
	check_directory(h, e, "admin.socket", dirname(socket_path), W_OK | X_OK);
	check_directory(h, e, "state_dir", h->config.state_dir, R_OK | W_OK | X_OK);
}

// What the option of this member of struct config is called.
static const char *option_path(size_t offset)
{
	for (unsigned i = 0; i < option_cnt; i++)
		if (option_rows[i].offset == offset)
			return option_rows[i].path;
	bug("no option at %zu", offset);
}

// 32 hex digits. The one secret that is looked at, by the one who runs --check, and wiped.
static void check_op(const struct hssd *h, struct config_error *e)
{
	const char *path = h->config.op_file;
	char text[256];
	uint8_t op[16];
	int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
	if (!path[0])
		return;
	if (fd < 0) {
		TELL(h, e, option_path(offsetof(struct config, op_file)), "%s: %s", path, err_text(errno));
		return;
	}
	ssize_t n = pread(fd, text, sizeof(text), 0);
	close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0 || !hex_parse(slice_of(text, (size_t)n), op, 16))
		TELL(h, e, option_path(offsetof(struct config, op_file)), "%s: expected 32 hex digits", path);
	secret_wipe(text, sizeof(text));
	secret_wipe(op, sizeof(op));
}

// Files of filter criteria are read as the loader will read them.
static void check_criteria(const struct hssd *h, struct config_error *e, const char *key, const char *path)
{
	static struct ims_report report;
	static char why[4096];
	struct ims_criteria c;
	if (!path[0])
		return;
	if (ims_template_read(path, &c, &report) != 0)
		TELL(h, e, key, "%s", ims_report_text(&report, path, why, sizeof(why)));
	ims_criteria_free(&c);
}

static void check_all_criteria(const struct hssd *h, struct config_error *e)
{
	check_criteria(h, e, "ims.filter_criteria_file", h->config.ims_filter_file);
	for (unsigned i = 0; i < h->config.ims_shared_cnt; i++)
		check_criteria(h, e, "ims.shared_filter_criteria", h->config.ims_shared[i].file);
}

void check_system(const struct hssd *h, struct config_error *e)
{
	listen_check(h, e);
	check_addresses(h, e);
	check_names(h, e);
	check_directories(h, e);
	files_check(h, e);
	check_op(h, e);
	check_all_criteria(h, e);
}
