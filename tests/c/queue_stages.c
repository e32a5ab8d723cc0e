/* Calls of a queue: those with asymmetric keys, and the end of calls at each stage. */
#define _GNU_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "admin.h"
#include "clock.h"
#include "fixture.h"
#include "process.h"
#include "queue.h"

static void new_key(const tckms_client *client, const char *alias, const char *usage, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  CHECK(id.len < 64);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static const struct {
  const char *alias;
  const char *usage;
  int algorithms[3];
  size_t digest_len;
} SIGNING[] = {
    {"queue-p256", TCKMS_KEY_USAGE_SIGN_ECC, {TCKMS_SIGN_DEFAULT, TCKMS_SIGN_ECDSA_P256_SHA256, 0}, 32},
    {"queue-p384", TCKMS_KEY_USAGE_SIGN_ECDSA384, {TCKMS_SIGN_ECDSA_P384_SHA384, 0, 0}, 48},
    {"queue-rsa", TCKMS_KEY_USAGE_SIGN_RSA_2048, {TCKMS_SIGN_RSA_PSS_SHA256, TCKMS_SIGN_RSA_PKCS1_SHA256, 0}, 32},
    {"queue-sm2", TCKMS_KEY_USAGE_SIGN_SM2, {TCKMS_SIGN_SM2_SM3, 0, 0}, 32},
};

static void digests_are_signed_with_each_algorithm(void) {
  static const unsigned char digest[48] = {1, 2, 3};
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  size_t key, use;
  uint64_t id;
  for (key = 0; key < sizeof SIGNING / sizeof *SIGNING; key++) {
    size_t len = SIGNING[key].digest_len;
    char key_id[64];
    tckms_buffer public_key, same;
    new_key(client, SIGNING[key].alias, SIGNING[key].usage, key_id);
    for (use = 0; use == 0 || SIGNING[key].algorithms[use] != 0; use++) {
      int algorithm = SIGNING[key].algorithms[use];
      tckms_buffer signature;
      CHECK_OK(tckms_submit_sign_digest(queue, client, key_id, algorithm, digest, len, LONG_MS, NULL, &id));
      signature = take_output(queue, id);
      CHECK_OK(tckms_verify_digest(client, key_id, algorithm, digest, len, signature.data, signature.len));
      tckms_buffer_free(&signature);
    }
    CHECK_OK(tckms_submit_sign_digest(queue, client, key_id, 0, digest, len - 1, LONG_MS, NULL, &id));
    CHECK_INT(take_status(queue, id), TCKMS_ERR_INVALID_LENGTH);
    CHECK_OK(tckms_submit_public_key(queue, client, key_id, LONG_MS, NULL, &id));
    public_key = take_output(queue, id);
    CHECK_OK(tckms_public_key(client, key_id, &same));
    CHECK_BYTES(public_key, same.data, same.len);
    tckms_buffer_free(&public_key);
    tckms_buffer_free(&same);
  }
  CHECK_OK(tckms_submit_public_key(queue, client, "00000000-0000-0000-0000-000000000000", LONG_MS, NULL, &id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_CMK_NOT_FOUND);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void ciphertexts_are_decrypted_with_each_padding(void) {
  static const int paddings[] = {TCKMS_RSA_OAEP_SHA256, TCKMS_RSA_OAEP_SHA1, TCKMS_RSA_PKCS1_V1_5};
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  char key_id[64];
  uint64_t id;
  size_t use;
  new_key(client, "queue-decrypts", TCKMS_KEY_USAGE_DECRYPT_RSA_2048, key_id);
  for (use = 0; use < 3; use++) {
    tckms_buffer ciphertext, plain;
    CHECK_OK(tckms_rsa_encrypt(client, key_id, paddings[use], PLAINTEXT, strlen(PLAINTEXT), &ciphertext));
    CHECK_OK(tckms_submit_rsa_decrypt(queue, client, key_id, paddings[use], ciphertext.data, ciphertext.len, LONG_MS,
                                      NULL, &id));
    plain = take_output(queue, id);
    CHECK_BYTES(plain, PLAINTEXT, strlen(PLAINTEXT));
    tckms_buffer_free(&plain);
    CHECK_STATUS(tckms_submit_rsa_decrypt(queue, client, key_id, paddings[use], ciphertext.data, ciphertext.len - 1,
                                          LONG_MS, NULL, &id),
                 TCKMS_ERR_INVALID_LENGTH);
    CHECK_INT(id, 0);
    tckms_buffer_free(&ciphertext);
  }
  CHECK_STATUS(tckms_submit_rsa_decrypt(queue, client, key_id, 99, "x", 1, LONG_MS, NULL, NULL),
               TCKMS_ERR_UNKNOWN_ALGORITHM);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

/* A callback that waits until the test opens the gate. */
struct gate {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int inside;
  int is_open;
};

static void gate_init(struct gate *gate) {
  memset(gate, 0, sizeof *gate);
  pthread_mutex_init(&gate->lock, NULL);
  pthread_cond_init(&gate->changed, NULL);
}

static void pass(struct gate *gate) {
  pthread_mutex_lock(&gate->lock);
  gate->inside++;
  pthread_cond_broadcast(&gate->changed);
  while (!gate->is_open) {
    pthread_cond_wait(&gate->changed, &gate->lock);
  }
  pthread_mutex_unlock(&gate->lock);
}

static void wait_inside(struct gate *gate, int count) {
  pthread_mutex_lock(&gate->lock);
  while (gate->inside < count) {
    pthread_cond_wait(&gate->changed, &gate->lock);
  }
  pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate) {
  pthread_mutex_lock(&gate->lock);
  gate->is_open = 1;
  pthread_cond_broadcast(&gate->changed);
  pthread_mutex_unlock(&gate->lock);
}

static int generate(void *userdata, const char *context, uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)context;
  pass(userdata);
  memset(data_key, 7, len);
  return tckms_wrapped_key_set(out, "i", 1, "w", 1);
}

static int wrap(void *userdata, const char *context, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)context, (void)data_key, (void)len;
  pass(userdata);
  return tckms_wrapped_key_set(out, "i", 1, "w", 1);
}

static tckms_keyring *keyring_with_gate(struct gate *gate) {
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  tckms_keyring *keyring = tckms_keyring_new();
  key.provider_id = "slow";
  key.generate = generate;
  key.wrap = wrap;
  key.userdata = gate;
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
  return keyring;
}

enum { WORKERS = 8, WAITING = 20, SHORT_MS = 300, LATE_MS = 100 };

/* Also calls that no worker has started, because all workers are inside callbacks. */
static void a_sealing_call_ends_with_its_time(void) {
  struct gate gate;
  tckms_keyring *keyring;
  tckms_queue *queue = new_queue(0);
  long began, first, last;
  int count;
  gate_init(&gate);
  keyring = keyring_with_gate(&gate);
  for (count = 0; count < WORKERS; count++) {
    CHECK_OK(tckms_submit_seal(queue, keyring, "x", 1, NULL, count % 2 == 0 ? LONG_MS : SHORT_MS, NULL, NULL));
  }
  wait_inside(&gate, WORKERS);
  began = now_ms();
  for (count = 0; count < WAITING; count++) {
    CHECK_OK(tckms_submit_seal(queue, keyring, "x", 1, NULL, SHORT_MS + 5 * count, NULL, NULL));
  }
  for (count = 0; count < WAITING + WORKERS / 2; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_TIMED_OUT);
    tckms_completion_free(completion);
    if (count == 0) {
      first = now_ms() - began;
      CHECK(first <= SHORT_MS + LATE_MS + slack_ms());
    }
  }
  last = now_ms() - began;
  CHECK(last >= SHORT_MS && last <= SHORT_MS + 5 * WAITING + LATE_MS + slack_ms());
  if (getenv("TEST_VERBOSE") != NULL) {
    fprintf(stderr, "sealing calls ended %ld ms after their submission, of %d\n", last, SHORT_MS + 5 * (WAITING - 1));
  }
  CHECK_INT(tckms_queue_outstanding(queue), WORKERS / 2);
  open_gate(&gate);
  for (count = 0; count < WORKERS / 2; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  CHECK_INT(gate.inside, WORKERS);
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
}

static int supply_behind(void *userdata, tckms_credentials *credentials) {
  pass(userdata);
  return tckms_credentials_set(credentials, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0);
}

static tckms_client *client_behind(struct gate *gate) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_credentials_callback(config, supply_behind, gate, NULL));
  return client_of(config);
}

