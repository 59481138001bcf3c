// The system call filter that each role enters, for good, after its init. One table lists the calls and the roles that may make
// them; any other call kills the process, so an attacker's code in a role ends with its first forbidden call, and hssd starts the
// role afresh.
//
// What must stay impossible: no role but the loader opens a file, none executes a program, makes a
// socket or connects (but a frontend that is told to connect to peers, and a loader that has an upstream), traces,
// or maps memory both writable and executable. Calls that libraries make unasked and survive without (opening a locale or
// /sys/devices/system/cpu/online) fail with EACCES in place of killing. Hot calls have no argument
// conditions: the kernel caches their verdict and they cost nothing.
#include "supervisor/sandbox.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define F (1u << ROLE_FRONTEND)
#define W (1u << ROLE_WORKER)
#define L (1u << ROLE_LOADER)
#define A (1u << ROLE_ADMIN)

#define ALL (F | W | L | A)
#define NET (F | A) // accept connections

struct call {
	int nr;
	unsigned roles;
};

static const struct call allowed[] = {
    // channels and connections that exist
    {SCMP_SYS(recvfrom), ALL},
    {SCMP_SYS(recvmsg), ALL},
    {SCMP_SYS(sendto), ALL},
    {SCMP_SYS(sendmsg), ALL},
    {SCMP_SYS(read), ALL},
    {SCMP_SYS(readv), ALL},
    {SCMP_SYS(write), ALL},
    {SCMP_SYS(writev), ALL},
    {SCMP_SYS(close), ALL},
    {SCMP_SYS(fcntl), ALL},
    {SCMP_SYS(getsockopt), ALL},
    {SCMP_SYS(shutdown), ALL},
    {SCMP_SYS(accept4), NET},
    {SCMP_SYS(accept), NET},
    {SCMP_SYS(setsockopt), NET},
    {SCMP_SYS(getsockname), NET},
    {SCMP_SYS(getpeername), NET},
    // the event loop
    {SCMP_SYS(epoll_wait), ALL},
    {SCMP_SYS(epoll_pwait), ALL},
    {SCMP_SYS(epoll_pwait2), ALL},
    {SCMP_SYS(epoll_ctl), ALL},
    {SCMP_SYS(poll), ALL},
    {SCMP_SYS(ppoll), ALL},
    {SCMP_SYS(timerfd_settime), ALL},
    {SCMP_SYS(clock_gettime), ALL},
    {SCMP_SYS(clock_getres), ALL},
    {SCMP_SYS(gettimeofday), ALL},
    {SCMP_SYS(time), ALL},
    {SCMP_SYS(clock_nanosleep), ALL},
    {SCMP_SYS(nanosleep), ALL},
    {SCMP_SYS(restart_syscall), ALL},
    // memory, signals, the C library, libcrypto
    {SCMP_SYS(brk), ALL},
    {SCMP_SYS(munmap), ALL},
    {SCMP_SYS(mremap), ALL},
    {SCMP_SYS(madvise), ALL},
    {SCMP_SYS(futex), ALL},
    {SCMP_SYS(getrandom), ALL},
    {SCMP_SYS(membarrier), ALL},
    {SCMP_SYS(sched_yield), ALL},
    {SCMP_SYS(sched_getaffinity), ALL},
    {SCMP_SYS(getcpu), ALL},
    {SCMP_SYS(sysinfo), ALL}, // qsort asks for the memory size
    {SCMP_SYS(uname), ALL},
    {SCMP_SYS(getrusage), ALL},
    {SCMP_SYS(getpid), ALL},
    {SCMP_SYS(getppid), ALL},
    {SCMP_SYS(gettid), ALL},
    {SCMP_SYS(getuid), ALL},
    {SCMP_SYS(geteuid), ALL},
    {SCMP_SYS(getgid), ALL},
    {SCMP_SYS(getegid), ALL},
    {SCMP_SYS(rt_sigaction), ALL},
    {SCMP_SYS(rt_sigprocmask), ALL},
    {SCMP_SYS(rt_sigreturn), ALL},
    {SCMP_SYS(sigaltstack), ALL},
    {SCMP_SYS(exit), ALL},
    {SCMP_SYS(exit_group), ALL},
    {SCMP_SYS(fstat), ALL},
    {SCMP_SYS(newfstatat), ALL}, // fstat is made of it
    // files of the state directory, as SQLite and the journal use them
    {SCMP_SYS(open), L},
    {SCMP_SYS(openat), L},
    {SCMP_SYS(pread64), F | L}, // F: certificates and key, at a reload
    {SCMP_SYS(pwrite64), L},
    {SCMP_SYS(preadv), L},
    {SCMP_SYS(pwritev), L},
    {SCMP_SYS(lseek), L},
    {SCMP_SYS(fsync), L},
    {SCMP_SYS(fdatasync), L},
    {SCMP_SYS(sync_file_range), L},
    {SCMP_SYS(fallocate), L},
    {SCMP_SYS(fadvise64), L},
    {SCMP_SYS(ftruncate), L},
    {SCMP_SYS(msync), L},
    {SCMP_SYS(stat), L},
    {SCMP_SYS(lstat), L},
    {SCMP_SYS(statx), L},
    {SCMP_SYS(statfs), L},
    {SCMP_SYS(fstatfs), L},
    {SCMP_SYS(access), L},
    {SCMP_SYS(faccessat), L},
    {SCMP_SYS(faccessat2), L},
    {SCMP_SYS(readlink), L},
    {SCMP_SYS(readlinkat), L},
    {SCMP_SYS(getcwd), L},
    {SCMP_SYS(getdents64), L},
    {SCMP_SYS(unlink), L},
    {SCMP_SYS(unlinkat), L},
    {SCMP_SYS(rename), L},
    {SCMP_SYS(renameat), L},
    {SCMP_SYS(renameat2), L},
    {SCMP_SYS(fchmod), L},
    {SCMP_SYS(fchown), L},
    {SCMP_SYS(flock), L},
    {SCMP_SYS(inotify_add_watch), L}, // store.path
    {SCMP_SYS(inotify_rm_watch), L},
    // threads of its own
    {SCMP_SYS(set_robust_list), L},
    {SCMP_SYS(rseq), L},
    {SCMP_SYS(eventfd2), L},
};

