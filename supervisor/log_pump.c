// The log's way out. Everything that hssd and the roles log goes into one pipe that hssd makes; a thread of hssd reads it
// and writes to the stderr that hssd was started with. hssd.
//
// Why so: nobody that serves may wait for whoever reads the log (a container runtime that is stuck, a terminal stopped with
// Ctrl-S, a journal that is restarted, a network file system that hangs).
//   - O_NONBLOCK on the inherited stderr is no way: it belongs to the open file description, which the shell and other
//     programs share, and it does nothing for files.
//   - Opening it again (/proc/self/fd/2) has flags of its own, but fails for sockets, and for pipes and terminals of another
//     user. poll() before each write is no proof either while several processes write: the room may be taken in between.
//   - This pipe is ours: its writing end does not block for any of us, and only the thread here ever waits for the outside.
//     It does nothing else, and a process that exits does not wait for it.
// When the outside takes nothing, the pipe (256 KiB) fills, and each writer drops and counts its further lines
// (hss_log_dropped_total). A line is shorter than PIPE_BUF, so it is taken whole or not at all. What hssd itself says when it
// fails (bug(), a sanitizer) goes straight to the real stderr.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "supervisor/hssd.h"
#include "supervisor/journal.h"

#define PIPE_BYTES  (256 << 10)
#define CHUNK       (64u << 10)
#define FAR_FD      10 // above what roles find open
#define FINISH_S    1  // an orderly end waits that long for the last lines to be out

static struct {
	int in, out; // of the thread
	int pipe;    // what roles and hssd write to; -1: not started
	bool journal; // the outside is systemd's journal
	pthread_t thread;
	_Atomic uint64_t *lost;
} pump = {.pipe = -1};

static uint64_t lines_in(const char *p, size_t n)
{
	uint64_t cnt = 0;
	for (size_t i = 0; i < n; i++)
		cnt += p[i] == '\n';
	return cnt;
}

// All of it, however long it takes. What cannot be written (a full disk, a reader that is gone) is lost, and counted.
static void write_out(const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(pump.out, p, n);
		if (done >= 0) {
			p += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) { // somebody who shares it has made it so
			struct pollfd room = {.fd = pump.out, .events = POLLOUT};
			(void)poll(&room, 1, 1000);
		} else if (errno != EINTR) {
			__atomic_fetch_add((uint64_t *)pump.lost, lines_in(p, n), __ATOMIC_RELAXED);
			return;
		}
	}
}

static void *run(void *arg)
{
	static char chunk[CHUNK];
	ssize_t n;
	(void)arg;
	while ((n = read(pump.in, chunk, sizeof(chunk))) != 0) {
		if (n > 0 && pump.journal)
			journal_write(chunk, (size_t)n);
		else if (n > 0)
			write_out(chunk, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	return NULL;
}

static bool thread_start(void)
{
	sigset_t all, before;
	sigfillset(&all); // signals are the main thread's
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&pump.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0;
}

int log_pump_start(_Atomic uint64_t *lost)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); // 64 KiB where the system allows no more
	pump.in = ends[0];
	pump.journal = journal_open();
	pump.lost = lost;
	pump.out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FAR_FD);
	pump.pipe = fcntl(ends[1], F_DUPFD_CLOEXEC, FAR_FD);
	close(ends[1]);
	if (pump.out < 0 || pump.pipe < 0 || fcntl(pump.pipe, F_SETFL, O_WRONLY | O_NONBLOCK) < 0 || !thread_start())
		return errno ? -errno : -EIO;
	log_count_dropped(lost);
	log_set_fd(pump.pipe);
	return 0;
}

int log_pump_fd(void)
{
	return pump.pipe >= 0 ? pump.pipe : STDERR_FILENO;
}

void log_pump_finish(void)
{
	struct timespec until;
	if (pump.pipe < 0)
		return;
	log_set_fd(STDERR_FILENO);
	close(pump.pipe); // the thread ends with the last line, since the roles have ended
	pump.pipe = -1;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FINISH_S;
	(void)pthread_clockjoin_np(pump.thread, NULL, CLOCK_MONOTONIC, &until);
}
