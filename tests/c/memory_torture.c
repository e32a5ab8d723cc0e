/*
 * An allocator that fails: at each single allocation of a call, and at all allocations from that one on. Every call returns a status,
 * and none ends the process. This file calls every function of tckms.h, as tests/header.rs checks.
 *
 *     memory_torture GROUP [STRIDE]
 *
 * Of the allocations of a group of calls beyond the first 30, only each STRIDEth one fails: 1 for all of them. Without it,
 * about 50 do.
 */
#define _GNU_SOURCE
#include "failing_allocator.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "admin.h"
#include "fixture.h"

#define CONTEXT "{\"a\":\"1\"}"
#define ROLE_ARN "qcs::cam::uin/100000000001:roleName/backup"

/* Created before any allocation fails. */
static char ecc_key[64], sm2_key[64], rsa_key[64], sm2_decryption_key[64], switched_key[64], external_key[64];
static char private_pem[8192], public_pem[2048];
static char profile_file[512], tccli_file[512], token_file[512], record_file[512];
static int next_alias = 0;

/* Checks a status: for a failure, the last error must have that status and texts. */
static int succeeded(tckms_status status) {
  if (status != TCKMS_OK) {
    const tckms_error *error = tckms_last_error();
    CHECK_INT(tckms_error_status(error), status);
    CHECK(tckms_error_message(error)[0] != '\0');
    CHECK(tckms_status_name((int)status)[0] == 'T');
    CHECK(tckms_error_action(error) != NULL && tckms_error_service_code(error) != NULL);
    CHECK(tckms_error_request_id(error) != NULL && tckms_error_key_id(error) != NULL);
    CHECK(tckms_error_category(error) == tckms_status_category((int)status));
    CHECK(tckms_status_message((int)status)[0] != '\0');
    CHECK(tckms_error_retryable(error) >= 0 && tckms_status_retryable((int)status) >= 0);
    CHECK(tckms_error_attempts(error) >= 0 && tckms_error_http_status(error) >= 0);
    CHECK(tckms_error_retry_after_ms(error) >= 0 || tckms_error_os_errno(error) >= 0);
  }
  CHECK(tckms_last_request_id() != NULL && tckms_last_key_id() != NULL);
  return status == TCKMS_OK;
}

static void drop(tckms_buffer *buffer) {
  tckms_buffer_free(buffer);
  CHECK_EMPTY(*buffer);
}

/* Checks the result of a call with an output, which must be filled or empty. */
static int filled(tckms_status status, tckms_buffer *out) {
  if (!succeeded(status)) {
    CHECK_EMPTY(*out);
    return 0;
  }
  return 1;
}

static tckms_config *new_config(void) {
  tckms_config *config = tckms_config_new();
  int good = config != NULL && succeeded(tckms_config_set_region(config, "ap-guangzhou")) &&
             succeeded(tckms_config_set_endpoint(config, GIVEN_ENDPOINT)) &&
             succeeded(tckms_config_set_credentials(config, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL)) &&
             succeeded(tckms_config_set_total_timeout_ms(config, 2000)) &&
             succeeded(tckms_config_set_max_attempts(config, 1)) &&
             (given_ca_file() == NULL || succeeded(tckms_config_set_ca_file(config, given_ca_file())));
  if (!good) {
    tckms_config_free(config);
    return NULL;
  }
  return config;
}

static tckms_client *client_or_null(tckms_config *config) {
  tckms_client *client = NULL;
  if (config != NULL && !succeeded(tckms_client_new(config, &client))) {
    CHECK(client == NULL);
  }
  tckms_config_free(config);
  return client;
}

static tckms_client *new_client(void) {
  return client_or_null(new_config());
}

static void read_event(void *userdata, const tckms_log_event *event) {
  (void)userdata;
  CHECK(tckms_log_event_level(event) > TCKMS_LOG_OFF && tckms_log_event_message(event)[0] != '\0');
  CHECK(tckms_log_event_action(event) != NULL && tckms_log_event_request_id(event) != NULL);
  CHECK(tckms_log_event_attempt(event) >= 0 && tckms_log_event_ms(event) >= -1);
  CHECK(tckms_status_name((int)tckms_log_event_status(event)) != NULL);
}

