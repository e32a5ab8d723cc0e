/* Asymmetric CMKs: signatures verify, and each failure has its own status. */
#include "check.h"

#include <pthread.h>

#include "admin.h"
#include "fixture.h"

#define SIGNERS 4

/* A CMK of each usage that signs, created by this program. */
struct signing_key {
  const char *usage;
  int algorithm;
  size_t digest_len;
  size_t raw_len;
  char key_id[64];
};

static struct signing_key SIGNING_KEYS[SIGNERS] = {
  {TCKMS_KEY_USAGE_SIGN_ECC, TCKMS_SIGN_ECDSA_P256_SHA256, 32, 64, ""},
  {TCKMS_KEY_USAGE_SIGN_ECDSA384, TCKMS_SIGN_ECDSA_P384_SHA384, 48, 96, ""},
  {TCKMS_KEY_USAGE_SIGN_RSA_2048, TCKMS_SIGN_RSA_PSS_SHA256, 32, 0, ""},
  {TCKMS_KEY_USAGE_SIGN_SM2, TCKMS_SIGN_SM2_SM3, 32, 64, ""},
};

static void make_key(const tckms_client *client, const char *alias, const char *usage, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  tckms_buffer tag_failure = garbage();
  options.alias = alias;
  options.usage = usage;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, &tag_failure));
  CHECK_EMPTY(tag_failure);
  CHECK(id.len > 0 && id.len < 64);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static void a_signature_verifies_and_no_other_message_has_it(const tckms_client *client,
                                                             const struct signing_key *key) {
  static const char message[] = "a message that is signed";
  tckms_buffer signature = garbage();
  CHECK_OK(tckms_sign(client, key->key_id, TCKMS_SIGN_DEFAULT, message, sizeof message, &signature));
  CHECK(strlen(tckms_last_request_id()) > 0);
  /* The first call that works locally requests the usage of the key. */
  CHECK_OK(tckms_verify(client, key->key_id, 0, message, sizeof message, signature.data, signature.len));
  forget_requests();
  CHECK_OK(tckms_verify(client, key->key_id, key->algorithm, message, sizeof message, signature.data, signature.len));
  CHECK_STATUS(tckms_verify(client, key->key_id, 0, message, sizeof message - 1, signature.data, signature.len),
               TCKMS_ERR_SIGNATURE_INVALID);
  /* The library detected this itself; no action of the service failed. */
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "");
  CHECK(strncmp(tckms_error_message(tckms_last_error()), "the signature is", 16) == 0);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), key->key_id);
  signature.data[signature.len - 1] ^= 1;
  CHECK_STATUS(tckms_verify(client, key->key_id, 0, message, sizeof message, signature.data, signature.len),
               TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_STATUS(tckms_verify(client, key->key_id, 0, message, sizeof message, NULL, 0), TCKMS_ERR_SIGNATURE_INVALID);
  /* Verification is local. */
  CHECK_INT(seen("\"action\""), 0);
  tckms_buffer_free(&signature);
}

