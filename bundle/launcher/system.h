/*
 * The kernel, asked without a C library: a library's start-up would be most of a call, and the launcher must run on hosts
 * with any library or none. Each call returns -errno on failure, and begins anew after a signal.
 */
#ifndef BRAID_SYSTEM_H
#define BRAID_SYSTEM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = 0;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "the launcher has no system calls for this processor"
#endif

static long steady(long number, long a, long b, long c, long d, long e)
{
	long result;

	do {
		result = call(number, a, b, c, d, e);
	} while (result == -EINTR);
	return result;
}

static inline long sys_read(int fd, void *into, size_t size)
{
	return steady(__NR_read, fd, (long)into, (long)size, 0, 0);
}

static inline long sys_write(int fd, const void *from, size_t size)
{
	return steady(__NR_write, fd, (long)from, (long)size, 0, 0);
}

static inline long sys_open(const char *path, int flags)
{
	return steady(__NR_openat, AT_FDCWD, (long)path, flags, 0, 0);
}

static inline void sys_close(int fd)
{
	(void)call(__NR_close, fd, 0, 0, 0, 0);
}

static inline long sys_socket(void)
{
	return call(__NR_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0, 0);
}

static inline long sys_connect(int fd, const struct sockaddr_un *address)
{
	return steady(__NR_connect, fd, (long)address, sizeof(*address), 0, 0);
}

static inline long sys_peer(int fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	return call(__NR_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)peer, (long)&size);
}

static inline void sys_shutdown(int fd)
{
	(void)call(__NR_shutdown, fd, SHUT_RDWR, 0, 0, 0);
}

static inline long sys_sendmsg(int fd, const struct msghdr *message)
{
	return steady(__NR_sendmsg, fd, (long)message, MSG_NOSIGNAL, 0, 0);
}

static inline long sys_execute(const char *path, char **argv, char **env)
{
	return call(__NR_execve, (long)path, (long)argv, (long)env, 0, 0);
}

static inline long sys_readlink(const char *path, char *into, size_t size)
{
	return call(__NR_readlinkat, AT_FDCWD, (long)path, (long)into, (long)size, 0);
}

static inline long sys_memory_file(const char *name)
{
	return call(__NR_memfd_create, (long)name, 1 /* MFD_CLOEXEC */, 0, 0, 0);
}

static inline long sys_rewind(int fd)
{
	return call(__NR_lseek, fd, 0, 0 /* SEEK_SET */, 0, 0);
}

/* Where a file is read and written next; -ESPIPE for what is none. */
static inline long sys_position(int fd)
{
	return call(__NR_lseek, fd, 0, 1 /* SEEK_CUR */, 0, 0);
}

static inline long sys_become(int fd, int other)
{
	return steady(__NR_dup3, fd, other, 0, 0, 0);
}

/* A signal as the kernel knows it. */
static inline void sys_ignore(int signal)
{
	const struct {
		long handler;
		unsigned long flags;
		long restorer;
		unsigned long mask;
	} ignored = { .handler = 1 /* SIG_IGN */ };

	(void)call(__NR_rt_sigaction, signal, (long)&ignored, 0, sizeof(ignored.mask), 0);
}

static inline int64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until something happens to the descriptor, or only for the time when it is -1. -ETIMEDOUT after the deadline. */
static inline long await(int fd, short events, int64_t deadline)
{
	struct pollfd waiting = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - now_ms();
		struct timespec time = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
		long ready;

		if (left <= 0)
			return -ETIMEDOUT;
		ready = call(__NR_ppoll, (long)&waiting, fd < 0 ? 0 : 1, (long)&time, 0, 0);
		if (ready != -EINTR)
			return ready == 0 ? -ETIMEDOUT : ready;
	}
}

static inline void sys_exit(int code) __attribute__((noreturn));
static inline void sys_exit(int code)
{
	for (;;)
		(void)call(__NR_exit_group, code, 0, 0, 0, 0);
}

#endif
