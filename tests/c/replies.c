/* The requests of a client, and its handling of every kind of reply. The service is a scripted server in this process. */
#include "check.h"

#include <errno.h>
#include <time.h>

#include "fixture.h"
#include "server.h"

#define KEY_ID "93866e69-9755-11ef-8e65-52540089bc41"
#define REQUEST_ID "017f4b2a-4ae8-4d2c-a0d2-ec15e07d3deb"
#define BLOB                                                                                    \
  "GPJUsGlmPcSjHKIktXGyzn33yestz+7NteW36M6FuL8hPfJ1xVfdO6Akr8sF69x3yBXMwto4njumJMIsi9WKow==-k-" \
  "XqqalxTyNKIC1rITRePFGQ==-k-GqsANzNxvjjXhKwJAOY85vxYYm/2RtsCXRq7Q1iWbCAoeAtZ"

/* The unchanged "Output Example" of the Encrypt page of the KMS API (tencentcloud.com, last updated 2025-12-04). */
static const char OUTPUT_EXAMPLE[] =
    "{\n"
    "    \"Response\": {\n"
    "        \"CiphertextBlob\": \"" BLOB "\",\n"
    "        \"KeyId\": \"" KEY_ID "\",\n"
    "        \"RequestId\": \"" REQUEST_ID "\"\n"
    "    }\n"
    "}";

static const struct reply SUCCESS = {.status = 200, .body = OUTPUT_EXAMPLE};

static tckms_client *client_with_attempts(const char *endpoint, int attempts) {
  tckms_config *config = config_for(endpoint);
  CHECK_OK(tckms_config_set_max_attempts(config, attempts));
  return client_of(config);
}

/* Makes the page's call. */
static tckms_status encrypt(const tckms_client *client, tckms_buffer *blob) {
  return tckms_encrypt(client, KEY_ID, "test\n", 5, "{\"key1\":\"value1\"}", blob);
}

