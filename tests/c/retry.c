/*
 * When a call is retried, how long it waits, and that no call exceeds its total timeout.
 *
 *     retry GROUP
 */
#include "check.h"

#include "admin.h"
#include "clock.h"
#include "server.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static tckms_config *config_with(int total_ms, int try_ms, int attempts) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_total_timeout_ms(config, total_ms));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, try_ms));
  CHECK_OK(tckms_config_set_max_attempts(config, attempts));
  return config;
}

static tckms_status random_bytes(const tckms_client *client) {
  uint8_t bytes[32];
  return tckms_generate_random(client, bytes, sizeof bytes);
}

static void sleep_ms(long ms) {
  struct timespec pause;
  pause.tv_sec = ms / 1000;
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

/* ---- The total timeout ---- */

enum { TOTAL_MS = 500, TOLERANCE_MS = 100, TRIALS = 10 };

/* Keys that this program creates for the calls that need them. */
static char signing_key[64];
static char decrypting_key[64];
static char external_key[64];

static void make_key(const char *usage, int external, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_client *client = emulator_client();
  tckms_buffer id;
  options.alias = external ? "external" : usage;
  options.usage = usage;
  options.external = external;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
  tckms_client_free(client);
}

static tckms_status get_public_key(const tckms_client *client) {
  tckms_buffer key;
  tckms_status status = tckms_public_key(client, signing_key, &key);
  tckms_buffer_free(&key);
  return status;
}

static tckms_status sign(const tckms_client *client) {
  tckms_buffer signature;
  tckms_status status = tckms_sign(client, signing_key, 0, "m", 1, &signature);
  tckms_buffer_free(&signature);
  return status;
}

static tckms_status sign_in_pieces(const tckms_client *client) {
  tckms_signer *signer = NULL;
  tckms_status status = tckms_signer_new(client, signing_key, 0, NULL, 0, &signer);
  tckms_signer_free(signer);
  return status;
}

static tckms_status decrypt_rsa(const tckms_client *client) {
  static const uint8_t ciphertext[256] = {0};
  tckms_buffer plaintext;
  tckms_status status =
      tckms_rsa_decrypt(client, decrypting_key, TCKMS_RSA_OAEP_SHA256, ciphertext, sizeof ciphertext, &plaintext);
  tckms_buffer_free(&plaintext);
  return status;
}

static tckms_status import_material(const tckms_client *client) {
  static const uint8_t material[32] = {1};
  return tckms_import_key_material(client, external_key, material, sizeof material, 0);
}

/* The call to measure. */
static tckms_status (*measured_call)(const tckms_client *client) = random_bytes;

/* Makes one call that fails, and returns its duration. */
static long failing_call_took(tckms_config *config, const char *fault) {
  tckms_client *client = client_of(config);
  long began;
  long took;
  if (fault != NULL) {
    set_fault("*", fault, 1000);
  }
  began = now_ms();
  CHECK(measured_call(client) != TCKMS_OK);
  took = now_ms() - began;
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  tckms_client_free(client);
  clear_faults();
  return took;
}

/*
 * A busy machine may cause a delay sometimes; a library that ignores its deadline would be late every time.
 */
static void expect_within_total(const char *endpoint, const char *fault, long least_ms) {
  int trial;
  for (trial = 1;; trial++) {
    tckms_config *config = config_with(TOTAL_MS, 60000, 20);
    long took;
    CHECK_OK(tckms_config_set_connect_timeout_ms(config, 60000));
    if (endpoint != NULL) {
      CHECK_OK(tckms_config_set_endpoint(config, endpoint));
    }
    took = failing_call_took(config, fault);
    if (took < least_ms) {
      check_failed(__FILE__, __LINE__, "%s: gave up after %ld ms", fault == NULL ? endpoint : fault, took);
    }
    if (took <= TOTAL_MS + TOLERANCE_MS) {
      break;
    }
    if (trial == TRIALS) {
      check_failed(__FILE__, __LINE__, "%s: %ld ms, %d are allowed", fault == NULL ? endpoint : fault, took, TOTAL_MS);
    }
  }
  check_done();
}

static void no_call_outlasts_its_total_timeout(void) {
  static const char *const ANSWERED[] = {
      "{\"kind\":\"status\",\"status\":503}",
      "{\"kind\":\"bad_gateway\"}",
      "{\"kind\":\"error\",\"code\":\"InternalError\"}",
      "{\"kind\":\"reset_reply\",\"after_bytes\":10}",
      "{\"kind\":\"reset_reply\",\"after_bytes\":130}",
      "{\"kind\":\"close_after_reading\"}",
      "{\"kind\":\"close_connection\"}",
      "{\"kind\":\"truncate_body\",\"keep_bytes\":5}",
  };
  static const char *const HANGING[] = {
      "{\"kind\":\"delay\",\"ms\":30000}",
      "{\"kind\":\"delay_body\",\"ms\":30000}",
      "{\"kind\":\"drip\",\"bytes\":1,\"every_ms\":20}",
  };
  size_t i;
  for (i = 0; i < COUNT(ANSWERED); i++) {
    expect_within_total(NULL, ANSWERED[i], 0);
  }
  for (i = 0; i < COUNT(HANGING); i++) {
    expect_within_total(NULL, HANGING[i], TOTAL_MS - 2);
  }
}

/* A call with an asymmetric key fetches the public key first. */
static void no_call_with_an_asymmetric_key_outlasts_its_total_timeout(void) {
  static tckms_status (*const CALLS[])(const tckms_client *) = {get_public_key, sign, sign_in_pieces, decrypt_rsa,
                                                                import_material};
  static const char *const FAULTS[] = {
      "{\"kind\":\"status\",\"status\":503}",
      "{\"kind\":\"delay\",\"ms\":30000}",
      "{\"kind\":\"drip\",\"bytes\":1,\"every_ms\":20}",
  };
  size_t i;
  size_t j;
  for (i = 0; i < COUNT(CALLS); i++) {
    measured_call = CALLS[i];
    for (j = 0; j < COUNT(FAULTS); j++) {
      expect_within_total(NULL, FAULTS[j], j == 0 ? 0 : TOTAL_MS - 2);
    }
  }
  measured_call = random_bytes;
}

/* Each of the two requests would fit into the total timeout alone. */
static void two_requests_of_one_call_share_its_total_timeout(void) {
  static tckms_status (*const CALLS[])(const tckms_client *) = {sign, import_material};
  size_t i;
  for (i = 0; i < COUNT(CALLS); i++) {
    tckms_client *client = client_of(config_with(TOTAL_MS, 60000, 2));
    long began = now_ms();
    set_fault("*", "{\"kind\":\"delay\",\"ms\":300}", 1000);
    CHECK_STATUS(CALLS[i](client), TCKMS_ERR_TIMED_OUT);
    CHECK(now_ms() - began >= TOTAL_MS - 2);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "total timeout: 500 ms");
    clear_faults();
    tckms_client_free(client);
  }
}

