/* A log callback gets the events of its level, on the thread of the call, and never a secret. */
#include "check.h"

#include <pthread.h>

#include "fixture.h"

#define PLAINTEXT "correct horse battery staple"
/* The same in base64, as in the request. */
#define PLAINTEXT_BASE64 "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ"

struct log_record {
  pthread_t caller;
  int lines;
  int lines_of_level[TCKMS_LOG_DEBUG + 1];
  char last[512];
};

static void on_log_event(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  struct log_record *log_record = userdata;
  CHECK(pthread_equal(log_record->caller, pthread_self()));
  CHECK(level >= TCKMS_LOG_ERROR && level <= TCKMS_LOG_DEBUG);
  CHECK(strchr(message, '\n') == NULL && strlen(message) > 0);
  CHECK(strstr(message, GIVEN_SECRET_KEY) == NULL);
  CHECK(strstr(message, PLAINTEXT) == NULL);
  CHECK(strstr(message, PLAINTEXT_BASE64) == NULL);
  CHECK(strstr(message, "TC3-HMAC-SHA256") == NULL);
  log_record->lines++;
  log_record->lines_of_level[level]++;
  snprintf(log_record->last, sizeof log_record->last, "%s", message);
}

/* One call that succeeds and one that fails. */
static struct log_record calls_at_level(int level) {
  struct log_record log_record;
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_buffer blob;
  tckms_buffer out;
  memset(&log_record, 0, sizeof log_record);
  log_record.caller = pthread_self();
  CHECK_OK(tckms_config_set_log(config, level, on_log_event, &log_record, NULL));
  client = client_of(config);
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), NULL, &blob));
  CHECK_STATUS(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, "{}", &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  return log_record;
}

static void each_level_adds_to_the_one_before(void) {
  CHECK_INT(calls_at_level(TCKMS_LOG_OFF).lines, 0);
  CHECK_INT(calls_at_level(TCKMS_LOG_ERROR).lines, 1);
  CHECK_INT(calls_at_level(TCKMS_LOG_WARN).lines, 2);
  CHECK_INT(calls_at_level(TCKMS_LOG_INFO).lines, 3);
  CHECK(calls_at_level(TCKMS_LOG_DEBUG).lines >= 3);
}

static void a_line_has_the_data_for_a_support_ticket(void) {
  struct log_record log_record = calls_at_level(TCKMS_LOG_ERROR);
  CHECK_INT(log_record.lines_of_level[TCKMS_LOG_ERROR], 1);
  CHECK_HAS(log_record.last, "Decrypt failed after 1 attempts");
  CHECK_HAS(log_record.last, "InvalidParameterValue.InvalidCiphertext");
  CHECK_HAS(log_record.last, tckms_error_request_id(tckms_last_error()));
}

struct parts {
  int attempts;
  int failures;
};

static void read_parts(void *userdata, const tckms_log_event *event) {
  struct parts *parts = userdata;
  CHECK_TEXT(tckms_log_event_action(event), "Decrypt");
  CHECK_INT(tckms_log_event_status(event), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_INT(tckms_log_event_attempt(event), 1);
  CHECK(tckms_log_event_ms(event) >= 0 && tckms_log_event_ms(event) < 120000);
  CHECK_INT(strlen(tckms_log_event_request_id(event)), 36);
  parts->attempts += tckms_log_event_level(event) == TCKMS_LOG_WARN;
  parts->failures += tckms_log_event_level(event) == TCKMS_LOG_ERROR;
}

static void an_event_has_parts(void) {
  struct parts parts = {0, 0};
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_buffer out;
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, read_parts, &parts, NULL));
  client = client_of(config);
  CHECK_STATUS(tckms_decrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_INT(parts.attempts, 1);
  CHECK_INT(parts.failures, 1);
  tckms_client_free(client);

  CHECK_INT(tckms_log_event_level(NULL), TCKMS_LOG_OFF);
  CHECK_TEXT(tckms_log_event_message(NULL), "");
  CHECK_TEXT(tckms_log_event_action(NULL), "");
  CHECK_INT(tckms_log_event_status(NULL), TCKMS_OK);
  CHECK_INT(tckms_log_event_attempt(NULL), 0);
  CHECK_INT(tckms_log_event_ms(NULL), -1);
  CHECK_TEXT(tckms_log_event_request_id(NULL), "");
}

/* For example, a log callback that encrypts its lines. */
static void call_again(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  tckms_buffer out;
  (void)level;
  (void)message;
  CHECK_STATUS(tckms_encrypt(*(tckms_client **)userdata, MAIN_KEY, "", 0, NULL, &out), TCKMS_ERR_EMPTY_PLAINTEXT);
}

static void a_log_may_call_the_library(void) {
  tckms_client *inner = emulator_client();
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_buffer out;
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, call_again, &inner, NULL));
  client = client_of(config);
  CHECK_STATUS(tckms_decrypt(client, NULL, "x", 1, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_EMPTY(out);
  tckms_client_free(client);
  tckms_client_free(inner);
}

int main(void) {
  each_level_adds_to_the_one_before();
  a_line_has_the_data_for_a_support_ticket();
  an_event_has_parts();
  a_log_may_call_the_library();
  return checks_passed();
}