/* Makes one call with this reply; the failure is in tckms_last_error(). */
static void fails_with(struct reply reply, tckms_status status, tckms_category category, int retryable) {
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  const tckms_error *error;
  server_start(&server, &reply, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_STATUS(encrypt(client, &blob), status);
  CHECK_EMPTY(blob);
  error = tckms_last_error();
  CHECK_INT(tckms_status_category(status), category);
  CHECK_INT(tckms_error_retryable(error), retryable);
  CHECK_INT(tckms_error_attempts(error), 1);
  CHECK_TEXT(tckms_error_action(error), "Encrypt");
  CHECK_TEXT(tckms_error_key_id(error), KEY_ID);
  tckms_client_free(client);
  server_stop(&server);
}

static void last_error_has_http_status(int http_status) {
  CHECK_INT(tckms_error_http_status(tckms_last_error()), http_status);
}

/* The example of the page: request and reply. */

static void request_is_that_of_the_page(const char *request, const char *endpoint) {
  char value[256];
  CHECK_INT(strncmp(request, "POST / HTTP/1.1\r\n", strlen("POST / HTTP/1.1\r\n")), 0);
  CHECK(request_header(request, "host", value, sizeof value));
  CHECK_TEXT(value, endpoint + strlen("http://"));
  CHECK(request_header(request, "content-type", value, sizeof value));
  CHECK_TEXT(value, "application/json");
  CHECK(request_header(request, "x-tc-action", value, sizeof value));
  CHECK_TEXT(value, "Encrypt");
  CHECK(request_header(request, "x-tc-version", value, sizeof value));
  CHECK_TEXT(value, "2019-01-18");
  CHECK(request_header(request, "x-tc-region", value, sizeof value));
  CHECK_TEXT(value, "ap-guangzhou");
  CHECK_TEXT(request_body(request),
             "{\"KeyId\":\"" KEY_ID "\",\"Plaintext\":\"dGVzdAo=\","
             "\"EncryptionContext\":\"{\\\"key1\\\":\\\"value1\\\"}\"}");
}

static void request_is_signed_now(const char *request) {
  char value[512];
  char expected[512];
  char signature[65] = "";
  char date[16];
  time_t timestamp;
  CHECK(request_header(request, "x-tc-timestamp", value, sizeof value));
  timestamp = (time_t)strtoll(value, NULL, 10);
  CHECK(timestamp <= time(NULL) && timestamp > time(NULL) - 120);
  strftime(date, sizeof date, "%Y-%m-%d", gmtime(&timestamp));

  CHECK(request_header(request, "authorization", value, sizeof value));
  snprintf(expected, sizeof expected,
           "TC3-HMAC-SHA256 Credential=AKIDTEST/%s/kms/tc3_request, SignedHeaders=content-type;host, Signature=", date);
  CHECK_HAS(value, expected);
  CHECK_INT(sscanf(value + strlen(expected), "%64[0-9a-f]", signature), 1);
  CHECK_INT(strlen(signature), 64);
  CHECK_INT(strlen(value), strlen(expected) + 64);
}

/* A header that API 3.0 does not define could cause problems with a proxy or a gateway. */
static void request_has_no_undefined_header(const char *request) {
  static const char *const defined[] = {
      "host", "content-type", "content-length", "accept-encoding", "authorization", "x-tc-action", "x-tc-version", "x-tc-region",
      "x-tc-timestamp", "x-tc-language", "x-tc-requestclient"};
  enum { DEFINED = sizeof defined / sizeof defined[0] };
  int seen[DEFINED] = {0};
  const char *line = strstr(request, "\r\n") + 2;
  while (strncmp(line, "\r\n", 2) != 0) {
    size_t len = strcspn(line, ":");
    size_t i = 0;
    while (i < DEFINED && (strlen(defined[i]) != len || strncmp(line, defined[i], len) != 0)) {
      i++;
    }
    if (i == DEFINED || seen[i]++) {
      check_failed(__FILE__, __LINE__, "the request has a header it should not have, or not twice: %.*s", (int)len, line);
    }
    line = strstr(line, "\r\n") + 2;
  }
}

static void the_example_of_the_encrypt_page_works_in_both_directions(void) {
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  server_start(&server, &SUCCESS, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_OK(encrypt(client, &blob));
  CHECK_BYTES(blob, BLOB, strlen(BLOB));
  CHECK_TEXT(tckms_last_key_id(), KEY_ID);
  CHECK_TEXT(tckms_last_request_id(), REQUEST_ID);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  request_is_that_of_the_page(server.requests[0], server.endpoint);
  request_is_signed_now(server.requests[0]);
  request_has_no_undefined_header(server.requests[0]);
}

static void the_user_agent_suffix_is_sent(void) {
  static struct server server;
  tckms_client *client;
  tckms_config *config;
  tckms_buffer blob;
  char value[256];
  server_start(&server, &SUCCESS, 1);
  config = config_for(server.endpoint);
  CHECK_OK(tckms_config_set_region(config, "na-siliconvalley"));
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEMPORARY", "testkey", "token/of+STS=="));
  CHECK_OK(tckms_config_set_user_agent_suffix(config, "billing-daemon 2.1"));
  CHECK_OK(tckms_config_set_language(config, "zh-CN"));
  client = client_of(config);
  CHECK_OK(encrypt(client, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  CHECK(request_header(server.requests[0], "x-tc-region", value, sizeof value));
  CHECK_TEXT(value, "na-siliconvalley");
  CHECK(request_header(server.requests[0], "x-tc-token", value, sizeof value));
  CHECK_TEXT(value, "token/of+STS==");
  CHECK(request_header(server.requests[0], "x-tc-requestclient", value, sizeof value));
  CHECK_TEXT(value, "TCKMS_" TCKMS_VERSION "; billing-daemon 2.1");
  CHECK(request_header(server.requests[0], "x-tc-language", value, sizeof value));
  CHECK_TEXT(value, "zh-CN");
}

static void without_a_context_no_field_is_sent_for_it(void) {
  static struct server server;
  tckms_client *client;
  tckms_buffer blob;
  server_start(&server, &SUCCESS, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_OK(tckms_encrypt(client, KEY_ID, "test\n", 5, NULL, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  CHECK_TEXT(request_body(server.requests[0]), "{\"KeyId\":\"" KEY_ID "\",\"Plaintext\":\"dGVzdAo=\"}");
}

static void the_response_of_any_action_is_passed_on_as_it_is(void) {
  static const struct reply reply = {.status = 200,
                                     .body = "{\"Response\": {\"A\" : [1, 2.50],\"RequestId\":\"r-1\"} }"};
  static const char expected[] = "{\"A\" : [1, 2.50],\"RequestId\":\"r-1\"}";
  static struct server server;
  tckms_client *client;
  tckms_buffer response = garbage();
  server_start(&server, &reply, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_OK(tckms_call(client, "DescribeKey", "{ \"KeyId\" : \"k\" }", &response));
  CHECK_BYTES(response, expected, strlen(expected));
  CHECK_TEXT(tckms_last_request_id(), "r-1");
  tckms_buffer_free(&response);
  tckms_client_free(client);
  server_stop(&server);
  CHECK_TEXT(request_body(server.requests[0]), "{ \"KeyId\" : \"k\" }");
}

/* Replies that do not come from the service. */

static void an_error_page_of_a_gateway_is_an_outage(void) {
  static const char page[] = "<html><head><title>502 Bad Gateway</title></head></html>";
  static const int statuses[] = {502, 503, 504};
  size_t i;
  for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    fails_with((struct reply){.status = statuses[i], .headers = "Content-Type: text/html\r\n", .body = page},
               TCKMS_ERR_HTTP_UNAVAILABLE, TCKMS_CATEGORY_UNAVAILABLE, 1);
    last_error_has_http_status(statuses[i]);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "Bad Gateway");
    CHECK_INT(tckms_error_retry_after_ms(tckms_last_error()), -1);
  }
}

static void too_many_requests_have_a_retry_after(void) {
  fails_with((struct reply){.status = 429, .headers = "Retry-After: 7\r\n"}, TCKMS_ERR_HTTP_UNAVAILABLE,
             TCKMS_CATEGORY_UNAVAILABLE, 1);
  last_error_has_http_status(429);
  CHECK_INT(tckms_error_retry_after_ms(tckms_last_error()), 7000);

  /* A date is relative to the reply's Date, since the two clocks may differ. */
  fails_with((struct reply){.status = 503,
                            .headers = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
                                       "Retry-After: Tue, 14 Nov 2023 22:13:50 GMT\r\n"},
             TCKMS_ERR_HTTP_UNAVAILABLE, TCKMS_CATEGORY_UNAVAILABLE, 1);
  CHECK_INT(tckms_error_retry_after_ms(tckms_last_error()), 30000);
}

static void other_http_statuses_are_no_answer_of_the_service(void) {
  static const int statuses[] = {400, 403, 404, 500};
  size_t i;
  for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    fails_with((struct reply){.status = statuses[i], .body = "no"}, TCKMS_ERR_HTTP_STATUS, TCKMS_CATEGORY_TRANSPORT,
               0);
    last_error_has_http_status(statuses[i]);
  }
}

static void plain_http_on_a_tls_port_is_recognised(void) {
  static const char *const pages[] = {
      "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
      "<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /></p>",
      "Client sent an HTTP request to an HTTPS server.\n"};
  size_t i;
  for (i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    fails_with((struct reply){.status = 400, .body = pages[i]}, TCKMS_ERR_HTTP_STATUS, TCKMS_CATEGORY_TRANSPORT, 0);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "has to begin with https");
  }
}

static void a_redirect_is_never_followed(void) {
  char elsewhere[64];
  char headers[128];
  int listener = listening_socket(elsewhere, sizeof elsewhere);
  snprintf(headers, sizeof headers, "Location: %s/\r\n", elsewhere);
  fails_with((struct reply){.status = 301, .headers = headers}, TCKMS_ERR_HTTP_REDIRECT, TCKMS_CATEGORY_TRANSPORT, 0);
  last_error_has_http_status(301);
  fails_with((struct reply){.status = 307, .headers = headers}, TCKMS_ERR_HTTP_REDIRECT, TCKMS_CATEGORY_TRANSPORT, 0);
  last_error_has_http_status(307);
  CHECK(!has_connected(listener));
  close(listener);
}

static void a_document_that_is_not_json_is_refused(void) {
  static const char *const bodies[] = {"<html></html>", "{\"Response\":{\"CiphertextBlob\":", "\xff\xfe", "", "nil"};
  size_t i;
  for (i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    fails_with((struct reply){.status = 200, .body = bodies[i]}, TCKMS_ERR_RESPONSE_NOT_JSON, TCKMS_CATEGORY_TRANSPORT,
               0);
    last_error_has_http_status(200);
  }
}

static void json_without_the_promised_fields_is_refused(void) {
  static const char *const bodies[] = {
      "{}",
      "[]",
      "{\"Response\":null}",
      "{\"Response\":{}}",
      "{\"Response\":{\"KeyId\":1,\"CiphertextBlob\":\"x\"}}",
      "{\"Response\":{\"KeyId\":\"" KEY_ID "\",\"RequestId\":\"r\"}}",
      "{\"Response\":{\"CiphertextBlob\":\"\",\"KeyId\":\"" KEY_ID "\"}}",
      "{\"Response\":{\"CiphertextBlob\":\"x\",\"RequestId\":\"r\"}}",
      /* A CiphertextBlob that Decrypt would not take, and that a program may print. */
      "{\"Response\":{\"CiphertextBlob\":\"a b\",\"KeyId\":\"" KEY_ID "\"}}",
      "{\"Response\":{\"CiphertextBlob\":\"a\\u001b[2J\",\"KeyId\":\"" KEY_ID "\"}}",
      "{\"Response\":{\"CiphertextBlob\":\"a\\u009b2J\",\"KeyId\":\"" KEY_ID "\"}}",
      "{\"Response\":{\"CiphertextBlob\":\"a\\n\",\"KeyId\":\"" KEY_ID "\"}}",
  };
  size_t i;
  for (i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    fails_with((struct reply){.status = 200, .body = bodies[i]}, TCKMS_ERR_RESPONSE_MALFORMED,
               TCKMS_CATEGORY_TRANSPORT, 0);
    last_error_has_http_status(200);
  }
}

/* gzip was not requested and is not decompressed, so a decompression bomb has no effect. */
static void a_compressed_reply_is_not_unpacked(void) {
  static const char *const headers[] = {"Content-Encoding: gzip\r\n", "content-encoding: identity, BR\r\n",
                                        "Content-Encoding: identity\r\nContent-Encoding: zstd\r\n"};
  static const char *const names[] = {"\"gzip\"", "\"BR\"", "\"zstd\""};
  size_t i;
  for (i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    fails_with((struct reply){.status = 200,
                              .headers = headers[i],
                              .body = "\x1f\x8b\x08\0\0\0\0\0\0\x03",
                              .body_len = 10},
               TCKMS_ERR_RESPONSE_NOT_JSON, TCKMS_CATEGORY_TRANSPORT, 0);
    last_error_has_http_status(200);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "content coding");
    CHECK_HAS(tckms_error_message(tckms_last_error()), names[i]);
  }
  /* An error page is recognized by its status, whatever its encoding. */
  fails_with((struct reply){.status = 503, .headers = "Content-Encoding: gzip\r\n", .body = "\x1f\x8b"},
             TCKMS_ERR_HTTP_UNAVAILABLE, TCKMS_CATEGORY_UNAVAILABLE, 1);
}

static void identity_encoding_is_requested_and_accepted(void) {
  static const struct reply reply = {
      .status = 200, .headers = "Content-Encoding: identity\r\n", .body = OUTPUT_EXAMPLE};
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  char value[32];
  server_start(&server, &reply, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_OK(encrypt(client, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  CHECK(request_header(server.requests[0], "accept-encoding", value, sizeof value));
  CHECK_TEXT(value, "identity");
}

/* Only its KeyId shows which request a reply belongs to: one about another key belongs to another request. */
static void a_reply_about_another_key_is_never_returned(void) {
  static const char other[] =
      "{\"Response\":{\"CiphertextBlob\":\"x\",\"Plaintext\":\"AAAAAAAAAAAAAAAAAAAAAA==\","
      "\"KeyId\":\"00000000-0000-0000-0000-000000000000\",\"RequestId\":\"r-7\"}}";
  static const struct reply script[] = {{.status = 200, .body = other}, {.status = 200, .body = other},
                                        {.status = 200, .body = other}, {.status = 200, .body = other},
                                        {.status = 200, .body = other}, {.status = 200, .body = other}};
  static struct server server;
  tckms_client *client;
  tckms_buffer one = garbage();
  tckms_buffer two = garbage();
  server_start(&server, script, 6);
  client = client_with_attempts(server.endpoint, 4);
  CHECK_STATUS(encrypt(client, &one), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(one);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), "00000000-0000-0000-0000-000000000000");
  CHECK_TEXT(tckms_error_request_id(tckms_last_error()), "r-7");
  CHECK_STATUS(tckms_generate_data_key(client, KEY_ID, 16, NULL, &one, &two), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(one);
  CHECK_EMPTY(two);
  CHECK_STATUS(tckms_reencrypt(client, KEY_ID, "x", 1, NULL, NULL, &one), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(one);
  CHECK_STATUS(tckms_decrypt(client, KEY_ID, "x", 1, NULL, &one), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(one);
  /* An alias can name any key. */
  CHECK_OK(tckms_encrypt(client, "alias/billing", "x", 1, NULL, &one));
  tckms_buffer_free(&one);
  CHECK_OK(tckms_decrypt(client, NULL, "x", 1, NULL, &one));
  tckms_buffer_free(&one);
  tckms_client_free(client);
  server_stop(&server);
}

static void a_huge_reply_is_not_read(void) {
  enum { TWO_MIB = 2 * 1024 * 1024 };
  char *body = malloc(TWO_MIB + 1);
  CHECK(body != NULL);
  memset(body, ' ', TWO_MIB);
  body[TWO_MIB] = '\0';
  fails_with((struct reply){.status = 200, .body = body, .fate = ARRIVES_AND_CLOSES}, TCKMS_ERR_RESPONSE_TOO_LARGE,
             TCKMS_CATEGORY_TRANSPORT, 0);
  last_error_has_http_status(200);
  fails_with((struct reply){.status = 200, .body = body, .fate = ENDS_WITH_THE_CONNECTION},
             TCKMS_ERR_RESPONSE_TOO_LARGE, TCKMS_CATEGORY_TRANSPORT, 0);
  last_error_has_http_status(200);
  free(body);
}

static void a_deeply_nested_reply_is_accepted(void) {
  enum { DEPTH = 200000 };
  static const char head[] = "{\"Response\":{\"RequestId\":\"r\",\"Deep\":";
  static struct server server;
  struct reply reply = {.status = 200};
  tckms_client *client;
  tckms_buffer response = garbage();
  char *body = malloc(sizeof head + 2 * DEPTH + 3);
  CHECK(body != NULL);
  strcpy(body, head);
  memset(body + sizeof head - 1, '[', DEPTH);
  memset(body + sizeof head - 1 + DEPTH, ']', DEPTH);
  strcpy(body + sizeof head - 1 + 2 * DEPTH, "}}");
  reply.body = body;
  server_start(&server, &reply, 1);
  client = client_with_attempts(server.endpoint, 1);
  CHECK_OK(tckms_call(client, "DescribeKey", NULL, &response));
  CHECK_INT(response.len, strlen(body) - strlen("{\"Response\":}"));
  tckms_buffer_free(&response);
  tckms_client_free(client);
  server_stop(&server);
  free(body);
}

/* The connection to the service. */

static void a_reply_that_breaks_off_is_a_lost_connection(void) {
  fails_with((struct reply){.status = 200, .body = OUTPUT_EXAMPLE, .fate = BREAKS_OFF}, TCKMS_ERR_CONNECTION_LOST,
             TCKMS_CATEGORY_TRANSPORT, 1);
  last_error_has_http_status(200);
}

static void a_connection_that_closes_without_a_reply_is_lost(void) {
  fails_with((struct reply){.fate = IS_LOST}, TCKMS_ERR_CONNECTION_LOST, TCKMS_CATEGORY_TRANSPORT, 1);
  last_error_has_http_status(0);
}

/* The client is derived, as for a single call with a deadline; its parent has long timeouts. */
static void a_missing_reply_ends_with_the_timeout(void) {
  static const struct reply script[] = {{.fate = NEVER_COMES}, {.status = 200, .body = OUTPUT_EXAMPLE}};
  static struct server server;
  tckms_client *parent;
  tckms_client *with_short_timeout = NULL;
  tckms_config *config = tckms_config_new();
  tckms_buffer blob = garbage();
  server_start(&server, script, 2);
  parent = client_with_attempts(server.endpoint, 1);
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 300));
  CHECK_OK(tckms_client_derive(parent, config, &with_short_timeout));
  tckms_config_free(config);
  CHECK_STATUS(encrypt(with_short_timeout, &blob), TCKMS_ERR_TIMED_OUT);
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  last_error_has_http_status(0);
  tckms_client_free(with_short_timeout);
  CHECK_OK(encrypt(parent, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(parent);
  server_stop(&server);
}

static void a_port_that_refuses_is_a_failed_connection(void) {
  char endpoint[64];
  int refusing = bound_socket(endpoint, sizeof endpoint);
  tckms_client *client = client_with_attempts(endpoint, 2);
  tckms_buffer blob = garbage();
  CHECK_STATUS(encrypt(client, &blob), TCKMS_ERR_CONNECT_FAILED);
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_os_errno(tckms_last_error()), ECONNREFUSED);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 2);
  last_error_has_http_status(0);
  tckms_client_free(client);
  close(refusing);
}

/* A label cannot have 64 characters (RFC 1035, 2.3.4), so no resolver is asked and this needs no network. */
static void an_invalid_host_name_is_not_resolved(void) {
  tckms_config *config = config_for("http://" "1234567890123456789012345678901234567890123456789012345678901234.test");
  tckms_client *client;
  tckms_buffer blob = garbage();
  CHECK_OK(tckms_config_set_insecure_http_allowed(config, 1));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  CHECK_STATUS(encrypt(client, &blob), TCKMS_ERR_RESOLVE_FAILED);
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  tckms_client_free(client);
}

/* Errors of the service. */

static void each_error_code_of_the_encrypt_page_has_its_own_status(void) {
  static const struct {
    const char *code;
    tckms_status status;
    tckms_category category;
    int retryable;
  } codes[] = {
      {"InternalError", TCKMS_ERR_SERVICE_INTERNAL_ERROR, TCKMS_CATEGORY_UNAVAILABLE, 1},
      {"InvalidParameter", TCKMS_ERR_INVALID_PARAMETER, TCKMS_CATEGORY_REQUEST, 0},
      {"InvalidParameterValue.InvalidKeyId", TCKMS_ERR_INVALID_KEY_ID, TCKMS_CATEGORY_REQUEST, 0},
      {"InvalidParameterValue.InvalidPlaintext", TCKMS_ERR_INVALID_PLAINTEXT, TCKMS_CATEGORY_REQUEST, 0},
      {"ResourceUnavailable.CmkArchived", TCKMS_ERR_CMK_ARCHIVED, TCKMS_CATEGORY_REQUEST, 0},
      {"ResourceUnavailable.CmkDisabled", TCKMS_ERR_CMK_DISABLED, TCKMS_CATEGORY_REQUEST, 0},
      {"ResourceUnavailable.CmkNotFound", TCKMS_ERR_CMK_NOT_FOUND, TCKMS_CATEGORY_REQUEST, 0},
      {"UnauthorizedOperation", TCKMS_ERR_UNAUTHORIZED_OPERATION, TCKMS_CATEGORY_IDENTITY, 0},
      {"RequestLimitExceeded", TCKMS_ERR_REQUEST_LIMIT_EXCEEDED, TCKMS_CATEGORY_UNAVAILABLE, 1},
      {"Novel.Code", TCKMS_ERR_UNKNOWN_SERVICE_CODE, TCKMS_CATEGORY_REQUEST, 0},
  };
  size_t i;
  for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    char body[256];
    snprintf(body, sizeof body, "{\"Response\":{\"Error\":{\"Code\":\"%s\",\"Message\":\"Says why.\"},\"RequestId\":\"r-9\"}}",
             codes[i].code);
    fails_with((struct reply){.status = 200, .body = body}, codes[i].status, codes[i].category, codes[i].retryable);
    last_error_has_http_status(200);
    CHECK_TEXT(tckms_error_service_code(tckms_last_error()), codes[i].code);
    CHECK_TEXT(tckms_error_request_id(tckms_last_error()), "r-9");
    CHECK_HAS(tckms_error_message(tckms_last_error()), "Says why.");
  }
}

/* Retrying. */

static void signature_of(const char *request, char *timestamp, char *authorization) {
  CHECK(request_header(request, "x-tc-timestamp", timestamp, 32));
  CHECK(request_header(request, "authorization", authorization, 512));
}

/* The service requests a wait of one second, so that the second attempt has another timestamp than the first. */
static void each_attempt_has_its_own_signature(void) {
  static const struct reply script[] = {{.status = 503, .headers = "Retry-After: 1\r\n"},
                                        {.status = 200, .body = OUTPUT_EXAMPLE}};
  static struct server server;
  char timestamps[2][32];
  char authorizations[2][512];
  tckms_client *client;
  tckms_buffer blob = garbage();
  server_start(&server, script, 2);
  client = client_with_attempts(server.endpoint, 2);
  CHECK_OK(encrypt(client, &blob));
  CHECK_BYTES(blob, BLOB, strlen(BLOB));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  signature_of(server.requests[0], timestamps[0], authorizations[0]);
  signature_of(server.requests[1], timestamps[1], authorizations[1]);
  CHECK(strcmp(timestamps[0], timestamps[1]) != 0);
  CHECK(strcmp(authorizations[0], authorizations[1]) != 0);
  CHECK_TEXT(request_body(server.requests[0]), request_body(server.requests[1]));
}

static void a_request_whose_reply_is_lost_is_sent_again(void) {
  static const struct reply script[] = {{.fate = IS_LOST},
                                        {.status = 200, .body = OUTPUT_EXAMPLE, .fate = BREAKS_OFF},
                                        {.status = 200, .body = OUTPUT_EXAMPLE}};
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  tckms_stats stats;
  server_start(&server, script, 3);
  client = client_with_attempts(server.endpoint, 3);
  CHECK_OK(encrypt(client, &blob));
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  CHECK_INT(stats.calls, 1);
  CHECK_INT(stats.retries, 2);
  CHECK_INT(stats.connections_opened, 3);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
}

static void attempts_end_where_they_are_limited(void) {
  static const struct reply script[] = {{.status = 502}, {.status = 504}};
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  server_start(&server, script, 2);
  client = client_with_attempts(server.endpoint, 2);
  CHECK_STATUS(encrypt(client, &blob), TCKMS_ERR_HTTP_UNAVAILABLE);
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 2);
  last_error_has_http_status(504);
  tckms_client_free(client);
  server_stop(&server);
}

static void a_wait_beyond_the_total_timeout_is_not_begun(void) {
  static const struct reply script[] = {{.status = 503, .headers = "Retry-After: 3600\r\n"}};
  static struct server server;
  tckms_client *client;
  tckms_buffer blob = garbage();
  server_start(&server, script, 1);
  client = client_with_attempts(server.endpoint, 4);
  CHECK_STATUS(encrypt(client, &blob), TCKMS_ERR_HTTP_UNAVAILABLE);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_INT(tckms_error_retry_after_ms(tckms_last_error()), 3600000);
  tckms_client_free(client);
  server_stop(&server);
}

static void an_action_that_creates_something_is_not_sent_twice(void) {
  static const struct reply script[] = {{.fate = IS_LOST}};
  static struct server server;
  tckms_client *client;
  tckms_buffer response = garbage();
  server_start(&server, script, 1);
  client = client_with_attempts(server.endpoint, 4);
  CHECK_STATUS(tckms_call(client, "CreateKey", "{\"Alias\":\"a\"}", &response), TCKMS_ERR_CONNECTION_LOST);
  CHECK_EMPTY(response);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "CreateKey");
  tckms_client_free(client);
  server_stop(&server);
}

static void unless_the_configuration_allows_it(void) {
  static const struct reply script[] = {{.fate = IS_LOST}, {.status = 200, .body = OUTPUT_EXAMPLE}};
  static struct server server;
  tckms_config *config;
  tckms_client *client;
  tckms_buffer response = garbage();
  server_start(&server, script, 2);
  config = config_for(server.endpoint);
  CHECK_OK(tckms_config_set_retry_unsafe_actions(config, 1));
  client = client_of(config);
  CHECK_OK(tckms_call(client, "CreateKey", "{\"Alias\":\"a\"}", &response));
  tckms_buffer_free(&response);
  tckms_client_free(client);
  server_stop(&server);
}

static void calls_share_a_connection(void) {
  static const struct reply script[] = {{.status = 200, .body = OUTPUT_EXAMPLE}, {.status = 200, .body = OUTPUT_EXAMPLE}};
  static struct server server;
  tckms_client *client;
  tckms_buffer blob;
  int i;
  server_start(&server, script, 2);
  client = client_with_attempts(server.endpoint, 1);
  for (i = 0; i < 2; i++) {
    CHECK_OK(encrypt(client, &blob));
    tckms_buffer_free(&blob);
  }
  tckms_client_free(client);
  server_stop(&server);
  CHECK_INT(server.connections, 1);
}

/* Terminals interpret these: C1 controls, DEL, characters that change the direction of text, line separators. */
static const char *const UNSAFE[] = {"\033",         "\177",         "\302\205",     "\302\233",    "\342\200\213", "\342\200\216",
                                     "\342\200\250", "\342\200\251", "\342\200\256", "\342\201\246", "\357\273\277"};

static void is_safe_for_a_terminal(const char *text) {
  size_t i;
  CHECK(strpbrk(text, "\r\n\t") == NULL);
  for (i = 0; i < sizeof UNSAFE / sizeof UNSAFE[0]; i++) {
    CHECK(strstr(text, UNSAFE[i]) == NULL);
  }
}

static void on_safe_line(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *line = tckms_log_event_message(event);
  (void)level;
  is_safe_for_a_terminal(line);
  ++*(int *)userdata;
}

#define HOSTILE "\\u001b[2J\\u007f\\u0085\\u009b31m\\u200b\\u200e\\u2028\\u2029\\u202etxt\\u2066\\ufeff\\n\\t"

static void text_of_a_reply_has_no_terminal_controls(void) {
  static const struct reply script[] = {
      {.status = 200,
       .body = "{\"Response\":{\"Error\":{\"Code\":\"Odd." HOSTILE "\",\"Message\":\"see " HOSTILE
               "\"},\"RequestId\":\"" HOSTILE "\"}}"},
      {.status = 502, .body = "<html>\302\233\342\200\256\033[2J"},
      {.status = 200, .body = "{\"Response\":{\"CiphertextBlob\":\"YQ==\",\"KeyId\":\"" HOSTILE "\",\"RequestId\":\"r\"}}"}};
  static struct server server;
  tckms_client *client;
  tckms_config *config;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  int lines = 0;
  size_t i;
  server_start(&server, script, 3);
  config = config_for(server.endpoint);
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_safe_line, &lines, NULL));
  client = client_of(config);
  for (i = 0; i < 3; i++) {
    if (tckms_encrypt(client, "alias/any", "x", 1, NULL, &blob) != TCKMS_OK) {
      is_safe_for_a_terminal(tckms_error_message(tckms_last_error()));
      is_safe_for_a_terminal(tckms_error_service_code(tckms_last_error()));
      is_safe_for_a_terminal(tckms_error_request_id(tckms_last_error()));
      is_safe_for_a_terminal(tckms_error_key_id(tckms_last_error()));
    }
    is_safe_for_a_terminal(tckms_last_key_id());
    is_safe_for_a_terminal(tckms_last_request_id());
    tckms_buffer_free(&blob);
  }
  CHECK(lines >= 3);
  tckms_client_free(client);
  server_stop(&server);
}

int main(void) {
  the_example_of_the_encrypt_page_works_in_both_directions();
  the_user_agent_suffix_is_sent();
  without_a_context_no_field_is_sent_for_it();
  the_response_of_any_action_is_passed_on_as_it_is();

  an_error_page_of_a_gateway_is_an_outage();
  too_many_requests_have_a_retry_after();
  other_http_statuses_are_no_answer_of_the_service();
  plain_http_on_a_tls_port_is_recognised();
  a_redirect_is_never_followed();
  a_document_that_is_not_json_is_refused();
  json_without_the_promised_fields_is_refused();
  a_compressed_reply_is_not_unpacked();
  identity_encoding_is_requested_and_accepted();
  a_reply_about_another_key_is_never_returned();
  a_huge_reply_is_not_read();
  text_of_a_reply_has_no_terminal_controls();
  a_deeply_nested_reply_is_accepted();

  a_reply_that_breaks_off_is_a_lost_connection();
  a_connection_that_closes_without_a_reply_is_lost();
  a_missing_reply_ends_with_the_timeout();
  a_port_that_refuses_is_a_failed_connection();
  an_invalid_host_name_is_not_resolved();

  each_error_code_of_the_encrypt_page_has_its_own_status();

  each_attempt_has_its_own_signature();
  a_request_whose_reply_is_lost_is_sent_again();
  attempts_end_where_they_are_limited();
  a_wait_beyond_the_total_timeout_is_not_begun();
  an_action_that_creates_something_is_not_sent_twice();
  unless_the_configuration_allows_it();
  calls_share_a_connection();
  return checks_passed();
}
