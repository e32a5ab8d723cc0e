/* One C function for each call. A goroutine may continue on another thread after each return to Go, and the detail of a
 * failure belongs to the thread. So each function here makes a call and calls tckms_last_error_take(), and Go gets an
 * error that it owns. */
#ifndef TCKMS_GO_SHIM_H
#define TCKMS_GO_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <tckms.h>

/* The result of a call. Free its members with tckms_go_free(). */
typedef struct {
  tckms_buffer first;
  tckms_buffer second;
  tckms_error *error;
  int status;
  /* Of the last request, if they were requested. */
  char *request_id;
  char *key_id;
  /* Of a call that was submitted. */
  uint64_t id;
} tckms_go_outcome;

void tckms_go_free(tckms_go_outcome *outcome);

/* Options of a call. */
typedef struct {
  /* The client to use instead of the argument, or NULL. */
  const tckms_client *client;
  /* Go's handle of the call: callbacks on its thread get it. 0 for none. */
  uintptr_t call;
  /* Whether to return the ids of the last request. */
  int ids;
} tckms_go_how;

/* The calls. */
tckms_go_outcome tckms_go_encrypt(const tckms_client *client, tckms_go_how how, const char *key_id, const void *buf,
                                  size_t len, const char *ctx_json);
tckms_go_outcome tckms_go_decrypt(const tckms_client *client, tckms_go_how how, const char *key_id, const void *blob,
                                  size_t len, const char *ctx_json);
tckms_go_outcome tckms_go_reencrypt(const tckms_client *client, tckms_go_how how, const char *key_id,
                                    const void *blob, size_t len, const char *source_ctx_json,
                                    const char *destination_ctx_json);
tckms_go_outcome tckms_go_generate_data_key(const tckms_client *client, tckms_go_how how, const char *key_id,
                                            size_t key_len, const char *ctx_json);
/* The bytes are in `first.data`; free them with tckms_go_random_free(), not with tckms_go_free(). */
tckms_go_outcome tckms_go_generate_random(const tckms_client *client, tckms_go_how how, size_t len);
void tckms_go_random_free(tckms_go_outcome *outcome);
tckms_go_outcome tckms_go_call(const tckms_client *client, tckms_go_how how, const char *action,
                               const char *request_json);
/* The operations of asymmetric keys on some bytes. */
typedef enum { TCKMS_GO_SIGN, TCKMS_GO_SIGN_DIGEST, TCKMS_GO_RSA_ENCRYPT, TCKMS_GO_RSA_DECRYPT } tckms_go_key_use;

tckms_go_outcome tckms_go_public_key(const tckms_client *client, tckms_go_how how, const char *key_id, int pem);
tckms_go_outcome tckms_go_use_key(const tckms_client *client, tckms_go_how how, tckms_go_key_use use,
                                  const char *key_id, int algorithm, const void *bytes, size_t len);
tckms_go_outcome tckms_go_verify(const tckms_client *client, tckms_go_how how, int digest, const char *key_id,
                                 int algorithm, const void *bytes, size_t len, const void *signature,
                                 size_t signature_len);
tckms_go_outcome tckms_go_sm2_digest(const tckms_client *client, tckms_go_how how, const char *key_id,
                                     const void *user_id, size_t user_id_len, const void *msg, size_t len);
tckms_go_outcome tckms_go_sm2_decrypt(const tckms_client *client, tckms_go_how how, const char *key_id,
                                      const void *ciphertext, size_t len);
tckms_go_outcome tckms_go_signer_new(const tckms_client *client, tckms_go_how how, const char *key_id, int algorithm,
                                     const void *sm2_user_id, size_t sm2_user_id_len, tckms_signer **out);
tckms_go_outcome tckms_go_signer_update(tckms_signer *signer, const uint8_t *buf, size_t len);
tckms_go_outcome tckms_go_signer_finish(tckms_go_how how, tckms_signer *signer);
tckms_go_outcome tckms_go_signature_to_raw(tckms_go_how how, const void *signature, size_t len, size_t raw_len);
tckms_go_outcome tckms_go_signature_from_raw(tckms_go_how how, const void *raw, size_t len);

