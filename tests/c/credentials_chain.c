/* Several providers: the default order, the environment, and configured fallbacks. */
#define _GNU_SOURCE
#include "credentials.h"

/* The last request that the emulator received was signed by this identity. */
static int signed_by(const char *secret_id) {
  char part[512];
  snprintf(part, sizeof part, "\"secret_id\":\"%s\"", secret_id);
  return seen(part);
}

/* The values of the harness in the environment, before this program changes them. */
static struct identity from_environment;

static void set_environment_identity(void) {
  set_variable("TENCENTCLOUD_SECRET_ID", from_environment.secret_id);
  set_variable("TENCENTCLOUD_SECRET_KEY", from_environment.secret_key);
}

static void set_pod(void) {
  set_variable("TKE_PROVIDER_ID", "my-provider");
  set_variable("TKE_WEB_IDENTITY_TOKEN_FILE", write_file("token", "S3CRET"));
  set_variable("TKE_ROLE_ARN", ROLE_ARN);
}

static tckms_config *default_config(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_default_credentials(config));
  return config;
}

static void the_first_provider_that_has_credentials_is_used(void) {
  struct identity of_profile;
  reset_emulator();
  clear_environment();
  of_profile = issue_identity();
  set_environment_identity();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", write_profile("of-profile", "default", &of_profile));
  set_issuer("my-role", 0);
  set_pod();

  expect_usable(default_config());
  CHECK_INT(signed_by(from_environment.secret_id), 1);
  CHECK_INT(requests_seen("Metadata") + requests_seen("AssumeRoleWithWebIdentity"), 0);

  forget_requests();
  CHECK_INT(unsetenv("TENCENTCLOUD_SECRET_ID"), 0);
  expect_usable(default_config());
  CHECK_INT(signed_by(of_profile.secret_id), 1);
  CHECK_INT(requests_seen("Metadata") + requests_seen("AssumeRoleWithWebIdentity"), 0);

  forget_requests();
  CHECK_INT(remove(path_of("of-profile")), 0);
  expect_usable(default_config());
  CHECK_INT(requests_seen("Metadata"), 2);
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 0);

  forget_requests();
  set_issuer(NULL, 0);
  expect_usable(default_config());
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 1);
}

static void no_other_provider_is_used_afterwards(void) {
  tckms_client *client;
  reset_emulator();
  clear_environment();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", path_of("no-such-file"));
  set_pod();
  set_issuer(NULL, 2);
  client = client_of(default_config());
  CHECK_OK(use(client));
  CHECK_INT(requests_seen("Metadata"), 1);
  set_issuer("my-role", 0);
  sleep_ms(2100);
  CHECK_OK(use(client));
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 2);
  tckms_client_free(client);
}

static void the_error_names_each_provider_with_its_reason(void) {
  char reason[1024];
  tckms_client *client;
  reset_emulator();
  clear_environment();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", path_of("no-such-file"));
  client = client_of(default_config());
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("no credentials: environment: the environment variable TENCENTCLOUD_SECRET_ID is not set; profile: ");
  snprintf(reason, sizeof reason, "profile: there is no file %s; CVM role: ", path_of("no-such-file"));
  CHECK_MESSAGE_HAS(reason);
  CHECK_MESSAGE_HAS("CVM role: no role is bound to this machine; ");
  CHECK_MESSAGE_HAS("TKE OIDC: the environment variable TKE_PROVIDER_ID is not set");
  tckms_client_free(client);

  set_variable("TENCENTCLOUD_SECRET_ID", "AKIDTEST");
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", write_file("broken", "[default]\nsecret_id=a\nS3CRET\n"));
  set_pod();
  set_variable("TKE_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token");
  client = client_of(default_config());
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("environment: the environment variable TENCENTCLOUD_SECRET_KEY is not set; ");
  CHECK_MESSAGE_HAS("/broken\" cannot be used: it is not an INI file, see line 3");
  CHECK_MESSAGE_HAS("TKE OIDC: file \"/nonexistent/token\" cannot be used: it does not exist");
  tckms_client_free(client);
}

