/* Credentials from a callback: what it may return, when it is called, and when its userdata is freed. */
#define _GNU_SOURCE
#include "credentials.h"

#include <limits.h>

/* The function of a callback, with the numbers of its calls. */
struct vault {
  int (*answer)(struct vault *vault, tckms_credentials *out);
  int asked;
  int freed;
  int64_t expires_at;
  long slow_ms;
};

static int on_credentials(void *userdata, tckms_credentials *out) {
  struct vault *vault = userdata;
  __atomic_add_fetch(&vault->asked, 1, __ATOMIC_SEQ_CST);
  return vault->answer(vault, out);
}

static void release(void *userdata) {
  struct vault *vault = userdata;
  __atomic_add_fetch(&vault->freed, 1, __ATOMIC_SEQ_CST);
}

static int times_asked(struct vault *vault) {
  return __atomic_load_n(&vault->asked, __ATOMIC_SEQ_CST);
}

static tckms_config *vault_config(struct vault *vault, int (*answer)(struct vault *, tckms_credentials *)) {
  tckms_config *config = logged_config();
  memset(vault, 0, sizeof *vault);
  vault->answer = answer;
  CHECK_OK(tckms_config_set_credentials_callback(config, on_credentials, vault, release));
  return config;
}

static int supply(struct vault *vault, tckms_credentials *out) {
  if (vault->slow_ms > 0) {
    sleep_ms(vault->slow_ms);
  }
  CHECK_OK(tckms_credentials_set(out, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, vault->expires_at));
  return 0;
}

static void credentials_without_an_expiry_are_kept(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, supply));
  CHECK_INT(times_asked(&vault), 0);
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  CHECK_INT(times_asked(&vault), 1);
  tckms_client_free(client);
  CHECK_INT(vault.freed, 1);
}

static int fail(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  (void)out;
  return -1;
}

/* The credentials that were set before are then ignored. */
static int supply_and_fail(struct vault *vault, tckms_credentials *out) {
  CHECK_OK(tckms_credentials_set(out, "AKIDTEST", "S3CRET", "S3CRET", vault->expires_at));
  return 1;
}

static int supply_nothing(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  (void)out;
  return 0;
}

static int supply_blanks(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  CHECK_REFUSED(tckms_credentials_set(out, "", "S3CRET", NULL, 0), TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", " S3CRET", NULL, 0), TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET\n", NULL, 0), TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET", "", 0), TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET", "S3CRET\t", 0), TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET\xe5\xaf\x86", NULL, 0),
                TCKMS_ERR_MALFORMED_CREDENTIALS);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET\xff", NULL, 0), TCKMS_ERR_INVALID_UTF8);
  return 0;
}

static int supply_null(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  CHECK_REFUSED(tckms_credentials_set(NULL, "AKIDTEST", "S3CRET", NULL, 0), TCKMS_ERR_NULL_POINTER);
  CHECK_REFUSED(tckms_credentials_set(out, NULL, "S3CRET", NULL, 0), TCKMS_ERR_NULL_POINTER);
  CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", NULL, NULL, 0), TCKMS_ERR_NULL_POINTER);
  return 0;
}

static void a_callback_without_usable_credentials_fails_the_call(void) {
  int (*const answers[])(struct vault *, tckms_credentials *) = {fail, supply_and_fail, supply_nothing, supply_blanks,
                                                                supply_null};
  size_t i;
  for (i = 0; i < sizeof answers / sizeof *answers; i++) {
    struct vault vault;
    tckms_client *client = client_of(vault_config(&vault, answers[i]));
    forget_requests();
    CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED);
    CHECK(!tckms_error_retryable(tckms_last_error()));
    /* The callback is not called for half a second after a failure. */
    CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED);
    CHECK_INT(times_asked(&vault), 1);
    CHECK_INT(requests_seen("Encrypt"), 0);
    tckms_client_free(client);
    CHECK_INT(vault.freed, 1);
  }
}

static int say_unavailable(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  (void)out;
  return TCKMS_ERR_SERVICE_UNAVAILABLE;
}

static int say_expired(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  (void)out;
  return TCKMS_ERR_CREDENTIALS_EXPIRED;
}

static int print_unknown_statuses(struct vault *vault, tckms_credentials *out) {
  (void)vault;
  (void)out;
  return INT_MAX;
}

static void the_status_it_returns_is_that_of_the_call(void) {
  static const struct {
    int (*answer)(struct vault *, tckms_credentials *);
    tckms_status status;
    int retryable;
  } rows[] = {{say_unavailable, TCKMS_ERR_SERVICE_UNAVAILABLE, 1},
              {say_expired, TCKMS_ERR_CREDENTIALS_EXPIRED, 0},
              {print_unknown_statuses, TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED, 0}};
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct vault vault;
    tckms_client *client = client_of(vault_config(&vault, rows[i].answer));
    CHECK_REFUSED(use(client), rows[i].status);
    CHECK_INT(tckms_error_retryable(tckms_last_error()), rows[i].retryable);
    CHECK_MESSAGE_HAS("callback");
    CHECK_INT(tckms_error_attempts(tckms_last_error()), 0);
    tckms_client_free(client);
  }
}

