/* The core calls against the emulator, over HTTP or, when the harness names a CA file, over HTTPS. */
#include "check.h"

#include <pthread.h>

#include "fixture.h"

#define CONTEXT "{\"app\":\"billing\"}"

static tckms_client *client;

static void encrypted_with(const char *context, const void *plaintext, size_t len, tckms_buffer *blob) {
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, plaintext, len, context, blob));
  CHECK(blob->len > 0);
  CHECK(blob->data[blob->len] == 0);
}

static void decrypts_to(const char *key_id, const tckms_buffer *blob, const char *context, const void *expected,
                        size_t len) {
  tckms_buffer plaintext = garbage();
  CHECK_OK(tckms_decrypt(client, key_id, blob->data, blob->len, context, &plaintext));
  CHECK_BYTES(plaintext, expected, len);
  tckms_buffer_free(&plaintext);
  CHECK_EMPTY(plaintext);
}

static void round_trip(const char *context, const void *plaintext, size_t len) {
  tckms_buffer blob = garbage();
  encrypted_with(context, plaintext, len, &blob);
  decrypts_to(MAIN_KEY, &blob, context, plaintext, len);
  tckms_buffer_free(&blob);
  CHECK_EMPTY(blob);
}

static void encrypted_data_is_decrypted(void) {
  round_trip(NULL, "secret", 6);
  round_trip(CONTEXT, "secret", 6);
}

static void plaintexts_are_bytes_of_any_length_and_value(void) {
  static const size_t lengths[] = {1, 2, 3, TCKMS_PLAINTEXT_MAX - 1, TCKMS_PLAINTEXT_MAX};
  uint8_t plaintext[TCKMS_PLAINTEXT_MAX];
  size_t i;
  for (i = 0; i < sizeof plaintext; i++) {
    plaintext[i] = (uint8_t)(i * 7);
  }
  for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    /* The first byte is a NUL, and there is one in every 256. */
    round_trip(CONTEXT, plaintext, lengths[i]);
  }
}

static void contexts_are_text_in_any_script(void) {
  round_trip("{}", "x", 1);
  round_trip("{\"用途\":\"数据库密码\",\"地域\":\"广州\"}", "x", 1);
  round_trip("{ \"quote\" : \"\\\"\\\\\\n\\u5bc6\" }", "x", 1);
}

/* An object of 1024 characters in total, however many bytes the letter has. */
static void fill_context(char *context, const char *letter) {
  size_t i;
  strcpy(context, "{\"a\":\"");
  for (i = 0; i < TCKMS_ENCRYPTION_CONTEXT_MAX - strlen("{\"a\":\"\"}"); i++) {
    strcat(context, letter);
  }
  strcat(context, "\"}");
}

static void the_longest_context_is_counted_in_characters(void) {
  char context[4 * TCKMS_ENCRYPTION_CONTEXT_MAX + 1];
  fill_context(context, "x");
  CHECK_INT(strlen(context), TCKMS_ENCRYPTION_CONTEXT_MAX);
  round_trip(context, "x", 1);
  fill_context(context, "密");
  round_trip(context, "x", 1);
}

