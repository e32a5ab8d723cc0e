/* The log lines and counters of a client: a line for each attempt, and counters for all calls. */
#include "check.h"

#include "admin.h"

#define PLAINTEXT "correct horse battery staple"

enum { LINES_MAX = 16 };

static struct {
  int count;
  int levels[LINES_MAX];
  char lines[LINES_MAX][512];
} logged;

static void on_log_event(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  CHECK(userdata == &logged);
  CHECK(logged.count < LINES_MAX);
  logged.levels[logged.count] = level;
  snprintf(logged.lines[logged.count++], sizeof logged.lines[0], "%s", message);
}

static tckms_client *observed_client(int attempts) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_max_attempts(config, attempts));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_log_event, &logged, NULL));
  memset(&logged, 0, sizeof logged);
  return client_of(config);
}

static tckms_stats stats_of(const tckms_client *client) {
  tckms_stats stats;
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  return stats;
}

static tckms_status encrypt(const tckms_client *client) {
  tckms_buffer blob;
  tckms_status status = tckms_encrypt(client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), NULL, &blob);
  tckms_buffer_free(&blob);
  return status;
}

/* Checks that `line` is the line of this attempt, with any request id and duration. Copies the request id. */
static void check_attempt(const char *line, int attempt, const char *status, const char *http, const char *code,
                          char *request_id) {
  char begin[256];
  const char *rest;
  unsigned ms;
  snprintf(begin, sizeof begin, "action=Encrypt endpoint=127.0.0.1:%d attempt=%d status=%s http=%s code=%s request_id=",
           emulator_port(), attempt, status, http, code);
  if (strncmp(line, begin, strlen(begin)) != 0) {
    check_failed(__FILE__, __LINE__, "\"%s\" does not begin with \"%s\"", line, begin);
  }
  rest = line + strlen(begin);
  CHECK_INT(sscanf(rest, "%63s ms=%u", request_id, &ms), 2);
  CHECK(ms < 60000);
}

static void each_attempt_has_one_line_with_all_that_matters(void) {
  tckms_client *client = observed_client(4);
  char request_id[64];
  set_faults("[{\"fault\":{\"kind\":\"status\",\"status\":503}},"
             "{\"fault\":{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"}},"
             "{\"fault\":{\"kind\":\"close_after_reading\"}}]");
  CHECK_OK(encrypt(client));
  /* Four attempts, and the waits between them. */
  CHECK_INT(logged.count, 7);
  check_attempt(logged.lines[0], 1, "TCKMS_ERR_HTTP_UNAVAILABLE", "503", "-", request_id);
  CHECK_TEXT(request_id, "-");
  CHECK_INT(logged.levels[0], TCKMS_LOG_WARN);
  CHECK_HAS(logged.lines[1], "action=Encrypt waits ");
  CHECK_HAS(logged.lines[1], " ms before attempt 2");
  CHECK_INT(logged.levels[1], TCKMS_LOG_DEBUG);
  check_attempt(logged.lines[2], 2, "TCKMS_ERR_REQUEST_LIMIT_EXCEEDED", "200", "RequestLimitExceeded", request_id);
  CHECK_INT(strlen(request_id), 36);
  CHECK_INT(logged.levels[2], TCKMS_LOG_WARN);
  check_attempt(logged.lines[4], 3, "TCKMS_ERR_CONNECTION_LOST", "-", "-", request_id);
  CHECK_TEXT(request_id, "-");
  check_attempt(logged.lines[6], 4, "TCKMS_OK", "200", "-", request_id);
  CHECK_TEXT(request_id, tckms_last_request_id());
  CHECK_INT(logged.levels[6], TCKMS_LOG_INFO);
  tckms_client_free(client);
}

static void a_failed_call_has_its_own_line(void) {
  tckms_client *client = observed_client(1);
  char request_id[64];
  set_fault("*", "{\"kind\":\"error\",\"code\":\"ResourceUnavailable.CmkDisabled\"}", 1);
  CHECK_STATUS(encrypt(client), TCKMS_ERR_CMK_DISABLED);
  CHECK_INT(logged.count, 2);
  check_attempt(logged.lines[0], 1, "TCKMS_ERR_CMK_DISABLED", "200", "ResourceUnavailable.CmkDisabled", request_id);
  CHECK_TEXT(request_id, tckms_error_request_id(tckms_last_error()));
  CHECK_HAS(logged.lines[1], "Encrypt failed after 1 attempts and ");
  CHECK_HAS(logged.lines[1], request_id);
  CHECK_INT(logged.levels[1], TCKMS_LOG_ERROR);
  tckms_client_free(client);
}