/* Every setter, and every source of credentials. None of them uses the network. */
static void configure(void) {
  tckms_config *config = new_config(), *other = new_config();
  tckms_client *client = NULL;
  tckms_role_options role = TCKMS_ROLE_OPTIONS_INIT;
  role.role_arn = ROLE_ARN;
  if (config != NULL && other != NULL) {
    succeeded(tckms_config_set_site(config, TCKMS_SITE_INTERNATIONAL));
    succeeded(tckms_config_set_insecure_http_allowed(config, 1));
    succeeded(tckms_config_set_ca_pem(config, "no certificate", 14));
    succeeded(tckms_config_set_proxy(config, "http://user:password@localhost:1"));
    succeeded(tckms_config_set_connect_timeout_ms(config, 1000));
    succeeded(tckms_config_set_max_connections(config, 4));
    succeeded(tckms_config_set_max_idle_connections(config, 2));
    succeeded(tckms_config_set_idle_timeout_ms(config, 1000));
    succeeded(tckms_config_set_try_timeout_ms(config, 1000));
    succeeded(tckms_config_set_retry_unsafe_actions(config, 1));
    succeeded(tckms_config_set_rate_limit(config, 100, 10));
    succeeded(tckms_config_set_user_agent_suffix(config, "torture/1"));
    succeeded(tckms_config_set_language(config, "zh-CN"));
    succeeded(tckms_config_set_metadata_endpoint(config, GIVEN_ENDPOINT));
    succeeded(tckms_config_set_sts_endpoint(config, GIVEN_ENDPOINT));
    succeeded(tckms_config_set_log(config, TCKMS_LOG_DEBUG, read_event, NULL, NULL));
    succeeded(tckms_config_set_default_credentials(config));
    succeeded(tckms_config_set_env_credentials(config));
    succeeded(tckms_config_set_default_profile_credentials(config, "default"));
    succeeded(tckms_config_set_default_tccli_credentials(config, "default"));
    succeeded(tckms_config_set_tke_env_credentials(config));
    succeeded(tckms_config_set_tccli_credentials(config, tccli_file));
    succeeded(tckms_config_set_cvm_role_credentials(config, "role"));
    succeeded(tckms_config_set_oidc_credentials(config, "provider", token_file, ROLE_ARN, "pod", 900));
    succeeded(tckms_config_set_profile_credentials(config, profile_file, "default"));
    succeeded(tckms_config_add_fallback_credentials(config, other));
    succeeded(tckms_config_set_assume_role_credentials(config, &role, sizeof role));
    if (!succeeded(tckms_client_new(config, &client))) {
      CHECK(client == NULL);
    }
  }
  tckms_client_free(client);
  tckms_config_free(config);
  tckms_config_free(other);
}

/* With a log callback, so that log events are allocated too. */
static void use(tckms_config *config) {
  tckms_buffer out = TCKMS_BUFFER_INIT;
  tckms_client *client = NULL;
  if (succeeded(tckms_config_set_log(config, TCKMS_LOG_DEBUG, read_event, NULL, NULL)) &&
      succeeded(tckms_config_set_sts_endpoint(config, GIVEN_ENDPOINT)) &&
      succeeded(tckms_config_set_metadata_endpoint(config, GIVEN_ENDPOINT)) &&
      succeeded(tckms_client_new(config, &client)) &&
      filled(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &out), &out)) {
    drop(&out);
  }
  tckms_client_free(client);
}

static int give_credentials(void *userdata, tckms_credentials *out) {
  (void)userdata;
  if (!succeeded(tckms_credentials_set(out, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0))) {
    succeeded(tckms_callback_set_error_text("no memory"));
    return 1;
  }
  return 0;
}

enum source { CALLBACK, PROFILE, TCCLI, OIDC, CVM_ROLE, ASSUME_ROLE };

static tckms_status set_source(tckms_config *config, enum source source) {
  tckms_role_options role = TCKMS_ROLE_OPTIONS_INIT;
  role.role_arn = ROLE_ARN;
  switch (source) {
    case CALLBACK:
      return tckms_config_set_credentials_callback(config, give_credentials, NULL, NULL);
    case PROFILE:
      return tckms_config_set_profile_credentials(config, profile_file, NULL);
    case TCCLI:
      return tckms_config_set_tccli_credentials(config, tccli_file);
    case OIDC:
      return tckms_config_set_oidc_credentials(config, "provider", token_file, ROLE_ARN, "pod", 900);
    case CVM_ROLE:
      return tckms_config_set_cvm_role_credentials(config, NULL);
    default:
      return tckms_config_set_assume_role_credentials(config, &role, sizeof role);
  }
}

/* A call with a source of credentials. */
static void call_with(enum source source) {
  tckms_config *config = new_config();
  if (config != NULL && succeeded(set_source(config, source))) {
    use(config);
  }
  tckms_config_free(config);
}

static void use_local_credentials(void) {
  call_with(CALLBACK);
  call_with(PROFILE);
  call_with(TCCLI);
}

/* Each source that sends requests is a separate group: the library retries these requests, and most of the time is back-off. */
static void use_oidc(void) {
  call_with(OIDC);
}

static void use_cvm_role(void) {
  call_with(CVM_ROLE);
}

static void assume_role(void) {
  call_with(ASSUME_ROLE);
}

