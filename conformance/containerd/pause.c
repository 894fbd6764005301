/* All that runs in a pod of the tests: it waits until it is killed. */
#include <unistd.h>

int main(void) {
  for (;;)
    pause();
}
