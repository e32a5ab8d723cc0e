/*
 * Shows how to observe a client: a log line for every attempt on stderr, and the counters at the end.
 *
 *     observe KEY_ID
 *
 * It encrypts a word, decrypts it with the wrong context, which fails, and decrypts it with the right one. The client
 * is configured from the same variables that quickstart.c uses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

#define CONTEXT "{\"program\":\"observe\"}"

/*
 * Runs on the thread that made the call, possibly on several at once: fprintf() locks its stream, and one call writes
 * one line. The line never contains a secret.
 */
static void to_stderr(void *userdata, const tckms_log_event *event) {
  static const char *const NAMES[] = {"off", "error", "warn", "info", "debug"};
  (void)userdata;
  fprintf(stderr, "[%s] %s\n", NAMES[tckms_log_event_level(event)], tckms_log_event_message(event));
}

static int failed(const char *what) {
  fprintf(stderr, "%s: %s\n", what, tckms_error_message(tckms_last_error()));
  return EXIT_FAILURE;
}

/* A configuration reads no environment variables by itself, so the program does. */
static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? "" : value;
}

static tckms_status configure(tckms_config *config) {
  const char *endpoint = variable("TCKMS_ENDPOINT");
  const char *ca_file = variable("TCKMS_CA_FILE");
  tckms_status status = tckms_config_set_log(config, TCKMS_LOG_DEBUG, to_stderr, NULL, NULL);
  if (status == TCKMS_OK) {
    status = tckms_config_set_region(config, variable("TENCENTCLOUD_REGION"));
  }
  if (status == TCKMS_OK) {
    status = tckms_config_set_credentials(config, variable("TENCENTCLOUD_SECRET_ID"),
                                          variable("TENCENTCLOUD_SECRET_KEY"), NULL);
  }
  if (status == TCKMS_OK && *endpoint != '\0') {
    status = tckms_config_set_endpoint(config, endpoint);
  }
  if (status == TCKMS_OK && *ca_file != '\0') {
    status = tckms_config_set_ca_file(config, ca_file);
  }
  return status;
}

/* A monitoring system would collect these every minute. The size says which members this program knows. */
static int show_counters(const tckms_client *client) {
  tckms_stats stats = TCKMS_STATS_INIT;
  if (tckms_client_stats(client, &stats, sizeof stats) != TCKMS_OK) {
    return failed("cannot read the counters");
  }
  printf("calls:               %" PRIu64 "\n", stats.calls);
  printf("retries:             %" PRIu64 "\n", stats.retries);
  printf("throttled:           %" PRIu64 "\n", stats.throttles);
  printf("transport failures:  %" PRIu64 "\n", stats.failures_transport);
  printf("refused identities:  %" PRIu64 "\n", stats.failures_identity);
  printf("refused requests:    %" PRIu64 "\n", stats.failures_request);
  printf("service unavailable: %" PRIu64 "\n", stats.failures_unavailable);
  printf("bytes sent:          %" PRIu64 "\n", stats.bytes_sent);
  printf("bytes received:      %" PRIu64 "\n", stats.bytes_received);
  printf("connections opened:  %" PRIu64 "\n", stats.connections_opened);
  return EXIT_SUCCESS;
}

static int work(const tckms_client *client, const char *key_id) {
  static const char WORD[] = "observed";
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  int result = EXIT_SUCCESS;
  if (tckms_encrypt(client, key_id, WORD, strlen(WORD), CONTEXT, &blob) != TCKMS_OK) {
    return failed("cannot encrypt");
  }
  if (tckms_decrypt(client, key_id, blob.data, blob.len, "{\"program\":\"another\"}", &plaintext) == TCKMS_OK) {
    fprintf(stderr, "the wrong context was accepted\n");
    result = EXIT_FAILURE;
  }
  tckms_buffer_free(&plaintext);
  if (tckms_decrypt(client, key_id, blob.data, blob.len, CONTEXT, &plaintext) != TCKMS_OK) {
    result = failed("cannot decrypt");
  }
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  return result;
}

int main(int argc, char **argv) {
  tckms_config *config;
  tckms_client *client = NULL;
  tckms_status status;
  int result;
  if (argc != 2) {
    fprintf(stderr, "usage: %s KEY_ID\n", argv[0]);
    return EXIT_FAILURE;
  }
  config = tckms_config_new();
  status = configure(config);
  if (status == TCKMS_OK) {
    status = tckms_client_new(config, &client);
  }
  tckms_config_free(config);
  if (status != TCKMS_OK) {
    return failed("cannot create a client");
  }
  result = work(client, argv[1]);
  if (result == EXIT_SUCCESS) {
    result = show_counters(client);
  }
  tckms_client_free(client);
  return result;
}
