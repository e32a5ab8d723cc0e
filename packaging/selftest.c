/*
 * tckms-selftest: prints in one line whether this machine can run libtckms.
 *
 *     ./tckms-selftest
 *
 * It is in the folder of an unpacked release, next to lib/ and bin/. It is not linked with lib/libtckms.so but loads it, so that
 * it can report what the system lacks. Then it starts bin/tckms-emulator, encrypts a text with it, and decrypts the text. The exit
 * status is 0 if that succeeds, and otherwise 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tckms.h>

static char folder[PATH_MAX];
static char ready[4096];
static pid_t emulator;

static int fail(const char *what, const char *detail) {
  if (emulator > 0) kill(emulator, SIGTERM);
  printf("tckms-selftest: FAILED: %s: %s\n", what, detail);
  return 1;
}

/* System calls that the library needs, and that an old kernel may lack or a sandbox may refuse. */
static const struct call {
  const char *name;
  long number;
} calls[] = {
    {"clock_gettime", SYS_clock_gettime}, {"epoll_create1", SYS_epoll_create1}, {"epoll_ctl", SYS_epoll_ctl},
    {"eventfd2", SYS_eventfd2},           {"madvise", SYS_madvise},             {"pipe2", SYS_pipe2},
    {"socket", SYS_socket},
};

/* Tests whether each system call exists, with arguments that no kernel accepts. */
static void check_system_calls(void) {
  size_t i;
  for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    if (syscall(calls[i].number, -1L, -1L, -1L, -1L, -1L, -1L) != -1) continue;
    if (errno == ENOSYS) exit(fail("the kernel lacks a system call", calls[i].name));
    if (errno == EPERM) exit(fail("a sandbox refuses a system call", calls[i].name));
  }
}

/* A function of the library, which this program loads at run time. */
static void *function(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    exit(fail("libtckms.so lacks a function", name));
  }
  return found;
}

/* A copy of the value of a member in the emulator's line of JSON. */
static const char *member(const char *name) {
  char pattern[64];
  char *value;
  char *copy;
  snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
  value = strstr(ready, pattern);
  if (value == NULL) exit(fail("the emulator's output lacks a member", name));
  copy = strdup(value + strlen(pattern));
  copy[strcspn(copy, "\"")] = '\0';
  return copy;
}

static int start_emulator(void) {
  char program[PATH_MAX + 32];
  int ends[2];
  size_t filled = 0;
  ssize_t got;
  snprintf(program, sizeof program, "%s/bin/tckms-emulator", folder);
  if (pipe(ends) != 0) return -1;
  emulator = fork();
  if (emulator < 0) return -1;
  if (emulator == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    execl(program, program, "--key", "selftest", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  while (filled < sizeof ready - 1 && strchr(ready, '\n') == NULL) {
    got = read(ends[0], ready + filled, sizeof ready - 1 - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    filled += (size_t)got;
  }
  return 0;
}

int main(void) {
  char path[PATH_MAX + 32];
  struct utsname system;
  void *library;
  const char *key;
  tckms_config *config;
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer text = TCKMS_BUFFER_INIT;
  const char *(*glibc)(void);
  int equal;
  ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
  if (length <= 0) return fail("/proc is not mounted", strerror(errno));
  folder[length] = '\0';
  *strrchr(folder, '/') = '\0';

  check_system_calls();
  snprintf(path, sizeof path, "%s/lib/libtckms.so", folder);
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *reason = dlerror();
    return fail(strstr(reason, "GLIBC_") != NULL ? "this system's C library is too old" : "the library cannot be loaded", reason);
  }
  if (start_emulator() != 0) return fail("bin/tckms-emulator does not start", "it printed nothing");

#define CALL(type, name) ((type)function(library, #name))
  config = CALL(tckms_config *(*)(void), tckms_config_new)();
  CALL(tckms_status(*)(tckms_config *, const char *), tckms_config_set_region)(config, "ap-guangzhou");
  CALL(tckms_status(*)(tckms_config *, const char *), tckms_config_set_endpoint)(config, member("endpoint"));
  CALL(tckms_status(*)(tckms_config *, const char *, const char *, const char *), tckms_config_set_credentials)
  (config, member("secret_id"), member("secret_key"), NULL);
  key = member("selftest");
  if (CALL(tckms_status(*)(const tckms_config *, tckms_client **), tckms_client_new)(config, &client) != TCKMS_OK ||
      CALL(tckms_status(*)(const tckms_client *, const char *, const void *, size_t, const char *, tckms_buffer *),
           tckms_encrypt)(client, key, "text", 4, NULL, &blob) != TCKMS_OK ||
      CALL(tckms_status(*)(const tckms_client *, const char *, const void *, size_t, const char *, tckms_buffer *),
           tckms_decrypt)(client, key, blob.data, blob.len, NULL, &text) != TCKMS_OK) {
    const tckms_error *error = CALL(const tckms_error *(*)(void), tckms_last_error)();
    return fail("a call failed", CALL(const char *(*)(const tckms_error *), tckms_error_message)(error));
  }
  equal = text.len == 4 && memcmp(text.data, "text", 4) == 0;
  CALL(void (*)(tckms_buffer *), tckms_buffer_free)(&text);
  CALL(void (*)(tckms_buffer *), tckms_buffer_free)(&blob);
  CALL(void (*)(tckms_client *), tckms_client_free)(client);
  CALL(void (*)(tckms_config *), tckms_config_free)(config);
  if (!equal) return fail("a call failed", "the decrypted text differs from the original");
  kill(emulator, SIGTERM);
  waitpid(emulator, NULL, 0);

  uname(&system);
  glibc = (const char *(*)(void))dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
  printf("tckms-selftest: libtckms %s runs on this machine (%s, %s %s, %s %s)\n",
         CALL(const char *(*)(void), tckms_version)(), system.machine, system.sysname, system.release,
         glibc != NULL ? "glibc" : "another C library", glibc != NULL ? glibc() : "");
  return 0;
}
