/* The role of a CVM instance: replies of the metadata service, and a metadata service that does not reply. */
#define _GNU_SOURCE
#include "credentials.h"

static tckms_config *role_config(const char *metadata, const char *role) {
  tckms_config *config = config_at(metadata, GIVEN_ENDPOINT);
  CHECK_OK(tckms_config_set_cvm_role_credentials(config, role));
  return config;
}

static void the_bound_role_is_found_and_used(void) {
  reset_emulator();
  set_issuer("my-role", 0);
  expect_usable(role_config(GIVEN_ENDPOINT, NULL));
  CHECK_INT(requests_seen("Metadata"), 2);
  CHECK_INT(seen("\"has_token\":true"), 1);
}

static void a_named_role_takes_one_request(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  client = client_of(role_config(GIVEN_ENDPOINT, "my-role"));
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  tckms_client_free(client);
  CHECK_INT(requests_seen("Metadata"), 1);
}

static void a_machine_without_a_role_has_no_credentials(void) {
  tckms_client *client;
  reset_emulator();
  client = client_of(role_config(GIVEN_ENDPOINT, NULL));
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("no role is bound");
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 404);
  tckms_client_free(client);

  set_issuer("my-role", 0);
  client = client_of(role_config(GIVEN_ENDPOINT, "another"));
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  tckms_client_free(client);
}

static void an_invalid_role_name_is_refused_at_once(void) {
  static const char *const names[] = {"", "a/b", "a\nb", "a b", "..", "?x", "\xe5\xaf\x86"};
  tckms_config *config = logged_config();
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    CHECK_REFUSED(tckms_config_set_cvm_role_credentials(config, names[i]), TCKMS_ERR_INVALID_ROLE);
  }
  tckms_config_free(config);
}

/* Sends these replies to the one call of a client with this role. */
static void expect_refusal(const struct reply *script, size_t replies, const char *role, tckms_status status) {
  struct server server;
  tckms_client *client;
  server_start(&server, script, replies);
  client = client_of(role_config(server.endpoint, role));
  CHECK_REFUSED(use(client), status);
  server_stop(&server);
  tckms_client_free(client);
}

static void an_invalid_role_name_is_not_requested(void) {
  static const char *const names[] = {"", "a/b", "../x", "..", "a b", "a?b", "\xe5\xaf\x86", "\xff", "{\"a\":1}"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    struct reply reply = reply_of(200, names[i]);
    expect_refusal(&reply, 1, NULL, TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_MESSAGE_HAS("name of the role");
  }
}

static void only_the_first_line_of_a_role_name_is_used(void) {
  struct reply script[2];
  struct server server;
  tckms_client *client;
  script[0] = reply_of(200, "my-role\r\nX-Other: 1\n");
  script[1] = reply_of(404, "");
  server_start(&server, script, 2);
  client = client_of(role_config(server.endpoint, NULL));
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  server_stop(&server);
  tckms_client_free(client);
  CHECK_HAS(server.requests[1], "GET /latest/meta-data/cam/security-credentials/my-role HTTP/1.1\r\n");
  CHECK(strstr(server.requests[1], "X-Other") == NULL);
}

static void a_malformed_document_is_refused(void) {
  static const struct {
    const char *document;
    tckms_status status;
  } cases[] = {
      {"", TCKMS_ERR_RESPONSE_MALFORMED},
      {"<html>S3CRET</html>", TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretKey\":\"S3CRET", TCKMS_ERR_RESPONSE_MALFORMED},
      {"[\"S3CRET\"]", TCKMS_ERR_RESPONSE_MALFORMED},
      {"{}", TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999,\"Code\":\"Success\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999,\"Code\":\"Success\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\",\"ExpiredTime\":99999999999,\"Code\":\"Success\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"Code\":\"Success\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":\"99999999999\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":1,\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999,"
       "\"Code\":\"Failure\"}",
       TCKMS_ERR_RESPONSE_MALFORMED},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\" S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999}",
       TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\\n\",\"ExpiredTime\":99999999999}",
       TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"{\"TmpSecretId\":\"\",\"TmpSecretKey\":\"S3CRET\",\"Token\":\"S3CRET\",\"ExpiredTime\":99999999999}",
       TCKMS_ERR_MALFORMED_CREDENTIALS},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct reply reply = reply_of(200, cases[i].document);
    expect_refusal(&reply, 1, "my-role", cases[i].status);
  }
}

