/* The input, and the check that it did not change while it was read. */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/stat.h>

struct input {
  int fd;
  /* For messages. */
  const char *name;
  struct stat before;
};

/* Opens a file, or takes standard input for NULL. Returns an exit status. */
int input_open(struct input *input, const char *path);

void input_close(const struct input *input);

/* The number of bytes of a regular file after its position, UINT64_MAX for anything else. */
uint64_t input_size(const struct input *input);

/* Fails if a regular file was modified, truncated or extended since it was opened. */
int input_check_unchanged(const struct input *input);

/* Prints the header of a sealed message. Reads no further than the header. */
int input_print_info(const struct input *input);

#endif
