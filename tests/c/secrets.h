/* Secrets that a program creates, uses, wipes and searches for in its memory. Define _GNU_SOURCE before including it. */
#ifndef SECRETS_H
#define SECRETS_H

#include "memory_scan.h"

/* The only memory of a thread that contains a secret unmasked. */
static __thread unsigned char clear[512];

/* The harness passes secrets in the environment, which is memory too, so they are wiped there. */
static inline size_t take_from_environment(const char *name, unsigned char *masked) {
  char *value = getenv(name);
  size_t len;
  CHECK(value != NULL);
  len = strlen(value);
  CHECK(len <= SECRET_MAX);
  mask(masked, value, len);
  tckms_wipe(value, len);
  return len;
}

/* The same for bytes in hexadecimal; returns the number of bytes. */
static inline size_t take_hexadecimal(const char *name, unsigned char *masked) {
  unsigned char hexadecimal[SECRET_MAX];
  size_t len = take_from_environment(name, hexadecimal);
  size_t i;
  for (i = 0; i < len / 2; i++) {
    unsigned high = hexadecimal[2 * i] ^ MASK;
    unsigned low = hexadecimal[2 * i + 1] ^ MASK;
    masked[i] = (unsigned char)((high < 'a' ? high - '0' : high - 'a' + 10) << 4 |
                                (low < 'a' ? low - '0' : low - 'a' + 10)) ^ MASK;
  }
  return len / 2;
}

/* Generates random bytes, which the search looks for from now on. The kernel writes them directly to their destination. */
static inline void draw_secret(const char *name, void *buffer, size_t len) {
  int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  CHECK(random >= 0);
  CHECK_INT(read(random, buffer, len), (ssize_t)len);
  close(random);
  look_for(name, buffer, len);
}

/* The same in `clear`. */
static inline void make_secret(const char *name, size_t len) {
  CHECK(len <= sizeof clear);
  draw_secret(name, clear, len);
}

static inline void forget(void) {
  tckms_wipe(clear, sizeof clear);
}

static inline int reports_only(void) {
  return getenv("TEST_REPORT_ONLY") != NULL;
}

static inline void expect_nothing_left(void) {
  int found;
  forget();
  found = scan_memory(reports_only() ? stdout : stderr);
  if (reports_only()) {
    printf("%d finds\n", found);
  } else if (found != 0) {
    check_failed(__FILE__, __LINE__, "%d fragments of secrets remain", found);
  }
  check_done();
}

#endif /* SECRETS_H */
