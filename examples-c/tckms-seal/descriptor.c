#ifdef __linux__
#define _GNU_SOURCE
#else
#define _XOPEN_SOURCE 700
#endif

#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

/* A descriptor that can be neither read from nor written to. */
#ifdef O_PATH
#define PLACEHOLDER (O_PATH | O_DIRECTORY)
#else
#define PLACEHOLDER O_RDONLY
#endif

int descriptor_reserve_standard(void) {
  int descriptor;
  do {
    descriptor = open("/", PLACEHOLDER);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor < 0) {
    return report_errno("a standard descriptor");
  }
  close(descriptor);
  return EXIT_SUCCESS;
}

int descriptor_number(const char *digits) {
  char *end;
  long number;
  if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
    return -1;
  }
  errno = 0;
  number = strtol(digits, &end, 10);
  /* No descriptor has a larger number, so the maximum stands for all larger ones. */
  return errno != 0 || number > INT_MAX ? INT_MAX : (int)number;
}

int descriptor_in_path(const char *path) {
  static const char *const FOLDERS[] = {"/dev/fd/", "/proc/self/fd/"};
  static const char *const NAMES[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  size_t i;
  for (i = 0; i < sizeof FOLDERS / sizeof FOLDERS[0]; i++) {
    if (strncmp(path, FOLDERS[i], strlen(FOLDERS[i])) == 0) {
      return descriptor_number(path + strlen(FOLDERS[i]));
    }
  }
  for (i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
    if (strcmp(path, NAMES[i]) == 0) {
      return (int)i;
    }
  }
  return -1;
}

/* Whether it is open, not a placeholder, and its access mode is not `unfit`. */
static int is_open_unless(int descriptor, int unfit) {
  struct stat stat;
  int flags = fcntl(descriptor, F_GETFL), fit = flags >= 0 && (flags & O_ACCMODE) != unfit;
#ifdef O_PATH
  fit = fit && !(flags & O_PATH);
#endif
  if (!fit || fstat(descriptor, &stat) != 0) {
    errno = EBADF;
    return 0;
  }
  if (S_ISDIR(stat.st_mode)) {
    errno = EISDIR;
    return 0;
  }
  return 1;
}

int descriptor_is_readable(int descriptor) { return is_open_unless(descriptor, O_WRONLY); }

int descriptor_is_writable(int descriptor) { return is_open_unless(descriptor, O_RDONLY); }
