/*
 * The connections of a client: broken ones, their number, how long they are kept, and what a server may send.
 *
 *     connections GROUP
 */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "admin.h"
#include "clock.h"
#include "relay.h"
#include "server.h"

static void sleep_ms(long ms) {
  struct timespec pause;
  pause.tv_sec = ms / 1000;
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

static tckms_status random_bytes(const tckms_client *client) {
  uint8_t bytes[32];
  return tckms_generate_random(client, bytes, sizeof bytes);
}

static tckms_stats stats_of(const tckms_client *client) {
  tckms_stats stats;
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  return stats;
}

/* Waits until a member of the statistics has the expected value: a connection is closed a moment after its call. */
#define EXPECT_SOON(client, member, expected)                                 \
  do {                                                                        \
    int tries = 0;                                                            \
    while (stats_of(client).member != (expected) && tries++ < 1000) {         \
      sleep_ms(1);                                                            \
    }                                                                         \
    CHECK_INT(stats_of(client).member, (expected));                           \
  } while (0)

static void *call_once(void *client) {
  CHECK_OK(random_bytes(client));
  return NULL;
}

/* Calls at the same time, so that each needs a connection of its own. */
static void call_at_once(tckms_client *client, int count) {
  pthread_t threads[64];
  int i;
  set_fault("*", "{\"kind\":\"delay\",\"ms\":300}", count);
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, call_once, client), 0);
  }
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  clear_faults();
}

/* ---- Connections that broke, with or without a notice ---- */

enum { TRY_MS = 1000 };

static tckms_client *client_with_six_idle_connections(struct relay *relay, int attempts) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  CHECK_OK(tckms_config_set_endpoint(config, relay->endpoint));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, TRY_MS));
  CHECK_OK(tckms_config_set_max_attempts(config, attempts));
  client = client_of(config);
  call_at_once(client, 6);
  EXPECT_SOON(client, connections_idle, 6);
  return client;
}

static long call_took(const tckms_client *client) {
  long began = now_ms();
  CHECK_OK(random_bytes(client));
  return now_ms() - began;
}

static void silent_connections_cost_one_try_altogether(void) {
  static struct relay relay;
  tckms_client *client;
  long took;
  relay_start(&relay);
  client = client_with_six_idle_connections(&relay, 4);
  relay_fail(&relay, RELAY_SWALLOWS);
  took = call_took(client);
  CHECK(took >= TRY_MS - 2 && took < 2 * TRY_MS - 100);
  CHECK_INT(stats_of(client).retries, 1);
  EXPECT_SOON(client, connections_open, 1);
  CHECK(call_took(client) < TRY_MS / 2);
  CHECK_INT(stats_of(client).retries, 1);
  CHECK_INT(relay.count, 7);
  tckms_client_free(client);
  relay_stop(&relay);
}

/* A request that must not be sent twice never uses an old connection. */
static void requests_that_create_something_use_a_new_connection(void) {
  static struct relay relay;
  tckms_client *client;
  tckms_buffer response;
  long began;
  relay_start(&relay);
  client = client_with_six_idle_connections(&relay, 4);
  relay_fail(&relay, RELAY_SWALLOWS);
  began = now_ms();
  CHECK_OK(tckms_call(client, "CreateKey", "{\"Alias\":\"own-connection\"}", &response));
  CHECK(now_ms() - began < TRY_MS / 2 + slack_ms());
  CHECK_INT(stats_of(client).retries, 0);
  tckms_buffer_free(&response);
  tckms_client_free(client);
  relay_stop(&relay);
}

/* Even where one attempt is all that is allowed. */
static void connections_that_broke_while_idle_cost_no_attempt(void) {
  static const enum relay_fate FATES[] = {RELAY_CLOSES, RELAY_RESETS};
  size_t i;
  for (i = 0; i < sizeof FATES / sizeof *FATES; i++) {
    static struct relay relay;
    tckms_client *client;
    int n;
    relay_start(&relay);
    client = client_with_six_idle_connections(&relay, 1);
    relay_fail(&relay, FATES[i]);
    /* The library detects it without a call. */
    EXPECT_SOON(client, connections_open, 0);
    CHECK_INT(stats_of(client).connections_idle, 0);
    for (n = 0; n < 3; n++) {
      CHECK_OK(random_bytes(client));
    }
    CHECK_INT(stats_of(client).retries, 0);
    CHECK_INT(relay.count, 7);
    tckms_client_free(client);
    relay_stop(&relay);
  }
}