static void call_the_service(void) {
  tckms_client *client = new_client(), *derived = NULL, *from_env = NULL;
  tckms_config *config = tckms_config_new();
  tckms_buffer blob = TCKMS_BUFFER_INIT, out = TCKMS_BUFFER_INIT, other = TCKMS_BUFFER_INIT;
  tckms_stats stats;
  unsigned char random[16];
  if (client != NULL && config != NULL) {
    if (filled(tckms_encrypt(client, MAIN_KEY, "x", 1, CONTEXT, &blob), &blob)) {
      if (filled(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, CONTEXT, &out), &out)) {
        CHECK(tckms_equal(out.data, "x", 1));
        tckms_wipe(out.data, out.len);
      }
      drop(&out);
      filled(tckms_reencrypt(client, OTHER_KEY, blob.data, blob.len, CONTEXT, NULL, &out), &out);
      drop(&out);
    }
    CHECK(!succeeded(tckms_decrypt(client, MAIN_KEY, "junk", 4, NULL, &out)));
    succeeded(tckms_generate_data_key(client, MAIN_KEY, 32, NULL, &out, &other));
    succeeded(tckms_generate_random(client, random, sizeof random));
    drop(&out);
    drop(&other);
    filled(tckms_call(client, "ListKeys", "{}", &out), &out);
    drop(&out);
    tckms_error_free(tckms_last_error_take());
    if (succeeded(tckms_config_set_max_attempts(config, 1)) &&
        succeeded(tckms_client_derive(client, config, &derived))) {
      succeeded(tckms_generate_random(derived, random, sizeof random));
      succeeded(tckms_client_stats(derived, &stats, sizeof stats));
    }
    tckms_client_free(derived);
    if (succeeded(tckms_client_derive_timeout_ms(client, 1000, &derived))) {
      CHECK_OK(tckms_client_cancel(derived));
      CHECK(!succeeded(tckms_generate_random(derived, random, sizeof random)));
    }
    tckms_client_free(derived);
    succeeded(tckms_client_new_from_env(&from_env));
    tckms_client_free(from_env);
  }
  drop(&blob);
  tckms_config_free(config);
  tckms_client_free(client);
}

static void verify(const tckms_client *client, const char *key, const void *message, size_t len,
                   const tckms_buffer *signature) {
  if (!succeeded(tckms_verify(client, key, TCKMS_SIGN_DEFAULT, message, len, signature->data, signature->len))) {
    CHECK(tckms_error_status(tckms_last_error()) != TCKMS_ERR_SIGNATURE_INVALID);
  }
}

static void sign(void) {
  tckms_client *client = new_client();
  tckms_signer *signer = NULL;
  tckms_buffer signature = TCKMS_BUFFER_INIT, out = TCKMS_BUFFER_INIT, other = TCKMS_BUFFER_INIT;
  if (client != NULL) {
    filled(tckms_public_key(client, ecc_key, &out), &out);
    drop(&out);
    filled(tckms_public_key_pem(client, ecc_key, &out), &out);
    drop(&out);
    if (filled(tckms_sign(client, ecc_key, TCKMS_SIGN_DEFAULT, "text", 4, &signature), &signature)) {
      verify(client, ecc_key, "text", 4, &signature);
      if (filled(tckms_signature_to_raw(signature.data, signature.len, 64, &out), &out)) {
        filled(tckms_signature_from_raw(out.data, out.len, &other), &other);
        drop(&other);
      }
      drop(&out);
    }
    drop(&signature);
    if (filled(tckms_sm2_digest(client, sm2_key, NULL, 0, "text", 4, &out), &out) &&
        filled(tckms_sign_digest(client, sm2_key, TCKMS_SIGN_SM2_SM3, out.data, out.len, &signature), &signature)) {
      succeeded(tckms_verify_digest(client, sm2_key, TCKMS_SIGN_SM2_SM3, out.data, out.len, signature.data, signature.len));
    }
    drop(&signature);
    drop(&out);
    if (succeeded(tckms_signer_new(client, ecc_key, TCKMS_SIGN_DEFAULT, NULL, 0, &signer))) {
      succeeded(tckms_signer_update(signer, "text", 4));
      if (filled(tckms_signer_finish(signer, &signature), &signature)) {
        verify(client, ecc_key, "text", 4, &signature);
      }
      drop(&signature);
    }
    tckms_signer_free(signer);
    if (filled(tckms_rsa_encrypt(client, rsa_key, TCKMS_RSA_OAEP_SHA256, "x", 1, &out), &out)) {
      filled(tckms_rsa_decrypt(client, rsa_key, TCKMS_RSA_OAEP_SHA256, out.data, out.len, &other), &other);
      drop(&other);
    }
    drop(&out);
    CHECK(!succeeded(tckms_sm2_decrypt(client, sm2_decryption_key, "no ciphertext", 13, &out)));
  }
  tckms_client_free(client);
}

static int read_key(void *userdata, const tckms_key_info *key) {
  (void)userdata;
  CHECK(tckms_key_info_key_id(key)[0] != '\0' && tckms_key_info_state(key) != NULL);
  return 0;
}

static void read_info(tckms_key_info *key) {
  CHECK(tckms_key_info_alias(key) != NULL && tckms_key_info_description(key) != NULL);
  CHECK(tckms_key_info_usage(key) != NULL && tckms_key_info_origin(key) != NULL);
  CHECK(tckms_key_info_rotation_days(key) >= 0 && tckms_key_info_created_at_seconds(key) > 0);
  CHECK(tckms_key_info_rotated_at_seconds(key) >= 0 && tckms_key_info_rotates_at_seconds(key) >= 0);
  CHECK(tckms_key_info_deleted_at_seconds(key) >= 0 && tckms_key_info_material_expires_at_seconds(key) >= 0);
  tckms_key_info_free(key);
}

