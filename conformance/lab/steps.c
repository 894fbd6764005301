/*
 * Preloaded into a program of the name STEPS_OF, says on stderr what each of its effects is, and kills it right after the
 * one that KILL_AFTER numbers. Effects are what changes files, what asks the kernel to change something, and frames that are sent: a test that
 * counts up kills the program after each of its steps, whatever they are. Requests that only ask are said too, but never
 * counted. Of several requests in one datagram each is an effect, and what follows the last one is not sent: the kernel does
 * all of them or none when a program is killed, but nothing shall depend on it. With STEPS_SERVED the program serves callers, and what it does before the first one has come does not count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The C library's own. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Is this the program that STEPS_OF names, not one that starts it? What it starts itself is not meant either. */
static int is_watched;
/* Has it no caller yet? */
static int waits_for_caller;
/* The effect after which it is killed. */
static int last;
/* Effects so far. */
static int count;
/* Its process: what it does in other namespaces is done by short-lived ones that have its memory. */
static pid_t program;

/* The program hides its environment once it has begun. */
__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("STEPS_OF");
	const char *number = getenv("KILL_AFTER");

	last = number == NULL ? 0 : atoi(number);
	program = getpid();
	is_watched = name != NULL && strcmp(name, program_invocation_short_name) == 0;
	if (is_watched) {
		unsetenv("LD_PRELOAD");
		if (getenv("STEPS_SERVED") != NULL)
			is_watched = 0, waits_for_caller = 1;
	}
}

/* Called after the effect. */
static void step(const char *what, const char *which)
{
	int failure = errno;
	int number;

	if (!is_watched)
		return;
	number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
	dprintf(STDERR_FILENO, "step %d: %s %s\n", number, what, which);
	if (number == last) {
		kill(program, SIGKILL);
		kill(getpid(), SIGKILL);
	}
	errno = failure;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static int is_file(int fd)
{
	struct stat facts;

	return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

/* Of four types of requests in a row the third only asks: <linux/rtnetlink.h>. RDMA has them in an order of its own. */
static int only_asks(int fd, int type)
{
	int operation = RDMA_NL_GET_OP(type);

	switch (option(fd, SO_PROTOCOL)) {
	case NETLINK_ROUTE:
		return type % 4 == 2;
	case NETLINK_RDMA:
		return operation == RDMA_NLDEV_CMD_GET || operation == RDMA_NLDEV_CMD_SYS_GET;
	default:
		return 0;
	}
}

/* The part of a datagram that is sent: up to the effect after which the program is killed. */
static size_t part_of(int fd, const void *bytes, size_t size)
{
	int steps = __atomic_load_n(&count, __ATOMIC_SEQ_CST);
	const struct nlmsghdr *request = bytes;
	int left = (int)size;

	if (fd <= STDERR_FILENO || !is_watched || option(fd, SO_DOMAIN) != AF_NETLINK)
		return size;
	for (; NLMSG_OK(request, left); request = NLMSG_NEXT(request, left))
		if (!only_asks(fd, request->nlmsg_type) && ++steps == last)
			return size - (size_t)left + request->nlmsg_len;
	return size;
}

/* Something was written to a descriptor. */
static void sent(int fd, const void *bytes, size_t size)
{
	const struct nlmsghdr *request = bytes;
	int left = (int)size;
	char type[8];

	if (fd <= STDERR_FILENO || !is_watched)
		return;
	if (option(fd, SO_DOMAIN) == AF_NETLINK) {
		for (; NLMSG_OK(request, left); request = NLMSG_NEXT(request, left)) {
			snprintf(type, sizeof(type), "%hu", request->nlmsg_type);
			if (only_asks(fd, request->nlmsg_type))
				dprintf(STDERR_FILENO, "ask %s\n", type);
			else
				step("request", type);
		}
	} else if (is_file(fd)) {
		step("write", "to a file");
	}
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	size_t part = part_of(fd, bytes, size);
	ssize_t written = REAL(write)(fd, bytes, part);

	sent(fd, bytes, part);
	return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	ssize_t written = REAL(pwrite64)(fd, bytes, size, at);

	sent(fd, bytes, size);
	return written;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
	size_t part = part_of(fd, bytes, size);
	ssize_t written = REAL(send)(fd, bytes, part, flags);

	sent(fd, bytes, part);
	return written;
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	ssize_t written = REAL(sendto)(fd, bytes, size, flags, to, length);

	step("send", "a frame");
	return written;
}

int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
	int caller = REAL(accept4)(fd, from, length, flags);

	if (caller >= 0 && waits_for_caller)
		is_watched = 1;
	return caller;
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;
	int fd;

	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	fd = REAL(open64)(path, flags, mode);
	if (flags & O_CREAT)
		step("create", path);
	return fd;
}

int mkdir(const char *path, mode_t mode)
{
	int outcome = REAL(mkdir)(path, mode);

	step("make folder", path);
	return outcome;
}

int rename(const char *from, const char *to)
{
	int outcome = REAL(rename)(from, to);

	step("rename to", to);
	return outcome;
}

int unlink(const char *path)
{
	int outcome = REAL(unlink)(path);

	step("remove", path);
	return outcome;
}

int remove(const char *path)
{
	int outcome = REAL(remove)(path);

	step("remove", path);
	return outcome;
}
