/*
 * Makes the same call repeatedly, between two requests to callgrind; make bench-instructions counts the instructions.
 *
 *   workload ENDPOINT CASE CALLS ROUNDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>
#include <valgrind/callgrind.h>

#define KEY_ID "23e80852-1e38-11e9-b129-5cb9019b4b01"
#define CONTEXT "{\"purpose\":\"backup\",\"tenant\":\"7\"}"

/* LONG_MS is longer than any call takes under valgrind. */
enum { WARM_UP = 20, SMALL = 32, KIB = 1024, LONG_MS = 120000 };

static tckms_client *client;
static tckms_keyring *keyring;
static tckms_queue *queue;
static uint8_t plaintext[64 * KIB];
static uint8_t opened[64 * KIB];
static uint8_t sealed[64 * KIB + 4 * KIB];
/* The input of the case: a ciphertext, or a sealed message. */
static tckms_buffer input;
static size_t size;

static void expect_ok(tckms_status status) {
  if (status != TCKMS_OK) {
    fprintf(stderr, "workload: %s\n", tckms_error_message(tckms_last_error()));
    exit(1);
  }
}

static void make_client(const char *endpoint) {
  tckms_config *config = tckms_config_new();
  expect_ok(tckms_config_set_region(config, "ap-guangzhou"));
  expect_ok(tckms_config_set_endpoint(config, endpoint));
  expect_ok(tckms_config_set_credentials(config, "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
                                         "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", NULL));
  expect_ok(tckms_config_set_try_timeout_ms(config, LONG_MS));
  expect_ok(tckms_config_set_total_timeout_ms(config, LONG_MS));
  expect_ok(tckms_client_new(config, &client));
  tckms_config_free(config);
}

/* A key that needs no service, with a cache. The wrapped data key is as long as one of a CMK. */
static int wrap_key(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  static const char info[49], bytes[224];
  (void)userdata;
  (void)ctx_json;
  (void)data_key;
  (void)len;
  return tckms_wrapped_key_set(out, info, sizeof info, bytes, sizeof bytes) == TCKMS_OK ? 0 : 1;
}

static int generate_key(void *userdata, const char *ctx_json, uint8_t *data_key, size_t len, tckms_wrapped_key *out) {
  memset(data_key, 7, len);
  return wrap_key(userdata, ctx_json, data_key, len, out);
}

static int unwrap_key(void *userdata, const tckms_wrapped_key *wrapped, const char *ctx_json, uint8_t *data_key,
                      size_t len) {
  (void)userdata;
  (void)wrapped;
  (void)ctx_json;
  memset(data_key, 7, len);
  return 0;
}

static void make_keyring(void) {
  static const tckms_cache_limits defaults;
  tckms_custom_key key;
  memset(&key, 0, sizeof key);
  key.provider_id = "local";
  key.generate = generate_key;
  key.wrap = wrap_key;
  key.unwrap = unwrap_key;
  keyring = tckms_keyring_new();
  expect_ok(tckms_keyring_add_custom(keyring, &key, sizeof key));
  expect_ok(tckms_keyring_set_cache(keyring, &defaults, sizeof defaults));
}

static void encrypt(void) {
  tckms_buffer blob;
  expect_ok(tckms_encrypt(client, KEY_ID, plaintext, SMALL, NULL, &blob));
  tckms_buffer_free(&blob);
}

static void queue_encrypt(void) {
  tckms_completion *completion;
  expect_ok(tckms_submit_encrypt(queue, client, KEY_ID, plaintext, SMALL, NULL, LONG_MS, NULL, NULL));
  expect_ok(tckms_queue_wait(queue, LONG_MS));
  expect_ok(tckms_queue_next(queue, &completion));
  expect_ok(tckms_completion_status(completion));
  tckms_completion_free(completion);
}

static void decrypt(void) {
  tckms_buffer out;
  expect_ok(tckms_decrypt(client, KEY_ID, input.data, input.len, NULL, &out));
  tckms_buffer_free(&out);
}

static void seal(void) {
  tckms_buffer message;
  expect_ok(tckms_seal(keyring, plaintext, size, CONTEXT, &message));
  tckms_buffer_free(&message);
}

static void open_message(void) {
  tckms_buffer out;
  expect_ok(tckms_open(keyring, input.data, input.len, CONTEXT, &out));
  tckms_buffer_free(&out);
}

static void run_stream(tckms_stream *stream, const uint8_t *in, size_t len, uint8_t *out, size_t out_size) {
  size_t consumed, produced, rest;
  int done = 0;
  expect_ok(tckms_stream_update(stream, in, len, &consumed, out, out_size, &produced));
  expect_ok(tckms_stream_finish(stream, out + produced, out_size - produced, &rest, &done));
  if (consumed != len || !done) {
    fprintf(stderr, "workload: the output buffer is too small\n");
    exit(1);
  }
  tckms_stream_free(stream);
}

static void stream_seal(void) {
  tckms_stream *stream;
  expect_ok(tckms_stream_new_seal(keyring, CONTEXT, &stream));
  run_stream(stream, plaintext, size, sealed, sizeof sealed);
}

static void stream_open(void) {
  tckms_stream *stream;
  expect_ok(tckms_stream_new_open(keyring, CONTEXT, &stream));
  run_stream(stream, input.data, input.len, opened, sizeof opened);
}

static const struct {
  const char *name;
  void (*call)(void);
  size_t size;
} cases[] = {
    {"encrypt-32", encrypt, 0},           {"decrypt-32", decrypt, 0},
    {"queue-encrypt-32", queue_encrypt, 0},
    {"seal-1k", seal, KIB},               {"open-1k", open_message, KIB},
    {"seal-64k", seal, 64 * KIB},         {"open-64k", open_message, 64 * KIB},
    {"stream-seal-64k", stream_seal, 64 * KIB}, {"stream-open-64k", stream_open, 64 * KIB},
};

static void measure(void (*call)(void), int calls, int rounds) {
  int i;
  for (i = 0; i < WARM_UP; i++) {
    call();
  }
  for (; rounds > 0; rounds--) {
    CALLGRIND_ZERO_STATS;
    for (i = 0; i < calls; i++) {
      call();
    }
    CALLGRIND_DUMP_STATS;
  }
}

int main(int argc, char **argv) {
  size_t i;
  if (argc != 5) {
    return 2;
  }
  make_client(argv[1]);
  make_keyring();
  expect_ok(tckms_queue_new(NULL, 0, &queue));
  for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(argv[2], cases[i].name) != 0) {
      continue;
    }
    size = cases[i].size;
    expect_ok(size == 0 ? tckms_encrypt(client, KEY_ID, plaintext, SMALL, NULL, &input)
                        : tckms_seal(keyring, plaintext, size, CONTEXT, &input));
    measure(cases[i].call, atoi(argv[3]), atoi(argv[4]));
    tckms_buffer_free(&input);
    tckms_queue_free(queue);
    tckms_keyring_free(keyring);
    tckms_client_free(client);
    return 0;
  }
  return 2;
}
