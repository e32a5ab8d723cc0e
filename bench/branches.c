/*
 * Compares branch keys with a cache of data keys, in one run against an emulator. The client is configured by the environment.
 *
 *     branches KEY_ID speed     sealing and opening 1 KiB: messages per second with each, and the ratio
 *     branches KEY_ID growth    for 1 to 10,000 contexts: requests, CPU time per message, and memory
 *
 * scripts/bench-branches.py builds and runs it.
 */
#define _GNU_SOURCE

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <tckms.h>

enum { SIZE = 1024, ROUNDS = 7, MESSAGES = 20000 };

static char plaintext[SIZE];

static void must(tckms_status status, const char *what) {
  if (status != TCKMS_OK) {
    fprintf(stderr, "%s: %s\n", what, tckms_error_message(tckms_last_error()));
    exit(EXIT_FAILURE);
  }
}

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static const char *context(long number) {
  static char text[64];
  snprintf(text, sizeof text, "{\"row\":\"%08ld\"}", number);
  return text;
}

static tckms_keyring *with_cache(const tckms_client *client, const char *key_id) {
  tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  tckms_keyring *keyring = tckms_keyring_new();
  limits.max_entries = 20000;
  must(tckms_keyring_add_kms(keyring, client, key_id), "add_kms");
  must(tckms_keyring_set_cache(keyring, &limits, sizeof limits), "set_cache");
  return keyring;
}

static tckms_keyring *with_branch(const tckms_client *client, const char *key_id) {
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_keyring *keyring = tckms_keyring_new();
  options.branch_id = "orders";
  must(tckms_keyring_add_branch(keyring, client, key_id, &options, sizeof options), "add_branch");
  return keyring;
}

static tckms_buffer sealed(const tckms_keyring *keyring, long number) {
  tckms_buffer message;
  must(tckms_seal(keyring, plaintext, SIZE, context(number), &message), "seal");
  return message;
}

/* Messages per second of CPU time, because other load on the machine affects it little. `step` is 0 for one context, and 1 for
 * a new context for each message. */
static double sealing(const tckms_keyring *keyring, int step) {
  double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
  long number;
  for (number = 0; number < MESSAGES; number++) {
    tckms_buffer message = sealed(keyring, 1 + step * number);
    tckms_buffer_free(&message);
  }
  return MESSAGES / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
}

static double opening(const tckms_keyring *keyring, const tckms_buffer *messages, long count) {
  double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
  long number;
  for (number = 0; number < MESSAGES; number++) {
    tckms_buffer opened;
    const tckms_buffer *message = &messages[number % count];
    must(tckms_open(keyring, message->data, message->len, NULL, &opened), "open");
    tckms_buffer_free(&opened);
  }
  return MESSAGES / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
}

static int descending(const void *left, const void *right) {
  double difference = *(const double *)right - *(const double *)left;
  return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static double median(double *values) {
  qsort(values, ROUNDS, sizeof *values, descending);
  return values[ROUNDS / 2];
}

/* The two alternate, so that other load on the machine affects both. */
static void speed(const tckms_client *client, const char *key_id) {
  enum { KEPT = 256 };
  static tckms_buffer plain[KEPT], branch[KEPT];
  tckms_keyring *cache = with_cache(client, key_id), *branches = with_branch(client, key_id);
  double rates[4][ROUNDS], medians[4];
  long i;
  for (i = 0; i < KEPT; i++) {
    plain[i] = sealed(cache, 1);
    branch[i] = sealed(branches, i);
  }
  opening(cache, plain, KEPT);
  opening(branches, branch, KEPT);
  for (i = 0; i < ROUNDS; i++) {
    rates[0][i] = sealing(cache, 0);
    rates[1][i] = sealing(branches, 1);
    rates[2][i] = opening(cache, plain, KEPT);
    rates[3][i] = opening(branches, branch, KEPT);
  }
  for (i = 0; i < 4; i++) {
    medians[i] = median(rates[i]);
  }
  printf("seal: cached %.0f/s, branch %.0f/s, ratio %.2f\n", medians[0], medians[1], medians[1] / medians[0]);
  printf("open: cached %.0f/s, branch %.0f/s, ratio %.2f\n", medians[2], medians[3], medians[3] / medians[2]);
  for (i = 0; i < KEPT; i++) {
    tckms_buffer_free(&plain[i]);
    tckms_buffer_free(&branch[i]);
  }
  tckms_keyring_free(cache);
  tckms_keyring_free(branches);
}

/* In KiB. */
static long allocated(void) { return (long)(mallinfo2().uordblks / 1024); }

/* Uses each context at least twice, so that the cache has hits. */
static void grow(const char *name, const tckms_client *client, const tckms_keyring *keyring, long contexts) {
  long messages = contexts * 2 > 2000 ? contexts * 2 : 2000, number;
  tckms_stats before = TCKMS_STATS_INIT, after = TCKMS_STATS_INIT;
  long memory = allocated();
  double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  must(tckms_client_stats(client, &before, sizeof before), "stats");
  for (number = 0; number < messages; number++) {
    tckms_buffer message = sealed(keyring, number % contexts);
    tckms_buffer_free(&message);
  }
  cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  must(tckms_client_stats(client, &after, sizeof after), "stats");
  printf("%s %ld %llu %.2f %ld\n", name, contexts, (unsigned long long)(after.calls - before.calls),
         1e6 * cpu / (double)messages, allocated() - memory);
}

/* Allocates what the client itself needs, before the measurement. */
static void warm_up(const tckms_client *client, const char *key_id) {
  tckms_keyring *keyring = with_cache(client, key_id);
  tckms_buffer message = sealed(keyring, 1);
  tckms_buffer_free(&message);
  tckms_keyring_free(keyring);
}

static void growth(const tckms_client *client, const char *key_id) {
  long contexts;
  warm_up(client, key_id);
  printf("kind contexts requests cpu_us_per_message memory_kib\n");
  for (contexts = 1; contexts <= 10000; contexts *= 10) {
    tckms_keyring *branches = with_branch(client, key_id), *cache = with_cache(client, key_id);
    grow("branch", client, branches, contexts);
    grow("cache", client, cache, contexts);
    tckms_keyring_free(cache);
    tckms_keyring_free(branches);
  }
}

int main(int argc, char **argv) {
  tckms_client *client = NULL;
  if (argc != 3) {
    fprintf(stderr, "usage: %s KEY_ID speed|growth\n", argv[0]);
    return EXIT_FAILURE;
  }
  must(tckms_client_new_from_env(&client), "client");
  if (strcmp(argv[2], "speed") == 0) {
    speed(client, argv[1]);
  } else {
    growth(client, argv[1]);
  }
  tckms_client_free(client);
  return EXIT_SUCCESS;
}
