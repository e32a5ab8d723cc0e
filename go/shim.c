#include "shim.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static const tckms_go_outcome nothing = {TCKMS_BUFFER_INIT, TCKMS_BUFFER_INIT, NULL, TCKMS_OK};

/* To be called by the function that made the call, on the same thread. */
static void finish(tckms_go_outcome *outcome, tckms_status status) {
  outcome->status = (int)status;
  if (status != TCKMS_OK) {
    outcome->error = tckms_error_take();
  }
}

static tckms_go_outcome ended(tckms_status status) {
  tckms_go_outcome outcome = nothing;
  finish(&outcome, status);
  return outcome;
}

void tckms_go_free(tckms_go_outcome *outcome) {
  tckms_buffer_free(&outcome->first);
  tckms_buffer_free(&outcome->second);
  tckms_error_free(outcome->error);
  outcome->error = NULL;
}

/* A client to call with, and what to free when that is done. */
typedef struct {
  const tckms_client *client;
  tckms_client *derived;
} chosen;

static tckms_status choose(const tckms_client *client, int64_t timeout_ms, chosen *out) {
  tckms_config *config;
  tckms_status status;
  out->client = client;
  out->derived = NULL;
  if (timeout_ms == 0) {
    return TCKMS_OK;
  }
  config = tckms_config_new();
  status = tckms_config_set_total_timeout_ms(config, timeout_ms);
  if (status == TCKMS_OK) {
    status = tckms_client_derive(client, config, &out->derived);
    out->client = out->derived;
  }
  tckms_config_free(config);
  return status;
}

/* `call` is an expression with `with`, the client to use, and `outcome`. Freeing leaves the thread's error alone. */
#define CALL(call)                                              \
  do {                                                          \
    tckms_go_outcome outcome = nothing;                         \
    chosen chosen_client;                                       \
    tckms_status status = choose(client, timeout_ms, &chosen_client); \
    if (status == TCKMS_OK) {                                   \
      const tckms_client *with = chosen_client.client;          \
      status = (call);                                          \
    }                                                           \
    tckms_client_free(chosen_client.derived);                   \
    finish(&outcome, status);                                   \
    return outcome;                                             \
  } while (0)

