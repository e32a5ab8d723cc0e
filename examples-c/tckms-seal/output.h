/* Where the result goes: to a descriptor, into a device or pipe, or into a file that has it whole or not at all. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "input.h"
#include "place.h"

enum output_way {
  /* As it comes, into what is there. */
  OUTPUT_DIRECT,
  /* Into an unfinished file beside the one that it replaces or becomes. */
  OUTPUT_RENAMED,
  /* Into an unfinished file that is copied into one that cannot be replaced, such as a bind mount. */
  OUTPUT_COPIED
};

struct output {
  enum output_way way;
  /* For messages. */
  const char *name;
  struct place place;
  /* The descriptor to write to, or -1. */
  int fd;
  /* The file that is there already: for its attributes, and, if it may be written to, for a copy. Or -1. */
  int old, target;
  /* The unfinished file: its folder, its name there, and the path of the folder where it is not the place's own one. */
  int folder;
  char *unfinished;
  const char *elsewhere;
  /* The mode of a new file. */
  mode_t fresh;
};

/* Finds the place. It comes before any other file is opened, since it may be one of the program's descriptors. */
int output_find(struct output *output, const char *path, int is_secret);

/* Whether writing the output would change the input. */
int output_is_input(const struct output *output, const struct input *input);

/* Makes sure that the result can be delivered, before there is any, and opens what the work writes to. */
int output_open(struct output *output);

/* Delivers the complete result. */
int output_finish(struct output *output);

/* Closes everything, and removes an unfinished file. */
void output_free(struct output *output);

/* Whether nothing is to be seen of the result before all of it was checked. */
int output_waits_for_the_end(const struct output *output);

#endif
