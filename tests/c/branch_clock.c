/*
 * Branch keys while the system's clock jumps: the clock_gettime() of this program replaces that of the C library, also for the
 * library, and shifts CLOCK_REALTIME.
 */
#define _GNU_SOURCE
#include "check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

enum { DAY = 24 * 3600, SLOTS = 8, VERSION_SIZE = 37 };

static atomic_long offset;

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) {
    time->tv_sec += atomic_load(&offset);
  }
  return result;
}

/* The first record of each slot, as in a store that writers share. */
struct store {
  int64_t slots[SLOTS];
  char records[SLOTS][1024];
  int count;
};

static int load(void *userdata, const char *key, tckms_branch_records *out) {
  struct store *store = userdata;
  int i;
  (void)key;
  for (i = 0; i < store->count; i++) {
    CHECK_OK(tckms_branch_records_add(out, store->records[i], strlen(store->records[i])));
  }
  return TCKMS_OK;
}

static int put_if_absent(void *userdata, const char *key, int64_t slot, const char *record) {
  struct store *store = userdata;
  int i;
  (void)key;
  for (i = 0; i < store->count; i++) {
    if (store->slots[i] == slot) {
      return TCKMS_OK;
    }
  }
  CHECK(store->count < SLOTS);
  store->slots[store->count] = slot;
  snprintf(store->records[store->count++], sizeof store->records[0], "%s", record);
  return TCKMS_OK;
}

static tckms_client *client;

static tckms_branch_stats stats_of(const tckms_keyring *keyring) {
  tckms_branch_stats stats = TCKMS_BRANCH_STATS_INIT;
  CHECK_OK(tckms_keyring_branch_stats(keyring, &stats, sizeof stats));
  return stats;
}

/* Seals a message, opens it with a new keyring, and returns the version of its branch key. */
static void seal_with(const tckms_keyring *keyring, char *version) {
  tckms_keyring *reader = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_message_info *info = NULL;
  tckms_buffer message, opened;
  CHECK_OK(tckms_seal(keyring, "secret", 6, "{\"row\":\"1\"}", &message));
  options.branch_id = "orders";
  CHECK_OK(tckms_keyring_add_branch(reader, client, MAIN_KEY, &options, sizeof options));
  CHECK_OK(tckms_open(reader, message.data, message.len, NULL, &opened));
  CHECK_BYTES(opened, "secret", 6);
  CHECK_OK(tckms_message_info_new(message.data, message.len, &info));
  snprintf(version, VERSION_SIZE, "%s", tckms_wrapped_key_branch_version(tckms_message_info_wrapped_key(info, 0)));
  tckms_message_info_free(info);
  tckms_buffer_free(&opened);
  tckms_buffer_free(&message);
  tckms_keyring_free(reader);
}

/* Writers change to the key of the slot that their clock shows, and back, without any failure. */
static void rotation_follows_the_clock(void) {
  static struct store store;
  static const long jumps[] = {0, DAY, 0, -DAY, 0, DAY, -DAY, 0};
  /* The key that is used after each jump; a new one creates a record. */
  static const int expected[] = {0, 1, 0, 2, 0, 1, 2, 0};
  char versions[3][VERSION_SIZE], version[VERSION_SIZE];
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  int i, known = 0;
  options.branch_id = "orders";
  options.load = load;
  options.put_if_absent = put_if_absent;
  options.userdata = &store;
  options.rotation_ms = DAY / 2 * 1000;
  options.store_timeout_ms = 30000;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  for (i = 0; i < (int)(sizeof jumps / sizeof jumps[0]); i++) {
    atomic_store(&offset, jumps[i]);
    seal_with(keyring, version);
    if (expected[i] == known) {
      strcpy(versions[known++], version);
    }
    CHECK_TEXT(version, versions[expected[i]]);
    CHECK_INT(store.count, known);
  }
  CHECK(strcmp(versions[0], versions[1]) != 0 && strcmp(versions[0], versions[2]) != 0 && strcmp(versions[1], versions[2]) != 0);
  CHECK_INT(stats_of(keyring).own_key_wraps, 0);
  CHECK_INT(stats_of(keyring).store_failures, 0);
  CHECK_INT(stats_of(keyring).keys_made, 3);
  tckms_keyring_free(keyring);
}

static void wait_ms(long milliseconds) {
  struct timespec time;
  time.tv_sec = milliseconds / 1000;
  time.tv_nsec = milliseconds % 1000 * 1000000;
  nanosleep(&time, NULL);
}

/* Setting the clock back does not prolong a key's time to live, and setting it forward does not end it. */
static void the_time_to_live_does_not_follow_the_clock(void) {
  static const long jumps[] = {DAY, -DAY};
  char version[VERSION_SIZE];
  tckms_buffer record;
  int i;
  atomic_store(&offset, 0);
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "orders", &record));
  for (i = 0; i < 2; i++) {
    tckms_keyring *keyring = tckms_keyring_new();
    tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
    options.branch_id = "orders";
    options.records = (const char *)record.data;
    options.ttl_ms = 10000;
    atomic_store(&offset, 0);
    CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
    seal_with(keyring, version);
    atomic_store(&offset, jumps[i]);
    seal_with(keyring, version);
    CHECK_INT(stats_of(keyring).keys_unwrapped, 1);
    wait_ms(10500);
    seal_with(keyring, version);
    CHECK_INT(stats_of(keyring).keys_unwrapped, 2);
    tckms_keyring_free(keyring);
  }
  tckms_buffer_free(&record);
}

/* A file is used even if its newest record was made by a machine whose clock is behind. */
static void a_file_is_followed(void) {
  char path[] = "/tmp/tckms-branch-clock.XXXXXX", version[VERSION_SIZE], first[VERSION_SIZE];
  static const long jumps[] = {DAY, -DAY};
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_buffer record;
  FILE *file = fdopen(mkstemp(path), "w");
  int i;
  atomic_store(&offset, 0);
  CHECK(file != NULL);
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "orders", &record));
  CHECK_INT(fwrite(record.data, 1, record.len, file), record.len);
  CHECK(fflush(file) == 0);
  tckms_buffer_free(&record);
  options.branch_id = "orders";
  options.file = path;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  seal_with(keyring, first);
  for (i = 0; i < 2; i++) {
    atomic_store(&offset, jumps[i]);
    wait_ms(1100);
    seal_with(keyring, version);
    CHECK_TEXT(version, first);
  }
  /* The record of tomorrow. */
  atomic_store(&offset, DAY);
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "orders", &record));
  CHECK_INT(fwrite(record.data, 1, record.len, file), record.len);
  CHECK(fclose(file) == 0);
  tckms_buffer_free(&record);
  atomic_store(&offset, -DAY);
  wait_ms(1100);
  seal_with(keyring, version);
  CHECK(strcmp(version, first) != 0);
  CHECK_INT(stats_of(keyring).file_failures, 0);
  tckms_keyring_free(keyring);
  CHECK(unlink(path) == 0);
}

int main(void) {
  client = emulator_client();
  rotation_follows_the_clock();
  the_time_to_live_does_not_follow_the_clock();
  a_file_is_followed();
  tckms_client_free(client);
  return checks_passed();
}
