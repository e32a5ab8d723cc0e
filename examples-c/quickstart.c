/*
 * Encrypts a small secret under a CMK, decrypts it, and compares.
 *
 *     quickstart KEY_ID [TEXT] [CONTEXT_JSON]
 *
 * Credentials and region come from the environment: TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and
 * TENCENTCLOUD_REGION; TCKMS_ENDPOINT for another site or the emulator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

static void explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
}

int main(int argc, char **argv) {
  const char *key_id = argc > 1 ? argv[1] : "";
  const char *text = argc > 2 ? argv[2] : "a small secret";
  const char *context = argc > 3 ? argv[3] : "{\"program\":\"quickstart\"}";
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  int result = EXIT_FAILURE;

  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: %s KEY_ID [TEXT] [CONTEXT_JSON]\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    explain("cannot create a client");
    goto cleanup;
  }
  if (tckms_encrypt(client, key_id, text, strlen(text), context, &blob) != TCKMS_OK) {
    explain("cannot encrypt");
    goto cleanup;
  }
  printf("ciphertext: %s\n", (const char *)blob.data);
  printf("key id:     %s\n", tckms_last_key_id());
  printf("request id: %s\n", tckms_last_request_id());

  if (tckms_decrypt(client, key_id, blob.data, blob.len, context, &plaintext) != TCKMS_OK) {
    explain("cannot decrypt");
    goto cleanup;
  }
  if (plaintext.len != strlen(text) || !tckms_equal(plaintext.data, text, plaintext.len)) {
    fprintf(stderr, "the decrypted text differs from the original\n");
    goto cleanup;
  }
  printf("The decrypted text equals the original.\n");
  result = EXIT_SUCCESS;

cleanup:
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  return result;
}
