/* No secret of a queued call remains in memory after the call was done, canceled in flight, or abandoned. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>

#include "process.h"
#include "queue.h"
#include "secrets.h"

enum { SIZE = 48, IN_FLIGHT = 20 };

static const char SLOW[] = "{\"kind\":\"delay\",\"ms\":20000}";

/* A network thread wipes a request a moment after its completion was taken. */
static void expect_nothing_left_soon(void) {
  forget();
  sleep_ms(100);
  expect_nothing_left();
}

static void submit_secret(tckms_queue *queue, tckms_client *client, const char *name) {
  make_secret(name, SIZE);
  CHECK_OK(tckms_submit_encrypt(queue, client, MAIN_KEY, clear, SIZE, NULL, LONG_MS, NULL, NULL));
  forget();
}

/* Other calls are in flight meanwhile, on other connections. */
static void after_calls_that_are_done(void) {
  tckms_client *client = emulator_client(), *other = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_buffer blob, plain, key;
  uint64_t id;
  int count;
  set_fault("GenerateRandom", SLOW, IN_FLIGHT);
  for (count = 0; count < IN_FLIGHT; count++) {
    CHECK_OK(tckms_submit_generate_random(queue, other, 8, LONG_MS, NULL, NULL));
  }
  make_secret("a plaintext", SIZE);
  CHECK_OK(tckms_submit_encrypt(queue, client, MAIN_KEY, clear, SIZE, NULL, LONG_MS, NULL, &id));
  forget();
  blob = take_output(queue, id);
  CHECK_OK(tckms_submit_decrypt(queue, client, MAIN_KEY, blob.data, blob.len, NULL, LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_INT(plain.len, SIZE);
  tckms_buffer_free(&plain);
  tckms_buffer_free(&blob);
  CHECK_OK(tckms_submit_generate_data_key(queue, client, MAIN_KEY, SIZE, NULL, LONG_MS, NULL, &id));
  key = take_output(queue, id);
  look_for("a data key", key.data, key.len);
  tckms_buffer_free(&key);
  /* Over TLS the buffers of connections keep the last data. */
  tckms_client_free(client);
  expect_nothing_left_soon();
  CHECK_INT(tckms_queue_outstanding(queue), IN_FLIGHT);
  clear_faults();
  tckms_queue_free(queue);
  tckms_client_free(other);
}

static void after_calls_that_are_canceled(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  int count;
  set_fault("*", SLOW, IN_FLIGHT);
  for (count = 0; count < IN_FLIGHT; count++) {
    submit_secret(queue, client, "a canceled plaintext");
  }
  sleep_ms(200);
  CHECK_OK(tckms_queue_cancel_all(queue));
  for (count = 0; count < IN_FLIGHT; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_CANCELED);
    tckms_completion_free(completion);
  }
  clear_faults();
  expect_nothing_left_soon();
  tckms_queue_free(queue);
  tckms_client_free(client);
}

/* Calls in flight, and one that is done and was not taken. */
static void after_the_end_of_a_queue(void) {
  tckms_client *client = emulator_client(), *quick = emulator_client();
  tckms_queue *queue = new_queue(0);
  tckms_buffer blob;
  int count;
  make_secret("a plaintext that is not taken", SIZE);
  CHECK_OK(tckms_encrypt(quick, MAIN_KEY, clear, SIZE, NULL, &blob));
  forget();
  CHECK_OK(tckms_submit_decrypt(queue, quick, MAIN_KEY, blob.data, blob.len, NULL, LONG_MS, NULL, NULL));
  CHECK_OK(tckms_queue_wait(queue, LONG_MS));
  tckms_client_free(quick);
  tckms_buffer_free(&blob);
  set_fault("*", SLOW, IN_FLIGHT);
  for (count = 0; count < IN_FLIGHT; count++) {
    submit_secret(queue, client, "a plaintext of an abandoned call");
  }
  sleep_ms(200);
  tckms_queue_free(queue);
  clear_faults();
  expect_nothing_left_soon();
  tckms_client_free(client);
}

static void after_messages(void) {
  tckms_client *client = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_queue *queue = new_queue(0);
  tckms_buffer message, plain;
  uint64_t id;
  CHECK_OK(tckms_keyring_add_kms(keyring, client, MAIN_KEY));
  make_secret("a sealed plaintext", SIZE);
  CHECK_OK(tckms_submit_seal(queue, keyring, clear, SIZE, NULL, LONG_MS, NULL, &id));
  forget();
  message = take_output(queue, id);
  CHECK_OK(tckms_submit_open(queue, keyring, message.data, message.len, NULL, LONG_MS, NULL, &id));
  plain = take_output(queue, id);
  CHECK_INT(plain.len, SIZE);
  tckms_buffer_free(&plain);
  tckms_buffer_free(&message);
  set_fault("*", SLOW, 2);
  make_secret("a plaintext whose sealing is canceled", SIZE);
  CHECK_OK(tckms_submit_seal(queue, keyring, clear, SIZE, NULL, LONG_MS, NULL, &id));
  forget();
  sleep_ms(100);
  CHECK_OK(tckms_cancel(queue, id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_CANCELED);
  make_secret("a plaintext whose sealing times out", SIZE);
  CHECK_OK(tckms_submit_seal(queue, keyring, clear, SIZE, NULL, 100, NULL, &id));
  forget();
  CHECK_INT(take_status(queue, id), TCKMS_ERR_TIMED_OUT);
  clear_faults();
  expect_nothing_left_soon();
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

int main(void) {
  after_calls_that_are_done();
  after_calls_that_are_canceled();
  after_the_end_of_a_queue();
  after_messages();
  return reports_only() ? 0 : checks_passed();
}
