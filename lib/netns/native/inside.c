/*
 * Errands inside another network namespace.
 *
 * A task of its own runs them: it shares memory and descriptors with us, enters the namespace, and ends there. So no
 * thread of ours is ever elsewhere, not even when the way back would fail; coming back could (no memory, a capability
 * given up), and a thread that stayed would go on to work on the wrong links. The calling thread waits, as in vfork(2),
 * and lends the task its stack: 20 µs in all, as entering and leaving cost.
 */
#include "native.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

/* An errand is a few system calls. */
#define STACK_BYTES (32 * 1024)

struct trip {
	int nsfd;
	errand run;
	void *with;
	int64_t outcome;
};

static int travel(void *arg)
{
	struct trip *trip = arg;

	trip->outcome = setns(trip->nsfd, CLONE_NEWNET) < 0 ? -errno : trip->run(trip->with);
	return 0;
}

int64_t run_inside(int nsfd, errand run, void *with)
{
	_Alignas(16) char stack[STACK_BYTES];
	struct trip trip = { .nsfd = nsfd, .run = run, .with = with, .outcome = -ECHILD };
	sigset_t all, before;
	int task, failure;

	/* A handler would run on borrowed memory in the wrong place. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	task = clone(travel, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_VFORK, &trip);
	failure = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (task < 0)
		return -failure;
	while (waitpid(task, NULL, __WALL) < 0 && errno == EINTR)
		;
	return trip.outcome;
}