/* `tags` has keys and values alternately. */
tckms_go_outcome tckms_go_create_key(const tckms_client *client, tckms_go_how how, const char *alias,
                                     const char *usage, const char *description, char **tags, size_t tag_count,
                                     int external);
/* `handle` is the handle of a Go list that gets each key. */
tckms_go_outcome tckms_go_describe_key(const tckms_client *client, tckms_go_how how, const char *key_id,
                                       uintptr_t handle);
tckms_go_outcome tckms_go_list_keys(const tckms_client *client, tckms_go_how how, const char *usage,
                                    const char *state, const char *search, uintptr_t handle);

/* The operations on a key. */
typedef enum { TCKMS_GO_ENABLE, TCKMS_GO_DISABLE, TCKMS_GO_CANCEL_DELETION, TCKMS_GO_ROTATE } tckms_go_key_change;

tckms_go_outcome tckms_go_change_key(const tckms_client *client, tckms_go_how how, tckms_go_key_change change,
                                     const char *key_id);
tckms_go_outcome tckms_go_schedule_key_deletion(const tckms_client *client, tckms_go_how how, const char *key_id,
                                                int64_t days, int64_t *deleted_at_seconds);
tckms_go_outcome tckms_go_set_key_rotation(const tckms_client *client, tckms_go_how how, const char *key_id,
                                           int64_t days);
tckms_go_outcome tckms_go_import_key_material(const tckms_client *client, tckms_go_how how, const char *key_id,
                                              const void *material, size_t len, int64_t valid_to_seconds);

/* Calls that are submitted. An outcome of a tckms_go_submit_ function says whether that was so. */
typedef struct {
  const tckms_queue *queue;
  const tckms_client *client;
  /* For tckms_go_queue_take(). */
  uintptr_t token;
  int64_t timeout_ms;
  int ids;
} tckms_go_terms;

/* `fd` is a descriptor of the caller, for the same pipe as the queue's. */
tckms_go_outcome tckms_go_queue_new(uint64_t depth, tckms_queue **out, int *fd);
/* Takes a call that is done; 0 if there is none. Its log events go to the Go list behind `events`. */
int tckms_go_queue_take(const tckms_queue *queue, uintptr_t events, tckms_go_outcome *outcome, uintptr_t *token);
void tckms_go_queue_cancel(const tckms_queue *queue, uint64_t id);

tckms_go_outcome tckms_go_submit_encrypt(tckms_go_terms terms, const char *key_id, const void *buf, size_t len,
                                         const char *ctx_json);
tckms_go_outcome tckms_go_submit_decrypt(tckms_go_terms terms, const char *key_id, const void *blob, size_t len,
                                         const char *ctx_json);
tckms_go_outcome tckms_go_submit_reencrypt(tckms_go_terms terms, const char *key_id, const void *blob, size_t len,
                                           const char *source_ctx_json, const char *destination_ctx_json);
tckms_go_outcome tckms_go_submit_generate_data_key(tckms_go_terms terms, const char *key_id, size_t key_len,
                                                   const char *ctx_json);
tckms_go_outcome tckms_go_submit_generate_random(tckms_go_terms terms, size_t len);
tckms_go_outcome tckms_go_submit_call(tckms_go_terms terms, const char *action, const char *request_json);
tckms_go_outcome tckms_go_submit_public_key(tckms_go_terms terms, const char *key_id);
tckms_go_outcome tckms_go_submit_use_key(tckms_go_terms terms, tckms_go_key_use use, const char *key_id, int algorithm,
                                         const void *bytes, size_t len);

tckms_go_outcome tckms_go_client_stats(const tckms_client *client, tckms_stats *out);

tckms_go_outcome tckms_go_client_new(const tckms_config *config, tckms_client **out);
tckms_go_outcome tckms_go_client_new_from_env(tckms_client **out);
tckms_go_outcome tckms_go_client_derive_timeout(const tckms_client *client, int64_t timeout_ms, tckms_client **out);
void tckms_go_client_cancel(const tckms_client *client);

