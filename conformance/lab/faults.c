/*
 * Preloaded into a program of the name FAULTS_OF, makes file operations fail as a disk or a file system would, for files
 * below FAULTS_IN:
 *
 *	FAIL_FROM, FAIL_ERROR	from the effect of that number on, all that change a file or a folder fail with that error
 *	FAIL_ONCE		only that one does
 *	LOCK_ERROR		locks fail with it
 *	MAP_ERROR		shared mappings fail with it
 *
 * How many effects there were is said on stderr by each: `effect 12`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The C library's own. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char folder[PATH_MAX];
static int first, error, once, lock_error, map_error;

static int number(const char *name)
{
	const char *text = getenv(name);

	return text == NULL ? 0 : atoi(text);
}

/* The program hides its environment once it has begun. */
__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("FAULTS_OF");
	const char *where = getenv("FAULTS_IN");

	if (name == NULL || where == NULL || strcmp(name, program_invocation_short_name) != 0)
		return;
	unsetenv("LD_PRELOAD");
	first = number("FAIL_FROM");
	error = number("FAIL_ERROR");
	once = number("FAIL_ONCE");
	lock_error = number("LOCK_ERROR");
	map_error = number("MAP_ERROR");
	snprintf(folder, sizeof(folder), "%s", where);
}

static int is_below(const char *path)
{
	return folder[0] != '\0' && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_file_below(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t size;

	if (folder[0] == '\0')
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, path, sizeof(path) - 1);
	if (size < 0)
		return 0;
	path[size] = '\0';
	return is_below(path);
}

/* Does the effect that is about to happen fail? */
static int fails(void)
{
	static int count;
	int effect = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);

	dprintf(STDERR_FILENO, "effect %d\n", effect);
	if (first == 0 || effect < first || (once && effect > first))
		return 0;
	errno = error;
	return 1;
}

#define FAIL_IF(condition, failure) \
	do { \
		if ((condition) && fails()) \
			return failure; \
	} while (0)

ssize_t write(int fd, const void *bytes, size_t size)
{
	FAIL_IF(is_file_below(fd), -1);
	return REAL(write)(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	FAIL_IF(is_file_below(fd), -1);
	return REAL(pwrite64)(fd, bytes, size, at);
}

int ftruncate64(int fd, off64_t size)
{
	FAIL_IF(is_file_below(fd), -1);
	return REAL(ftruncate64)(fd, size);
}

int fsync(int fd)
{
	FAIL_IF(error == EIO && is_file_below(fd), -1);
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	FAIL_IF(error == EIO && is_file_below(fd), -1);
	return REAL(fdatasync)(fd);
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	/* a file that is there takes no room, but cannot be written where nothing can */
	FAIL_IF(is_below(path) && (flags & O_ACCMODE) != O_RDONLY && (error == EROFS || access(path, F_OK) != 0), -1);
	return REAL(open64)(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
	FAIL_IF(is_below(path), -1);
	return REAL(mkdir)(path, mode);
}

int rename(const char *from, const char *to)
{
	FAIL_IF(is_below(to), -1);
	return REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
	FAIL_IF(is_below(to), -1);
	return REAL(link)(from, to);
}

int unlink(const char *path)
{
	FAIL_IF(error != ENOSPC && is_below(path), -1);
	return REAL(unlink)(path);
}

int fcntl64(int fd, int command, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, command);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (lock_error && (command == F_SETLK || command == F_SETLKW || command == F_GETLK) && is_file_below(fd)) {
		errno = lock_error;
		return -1;
	}
	return REAL(fcntl64)(fd, command, argument);
}

int flock(int fd, int operation)
{
	if (lock_error && is_file_below(fd)) {
		errno = lock_error;
		return -1;
	}
	return REAL(flock)(fd, operation);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
	if (map_error && (flags & MAP_SHARED) && is_file_below(fd)) {
		errno = map_error;
		return MAP_FAILED;
	}
	return REAL(mmap64)(at, size, protection, flags, fd, offset);
}
