/* The library raises no signal in the host, handles none of the host's signals, and no signal prevents a call from completing. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/time.h>

#include "process.h"

enum { ROUNDS = 100, ROUNDS_MAX = 2000, TICKS = 500 };
enum { RESETS = 200, SIGNALS = 10000, CALLERS = 3, BODY_SIZE = 4 * 1024 * 1024, THREADS_MAX = 64 };

static tckms_client *client_with_one_attempt(const char *endpoint) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_endpoint(config, endpoint));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  return client_of(config);
}

static void add_pending(pid_t thread, void *sum) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
  *(unsigned long long *)sum |= number_in_file(path, "SigPnd:", 16);
}

/* Whether a SIGPIPE is pending on a thread of this process. */
static int a_sigpipe_is_held_back(void) {
  unsigned long long pending = 0;
  for_each_thread(add_pending, &pending);
  return (pending >> (SIGPIPE - 1) & 1) != 0;
}

static char *large_request(void) {
  static const char head[] = "{\"Plaintext\":\"";
  char *json = malloc(BODY_SIZE + 64);
  CHECK(json != NULL);
  memset(json, 'A', BODY_SIZE + 64);
  memcpy(json, head, strlen(head));
  strcpy(json + BODY_SIZE, "\"}");
  return json;
}

static void the_host_survives_peers_that_reset_large_uploads(void) {
  struct sigaction before, after;
  sigset_t mask_before, mask_after;
  tckms_client *client = client_with_one_attempt(GIVEN_ENDPOINT);
  char *request = large_request();
  int signal, i;
  /* The default disposition of SIGPIPE, which would end the process. */
  CHECK(sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL);
  CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &mask_before), 0);
  CHECK_INT(sigismember(&mask_before, SIGPIPE), 0);
  set_fault("*", "{\"kind\":\"reset_request\",\"after_bytes\":100000}", RESETS);
  for (i = 0; i < RESETS; i++) {
    tckms_buffer reply = garbage();
    CHECK_STATUS(tckms_call(client, "Encrypt", request, &reply), TCKMS_ERR_CONNECTION_LOST);
    CHECK_EMPTY(reply);
  }
  CHECK(!faults_are_left());
  CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &mask_after), 0);
  for (signal = 1; signal < NSIG; signal++) {
    CHECK_INT(sigismember(&mask_after, signal), sigismember(&mask_before, signal));
  }
  CHECK(sigaction(SIGPIPE, NULL, &after) == 0 && after.sa_handler == SIG_DFL);
  /* SIGPIPE was raised, and is pending because the library's thread blocks it. Otherwise it would have ended the process. */
  CHECK(a_sigpipe_is_held_back());
  free(request);
  tckms_client_free(client);
}

/* The threads of the host. */
static pid_t hosts[THREADS_MAX];
static int host_count;
/* Written by the handler. */
static int handled;
static int handled_by_a_stranger;

static void become_host_thread(void) {
  int place = __atomic_fetch_add(&host_count, 1, __ATOMIC_SEQ_CST);
  CHECK(place < THREADS_MAX);
  __atomic_store_n(&hosts[place], gettid(), __ATOMIC_SEQ_CST);
}

static int is_host_thread(pid_t thread) {
  int i;
  for (i = 0; i < THREADS_MAX; i++) {
    if (__atomic_load_n(&hosts[i], __ATOMIC_SEQ_CST) == thread) {
      return 1;
    }
  }
  return 0;
}

static void note_thread(int signal) {
  (void)signal;
  if (!is_host_thread(gettid())) {
    __atomic_add_fetch(&handled_by_a_stranger, 1, __ATOMIC_SEQ_CST);
  }
  __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void on_signal(int signal, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  /* Without SA_RESTART, so that system calls are interrupted. */
  sigemptyset(&action.sa_mask);
  CHECK_INT(sigaction(signal, &action, NULL), 0);
}

struct caller {
  pthread_t thread;
  const tckms_client *client;
  int *stop;
};

static void *keep_calling(void *argument) {
  const struct caller *caller = argument;
  become_host_thread();
  while (!__atomic_load_n(caller->stop, __ATOMIC_SEQ_CST)) {
    encrypt_and_decrypt(caller->client);
  }
  return NULL;
}

/* A client that does not keep connections, so that each call has to resolve the name again. */
static tckms_client *client_that_looks_up_names(void) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_endpoint(config, endpoint_with_a_name()));
  return client_of(config);
}

static void *free_and_make_anew(void *argument) {
  const struct caller *caller = argument;
  become_host_thread();
  while (!__atomic_load_n(caller->stop, __ATOMIC_SEQ_CST)) {
    tckms_client *client = client_that_looks_up_names();
    encrypt_and_decrypt(client);
    tckms_client_free(client);
  }
  return NULL;
}

struct callers {
  struct caller callers[CALLERS];
  tckms_client *client;
  int stop;
};