/* The setters, grouped by the type of their argument. */
typedef enum {
  TCKMS_GO_REGION,
  TCKMS_GO_ENDPOINT,
  TCKMS_GO_CA_FILE,
  TCKMS_GO_PROXY,
  TCKMS_GO_USER_AGENT_SUFFIX,
  TCKMS_GO_LANGUAGE,
  TCKMS_GO_METADATA_ENDPOINT,
  TCKMS_GO_STS_ENDPOINT,
  TCKMS_GO_TCCLI,
  TCKMS_GO_DEFAULT_TCCLI,
  TCKMS_GO_DEFAULT_PROFILE,
  TCKMS_GO_CVM_ROLE
} tckms_go_text_setter;

typedef enum {
  TCKMS_GO_SITE,
  TCKMS_GO_DEFAULT_CREDENTIALS,
  TCKMS_GO_ENV_CREDENTIALS,
  TCKMS_GO_TKE_CREDENTIALS,
  TCKMS_GO_ANY_HOST,
  TCKMS_GO_RETRY_UNSAFE,
  TCKMS_GO_CONNECT_TIMEOUT,
  TCKMS_GO_TRY_TIMEOUT,
  TCKMS_GO_TOTAL_TIMEOUT,
  TCKMS_GO_MAX_ATTEMPTS,
  TCKMS_GO_MAX_CONNECTIONS,
  TCKMS_GO_MAX_IDLE_CONNECTIONS,
  TCKMS_GO_IDLE_TIMEOUT
} tckms_go_number_setter;

tckms_go_outcome tckms_go_set_text(tckms_config *config, tckms_go_text_setter setter, const char *value);
tckms_go_outcome tckms_go_set_number(tckms_config *config, tckms_go_number_setter setter, int64_t value);
tckms_go_outcome tckms_go_set_rate_limit(tckms_config *config, int64_t per_second, int64_t burst);
tckms_go_outcome tckms_go_set_ca_pem(tckms_config *config, const void *pem, size_t len);
tckms_go_outcome tckms_go_set_credentials(tckms_config *config, const char *secret_id, const char *secret_key,
                                          const char *token);
tckms_go_outcome tckms_go_set_profile(tckms_config *config, const char *path, const char *profile);
tckms_go_outcome tckms_go_set_oidc(tckms_config *config, const char *provider_id, const char *token_file,
                                   const char *role_arn, const char *session_name, int duration_seconds);
tckms_go_outcome tckms_go_set_assume_role(tckms_config *config, const char *role_arn, const char *session_name,
                                          int duration_seconds, const char *external_id, const char *policy);
tckms_go_outcome tckms_go_add_fallback(tckms_config *config, const tckms_config *other);

/* Callbacks of Go, by the handle of the Go function. */
tckms_go_outcome tckms_go_set_log(tckms_config *config, int level, uintptr_t handle);
tckms_go_outcome tckms_go_set_credentials_callback(tckms_config *config, uintptr_t handle);

/* Within callbacks. */
tckms_go_outcome tckms_go_supply(tckms_credentials *out, const char *secret_id, const char *secret_key,
                                 const char *token, int64_t expires_at);
tckms_go_outcome tckms_go_wrapped_key_set(tckms_wrapped_key *out, const void *info, size_t info_len,
                                          const void *wrapped, size_t len);

/* Keyrings. */
typedef enum {
  TCKMS_GO_POLICY,
  TCKMS_GO_SIGNING,
  TCKMS_GO_FRAME_LEN,
  TCKMS_GO_MAX_WRAPPED_KEYS,
  TCKMS_GO_MAX_HEADER_LEN,
  TCKMS_GO_MAX_FRAME_LEN,
  TCKMS_GO_MAX_UNFRAMED_LEN,
  TCKMS_GO_MAX_RSA_OPERATIONS,
  TCKMS_GO_KEYRING_TIMEOUT
} tckms_go_keyring_setter;

