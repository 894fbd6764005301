/*
 * Preloaded into a program, writes the name of each of its effects to the file STEPS, one line each, and kills the
 * program right after the one that KILL_AFTER says. Effects are calls that change a file, and netlink requests: those that
 * only ask are named "ask" and never counted. So a test that counts up kills the program after each of its steps,
 * whatever they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The next definition of a function: the one of the C library. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void note(const char *what, const char *of)
{
	const char *file = getenv("STEPS");
	char line[512];
	int length, fd;

	if (file == NULL)
		return;
	length = snprintf(line, sizeof(line), "%s %s\n", what, of);
	fd = NEXT(open64)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)!NEXT(write)(fd, line, length);
	close(fd);
}

/* Called after the effect. */
static void step(const char *what, const char *of)
{
	static int count;
	const char *wanted = getenv("KILL_AFTER");
	int failure = errno;

	note(what, of);
	if (wanted != NULL && __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) == atoi(wanted))
		kill(getpid(), SIGKILL);
	errno = failure;
}

/* A request that asks has a type whose last two bits are 10 (<linux/rtnetlink.h>). */
static void netlink_step(const struct nlmsghdr *request)
{
	char type[16];

	snprintf(type, sizeof(type), "%u", request->nlmsg_type);
	if ((request->nlmsg_type & 3) == 2)
		note("ask", type);
	else
		step("request", type);
}

static int is_netlink(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK;
}

/* A regular file, or one of /proc/sys */
static int is_file(int fd)
{
	struct stat facts;

	return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t written = NEXT(write)(fd, data, size);

	if (fd > STDERR_FILENO && is_netlink(fd))
		netlink_step(data);
	else if (fd > STDERR_FILENO && is_file(fd))
		step("write", "file");
	return written;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	ssize_t sent = NEXT(sendto)(fd, data, size, flags, to, length);

	step("send", "frame");
	return sent;
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;
	int fd;

	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	fd = NEXT(open64)(path, flags, mode);
	if ((flags & O_CREAT) && strncmp(path, "/var/lib/cni", 12) == 0)
		step("create", path);
	return fd;
}

int mkdir(const char *path, mode_t mode)
{
	int outcome = NEXT(mkdir)(path, mode);

	step("mkdir", path);
	return outcome;
}

int rename(const char *from, const char *to)
{
	int outcome = NEXT(rename)(from, to);

	step("rename", to);
	return outcome;
}

int unlink(const char *path)
{
	int outcome = NEXT(unlink)(path);

	step("unlink", path);
	return outcome;
}

int remove(const char *path)
{
	int outcome = NEXT(remove)(path);

	step("remove", path);
	return outcome;
}
