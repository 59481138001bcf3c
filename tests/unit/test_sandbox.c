// The sandbox from inside: a child of each role enters it and makes a call; it lives, is refused, or is
// killed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/sandbox.h"

enum outcome { LIVES, REFUSED, KILLED };

typedef bool call_fn(void); // true: the call worked

static bool connects; // the configuration has peers that we connect to

static enum outcome run(enum role role, call_fn *fn)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (sandbox_enter(role, true, connects) < 0)
			_exit(99);
		_exit(fn() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 99);
	return WEXITSTATUS(status) == 0 ? LIVES : REFUSED;
}

static bool do_nothing(void)
{
	return true;
}

static bool do_open(void)
{
	return open("/etc/hostname", O_RDONLY) >= 0;
}

static bool do_exec(void)
{
	char *argv[] = {(char *)"true", NULL};
	execv("/bin/true", argv);
	return false;
}

static bool do_fork(void)
{
	return fork() >= 0;
}

static bool do_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool do_tcp_socket(void)
{
	return socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0;
}

// A kernel without SCTP refuses: what counts is that the filter lets the call pass.
static bool do_sctp_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP) >= 0 || errno != EACCES;
}

static bool do_mptcp_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP) >= 0;
}

static bool do_udp_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0;
}

static bool do_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0;
}

static bool do_socketpair(void)
{
	int fds[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}

static bool do_connect(void)
{
	return connect(0, NULL, 0) == 0;
}

static bool do_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool do_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool do_make_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool do_kill_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool do_accept(void)
{
	return accept4(-1, NULL, NULL, 0) < 0 && errno == EBADF;
}

static void *thread_body(void *arg)
{
	return arg;
}

static bool do_thread(void)
{
	pthread_t t;
	int mine = 0;
	void *result = NULL;
	return pthread_create(&t, NULL, thread_body, &mine) == 0 && pthread_join(t, &result) == 0 &&
	       result == &mine;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

// What a role does all day: memory, time, random numbers, sorting, its channels, its log.
static bool do_work(void)
{
	int fds[4], *numbers = malloc(4096 * sizeof(int));
	char c = 0;
	if (!numbers || syscall(SYS_getrandom, numbers, 4096 * sizeof(int), 0) != 4096 * (long)sizeof(int))
		return false;
	qsort(numbers, 4096, sizeof(int), by_value);
	free(numbers);
	char *big = malloc(64 << 20);
	if (!big)
		return false;
	big[64 << 19] = 1;
	free(big);
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, fds) < 0)
		return false;
	return write(2, &c, 0) == 0;
}

static bool do_abort(void)
{
	signal(SIGABRT, SIG_IGN);
	return raise(SIGABRT) == 0;
}

static bool gave_up(void)
{
	struct rlimit core;
	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
}

#ifdef HSS_SANITIZED
#define FILTER_ONLY() skip()
#else
#define FILTER_ONLY() (void)0
#endif

static const enum role roles[] = {ROLE_FRONTEND, ROLE_WORKER, ROLE_LOADER, ROLE_ADMIN};
#define EACH(r) for (size_t r = 0; r < 4; r++)

static void every_role_works(void **state)
{
	(void)state;
	EACH(r)
	{
		assert_int_equal(run(roles[r], do_nothing), LIVES);
		assert_int_equal(run(roles[r], do_abort), LIVES);
		assert_int_equal(run(roles[r], gave_up), LIVES);
	}
}

static void daily_work(void **state)
{
	(void)state;
	FILTER_ONLY();
	EACH(r)
	assert_int_equal(run(roles[r], do_work), LIVES);
}

static void nobody_does(void **state)
{
	(void)state;
	FILTER_ONLY();
	static call_fn *const forbidden[] = {do_exec,        do_fork,      do_socket,
					     do_socketpair,  do_connect,   do_ptrace,
					     do_exec_memory, do_make_exec, do_kill_parent};
	EACH(r)
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		assert_int_equal(run(roles[r], forbidden[i]), KILLED);
}

