/*
 * What a runtime executes where an agent is resident: takes the call, has the agent do it, and gives its answer. It
 * answers VERSION itself. Where nobody listens it executes the standalone program beside it, so that a node without its
 * agent works as before. It never allocates: whatever is too long for its buffers is refused, or left to that program.
 *
 * Compiled as it is, it starts without a C library; with -DHOSTED it is an ordinary program, for sanitizers.
 */
#include "system.h"

#include "generated.h" /* PLUGINS, VERSION_ANSWER, SOCKET */

#define STANDALONE "/.braid/standalone"

#define MAX_WORDS (256 * 1024)
#define MAX_STDIN (4 * 1024 * 1024)
#define MAX_ANSWER (4 * 1024 * 1024)

/* How long the agent has to begin a call, and to end it: longer than any runtime waits. */
#define BEGIN_MS (30 * 1000)
#define END_MS (300 * 1000)
#define CROWDED_MS 5
#define CALLS 4

/* How long people may keep a call waiting for what is said to them. */
#define PATIENCE_MS 50

#define IO_FAILURE 5
#define TRY_AGAIN_LATER 11

enum { STDIN, STDOUT, STDERR };
enum { BEGUN = 'B', STOPPING = 'S', ANSWER = 'A' };
enum { PIPE_SIGNAL = 13 };

/* What the agent expects, in the machine's order: both are on one machine. */
struct request {
	char magic[4];
	uint32_t words, stdin, flags;
};
enum { HAS_DESCRIPTOR = 1 };

struct answer {
	uint8_t kind, exit_code, none[2];
	uint32_t stdout, stderr;
};

struct call {
	char **argv, **env;
	const char *executed_as;
	const char *name;
	size_t words, stdin;
	int netns; /* -1: none */
};

static char words[MAX_WORDS];
static char input[MAX_STDIN + 1];
static char output[MAX_ANSWER];

/* ---- texts ---- */

static size_t length_of(const char *text)
{
	size_t length = 0;

	while (text[length] != 0)
		length++;
	return length;
}

static int same(const char *a, const char *b)
{
	while (*a != 0 && *a == *b)
		a++, b++;
	return *a == *b;
}

static const char *base_of(const char *path)
{
	const char *base = path;

	for (; *path != 0; path++) {
		if (*path == '/')
			base = path + 1;
	}
	return base;
}

static const char *variable(char **env, const char *name)
{
	size_t length = length_of(name);

	for (; *env != NULL; env++) {
		size_t at = 0;

		while (at < length && (*env)[at] == name[at])
			at++;
		if (at == length && (*env)[at] == '=')
			return *env + length + 1;
	}
	return "";
}

/* Whether a list of texts, each with its zero, the last one empty, has this one. */
static int listed(const char *list, const char *text)
{
	for (; *list != 0; list += length_of(list) + 1) {
		if (same(list, text))
			return 1;
	}
	return 0;
}

/* ---- giving answers ---- */