struct canceled_call {
  tckms_client *client;
  tckms_status status;
};

static void *sign_and_remember(void *argument) {
  struct canceled_call *call = argument;
  call->status = sign(call->client);
  return NULL;
}

/* One thread fetches a public key, and the others wait for it: canceling the client ends both. */
static void a_wait_for_a_public_key_is_canceled(void) {
  tckms_client *fetching = client_of(config_with(60000, 60000, 1));
  tckms_client *waiting;
  struct canceled_call calls[2];
  pthread_t threads[2];
  long began;
  CHECK_OK(tckms_client_derive_timeout_ms(fetching, 60000, &waiting));
  set_fault("GetPublicKey", "{\"kind\":\"delay\",\"ms\":30000}", 1000);
  calls[0].client = fetching;
  calls[1].client = waiting;
  CHECK_INT(pthread_create(&threads[0], NULL, sign_and_remember, &calls[0]), 0);
  sleep_ms(300);
  CHECK_INT(pthread_create(&threads[1], NULL, sign_and_remember, &calls[1]), 0);
  sleep_ms(300);
  began = now_ms();
  CHECK_OK(tckms_client_cancel(waiting));
  CHECK_INT(pthread_join(threads[1], NULL), 0);
  CHECK_INT(calls[1].status, TCKMS_ERR_CANCELED);
  CHECK(now_ms() - began < 2000 + slack_ms());
  CHECK_OK(tckms_client_cancel(fetching));
  CHECK_INT(pthread_join(threads[0], NULL), 0);
  CHECK_INT(calls[0].status, TCKMS_ERR_CANCELED);
  CHECK(now_ms() - began < 4000 + slack_ms());
  clear_faults();
  tckms_client_free(waiting);
  tckms_client_free(fetching);
}

