/* Time for the tests that measure it. */
#ifndef CLOCK_H
#define CLOCK_H

#include "check.h"

#include <time.h>

/* Milliseconds of a clock that cannot be set. */
static inline long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/*
 * The delay that a busy machine may cause: less than the duration of a hanging or useless wait in any test. The harness allows more
 * under valgrind.
 */
static inline long slack_ms(void) {
  const char *given = getenv("TEST_SLACK_MS");
  return given == NULL ? 3000 : atol(given);
}

#endif /* CLOCK_H */