/* Adding bytes to a signer sends nothing and keeps the ids. A call that could send a request empties them. */
static void ids_are_those_of_the_last_request(const tckms_client *client, const struct signing_key *key) {
  tckms_signer *signer = NULL;
  tckms_buffer signature;
  CHECK_OK(tckms_sign(client, key->key_id, TCKMS_SIGN_DEFAULT, "m", 1, &signature));
  CHECK_INT(strlen(tckms_last_request_id()), 36);
  CHECK_TEXT(tckms_last_key_id(), key->key_id);
  CHECK_OK(tckms_verify(client, key->key_id, TCKMS_SIGN_DEFAULT, "m", 1, signature.data, signature.len));
  CHECK_TEXT(tckms_last_request_id(), "");
  CHECK_TEXT(tckms_last_key_id(), "");
  tckms_buffer_free(&signature);
  CHECK_OK(tckms_signer_new(client, key->key_id, TCKMS_SIGN_DEFAULT, NULL, 0, &signer));
  CHECK_STATUS(tckms_public_key(client, MAIN_KEY, &signature), TCKMS_ERR_INVALID_PARAMETER);
  CHECK_TEXT(tckms_last_request_id(), tckms_error_request_id(tckms_last_error()));
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  CHECK_OK(tckms_signer_update(signer, "m", 1));
  CHECK_INT(strlen(tckms_last_request_id()), 36);
  CHECK_TEXT(tckms_last_key_id(), MAIN_KEY);
  CHECK_OK(tckms_signer_finish(signer, &signature));
  CHECK_TEXT(tckms_last_key_id(), key->key_id);
  tckms_buffer_free(&signature);
  CHECK_STATUS(tckms_signer_finish(signer, &signature), TCKMS_ERR_INVALID_STATE);
  CHECK_TEXT(tckms_last_request_id(), "");
  tckms_signer_free(signer);
  CHECK_OK(tckms_signer_new(client, key->key_id, TCKMS_SIGN_DEFAULT, NULL, 0, &signer));
  CHECK_STATUS(tckms_signer_finish(signer, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_signer_finish(signer, &signature), TCKMS_ERR_INVALID_STATE);
  tckms_signer_free(signer);
}

static void an_empty_message_and_a_large_one_are_signed(const tckms_client *client, const struct signing_key *key) {
  size_t len = 3 * 1024 * 1024 + 1;
  char *large = calloc(len, 1);
  tckms_buffer signature;
  CHECK(large != NULL);
  CHECK_OK(tckms_sign(client, key->key_id, 0, NULL, 0, &signature));
  CHECK_OK(tckms_verify(client, key->key_id, 0, NULL, 0, signature.data, signature.len));
  tckms_buffer_free(&signature);
  CHECK_OK(tckms_sign(client, key->key_id, 0, large, len, &signature));
  CHECK_OK(tckms_verify(client, key->key_id, 0, large, len, signature.data, signature.len));
  tckms_buffer_free(&signature);
  free(large);
}

static void chunks_are_signed_like_the_complete_message(const tckms_client *client, const struct signing_key *key) {
  tckms_signer *signer = NULL;
  tckms_buffer signature = garbage();
  tckms_buffer again = garbage();
  CHECK_OK(tckms_signer_new(client, key->key_id, key->algorithm, NULL, 0, &signer));
  CHECK_OK(tckms_signer_update(signer, "one ", 4));
  CHECK_OK(tckms_signer_update(signer, NULL, 0));
  CHECK_OK(tckms_signer_update(signer, "two", 3));
  CHECK_OK(tckms_signer_finish(signer, &signature));
  CHECK_OK(tckms_verify(client, key->key_id, 0, "one two", 7, signature.data, signature.len));
  CHECK_STATUS(tckms_signer_finish(signer, &again), TCKMS_ERR_INVALID_STATE);
  CHECK_EMPTY(again);
  CHECK_STATUS(tckms_signer_update(signer, "x", 1), TCKMS_ERR_INVALID_STATE);
  tckms_signer_free(signer);
  tckms_signer_free(NULL);
  tckms_buffer_free(&signature);
}

/* Truncated, with trailing bytes, all zeros or all ones: always TCKMS_ERR_SIGNATURE_INVALID. */
static void another_signature_is_invalid(const tckms_client *client, const struct signing_key *key) {
  uint8_t bytes[1024];
  tckms_buffer signature;
  size_t len;
  CHECK_OK(tckms_sign(client, key->key_id, key->algorithm, "m", 1, &signature));
  CHECK(signature.len + 300 < sizeof bytes);
  memset(bytes, 0, sizeof bytes);
  memcpy(bytes, signature.data, signature.len);
  for (len = 0; len < signature.len + 300; len++) {
    CHECK_STATUS(tckms_verify(client, key->key_id, key->algorithm, "m", 1, bytes, len),
                 len == signature.len ? TCKMS_OK : TCKMS_ERR_SIGNATURE_INVALID);
  }
  for (len = 0; len < sizeof bytes; len += 16) {
    memset(bytes, 0, sizeof bytes);
    CHECK_STATUS(tckms_verify(client, key->key_id, 0, "m", 1, bytes, len), TCKMS_ERR_SIGNATURE_INVALID);
    memset(bytes, 0xff, sizeof bytes);
    CHECK_STATUS(tckms_verify(client, key->key_id, 0, "m", 1, bytes, len), TCKMS_ERR_SIGNATURE_INVALID);
  }
  CHECK_STATUS(tckms_verify(client, key->key_id, 0, "m", 1, NULL, 64), TCKMS_ERR_NULL_POINTER);
  tckms_buffer_free(&signature);
}

static void a_digest_has_the_length_that_the_algorithm_signs(const tckms_client *client,
                                                             const struct signing_key *key) {
  uint8_t digest[64];
  tckms_buffer signature;
  size_t len;
  memset(digest, 0x5a, sizeof digest);
  for (len = 0; len <= sizeof digest; len++) {
    if (len == key->digest_len) {
      CHECK_OK(tckms_sign_digest(client, key->key_id, 0, digest, len, &signature));
      CHECK_OK(tckms_verify_digest(client, key->key_id, 0, digest, len, signature.data, signature.len));
      tckms_buffer_free(&signature);
    } else {
      CHECK_STATUS(tckms_sign_digest(client, key->key_id, 0, digest, len, &signature), TCKMS_ERR_INVALID_LENGTH);
      CHECK_EMPTY(signature);
    }
  }
}

static void both_encodings_of_a_signature_verify(const tckms_client *client, const struct signing_key *key) {
  tckms_buffer der;
  tckms_buffer raw;
  tckms_buffer again;
  CHECK_OK(tckms_sign(client, key->key_id, 0, "m", 1, &der));
  CHECK_OK(tckms_signature_to_raw(der.data, der.len, key->raw_len, &raw));
  CHECK_INT((intmax_t)raw.len, (intmax_t)key->raw_len);
  CHECK_OK(tckms_verify(client, key->key_id, 0, "m", 1, raw.data, raw.len));
  CHECK_OK(tckms_signature_from_raw(raw.data, raw.len, &again));
  CHECK_BYTES(again, der.data, der.len);
  tckms_buffer_free(&raw);
  CHECK_STATUS(tckms_signature_to_raw(der.data, der.len - 1, key->raw_len, &raw), TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_EMPTY(raw);
  CHECK_STATUS(tckms_signature_to_raw(der.data, der.len, 63, &raw), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_signature_from_raw(der.data, 3, &raw), TCKMS_ERR_INVALID_LENGTH);
  tckms_buffer_free(&der);
  tckms_buffer_free(&again);
}

static void a_key_signs_with_its_own_algorithms_only(const tckms_client *client, const struct signing_key *key) {
  static const int unknown[] = {6, 7, 255, 256, 65537, -1, -2147483647 - 1, 2147483647};
  tckms_buffer signature;
  size_t i;
  int algorithm;
  for (algorithm = 1; algorithm <= TCKMS_SIGN_SM2_SM3; algorithm++) {
    int allowed = algorithm == key->algorithm ||
                  (key->raw_len == 0 && algorithm == TCKMS_SIGN_RSA_PKCS1_SHA256);
    CHECK_STATUS(tckms_sign(client, key->key_id, algorithm, "m", 1, &signature),
                 allowed ? TCKMS_OK : TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
    tckms_buffer_free(&signature);
  }
  for (i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    tckms_signer *signer = NULL;
    CHECK_STATUS(tckms_sign(client, key->key_id, unknown[i], "m", 1, &signature), TCKMS_ERR_UNKNOWN_ALGORITHM);
    CHECK_STATUS(tckms_verify(client, key->key_id, unknown[i], "m", 1, "s", 1), TCKMS_ERR_UNKNOWN_ALGORITHM);
    CHECK_STATUS(tckms_signer_new(client, key->key_id, unknown[i], NULL, 0, &signer), TCKMS_ERR_UNKNOWN_ALGORITHM);
    CHECK(signer == NULL);
  }
  CHECK_EMPTY(signature);
}

static void a_public_key_is_der_and_pem(const tckms_client *client, const struct signing_key *key) {
  tckms_buffer der;
  tckms_buffer pem;
  CHECK_OK(tckms_public_key(client, key->key_id, &der));
  CHECK_INT(der.data[0], 0x30);
  CHECK_OK(tckms_public_key_pem(client, key->key_id, &pem));
  CHECK_HAS((const char *)pem.data, "-----BEGIN PUBLIC KEY-----\n");
  CHECK_HAS((const char *)pem.data, "\n-----END PUBLIC KEY-----\n");
  tckms_buffer_free(&der);
  tckms_buffer_free(&pem);
}

static void sm2_signs_for_a_user_id(const tckms_client *client, const char *key_id) {
  tckms_signer *signer;
  tckms_buffer signature;
  tckms_buffer digest;
  CHECK_OK(tckms_signer_new(client, key_id, TCKMS_SIGN_SM2_SM3, "alice", 5, &signer));
  CHECK_OK(tckms_signer_update(signer, "m", 1));
  CHECK_OK(tckms_signer_finish(signer, &signature));
  tckms_signer_free(signer);
  CHECK_STATUS(tckms_verify(client, key_id, 0, "m", 1, signature.data, signature.len), TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_OK(tckms_sm2_digest(client, key_id, "alice", 5, "m", 1, &digest));
  CHECK_INT((intmax_t)digest.len, 32);
  CHECK_OK(tckms_verify_digest(client, key_id, 0, digest.data, digest.len, signature.data, signature.len));
  tckms_buffer_free(&digest);
  CHECK_STATUS(tckms_sm2_digest(client, key_id, NULL, 5, "m", 1, &digest), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_sm2_digest(client, SIGNING_KEYS[0].key_id, NULL, 0, "m", 1, &digest),
               TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
  tckms_buffer_free(&signature);
}

static void rsa_encrypts_locally_and_decrypts_in_the_service(const tckms_client *client) {
  static const int paddings[] = {TCKMS_RSA_OAEP_SHA256, TCKMS_RSA_OAEP_SHA1, TCKMS_RSA_PKCS1_V1_5};
  static const size_t longest[] = {190, 214, 245};
  char key_id[64];
  char limit[32];
  uint8_t plaintext[246];
  tckms_buffer ciphertext;
  tckms_buffer out;
  size_t i;
  memset(plaintext, 'x', sizeof plaintext);
  make_key(client, "rsa-decrypt", TCKMS_KEY_USAGE_DECRYPT_RSA_2048, key_id);
  for (i = 0; i < 3; i++) {
    size_t lens[3];
    size_t j;
    lens[0] = 0;
    lens[1] = 1;
    lens[2] = longest[i];
    for (j = 0; j < 3; j++) {
      CHECK_OK(tckms_rsa_encrypt(client, key_id, paddings[i], plaintext, lens[j], &ciphertext));
      CHECK_INT((intmax_t)ciphertext.len, 256);
      CHECK_OK(tckms_rsa_decrypt(client, key_id, paddings[i], ciphertext.data, ciphertext.len, &out));
      CHECK_BYTES(out, plaintext, lens[j]);
      tckms_buffer_free(&out);
      ciphertext.data[7] ^= 1;
      if (paddings[i] != TCKMS_RSA_PKCS1_V1_5) {
        CHECK_STATUS(tckms_rsa_decrypt(client, key_id, paddings[i], ciphertext.data, ciphertext.len, &out),
                     TCKMS_ERR_DECRYPTION_FAILED);
        CHECK_EMPTY(out);
      }
      CHECK_STATUS(tckms_rsa_decrypt(client, key_id, paddings[i], ciphertext.data, 255, &out),
                   TCKMS_ERR_INVALID_LENGTH);
      tckms_buffer_free(&ciphertext);
    }
    CHECK_STATUS(tckms_rsa_encrypt(client, key_id, paddings[i], plaintext, longest[i] + 1, &ciphertext),
                 TCKMS_ERR_PLAINTEXT_TOO_LARGE);
    snprintf(limit, sizeof limit, "at most %lu fit", (unsigned long)longest[i]);
    CHECK_HAS(tckms_error_message(tckms_last_error()), limit);
    CHECK_TEXT(tckms_error_action(tckms_last_error()), "");
    CHECK_EMPTY(ciphertext);
  }
  CHECK_STATUS(tckms_rsa_encrypt(client, key_id, 0, plaintext, 1, &ciphertext), TCKMS_ERR_UNKNOWN_ALGORITHM);
  CHECK_STATUS(tckms_rsa_encrypt(client, SIGNING_KEYS[0].key_id, TCKMS_RSA_OAEP_SHA256, plaintext, 1, &ciphertext),
               TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
  CHECK_STATUS(tckms_sign(client, key_id, 0, "m", 1, &out), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_STATUS(tckms_sm2_decrypt(client, key_id, plaintext, 0, &out), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_public_key(client, MAIN_KEY, &out), TCKMS_ERR_INVALID_PARAMETER);
  /* The request for the public key failed. */
  CHECK_STATUS(tckms_verify(client, MAIN_KEY, 0, "m", 1, plaintext, 64), TCKMS_ERR_INVALID_PARAMETER);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "GetPublicKey");
}

static const tckms_client *shared_client;

static void *sign_often(void *key_id) {
  int i;
  for (i = 0; i < 4; i++) {
    tckms_buffer signature;
    CHECK_OK(tckms_sign(shared_client, key_id, 0, &i, sizeof i, &signature));
    CHECK_OK(tckms_verify(shared_client, key_id, 0, &i, sizeof i, signature.data, signature.len));
    tckms_buffer_free(&signature);
  }
  return NULL;
}

static void threads_fetch_a_public_key_once(const char *key_id) {
  tckms_client *client = emulator_client();
  pthread_t threads[64];
  size_t i;
  shared_client = client;
  forget_requests();
  for (i = 0; i < 64; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, sign_often, (void *)(uintptr_t)key_id), 0);
  }
  for (i = 0; i < 64; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK_INT(requests_seen("GetPublicKey"), 1);
  tckms_client_free(client);
}

int main(void) {
  tckms_client *client = emulator_client();
  size_t i;
  for (i = 0; i < SIGNERS; i++) {
    char alias[16];
    snprintf(alias, sizeof alias, "signer-%lu", (unsigned long)i);
    make_key(client, alias, SIGNING_KEYS[i].usage, SIGNING_KEYS[i].key_id);
    a_signature_verifies_and_no_other_message_has_it(client, &SIGNING_KEYS[i]);
    an_empty_message_and_a_large_one_are_signed(client, &SIGNING_KEYS[i]);
    chunks_are_signed_like_the_complete_message(client, &SIGNING_KEYS[i]);
    ids_are_those_of_the_last_request(client, &SIGNING_KEYS[i]);
    a_digest_has_the_length_that_the_algorithm_signs(client, &SIGNING_KEYS[i]);
    a_key_signs_with_its_own_algorithms_only(client, &SIGNING_KEYS[i]);
    another_signature_is_invalid(client, &SIGNING_KEYS[i]);
    a_public_key_is_der_and_pem(client, &SIGNING_KEYS[i]);
    if (SIGNING_KEYS[i].raw_len != 0) {
      both_encodings_of_a_signature_verify(client, &SIGNING_KEYS[i]);
    }
  }
  sm2_signs_for_a_user_id(client, SIGNING_KEYS[3].key_id);
  rsa_encrypts_locally_and_decrypts_in_the_service(client);
  threads_fetch_a_public_key_once(SIGNING_KEYS[0].key_id);
  tckms_client_free(client);
  return checks_passed();
}
