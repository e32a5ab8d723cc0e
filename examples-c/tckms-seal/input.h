/* Where the input comes from, and whether it stayed what it was. */
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

/* How many bytes a regular file has behind its position, UINT64_MAX for anything else. */
uint64_t input_size(const struct input *input);

/* Fails when a regular file was written to, cut off or added to since it was opened. */
int input_check_unchanged(const struct input *input);

/* Prints what a sealed message says about itself. Reads no further than its header. */
int input_print_info(const struct input *input);

#endif
