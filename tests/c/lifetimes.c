/* The userdata of every callback lives as long as anything can call it, and is freed once. */
#include "check.h"

#include "fixture.h"

struct owned {
  int calls;
  int freed;
};

static void release(void *userdata) {
  struct owned *owned = userdata;
  owned->freed++;
}

static void count_event(void *userdata, const tckms_log_event *event) {
  struct owned *owned = userdata;
  CHECK_INT(owned->freed, 0);
  CHECK(strlen(tckms_log_event_message(event)) > 0);
  owned->calls++;
}

static int supply(void *userdata, tckms_credentials *out) {
  struct owned *owned = userdata;
  CHECK_INT(owned->freed, 0);
  owned->calls++;
  CHECK_OK(tckms_credentials_set(out, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0));
  return TCKMS_OK;
}

static int wrap(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t data_key_len,
                tckms_wrapped_key *out) {
  struct owned *owned = userdata;
  (void)ctx_json;
  CHECK_INT(owned->freed, 0);
  owned->calls++;
  return tckms_wrapped_key_set(out, NULL, 0, data_key, data_key_len);
}

static void seal_with(tckms_stream *stream) {
  unsigned char room[4096];
  size_t produced;
  int done;
  CHECK_OK(tckms_stream_finish(stream, room, sizeof room, &produced, &done));
  CHECK_INT(done, 1);
  CHECK(produced > 0);
}

/* A stream is the last that can call: through it the log, the credentials and a key of the program's own. */
static void a_stream_keeps_all_callbacks(void) {
  struct owned log = {0, 0}, credentials = {0, 0}, key = {0, 0};
  tckms_config *config = emulator_config();
  tckms_client *client = NULL;
  tckms_client *derived = NULL;
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key custom = TCKMS_CUSTOM_KEY_INIT;
  tckms_stream *stream = NULL;
  int calls;
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, count_event, &log, release));
  CHECK_OK(tckms_config_set_credentials_callback(config, supply, &credentials, release));
  CHECK_OK(tckms_client_new(config, &client));
  tckms_config_free(config);
  CHECK_OK(tckms_client_derive_timeout_ms(client, 60000, &derived));
  tckms_client_free(client);
  CHECK_OK(tckms_keyring_add_kms(keyring, derived, MAIN_KEY));
  tckms_client_free(derived);
  custom.provider_id = "own";
  custom.wrap = wrap;
  custom.userdata = &key;
  custom.destructor_or_null = release;
  CHECK_OK(tckms_keyring_add_custom(keyring, &custom, sizeof custom));
  CHECK_OK(tckms_stream_new_seal(keyring, NULL, &stream));
  tckms_keyring_free(keyring);
  CHECK_INT(log.freed + credentials.freed + key.freed, 0);
  calls = log.calls;
  seal_with(stream);
  CHECK(log.calls > calls);
  CHECK_INT(credentials.calls, 1);
  CHECK_INT(key.calls, 1);
  CHECK_INT(log.freed + credentials.freed + key.freed, 0);
  tckms_stream_free(stream);
  CHECK_INT(log.freed, 1);
  CHECK_INT(credentials.freed, 1);
  CHECK_INT(key.freed, 1);
}

static void a_configuration_alone_frees_its_callbacks(void) {
  struct owned log = {0, 0}, credentials = {0, 0};
  tckms_config *config = tckms_config_new();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, count_event, &log, release));
  CHECK_OK(tckms_config_set_credentials_callback(config, supply, &credentials, release));
  CHECK_INT(log.freed + credentials.freed, 0);
  tckms_config_free(config);
  CHECK_INT(log.freed, 1);
  CHECK_INT(credentials.freed, 1);
}

/* One that is replaced, or that nothing can ever call, is freed at once. */
static void a_callback_that_is_replaced_is_freed(void) {
  struct owned first = {0, 0}, second = {0, 0}, never = {0, 0};
  tckms_config *config = tckms_config_new();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, count_event, &first, release));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, count_event, &second, release));
  CHECK_INT(first.freed, 1);
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_OFF, NULL, &never, release));
  CHECK_INT(second.freed, 1);
  CHECK_INT(never.freed, 1);
  tckms_config_free(config);
  CHECK_INT(first.freed + second.freed + never.freed, 3);
}

/* Two clients of one configuration share the callback. */
static void the_last_client_frees(void) {
  struct owned log = {0, 0};
  tckms_config *config = emulator_config();
  tckms_client *first = NULL;
  tckms_client *second = NULL;
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, count_event, &log, release));
  CHECK_OK(tckms_client_new(config, &first));
  CHECK_OK(tckms_client_new(config, &second));
  tckms_config_free(config);
  tckms_client_free(first);
  CHECK_INT(log.freed, 0);
  tckms_client_free(second);
  CHECK_INT(log.freed, 1);
}

/* A setter that fails leaves the userdata to the caller. */
static void a_failure_frees_nothing(void) {
  struct owned owned = {0, 0};
  tckms_config *config = tckms_config_new();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  CHECK_STATUS(tckms_config_set_log(config, 77, count_event, &owned, release), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_config_set_log(NULL, TCKMS_LOG_DEBUG, count_event, &owned, release), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_config_set_credentials_callback(config, NULL, &owned, release), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_config_set_credentials_callback(NULL, supply, &owned, release), TCKMS_ERR_NULL_POINTER);
  key.userdata = &owned;
  key.destructor_or_null = release;
  CHECK_STATUS(tckms_keyring_add_custom(keyring, &key, sizeof key - 1), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_keyring_add_custom(NULL, &key, sizeof key), TCKMS_ERR_NULL_POINTER);
  key.provider_id = "aws-kms";
  CHECK_STATUS(tckms_keyring_add_custom(keyring, &key, sizeof key), TCKMS_ERR_INVALID_KEY_NAME);
  tckms_keyring_free(keyring);
  tckms_config_free(config);
  CHECK_INT(owned.freed, 0);
}

int main(void) {
  a_stream_keeps_all_callbacks();
  a_configuration_alone_frees_its_callbacks();
  a_callback_that_is_replaced_is_freed();
  the_last_client_frees();
  a_failure_frees_nothing();
  return checks_passed();
}
