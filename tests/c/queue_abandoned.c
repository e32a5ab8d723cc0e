/*
 * Calls of a queue whose network thread never finishes them, since the host closed its descriptors or forked: what they had is freed,
 * and nothing is written to descriptors of the host. And calls that wait for a callback that takes long.
 */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "admin.h"
#include "fixture.h"
#include "process.h"
#include "queue.h"

static int freed;
/* The number of threads when the library has none. */
static int at_rest;

static int supply(void *userdata, tckms_credentials *credentials) {
  (void)userdata;
  CHECK_OK(tckms_credentials_set(credentials, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0));
  return 0;
}

static void count_freed(void *userdata) {
  (void)userdata;
  freed++;
}

/* A client whose destructor tells when it is really freed. */
static tckms_client *client_that_tells(void) {
  tckms_config *config = emulator_config();
  freed = 0;
  CHECK_OK(tckms_config_set_credentials_callback(config, supply, NULL, count_freed));
  return client_of(config);
}

static void submit_slow_calls(tckms_queue *queue, tckms_client *client, int calls) {
  tckms_completion *completion;
  int count;
  /* So that the worker is not inside the callback later. */
  submit(queue, client);
  completion = take(queue);
  CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
  tckms_completion_free(completion);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", calls);
  for (count = 0; count < calls; count++) {
    submit(queue, client);
  }
  pause_ms(100);
}

static void take_calls_without_success(tckms_queue *queue, int calls) {
  int count;
  for (count = 0; count < calls; count++) {
    tckms_completion *completion = NULL;
    CHECK_OK(tckms_queue_wait(queue, LONG_MS));
    CHECK_OK(tckms_queue_next(queue, &completion));
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_TRANSPORT_UNAVAILABLE);
    tckms_completion_free(completion);
  }
}

/* The queue still works, and nothing that is left of earlier calls keeps the client. */
static void expect_that_all_is_freed(tckms_queue *queue, tckms_client *client) {
  clear_faults();
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  tckms_queue_free(queue);
  tckms_client_free(client);
  CHECK_INT(freed, 1);
}

