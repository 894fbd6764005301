/*
 * What Node cannot do and a CNI plugin must: open a socket or a file inside another network namespace, wait for an
 * answer with a deadline, lock a file.
 *
 * Every function returns a number: a descriptor, a length or zero; -errno on failure. None throws and none leaves the
 * calling thread in another namespace: a thread that cannot come back aborts the process, for it would go on to work
 * on the wrong links.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <node_api.h>

#define MAX_ARGS 5
#define MAX_PATH 4096
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static napi_value number(napi_env env, int64_t value)
{
	napi_value result = NULL;

	napi_create_int64(env, value, &result);
	return result;
}

static size_t arguments(napi_env env, napi_callback_info info, napi_value *argv)
{
	size_t count = MAX_ARGS;

	if (napi_get_cb_info(env, info, &count, argv, NULL, NULL) != napi_ok)
		return 0;
	return count;
}

static int32_t integer(napi_env env, napi_value value)
{
	int32_t result = -1;

	napi_get_value_int32(env, value, &result);
	return result;
}

/* Enters the namespace behind nsfd; returns a descriptor of the namespace left, or -errno. */
static int enter(int nsfd)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0)
		return -errno;
	if (setns(nsfd, CLONE_NEWNET) < 0) {
		int failure = errno;

		close(home);
		return -failure;
	}
	return home;
}

static void leave(int home)
{
	if (setns(home, CLONE_NEWNET) < 0) {
		perror("cannot return to the host's network namespace");
		abort();
	}
	close(home);
}

static int route_socket(int protocol)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	/* Old kernels lack some of these: they make errors clearer and dumps stricter, nothing depends on them. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int failure = errno;

		close(fd);
		return -failure;
	}
	return fd;
}

/* openNetlink(nsfd, protocol): nsfd -1 means the caller's namespace */
static napi_value open_netlink(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int nsfd, home = -1, fd;

	if (arguments(env, info, argv) < 2)
		return number(env, -EINVAL);
	nsfd = integer(env, argv[0]);
	if (nsfd >= 0) {
		home = enter(nsfd);
		if (home < 0)
			return number(env, home);
	}
	fd = route_socket(integer(env, argv[1]));
	if (home >= 0)
		leave(home);
	return number(env, fd);
}

/* openInNetns(nsfd, path, flags) */
static napi_value open_in_netns(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	char path[MAX_PATH];
	size_t length = 0;
	int home, fd, failure;

	if (arguments(env, info, argv) < 3 ||
	    napi_get_value_string_utf8(env, argv[1], path, sizeof(path), &length) != napi_ok ||
	    length + 1 >= sizeof(path))
		return number(env, -EINVAL);
	home = enter(integer(env, argv[0]));
	if (home < 0)
		return number(env, home);
	fd = open(path, integer(env, argv[2]) | O_CLOEXEC);
	failure = errno;
	leave(home);
	return number(env, fd < 0 ? -failure : fd);
}

/*
 * sendInNetns(nsfd, fd, buffer): sends from inside, for requests that are about where the sender is: the kernel takes an
 * RDMA device out of the namespace of the calling task, whatever namespace the socket was born in.
 */
static napi_value send_in_netns(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	void *data = NULL;
	size_t size = 0;
	ssize_t sent;
	int home, failure;

	if (arguments(env, info, argv) < 3 || napi_get_buffer_info(env, argv[2], &data, &size) != napi_ok)
		return number(env, -EINVAL);
	home = enter(integer(env, argv[0]));
	if (home < 0)
		return number(env, home);
	sent = send(integer(env, argv[1]), data, size, 0);
	failure = errno;
	leave(home);
	return number(env, sent < 0 ? -failure : sent);
}