// Refused, but not a reason to die.
static const struct {
	struct call call;
	int error;
} refused[] = {
    {{SCMP_SYS(open), F | W | A}, EACCES},
    {{SCMP_SYS(openat), F | W | A}, EACCES},
    {{SCMP_SYS(access), F | W | A}, EACCES},
    {{SCMP_SYS(stat), F | W | A}, EACCES},
    {{SCMP_SYS(lstat), F | W | A}, EACCES},
    {{SCMP_SYS(statx), F | W | A}, EACCES},
    {{SCMP_SYS(readlink), F | W | A}, EACCES},
    {{SCMP_SYS(readlinkat), F | W | A}, EACCES},
    // Its flags can't be seen by a filter: the C library falls back to clone.
    {{SCMP_SYS(clone3), ALL}, ENOSYS},
};

static int allow_tables(scmp_filter_ctx ctx, unsigned bit)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (!(allowed[i].roles & bit))
			continue;
		int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i].nr, 0);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (!(refused[i].call.roles & bit))
			continue;
		int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(refused[i].error), refused[i].call.nr, 0);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int allow_conditions(scmp_filter_ctx ctx, unsigned bit)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	const struct {
		struct call call;
		uint32_t action;
		struct scmp_arg_cmp when;
	} rows[] = {
	    {{SCMP_SYS(mmap), ALL}, SCMP_ACT_ALLOW, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	    {{SCMP_SYS(mprotect), ALL}, SCMP_ACT_ALLOW, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	    // how much can be read (libevent's buffers); no other request
	    {{SCMP_SYS(ioctl), ALL}, SCMP_ACT_ALLOW, {1, SCMP_CMP_EQ, FIONREAD, 0}},
	    {{SCMP_SYS(ioctl), ALL}, SCMP_ACT_ERRNO(ENOTTY), {1, SCMP_CMP_NE, FIONREAD, 0}},
	    // abort() signals its own process
	    {{SCMP_SYS(tgkill), ALL}, SCMP_ACT_ALLOW, {0, SCMP_CMP_EQ, self, 0}},
	    {{SCMP_SYS(prctl), ALL}, SCMP_ACT_ALLOW, {0, SCMP_CMP_EQ, PR_SET_NAME, 0}},
	    // limits are read, not set
	    {{SCMP_SYS(prlimit64), ALL}, SCMP_ACT_ALLOW, {2, SCMP_CMP_EQ, 0, 0}},
	    {{SCMP_SYS(clone), L}, SCMP_ACT_ALLOW, {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!(rows[i].call.roles & bit))
			continue;
		int rc = seccomp_rule_add_array(ctx, rows[i].action, rows[i].call.nr, 1, &rows[i].when);
		if (rc < 0)
			return rc;
	}
	return 0;
}

// A socket of TCP or SCTP over IPv4 or IPv6, and nothing else. SCTP is bound and connected by setsockopt.
static int allow_peers(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6}, protocols[] = {0, IPPROTO_SCTP};
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	for (size_t i = 0; i < 4 && rc == 0; i++) {
		const struct scmp_arg_cmp args[] = {
		    {0, SCMP_CMP_EQ, (scmp_datum_t)families[i / 2], 0},
		    {1, SCMP_CMP_EQ, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0},
		    {2, SCMP_CMP_EQ, (scmp_datum_t)protocols[i % 2], 0},
		};
		rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, args);
	}
	return rc;
}