typedef enum { TCKMS_GO_PUBLIC, TCKMS_GO_PRIVATE } tckms_go_rsa_half;

tckms_go_outcome tckms_go_keyring_set(tckms_keyring *keyring, tckms_go_keyring_setter setter, int64_t value);
tckms_go_outcome tckms_go_keyring_set_cache(tckms_keyring *keyring, const tckms_cache_limits *limits);
tckms_go_outcome tckms_go_keyring_set_reproduced_context(tckms_keyring *keyring, const char *ctx_json);
tckms_go_outcome tckms_go_add_kms(tckms_keyring *keyring, const tckms_client *client, const char *key_id);
tckms_go_outcome tckms_go_add_rsa(tckms_keyring *keyring, tckms_go_rsa_half half, const char *key_namespace,
                                  const char *key_name, const void *pem, size_t len);
/* `generate`, `wrap` and `unwrap` say which functions the key behind `handle` has. */
tckms_go_outcome tckms_go_add_branch(tckms_keyring *keyring, const tckms_client *client, const char *key_id,
                                     const tckms_branch_options *options, uintptr_t store_handle);
tckms_go_outcome tckms_go_set_branch_supplier(tckms_keyring *keyring, uintptr_t handle);
tckms_go_outcome tckms_go_branch_stats(const tckms_keyring *keyring, tckms_branch_stats *stats);
tckms_go_outcome tckms_go_branch_records_add(tckms_branch_records *out, const void *text, size_t len);
tckms_go_outcome tckms_go_branch_record_new(const tckms_client *client, tckms_go_how how, const char *key_id,
                                            const char *branch_id);
tckms_go_outcome tckms_go_branch_record_check(const tckms_client *client, tckms_go_how how, const char *record);
tckms_go_outcome tckms_go_add_custom(tckms_keyring *keyring, const char *provider_id, int generate, int wrap,
                                     int unwrap, uintptr_t handle);

/* Sealing. */
tckms_go_outcome tckms_go_seal(tckms_go_how how, const tckms_keyring *keyring, const uint8_t *buf, size_t len, const char *ctx_json);
tckms_go_outcome tckms_go_open(tckms_go_how how, const tckms_keyring *keyring, const uint8_t *msg, size_t len,
                               const char *expected_ctx_json);
tckms_go_outcome tckms_go_message_info(tckms_go_how how, const uint8_t *msg, size_t len);

typedef enum { TCKMS_GO_SIZE, TCKMS_GO_BOUND, TCKMS_GO_SIGNED_ALLOWED } tckms_go_stream_setter;

tckms_go_outcome tckms_go_stream_new_seal(const tckms_keyring *keyring, const char *ctx_json, tckms_stream **out);
tckms_go_outcome tckms_go_stream_new_open(const tckms_keyring *keyring, const char *expected_ctx_json,
                                          tckms_stream **out);
tckms_go_outcome tckms_go_stream_set(tckms_stream *stream, tckms_go_stream_setter setter, uint64_t value);
tckms_go_outcome tckms_go_stream_update(tckms_go_how how, tckms_stream *stream, const uint8_t *in, size_t in_len, size_t *consumed,
                                        uint8_t *out, size_t out_size, size_t *produced);
tckms_go_outcome tckms_go_stream_finish(tckms_go_how how, tckms_stream *stream, uint8_t *out, size_t out_size, size_t *produced,
                                        int *done);
tckms_go_outcome tckms_go_stream_message_size(tckms_go_how how, tckms_stream *stream, uint64_t *message_size);

/* `progress` is the handle of a Go progress function, or 0 for none. */
tckms_go_outcome tckms_go_seal_fd(tckms_go_how how, const tckms_keyring *keyring, int in_fd, int out_fd, const char *ctx_json,
                                  uint32_t threads, uintptr_t progress);
tckms_go_outcome tckms_go_open_fd(tckms_go_how how, const tckms_keyring *keyring, int in_fd, int out_fd, const char *expected_ctx_json,
                                  uint32_t threads, int signed_allowed, uintptr_t progress);

#endif /* TCKMS_GO_SHIM_H */
