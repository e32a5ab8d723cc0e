/* The output: a descriptor, a device or pipe, or a file that is replaced only by a complete result. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "input.h"
#include "resolve.h"

enum output_method {
  /* Written directly. */
  OUTPUT_DIRECT,
  /* Written to a temporary file, which is renamed. */
  OUTPUT_RENAMED,
  /* Written to a temporary file, which is copied into a file that cannot be replaced, such as a bind mount. */
  OUTPUT_COPIED
};

struct output {
  enum output_method method;
  /* For messages. */
  const char *name;
  struct resolved resolved;
  /* The descriptor to write to, or -1. */
  int fd;
  /* The existing file, opened for its attributes and, if it is writable, for a copy. Or -1. */
  int old, target;
  /* The temporary file: its folder, its name, and the path of the folder if it is not that of the target. */
  int folder;
  char *unfinished;
  const char *temporary_folder;
  /* The mode of a new file. */
  mode_t new_mode;
};

/* Resolves the path. Must run before any other file is opened, since the path may name an inherited descriptor. */
int output_find(struct output *output, const char *path, int is_secret);

/* Whether writing the output would change the input. */
int output_is_input(const struct output *output, const struct input *input);

/* Checks that the result can be delivered, and opens the file to write to. */
int output_open(struct output *output);

/* Delivers the complete result. */
int output_finish(struct output *output);

/* Closes everything, and removes an unfinished file. */
void output_free(struct output *output);

/* Whether the result becomes visible only when it is complete. */
int output_is_atomic(const struct output *output);

#endif
