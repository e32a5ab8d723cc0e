/* The detail of a failure, its ownership, and the errors of the service. */
#include "check.h"

#include <limits.h>
#include <pthread.h>

#include "fixture.h"

#define CONTEXT "{\"app\":\"billing\"}"
#define UNKNOWN_KEY "00000000-0000-0000-0000-000000000000"

static tckms_client *client;

static void fail_with_empty_plaintext(void) {
  tckms_buffer out;
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "", 0, NULL, &out), TCKMS_ERR_EMPTY_PLAINTEXT);
}

static void fail_with_long_plaintext(void) {
  static const char plaintext[TCKMS_PLAINTEXT_MAX + 1];
  tckms_buffer out;
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, plaintext, sizeof plaintext, NULL, &out),
               TCKMS_ERR_PLAINTEXT_TOO_LARGE);
}

static void succeed(void) {
  uint8_t byte;
  CHECK_OK(tckms_generate_random(client, &byte, 1));
}

/* The table of statuses. tests/header.rs checks every status of the header. */

static void the_block_of_a_status_is_its_category(void) {
  CHECK_INT(tckms_status_category(TCKMS_OK), TCKMS_CATEGORY_OK);
  CHECK_INT(tckms_status_category(TCKMS_ERR_NULL_POINTER), TCKMS_CATEGORY_ARGUMENT);
  CHECK_INT(tckms_status_category(TCKMS_ERR_NO_CREDENTIALS), TCKMS_CATEGORY_CREDENTIALS);
  CHECK_INT(tckms_status_category(TCKMS_ERR_TIMED_OUT), TCKMS_CATEGORY_TRANSPORT);
  CHECK_INT(tckms_status_category(TCKMS_ERR_AUTH_SIGNATURE_FAILURE), TCKMS_CATEGORY_IDENTITY);
  CHECK_INT(tckms_status_category(TCKMS_ERR_CMK_DISABLED), TCKMS_CATEGORY_REQUEST);
  CHECK_INT(tckms_status_category(TCKMS_ERR_SERVICE_UNAVAILABLE), TCKMS_CATEGORY_UNAVAILABLE);
  CHECK_INT(tckms_status_category(TCKMS_ERR_KEY_MISMATCH), TCKMS_CATEGORY_INTEGRITY);
  CHECK_INT(tckms_status_category(TCKMS_ERR_INTERNAL), TCKMS_CATEGORY_LIBRARY);
}

static void any_number_has_a_name_a_message_and_a_category(void) {
  static const int unknown[] = {1, 99, 100, 200, 800, 900, 999, 1000, 100101, -1, -101, INT_MAX, INT_MIN};
  size_t i;
  for (i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    CHECK_TEXT(tckms_status_name(unknown[i]), "TCKMS_ERR_?");
    CHECK(strlen(tckms_status_message(unknown[i])) > 0);
    CHECK_INT(tckms_status_category(unknown[i]), TCKMS_CATEGORY_UNKNOWN);
  }
}

/* The last error of a thread. */

static void without_a_failure_there_is_no_error(void) {
  CHECK(tckms_last_error() == NULL);
  CHECK(tckms_last_error_take() == NULL);
  CHECK_TEXT(tckms_last_request_id(), "");
  CHECK_TEXT(tckms_last_key_id(), "");
}

static void a_status_says_whether_to_retry(void) {
  CHECK_INT(tckms_status_retryable(TCKMS_ERR_TIMED_OUT), 1);
  CHECK_INT(tckms_status_retryable(TCKMS_ERR_REQUEST_LIMIT_EXCEEDED), 1);
  CHECK_INT(tckms_status_retryable(TCKMS_ERR_CMK_DISABLED), 0);
  CHECK_INT(tckms_status_retryable(TCKMS_ERR_CANCELED), 0);
  CHECK_INT(tckms_status_retryable(TCKMS_OK), 0);
  CHECK_INT(tckms_status_retryable(-1), 0);
  CHECK_INT(tckms_status_retryable(TCKMS_STATUS_FORCE_INT), 0);
  CHECK_INT(tckms_error_category(NULL), TCKMS_CATEGORY_OK);
  CHECK_INT(sizeof(tckms_category), sizeof(int));
}

static void accessors_accept_null(void) {
  CHECK_INT(tckms_error_status(NULL), TCKMS_OK);
  CHECK_TEXT(tckms_error_message(NULL), "");
  CHECK_TEXT(tckms_error_service_code(NULL), "");
  CHECK_TEXT(tckms_error_request_id(NULL), "");
  CHECK_TEXT(tckms_error_key_id(NULL), "");
  CHECK_TEXT(tckms_error_action(NULL), "");
  CHECK_INT(tckms_error_http_status(NULL), 0);
  CHECK_INT(tckms_error_retryable(NULL), 0);
  CHECK_INT(tckms_error_retry_after_ms(NULL), -1);
  CHECK_INT(tckms_error_attempts(NULL), 0);
  CHECK_INT(tckms_error_os_errno(NULL), 0);
}