/* Nothing listens at the address of the metadata service, as on a machine that is not a CVM instance. */
static void no_credentials_on_a_machine_without_any_are_not_retryable(void) {
  char endpoint[64];
  int refusing = bound_socket(endpoint, sizeof endpoint);
  tckms_config *config = config_at(endpoint, GIVEN_ENDPOINT);
  tckms_client *client;
  clear_environment();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", path_of("no-such-file"));
  CHECK_OK(tckms_config_set_default_credentials(config));
  client = client_of(config);
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK(!tckms_error_retryable(tckms_last_error()));
  CHECK_MESSAGE_HAS("CVM role: this machine has no metadata service");
  tckms_client_free(client);
  close(refusing);
}

/* No other provider is tried then, so it must not be skipped. */
static void a_malformed_variable_is_an_error_at_once(void) {
  static const struct {
    const char *name;
    const char *value;
    tckms_status status;
  } cases[] = {
      {"TENCENTCLOUD_SECRET_KEY", "S3CRET ", TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"TENCENTCLOUD_SECRET_KEY", "S3CRET\xe5\xaf\x86", TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"TENCENTCLOUD_SECRET_KEY", "S3CRET\xff", TCKMS_ERR_INVALID_UTF8},
      {"TENCENTCLOUD_SECRET_ID", " AKIDTEST", TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"TENCENTCLOUD_SESSION_TOKEN", "S3CRET S3CRET", TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"TENCENTCLOUD_TOKEN", "S3CRET\n", TCKMS_ERR_MALFORMED_CREDENTIALS},
      {"TKE_REGION", "ap shanghai", TCKMS_ERR_INVALID_REGION},
      {"TKE_ROLE_ARN", "arn:aws:iam::1:role/x", TCKMS_ERR_INVALID_ROLE},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof *cases; i++) {
    tckms_config *config = logged_config();
    clear_environment();
    set_environment_identity();
    set_pod();
    set_variable(cases[i].name, cases[i].value);
    CHECK_REFUSED(tckms_config_set_default_credentials(config), cases[i].status);
    if (strncmp(cases[i].name, "TKE", 3) != 0) {
      CHECK_REFUSED(tckms_config_set_env_credentials(config), cases[i].status);
    }
    tckms_config_free(config);
  }
}

