/*
 * Only tckms_client_new_from_env() reads the environment, and only the variables that its comment names.
 *
 * The harness runs this program in an environment with misleading values: proxies, certificates, key logs and variables of the Rust
 * runtime. This program also replaces getenv() and secure_getenv(), for the library too.
 */
#include "check.h"

#include "fixture.h"
#include "server.h"

extern char **environ;

#define KEY "93866e69-9755-11ef-8e65-52540089bc41"
#define REPLY "{\"Response\":{\"CiphertextBlob\":\"a-k-b-k-c\",\"KeyId\":\"" KEY "\",\"RequestId\":\"r-1\"}}"

/* The names passed to these two while recording was on, including during the loading of the library. */
static char asked_for[1024];
static int watched = 1;

static char *find_variable(const char *name) {
  size_t len = strlen(name);
  char **entry;
  if (watched) {
    size_t used = strlen(asked_for);
    snprintf(asked_for + used, sizeof asked_for - used, "%s ", name);
  }
  for (entry = environ; *entry != NULL; entry++) {
    if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=') {
      return *entry + len + 1;
    }
  }
  return NULL;
}

char *getenv(const char *name) {
  return find_variable(name);
}

char *secure_getenv(const char *name);

char *secure_getenv(const char *name) {
  return find_variable(name);
}

/* The values of the harness, copied before this program changes them. */
static char endpoint[128];
static char secret_id[128];
static char secret_key[128];
static char ca_file[512];

static void keep(char *copy, size_t size, const char *value) {
  CHECK(strlen(value) < size);
  strcpy(copy, value);
}

static void set(const char *name, const char *value) {
  CHECK_INT(setenv(name, value, 1), 0);
}

static void set_everything(void) {
  set("TENCENTCLOUD_SECRET_ID", secret_id);
  set("TENCENTCLOUD_SECRET_KEY", secret_key);
  set("TENCENTCLOUD_REGION", "ap-guangzhou");
  set("TCKMS_ENDPOINT", endpoint);
  set("TCKMS_CA_FILE", ca_file);
  unsetenv("TENCENTCLOUD_SESSION_TOKEN");
  unsetenv("TENCENTCLOUD_TOKEN");
  unsetenv("TCKMS_STS_ENDPOINT");
  unsetenv("TCKMS_PROXY");
  unsetenv("TCKMS_INSECURE_HTTP_ALLOWED");
}

static void no_client_is_created(tckms_status status, const char *hint) {
  tckms_client *client = (tckms_client *)(uintptr_t)0xdead;
  CHECK_STATUS(tckms_client_new_from_env(&client), status);
  CHECK(client == NULL);
  CHECK_HAS(tckms_error_message(tckms_last_error()), hint);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 0);
  CHECK(strstr(tckms_error_message(tckms_last_error()), secret_key) == NULL);
}

static void the_configuration_makes_a_client(void) {
  tckms_client *client = NULL;
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK(client != NULL);
  tckms_client_free(client);
}

static void a_client_works(void) {
  tckms_client *client = NULL;
  tckms_buffer blob;
  tckms_buffer plaintext;
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob));
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &plaintext));
  CHECK_BYTES(plaintext, "secret", 6);
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
}

static void a_region_is_needed(void) {
  set_everything();
  unsetenv("TENCENTCLOUD_REGION");
  no_client_is_created(TCKMS_ERR_INVALID_REGION, "TENCENTCLOUD_REGION");
  set("TENCENTCLOUD_REGION", "");
  no_client_is_created(TCKMS_ERR_INVALID_REGION, "TENCENTCLOUD_REGION");
  set_everything();
  a_client_works();
}

/* Without credentials in the environment, the client uses other providers at its first call. */
static void an_identity_may_come_from_another_provider(void) {
  static const char *const names[] = {"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    set_everything();
    unsetenv(names[i]);
    the_configuration_makes_a_client();
    set(names[i], "");
    the_configuration_makes_a_client();
  }
}

static void without_an_identity_the_profile_file_is_read(void) {
  const char *path = given("TEST_PROFILE_FILE");
  FILE *profile = fopen(path, "w");
  CHECK(profile != NULL);
  fprintf(profile, "[default]\nsecret_id = %s\nsecret_key = %s\n", secret_id, secret_key);
  CHECK_INT(fclose(profile), 0);
  set_everything();
  unsetenv("TENCENTCLOUD_SECRET_ID");
  set("TENCENTCLOUD_SECRET_KEY", "");
  set("TENCENTCLOUD_CREDENTIALS_FILE", path);
  a_client_works();
  unsetenv("TENCENTCLOUD_CREDENTIALS_FILE");
}

