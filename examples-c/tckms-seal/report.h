/* The report and the exit status of a failure. */
#ifndef REPORT_H
#define REPORT_H

/* Beside EXIT_SUCCESS and, for files and anything else, EXIT_FAILURE. */
enum {
  EXIT_USAGE = 2,
  /* The message was changed, cut off, or is not for these keys and this context. */
  EXIT_NOT_OPENED = 3,
  /* The service cannot be reached or is unable now; the same command may succeed later. */
  EXIT_LATER = 4,
  /* The service refuses the identity, the key or the request, or there are no credentials. */
  EXIT_REFUSED = 5
};

/* Prints "tckms-seal: WHAT: WHY" to standard error. Returns EXIT_FAILURE. */
int report(const char *what, const char *why);

/* The same with the text of errno. */
int report_errno(const char *what);

/* The same with the library's last error. Returns the exit status that says what kind it is. */
int report_error(const char *what);

/* A fault of the command line: "tckms-seal: WHY: WORD"; without the word where that is NULL. Returns EXIT_USAGE. */
int report_usage(const char *why, const char *word);

/* Makes sure that all that was printed to standard output has arrived. */
int report_flush(void);

#endif