tckms_go_outcome tckms_go_encrypt(const tckms_client *client, int64_t timeout_ms, const char *key_id, const void *buf,
                                  size_t len, const char *ctx_json) {
  CALL(tckms_encrypt(with, key_id, buf, len, ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_decrypt(const tckms_client *client, int64_t timeout_ms, const char *key_id, const void *blob,
                                  size_t len, const char *ctx_json) {
  CALL(tckms_decrypt(with, key_id, blob, len, ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_reencrypt(const tckms_client *client, int64_t timeout_ms, const char *key_id,
                                    const void *blob, size_t len, const char *source_ctx_json,
                                    const char *destination_ctx_json) {
  CALL(tckms_reencrypt(with, key_id, blob, len, source_ctx_json, destination_ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_generate_data_key(const tckms_client *client, int64_t timeout_ms, const char *key_id,
                                            size_t key_len, const char *ctx_json) {
  CALL(tckms_generate_data_key(with, key_id, key_len, ctx_json, &outcome.first, &outcome.second));
}

/* The library refuses a longer request before it writes, so there need be no room for one. */
static tckms_status random_into(const tckms_client *client, size_t len, tckms_buffer *out) {
  size_t room = len <= tckms_random_max() ? len : tckms_random_max();
  tckms_status status;
  /* One more, since malloc(0) may be NULL. */
  uint8_t *bytes = malloc(room + 1);
  status = tckms_generate_random(client, bytes, len);
  if (status != TCKMS_OK) {
    free(bytes);
    return status;
  }
  out->data = bytes;
  out->len = len;
  return status;
}

tckms_go_outcome tckms_go_generate_random(const tckms_client *client, int64_t timeout_ms, size_t len) {
  CALL(random_into(with, len, &outcome.first));
}

void tckms_go_random_free(tckms_go_outcome *outcome) {
  tckms_wipe(outcome->first.data, outcome->first.len);
  free(outcome->first.data);
  tckms_error_free(outcome->error);
  *outcome = nothing;
}

tckms_go_outcome tckms_go_call(const tckms_client *client, int64_t timeout_ms, const char *action,
                               const char *request_json) {
  CALL(tckms_call(with, action, request_json, &outcome.first));
}

tckms_go_outcome tckms_go_client_stats(const tckms_client *client, tckms_stats *out) {
  return ended(tckms_client_stats(client, out, sizeof *out));
}

tckms_go_outcome tckms_go_client_new(const tckms_config *config, tckms_client **out) {
  return ended(tckms_client_new(config, out));
}

tckms_go_outcome tckms_go_client_new_from_env(tckms_client **out) {
  return ended(tckms_client_new_from_env(out));
}

static tckms_status set_text(tckms_config *config, tckms_go_text_setter setter, const char *value) {
  switch (setter) {
    case TCKMS_GO_REGION:
      return tckms_config_set_region(config, value);
    case TCKMS_GO_ENDPOINT:
      return tckms_config_set_endpoint(config, value);
    case TCKMS_GO_CA_FILE:
      return tckms_config_set_ca_file(config, value);
    case TCKMS_GO_PROXY:
      return tckms_config_set_proxy(config, value);
    case TCKMS_GO_USER_AGENT_SUFFIX:
      return tckms_config_set_user_agent_suffix(config, value);
    case TCKMS_GO_LANGUAGE:
      return tckms_config_set_language(config, value);
    case TCKMS_GO_METADATA_ENDPOINT:
      return tckms_config_set_metadata_endpoint(config, value);
    case TCKMS_GO_STS_ENDPOINT:
      return tckms_config_set_sts_endpoint(config, value);
    case TCKMS_GO_TCCLI:
      return tckms_config_set_tccli_credentials(config, value);
    case TCKMS_GO_DEFAULT_TCCLI:
      return tckms_config_set_default_tccli_credentials(config, value);
    case TCKMS_GO_DEFAULT_PROFILE:
      return tckms_config_set_default_profile_credentials(config, value);
    case TCKMS_GO_CVM_ROLE:
      return tckms_config_set_cvm_role_credentials(config, value);
  }
  abort();
}

/* A number too large for int stays too large. */
static int as_int(int64_t value) {
  return value > INT_MAX ? INT_MAX : value < INT_MIN ? INT_MIN : (int)value;
}

static tckms_status set_number(tckms_config *config, tckms_go_number_setter setter, int64_t value) {
  switch (setter) {
    case TCKMS_GO_INTERNATIONAL:
      return tckms_config_set_international_endpoint(config);
    case TCKMS_GO_DEFAULT_CREDENTIALS:
      return tckms_config_set_default_credentials(config);
    case TCKMS_GO_ENV_CREDENTIALS:
      return tckms_config_set_env_credentials(config);
    case TCKMS_GO_TKE_CREDENTIALS:
      return tckms_config_set_tke_env_credentials(config);
    case TCKMS_GO_ANY_HOST:
      return tckms_config_set_plaintext_http_to_any_host_allowed(config, as_int(value));
    case TCKMS_GO_RETRY_UNSAFE:
      return tckms_config_set_retry_unsafe_actions(config, as_int(value));
    case TCKMS_GO_CONNECT_TIMEOUT:
      return tckms_config_set_connect_timeout_ms(config, value);
    case TCKMS_GO_TRY_TIMEOUT:
      return tckms_config_set_try_timeout_ms(config, value);
    case TCKMS_GO_TOTAL_TIMEOUT:
      return tckms_config_set_total_timeout_ms(config, value);
    case TCKMS_GO_MAX_ATTEMPTS:
      return tckms_config_set_max_attempts(config, as_int(value));
  }
  abort();
}

tckms_go_outcome tckms_go_set_text(tckms_config *config, tckms_go_text_setter setter, const char *value) {
  return ended(set_text(config, setter, value));
}

tckms_go_outcome tckms_go_set_number(tckms_config *config, tckms_go_number_setter setter, int64_t value) {
  return ended(set_number(config, setter, value));
}

tckms_go_outcome tckms_go_set_rate_limit(tckms_config *config, int per_second, int burst) {
  return ended(tckms_config_set_rate_limit(config, per_second, burst));
}

tckms_go_outcome tckms_go_set_ca_pem(tckms_config *config, const void *pem, size_t len) {
  return ended(tckms_config_set_ca_pem(config, pem, len));
}

tckms_go_outcome tckms_go_set_credentials(tckms_config *config, const char *secret_id, const char *secret_key,
                                          const char *token) {
  return ended(tckms_config_set_credentials(config, secret_id, secret_key, token));
}

tckms_go_outcome tckms_go_set_profile(tckms_config *config, const char *path, const char *profile) {
  return ended(tckms_config_set_profile_credentials(config, path, profile));
}

tckms_go_outcome tckms_go_set_oidc(tckms_config *config, const char *provider_id, const char *token_file,
                                   const char *role_arn, const char *session_name, int duration_seconds) {
  return ended(tckms_config_set_oidc_credentials(config, provider_id, token_file, role_arn, session_name,
                                                 duration_seconds));
}

tckms_go_outcome tckms_go_set_assume_role(tckms_config *config, const char *role_arn, const char *session_name,
                                          int duration_seconds, const char *external_id, const char *policy) {
  return ended(tckms_config_set_assume_role(config, role_arn, session_name, duration_seconds, external_id, policy));
}

tckms_go_outcome tckms_go_add_fallback(tckms_config *config, const tckms_config *other) {
  return ended(tckms_config_add_fallback_credentials(config, other));
}

/* A handle of Go is a number, and the userdata of C a pointer that nobody follows. */

static void hear(void *userdata, int level, const char *message) {
  tckmsGoLog((uintptr_t)userdata, level, (char *)message);
}

static int ask(void *userdata, tckms_credentials *out) {
  return tckmsGoCredentials((uintptr_t)userdata, out);
}

static void forget(void *userdata) {
  tckmsGoForget((uintptr_t)userdata);
}

tckms_go_outcome tckms_go_set_log(tckms_config *config, int level, uintptr_t handle) {
  return ended(tckms_config_set_log(config, level, hear, (void *)handle));
}

tckms_go_outcome tckms_go_set_credentials_callback(tckms_config *config, uintptr_t handle) {
  return ended(tckms_config_set_credentials_callback(config, ask, (void *)handle, forget));
}

int tckms_go_supply(tckms_credentials *out, const char *secret_id, const char *secret_key, const char *token,
                    int64_t expires_at) {
  return tckms_credentials_set(out, secret_id, secret_key, token, expires_at) == TCKMS_OK ? 0 : -1;
}
