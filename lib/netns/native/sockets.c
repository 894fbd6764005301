/* Netlink and packet sockets, and namespace cookies, which only a socket reports. */
#include "native.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct socket_wanted {
	int family, type, protocol;
};

static int64_t open_socket(void *arg)
{
	const struct socket_wanted *wanted = arg;
	int fd = socket(wanted->family, wanted->type | SOCK_CLOEXEC, wanted->protocol);

	return fd < 0 ? -errno : fd;
}

static int socket_inside(int nsfd, int family, int type, int protocol)
{
	struct socket_wanted wanted = { family, type, protocol };

	return (int)run_inside(nsfd, open_socket, &wanted);
}

/* openNetlink(nsfd, protocol) */
napi_value open_netlink(napi_env env, napi_callback_info info)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	napi_value argv[MAX_ARGS];
	int nsfd, protocol, fd, on = 1;

	if (!arguments(env, info, 2, argv) || !is_descriptor(env, argv[0], &nsfd) ||
	    !is_integer(env, argv[1], &protocol))
		return number(env, -EINVAL);
	fd = socket_inside(nsfd, AF_NETLINK, SOCK_RAW, protocol);
	if (fd < 0)
		return number(env, fd);
	/* Optional: old kernels lack some of these. They make errors clearer and dumps stricter. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int failure = errno;

		close(fd);
		return number(env, -failure);
	}
	return number(env, fd);
}

/* joinGroup(fd, group): what the kernel tells everybody is received too. */
napi_value join_group(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int fd, group;

	if (!arguments(env, info, 2, argv) || !is_descriptor(env, argv[0], &fd) || !is_integer(env, argv[1], &group))
		return number(env, -EINVAL);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return number(env, -errno);
	return number(env, 0);
}

struct datagram {
	int fd;
	const void *data;
	size_t size;
};

static int64_t send_it(void *arg)
{
	const struct datagram *datagram = arg;
	ssize_t sent = send(datagram->fd, datagram->data, datagram->size, 0);

	return sent < 0 ? -errno : sent;
}

int64_t send_datagram(int nsfd, int fd, const void *data, size_t size)
{
	struct datagram datagram = { fd, data, size };

	return nsfd < 0 ? send_it(&datagram) : run_inside(nsfd, send_it, &datagram);
}

/*
 * sendInNetns(nsfd, fd, buffer): sends from inside, for requests that check the sender's namespace: the kernel takes an
 * RDMA device out of the namespace of the calling task, whatever namespace the socket was opened in.
 */
napi_value send_in_netns(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	void *data = NULL;
	size_t size = 0;
	int nsfd, fd;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &nsfd) || !is_descriptor(env, argv[1], &fd) ||
	    !is_bytes(env, argv[2], &data, &size))
		return number(env, -EINVAL);
	return number(env, send_datagram(nsfd, fd, data, size));
}

/* 0 when frames can be sent, else -errno: without carrier the kernel drops them silently. */
static int check_carrier(int fd, int ifindex)
{
	struct ifreq request = { .ifr_ifindex = ifindex };

	if (ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	return (request.ifr_flags & IFF_RUNNING) ? 0 : -ENETDOWN;
}

/* openPacket(nsfd): a socket for frames */
napi_value open_packet(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int nsfd;

	if (!arguments(env, info, 1, argv) || !is_descriptor(env, argv[0], &nsfd))
		return number(env, -EINVAL);
	return number(env, socket_inside(nsfd, AF_PACKET, SOCK_DGRAM, 0));
}

/* sendFrame(fd, ifindex, etherType, destination, payload): -ENETDOWN when the link has no carrier */
napi_value send_frame(napi_env env, napi_callback_info info)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	napi_value argv[MAX_ARGS];
	void *destination = NULL, *payload = NULL;
	size_t halen = 0, length = 0;
	int fd, ether_type, late;
	ssize_t sent;

	if (!arguments(env, info, 5, argv) || !is_descriptor(env, argv[0], &fd) ||
	    !is_integer(env, argv[1], &address.sll_ifindex) || !is_integer(env, argv[2], &ether_type) ||
	    !is_bytes(env, argv[3], &destination, &halen) || !is_bytes(env, argv[4], &payload, &length) ||
	    halen > sizeof(address.sll_addr))
		return number(env, -EINVAL);
	address.sll_protocol = htons((uint16_t)ether_type);
	address.sll_halen = (unsigned char)halen;
	memcpy(address.sll_addr, destination, halen);
	late = check_carrier(fd, address.sll_ifindex);
	if (late < 0)
		return number(env, late);
	sent = sendto(fd, payload, length, 0, (struct sockaddr *)&address, sizeof(address));
	return number(env, sent < 0 ? -errno : sent);
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

/* The kernel mostly answers before a send returns: there is nothing to wait for. */
int64_t receive_datagram(int fd, void *data, size_t size, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_size = sizeof(from);
		ssize_t length = recvfrom(fd, data, size, MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
		int late;

		if (length >= 0) {
			if (from.nl_pid == 0)
				return length;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		late = await_datagram(fd, deadline);
		if (late < 0)
			return late;
	}
}

/*
 * receive(fd, buffer, timeoutMs): the length of the next datagram from the kernel; those from others are dropped, since
 * programs in a pod could forge some. Of a datagram larger than the buffer, the rest is lost.
 */
napi_value receive(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	void *data = NULL;
	size_t size = 0;
	int fd, timeout_ms;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &fd) || !is_bytes(env, argv[1], &data, &size) ||
	    !is_integer(env, argv[2], &timeout_ms))
		return number(env, -EINVAL);
	return number(env, receive_datagram(fd, data, size, timeout_ms));
}

/* netnsCookie(nsfd): a unique number of a namespace, never reused until reboot; before Linux 5.14 -ENOPROTOOPT */
napi_value netns_cookie(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	int nsfd, fd, failure;

	if (!arguments(env, info, 1, argv) || !is_descriptor(env, argv[0], &nsfd))
		return number(env, -EINVAL);
	fd = socket_inside(nsfd, AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		return number(env, fd);
	failure = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0 ? errno : 0;
	close(fd);
	return number(env, failure == 0 ? (int64_t)cookie : -failure);
}