/* A document with JSON escapes in its strings. */
static void escapes_in_a_document_are_understood(void) {
  struct identity identity = issue_identity();
  struct identity escaped = identity;
  char document[8192];
  struct reply reply;
  struct server server;
  snprintf(escaped.token, sizeof escaped.token, "\\u%04x%.1024s", (unsigned)(unsigned char)identity.token[0],
           identity.token + 1);
  write_document(document, sizeof document, &escaped, unix_time() + 7200);
  reply = reply_of(200, document);
  server_start(&server, &reply, 1);
  expect_usable(role_config(server.endpoint, "my-role"));
  server_stop(&server);
}

static void a_very_late_expiry_means_no_expiry(void) {
  struct identity identity = issue_identity();
  char document[8192];
  struct reply reply;
  struct server server;
  write_document(document, sizeof document, &identity, INT64_MAX);
  reply = reply_of(200, document);
  reply.headers = "Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n";
  server_start(&server, &reply, 1);
  expect_usable(role_config(server.endpoint, "my-role"));
  server_stop(&server);
}

static void other_http_statuses_are_refused(void) {
  struct reply reply = reply_of(500, "S3CRET");
  expect_refusal(&reply, 1, "my-role", TCKMS_ERR_HTTP_STATUS);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 500);
  CHECK(tckms_error_retryable(tckms_last_error()));
  reply = reply_of(403, "S3CRET");
  expect_refusal(&reply, 1, NULL, TCKMS_ERR_HTTP_STATUS);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 403);
  reply = reply_of(404, "S3CRET");
  expect_refusal(&reply, 1, "my-role", TCKMS_ERR_NO_CREDENTIALS);
}

static void a_redirect_is_not_followed(void) {
  char elsewhere[64];
  char headers[128];
  int listener = listening_socket(elsewhere, sizeof elsewhere);
  struct reply reply = reply_of(302, "");
  snprintf(headers, sizeof headers, "Location: %s/\r\n", elsewhere);
  reply.headers = headers;
  expect_refusal(&reply, 1, NULL, TCKMS_ERR_HTTP_STATUS);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 302);
  CHECK(!has_connected(listener));
  close(listener);
}

/* A document, padded with trailing blanks to `len` bytes. */
static char *padded_document(const struct identity *identity, size_t len) {
  char *text = malloc(len + 1);
  CHECK(text != NULL);
  write_document(text, len + 1, identity, unix_time() + 7200);
  memset(text + strlen(text), ' ', len - strlen(text));
  text[len] = '\0';
  return text;
}

static void a_reply_has_64_kib_at_most(void) {
  struct identity identity = issue_identity();
  char *longest = padded_document(&identity, 65536);
  char *too_long = padded_document(&identity, 65537);
  struct reply reply = reply_of(200, longest);
  struct server server;
  server_start(&server, &reply, 1);
  expect_usable(role_config(server.endpoint, "my-role"));
  server_stop(&server);
  reply = reply_of(200, too_long);
  expect_refusal(&reply, 1, "my-role", TCKMS_ERR_RESPONSE_TOO_LARGE);
  free(longest);
  free(too_long);
}

