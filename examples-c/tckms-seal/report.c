#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

#include "text.h"

static void print(const char *what, const char *why) {
  fputs("tckms-seal: ", stderr);
  text_print(stderr, what);
  if (why) {
    fputs(": ", stderr);
    text_print(stderr, why);
  }
  fputc('\n', stderr);
}

int report(const char *what, const char *why) {
  print(what, why);
  return EXIT_FAILURE;
}

int report_errno(const char *what) { return report(what, strerror(errno)); }

static int exit_status(tckms_status status) {
  switch (tckms_status_category(status)) {
    case TCKMS_CATEGORY_INTEGRITY:
      return EXIT_NOT_OPENED;
    case TCKMS_CATEGORY_TRANSPORT:
    case TCKMS_CATEGORY_UNAVAILABLE:
      return EXIT_LATER;
    case TCKMS_CATEGORY_CREDENTIALS:
    case TCKMS_CATEGORY_IDENTITY:
    case TCKMS_CATEGORY_REQUEST:
      return EXIT_REFUSED;
    default:
      return EXIT_FAILURE;
  }
}

int report_error(const char *what) {
  const tckms_error *error = tckms_last_error();
  report(what, tckms_error_message(error));
  return exit_status(tckms_error_status(error));
}

int report_usage(const char *why, const char *word) {
  print(why, word);
  fputs("tckms-seal --help lists the options\n", stderr);
  return EXIT_USAGE;
}

int report_flush(void) {
  return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : report_errno("standard output");
}
