/* The library does not change the host's state: streams, umask, signals, working directory, locale, environment, limits, and
 * floating-point settings. */
#define _GNU_SOURCE
#include "check.h"

#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "process.h"

extern char **environ;

enum { LIMITS = 16, SIGNALS = 64, ENVIRONMENT_MAX = 256 };

struct state {
  mode_t umask;
  char folder[512];
  char locale[256];
  int rounding;
  int traps;
  unsigned mxcsr;
  sigset_t mask;
  sigset_t pending;
  struct sigaction actions[SIGNALS + 1];
  stack_t signal_stack;
  struct itimerval timers[3];
  struct rlimit limits[LIMITS];
  int priority;
  int dumpable;
  char thread_name[16];
  char *environment[ENVIRONMENT_MAX];
  char **environment_list;
  int descriptors;
};

static unsigned mxcsr(void) {
#if defined(__x86_64__)
  unsigned value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  /* Without the exception flags, which every division may set. */
  return value & ~0x3fU;
#else
  return 0;
#endif
}

/* glibc's type for the name of a limit, and its function for enabled floating-point traps; musl has neither. */
#ifdef __GLIBC__
typedef __rlimit_resource_t resource;
static int traps(void) {
  return fegetexcept();
}
static void trap_exceptions(void) {
  CHECK(feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW) >= 0);
}
#else
typedef int resource;
static int traps(void) {
  return 0;
}
static void trap_exceptions(void) {}
#endif

static void look_at(struct state *state) {
  int i;
  memset(state, 0, sizeof *state);
  state->umask = umask(0);
  umask(state->umask);
  CHECK(getcwd(state->folder, sizeof state->folder) != NULL);
  snprintf(state->locale, sizeof state->locale, "%s", setlocale(LC_ALL, NULL));
  state->rounding = fegetround();
  state->traps = traps();
  state->mxcsr = mxcsr();
  CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &state->mask), 0);
  CHECK_INT(sigpending(&state->pending), 0);
  for (i = 1; i <= SIGNALS; i++) {
    /* glibc reserves two. */
    if (i != 32 && i != 33) {
      CHECK_INT(sigaction(i, NULL, &state->actions[i]), 0);
    }
  }
  CHECK_INT(sigaltstack(NULL, &state->signal_stack), 0);
  for (i = 0; i < 3; i++) {
    CHECK_INT(getitimer(i == 0 ? ITIMER_REAL : i == 1 ? ITIMER_VIRTUAL : ITIMER_PROF, &state->timers[i]), 0);
  }
  for (i = 0; i < LIMITS; i++) {
    CHECK_INT(getrlimit((resource)i, &state->limits[i]), 0);
  }
  state->priority = getpriority(PRIO_PROCESS, 0);
  state->dumpable = prctl(PR_GET_DUMPABLE);
  CHECK_INT(pthread_getname_np(pthread_self(), state->thread_name, sizeof state->thread_name), 0);
  state->environment_list = environ;
  for (i = 0; environ[i] != NULL; i++) {
    CHECK(i < ENVIRONMENT_MAX - 1);
    state->environment[i] = environ[i];
  }
  state->descriptors = descriptor_count();
}

static void expect_same(const struct state *before, const struct state *after) {
  int i;
  CHECK_INT(after->umask, before->umask);
  CHECK_TEXT(after->folder, before->folder);
  CHECK_TEXT(after->locale, before->locale);
  CHECK_INT(after->rounding, before->rounding);
  CHECK_INT(after->traps, before->traps);
  CHECK_INT(after->mxcsr, before->mxcsr);
  for (i = 1; i <= SIGNALS; i++) {
    CHECK_INT(sigismember(&after->mask, i), sigismember(&before->mask, i));
    CHECK_INT(sigismember(&after->pending, i), sigismember(&before->pending, i));
    CHECK(after->actions[i].sa_handler == before->actions[i].sa_handler);
    CHECK_INT(after->actions[i].sa_flags, before->actions[i].sa_flags);
  }
  CHECK(after->signal_stack.ss_sp == before->signal_stack.ss_sp);
  CHECK(memcmp(after->timers, before->timers, sizeof after->timers) == 0);
  CHECK(memcmp(after->limits, before->limits, sizeof after->limits) == 0);
  CHECK_INT(after->priority, before->priority);
  CHECK_INT(after->dumpable, before->dumpable);
  CHECK_TEXT(after->thread_name, before->thread_name);
  CHECK(after->environment_list == before->environment_list);
  CHECK(memcmp(after->environment, before->environment, sizeof after->environment) == 0);
  CHECK_INT(after->descriptors, before->descriptors);
}

