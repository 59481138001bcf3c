// The directories that hssd makes, and whether another HSS is at work in state_dir: that is found before anything listens, so
// that a second instance takes no connection from the first. The lock itself is held by the loader. hssd.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/hssd.h"

#define WAIT_MS 3000 // a loader that was killed may still be dying (a large mapping takes its time)
#define STEP_MS 20

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

bool state_dir_full(const struct hssd *h)
{
	struct statvfs fs;
	// a database needs some pages to begin with; an inode for each of its files
	return h->state_dir_fd >= 0 && fstatvfs(h->state_dir_fd, &fs) == 0 &&
	       ((uint64_t)fs.f_bavail * fs.f_frsize < (256u << 10) || (fs.f_files && fs.f_favail < 4));
}