static void members_that_do_not_apply_are_empty(void) {
  const tckms_error *error;
  fail_with_empty_plaintext();
  error = tckms_last_error();
  CHECK_TEXT(tckms_error_action(error), "Encrypt");
  CHECK_TEXT(tckms_error_service_code(error), "");
  CHECK_TEXT(tckms_error_request_id(error), "");
  CHECK_INT(tckms_error_http_status(error), 0);
  CHECK_INT(tckms_error_retryable(error), 0);
  CHECK_INT(tckms_error_retry_after_ms(error), -1);
  CHECK_INT(tckms_error_attempts(error), 0);
  CHECK_INT(tckms_error_os_errno(error), 0);
}

static void the_last_error_survives_successes_and_frees(void) {
  tckms_buffer buffer = TCKMS_BUFFER_INIT;
  char message[256];
  const tckms_error *error;
  fail_with_empty_plaintext();
  snprintf(message, sizeof message, "%s", tckms_error_message(tckms_last_error()));
  succeed();
  tckms_buffer_free(&buffer);
  tckms_client_free(NULL);
  tckms_config_free(tckms_config_new());
  tckms_error_free(NULL);
  error = tckms_last_error();
  CHECK_INT(tckms_error_status(error), TCKMS_ERR_EMPTY_PLAINTEXT);
  CHECK_TEXT(tckms_error_message(error), message);
}

static void the_next_failure_takes_its_place(void) {
  fail_with_empty_plaintext();
  fail_with_long_plaintext();
  CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_PLAINTEXT_TOO_LARGE);
}

static void an_error_that_was_taken_is_the_callers(void) {
  tckms_error *error;
  fail_with_empty_plaintext();
  error = tckms_last_error_take();
  CHECK(error != NULL);
  CHECK(tckms_last_error() == NULL);
  CHECK(tckms_last_error_take() == NULL);
  fail_with_long_plaintext();
  CHECK_INT(tckms_error_status(error), TCKMS_ERR_EMPTY_PLAINTEXT);
  CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_PLAINTEXT_TOO_LARGE);
  tckms_error_free(error);
  CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_PLAINTEXT_TOO_LARGE);
}

static void *read_and_free(void *error) {
  CHECK_HAS(tckms_error_message(error), "the plaintext is empty");
  CHECK(tckms_last_error() == NULL);
  tckms_error_free(error);
  return NULL;
}

static void an_error_that_was_taken_may_move_to_another_thread(void) {
  pthread_t thread;
  fail_with_empty_plaintext();
  CHECK_INT(pthread_create(&thread, NULL, read_and_free, tckms_last_error_take()), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
}

enum { THREADS = 2, ROUNDS = 200 };

static pthread_barrier_t both_failed;

static void *fail_empty(void *unused) {
  int round;
  for (round = 0; round < ROUNDS; round++) {
    fail_with_empty_plaintext();
    pthread_barrier_wait(&both_failed);
    CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_EMPTY_PLAINTEXT);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "the plaintext is empty");
  }
  return unused;
}

static void *fail_long(void *unused) {
  int round;
  for (round = 0; round < ROUNDS; round++) {
    fail_with_long_plaintext();
    pthread_barrier_wait(&both_failed);
    CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_PLAINTEXT_TOO_LARGE);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "4097 bytes");
  }
  return unused;
}

static void each_thread_has_its_own_error(void) {
  pthread_t threads[THREADS];
  CHECK_INT(pthread_barrier_init(&both_failed, NULL, THREADS), 0);
  CHECK_INT(pthread_create(&threads[0], NULL, fail_empty, NULL), 0);
  CHECK_INT(pthread_create(&threads[1], NULL, fail_long, NULL), 0);
  CHECK_INT(pthread_join(threads[0], NULL), 0);
  CHECK_INT(pthread_join(threads[1], NULL), 0);
  pthread_barrier_destroy(&both_failed);
}

/* Errors of the service. */

/* Checks for every refusal of the service. */
static void refused(tckms_status got, tckms_status status, const char *code, const char *action) {
  const tckms_error *error = tckms_last_error();
  CHECK_STATUS(got, status);
  CHECK_TEXT(tckms_error_service_code(error), code);
  CHECK_TEXT(tckms_error_action(error), action);
  CHECK_INT(strlen(tckms_error_request_id(error)), 36);
  CHECK_INT(tckms_error_http_status(error), 200);
  CHECK_INT(tckms_error_retryable(error), 0);
  CHECK_INT(tckms_error_retry_after_ms(error), -1);
  CHECK_INT(tckms_error_attempts(error), 1);
  CHECK_INT(tckms_error_os_errno(error), 0);
  CHECK_HAS(tckms_error_message(error), action);
  CHECK_HAS(tckms_error_message(error), code);
  CHECK_HAS(tckms_error_message(error), tckms_error_request_id(error));
  CHECK(strstr(tckms_error_message(error), GIVEN_SECRET_KEY) == NULL);
}