/* The emulator compares contexts as text, so it would detect a changed blank. */
static void a_context_is_sent_exactly_as_given(void) {
  tckms_buffer blob;
  tckms_buffer plaintext;
  encrypted_with("{ \"a\":\"b\" }", "secret", 6, &blob);
  decrypts_to(NULL, &blob, "{ \"a\":\"b\" }", "secret", 6);
  CHECK_STATUS(tckms_decrypt(client, NULL, blob.data, blob.len, "{\"a\":\"b\"}", &plaintext),
               TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_EMPTY(plaintext);
  tckms_buffer_free(&blob);
}

static void the_blob_is_printable_text(void) {
  tckms_buffer blob;
  size_t i;
  encrypted_with(NULL, "secret", 6, &blob);
  CHECK_INT(strlen((const char *)blob.data), blob.len);
  CHECK_HAS((const char *)blob.data, "-k-");
  for (i = 0; i < blob.len; i++) {
    if (blob.data[i] <= ' ' || blob.data[i] > '~') {
      check_failed(__FILE__, __LINE__, "byte %lu of the blob is not printable", (unsigned long)i);
    }
  }
  tckms_buffer_free(&blob);
}

static void decrypt_takes_any_key_when_none_is_expected(void) {
  tckms_buffer blob;
  encrypted_with(CONTEXT, "secret", 6, &blob);
  decrypts_to(NULL, &blob, CONTEXT, "secret", 6);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  tckms_buffer_free(&blob);
}

static void decrypt_refuses_a_reply_about_another_key_than_expected(void) {
  tckms_buffer blob;
  tckms_buffer plaintext = garbage();
  encrypted_with(CONTEXT, "secret", 6, &blob);
  CHECK_STATUS(tckms_decrypt(client, OTHER_KEY, blob.data, blob.len, CONTEXT, &plaintext), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(plaintext);
  CHECK_INT(tckms_status_category(TCKMS_ERR_KEY_MISMATCH), TCKMS_CATEGORY_INTEGRITY);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "Decrypt");
  CHECK_INT(strlen(tckms_error_request_id(tckms_last_error())), 36);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  tckms_buffer_free(&blob);
}

static void reencrypt_moves_to_another_key(void) {
  tckms_buffer blob;
  tckms_buffer moved = garbage();
  encrypted_with(CONTEXT, "secret", 6, &blob);
  CHECK_OK(tckms_reencrypt(client, OTHER_KEY, blob.data, blob.len, CONTEXT, CONTEXT, &moved));
  CHECK(moved.data[moved.len] == 0);
  CHECK_TEXT(tckms_last_key_id(), OTHER_KEY);
  decrypts_to(OTHER_KEY, &moved, CONTEXT, "secret", 6);
  tckms_buffer_free(&moved);
  tckms_buffer_free(&blob);
}

static void reencrypt_changes_the_context(void) {
  tckms_buffer blob;
  tckms_buffer moved;
  tckms_buffer plaintext;
  encrypted_with(CONTEXT, "secret", 6, &blob);
  CHECK_OK(tckms_reencrypt(client, NULL, blob.data, blob.len, CONTEXT, "{\"app\":\"audit\"}", &moved));
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  decrypts_to(MAIN_KEY, &moved, "{\"app\":\"audit\"}", "secret", 6);
  CHECK_STATUS(tckms_decrypt(client, NULL, moved.data, moved.len, CONTEXT, &plaintext), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_EMPTY(plaintext);
  tckms_buffer_free(&moved);

  CHECK_OK(tckms_reencrypt(client, NULL, blob.data, blob.len, CONTEXT, NULL, &moved));
  decrypts_to(MAIN_KEY, &moved, NULL, "secret", 6);
  tckms_buffer_free(&moved);
  tckms_buffer_free(&blob);
}

static void a_data_key_comes_in_plaintext_and_wrapped(void) {
  static const size_t lengths[] = {1, 16, 32, TCKMS_RANDOM_MAX};
  size_t i;
  for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    tckms_buffer key = garbage();
    tckms_buffer wrapped = garbage();
    CHECK_OK(tckms_generate_data_key(client, MAIN_KEY, lengths[i], CONTEXT, &key, &wrapped));
    CHECK_INT(key.len, lengths[i]);
    CHECK(key.data[key.len] == 0);
    CHECK(wrapped.data[wrapped.len] == 0);
    CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
    decrypts_to(MAIN_KEY, &wrapped, CONTEXT, key.data, key.len);
    tckms_buffer_free(&key);
    tckms_buffer_free(&wrapped);
  }
}

static void random_bytes_fill_the_buffer_and_nothing_else(void) {
  uint8_t untouched[TCKMS_RANDOM_MAX + 2];
  uint8_t first[TCKMS_RANDOM_MAX + 2];
  uint8_t second[TCKMS_RANDOM_MAX];
  memset(untouched, 0xa5, sizeof untouched);
  memset(first, 0xa5, sizeof first);
  memset(second, 0xa5, sizeof second);
  CHECK_OK(tckms_generate_random(client, first + 1, TCKMS_RANDOM_MAX));
  CHECK_OK(tckms_generate_random(client, second, TCKMS_RANDOM_MAX));
  CHECK(first[0] == 0xa5 && first[TCKMS_RANDOM_MAX + 1] == 0xa5);
  CHECK(!tckms_equal(first + 1, untouched, TCKMS_RANDOM_MAX));
  CHECK(!tckms_equal(first + 1, second, TCKMS_RANDOM_MAX));
  CHECK_OK(tckms_generate_random(client, second, 1));
  CHECK_TEXT(tckms_last_key_id(), "");
  CHECK_INT(strlen(tckms_last_request_id()), 36);
}

static void any_action_can_be_called(void) {
  char request[128];
  tckms_buffer response = garbage();
  snprintf(request, sizeof request, "{\"KeyId\":\"%s\"}", MAIN_KEY);
  CHECK_OK(tckms_call(client, "DescribeKey", request, &response));
  CHECK(response.data[0] == '{' && response.data[response.len - 1] == '}');
  CHECK(response.data[response.len] == 0);
  CHECK_HAS((const char *)response.data, MAIN_KEY);
  CHECK_HAS((const char *)response.data, "\"KeyState\":\"Enabled\"");
  CHECK_HAS((const char *)response.data, tckms_last_request_id());
  CHECK_TEXT(tckms_last_key_id(), "");
  tckms_buffer_free(&response);
}

static void an_action_without_parameters_takes_null(void) {
  tckms_buffer response = garbage();
  CHECK_OK(tckms_call(client, "GetRegions", NULL, &response));
  CHECK_HAS((const char *)response.data, "ap-guangzhou");
  tckms_buffer_free(&response);
}

static void a_call_leaves_the_ids_of_its_last_request(void) {
  tckms_buffer blob;
  tckms_buffer out;
  char request_id[64];
  encrypted_with(NULL, "secret", 6, &blob);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  snprintf(request_id, sizeof request_id, "%s", tckms_last_request_id());
  CHECK_INT(strlen(request_id), 36);

  /* A call that sends nothing does not change them. */
  tckms_config_free(tckms_config_new());
  CHECK_TEXT(tckms_last_request_id(), request_id);

  /* A request that the service refuses has ids like any other. */
  CHECK_STATUS(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, "{\"a\":\"b\"}", &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  CHECK_INT(strlen(tckms_last_request_id()), 36);
  CHECK(strcmp(tckms_last_request_id(), request_id) != 0);
  CHECK_TEXT(tckms_last_request_id(), tckms_error_request_id(tckms_last_error()));

  /* A call that is refused before it sends anything made no request. */
  tckms_buffer_free(&blob);
  CHECK_STATUS(tckms_encrypt(client, OTHER_KEY, "", 0, NULL, &blob), TCKMS_ERR_EMPTY_PLAINTEXT);
  CHECK_TEXT(tckms_last_key_id(), "");
  CHECK_TEXT(tckms_last_request_id(), "");
  encrypted_with(NULL, "secret", 6, &blob);
  tckms_buffer_free(&blob);
  CHECK_STATUS(tckms_encrypt(NULL, OTHER_KEY, "x", 1, NULL, &blob), TCKMS_ERR_NULL_POINTER);
  CHECK_TEXT(tckms_last_key_id(), "");

  encrypted_with(NULL, "secret", 6, &blob);
  CHECK(strcmp(tckms_last_request_id(), request_id) != 0);
  tckms_buffer_free(&blob);
}

static void a_derived_client_has_other_limits_and_outlives_its_parent(void) {
  tckms_client *parent = emulator_client();
  tckms_client *child = NULL;
  tckms_config *config = tckms_config_new();
  tckms_buffer blob;
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 30000));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 60000));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  CHECK_OK(tckms_config_set_retry_unsafe_actions(config, 1));
  CHECK_OK(tckms_client_derive(parent, config, &child));
  tckms_config_free(config);
  tckms_client_free(parent);
  CHECK_OK(tckms_encrypt(child, MAIN_KEY, "secret", 6, NULL, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(child);
}

enum { THREADS = 8, ROUNDS = 5 };

static void *encrypt_and_decrypt_in_rounds(void *number) {
  uint8_t plaintext[64];
  int round;
  for (round = 0; round < ROUNDS; round++) {
    memset(plaintext, *(int *)number * ROUNDS + round, sizeof plaintext);
    round_trip(CONTEXT, plaintext, sizeof plaintext);
    CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  }
  return NULL;
}

static void one_client_serves_many_threads(void) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  int i;
  for (i = 0; i < THREADS; i++) {
    numbers[i] = i;
    CHECK_INT(pthread_create(&threads[i], NULL, encrypt_and_decrypt_in_rounds, &numbers[i]), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
}

static void *free_client(void *own) {
  tckms_client_free(own);
  return NULL;
}

static void a_client_may_be_freed_by_another_thread(void) {
  tckms_client *own = emulator_client();
  uint8_t byte;
  pthread_t thread;
  CHECK_OK(tckms_generate_random(own, &byte, 1));
  CHECK_INT(pthread_create(&thread, NULL, free_client, own), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
}

static void the_counters_are_correct(void) {
  tckms_client *own = emulator_client();
  tckms_stats stats;
  uint8_t byte;
  memset(&stats, 0xa5, sizeof stats);
  CHECK_OK(tckms_client_stats(own, &stats, sizeof stats));
  CHECK_INT(stats.calls, 0);
  CHECK_INT(stats.connections_opened, 0);
  CHECK_OK(tckms_generate_random(own, &byte, 1));
  CHECK_OK(tckms_generate_random(own, &byte, 1));
  CHECK_STATUS(tckms_generate_random(own, &byte, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_OK(tckms_client_stats(own, &stats, sizeof stats));
  CHECK_INT(stats.calls, 3);
  CHECK_INT(stats.failures_argument, 1);
  CHECK_INT(stats.retries, 0);
  CHECK_INT(stats.connections_opened, 1);
  CHECK(stats.bytes_sent > 0 && stats.bytes_received > 0);
  tckms_client_free(own);
}

static void the_ca_may_come_from_memory(void) {
  tckms_config *config = emulator_config();
  char pem[16384];
  size_t len;
  uint8_t byte;
  tckms_client *own;
  FILE *file = fopen(given_ca_file(), "rb");
  CHECK(file != NULL);
  len = fread(pem, 1, sizeof pem, file);
  fclose(file);
  CHECK_OK(tckms_config_set_ca_pem(config, pem, len));
  memset(pem, 0, sizeof pem);
  own = client_of(config);
  CHECK_OK(tckms_generate_random(own, &byte, 1));
  tckms_client_free(own);
}

/* The CA of another emulator: it is well-formed, but did not sign this server's certificate. */
static void a_server_of_another_ca_is_not_trusted(void) {
  tckms_config *config = emulator_config();
  tckms_client *own;
  tckms_buffer blob = garbage();
  CHECK_OK(tckms_config_set_ca_file(config, given("TEST_FOREIGN_CA_FILE")));
  own = client_of(config);
  CHECK_STATUS(tckms_encrypt(own, MAIN_KEY, "secret", 6, NULL, &blob), TCKMS_ERR_TLS_FAILED);
  CHECK_EMPTY(blob);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "certificate");
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 0);
  tckms_client_free(own);
}

int main(void) {
  client = emulator_client();
  encrypted_data_is_decrypted();
  plaintexts_are_bytes_of_any_length_and_value();
  contexts_are_text_in_any_script();
  the_longest_context_is_counted_in_characters();
  a_context_is_sent_exactly_as_given();
  the_blob_is_printable_text();
  decrypt_takes_any_key_when_none_is_expected();
  decrypt_refuses_a_reply_about_another_key_than_expected();
  reencrypt_moves_to_another_key();
  reencrypt_changes_the_context();
  a_data_key_comes_in_plaintext_and_wrapped();
  random_bytes_fill_the_buffer_and_nothing_else();
  any_action_can_be_called();
  an_action_without_parameters_takes_null();
  a_call_leaves_the_ids_of_its_last_request();
  a_derived_client_has_other_limits_and_outlives_its_parent();
  one_client_serves_many_threads();
  a_client_may_be_freed_by_another_thread();
  the_counters_are_correct();
  if (given_ca_file() != NULL) {
    the_ca_may_come_from_memory();
    a_server_of_another_ca_is_not_trusted();
  }
  tckms_client_free(client);
  return checks_passed();
}
