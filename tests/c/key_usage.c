/* The usage of a key is enforced, also for operations that run locally. */
#include "check.h"

#include <pthread.h>

#include "admin.h"
#include "fixture.h"

enum { USAGES = 6, THREADS = 64 };

static struct made_key {
  const char *usage;
  /* 0 for one that decrypts. */
  int algorithm;
  char key_id[64];
} made[USAGES] = {
  {TCKMS_KEY_USAGE_SIGN_ECC, TCKMS_SIGN_ECDSA_P256_SHA256, ""},
  {TCKMS_KEY_USAGE_SIGN_ECDSA384, TCKMS_SIGN_ECDSA_P384_SHA384, ""},
  {TCKMS_KEY_USAGE_SIGN_RSA_2048, TCKMS_SIGN_RSA_PSS_SHA256, ""},
  {TCKMS_KEY_USAGE_SIGN_SM2, TCKMS_SIGN_SM2_SM3, ""},
  {TCKMS_KEY_USAGE_DECRYPT_RSA_2048, 0, ""},
  {TCKMS_KEY_USAGE_DECRYPT_SM2, 0, ""},
};

static const char *const sign_ecc = made[0].key_id, *const sign_rsa = made[2].key_id, *const sign_sm2 = made[3].key_id,
                  *const decrypt_rsa = made[4].key_id, *const decrypt_sm2 = made[5].key_id;

static void make_keys(void) {
  tckms_client *client = emulator_client();
  size_t i;
  for (i = 0; i < USAGES; i++) {
    tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
    tckms_buffer id;
    char alias[16];
    snprintf(alias, sizeof alias, "usage-%lu", (unsigned long)i);
    options.alias = alias;
    options.usage = made[i].usage;
    CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
    memcpy(made[i].key_id, id.data, id.len + 1);
    tckms_buffer_free(&id);
  }
  tckms_client_free(client);
}

static tckms_status encrypt(const tckms_client *client, const char *key_id) {
  tckms_buffer out = garbage();
  tckms_status status = tckms_rsa_encrypt(client, key_id, TCKMS_RSA_OAEP_SHA256, "x", 1, &out);
  if (status != TCKMS_OK) {
    CHECK_EMPTY(out);
  }
  tckms_buffer_free(&out);
  return status;
}

static tckms_status verify(const tckms_client *client, const char *key_id) {
  static const char signature[64];
  return tckms_verify(client, key_id, 0, "m", 1, signature, sizeof signature);
}

static tckms_status new_signer(const tckms_client *client, const char *key_id) {
  tckms_signer *signer = NULL;
  tckms_status status = tckms_signer_new(client, key_id, 0, NULL, 0, &signer);
  CHECK((signer != NULL) == (status == TCKMS_OK));
  tckms_signer_free(signer);
  return status;
}

static tckms_status sm2_digest(const tckms_client *client, const char *key_id) {
  tckms_buffer out = garbage();
  tckms_status status = tckms_sm2_digest(client, key_id, NULL, 0, "m", 1, &out);
  if (status != TCKMS_OK) {
    CHECK_EMPTY(out);
  }
  tckms_buffer_free(&out);
  return status;
}

static tckms_status verify_digest(const tckms_client *client, const char *key_id) {
  static const char digest[32], signature[64];
  return tckms_verify_digest(client, key_id, 0, digest, sizeof digest, signature, sizeof signature);
}