static void change_state(const char *action, const char *key_id) {
  char request[128];
  tckms_buffer response;
  snprintf(request, sizeof request, "{\"KeyId\":\"%s\"}", key_id);
  CHECK_OK(tckms_call(client, action, request, &response));
  tckms_buffer_free(&response);
}

static void a_key_that_does_not_exist_is_not_found(void) {
  tckms_buffer out = garbage();
  tckms_buffer other = garbage();
  refused(tckms_encrypt(client, UNKNOWN_KEY, "x", 1, NULL, &out), TCKMS_ERR_CMK_NOT_FOUND,
          "ResourceUnavailable.CmkNotFound", "Encrypt");
  CHECK_EMPTY(out);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), UNKNOWN_KEY);
  refused(tckms_generate_data_key(client, UNKNOWN_KEY, 32, NULL, &out, &other), TCKMS_ERR_CMK_NOT_FOUND,
          "ResourceUnavailable.CmkNotFound", "GenerateDataKey");
  CHECK_EMPTY(out);
  CHECK_EMPTY(other);
}

static void a_key_id_of_another_form_is_sent_to_the_service(void) {
  tckms_buffer out = garbage();
  refused(tckms_encrypt(client, "no-such-key", "x", 1, NULL, &out), TCKMS_ERR_INVALID_KEY_ID,
          "InvalidParameterValue.InvalidKeyId", "Encrypt");
  CHECK_EMPTY(out);
}

static void a_disabled_key_neither_encrypts_nor_decrypts(void) {
  const char *key_id = given("TEST_KEY_DISABLED");
  tckms_buffer blob;
  tckms_buffer out = garbage();
  CHECK_OK(tckms_encrypt(client, key_id, "secret", 6, CONTEXT, &blob));
  change_state("DisableKey", key_id);
  refused(tckms_encrypt(client, key_id, "x", 1, NULL, &out), TCKMS_ERR_CMK_DISABLED,
          "ResourceUnavailable.CmkDisabled", "Encrypt");
  CHECK_EMPTY(out);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), key_id);
  refused(tckms_decrypt(client, NULL, blob.data, blob.len, CONTEXT, &out), TCKMS_ERR_CMK_DISABLED,
          "ResourceUnavailable.CmkDisabled", "Decrypt");
  CHECK_EMPTY(out);
  refused(tckms_reencrypt(client, MAIN_KEY, blob.data, blob.len, CONTEXT, NULL, &out), TCKMS_ERR_CMK_DISABLED,
          "ResourceUnavailable.CmkDisabled", "ReEncrypt");
  CHECK_EMPTY(out);
  change_state("EnableKey", key_id);
  CHECK_OK(tckms_decrypt(client, key_id, blob.data, blob.len, CONTEXT, &out));
  tckms_buffer_free(&out);
  tckms_buffer_free(&blob);
}

static void an_archived_key_only_decrypts(void) {
  const char *key_id = given("TEST_KEY_ARCHIVED");
  tckms_buffer blob;
  tckms_buffer out = garbage();
  CHECK_OK(tckms_encrypt(client, key_id, "secret", 6, CONTEXT, &blob));
  change_state("ArchiveKey", key_id);
  refused(tckms_encrypt(client, key_id, "x", 1, NULL, &out), TCKMS_ERR_CMK_ARCHIVED,
          "ResourceUnavailable.CmkArchived", "Encrypt");
  CHECK_EMPTY(out);
  CHECK_OK(tckms_decrypt(client, key_id, blob.data, blob.len, CONTEXT, &out));
  CHECK_BYTES(out, "secret", 6);
  tckms_buffer_free(&out);
  tckms_buffer_free(&blob);
}

static void another_context_is_an_invalid_ciphertext(void) {
  static const char *const contexts[] = {NULL, "{}", "{\"app\":\"audit\"}", "{\"app\":\"billing\" }"};
  tckms_buffer blob;
  tckms_buffer out;
  size_t i;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, CONTEXT, &blob));
  for (i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
    out = garbage();
    refused(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, contexts[i], &out), TCKMS_ERR_INVALID_CIPHERTEXT,
            "InvalidParameterValue.InvalidCiphertext", "Decrypt");
    CHECK_EMPTY(out);
    CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  }
  refused(tckms_reencrypt(client, NULL, blob.data, blob.len, "{}", CONTEXT, &out), TCKMS_ERR_INVALID_CIPHERTEXT,
          "InvalidParameterValue.InvalidCiphertext", "ReEncrypt");
  CHECK_EMPTY(out);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), "");
  tckms_buffer_free(&blob);
}

