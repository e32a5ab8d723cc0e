/*
 * Operations that the header allows while calls run: deriving, canceling and freeing other clients that share with the one in use;
 * freeing keyrings and configurations before the objects made with them; callbacks that free the last reference to an object; and a
 * fork within a callback.
 *
 * With TEST_SANITIZED set there is no fork: sanitizers do not follow a process with threads into its child.
 */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

#include "fixture.h"

enum { THREADS = 8, ROUNDS = 20 };

static tckms_client *shared;
static tckms_keyring *keyring;

static void encrypt_with(const tckms_client *client) {
  tckms_buffer blob;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob));
  tckms_buffer_free(&blob);
}

/* Every thread derives a client from the shared one, calls with both, and frees its own while other threads call. */
static void *derive_and_free(void *unused) {
  int round;
  (void)unused;
  for (round = 0; round < ROUNDS; round++) {
    tckms_client *sibling = NULL;
    tckms_stats stats;
    CHECK_OK(tckms_client_derive_timeout_ms(shared, 60000, &sibling));
    encrypt_with(sibling);
    CHECK_OK(tckms_client_stats(shared, &stats, sizeof stats));
    if (round % 4 == 0) {
      tckms_buffer blob;
      CHECK_OK(tckms_client_cancel(sibling));
      CHECK_STATUS(tckms_encrypt(sibling, MAIN_KEY, "x", 1, NULL, &blob), TCKMS_ERR_CANCELED);
    }
    tckms_client_free(sibling);
    encrypt_with(shared);
  }
  return NULL;
}

/* Streams of one keyring on all threads, and one thread's error freed by another. */
static void *seal_and_hand_over(void *unused) {
  int round;
  (void)unused;
  for (round = 0; round < ROUNDS; round++) {
    tckms_stream *stream = NULL;
    tckms_buffer message;
    tckms_buffer plaintext;
    CHECK_OK(tckms_seal(keyring, "secret", 6, "{\"a\":\"b\"}", &message));
    CHECK_OK(tckms_open(keyring, message.data, message.len, NULL, &plaintext));
    CHECK_BYTES(plaintext, "secret", 6);
    tckms_buffer_free(&plaintext);
    tckms_buffer_free(&message);
    CHECK_OK(tckms_stream_new_open(keyring, NULL, &stream));
    tckms_stream_free(stream);
  }
  CHECK_STATUS(tckms_client_new(NULL, NULL), TCKMS_ERR_NULL_POINTER);
  return tckms_last_error_take();
}

static void in_threads(void *(*work)(void *)) {
  pthread_t threads[THREADS];
  int i;
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, work, NULL), 0);
  }
  for (i = 0; i < THREADS; i++) {
    void *error = NULL;
    CHECK_INT(pthread_join(threads[i], &error), 0);
    CHECK(error == NULL || tckms_error_status(error) == TCKMS_ERR_NULL_POINTER);
    tckms_error_free(error);
  }
}

struct last_holder {
  tckms_client *client;
  tckms_config *config;
  int forked;
};

/* A callback frees handles that no call uses: the log of one client frees another one. */
static void free_another(void *userdata, const tckms_log_event *event) {
  struct last_holder *holder = userdata;
  CHECK(tckms_log_event_level(event) > TCKMS_LOG_OFF);
  tckms_client_free(holder->client);
  tckms_config_free(holder->config);
  holder->client = NULL;
  holder->config = NULL;
}

static void a_callback_frees_the_last_reference(void) {
  struct last_holder holder = {NULL, NULL, 0};
  tckms_config *config = emulator_config();
  tckms_client *client;
  holder.client = emulator_client();
  holder.config = tckms_config_new();
  encrypt_with(holder.client);
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, free_another, &holder, NULL));
  client = client_of(config);
  encrypt_with(client);
  CHECK(holder.client == NULL);
  tckms_client_free(client);
}

/* The child uses the same client inside the callback of a call that its parent began. */
static void fork_here(void *userdata, const tckms_log_event *event) {
  struct last_holder *holder = userdata;
  pid_t child;
  int status = 0;
  (void)event;
  if (holder->forked++ > 0) {
    return;
  }
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    encrypt_with(holder->client);
    _exit(0);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_callback_forks(void) {
  struct last_holder holder = {NULL, NULL, 0};
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, fork_here, &holder, NULL));
  holder.client = client_of(config);
  encrypt_with(holder.client);
  CHECK(holder.forked > 0);
  encrypt_with(holder.client);
  tckms_client_free(holder.client);
}

int main(void) {
  shared = emulator_client();
  keyring = tckms_keyring_new();
  CHECK_OK(tckms_keyring_add_kms(keyring, shared, MAIN_KEY));
  CHECK_OK(tckms_keyring_set_cache(keyring, &(tckms_cache_limits)TCKMS_CACHE_LIMITS_INIT, sizeof(tckms_cache_limits)));
  in_threads(derive_and_free);
  in_threads(seal_and_hand_over);
  tckms_client_free(shared);
  in_threads(seal_and_hand_over);
  tckms_keyring_free(keyring);
  a_callback_frees_the_last_reference();
  if (getenv("TEST_SANITIZED") == NULL) {
    a_callback_forks();
  }
  return checks_passed();
}