/* A peer that resets the first connection would reset the others too, so the library does not try them. */
static void connections_that_break_when_used_cost_one_attempt_altogether(void) {
  static struct relay relay;
  tckms_client *client;
  int n;
  relay_start(&relay);
  client = client_with_six_idle_connections(&relay, 2);
  relay_fail(&relay, RELAY_RESETS_ON_DATA);
  for (n = 0; n < 3; n++) {
    CHECK_OK(random_bytes(client));
  }
  CHECK_INT(stats_of(client).retries, 1);
  CHECK_INT(relay.count, 7);
  tckms_client_free(client);
  relay_stop(&relay);
}

static void connections_may_break_at_any_moment(void) {
  static struct relay relay;
  tckms_client *client;
  int round;
  relay_start(&relay);
  client = client_with_six_idle_connections(&relay, 2);
  for (round = 0; round < 60; round++) {
    relay_fail(&relay, round % 2 == 0 ? RELAY_CLOSES : RELAY_RESETS);
    CHECK_OK(random_bytes(client));
    sleep_ms(round % 12);
    CHECK_OK(random_bytes(client));
  }
  tckms_client_free(client);
  relay_stop(&relay);
}

static void all_callers_may_find_broken_connections_at_once(void) {
  static struct relay relay;
  tckms_client *client;
  pthread_t threads[6];
  long began;
  int i;
  relay_start(&relay);
  client = client_with_six_idle_connections(&relay, 2);
  relay_fail(&relay, RELAY_SWALLOWS);
  began = now_ms();
  for (i = 0; i < 6; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, call_once, client), 0);
  }
  for (i = 0; i < 6; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK(now_ms() - began < 2 * TRY_MS - 100 + slack_ms());
  tckms_client_free(client);
  relay_stop(&relay);
}

/* If a call uses all of its time on one broken connection, the next call finds no broken ones. */
static void the_next_call_meets_no_dead_connection(void) {
  static struct relay relay;
  int round;
  relay_start(&relay);
  for (round = 0; round < 5; round++) {
    tckms_client *connected = client_with_six_idle_connections(&relay, 1);
    tckms_client *client = NULL;
    CHECK_OK(tckms_client_derive_timeout_ms(connected, 300, &client));
    relay_fail(&relay, RELAY_SWALLOWS);
    CHECK_STATUS(random_bytes(client), TCKMS_ERR_TIMED_OUT);
    CHECK_OK(random_bytes(client));
    tckms_client_free(client);
    tckms_client_free(connected);
  }
  relay_stop(&relay);
}

static void dead_connections(void) {
  silent_connections_cost_one_try_altogether();
  requests_that_create_something_use_a_new_connection();
  connections_that_broke_while_idle_cost_no_attempt();
  connections_that_break_when_used_cost_one_attempt_altogether();
  connections_may_break_at_any_moment();
  all_callers_may_find_broken_connections_at_once();
  the_next_call_meets_no_dead_connection();
}

/* ---- Number of connections ---- */

enum { CROWD = 300 };

static void *call_three_times(void *client) {
  int i;
  for (i = 0; i < 3; i++) {
    CHECK_OK(random_bytes(client));
  }
  return NULL;
}

static void three_hundred_threads_share_what_128_descriptors_allow(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  pthread_attr_t small;
  pthread_t threads[CROWD];
  struct rlimit before;
  struct rlimit limit;
  int i;
  /* So that an attempt is not repeated because the machine is busy. */
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 60000));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 60000));
  client = client_of(config);
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  limit.rlim_cur = 128;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  CHECK_INT(pthread_attr_init(&small), 0);
  CHECK_INT(pthread_attr_setstacksize(&small, 128 * 1024), 0);
  for (i = 0; i < CROWD; i++) {
    CHECK_INT(pthread_create(&threads[i], &small, call_three_times, client), 0);
  }
  for (i = 0; i < CROWD; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK(stats_of(client).connections_open <= 32);
  CHECK(stats_of(client).connections_opened <= 33);
  CHECK_INT(stats_of(client).calls_waiting, 0);
  CHECK_INT(stats_of(client).retries, 0);
  pthread_attr_destroy(&small);
  tckms_client_free(client);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* The host uses nearly all descriptors: calls wait for connections of other calls. */
static void a_few_descriptors_are_enough(void) {
  enum { CALLERS = 40 };
  tckms_config *config = emulator_config();
  pthread_t threads[CALLERS];
  struct rlimit before;
  struct rlimit limit;
  tckms_client *client;
  int lowest;
  int i;
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  CHECK_OK(random_bytes(client));
  lowest = dup(0);
  CHECK(lowest > 0);
  close(lowest);
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  /* The first connection exists, and four more are allowed. */
  limit.rlim_cur = (rlim_t)lowest + 4;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, call_three_times, client), 0);
  }
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK(stats_of(client).connections_opened <= 6);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
  tckms_client_free(client);
}