/* Not even if there are no others, and in no later call. */
static void expired_credentials_are_not_used(void) {
  struct identity identity = issue_identity();
  char document[8192];
  struct reply reply;
  struct server server;
  tckms_client *client;
  long took;
  write_document(document, sizeof document, &identity, unix_time() - 5);
  reply = reply_of(200, document);
  server_start(&server, &reply, 1);
  client = client_of(role_config(server.endpoint, "my-role"));
  CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
  CHECK_MESSAGE_HAS("expired credentials");
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_CREDENTIALS_EXPIRED);
  CHECK(took < slack_ms());
  server_stop(&server);
  tckms_client_free(client);
}

/* By the clock of the service that sent the expiry, whatever this machine's clock shows. */
static void a_lifetime_is_counted_on_the_clock_of_the_service(void) {
  static const int shifts[] = {-600, 600};
  size_t i;
  for (i = 0; i < sizeof shifts / sizeof *shifts; i++) {
    char shift[128];
    tckms_client *client;
    reset_emulator();
    set_issuer("my-role", 100);
    snprintf(shift, sizeof shift, "{\"kind\":\"clock_shift\",\"seconds\":%d}", shifts[i]);
    set_fault("*", shift, 1);
    client = client_of(role_config(GIVEN_ENDPOINT, "my-role"));
    CHECK_OK(use(client));
    CHECK_OK(use(client));
    CHECK_INT(requests_seen("Metadata"), 1);
    tckms_client_free(client);

    set_issuer("my-role", 3);
    client = client_of(role_config(GIVEN_ENDPOINT, "my-role"));
    CHECK_OK(use(client));
    CHECK_INT(requests_seen("Metadata"), 2);
    sleep_ms(3100);
    CHECK_OK(use(client));
    CHECK_INT(requests_seen("Metadata"), 3);
    tckms_client_free(client);
  }
  reset_emulator();
}

static void no_proxy_is_used(void) {
  struct reply reply = reply_of(403, "");
  struct server proxy;
  tckms_config *config;
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  server_start(&proxy, &reply, 1);
  config = role_config(GIVEN_ENDPOINT, NULL);
  CHECK_OK(tckms_config_set_proxy(config, proxy.endpoint));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  CHECK_REFUSED(use(client), TCKMS_ERR_PROXY_REFUSED);
  server_stop(&proxy);
  tckms_client_free(client);
  CHECK_INT(proxy.connections, 1);
  CHECK_HAS(proxy.requests[0], "CONNECT 127.0.0.1:");
  CHECK_INT(requests_seen("Metadata"), 2);
}

static void no_reply_costs_two_seconds(void) {
  struct reply reply = no_reply();
  struct server server;
  tckms_client *client;
  long took;
  server_start(&server, &reply, 1);
  client = client_of(role_config(server.endpoint, NULL));
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_METADATA_UNAVAILABLE);
  CHECK(took >= 1900 && took < 2000 + slack_ms());
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_METADATA_UNAVAILABLE);
  CHECK(took < slack_ms());
  server_stop(&server);
  tckms_client_free(client);
}

/* Both requests share the two seconds. */
static void a_slow_reply_costs_two_seconds_in_all(void) {
  tckms_client *client;
  long took;
  reset_emulator();
  set_issuer("my-role", 0);
  set_fault("Metadata", "{\"kind\":\"delay\",\"ms\":1400}", 2);
  client = client_of(role_config(GIVEN_ENDPOINT, NULL));
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_METADATA_UNAVAILABLE);
  CHECK(took >= 1900 && took < 2000 + slack_ms());
  tckms_client_free(client);
  reset_emulator();
}

/* Whether a connection is established quickly: the system drops SYN packets if the backlog is full. */
static int connects(const struct sockaddr_in *address, int *connection) {
  struct pollfd waiting;
  *connection = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(*connection >= 0);
  CHECK_INT(fcntl(*connection, F_SETFL, O_NONBLOCK), 0);
  if (connect(*connection, (const struct sockaddr *)address, sizeof *address) == 0) {
    return 1;
  }
  CHECK_INT(errno, EINPROGRESS);
  waiting.fd = *connection;
  waiting.events = POLLOUT;
  return poll(&waiting, 1, 200) == 1;
}

