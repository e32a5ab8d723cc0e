/* Common mistakes with the interface: each is reported or has no effect. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>

#include "fixture.h"

static int copy(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)userdata;
  (void)ctx_json;
  return tckms_wrapped_key_set(out, NULL, 0, data_key, len);
}

static int fail(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)ctx_json;
  (void)data_key;
  (void)len;
  (void)out;
  return *(int *)userdata;
}

/* A keyring that needs no service. */
static tckms_keyring *local_keyring(int *failure) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  CHECK(keyring != NULL);
  key.provider_id = "local";
  key.wrap = failure == NULL ? copy : fail;
  key.userdata = failure;
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
  return keyring;
}

/* The read end of a pipe that holds `len` bytes and then ends. */
static int pipe_with(size_t len) {
  static const char BYTES[4096];
  int ends[2];
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(write(ends[1], BYTES, len), (ssize_t)len);
  CHECK_INT(close(ends[1]), 0);
  return ends[0];
}

/* Passing the size of a pointer instead of the structure must not silently drop all callbacks. */
static void the_size_of_a_pointer_is_refused(void) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  const tckms_custom_key *pointer = &key;
  CHECK_STATUS(tckms_keyring_add_custom(keyring, pointer, sizeof pointer), TCKMS_ERR_INVALID_LENGTH);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "sizeof(tckms_custom_key)");
  tckms_keyring_free(keyring);
}

/* A full disk, a cancellation by the program and a failing custom key are not argument errors. */
static void local_failures_have_a_category(void) {
  int failure = -7;
  tckms_keyring *keyring = local_keyring(NULL);
  tckms_keyring *failing = local_keyring(&failure);
  tckms_buffer message;
  int in = pipe_with(100);
  int full = open("/dev/full", O_WRONLY);
  CHECK(full >= 0);
  CHECK_STATUS(tckms_seal_fd(keyring, in, full, NULL, NULL, 0), TCKMS_ERR_DESCRIPTOR_FAILED);
  CHECK_INT(tckms_error_os_errno(tckms_last_error()), ENOSPC);
  CHECK_INT(tckms_error_category(tckms_last_error()), TCKMS_CATEGORY_LOCAL);
  CHECK_INT(close(in) + close(full), 0);

  CHECK_STATUS(tckms_seal(failing, "x", 1, NULL, &message), TCKMS_ERR_CUSTOM_KEY_FAILED);
  CHECK_INT(tckms_error_category(tckms_last_error()), TCKMS_CATEGORY_LOCAL);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  CHECK_INT(tckms_status_category(TCKMS_ERR_CANCELED), TCKMS_CATEGORY_LOCAL);
  tckms_keyring_free(failing);
  tckms_keyring_free(keyring);
}

struct progress {
  uint64_t done;
  uint64_t total;
  int stop_at_the_end;
};

static int follow(void *userdata, uint64_t done, uint64_t total) {
  struct progress *progress = userdata;
  CHECK(done <= total);
  progress->done = done;
  progress->total = total;
  return progress->stop_at_the_end && done == total;
}

/* Also for a pipe, whose length is known only at its end. Canceling in the last report has no effect. */
static void the_last_progress_is_the_total(void) {
  struct progress progress = {0, 0, 1};
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  tckms_keyring *keyring = local_keyring(NULL);
  int out = open("/dev/null", O_WRONLY);
  size_t len;
  options.progress = follow;
  options.userdata = &progress;
  for (len = 0; len <= 4096; len += 1024) {
    int in = pipe_with(len);
    CHECK_OK(tckms_seal_fd(keyring, in, out, NULL, &options, sizeof options));
    CHECK_INT((intmax_t)progress.done, (intmax_t)len);
    CHECK_INT((intmax_t)progress.total, (intmax_t)len);
    CHECK_INT(close(in), 0);
  }
  CHECK_INT(close(out), 0);
  tckms_keyring_free(keyring);
}