/* Uses every part of the library: success, refusal, retry, name resolution, logging. */
static void use_everything(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_client *named;
  tckms_buffer out;
  char random[32];
  client = emulator_client();
  encrypt_and_decrypt(client);
  CHECK_OK(tckms_generate_random(client, random, sizeof random));
  CHECK_STATUS(tckms_decrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_STATUS(tckms_encrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_NULL_POINTER);
  set_faults("[{\"fault\":{\"kind\":\"reset_reply\",\"after_bytes\":10}},"
             "{\"fault\":{\"kind\":\"error\",\"code\":\"InternalError\"}},{\"fault\":{\"kind\":\"bad_gateway\"}}]");
  encrypt_and_decrypt(client);
  clear_faults();
  tckms_client_free(client);
  CHECK_OK(tckms_config_set_endpoint(config, endpoint_with_a_name()));
  CHECK_OK(tckms_config_set_rate_limit(config, 1000, 1));
  named = client_of(config);
  encrypt_and_decrypt(named);
  tckms_client_free(named);
}

static void nothing_of_the_hosts_is_changed(void) {
  static struct state before, after;
  look_at(&before);
  use_everything();
  look_at(&after);
  expect_same(&before, &after);
}

static void handle(int signal) {
  (void)signal;
}

/* A host with unusual settings, which must not change. */
static void an_unusual_host_is_not_changed_either(void) {
  struct sigaction action;
  sigset_t mask;
  stack_t stack;
  memset(&action, 0, sizeof action);
  action.sa_handler = handle;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  CHECK_INT(sigaction(SIGPIPE, &action, NULL), 0);
  CHECK_INT(sigaction(SIGSEGV, &action, NULL), 0);
  CHECK_INT(sigaction(SIGCHLD, &action, NULL), 0);
  stack.ss_sp = malloc(65536);
  stack.ss_size = 65536;
  stack.ss_flags = 0;
  CHECK_INT(sigaltstack(&stack, NULL), 0);
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigaddset(&mask, SIGTERM);
  CHECK_INT(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
  CHECK_INT(kill(getpid(), SIGUSR2), 0);
  umask(0477);
  CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL);
  CHECK_INT(chdir("/"), 0);
  /* The threads of the library inherit the traps; one that is raised there would end the process. */
  CHECK_INT(fesetround(FE_UPWARD), 0);
  trap_exceptions();
  nothing_of_the_hosts_is_changed();
}

static void at_exit_of_the_host(void) {
  fputs("last", stderr);
}

struct output {
  int out;
  int error;
};

/* The library must not print anything, nor flush or close the host's streams. */
static void end_with_a_live_client(void *argument) {
  const struct output *output = argument;
  tckms_client *client = emulator_client();
  CHECK_INT(dup2(output->out, 1), 1);
  CHECK_INT(dup2(output->error, 2), 2);
  CHECK_INT(atexit(at_exit_of_the_host), 0);
  setvbuf(stdout, NULL, _IOFBF, 4096);
  fputs("unflushed", stdout);
  encrypt_and_decrypt(client);
  CHECK_INT(lseek(1, 0, SEEK_END), 0);
  exit(0);
}

static void expect_content(int file, const char *expected) {
  char text[256];
  ssize_t len = pread(file, text, sizeof text - 1, 0);
  CHECK(len >= 0);
  text[len] = '\0';
  CHECK_TEXT(text, expected);
}

static void exit_belongs_to_the_host(void) {
  struct output output;
  char out[] = "/tmp/tckms-out-XXXXXX";
  char error[] = "/tmp/tckms-err-XXXXXX";
  output.out = mkstemp(out);
  output.error = mkstemp(error);
  CHECK(output.out > 2 && output.error > 2);
  unlink(out);
  unlink(error);
  fflush(stdout);
  in_a_child(end_with_a_live_client, &output);
  expect_content(output.out, "unflushed");
  expect_content(output.error, "last");
  close(output.out);
  close(output.error);
}

int main(void) {
  nothing_of_the_hosts_is_changed();
  an_unusual_host_is_not_changed_either();
  exit_belongs_to_the_host();
  return checks_passed();
}
