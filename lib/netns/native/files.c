/* Files as seen from inside another network namespace: /proc/sys/net differs there. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_PATH 4096

struct file_wanted {
	const char *path;
	int flags;
};

static int64_t open_file(void *arg)
{
	const struct file_wanted *wanted = arg;
	int fd = open(wanted->path, wanted->flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* openInNetns(nsfd, path, flags): opens an existing file */
napi_value open_in_netns(napi_env env, napi_callback_info info)
{
	struct file_wanted wanted;
	napi_value argv[MAX_ARGS];
	char path[MAX_PATH];
	size_t length = 0;
	int nsfd;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &nsfd) ||
	    napi_get_value_string_utf8(env, argv[1], path, sizeof(path), &length) != napi_ok ||
	    length + 1 >= sizeof(path) || !is_integer(env, argv[2], &wanted.flags) || (wanted.flags & O_CREAT))
		return number(env, -EINVAL);
	wanted.path = path;
	return number(env, run_inside(nsfd, open_file, &wanted));
}

struct writes {
	const char *next; /* alternating path and text, each NUL-terminated */
	int32_t *outcomes;
	size_t count;
};

static int32_t write_one(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int32_t outcome = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		outcome = -errno;
	close(fd);
	return outcome;
}

static int64_t write_all(void *arg)
{
	struct writes *writes = arg;
	const char *next = writes->next;

	for (size_t i = 0; i < writes->count; i++) {
		const char *path = next, *text = path + strlen(path) + 1;

		writes->outcomes[i] = write_one(path, text);
		next = text + strlen(text) + 1;
	}
	return 0;
}

static size_t zeros_in(const char *data, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] == 0;
	return count;
}

/*
 * writeInNetns(nsfd, texts, outcomes): writes several small files in one visit. Texts are alternating path and content,
 * each NUL-terminated; outcomes, an int32 each, become 0 or -errno.
 */
napi_value write_in_netns(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	struct writes writes = { 0 };
	void *texts = NULL, *outcomes = NULL;
	size_t size = 0, room = 0;
	int nsfd;

	if (!arguments(env, info, 3, argv) || !is_descriptor(env, argv[0], &nsfd) ||
	    !is_bytes(env, argv[1], &texts, &size) || !is_bytes(env, argv[2], &outcomes, &room))
		return number(env, -EINVAL);
	writes.next = texts;

	writes.outcomes = outcomes;
	writes.count = room / sizeof(int32_t);
	if (size == 0 || ((const char *)texts)[size - 1] != 0 || (uintptr_t)outcomes % _Alignof(int32_t) != 0 ||
	    zeros_in(texts, size) != 2 * writes.count)
		return number(env, -EINVAL);
	return number(env, run_inside(nsfd, write_all, &writes));
}

struct reads {
	const char *next; /* paths, each NUL-terminated */
	char *room; /* as many slots as there are paths */
	size_t slot;
	int32_t *outcomes;
	size_t count;
};

static int32_t read_one(const char *path, char *slot, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = 0, got;

	if (fd < 0)
		return -errno;
	while ((size_t)length < size && (got = read(fd, slot + length, size - length)) != 0) {
		if (got < 0) {
			length = -errno;
			break;
		}
		length += got;
	}
	close(fd);
	return (size_t)length == size && length > 0 ? -EFBIG : (int32_t)length;
}

static int64_t read_all(void *arg)
{
	struct reads *reads = arg;
	const char *next = reads->next;

	for (size_t i = 0; i < reads->count; i++) {
		reads->outcomes[i] = read_one(next, reads->room + i * reads->slot, reads->slot);
		next += strlen(next) + 1;
	}
	return 0;
}

/*
 * readInNetns(nsfd, paths, room, outcomes): reads several small files in one visit. Paths are NUL-terminated; room has a
 * slot of equal size for each file; outcomes, an int32 each, become the length or -errno, -EFBIG when the slot is full.
 */
napi_value read_in_netns(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGS];
	struct reads reads = { 0 };
	void *paths = NULL, *room = NULL, *outcomes = NULL;
	size_t size = 0, space = 0, length = 0;
	int nsfd;

	if (!arguments(env, info, 4, argv) || !is_descriptor(env, argv[0], &nsfd) ||
	    !is_bytes(env, argv[1], &paths, &size) || !is_bytes(env, argv[2], &room, &space) ||
	    !is_bytes(env, argv[3], &outcomes, &length))
		return number(env, -EINVAL);
	reads.next = paths;
	reads.room = room;
	reads.outcomes = outcomes;
	reads.count = length / sizeof(int32_t);
	if (size == 0 || ((const char *)paths)[size - 1] != 0 || (uintptr_t)outcomes % _Alignof(int32_t) != 0 ||
	    reads.count == 0 || zeros_in(paths, size) != reads.count || space < reads.count)
		return number(env, -EINVAL);
	reads.slot = space / reads.count;
	return number(env, run_inside(nsfd, read_all, &reads));
}