static void the_environment_alone(void) {
  struct identity temporary;
  tckms_config *config = logged_config();
  reset_emulator();
  clear_environment();
  CHECK_REFUSED(tckms_config_set_env_credentials(config), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("TENCENTCLOUD_SECRET_ID is not set");
  set_environment_identity();
  set_variable("TENCENTCLOUD_SECRET_KEY", "");
  CHECK_REFUSED(tckms_config_set_env_credentials(config), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("TENCENTCLOUD_SECRET_KEY is not set");

  temporary = issue_identity();
  set_variable("TENCENTCLOUD_SECRET_ID", temporary.secret_id);
  set_variable("TENCENTCLOUD_SECRET_KEY", temporary.secret_key);
  set_variable("TENCENTCLOUD_TOKEN", temporary.token);
  CHECK_OK(tckms_config_set_env_credentials(config));
  expect_usable(config);
  /* TENCENTCLOUD_SESSION_TOKEN takes precedence. */
  config = logged_config();
  set_variable("TENCENTCLOUD_TOKEN", "S3CRET");
  set_variable("TENCENTCLOUD_SESSION_TOKEN", temporary.token);
  CHECK_OK(tckms_config_set_env_credentials(config));
  /* Later changes of the environment have no effect. */
  clear_environment();
  expect_usable(config);
}

static void the_environment_of_a_pod_alone(void) {
  tckms_config *config = logged_config();
  reset_emulator();
  clear_environment();
  CHECK_REFUSED(tckms_config_set_tke_env_credentials(config), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("TKE_PROVIDER_ID is not set");
  set_pod();
  set_variable("TKE_REGION", "ap-shanghai");
  CHECK_OK(tckms_config_set_tke_env_credentials(config));
  clear_environment();
  expect_usable(config);
  CHECK_INT(requests_seen("AssumeRoleWithWebIdentity"), 1);
  CHECK_INT(seen("\"x-tc-region\":\"ap-shanghai\""), 1);
}

static void a_client_from_the_environment_asks_it_first(void) {
  tckms_client *client = NULL;
  reset_emulator();
  clear_environment();
  set_environment_identity();
  CHECK_OK(tckms_client_new_from_env(&client));
  CHECK_OK(use(client));
  CHECK_INT(signed_by(from_environment.secret_id), 1);
  tckms_client_free(client);
}

static int supply_none(void *userdata, tckms_credentials *out) {
  (void)userdata;
  (void)out;
  return 1;
}

static tckms_config *callback_config(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_credentials_callback(config, supply_none, NULL, NULL));
  return config;
}

static void add(tckms_config *config, tckms_config *other) {
  CHECK_OK(tckms_config_add_fallback_credentials(config, other));
  tckms_config_free(other);
}

static void fallbacks_are_tried_in_the_order_they_were_added(void) {
  struct identity first;
  struct identity second;
  tckms_config *config;
  tckms_config *other;
  reset_emulator();
  first = issue_identity();
  second = issue_identity();
  config = callback_config();
  other = logged_config();
  CHECK_OK(tckms_config_set_cvm_role_credentials(other, NULL));
  add(config, other);
  other = logged_config();
  CHECK_OK(tckms_config_set_profile_credentials(other, write_profile("first", "default", &first), NULL));
  add(config, other);
  other = logged_config();
  CHECK_OK(tckms_config_set_credentials(other, second.secret_id, second.secret_key, second.token));
  add(config, other);
  expect_usable(config);
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(signed_by(first.secret_id), 1);
  CHECK_INT(signed_by(second.secret_id), 0);
}

static void a_fallback_of_none_is_the_first(void) {
  tckms_config *config = tckms_config_new();
  tckms_config *other = tckms_config_new();
  reset_emulator();
  CHECK_OK(tckms_config_set_region(config, "ap-guangzhou"));
  CHECK_OK(tckms_config_set_endpoint(config, GIVEN_ENDPOINT));
  CHECK_REFUSED(tckms_config_add_fallback_credentials(config, other), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_OK(tckms_config_set_credentials(other, from_environment.secret_id, from_environment.secret_key, NULL));
  add(config, other);
  expect_usable(config);
}

static void fallbacks_may_have_fallbacks_and_all_are_named(void) {
  tckms_config *config = callback_config();
  tckms_config *other = callback_config();
  tckms_config *third = logged_config();
  tckms_client *client;
  reset_emulator();
  clear_environment();
  CHECK_OK(tckms_config_set_cvm_role_credentials(third, NULL));
  add(other, third);
  add(config, other);
  client = client_of(config);
  CHECK_REFUSED(use(client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_MESSAGE_HAS("callback: the credentials callback supplied no credentials; callback: the credentials callback supplied "
                    "no credentials; CVM role: no role is bound");
  tckms_client_free(client);
}

static tckms_config *fixed_config(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_credentials(config, from_environment.secret_id, from_environment.secret_key, NULL));
  return config;
}

/* Each is the fallback of the previous one. */
static void fallbacks_are_nested_8_deep_at_most(void) {
  tckms_config *config = fixed_config();
  int depth;
  for (depth = 1; depth <= 9; depth++) {
    tckms_config *outer = callback_config();
    tckms_status expected = depth <= 8 ? TCKMS_OK : TCKMS_ERR_OUT_OF_RANGE;
    CHECK_INT(tckms_config_add_fallback_credentials(outer, config), expected);
    if (expected != TCKMS_OK) {
      CHECK_MESSAGE_HAS("8 deep");
      tckms_config_free(outer);
      break;
    }
    tckms_config_free(config);
    config = outer;
  }
  CHECK_INT(depth, 9);
  expect_usable(config);
}

/* The number of fallbacks of one configuration is not limited. */
static void fallbacks_in_a_row_are_not_nested(void) {
  tckms_config *config = callback_config();
  int i;
  for (i = 0; i < 20; i++) {
    add(config, callback_config());
  }
  add(config, fixed_config());
  expect_usable(config);
}

static void a_configuration_is_no_fallback_of_itself(void) {
  tckms_config *config = fixed_config();
  tckms_config *other = fixed_config();
  int i;
  CHECK_REFUSED(tckms_config_add_fallback_credentials(config, config), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_MESSAGE_HAS("own fallback");
  /* Adding two configurations to each other repeatedly would double their size each time. */
  for (i = 0; i < 4; i++) {
    CHECK_OK(tckms_config_add_fallback_credentials(config, other));
    CHECK_OK(tckms_config_add_fallback_credentials(other, config));
  }
  CHECK_REFUSED(tckms_config_add_fallback_credentials(config, other), TCKMS_ERR_OUT_OF_RANGE);
  tckms_config_free(other);
  /* The refused calls changed nothing. */
  expect_usable(config);
}

static void *use_on_a_small_stack(void *client) {
  CHECK_OK(use(client));
  return NULL;
}

static void roles_are_nested_8_deep_at_most(void) {
  tckms_config *config = fixed_config();
  pthread_attr_t attributes;
  pthread_t thread;
  tckms_client *client;
  int depth;
  reset_emulator();
  for (depth = 1; depth <= 8; depth++) {
    CHECK_OK(set_role(config, ROLE_ARN, NULL, 0, NULL, NULL));
  }
  CHECK_REFUSED(set_role(config, ROLE_ARN, NULL, 0, NULL, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_MESSAGE_HAS("8 deep");
  client = client_of(config);
  CHECK_INT(pthread_attr_init(&attributes), 0);
  CHECK_INT(pthread_attr_setstacksize(&attributes, 65536), 0);
  CHECK_INT(pthread_create(&thread, &attributes, use_on_a_small_stack, client), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(pthread_attr_destroy(&attributes), 0);
  CHECK_INT(requests_seen("AssumeRole"), 8);
  tckms_client_free(client);
}

/* The credentials exist, but are expired. */
static void expired_credentials_are_skipped(void) {
  tckms_config *config = logged_config();
  tckms_config *other = logged_config();
  reset_emulator();
  CHECK_OK(tckms_config_set_tccli_credentials(
      config, write_file("expired.credential",
                         "{\"type\":\"oauth\",\"secretId\":\"a\",\"secretKey\":\"S3CRET\",\"token\":\"S3CRET\","
                         "\"expiresAt\":1}")));
  CHECK_OK(tckms_config_set_credentials(other, from_environment.secret_id, from_environment.secret_key, NULL));
  add(config, other);
  expect_usable(config);
}

static void a_rotated_profile_in_the_default_order_is_noticed(void) {
  struct identity deleted = {"AKIDdeleted", "S3CRET", "S3CRET"};
  struct identity identity;
  tckms_client *client;
  reset_emulator();
  clear_environment();
  identity = issue_identity();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", write_profile("default", "default", &deleted));
  client = client_of(default_config());
  CHECK_REFUSED(use(client), TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND);
  write_profile("default", "default", &identity);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

static void a_refused_token_of_the_role_in_a_chain_is_renewed(void) {
  tckms_client *client;
  reset_emulator();
  clear_environment();
  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", path_of("no-such-file"));
  set_issuer("my-role", 0);
  client = client_of(default_config());
  set_fault("Encrypt", "{\"kind\":\"expire_token\"}", 1);
  CHECK_OK(use(client));
  CHECK_INT(requests_seen("Encrypt"), 2);
  tckms_client_free(client);
}

int main(void) {
  snprintf(from_environment.secret_id, sizeof from_environment.secret_id, "%s", GIVEN_SECRET_ID);
  snprintf(from_environment.secret_key, sizeof from_environment.secret_key, "%s", GIVEN_SECRET_KEY);
  the_first_provider_that_has_credentials_is_used();
  no_other_provider_is_used_afterwards();
  the_error_names_each_provider_with_its_reason();
  a_malformed_variable_is_an_error_at_once();
  the_environment_alone();
  the_environment_of_a_pod_alone();
  a_client_from_the_environment_asks_it_first();
  fallbacks_are_tried_in_the_order_they_were_added();
  a_fallback_of_none_is_the_first();
  fallbacks_may_have_fallbacks_and_all_are_named();
  fallbacks_are_nested_8_deep_at_most();
  fallbacks_in_a_row_are_not_nested();
  a_configuration_is_no_fallback_of_itself();
  roles_are_nested_8_deep_at_most();
  no_credentials_on_a_machine_without_any_are_not_retryable();
  expired_credentials_are_skipped();
  a_rotated_profile_in_the_default_order_is_noticed();
  a_refused_token_of_the_role_in_a_chain_is_renewed();
  return no_secret_was_logged();
}