static void manage_keys(void) {
  static const tckms_tag tag = {"team", "billing"};
  tckms_client *client = new_client();
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  tckms_key_info *key = NULL;
  tckms_buffer key_id = TCKMS_BUFFER_INIT, tag_failure = TCKMS_BUFFER_INIT;
  char alias[32];
  int64_t deleted_at = 0;
  if (client != NULL) {
    snprintf(alias, sizeof alias, "torture-%d", next_alias++);
    options.alias = alias;
    options.tags = &tag;
    options.tag_count = 1;
    succeeded(tckms_create_key(client, &options, sizeof options, &key_id, &tag_failure));
    drop(&key_id);
    drop(&tag_failure);
    if (succeeded(tckms_describe_key(client, switched_key, &key))) {
      read_info(key);
    }
    filter.search = "described";
    succeeded(tckms_list_keys(client, &filter, sizeof filter, read_key, NULL));
    succeeded(tckms_set_key_rotation(client, switched_key, 30));
    succeeded(tckms_rotate_key(client, switched_key));
    succeeded(tckms_import_key_material(client, external_key, "0123456789abcdef0123456789abcdef", 32, 0));
    succeeded(tckms_disable_key(client, switched_key));
    succeeded(tckms_schedule_key_deletion(client, switched_key, 7, &deleted_at));
    succeeded(tckms_cancel_key_deletion(client, switched_key));
    succeeded(tckms_enable_key(client, switched_key));
  }
  tckms_client_free(client);
}

static void stream(const tckms_keyring *keyring, int opens, const void *in, size_t len) {
  static unsigned char buffer[8192];
  tckms_stream *stream = NULL;
  size_t consumed, produced, size = 0, total = 0;
  uint64_t message_size = 0;
  int done = 0;
  tckms_status status = opens ? tckms_stream_new_open(keyring, CONTEXT, &stream)
                              : tckms_stream_new_seal(keyring, CONTEXT, &stream);
  if (!succeeded(status)) {
    CHECK(stream == NULL);
    return;
  }
  if (opens) {
    succeeded(tckms_stream_set_signed_allowed(stream, 1));
  } else {
    succeeded(tckms_stream_set_plaintext_bound(stream, len));
    succeeded(tckms_stream_set_plaintext_size(stream, len));
    succeeded(tckms_stream_message_size(stream, &message_size));
  }
  succeeded(tckms_stream_output_size(stream, len, &size));
  while (total < len && succeeded(tckms_stream_update(stream, (const char *)in + total, len - total, &consumed, buffer,
                                                      sizeof buffer, &produced))) {
    total += consumed;
  }
  while (total == len && !done && succeeded(tckms_stream_finish(stream, buffer, sizeof buffer, &produced, &done))) {
  }
  tckms_stream_free(stream);
}

static int set_xored(const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  uint8_t blob[64];
  size_t i;
  CHECK(len <= sizeof blob);
  for (i = 0; i < len; i++) {
    blob[i] = data_key[i] ^ 0x5a;
  }
  return succeeded(tckms_wrapped_key_set(out, "info", 4, blob, len)) ? 0 : 1;
}

static int generate(void *userdata, const char *context, uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)userdata;
  (void)context;
  memset(data_key, 7, len);
  return set_xored(data_key, len, out);
}

static int wrap(void *userdata, const char *context, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)userdata;
  (void)context;
  return set_xored(data_key, len, out);
}

static int unwrap(void *userdata, const tckms_wrapped_key *wrapped, const char *context, uint8_t *data_key, size_t len) {
  size_t i, blob_len = 0, info_len = 0;
  const uint8_t *blob = tckms_wrapped_key_blob(wrapped, &blob_len);
  (void)userdata;
  (void)context;
  CHECK(tckms_wrapped_key_provider_id(wrapped)[0] != '\0' && tckms_wrapped_key_info(wrapped, &info_len) != NULL);
  CHECK(blob_len == len);
  for (i = 0; i < len; i++) {
    data_key[i] = blob[i] ^ 0x5a;
  }
  return 0;
}

/* A keyring with a key of each kind, the CMK first. NULL after a failure. */
static tckms_keyring *new_keyring(const tckms_client *client) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key custom = TCKMS_CUSTOM_KEY_INIT;
  tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  int good;
  custom.provider_id = "torture";
  custom.generate = generate;
  custom.wrap = wrap;
  custom.unwrap = unwrap;
  good = keyring != NULL && succeeded(tckms_keyring_add_kms(keyring, client, MAIN_KEY)) &&
         succeeded(tckms_keyring_add_rsa_public_pem(keyring, "escrow", "one", public_pem, strlen(public_pem))) &&
         succeeded(tckms_keyring_add_rsa_private_pem(keyring, "escrow", "one", private_pem, strlen(private_pem))) &&
         succeeded(tckms_keyring_add_custom(keyring, &custom, sizeof custom)) &&
         succeeded(tckms_keyring_set_frame_len(keyring, 1024)) &&
         succeeded(tckms_keyring_set_commitment_policy(keyring, TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN)) &&
         succeeded(tckms_keyring_set_max_wrapped_keys(keyring, 8)) &&
         succeeded(tckms_keyring_set_max_rsa_operations(keyring, 2)) &&
         succeeded(tckms_keyring_set_total_timeout_ms(keyring, 2000)) &&
         succeeded(tckms_keyring_set_max_header_len(keyring, 100000)) &&
         succeeded(tckms_keyring_set_max_frame_len(keyring, 100000)) &&
         succeeded(tckms_keyring_set_max_unframed_len(keyring, 100000)) &&
         succeeded(tckms_keyring_set_reproduced_context(keyring, NULL)) &&
         succeeded(tckms_keyring_set_cache(keyring, &limits, sizeof limits));
  if (!good) {
    tckms_keyring_free(keyring);
    return NULL;
  }
  return keyring;
}