/* 0 when all of it is written, else -errno. */
static long give(int fd, const char *text, size_t length, int64_t deadline)
{
	while (length > 0) {
		long written = sys_write(fd, text, length);

		if (written == -EAGAIN && await(fd, POLLOUT, deadline) >= 0)
			continue;
		if (written <= 0)
			return written == 0 ? -EIO : written;
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

/*
 * For people, who may be gone. What is no file may be full: O_NONBLOCK is then for an opening of our own, since whoever
 * has started us shares the other.
 */
static void say(const char *text, size_t length)
{
	long own = -1;

	if (length > 0 && sys_position(STDERR) == -ESPIPE)
		own = sys_open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	(void)give(own < 0 ? STDERR : (int)own, text, length, now_ms() + PATIENCE_MS);
}

static const char *why_unwritten(long failure)
{
	switch (-failure) {
	case EPIPE:
		return "EPIPE (broken pipe)\n";
	case ENOSPC:
		return "ENOSPC (no space left on device)\n";
	case EFBIG:
		return "EFBIG (file too large)\n";
	default:
		return "the system refuses it\n";
	}
}

/* What is for the runtime, in whole; if not, says so. */
static int print_out(const char *text, size_t length)
{
	static const char unwritten[] = "cannot write \"standard output\": ";
	long failure;
	const char *why;

	sys_ignore(PIPE_SIGNAL);
	failure = give(STDOUT, text, length, now_ms() + END_MS);
	if (failure == 0)
		return 1;
	why = why_unwritten(failure);
	say(unwritten, sizeof(unwritten) - 1);
	say(why, length_of(why));
	return 0;
}

static size_t append(size_t at, const char *text)
{
	for (; *text != 0 && at + 8 < sizeof(words); text++) {
		if (*text == '"' || *text == '\\')
			words[at++] = '\\';
		words[at++] = (unsigned char)*text < ' ' ? '?' : *text;
	}
	return at;
}

/* The error object, as plugins print it: what was tried, with whom, and why it failed. */
static void fail(int code, const char *tried, const char *whom, const char *why) __attribute__((noreturn));
static void fail(int code, const char *tried, const char *whom, const char *why)
{
	const char *head = code == IO_FAILURE ? "{\n    \"code\": 5,\n    \"msg\": \"" : "{\n    \"code\": 11,\n    \"msg\": \"";
	size_t at = 0;

	while (*head != 0)
		words[at++] = *head++;
	at = append(at, tried);
	if (*whom != 0) {
		at = append(at, " \"");
		at = append(at, whom);
		at = append(at, "\"");
	}
	at = append(at, ": ");
	at = append(at, why);
	words[at++] = '"';
	words[at++] = '\n';
	words[at++] = '}';
	(void)print_out(words, at);
	sys_exit(1);
}

/* ---- the standalone program ---- */

/* The path beside this program; 0 when it is too long. */
static int find_standalone(const struct call *call, char *path, size_t room)
{
	const char *name = STANDALONE;
	long length = sys_readlink("/proc/self/exe", path, room);
	size_t end;

	if (length <= 0) { /* no /proc */
		for (length = 0; call->executed_as[length] != 0 && (size_t)length < room; length++)
			path[length] = call->executed_as[length];
	}
	for (end = (size_t)length; end > 0 && path[end - 1] != '/'; end--)
		;
	if (end == 0)
		path[end++] = '.';
	else
		end--;
	if (end + sizeof(STANDALONE) > room)
		return 0;
	do {
		path[end++] = *name;
	} while (*name++ != 0);
	return 1;
}

/* What was read of stdin, to be read again. */
static int give_back_input(const struct call *call)
{
	long file;

	if (call->stdin == 0)
		return 1;
	file = sys_memory_file("stdin");
	return file >= 0 && give((int)file, input, call->stdin, 0) == 0 && sys_rewind((int)file) == 0 &&
	       sys_become((int)file, STDIN) == STDIN;
}

static void run_standalone(const struct call *call, const char *why) __attribute__((noreturn));
static void run_standalone(const struct call *call, const char *why)
{
	static char path[4096];

	if (!find_standalone(call, path, sizeof(path)))
		fail(TRY_AGAIN_LATER, "cannot run without the agent", "", "the path of this program is too long");
	if (!give_back_input(call))
		fail(TRY_AGAIN_LATER, "cannot run without the agent", "", "no memory to hand stdin on");
	(void)sys_execute(path, call->argv, call->env);
	fail(TRY_AGAIN_LATER, "cannot call the agent, nor execute", path, why);
}

/* ---- reading the call ---- */

static int take_word(size_t *at, const char *word)
{
	size_t length = length_of(word) + 1;

	if (length > sizeof(words) - *at)
		return 0;
	for (; length > 0; length--)
		words[(*at)++] = *word++;
	return 1;
}

/* The plugin's name and the environment; 0 when they are too long. */
static int take_words(struct call *call)
{
	char **entry;

	if (!take_word(&call->words, call->name))
		return 0;
	for (entry = call->env; *entry != NULL; entry++) {
		if (**entry != 0 && !take_word(&call->words, *entry))
			return 0;
	}
	return 1;
}

static void read_input(struct call *call)
{
	while (call->stdin < sizeof(input)) {
		long length = sys_read(STDIN, input + call->stdin, sizeof(input) - call->stdin);

		if (length == 0)
			return;
		if (length == -EAGAIN && await(STDIN, POLLIN, now_ms() + END_MS) >= 0)
			continue;
		if (length < 0) {
			if (call->stdin == 0)
				run_standalone(call, "stdin cannot be read"); /* which says why */
			fail(IO_FAILURE, "cannot read stdin", "", "the system refuses it");
		}
		call->stdin += (size_t)length;
	}
	fail(IO_FAILURE, "cannot read stdin", "", "it is longer than 4 MiB");
}

/* ---- the agent ---- */

enum outcome { DONE, NOT_BEGUN, LOST };

/* Sends all of the request, its descriptor with the first byte. */
static int send_request(int fd, const struct call *call, int64_t deadline)
{
	struct request request = { .magic = "BRD", .words = (uint32_t)call->words, .stdin = (uint32_t)call->stdin };
	struct iovec parts[] = { { &request, sizeof(request) }, { words, call->words }, { input, call->stdin } };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	request.magic[3] = '1';
	if (call->netns >= 0) {
		request.flags = HAS_DESCRIPTOR;
		*(int *)CMSG_DATA(&control.head) = call->netns;
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	while (message.msg_iovlen > 0) {
		long sent = sys_sendmsg(fd, &message);

		if (sent == -EAGAIN && await(fd, POLLOUT, deadline) >= 0)
			continue;
		if (sent < 0)
			return 0;
		if (sent > 0)
			message.msg_control = NULL, message.msg_controllen = 0;
		while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
			sent -= (long)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen > 0) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
			message.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return 1;
}

/* Receives so many bytes; 0 at the end of the connection or of the time. */
static int receive(int fd, void *into, size_t size, int64_t deadline)
{
	char *at = into;

	while (size > 0) {
		long length = sys_read(fd, at, size);

		if (length == -EAGAIN) {
			if (await(fd, POLLIN, deadline) < 0)
				return 0;
			continue;
		}
		if (length <= 0)
			return 0;
		at += length;
		size -= (size_t)length;
	}
	return 1;
}

static void print(const struct answer *answer) __attribute__((noreturn));
static void print(const struct answer *answer)
{
	int is_printed = print_out(output, answer->stdout);

	say(output + answer->stdout, answer->stderr);
	sys_exit(is_printed ? answer->exit_code : 1);
}

/* Time is up: from here on the agent can say nothing more, but may have done so just before. */
static int was_said(int fd, char *word)
{
	sys_shutdown(fd);
	return sys_read(fd, word, 1) == 1;
}

static enum outcome converse(int fd, const struct call *call, int64_t begin)
{
	struct answer answer = { 0 };
	int64_t end = begin + END_MS;
	char word = 0;

	/* An agent that stops need not read all of it: what it says counts. */
	(void)send_request(fd, call, begin + BEGIN_MS);
	if (!receive(fd, &word, 1, begin + BEGIN_MS) && !was_said(fd, &word))
		return NOT_BEGUN;
	if (word == STOPPING)
		return NOT_BEGUN;
	if (word != BEGUN || !receive(fd, &answer, sizeof(answer), end) || answer.kind != ANSWER || answer.exit_code > 1 ||
	    answer.none[0] != 0 || answer.none[1] != 0 || answer.stdout > sizeof(output) ||
	    answer.stderr > sizeof(output) - answer.stdout ||
	    !receive(fd, output, (size_t)answer.stdout + answer.stderr, end))
		return LOST;
	print(&answer);
}

/* A connection with an agent of root; -errno. */
static long reach(const char *path, int64_t deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer = { .uid = 1 };
	long fd, failure;
	size_t at;

	for (at = 0; path[at] != 0; at++) {
		if (at + 1 >= sizeof(address.sun_path))
			return -ENAMETOOLONG;
		address.sun_path[at] = path[at];
	}
	fd = sys_socket();
	if (fd < 0)
		return fd;
	do {
		failure = sys_connect((int)fd, &address);
	} while (failure == -EAGAIN && now_ms() < deadline && await(-1, 0, now_ms() + CROWDED_MS) == -ETIMEDOUT);
	if (failure == 0 && (sys_peer((int)fd, &peer) < 0 || peer.uid != 0))
		failure = -EPERM;
	if (failure == 0)
		return fd;
	sys_close((int)fd);
	return failure;
}

static void call_agent(const struct call *call, const char *path) __attribute__((noreturn));
static void call_agent(const struct call *call, const char *path)
{
	int64_t begin = now_ms();
	int calls;

	for (calls = 0; calls < CALLS && now_ms() < begin + BEGIN_MS; calls++) {
		long fd = reach(path, begin + BEGIN_MS);

		if (fd < 0)
			break;
		if (converse((int)fd, call, begin) == LOST)
			fail(TRY_AGAIN_LATER, "cannot end the call", "", "the agent is gone, or has not answered in time");
		sys_close((int)fd); /* before another begins the call: this one never will */
	}
	run_standalone(call, "no agent takes calls");
}

static void launch(struct call *call) __attribute__((noreturn));
static void launch(struct call *call)
{
	const char *verb = variable(call->env, "CNI_COMMAND");
	const char *netns = variable(call->env, "CNI_NETNS");
	const char *path = variable(call->env, "BRAID_AGENT");

	if (!listed(PLUGINS, call->name))
		run_standalone(call, "this is no name of a plugin");
	if (same(verb, "VERSION"))
		sys_exit(print_out(VERSION_ANSWER, sizeof(VERSION_ANSWER) - 1) ? 0 : 1);
	if (!listed("ADD\0DEL\0CHECK\0STATUS\0GC\0", verb) || same(path, "none") || !take_words(call))
		run_standalone(call, "the agent takes no such call");
	read_input(call);
	if (*netns != 0 && listed("ADD\0DEL\0CHECK\0", verb))
		call->netns = (int)sys_open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	call_agent(call, *path == 0 ? SOCKET : path);
}

/* ---- the start ---- */

#ifdef HOSTED
int main(int argc, char **argv, char **env)
{
	struct call call = { .argv = argv, .env = env, .netns = -1 };

	call.executed_as = argc > 0 ? argv[0] : "";
	call.name = base_of(call.executed_as);
	launch(&call);
}
#else

/* The compiler calls these by itself. */
void *memset(void *at, int value, size_t size)
{
	volatile char *to = at;

	while (size-- > 0)
		*to++ = (char)value;
	return at;
}

void *memcpy(void *at, const void *from, size_t size)
{
	volatile char *to = at;
	const char *source = from;

	while (size-- > 0)
		*to++ = *source++;
	return at;
}

/* The stack of a new program: argc, argv, NULL, environment, NULL. */
__attribute__((used, noreturn)) void begin(long *stack)
{
	struct call call = { .argv = (char **)(stack + 1), .netns = -1 };

	call.env = call.argv + stack[0] + 1;
	call.executed_as = stack[0] > 0 ? call.argv[0] : "";
	call.name = base_of(call.executed_as);
	launch(&call);
}

#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl begin\n");
#endif
#endif
