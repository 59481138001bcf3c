// The directories that hssd makes, and whether another HSS is at work in state_dir: that is found before anything listens, so
// that a second instance takes no connection from the first. The lock itself is held by the loader. hssd.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define WAIT_MS 3000 // a loader that was killed may still be dying (a large mapping takes its time)
#define STEP_MS 20
#define ORIGIN_STATE "origin-state" // a file in state_dir

// The loader's lock. false: told. No lock file: nobody has been here yet.
static bool not_in_use(const struct hssd *h)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	int fd = openat(h->state_dir_fd, "lock", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return true; // what it may be is the loader's to find out
	bool free = false;
	for (unsigned waited_ms = 0; !free && waited_ms <= WAIT_MS; waited_ms += STEP_MS) {
		free = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
		if (!free)
			nanosleep(&step, NULL);
	}
	close(fd);
	if (!free)
		say("state_dir: %s is in use by another HSS", h->config.state_dir);
	return free;
}

bool state_dir_open(struct hssd *h)
{
	const char *path = h->config.state_dir;
	h->state_dir_made = mkdir(path, 0700) == 0;
	int rc = h->state_dir_made || errno == EEXIST ? 0 : errno;
	if (rc == 0) {
		h->state_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = h->state_dir_fd < 0 ? errno : 0;
	}
	if (rc) {
		say("state_dir: %s: %s", path, err_text(rc));
		return false;
	}
	return not_in_use(h);
}

bool admin_dir_make(struct hssd *h)
{
	char path[CONFIG_PATH_MAX];
	snprintf(path, sizeof(path), "%s", h->config.admin_socket);
	char *dir = dirname(path);
	h->admin_dir_made = mkdir(dir, 0755) == 0;
	if (!h->admin_dir_made && errno != EEXIST) {
		say("admin: { socket: %s }: %s: %s", h->config.admin_socket, dir, err_text(errno));
		return false;
	}
	snprintf(h->admin_dir, sizeof(h->admin_dir), "%s", dir);
	return true;
}

// The Origin-State-Id of this start (RFC 6733 8.16): the time, and greater than that of the start before, which a file in
// state_dir remembers. A clock that was set back changes nothing.
uint32_t state_dir_origin_state(struct hssd *h)
{
	char text[16] = "";
	uint32_t now = (uint32_t)(clock_wall_us() / 1000000);
	int fd = openat(h->state_dir_fd, ORIGIN_STATE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0) {
		unsigned long last = strtoul(text, NULL, 10);
		if (last >= now && last < UINT32_MAX)
			now = (uint32_t)last + 1;
	}
	if (fd >= 0)
		close(fd);
	int len = snprintf(text, sizeof(text), "%u\n", now);
	fd = openat(h->state_dir_fd, ORIGIN_STATE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0 &&
		  renameat(h->state_dir_fd, ORIGIN_STATE ".new", h->state_dir_fd, ORIGIN_STATE) == 0;
	if (!ok)
		log_warn("origin_state_not_remembered", LOG_STR("directory", h->config.state_dir),
			 LOG_STR("reason", err_text(errno)));
	if (fd >= 0)
		close(fd);
	return now;
}

bool state_dir_full(const struct hssd *h)
{
	struct statvfs fs;
	// a database needs some pages to begin with; an inode for each of its files
	return h->state_dir_fd >= 0 && fstatvfs(h->state_dir_fd, &fs) == 0 &&
	       ((uint64_t)fs.f_bavail * fs.f_frsize < (256u << 10) || (fs.f_files && fs.f_favail < 4));
}
