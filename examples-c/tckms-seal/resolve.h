/* Resolves the path of an output without trusting the links in it. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <sys/types.h>
#include <sys/stat.h>

enum resolved_kind {
  /* An inherited descriptor. */
  RESOLVED_DESCRIPTOR,
  /* A new name in an existing folder. */
  RESOLVED_ABSENT,
  /* A regular file. */
  RESOLVED_FILE,
  /* A device, a named pipe, a socket. */
  RESOLVED_SPECIAL
};

struct resolved {
  enum resolved_kind kind;
  /* Of RESOLVED_DESCRIPTOR; else -1. */
  int descriptor;
  /* The folder, as a descriptor for openat() and similar calls, or -1; and the name in it, on the heap, or NULL. */
  int folder;
  char *name;
  /* Of RESOLVED_FILE and RESOLVED_SPECIAL. */
  struct stat stat;
};

/*
 * Resolves the path once, so that the later open uses the result and not the path. In a sticky folder, where every user
 * may create files, it refuses links, named pipes and files of other owners. Reports a failure with `path`, and returns
 * an exit status.
 */
int resolved_find(struct resolved *resolved, const char *path);

/* Opens the result without following links. Returns -1 with errno, ESTALE if the name is now another file. */
int resolved_open(const struct resolved *resolved, int flags);

void resolved_free(struct resolved *resolved);

#endif
