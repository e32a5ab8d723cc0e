/* Resolves the path of an output without trusting the links in it. */
#ifndef PLACE_H
#define PLACE_H

#include <sys/types.h>
#include <sys/stat.h>

enum place_kind {
  /* An inherited descriptor. */
  PLACE_DESCRIPTOR,
  /* A new name in an existing folder. */
  PLACE_ABSENT,
  /* A regular file. */
  PLACE_FILE,
  /* A device, a named pipe, a socket. */
  PLACE_SPECIAL
};

struct place {
  enum place_kind kind;
  /* Of PLACE_DESCRIPTOR; else -1. */
  int descriptor;
  /* The folder, as a descriptor for openat() and similar calls, or -1; and the name in it, on the heap, or NULL. */
  int folder;
  char *name;
  /* Of PLACE_FILE and PLACE_SPECIAL. */
  struct stat stat;
};

/*
 * Resolves the path once, so that the later open uses the result and not the path. In a sticky folder, where every user
 * may create files, it refuses links, named pipes and files of other owners. Reports a failure with `path`, and returns
 * an exit status.
 */
int place_find(struct place *place, const char *path);

/* Opens the result without following links. Returns -1 with errno, ESTALE if the name is now another file. */
int place_open(const struct place *place, int flags);

void place_free(struct place *place);

#endif
