/* The userdata of every callback exists as long as the callback can be called, and is freed once. */
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
  unsigned char buffer[4096];
  size_t produced;
  int done;
  CHECK_OK(tckms_stream_finish(stream, buffer, sizeof buffer, &produced, &done));
  CHECK_INT(done, 1);
  CHECK(produced > 0);
}

/* A stream is the last object that can call callbacks: the log, the credentials and a custom key. */
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

/* The userdata of a callback that is replaced, or that can never be called, is freed at once. */
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

enum part { CONFIG, CONFIG_WITH_FALLBACK, CLIENT, DERIVED, KEYRING, STREAM, SIGNER, PARTS };

struct whole {
  tckms_config *config;
  tckms_config *with_fallback;
  tckms_client *client;
  tckms_client *derived;
  tckms_keyring *keyring;
  tckms_stream *stream;
  tckms_signer *signer;
};

static void create_signing_key(char key_id[64]) {
  tckms_client *client = emulator_client();
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = "signs";
  options.usage = TCKMS_KEY_USAGE_SIGN_ECC;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  CHECK(id.len < 64);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
  tckms_client_free(client);
}

static struct whole create_whole(const char *signing_key, struct owned *log, struct owned *credentials,
                                 struct owned *key) {
  struct whole whole;
  tckms_custom_key custom = TCKMS_CUSTOM_KEY_INIT;
  whole.config = emulator_config();
  whole.with_fallback = emulator_config();
  whole.keyring = tckms_keyring_new();
  CHECK_OK(tckms_config_set_log(whole.config, TCKMS_LOG_DEBUG, count_event, log, release));
  CHECK_OK(tckms_config_set_credentials_callback(whole.config, supply, credentials, release));
  CHECK_OK(tckms_config_add_fallback_credentials(whole.with_fallback, whole.config));
  CHECK_OK(tckms_client_new(whole.config, &whole.client));
  CHECK_OK(tckms_client_derive_timeout_ms(whole.client, 60000, &whole.derived));
  CHECK_OK(tckms_keyring_add_kms(whole.keyring, whole.client, MAIN_KEY));
  custom.provider_id = "own";
  custom.wrap = wrap;
  custom.userdata = key;
  custom.destructor_or_null = release;
  CHECK_OK(tckms_keyring_add_custom(whole.keyring, &custom, sizeof custom));
  CHECK_OK(tckms_stream_new_seal(whole.keyring, NULL, &whole.stream));
  CHECK_OK(tckms_signer_new(whole.derived, signing_key, TCKMS_SIGN_DEFAULT, NULL, 0, &whole.signer));
  return whole;
}

/* A stream and a signer are used before they are freed. */
static void free_part(struct whole *whole, enum part part) {
  tckms_buffer signature;
  switch (part) {
    case CONFIG: tckms_config_free(whole->config); break;
    case CONFIG_WITH_FALLBACK: tckms_config_free(whole->with_fallback); break;
    case CLIENT: tckms_client_free(whole->client); break;
    case DERIVED: tckms_client_free(whole->derived); break;
    case KEYRING: tckms_keyring_free(whole->keyring); break;
    case STREAM:
      seal_with(whole->stream);
      tckms_stream_free(whole->stream);
      break;
    case SIGNER:
      CHECK_OK(tckms_signer_finish(whole->signer, &signature));
      tckms_buffer_free(&signature);
      tckms_signer_free(whole->signer);
      break;
    case PARTS: break;
  }
}

static int is_among(const enum part *parts, size_t count, enum part wanted) {
  size_t i;
  for (i = 0; i < count; i++) {
    if (parts[i] == wanted) {
      return 1;
    }
  }
  return 0;
}

static void parts_are_freed_in(const enum part *order, const char *signing_key) {
  struct owned log = {0, 0}, credentials = {0, 0}, key = {0, 0};
  struct whole whole = create_whole(signing_key, &log, &credentials, &key);
  size_t i;
  for (i = 0; i < PARTS; i++) {
    const enum part *rest = order + i + 1;
    size_t left = PARTS - i - 1;
    int log_is_held = left > (size_t)is_among(rest, left, CONFIG_WITH_FALLBACK);
    free_part(&whole, order[i]);
    CHECK_INT(log.freed, !log_is_held);
    CHECK_INT(credentials.freed, left == 0);
    CHECK_INT(key.freed, !is_among(rest, left, KEYRING) && !is_among(rest, left, STREAM));
  }
  CHECK_INT(key.calls, 1);
}

/* Each object is the last one in one of the orders. */
static void in_every_order_the_last_one_frees(void) {
  char signing_key[64];
  size_t first;
  create_signing_key(signing_key);
  for (first = 0; first < PARTS; first++) {
    enum part forwards[PARTS], backwards[PARTS];
    size_t i;
    for (i = 0; i < PARTS; i++) {
      forwards[i] = (enum part)((first + i) % PARTS);
      backwards[PARTS - 1 - i] = forwards[i];
    }
    parts_are_freed_in(forwards, signing_key);
    parts_are_freed_in(backwards, signing_key);
  }
}

int main(void) {
  a_stream_keeps_all_callbacks();
  a_configuration_alone_frees_its_callbacks();
  a_callback_that_is_replaced_is_freed();
  the_last_client_frees();
  a_failure_frees_nothing();
  in_every_order_the_last_one_frees();
  return checks_passed();
}
