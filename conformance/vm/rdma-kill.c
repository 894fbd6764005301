/*
 * Preloaded into a program, kills it right before one of its effects: the calls that change a file, ask the RDMA subsystem
 * for something, or print. KILL_BEFORE says which; so a test that counts up kills the program at each of its steps.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void step(void)
{
	static int count;
	const char *wanted = getenv("KILL_BEFORE");

	if (wanted != NULL && ++count == atoi(wanted))
		kill(getpid(), SIGKILL);
}

static int is_effect(int fd)
{
	struct stat facts;

	return fd == STDOUT_FILENO || (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode));
}

/* The next definition of a function: the one of the C library. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int mkdir(const char *path, mode_t mode)
{
	step();
	return NEXT(mkdir)(path, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	if (flags & O_CREAT)
		step();
	return NEXT(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t size)
{
	if (is_effect(fd))
		step();
	return NEXT(write)(fd, data, size);
}

int fsync(int fd)
{
	step();
	return NEXT(fsync)(fd);
}

int rename(const char *from, const char *to)
{
	step();
	return NEXT(rename)(from, to);
}

int remove(const char *path)
{
	step();
	return NEXT(remove)(path);
}

ssize_t send(int socket, const void *data, size_t size, int flags)
{
	step();
	return NEXT(send)(socket, data, size, flags);
}
