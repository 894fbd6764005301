/*
 * Callers on a local socket: who they are, what they send with a descriptor, and when there is something to read. Node
 * reads such sockets too, but drops descriptors and does not say who is there.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * The part of libuv that is used here. Node exports it, with an ABI that has not changed since libuv 1.19; its headers
 * come with no package that we have.
 */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;

enum { UV_POLL = 8 };
enum { EVENTS = 1 | 2 | 4 }; /* readable, writable, gone */

size_t uv_handle_size(int type);
void uv_handle_set_data(uv_poll_t *handle, void *data);
void *uv_handle_get_data(const uv_poll_t *handle);
int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, void (*call)(uv_poll_t *handle, int status, int events));
void uv_close(uv_poll_t *handle, void (*call)(uv_poll_t *handle));

/* listenAt(path, backlog): a socket that listens at a path where nothing is yet */
napi_value listen_at(napi_env env, napi_callback_info info)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	napi_value argv[MAX_ARGS];
	size_t length = 0;
	int backlog, fd, failure;

	if (!arguments(env, info, 2, argv) ||
	    napi_get_value_string_utf8(env, argv[0], address.sun_path, sizeof(address.sun_path), &length) != napi_ok ||
	    !is_integer(env, argv[1], &backlog))
		return number(env, -EINVAL);
	if (length == 0 || length + 1 >= sizeof(address.sun_path))
		return number(env, -ENAMETOOLONG);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return number(env, -errno);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, backlog) == 0)
		return number(env, fd);
	failure = errno;
	close(fd);
	return number(env, -failure);
}

/* acceptCaller(fd): the next caller; -EAGAIN when none waits. The listening socket becomes non-blocking. */
napi_value accept_caller(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int listener, fd;

	if (!arguments(env, info, 1, argv) || !is_descriptor(env, argv[0], &listener))
		return number(env, -EINVAL);
	/* One that systemd has passed on may block, and is open in whatever we execute. */
	(void)fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
	(void)fcntl(listener, F_SETFD, FD_CLOEXEC);
	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	return number(env, fd < 0 ? -errno : fd);
}

/* peerUid(fd): the user who has connected, by the kernel's word */
napi_value peer_uid(napi_env env, napi_callback_info info)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	napi_value argv[MAX_ARGS];
	int fd;

	if (!arguments(env, info, 1, argv) || !is_descriptor(env, argv[0], &fd))
		return number(env, -EINVAL);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return number(env, -errno);
	return number(env, peer.uid);
}

/* The first descriptor of a message; others are closed. */
static int descriptor_in(struct msghdr *message)
{
	int kept = -1;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		const unsigned char *fds = CMSG_DATA(part);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
			int fd;

			memcpy(&fd, fds + at, sizeof(fd));
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

/* receiveBytes(fd, buffer, descriptor): the length of what was there, 0 at the end; an int32 becomes a descriptor, or -1 */
napi_value receive_bytes(napi_env env, napi_callback_info info)
{
	/* Room for one: the kernel closes those that find none. */
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec into = { 0 };
	struct msghdr message = { .msg_iov = &into, .msg_iovlen = 1, .msg_control = control.bytes };
	napi_value argv[MAX_ARGS];
	void *descriptor = NULL;
	size_t room = 0;
	int fd, received = -1;
	ssize_t length;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &fd) ||
	    !is_bytes(env, argv[1], &into.iov_base, &into.iov_len) || into.iov_len == 0 ||
	    !is_bytes(env, argv[2], &descriptor, &room) || room != sizeof(received))
		return number(env, -EINVAL);
	do {
		message.msg_controllen = sizeof(control.bytes);
		length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (length < 0 && errno == EINTR);
	if (length >= 0)
		received = descriptor_in(&message);
	memcpy(descriptor, &received, sizeof(received));
	return number(env, length < 0 ? -errno : length);
}

/* sendBytes(fd, buffer): how many were taken; -EAGAIN when the caller reads too slowly */
napi_value send_bytes(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	void *data = NULL;
	size_t size = 0;
	ssize_t sent;
	int fd;

	if (!arguments(env, info, 2, argv) || !is_descriptor(env, argv[0], &fd) || !is_bytes(env, argv[1], &data, &size))
		return number(env, -EINVAL);
	do {
		sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return number(env, sent < 0 ? -errno : sent);
}

/* A descriptor that the event loop looks at. */
struct watch {
	struct watch *next;
	napi_env env;
	int fd;
	uv_poll_t *poll;
	napi_ref call;
	napi_async_context context;
};

/* Used by the main thread only. */
static struct watch *watches;

static struct watch **find_watch(int fd)
{
	struct watch **at = &watches;

	while (*at != NULL && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

static void happened(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = uv_handle_get_data(poll);
	napi_env env = watch->env;
	napi_handle_scope scope;
	napi_value call, self, happening, error;

	if (napi_open_handle_scope(env, &scope) != napi_ok)
		return;
	happening = number(env, status < 0 ? EVENTS : events);
	if (napi_get_reference_value(env, watch->call, &call) == napi_ok && napi_get_global(env, &self) == napi_ok &&
	    napi_make_callback(env, watch->context, self, call, 1, &happening, NULL) == napi_pending_exception &&
	    napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
	napi_close_handle_scope(env, scope);
}

static void forget(uv_poll_t *poll)
{
	free(poll);
}

static void end_watch(struct watch **at)
{
	struct watch *watch = *at;

	*at = watch->next;
	uv_close(watch->poll, forget);
	napi_async_destroy(watch->env, watch->context);
	napi_delete_reference(watch->env, watch->call);
	free(watch);
}

static int64_t begin_watch(napi_env env, int fd, napi_value call, struct watch **made)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	uv_poll_t *poll = calloc(1, uv_handle_size(UV_POLL));
	uv_loop_t *loop = NULL;
	napi_value name;
	int failure = -ENOMEM;

	if (watch == NULL || poll == NULL || napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok)
		goto failed;
	failure = uv_poll_init(loop, poll, fd);
	if (failure < 0)
		goto failed;
	*watch = (struct watch){ .next = watches, .env = env, .fd = fd, .poll = poll };
	uv_handle_set_data(poll, watch);
	if (napi_create_string_utf8(env, "caller", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_async_init(env, NULL, name, &watch->context) != napi_ok ||
	    napi_create_reference(env, call, 1, &watch->call) != napi_ok) {
		uv_close(poll, forget);
		free(watch);
		return -ENOMEM;
	}
	watches = watch;
	*made = watch;
	return 0;
failed:
	free(watch);
	free(poll);
	return failure;
}

/*
 * watch(fd, events, call): calls with what has happened: 1 readable, 2 writable, 4 gone, or all after an error. Again and
 * again, until other events are wanted, or none (0), which must be so before the descriptor is closed.
 */
napi_value watch(napi_env env, napi_callback_info info)
{
	napi_valuetype type = napi_undefined;
	napi_value argv[MAX_ARGS];
	struct watch **at, *known;
	int fd, events;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &fd) || !is_integer(env, argv[1], &events) ||
	    (events & ~EVENTS) != 0)
		return number(env, -EINVAL);
	at = find_watch(fd);
	if (events == 0) {
		if (*at != NULL)
			end_watch(at);
		return number(env, 0);
	}
	known = *at;
	if (known == NULL) {
		int64_t begun;

		if (napi_typeof(env, argv[2], &type) != napi_ok || type != napi_function)
			return number(env, -EINVAL);
		begun = begin_watch(env, fd, argv[2], &known);
		if (begun < 0)
			return number(env, begun);
	}
	return number(env, uv_poll_start(known->poll, events, happened));
}