static void workers_exist_only_for_work_that_blocks(void) {
  struct gate gate;
  tckms_client *plain = emulator_client(), *with_callback;
  tckms_queue *queue = new_queue(0);
  int before = threads_at_rest();
  gate_init(&gate);
  open_gate(&gate);
  CHECK_INT(take_status(queue, submit(queue, plain)), TCKMS_OK);
  CHECK_INT(thread_count(), before + 1);
  with_callback = client_behind(&gate);
  CHECK_INT(take_status(queue, submit(queue, with_callback)), TCKMS_OK);
  CHECK_INT(thread_count(), before + 3);
  tckms_queue_free(queue);
  tckms_client_free(plain);
  tckms_client_free(with_callback);
  expect_threads(before);
}

/* A socket that accepts connections but never reads from them. */
static int silent_listener(int backlog, char url[64], const char *scheme) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INT(bind(listener, (struct sockaddr *)&address, len), 0);
  CHECK_INT(listen(listener, backlog), 0);
  CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  snprintf(url, 64, "%s://127.0.0.1:%d", scheme, ntohs(address.sin_port));
  return listener;
}

static void fill(int listener, int connections[2]) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int count;
  CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  for (count = 0; count < 2; count++) {
    connections[count] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(fcntl(connections[count], F_SETFL, O_NONBLOCK), 0);
    (void)connect(connections[count], (struct sockaddr *)&address, len);
  }
}

