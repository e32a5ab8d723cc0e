/* Child processes that cannot hang, and information of the kernel about this process. Define _GNU_SOURCE before including it. */
#ifndef PROCESS_H
#define PROCESS_H

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "admin.h"
#include "fixture.h"

/* Seconds after which an alarm kills a child that hangs: far more than any child needs. */
enum { CHILD_SECONDS = 60 };

/* Starts a child that runs this function and exits. A failed check in the child makes its exit status nonzero. */
static inline pid_t start_child(void (*work)(void *), void *argument) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(CHILD_SECONDS);
    work(argument);
    _exit(0);
  }
  return child;
}

static inline void expect_success_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) != child) {
    CHECK_INT(errno, EINTR);
  }
  if (WIFSIGNALED(status)) {
    check_failed(__FILE__, __LINE__, "a child was killed by signal %d%s", WTERMSIG(status),
                 WTERMSIG(status) == SIGALRM ? ": it hung" : "");
  }
  CHECK_INT(WEXITSTATUS(status), 0);
}

static inline void in_a_child(void (*work)(void *), void *argument) {
  expect_success_of(start_child(work, argument));
}

/* Memory that a process shares with its children. */
static inline void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

static inline void sleep_ms(long milliseconds) {
  struct timespec rest;
  rest.tv_sec = milliseconds / 1000;
  rest.tv_nsec = milliseconds % 1000 * 1000000;
  while (nanosleep(&rest, &rest) != 0) {
    CHECK_INT(errno, EINTR);
  }
}

/* Encrypts and decrypts once: checks that a client works. */
static inline void encrypt_and_decrypt(const tckms_client *client) {
  tckms_buffer blob;
  tckms_buffer plaintext;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, "{\"a\":\"b\"}", &blob));
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, "{\"a\":\"b\"}", &plaintext));
  CHECK_BYTES(plaintext, "secret", 6);
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
}

/* The emulator's endpoint with the name "localhost", which has to be resolved, unlike an address. */
static inline const char *endpoint_with_a_name(void) {
  static char endpoint[128];
  int tls = strncmp(GIVEN_ENDPOINT, "https", 5) == 0;
  snprintf(endpoint, sizeof endpoint, "%s://localhost:%d", tls ? "https" : "http", emulator_port());
  return endpoint;
}

/* The number after `label` in a file such as /proc/self/status. */
static inline unsigned long long number_in_file(const char *path, const char *label, int base) {
  char line[512];
  unsigned long long number = 0;
  int found = 0;
  FILE *file = fopen(path, "r");
  CHECK(file != NULL);
  while (!found && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, label, strlen(label)) == 0) {
      number = strtoull(line + strlen(label), NULL, base);
      found = 1;
    }
  }
  fclose(file);
  CHECK(found);
  return number;
}

static inline int thread_count(void) {
  return (int)number_in_file("/proc/self/status", "Threads:", 10);
}

/* A joined thread may still be listed for a moment. */
static inline void expect_threads(int expected) {
  int tries = 0;
  while (thread_count() != expected && tries++ < 2000) {
    sleep_ms(1);
  }
  CHECK_INT(thread_count(), expected);
}

static inline void *end_at_once(void *argument) { return argument; }

/* The number of threads without those of the library. ThreadSanitizer and qemu-user add one of their own when the program starts
 * its first thread. */
static inline int threads_at_rest(void) {
  pthread_t thread;
  int tries, least;
  CHECK_INT(pthread_create(&thread, NULL, end_at_once, NULL), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  least = thread_count();
  for (tries = 0; tries < 20; tries++) {
    int count = thread_count();
    least = count < least ? count : least;
    sleep_ms(1);
  }
  return least;
}

/* Calls `visit` for each thread of this process. */
static inline void for_each_thread(void (*visit)(pid_t thread, void *argument), void *argument) {
  DIR *folder = opendir("/proc/self/task");
  struct dirent *entry;
  CHECK(folder != NULL);
  while ((entry = readdir(folder)) != NULL) {
    if (entry->d_name[0] != '.') {
      visit((pid_t)atol(entry->d_name), argument);
    }
  }
  closedir(folder);
}

/* The number of open descriptors, without the one that is used for counting. */
static inline int descriptor_count(void) {
  DIR *folder = opendir("/proc/self/fd");
  struct dirent *entry;
  int count = 0;
  CHECK(folder != NULL);
  while ((entry = readdir(folder)) != NULL) {
    count += entry->d_name[0] != '.';
  }
  closedir(folder);
  return count - 1;
}

/* Copies the peer address of a request from the emulator's request log. */
static inline void peer_of_request(const char *journal, const char *request_id, char *peer, size_t size) {
  char part[128];
  const char *end;
  const char *place = journal;
  const char *found = NULL;
  snprintf(part, sizeof part, "\"request_id\":\"%s\"", request_id);
  end = strstr(journal, part);
  if (end == NULL) {
    check_failed(__FILE__, __LINE__, "the emulator did not receive request %s", request_id);
    return;
  }
  /* In the log, the peer of a request precedes its id. */
  while ((place = strstr(place, "\"peer\":\"")) != NULL && place < end) {
    place += strlen("\"peer\":\"");
    found = place;
  }
  CHECK(found != NULL);
  snprintf(peer, size, "%.*s", (int)strcspn(found, "\""), found);
}

#endif /* PROCESS_H */