static void files(void **state)
{
	(void)state;
	FILTER_ONLY();
	assert_int_equal(run(ROLE_LOADER, do_open), LIVES);
	assert_int_equal(run(ROLE_FRONTEND, do_open), REFUSED);
	assert_int_equal(run(ROLE_WORKER, do_open), REFUSED);
	assert_int_equal(run(ROLE_ADMIN, do_open), REFUSED);
}

static void connections(void **state)
{
	(void)state;
	FILTER_ONLY();
	assert_int_equal(run(ROLE_FRONTEND, do_accept), LIVES);
	assert_int_equal(run(ROLE_ADMIN, do_accept), LIVES);
	assert_int_equal(run(ROLE_WORKER, do_accept), KILLED);
	assert_int_equal(run(ROLE_LOADER, do_accept), KILLED);
}

static void threads(void **state)
{
	(void)state;
	FILTER_ONLY();
	assert_int_equal(run(ROLE_LOADER, do_thread), LIVES);
	assert_int_equal(run(ROLE_WORKER, do_thread), KILLED);
	assert_int_equal(run(ROLE_FRONTEND, do_thread), KILLED);
}

// Peers that we connect to: frontends make TCP sockets, nobody else does, and no other ones.
static void connecting(void **state)
{
	(void)state;
	FILTER_ONLY();
	for (int role = ROLE_FRONTEND; role < ROLE_CNT; role++)
		assert_int_equal(run((enum role)role, do_tcp_socket), KILLED);
	connects = true;
	assert_int_equal(run(ROLE_FRONTEND, do_tcp_socket), LIVES);
	assert_int_equal(run(ROLE_FRONTEND, do_sctp_socket), LIVES);
	assert_int_equal(run(ROLE_FRONTEND, do_mptcp_socket), KILLED);
	assert_int_equal(run(ROLE_FRONTEND, do_udp_socket), KILLED);
	assert_int_equal(run(ROLE_FRONTEND, do_unix_socket), KILLED);
	assert_int_equal(run(ROLE_FRONTEND, do_connect), REFUSED); // not a socket
	assert_int_equal(run(ROLE_WORKER, do_tcp_socket), KILLED);
	assert_int_equal(run(ROLE_ADMIN, do_tcp_socket), KILLED);
	connects = false;
}

static bool do_look_up(void)
{
	struct addrinfo *out = NULL, hints = {.ai_socktype = SOCK_STREAM};
	int rc = getaddrinfo("localhost", "27017", &hints, &out);
	if (rc == 0)
		freeaddrinfo(out);
	return rc == 0;
}

static bool do_netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static bool do_packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0;
}

static bool do_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return listen(fd, 1) == 0;
}

// An upstream on the network: the loader looks up names and connects, and does nothing else that is new.
static void upstream(void **state)
{
	(void)state;
	FILTER_ONLY();
	static call_fn *const lives[] = {do_tcp_socket, do_udp_socket, do_unix_socket, do_look_up};
	static call_fn *const refused[] = {do_connect, do_netlink_socket, do_exec_memory};
	static call_fn *const killed[] = {do_packet_socket, do_listen, do_accept, do_exec, do_fork, do_socketpair,
					  do_make_exec};
	sandbox_load_resolver();
	connects = true;
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		assert_int_equal(run(ROLE_LOADER, lives[i]), LIVES);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(run(ROLE_LOADER, refused[i]), REFUSED);
	for (size_t i = 0; i < sizeof(killed) / sizeof(killed[0]); i++)
		assert_int_equal(run(ROLE_LOADER, killed[i]), KILLED);
	connects = false;
	assert_int_equal(run(ROLE_LOADER, do_tcp_socket), KILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(connecting),       cmocka_unit_test(upstream),
	    cmocka_unit_test(every_role_works), cmocka_unit_test(daily_work),
	    cmocka_unit_test(nobody_does),      cmocka_unit_test(files),
	    cmocka_unit_test(connections),      cmocka_unit_test(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
