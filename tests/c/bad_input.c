/*
 * Invalid arguments are refused with a specific status, a message that says what is allowed, and empty outputs, and no request is
 * sent.
 *
 * The endpoint of the clients is a socket that listens and never accepts. The test would detect a connection to it, and the call would
 * wait for its timeout.
 */
#include "check.h"

#include <errno.h>
#include <limits.h>

#include "fixture.h"
#include "server.h"

#define KEY "93866e69-9755-11ef-8e65-52540089bc41"
#define SECRET "hunter2-must-not-show"

/* Longer than any object. The second is the longest length that a signed integer of this width can hold. */
#define ABSURD ((size_t)SIZE_MAX)
#define HALF_ABSURD ((size_t)(SIZE_MAX / 2))

static const char NOT_UTF8[] = "\xff\xfe";

static int listener;
static tckms_client *client;
/* No server listens at its endpoint: a call that passes the checks fails to connect. */
static tckms_client *unreachable;

static void refused_at(tckms_status got, tckms_status expected, const char *hint, const char *text, int line) {
  check_status_at(got, expected, text, __FILE__, line);
  check_has_at(tckms_error_message(tckms_last_error()), hint, text, __FILE__, line);
  check_int_at(tckms_error_attempts(tckms_last_error()), 0, text, __FILE__, line);
  check_int_at(tckms_error_http_status(tckms_last_error()), 0, text, __FILE__, line);
  check_int_at(tckms_error_retryable(tckms_last_error()), 0, text, __FILE__, line);
  check_at(!has_connected(listener), text, __FILE__, line);
  check_at(strstr(tckms_error_message(tckms_last_error()), SECRET) == NULL, text, __FILE__, line);
}

/* The call is refused, and the message has `hint` in it. */
#define REFUSED(call, status, hint) refused_at((call), (status), (hint), #call, __LINE__)

/* The same for a call that fills the buffer `out`, whatever its previous content. */
#define REFUSED_OUT(call, status, hint) \
  do {                                  \
    out = garbage();                    \
    REFUSED(call, status, hint);        \
    CHECK_EMPTY(out);                   \
  } while (0)

/* The same for a call that makes the client `made`. */
#define REFUSED_MADE(call, status, hint)           \
  do {                                             \
    made = (tckms_client *)(uintptr_t)0xdead;      \
    REFUSED(call, status, hint);                   \
    CHECK(made == NULL);                           \
  } while (0)

/* The call, made with `unreachable`, passes all checks: only the connection fails. */
#define PASSES(call)                                            \
  do {                                                          \
    CHECK_STATUS(call, TCKMS_ERR_CONNECT_FAILED);               \
    CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);     \
  } while (0)

/* A text of `count` letters between `head` and `tail`. */
static const char *filled(const char *head, const char *letter, size_t count, const char *tail) {
  static char text[8 * 1024];
  size_t i;
  strcpy(text, head);
  for (i = 0; i < count; i++) {
    strcat(text, letter);
  }
  return strcat(text, tail);
}

/* NULL. */