/* The kernel accepts the connection, but no program reads from it. */
static void a_server_that_never_answers_ends_with_the_total_timeout(void) {
  char endpoint[64];
  int listener = listening_socket(endpoint, sizeof endpoint);
  expect_within_total(endpoint, NULL, TOTAL_MS - 2);
  close(listener);
}

/* The kernel accepts no connection, because the backlog is full. */
static void a_connection_that_never_comes_ends_with_its_timeouts(void) {
  char endpoint[64];
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int crowd[4];
  int listener = bound_socket(endpoint, sizeof endpoint);
  tckms_config *config;
  tckms_client *client;
  long began;
  size_t i;
  CHECK_INT(listen(listener, 0), 0);
  CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  for (i = 0; i < COUNT(crowd); i++) {
    crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    /* Some of them wait for a connection. */
    (void)!connect(crowd[i], (struct sockaddr *)&address, sizeof address);
  }
  expect_within_total(endpoint, NULL, TOTAL_MS - 2);

  config = config_with(60000, 60000, 2);
  CHECK_OK(tckms_config_set_endpoint(config, endpoint));
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, 200));
  client = client_of(config);
  began = now_ms();
  CHECK_STATUS(random_bytes(client), TCKMS_ERR_CONNECT_FAILED);
  CHECK(now_ms() - began >= 400 - 2);
  CHECK(now_ms() - began <= 400 + 100 + slack_ms());
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 2);
  tckms_client_free(client);
  for (i = 0; i < COUNT(crowd); i++) {
    close(crowd[i]);
  }
  close(listener);
}

static void each_try_has_its_own_timeout(void) {
  tckms_client *client = client_of(config_with(60000, 500, 3));
  long began;
  set_fault("*", "{\"kind\":\"delay\",\"ms\":30000}", 3);
  began = now_ms();
  CHECK_STATUS(random_bytes(client), TCKMS_ERR_TIMED_OUT);
  CHECK(now_ms() - began >= 3 * 500 - 2);
  CHECK(now_ms() - began <= 3 * 500 + 100 + 200 + slack_ms());
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 3);
  CHECK(!faults_are_left());
  /* A slow attempt and a fast one: the second one succeeds. */
  set_fault("*", "{\"kind\":\"delay\",\"ms\":30000}", 1);
  CHECK_OK(random_bytes(client));
  tckms_client_free(client);
}

/* ---- Retry-After and the number of attempts ---- */

static void retry_after_in_seconds_is_waited_for(void) {
  tckms_client *client = client_of(config_with(60000, 60000, 4));
  long began;
  set_fault("*", "{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"1\"}}", 2);
  began = now_ms();
  CHECK_OK(random_bytes(client));
  CHECK(now_ms() - began >= 2000 - 2);
  CHECK(now_ms() - began <= 2000 + slack_ms());
  tckms_client_free(client);
}

/* A date is relative to the reply's Date, whatever the clocks show. */
static void retry_after_as_a_date_is_waited_for(void) {
  char fault[256];
  char date[64];
  time_t then = time(NULL) + 2;
  struct tm parts;
  tckms_client *client = client_of(config_with(60000, 60000, 2));
  long began;
  gmtime_r(&then, &parts);
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  snprintf(fault, sizeof fault, "{\"kind\":\"status\",\"status\":429,\"headers\":{\"Retry-After\":\"%s\"}}", date);
  set_fault("*", fault, 1);
  began = now_ms();
  CHECK_OK(random_bytes(client));
  /* The second may have changed between the script and the reply. */
  CHECK(now_ms() - began >= 1000 - 2);
  CHECK(now_ms() - began <= 2000 + slack_ms());
  tckms_client_free(client);

  /* By a clock that is an hour behind, the same date is an hour away, so the library does not wait. */
  client = client_of(config_with(60000, 60000, 2));
  snprintf(fault, sizeof fault,
           "[{\"fault\":{\"kind\":\"clock_shift\",\"seconds\":-3600}},"
           "{\"fault\":{\"kind\":\"status\",\"status\":429,\"headers\":{\"Retry-After\":\"%s\"}}}]",
           date);
  set_faults(fault);
  began = now_ms();
  CHECK_STATUS(random_bytes(client), TCKMS_ERR_HTTP_UNAVAILABLE);
  CHECK(now_ms() - began <= slack_ms());
  CHECK(tckms_error_retry_after_ms(tckms_last_error()) > 3590 * 1000);
  tckms_client_free(client);
  clear_faults();
}