/* 0 when frames can leave, else -errno: what is sent without carrier is dropped by the kernel, which does not tell. */
static int running(int fd, int ifindex)
{
	struct ifreq request = { .ifr_ifindex = ifindex };

	if (ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	return (request.ifr_flags & IFF_RUNNING) ? 0 : -ENETDOWN;
}

static int packet_socket(int nsfd)
{
	int home = enter(nsfd);
	int fd, failure;

	if (home < 0)
		return home;
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	failure = errno;
	leave(home);
	return fd < 0 ? -failure : fd;
}

/* sendFrame(nsfd, ifindex, etherType, destination, payload): -ENETDOWN when the link has no carrier */
static napi_value send_frame(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	void *destination = NULL, *payload = NULL;
	size_t halen = 0, length = 0;
	int fd, outcome;

	if (arguments(env, info, argv) < 5 || napi_get_buffer_info(env, argv[3], &destination, &halen) != napi_ok ||
	    napi_get_buffer_info(env, argv[4], &payload, &length) != napi_ok || halen > sizeof(address.sll_addr))
		return number(env, -EINVAL);
	address.sll_ifindex = integer(env, argv[1]);
	address.sll_protocol = htons((uint16_t)integer(env, argv[2]));
	address.sll_halen = (unsigned char)halen;
	memcpy(address.sll_addr, destination, halen);
	fd = packet_socket(integer(env, argv[0]));
	if (fd < 0)
		return number(env, fd);
	outcome = running(fd, address.sll_ifindex);
	if (outcome == 0) {
		ssize_t sent = sendto(fd, payload, length, 0, (struct sockaddr *)&address, sizeof(address));

		outcome = sent < 0 ? -errno : (int)sent;
	}
	close(fd);
	return number(env, outcome);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until there is something to read; 0, or -errno: -ETIMEDOUT after the deadline. */
static int await_datagram(int fd, int64_t deadline)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		int64_t left = deadline - now_ms();

		ready = poll(&waiting, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
}

/* Length of the first datagram in the queue, which stays there; its sender's port. */
static ssize_t peek(int fd, void *data, size_t size, uint32_t *sender)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_size = sizeof(from);
	ssize_t length =
		recvfrom(fd, data, size, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);

	*sender = from.nl_pid;
	return length < 0 ? -errno : length;
}

/*
 * receive(fd, buffer, timeoutMs): the length of the next datagram that the kernel sent: whoever may configure the
 * network of a pod could send others. When it is more than the buffer holds, the datagram stays in the queue: call
 * again with a larger buffer.
 */
static napi_value receive(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int64_t deadline;
	void *data = NULL;
	size_t size = 0;
	uint32_t sender = 0;
	ssize_t length;
	int fd;

	if (arguments(env, info, argv) < 3 || napi_get_buffer_info(env, argv[1], &data, &size) != napi_ok)
		return number(env, -EINVAL);
	fd = integer(env, argv[0]);
	deadline = now_ms() + integer(env, argv[2]);
	for (;;) {
		int late = await_datagram(fd, deadline);

		if (late < 0)
			return number(env, late);
		length = peek(fd, data, size, &sender);
		if (length == -EAGAIN)
			continue;
		if (length < 0 || (sender == 0 && (size_t)length > size))
			return number(env, length);
		length = recv(fd, data, size, MSG_DONTWAIT);
		if (length < 0)
			return number(env, -errno);
		if (sender == 0)
			return number(env, length);
	}
}

/* namespaceType(fd): CLONE_NEW…, -ENOTTY when the descriptor is not a namespace */
static napi_value namespace_type(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int type;

	if (arguments(env, info, argv) < 1)
		return number(env, -EINVAL);
	type = ioctl(integer(env, argv[0]), NS_GET_NSTYPE);
	return number(env, type < 0 ? -errno : type);
}

/* netnsCookie(nsfd): the kernel's own number of a namespace, which no other ever gets; before Linux 5.14 -ENOPROTOOPT */
static napi_value netns_cookie(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	int home, fd, failure;

	if (arguments(env, info, argv) < 1)
		return number(env, -EINVAL);
	home = enter(integer(env, argv[0]));
	if (home < 0)
		return number(env, home);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	failure = errno;
	leave(home);
	if (fd < 0)
		return number(env, -failure);
	failure = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0 ? errno : 0;
	close(fd);
	return number(env, failure == 0 ? (int64_t)cookie : -failure);
}

/*
 * endProcess(code): ends the process at once. All has been written by then, and taking V8 and its threads down in good order
 * takes longer than attaching a network.
 */
static napi_value end_process(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];

	arguments(env, info, argv);
	_exit(integer(env, argv[0]));
}

/* lock(fd, operation): flock(2), never waits */
static napi_value lock(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];

	if (arguments(env, info, argv) < 2)
		return number(env, -EINVAL);
	return number(env, flock(integer(env, argv[0]), integer(env, argv[1]) | LOCK_NB) < 0 ? -errno : 0);
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback call;
	} functions[] = {
		{ "openNetlink", open_netlink },
		{ "openInNetns", open_in_netns },
		{ "sendInNetns", send_in_netns },
		{ "sendFrame", send_frame },
		{ "receive", receive },
		{ "namespaceType", namespace_type },
		{ "netnsCookie", netns_cookie },
		{ "lock", lock },
		{ "endProcess", end_process },
	};
	size_t i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		napi_value function;

		if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function) !=
			    napi_ok ||
		    napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
			return NULL;
	}
	return exports;
}
