/*
 * Encrypts 10 secrets concurrently in the event loop of libuv, and decrypts them.
 *
 *     cc libuv_client.c $(pkg-config --cflags --libs tckms libuv) -o libuv_client
 *     libuv_client KEY_ID
 *
 * Credentials, region and endpoint come from the environment, as for the quickstart.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h needs it with -std=c99 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include <tckms.h>

enum { SECRETS = 10, TIMEOUT_MS = 10000 };

struct secret {
  char text[32];
  int is_encrypted;
};

static const char *key_id;
static tckms_client *client;
static tckms_queue *queue;
static int left = SECRETS;

static void must(tckms_status status) {
  if (status != TCKMS_OK) {
    fprintf(stderr, "libuv_client: %s\n", tckms_error_message(tckms_last_error()));
    exit(1);
  }
}

static void on_completion(uv_poll_t *poll, tckms_completion *done) {
  struct secret *secret = tckms_completion_userdata(done);
  const tckms_buffer *output = tckms_completion_output(done);
  if (tckms_completion_status(done) != TCKMS_OK) {
    fprintf(stderr, "libuv_client: %s\n", tckms_error_message(tckms_completion_error(done)));
    exit(1);
  }
  if (!secret->is_encrypted) {
    secret->is_encrypted = 1;
    must(tckms_submit_decrypt(queue, client, key_id, output->data, output->len, NULL, TIMEOUT_MS, secret, NULL));
    return;
  }
  if (strcmp((const char *)output->data, secret->text) != 0) {
    exit(1);
  }
  printf("%s was decrypted\n", secret->text);
  if (--left == 0) {
    uv_poll_stop(poll);
  }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  tckms_completion *done;
  (void)status;
  (void)events;
  while (tckms_queue_next(queue, &done) == TCKMS_OK) {
    on_completion(poll, done);
    tckms_completion_free(done);
  }
}

int main(int argc, char **argv) {
  struct secret secrets[SECRETS];
  uv_loop_t *loop = uv_default_loop();
  uv_poll_t poll;
  int fd = -1;
  int number;
  if (argc != 2 || loop == NULL) {
    fprintf(stderr, "usage: libuv_client KEY_ID\n");
    return 2;
  }
  key_id = argv[1];
  must(tckms_client_new_from_env(&client));
  must(tckms_queue_new(NULL, 0, &queue));
  must(tckms_queue_fd(queue, &fd));
  uv_poll_init(loop, &poll, fd);
  uv_poll_start(&poll, UV_READABLE, on_readable);
  for (number = 0; number < SECRETS; number++) {
    struct secret *secret = &secrets[number];
    snprintf(secret->text, sizeof secret->text, "secret %d", number);
    secret->is_encrypted = 0;
    must(tckms_submit_encrypt(queue, client, key_id, secret->text, strlen(secret->text), NULL, TIMEOUT_MS, secret, NULL));
  }
  uv_run(loop, UV_RUN_DEFAULT);
  uv_close((uv_handle_t *)&poll, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_loop_close(loop);
  tckms_queue_free(queue);
  tckms_client_free(client);
  return 0;
}
