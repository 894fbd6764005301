/*
 * Threads that wait for the kernel instead of the event loop. A request is processed while it is sent, and waits there
 * for the kernel's lock of all links (RTNL); a dump is assembled while it is received, and waits there likewise. Node's
 * own pool has only four threads for everything, including files: a few waits for a grace period would stall it.
 *
 * A thread is started when there is work and none is idle, up to a limit; one that has been idle for a while ends.
 */
#include "native.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define MAX_THREADS 64
#define IDLE_SECONDS 10
#define STACK_BYTES (256 * 1024)

struct job {
	struct job *next;
	int nsfd, fd, timeout_ms; /* timeout_ms < 0: send */
	void *data;
	size_t size;
	int64_t outcome;
	napi_deferred promise;
	napi_ref bytes; /* keeps the buffer alive */
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_came;
static struct job *first, **last = &first;
static int threads, idle, queued;

/* Used by the main thread only. */
static napi_threadsafe_function finished;
static int pending;

static struct job *next_job(void)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	while (first == NULL) {
		int late;

		idle++;
		late = pthread_cond_timedwait(&work_came, &guard, &until);
		idle--;
		if (late == ETIMEDOUT && first == NULL)
			return NULL;
	}
	struct job *job = first;

	queued--;
	first = job->next;
	if (first == NULL)
		last = &first;
	return job;
}

static bool have_thread(void);

static void *serve(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&guard);
	for (struct job *job = next_job(); job != NULL; job = next_job()) {
		pthread_mutex_unlock(&guard);
		job->outcome = job->timeout_ms < 0 ? send_datagram(job->nsfd, job->fd, job->data, job->size)
						   : receive_datagram(job->fd, job->data, job->size, job->timeout_ms);
		napi_call_threadsafe_function(finished, job, napi_tsfn_nonblocking);
		pthread_mutex_lock(&guard);
		if (is_stranded())
			break; /* another thread takes its place */
	}
	threads--;
	if (queued > 0)
		have_thread();
	pthread_mutex_unlock(&guard);
	return NULL;
}

/* Call with the guard locked; false when there is no thread and none can be started. */
static bool have_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool started;

	if (queued < idle || threads >= MAX_THREADS)
		return true;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	started = pthread_create(&thread, &attributes, serve, NULL) == 0;
	pthread_attr_destroy(&attributes);
	threads += started;
	return threads > 0;
}

/* Runs on the main thread. */
static void settle(napi_env env, napi_value unused, void *context, void *data)
{
	struct job *job = data;

	(void)unused;
	(void)context;
	if (--pending == 0 && env != NULL)
		napi_unref_threadsafe_function(env, finished);
	if (env != NULL) {
		napi_handle_scope scope;

		napi_open_handle_scope(env, &scope);
		napi_resolve_deferred(env, job->promise, number(env, job->outcome));
		napi_delete_reference(env, job->bytes);
		napi_close_handle_scope(env, scope);
	}
	free(job);
}

static bool prepare(napi_env env)
{
	pthread_condattr_t attributes;
	napi_value name;

	if (finished != NULL)
		return true;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&work_came, &attributes);
	pthread_condattr_destroy(&attributes);
	return napi_create_string_utf8(env, "netlink", NAPI_AUTO_LENGTH, &name) == napi_ok &&
	       napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, settle, &finished) ==
		       napi_ok &&
	       napi_unref_threadsafe_function(env, finished) == napi_ok;
}

static bool enqueue(struct job *job)
{
	bool served;

	pthread_mutex_lock(&guard);
	served = have_thread();
	if (served) {
		*last = job;
		last = &job->next;
		queued++;
		pthread_cond_signal(&work_came);
	}
	pthread_mutex_unlock(&guard);
	return served;
}

/* A promise of the job's outcome; it keeps the process alive until it is settled. */
static napi_value promise_of(napi_env env, const struct job *wanted, napi_value bytes)
{
	struct job *job = malloc(sizeof(*job));
	napi_value promise = NULL;

	if (job == NULL || !prepare(env))
		goto failed;
	*job = *wanted;
	if (napi_create_reference(env, bytes, 1, &job->bytes) != napi_ok)
		goto failed;
	if (napi_create_promise(env, &job->promise, &promise) != napi_ok) {
		napi_delete_reference(env, job->bytes);
		goto failed;
	}
	if (pending++ == 0)
		napi_ref_threadsafe_function(env, finished);
	if (!enqueue(job)) {
		job->outcome = -EAGAIN;
		settle(env, NULL, NULL, job);
	}
	return promise;
failed:
	free(job);
	return number(env, -ENOMEM);
}

/* sendOnThread(nsfd, fd, buffer): as sendInNetns; with nsfd -1 from the current namespace */
napi_value send_on_thread(napi_env env, napi_callback_info info)
{
	struct job job = { .timeout_ms = -1 };
	napi_value argv[MAX_ARGS];

	if (!arguments(env, info, 3, argv) || !is_integer(env, argv[0], &job.nsfd) || job.nsfd < -1 ||
	    !is_descriptor(env, argv[1], &job.fd) || !is_bytes(env, argv[2], &job.data, &job.size))
		return number(env, -EINVAL);
	return promise_of(env, &job, argv[2]);
}

/* receiveOnThread(fd, buffer, timeoutMs): as receive; the thread owns the buffer until the promise is settled */
napi_value receive_on_thread(napi_env env, napi_callback_info info)
{
	struct job job = { .nsfd = -1 };
	napi_value argv[MAX_ARGS];

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &job.fd) ||
	    !is_bytes(env, argv[1], &job.data, &job.size) || !is_integer(env, argv[2], &job.timeout_ms) ||
	    job.timeout_ms < 0)
		return number(env, -EINVAL);
	return promise_of(env, &job, argv[1]);
}