/* A reply without a required field is logged as a failure, and not first as a success. */
static void a_useless_reply_is_one_failed_attempt(void) {
  tckms_client *client = observed_client(1);
  char request_id[64];
  set_fault("*", "{\"kind\":\"replace_fields\",\"fields\":{\"CiphertextBlob\":null}}", 1);
  CHECK_STATUS(encrypt(client), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_INT(logged.count, 2);
  check_attempt(logged.lines[0], 1, "TCKMS_ERR_RESPONSE_MALFORMED", "200", "-", request_id);
  tckms_client_free(client);
}

/* Text of the service cannot add a line to the log. */
static void a_line_stays_one_line_for_any_reply(void) {
  tckms_client *client = observed_client(1);
  int i;
  set_fault("*", "{\"kind\":\"error\",\"code\":\"Novel\\naction=Forged\",\"message\":\"one\\ntwo\\u001b[31m\"}", 1);
  CHECK_STATUS(encrypt(client), TCKMS_ERR_UNKNOWN_SERVICE_CODE);
  CHECK_INT(logged.count, 2);
  for (i = 0; i < logged.count; i++) {
    CHECK(strpbrk(logged.lines[i], "\n\r\033") == NULL);
  }
  set_fault("*", "{\"kind\":\"replace_fields\",\"fields\":{\"RequestId\":\"one\\ntwo\"}}", 1);
  CHECK_OK(encrypt(client));
  CHECK(strpbrk(logged.lines[2], "\n\r") == NULL);
  tckms_client_free(client);
}

static void calls_attempts_and_throttles_are_counted(void) {
  tckms_client *client = observed_client(3);
  tckms_stats stats = stats_of(client);
  tckms_stats zero;
  memset(&zero, 0, sizeof zero);
  CHECK_INT(memcmp(&stats, &zero, sizeof stats), 0);
  CHECK_OK(encrypt(client));
  CHECK_INT((intmax_t)stats_of(client).calls, 1);
  CHECK_INT((intmax_t)stats_of(client).retries, 0);
  set_faults("[{\"fault\":{\"kind\":\"status\",\"status\":429}},"
             "{\"fault\":{\"kind\":\"error\",\"code\":\"RequestLimitExceeded.IPLimitExceeded\"}}]");
  CHECK_OK(encrypt(client));
  set_fault("*", "{\"kind\":\"status\",\"status\":503}", 1);
  CHECK_OK(encrypt(client));
  stats = stats_of(client);
  CHECK_INT((intmax_t)stats.calls, 3);
  CHECK_INT((intmax_t)stats.retries, 3);
  CHECK_INT((intmax_t)stats.throttles, 2);
  tckms_client_free(client);
}

static uint64_t all_failures(const tckms_stats *stats) {
  return stats->failures_argument + stats->failures_credentials + stats->failures_transport +
         stats->failures_identity + stats->failures_request + stats->failures_unavailable +
         stats->failures_integrity + stats->failures_library;
}

static void failures_are_counted_by_category(void) {
  static const struct {
    const char *fault;
    size_t counter;
  } CASES[] = {
      {"{\"kind\":\"close_after_reading\"}", offsetof(tckms_stats, failures_transport)},
      {"{\"kind\":\"garbage\"}", offsetof(tckms_stats, failures_transport)},
      {"{\"kind\":\"error\",\"code\":\"UnauthorizedOperation\"}", offsetof(tckms_stats, failures_identity)},
      {"{\"kind\":\"expire_token\"}", offsetof(tckms_stats, failures_identity)},
      {"{\"kind\":\"error\",\"code\":\"ResourceUnavailable.CmkNotFound\"}", offsetof(tckms_stats, failures_request)},
      {"{\"kind\":\"error\",\"code\":\"InternalError\"}", offsetof(tckms_stats, failures_unavailable)},
      {"{\"kind\":\"bad_gateway\"}", offsetof(tckms_stats, failures_unavailable)},
      {"{\"kind\":\"replace_fields\",\"fields\":{\"KeyId\":\"another\"}}", offsetof(tckms_stats, failures_integrity)},
  };
  tckms_client *client = observed_client(1);
  tckms_buffer blob;
  tckms_buffer out;
  tckms_stats stats;
  size_t i;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), NULL, &blob));
  for (i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    tckms_stats before = stats_of(client);
    uint64_t counted;
    memset(&logged, 0, sizeof logged);
    set_fault("*", CASES[i].fault, 1);
    CHECK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &out) != TCKMS_OK);
    stats = stats_of(client);
    memcpy(&counted, (const char *)&stats + CASES[i].counter, sizeof counted);
    if (all_failures(&stats) != all_failures(&before) + 1 ||
        memcmp(&counted, (const char *)&before + CASES[i].counter, sizeof counted) == 0) {
      check_failed(__FILE__, __LINE__, "%s is not counted in its category", CASES[i].fault);
    }
    CHECK_INT((intmax_t)stats.calls, (intmax_t)before.calls + 1);
  }
  CHECK_STATUS(tckms_decrypt(client, "", blob.data, blob.len, NULL, &out), TCKMS_ERR_MALFORMED_KEY_ID);
  CHECK_INT((intmax_t)stats_of(client).failures_argument, 1);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
}

