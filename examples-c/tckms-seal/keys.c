#define _XOPEN_SOURCE 700

#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "text.h"

/* More than the size of any key in PEM. */
#define PEM_SIZE (64 * 1024)

/* Reads a PEM file into memory that the caller wipes. stdio would keep copies in its buffers. */
static int read_pem(const char *path, char *pem, size_t size, size_t *len) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  ssize_t got = file < 0 ? -1 : 1;
  *len = 0;
  while (got > 0 && *len < size) {
    got = read(file, pem + *len, size - *len);
    *len += got > 0 ? (size_t)got : 0;
  }
  if (got < 0) {
    report_errno(path);
  } else if (*len == size) {
    report(path, "the file is too long for a key");
    got = -1;
  }
  if (file >= 0) {
    close(file);
  }
  return got < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int add_escrow_key(tckms_keyring *keyring, const char *escrow_key, int open) {
  static char pem[PEM_SIZE];
  char *text = NULL, *name, *path;
  size_t len;
  int result;
  text_append_string(&text, escrow_key);
  name = strchr(text, ':');
  path = name ? strchr(name + 1, ':') : NULL;
  if (!path) {
    free(text);
    return report_usage("-e takes NAMESPACE:NAME:FILE", NULL);
  }
  *name++ = *path++ = '\0';
  result = read_pem(path, pem, sizeof pem, &len);
  if (result == EXIT_SUCCESS) {
    tckms_status status = open ? tckms_keyring_add_rsa_private_pem(keyring, text, name, pem, len)
                               : tckms_keyring_add_rsa_public_pem(keyring, text, name, pem, len);
    result = status == TCKMS_OK ? EXIT_SUCCESS : report_error(path);
  }
  tckms_wipe(pem, sizeof pem);
  free(text);
  return result;
}

/* No other thread runs yet, so the environment may be changed. */
static int new_client(const char *proxy, tckms_client **client) {
  if (proxy && setenv("TCKMS_PROXY", proxy, 1) != 0) {
    return report_errno("--proxy");
  }
  return tckms_client_new_from_env(client) == TCKMS_OK ? EXIT_SUCCESS : report_error("cannot create a client");
}

/* To open, accepts every branch of the CMK unless the command line names one: the message contains the branch. */
static tckms_status add_branch(tckms_keyring *keyring, const tckms_client *client, const char *key,
                               const struct options *options) {
  tckms_branch_options branch = TCKMS_BRANCH_OPTIONS_INIT;
  branch.branch_id = options->branch;
  branch.file = options->branch_file;
  branch.open_any_branch = options->branch == NULL;
  branch.by_reference = options->action == ACTION_SEAL && options->by_reference;
  return tckms_keyring_add_branch(keyring, client, key, &branch, sizeof branch);
}

/* An id that is not allowed is an invalid command line, other than the content of a file. */
static int report_key_error(const char *what) {
  tckms_status status = tckms_error_status(tckms_last_error());
  int result = report_error(what);
  return status == TCKMS_ERR_MALFORMED_KEY_ID || status == TCKMS_ERR_INVALID_BRANCH_ID ? EXIT_USAGE : result;
}

/* Sealing uses the CMK directly or through a branch key. Opening accepts both. */
static int add_cmk(tckms_keyring *keyring, const tckms_client *client, const char *key, const struct options *options) {
  int open = options->action == ACTION_OPEN;
  if ((open || !options->branch) && tckms_keyring_add_kms(keyring, client, key) != TCKMS_OK) {
    return report_key_error(key);
  }
  if ((open || options->branch) && add_branch(keyring, client, key, options) != TCKMS_OK) {
    return report_key_error(options->branch_file ? options->branch_file : key);
  }
  return EXIT_SUCCESS;
}

static int add_cmks(tckms_keyring *keyring, const struct options *options) {
  tckms_client *client = NULL;
  size_t i;
  int result = options->key_count > 0 ? new_client(options->proxy, &client) : EXIT_SUCCESS;
  for (i = 0; i < options->key_count && result == EXIT_SUCCESS; i++) {
    result = add_cmk(keyring, client, options->keys[i], options);
  }
  /* The keyring holds a reference. */
  tckms_client_free(client);
  return result;
}

int keys_add(tckms_keyring *keyring, const struct options *options) {
  size_t i;
  int result = add_cmks(keyring, options);
  for (i = 0; i < options->escrow_key_count && result == EXIT_SUCCESS; i++) {
    result = add_escrow_key(keyring, options->escrow_keys[i], options->action == ACTION_OPEN);
  }
  if (result == EXIT_SUCCESS && tckms_keyring_set_signing(keyring, options->sign) != TCKMS_OK) {
    result = report_error("cannot sign");
  }
  return result;
}
