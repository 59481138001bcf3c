// Process 1 of a test's virtual machine: mounts, loads modules, brings the loopback interface up, runs one program, and
// tells how it ended in its last line, "VM_EXIT=N". Linked statically: in QEMU it starts before there is a file system.
//
// The kernel hands what it doesn't know of its command line on as environment:
//   VM_RUN=/path            the program
//   VM_RW=/dir              a directory that is written on the host, too
//   VM_ROOT=9p              the host's / comes from 9p share "root", VM_RW from share "rw" (QEMU); else / is it (UML)
//   VM_MODULES=/dir:a,b,c   modules, in this order
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARE_OPTIONS "trans=virtio,version=9p2000.L,msize=262144"

static void mount_on(const char *what, const char *where, const char *type, unsigned long flags, const char *options)
{
	if (mount(what, where, type, flags, options) < 0 && errno != EBUSY)
		printf("init: mount %s: %s\n", where, strerror(errno));
}

static void mount_system(void)
{
	mount_on("proc", "/proc", "proc", 0, NULL);
	mount_on("sysfs", "/sys", "sysfs", 0, NULL);
	mount_on("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mount_on("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	mount_on("tmpfs", "/run", "tmpfs", 0, NULL);
}

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		printf("init: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void load_all(char *list)
{
	char path[512], *save = NULL;
	char *names = strchr(list, ':');
	if (!names)
		return;
	*names++ = 0;
	for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		snprintf(path, sizeof path, "%s/%s", list, name);
		load(path);
	}
}

// The initramfs gives way to the host's file system.
static void enter_host(const char *rw)
{
	char path[512];
	mount_on("root", "/host", "9p", MS_RDONLY, SHARE_OPTIONS ",cache=loose");
	snprintf(path, sizeof path, "/host%s", rw);
	mount_on("rw", path, "9p", 0, SHARE_OPTIONS);
	if (chroot("/host") < 0 || chdir("/") < 0)
		printf("init: chroot: %s\n", strerror(errno));
	mount_system();
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		printf("init: lo: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int run(const char *program)
{
	int status = 0;
	pid_t ended, child = fork();
	if (child == 0) {
		setsid();
		execl(program, program, (char *)NULL);
		printf("init: %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	do // and whoever lost its parent
		ended = wait(&status);
	while (ended != child && (ended > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	char *modules = getenv("VM_MODULES"), *root = getenv("VM_ROOT"), *rw = getenv("VM_RW"), *program = getenv("VM_RUN");

	mount_system();
	int console = open("/dev/console", O_RDWR);
	if (console >= 0) {
		dup2(console, 0);
		dup2(console, 1);
		dup2(console, 2);
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	if (!rw || !program) {
		puts("init: VM_RW and VM_RUN are not set");
	} else {
		if (modules)
			load_all(modules);
		if (root)
			enter_host(rw);
		else
			mount_on("none", rw, "hostfs", 0, rw);
		loopback_up();
		sethostname("vm", 2);
		printf("\nVM_EXIT=%d\n", run(program));
	}
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