static void a_retry_after_beyond_the_total_timeout_ends_the_call_at_once(void) {
  static const struct {
    const char *value;
    int64_t retry_after_ms;
  } LONG_WAITS[] = {{"5", 5000}, {"86400", 86400000}, {"18446744073709551615", INT64_MAX}};
  size_t i;
  for (i = 0; i < COUNT(LONG_WAITS); i++) {
    char fault[256];
    tckms_client *client = client_of(config_with(4000, 4000, 4));
    long began;
    snprintf(fault, sizeof fault, "{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"%s\"}}",
             LONG_WAITS[i].value);
    set_fault("*", fault, 1);
    began = now_ms();
    CHECK_STATUS(random_bytes(client), TCKMS_ERR_HTTP_UNAVAILABLE);
    CHECK(now_ms() - began <= slack_ms());
    CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
    CHECK_INT(tckms_error_retry_after_ms(tckms_last_error()), LONG_WAITS[i].retry_after_ms);
    tckms_client_free(client);
  }
}

static void attempts_are_as_many_as_allowed_and_no_more(void) {
  static const int ALLOWED[] = {1, 2, 3, 4, 5};
  size_t i;
  tckms_client *defaults;
  for (i = 0; i < COUNT(ALLOWED); i++) {
    tckms_client *client = client_of(config_with(60000, 60000, ALLOWED[i]));
    set_fault("*", "{\"kind\":\"status\",\"status\":503}", 100);
    forget_requests();
    CHECK_STATUS(random_bytes(client), TCKMS_ERR_HTTP_UNAVAILABLE);
    CHECK_INT(tckms_error_attempts(tckms_last_error()), ALLOWED[i]);
    CHECK_INT(requests_seen("GenerateRandom"), ALLOWED[i]);
    tckms_client_free(client);
  }
  defaults = emulator_client();
  CHECK_STATUS(random_bytes(defaults), TCKMS_ERR_HTTP_UNAVAILABLE);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 4);
  tckms_client_free(defaults);
  clear_faults();
}

static void every_attempt_has_its_own_signature(void) {
  tckms_client *client = client_of(config_with(60000, 60000, 2));
  set_fault("*", "{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"2\"}}", 1);
  forget_requests();
  CHECK_OK(random_bytes(client));
  {
    char *requests = admin("GET", "requests", "");
    const char *first = strstr(requests, "\"x-tc-timestamp\":\"");
    const char *second = first == NULL ? NULL : strstr(first + 1, "\"x-tc-timestamp\":\"");
    CHECK(second != NULL && strncmp(first, second, 28) != 0);
    free(requests);
  }
  tckms_client_free(client);
}

static void a_derived_client_has_its_own_limits(void) {
  tckms_client *client = client_of(config_with(60000, 60000, 2));
  tckms_client *derived = NULL;
  tckms_config *config = tckms_config_new();
  CHECK_OK(tckms_config_set_max_attempts(config, 3));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 100));
  CHECK_OK(tckms_client_derive(client, config, &derived));
  set_fault("*", "{\"kind\":\"delay\",\"ms\":300}", 3);
  CHECK_STATUS(random_bytes(derived), TCKMS_ERR_TIMED_OUT);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 3);
  set_fault("*", "{\"kind\":\"delay\",\"ms\":300}", 1);
  CHECK_OK(random_bytes(client));
  tckms_config_free(config);
  tckms_client_free(derived);
  tckms_client_free(client);
}

/* ---- The waits are uniformly distributed between zero and a maximum that doubles ---- */

enum { THREADS = 32, CALLS_PER_THREAD = 13, SAMPLES = THREADS * CALLS_PER_THREAD, WAITS = 3 };