static void invalid_values_of_setters_are_refused(void) {
  set_everything();
  set("TENCENTCLOUD_SECRET_ID", "two words");
  no_client_is_created(TCKMS_ERR_MALFORMED_CREDENTIALS, "the secret id");
  set_everything();
  set("TENCENTCLOUD_SECRET_KEY", "line\n");
  no_client_is_created(TCKMS_ERR_MALFORMED_CREDENTIALS, "the secret key");
  set_everything();
  set("TENCENTCLOUD_SESSION_TOKEN", " token");
  no_client_is_created(TCKMS_ERR_MALFORMED_CREDENTIALS, "the session token");
  set_everything();
  set("TENCENTCLOUD_REGION", "Guangzhou");
  no_client_is_created(TCKMS_ERR_INVALID_REGION, "ap-guangzhou");
  set_everything();
  set("TCKMS_ENDPOINT", "kms.tencentcloudapi.com");
  no_client_is_created(TCKMS_ERR_INVALID_ENDPOINT, "like https://");
  set("TCKMS_ENDPOINT", "http://kms.tencentcloudapi.com");
  no_client_is_created(TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  set_everything();
  set("TCKMS_CA_FILE", "/nonexistent/ca.pem");
  no_client_is_created(TCKMS_ERR_INVALID_CA_BUNDLE, "/nonexistent/ca.pem");
}

static void variables_are_utf8(void) {
  static const char *const names[] = {"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_REGION",
                                      "TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_TOKEN", "TCKMS_ENDPOINT",
                                      "TCKMS_CA_FILE", "TCKMS_STS_ENDPOINT", "TCKMS_PROXY",
                                      "TCKMS_INSECURE_HTTP_ALLOWED"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    set_everything();
    set(names[i], "\xff");
    no_client_is_created(TCKMS_ERR_INVALID_UTF8, names[i]);
  }
}

/* The default endpoint is the service itself, so nothing is sent here. */
static void an_empty_endpoint_is_the_default_one(void) {
  set_everything();
  set("TCKMS_ENDPOINT", "");
  the_configuration_makes_a_client();
  unsetenv("TCKMS_ENDPOINT");
  the_configuration_makes_a_client();
}

/* The emulator behind a proxy that refuses: the requested tunnel shows the destination of the request. */
static void every_address_comes_from_its_variable(void) {
  static const struct reply refusal = {.status = 502, .headers = "", .body = ""};
  static struct server proxy;
  tckms_config *once = tckms_config_new();
  tckms_client *client = NULL;
  tckms_client *single = NULL;
  tckms_buffer blob;
  const char *const sts[][2] = {{"ftp://sts.example", "endpoint"}, {"https://sts.example/path", "endpoint"}};
  size_t i;
  set_everything();
  server_start(&proxy, &refusal, 1);
  set("TCKMS_ENDPOINT", "https://kms.example:8443");
  set("TCKMS_PROXY", proxy.endpoint);
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK_OK(tckms_config_set_max_attempts(once, 1));
  CHECK_OK(tckms_client_derive(client, once, &single));
  CHECK(tckms_encrypt(single, MAIN_KEY, "x", 1, NULL, &blob) != TCKMS_OK);
  tckms_client_free(single);
  tckms_client_free(client);
  tckms_config_free(once);
  server_stop(&proxy);
  CHECK_HAS(proxy.requests[0], "CONNECT kms.example:8443 HTTP/1.1\r\n");

  set("TCKMS_PROXY", "socks5://127.0.0.1");
  no_client_is_created(TCKMS_ERR_INVALID_PROXY, "proxy");
  set("TCKMS_PROXY", "");
  for (i = 0; i < sizeof sts / sizeof sts[0]; i++) {
    set("TCKMS_STS_ENDPOINT", sts[i][0]);
    no_client_is_created(TCKMS_ERR_INVALID_ENDPOINT, sts[i][1]);
  }
  set("TCKMS_STS_ENDPOINT", "http://sts.example");
  no_client_is_created(TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  set("TCKMS_STS_ENDPOINT", "");
  the_configuration_makes_a_client();
}

static void plain_http_needs_its_own_variable(void) {
  set_everything();
  set("TCKMS_ENDPOINT", "http://kms.example");
  no_client_is_created(TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  set("TCKMS_INSECURE_HTTP_ALLOWED", "0");
  no_client_is_created(TCKMS_ERR_INSECURE_ENDPOINT, "use https");
  set("TCKMS_INSECURE_HTTP_ALLOWED", "yes");
  no_client_is_created(TCKMS_ERR_OUT_OF_RANGE, "TCKMS_INSECURE_HTTP_ALLOWED");
  set("TCKMS_INSECURE_HTTP_ALLOWED", "1");
  the_configuration_makes_a_client();
  set("TCKMS_INSECURE_HTTP_ALLOWED", "");
  no_client_is_created(TCKMS_ERR_INSECURE_ENDPOINT, "use https");
}

static void the_ca_file_is_what_makes_the_emulator_trusted(void) {
  tckms_client *client = NULL;
  tckms_buffer blob = garbage();
  set_everything();
  set("TCKMS_CA_FILE", given("TEST_FOREIGN_CA_FILE"));
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob), TCKMS_ERR_TLS_FAILED);
  CHECK_EMPTY(blob);
  tckms_client_free(client);
}

/* Sends one request to a scripted server and checks its token. NULL for none. */
static void token_sent_is(const char *expected) {
  static const struct reply reply = {.status = 200, .body = REPLY};
  static struct server server;
  tckms_client *client = NULL;
  tckms_buffer blob;
  char token[64];
  server_start(&server, &reply, 1);
  set("TCKMS_ENDPOINT", server.endpoint);
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK_OK(tckms_encrypt(client, KEY, "x", 1, NULL, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  server_stop(&server);
  CHECK_INT(request_header(server.requests[0], "x-tc-token", token, sizeof token), expected != NULL);
  if (expected != NULL) {
    CHECK_TEXT(token, expected);
  }
}

static void the_session_token_comes_before_the_token(void) {
  set_everything();
  token_sent_is(NULL);
  set("TENCENTCLOUD_TOKEN", "the-token");
  token_sent_is("the-token");
  set("TENCENTCLOUD_SESSION_TOKEN", "");
  token_sent_is("the-token");
  set("TENCENTCLOUD_SESSION_TOKEN", "the-session-token");
  token_sent_is("the-session-token");
  set("TENCENTCLOUD_TOKEN", "");
  token_sent_is("the-session-token");
}

/*
 * Dependencies of the library read these: the cryptography reads CPU features when it is loaded, and the asynchronous runtime reads
 * the size of a queue when the first thread is started. None of them affects trust, destinations or files.
 */
static const char *const KNOWN[] = {"OPENSSL_ia32cap", "OPENSSL_armcap",
                                    "TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE"};

static void only_known_variables_were_read(void) {
  char *name = strtok(asked_for, " ");
  while (name != NULL) {
    size_t i = 0;
    while (i < sizeof KNOWN / sizeof KNOWN[0] && strcmp(name, KNOWN[i]) != 0) {
      i++;
    }
    if (i == sizeof KNOWN / sizeof KNOWN[0]) {
      check_failed(__FILE__, __LINE__, "the library read the variable %s", name);
    }
    name = strtok(NULL, " ");
  }
  asked_for[0] = '\0';
}

/* The variables name the CA that signed the emulator's certificate; the system's bundle does not contain it. */
static void certificates_named_by_a_variable_are_not_trusted(void) {
  const char *key_id = MAIN_KEY;
  tckms_config *config = config_for(endpoint);
  tckms_client *client = NULL;
  tckms_buffer blob = garbage();
  set("SSL_CERT_FILE", ca_file);
  CHECK_OK(tckms_config_set_credentials(config, secret_id, secret_key, NULL));
  watched = 1;
  if (tckms_client_new(config, &client) != TCKMS_OK) {
    /* The machine has no bundle. */
    CHECK_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_INVALID_CA_BUNDLE);
  } else {
    CHECK_STATUS(tckms_encrypt(client, key_id, "x", 1, NULL, &blob), TCKMS_ERR_TLS_FAILED);
    CHECK_EMPTY(blob);
  }
  watched = 0;
  tckms_client_free(client);
  tckms_config_free(config);
  only_known_variables_were_read();
}

/* This test has to be the first: variables that are read once in a process would not be detected later. */
static void a_client_of_a_configuration_looks_at_no_other_variable(void) {
  char proxy[64];
  int proxy_listener = listening_socket(proxy, sizeof proxy);
  const char *key_id = MAIN_KEY;
  tckms_config *config;
  tckms_client *client;
  tckms_buffer blob;
  set("HTTPS_PROXY", proxy);
  set("HTTP_PROXY", proxy);
  set("ALL_PROXY", proxy);
  set("https_proxy", proxy);
  set("http_proxy", proxy);
  set("all_proxy", proxy);

  watched = 1;
  config = config_for(endpoint);
  CHECK_OK(tckms_config_set_credentials(config, secret_id, secret_key, NULL));
  CHECK_OK(tckms_config_set_ca_file(config, ca_file));
  client = client_of(config);
  CHECK_OK(tckms_encrypt(client, key_id, "secret", 6, NULL, &blob));
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  watched = 0;

  CHECK_HAS(asked_for, "TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE");
  only_known_variables_were_read();
  a_client_works();
  CHECK(!has_connected(proxy_listener));
  close(proxy_listener);
}

static void no_key_log_is_written(void) {
  CHECK(access(given("SSLKEYLOGFILE"), F_OK) != 0);
}

int main(void) {
  watched = 0;
  keep(endpoint, sizeof endpoint, GIVEN_ENDPOINT);
  keep(secret_id, sizeof secret_id, GIVEN_SECRET_ID);
  keep(secret_key, sizeof secret_key, GIVEN_SECRET_KEY);
  keep(ca_file, sizeof ca_file, given("TCKMS_CA_FILE"));
  a_client_of_a_configuration_looks_at_no_other_variable();
  certificates_named_by_a_variable_are_not_trusted();
  a_region_is_needed();
  an_identity_may_come_from_another_provider();
  without_an_identity_the_profile_file_is_read();
  invalid_values_of_setters_are_refused();
  variables_are_utf8();
  an_empty_endpoint_is_the_default_one();
  every_address_comes_from_its_variable();
  plain_http_needs_its_own_variable();
  the_ca_file_is_what_makes_the_emulator_trusted();
  the_session_token_comes_before_the_token();
  no_key_log_is_written();
  return checks_passed();
}
