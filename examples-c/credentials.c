/*
 * Shows the providers of credentials, and the call that selects each.
 *
 *     credentials KEY_ID default                     environment, profile file, CVM role, TKE pod, in this order
 *     credentials KEY_ID env                         TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY only
 *     credentials KEY_ID profile FILE [SECTION]      a profile file of the official SDKs
 *     credentials KEY_ID cvm-role [ROLE]             the role of this CVM instance
 *     credentials KEY_ID assume-role ARN             a role, assumed with the credentials of "default"
 *     credentials KEY_ID callback                    a function of this program
 *
 * The region comes from TENCENTCLOUD_REGION. TCKMS_ENDPOINT, TCKMS_CA_FILE, TCKMS_STS_ENDPOINT and METADATA_ENDPOINT
 * replace the endpoints of the service, for example by those of the emulator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

static void explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
}

/* For a program that keeps its keys in its own vault. This one keeps them in the environment. */
static int read_from_vault(void *userdata, tckms_credentials *out) {
  const char *secret_id = getenv("VAULT_SECRET_ID");
  const char *secret_key = getenv("VAULT_SECRET_KEY");
  int *times = (int *)userdata;
  ++*times;
  if (secret_id == NULL || secret_key == NULL) {
    return -1;
  }
  return tckms_credentials_set(out, secret_id, secret_key, NULL, 0) == TCKMS_OK ? 0 : -1;
}

static tckms_status choose(tckms_config *config, const char *kind, const char *first, const char *second) {
  tckms_status status;
  if (strcmp(kind, "env") == 0) {
    return tckms_config_set_env_credentials(config);
  }
  if (strcmp(kind, "profile") == 0) {
    return tckms_config_set_profile_credentials(config, first, second);
  }
  if (strcmp(kind, "cvm-role") == 0) {
    return tckms_config_set_cvm_role_credentials(config, first);
  }
  if (strcmp(kind, "callback") == 0) {
    return tckms_config_set_credentials_callback(config, read_from_vault, calloc(1, sizeof(int)), free);
  }
  status = tckms_config_set_default_credentials(config);
  if (status == TCKMS_OK && strcmp(kind, "assume-role") == 0) {
    tckms_role_options role = TCKMS_ROLE_OPTIONS_INIT;
    role.role_arn = first;
    role.session_name_or_null = "tckms-example";
    role.duration_seconds = 3600;
    status = tckms_config_set_assume_role_credentials(config, &role, sizeof role);
  }
  return status;
}

/* Endpoints that replace those of the service. A variable that is not set changes nothing. */
static tckms_status choose_endpoints(tckms_config *config) {
  const char *region = getenv("TENCENTCLOUD_REGION");
  const char *endpoint = getenv("TCKMS_ENDPOINT");
  const char *ca_file = getenv("TCKMS_CA_FILE");
  const char *sts = getenv("TCKMS_STS_ENDPOINT");
  const char *metadata = getenv("METADATA_ENDPOINT");
  tckms_status status = tckms_config_set_region(config, region != NULL ? region : "ap-guangzhou");
  if (status == TCKMS_OK && endpoint != NULL) {
    status = tckms_config_set_endpoint(config, endpoint);
  }
  if (status == TCKMS_OK && ca_file != NULL) {
    status = tckms_config_set_ca_file(config, ca_file);
  }
  if (status == TCKMS_OK && sts != NULL) {
    status = tckms_config_set_sts_endpoint(config, sts);
  }
  if (status == TCKMS_OK && metadata != NULL) {
    status = tckms_config_set_metadata_endpoint(config, metadata);
  }
  return status;
}

int main(int argc, char **argv) {
  tckms_config *config = NULL;
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  int result = EXIT_FAILURE;

  if (argc < 3 || argc > 5) {
    fprintf(stderr, "usage: %s KEY_ID default|env|profile|cvm-role|assume-role|callback [ARGUMENT]...\n", argv[0]);
    return EXIT_FAILURE;
  }
  config = tckms_config_new();
  if (choose_endpoints(config) != TCKMS_OK ||
      choose(config, argv[2], argc > 3 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL) != TCKMS_OK) {
    explain("cannot configure");
    goto cleanup;
  }
  if (tckms_client_new(config, &client) != TCKMS_OK) {
    explain("cannot create a client");
    goto cleanup;
  }
  if (tckms_encrypt(client, argv[1], "a secret", 8, NULL, &blob) != TCKMS_OK) {
    explain("cannot encrypt");
    goto cleanup;
  }
  printf("Encrypted with the credentials of \"%s\", request %s.\n", argv[2], tckms_last_request_id());
  result = EXIT_SUCCESS;

cleanup:
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  tckms_config_free(config);
  return result;
}