static void read_message(const tckms_buffer *message) {
  tckms_message_info *info = NULL;
  tckms_buffer out = TCKMS_BUFFER_INIT;
  size_t len = 0;
  if (succeeded(tckms_message_info_new(message->data, message->len, &info))) {
    CHECK_INT(tckms_message_info_version(info), 2);
    CHECK(tckms_message_info_suite(info) > 0 && tckms_message_info_committing(info));
    CHECK(tckms_message_info_frame_len(info) == 1024 && tckms_message_info_header_len(info) > 0);
    CHECK(tckms_message_info_message_id(info, &len) != NULL && len == 32);
    CHECK(tckms_message_info_context_count(info) >= 1);
    CHECK(tckms_message_info_context_key(info, 0) != NULL && tckms_message_info_context_value(info, 0) != NULL);
    CHECK(tckms_message_info_wrapped_key_count(info) == 3 && tckms_message_info_wrapped_key(info, 0) != NULL);
    CHECK(tckms_message_info_signed(info) >= 0);
    filled(tckms_message_info_json(info, &out), &out);
    drop(&out);
  } else {
    CHECK(info == NULL);
  }
  tckms_message_info_free(info);
}

static int go_on(void *userdata, uint64_t done, uint64_t total) {
  (void)userdata;
  (void)done;
  (void)total;
  return 0;
}

/* Between memory files, on two threads of the library. */
static void seal_and_open_descriptors(const tckms_keyring *keyring, int in, int message, int out) {
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  options.threads = 2;
  options.progress = go_on;
  CHECK_INT(lseek(in, 0, SEEK_SET), 0);
  CHECK_INT(ftruncate(message, 0), 0);
  CHECK_INT(lseek(message, 0, SEEK_SET), 0);
  if (succeeded(tckms_seal_fd(keyring, in, message, CONTEXT, &options, sizeof options))) {
    CHECK_INT(lseek(message, 0, SEEK_SET), 0);
    succeeded(tckms_open_fd(keyring, message, out, CONTEXT, &options, sizeof options));
  }
}

