/* Calls through an HTTP proxy. The proxy of the harness requires a password. */
#include "fixture.h"

static tckms_client *client_through(const char *proxy) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_proxy(config, proxy));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  return client_of(config);
}

static void calls_go_through_the_proxy(void) {
  tckms_client *client = client_through(given("TEST_PROXY"));
  tckms_buffer blob, plaintext;
  int i;
  for (i = 0; i < 3; i++) {
    CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob));
    CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &plaintext));
    CHECK_BYTES(plaintext, "secret", 6);
    tckms_buffer_free(&plaintext);
    tckms_buffer_free(&blob);
  }
  tckms_client_free(client);
}

/* A failure to connect whose message names the proxy and does not contain the password. */
static void no_connection_is_made(const char *proxy, tckms_status status, const char *reason, int retryable) {
  tckms_client *client = client_through(proxy);
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob), status);
  CHECK_EMPTY(blob);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "the proxy 127.0.0.1:");
  CHECK_HAS(tckms_error_message(tckms_last_error()), reason);
  CHECK(strstr(tckms_error_message(tckms_last_error()), "ssword") == NULL);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), retryable);
  tckms_client_free(client);
}

static void a_proxy_may_refuse(void) {
  no_connection_is_made(given("TEST_PROXY_WITH_ANOTHER_PASSWORD"), TCKMS_ERR_PROXY_REFUSED, "HTTP status 407", 0);
}

static void a_proxy_may_not_be_there(void) {
  no_connection_is_made("http://user:p%40ssword@127.0.0.1:1", TCKMS_ERR_CONNECT_FAILED, "refused", 1);
}

static void a_proxy_may_not_reach_the_service(void) {
  tckms_config *config = emulator_config();
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_client *client;
  CHECK_OK(tckms_config_set_proxy(config, given("TEST_PROXY")));
  CHECK_OK(tckms_config_set_endpoint(config, "https://127.0.0.1:1"));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob), TCKMS_ERR_PROXY_REFUSED);
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 502);
  tckms_client_free(client);
}

int main(void) {
  calls_go_through_the_proxy();
  a_proxy_may_refuse();
  a_proxy_may_not_be_there();
  a_proxy_may_not_reach_the_service();
  return checks_passed();
}
