/*
 * A program with privileges that its caller lacks reads nothing from the environment, because the caller controls it.
 *
 * The harness runs the same program with and without privileges, in an environment with an attacker's values: an endpoint,
 * credentials, and a home directory with credentials. The run without privileges uses all of these, which shows that they are valid.
 */
#define _GNU_SOURCE
#include "check.h"

#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "server.h"

#define REASON "privileges that its caller does not have"

static tckms_config *config_without_credentials(const char *endpoint) {
  tckms_config *config = tckms_config_new();
  CHECK_OK(tckms_config_set_region(config, "ap-guangzhou"));
  CHECK_OK(tckms_config_set_endpoint(config, endpoint));
  CHECK_OK(tckms_config_set_metadata_endpoint(config, endpoint));
  return config;
}

static void set_traps(const char *endpoint) {
  CHECK_INT(setenv("TCKMS_ENDPOINT", endpoint, 1), 0);
  CHECK_INT(setenv("TCKMS_PROXY", endpoint, 1), 0);
  CHECK_INT(setenv("TENCENTCLOUD_REGION", "ap-guangzhou", 1), 0);
  CHECK_INT(setenv("TENCENTCLOUD_SECRET_ID", "AKIDATTACKER", 1), 0);
  CHECK_INT(setenv("TENCENTCLOUD_SECRET_KEY", "attacker", 1), 0);
  CHECK_INT(setenv("TKE_PROVIDER_ID", "attacker", 1), 0);
  CHECK_INT(setenv("TKE_WEB_IDENTITY_TOKEN_FILE", "/etc/shadow", 1), 0);
  CHECK_INT(setenv("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/attacker", 1), 0);
}

static void every_variable_counts_without_privileges(const char *endpoint) {
  tckms_config *config = config_without_credentials(endpoint);
  tckms_client *client = NULL;
  CHECK_OK(tckms_client_new_from_env(&client));
  tckms_client_free(client);
  CHECK_OK(tckms_config_set_env_credentials(config));
  CHECK_OK(tckms_config_set_tke_env_credentials(config));
  CHECK_OK(tckms_config_set_default_tccli_credentials(config, NULL));
  CHECK_OK(tckms_config_set_default_profile_credentials(config, NULL));
  CHECK_STATUS(tckms_client_new(config, &client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK_HAS(tckms_error_message(tckms_last_error()), getenv("HOME"));
  tckms_config_free(config);
}

static void refused(tckms_status status, tckms_status expected) {
  CHECK_INT(status, expected);
  CHECK_HAS(tckms_error_message(tckms_last_error()), REASON);
}

static void no_variable_counts_with_privileges(const char *endpoint) {
  tckms_config *config = config_without_credentials(endpoint);
  tckms_client *client = NULL;
  tckms_buffer blob;
  refused(tckms_client_new_from_env(&client), TCKMS_ERR_INVALID_REGION);
  CHECK(client == NULL);
  refused(tckms_config_set_env_credentials(config), TCKMS_ERR_NO_CREDENTIALS);
  refused(tckms_config_set_tke_env_credentials(config), TCKMS_ERR_NO_CREDENTIALS);
  refused(tckms_config_set_default_tccli_credentials(config, NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE);
  CHECK_OK(tckms_config_set_default_profile_credentials(config, NULL));
  CHECK_STATUS(tckms_client_new(config, &client), TCKMS_ERR_NO_CREDENTIALS);
  CHECK(strstr(tckms_error_message(tckms_last_error()), getenv("HOME")) == NULL);
  CHECK(strstr(tckms_error_message(tckms_last_error()), ".tencentcloud") == NULL);
  /* Of the default order, only the sources of the machine remain, and this machine has none. */
  CHECK_OK(tckms_config_set_default_credentials(config));
  CHECK_OK(tckms_client_new(config, &client));
  refused(tckms_encrypt(client, "key", "secret", 6, NULL, &blob), TCKMS_ERR_NO_CREDENTIALS);
  tckms_client_free(client);
  tckms_config_free(config);
}

int main(int argc, char **argv) {
  char endpoint[64];
  int refusing = bound_socket(endpoint, sizeof endpoint);
  int privileged = argc > 1 && strcmp(argv[1], "privileged") == 0;
  if (privileged && getauxval(AT_SECURE) == 0) {
    check_failed(__FILE__, __LINE__,
                 "the system gave this program no privileges: is the folder mounted with nosuid, or no_new_privs set?");
  }
  CHECK_INT(getauxval(AT_SECURE) != 0, privileged);
  set_traps(endpoint);
  if (privileged) {
    no_variable_counts_with_privileges(endpoint);
  } else {
    every_variable_counts_without_privileges(endpoint);
  }
  close(refusing);
  return checks_passed();
}