static void seal_and_open(void) {
  static unsigned char plaintext[5000];
  static int in = -1, message_fd = -1, out_fd = -1;
  tckms_client *client = new_client();
  tckms_keyring *keyring = client != NULL ? new_keyring(client) : NULL;
  tckms_context_pair pair = {"a", "1"};
  tckms_buffer message = TCKMS_BUFFER_INIT, out = TCKMS_BUFFER_INIT;
  if (in < 0) {
    in = memfd_create("in", 0);
    message_fd = memfd_create("message", 0);
    out_fd = open("/dev/null", O_WRONLY);
    CHECK_INT(write(in, plaintext, sizeof plaintext), sizeof plaintext);
  }
  if (keyring != NULL) {
    succeeded(tckms_keyring_set_signing(keyring, 1));
    if (filled(tckms_seal(keyring, plaintext, sizeof plaintext, CONTEXT, &message), &message)) {
      if (filled(tckms_open(keyring, message.data, message.len, CONTEXT, &out), &out)) {
        CHECK_BYTES(out, plaintext, sizeof plaintext);
      }
      drop(&out);
      read_message(&message);
    }
    drop(&message);
    succeeded(tckms_keyring_set_signing(keyring, 0));
    if (filled(tckms_seal(keyring, plaintext, sizeof plaintext, CONTEXT, &message), &message)) {
      stream(keyring, 1, message.data, message.len);
    }
    stream(keyring, 0, plaintext, sizeof plaintext);
    seal_and_open_descriptors(keyring, in, message_fd, out_fd);
    filled(tckms_context_json(&pair, 1, &out), &out);
    drop(&out);
  }
  drop(&message);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

/* Waits for the one outstanding call. It has a completion even if an allocation failed. */
static tckms_completion *take(const tckms_queue *queue) {
  tckms_completion *completion = NULL;
  int waits = 0;
  while (tckms_queue_next(queue, &completion) == TCKMS_ERR_AGAIN) {
    CHECK(completion == NULL && waits++ < 200);
    CHECK(tckms_queue_wait(queue, 50) != TCKMS_ERR_NULL_POINTER);
  }
  CHECK(completion != NULL);
  return completion;
}

/* Takes the completion of a submitted call. It has outputs or an error. */
static tckms_completion *done(const tckms_queue *queue, tckms_status submitted, const uint64_t *id) {
  tckms_completion *completion;
  tckms_error *error;
  if (!succeeded(submitted)) {
    CHECK_INT(tckms_queue_outstanding(queue), 0);
    return NULL;
  }
  CHECK_INT(tckms_queue_outstanding(queue), 1);
  completion = take(queue);
  CHECK_INT(tckms_completion_id(completion), *id);
  CHECK(tckms_completion_userdata(completion) == &next_alias);
  CHECK(tckms_completion_request_id(completion) != NULL && tckms_completion_key_id(completion) != NULL);
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  if (tckms_completion_status(completion) != TCKMS_OK) {
    CHECK_INT(tckms_error_status(tckms_completion_error(completion)), tckms_completion_status(completion));
    CHECK_EMPTY(*tckms_completion_output(completion));
    CHECK_EMPTY(*tckms_completion_ciphertext(completion));
    error = tckms_completion_take_error(completion);
    CHECK_INT(tckms_error_status(error), tckms_completion_status(completion));
    tckms_error_free(error);
  }
  return completion;
}

/* Takes the output. Taking existing data needs no memory. */
static tckms_buffer output_of(tckms_completion *completion) {
  tckms_buffer out = TCKMS_BUFFER_INIT, other = TCKMS_BUFFER_INIT;
  if (completion != NULL) {
    CHECK_INT(tckms_completion_take_output(completion, &out), tckms_completion_status(completion));
    CHECK((out.len > 0) == (tckms_completion_status(completion) == TCKMS_OK));
    CHECK(tckms_completion_take_ciphertext(completion, &other) != TCKMS_ERR_NULL_POINTER);
  }
  drop(&other);
  tckms_completion_free(completion);
  return out;
}

/* Makes a call through a queue and returns its output. */
#define QUEUED(call) output_of(done(queue, call, &id))

#define QUEUED_LAST 2000, &next_alias, &id

static void call_the_service_by(const tckms_queue *queue, const tckms_client *client) {
  static const unsigned char digest[32] = {1};
  uint64_t id = 0;
  tckms_buffer blob = QUEUED(tckms_submit_encrypt(queue, client, MAIN_KEY, "x", 1, CONTEXT, QUEUED_LAST)), out;
  if (blob.len > 0) {
    out = QUEUED(tckms_submit_decrypt(queue, client, MAIN_KEY, blob.data, blob.len, CONTEXT, QUEUED_LAST));
    CHECK(out.len == 0 || tckms_equal(out.data, "x", 1));
    drop(&out);
    out = QUEUED(tckms_submit_reencrypt(queue, client, OTHER_KEY, blob.data, blob.len, CONTEXT, NULL, QUEUED_LAST));
    drop(&out);
  }
  drop(&blob);
  out = QUEUED(tckms_submit_generate_data_key(queue, client, MAIN_KEY, 32, NULL, QUEUED_LAST));
  drop(&out);
  out = QUEUED(tckms_submit_generate_random(queue, client, 16, QUEUED_LAST));
  drop(&out);
  out = QUEUED(tckms_submit_call(queue, client, "ListKeys", "{}", QUEUED_LAST));
  drop(&out);
  out = QUEUED(tckms_submit_public_key(queue, client, ecc_key, QUEUED_LAST));
  drop(&out);
  out = QUEUED(tckms_submit_sign_digest(queue, client, ecc_key, TCKMS_SIGN_DEFAULT, digest, sizeof digest, QUEUED_LAST));
  drop(&out);
  if (filled(tckms_rsa_encrypt(client, rsa_key, TCKMS_RSA_OAEP_SHA256, "x", 1, &blob), &blob)) {
    out = QUEUED(tckms_submit_rsa_decrypt(queue, client, rsa_key, TCKMS_RSA_OAEP_SHA256, blob.data, blob.len, QUEUED_LAST));
    drop(&out);
  }
  drop(&blob);
  /* A canceled call has a completion too. */
  if (succeeded(tckms_submit_generate_random(queue, client, 16, QUEUED_LAST))) {
    tckms_status status = tckms_cancel(queue, id);
    CHECK(succeeded(status) || tckms_error_status(tckms_last_error()) != TCKMS_ERR_NULL_POINTER);
    tckms_completion_free(take(queue));
  }
  if (succeeded(tckms_submit_generate_random(queue, client, 16, QUEUED_LAST))) {
    CHECK_OK(tckms_queue_cancel_all(queue));
    tckms_completion_free(take(queue));
  }
}

/* Submits the key requests of a stream to a queue, and takes back the stream, which every completion returns. */
static void begin_by(const tckms_queue *queue, const tckms_keyring *keyring, const tckms_buffer *message) {
  tckms_stream *stream = NULL;
  tckms_completion *completion;
  uint64_t id = 0;
  tckms_status status = message != NULL ? tckms_stream_new_open(keyring, CONTEXT, &stream)
                                        : tckms_stream_new_seal(keyring, CONTEXT, &stream);
  if (!succeeded(status)) {
    return;
  }
  if (message != NULL) {
    status = tckms_submit_open_begin(queue, &stream, message->data, message->len, QUEUED_LAST);
  } else {
    status = tckms_submit_seal_begin(queue, &stream, QUEUED_LAST);
  }
  completion = done(queue, status, &id);
  CHECK((stream == NULL) == (completion != NULL));
  tckms_stream_free(stream);
  if (completion != NULL && tckms_completion_status(completion) == TCKMS_OK) {
    CHECK(message == NULL || tckms_completion_consumed(completion) > 0);
    CHECK_OK(tckms_completion_take_stream(completion, &stream));
    CHECK(stream != NULL);
    tckms_stream_free(stream);
  }
  tckms_completion_free(completion);
}

static void submit(void) {
  static const tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
  tckms_client *client = new_client();
  tckms_keyring *keyring = client != NULL ? new_keyring(client) : NULL;
  tckms_queue *queue = NULL;
  tckms_completion *none;
  tckms_buffer message, out;
  uint64_t id = 0;
  int fd = -1;
  if (client != NULL && succeeded(tckms_queue_new(&options, sizeof options, &queue))) {
    CHECK(succeeded(tckms_queue_fd(queue, &fd)) == (fd >= 0));
    CHECK(!succeeded(tckms_queue_next(queue, &none)) && none == NULL);
    call_the_service_by(queue, client);
    if (keyring != NULL) {
      message = QUEUED(tckms_submit_seal(queue, keyring, "secret", 6, CONTEXT, QUEUED_LAST));
      begin_by(queue, keyring, NULL);
      if (message.len > 0) {
        out = QUEUED(tckms_submit_open(queue, keyring, message.data, message.len, CONTEXT, QUEUED_LAST));
        CHECK(out.len == 0 || tckms_equal(out.data, "secret", 6));
        drop(&out);
        begin_by(queue, keyring, &message);
      }
      drop(&message);
    }
  } else {
    CHECK(queue == NULL);
  }
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

/* A store with one record. */
static char stored_record[4096];

static int load_record(void *userdata, const char *key, tckms_branch_records *out) {
  (void)userdata;
  CHECK(key[0] != '\0');
  return stored_record[0] == '\0' || succeeded(tckms_branch_records_add(out, stored_record, strlen(stored_record))) ? 0 : 1;
}

static int put_record(void *userdata, const char *key, int64_t slot, const char *record) {
  (void)userdata;
  CHECK(key[0] != '\0' && slot > 0 && strlen(record) < sizeof stored_record);
  strcpy(stored_record, record);
  return 0;
}

static int name_branch(void *userdata, const char *context, char *branch_id, size_t size) {
  (void)userdata;
  if (!succeeded(tckms_context_value(context, "a", branch_id, size))) {
    succeeded(tckms_callback_set_error_text("no memory"));
    return TCKMS_ERR_BRANCH_SUPPLIER_FAILED;
  }
  return 0;
}

static void seal_and_open_with_branches(const tckms_client *client, const tckms_branch_options *options) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_stats stats;
  tckms_message_info *info = NULL;
  tckms_buffer message, out;
  if (keyring != NULL && succeeded(tckms_keyring_set_total_timeout_ms(keyring, 2000)) &&
      succeeded(tckms_keyring_add_branch(keyring, client, MAIN_KEY, options, sizeof *options)) &&
      (options->branch_id != NULL || succeeded(tckms_keyring_set_branch_supplier(keyring, name_branch, NULL, NULL)))) {
    if (filled(tckms_seal(keyring, "secret", 6, CONTEXT, &message), &message)) {
      if (filled(tckms_open(keyring, message.data, message.len, CONTEXT, &out), &out)) {
        CHECK_BYTES(out, "secret", 6);
      }
      drop(&out);
      if (succeeded(tckms_message_info_new(message.data, message.len, &info))) {
        const tckms_wrapped_key *wrapped = tckms_message_info_wrapped_key(info, 0);
        CHECK_TEXT(tckms_wrapped_key_branch_id(wrapped), "1");
        CHECK_INT(strlen(tckms_wrapped_key_branch_version(wrapped)), 36);
      }
      tckms_message_info_free(info);
    }
    drop(&message);
    CHECK_OK(tckms_keyring_branch_stats(keyring, &stats, sizeof stats));
  }
  tckms_keyring_free(keyring);
}

/* Branch keys from each source of records. */
static void use_branches(void) {
  tckms_client *client = new_client();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_buffer record = TCKMS_BUFFER_INIT;
  if (client != NULL) {
    options.branch_id = "1";
    seal_and_open_with_branches(client, &options);
    options.branch_id = NULL;
    seal_and_open_with_branches(client, &options);
    if (filled(tckms_branch_record_new(client, MAIN_KEY, "1", &record), &record)) {
      succeeded(tckms_branch_record_check(client, (const char *)record.data));
      options.records = (const char *)record.data;
      options.by_reference = 1;
      seal_and_open_with_branches(client, &options);
      options.records = NULL;
    }
    options.file = record_file;
    seal_and_open_with_branches(client, &options);
    options.file = NULL;
    stored_record[0] = '\0';
    options.load = load_record;
    options.put_if_absent = put_record;
    options.store_timeout_ms = 1000;
    options.branch_id = "1";
    seal_and_open_with_branches(client, &options);
  }
  drop(&record);
  tckms_client_free(client);
}

/* Sizes that depend on input: their allocation fails, because the reserve is only for small blocks. */
static void read_large_header(void) {
  static unsigned char header[400000];
  tckms_buffer out = TCKMS_BUFFER_INIT;
  tckms_message_info *info = NULL;
  int part;
  size_t at = 39, pairs = 0;
  memcpy(header, "\2\4\x78", 3);
  for (; at + 7 < 65000; pairs++, at += 7) {
    header[at + 1] = 3;
    header[at + 2] = (unsigned char)('A' + pairs % 26);
    header[at + 3] = (unsigned char)('A' + pairs / 26 % 26);
    header[at + 4] = (unsigned char)('A' + pairs / 676);
  }
  header[35] = (unsigned char)((at - 37) >> 8);
  header[36] = (unsigned char)(at - 37);
  header[37] = (unsigned char)(pairs >> 8);
  header[38] = (unsigned char)pairs;
  /* Eight wrapped keys of the longest kind, then the end of the header. */
  header[at + 1] = 8;
  at += 2;
  for (part = 0; part < 5; part++) {
    header[at] = header[at + 1] = 0xff;
    memset(header + at + 2, 'p', 0xffff);
    at += 2 + 0xffff;
  }
  if (succeeded(tckms_message_info_new(header, sizeof header, &info))) {
    succeeded(tckms_message_info_json(info, &out));
  }
  tckms_buffer_free(&out);
  tckms_message_info_free(info);
}

/* Functions that cannot fail. */
static void ask_for_constants(void) {
  tckms_buffer out = TCKMS_BUFFER_INIT;
  CHECK(tckms_plaintext_max() > 0 && tckms_encryption_context_max() > 0 && tckms_random_max() > 0);
  CHECK(tckms_key_id_max() > 0 && tckms_ciphertext_blob_max() > 0 && tckms_threads_max() > 0);
  CHECK(tckms_version()[0] != '\0' && tckms_version_number() > 0);
  /* An error, which is allocated. */
  CHECK(!succeeded(tckms_encrypt(NULL, MAIN_KEY, "x", 1, NULL, &out)));
  tckms_error_free(tckms_last_error_take());
}

static void torture(void (*calls)(void), long stride) {
  long n, allocations;
  calls();
  begin_to_fail(LONG_MAX, LONG_MAX);
  calls();
  allocations = stop_failing();
  CHECK(allocations > 3);
  stride = stride > 0 ? stride : allocations / 50 + 1;
  for (n = 1; n <= allocations; n += n < 30 ? 1 : stride) {
    begin_to_fail(n, n);
    calls();
    begin_to_fail(n, LONG_MAX);
    calls();
    stop_failing();
  }
  /* Afterwards everything works. */
  begin_to_fail(LONG_MAX, LONG_MAX);
  calls();
}

static void make_key(const tckms_client *client, const char *alias, const char *usage, int external, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  options.external = external;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  CHECK(id.len < 64);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static void read_file(const char *variable, char *text, size_t size) {
  FILE *file = fopen(given(variable), "r");
  size_t len;
  CHECK(file != NULL);
  len = fread(text, 1, size - 1, file);
  CHECK(len > 0 && feof(file));
  text[len] = '\0';
  fclose(file);
}

static void write_file(const char *name, char path[512], const char *text) {
  FILE *file;
  snprintf(path, 512, "%s/%s", given("TEST_FOLDER"), name);
  file = fopen(path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
  CHECK_INT(chmod(path, 0600), 0);
}

static void prepare(void) {
  char text[1024];
  tckms_client *client = emulator_client();
  tckms_buffer record;
  make_key(client, "torture-ecc", TCKMS_KEY_USAGE_SIGN_ECC, 0, ecc_key);
  make_key(client, "torture-sm2", TCKMS_KEY_USAGE_SIGN_SM2, 0, sm2_key);
  make_key(client, "torture-rsa", TCKMS_KEY_USAGE_DECRYPT_RSA_2048, 0, rsa_key);
  make_key(client, "torture-sm2-decrypt", TCKMS_KEY_USAGE_DECRYPT_SM2, 0, sm2_decryption_key);
  make_key(client, "described", NULL, 0, switched_key);
  make_key(client, "torture-external", NULL, 1, external_key);
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "1", &record));
  write_file("records", record_file, (const char *)record.data);
  tckms_buffer_free(&record);
  tckms_client_free(client);
  read_file("TEST_PRIVATE_PEM", private_pem, sizeof private_pem);
  read_file("TEST_PUBLIC_PEM", public_pem, sizeof public_pem);
  snprintf(text, sizeof text, "[default]\nsecret_id = %s\nsecret_key = %s\n", GIVEN_SECRET_ID, GIVEN_SECRET_KEY);
  write_file("profile", profile_file, text);
  snprintf(text, sizeof text, "{\"secretId\":\"%s\",\"secretKey\":\"%s\"}", GIVEN_SECRET_ID, GIVEN_SECRET_KEY);
  write_file("tccli", tccli_file, text);
  write_file("token", token_file, "header.payload.signature");
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*calls)(void);
  } groups[] = {
      {"constants", ask_for_constants}, {"config", configure},      {"credentials", use_local_credentials},
      {"oidc", use_oidc},               {"cvm-role", use_cvm_role}, {"assume-role", assume_role},
      {"core", call_the_service},       {"sign", sign},             {"keys", manage_keys},
      {"seal", seal_and_open},          {"queue", submit},          {"branches", use_branches},
      {"header", read_large_header},
  };
  size_t i, run = 0;
  CHECK(argc > 1);
  dl_iterate_phdr(find_library, NULL);
  CHECK(library_begin != 0);
  stop_failing();
  prepare();
  for (i = 0; i < sizeof groups / sizeof *groups; i++) {
    if (strcmp(argv[1], groups[i].name) == 0) {
      torture(groups[i].calls, argc > 2 ? atol(argv[2]) : 0);
      run++;
    }
  }
  CHECK(run == 1);
  return checks_passed();
}
