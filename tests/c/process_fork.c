/* A client goes on working after fork(), in every process, and no two processes ever speak over one connection. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>

#include "process.h"

enum { PARENT, CHILD, GRANDCHILD, GENERATIONS };
enum { REQUESTS_PER_GENERATION = 64, ROUNDS = 64, CALLERS = 4 };

/* The requests of each generation, in memory that all of them share. */
struct family {
  const tckms_client *client;
  int count[GENERATIONS];
  char request_ids[GENERATIONS][REQUESTS_PER_GENERATION][64];
  int parent_first;
  /* A byte for the child to go on. */
  int go[2];
};

static void call_as(struct family *family, int generation) {
  tckms_buffer blob;
  tckms_buffer plaintext;
  int *count = &family->count[generation];
  CHECK_OK(tckms_encrypt(family->client, MAIN_KEY, "secret", 6, NULL, &blob));
  CHECK(*count + 2 <= REQUESTS_PER_GENERATION);
  strcpy(family->request_ids[generation][(*count)++], tckms_last_request_id());
  CHECK_OK(tckms_decrypt(family->client, MAIN_KEY, blob.data, blob.len, NULL, &plaintext));
  strcpy(family->request_ids[generation][(*count)++], tckms_last_request_id());
  CHECK_BYTES(plaintext, "secret", 6);
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
}

static void live_as_grandchild(void *argument) {
  call_as(argument, GRANDCHILD);
  call_as(argument, GRANDCHILD);
}

/* The child calls before its own child does, and after; or its child finds a client that the child never used. */
static void live_as_child(void *argument) {
  struct family *family = argument;
  char byte;
  if (family->parent_first) {
    CHECK_INT(read(family->go[0], &byte, 1), 1);
    call_as(family, CHILD);
  }
  in_a_child(live_as_grandchild, family);
  call_as(family, CHILD);
}

static void no_two_processes_share_a_connection(const struct family *family) {
  char *journal = admin("GET", "requests", "");
  char peers[GENERATIONS][REQUESTS_PER_GENERATION][64];
  int one, other, i, k;
  for (one = 0; one < GENERATIONS; one++) {
    CHECK(family->count[one] >= 2);
    for (i = 0; i < family->count[one]; i++) {
      peer_of_request(journal, family->request_ids[one][i], peers[one][i], sizeof peers[one][i]);
    }
  }
  for (one = 0; one < GENERATIONS; one++) {
    for (other = one + 1; other < GENERATIONS; other++) {
      for (i = 0; i < family->count[one]; i++) {
        for (k = 0; k < family->count[other]; k++) {
          CHECK(strcmp(peers[one][i], peers[other][k]) != 0);
        }
      }
    }
  }
  /* The comparison means something: within a process connections are used again. */
  CHECK_TEXT(peers[PARENT][0], peers[PARENT][family->count[PARENT] - 1]);
  free(journal);
}

static void a_client_works_in_parent_child_and_grandchild(int parent_first) {
  struct family *family = shared_memory(sizeof *family);
  tckms_client *client = emulator_client();
  pid_t child;
  family->client = client;
  family->parent_first = parent_first;
  CHECK_INT(pipe(family->go), 0);
  call_as(family, PARENT);
  child = start_child(live_as_child, family);
  if (parent_first) {
    call_as(family, PARENT);
    CHECK_INT(write(family->go[1], "", 1), 1);
    /* While the child is at it. */
    call_as(family, PARENT);
  }
  expect_success_of(child);
  call_as(family, PARENT);
  no_two_processes_share_a_connection(family);
  tckms_client_free(client);
  close(family->go[0]);
  close(family->go[1]);
  munmap(family, sizeof *family);
}

static void free_it(void *client) {
  tckms_client_free(client);
}

static void use_and_free_it(void *client) {
  encrypt_and_decrypt(client);
  tckms_client_free(client);
  client = emulator_client();
  encrypt_and_decrypt(client);
  tckms_client_free(client);
}