static pthread_barrier_t all_begin;

static void *call_when_all_begin(void *client) {
  pthread_barrier_wait(&all_begin);
  return call_three_times(client);
}

/* The network thread takes descriptors, and is started once, however many threads need it first. */
static void many_first_calls_at_once_start_one_network_thread(void) {
  enum { CALLERS = 100, ROUNDS = 20 };
  pthread_t threads[CALLERS];
  struct rlimit before;
  struct rlimit limit;
  tckms_config *config;
  tckms_client *client;
  int lowest;
  int round;
  int i;
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK_INT(pthread_barrier_init(&all_begin, NULL, CALLERS), 0);
  for (round = 0; round < ROUNDS; round++) {
    config = emulator_config();
    CHECK_OK(tckms_config_set_max_attempts(config, 1));
    CHECK_OK(tckms_config_set_connect_timeout_ms(config, 60000));
    CHECK_OK(tckms_config_set_try_timeout_ms(config, 60000));
    CHECK_OK(tckms_config_set_total_timeout_ms(config, 60000));
    client = client_of(config);
    lowest = dup(0);
    CHECK(lowest > 0);
    close(lowest);
    limit = before;
    limit.rlim_cur = (rlim_t)lowest + 16;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (i = 0; i < CALLERS; i++) {
      CHECK_INT(pthread_create(&threads[i], NULL, call_when_all_begin, client), 0);
    }
    for (i = 0; i < CALLERS; i++) {
      CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    tckms_client_free(client);
  }
  CHECK_INT(pthread_barrier_destroy(&all_begin), 0);
}

static int ended[8];
static int ended_count;

struct numbered_call {
  tckms_client *client;
  int number;
};

static void *call_and_note_the_end(void *argument) {
  const struct numbered_call *call = argument;
  CHECK_OK(random_bytes(call->client));
  ended[__atomic_fetch_add(&ended_count, 1, __ATOMIC_ACQ_REL)] = call->number;
  return NULL;
}

static void connections_are_given_in_order_of_arrival(void) {
  tckms_config *config = emulator_config();
  struct numbered_call calls[8];
  pthread_t threads[8];
  tckms_client *client;
  int i;
  CHECK_OK(tckms_config_set_max_connections(config, 1));
  client = client_of(config);
  set_faults("[{\"fault\":{\"kind\":\"delay\",\"ms\":1500}},{\"fault\":{\"kind\":\"delay\",\"ms\":50},\"times\":7}]");
  for (i = 0; i < 8; i++) {
    calls[i].client = client;
    calls[i].number = i;
    CHECK_INT(pthread_create(&threads[i], NULL, call_and_note_the_end, &calls[i]), 0);
    if (i > 0) {
      EXPECT_SOON(client, calls_waiting, (uint64_t)i);
    } else {
      EXPECT_SOON(client, connections_open, 1);
    }
  }
  for (i = 0; i < 8; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  for (i = 0; i < 8; i++) {
    CHECK_INT(ended[i], i);
  }
  CHECK_INT(stats_of(client).connections_opened, 1);
  tckms_client_free(client);
  clear_faults();
}

static void waiting_callers_have_a_deadline(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_client *with_short_timeout = NULL;
  pthread_t thread;
  long began;
  CHECK_OK(tckms_config_set_max_connections(config, 1));
  client = client_of(config);
  config = tckms_config_new();
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 300));
  CHECK_OK(tckms_client_derive(client, config, &with_short_timeout));
  tckms_config_free(config);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":2000}", 1);
  CHECK_INT(pthread_create(&thread, NULL, call_once, client), 0);
  EXPECT_SOON(client, connections_opened, 1);
  sleep_ms(50);
  began = now_ms();
  CHECK_STATUS(random_bytes(with_short_timeout), TCKMS_ERR_TIMED_OUT);
  CHECK(now_ms() - began >= 298 && now_ms() - began < 400 + slack_ms());
  CHECK_HAS(tckms_error_message(tckms_last_error()), "no connection was free");
  CHECK_HAS(tckms_error_message(tckms_last_error()), "total timeout: 300 ms");
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  CHECK_INT(stats_of(client).connections_opened, 1);
  CHECK_INT(pthread_join(thread, NULL), 0);
  EXPECT_SOON(client, calls_waiting, 0);
  CHECK_OK(random_bytes(with_short_timeout));
  tckms_client_free(with_short_timeout);
  tckms_client_free(client);
  clear_faults();
}

