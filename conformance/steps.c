/*
 * Preloaded into a program, says on stderr what each of its effects is, and kills it right after the one that KILL_AFTER
 * names. Effects are what changes files and what asks the kernel to change links, addresses, routes: a test that counts
 * up kills the program after each of its steps, whatever they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The C library's own. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void step(const char *what, const char *which)
{
	static int count;
	const char *last = getenv("KILL_AFTER");
	int number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);

	dprintf(STDERR_FILENO, "step %d: %s %s\n", number, what, which);
	if (last != NULL && number == atoi(last))
		kill(getpid(), SIGKILL);
}

static int is_netlink(int fd)
{
	int domain;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK;
}

static int is_file(int fd)
{
	struct stat facts;

	return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

/* Of four types of requests in a row the third only asks: <linux/rtnetlink.h>. */
static void request_step(const struct nlmsghdr *request)
{
	char type[8];

	if (request->nlmsg_type % 4 == 2)
		return;
	snprintf(type, sizeof(type), "%hu", request->nlmsg_type);
	step("request", type);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	ssize_t written = REAL(write)(fd, bytes, size);

	if (fd <= STDERR_FILENO)
		return written;
	if (is_netlink(fd))
		request_step(bytes);
	else if (is_file(fd))
		step("write", "to a file");
	return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	ssize_t written = REAL(pwrite64)(fd, bytes, size, at);

	step("write", "to a file");
	return written;
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
