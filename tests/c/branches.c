/*
 * Branch keys from C: records in memory, a store with callbacks, a supplier, a forked child, and callbacks that fail.
 *
 * With TEST_SANITIZED set there is no fork, because valgrind would report the memory that a child inherits and does not free.
 */
#define _DEFAULT_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define CONTEXT "{\"tenant\":\"a\",\"row\":\"1\"}"

static tckms_client *client;

static void seals_and_opens(const tckms_keyring *keyring) {
  tckms_buffer message, opened;
  CHECK_OK(tckms_seal(keyring, "secret", 6, CONTEXT, &message));
  CHECK_OK(tckms_open(keyring, message.data, message.len, CONTEXT, &opened));
  CHECK_BYTES(opened, "secret", 6);
  tckms_buffer_free(&opened);
  tckms_buffer_free(&message);
}

static tckms_branch_stats stats_of(const tckms_keyring *keyring) {
  tckms_branch_stats stats = TCKMS_BRANCH_STATS_INIT;
  CHECK_OK(tckms_keyring_branch_stats(keyring, &stats, sizeof stats));
  return stats;
}

static void records_in_memory(void) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_message_info *info = NULL;
  tckms_buffer record, message;
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "orders", &record));
  CHECK(record.data[record.len - 1] == '\n');
  CHECK_OK(tckms_branch_record_check(client, (const char *)record.data));
  options.branch_id = "orders";
  options.records = (const char *)record.data;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  seals_and_opens(keyring);
  CHECK_OK(tckms_seal(keyring, "x", 1, NULL, &message));
  CHECK_OK(tckms_message_info_new(message.data, message.len, &info));
  CHECK_TEXT(tckms_wrapped_key_branch_id(tckms_message_info_wrapped_key(info, 0)), "orders");
  CHECK(strlen(tckms_wrapped_key_branch_version(tckms_message_info_wrapped_key(info, 0))) == 36);
  CHECK_TEXT(tckms_wrapped_key_branch_id(NULL), "");
  tckms_message_info_free(info);
  tckms_buffer_free(&message);
  tckms_buffer_free(&record);
  tckms_keyring_free(keyring);
}

/* One record, and the results of the callbacks. */
struct store {
  char record[1024];
  int answer, loads, freed;
};

static int load(void *userdata, const char *key, tckms_branch_records *out) {
  struct store *store = userdata;
  CHECK(strstr(key, MAIN_KEY) != NULL);
  store->loads++;
  if (store->record[0] != '\0') {
    CHECK_OK(tckms_branch_records_add(out, store->record, strlen(store->record)));
  }
  if (store->answer != 0) {
    CHECK_OK(tckms_callback_set_error_text("the store is not reachable"));
  }
  return store->answer;
}

static int put_if_absent(void *userdata, const char *key, int64_t slot, const char *record) {
  struct store *store = userdata;
  CHECK(key[0] != '\0' && slot > 0);
  if (store->answer == 0 && store->record[0] == '\0') {
    snprintf(store->record, sizeof store->record, "%s", record);
  }
  return store->answer;
}

static void forget(void *userdata) { ((struct store *)userdata)->freed++; }

static tckms_branch_options options_of(struct store *store) {
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  options.branch_id = "orders";
  options.load = load;
  options.put_if_absent = put_if_absent;
  options.userdata = store;
  options.destructor_or_null = forget;
  options.rotation_ms = 20000;
  options.store_timeout_ms = 30000;
  return options;
}

static void a_store(void) {
  struct store store;
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options;
  memset(&store, 0, sizeof store);
  options = options_of(&store);
  CHECK_STATUS(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options - 8), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof(void *)), TCKMS_ERR_INVALID_LENGTH);
  options.rotation_ms = 0;
  CHECK_STATUS(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_INT(store.freed, 0);
  options.rotation_ms = 20000;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  seals_and_opens(keyring);
  CHECK(store.record[0] != '\0');
  CHECK_INT(stats_of(keyring).own_key_wraps, 0);
  tckms_keyring_free(keyring);
  CHECK_INT(store.freed, 1);
}

/* The number of log lines that say what is used instead of the store. They are written on its thread. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int told;

static void watch(void *userdata, const tckms_log_event *event) {
  const char *line = tckms_log_event_message(event);
  if (strstr(line, "the store is not reachable") && strstr(line, userdata)) {
    pthread_mutex_lock(&log_lock);
    told++;
    pthread_mutex_unlock(&log_lock);
  }
}

static int was_told(void) {
  int result, tries;
  for (tries = 0; tries < 500; tries++) {
    pthread_mutex_lock(&log_lock);
    result = told;
    told = 0;
    pthread_mutex_unlock(&log_lock);
    if (result > 0) {
      return result;
    }
    usleep(10000);
  }
  return 0;
}

/* A client whose log is searched for a text. */
static tckms_client *watched_client(char *text) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_WARN, watch, text, NULL));
  return client_of(config);
}