static struct {
  int ms[SAMPLES];
  int count;
} waits[WAITS];

/* The total wait that the log reported for the current call of this thread. */
static pthread_key_t last_wait;

static void on_wait(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  const char *text = strstr(message, " waits ");
  int ms;
  int attempt;
  (void)userdata;
  if (text == NULL) {
    return;
  }
  CHECK_INT(level, TCKMS_LOG_DEBUG);
  CHECK_INT(sscanf(text, " waits %d ms before attempt %d", &ms, &attempt), 2);
  CHECK(attempt >= 2 && attempt <= 1 + WAITS);
  waits[attempt - 2].ms[__atomic_fetch_add(&waits[attempt - 2].count, 1, __ATOMIC_RELAXED)] = ms;
  *(long *)pthread_getspecific(last_wait) += ms;
}

static void *fail_often(void *argument) {
  long sum = 0;
  int i;
  CHECK_INT(pthread_setspecific(last_wait, &sum), 0);
  for (i = 0; i < CALLS_PER_THREAD; i++) {
    long began = now_ms();
    sum = 0;
    CHECK_STATUS(random_bytes(argument), TCKMS_ERR_HTTP_UNAVAILABLE);
    /* The library really waits, and does not only report it. */
    CHECK(now_ms() - began >= sum - 2);
  }
  return NULL;
}

/*
 * With 416 uniformly distributed waits, a mean that differs by a tenth of the maximum, or a quarter of the range with less than 12 or
 * more than 38 percent of them, has a probability of about one in a hundred million.
 */
static void expect_even_spread(const int *ms, int count, int ceiling) {
  int quarters[4] = {0, 0, 0, 0};
  long sum = 0;
  int i;
  CHECK_INT(count, SAMPLES);
  for (i = 0; i < count; i++) {
    CHECK(ms[i] >= 0 && ms[i] < ceiling);
    quarters[ms[i] * 4 / ceiling]++;
    sum += ms[i];
  }
  CHECK(labs(sum / count - ceiling / 2) < ceiling / 10);
  for (i = 0; i < 4; i++) {
    CHECK(quarters[i] > SAMPLES * 12 / 100 && quarters[i] < SAMPLES * 38 / 100);
  }
}

static void waits_have_full_jitter(void) {
  pthread_t threads[THREADS];
  tckms_client *client;
  tckms_config *config = config_with(60000, 60000, 1 + WAITS);
  int i;
  CHECK_INT(pthread_key_create(&last_wait, NULL), 0);
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_wait, NULL, NULL));
  client = client_of(config);
  set_fault("*", "{\"kind\":\"status\",\"status\":503}", 1000000);
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, fail_often, client), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  for (i = 0; i < WAITS; i++) {
    expect_even_spread(waits[i].ms, waits[i].count, 100 << i);
  }
  tckms_client_free(client);
  clear_faults();
}

/* ---- Actions that create something ---- */

static long number_of_keys(const tckms_client *client) {
  tckms_buffer response;
  const char *total;
  long count;
  CHECK_OK(tckms_call(client, "ListKeys", NULL, &response));
  total = strstr((const char *)response.data, "\"TotalCount\":");
  CHECK(total != NULL);
  count = atol(total + strlen("\"TotalCount\":"));
  tckms_buffer_free(&response);
  return count;
}

static tckms_status create_key(const tckms_client *client) {
  static int number = 0;
  char request[128];
  tckms_buffer response;
  tckms_status status;
  snprintf(request, sizeof request, "{\"Alias\":\"created-%d\"}", ++number);
  status = tckms_call(client, "CreateKey", request, &response);
  tckms_buffer_free(&response);
  return status;
}

/* Long enough for a busy machine if no reply is delayed. */
static int try_timeout_for(const char *fault) {
  return strstr(fault, "\"delay") == NULL ? 60000 : 1000;
}