static tckms_client *client_to(const char *url) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_endpoint(config, url));
  return client_of(config);
}

/* Cancels a call a moment after it was submitted. */
static void is_canceled_soon(tckms_client *client) {
  tckms_queue *queue = new_queue(0);
  uint64_t id = submit(queue, client);
  long began;
  pause_ms(100);
  CHECK_INT(tckms_queue_outstanding(queue), 1);
  began = now_ms();
  CHECK_OK(tckms_cancel(queue, id));
  CHECK_INT(take_status(queue, id), TCKMS_ERR_CANCELED);
  CHECK(now_ms() - began <= 100 + slack_ms());
  CHECK_STATUS(tckms_cancel(queue, id), TCKMS_ERR_NOT_OUTSTANDING);
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  tckms_queue_free(queue);
}

static void a_call_is_canceled_at_every_stage(void) {
  char url[64];
  int listener, connections[2];
  /* Static, because a worker may still be inside a callback when this function returns. */
  static struct gate gate, key_gate;
  tckms_client *client;
  tckms_config *config;
  tckms_queue *queue;
  tckms_keyring *keyring;
  uint64_t id, other;

  listener = silent_listener(0, url, "http");
  fill(listener, connections);
  client = client_to(url);
  is_canceled_soon(client); /* while it connects */
  tckms_client_free(client);
  close(connections[0]);
  close(connections[1]);
  close(listener);

  listener = silent_listener(16, url, "https");
  client = client_to(url);
  is_canceled_soon(client); /* during the TLS handshake */
  tckms_client_free(client);
  close(listener);

  listener = silent_listener(16, url, "http");
  client = client_to(url);
  is_canceled_soon(client); /* while it waits for the reply */
  tckms_client_free(client);
  close(listener);

  config = emulator_config();
  CHECK_OK(tckms_config_set_max_connections(config, 1));
  client = client_of(config);
  queue = new_queue(0);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", 1);
  other = submit(queue, client);
  pause_ms(50);
  is_canceled_soon(client); /* while it waits for a connection */
  CHECK_OK(tckms_cancel(queue, other));
  CHECK_INT(take_status(queue, other), TCKMS_ERR_CANCELED);
  clear_faults();
  tckms_queue_free(queue);
  tckms_client_free(client);

  config = emulator_config();
  CHECK_OK(tckms_config_set_max_attempts(config, 10));
  client = client_of(config);
  set_fault("*", "{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"}", 100);
  is_canceled_soon(client); /* before its next attempt */
  clear_faults();
  tckms_client_free(client);

  config = emulator_config();
  CHECK_OK(tckms_config_set_rate_limit(config, 1, 1));
  client = client_of(config);
  queue = new_queue(0);
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  is_canceled_soon(client); /* while it waits for the rate limit */
  tckms_client_free(client);

  gate_init(&gate);
  client = client_behind(&gate);
  is_canceled_soon(client); /* while it waits for credentials */
  open_gate(&gate);
  tckms_client_free(client);

  gate_init(&key_gate);
  keyring = keyring_with_gate(&key_gate);
  CHECK_OK(tckms_submit_seal(queue, keyring, "x", 1, NULL, LONG_MS, NULL, &id));
  wait_inside(&key_gate, 1);
  CHECK_OK(tckms_cancel(queue, id)); /* inside a custom key */
  CHECK_INT(take_status(queue, id), TCKMS_ERR_CANCELED);
  open_gate(&key_gate);
  tckms_keyring_free(keyring);

  client = emulator_client();
  id = submit(queue, client);
  CHECK_OK(tckms_queue_wait(queue, LONG_MS));
  CHECK_STATUS(tckms_cancel(queue, id), TCKMS_ERR_NOT_OUTSTANDING); /* done, and not taken */
  CHECK_INT(take_status(queue, id), TCKMS_OK);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static void the_rate_limit_counts_queued_calls(void) {
  enum { CALLS = 6, PER_SECOND = 20 };
  tckms_config *config = emulator_config();
  tckms_queue *queue = new_queue(0);
  tckms_client *client;
  long began;
  int count;
  CHECK_OK(tckms_config_set_rate_limit(config, PER_SECOND, 1));
  client = client_of(config);
  began = now_ms();
  for (count = 0; count < CALLS; count++) {
    submit(queue, client);
  }
  for (count = 0; count < CALLS; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  CHECK(now_ms() - began >= (CALLS - 1) * 1000 / PER_SECOND - 10);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

/* Three clients in each of two queues: each completion is in the queue of its call. */
static void queues_and_clients_may_be_combined(void) {
  tckms_client *clients[3];
  tckms_queue *queues[2];
  int queue, client, count;
  char place[2][90];
  for (client = 0; client < 3; client++) {
    clients[client] = emulator_client();
  }
  for (queue = 0; queue < 2; queue++) {
    queues[queue] = new_queue(0);
    fd_of(queues[queue]);
  }
  memset(place, 0, sizeof place);
  for (count = 0; count < 90; count++) {
    for (queue = 0; queue < 2; queue++) {
      CHECK_OK(tckms_submit_generate_random(queues[queue], clients[count % 3], 8, LONG_MS, &place[queue][count], NULL));
    }
  }
  for (count = 0; count < 90; count++) {
    for (queue = 0; queue < 2; queue++) {
      tckms_completion *completion = take(queues[queue]);
      char *found = tckms_completion_userdata(completion);
      CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
      CHECK(found >= place[queue] && found < place[queue] + 90 && !(*found)++);
      tckms_completion_free(completion);
    }
  }
  for (queue = 0; queue < 2; queue++) {
    CHECK_INT(tckms_queue_outstanding(queues[queue]), 0);
    tckms_queue_free(queues[queue]);
  }
  for (client = 0; client < 3; client++) {
    tckms_client_free(clients[client]);
  }
}

/* The parent created both and never used them. */
static void a_child_may_be_the_first_to_submit(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
    tckms_queue_free(queue);
    tckms_client_free(client);
    _exit(0);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

int main(void) {
  if (getenv("TEST_SANITIZED") == NULL) {
    a_child_may_be_the_first_to_submit();
  }
  workers_exist_only_for_work_that_blocks();
  digests_are_signed_with_each_algorithm();
  ciphertexts_are_decrypted_with_each_padding();
  a_sealing_call_ends_with_its_time();
  a_call_is_canceled_at_every_stage();
  the_rate_limit_counts_queued_calls();
  queues_and_clients_may_be_combined();
  return checks_passed();
}
