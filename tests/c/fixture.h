/* The environment from the harness: an emulator, its keys, and credentials. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "check.h"

/* A variable that the harness sets. */
static inline const char *given(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    check_failed(__FILE__, __LINE__, "the harness did not set %s", name);
  }
  return value;
}

#define GIVEN_ENDPOINT given("TCKMS_ENDPOINT")
#define GIVEN_SECRET_ID given("TENCENTCLOUD_SECRET_ID")
#define GIVEN_SECRET_KEY given("TENCENTCLOUD_SECRET_KEY")
#define GIVEN_REGION given("TENCENTCLOUD_REGION")
/* CMKs of the emulator. */
#define MAIN_KEY given("TEST_KEY_MAIN")
#define OTHER_KEY given("TEST_KEY_OTHER")

/* The file of the emulator's CA, or NULL if it uses plain HTTP. */
static inline const char *given_ca_file(void) {
  return getenv("TCKMS_CA_FILE");
}

/* A configuration for `endpoint` whose timeouts are long enough for a slow machine under valgrind. */
static inline tckms_config *config_for(const char *endpoint) {
  tckms_config *config = tckms_config_new();
  CHECK(config != NULL);
  CHECK_OK(tckms_config_set_region(config, "ap-guangzhou"));
  CHECK_OK(tckms_config_set_endpoint(config, endpoint));
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "testkey", NULL));
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, 60000));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 60000));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 120000));
  return config;
}

static inline tckms_config *emulator_config(void) {
  tckms_config *config = config_for(GIVEN_ENDPOINT);
  CHECK_OK(tckms_config_set_credentials(config, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL));
  if (given_ca_file() != NULL) {
    CHECK_OK(tckms_config_set_ca_file(config, given_ca_file()));
  }
  return config;
}

/* Frees the configuration. */
static inline tckms_client *client_of(tckms_config *config) {
  tckms_client *client = NULL;
  CHECK_OK(tckms_client_new(config, &client));
  CHECK(client != NULL);
  tckms_config_free(config);
  return client;
}

static inline tckms_client *emulator_client(void) {
  return client_of(emulator_config());
}

/* Sets a role that is assumed with the credentials set so far. */
static inline tckms_status set_role(tckms_config *config, const char *arn, const char *session_name, int64_t duration,
                                    const char *external_id, const char *policy) {
  tckms_role_options options = TCKMS_ROLE_OPTIONS_INIT;
  options.role_arn = arn;
  options.session_name_or_null = session_name;
  options.duration_seconds = duration;
  options.external_id_or_null = external_id;
  options.policy_or_null = policy;
  return tckms_config_set_assume_role_credentials(config, &options, sizeof options);
}

#endif /* FIXTURE_H */