static void a_key_that_decrypts_neither_signs_nor_verifies(const tckms_client *client, const struct made_key *key) {
  static const char digest[32];
  tckms_buffer out = garbage();
  CHECK_STATUS(tckms_sign(client, key->key_id, 0, "m", 1, &out), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_EMPTY(out);
  CHECK_STATUS(tckms_sign_digest(client, key->key_id, 0, digest, 32, &out), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_STATUS(verify(client, key->key_id), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "can only decrypt");
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), key->key_id);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  CHECK_STATUS(verify_digest(client, key->key_id), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_STATUS(new_signer(client, key->key_id), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_OK(tckms_public_key(client, key->key_id, &out));
  tckms_buffer_free(&out);
}

static void a_key_that_signs_neither_encrypts_nor_decrypts(const tckms_client *client, const struct made_key *key) {
  static const char ciphertext[256];
  tckms_buffer out = garbage();
  int is_rsa = key->algorithm == TCKMS_SIGN_RSA_PSS_SHA256;
  CHECK_STATUS(encrypt(client, key->key_id), is_rsa ? TCKMS_ERR_INVALID_KEY_USAGE : TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
  CHECK_STATUS(tckms_rsa_decrypt(client, key->key_id, TCKMS_RSA_OAEP_SHA256, ciphertext, 256, &out),
               TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_EMPTY(out);
  CHECK_STATUS(tckms_sm2_decrypt(client, key->key_id, ciphertext, 100, &out), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_STATUS(verify(client, key->key_id), TCKMS_ERR_SIGNATURE_INVALID);
}

static void every_operation_checks_the_usage(void) {
  tckms_client *client = emulator_client();
  size_t i;
  for (i = 0; i < USAGES; i++) {
    (made[i].algorithm == 0 ? a_key_that_decrypts_neither_signs_nor_verifies
                            : a_key_that_signs_neither_encrypts_nor_decrypts)(client, &made[i]);
  }
  CHECK_STATUS(sm2_digest(client, decrypt_sm2), TCKMS_ERR_INVALID_KEY_USAGE);
  CHECK_OK(sm2_digest(client, sign_sm2));
  CHECK_OK(encrypt(client, decrypt_rsa));
  CHECK_STATUS(encrypt(client, decrypt_sm2), TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
  tckms_client_free(client);
}

/* The usage is requested once, and never for operations for which the service checks it. */
static void the_usage_is_requested_once(void) {
  tckms_client *client = emulator_client();
  tckms_client *sibling;
  tckms_buffer signature;
  int i;
  forget_requests();
  CHECK_OK(tckms_public_key(client, sign_ecc, &signature));
  tckms_buffer_free(&signature);
  CHECK_OK(tckms_sign(client, sign_ecc, 0, "m", 1, &signature));
  tckms_buffer_free(&signature);
  CHECK_STATUS(tckms_rsa_decrypt(client, sign_ecc, 1, "x", 1, &signature), TCKMS_ERR_INVALID_LENGTH);
  CHECK_INT(requests_seen("DescribeKey"), 0);
  CHECK_OK(tckms_client_derive_timeout_ms(client, 20000, &sibling));
  for (i = 0; i < 3; i++) {
    CHECK_STATUS(verify(client, sign_ecc), TCKMS_ERR_SIGNATURE_INVALID);
    CHECK_STATUS(verify(sibling, sign_ecc), TCKMS_ERR_SIGNATURE_INVALID);
    CHECK_OK(new_signer(sibling, sign_ecc));
    CHECK_STATUS(verify(client, decrypt_rsa), TCKMS_ERR_INVALID_KEY_USAGE);
    CHECK_OK(encrypt(client, decrypt_rsa));
  }
  CHECK_INT(requests_seen("DescribeKey"), 2);
  CHECK_INT(requests_seen("GetPublicKey"), 2);
  tckms_client_free(sibling);
  tckms_client_free(client);
}

static const tckms_client *shared_client;

static void *verify_often(void *unused) {
  int i;
  for (i = 0; i < 4; i++) {
    CHECK_STATUS(verify(shared_client, sign_ecc), TCKMS_ERR_SIGNATURE_INVALID);
    CHECK_STATUS(encrypt(shared_client, sign_rsa), TCKMS_ERR_INVALID_KEY_USAGE);
  }
  return unused;
}

static void threads_request_it_once(void) {
  tckms_client *client = emulator_client();
  pthread_t threads[THREADS];
  size_t i;
  shared_client = client;
  forget_requests();
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, verify_often, NULL), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK_INT(requests_seen("DescribeKey"), 2);
  CHECK_INT(requests_seen("GetPublicKey"), 2);
  tckms_client_free(client);
}

/* An identity may have permission to use a key but not to describe it. The type of the public key then decides. */
static void without_permission_the_type_of_the_key_decides(void) {
  static const char *const denials[] = {
    "{\"kind\":\"error\",\"code\":\"UnauthorizedOperation\"}",
    "{\"kind\":\"error\",\"code\":\"UnauthorizedOperation.CamNoAuth\"}",
    "{\"kind\":\"error\",\"code\":\"AuthFailure.UnauthorizedOperation\"}",
    "{\"kind\":\"error\",\"code\":\"UnsupportedOperation.NotRoleOperation\"}",
    "{\"kind\":\"status\",\"status\":403,\"body\":\"no\"}",
  };
  size_t i;
  for (i = 0; i < sizeof denials / sizeof denials[0]; i++) {
    tckms_client *client = emulator_client();
    tckms_buffer signature;
    set_fault("DescribeKey", denials[i], 4);
    forget_requests();
    CHECK_OK(tckms_sign(client, sign_ecc, 0, "m", 1, &signature));
    CHECK_OK(tckms_verify(client, sign_ecc, 0, "m", 1, signature.data, signature.len));
    tckms_buffer_free(&signature);
    CHECK_STATUS(verify(client, sign_ecc), TCKMS_ERR_SIGNATURE_INVALID);
    CHECK_STATUS(encrypt(client, sign_ecc), TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
    CHECK_OK(encrypt(client, decrypt_rsa));
    CHECK_OK(encrypt(client, sign_rsa));
    CHECK_OK(new_signer(client, decrypt_sm2));
    CHECK_OK(sm2_digest(client, decrypt_sm2));
    /* The refusal is remembered. */
    CHECK_INT(requests_seen("DescribeKey"), 4);
    tckms_client_free(client);
  }
  clear_faults();
}

/* An outage is reported, and not remembered. */
static void an_outage_is_reported(void) {
  static const struct {
    const char *fault;
    tckms_status status;
  } outages[] = {
    {"{\"kind\":\"error\",\"code\":\"InternalError\"}", TCKMS_ERR_SERVICE_INTERNAL_ERROR},
    {"{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"}", TCKMS_ERR_REQUEST_LIMIT_EXCEEDED},
    {"{\"kind\":\"error\",\"code\":\"AuthFailure.SignatureFailure\"}", TCKMS_ERR_AUTH_SIGNATURE_FAILURE},
    {"{\"kind\":\"status\",\"status\":500,\"body\":\"no\"}", TCKMS_ERR_HTTP_STATUS},
    {"{\"kind\":\"status\",\"status\":401,\"body\":\"no\"}", TCKMS_ERR_HTTP_STATUS},
  };
  size_t i;
  for (i = 0; i < sizeof outages / sizeof outages[0]; i++) {
    tckms_client *client = emulator_client();
    set_fault("DescribeKey", outages[i].fault, 1000);
    CHECK_STATUS(verify(client, sign_ecc), outages[i].status);
    CHECK_TEXT(tckms_error_action(tckms_last_error()), "DescribeKey");
    CHECK_TEXT(tckms_error_key_id(tckms_last_error()), sign_ecc);
    CHECK_STATUS(encrypt(client, decrypt_rsa), outages[i].status);
    clear_faults();
    CHECK_STATUS(verify(client, sign_ecc), TCKMS_ERR_SIGNATURE_INVALID);
    CHECK_OK(encrypt(client, decrypt_rsa));
    tckms_client_free(client);
  }
}

/* The next reply for `key_id` has the public key of `other`. It is not cached. */
static void the_public_key_of_another_type_is_refused(const char *key_id, const char *other) {
  tckms_client *client = emulator_client();
  char json[128], public_key[1024], fault[1200];
  tckms_buffer reply = garbage(), der;
  snprintf(json, sizeof json, "{\"KeyId\":\"%s\"}", other);
  CHECK_OK(tckms_call(client, "GetPublicKey", json, &reply));
  last_string((const char *)reply.data, "PublicKey", public_key, sizeof public_key);
  snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":{\"PublicKey\":\"%s\"}}", public_key);
  set_fault("GetPublicKey", fault, 1);
  CHECK_STATUS(verify(client, key_id), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "does not fit the key's usage");
  CHECK(!faults_are_left());
  CHECK_STATUS(verify(client, key_id), TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_OK(tckms_public_key(client, key_id, &der));
  tckms_buffer_free(&der);
  tckms_buffer_free(&reply);
  tckms_client_free(client);
}

/* A usage that this version does not know allows what the type of the key allows; one of symmetric keys allows nothing. */
static void unknown_usages_are_taken_as_they_come(void) {
  static const struct {
    const char *usage;
    tckms_status verifies;
    tckms_status encrypts;
  } usages[] = {
    {"\"\"", TCKMS_ERR_SIGNATURE_INVALID, TCKMS_OK},
    {"null", TCKMS_ERR_SIGNATURE_INVALID, TCKMS_OK},
    {"\"NEW\"", TCKMS_ERR_SIGNATURE_INVALID, TCKMS_OK},
    {"\"ASYMMETRIC_SIGN_VERIFY_RSA_NEW\"", TCKMS_ERR_SIGNATURE_INVALID, TCKMS_ERR_INVALID_KEY_USAGE},
    {"\"ASYMMETRIC_DECRYPT_RSA_NEW\"", TCKMS_ERR_INVALID_KEY_USAGE, TCKMS_OK},
    {"\"ENCRYPT_DECRYPT\"", TCKMS_ERR_RESPONSE_MALFORMED, TCKMS_ERR_RESPONSE_MALFORMED},
    {"\"ASYMMETRIC_SIGN_VERIFY_ECC\"", TCKMS_ERR_RESPONSE_MALFORMED, TCKMS_ERR_RESPONSE_MALFORMED},
    {"7", TCKMS_ERR_RESPONSE_MALFORMED, TCKMS_ERR_RESPONSE_MALFORMED},
  };
  size_t i;
  for (i = 0; i < sizeof usages / sizeof usages[0]; i++) {
    tckms_client *client = emulator_client();
    char fault[256];
    snprintf(fault, sizeof fault,
             "{\"kind\":\"replace_fields\",\"fields\":{\"KeyMetadata\":{\"KeyId\":\"%s\",\"KeyUsage\":%s}}}", sign_rsa,
             usages[i].usage);
    set_fault("DescribeKey", fault, 2);
    CHECK_STATUS(verify(client, sign_rsa), usages[i].verifies);
    CHECK_STATUS(encrypt(client, sign_rsa), usages[i].encrypts);
    tckms_client_free(client);
  }
  clear_faults();
}

/* GetPublicKey needs an enabled key, so only a client that has the public key still shows it. */
static void a_disabled_key_shows_its_public_key_to_those_who_have_it(void) {
  tckms_client *client = emulator_client();
  tckms_client *fresh = emulator_client();
  tckms_buffer der, signature;
  CHECK_OK(tckms_sign(client, sign_ecc, 0, "m", 1, &signature));
  CHECK_OK(tckms_disable_key(client, sign_ecc));
  CHECK_OK(tckms_public_key(client, sign_ecc, &der));
  tckms_buffer_free(&der);
  CHECK_OK(tckms_verify(client, sign_ecc, 0, "m", 1, signature.data, signature.len));
  CHECK_STATUS(tckms_sign(client, sign_ecc, 0, "m", 1, &der), TCKMS_ERR_CMK_STATE_NOT_SUPPORTED);
  CHECK_STATUS(tckms_public_key(fresh, sign_ecc, &der), TCKMS_ERR_CMK_STATE_NOT_SUPPORTED);
  CHECK_EMPTY(der);
  CHECK_STATUS(tckms_verify(fresh, sign_ecc, 0, "m", 1, signature.data, signature.len),
               TCKMS_ERR_CMK_STATE_NOT_SUPPORTED);
  CHECK_OK(tckms_enable_key(client, sign_ecc));
  CHECK_OK(tckms_public_key(fresh, sign_ecc, &der));
  tckms_buffer_free(&der);
  tckms_buffer_free(&signature);
  tckms_client_free(fresh);
  tckms_client_free(client);
}

int main(void) {
  make_keys();
  every_operation_checks_the_usage();
  the_usage_is_requested_once();
  threads_request_it_once();
  without_permission_the_type_of_the_key_decides();
  an_outage_is_reported();
  the_public_key_of_another_type_is_refused(sign_ecc, sign_rsa);
  the_public_key_of_another_type_is_refused(sign_rsa, sign_ecc);
  the_public_key_of_another_type_is_refused(sign_sm2, sign_ecc);
  unknown_usages_are_taken_as_they_come();
  a_disabled_key_shows_its_public_key_to_those_who_have_it();
  return checks_passed();
}