static int fail_at_first(struct vault *vault, tckms_credentials *out) {
  return times_asked(vault) == 1 ? 1 : supply(vault, out);
}

static void a_provider_that_recovers_is_tried_again(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, fail_at_first));
  CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED);
  sleep_ms(600);
  CHECK_OK(use(client));
  CHECK_INT(times_asked(&vault), 2);
  tckms_client_free(client);
}

static void one_function_less_is_an_error(void) {
  tckms_config *config = logged_config();
  struct vault vault;
  memset(&vault, 0, sizeof vault);
  CHECK_REFUSED(tckms_config_set_credentials_callback(config, NULL, &vault, release), TCKMS_ERR_NULL_POINTER);
  CHECK_REFUSED(tckms_config_set_credentials_callback(NULL, on_credentials, &vault, release), TCKMS_ERR_NULL_POINTER);
  tckms_config_free(config);
  CHECK_INT(vault.freed, 0);
}

/* Credentials that are already expired are refused, and the callback is not called in a loop. */
static void an_end_in_the_past_is_an_error(void) {
  static const int64_t ends[] = {1, -1, INT64_MIN};
  size_t i;
  for (i = 0; i < sizeof ends / sizeof *ends; i++) {
    struct vault vault;
    tckms_client *client = client_of(vault_config(&vault, supply));
    vault.expires_at = ends[i];
    CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
    CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
    CHECK_INT(times_asked(&vault), 1);
    tckms_client_free(client);
  }
}

/* An expiry in milliseconds would be 50,000 years from now, which would mean no expiry. */
static int supply_milliseconds(struct vault *vault, tckms_credentials *out) {
  static const int64_t ends[] = {253402300800, 1764000000000, INT64_MAX};
  size_t i;
  (void)vault;
  for (i = 0; i < sizeof ends / sizeof *ends; i++) {
    CHECK_REFUSED(tckms_credentials_set(out, "AKIDTEST", "S3CRET", NULL, ends[i]), TCKMS_ERR_OUT_OF_RANGE);
    CHECK_MESSAGE_HAS("seconds");
  }
  return TCKMS_ERR_OUT_OF_RANGE;
}

static void an_expiry_in_milliseconds_is_refused(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, supply_milliseconds));
  CHECK_REFUSED(use(client), TCKMS_ERR_OUT_OF_RANGE);
  tckms_client_free(client);
}

static void a_very_late_expiry_means_no_expiry(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, supply));
  vault.expires_at = 253402300799;
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  CHECK_INT(times_asked(&vault), 1);
  tckms_client_free(client);
}

static void an_expiry_is_honoured(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, supply));
  vault.expires_at = unix_time() + 3;
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  CHECK_INT(times_asked(&vault), 1);
  sleep_ms(3100);
  vault.expires_at = 0;
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  CHECK_INT(times_asked(&vault), 2);
  tckms_client_free(client);
}

static void one_call_of_it_serves_32_threads(void) {
  struct vault vault;
  tckms_client *client = client_of(vault_config(&vault, supply));
  vault.slow_ms = 300;
  on_threads(32, use_on_thread, client);
  CHECK_INT(times_asked(&vault), 1);
  tckms_client_free(client);
}

struct renewal {
  tckms_client *client;
  int over;
};

