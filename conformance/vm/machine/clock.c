// Prints how many thousands of ticks the processor's counter makes in a second. An emulated machine sees the same counter.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

enum { READINGS = 100, PAUSE_NS = 200 * 1000 * 1000 };

struct moment {
  uint64_t ticks;
  int64_t ns;
};

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Both clocks at one time: the pair that was read the fastest, since others may have been interrupted.
static struct moment read_both(void) {
  struct moment best = {0, 0};
  uint64_t least = UINT64_MAX;
  for (int reading = 0; reading < READINGS; reading++) {
    uint64_t before = __rdtsc();
    int64_t ns = nanoseconds();
    uint64_t took = __rdtsc() - before;
    if (took < least) {
      least = took;
      best = (struct moment){before + took / 2, ns};
    }
  }
  return best;
}

int main(void) {
  struct moment first = read_both();
  nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
  struct moment last = read_both();
  printf("%.0f\n", (double)(last.ticks - first.ticks) * 1e6 / (double)(last.ns - first.ns));
  return 0;
}
