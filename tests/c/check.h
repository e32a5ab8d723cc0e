/*
 * Assertions for the C tests. Include this first: it enables the POSIX functions of the C library.
 *
 * A check that fails prints its place and reason on stderr and ends the program at once, on any thread. If all checks pass, the
 * program prints one line with their number and nothing else, so that the harness can verify that the library printed nothing.
 */
#ifndef CHECK_H
#define CHECK_H

#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tckms.h>

static long checks_done = 0;

/* Threads share the number. C99 has no atomics; gcc and clang have these functions. */
static inline void check_done(void) {
  __atomic_add_fetch(&checks_done, 1, __ATOMIC_RELAXED);
}

static inline void check_failed(const char *file, int line, const char *format, ...) {
  va_list arguments;
  fprintf(stderr, "%s:%d: ", file, line);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\n  last error: %s: %s\n", tckms_status_name(tckms_error_status(tckms_last_error())),
          tckms_error_message(tckms_last_error()));
  _exit(1);
}

static inline int checks_passed(void) {
  printf("ok %ld checks\n", checks_done);
  return 0;
}

static inline void check_at(int holds, const char *text, const char *file, int line) {
  if (!holds) {
    check_failed(file, line, "check failed: %s", text);
  }
  check_done();
}

static inline void check_int_at(intmax_t got, intmax_t expected, const char *text, const char *file, int line) {
  if (got != expected) {
    check_failed(file, line, "%s is %" PRIdMAX ", not %" PRIdMAX, text, got, expected);
  }
  check_done();
}

static inline void check_text_at(const char *got, const char *expected, const char *text, const char *file, int line) {
  if (got == NULL || strcmp(got, expected) != 0) {
    check_failed(file, line, "%s is \"%s\", not \"%s\"", text, got == NULL ? "(NULL)" : got, expected);
  }
  check_done();
}

static inline void check_has_at(const char *got, const char *part, const char *text, const char *file, int line) {
  if (got == NULL || strstr(got, part) == NULL) {
    check_failed(file, line, "%s is \"%s\", without \"%s\"", text, got == NULL ? "(NULL)" : got, part);
  }
  check_done();
}

static inline void check_bytes_at(const tckms_buffer *got, const void *expected, size_t len, const char *text,
                                  const char *file, int line) {
  if (got->len != len || memcmp(got->data, expected, len) != 0) {
    check_failed(file, line, "%s has other bytes: %lu, not %lu, or another content", text, (unsigned long)got->len,
                 (unsigned long)len);
  }
  if (got->data[len] != 0) {
    check_failed(file, line, "%s is not followed by a NUL byte", text);
  }
  check_done();
}

static inline void check_empty_at(const tckms_buffer *got, const char *text, const char *file, int line) {
  if (got->data != NULL || got->len != 0) {
    check_failed(file, line, "%s is not empty: {%p, %lu}", text, (void *)got->data, (unsigned long)got->len);
  }
  check_done();
}

static inline void check_status_at(tckms_status got, tckms_status expected, const char *text, const char *file,
                                   int line) {
  if (got != expected) {
    check_failed(file, line, "%s\n  is %s, not %s", text, tckms_status_name(got), tckms_status_name(expected));
  }
  if (got != TCKMS_OK && tckms_error_status(tckms_last_error()) != got) {
    check_failed(file, line, "%s\n  is not the last error's status", text);
  }
  check_done();
}

#define CHECK(condition) check_at((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_INT(got, expected) check_int_at((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, expected) check_text_at((got), (expected), #got, __FILE__, __LINE__)
/* `got` has `part` in it. */
#define CHECK_HAS(got, part) check_has_at((got), (part), #got, __FILE__, __LINE__)
/* The tckms_buffer `got` contains these bytes, followed by a NUL byte. */
#define CHECK_BYTES(got, expected, len) check_bytes_at(&(got), (expected), (len), #got, __FILE__, __LINE__)
#define CHECK_EMPTY(buffer) check_empty_at(&(buffer), #buffer, __FILE__, __LINE__)
/* The call returns this status, and the last error has the same one. */
#define CHECK_STATUS(call, status) check_status_at((call), (status), #call, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_STATUS(call, TCKMS_OK)

/* The previous content of an output must not matter: reading or freeing this would crash. */
static inline tckms_buffer garbage(void) {
  tckms_buffer buffer;
  buffer.data = (uint8_t *)(uintptr_t)0xdead;
  buffer.len = 0xdead;
  return buffer;
}

#endif /* CHECK_H */
