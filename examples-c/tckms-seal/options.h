/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>

/* The maximal number of keys of a message that a reader accepts by default. */
#define KEYS_MAX 8

enum action { ACTION_SEAL, ACTION_OPEN, ACTION_INFO, ACTION_HELP, ACTION_VERSION };

struct options {
  enum action action;
  int sign, quiet, overwrite_input;
  unsigned threads;
  const char *keys[KEYS_MAX];
  size_t key_count;
  /* Each NAMESPACE:NAME:FILE. */
  const char *escrow_keys[KEYS_MAX];
  size_t escrow_key_count;
  /* A JSON object, or NULL. Owned. */
  char *context;
  /* NULL for none. */
  const char *branch, *branch_file;
  int by_reference;
  const char *proxy;
  /* NULL: standard output, standard input. */
  const char *output, *input;
};

/* Returns EXIT_SUCCESS, or EXIT_USAGE after a message. */
int options_parse(struct options *options, int argc, char **argv);

void options_free(struct options *options);

/* The text of --help. */
extern const char OPTIONS_HELP[];

#endif
