/* Starts programs as a container runtime does, and says how long that took: ready at once, without memory of its own
 * to copy. Reads words that end with NUL from standard input: "chain" or "together", then for each program the files
 * for its standard input, output and error, its words, "", its variables, "". Prints the milliseconds until the last
 * one has ended, and then for each what waitpid said and the milliseconds from its own start to its end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROGRAMS = 4096 };

struct program {
  int files[3];
  char **words;
  char **variables;
  pid_t pid;
  int status;
  double begin;
  double end;
};

static struct program programs[MOST_PROGRAMS];
static char *next_word;
static char *last_word;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *word(void) {
  if (next_word >= last_word) {
    fputs("too few words\n", stderr);
    exit(1);
  }
  char *begin = next_word;
  next_word += strlen(next_word) + 1;
  return begin;
}

static char **words_until_empty(void) {
  size_t count = 0;
  for (char *at = next_word; at < last_word && *at != '\0'; at += strlen(at) + 1) {
    count++;
  }
  char **all = calloc(count + 1, sizeof(char *));
  if (all == NULL) {
    fail("calloc");
  }
  for (size_t index = 0; index < count; index++) {
    all[index] = word();
  }
  word();
  return all;
}

static void read_words(void) {
  size_t size = 0, room = 1 << 16;
  char *text = malloc(room + 1);
  for (ssize_t got = 1; got > 0; size += (size_t)got) {
    if (size == room) {
      text = realloc(text, (room *= 2) + 1);
    }
    if (text == NULL) {
      fail("malloc");
    }
    got = read(STDIN_FILENO, text + size, room - size);
    if (got < 0) {
      fail("read");
    }
  }
  text[size] = '\0';
  next_word = text;
  last_word = text + size;
}

static int opened(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) {
    fail(path);
  }
  return fd;
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void start(struct program *program) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; stream++) {
    posix_spawn_file_actions_adddup2(&actions, program->files[stream], stream);
  }
  int error = posix_spawnp(&program->pid, program->words[0], &actions, NULL, program->words, program->variables);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fprintf(stderr, "cannot start %s: %s\n", program->words[0], strerror(error));
    exit(1);
  }
}

/* Waits for whichever ends next. */
static void end_one(size_t count) {
  int status;
  pid_t pid = wait(&status);
  if (pid < 0) {
    fail("wait");
  }
  for (size_t index = 0; index < count; index++) {
    if (programs[index].pid == pid) {
      programs[index].status = status;
      programs[index].end = now_ms();
    }
  }
}

int main(void) {
  read_words();
  int is_chain = strcmp(word(), "chain") == 0;
  size_t count = 0;
  while (next_word < last_word) {
    if (count == MOST_PROGRAMS) {
      fputs("too many programs\n", stderr);
      return 1;
    }
    struct program *program = &programs[count++];
    program->files[0] = opened(word(), O_RDONLY);
    program->files[1] = opened(word(), O_WRONLY | O_CREAT | O_TRUNC);
    program->files[2] = opened(word(), O_WRONLY | O_CREAT | O_TRUNC);
    program->words = words_until_empty();
    program->variables = words_until_empty();
  }
  double begin = now_ms();
  for (size_t index = 0; index < count; index++) {
    programs[index].begin = now_ms();
    start(&programs[index]);
    if (is_chain) {
      end_one(count);
      if (programs[index].status != 0) {
        break; /* the rest never ran, and says so */
      }
    }
  }
  for (size_t index = 0; index < count && !is_chain; index++) {
    end_one(count);
  }
  printf("%.3f", now_ms() - begin);
  for (size_t index = 0; index < count; index++) {
    struct program *program = &programs[index];
    printf(" %d %.3f", program->pid == 0 ? -1 : program->status, program->end - program->begin);
  }
  return 0;
}
