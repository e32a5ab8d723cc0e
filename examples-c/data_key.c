/*
 * Makes a data key, keeps only its wrapped form, and later unwraps it.
 *
 *     data_key KEY_ID [CONTEXT_JSON]
 *
 * This is the part of envelope encryption that concerns keys. Encrypting data with the key takes a cipher, a nonce that
 * never repeats and a format that ties all of it together: use the library's envelope encryption for that, and a bare
 * data key only if a program already has its own format. The client comes from the environment, as in quickstart.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

enum { KEY_LEN = 32 };

static void explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
}

/* The service does not need the key id. With it, a wrapped key that was replaced by one of another CMK is refused.
 * */
static int unwrap(const tckms_client *client, const char *key_id, const char *context, const tckms_buffer *wrapped,
                  tckms_buffer *key) {
  if (tckms_decrypt(client, key_id, wrapped->data, wrapped->len, context, key) != TCKMS_OK) {
    explain("cannot unwrap the key");
    return 0;
  }
  return 1;
}

/*
 * Data under a key that cannot be unwrapped is lost, so a new key is unwrapped once before anything depends on it. The
 * function returns the wrapped form, and has wiped both copies of the key itself.
 */
static int make_key(const tckms_client *client, const char *key_id, const char *context, tckms_buffer *wrapped) {
  tckms_buffer key = TCKMS_BUFFER_INIT;
  tckms_buffer again = TCKMS_BUFFER_INIT;
  int made = 0;

  if (tckms_generate_data_key(client, key_id, KEY_LEN, context, &key, wrapped) != TCKMS_OK) {
    explain("cannot make a data key");
    goto cleanup;
  }
  if (!unwrap(client, key_id, context, wrapped, &again)) {
    goto cleanup;
  }
  if (again.len != key.len || !tckms_equal(again.data, key.data, key.len)) {
    fprintf(stderr, "the unwrapped key differs from the wrapped one\n");
    goto cleanup;
  }
  /* Here a program encrypts its data with key.data, before the key is wiped. */
  made = 1;

cleanup:
  tckms_buffer_free(&again);
  tckms_buffer_free(&key);
  return made;
}

int main(int argc, char **argv) {
  const char *key_id = argc > 1 ? argv[1] : "";
  const char *context = argc > 2 ? argv[2] : "{\"program\":\"data_key\"}";
  tckms_client *client = NULL;
  tckms_buffer wrapped = TCKMS_BUFFER_INIT;
  tckms_buffer key = TCKMS_BUFFER_INIT;
  int result = EXIT_FAILURE;

  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: %s KEY_ID [CONTEXT_JSON]\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    explain("cannot make a client");
    goto cleanup;
  }
  if (!make_key(client, key_id, context, &wrapped)) {
    goto cleanup;
  }
  printf("wrapped key: %s\n", (const char *)wrapped.data);

  /* Later, perhaps on another machine: only the wrapped key, which is stored with the data, is needed. */
  if (!unwrap(client, key_id, context, &wrapped, &key)) {
    goto cleanup;
  }
  printf("Unwrapped a key of %lu bytes under %s.\n", (unsigned long)key.len, tckms_last_key_id());
  result = EXIT_SUCCESS;

cleanup:
  tckms_buffer_free(&key);
  tckms_buffer_free(&wrapped);
  tckms_client_free(client);
  return result;
}
