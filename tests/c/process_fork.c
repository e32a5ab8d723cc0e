/* A client works after fork() in every process, and two processes never share a connection. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/time.h>

#include "clock.h"
#include "process.h"

enum { PARENT, CHILD, GRANDCHILD, GENERATIONS };
enum { REQUESTS_PER_GENERATION = 64, ROUNDS = 64, CALLERS = 4 };
/* The longest time that a fork waits for a thread that stays inside the cryptography. */
enum { FORK_TIMEOUT_MS = 100 };

/* The requests of each generation, in shared memory. */
struct family {
  const tckms_client *client;
  int count[GENERATIONS];
  char request_ids[GENERATIONS][REQUESTS_PER_GENERATION][64];
  int parent_first;
  /* A pipe; a byte tells the child to continue. */
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

/* The child calls before and after its own child does, or its child inherits a client that the child never used. */
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
  /* Within a process connections are reused, so the comparison above is meaningful. */
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
    /* At the same time as the child. */
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

/* Whatever the threads of the parent were doing and had locked at that moment, the child works. */
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

/* The fork happens during the first call of a client, while its thread, its connection and its TLS session are being created. */
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

static int wrap(void *userdata, const char *context, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  (void)userdata;
  (void)context;
  (void)data_key;
  (void)len;
  return tckms_wrapped_key_set(out, "", 0, "wrapped", 7) == TCKMS_OK ? 0 : 1;
}

/* Generates a P-384 key pair and signs with it, so most of the time is spent inside the cryptography. */
static void seal_signed(void *keyring) {
  tckms_buffer message;
  CHECK_OK(tckms_seal(keyring, "secret", 6, NULL, &message));
  tckms_buffer_free(&message);
}

static volatile sig_atomic_t is_child_of_handler, forks_of_handler, slow_forks;

static void fork_in_handler(int signal) {
  long began = now_ms();
  pid_t child = fork();
  (void)signal;
  if (child == 0) {
    is_child_of_handler = 1;
    alarm(CHILD_SECONDS);
    return;
  }
  forks_of_handler++;
  slow_forks += now_ms() - began >= FORK_TIMEOUT_MS;
  expect_success_of(child);
}

/* The child of a signal handler continues the interrupted call, and then works like any other process. */
static void live_after_the_handler(void *keyring) {
  int i, slow = 0;
  for (i = 0; i < 4; i++) {
    long began;
    pid_t child;
    seal_signed(keyring);
    began = now_ms();
    child = start_child(seal_signed, keyring);
    slow += now_ms() - began >= FORK_TIMEOUT_MS;
    expect_success_of(child);
  }
  CHECK(slow < 4);
  _exit(0);
}

/*
 * The signal usually arrives while the program's only thread is inside the cryptography. Neither this fork nor one of the child waits
 * for that thread.
 */
static void a_signal_handler_may_fork_at_any_time(void) {
  struct sigaction action, before;
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  int round;
  key.provider_id = "test";
  key.wrap = wrap;
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
  CHECK_OK(tckms_keyring_set_signing(keyring, 1));
  memset(&action, 0, sizeof action);
  action.sa_handler = fork_in_handler;
  CHECK_INT(sigaction(SIGALRM, &action, &before), 0);
  for (round = 0; round < ROUNDS; round++) {
    struct itimerval timer;
    int forks = forks_of_handler;
    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_usec = 200 + 13 * round;
    CHECK_INT(setitimer(ITIMER_REAL, &timer, NULL), 0);
    while (forks_of_handler == forks && !is_child_of_handler) {
      seal_signed(keyring);
    }
    if (is_child_of_handler) {
      CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
      live_after_the_handler(keyring);
    }
  }
  CHECK(slow_forks < forks_of_handler / 4);
  CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
  tckms_keyring_free(keyring);
}

int main(void) {
  /* First, because libc allows a handler to fork anywhere only in a process with one thread. */
  a_signal_handler_may_fork_at_any_time();
  a_client_works_in_parent_child_and_grandchild(1);
  a_client_works_in_parent_child_and_grandchild(0);
  a_child_may_free_a_client();
  a_child_may_derive_from_its_parents_client();
  a_child_inherits_the_last_error();
  a_fork_may_come_while_other_threads_are_inside_calls();
  a_fork_may_come_during_the_first_call();
  return checks_passed();
}
