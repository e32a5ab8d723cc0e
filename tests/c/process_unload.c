/*
 * A plug-in host repeatedly loads the library, uses it and closes it.
 *
 * This program is not linked with the library, so it cannot use check.h.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tckms.h>

enum { ROUNDS = 1000 };

static long checks_done = 0;

static void check_at(int holds, const char *text, int line) {
  if (!holds) {
    fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, line, text);
    _exit(1);
  }
  checks_done++;
}

#define CHECK(condition) check_at((condition) ? 1 : 0, #condition, __LINE__)

/* The functions, looked up each time. */
struct library {
  void *handle;
  tckms_status (*client_new_from_env)(tckms_client **);
  void (*client_free)(tckms_client *);
  tckms_status (*encrypt)(const tckms_client *, const char *, const void *, size_t, const char *, tckms_buffer *);
  void (*buffer_free)(tckms_buffer *);
  const tckms_error *(*last_error)(void);
  const char *(*error_message)(const tckms_error *);
  const char *(*version)(void);
};

/* ISO C cannot convert a data pointer to a function pointer; POSIX allows this form. */
static void find(const struct library *library, const char *name, void *function) {
  void *found = dlsym(library->handle, name);
  CHECK(found != NULL);
  memcpy(function, &found, sizeof found);
}

static struct library load(void) {
  struct library library;
  library.handle = dlopen(getenv("TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  CHECK(library.handle != NULL);
  find(&library, "tckms_client_new_from_env", &library.client_new_from_env);
  find(&library, "tckms_client_free", &library.client_free);
  find(&library, "tckms_encrypt", &library.encrypt);
  find(&library, "tckms_buffer_free", &library.buffer_free);
  find(&library, "tckms_last_error", &library.last_error);
  find(&library, "tckms_error_message", &library.error_message);
  find(&library, "tckms_version", &library.version);
  return library;
}

static void unload(struct library *library) {
  CHECK(dlclose(library->handle) == 0);
  memset(library, 0, sizeof *library);
}

static int is_mapped(void) {
  char line[1024];
  int mapped = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    mapped |= strstr(line, "libtckms") != NULL;
  }
  fclose(maps);
  return mapped;
}

static tckms_client *client_from(const struct library *library) {
  tckms_client *client = NULL;
  CHECK(library->client_new_from_env(&client) == TCKMS_OK);
  return client;
}

static void call(const struct library *library, const tckms_client *client) {
  tckms_buffer blob;
  CHECK(library->encrypt(client, getenv("TEST_KEY_MAIN"), "secret", 6, NULL, &blob) == TCKMS_OK);
  library->buffer_free(&blob);
}

/* A failure sets the last error of the thread. */
static void fail(const struct library *library, const tckms_client *client) {
  tckms_buffer blob;
  CHECK(library->encrypt(client, "", "secret", 6, NULL, &blob) == TCKMS_ERR_MALFORMED_KEY_ID);
  CHECK(strstr(library->error_message(library->last_error()), "key id") != NULL);
}

static void it_can_be_loaded_used_and_closed_repeatedly(void) {
  int i;
  for (i = 0; i < ROUNDS; i++) {
    struct library library = load();
    tckms_client *client = client_from(&library);
    fail(&library, client);
    if (i % 10 == 0) {
      call(&library, client);
    }
    library.client_free(client);
    unload(&library);
  }
}

/* If a host closes the library before it frees the client, a thread of the library still runs. */
static void a_client_outlives_the_closing(void) {
  int i;
  for (i = 0; i < 20; i++) {
    struct library library = load();
    tckms_client *client = client_from(&library);
    call(&library, client);
    unload(&library);
    library = load();
    call(&library, client);
    library.client_free(client);
    unload(&library);
  }
}

/* Synchronizes the steps of the two threads. */
static pthread_barrier_t step;

static void *fail_and_end_later(void *unused) {
  struct library library = load();
  tckms_client *client = client_from(&library);
  call(&library, client);
  fail(&library, client);
  library.client_free(client);
  unload(&library);
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step);
  return unused;
}

/* Thread-local memory of the library is freed when the thread ends, by code that must still be mapped. */
static void a_thread_may_end_after_the_closing(void) {
  int i;
  CHECK(pthread_barrier_init(&step, NULL, 2) == 0);
  for (i = 0; i < 20; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fail_and_end_later, NULL) == 0);
    pthread_barrier_wait(&step);
    CHECK(is_mapped());
    pthread_barrier_wait(&step);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  pthread_barrier_destroy(&step);
}

int main(void) {
  CHECK(!is_mapped());
  it_can_be_loaded_used_and_closed_repeatedly();
  a_client_outlives_the_closing();
  a_thread_may_end_after_the_closing();
  printf("ok %ld checks\n", checks_done);
  return 0;
}
