/* Roles: AssumeRole with any other credentials, and AssumeRoleWithWebIdentity with the token of a pod. */
#define _GNU_SOURCE
#include "credentials.h"

/* A JWT whose only claim is that it expired in 1970, and one without an end. */
#define EXPIRED_TOKEN "e30.eyJleHAiOjF9.S3CRET"
#define GOOD_TOKEN "e30.e30.S3CRET\n"

#define POLICY "{\"version\":\"2.0\",\"statement\":[{\"effect\":\"allow\",\"action\":[\"kms:*\"],\"resource\":\"*\"}]}"

static tckms_config *static_config(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_credentials(config, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL));
  return config;
}

static void assume(tckms_config *config) {
  CHECK_OK(set_role(config, ROLE_ARN, NULL, 0, NULL, NULL));
}

static void expect_one_role_assumed(void) {
  char by[128];
  snprintf(by, sizeof by, "\"secret_id\":\"%s\"", GIVEN_SECRET_ID);
  CHECK_INT(requests_seen("AssumeRole"), 1);
  CHECK_INT(seen(by), 1);
  CHECK_INT(seen("\"has_token\":true"), 1);
}

static int supply_given_credentials(void *calls, tckms_credentials *out) {
  __atomic_add_fetch((int *)calls, 1, __ATOMIC_SEQ_CST);
  return tckms_credentials_set(out, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL, 0) == TCKMS_OK ? 0 : 1;
}

static void a_role_is_assumed_with_any_credentials(void) {
  struct identity given_identity;
  tckms_config *config;
  char text[1024];
  int calls = 0;
  reset_emulator();
  config = static_config();
  assume(config);
  expect_usable(config);
  expect_one_role_assumed();

  reset_emulator();
  snprintf(text, sizeof text, "[default]\nsecret_id=%s\nsecret_key=%s\n", GIVEN_SECRET_ID, GIVEN_SECRET_KEY);
  config = logged_config();
  CHECK_OK(tckms_config_set_profile_credentials(config, write_file("of-the-user", text), NULL));
  assume(config);
  expect_usable(config);
  expect_one_role_assumed();

  reset_emulator();
  config = logged_config();
  CHECK_OK(tckms_config_set_credentials_callback(config, supply_given_credentials, &calls, NULL));
  assume(config);
  expect_usable(config);
  expect_one_role_assumed();
  CHECK_INT(calls, 1);

  reset_emulator();
  given_identity = issue_identity();
  config = logged_config();
  CHECK_OK(tckms_config_set_credentials(config, given_identity.secret_id, given_identity.secret_key,
                                        given_identity.token));
  assume(config);
  expect_usable(config);
  CHECK_INT(seen("\"has_token\":true"), 2);
}

/* Two steps: the first role assumes the second. */
static void a_role_may_take_another_role(void) {
  tckms_config *config;
  reset_emulator();
  config = static_config();
  assume(config);
  assume(config);
  expect_usable(config);
  CHECK_INT(requests_seen("AssumeRole"), 2);
}

static void the_parameters_of_an_assumed_role_are_sent(void) {
  struct identity identity = issue_identity();
  char answer[8192];
  char header[4096];
  struct reply reply;
  struct server sts;
  tckms_config *config;
  const char *body;
  write_answer(answer, sizeof answer, &identity, unix_time() + 7200);
  reply = reply_of(200, answer);
  server_start(&sts, &reply, 1);
  config = config_at(GIVEN_ENDPOINT, sts.endpoint);
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", "S3CRET-token"));
  CHECK_OK(set_role(config, ROLE_ARN, "nightly@backup", 900, "ext-1", POLICY));
  expect_usable(config);
  server_stop(&sts);
  body = request_body(sts.requests[0]);
  CHECK_HAS(body, "\"RoleArn\":\"" ROLE_ARN "\"");
  CHECK_HAS(body, "\"RoleSessionName\":\"nightly@backup\"");
  CHECK_HAS(body, "\"DurationSeconds\":900");
  CHECK_HAS(body, "\"ExternalId\":\"ext-1\"");
  CHECK_HAS(body, "\"Policy\":\"%7B%22version%22%3A%222.0%22%2C%22statement%22%3A%5B%7B%22effect%22%3A%22allow%22%2C");
  CHECK(request_header(sts.requests[0], "authorization", header, sizeof header));
  CHECK_HAS(header, "Credential=AKIDTEST/");
  CHECK_HAS(header, "/sts/tc3_request");
  CHECK(request_header(sts.requests[0], "x-tc-token", header, sizeof header));
  CHECK_TEXT(header, "S3CRET-token");
  CHECK(request_header(sts.requests[0], "x-tc-action", header, sizeof header));
  CHECK_TEXT(header, "AssumeRole");
  CHECK(request_header(sts.requests[0], "x-tc-version", header, sizeof header));
  CHECK_TEXT(header, "2018-08-13");
}

