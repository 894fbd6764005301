/* All that runs in a container of the tests: it waits until it is told to end; with "job" it ends at once. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) {
  (void)signal;
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "job") == 0)
    return 0;
  signal(SIGTERM, end); /* the first process of a namespace ignores what it does not handle */
  for (;;)
    pause();
}