static void a_store_that_fails(void) {
  char local[] = "sealing continues with the known branch key or a local one";
  char none[] = "sealing continues with the known branch key, and fails without one";
  tckms_client *logging = watched_client(local);
  struct store store;
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options;
  memset(&store, 0, sizeof store);
  store.answer = TCKMS_ERR_SERVICE_UNAVAILABLE;
  options = options_of(&store);
  CHECK_OK(tckms_keyring_add_branch(keyring, logging, MAIN_KEY, &options, sizeof options));
  seals_and_opens(keyring);
  CHECK_INT(stats_of(keyring).own_key_wraps, 1);
  CHECK(stats_of(keyring).store_failures > 0);
  CHECK(was_told() > 0);
  tckms_keyring_free(keyring);
  tckms_client_free(logging);
  /* By reference, sealing fails: there is no record to refer to. */
  keyring = tckms_keyring_new();
  logging = watched_client(none);
  options.by_reference = 1;
  CHECK_OK(tckms_keyring_add_branch(keyring, logging, MAIN_KEY, &options, sizeof options));
  {
    tckms_buffer message;
    CHECK_STATUS(tckms_seal(keyring, "x", 1, NULL, &message), TCKMS_ERR_SERVICE_UNAVAILABLE);
    CHECK(tckms_error_retryable(tckms_last_error()) == 1);
    CHECK(strstr(tckms_error_message(tckms_last_error()), "the store is not reachable") != NULL);
  }
  CHECK(was_told() > 0);
  tckms_keyring_free(keyring);
  tckms_client_free(logging);
  CHECK_INT(store.freed, 2);
}

static int by_tenant(void *userdata, const char *ctx_json, char *branch_id, size_t size) {
  char tenant[8];
  (void)userdata;
  if (tckms_context_value(ctx_json, "tenant", tenant, sizeof tenant) != TCKMS_OK) {
    return TCKMS_ERR_BRANCH_NOT_ALLOWED;
  }
  snprintf(branch_id, size, "tenant-%s", tenant);
  return 0;
}

static void a_supplier(void) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_buffer message;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, NULL, 0));
  CHECK_OK(tckms_keyring_set_branch_supplier(keyring, by_tenant, NULL, NULL));
  seals_and_opens(keyring);
  CHECK_STATUS(tckms_seal(keyring, "x", 1, "{\"row\":\"1\"}", &message), TCKMS_ERR_BRANCH_NOT_ALLOWED);
  CHECK_OK(tckms_keyring_set_branch_supplier(keyring, NULL, NULL, NULL));
  CHECK_STATUS(tckms_seal(keyring, "x", 1, CONTEXT, &message), TCKMS_ERR_NO_USABLE_KEY);
  CHECK_STATUS(tckms_keyring_set_branch_supplier(NULL, NULL, NULL, NULL), TCKMS_ERR_NULL_POINTER);
  tckms_keyring_free(keyring);
}

static void values_of_a_context(void) {
  char value[4] = "old";
  CHECK_OK(tckms_context_value("{\"a\":\"123\",\"b\":\"1234\"}", "a", value, sizeof value));
  CHECK_TEXT(value, "123");
  CHECK_STATUS(tckms_context_value("{\"a\":\"123\",\"b\":\"1234\"}", "b", value, sizeof value), TCKMS_ERR_INVALID_LENGTH);
  CHECK_TEXT(value, "");
  CHECK_STATUS(tckms_context_value("{}", "a", value, sizeof value), TCKMS_ERR_CONTEXT_MISMATCH);
  CHECK_STATUS(tckms_context_value("[]", "a", value, sizeof value), TCKMS_ERR_INVALID_CONTEXT);
  CHECK_STATUS(tckms_context_value("{\"a\":\"\\u0000\"}", "a", value, sizeof value), TCKMS_ERR_INVALID_CONTEXT);
  CHECK_STATUS(tckms_context_value(NULL, "a", value, sizeof value), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_context_value("{}", "a", NULL, 4), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_context_value("{}", "a", value, 0), TCKMS_ERR_INVALID_LENGTH);
}

/* A child does not inherit its parent's branch keys: it sends a request. */
static void a_forked_child(void) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_buffer record;
  pid_t child;
  int status = 1;
  CHECK_OK(tckms_branch_record_new(client, MAIN_KEY, "orders", &record));
  options.branch_id = "orders";
  options.records = (const char *)record.data;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  seals_and_opens(keyring);
  CHECK_INT(stats_of(keyring).keys_unwrapped, 1);
  child = fork();
  if (child == 0) {
    seals_and_opens(keyring);
    _exit(stats_of(keyring).keys_unwrapped == 2 ? 0 : 1);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  seals_and_opens(keyring);
  CHECK_INT(stats_of(keyring).keys_unwrapped, 1);
  tckms_buffer_free(&record);
  tckms_keyring_free(keyring);
}

/* Each process frees what it has of the program once, whether the store was used before the fork, after it, or both. */
static void a_store_in_a_forked_child(void) {
  int before, after;
  for (before = 0; before <= 1; before++) {
    for (after = 0; after <= 1; after++) {
      struct store store;
      tckms_keyring *keyring = tckms_keyring_new();
      tckms_branch_options options;
      pid_t child;
      int status = 1;
      memset(&store, 0, sizeof store);
      options = options_of(&store);
      CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
      if (before) {
        seals_and_opens(keyring);
      }
      child = fork();
      if (child == 0) {
        if (after) {
          seals_and_opens(keyring);
        }
        tckms_keyring_free(keyring);
        _exit(store.freed);
      }
      CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
      CHECK_INT(WEXITSTATUS(status), 1);
      tckms_keyring_free(keyring);
      CHECK_INT(store.freed, 1);
    }
  }
}

int main(void) {
  client = emulator_client();
  records_in_memory();
  a_store();
  a_store_that_fails();
  a_supplier();
  values_of_a_context();
  if (getenv("TEST_SANITIZED") == NULL) {
    a_forked_child();
    a_store_in_a_forked_child();
  }
  tckms_client_free(client);
  return checks_passed();
}