static const struct {
  const char *fault;
  /* Without permission to repeat. */
  tckms_status status;
  int keys;
  int attempts;
  /* With permission. */
  tckms_status allowed_status;
  int allowed_attempts;
} CREATIONS[] = {
    /* The service created the key, and the reply was lost. A second request is refused because the alias exists. */
    {"{\"kind\":\"close_after_reading\"}", TCKMS_ERR_CONNECTION_LOST, 1, 1, TCKMS_ERR_ALIAS_EXISTS, 2},
    {"{\"kind\":\"reset_reply\",\"after_bytes\":10}", TCKMS_ERR_CONNECTION_LOST, 1, 1,
     TCKMS_ERR_ALIAS_EXISTS, 2},
    {"{\"kind\":\"truncate_body\",\"keep_bytes\":9}", TCKMS_ERR_CONNECTION_LOST, 1, 1,
     TCKMS_ERR_ALIAS_EXISTS, 2},
    {"{\"kind\":\"delay\",\"ms\":20000}", TCKMS_ERR_TIMED_OUT, 1, 1, TCKMS_ERR_ALIAS_EXISTS, 2},
    {"{\"kind\":\"delay_body\",\"ms\":20000}", TCKMS_ERR_TIMED_OUT, 1, 1, TCKMS_ERR_ALIAS_EXISTS, 2},
    /* The service did not create it, but the caller cannot know that. */
    {"{\"kind\":\"close_before_reading\"}", TCKMS_ERR_CONNECTION_LOST, 0, 1, TCKMS_OK, 2},
    {"{\"kind\":\"reset_request\",\"after_bytes\":1}", TCKMS_ERR_CONNECTION_LOST, 0, 1, TCKMS_OK, 2},
    {"{\"kind\":\"bad_gateway\"}", TCKMS_ERR_HTTP_UNAVAILABLE, 0, 1, TCKMS_OK, 2},
    {"{\"kind\":\"status\",\"status\":504}", TCKMS_ERR_HTTP_UNAVAILABLE, 0, 1, TCKMS_OK, 2},
    {"{\"kind\":\"error\",\"code\":\"InternalError\"}", TCKMS_ERR_SERVICE_INTERNAL_ERROR, 0, 1, TCKMS_OK, 2},
    /* The request was refused before it was executed, so no key can exist. */
    {"{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"}", TCKMS_OK, 1, 2, TCKMS_OK, 2},
    {"{\"kind\":\"error\",\"code\":\"RequestLimitExceeded.UinLimitExceeded\"}", TCKMS_OK, 1, 2, TCKMS_OK, 2},
    {"{\"kind\":\"status\",\"status\":429}", TCKMS_OK, 1, 2, TCKMS_OK, 2},
    {"{\"kind\":\"status\",\"status\":503}", TCKMS_OK, 1, 2, TCKMS_OK, 2},
};

static void a_request_that_may_have_created_something_is_not_repeated(void) {
  tckms_client *bystander = emulator_client();
  size_t i;
  int allowed;
  for (i = 0; i < COUNT(CREATIONS); i++) {
    for (allowed = 0; allowed <= 1; allowed++) {
      tckms_config *config = config_with(60000, try_timeout_for(CREATIONS[i].fault), 2);
      tckms_status expected = allowed ? CREATIONS[i].allowed_status : CREATIONS[i].status;
      tckms_status status;
      tckms_client *client;
      long before = number_of_keys(bystander);
      int attempts;
      CHECK_OK(tckms_config_set_retry_unsafe_actions(config, allowed));
      client = client_of(config);
      set_fault("CreateKey", CREATIONS[i].fault, 1);
      forget_requests();
      status = create_key(client);
      if (status != expected) {
        check_failed(__FILE__, __LINE__, "%s, allowed %d: %s", CREATIONS[i].fault, allowed, tckms_status_name(status));
      }
      attempts = requests_seen("CreateKey");
      CHECK_INT(attempts, allowed ? CREATIONS[i].allowed_attempts : CREATIONS[i].attempts);
      CHECK_INT(status == TCKMS_OK || tckms_error_attempts(tckms_last_error()) == attempts, 1);
      CHECK_INT(number_of_keys(bystander) - before, allowed ? 1 : CREATIONS[i].keys);
      CHECK(!faults_are_left());
      tckms_client_free(client);
    }
  }
  tckms_client_free(bystander);
}

/* ---- The rate ---- */

enum { RATE_THREADS = 8, PER_SECOND = 50, BURST = 10, RATE_MS = 5000, RATE_TRIALS = 3 };

static struct {
  const tckms_client *client;
  long end;
  int done;
} rated;