static void encrypt_needs_its_pointers(void) {
  tckms_buffer out;
  REFUSED_OUT(tckms_encrypt(NULL, KEY, "x", 1, NULL, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_encrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  REFUSED_OUT(tckms_encrypt(client, KEY, NULL, 1, NULL, &out), TCKMS_ERR_NULL_POINTER, "buf is NULL");
  REFUSED_OUT(tckms_encrypt(client, KEY, NULL, HALF_ABSURD, NULL, &out), TCKMS_ERR_NULL_POINTER, "buf is NULL");
  REFUSED(tckms_encrypt(client, KEY, "x", 1, NULL, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
}

static void decrypt_needs_its_pointers(void) {
  tckms_buffer out;
  REFUSED_OUT(tckms_decrypt(NULL, NULL, "x", 1, NULL, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_decrypt(client, NULL, NULL, 1, NULL, &out), TCKMS_ERR_NULL_POINTER, "blob is NULL");
  REFUSED(tckms_decrypt(client, NULL, "x", 1, NULL, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
}

static void reencrypt_needs_its_pointers(void) {
  tckms_buffer out;
  REFUSED_OUT(tckms_reencrypt(NULL, KEY, "x", 1, NULL, NULL, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_reencrypt(client, KEY, NULL, 1, NULL, NULL, &out), TCKMS_ERR_NULL_POINTER, "blob is NULL");
  REFUSED(tckms_reencrypt(client, KEY, "x", 1, NULL, NULL, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
}

static void generate_data_key_needs_its_pointers(void) {
  tckms_buffer out;
  tckms_buffer other = garbage();
  REFUSED_OUT(tckms_generate_data_key(NULL, KEY, 32, NULL, &out, &other), TCKMS_ERR_NULL_POINTER, "client is NULL");
  CHECK_EMPTY(other);
  other = garbage();
  REFUSED_OUT(tckms_generate_data_key(client, NULL, 32, NULL, &out, &other), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  CHECK_EMPTY(other);
  REFUSED_OUT(tckms_generate_data_key(client, KEY, 32, NULL, NULL, &out), TCKMS_ERR_NULL_POINTER, "plaintext is NULL");
  REFUSED_OUT(tckms_generate_data_key(client, KEY, 32, NULL, &out, NULL), TCKMS_ERR_NULL_POINTER,
              "ciphertext is NULL");
}

static void the_other_calls_need_their_pointers(void) {
  tckms_buffer out;
  tckms_stats stats;
  uint8_t byte = 0;
  REFUSED(tckms_generate_random(NULL, &byte, 1), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED(tckms_generate_random(client, NULL, 1), TCKMS_ERR_NULL_POINTER, "buf is NULL");
  REFUSED_OUT(tckms_call(NULL, "ListKeys", NULL, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_call(client, NULL, NULL, &out), TCKMS_ERR_NULL_POINTER, "action is NULL");
  REFUSED(tckms_call(client, "ListKeys", NULL, NULL), TCKMS_ERR_NULL_POINTER, "response_json is NULL");
  REFUSED(tckms_client_stats(NULL, &stats, sizeof stats), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED(tckms_client_stats(client, NULL, sizeof stats), TCKMS_ERR_NULL_POINTER, "out is NULL");
}

static void making_a_client_needs_its_pointers(void) {
  tckms_client *made;
  tckms_config *config = tckms_config_new();
  REFUSED_MADE(tckms_client_new(NULL, &made), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_client_new(config, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
  REFUSED(tckms_client_new_from_env(NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
  REFUSED_MADE(tckms_client_derive(NULL, config, &made), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_MADE(tckms_client_derive(client, NULL, &made), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_client_derive(client, config, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
  REFUSED_MADE(tckms_client_derive_timeout_ms(NULL, 1, &made), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED(tckms_client_derive_timeout_ms(client, 1, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
  REFUSED_MADE(tckms_client_derive_timeout_ms(client, 0, &made), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000");
  REFUSED_MADE(tckms_client_derive_timeout_ms(client, 3600001, &made), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000");
  REFUSED(tckms_client_cancel(NULL), TCKMS_ERR_NULL_POINTER, "client is NULL");
  tckms_config_free(config);
}

static void setters_need_a_configuration(void) {
  REFUSED(tckms_config_set_region(NULL, "ap-guangzhou"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_endpoint(NULL, "https://host"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_site(NULL, TCKMS_SITE_INTERNATIONAL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_insecure_http_allowed(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_credentials(NULL, "id", "key", NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_ca_file(NULL, "/ca.pem"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_ca_pem(NULL, "pem", 3), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_proxy(NULL, "http://proxy:3128"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_connect_timeout_ms(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_max_connections(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_max_idle_connections(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_idle_timeout_ms(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_try_timeout_ms(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_total_timeout_ms(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_max_attempts(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_retry_unsafe_actions(NULL, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_rate_limit(NULL, 1, 1), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_user_agent_suffix(NULL, "x"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_language(NULL, "en-US"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_log(NULL, TCKMS_LOG_OFF, NULL, NULL, NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
}

#define ROLE "qcs::cam::uin/100000000001:roleName/backup"

static int no_credentials(void *userdata, tckms_credentials *out) {
  (void)userdata;
  (void)out;
  return 1;
}

static void setters_of_credentials_need_a_configuration(void) {
  tckms_config *other = config_for("https://host");
  REFUSED(tckms_config_set_default_credentials(NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_env_credentials(NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_profile_credentials(NULL, "/file", NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_default_profile_credentials(NULL, NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_tccli_credentials(NULL, "/file"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_default_tccli_credentials(NULL, NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_cvm_role_credentials(NULL, NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_oidc_credentials(NULL, "id", "/file", ROLE, NULL, 0), TCKMS_ERR_NULL_POINTER,
          "config is NULL");
  REFUSED(tckms_config_set_tke_env_credentials(NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(set_role(NULL, ROLE, NULL, 0, NULL, NULL), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_credentials_callback(NULL, no_credentials, NULL, NULL), TCKMS_ERR_NULL_POINTER,
          "config is NULL");
  REFUSED(tckms_config_add_fallback_credentials(NULL, other), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_metadata_endpoint(NULL, "http://127.0.0.1"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_config_set_sts_endpoint(NULL, "https://host"), TCKMS_ERR_NULL_POINTER, "config is NULL");
  REFUSED(tckms_credentials_set(NULL, "id", SECRET, NULL, 0), TCKMS_ERR_NULL_POINTER, "out is NULL");
  tckms_config_free(other);
}

static void setters_of_credentials_need_their_values(void) {
  tckms_config *config = config_for("https://host");
  REFUSED(tckms_config_set_profile_credentials(config, NULL, NULL), TCKMS_ERR_NULL_POINTER, "path is NULL");
  REFUSED(tckms_config_set_tccli_credentials(config, NULL), TCKMS_ERR_NULL_POINTER, "path is NULL");
  REFUSED(tckms_config_set_oidc_credentials(config, NULL, "/file", ROLE, NULL, 0), TCKMS_ERR_NULL_POINTER,
          "provider_id is NULL");
  REFUSED(tckms_config_set_oidc_credentials(config, "id", NULL, ROLE, NULL, 0), TCKMS_ERR_NULL_POINTER,
          "token_file is NULL");
  REFUSED(tckms_config_set_oidc_credentials(config, "id", "/file", NULL, NULL, 0), TCKMS_ERR_NULL_POINTER,
          "role_arn is NULL");
  REFUSED(tckms_config_set_assume_role_credentials(config, NULL, sizeof(tckms_role_options)), TCKMS_ERR_NULL_POINTER,
          "options is NULL");
  REFUSED(set_role(config, NULL, NULL, 0, NULL, NULL), TCKMS_ERR_NULL_POINTER, "role_arn is NULL");
  REFUSED(tckms_config_set_credentials_callback(config, NULL, NULL, NULL), TCKMS_ERR_NULL_POINTER, "callback is NULL");
  REFUSED(tckms_config_add_fallback_credentials(config, NULL), TCKMS_ERR_NULL_POINTER, "other is NULL");
  REFUSED(tckms_config_set_metadata_endpoint(config, NULL), TCKMS_ERR_NULL_POINTER, "url is NULL");
  REFUSED(tckms_config_set_sts_endpoint(config, NULL), TCKMS_ERR_NULL_POINTER, "url is NULL");
  tckms_config_free(config);
}

static void roles_have_a_form_and_sessions_a_length(void) {
  static const int bad_durations[] = {-1, 43201, INT_MIN, INT_MAX};
  tckms_config *config = config_for("https://host");
  tckms_config *empty = tckms_config_new();
  size_t i;
  REFUSED(tckms_config_set_cvm_role_credentials(config, "a/b"), TCKMS_ERR_INVALID_ROLE, "1 to 128 letters");
  REFUSED(set_role(config, "backup", NULL, 0, NULL, NULL), TCKMS_ERR_INVALID_ROLE, "qcs::cam::uin/");
  REFUSED(set_role(config, ROLE, "x", 0, NULL, NULL), TCKMS_ERR_INVALID_ROLE, "2 to 128");
  REFUSED(set_role(empty, ROLE, NULL, 0, NULL, NULL), TCKMS_ERR_NO_CREDENTIALS, "credentials");
  REFUSED(tckms_config_add_fallback_credentials(config, empty), TCKMS_ERR_NO_CREDENTIALS, "credentials");
  for (i = 0; i < sizeof bad_durations / sizeof bad_durations[0]; i++) {
    REFUSED(set_role(config, ROLE, NULL, bad_durations[i], NULL, NULL), TCKMS_ERR_OUT_OF_RANGE,
            "43200");
    REFUSED(tckms_config_set_oidc_credentials(config, "id", "/file", ROLE, NULL, bad_durations[i]),
            TCKMS_ERR_OUT_OF_RANGE, "43200");
  }
  tckms_config_free(empty);
  tckms_config_free(config);
}

static void setters_need_a_value(void) {
  tckms_config *config = tckms_config_new();
  REFUSED(tckms_config_set_region(config, NULL), TCKMS_ERR_NULL_POINTER, "region is NULL");
  REFUSED(tckms_config_set_endpoint(config, NULL), TCKMS_ERR_NULL_POINTER, "url is NULL");
  REFUSED(tckms_config_set_credentials(config, NULL, SECRET, NULL), TCKMS_ERR_NULL_POINTER, "secret_id is NULL");
  REFUSED(tckms_config_set_credentials(config, "id", NULL, NULL), TCKMS_ERR_NULL_POINTER, "secret_key is NULL");
  REFUSED(tckms_config_set_ca_file(config, NULL), TCKMS_ERR_NULL_POINTER, "path is NULL");
  REFUSED(tckms_config_set_ca_pem(config, NULL, 3), TCKMS_ERR_NULL_POINTER, "pem is NULL");
  REFUSED(tckms_config_set_proxy(config, NULL), TCKMS_ERR_NULL_POINTER, "url is NULL");
  REFUSED(tckms_config_set_user_agent_suffix(config, NULL), TCKMS_ERR_NULL_POINTER, "suffix is NULL");
  REFUSED(tckms_config_set_language(config, NULL), TCKMS_ERR_NULL_POINTER, "language is NULL");
  tckms_config_free(config);
}

static void null_is_harmless_where_something_is_freed_or_wiped(void) {
  uint8_t memory[4] = {1, 2, 3, 4};
  tckms_buffer empty = TCKMS_BUFFER_INIT;
  tckms_buffer_free(NULL);
  tckms_buffer_free(&empty);
  tckms_buffer_free(&empty);
  tckms_client_free(NULL);
  tckms_config_free(NULL);
  tckms_error_free(NULL);
  tckms_wipe(NULL, 0);
  tckms_wipe(NULL, 100);
  tckms_wipe(memory, 0);
  CHECK(memory[0] == 1);
  tckms_wipe(memory, 3);
  CHECK(memory[0] == 0 && memory[1] == 0 && memory[2] == 0 && memory[3] == 4);
}

static void null_memory_equals_only_empty_memory(void) {
  CHECK_INT(tckms_equal("ab", "ab", 2), 1);
  CHECK_INT(tckms_equal("ab", "ac", 2), 0);
  CHECK_INT(tckms_equal("ab", "ac", 1), 1);
  CHECK_INT(tckms_equal(NULL, NULL, 0), 1);
  CHECK_INT(tckms_equal("a", NULL, 0), 1);
  CHECK_INT(tckms_equal(NULL, NULL, 1), 0);
  CHECK_INT(tckms_equal("a", NULL, 1), 0);
  CHECK_INT(tckms_equal(NULL, "a", 1), 0);
  CHECK_INT(tckms_equal("a", "a", ABSURD), 0);
}

/* Lengths. A call that accepted a wrong length would read beyond the small buffers here, which valgrind would detect. */

static void plaintexts_have_1_to_4096_bytes(void) {
  static const char plaintext[TCKMS_PLAINTEXT_MAX + 1];
  tckms_buffer out;
  REFUSED_OUT(tckms_encrypt(client, KEY, "x", 0, NULL, &out), TCKMS_ERR_EMPTY_PLAINTEXT, "1 to 4096");
  REFUSED_OUT(tckms_encrypt(client, KEY, NULL, 0, NULL, &out), TCKMS_ERR_EMPTY_PLAINTEXT, "1 to 4096");
  REFUSED_OUT(tckms_encrypt(client, KEY, plaintext, 4097, NULL, &out), TCKMS_ERR_PLAINTEXT_TOO_LARGE, "1 to 4096");
  REFUSED_OUT(tckms_encrypt(client, KEY, "x", HALF_ABSURD, NULL, &out), TCKMS_ERR_PLAINTEXT_TOO_LARGE, "1 to 4096");
  REFUSED_OUT(tckms_encrypt(client, KEY, "x", ABSURD, NULL, &out), TCKMS_ERR_INVALID_LENGTH, "length of buf");
  REFUSED_OUT(tckms_encrypt(client, KEY, NULL, ABSURD, NULL, &out), TCKMS_ERR_INVALID_LENGTH, "length of buf");
  PASSES(tckms_encrypt(unreachable, KEY, plaintext, 1, NULL, &out));
  PASSES(tckms_encrypt(unreachable, KEY, plaintext, 4095, NULL, &out));
  PASSES(tckms_encrypt(unreachable, KEY, plaintext, 4096, NULL, &out));
}

static void the_error_for_a_large_plaintext_names_tckms_seal(void) {
  static const char plaintext[TCKMS_PLAINTEXT_MAX + 1];
  tckms_buffer out;
  REFUSED_OUT(tckms_encrypt(client, KEY, plaintext, sizeof plaintext, NULL, &out), TCKMS_ERR_PLAINTEXT_TOO_LARGE,
              "tckms_seal");
}

static void blobs_have_1_to_65536_characters(void) {
  static char blob[TCKMS_CIPHERTEXT_BLOB_MAX + 1];
  tckms_buffer out;
  memset(blob, 'x', sizeof blob);
  REFUSED_OUT(tckms_decrypt(client, KEY, blob, 0, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_decrypt(client, KEY, NULL, 0, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_decrypt(client, KEY, blob, 65537, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_decrypt(client, KEY, "x", HALF_ABSURD, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_decrypt(client, KEY, "x", ABSURD, NULL, &out), TCKMS_ERR_INVALID_LENGTH, "length of blob");
  REFUSED_OUT(tckms_reencrypt(client, KEY, blob, 0, NULL, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_reencrypt(client, KEY, blob, 65537, NULL, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "1 to 65536");
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", HALF_ABSURD, NULL, NULL, &out), TCKMS_ERR_MALFORMED_BLOB,
              "1 to 65536");
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", ABSURD, NULL, NULL, &out), TCKMS_ERR_INVALID_LENGTH, "length of blob");
  PASSES(tckms_decrypt(unreachable, KEY, blob, 65536, NULL, &out));
  PASSES(tckms_reencrypt(unreachable, KEY, blob, 65536, NULL, NULL, &out));
}

static void blobs_are_printable_text(void) {
  static const char *const bad[] = {"a b", "a\n", "\xff", "\xe5\xaf\x86", "\x7f", "\x01"};
  tckms_buffer out;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED_OUT(tckms_decrypt(client, NULL, bad[i], strlen(bad[i]), NULL, &out), TCKMS_ERR_MALFORMED_BLOB,
                "printable ASCII");
    REFUSED_OUT(tckms_reencrypt(client, NULL, bad[i], strlen(bad[i]), NULL, NULL, &out), TCKMS_ERR_MALFORMED_BLOB,
                "printable ASCII");
  }
  REFUSED_OUT(tckms_decrypt(client, NULL, "a\0b", 3, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "printable ASCII");
  REFUSED_OUT(tckms_decrypt(client, NULL, "ab\n", 3, NULL, &out), TCKMS_ERR_MALFORMED_BLOB, "ends with a newline");
  REFUSED_OUT(tckms_reencrypt(client, NULL, "ab\r\n", 4, NULL, NULL, &out), TCKMS_ERR_MALFORMED_BLOB,
              "ends with a newline");
}

static void data_keys_have_1_to_1024_bytes(void) {
  static const size_t bad[] = {0, TCKMS_RANDOM_MAX + 1, HALF_ABSURD, ABSURD};
  tckms_buffer out;
  tckms_buffer other;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    other = garbage();
    REFUSED_OUT(tckms_generate_data_key(client, KEY, bad[i], NULL, &out, &other), TCKMS_ERR_INVALID_LENGTH,
                "1 to 1024");
    CHECK_EMPTY(other);
  }
  PASSES(tckms_generate_data_key(unreachable, KEY, 1, NULL, &out, &other));
  PASSES(tckms_generate_data_key(unreachable, KEY, TCKMS_RANDOM_MAX, NULL, &out, &other));
}

static void random_bytes_are_1_to_1024_and_written_on_success_only(void) {
  uint8_t memory[TCKMS_RANDOM_MAX + 1] = {0xa5};
  REFUSED(tckms_generate_random(client, memory, 0), TCKMS_ERR_INVALID_LENGTH, "1 to 1024");
  REFUSED(tckms_generate_random(client, memory, sizeof memory), TCKMS_ERR_INVALID_LENGTH, "1 to 1024");
  REFUSED(tckms_generate_random(client, memory, HALF_ABSURD), TCKMS_ERR_INVALID_LENGTH, "1 to 1024");
  REFUSED(tckms_generate_random(client, memory, ABSURD), TCKMS_ERR_INVALID_LENGTH, "length of buf");
  CHECK(memory[0] == 0xa5);
  PASSES(tckms_generate_random(unreachable, memory, 1));
  PASSES(tckms_generate_random(unreachable, memory, TCKMS_RANDOM_MAX));
  CHECK(memory[0] == 0xa5);
}

static void the_size_of_the_counters_is_plausible(void) {
  tckms_stats stats;
  memset(&stats, 0xa5, sizeof stats);
  REFUSED(tckms_client_stats(client, &stats, 0), TCKMS_ERR_INVALID_LENGTH, "sizeof(tckms_stats)");
  REFUSED(tckms_client_stats(client, &stats, 4104), TCKMS_ERR_INVALID_LENGTH, "sizeof(tckms_stats)");
  REFUSED(tckms_client_stats(client, &stats, ABSURD), TCKMS_ERR_INVALID_LENGTH, "sizeof(tckms_stats)");
}

static void a_ca_bundle_has_a_plausible_length(void) {
  tckms_config *config = tckms_config_new();
  REFUSED(tckms_config_set_ca_pem(config, "x", ABSURD), TCKMS_ERR_INVALID_LENGTH, "length of pem");
  REFUSED(tckms_config_set_ca_pem(config, "x", HALF_ABSURD), TCKMS_ERR_INVALID_LENGTH, "pem");
  REFUSED(tckms_config_set_ca_pem(config, "x", HALF_ABSURD / 2), TCKMS_ERR_INVALID_LENGTH, "pem");
  tckms_config_free(config);
}

/* Text. */

static void strings_are_utf8(void) {
  tckms_buffer out;
  tckms_buffer other;
  tckms_config *config = tckms_config_new();
  REFUSED_OUT(tckms_encrypt(client, NOT_UTF8, "x", 1, NULL, &out), TCKMS_ERR_INVALID_UTF8, "key_id is not valid");
  REFUSED_OUT(tckms_encrypt(client, KEY, "x", 1, NOT_UTF8, &out), TCKMS_ERR_INVALID_UTF8, "ctx_json_or_null is not valid");
  REFUSED_OUT(tckms_decrypt(client, NOT_UTF8, "x", 1, NULL, &out), TCKMS_ERR_INVALID_UTF8, "key_id_or_null is not valid");
  REFUSED_OUT(tckms_decrypt(client, KEY, "x", 1, NOT_UTF8, &out), TCKMS_ERR_INVALID_UTF8, "ctx_json_or_null is not valid");
  REFUSED_OUT(tckms_reencrypt(client, NOT_UTF8, "x", 1, NULL, NULL, &out), TCKMS_ERR_INVALID_UTF8, "key_id");
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", 1, NOT_UTF8, NULL, &out), TCKMS_ERR_INVALID_UTF8, "source_ctx_json");
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", 1, NULL, NOT_UTF8, &out), TCKMS_ERR_INVALID_UTF8,
              "destination_ctx_json");
  REFUSED_OUT(tckms_generate_data_key(client, NOT_UTF8, 1, NULL, &out, &other), TCKMS_ERR_INVALID_UTF8, "key_id");
  REFUSED_OUT(tckms_generate_data_key(client, KEY, 1, NOT_UTF8, &out, &other), TCKMS_ERR_INVALID_UTF8, "ctx_json");
  REFUSED_OUT(tckms_call(client, NOT_UTF8, NULL, &out), TCKMS_ERR_INVALID_UTF8, "action is not valid");
  REFUSED_OUT(tckms_call(client, "ListKeys", NOT_UTF8, &out), TCKMS_ERR_INVALID_UTF8, "request_json_or_null is not valid");
  REFUSED(tckms_config_set_region(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "region is not valid");
  REFUSED(tckms_config_set_endpoint(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "url is not valid");
  REFUSED(tckms_config_set_credentials(config, NOT_UTF8, SECRET, NULL), TCKMS_ERR_INVALID_UTF8, "secret_id");
  REFUSED(tckms_config_set_credentials(config, "id", NOT_UTF8, NULL), TCKMS_ERR_INVALID_UTF8, "secret_key");
  REFUSED(tckms_config_set_credentials(config, "id", SECRET, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "token");
  REFUSED(tckms_config_set_ca_file(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "path is not valid");
  REFUSED(tckms_config_set_proxy(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "url is not valid");
  REFUSED(tckms_config_set_user_agent_suffix(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "suffix is not valid");
  REFUSED(tckms_config_set_language(config, NOT_UTF8), TCKMS_ERR_INVALID_UTF8, "language is not valid");
  tckms_config_free(config);
}

static void key_id_is_refused(const char *key_id) {
  tckms_buffer out;
  tckms_buffer other;
  REFUSED_OUT(tckms_encrypt(client, key_id, "x", 1, NULL, &out), TCKMS_ERR_MALFORMED_KEY_ID, "1 to 128 letters");
  REFUSED_OUT(tckms_decrypt(client, key_id, "x", 1, NULL, &out), TCKMS_ERR_MALFORMED_KEY_ID, "1 to 128 letters");
  REFUSED_OUT(tckms_reencrypt(client, key_id, "x", 1, NULL, NULL, &out), TCKMS_ERR_MALFORMED_KEY_ID, "1 to 128");
  other = garbage();
  REFUSED_OUT(tckms_generate_data_key(client, key_id, 1, NULL, &out, &other), TCKMS_ERR_MALFORMED_KEY_ID, "1 to 128");
  CHECK_EMPTY(other);
}

static void key_ids_are_1_to_128_harmless_characters(void) {
  tckms_buffer out;
  key_id_is_refused("");
  key_id_is_refused("a b");
  key_id_is_refused(KEY "\n");
  key_id_is_refused("a\r\nX-Evil: 1");
  key_id_is_refused("a\tb");
  key_id_is_refused("a\x7f");
  key_id_is_refused("\"");
  key_id_is_refused("密钥");
  key_id_is_refused(filled("", "k", TCKMS_KEY_ID_MAX + 1, ""));
  PASSES(tckms_encrypt(unreachable, filled("", "k", TCKMS_KEY_ID_MAX, ""), "x", 1, NULL, &out));
  PASSES(tckms_encrypt(unreachable, "Alias/some_key-1:x.y", "x", 1, NULL, &out));
}

static void context_is_refused(const char *context, tckms_status status, const char *hint) {
  tckms_buffer out;
  tckms_buffer other;
  REFUSED_OUT(tckms_encrypt(client, KEY, "x", 1, context, &out), status, hint);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), KEY);
  REFUSED_OUT(tckms_decrypt(client, KEY, "x", 1, context, &out), status, hint);
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", 1, context, NULL, &out), status, hint);
  REFUSED_OUT(tckms_reencrypt(client, KEY, "x", 1, NULL, context, &out), status, hint);
  other = garbage();
  REFUSED_OUT(tckms_generate_data_key(client, KEY, 1, context, &out, &other), status, hint);
  CHECK_EMPTY(other);
}

static void contexts_are_objects_of_strings_without_duplicate_keys(void) {
  static const char *const bad[] = {
      "",
      " ",
      "null",
      "[]",
      "[\"a\"]",
      "\"a\"",
      "1",
      "{",
      "{\"a\":\"b\"",
      "{\"a\":\"b",
      "{\"a\"}",
      "{\"a\":\"b\",}",
      "{\"a\":\"b\"} x",
      "{a:\"b\"}",
      "{'a':'b'}",
      "{\"a\":1}",
      "{\"a\":null}",
      "{\"a\":true}",
      "{\"a\":[\"b\"]}",
      "{\"a\":{\"b\":\"c\"}}",
      "{\"a\":\"1\",\"a\":\"1\"}",
      "{\"a\":\"1\",\"\\u0061\":\"2\"}",
      "{\"a\":\"\\ud800\"}",
      "{\"a\":\"line\nbreak\"}",
  };
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    context_is_refused(bad[i], TCKMS_ERR_INVALID_CONTEXT, "JSON object of strings without duplicate keys");
  }
  context_is_refused(filled("{\"a\":", "[", 1000, "}"), TCKMS_ERR_INVALID_CONTEXT, "JSON object of strings");
}

/* The frame {"a":""} takes 8 of the characters. */
static void contexts_have_at_most_1024_characters(void) {
  static const char *const letters[] = {"x", "密", "🔑"};
  tckms_buffer out;
  size_t i;
  for (i = 0; i < sizeof letters / sizeof letters[0]; i++) {
    const size_t most = TCKMS_ENCRYPTION_CONTEXT_MAX - 8;
    PASSES(tckms_encrypt(unreachable, KEY, "x", 1, filled("{\"a\":\"", letters[i], most, "\"}"), &out));
    context_is_refused(filled("{\"a\":\"", letters[i], most + 1, "\"}"), TCKMS_ERR_CONTEXT_TOO_LONG,
                       "1025 characters, at most 1024");
  }
}

static void a_context_is_never_repeated_in_a_message(void) {
  context_is_refused("{\"a\":\"" SECRET "\",\"b\":1}", TCKMS_ERR_INVALID_CONTEXT, "a value is not a string");
}

static void actions_are_names(void) {
  static const char *const bad[] = {"", "1", "Describe Key", "DescribeKey\r\nX-Evil: 1", "描述", "Describe-Key"};
  tckms_buffer out;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED_OUT(tckms_call(client, bad[i], NULL, &out), TCKMS_ERR_MALFORMED_ACTION, "DescribeKey");
  }
  REFUSED_OUT(tckms_call(client, filled("", "A", 65, ""), NULL, &out), TCKMS_ERR_MALFORMED_ACTION, "at most 63");
  PASSES(tckms_call(unreachable, filled("", "A", 64, ""), NULL, &out));
}

static void requests_are_json_objects(void) {
  static const char *const bad[] = {"", " ", "null", "[]", "\"a\"", "1", "{", "{\"a\":1", "{}{}", "{\"a\":}", "{a:1}"};
  tckms_buffer out;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED_OUT(tckms_call(client, "ListKeys", bad[i], &out), TCKMS_ERR_INVALID_REQUEST_JSON, "the request is");
  }
  REFUSED_OUT(tckms_call(client, "Encrypt", "{\"Plaintext\":\"" SECRET "\"", &out), TCKMS_ERR_INVALID_REQUEST_JSON,
              "column");
  PASSES(tckms_call(unreachable, "ListKeys", " {\"Offset\": 0} ", &out));
}

static void requests_have_at_most_10_mib(void) {
  enum { TEN_MIB = 10 * 1024 * 1024 };
  tckms_buffer out;
  char *json = malloc(TEN_MIB + 2);
  CHECK(json != NULL);
  memset(json, ' ', TEN_MIB + 1);
  json[0] = '{';
  json[TEN_MIB] = '}';
  json[TEN_MIB + 1] = '\0';
  REFUSED_OUT(tckms_call(client, "ListKeys", json, &out), TCKMS_ERR_INVALID_REQUEST_JSON, "at most 10485760");
  json[TEN_MIB - 1] = '}';
  json[TEN_MIB] = '\0';
  PASSES(tckms_call(unreachable, "ListKeys", json, &out));
  free(json);
}

/* Configuration. */

static void regions_are_names(void) {
  static const char *const bad[] = {"", "AP-Guangzhou", "ap guangzhou", "ap-guangzhou\n", "-ap", "1ap", "广州", "a/b"};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_region(config, bad[i]), TCKMS_ERR_INVALID_REGION, "like \"ap-guangzhou\"");
  }
  REFUSED(tckms_config_set_region(config, filled("", "a", 33, "")), TCKMS_ERR_INVALID_REGION, "1 to 32");
  CHECK_OK(tckms_config_set_region(config, filled("", "a", 32, "")));
  tckms_config_free(config);
}

static void endpoints_are_urls_of_a_host(void) {
  static const char *const bad[] = {"",
                                    "kms.tencentcloudapi.com",
                                    "ftp://kms.tencentcloudapi.com",
                                    "https://",
                                    "https://host/path",
                                    "https://host?query",
                                    "https://host#fragment",
                                    "https://user@host",
                                    "https://user:" SECRET "@host",
                                    "https://host:99999",
                                    "https://ho st",
                                    "https:/host:x"};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_endpoint(config, bad[i]), TCKMS_ERR_INVALID_ENDPOINT, "like https://");
  }
  tckms_config_free(config);
}

static void plain_http_goes_to_loopback_only(void) {
  static const char *const remote[] = {"http://10.0.0.1", "http://kms.tencentcloudapi.com", "http://127.0.0.1.example",
                                       "http://[::2]"};
  static const char *const loopback[] = {"http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:1", "http://localhost"};
  tckms_config *config = config_for("http://127.0.0.1");
  tckms_client *made;
  size_t i;
  for (i = 0; i < sizeof remote / sizeof remote[0]; i++) {
    CHECK_OK(tckms_config_set_endpoint(config, remote[i]));
    REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  }
  for (i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
    CHECK_OK(tckms_config_set_endpoint(config, loopback[i]));
    CHECK_OK(tckms_client_new(config, &made));
    tckms_client_free(made);
  }
  CHECK_OK(tckms_config_set_endpoint(config, remote[0]));
  CHECK_OK(tckms_config_set_insecure_http_allowed(config, 1));
  CHECK_OK(tckms_client_new(config, &made));
  tckms_client_free(made);
  CHECK_OK(tckms_config_set_insecure_http_allowed(config, 0));
  REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  tckms_config_free(config);
}

static void credential_is_refused(const char *part) {
  tckms_config *config = tckms_config_new();
  REFUSED(tckms_config_set_credentials(config, part, SECRET, NULL), TCKMS_ERR_MALFORMED_CREDENTIALS, "the secret id");
  REFUSED(tckms_config_set_credentials(config, "id", part, NULL), TCKMS_ERR_MALFORMED_CREDENTIALS, "the secret key");
  REFUSED(tckms_config_set_credentials(config, "id", SECRET, part), TCKMS_ERR_MALFORMED_CREDENTIALS, "token");
  CHECK_HAS(tckms_error_message(tckms_last_error()), "printable ASCII characters without blanks are allowed");
  tckms_config_free(config);
}

static void credentials_are_printable_and_without_blanks(void) {
  credential_is_refused("");
  credential_is_refused(" ");
  credential_is_refused(" " SECRET);
  credential_is_refused(SECRET " ");
  credential_is_refused(SECRET "\n");
  credential_is_refused("\t" SECRET);
  credential_is_refused("two words " SECRET);
  credential_is_refused(SECRET "密");
  credential_is_refused(SECRET "\x7f");
  credential_is_refused("\r\nX-Evil: 1");
  credential_is_refused(filled("", "k", 4097, ""));
}

static void the_longest_credentials_pass(void) {
  tckms_config *config = tckms_config_new();
  CHECK_OK(tckms_config_set_credentials(config, filled("", "k", 1024, ""), SECRET, NULL));
  REFUSED(tckms_config_set_credentials(config, filled("", "k", 1025, ""), SECRET, NULL),
          TCKMS_ERR_MALFORMED_CREDENTIALS, "1 to 1024");
  CHECK_OK(tckms_config_set_credentials(config, "id", filled("", "k", 1024, ""), NULL));
  REFUSED(tckms_config_set_credentials(config, "id", filled("", "k", 1025, ""), NULL), TCKMS_ERR_MALFORMED_CREDENTIALS,
          "1 to 1024");
  CHECK_OK(tckms_config_set_credentials(config, "id", SECRET, filled("", "k", 4096, "")));
  tckms_config_free(config);
}

static void timeouts_are_1_ms_to_1_hour(void) {
  static const int64_t bad[] = {0, -1, 3600001, INT64_MIN, INT64_MAX};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_connect_timeout_ms(config, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000 are allowed");
    REFUSED(tckms_config_set_idle_timeout_ms(config, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000 are allowed");
    REFUSED(tckms_config_set_try_timeout_ms(config, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000 are allowed");
    REFUSED(tckms_config_set_total_timeout_ms(config, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "1 to 3600000 are allowed");
  }
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, 1));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 3600000));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 3600000));
  tckms_config_free(config);
}

static void attempts_are_1_to_20(void) {
  static const int bad[] = {0, -1, 21, INT_MIN, INT_MAX};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_max_attempts(config, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "1 to 20 are allowed");
  }
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  CHECK_OK(tckms_config_set_max_attempts(config, 20));
  REFUSED(tckms_config_set_max_connections(config, 0), TCKMS_ERR_OUT_OF_RANGE, "1 to 1024 are allowed");
  REFUSED(tckms_config_set_max_connections(config, 1025), TCKMS_ERR_OUT_OF_RANGE, "1 to 1024 are allowed");
  REFUSED(tckms_config_set_max_idle_connections(config, -1), TCKMS_ERR_OUT_OF_RANGE, "0 to 1024 are allowed");
  REFUSED(tckms_config_set_max_idle_connections(config, 1025), TCKMS_ERR_OUT_OF_RANGE, "0 to 1024 are allowed");
  CHECK_OK(tckms_config_set_max_connections(config, 1));
  CHECK_OK(tckms_config_set_max_connections(config, 1024));
  CHECK_OK(tckms_config_set_max_idle_connections(config, 0));
  CHECK_OK(tckms_config_set_max_idle_connections(config, 1024));
  tckms_config_free(config);
}

static void rates_are_up_to_a_million_a_second(void) {
  static const int bad[] = {-1, 1000001, INT_MIN, INT_MAX};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_rate_limit(config, bad[i], 1), TCKMS_ERR_OUT_OF_RANGE, "0 to 1000000 are allowed");
    REFUSED(tckms_config_set_rate_limit(config, 1, bad[i]), TCKMS_ERR_OUT_OF_RANGE, "0 to 1000000 are allowed");
  }
  CHECK_OK(tckms_config_set_rate_limit(config, 1, 0));
  CHECK_OK(tckms_config_set_rate_limit(config, 1000000, 1000000));
  CHECK_OK(tckms_config_set_rate_limit(config, 0, -1));
  tckms_config_free(config);
}

static void log_levels_are_0_to_4(void) {
  static const int bad[] = {-1, 5, INT_MIN, INT_MAX};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_log(config, bad[i], NULL, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE, "0 to 4 are allowed");
  }
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, NULL, NULL, NULL));
  tckms_config_free(config);
}

static void texts_for_headers_are_harmless(void) {
  static const char *const bad[] = {"", "a\nb", "a\r\nX-Evil: 1", "a/b", "密", "\x7f"};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_user_agent_suffix(config, bad[i]), TCKMS_ERR_INVALID_HEADER_TEXT, "1 to 128 letters");
    REFUSED(tckms_config_set_language(config, bad[i]), TCKMS_ERR_INVALID_HEADER_TEXT, "\"en-US\" nor \"zh-CN\"");
  }
  REFUSED(tckms_config_set_user_agent_suffix(config, filled("", "a", 129, "")), TCKMS_ERR_INVALID_HEADER_TEXT,
          "1 to 128");
  REFUSED(tckms_config_set_language(config, "de-DE"), TCKMS_ERR_INVALID_HEADER_TEXT, "\"en-US\" nor \"zh-CN\"");
  CHECK_OK(tckms_config_set_user_agent_suffix(config, filled("", "a", 128, "")));
  tckms_config_free(config);
}

static void proxies_are_urls_of_a_host(void) {
  static const char *const bad[] = {"", "proxy:3128", "socks5://user:" SECRET "@proxy", "http://", "http://proxy/path",
                                    "http://user:" SECRET "@proxy:99999"};
  tckms_config *config = tckms_config_new();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED(tckms_config_set_proxy(config, bad[i]), TCKMS_ERR_INVALID_PROXY, "like http://");
  }
  tckms_config_free(config);
}

/* A refused value leaves the one before it in place. */
static void a_refused_value_changes_nothing(void) {
  char endpoint[64];
  int other = listening_socket(endpoint, sizeof endpoint);
  tckms_config *config = config_for(endpoint);
  tckms_client *made;
  tckms_buffer out;
  REFUSED(tckms_config_set_region(config, "!"), TCKMS_ERR_INVALID_REGION, "region");
  REFUSED(tckms_config_set_endpoint(config, "!"), TCKMS_ERR_INVALID_ENDPOINT, "endpoint");
  REFUSED(tckms_config_set_credentials(config, "id", "", NULL), TCKMS_ERR_MALFORMED_CREDENTIALS, "secret key");
  REFUSED(tckms_config_set_max_attempts(config, 0), TCKMS_ERR_OUT_OF_RANGE, "attempts");
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 200));
  made = client_of(config);
  CHECK_STATUS(tckms_encrypt(made, KEY, "x", 1, NULL, &out), TCKMS_ERR_TIMED_OUT);
  CHECK(has_connected(other));
  tckms_client_free(made);
  close(other);
}

/* Making clients. */

static void a_client_needs_a_region_and_credentials(void) {
  tckms_config *config = tckms_config_new();
  tckms_client *made;
  CHECK_OK(tckms_config_set_endpoint(config, "http://127.0.0.1"));
  CHECK_OK(tckms_config_set_region(config, "ap-guangzhou"));
  REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_NO_CREDENTIALS, "set a secret id and a secret key");
  tckms_config_free(config);

  config = tckms_config_new();
  CHECK_OK(tckms_config_set_endpoint(config, "http://127.0.0.1"));
  CHECK_OK(tckms_config_set_credentials(config, "id", SECRET, NULL));
  REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INVALID_REGION, "set one like \"ap-guangzhou\"");
  tckms_config_free(config);
}

/* The message names each kind of invalid PEM, and does not repeat the text. */
static void the_error_says_why_a_ca_bundle_is_bad(void) {
#define PEM_KEY "c2VjcmV0LXByaXZhdGUta2V5LWJ5dGVz"
  static const struct {
    const char *pem;
    const char *reason;
  } bad[] = {
      {"", "it is empty"},
      {"no certificate", "no -----BEGIN line"},
      {"-----BEGIN CERTIFICATE-----\n" PEM_KEY "\n", "no matching -----END line"},
      {"-----BEGIN CERTIFICATE-----\n" PEM_KEY "\n-----END PRIVATE KEY-----\n", "no matching -----END line"},
      {"-----BEGIN PRIVATE KEY-----\n" PEM_KEY "\n-----END PRIVATE KEY-----\n", "private key"},
      {"-----BEGIN RSA PRIVATE KEY-----\n" PEM_KEY "\n-----END RSA PRIVATE KEY-----\n", "private key"},
      {"-----BEGIN EC PRIVATE KEY-----\n" PEM_KEY "\n-----END EC PRIVATE KEY-----\n", "private key"},
      {"-----BEGIN PUBLIC KEY-----\n" PEM_KEY "\n-----END PUBLIC KEY-----\n", "public key"},
      {"-----BEGIN CERTIFICATE REQUEST-----\n" PEM_KEY "\n-----END CERTIFICATE REQUEST-----\n", "certificate request"},
      {"-----BEGIN CERTIFICATE-----\n*" PEM_KEY "*\n-----END CERTIFICATE-----\n", "not base64"},
      {"-----BEGIN PRIVATE KEY-----" PEM_KEY "-----END PRIVATE KEY-----", "all on one line"},
      {"-----BEGIN CERTIFICATE-----" PEM_KEY "-----END CERTIFICATE-----", "all on one line"},
      {"-----BEGIN CERTIFICATE-----\n" PEM_KEY "\n-----END CERTIFICATE-----\n", "PEM form"},
      {"\x30\x82\x01\x02", "DER"},
      {"\xff\xfe-", "UTF-16"},
  };
  tckms_config *config = config_for("https://127.0.0.1");
  tckms_client *made;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const char *message;
    CHECK_OK(tckms_config_set_ca_pem(config, bad[i].pem, strlen(bad[i].pem)));
    REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INVALID_CA_BUNDLE, bad[i].reason);
    message = tckms_error_message(tckms_last_error());
    /* Neither the text nor its bytes as numbers. */
    CHECK(strstr(message, "c2Vj") == NULL);
    CHECK(strstr(message, "99, 50") == NULL);
    CHECK(strlen(message) < 200);
  }
  tckms_config_free(config);
}

/* A request that is passed as the action is not repeated. */
static void an_action_that_is_a_request_is_not_repeated(void) {
  tckms_client *client = client_of(config_for("http://127.0.0.1:1"));
  tckms_buffer response = garbage();
  CHECK_STATUS(tckms_call(client, "{\"Plaintext\":\"" SECRET "\"}", "Encrypt", &response), TCKMS_ERR_MALFORMED_ACTION);
  CHECK(strstr(tckms_error_message(tckms_last_error()), "Plaintext") == NULL);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "");
  CHECK_STATUS(tckms_call(client, "Describe Key", "{}", &response), TCKMS_ERR_MALFORMED_ACTION);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "Describe");
  tckms_client_free(client);
}

/* An argument that may be a secret is not repeated completely. */
static void a_region_and_an_action_are_repeated_in_part(void) {
  static const char secret[] = "SECRETsecretSECRETsecretSECRETsecretSECRETsecretSECRETsecret\x1b[2J";
  tckms_config *config = tckms_config_new();
  tckms_client *client;
  tckms_buffer response = garbage();
  CHECK_STATUS(tckms_config_set_region(config, secret), TCKMS_ERR_INVALID_REGION);
  CHECK(strstr(tckms_error_message(tckms_last_error()), "SECRETsecretSECRETsecretSECRETse") != NULL);
  CHECK(strstr(tckms_error_message(tckms_last_error()), "SECRETsecretSECRETsecretSECRETsec") == NULL);
  CHECK_STATUS(tckms_config_set_region(config, "a\x1b[2J"), TCKMS_ERR_INVALID_REGION);
  CHECK(strchr(tckms_error_message(tckms_last_error()), '\x1b') == NULL);
  tckms_config_free(config);
  client = client_of(config_for("http://127.0.0.1:1"));
  CHECK_STATUS(tckms_call(client, secret, "{}", &response), TCKMS_ERR_MALFORMED_ACTION);
  CHECK(strstr(tckms_error_message(tckms_last_error()), "SECRETsecretSECRETsecretSECRETsec") == NULL);
  CHECK(strstr(tckms_error_action(tckms_last_error()), "SECRETsecretSECRETsecretSECRETsec") == NULL);
  tckms_client_free(client);
}

static void a_ca_bundle_holds_certificates(void) {
  static const char *const bad[] = {"", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                    "-----BEGIN CERTIFICATE-----\n"};
  tckms_config *config = config_for("https://127.0.0.1");
  tckms_client *made;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK_OK(tckms_config_set_ca_pem(config, bad[i], strlen(bad[i])));
    REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INVALID_CA_BUNDLE, "PEM");
  }
  CHECK_OK(tckms_config_set_ca_file(config, "/nonexistent/ca.pem"));
  REFUSED_MADE(tckms_client_new(config, &made), TCKMS_ERR_INVALID_CA_BUNDLE, "/nonexistent/ca.pem");
  CHECK_INT(tckms_error_os_errno(tckms_last_error()), ENOENT);
  tckms_config_free(config);
}

/* Creates a new configuration with one setting, and checks that deriving a client with it is refused. */
#define NOT_DERIVABLE(setting, hint)                                                               \
  do {                                                                                             \
    tckms_config *config = tckms_config_new();                                                     \
    tckms_client *made;                                                                            \
    CHECK_OK(setting);                                                                             \
    REFUSED_MADE(tckms_client_derive(client, config, &made), TCKMS_ERR_NOT_DERIVABLE, hint);       \
    tckms_config_free(config);                                                                     \
  } while (0)

static void on_log(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  (void)userdata;
  (void)level;
  (void)message;
}

static void a_derived_client_takes_limits_only(void) {
  NOT_DERIVABLE(tckms_config_set_region(config, "ap-guangzhou"), "a region");
  NOT_DERIVABLE(tckms_config_set_endpoint(config, "https://host"), "an endpoint");
  NOT_DERIVABLE(tckms_config_set_site(config, TCKMS_SITE_INTERNATIONAL), "a site");
  NOT_DERIVABLE(tckms_config_set_insecure_http_allowed(config, 1), "an endpoint");
  NOT_DERIVABLE(tckms_config_set_credentials(config, "id", SECRET, NULL), "credentials");
  NOT_DERIVABLE(tckms_config_set_cvm_role_credentials(config, NULL), "credentials");
  NOT_DERIVABLE(tckms_config_set_ca_file(config, "/ca.pem"), "a CA bundle");
  NOT_DERIVABLE(tckms_config_set_ca_pem(config, "pem", 3), "a CA bundle");
  NOT_DERIVABLE(tckms_config_set_proxy(config, "http://proxy:3128"), "a proxy");
  NOT_DERIVABLE(tckms_config_set_connect_timeout_ms(config, 1), "a connect timeout");
  NOT_DERIVABLE(tckms_config_set_max_connections(config, 1), "a number of connections");
  NOT_DERIVABLE(tckms_config_set_max_idle_connections(config, 1), "a number of connections");
  NOT_DERIVABLE(tckms_config_set_idle_timeout_ms(config, 1), "an idle timeout");
  NOT_DERIVABLE(tckms_config_set_rate_limit(config, 1, 1), "a rate limit");
  NOT_DERIVABLE(tckms_config_set_user_agent_suffix(config, "x"), "a user-agent suffix");
  NOT_DERIVABLE(tckms_config_set_language(config, "en-US"), "a language");
  NOT_DERIVABLE(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_log, NULL, NULL), "a log");
}

/* Asymmetric keys. */

static void calls_with_asymmetric_keys_need_their_pointers(void) {
  tckms_buffer out;
  tckms_signer *signer;
  REFUSED_OUT(tckms_public_key(NULL, KEY, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_public_key(client, NULL, &out), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  REFUSED(tckms_public_key(client, KEY, NULL), TCKMS_ERR_NULL_POINTER, "spki_der is NULL");
  REFUSED_OUT(tckms_public_key_pem(client, NULL, &out), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  REFUSED(tckms_public_key_pem(client, KEY, NULL), TCKMS_ERR_NULL_POINTER, "pem is NULL");
  REFUSED_OUT(tckms_sign(NULL, KEY, 0, "m", 1, &out), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED_OUT(tckms_sign(client, NULL, 0, "m", 1, &out), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  REFUSED_OUT(tckms_sign(client, KEY, 0, NULL, 1, &out), TCKMS_ERR_NULL_POINTER, "msg is NULL");
  REFUSED(tckms_sign(client, KEY, 0, "m", 1, NULL), TCKMS_ERR_NULL_POINTER, "signature is NULL");
  REFUSED_OUT(tckms_sign_digest(client, KEY, 0, NULL, 32, &out), TCKMS_ERR_NULL_POINTER, "digest is NULL");
  REFUSED(tckms_verify(NULL, KEY, 0, "m", 1, "s", 1), TCKMS_ERR_NULL_POINTER, "client is NULL");
  REFUSED(tckms_verify(client, KEY, 0, NULL, 1, "s", 1), TCKMS_ERR_NULL_POINTER, "msg is NULL");
  REFUSED(tckms_verify(client, KEY, 0, "m", 1, NULL, 1), TCKMS_ERR_NULL_POINTER, "signature is NULL");
  REFUSED(tckms_verify_digest(client, KEY, 0, NULL, 1, "s", 1), TCKMS_ERR_NULL_POINTER, "digest is NULL");
  REFUSED_OUT(tckms_sm2_digest(client, KEY, NULL, 0, NULL, 1, &out), TCKMS_ERR_NULL_POINTER, "msg is NULL");
  REFUSED_OUT(tckms_sm2_digest(client, KEY, NULL, 1, "m", 1, &out), TCKMS_ERR_NULL_POINTER, "user_id_or_null is NULL");
  REFUSED(tckms_sm2_digest(client, KEY, NULL, 0, "m", 1, NULL), TCKMS_ERR_NULL_POINTER, "digest is NULL");
  signer = (tckms_signer *)(uintptr_t)0xdead;
  REFUSED(tckms_signer_new(client, NULL, 0, NULL, 0, &signer), TCKMS_ERR_NULL_POINTER, "key_id is NULL");
  CHECK(signer == NULL);
  REFUSED(tckms_signer_new(client, KEY, 0, NULL, 0, NULL), TCKMS_ERR_NULL_POINTER, "out is NULL");
  REFUSED(tckms_signer_update(NULL, "m", 1), TCKMS_ERR_NULL_POINTER, "signer is NULL");
  REFUSED_OUT(tckms_signer_finish(NULL, &out), TCKMS_ERR_NULL_POINTER, "signer is NULL");
  REFUSED_OUT(tckms_rsa_encrypt(client, KEY, 1, NULL, 1, &out), TCKMS_ERR_NULL_POINTER, "buf is NULL");
  REFUSED_OUT(tckms_rsa_decrypt(client, KEY, 1, NULL, 256, &out), TCKMS_ERR_NULL_POINTER, "ciphertext is NULL");
  REFUSED_OUT(tckms_sm2_decrypt(client, KEY, NULL, 100, &out), TCKMS_ERR_NULL_POINTER, "ciphertext is NULL");
  REFUSED_OUT(tckms_signature_to_raw(NULL, 70, 64, &out), TCKMS_ERR_NULL_POINTER, "signature is NULL");
  REFUSED_OUT(tckms_signature_from_raw(NULL, 64, &out), TCKMS_ERR_NULL_POINTER, "raw is NULL");
  REFUSED(tckms_import_key_material(client, KEY, NULL, 32, 0), TCKMS_ERR_NULL_POINTER, "material is NULL");
}

static void algorithms_and_paddings_are_known_numbers(void) {
  static const int NUMBERS[] = {-1, 6, INT_MAX, INT_MIN};
  tckms_buffer out;
  tckms_signer *signer;
  size_t i;
  for (i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
    int number = NUMBERS[i];
    REFUSED_OUT(tckms_sign(client, KEY, number, "m", 1, &out),
                TCKMS_ERR_UNKNOWN_ALGORITHM, "0 and the TCKMS_SIGN_ constants");
    REFUSED_OUT(tckms_sign_digest(client, KEY, number, "m", 1, &out),
                TCKMS_ERR_UNKNOWN_ALGORITHM, "0 and the TCKMS_SIGN_ constants");
    REFUSED(tckms_verify(client, KEY, number, "m", 1, "s", 1),
            TCKMS_ERR_UNKNOWN_ALGORITHM, "0 and the TCKMS_SIGN_ constants");
    REFUSED(tckms_verify_digest(client, KEY, number, "m", 1, "s", 1),
            TCKMS_ERR_UNKNOWN_ALGORITHM, "0 and the TCKMS_SIGN_ constants");
    REFUSED(tckms_signer_new(client, KEY, number, NULL, 0, &signer),
            TCKMS_ERR_UNKNOWN_ALGORITHM, "0 and the TCKMS_SIGN_ constants");
    CHECK(signer == NULL);
    REFUSED_OUT(tckms_rsa_encrypt(client, KEY, number, "m", 1, &out), TCKMS_ERR_UNKNOWN_ALGORITHM, "TCKMS_RSA_");
    REFUSED_OUT(tckms_rsa_decrypt(client, KEY, number, filled("", "x", 256, ""), 256, &out),
                TCKMS_ERR_UNKNOWN_ALGORITHM, "TCKMS_RSA_");
  }
  REFUSED_OUT(tckms_rsa_encrypt(client, KEY, 0, "m", 1, &out), TCKMS_ERR_UNKNOWN_ALGORITHM, "TCKMS_RSA_");
}

static void inputs_of_asymmetric_keys_have_length_limits(void) {
  static const size_t RSA_LENS[] = {0, 1, 255, 257, 512, HALF_ABSURD};
  static const size_t RAW_LENS[] = {0, 1, 63, 65, 134, HALF_ABSURD, ABSURD};
  static const size_t FROM_RAW_LENS[] = {0, 1, 63, 133, 134};
  tckms_buffer out;
  size_t i;
  for (i = 0; i < sizeof RSA_LENS / sizeof *RSA_LENS; i++) {
    REFUSED_OUT(tckms_rsa_decrypt(client, KEY, 1, filled("", "x", 512, ""), RSA_LENS[i], &out),
                TCKMS_ERR_INVALID_LENGTH, "256 are allowed");
  }
  REFUSED_OUT(tckms_rsa_decrypt(client, KEY, 1, "x", ABSURD, &out), TCKMS_ERR_INVALID_LENGTH, "length of ciphertext");
  REFUSED_OUT(tckms_sm2_decrypt(client, KEY, "x", 0, &out), TCKMS_ERR_INVALID_LENGTH, "1 to 256 are allowed");
  REFUSED_OUT(tckms_sm2_decrypt(client, KEY, filled("", "x", 257, ""), 257, &out), TCKMS_ERR_INVALID_LENGTH,
              "1 to 256 are allowed");
  for (i = 0; i < sizeof RAW_LENS / sizeof *RAW_LENS; i++) {
    REFUSED_OUT(tckms_signature_to_raw("0", 1, RAW_LENS[i], &out), TCKMS_ERR_INVALID_LENGTH, "");
  }
  for (i = 0; i < sizeof FROM_RAW_LENS / sizeof *FROM_RAW_LENS; i++) {
    REFUSED_OUT(tckms_signature_from_raw(filled("", "x", 200, ""), FROM_RAW_LENS[i], &out), TCKMS_ERR_INVALID_LENGTH,
                "");
  }
  REFUSED_OUT(tckms_sign(client, KEY, 0, "m", ABSURD, &out), TCKMS_ERR_INVALID_LENGTH, "length of msg");
  REFUSED_OUT(tckms_sign_digest(client, KEY, 0, "m", ABSURD, &out), TCKMS_ERR_INVALID_LENGTH, "length of digest");
  REFUSED(tckms_verify(client, KEY, 0, "m", 1, "s", ABSURD), TCKMS_ERR_INVALID_LENGTH, "length of signature");
  REFUSED_OUT(tckms_rsa_encrypt(client, KEY, 1, "m", ABSURD, &out), TCKMS_ERR_INVALID_LENGTH, "length of buf");
  for (i = 0; i <= 40; i++) {
    if (i != 16 && i != 32) {
      REFUSED(tckms_import_key_material(client, KEY, filled("", "x", 40, ""), i, 0), TCKMS_ERR_INVALID_LENGTH,
              "16 or 32 are allowed");
    }
  }
}

static void outputs_of_asymmetric_keys_overlap_nothing(void) {
  tckms_buffer out = garbage();
  /* The input is the memory of the buffer that is to be filled. */
  const void *own = &out;
  REFUSED(tckms_sign(client, KEY, 0, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of msg");
  REFUSED(tckms_sign_digest(client, KEY, 0, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of digest");
  REFUSED(tckms_sm2_digest(client, KEY, NULL, 0, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of msg");
  REFUSED(tckms_rsa_encrypt(client, KEY, 1, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of buf");
  REFUSED(tckms_rsa_decrypt(client, KEY, 1, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of ciphertext");
  REFUSED(tckms_sm2_decrypt(client, KEY, own, 8, &out), TCKMS_ERR_OVERLAP, "memory of ciphertext");
  REFUSED(tckms_signature_to_raw(own, 8, 64, &out), TCKMS_ERR_OVERLAP, "memory of signature");
  REFUSED(tckms_signature_from_raw(own, 8, &out), TCKMS_ERR_OVERLAP, "memory of raw");
}

static void ids_of_asymmetric_keys_are_checked(void) {
  tckms_buffer out;
  REFUSED_OUT(tckms_public_key(client, NOT_UTF8, &out), TCKMS_ERR_INVALID_UTF8, "key_id is not valid");
  REFUSED_OUT(tckms_sign(client, NOT_UTF8, 0, "m", 1, &out), TCKMS_ERR_INVALID_UTF8, "key_id is not valid");
  REFUSED_OUT(tckms_public_key(client, "", &out), TCKMS_ERR_MALFORMED_KEY_ID, "");
  REFUSED_OUT(tckms_sign(client, "a b", 0, "m", 1, &out), TCKMS_ERR_MALFORMED_KEY_ID, "");
  REFUSED(tckms_verify(client, "", 0, "m", 1, "s", 1), TCKMS_ERR_MALFORMED_KEY_ID, "");
  REFUSED_OUT(tckms_rsa_encrypt(client, "", 1, "m", 1, &out), TCKMS_ERR_MALFORMED_KEY_ID, "");
  REFUSED_OUT(tckms_rsa_decrypt(client, "", 1, filled("", "x", 256, ""), 256, &out), TCKMS_ERR_MALFORMED_KEY_ID, "");
  REFUSED(tckms_import_key_material(client, "", filled("", "x", 32, ""), 32, 0), TCKMS_ERR_MALFORMED_KEY_ID, "");
  PASSES(tckms_sign(unreachable, KEY, 0, NULL, 0, &out));
  PASSES(tckms_rsa_decrypt(unreachable, KEY, 1, filled("", "x", 256, ""), 256, &out));
  PASSES(tckms_verify(unreachable, KEY, 0, NULL, 0, NULL, 0));
}

int main(void) {
  char endpoint[64];
  char nowhere[64];
  tckms_config *config;
  int refusing;
  listener = listening_socket(endpoint, sizeof endpoint);
  refusing = bound_socket(nowhere, sizeof nowhere);
  client = client_of(config_for(endpoint));
  config = config_for(nowhere);
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  unreachable = client_of(config);

  encrypt_needs_its_pointers();
  decrypt_needs_its_pointers();
  reencrypt_needs_its_pointers();
  generate_data_key_needs_its_pointers();
  the_other_calls_need_their_pointers();
  making_a_client_needs_its_pointers();
  setters_need_a_configuration();
  setters_need_a_value();
  setters_of_credentials_need_a_configuration();
  setters_of_credentials_need_their_values();
  roles_have_a_form_and_sessions_a_length();
  null_is_harmless_where_something_is_freed_or_wiped();
  null_memory_equals_only_empty_memory();

  plaintexts_have_1_to_4096_bytes();
  the_error_for_a_large_plaintext_names_tckms_seal();
  blobs_have_1_to_65536_characters();
  blobs_are_printable_text();
  data_keys_have_1_to_1024_bytes();
  random_bytes_are_1_to_1024_and_written_on_success_only();
  the_size_of_the_counters_is_plausible();
  a_ca_bundle_has_a_plausible_length();

  strings_are_utf8();
  key_ids_are_1_to_128_harmless_characters();
  contexts_are_objects_of_strings_without_duplicate_keys();
  contexts_have_at_most_1024_characters();
  a_context_is_never_repeated_in_a_message();
  actions_are_names();
  requests_are_json_objects();
  requests_have_at_most_10_mib();

  regions_are_names();
  endpoints_are_urls_of_a_host();
  plain_http_goes_to_loopback_only();
  credentials_are_printable_and_without_blanks();
  the_longest_credentials_pass();
  timeouts_are_1_ms_to_1_hour();
  attempts_are_1_to_20();
  rates_are_up_to_a_million_a_second();
  log_levels_are_0_to_4();
  texts_for_headers_are_harmless();
  proxies_are_urls_of_a_host();
  a_refused_value_changes_nothing();

  calls_with_asymmetric_keys_need_their_pointers();
  algorithms_and_paddings_are_known_numbers();
  inputs_of_asymmetric_keys_have_length_limits();
  outputs_of_asymmetric_keys_overlap_nothing();
  ids_of_asymmetric_keys_are_checked();

  a_client_needs_a_region_and_credentials();
  the_error_says_why_a_ca_bundle_is_bad();
  an_action_that_is_a_request_is_not_repeated();
  a_region_and_an_action_are_repeated_in_part();
  a_ca_bundle_holds_certificates();
  a_derived_client_takes_limits_only();

  tckms_client_free(client);
  tckms_client_free(unreachable);
  close(listener);
  close(refusing);
  return checks_passed();
}
