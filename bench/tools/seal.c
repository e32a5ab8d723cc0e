/* Seals a message CALLS times under a cached data key that needs no service: seal SIZE CALLS PAIRS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

static int wrap_key(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  static const char info[49], bytes[224];
  (void)userdata;
  (void)ctx_json;
  (void)data_key;
  (void)len;
  return tckms_wrapped_key_set(out, info, sizeof info, bytes, sizeof bytes) == TCKMS_OK ? 0 : 1;
}

static void expect_ok(tckms_status status) {
  if (status != TCKMS_OK) {
    fprintf(stderr, "seal: %s\n", tckms_error_message(tckms_last_error()));
    exit(1);
  }
}

int main(int argc, char **argv) {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key;
  char context[4096] = "{";
  char *plaintext;
  size_t size;
  int calls, pairs, i;
  if (argc != 4) {
    return 2;
  }
  size = strtoull(argv[1], NULL, 10);
  calls = atoi(argv[2]);
  pairs = atoi(argv[3]);
  for (i = 0; i < pairs && strlen(context) < sizeof context - 64; i++) {
    sprintf(context + strlen(context), "%s\"name%d\":\"value%d\"", i == 0 ? "" : ",", i, i);
  }
  strcat(context, "}");
  memset(&key, 0, sizeof key);
  key.provider_id = "local";
  key.wrap = wrap_key;
  expect_ok(tckms_keyring_add_custom(keyring, &key, sizeof key));
  expect_ok(tckms_keyring_set_cache(keyring, NULL, 0));
  plaintext = malloc(size + 1);
  if (plaintext == NULL) {
    return 1;
  }
  memset(plaintext, 'x', size);
  for (i = 0; i < calls; i++) {
    tckms_buffer message;
    expect_ok(tckms_seal(keyring, plaintext, size, context, &message));
    tckms_buffer_free(&message);
  }
  free(plaintext);
  tckms_keyring_free(keyring);
  return 0;
}