static void optional_fields_are_not_sent_by_default(void) {
  tckms_config *config;
  reset_emulator();
  config = static_config();
  assume(config);
  expect_usable(config);
  CHECK_INT(seen("\"fields\":[\"RoleArn\",\"RoleSessionName\",\"DurationSeconds\"]") +
                seen("\"fields\":[\"DurationSeconds\",\"RoleArn\",\"RoleSessionName\"]"),
            1);
}

static void an_invalid_role_is_refused_at_once(void) {
  tckms_config *config = static_config();
  tckms_config *empty = tckms_config_new();
  CHECK_REFUSED(set_role(config, "", NULL, 0, NULL, NULL), TCKMS_ERR_INVALID_ROLE);
  CHECK_REFUSED(set_role(config, "arn:aws:iam::1:role/x", NULL, 0, NULL, NULL),
                TCKMS_ERR_INVALID_ROLE);
  CHECK_REFUSED(set_role(config, ROLE_ARN, "a", 0, NULL, NULL), TCKMS_ERR_INVALID_ROLE);
  CHECK_REFUSED(set_role(config, ROLE_ARN, "a b", 0, NULL, NULL), TCKMS_ERR_INVALID_ROLE);
  CHECK_REFUSED(set_role(config, ROLE_ARN, NULL, -1, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_REFUSED(set_role(config, ROLE_ARN, NULL, 43201, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_REFUSED(set_role(empty, ROLE_ARN, NULL, 0, NULL, NULL), TCKMS_ERR_NO_CREDENTIALS);
  /* A refused call does not change the configuration. */
  expect_usable(config);
  tckms_config_free(empty);
}

static void an_error_of_sts_keeps_its_code_and_request_id(void) {
  char request_id[128];
  tckms_config *config;
  tckms_client *client;
  reset_emulator();
  config = static_config();
  CHECK_OK(set_role(config, "qcs::cam::uin/x:nothing", NULL, 0, NULL, NULL));
  client = client_of(config);
  CHECK_REFUSED(use(client), TCKMS_ERR_RESOURCE_NOT_FOUND);
  CHECK_TEXT(tckms_error_service_code(tckms_last_error()), "ResourceNotFound.RoleNotFound");
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "AssumeRole");
  last_seen_request_id(request_id, sizeof request_id);
  CHECK_TEXT(tckms_error_request_id(tckms_last_error()), request_id);
  CHECK_MESSAGE_HAS(request_id);
  tckms_client_free(client);
}

/* Also if there were valid credentials before. */
static void an_error_of_sts_is_reported_when_the_credentials_have_expired(void) {
  char request_id[128];
  tckms_config *config;
  tckms_client *client;
  reset_emulator();
  set_issuer(NULL, 2);
  config = static_config();
  assume(config);
  client = client_of(config);
  CHECK_OK(use(client));
  sleep_ms(2100);
  set_fault("AssumeRole", "{\"kind\":\"error\",\"code\":\"UnauthorizedOperation\"}", 1);
  CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
  CHECK_TEXT(tckms_error_service_code(tckms_last_error()), "UnauthorizedOperation");
  last_seen_request_id(request_id, sizeof request_id);
  CHECK_TEXT(tckms_error_request_id(tckms_last_error()), request_id);
  tckms_client_free(client);
}

static void expect_sts_refusal(int http_status, const char *answer, tckms_status status) {
  struct reply reply = reply_of(http_status, answer);
  struct server sts;
  tckms_config *config;
  tckms_client *client;
  server_start(&sts, &reply, 1);
  config = config_at(GIVEN_ENDPOINT, sts.endpoint);
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", NULL));
  assume(config);
  client = client_of(config);
  CHECK_REFUSED(use(client), status);
  if (status != TCKMS_ERR_CREDENTIALS_EXPIRED) {
    CHECK_MESSAGE_HAS("AssumeRole: ");
  }
  server_stop(&sts);
  tckms_client_free(client);
}

static void malformed_answers_of_sts_are_refused(void) {
  expect_sts_refusal(200, "{\"Response\":{\"RequestId\":\"r\"}}", TCKMS_ERR_RESPONSE_MALFORMED);
  expect_sts_refusal(200, "{\"Response\":{\"Credentials\":{\"TmpSecretKey\":\"S3CRET\"},\"ExpiredTime\":1}}",
                     TCKMS_ERR_RESPONSE_MALFORMED);
  expect_sts_refusal(200,
                     "{\"Response\":{\"Credentials\":{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\","
                     "\"Token\":\"S3CRET\"},\"RequestId\":\"r\"}}",
                     TCKMS_ERR_RESPONSE_MALFORMED);
  expect_sts_refusal(200,
                     "{\"Response\":{\"Credentials\":{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET \","
                     "\"Token\":\"S3CRET\"},\"ExpiredTime\":99999999999,\"RequestId\":\"r\"}}",
                     TCKMS_ERR_MALFORMED_CREDENTIALS);
  expect_sts_refusal(200,
                     "{\"Response\":{\"Credentials\":{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"S3CRET\","
                     "\"Token\":\"S3CRET\"},\"ExpiredTime\":1,\"RequestId\":\"r\"}}",
                     TCKMS_ERR_CREDENTIALS_EXPIRED);
  expect_sts_refusal(200, "S3CRE", TCKMS_ERR_RESPONSE_NOT_JSON);
  expect_sts_refusal(404, "", TCKMS_ERR_HTTP_STATUS);
  expect_sts_refusal(302, "", TCKMS_ERR_HTTP_REDIRECT);
}

static void a_failure_of_sts_is_tried_again(void) {
  tckms_config *config;
  reset_emulator();
  config = static_config();
  assume(config);
  set_fault("AssumeRole", "{\"kind\":\"status\",\"status\":503}", 2);
  expect_usable(config);
  CHECK_INT(requests_seen("AssumeRole"), 3);
}

static void the_clock_of_sts_is_the_one_that_counts(void) {
  static const int shifts[] = {-600, 600};
  size_t i;
  for (i = 0; i < sizeof shifts / sizeof *shifts; i++) {
    char shift[128];
    tckms_config *config = static_config();
    tckms_client *client;
    reset_emulator();
    set_issuer(NULL, 100);
    snprintf(shift, sizeof shift, "{\"kind\":\"clock_shift\",\"seconds\":%d}", shifts[i]);
    set_fault("*", shift, 1);
    assume(config);
    client = client_of(config);
    CHECK_OK(use(client));
    CHECK_OK(use(client));
    /* One request with the wrong time, whose reply corrected it. */
    CHECK_INT(requests_seen("AssumeRole"), 2);
    tckms_client_free(client);
  }
  reset_emulator();
}

static void plain_http_to_sts_elsewhere_is_refused(void) {
  tckms_config *config = static_config();
  tckms_client *client = NULL;
  assume(config);
  CHECK_OK(tckms_config_set_sts_endpoint(config, "http://192.0.2.1"));
  CHECK_REFUSED(tckms_client_new(config, &client), TCKMS_ERR_INSECURE_ENDPOINT);
  CHECK(client == NULL);
  CHECK_REFUSED(tckms_config_set_sts_endpoint(config, "ftp://127.0.0.1"), TCKMS_ERR_INVALID_ENDPOINT);
  tckms_config_free(config);
}

/* The request to the proxy contains the endpoint of STS. The proxy never replies, so nothing leaves this machine. */
static void expect_tunnel_to_sts(int site, const char *kms, const char *sts_host) {
  static struct server proxy;
  const struct reply silence = no_reply();
  char expected[256];
  tckms_config *config = tckms_config_new();
  tckms_client *client;
  server_start(&proxy, &silence, 1);
  CHECK_OK(tckms_config_set_region(config, "ap-guangzhou"));
  if (kms != NULL) {
    CHECK_OK(tckms_config_set_endpoint(config, kms));
  }
  CHECK_OK(tckms_config_set_site(config, site));
  CHECK_OK(tckms_config_set_proxy(config, proxy.endpoint));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 300));
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", NULL));
  assume(config);
  client = client_of(config);
  CHECK(use(client) != TCKMS_OK);
  tckms_client_free(client);
  server_stop(&proxy);
  snprintf(expected, sizeof expected, "CONNECT %s:443 HTTP/1.1\r\n", sts_host);
  CHECK_HAS(proxy.requests[0], expected);
}

static void sts_follows_the_endpoint_of_kms(void) {
  expect_tunnel_to_sts(TCKMS_SITE_MAINLAND, NULL, "sts.tencentcloudapi.com");
  expect_tunnel_to_sts(TCKMS_SITE_INTERNATIONAL, NULL, "sts.intl.tencentcloudapi.com");
  expect_tunnel_to_sts(TCKMS_SITE_MAINLAND, "https://kms.internal.tencentcloudapi.com",
                       "sts.internal.tencentcloudapi.com");
  expect_tunnel_to_sts(TCKMS_SITE_MAINLAND, "https://kms.intl.tencentcloudapi.com", "sts.intl.tencentcloudapi.com");
  expect_tunnel_to_sts(TCKMS_SITE_INTERNATIONAL, "https://kms.example", "sts.intl.tencentcloudapi.com");
}

static void a_site_is_one_that_exists(void) {
  tckms_config *config = tckms_config_new();
  CHECK_REFUSED(tckms_config_set_site(config, -1), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_REFUSED(tckms_config_set_site(config, 2), TCKMS_ERR_OUT_OF_RANGE);
  tckms_config_free(config);
}

static tckms_config *oidc_config(const char *token_file) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_oidc_credentials(config, "my-provider", token_file, ROLE_ARN, "pod-1", 900));
  return config;
}