static void *renew(void *argument) {
  struct renewal *renewal = argument;
  CHECK_OK(use(renewal->client));
  __atomic_store_n(&renewal->over, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

/* The callback is slow in the last tenth of twenty seconds; a call that waited for it would take as long. */
static void others_continue_while_it_is_slow(void) {
  struct vault vault;
  struct renewal renewal;
  pthread_t thread;
  long took;
  int i;
  renewal.client = client_of(vault_config(&vault, supply));
  renewal.over = 0;
  vault.expires_at = start_of_a_second() + 20;
  CHECK_OK(use(renewal.client));
  vault.expires_at = 0;
  vault.slow_ms = 5000;
  sleep_ms(18100);
  CHECK_INT(pthread_create(&thread, NULL, renew, &renewal), 0);
  while (times_asked(&vault) < 2) {
    sleep_ms(1);
  }
  for (i = 0; i < 10; i++) {
    CHECK_OK(use_and_measure(renewal.client, &took));
    CHECK(took < 4000);
  }
  CHECK(!__atomic_load_n(&renewal.over, __ATOMIC_SEQ_CST));
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(times_asked(&vault), 2);
  tckms_client_free(renewal.client);
}

/* A call waits for a callback on another thread only until its own timeout. */
static void a_call_waits_until_its_deadline(void) {
  struct vault vault;
  struct renewal renewal;
  tckms_config *limits = tckms_config_new();
  tckms_client *brief;
  pthread_t thread;
  long took;
  renewal.client = client_of(vault_config(&vault, supply));
  renewal.over = 0;
  vault.slow_ms = 2000;
  CHECK_OK(tckms_config_set_total_timeout_ms(limits, 300));
  CHECK_OK(tckms_client_derive(renewal.client, limits, &brief));
  CHECK_INT(pthread_create(&thread, NULL, renew, &renewal), 0);
  while (times_asked(&vault) < 1) {
    sleep_ms(1);
  }
  CHECK_REFUSED(use_and_measure(brief, &took), TCKMS_ERR_TIMED_OUT);
  CHECK(took < 300 + slack_ms());
  CHECK_INT(pthread_join(thread, NULL), 0);
  tckms_client_free(brief);
  tckms_client_free(renewal.client);
  tckms_config_free(limits);
}

/* Configuration, client and derived client, freed in each of the six orders. */
static void it_is_freed_once_in_any_order(void) {
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  int i;
  for (i = 0; i < 6; i++) {
    struct vault vault;
    tckms_config *config = vault_config(&vault, supply);
    tckms_config *limits = tckms_config_new();
    tckms_client *client = NULL;
    tckms_client *derived = NULL;
    int step;
    CHECK_OK(tckms_client_new(config, &client));
    CHECK_OK(tckms_client_derive(client, limits, &derived));
    tckms_config_free(limits);
    CHECK_OK(use(i % 2 == 0 ? client : derived));
    for (step = 0; step < 3; step++) {
      CHECK_INT(vault.freed, 0);
      switch (orders[i][step]) {
        case 0:
          tckms_config_free(config);
          break;
        case 1:
          tckms_client_free(client);
          break;
        default:
          tckms_client_free(derived);
      }
    }
    CHECK_INT(vault.freed, 1);
  }
}

static void it_is_freed_once_however_it_was_passed_on(void) {
  struct vault vault;
  struct vault other;
  tckms_config *config = vault_config(&vault, supply);
  tckms_config *copy;
  tckms_client *client = NULL;
  /* Replaced while nothing else uses it. */
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", NULL));
  CHECK_INT(vault.freed, 1);
  CHECK_INT(vault.asked, 0);
  tckms_config_free(config);
  /* In two configurations and a client. */
  config = vault_config(&vault, fail);
  copy = vault_config(&other, supply);
  CHECK_OK(tckms_config_add_fallback_credentials(config, copy));
  tckms_config_free(copy);
  CHECK_INT(other.freed, 0);
  CHECK_OK(tckms_client_new(config, &client));
  CHECK_OK(use(client));
  tckms_config_free(config);
  CHECK_INT(vault.freed + other.freed, 0);
  tckms_client_free(client);
  CHECK_INT(vault.freed, 1);
  CHECK_INT(other.freed, 1);
  /* A client that cannot be created. */
  config = vault_config(&vault, supply);
  CHECK_OK(tckms_config_set_ca_file(config, "/nonexistent"));
  CHECK_OK(tckms_config_set_endpoint(config, "https://127.0.0.1:1"));
  CHECK_REFUSED(tckms_client_new(config, &client), TCKMS_ERR_INVALID_CA_BUNDLE);
  CHECK_INT(vault.freed, 0);
  tckms_config_free(config);
  CHECK_INT(vault.freed, 1);
}

static int supply_without_userdata(void *userdata, tckms_credentials *out) {
  CHECK(userdata == NULL);
  return tckms_credentials_set(out, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0) == TCKMS_OK ? 0 : 1;
}

static void userdata_and_destructor_are_optional(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_credentials_callback(config, supply_without_userdata, NULL, NULL));
  expect_usable(config);
}

int main(void) {
  reset_emulator();
  if (strcmp(given("TEST_PART"), "slow") == 0) {
    others_continue_while_it_is_slow();
    return no_secret_was_logged();
  }
  it_is_freed_once_in_any_order();
  it_is_freed_once_however_it_was_passed_on();
  userdata_and_destructor_are_optional();
  credentials_without_an_expiry_are_kept();
  if (strcmp(given("TEST_PART"), "freeing") == 0) {
    return no_secret_was_logged();
  }
  a_callback_without_usable_credentials_fails_the_call();
  the_status_it_returns_is_that_of_the_call();
  a_provider_that_recovers_is_tried_again();
  an_expiry_in_milliseconds_is_refused();
  one_function_less_is_an_error();
  an_end_in_the_past_is_an_error();
  a_very_late_expiry_means_no_expiry();
  an_expiry_is_honoured();
  one_call_of_it_serves_32_threads();
  a_call_waits_until_its_deadline();
  return no_secret_was_logged();
}
