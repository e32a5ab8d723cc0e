/* A program as a developer would write it after reading the header: configuration by setters, a small secret, a file that is
 * sealed in chunks for two readers, and a worker whose failure another thread reports. */
#include "check.h"

#include <pthread.h>

#include "fixture.h"

#define CONTEXT "{\"app\":\"billing\",\"env\":\"test\"}"

enum { PIECE = 1000, FILE_SIZE = 200000 };

static void log_event(void *userdata, const tckms_log_event *event) {
  int *events = userdata;
  if (tckms_log_event_level(event) == TCKMS_LOG_ERROR) {
    __atomic_add_fetch(events, 1, __ATOMIC_RELAXED);
  }
}

static void forget_events(void *userdata) {
  free(userdata);
}

static tckms_client *connect_to_service(int **events) {
  tckms_config *config = tckms_config_new();
  tckms_client *client = NULL;
  *events = calloc(1, sizeof **events);
  CHECK_OK(tckms_config_set_region(config, GIVEN_REGION));
  CHECK_OK(tckms_config_set_endpoint(config, GIVEN_ENDPOINT));
  CHECK_OK(tckms_config_set_credentials(config, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL));
  CHECK_OK(tckms_config_set_rate_limit(config, 1000, 0));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_ERROR, log_event, *events, forget_events));
  CHECK_OK(tckms_client_new(config, &client));
  tckms_config_free(config);
  return client;
}

static void a_small_secret(const tckms_client *client) {
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer secret = TCKMS_BUFFER_INIT;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "hunter2", 7, CONTEXT, &blob));
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, CONTEXT, &secret));
  CHECK_BYTES(secret, "hunter2", 7);
  tckms_buffer_free(&secret);
  tckms_buffer_free(&blob);
}

/* Passes `len` bytes through a stream, one chunk at a time, and returns the output, to be freed. */
static unsigned char *through(tckms_stream *stream, const unsigned char *in, size_t len, size_t *out_len) {
  size_t size = len + FILE_SIZE;
  unsigned char *out = malloc(size);
  size_t taken = 0;
  int done = 0;
  CHECK(out != NULL);
  *out_len = 0;
  while (taken < len) {
    size_t piece = len - taken < PIECE ? len - taken : PIECE;
    size_t consumed;
    size_t produced;
    CHECK_OK(tckms_stream_update(stream, in + taken, piece, &consumed, out + *out_len, size - *out_len, &produced));
    taken += consumed;
    *out_len += produced;
  }
  while (!done) {
    size_t produced;
    CHECK_OK(tckms_stream_finish(stream, out + *out_len, size - *out_len, &produced, &done));
    *out_len += produced;
  }
  return out;
}

static tckms_keyring *keyring_of(const tckms_client *client, const char *first, const char *second_or_null) {
  tckms_keyring *keyring = tckms_keyring_new();
  CHECK_OK(tckms_keyring_add_kms(keyring, client, first));
  if (second_or_null != NULL) {
    CHECK_OK(tckms_keyring_add_kms(keyring, client, second_or_null));
  }
  return keyring;
}

static void a_file_for_two_readers(const tckms_client *client) {
  tckms_keyring *writer = keyring_of(client, MAIN_KEY, OTHER_KEY);
  tckms_keyring *reader = keyring_of(client, OTHER_KEY, NULL);
  tckms_stream *sealing = NULL;
  tckms_stream *opening = NULL;
  unsigned char *file = malloc(FILE_SIZE);
  unsigned char *message;
  unsigned char *opened;
  uint64_t message_size;
  size_t message_len;
  size_t opened_len;
  CHECK(file != NULL);
  memset(file, 'f', FILE_SIZE);
  CHECK_OK(tckms_stream_new_seal(writer, CONTEXT, &sealing));
  CHECK_OK(tckms_stream_set_plaintext_size(sealing, FILE_SIZE));
  CHECK_OK(tckms_stream_message_size(sealing, &message_size));
  tckms_keyring_free(writer);
  message = through(sealing, file, FILE_SIZE, &message_len);
  CHECK_INT((intmax_t)message_len, (intmax_t)message_size);
  CHECK_OK(tckms_stream_new_open(reader, "{\"app\":\"billing\"}", &opening));
  tckms_keyring_free(reader);
  opened = through(opening, message, message_len, &opened_len);
  CHECK_INT(opened_len, FILE_SIZE);
  CHECK(tckms_equal(opened, file, FILE_SIZE));
  tckms_stream_free(sealing);
  tckms_stream_free(opening);
  free(opened);
  free(message);
  free(file);
}

static void *work(void *client) {
  tckms_buffer out = TCKMS_BUFFER_INIT;
  tckms_status status = tckms_decrypt(client, MAIN_KEY, "no-blob-of-the-service", 22, NULL, &out);
  CHECK_EMPTY(out);
  return status == TCKMS_OK ? NULL : tckms_last_error_take();
}

static void a_failure_is_reported_elsewhere(tckms_client *client) {
  pthread_t worker;
  void *taken = NULL;
  tckms_error *error;
  CHECK_INT(pthread_create(&worker, NULL, work, client), 0);
  CHECK_INT(pthread_join(worker, &taken), 0);
  error = taken;
  CHECK_INT(tckms_error_category(error), TCKMS_CATEGORY_REQUEST);
  CHECK_INT(tckms_error_retryable(error), tckms_status_retryable(tckms_error_status(error)));
  CHECK_TEXT(tckms_error_action(error), "Decrypt");
  CHECK_INT(strlen(tckms_error_request_id(error)), 36);
  CHECK(tckms_last_error() == NULL);
  tckms_error_free(error);
}

int main(void) {
  int *events;
  tckms_client *client = connect_to_service(&events);
  a_small_secret(client);
  a_file_for_two_readers(client);
  a_failure_is_reported_elsewhere(client);
  CHECK_INT(*events, 1);
  tckms_client_free(client);
  return checks_passed();
}