static void a_pod_takes_its_role_without_a_signature(void) {
  reset_emulator();
  expect_usable(oidc_config(write_file("token", GOOD_TOKEN)));
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 1);
  CHECK_INT(seen("\"secret_id\":\"\""), 1);
  CHECK_INT(seen("\"has_token\":true"), 1);
  CHECK_INT(seen("\"ProviderId\""), 1);
  CHECK_INT(seen("\"WebIdentityToken\""), 1);
}

/* The emulator refuses an expired token and accepts a valid one, which shows which of them was sent. */
static void the_token_of_a_pod_is_read_each_time(void) {
  tckms_client *client;
  reset_emulator();
  client = client_of(oidc_config(write_file("rotated", EXPIRED_TOKEN)));
  CHECK_REFUSED(use(client), TCKMS_ERR_INVALID_PARAMETER);
  CHECK_TEXT(tckms_error_service_code(tckms_last_error()), "InvalidParameter.WebIdentityTokenError");
  write_file("rotated", GOOD_TOKEN);
  set_issuer(NULL, 2);
  sleep_ms(600);
  CHECK_OK(use(client));
  write_file("rotated", EXPIRED_TOKEN);
  sleep_ms(2100);
  CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
  CHECK_TEXT(tckms_error_service_code(tckms_last_error()), "InvalidParameter.WebIdentityTokenError");
  write_file("rotated", GOOD_TOKEN);
  sleep_ms(600);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

/* Kubernetes writes the file with mode 0644, behind a link that it replaces. Other files with that mode are reported. */
static void a_token_that_kubelet_writes_is_not_reported(void) {
  tckms_client *client;
  reset_emulator();
  awaited_lines = 0;
  awaited_line = "every user may read it";
  CHECK_INT(mkdir(path_of("pod"), 0755), 0);
  CHECK_INT(mkdir(path_of("pod/..2026_11_28"), 0755), 0);
  CHECK_INT(chmod(write_file("pod/..2026_11_28/token", GOOD_TOKEN), 0644), 0);
  CHECK_INT(symlink("..2026_11_28", path_of("pod/..data")), 0);
  CHECK_INT(symlink("..data/token", path_of("pod/token")), 0);
  expect_usable(oidc_config(path_of("pod/token")));
  CHECK_INT(awaited_lines, 0);
  CHECK_INT(chmod(write_file("own-token", GOOD_TOKEN), 0644), 0);
  set_issuer(NULL, 2);
  client = client_of(oidc_config(path_of("own-token")));
  CHECK_OK(use(client));
  sleep_ms(2100);
  CHECK_OK(use(client));
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 3);
  CHECK_INT(awaited_lines, 1);
  awaited_line = NULL;
  tckms_client_free(client);
}