/* The state of a stream is checked before sizes: a stream that failed or ended reports that, whatever the input is. */
static void a_stream_that_failed_or_ended_reports_that(void) {
  tckms_keyring *keyring = local_keyring(NULL);
  tckms_stream *stream;
  unsigned char out[4096];
  size_t consumed, produced;
  int done;
  CHECK_OK(tckms_stream_new_seal(keyring, NULL, &stream));
  CHECK_OK(tckms_stream_set_plaintext_size(stream, 3));
  CHECK_STATUS(tckms_stream_update(stream, "four", 4, &consumed, out, sizeof out, &produced), TCKMS_ERR_PLAINTEXT_SIZE);
  CHECK_STATUS(tckms_stream_update(stream, "four", 4, &consumed, out, sizeof out, &produced), TCKMS_ERR_INVALID_STATE);
  CHECK_STATUS(tckms_stream_finish(stream, out, sizeof out, &produced, &done), TCKMS_ERR_INVALID_STATE);
  tckms_stream_free(stream);
  CHECK_OK(tckms_stream_new_seal(keyring, NULL, &stream));
  CHECK_OK(tckms_stream_set_plaintext_size(stream, 3));
  CHECK_OK(tckms_stream_update(stream, "two", 3, &consumed, out, sizeof out, &produced));
  CHECK_OK(tckms_stream_finish(stream, out, sizeof out, &produced, &done));
  CHECK_INT(done, 1);
  CHECK_STATUS(tckms_stream_update(stream, "x", 1, &consumed, out, sizeof out, &produced), TCKMS_ERR_INVALID_STATE);
  tckms_stream_free(stream);
  tckms_keyring_free(keyring);
}

/* The ids of an earlier call must not be mistaken for those of a seal that sent no request. */
static void a_seal_from_the_cache_has_no_request(void) {
  tckms_client *client = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  tckms_buffer message;
  int in = pipe_with(10);
  int out = open("/dev/null", O_WRONLY);
  CHECK_OK(tckms_keyring_add_kms(keyring, client, MAIN_KEY));
  CHECK_OK(tckms_keyring_set_cache(keyring, &limits, sizeof limits));
  CHECK_OK(tckms_seal(keyring, "x", 1, NULL, &message));
  tckms_buffer_free(&message);
  CHECK_INT(strlen(tckms_last_request_id()), 36);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  CHECK_OK(tckms_seal(keyring, "y", 1, NULL, &message));
  CHECK_TEXT(tckms_last_request_id(), "");
  CHECK_TEXT(tckms_last_key_id(), "");
  tckms_buffer_free(&message);

  /* The work between descriptors runs on other threads, but the ids are set for this thread. */
  CHECK_OK(tckms_seal_fd(keyring, in, out, NULL, &options, sizeof options));
  CHECK_INT(strlen(tckms_last_request_id()), 36);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  CHECK_INT(close(in) + close(out), 0);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

/* An object that could not be allocated is NULL, which every function accepts. */
static void null_is_an_argument_error(void) {
  tckms_client *client = NULL;
  tckms_stream *stream = NULL;
  tckms_buffer out;
  CHECK_STATUS(tckms_config_set_region(NULL, "ap-guangzhou"), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_client_new(NULL, &client), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_keyring_set_signing(NULL, 1), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_seal(NULL, "x", 1, NULL, &out), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_stream_new_seal(NULL, NULL, &stream), TCKMS_ERR_NULL_POINTER);
  tckms_config_free(NULL);
  tckms_keyring_free(NULL);
  tckms_stream_free(NULL);
  tckms_client_free(NULL);
  tckms_error_free(NULL);
}

int main(void) {
  the_size_of_a_pointer_is_refused();
  local_failures_have_a_category();
  the_last_progress_is_the_total();
  a_seal_from_the_cache_has_no_request();
  a_stream_that_failed_or_ended_reports_that();
  null_is_an_argument_error();
  return checks_passed();
}
