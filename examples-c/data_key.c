/*
 * Generates a data key, keeps only its wrapped form, and later unwraps it.
 *
 *     data_key KEY_ID [CONTEXT_JSON]
 *
 * This is the key management part of envelope encryption. Encrypting data with the key also needs a cipher, nonces that
 * never repeat and a message format. Use tckms_seal() for that, and a bare data key only if a program already has its own
 * format. The client comes from the environment, as in quickstart.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

enum { KEY_LEN = 32 };

static void explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
}

/* The service does not need the key id. The library uses it to refuse a wrapped key of another CMK. */
static int unwrap(const tckms_client *client, const char *key_id, const char *context, const tckms_buffer *wrapped,
                  tckms_buffer *key) {
  if (tckms_decrypt(client, key_id, wrapped->data, wrapped->len, context, key) != TCKMS_OK) {
    explain("cannot unwrap the key");
    return 0;
  }
  return 1;
}

/*
 * Data under a key that cannot be unwrapped is lost, so the function unwraps the new key once before it is used. It
 * returns the wrapped form, and wipes both copies of the plaintext key.
 */
static int make_key(const tckms_client *client, const char *key_id, const char *context, tckms_buffer *wrapped) {
  tckms_buffer key = TCKMS_BUFFER_INIT;
  tckms_buffer again = TCKMS_BUFFER_INIT;
  int made = 0;

  if (tckms_generate_data_key(client, key_id, KEY_LEN, context, &key, wrapped) != TCKMS_OK) {
    explain("cannot generate a data key");
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
    explain("cannot create a client");
    goto cleanup;
  }
  if (!make_key(client, key_id, context, &wrapped)) {
    goto cleanup;
  }
  printf("wrapped key: %s\n", (const char *)wrapped.data);

  /* Later, perhaps on another machine, the program needs only the wrapped key, which is stored with the data. */
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