static void *call_until_the_end(void *argument) {
  for (;;) {
    CHECK_OK(random_bytes(rated.client));
    if (now_ms() > rated.end) {
      return argument;
    }
    __atomic_add_fetch(&rated.done, 1, __ATOMIC_RELAXED);
  }
}

static void in_threads(int count, void *(*work)(void *), void *argument) {
  pthread_t threads[RATE_THREADS];
  int i;
  CHECK(count <= RATE_THREADS);
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, work, argument), 0);
  }
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
}

/* Never too many calls. Too few only if the machine is too busy. */
static void eight_threads_keep_the_rate(void) {
  const int expected = PER_SECOND * RATE_MS / 1000;
  int trial;
  for (trial = 1;; trial++) {
    tckms_config *config = emulator_config();
    tckms_client *client;
    CHECK_OK(tckms_config_set_rate_limit(config, PER_SECOND, BURST));
    client = client_of(config);
    rated.client = client;
    rated.done = 0;
    rated.end = now_ms() + RATE_MS;
    in_threads(RATE_THREADS, call_until_the_end, NULL);
    tckms_client_free(client);
    CHECK(rated.done <= expected * 105 / 100);
    if (rated.done >= expected * 95 / 100) {
      return;
    }
    if (trial == RATE_TRIALS) {
      check_failed(__FILE__, __LINE__, "%d calls, not %d", rated.done, expected);
    }
  }
}

static long calls_took(const tckms_client *client, int calls) {
  long began = now_ms();
  int i;
  for (i = 0; i < calls; i++) {
    CHECK_OK(random_bytes(client));
  }
  return now_ms() - began;
}

static void a_burst_passes_at_once(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  long took;
  CHECK_OK(tckms_config_set_rate_limit(config, 2, 20));
  client = client_of(config);
  /* Twenty at once, and two more that wait for half a second each. Without the burst it would take ten seconds. */
  took = calls_took(client, 22);
  CHECK(took >= 1000 - 2);
  CHECK(took <= 1000 + slack_ms());
  tckms_client_free(client);
}

static void no_burst_is_one_seconds_worth(void) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  long took;
  CHECK_OK(tckms_config_set_rate_limit(config, 20, 0));
  client = client_of(config);
  /* Twenty at once, and six more that wait for 50 ms each. */
  took = calls_took(client, 26);
  CHECK(took >= 300 - 2);
  CHECK(took <= 300 + slack_ms());
  tckms_client_free(client);
}

/* Retries, derived clients, and other clients of the same configuration share the limit. */
static void everything_counts_against_the_limit(void) {
  tckms_config *config = emulator_config();
  tckms_config *change = tckms_config_new();
  tckms_client *first = NULL;
  tckms_client *second = NULL;
  tckms_client *derived = NULL;
  long began;
  CHECK_OK(tckms_config_set_rate_limit(config, 5, 1));
  CHECK_OK(tckms_client_new(config, &first));
  CHECK_OK(tckms_client_new(config, &second));
  CHECK_OK(tckms_config_set_max_attempts(change, 4));
  CHECK_OK(tckms_client_derive(first, change, &derived));
  began = now_ms();
  set_fault("*", "{\"kind\":\"status\",\"status\":503}", 1);
  CHECK_OK(random_bytes(first));
  CHECK_OK(random_bytes(second));
  CHECK_OK(random_bytes(derived));
  /* Four requests, so three intervals of 200 ms. */
  CHECK(now_ms() - began >= 600 - 2);
  CHECK(now_ms() - began <= 600 + slack_ms());
  tckms_client_free(derived);
  tckms_client_free(second);
  tckms_client_free(first);
  tckms_config_free(change);
  tckms_config_free(config);
}

static void *call_once(void *client) {
  CHECK_OK(random_bytes(client));
  return NULL;
}

