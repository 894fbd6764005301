/*
 * Errands inside another network namespace: the calling thread goes there, and comes back.
 *
 * A thread that cannot come back would work on the wrong links from then on. The kernel refuses that for want of memory
 * at most, so it is asked again for a while; a thread that stays away even so gets no errand any more, and opens nothing
 * here that could lead astray: who has called it is told, and the process is its owner's to end.
 *
 * A task of its own that enters and ends there (vfork) would have no way back to lose; it takes 25 µs more on an idle
 * machine, and 9 ms where other programs keep the processors busy: it must be scheduled first.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100
#define PAUSE_NS (10 * 1000 * 1000)

/* The namespace of the process, open from the first errand on. */
static int home = -1;
static _Thread_local bool is_lost;

static int open_home(void)
{
	int known = __atomic_load_n(&home, __ATOMIC_ACQUIRE), none = -1, fd;

	if (known >= 0)
		return known;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (__atomic_compare_exchange_n(&home, &none, fd, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return fd;
	close(fd); /* another thread was faster */
	return none;
}

static bool come_back(int fd)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	for (int tries = 0; tries < TRIES; tries++) {
		if (setns(fd, CLONE_NEWNET) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

int64_t run_inside(int nsfd, errand run, void *with)
{
	int way_back = open_home();
	int64_t outcome;

	if (is_lost)
		return -ENOTRECOVERABLE;
	if (way_back < 0)
		return way_back;
	if (setns(nsfd, CLONE_NEWNET) < 0)
		return -errno;
	outcome = run(with);
	is_lost = !come_back(way_back);
	return outcome;
}

bool has_lost_its_way(void)
{
	return is_lost;
}