static void a_changed_blob_is_an_invalid_ciphertext(void) {
  tckms_buffer blob;
  tckms_buffer out = garbage();
  char *changed;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob));
  changed = malloc(blob.len);
  CHECK(changed != NULL);
  memcpy(changed, blob.data, blob.len);
  changed[blob.len - 8] = changed[blob.len - 8] == 'A' ? 'B' : 'A';
  refused(tckms_decrypt(client, NULL, changed, blob.len, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT,
          "InvalidParameterValue.InvalidCiphertext", "Decrypt");
  CHECK_EMPTY(out);
  free(changed);
  tckms_buffer_free(&blob);
}

static tckms_client *client_of_identity(const char *secret_id, const char *secret_key, const char *token) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_credentials(config, secret_id, secret_key, token));
  return client_of(config);
}

static void a_wrong_identity_is_named_by_what_is_wrong_with_it(void) {
  tckms_client *other;
  tckms_buffer out = garbage();
  other = client_of_identity(GIVEN_SECRET_ID, "not-its-secret-key", NULL);
  refused(tckms_encrypt(other, MAIN_KEY, "x", 1, NULL, &out), TCKMS_ERR_AUTH_SIGNATURE_FAILURE,
          "AuthFailure.SignatureFailure", "Encrypt");
  CHECK(strstr(tckms_error_message(tckms_last_error()), "not-its-secret-key") == NULL);
  tckms_client_free(other);

  other = client_of_identity("AKIDNOBODY", GIVEN_SECRET_KEY, NULL);
  refused(tckms_encrypt(other, MAIN_KEY, "x", 1, NULL, &out), TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND,
          "AuthFailure.SecretIdNotFound", "Encrypt");
  tckms_client_free(other);

  other = client_of_identity(GIVEN_SECRET_ID, GIVEN_SECRET_KEY, "a-token-it-does-not-have");
  refused(tckms_encrypt(other, MAIN_KEY, "x", 1, NULL, &out), TCKMS_ERR_AUTH_TOKEN_FAILURE, "AuthFailure.TokenFailure",
          "Encrypt");
  CHECK(strstr(tckms_error_message(tckms_last_error()), "a-token-it-does-not-have") == NULL);
  tckms_client_free(other);
  CHECK_EMPTY(out);
}

static void an_action_that_does_not_exist_is_invalid(void) {
  tckms_buffer out = garbage();
  refused(tckms_call(client, "NoSuchAction", NULL, &out), TCKMS_ERR_INVALID_ACTION, "InvalidAction", "NoSuchAction");
  CHECK_EMPTY(out);
}

static void a_parameter_that_does_not_exist_is_unknown(void) {
  tckms_buffer out = garbage();
  refused(tckms_call(client, "GetRegions", "{\"NoSuchParameter\":1}", &out), TCKMS_ERR_UNKNOWN_PARAMETER,
          "UnknownParameter", "GetRegions");
  CHECK_EMPTY(out);
}

static void a_missing_parameter_is_reported(void) {
  tckms_buffer out = garbage();
  refused(tckms_call(client, "DescribeKey", "{}", &out), TCKMS_ERR_MISSING_PARAMETER, "MissingParameter",
          "DescribeKey");
  CHECK_EMPTY(out);
}

int main(void) {
  without_a_failure_there_is_no_error();
  a_status_says_whether_to_retry();
  accessors_accept_null();
  the_block_of_a_status_is_its_category();
  any_number_has_a_name_a_message_and_a_category();

  client = emulator_client();
  members_that_do_not_apply_are_empty();
  the_last_error_survives_successes_and_frees();
  the_next_failure_takes_its_place();
  an_error_that_was_taken_is_the_callers();
  an_error_that_was_taken_may_move_to_another_thread();
  each_thread_has_its_own_error();

  a_key_that_does_not_exist_is_not_found();
  a_key_id_of_another_form_is_sent_to_the_service();
  a_disabled_key_neither_encrypts_nor_decrypts();
  an_archived_key_only_decrypts();
  another_context_is_an_invalid_ciphertext();
  a_changed_blob_is_an_invalid_ciphertext();
  a_wrong_identity_is_named_by_what_is_wrong_with_it();
  an_action_that_does_not_exist_is_invalid();
  a_parameter_that_does_not_exist_is_unknown();
  a_missing_parameter_is_reported();

  tckms_client_free(client);
  return checks_passed();
}
