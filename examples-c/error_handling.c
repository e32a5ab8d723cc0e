/*
 * Acts on errors by their category, and shows what to log.
 *
 *     error_handling KEY_ID
 *
 * It makes four calls that fail, each for a different reason, keeps their errors, and reports them at the end. The key
 * is only used to encrypt a word; nothing in the account is changed. The client comes from the environment, as in
 * quickstart.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

#define CONTEXT "{\"program\":\"error_handling\"}"

/* Valid, but no such key exists. */
#define UNKNOWN_KEY_ID "00000000-0000-0000-0000-000000000000"

/* No program listens on port 1. */
#define PORT_WITHOUT_SERVER "http://127.0.0.1:1"

enum { TRIALS = 4 };

/* The category says which side can correct an error. This program only prints what a real one would do. */
static const char *advice(const tckms_error *error) {
  switch (tckms_status_category(tckms_error_status(error))) {
    case TCKMS_CATEGORY_ARGUMENT:
      return "This program made a mistake: correct the call.";
    case TCKMS_CATEGORY_CREDENTIALS:
    case TCKMS_CATEGORY_IDENTITY:
      return tckms_error_retryable(error) ? "The credentials provider is not available now; try again later."
                                          : "Ask the administrator of keys and permissions. A retry does not help.";
    case TCKMS_CATEGORY_TRANSPORT:
    case TCKMS_CATEGORY_UNAVAILABLE:
      /* The library has already retried several times, so wait long before the next call. */
      return tckms_error_retryable(error) ? "Continue without it if you can, and try again later."
                                          : "Look at the network, the endpoint and the certificates.";
    case TCKMS_CATEGORY_REQUEST:
      return "Check the key, its state and the context. A retry does not help.";
    case TCKMS_CATEGORY_INTEGRITY:
      return "Do not use the data. It may have been replaced.";
    default:
      return "Report this error with all details above.";
  }
}

/* Everything that a support ticket needs. None of it contains a secret, so all of it may be logged. */
static void report(const tckms_error *error) {
  printf("%s\n", tckms_error_message(error));
  printf("  status:       %s\n", tckms_status_name(tckms_error_status(error)));
  printf("  service code: %s\n", tckms_error_service_code(error));
  printf("  request id:   %s\n", tckms_error_request_id(error));
  printf("  attempts:     %d\n", tckms_error_attempts(error));
  if (tckms_error_retry_after_ms(error) >= 0) {
    printf("  retry after:  %" PRId64 " ms\n", tckms_error_retry_after_ms(error));
  }
  printf("  %s\n\n", advice(error));
}

/*
 * Each function returns the error of its failed call, or NULL if the call succeeded, which is not expected. The error
 * is taken from the thread, because the next failed call would replace it there.
 */

static tckms_error *encrypt_under_an_unknown_key(const tckms_client *client) {
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_error *error = NULL;
  if (tckms_encrypt(client, UNKNOWN_KEY_ID, "word", 4, NULL, &blob) != TCKMS_OK) {
    error = tckms_last_error_take();
  }
  tckms_buffer_free(&blob);
  return error;
}

static tckms_error *encrypt_too_much(const tckms_client *client, const char *key_id) {
  static const char too_much[TCKMS_PLAINTEXT_MAX + 1];
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_error *error = NULL;
  if (tckms_encrypt(client, key_id, too_much, sizeof too_much, NULL, &blob) != TCKMS_OK) {
    error = tckms_last_error_take();
  }
  tckms_buffer_free(&blob);
  return error;
}

static tckms_error *decrypt_with_another_context(const tckms_client *client, const char *key_id) {
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  tckms_error *error = NULL;
  if (tckms_encrypt(client, key_id, "word", 4, CONTEXT, &blob) != TCKMS_OK ||
      tckms_decrypt(client, key_id, blob.data, blob.len, "{\"program\":\"another\"}", &plaintext) != TCKMS_OK) {
    error = tckms_last_error_take();
  }
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  return error;
}

static tckms_error *call_a_port_without_a_server(void) {
  tckms_config *config = tckms_config_new();
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_error *error = NULL;
  if (tckms_config_set_region(config, "ap-guangzhou") != TCKMS_OK ||
      tckms_config_set_endpoint(config, PORT_WITHOUT_SERVER) != TCKMS_OK ||
      tckms_config_set_credentials(config, "no-id-is-needed-here", "no-key-is-needed-here", NULL) != TCKMS_OK ||
      tckms_config_set_max_attempts(config, 2) != TCKMS_OK || tckms_client_new(config, &client) != TCKMS_OK ||
      tckms_encrypt(client, UNKNOWN_KEY_ID, "word", 4, NULL, &blob) != TCKMS_OK) {
    error = tckms_last_error_take();
  }
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  tckms_config_free(config);
  return error;
}

int main(int argc, char **argv) {
  tckms_client *client = NULL;
  tckms_error *errors[TRIALS] = {NULL, NULL, NULL, NULL};
  int result = EXIT_SUCCESS;
  int i;

  if (argc != 2) {
    fprintf(stderr, "usage: %s KEY_ID\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    fprintf(stderr, "cannot create a client: %s\n", tckms_error_message(tckms_last_error()));
    return EXIT_FAILURE;
  }
  errors[0] = encrypt_under_an_unknown_key(client);
  errors[1] = encrypt_too_much(client, argv[1]);
  errors[2] = decrypt_with_another_context(client, argv[1]);
  errors[3] = call_a_port_without_a_server();
  tckms_client_free(client);

  for (i = 0; i < TRIALS; i++) {
    if (errors[i] == NULL) {
      fprintf(stderr, "trial %d succeeded, which it should not\n", i + 1);
      result = EXIT_FAILURE;
    } else {
      report(errors[i]);
    }
    tckms_error_free(errors[i]);
  }
  return result;
}
