/*
 * What a CNI plugin needs and Node lacks: opening a socket or a file inside another network namespace, waiting for an
 * answer with a deadline, waiting for the kernel without blocking the event loop, locking a file, callers that send
 * descriptors.
 *
 * Every function returns a number, or a promise of one: a descriptor, a length or zero; -errno on failure, -EINVAL for
 * invalid arguments. None throws, and only endProcess ends the process.
 */
#ifndef BRAID_NATIVE_H
#define BRAID_NATIVE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <node_api.h>

#define MAX_ARGS 5

/* ---- arguments (arguments.c) ---- */

/* All arguments of a call; false when there are too few. */
bool arguments(napi_env env, napi_callback_info info, size_t least, napi_value *argv);

/* A whole number that fits an int: no text, no fraction, no undefined. */
bool is_integer(napi_env env, napi_value value, int *result);

/* A descriptor: a whole number of at least 0. */
bool is_descriptor(napi_env env, napi_value value, int *result);

bool is_bytes(napi_env env, napi_value value, void **data, size_t *size);

napi_value number(napi_env env, int64_t value);

/* ---- inside another network namespace (inside.c) ---- */

/* Work to do there: its return value goes to the caller, -errno on failure. */
typedef int64_t (*inside_fn)(void *arg);

/* Runs work in the network namespace behind nsfd; -ENOTRECOVERABLE on a stranded thread. */
int64_t run_inside(int nsfd, inside_fn run, void *arg);

/* Whether the calling thread is stranded in another namespace, since the kernel has not let it return. */
bool is_stranded(void);

/* ---- netlink and packet sockets (sockets.c) ---- */

napi_value open_netlink(napi_env env, napi_callback_info info);
napi_value join_group(napi_env env, napi_callback_info info);
napi_value send_in_netns(napi_env env, napi_callback_info info);
napi_value open_packet(napi_env env, napi_callback_info info);
napi_value send_frame(napi_env env, napi_callback_info info);
napi_value receive(napi_env env, napi_callback_info info);
napi_value netns_cookie(napi_env env, napi_callback_info info);

/* `send_in_netns` and `receive`, for threads of our own. */
int64_t send_datagram(int nsfd, int fd, const void *data, size_t size);
int64_t receive_datagram(int fd, void *data, size_t size, int timeout_ms);

/* ---- files (files.c) ---- */

napi_value open_in_netns(napi_env env, napi_callback_info info);
napi_value write_in_netns(napi_env env, napi_callback_info info);
napi_value read_in_netns(napi_env env, napi_callback_info info);

/* ---- callers on a local socket (callers.c) ---- */

napi_value listen_at(napi_env env, napi_callback_info info);
napi_value accept_caller(napi_env env, napi_callback_info info);
napi_value peer_uid(napi_env env, napi_callback_info info);
napi_value receive_bytes(napi_env env, napi_callback_info info);
napi_value send_bytes(napi_env env, napi_callback_info info);
napi_value watch(napi_env env, napi_callback_info info);

/* ---- threads of our own (threads.c) ---- */

napi_value send_on_thread(napi_env env, napi_callback_info info);
napi_value receive_on_thread(napi_env env, napi_callback_info info);

#endif
