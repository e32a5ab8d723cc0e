/* Resolves the path of an output without trusting the links in it. */
#ifndef PLACE_H
#define PLACE_H

#include <sys/types.h>
#include <sys/stat.h>

enum place_kind {
  /* One of the descriptors that the program was started with. */
  PLACE_DESCRIPTOR,
  /* Nothing yet, in a folder that is there. */
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
 * Follows every link once, so that what is opened later is what was found here. In a sticky folder, where everyone may
 * put things, it accepts no link, named pipe or file of another owner. Returns an exit status, after a message that
 * names `path`.
 */
int place_find(struct place *place, const char *path);

/* Opens what was found, with no link followed; fails with ESTALE when something else is there now. -1 with errno. */
int place_open(const struct place *place, int flags);

void place_free(struct place *place);

#endif
