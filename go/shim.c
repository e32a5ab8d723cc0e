#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static const tckms_go_outcome nothing = {TCKMS_BUFFER_INIT, TCKMS_BUFFER_INIT, NULL, TCKMS_OK, NULL, NULL, 0};

/* Go's handle of the call that this thread makes; callbacks report to it. 0 on threads of the library. */
static _Thread_local uintptr_t current_call;

/* Go's list of the log events of a completion that this thread takes. 0 for none. */
static _Thread_local uintptr_t current_events;

/* Call it in the function that made the call, on the same thread. */
static void finish(tckms_go_outcome *outcome, tckms_status status) {
  outcome->status = (int)status;
  if (status != TCKMS_OK) {
    outcome->error = tckms_last_error_take();
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
  free(outcome->request_id);
  free(outcome->key_id);
  outcome->error = NULL;
  outcome->request_id = NULL;
  outcome->key_id = NULL;
}

/* As above, and adds the ids of the last request if they are requested. Without memory for them they are empty. */
static void finish_with_ids(tckms_go_outcome *outcome, tckms_status status, tckms_go_how how) {
  if (how.ids) {
    outcome->request_id = strdup(tckms_last_request_id());
    outcome->key_id = strdup(tckms_last_key_id());
  }
  finish(outcome, status);
}

/* `expression` is a call with `outcome`. Callbacks may make calls, so the previous one is saved and restored. */
#define CALL(expression)                        \
  do {                                          \
    tckms_go_outcome outcome = nothing;         \
    uintptr_t before = current_call;            \
    tckms_status status;                        \
    current_call = how.call;                    \
    status = (expression);                      \
    current_call = before;                      \
    finish_with_ids(&outcome, status, how);     \
    return outcome;                             \
  } while (0)

/* As above, with `with`, the client to use. */
#define CLIENT_CALL(expression)                                         \
  const tckms_client *with = how.client != NULL ? how.client : client; \
  CALL(expression)

tckms_go_outcome tckms_go_encrypt(const tckms_client *client, tckms_go_how how, const char *key_id, const void *buf,
                                  size_t len, const char *ctx_json) {
  CLIENT_CALL(tckms_encrypt(with, key_id, buf, len, ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_decrypt(const tckms_client *client, tckms_go_how how, const char *key_id, const void *blob,
                                  size_t len, const char *ctx_json) {
  CLIENT_CALL(tckms_decrypt(with, key_id, blob, len, ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_reencrypt(const tckms_client *client, tckms_go_how how, const char *key_id,
                                    const void *blob, size_t len, const char *source_ctx_json,
                                    const char *destination_ctx_json) {
  CLIENT_CALL(tckms_reencrypt(with, key_id, blob, len, source_ctx_json, destination_ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_generate_data_key(const tckms_client *client, tckms_go_how how, const char *key_id,
                                            size_t key_len, const char *ctx_json) {
  CLIENT_CALL(tckms_generate_data_key(with, key_id, key_len, ctx_json, &outcome.first, &outcome.second));
}

/* The library refuses a longer request before it writes, so a longer buffer is not needed. */
static tckms_status random_into(const tckms_client *client, size_t len, tckms_buffer *out) {
  size_t size = len <= tckms_random_max() ? len : tckms_random_max();
  tckms_status status;
  /* One more, because malloc(0) may return NULL. */
  uint8_t *bytes = malloc(size + 1);
  status = tckms_generate_random(client, bytes, len);
  if (status != TCKMS_OK) {
    free(bytes);
    return status;
  }
  out->data = bytes;
  out->len = len;
  return status;
}

tckms_go_outcome tckms_go_generate_random(const tckms_client *client, tckms_go_how how, size_t len) {
  CLIENT_CALL(random_into(with, len, &outcome.first));
}

void tckms_go_random_free(tckms_go_outcome *outcome) {
  tckms_wipe(outcome->first.data, outcome->first.len);
  free(outcome->first.data);
  outcome->first = nothing.first;
  tckms_go_free(outcome);
}

tckms_go_outcome tckms_go_call(const tckms_client *client, tckms_go_how how, const char *action,
                               const char *request_json) {
  CLIENT_CALL(tckms_call(with, action, request_json, &outcome.first));
}

/* A number that is too large for int stays too large. */
static int as_int(int64_t value) {
  return value > INT_MAX ? INT_MAX : value < INT_MIN ? INT_MIN : (int)value;
}

tckms_go_outcome tckms_go_public_key(const tckms_client *client, tckms_go_how how, const char *key_id, int pem) {
  CLIENT_CALL((pem ? tckms_public_key_pem : tckms_public_key)(with, key_id, &outcome.first));
}

static tckms_status use_key(const tckms_client *client, tckms_go_key_use use, const char *key_id, int algorithm,
                            const void *bytes, size_t len, tckms_buffer *out) {
  switch (use) {
    case TCKMS_GO_SIGN:
      return tckms_sign(client, key_id, algorithm, bytes, len, out);
    case TCKMS_GO_SIGN_DIGEST:
      return tckms_sign_digest(client, key_id, algorithm, bytes, len, out);
    case TCKMS_GO_RSA_ENCRYPT:
      return tckms_rsa_encrypt(client, key_id, algorithm, bytes, len, out);
    case TCKMS_GO_RSA_DECRYPT:
      return tckms_rsa_decrypt(client, key_id, algorithm, bytes, len, out);
  }
  abort();
}

tckms_go_outcome tckms_go_use_key(const tckms_client *client, tckms_go_how how, tckms_go_key_use use,
                                  const char *key_id, int algorithm, const void *bytes, size_t len) {
  CLIENT_CALL(use_key(with, use, key_id, algorithm, bytes, len, &outcome.first));
}

tckms_go_outcome tckms_go_verify(const tckms_client *client, tckms_go_how how, int digest, const char *key_id,
                                 int algorithm, const void *bytes, size_t len, const void *signature,
                                 size_t signature_len) {
  CLIENT_CALL((digest ? tckms_verify_digest : tckms_verify)(with, key_id, algorithm, bytes, len, signature,
                                                            signature_len));
}

tckms_go_outcome tckms_go_sm2_digest(const tckms_client *client, tckms_go_how how, const char *key_id,
                                     const void *user_id, size_t user_id_len, const void *msg, size_t len) {
  CLIENT_CALL(tckms_sm2_digest(with, key_id, user_id, user_id_len, msg, len, &outcome.first));
}

tckms_go_outcome tckms_go_sm2_decrypt(const tckms_client *client, tckms_go_how how, const char *key_id,
                                      const void *ciphertext, size_t len) {
  CLIENT_CALL(tckms_sm2_decrypt(with, key_id, ciphertext, len, &outcome.first));
}

tckms_go_outcome tckms_go_signer_new(const tckms_client *client, tckms_go_how how, const char *key_id, int algorithm,
                                     const void *sm2_user_id, size_t sm2_user_id_len, tckms_signer **out) {
  CLIENT_CALL(tckms_signer_new(with, key_id, algorithm, sm2_user_id, sm2_user_id_len, out));
}

tckms_go_outcome tckms_go_signer_update(tckms_signer *signer, const uint8_t *buf, size_t len) {
  return ended(tckms_signer_update(signer, buf, len));
}

tckms_go_outcome tckms_go_signer_finish(tckms_go_how how, tckms_signer *signer) {
  CALL(tckms_signer_finish(signer, &outcome.first));
}

tckms_go_outcome tckms_go_signature_to_raw(tckms_go_how how, const void *signature, size_t len, size_t raw_len) {
  CALL(tckms_signature_to_raw(signature, len, raw_len, &outcome.first));
}

tckms_go_outcome tckms_go_signature_from_raw(tckms_go_how how, const void *raw, size_t len) {
  CALL(tckms_signature_from_raw(raw, len, &outcome.first));
}

static tckms_status create_key(const tckms_client *client, tckms_create_key_options *options, char **tags,
                               tckms_go_outcome *outcome) {
  tckms_status status;
  /* One more, because calloc(0) may return NULL. */
  tckms_tag *pairs = calloc(options->tag_count + 1, sizeof *pairs);
  size_t i;
  for (i = 0; pairs != NULL && i < options->tag_count; i++) {
    pairs[i].key = tags[2 * i];
    pairs[i].value = tags[2 * i + 1];
  }
  options->tags = pairs;
  status = tckms_create_key(client, options, sizeof *options, &outcome->first, &outcome->second);
  free(pairs);
  return status;
}

tckms_go_outcome tckms_go_create_key(const tckms_client *client, tckms_go_how how, const char *alias,
                                     const char *usage, const char *description, char **tags, size_t tag_count,
                                     int external) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  options.alias = alias;
  options.usage = usage;
  options.description = description;
  options.tag_count = tag_count;
  options.external = external != 0;
  CLIENT_CALL(create_key(with, &options, tags, &outcome));
}

static int list_key(void *userdata, const tckms_key_info *key) {
  tckmsGoKey((uintptr_t)userdata, (tckms_key_info *)key);
  return 0;
}

static tckms_status describe_key(const tckms_client *client, const char *key_id, uintptr_t handle) {
  tckms_key_info *key;
  tckms_status status = tckms_describe_key(client, key_id, &key);
  if (status == TCKMS_OK) {
    tckmsGoKey(handle, key);
  }
  tckms_key_info_free(key);
  return status;
}

tckms_go_outcome tckms_go_describe_key(const tckms_client *client, tckms_go_how how, const char *key_id,
                                       uintptr_t handle) {
  CLIENT_CALL(describe_key(with, key_id, handle));
}

tckms_go_outcome tckms_go_list_keys(const tckms_client *client, tckms_go_how how, const char *usage,
                                    const char *state, const char *search, uintptr_t handle) {
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  filter.usage = usage;
  filter.state = state;
  filter.search = search;
  CLIENT_CALL(tckms_list_keys(with, &filter, sizeof filter, list_key, (void *)handle));
}

static tckms_status change_key(const tckms_client *client, tckms_go_key_change change, const char *key_id) {
  switch (change) {
    case TCKMS_GO_ENABLE:
      return tckms_enable_key(client, key_id);
    case TCKMS_GO_DISABLE:
      return tckms_disable_key(client, key_id);
    case TCKMS_GO_CANCEL_DELETION:
      return tckms_cancel_key_deletion(client, key_id);
    case TCKMS_GO_ROTATE:
      return tckms_rotate_key(client, key_id);
  }
  abort();
}

tckms_go_outcome tckms_go_change_key(const tckms_client *client, tckms_go_how how, tckms_go_key_change change,
                                     const char *key_id) {
  CLIENT_CALL(change_key(with, change, key_id));
}

tckms_go_outcome tckms_go_schedule_key_deletion(const tckms_client *client, tckms_go_how how, const char *key_id,
                                                int64_t days, int64_t *deleted_at_seconds) {
  CLIENT_CALL(tckms_schedule_key_deletion(with, key_id, as_int(days), deleted_at_seconds));
}

tckms_go_outcome tckms_go_set_key_rotation(const tckms_client *client, tckms_go_how how, const char *key_id,
                                           int64_t days) {
  CLIENT_CALL(tckms_set_key_rotation(with, key_id, as_int(days)));
}

tckms_go_outcome tckms_go_import_key_material(const tckms_client *client, tckms_go_how how, const char *key_id,
                                              const void *material, size_t len, int64_t valid_to_seconds) {
  CLIENT_CALL(tckms_import_key_material(with, key_id, material, len, valid_to_seconds));
}

tckms_go_outcome tckms_go_queue_new(uint64_t depth, tckms_queue **out, int *fd) {
  tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
  tckms_queue *queue;
  tckms_status status;
  options.depth = depth;
  status = tckms_queue_new(&options, sizeof options, &queue);
  if (status == TCKMS_OK) {
    status = tckms_queue_fd(queue, fd);
  }
  if (status == TCKMS_OK) {
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    status = *fd < 0 ? TCKMS_ERR_TRANSPORT_UNAVAILABLE : TCKMS_OK;
  }
  if (status == TCKMS_OK) {
    *out = queue;
  } else {
    tckms_queue_free(queue);
  }
  return ended(status);
}

/* The userdata of a call. */
struct submitted {
  uintptr_t token;
  int ids;
};

int tckms_go_queue_take(const tckms_queue *queue, uintptr_t events, tckms_go_outcome *outcome, uintptr_t *token) {
  tckms_completion *done;
  struct submitted *submitted;
  tckms_status status;
  current_events = events;
  status = tckms_queue_next(queue, &done);
  current_events = 0;
  if (status != TCKMS_OK) {
    return 0;
  }
  submitted = tckms_completion_userdata(done);
  *outcome = nothing;
  *token = submitted->token;
  outcome->status = (int)tckms_completion_status(done);
  outcome->error = tckms_completion_take_error(done);
  if (outcome->status == TCKMS_OK) {
    /* Both succeed where the call did. */
    status = tckms_completion_take_output(done, &outcome->first);
    status = tckms_completion_take_ciphertext(done, &outcome->second);
  }
  if (submitted->ids) {
    outcome->request_id = strdup(tckms_completion_request_id(done));
    outcome->key_id = strdup(tckms_completion_key_id(done));
  }
  free(submitted);
  tckms_completion_free(done);
  return 1;
}

void tckms_go_queue_cancel(const tckms_queue *queue, uint64_t id) {
  /* It may be done already. */
  tckms_status status = tckms_cancel(queue, id);
  (void)status;
}

/* `expression` submits a call with `userdata` and `outcome.id`. */
#define SUBMIT(expression)                                        \
  do {                                                            \
    tckms_go_outcome outcome = nothing;                           \
    tckms_status status;                                          \
    struct submitted *userdata = malloc(sizeof *userdata);        \
    if (userdata == NULL) {                                       \
      outcome.status = TCKMS_ERR_OUT_OF_MEMORY;                   \
      return outcome;                                             \
    }                                                             \
    userdata->token = terms.token;                                \
    userdata->ids = terms.ids;                                    \
    status = (expression);                                        \
    if (status != TCKMS_OK) {                                     \
      free(userdata);                                             \
    }                                                             \
    finish(&outcome, status);                                     \
    return outcome;                                               \
  } while (0)

tckms_go_outcome tckms_go_submit_encrypt(tckms_go_terms terms, const char *key_id, const void *buf, size_t len,
                                         const char *ctx_json) {
  SUBMIT(tckms_submit_encrypt(terms.queue, terms.client, key_id, buf, len, ctx_json, terms.timeout_ms, userdata,
                              &outcome.id));
}

tckms_go_outcome tckms_go_submit_decrypt(tckms_go_terms terms, const char *key_id, const void *blob, size_t len,
                                         const char *ctx_json) {
  SUBMIT(tckms_submit_decrypt(terms.queue, terms.client, key_id, blob, len, ctx_json, terms.timeout_ms, userdata,
                              &outcome.id));
}

tckms_go_outcome tckms_go_submit_reencrypt(tckms_go_terms terms, const char *key_id, const void *blob, size_t len,
                                           const char *source_ctx_json, const char *destination_ctx_json) {
  SUBMIT(tckms_submit_reencrypt(terms.queue, terms.client, key_id, blob, len, source_ctx_json, destination_ctx_json,
                                terms.timeout_ms, userdata, &outcome.id));
}

tckms_go_outcome tckms_go_submit_generate_data_key(tckms_go_terms terms, const char *key_id, size_t key_len,
                                                   const char *ctx_json) {
  SUBMIT(tckms_submit_generate_data_key(terms.queue, terms.client, key_id, key_len, ctx_json, terms.timeout_ms,
                                        userdata, &outcome.id));
}

tckms_go_outcome tckms_go_submit_generate_random(tckms_go_terms terms, size_t len) {
  SUBMIT(tckms_submit_generate_random(terms.queue, terms.client, len, terms.timeout_ms, userdata, &outcome.id));
}

tckms_go_outcome tckms_go_submit_call(tckms_go_terms terms, const char *action, const char *request_json) {
  SUBMIT(tckms_submit_call(terms.queue, terms.client, action, request_json == NULL ? "{}" : request_json,
                           terms.timeout_ms, userdata, &outcome.id));
}

tckms_go_outcome tckms_go_submit_public_key(tckms_go_terms terms, const char *key_id) {
  SUBMIT(tckms_submit_public_key(terms.queue, terms.client, key_id, terms.timeout_ms, userdata, &outcome.id));
}

tckms_go_outcome tckms_go_submit_use_key(tckms_go_terms terms, tckms_go_key_use use, const char *key_id, int algorithm,
                                         const void *bytes, size_t len) {
  SUBMIT((use == TCKMS_GO_SIGN_DIGEST ? tckms_submit_sign_digest : tckms_submit_rsa_decrypt)(
      terms.queue, terms.client, key_id, algorithm, bytes, len, terms.timeout_ms, userdata, &outcome.id));
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

tckms_go_outcome tckms_go_client_derive_timeout(const tckms_client *client, int64_t timeout_ms, tckms_client **out) {
  return ended(tckms_client_derive_timeout_ms(client, timeout_ms, out));
}

void tckms_go_client_cancel(const tckms_client *client) {
  /* The client is always valid. */
  tckms_status status = tckms_client_cancel(client);
  (void)status;
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

static tckms_status set_number(tckms_config *config, tckms_go_number_setter setter, int64_t value) {
  switch (setter) {
    case TCKMS_GO_SITE:
      return tckms_config_set_site(config, as_int(value));
    case TCKMS_GO_DEFAULT_CREDENTIALS:
      return tckms_config_set_default_credentials(config);
    case TCKMS_GO_ENV_CREDENTIALS:
      return tckms_config_set_env_credentials(config);
    case TCKMS_GO_TKE_CREDENTIALS:
      return tckms_config_set_tke_env_credentials(config);
    case TCKMS_GO_ANY_HOST:
      return tckms_config_set_insecure_http_allowed(config, as_int(value));
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
    case TCKMS_GO_MAX_CONNECTIONS:
      return tckms_config_set_max_connections(config, as_int(value));
    case TCKMS_GO_MAX_IDLE_CONNECTIONS:
      return tckms_config_set_max_idle_connections(config, as_int(value));
    case TCKMS_GO_IDLE_TIMEOUT:
      return tckms_config_set_idle_timeout_ms(config, value);
  }
  abort();
}

tckms_go_outcome tckms_go_set_text(tckms_config *config, tckms_go_text_setter setter, const char *value) {
  return ended(set_text(config, setter, value));
}

tckms_go_outcome tckms_go_set_number(tckms_config *config, tckms_go_number_setter setter, int64_t value) {
  return ended(set_number(config, setter, value));
}

tckms_go_outcome tckms_go_set_rate_limit(tckms_config *config, int64_t per_second, int64_t burst) {
  return ended(tckms_config_set_rate_limit(config, as_int(per_second), as_int(burst)));
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
  tckms_role_options options = TCKMS_ROLE_OPTIONS_INIT;
  options.role_arn = role_arn;
  options.session_name_or_null = session_name;
  options.external_id_or_null = external_id;
  options.policy_or_null = policy;
  options.duration_seconds = duration_seconds;
  return ended(tckms_config_set_assume_role_credentials(config, &options, sizeof options));
}

tckms_go_outcome tckms_go_add_fallback(tckms_config *config, const tckms_config *other) {
  return ended(tckms_config_add_fallback_credentials(config, other));
}

/* A handle of Go is a number; the userdata of C is a pointer that is never dereferenced. */

static void on_log(void *userdata, const tckms_log_event *event) {
  tckmsGoLog((uintptr_t)userdata, current_events, (tckms_log_event *)event);
}

static int supply(void *userdata, tckms_credentials *out) {
  return tckmsGoCredentials((uintptr_t)userdata, current_call, out);
}

static void forget(void *userdata) {
  tckmsGoForget((uintptr_t)userdata);
}

tckms_go_outcome tckms_go_set_log(tckms_config *config, int level, uintptr_t handle) {
  return ended(tckms_config_set_log(config, level, on_log, (void *)handle, forget));
}

tckms_go_outcome tckms_go_set_credentials_callback(tckms_config *config, uintptr_t handle) {
  return ended(tckms_config_set_credentials_callback(config, supply, (void *)handle, forget));
}

tckms_go_outcome tckms_go_supply(tckms_credentials *out, const char *secret_id, const char *secret_key,
                                 const char *token, int64_t expires_at) {
  return ended(tckms_credentials_set(out, secret_id, secret_key, token, expires_at));
}

/* A number that does not fit stays out of range. */
static size_t as_size(int64_t value) {
  return value < 0 ? SIZE_MAX : (size_t)value;
}

static tckms_status keyring_set(tckms_keyring *keyring, tckms_go_keyring_setter setter, int64_t value) {
  switch (setter) {
    case TCKMS_GO_POLICY:
      return tckms_keyring_set_commitment_policy(keyring, as_int(value));
    case TCKMS_GO_SIGNING:
      return tckms_keyring_set_signing(keyring, as_int(value));
    case TCKMS_GO_FRAME_LEN:
      return tckms_keyring_set_frame_len(keyring, as_size(value));
    case TCKMS_GO_MAX_WRAPPED_KEYS:
      return tckms_keyring_set_max_wrapped_keys(keyring, as_size(value));
    case TCKMS_GO_MAX_HEADER_LEN:
      return tckms_keyring_set_max_header_len(keyring, as_size(value));
    case TCKMS_GO_MAX_FRAME_LEN:
      return tckms_keyring_set_max_frame_len(keyring, as_size(value));
    case TCKMS_GO_MAX_UNFRAMED_LEN:
      return tckms_keyring_set_max_unframed_len(keyring, as_size(value));
    case TCKMS_GO_MAX_RSA_OPERATIONS:
      return tckms_keyring_set_max_rsa_operations(keyring, as_size(value));
    case TCKMS_GO_KEYRING_TIMEOUT:
      return tckms_keyring_set_total_timeout_ms(keyring, value);
  }
  abort();
}

tckms_go_outcome tckms_go_keyring_set(tckms_keyring *keyring, tckms_go_keyring_setter setter, int64_t value) {
  return ended(keyring_set(keyring, setter, value));
}

tckms_go_outcome tckms_go_keyring_set_cache(tckms_keyring *keyring, const tckms_cache_limits *limits) {
  return ended(tckms_keyring_set_cache(keyring, limits, sizeof *limits));
}

tckms_go_outcome tckms_go_keyring_set_reproduced_context(tckms_keyring *keyring, const char *ctx_json) {
  return ended(tckms_keyring_set_reproduced_context(keyring, ctx_json));
}

tckms_go_outcome tckms_go_add_kms(tckms_keyring *keyring, const tckms_client *client, const char *key_id) {
  return ended(tckms_keyring_add_kms(keyring, client, key_id));
}

tckms_go_outcome tckms_go_add_rsa(tckms_keyring *keyring, tckms_go_rsa_half half, const char *key_namespace,
                                  const char *key_name, const void *pem, size_t len) {
  return ended((half == TCKMS_GO_PUBLIC ? tckms_keyring_add_rsa_public_pem : tckms_keyring_add_rsa_private_pem)(
      keyring, key_namespace, key_name, pem, len));
}

static int generate_in_go(void *userdata, const char *ctx_json, uint8_t *data_key, size_t data_key_len,
                          tckms_wrapped_key *out) {
  return tckmsGoGenerate((uintptr_t)userdata, current_call, (char *)ctx_json, data_key, data_key_len, out);
}

static int wrap_in_go(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t data_key_len,
                      tckms_wrapped_key *out) {
  return tckmsGoWrap((uintptr_t)userdata, current_call, (char *)ctx_json, (uint8_t *)data_key, data_key_len, out);
}

static int unwrap_in_go(void *userdata, const tckms_wrapped_key *wrapped, const char *ctx_json, uint8_t *data_key,
                        size_t data_key_len) {
  size_t info_len, blob_len;
  const uint8_t *info = tckms_wrapped_key_info(wrapped, &info_len);
  const uint8_t *blob = tckms_wrapped_key_blob(wrapped, &blob_len);
  return tckmsGoUnwrap((uintptr_t)userdata, current_call, (char *)tckms_wrapped_key_provider_id(wrapped),
                       (uint8_t *)info, info_len, (uint8_t *)blob, blob_len, (char *)ctx_json, data_key, data_key_len);
}

tckms_go_outcome tckms_go_add_custom(tckms_keyring *keyring, const char *provider_id, int generate, int wrap,
                                     int unwrap, uintptr_t handle) {
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  key.provider_id = provider_id;
  key.generate = generate ? generate_in_go : NULL;
  key.wrap = wrap ? wrap_in_go : NULL;
  key.unwrap = unwrap ? unwrap_in_go : NULL;
  key.userdata = (void *)handle;
  key.destructor_or_null = forget;
  return ended(tckms_keyring_add_custom(keyring, &key, sizeof key));
}

static int load_branch_in_go(void *userdata, const char *key, tckms_branch_records *out) {
  return tckmsGoLoadBranch((uintptr_t)userdata, (char *)key, out);
}

static int put_branch_in_go(void *userdata, const char *key, int64_t slot, const char *record) {
  return tckmsGoPutBranch((uintptr_t)userdata, (char *)key, slot, (char *)record);
}

tckms_go_outcome tckms_go_add_branch(tckms_keyring *keyring, const tckms_client *client, const char *key_id,
                                     const tckms_branch_options *options, uintptr_t store_handle) {
  tckms_branch_options complete = *options;
  if (store_handle != 0) {
    complete.load = load_branch_in_go;
    complete.put_if_absent = put_branch_in_go;
    complete.userdata = (void *)store_handle;
    complete.destructor_or_null = forget;
  }
  return ended(tckms_keyring_add_branch(keyring, client, key_id, &complete, sizeof complete));
}

static int name_branch_in_go(void *userdata, const char *ctx_json, char *branch_id, size_t size) {
  return tckmsGoNameBranch((uintptr_t)userdata, current_call, (char *)ctx_json, branch_id, size);
}

tckms_go_outcome tckms_go_set_branch_supplier(tckms_keyring *keyring, uintptr_t handle) {
  return ended(tckms_keyring_set_branch_supplier(keyring, name_branch_in_go, (void *)handle, forget));
}

tckms_go_outcome tckms_go_branch_stats(const tckms_keyring *keyring, tckms_branch_stats *stats) {
  return ended(tckms_keyring_branch_stats(keyring, stats, sizeof *stats));
}

tckms_go_outcome tckms_go_branch_records_add(tckms_branch_records *out, const void *text, size_t len) {
  return ended(tckms_branch_records_add(out, text, len));
}

tckms_go_outcome tckms_go_branch_record_new(const tckms_client *client, tckms_go_how how, const char *key_id,
                                            const char *branch_id) {
  CALL(tckms_branch_record_new(how.client ? how.client : client, key_id, branch_id, &outcome.first));
}

tckms_go_outcome tckms_go_branch_record_check(const tckms_client *client, tckms_go_how how, const char *record) {
  CALL(tckms_branch_record_check(how.client ? how.client : client, record));
}

tckms_go_outcome tckms_go_wrapped_key_set(tckms_wrapped_key *out, const void *info, size_t info_len,
                                          const void *wrapped, size_t len) {
  return ended(tckms_wrapped_key_set(out, info, info_len, wrapped, len));
}

tckms_go_outcome tckms_go_seal(tckms_go_how how, const tckms_keyring *keyring, const uint8_t *buf, size_t len, const char *ctx_json) {
  CALL(tckms_seal(keyring, buf, len, ctx_json, &outcome.first));
}

tckms_go_outcome tckms_go_open(tckms_go_how how, const tckms_keyring *keyring, const uint8_t *msg, size_t len,
                               const char *expected_ctx_json) {
  CALL(tckms_open(keyring, msg, len, expected_ctx_json, &outcome.first));
}

static tckms_status message_info_json(const uint8_t *msg, size_t len, tckms_buffer *json) {
  tckms_message_info *info;
  tckms_status status = tckms_message_info_new(msg, len, &info);
  if (status == TCKMS_OK) {
    status = tckms_message_info_json(info, json);
  }
  tckms_message_info_free(info);
  return status;
}

tckms_go_outcome tckms_go_message_info(tckms_go_how how, const uint8_t *msg, size_t len) {
  CALL(message_info_json(msg, len, &outcome.first));
}

tckms_go_outcome tckms_go_stream_new_seal(const tckms_keyring *keyring, const char *ctx_json, tckms_stream **out) {
  return ended(tckms_stream_new_seal(keyring, ctx_json, out));
}

tckms_go_outcome tckms_go_stream_new_open(const tckms_keyring *keyring, const char *expected_ctx_json,
                                          tckms_stream **out) {
  return ended(tckms_stream_new_open(keyring, expected_ctx_json, out));
}

static tckms_status stream_set(tckms_stream *stream, tckms_go_stream_setter setter, uint64_t value) {
  switch (setter) {
    case TCKMS_GO_SIZE:
      return tckms_stream_set_plaintext_size(stream, value);
    case TCKMS_GO_BOUND:
      return tckms_stream_set_plaintext_bound(stream, value);
    case TCKMS_GO_SIGNED_ALLOWED:
      return tckms_stream_set_signed_allowed(stream, value != 0);
  }
  abort();
}

tckms_go_outcome tckms_go_stream_set(tckms_stream *stream, tckms_go_stream_setter setter, uint64_t value) {
  return ended(stream_set(stream, setter, value));
}

tckms_go_outcome tckms_go_stream_update(tckms_go_how how, tckms_stream *stream, const uint8_t *in, size_t in_len, size_t *consumed,
                                        uint8_t *out, size_t out_size, size_t *produced) {
  CALL(tckms_stream_update(stream, in, in_len, consumed, out, out_size, produced));
}

tckms_go_outcome tckms_go_stream_finish(tckms_go_how how, tckms_stream *stream, uint8_t *out, size_t out_size, size_t *produced,
                                        int *done) {
  CALL(tckms_stream_finish(stream, out, out_size, produced, done));
}

tckms_go_outcome tckms_go_stream_message_size(tckms_go_how how, tckms_stream *stream, uint64_t *message_size) {
  CALL(tckms_stream_message_size(stream, message_size));
}

static int tell(void *userdata, uint64_t done, uint64_t total) {
  return tckmsGoProgress((uintptr_t)userdata, done, total);
}

static tckms_fd_options fd_options(uint32_t threads, int signed_allowed, uintptr_t progress) {
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  options.threads = threads;
  options.signed_allowed = signed_allowed != 0;
  options.progress = progress != 0 ? tell : NULL;
  options.userdata = (void *)progress;
  return options;
}

tckms_go_outcome tckms_go_seal_fd(tckms_go_how how, const tckms_keyring *keyring, int in_fd, int out_fd, const char *ctx_json,
                                  uint32_t threads, uintptr_t progress) {
  tckms_fd_options options = fd_options(threads, 0, progress);
  CALL(tckms_seal_fd(keyring, in_fd, out_fd, ctx_json, &options, sizeof options));
}

tckms_go_outcome tckms_go_open_fd(tckms_go_how how, const tckms_keyring *keyring, int in_fd, int out_fd, const char *expected_ctx_json,
                                  uint32_t threads, int signed_allowed, uintptr_t progress) {
  tckms_fd_options options = fd_options(threads, signed_allowed, progress);
  CALL(tckms_open_fd(keyring, in_fd, out_fd, expected_ctx_json, &options, sizeof options));
}
