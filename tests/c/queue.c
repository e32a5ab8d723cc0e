/* Calls of a queue: their completions, the order of events, and calls that are canceled or abandoned. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "admin.h"
#include "fixture.h"
#include "queue.h"

static void every_call_has_the_result_of_the_blocking_call(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_buffer blob, again, plain, key;
  tckms_completion *completion;
  uint64_t id;
  int place = 0;
  CHECK_OK(tckms_submit_encrypt(queue, client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), "{\"a\":\"b\"}", LONG_MS, &place,
                                &id));
  completion = take(queue);
  CHECK(tckms_completion_userdata(completion) == &place);
  CHECK_TEXT(tckms_completion_key_id(completion), MAIN_KEY);
  CHECK(strlen(tckms_completion_request_id(completion)) > 10);
  CHECK_OK(tckms_completion_take_output(completion, &blob));
  tckms_completion_free(completion);

  CHECK_OK(tckms_submit_decrypt(queue, client, MAIN_KEY, blob.data, blob.len, "{\"a\":\"b\"}", LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_BYTES(plain, PLAINTEXT, strlen(PLAINTEXT));
  tckms_buffer_free(&plain);
  CHECK_OK(tckms_submit_reencrypt(queue, client, OTHER_KEY, blob.data, blob.len, "{\"a\":\"b\"}", NULL, LONG_MS, NULL, &id));
  again = take_output(queue, id);
  CHECK_OK(tckms_decrypt(client, OTHER_KEY, again.data, again.len, NULL, &plain));
  CHECK_BYTES(plain, PLAINTEXT, strlen(PLAINTEXT));
  tckms_buffer_free(&plain);
  tckms_buffer_free(&again);
  tckms_buffer_free(&blob);

  CHECK_OK(tckms_submit_generate_data_key(queue, client, MAIN_KEY, 32, NULL, LONG_MS, NULL, &id));
  completion = take(queue);
  CHECK_OK(tckms_completion_take_ciphertext(completion, &blob));
  CHECK_OK(tckms_completion_take_output(completion, &key));
  CHECK_INT(key.len, 32);
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &plain));
  CHECK_BYTES(plain, key.data, key.len);
  tckms_completion_free(completion);
  tckms_buffer_free(&plain);
  tckms_buffer_free(&blob);
  tckms_buffer_free(&key);

  CHECK_OK(tckms_submit_generate_random(queue, client, 100, LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_INT(plain.len, 100);
  tckms_buffer_free(&plain);
  CHECK_OK(tckms_submit_call(queue, client, "GetServiceStatus", "{}", LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_HAS((const char *)plain.data, "ServiceEnabled");
  tckms_buffer_free(&plain);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void a_failure_has_its_detail(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_completion *completion;
  tckms_buffer out;
  tckms_stream *stream;
  tckms_error *error;
  CHECK_OK(tckms_submit_decrypt(queue, client, NULL, "x", 1, NULL, LONG_MS, NULL, NULL));
  completion = take(queue);
  CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_TEXT(tckms_error_action(tckms_completion_error(completion)), "Decrypt");
  CHECK(strlen(tckms_error_request_id(tckms_completion_error(completion))) > 10);
  CHECK_STATUS(tckms_completion_take_output(completion, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_EMPTY(out);
  CHECK_STATUS(tckms_completion_take_stream(completion, &stream), TCKMS_ERR_INVALID_CIPHERTEXT);
  error = tckms_completion_take_error(completion);
  CHECK(tckms_completion_take_error(completion) == NULL && tckms_completion_error(completion) == NULL);
  CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_STATUS(tckms_completion_take_output(completion, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  tckms_completion_free(completion);
  CHECK_TEXT(tckms_error_action(error), "Decrypt");
  tckms_error_free(error);
  CHECK(tckms_completion_take_error(NULL) == NULL);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void the_descriptor_is_readable_while_completions_wait(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_completion *completion = NULL;
  int fd = fd_of(queue);
  int count;
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CHECK(!is_readable(fd));
  CHECK_STATUS(tckms_queue_next(queue, &completion), TCKMS_ERR_AGAIN);
  CHECK(completion == NULL);
  CHECK_STATUS(tckms_queue_wait(queue, 0), TCKMS_ERR_AGAIN);
  CHECK_STATUS(tckms_queue_wait(queue, 20), TCKMS_ERR_AGAIN);
  for (count = 0; count < 3; count++) {
    submit(queue, client);
  }
  CHECK_INT(tckms_queue_outstanding(queue), 3);
  for (count = 3; count > 0; count--) {
    CHECK_OK(tckms_queue_wait(queue, LONG_MS));
    CHECK(is_readable(fd));
    CHECK_INT(fd_of(queue), fd);
    CHECK_OK(tckms_queue_next(queue, &completion));
    tckms_completion_free(completion);
  }
  CHECK(!is_readable(fd));
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void a_full_queue_refuses(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(2);
  uint64_t id = 7;
  submit(queue, client);
  submit(queue, client);
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 1, LONG_MS, NULL, &id), TCKMS_ERR_QUEUE_FULL);
  CHECK_INT(id, 0);
  /* A completion that was not taken counts too. */
  CHECK_OK(tckms_queue_wait(queue, LONG_MS));
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 1, LONG_MS, NULL, NULL), TCKMS_ERR_QUEUE_FULL);
  tckms_completion_free(take(queue));
  submit(queue, client);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void invalid_arguments_are_refused_at_once(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
  tckms_queue *none = (tckms_queue *)&options;
  static char large[8193];
  uint64_t id = 7;
  int fd = 0;
  options.depth = 1048577;
  CHECK_STATUS(tckms_queue_new(&options, sizeof options, &none), TCKMS_ERR_OUT_OF_RANGE);
  CHECK(none == NULL);
  CHECK_STATUS(tckms_queue_new(&options, 3, &none), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_queue_new(NULL, 0, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_queue_fd(NULL, &fd), TCKMS_ERR_NULL_POINTER);
  CHECK_INT(fd, -1);
  CHECK_STATUS(tckms_queue_fd(queue, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_queue_next(queue, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_queue_wait(queue, -1), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_queue_wait(queue, 3600001), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_cancel(queue, 0), TCKMS_ERR_NOT_OUTSTANDING);
  CHECK_STATUS(tckms_cancel(queue, UINT64_MAX), TCKMS_ERR_NOT_OUTSTANDING);
  CHECK_STATUS(tckms_cancel(NULL, 1), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_submit_generate_random(NULL, client, 1, LONG_MS, NULL, &id), TCKMS_ERR_NULL_POINTER);
  CHECK_INT(id, 0);
  CHECK_STATUS(tckms_submit_generate_random(queue, NULL, 1, LONG_MS, NULL, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 0, LONG_MS, NULL, NULL), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 1, 0, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 1, -1, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_submit_generate_random(queue, client, 1, 3600001, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_submit_encrypt(queue, client, "", "x", 1, NULL, LONG_MS, NULL, NULL), TCKMS_ERR_MALFORMED_KEY_ID);
  CHECK_STATUS(tckms_submit_encrypt(queue, client, MAIN_KEY, "", 0, NULL, LONG_MS, NULL, NULL), TCKMS_ERR_EMPTY_PLAINTEXT);
  CHECK_STATUS(tckms_submit_encrypt(queue, client, MAIN_KEY, large, sizeof large, NULL, LONG_MS, NULL, NULL),
               TCKMS_ERR_PLAINTEXT_TOO_LARGE);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "Encrypt");
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  CHECK_STATUS(tckms_submit_encrypt(queue, client, MAIN_KEY, NULL, 1, NULL, LONG_MS, NULL, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_submit_encrypt(queue, client, MAIN_KEY, "x", 1, "{", LONG_MS, NULL, NULL), TCKMS_ERR_INVALID_CONTEXT);
  CHECK_STATUS(tckms_submit_decrypt(queue, client, NULL, "", 0, NULL, LONG_MS, NULL, NULL), TCKMS_ERR_MALFORMED_BLOB);
  CHECK_STATUS(tckms_submit_sign_digest(queue, client, MAIN_KEY, 99, "x", 1, LONG_MS, NULL, NULL),
               TCKMS_ERR_UNKNOWN_ALGORITHM);
  CHECK_STATUS(tckms_submit_sign_digest(queue, client, MAIN_KEY, 0, large, sizeof large, LONG_MS, NULL, NULL),
               TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_submit_rsa_decrypt(queue, client, MAIN_KEY, TCKMS_RSA_PKCS1_V1_5, "x", 1, LONG_MS, NULL, NULL),
               TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_submit_call(queue, client, "DescribeKey", NULL, LONG_MS, NULL, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_submit_call(queue, client, "", "{}", LONG_MS, NULL, NULL), TCKMS_ERR_MALFORMED_ACTION);
  CHECK_STATUS(tckms_submit_call(queue, client, "Describe Key", "{}", LONG_MS, NULL, NULL), TCKMS_ERR_MALFORMED_ACTION);
  CHECK_STATUS(tckms_submit_call(queue, client, "DescribeKey", "[]", LONG_MS, NULL, NULL),
               TCKMS_ERR_INVALID_REQUEST_JSON);
  CHECK_STATUS(tckms_submit_call(queue, client, "DescribeKey", "{", LONG_MS, NULL, NULL),
               TCKMS_ERR_INVALID_REQUEST_JSON);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "DescribeKey");
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  CHECK_INT(tckms_queue_outstanding(NULL), 0);
  CHECK_INT(tckms_completion_id(NULL), 0);
  CHECK_INT(tckms_completion_status(NULL), TCKMS_ERR_NULL_POINTER);
  CHECK(tckms_completion_output(NULL) == NULL && tckms_completion_error(NULL) == NULL);
  CHECK_TEXT(tckms_completion_request_id(NULL), "");
  tckms_completion_free(NULL);
  tckms_queue_free(NULL);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void a_canceled_call_is_done_at_once(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  uint64_t id, other;
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 1);
  id = submit(queue, client);
  pause_ms(50);
  CHECK_OK(tckms_cancel(queue, id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_CANCELED);
  CHECK_STATUS(tckms_cancel(queue, id), TCKMS_ERR_NOT_OUTSTANDING);
  /* At once: before or after the call could begin. */
  other = submit(queue, client);
  if (tckms_cancel(queue, other) == TCKMS_OK) {
    tckms_status status = take_status(queue, other);
    CHECK(status == TCKMS_ERR_CANCELED || status == TCKMS_OK);
  }
  clear_faults();
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void all_calls_can_be_canceled(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  int count;
  CHECK_STATUS(tckms_queue_cancel_all(NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_OK(tckms_queue_cancel_all(queue));
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 40);
  for (count = 0; count < 40; count++) {
    submit(queue, client);
  }
  CHECK_OK(tckms_queue_cancel_all(queue));
  for (count = 0; count < 40; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_CANCELED);
    tckms_completion_free(completion);
  }
  clear_faults();
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void a_call_ends_with_its_time(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  uint64_t id;
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 1);
  CHECK_OK(tckms_submit_generate_random(queue, client, 1, 100, NULL, &id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_TIMED_OUT);
  clear_faults();
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void a_client_may_be_freed_before_its_calls_are_done(void) {
  tckms_queue *queue = new_queue(0);
  tckms_client *client = emulator_client();
  tckms_client *second = emulator_client();
  uint64_t first = submit(queue, client);
  tckms_client_free(client);
  CHECK_INT(take_status(queue, first), TCKMS_OK);
  submit(queue, second);
  tckms_client_free(second);
  tckms_queue_free(queue);
}

static void a_queue_may_be_freed_with_calls_in_it(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queues[2];
  int count;
  tckms_buffer out;
  queues[0] = new_queue(0);
  queues[1] = new_queue(0);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 40);
  for (count = 0; count < 40; count++) {
    submit(queues[count % 2], client);
  }
  tckms_queue_free(queues[0]);
  tckms_queue_free(queues[1]);
  clear_faults();
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &out));
  tckms_buffer_free(&out);
  tckms_client_free(client);
}

static void many_queues_are_made_and_freed(void) {
  tckms_client *client = emulator_client();
  int count;
  for (count = 0; count < 1000; count++) {
    tckms_queue *queue = new_queue(1);
    fd_of(queue);
    if (count % 50 == 0) {
      submit(queue, client);
    }
    tckms_queue_free(queue);
  }
  tckms_client_free(client);
}

struct log_of_thread {
  pthread_t thread;
  int lines;
};

static void hear(void *userdata, const tckms_log_event *event) {
  struct log_of_thread *log = userdata;
  CHECK(pthread_equal(log->thread, pthread_self()));
  CHECK_TEXT(tckms_log_event_action(event), "Encrypt");
  log->lines++;
}

static void the_log_is_written_on_the_thread_that_takes(void) {
  struct log_of_thread log = {0};
  tckms_config *config = emulator_config();
  tckms_queue *queue = new_queue(0);
  tckms_client *client;
  tckms_stats stats;
  uint64_t id;
  log.thread = pthread_self();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_INFO, hear, &log, NULL));
  client = client_of(config);
  id = submit(queue, client);
  CHECK_OK(tckms_queue_wait(queue, LONG_MS));
  CHECK_INT(log.lines, 0);
  CHECK_INT(take_status(queue, id), TCKMS_OK);
  CHECK_INT(log.lines, 1);
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  CHECK_INT(stats.calls, 1);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void messages_are_sealed_and_opened(void) {
  tckms_client *client = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_queue *queue = new_queue(0);
  tckms_stream *stream = NULL;
  tckms_stream *none = NULL;
  tckms_completion *completion;
  tckms_buffer message, plain;
  static unsigned char large[1048577];
  unsigned char out[2000];
  unsigned char back[2000];
  size_t used, made, end, taken;
  int done;
  uint64_t id;
  CHECK_OK(tckms_keyring_add_kms(keyring, client, MAIN_KEY));
  CHECK_OK(tckms_submit_seal(queue, keyring, PLAINTEXT, strlen(PLAINTEXT), "{\"a\":\"b\"}", LONG_MS, NULL, &id));
  message = take_output(queue, id);
  CHECK_OK(tckms_open(keyring, message.data, message.len, "{\"a\":\"b\"}", &plain));
  CHECK_BYTES(plain, PLAINTEXT, strlen(PLAINTEXT));
  tckms_buffer_free(&plain);
  CHECK_OK(tckms_submit_open(queue, keyring, message.data, message.len, "{\"a\":\"b\"}", LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_BYTES(plain, PLAINTEXT, strlen(PLAINTEXT));
  tckms_buffer_free(&plain);
  message.data[message.len - 1] ^= 1;
  CHECK_OK(tckms_submit_open(queue, keyring, message.data, message.len, NULL, LONG_MS, NULL, &id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_FRAME_NOT_AUTHENTIC);
  tckms_buffer_free(&message);

  CHECK_OK(tckms_stream_new_seal(keyring, NULL, &stream));
  CHECK_STATUS(tckms_submit_open_begin(queue, &stream, "x", 1, LONG_MS, NULL, &id), TCKMS_ERR_INVALID_STATE);
  CHECK(stream != NULL);
  CHECK_OK(tckms_submit_seal_begin(queue, &stream, LONG_MS, NULL, &id));
  CHECK(stream == NULL);
  completion = take(queue);
  CHECK_OK(tckms_completion_take_stream(completion, &stream));
  tckms_completion_free(completion);
  CHECK_OK(tckms_stream_update(stream, PLAINTEXT, strlen(PLAINTEXT), &used, out, sizeof out, &made));
  CHECK_INT(used, strlen(PLAINTEXT));
  CHECK_OK(tckms_stream_finish(stream, out + made, sizeof out - made, &end, &done));
  CHECK_INT(done, 1);
  tckms_stream_free(stream);

  CHECK_OK(tckms_stream_new_open(keyring, NULL, &stream));
  /* A header of a length that none has leaves the stream to the program. */
  CHECK_STATUS(tckms_submit_open_begin(queue, &stream, out, 0, LONG_MS, NULL, &id), TCKMS_ERR_INVALID_LENGTH);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "the header has no bytes; 1 to 1048576 are allowed");
  CHECK_STATUS(tckms_submit_open_begin(queue, &stream, NULL, 0, LONG_MS, NULL, &id), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_submit_open_begin(queue, &stream, large, sizeof large, LONG_MS, NULL, &id),
               TCKMS_ERR_INVALID_LENGTH);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "the header has 1048577 bytes; 1 to 1048576 are allowed");
  CHECK(stream != NULL && id == 0);
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  CHECK_OK(tckms_submit_open_begin(queue, &stream, out, made + end, LONG_MS, NULL, &id));
  completion = take(queue);
  CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
  taken = tckms_completion_consumed(completion);
  CHECK(taken > 0 && taken <= made + end);
  CHECK_OK(tckms_completion_take_stream(completion, &stream));
  CHECK_STATUS(tckms_completion_take_stream(completion, &none), TCKMS_ERR_INVALID_STATE);
  CHECK(none == NULL);
  tckms_completion_free(completion);
  CHECK_OK(tckms_stream_update(stream, out + taken, made + end - taken, &used, back, sizeof back, &made));
  CHECK_OK(tckms_stream_finish(stream, back + made, sizeof back - made, &end, &done));
  CHECK_INT(done, 1);
  CHECK_INT(made + end, strlen(PLAINTEXT));
  CHECK(memcmp(back, PLAINTEXT, made + end) == 0);
  tckms_stream_free(stream);
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

/* The same limit applies to a plaintext and to a message, and sealing makes a plaintext longer. */
static void the_longest_plaintext_needs_a_stream_to_be_opened(void) {
  tckms_client *client = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_queue *queue = new_queue(0);
  tckms_stream *stream = NULL;
  tckms_completion *completion;
  tckms_buffer message;
  static unsigned char plain[TCKMS_QUEUE_MESSAGE_MAX + 1];
  static unsigned char back[TCKMS_QUEUE_MESSAGE_MAX];
  size_t used, made, end, taken;
  int done;
  uint64_t id;
  memset(plain, 'p', sizeof plain);
  CHECK_OK(tckms_keyring_add_kms(keyring, client, MAIN_KEY));
  CHECK_STATUS(tckms_submit_seal(queue, keyring, plain, sizeof plain, NULL, LONG_MS, NULL, &id),
               TCKMS_ERR_PLAINTEXT_TOO_LARGE);
  CHECK_OK(tckms_submit_seal(queue, keyring, plain, TCKMS_QUEUE_MESSAGE_MAX, NULL, LONG_MS, NULL, &id));
  message = take_output(queue, id);
  CHECK(message.len > TCKMS_QUEUE_MESSAGE_MAX);
  CHECK_STATUS(tckms_submit_open(queue, keyring, message.data, message.len, NULL, LONG_MS, NULL, &id),
               TCKMS_ERR_PLAINTEXT_TOO_LARGE);
  CHECK_OK(tckms_stream_new_open(keyring, NULL, &stream));
  CHECK_OK(tckms_submit_open_begin(queue, &stream, message.data, 4096, LONG_MS, NULL, &id));
  completion = take(queue);
  CHECK_OK(tckms_completion_take_stream(completion, &stream));
  taken = tckms_completion_consumed(completion);
  tckms_completion_free(completion);
  CHECK_OK(tckms_stream_update(stream, message.data + taken, message.len - taken, &used, back, sizeof back, &made));
  CHECK_INT(used, message.len - taken);
  CHECK_OK(tckms_stream_finish(stream, back + made, sizeof back - made, &end, &done));
  CHECK_INT(done, 1);
  CHECK_INT(made + end, TCKMS_QUEUE_MESSAGE_MAX);
  CHECK(memcmp(back, plain, sizeof back) == 0);
  tckms_stream_free(stream);
  tckms_buffer_free(&message);
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

static int supply(void *userdata, tckms_credentials *credentials) {
  pause_ms(30);
  CHECK(!pthread_equal(*(pthread_t *)userdata, pthread_self()));
  CHECK_OK(tckms_credentials_set(credentials, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0));
  return 0;
}

static void a_credentials_callback_runs_on_a_worker(void) {
  pthread_t self = pthread_self();
  tckms_config *config = emulator_config();
  tckms_queue *queue = new_queue(0);
  tckms_client *client;
  int count;
  CHECK_OK(tckms_config_set_credentials_callback(config, supply, &self, NULL));
  client = client_of(config);
  for (count = 0; count < 20; count++) {
    submit(queue, client);
  }
  for (count = 0; count < 20; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void in_a_child_every_call_is_done_without_success(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  enum { CALLS = 500 };
  static char seen[CALLS + 1];
  int count, status = 0;
  pid_t child;
  fd_of(queue);
  for (count = 0; count < CALLS; count++) {
    submit(queue, client);
  }
  child = fork();
  if (child == 0) {
    tckms_completion *completion;
    tckms_buffer out;
    for (count = 0; count < CALLS; count++) {
      completion = take(queue);
      CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_TRANSPORT_UNAVAILABLE);
      CHECK(tckms_completion_id(completion) <= CALLS && !seen[tckms_completion_id(completion)]++);
      tckms_completion_free(completion);
    }
    CHECK_STATUS(tckms_queue_next(queue, &completion), TCKMS_ERR_AGAIN);
    CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
    CHECK_OK(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &out));
    tckms_buffer_free(&out);
    tckms_queue_free(queue);
    tckms_client_free(client);
    _exit(0);
  }
  for (count = 0; count < CALLS; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    CHECK(!seen[tckms_completion_id(completion)]++);
    tckms_completion_free(completion);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

/* Closes all descriptors, as a daemon does, including those of the queue. */
static void when_all_descriptors_are_closed_every_call_is_done(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  int fd, count, before;
  before = fd_of(queue);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 10);
  for (count = 0; count < 10; count++) {
    submit(queue, client);
  }
  pause_ms(100);
  for (fd = 3; fd < 256; fd++) {
    close(fd);
  }
  for (count = 0; count < 10; count++) {
    tckms_completion *completion = NULL;
    CHECK_OK(tckms_queue_wait(queue, LONG_MS));
    CHECK_OK(tckms_queue_next(queue, &completion));
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_TRANSPORT_UNAVAILABLE);
    tckms_completion_free(completion);
  }
  clear_faults();
  (void)before;
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void *submit_and_take(void *shared) {
  tckms_queue *queue = ((void **)shared)[0];
  tckms_client *client = ((void **)shared)[1];
  int count;
  for (count = 0; count < 25; count++) {
    tckms_completion *completion = NULL;
    submit(queue, client);
    while (tckms_queue_next(queue, &completion) != TCKMS_OK) {
      tckms_status waited = tckms_queue_wait(queue, 1000);
      CHECK(waited == TCKMS_OK || waited == TCKMS_ERR_AGAIN);
    }
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  return NULL;
}

static void threads_may_share_a_queue(void) {
  void *shared[2];
  pthread_t threads[4];
  int count;
  shared[0] = new_queue(0);
  shared[1] = emulator_client();
  for (count = 0; count < 4; count++) {
    CHECK_INT(pthread_create(&threads[count], NULL, submit_and_take, shared), 0);
  }
  for (count = 0; count < 4; count++) {
    CHECK_INT(pthread_join(threads[count], NULL), 0);
  }
  CHECK_INT(tckms_queue_outstanding(shared[0]), 0);
  tckms_queue_free(shared[0]);
  tckms_client_free(shared[1]);
}

int main(void) {
  every_call_has_the_result_of_the_blocking_call();
  a_failure_has_its_detail();
  the_descriptor_is_readable_while_completions_wait();
  a_full_queue_refuses();
  invalid_arguments_are_refused_at_once();
  a_canceled_call_is_done_at_once();
  all_calls_can_be_canceled();
  a_call_ends_with_its_time();
  a_client_may_be_freed_before_its_calls_are_done();
  a_queue_may_be_freed_with_calls_in_it();
  many_queues_are_made_and_freed();
  the_log_is_written_on_the_thread_that_takes();
  messages_are_sealed_and_opened();
  the_longest_plaintext_needs_a_stream_to_be_opened();
  a_credentials_callback_runs_on_a_worker();
  threads_may_share_a_queue();
  if (getenv("TEST_SANITIZED") == NULL) {
    in_a_child_every_call_is_done_without_success();
    when_all_descriptors_are_closed_every_call_is_done();
  }
  return checks_passed();
}
