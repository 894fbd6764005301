/* The functions exported to Node. */
#include "native.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* namespaceType(fd): CLONE_NEW…, -ENOTTY when the descriptor is not a namespace */
static napi_value namespace_type(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int fd, type;

	if (!arguments(env, info, 1, argv) || !is_descriptor(env, argv[0], &fd))
		return number(env, -EINVAL);
	type = ioctl(fd, NS_GET_NSTYPE);
	return number(env, type < 0 ? -errno : type);
}

/* lock(fd, operation): flock(2), never blocks */
static napi_value lock(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int fd, operation;

	if (!arguments(env, info, 2, argv) || !is_descriptor(env, argv[0], &fd) || !is_integer(env, argv[1], &operation))
		return number(env, -EINVAL);
	return number(env, flock(fd, operation | LOCK_NB) < 0 ? -errno : 0);
}

/*
 * endProcess(code): ends the process at once, for the program's entry alone. Everything has been written by then, and an
 * orderly shutdown of V8 and its threads takes longer than attaching a network.
 */
static napi_value end_process(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	int code;

	if (!arguments(env, info, 1, argv) || !is_integer(env, argv[0], &code))
		return number(env, -EINVAL);
	_exit(code);
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback call;
	} functions[] = {
		{ "openNetlink", open_netlink },
		{ "joinGroup", join_group },
		{ "openInNetns", open_in_netns },
		{ "writeInNetns", write_in_netns },
		{ "readInNetns", read_in_netns },
		{ "sendInNetns", send_in_netns },
		{ "openPacket", open_packet },
		{ "sendFrame", send_frame },
		{ "receive", receive },
		{ "sendOnThread", send_on_thread },
		{ "receiveOnThread", receive_on_thread },
		{ "namespaceType", namespace_type },
		{ "netnsCookie", netns_cookie },
		{ "lock", lock },
		{ "listenAt", listen_at },
		{ "acceptCaller", accept_caller },
		{ "peerUid", peer_uid },
		{ "receiveBytes", receive_bytes },
		{ "sendBytes", send_bytes },
		{ "watch", watch },
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