static void start_callers(struct callers *callers) {
  int i;
  callers->stop = 0;
  callers->client = emulator_client();
  for (i = 0; i < CALLERS; i++) {
    struct caller *caller = &callers->callers[i];
    caller->client = callers->client;
    caller->stop = &callers->stop;
    CHECK_INT(pthread_create(&caller->thread, NULL, i == 0 ? free_and_make_anew : keep_calling, caller), 0);
  }
  while (__atomic_load_n(&host_count, __ATOMIC_SEQ_CST) < 1 + CALLERS) {
    sched_yield();
  }
}

static void stop_callers(struct callers *callers) {
  int i;
  __atomic_store_n(&callers->stop, 1, __ATOMIC_SEQ_CST);
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_join(callers->callers[i].thread, NULL), 0);
  }
  tckms_client_free(callers->client);
}

static void no_signal_is_handled_on_a_thread_of_the_library(void) {
  static struct callers callers;
  int i;
  start_callers(&callers);
  for (i = 0; i < SIGNALS; i++) {
    int before = __atomic_load_n(&handled, __ATOMIC_SEQ_CST);
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == before) {
      sched_yield();
    }
  }
  stop_callers(&callers);
  CHECK_INT(handled, SIGNALS);
  CHECK_INT(handled_by_a_stranger, 0);
}

/*
 * The kernel prefers the first thread of a process. In this test, all threads of the host block the signal after the library's
 * threads were created: it could only be delivered to one of those, and must stay pending.
 */
static void a_signal_that_the_host_blocks_stays_pending(void) {
  static const struct timespec now = {0, 0};
  tckms_client *plain = emulator_client();
  tckms_client *named = client_that_looks_up_names();
  sigset_t usr1, before;
  int i;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  encrypt_and_decrypt(plain);
  encrypt_and_decrypt(named);
  CHECK_INT(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
  handled = 0;
  for (i = 0; i < 200; i++) {
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    encrypt_and_decrypt(i % 2 == 0 ? plain : named);
    CHECK_INT(sigtimedwait(&usr1, NULL, &now), SIGUSR1);
  }
  CHECK_INT(handled, 0);
  CHECK_INT(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  tckms_client_free(plain);
  tckms_client_free(named);
}

/* All signals except SIGKILL and SIGSTOP, which cannot be blocked, and the two that glibc reserves. */
static void expect_everything_blocked(pid_t thread, void *strangers) {
  unsigned long long free_of_choice =
      ~(1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1) | 1ULL << (32 - 1) | 1ULL << (33 - 1));
  char path[64];
  if (is_host_thread(thread)) {
    return;
  }
  snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
  CHECK((number_in_file(path, "SigBlk:", 16) & free_of_choice) == free_of_choice);
  ++*(int *)strangers;
}

static void the_librarys_threads_block_every_signal(void) {
  tckms_client *client = emulator_client();
  int strangers = 0;
  /* A thread that is still ending would be counted. */
  expect_threads(1);
  encrypt_and_decrypt(client);
  for_each_thread(expect_everything_blocked, &strangers);
  CHECK_INT(strangers, 1);
  tckms_client_free(client);
}

static int ticks;

static void tick(int signal) {
  (void)signal;
  __atomic_add_fetch(&ticks, 1, __ATOMIC_SEQ_CST);
}

static int felt(void) {
  return __atomic_load_n(&ticks, __ATOMIC_SEQ_CST);
}

/* Waits inside calls and between attempts, and creating and freeing clients, are all interrupted often. */
static void a_storm_of_interruptions_has_no_effect(void) {
  static const struct itimerval every_millisecond = {{0, 1000}, {0, 1000}};
  static const struct itimerval never = {{0, 0}, {0, 0}};
  int i;
  set_faults("[{\"action\":\"Decrypt\",\"fault\":{\"kind\":\"delay\",\"ms\":300},\"times\":2},"
             "{\"action\":\"Decrypt\",\"fault\":{\"kind\":\"error\",\"code\":\"InternalError\"},\"times\":2},"
             "{\"action\":\"Encrypt\",\"fault\":{\"kind\":\"drip\",\"bytes\":4,\"every_ms\":2},\"times\":3}]");
  on_signal(SIGALRM, tick);
  CHECK_INT(setitimer(ITIMER_REAL, &every_millisecond, NULL), 0);
  /* A busy machine has fewer interruptions in a round. */
  for (i = 0; i < ROUNDS || (felt() <= TICKS && i < ROUNDS_MAX); i++) {
    tckms_client *client = i % 2 == 0 ? emulator_client() : client_that_looks_up_names();
    encrypt_and_decrypt(client);
    encrypt_and_decrypt(client);
    tckms_client_free(client);
  }
  CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
  CHECK(felt() > TICKS);
  CHECK(!faults_are_left());
}

int main(void) {
  become_host_thread();
  on_signal(SIGUSR1, note_thread);
  the_host_survives_peers_that_reset_large_uploads();
  the_librarys_threads_block_every_signal();
  no_signal_is_handled_on_a_thread_of_the_library();
  a_signal_that_the_host_blocks_stays_pending();
  a_storm_of_interruptions_has_no_effect();
  return checks_passed();
}
