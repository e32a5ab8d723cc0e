/* Reports failures, and defines the exit statuses. */
#ifndef REPORT_H
#define REPORT_H

/* In addition to EXIT_SUCCESS, and EXIT_FAILURE for files and other failures. */
enum {
  EXIT_USAGE = 2,
  /* The message was changed or truncated, or does not match these keys and this context. */
  EXIT_NOT_OPENED = 3,
  /* The service cannot be reached or is not available. The same command may succeed later. */
  EXIT_LATER = 4,
  /* The service refused the identity, the key or the request, or there are no credentials. */
  EXIT_REFUSED = 5
};

/* Prints "tckms-seal: WHAT: WHY" to standard error. Returns EXIT_FAILURE. */
int report(const char *what, const char *why);

/* Reports errno. */
int report_errno(const char *what);

/* Reports the last error of the library. Returns the exit status for its category. */
int report_error(const char *what);

/* Reports an error of the command line: "tckms-seal: WHY: WORD", or without the word if it is NULL. Returns
 * EXIT_USAGE. */
int report_usage(const char *why, const char *word);

/* Flushes standard output, and reports a failed write. */
int report_flush(void);

#endif