static void expect_token_file_refusal(const char *path) {
  tckms_client *client = client_of(oidc_config(path));
  CHECK_REFUSED(use(client), TCKMS_ERR_INVALID_CREDENTIALS_FILE);
  CHECK_MESSAGE_HAS(path);
  tckms_client_free(client);
}

static void a_token_file_that_holds_none_is_refused(void) {
  char *long_text = malloc(65 * 1024 + 1);
  CHECK(long_text != NULL);
  memset(long_text, 'a', 65 * 1024);
  reset_emulator();
  CHECK_INT(mkfifo(path_of("token-pipe"), 0600), 0);
  expect_token_file_refusal(path_of("token-pipe"));
  expect_token_file_refusal(given("TEST_FOLDER"));
  expect_token_file_refusal(path_of("no-such-token"));
  expect_token_file_refusal(write_file("empty-token", " \n"));
  expect_token_file_refusal(write_file("two-tokens", "S3CRET S3CRET"));
  expect_token_file_refusal(write_file("odd-token", "S3CRET\xff"));
  expect_token_file_refusal(write_bytes("long-token", long_text, 65 * 1024));
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 0);
  free(long_text);
}

static void sts_is_called_over_tls_with_the_trusted_ca(void) {
  tckms_config *config;
  tckms_client *client;
  reset_emulator();
  config = static_config();
  assume(config);
  expect_usable(config);
  CHECK_INT(requests_seen("AssumeRole"), 1);

  config = static_config();
  assume(config);
  CHECK_OK(tckms_config_set_ca_file(config, given("TEST_FOREIGN_CA_FILE")));
  client = client_of(config);
  CHECK_REFUSED(use(client), TCKMS_ERR_TLS_FAILED);
  CHECK_MESSAGE_HAS("AssumeRole: ");
  tckms_client_free(client);
}

int main(void) {
  if (given_ca_file() != NULL) {
    sts_is_called_over_tls_with_the_trusted_ca();
    return no_secret_was_logged();
  }
  a_role_is_assumed_with_any_credentials();
  a_role_may_take_another_role();
  the_parameters_of_an_assumed_role_are_sent();
  optional_fields_are_not_sent_by_default();
  an_invalid_role_is_refused_at_once();
  an_error_of_sts_keeps_its_code_and_request_id();
  an_error_of_sts_is_reported_when_the_credentials_have_expired();
  malformed_answers_of_sts_are_refused();
  a_failure_of_sts_is_tried_again();
  the_clock_of_sts_is_the_one_that_counts();
  plain_http_to_sts_elsewhere_is_refused();
  sts_follows_the_endpoint_of_kms();
  a_site_is_one_that_exists();
  a_pod_takes_its_role_without_a_signature();
  the_token_of_a_pod_is_read_each_time();
  a_token_that_kubelet_writes_is_not_reported();
  a_token_file_that_holds_none_is_refused();
  return no_secret_was_logged();
}