static void a_child_frees_what_the_calls_of_its_parent_had(void) {
  enum { CALLS = 5 };
  tckms_client *client = client_that_tells();
  tckms_queue *queue = new_queue(0);
  int status = 0;
  pid_t child;
  submit_slow_calls(queue, client, CALLS);
  child = fork();
  if (child == 0) {
    int descriptors = descriptor_count(), rest = threads_at_rest();
    take_calls_without_success(queue, CALLS);
    expect_that_all_is_freed(queue, client);
    CHECK_INT(descriptor_count(), descriptors);
    expect_threads(rest);
    _exit(0);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  tckms_queue_free(queue);
  tckms_client_free(client);
  CHECK_INT(freed, 1);
}

static int taken;

static void *take_all(void *queue) {
  tckms_completion *completion;
  while (tckms_queue_next(queue, &completion) == TCKMS_OK) {
    __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
    tckms_completion_free(completion);
  }
  return NULL;
}

static void threads_of_a_child_that_use_a_queue_first_find_every_call(void) {
  enum { CALLS = 3000, THREADS = 8, ROUNDS = 5 };
  int round;
  for (round = 0; round < ROUNDS; round++) {
    tckms_client *client = emulator_client();
    tckms_queue *queue = new_queue(CALLS);
    int count, status = 0;
    pid_t child;
    for (count = 0; count < CALLS; count++) {
      submit(queue, client);
    }
    child = fork();
    if (child == 0) {
      pthread_t threads[THREADS];
      for (count = 0; count < THREADS; count++) {
        CHECK_INT(pthread_create(&threads[count], NULL, take_all, queue), 0);
      }
      for (count = 0; count < THREADS; count++) {
        CHECK_INT(pthread_join(threads[count], NULL), 0);
      }
      CHECK_INT(taken, CALLS);
      _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    tckms_queue_free(queue);
    tckms_client_free(client);
  }
}

static void close_all_descriptors(void) {
  int fd;
  for (fd = 3; fd < 256; fd++) {
    close(fd);
  }
}

static void after_all_descriptors_were_closed_the_client_is_freed(void) {
  enum { CALLS = 20 };
  tckms_client *client = client_that_tells();
  tckms_queue *queue = new_queue(0);
  submit_slow_calls(queue, client, CALLS);
  close_all_descriptors();
  take_calls_without_success(queue, CALLS);
  expect_that_all_is_freed(queue, client);
}

static int is_over;

static void *keep_busy(void *shared) {
  tckms_queue *queue = ((void **)shared)[0];
  tckms_client *client = ((void **)shared)[1];
  tckms_completion *completion;
  while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
    tckms_status submitted = tckms_submit_encrypt(queue, client, MAIN_KEY, "x", 1, NULL, 4000, NULL, NULL);
    CHECK(submitted == TCKMS_OK || submitted == TCKMS_ERR_QUEUE_FULL || submitted == TCKMS_ERR_TRANSPORT_UNAVAILABLE);
    while (tckms_queue_next(queue, &completion) == TCKMS_OK) {
      tckms_completion_free(completion);
    }
  }
  return NULL;
}

/* The network thread never sleeps here, and finds out before its next write. */
static void a_busy_network_thread_writes_to_no_file_of_the_host(void) {
  enum { FILES = 200, ROUNDS = 20 };
  static int files[FILES];
  void *shared[2];
  pthread_t busy;
  int round, i;
  char byte;
  shared[0] = new_queue(64);
  shared[1] = emulator_client();
  CHECK_INT(pthread_create(&busy, NULL, keep_busy, shared), 0);
  for (round = 0; round < ROUNDS; round++) {
    pause_ms(100);
    close_all_descriptors();
    for (i = 0; i < FILES; i++) {
      files[i] = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
      CHECK(files[i] > 2);
    }
    pause_ms(50);
    for (i = 0; i < FILES; i++) {
      CHECK_INT(pread(files[i], &byte, 1, 0), 0);
      CHECK_INT(close(files[i]), 0);
    }
  }
  __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
  CHECK_INT(pthread_join(busy, NULL), 0);
  tckms_queue_free(shared[0]);
  tckms_client_free(shared[1]);
}

static int may_return;

static int supply_late(void *userdata, tckms_credentials *credentials) {
  while (!__atomic_load_n(&may_return, __ATOMIC_ACQUIRE)) {
    pause_ms(1);
  }
  return supply(userdata, credentials);
}

static void calls_that_wait_for_one_callback_take_one_worker(void) {
  enum { CALLS = 20 };
  tckms_config *config = emulator_config();
  tckms_client *fixed = emulator_client(), *client;
  tckms_queue *queue = new_queue(0);
  tckms_keyring *keyring = tckms_keyring_new();
  int count;
  CHECK_OK(tckms_config_set_credentials_callback(config, supply_late, NULL, NULL));
  client = client_of(config);
  CHECK_OK(tckms_keyring_add_kms(keyring, fixed, MAIN_KEY));
  for (count = 0; count < CALLS; count++) {
    submit(queue, client);
  }
  pause_ms(50);
  CHECK_OK(tckms_submit_seal(queue, keyring, "x", 1, NULL, LONG_MS, NULL, NULL));
  /* The callback returns after the message is sealed. */
  tckms_completion_free(take(queue));
  CHECK_INT(tckms_queue_outstanding(queue), CALLS);
  __atomic_store_n(&may_return, 1, __ATOMIC_RELEASE);
  for (count = 0; count < CALLS; count++) {
    tckms_completion *completion = take(queue);
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  tckms_queue_free(queue);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
  tckms_client_free(fixed);
}

/* The last reference to a client goes with a completion: its thread ends meanwhile, and the queue waits for it. */
static void a_queue_that_is_freed_leaves_no_network_thread(void) {
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  submit(queue, client);
  tckms_client_free(client);
  tckms_completion_free(take(queue));
  tckms_queue_free(queue);
  expect_threads(at_rest);
}

int main(void) {
  at_rest = threads_at_rest();
  a_queue_that_is_freed_leaves_no_network_thread();
  a_child_frees_what_the_calls_of_its_parent_had();
  threads_of_a_child_that_use_a_queue_first_find_every_call();
  calls_that_wait_for_one_callback_take_one_worker();
  after_all_descriptors_were_closed_the_client_is_freed();
  a_busy_network_thread_writes_to_no_file_of_the_host();
  return checks_passed();
}