static void bytes_are_those_of_the_bodies(void) {
  tckms_client *client = observed_client(1);
  tckms_buffer response;
  char request[128];
  tckms_stats stats;
  snprintf(request, sizeof request, "{ \"KeyId\" : \"%s\" }", MAIN_KEY);
  CHECK_OK(tckms_call(client, "DescribeKey", request, &response));
  stats = stats_of(client);
  CHECK_INT((intmax_t)stats.bytes_sent, (intmax_t)strlen(request));
  CHECK_INT((intmax_t)stats.bytes_received, (intmax_t)(response.len + strlen("{\"Response\":}")));
  tckms_buffer_free(&response);
  tckms_client_free(client);
}

static void connections_are_counted_and_kept(void) {
  tckms_client *client = observed_client(2);
  tckms_client *derived = NULL;
  tckms_config *config = tckms_config_new();
  int i;
  CHECK_OK(tckms_client_derive(client, config, &derived));
  forget_requests();
  for (i = 0; i < 5; i++) {
    CHECK_OK(encrypt(i % 2 == 0 ? client : derived));
    memset(&logged, 0, sizeof logged);
  }
  CHECK_INT((intmax_t)stats_of(client).connections_opened, 1);
  set_fault("*", "{\"kind\":\"close_after_reading\"}", 1);
  CHECK_OK(encrypt(client));
  CHECK_INT((intmax_t)stats_of(client).connections_opened, 2);
  CHECK_INT((intmax_t)stats_of(derived).connections_opened, 2);
  CHECK_INT((intmax_t)stats_of(derived).calls, 6);
  /* The server counts the same number. */
  CHECK_INT(seen("\"connections\":2"), 1);
  tckms_config_free(config);
  tckms_client_free(derived);
  tckms_client_free(client);
}

/* A program that was compiled with a later version's structure gets the members that this version has. */
static void the_struct_may_be_longer(void) {
  static const size_t SIZES[] = {sizeof(tckms_stats), sizeof(tckms_stats) + 8, 4096};
  static uint64_t buffer[4096 / 8 + 2];
  const uint8_t *bytes = (const uint8_t *)buffer;
  tckms_client *client = observed_client(1);
  tckms_stats stats;
  size_t i;
  size_t j;
  CHECK_OK(encrypt(client));
  stats = stats_of(client);
  for (i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    memset(buffer, 0xee, sizeof buffer);
    CHECK_OK(tckms_client_stats(client, (tckms_stats *)(void *)buffer, SIZES[i]));
    CHECK_INT(memcmp(buffer, &stats, sizeof stats), 0);
    for (j = sizeof stats; j < sizeof buffer; j++) {
      CHECK_INT(bytes[j], j < SIZES[i] ? 0 : 0xee);
    }
  }
  tckms_client_free(client);
}

static void an_impossible_size_is_refused(void) {
  static const size_t SIZES[] = {0, 1, sizeof(tckms_stats *), sizeof(tckms_stats) - 8, sizeof(tckms_stats) + 4, 4097, 4104,
                                 SIZE_MAX / 2, SIZE_MAX};
  tckms_client *client = observed_client(1);
  tckms_stats stats;
  tckms_stats untouched;
  size_t i;
  memset(&stats, 0xee, sizeof stats);
  memset(&untouched, 0xee, sizeof untouched);
  for (i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    CHECK_STATUS(tckms_client_stats(client, &stats, SIZES[i]), TCKMS_ERR_INVALID_LENGTH);
    CHECK_INT(memcmp(&stats, &untouched, sizeof stats), 0);
  }
  CHECK_STATUS(tckms_client_stats(client, NULL, sizeof stats), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_client_stats(NULL, &stats, sizeof stats), TCKMS_ERR_NULL_POINTER);
  tckms_client_free(client);
}

int main(void) {
  each_attempt_has_one_line_with_all_that_matters();
  a_failed_call_has_its_own_line();
  a_useless_reply_is_one_failed_attempt();
  a_line_stays_one_line_for_any_reply();
  calls_attempts_and_throttles_are_counted();
  failures_are_counted_by_category();
  bytes_are_those_of_the_bodies();
  connections_are_counted_and_kept();
  the_struct_may_be_longer();
  an_impossible_size_is_refused();
  return checks_passed();
}
