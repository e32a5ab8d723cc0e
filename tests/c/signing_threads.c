/* Sixty-four threads sign and verify with one client and with clients derived from it, at once and in chunks, while keys change. */
#include "check.h"

#include <pthread.h>

#include "fixture.h"

enum { THREADS = 64, KEYS = 4, ROUNDS = 4 };

static const char *const USAGES[KEYS] = {TCKMS_KEY_USAGE_SIGN_ECC, TCKMS_KEY_USAGE_SIGN_ECDSA384,
                                         TCKMS_KEY_USAGE_SIGN_RSA_2048, TCKMS_KEY_USAGE_SIGN_SM2};
static char keys[KEYS][64];
static char switched_key[64];
static tckms_client *shared;

static void make_key(const char *alias, const char *usage, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_client *client = emulator_client();
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
  tckms_client_free(client);
}

static void check_signature(const tckms_client *client, const char *key_id, const char *message, tckms_buffer *signature) {
  CHECK_OK(tckms_verify(client, key_id, 0, message, strlen(message), signature->data, signature->len));
  CHECK_STATUS(tckms_verify(client, key_id, 0, "other", 5, signature->data, signature->len),
               TCKMS_ERR_SIGNATURE_INVALID);
  tckms_buffer_free(signature);
}

static void sign_at_once_and_in_chunks(const tckms_client *client, const char *key_id, const char *message) {
  tckms_signer *signer = NULL;
  tckms_buffer signature;
  CHECK_OK(tckms_sign(client, key_id, 0, message, strlen(message), &signature));
  check_signature(client, key_id, message, &signature);
  CHECK_OK(tckms_signer_new(client, key_id, 0, NULL, 0, &signer));
  CHECK_OK(tckms_signer_update(signer, message, strlen(message)));
  CHECK_OK(tckms_signer_finish(signer, &signature));
  check_signature(client, key_id, message, &signature);
  tckms_signer_free(signer);
}

/* Some threads only disable and enable a key; the others sign with it when it is enabled. */
static void switch_a_key(void) {
  CHECK_OK(tckms_disable_key(shared, switched_key));
  CHECK_OK(tckms_enable_key(shared, switched_key));
}

static void sign_with_the_switched_key(const tckms_client *client, const char *message) {
  tckms_buffer signature;
  tckms_status status = tckms_sign(client, switched_key, 0, message, strlen(message), &signature);
  if (status == TCKMS_OK) {
    check_signature(client, switched_key, message, &signature);
  } else {
    CHECK_INT(status, TCKMS_ERR_CMK_STATE_NOT_SUPPORTED);
  }
}

static void *work(void *number) {
  uintptr_t thread = (uintptr_t)number;
  int round;
  for (round = 0; round < ROUNDS; round++) {
    tckms_client *sibling = NULL;
    tckms_buffer der;
    char message[64];
    snprintf(message, sizeof message, "thread %lu, round %d", (unsigned long)thread, round);
    if (thread % 16 == 0) {
      switch_a_key();
      continue;
    }
    CHECK_OK(tckms_client_derive_timeout_ms(shared, 60000, &sibling));
    sign_at_once_and_in_chunks(shared, keys[thread % KEYS], message);
    sign_at_once_and_in_chunks(sibling, keys[(thread + 1) % KEYS], message);
    sign_with_the_switched_key(sibling, message);
    CHECK_OK(tckms_public_key(shared, keys[thread % KEYS], &der));
    tckms_buffer_free(&der);
    tckms_client_free(sibling);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  tckms_buffer der;
  uintptr_t i;
  for (i = 0; i < KEYS; i++) {
    char alias[16];
    snprintf(alias, sizeof alias, "threads-%lu", (unsigned long)i);
    make_key(alias, USAGES[i], keys[i]);
  }
  make_key("switched", TCKMS_KEY_USAGE_SIGN_ECC, switched_key);
  shared = emulator_client();
  /* A client that has the public key of a disabled key still returns it. */
  CHECK_OK(tckms_public_key(shared, switched_key, &der));
  tckms_buffer_free(&der);
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, work, (void *)i), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  tckms_client_free(shared);
  return checks_passed();
}