// The driver, and the C library looking up names: UDP to the name server, a Unix socket to a resolver or a database
// on this host. What it does without is refused: the kernel's list of addresses (netlink), and modules of
// nsswitch.conf that would have to be mapped now (sandbox_load_resolver has done it before).
static int allow_upstream(scmp_filter_ctx ctx)
{
	static const int calls[] = {SCMP_SYS(connect),	   SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
				    SCMP_SYS(getpeername), SCMP_SYS(sendmmsg),	 SCMP_SYS(recvmmsg)};
	const struct {
		int call;
		uint32_t action;
		struct scmp_arg_cmp when;
	} rows[] = {
	    {SCMP_SYS(socket), SCMP_ACT_ALLOW, {0, SCMP_CMP_EQ, AF_INET, 0}},
	    {SCMP_SYS(socket), SCMP_ACT_ALLOW, {0, SCMP_CMP_EQ, AF_INET6, 0}},
	    {SCMP_SYS(socket), SCMP_ACT_ALLOW, {0, SCMP_CMP_EQ, AF_UNIX, 0}},
	    {SCMP_SYS(socket), SCMP_ACT_ERRNO(EACCES), {0, SCMP_CMP_EQ, AF_NETLINK, 0}},
	    {SCMP_SYS(mmap), SCMP_ACT_ERRNO(EACCES), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC}},
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++)
		rc = seccomp_rule_add_array(ctx, rows[i].action, rows[i].call, 1, &rows[i].when);
	return rc;
}

static int filter_load(enum role role, bool connects)
{
	unsigned bit = 1u << role;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	rc = rc ? rc : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); // threads that init made
	// The mitigation that comes with a filter is for processes that run foreign code; ours don't, and it
	// is slow.
	rc = rc ? rc : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	rc = rc ? rc : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	rc = rc ? rc : allow_tables(ctx, bit);
	rc = rc ? rc : allow_conditions(ctx, bit);
	if (rc == 0 && connects && role == ROLE_FRONTEND)
		rc = allow_peers(ctx);
	if (rc == 0 && connects && role == ROLE_LOADER)
		rc = allow_upstream(ctx);
	rc = rc ? rc : seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}

void sandbox_load_resolver(void)
{
	char line[512], *save = NULL, name[96];
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "#")] = 0;
		const char *word = strtok_r(line, ": \t\n", &save);
		if (!word || strcmp(word, "hosts") != 0)
			continue;
		while ((word = strtok_r(NULL, " \t\n", &save))) {
			// [NOTFOUND=return] is what to do, not a module; files and dns are in the C library
			if (!isalpha((unsigned char)word[0]) || strchr(word, '/') || strchr(word, '='))
				continue;
			snprintf(name, sizeof(name), "libnss_%.64s.so.2", word);
			(void)dlopen(name, RTLD_NOW);
		}
	}
	if (f)
		fclose(f);
}

int sandbox_enter(enum role role, bool seccomp, bool connects)
{
	const struct rlimit no_core = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
#ifdef HSS_SANITIZED // sanitizers trace their own process, and make calls of their own
	(void)role;
	(void)seccomp;
	(void)connects;
	(void)filter_load;
	return 0;
#else
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return seccomp ? filter_load(role, connects) : 0;
#endif
}