static void a_wait_beyond_the_total_timeout_fails_at_once(void) {
  pthread_t patient[5];
  tckms_config *config = config_with(60000, 60000, 4);
  tckms_config *change = tckms_config_new();
  tckms_client *client;
  tckms_client *with_short_timeout = NULL;
  long began;
  size_t i;
  CHECK_OK(tckms_config_set_rate_limit(config, 1, 1));
  client = client_of(config);
  CHECK_OK(tckms_config_set_total_timeout_ms(change, 1500));
  CHECK_OK(tckms_client_derive(client, change, &with_short_timeout));
  /* One per second: these calls have the tokens of the next four seconds. */
  for (i = 0; i < COUNT(patient); i++) {
    CHECK_INT(pthread_create(&patient[i], NULL, call_once, client), 0);
  }
  sleep_ms(300);
  began = now_ms();
  CHECK_STATUS(random_bytes(with_short_timeout), TCKMS_ERR_TIMED_OUT);
  CHECK(now_ms() - began < 1000);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 0);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "rate limit");
  for (i = 0; i < COUNT(patient); i++) {
    CHECK_INT(pthread_join(patient[i], NULL), 0);
  }
  tckms_config_free(change);
  tckms_client_free(with_short_timeout);
  tckms_client_free(client);
}

static void without_a_limit_there_is_none(void) {
  tckms_client *unset = emulator_client();
  tckms_config *config = emulator_config();
  tckms_client *zero;
  CHECK_OK(tckms_config_set_rate_limit(config, 1, 1));
  CHECK_OK(tckms_config_set_rate_limit(config, 0, 0));
  zero = client_of(config);
  CHECK(calls_took(unset, 50) < 2000 + slack_ms());
  CHECK(calls_took(zero, 50) < 2000 + slack_ms());
  tckms_client_free(zero);
  tckms_client_free(unset);
}

/* The service's limit: throttled calls are retried, and all succeed. */
static void *call_five_times(void *argument) {
  int i;
  for (i = 0; i < 5; i++) {
    CHECK_OK(random_bytes(argument));
    sleep_ms(1);
  }
  return NULL;
}

static void callers_that_are_throttled_get_through(void) {
  tckms_stats stats;
  tckms_client *client = client_of(config_with(60000, 60000, 20));
  set_fault("*", "{\"kind\":\"throttle\",\"per_second\":15}", 1);
  in_threads(RATE_THREADS, call_five_times, client);
  clear_faults();
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  CHECK_INT((intmax_t)stats.calls, RATE_THREADS * 5);
  CHECK(stats.throttles > 0 && stats.throttles == stats.retries);
  CHECK_INT((intmax_t)stats.failures_unavailable, 0);
  tckms_client_free(client);
}

int main(int argc, char **argv) {
  const char *group = argc > 1 ? argv[1] : "";
  if (strcmp(group, "asymmetric") == 0) {
    make_key(TCKMS_KEY_USAGE_SIGN_ECC, 0, signing_key);
    make_key(TCKMS_KEY_USAGE_DECRYPT_RSA_2048, 0, decrypting_key);
    make_key(NULL, 1, external_key);
    no_call_with_an_asymmetric_key_outlasts_its_total_timeout();
    two_requests_of_one_call_share_its_total_timeout();
    a_wait_for_a_public_key_is_canceled();
  } else if (strcmp(group, "budget") == 0) {
    no_call_outlasts_its_total_timeout();
    a_server_that_never_answers_ends_with_the_total_timeout();
    a_connection_that_never_comes_ends_with_its_timeouts();
    each_try_has_its_own_timeout();
  } else if (strcmp(group, "waits") == 0) {
    retry_after_in_seconds_is_waited_for();
    retry_after_as_a_date_is_waited_for();
    a_retry_after_beyond_the_total_timeout_ends_the_call_at_once();
    attempts_are_as_many_as_allowed_and_no_more();
    every_attempt_has_its_own_signature();
    a_derived_client_has_its_own_limits();
  } else if (strcmp(group, "jitter") == 0) {
    waits_have_full_jitter();
  } else if (strcmp(group, "creation") == 0) {
    a_request_that_may_have_created_something_is_not_repeated();
  } else if (strcmp(group, "rate") == 0) {
    eight_threads_keep_the_rate();
    a_burst_passes_at_once();
    no_burst_is_one_seconds_worth();
    everything_counts_against_the_limit();
    a_wait_beyond_the_total_timeout_fails_at_once();
    without_a_limit_there_is_none();
    callers_that_are_throttled_get_through();
  } else {
    check_failed(__FILE__, __LINE__, "there is no group \"%s\"", group);
  }
  return checks_passed();
}
