/*
 * Preloaded into a program, adds the seconds that the file CLOCK_FILE has (eight bytes) to the time of day it is told:
 * the clock jumps for nobody else when somebody writes there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The C library's own. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CLOCK_FILE");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

	if (shared != MAP_FAILED)
		offset = shared;
	if (fd >= 0)
		close(fd);
}

static int64_t shift(void)
{
	return offset == NULL ? 0 : *offset;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int outcome = REAL(clock_gettime)(clock, now);

	if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += shift();
	return outcome;
}

int gettimeofday(struct timeval *now, void *zone)
{
	int outcome = REAL(gettimeofday)(now, zone);

	if (outcome == 0)
		now->tv_sec += shift();
	return outcome;
}

time_t time(time_t *into)
{
	time_t now = REAL(time)(NULL) + shift();

	if (into != NULL)
		*into = now;
	return now;
}