static void a_child_may_free_a_client(void) {
  tckms_client *client = emulator_client();
  encrypt_and_decrypt(client);
  in_a_child(free_it, client);
  encrypt_and_decrypt(client);
  in_a_child(use_and_free_it, client);
  encrypt_and_decrypt(client);
  tckms_client_free(client);
}

struct derivation {
  const tckms_client *client;
  const tckms_config *config;
};

static void derive_and_use(void *argument) {
  const struct derivation *from = argument;
  tckms_client *derived = NULL;
  CHECK_OK(tckms_client_derive(from->client, from->config, &derived));
  encrypt_and_decrypt(derived);
  tckms_client_free(derived);
  encrypt_and_decrypt(from->client);
}

static void a_child_may_derive_from_its_parents_client(void) {
  tckms_config *config = tckms_config_new();
  struct derivation from;
  tckms_client *client = emulator_client();
  CHECK_OK(tckms_config_set_max_attempts(config, 2));
  encrypt_and_decrypt(client);
  from.client = client;
  from.config = config;
  in_a_child(derive_and_use, &from);
  encrypt_and_decrypt(client);
  tckms_client_free(client);
  tckms_config_free(config);
}

static void error_is_kept(void *message) {
  CHECK_TEXT(tckms_error_message(tckms_last_error()), message);
}

static void a_child_inherits_the_last_error(void) {
  tckms_client *client = emulator_client();
  tckms_buffer out;
  char message[512];
  CHECK_STATUS(tckms_decrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  snprintf(message, sizeof message, "%s", tckms_error_message(tckms_last_error()));
  in_a_child(error_is_kept, message);
  tckms_client_free(client);
}

struct callers {
  tckms_client *client;
  int stop;
  int calls[CALLERS];
};

static struct callers busy;

static void *keep_calling(void *calls) {
  while (!__atomic_load_n(&busy.stop, __ATOMIC_RELAXED)) {
    encrypt_and_decrypt(busy.client);
    __atomic_add_fetch((int *)calls, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static int calls_made(void) {
  int sum = 0;
  int i;
  for (i = 0; i < CALLERS; i++) {
    sum += __atomic_load_n(&busy.calls[i], __ATOMIC_RELAXED);
  }
  return sum;
}

/* Whatever a thread of the parent was doing at that moment, and whatever it had locked: the child is alone and well. */
static void a_fork_may_come_while_other_threads_are_inside_calls(void) {
  pthread_t threads[CALLERS];
  int round, i;
  memset(&busy, 0, sizeof busy);
  busy.client = emulator_client();
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, keep_calling, &busy.calls[i]), 0);
  }
  for (round = 0; round < ROUNDS; round++) {
    int before = calls_made();
    while (calls_made() < before + 2) {
      sched_yield();
    }
    in_a_child(use_and_free_it, busy.client);
  }
  __atomic_store_n(&busy.stop, 1, __ATOMIC_RELAXED);
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  tckms_client_free(busy.client);
}

static void *call_once(void *client) {
  encrypt_and_decrypt(client);
  return NULL;
}

/* The fork finds the first call of a client under way: its thread, its connection and its TLS session half made. */
static void a_fork_may_come_during_the_first_call(void) {
  int round;
  for (round = 0; round < ROUNDS; round++) {
    tckms_client *client = emulator_client();
    pthread_t thread;
    pid_t child;
    struct timespec moment;
    CHECK_INT(pthread_create(&thread, NULL, call_once, client), 0);
    moment.tv_sec = 0;
    moment.tv_nsec = round * 50000;
    nanosleep(&moment, NULL);
    child = start_child(use_and_free_it, client);
    CHECK_INT(pthread_join(thread, NULL), 0);
    expect_success_of(child);
    encrypt_and_decrypt(client);
    tckms_client_free(client);
  }
}

int main(void) {
  a_client_works_in_parent_child_and_grandchild(1);
  a_client_works_in_parent_child_and_grandchild(0);
  a_child_may_free_a_client();
  a_child_may_derive_from_its_parents_client();
  a_child_inherits_the_last_error();
  a_fork_may_come_while_other_threads_are_inside_calls();
  a_fork_may_come_during_the_first_call();
  return checks_passed();
}
