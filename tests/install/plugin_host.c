/*
 * Repeatedly loads a plug-in, uses it on a thread and closes it. The thread ends before or after the plug-in is closed.
 *
 *     plugin_host PLUGIN ROUNDS
 */
#define _XOPEN_SOURCE 700
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int (*use)(int with_call);
static pthread_barrier_t step;

static void check(int holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "%s\n", what);
    exit(EXIT_FAILURE);
  }
}

static void *use_and_end(void *with_call) {
  check(use(with_call != NULL) == 0, "the plug-in failed");
  return NULL;
}

static void *use_and_end_later(void *with_call) {
  check(use(with_call != NULL) == 0, "the plug-in failed");
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step);
  return NULL;
}

/* All threads end before the plug-in is closed. */
static void round_of(void *plugin, void *with_call) {
  pthread_t thread;
  check(pthread_create(&thread, NULL, use_and_end, with_call) == 0, "no thread was started");
  check(pthread_join(thread, NULL) == 0, "a thread did not end");
  check(dlclose(plugin) == 0, "the plug-in cannot be closed");
}

/* A thread that used the plug-in ends after the plug-in was closed. */
static void round_with_a_late_end(void *plugin, void *with_call) {
  pthread_t thread;
  check(pthread_create(&thread, NULL, use_and_end_later, with_call) == 0, "no thread was started");
  pthread_barrier_wait(&step);
  check(dlclose(plugin) == 0, "the plug-in cannot be closed");
  pthread_barrier_wait(&step);
  check(pthread_join(thread, NULL) == 0, "a thread did not end");
}

static void *load(const char *path) {
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *function = plugin ? dlsym(plugin, "plugin_use") : NULL;
  check(function != NULL, "the plug-in cannot be loaded");
  memcpy(&use, &function, sizeof use);
  return plugin;
}

int main(int argc, char **argv) {
  long i, rounds = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
  check(rounds > 0, "usage: plugin_host PLUGIN ROUNDS");
  check(pthread_barrier_init(&step, NULL, 2) == 0, "no barrier");
  for (i = 0; i < rounds; i++) {
    (i % 8 == 7 ? round_with_a_late_end : round_of)(load(argv[1]), i % 10 == 0 ? &step : NULL);
  }
  printf("%ld rounds\n", rounds);
  return EXIT_SUCCESS;
}
