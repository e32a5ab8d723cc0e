/* The progress bar on a terminal, and the conditions to stop. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>
#include <time.h>

struct progress {
  int wanted, shown;
  struct timespec started;
  /* The maximal input: with more, the file grew while it was read. */
  uint64_t limit;
  int over_limit;
};

/* `limit` is UINT64_MAX for none. */
void progress_start(struct progress *progress, int wanted, uint64_t limit);

/* For tckms_fd_options, with a struct progress as userdata. Stops after a signal, and beyond the limit. */
int progress_show(void *userdata, uint64_t done, uint64_t total);

/* Ends the line of the bar. */
void progress_end(const struct progress *progress);

#endif