static void connections_are_bounded(void) {
  three_hundred_threads_share_what_128_descriptors_allow();
  many_first_calls_at_once_start_one_network_thread();
  a_few_descriptors_are_enough();
  connections_are_given_in_order_of_arrival();
  waiting_callers_have_a_deadline();
}

/* ---- Lifetime of idle connections ---- */

static void idle_connections_are_closed_in_time(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  long idle_since;
  CHECK_OK(tckms_config_set_idle_timeout_ms(config, 4000));
  client = client_of(config);
  call_at_once(client, 5);
  idle_since = now_ms();
  EXPECT_SOON(client, connections_idle, 5);
  /* Far from both ends, because other tests run beside this one. */
  sleep_ms(2500);
  CHECK_INT(stats_of(client).connections_idle, 5);
  /* One is used, so it is kept longer. */
  CHECK_OK(random_bytes(client));
  sleep_ms(4000 + 500 - (now_ms() - idle_since));
  CHECK_INT(stats_of(client).connections_open, 1);
  CHECK_INT(stats_of(client).connections_opened, 5);
  sleep_ms(2500);
  CHECK_INT(stats_of(client).connections_open, 0);
  CHECK_OK(random_bytes(client));
  tckms_client_free(client);
}

static void connections_of_a_peak_are_closed_soon(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  CHECK_OK(tckms_config_set_max_idle_connections(config, 2));
  client = client_of(config);
  call_at_once(client, 6);
  EXPECT_SOON(client, connections_idle, 6);
  sleep_ms(3500);
  CHECK_INT(stats_of(client).connections_idle, 6);
  sleep_ms(2500);
  CHECK_INT(stats_of(client).connections_idle, 2);
  CHECK_INT(stats_of(client).connections_open, 2);
  tckms_client_free(client);
}

static void idle_connections_end(void) {
  idle_connections_are_closed_in_time();
  connections_of_a_peak_are_closed_soon();
}

/* ---- Descriptors 0 to 2 are the host's ---- */

static int low_descriptors(void) {
  int open = 0;
  int descriptor;
  for (descriptor = 0; descriptor < 3; descriptor++) {
    open += fcntl(descriptor, F_GETFD) >= 0;
  }
  return open;
}

static void the_standard_descriptors_stay_closed(void) {
  int status = -1;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    tckms_client *client = emulator_client();
    pthread_t thread;
    int seen = 0;
    set_fault("*", "{\"kind\":\"delay\",\"ms\":200}", 1);
    close(0);
    close(1);
    close(2);
    if (pthread_create(&thread, NULL, call_once, client) != 0) {
      _exit(2);
    }
    while (stats_of(client).connections_opened == 0) {
      sleep_ms(1);
    }
    seen += low_descriptors();
    pthread_join(thread, NULL);
    seen += low_descriptors();
    seen += random_bytes(client) != TCKMS_OK;
    seen += low_descriptors();
    tckms_client_free(client);
    _exit(seen == 0 && low_descriptors() == 0 ? 0 : 3);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
}

int main(int argc, char **argv) {
  const char *group = argc > 1 ? argv[1] : "";
  if (strcmp(group, "dead") == 0) {
    dead_connections();
  } else if (strcmp(group, "bounded") == 0) {
    connections_are_bounded();
  } else if (strcmp(group, "idle") == 0) {
    idle_connections_end();
  } else if (strcmp(group, "descriptors") == 0) {
    the_standard_descriptors_stay_closed();
  } else {
    check_failed(__FILE__, __LINE__, "there is no group \"%s\"", group);
  }
  return checks_passed();
}