static void an_address_that_drops_packets_costs_one_second(void) {
  int connections[8];
  int count = 0;
  char endpoint[64];
  int listener = bound_socket(endpoint, sizeof endpoint);
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  tckms_client *client;
  long took;
  CHECK_INT(listen(listener, 0), 0);
  CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  while (connects(&address, &connections[count++])) {
    CHECK(count < 8);
  }
  client = client_of(role_config(endpoint, NULL));
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_METADATA_UNAVAILABLE);
  CHECK(took >= 900 && took < 1000 + slack_ms());
  tckms_client_free(client);
  while (count > 0) {
    close(connections[--count]);
  }
  close(listener);
}

static void a_closed_port_costs_nothing(void) {
  char endpoint[64];
  int closed = bound_socket(endpoint, sizeof endpoint);
  tckms_client *client = client_of(role_config(endpoint, NULL));
  long took;
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_METADATA_UNAVAILABLE);
  CHECK(tckms_error_os_errno(tckms_last_error()) == ECONNREFUSED);
  CHECK(took < slack_ms());
  tckms_client_free(client);
  close(closed);
}

static tckms_config *default_config(const char *metadata) {
  tckms_config *config = config_at(metadata, GIVEN_ENDPOINT);
  clear_environment();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", path_of("no-such-file"));
  CHECK_OK(tckms_config_set_default_credentials(config));
  return config;
}

static void a_machine_that_is_not_a_cvm_waits_once(void) {
  struct reply reply = no_reply();
  struct server server;
  tckms_client *client;
  long took;
  server_start(&server, &reply, 1);
  client = client_of(default_config(server.endpoint));
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("CVM role: this machine has no metadata service");
  CHECK(took >= 1900 && took < 2000 + slack_ms());
  sleep_ms(600);
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("CVM role: not available on this machine");
  CHECK(took < slack_ms());
  server_stop(&server);
  tckms_client_free(client);
}

/* A call with less time than the metadata service may take does not show that there is none. */
static void a_short_deadline_does_not_mark_the_metadata_service_absent(void) {
  tckms_client *client;
  tckms_client *brief;
  tckms_config *limits = tckms_config_new();
  reset_emulator();
  set_issuer("my-role", 0);
  set_fault("Metadata", "{\"kind\":\"delay\",\"ms\":1000}", 1);
  client = client_of(default_config(GIVEN_ENDPOINT));
  CHECK_OK(tckms_config_set_total_timeout_ms(limits, 300));
  CHECK_OK(tckms_client_derive(client, limits, &brief));
  CHECK_REFUSED(use(brief), TCKMS_ERR_NO_CREDENTIALS);
  sleep_ms(1200);
  CHECK_OK(use(client));
  tckms_client_free(brief);
  tckms_client_free(client);
  tckms_config_free(limits);
}

int main(void) {
  the_bound_role_is_found_and_used();
  a_named_role_takes_one_request();
  a_machine_without_a_role_has_no_credentials();
  an_invalid_role_name_is_refused_at_once();
  an_invalid_role_name_is_not_requested();
  only_the_first_line_of_a_role_name_is_used();
  a_malformed_document_is_refused();
  escapes_in_a_document_are_understood();
  a_very_late_expiry_means_no_expiry();
  other_http_statuses_are_refused();
  a_redirect_is_not_followed();
  a_reply_has_64_kib_at_most();
  expired_credentials_are_not_used();
  a_lifetime_is_counted_on_the_clock_of_the_service();
  no_proxy_is_used();
  no_reply_costs_two_seconds();
  a_slow_reply_costs_two_seconds_in_all();
  an_address_that_drops_packets_costs_one_second();
  a_closed_port_costs_nothing();
  a_machine_that_is_not_a_cvm_waits_once();
  a_short_deadline_does_not_mark_the_metadata_service_absent();
  return no_secret_was_logged();
}
