/* Wrong or unusual replies of the service to calls with asymmetric keys: each call ends with a status, or succeeds. */
#include "check.h"

#include "admin.h"
#include "fixture.h"

/* A SubjectPublicKeyInfo of P-256 whose point, (1, 1), is not on the curve. */
#define OFF_CURVE \
  "\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
  "AAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ==\""

/* One of P-256 and both encodings of a signature of "m" by it, r and s of which are so small that its DER has as many
   bytes as r and s concatenated. The key was computed from them. */
#define SHORT_SIGNER \
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfVKx71WNeao7hnrlrfPVEo7qp6V+66sa" \
  "8xSK7yH5spaq8CtvZ4+6OKgQY3H0GI2Bct068bv2M6pMJyr4CEcpuQ=="
#define SHORT_DER "MD4CHQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAh0gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACQ=="
#define SHORT_RAW "AAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACQ=="

static void make_key(const tckms_client *client, const char *alias, const char *usage, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

/* One signature while the emulator has this fault. */
static tckms_status sign_with_fault(const tckms_client *client, const char *key_id, int algorithm, const char *fault,
                                    tckms_buffer *signature) {
  tckms_status status;
  set_fault("SignByAsymmetricKey", fault, 1);
  status = tckms_sign(client, key_id, algorithm, "m", 1, signature);
  CHECK(!faults_are_left());
  return status;
}

static void concatenated_r_and_s_become_der(const tckms_client *client, const char *key_id) {
  tckms_buffer signature;
  CHECK_OK(sign_with_fault(client, key_id, 0, "{\"kind\":\"signature\",\"flaw\":\"raw\"}", &signature));
  CHECK_INT(signature.data[0], 0x30);
  CHECK_OK(tckms_verify(client, key_id, 0, "m", 1, signature.data, signature.len));
  tckms_buffer_free(&signature);
}

static void a_short_signature_is_valid_in_both_encodings(const char *key_id) {
  static const char *const replies[] = {SHORT_DER, SHORT_RAW};
  tckms_client *client = emulator_client();
  tckms_buffer der;
  tckms_buffer raw;
  size_t i;
  set_fault("GetPublicKey", "{\"kind\":\"replace_fields\",\"fields\":{\"PublicKey\":\"" SHORT_SIGNER "\"}}", 1);
  CHECK_OK(tckms_public_key(client, key_id, &der));
  tckms_buffer_free(&der);
  for (i = 0; i < 2; i++) {
    char fault[256];
    snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":{\"Signature\":\"%s\"}}", replies[i]);
    CHECK_OK(sign_with_fault(client, key_id, 0, fault, &der));
    CHECK_INT(der.len, 64);
    CHECK_OK(tckms_verify(client, key_id, 0, "m", 1, der.data, der.len));
    CHECK_OK(tckms_signature_to_raw(der.data, der.len, 64, &raw));
    CHECK_OK(tckms_verify(client, key_id, 0, "m", 1, raw.data, raw.len));
    tckms_buffer_free(&raw);
    der.data[der.len - 1] ^= 1;
    CHECK_STATUS(tckms_verify(client, key_id, 0, "m", 1, der.data, der.len), TCKMS_ERR_SIGNATURE_INVALID);
    tckms_buffer_free(&der);
  }
  tckms_client_free(client);
}

static void a_signature_of_another_key_is_not_returned(const tckms_client *client, const char *key_id) {
  tckms_buffer signature = garbage();
  CHECK_STATUS(sign_with_fault(client, key_id, 0, "{\"kind\":\"signature\",\"flaw\":\"other_key\"}", &signature),
               TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_EMPTY(signature);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "public key");
  CHECK(strlen(tckms_error_request_id(tckms_last_error())) > 0);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
}

static void a_reply_without_the_field_is_an_error(const tckms_client *client, const char *key_id) {
  static const struct {
    const char *fields;
    tckms_status status;
  } replies[] = {
    {"{\"Signature\":\"\"}", TCKMS_ERR_SIGNATURE_INVALID},
    {"{\"Signature\":\"AAAA\"}", TCKMS_ERR_SIGNATURE_INVALID},
    {"{\"Signature\":\"not base64!\"}", TCKMS_ERR_RESPONSE_MALFORMED},
    {"{\"Signature\":null}", TCKMS_ERR_RESPONSE_MALFORMED},
    {"{\"Signature\":7}", TCKMS_ERR_RESPONSE_MALFORMED},
  };
  size_t i;
  for (i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    char fault[256];
    tckms_buffer signature = garbage();
    snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":%s}", replies[i].fields);
    CHECK_STATUS(sign_with_fault(client, key_id, 0, fault, &signature), replies[i].status);
    CHECK_EMPTY(signature);
  }
}

static void a_signature_with_another_salt_length_is_not_returned(const tckms_client *client, const char *key_id) {
  tckms_buffer signature;
  CHECK_STATUS(sign_with_fault(client, key_id, TCKMS_SIGN_RSA_PSS_SHA256,
                               "{\"kind\":\"signature\",\"flaw\":\"pss_no_salt\"}", &signature),
               TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_STATUS(sign_with_fault(client, key_id, TCKMS_SIGN_RSA_PSS_SHA256,
                               "{\"kind\":\"signature\",\"flaw\":\"pss_longest_salt\"}", &signature),
               TCKMS_ERR_SIGNATURE_INVALID);
  CHECK_EMPTY(signature);
}

static void the_services_pem_is_ignored(const char *key_id) {
  static const char *const flaws[] = {"double_base64", "escaped_line_ends"};
  size_t i;
  for (i = 0; i < 2; i++) {
    char fault[128];
    tckms_client *client = emulator_client();
    tckms_buffer pem;
    snprintf(fault, sizeof fault, "{\"kind\":\"public_key_pem\",\"flaw\":\"%s\"}", flaws[i]);
    set_fault("GetPublicKey", fault, 1);
    CHECK_OK(tckms_public_key_pem(client, key_id, &pem));
    CHECK(strncmp((const char *)pem.data, "-----BEGIN PUBLIC KEY-----\nM", 28) == 0);
    tckms_buffer_free(&pem);
    tckms_client_free(client);
  }
}

/* A public key that cannot be one is refused, and fetched again by the next call. */
static void a_bad_public_key_is_not_kept(const char *key_id) {
  static const char *const keys[] = {"\"\"", "\"AAAA\"", "\"not base64!\"", "null",
                                     OFF_CURVE};
  tckms_client *client = emulator_client();
  tckms_buffer der;
  size_t i;
  for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    char fault[512];
    snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":{\"PublicKey\":%s}}", keys[i]);
    set_fault("GetPublicKey", fault, 1);
    CHECK_STATUS(tckms_public_key(client, key_id, &der), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_EMPTY(der);
  }
  CHECK_OK(tckms_public_key(client, key_id, &der));
  tckms_buffer_free(&der);
  tckms_client_free(client);
}

static tckms_status sign_in_pieces(const tckms_client *client, const char *key_id, const uint8_t *message, size_t len,
                                   tckms_buffer *signature) {
  tckms_signer *signer = NULL;
  tckms_status status;
  CHECK_OK(tckms_signer_new(client, key_id, 0, NULL, 0, &signer));
  CHECK_OK(tckms_signer_update(signer, message, len / 3));
  CHECK_OK(tckms_signer_update(signer, message + len / 3, len - len / 3));
  status = tckms_signer_finish(signer, signature);
  tckms_signer_free(signer);
  return status;
}

static void refused_with_advice(tckms_status status, const tckms_buffer *signature) {
  CHECK_STATUS(status, TCKMS_ERR_INVALID_PARAMETER);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "messages of up to 4096 bytes");
  CHECK_EMPTY(*signature);
}

/* The documentation allows digests of 32 bytes only, also for P-384. */
static void p384_signs_where_only_32_bytes_are_a_digest(const tckms_client *client, const char *key_id) {
  static uint8_t message[4097];
  uint8_t digest[48];
  tckms_buffer signature;
  int i;
  free(admin("PUT", "behaviour", "{\"strict_digests\":true}"));
  for (i = 0; i < 2; i++) {
    forget_requests();
    CHECK_OK(tckms_sign(client, key_id, 0, "message", 7, &signature));
    CHECK_OK(tckms_verify(client, key_id, 0, "message", 7, signature.data, signature.len));
    tckms_buffer_free(&signature);
    /* The refusal is remembered. */
    CHECK_INT(requests_seen("SignByAsymmetricKey"), i == 0 ? 2 : 1);
  }
  memset(message, 'm', sizeof message);
  CHECK_OK(sign_in_pieces(client, key_id, message, 4096, &signature));
  CHECK_OK(tckms_verify(client, key_id, 0, message, 4096, signature.data, signature.len));
  tckms_buffer_free(&signature);
  CHECK_OK(sign_in_pieces(client, key_id, message, 0, &signature));
  CHECK_OK(tckms_verify(client, key_id, 0, NULL, 0, signature.data, signature.len));
  tckms_buffer_free(&signature);
  refused_with_advice(sign_in_pieces(client, key_id, message, 4097, &signature), &signature);
  refused_with_advice(tckms_sign(client, key_id, 0, message, 4097, &signature), &signature);
  memset(digest, 1, sizeof digest);
  refused_with_advice(tckms_sign_digest(client, key_id, 0, digest, sizeof digest, &signature), &signature);
  /* A digest of 32 bytes that was padded with leading zeros is the same number. */
  memset(digest, 0, 16);
  CHECK_OK(tckms_sign_digest(client, key_id, 0, digest, sizeof digest, &signature));
  CHECK_OK(tckms_verify_digest(client, key_id, 0, digest, sizeof digest, signature.data, signature.len));
  tckms_buffer_free(&signature);
  free(admin("PUT", "behaviour", "{}"));
  memset(digest, 1, sizeof digest);
  CHECK_OK(tckms_sign_digest(client, key_id, 0, digest, sizeof digest, &signature));
  tckms_buffer_free(&signature);
}

/* An unknown algorithm is not a refusal of the digest, and is not remembered as one. */
static void another_refusal_is_not_taken_for_one_of_the_digest(const char *key_id) {
  tckms_client *client = emulator_client();
  tckms_buffer signature;
  set_fault("SignByAsymmetricKey", "{\"kind\":\"error\",\"code\":\"InvalidParameter\"}", 2);
  CHECK_STATUS(tckms_sign(client, key_id, 0, "m", 1, &signature), TCKMS_ERR_INVALID_PARAMETER);
  CHECK(!faults_are_left());
  forget_requests();
  CHECK_OK(tckms_sign(client, key_id, 0, "m", 1, &signature));
  CHECK_INT(requests_seen("SignByAsymmetricKey"), 1);
  tckms_buffer_free(&signature);
  tckms_client_free(client);
}

int main(void) {
  tckms_client *client = emulator_client();
  char ecc[64];
  char p384[64];
  char rsa[64];
  char sm2[64];
  make_key(client, "ecc", TCKMS_KEY_USAGE_SIGN_ECC, ecc);
  make_key(client, "p384", TCKMS_KEY_USAGE_SIGN_ECDSA384, p384);
  make_key(client, "rsa", TCKMS_KEY_USAGE_SIGN_RSA_2048, rsa);
  make_key(client, "sm2", TCKMS_KEY_USAGE_SIGN_SM2, sm2);
  concatenated_r_and_s_become_der(client, ecc);
  concatenated_r_and_s_become_der(client, p384);
  concatenated_r_and_s_become_der(client, sm2);
  a_short_signature_is_valid_in_both_encodings(ecc);
  a_signature_of_another_key_is_not_returned(client, ecc);
  a_signature_of_another_key_is_not_returned(client, p384);
  a_signature_of_another_key_is_not_returned(client, rsa);
  a_signature_of_another_key_is_not_returned(client, sm2);
  a_reply_without_the_field_is_an_error(client, ecc);
  a_reply_without_the_field_is_an_error(client, rsa);
  a_signature_with_another_salt_length_is_not_returned(client, rsa);
  the_services_pem_is_ignored(ecc);
  a_bad_public_key_is_not_kept(ecc);
  another_refusal_is_not_taken_for_one_of_the_digest(p384);
  p384_signs_where_only_32_bytes_are_a_digest(client, p384);
  tckms_client_free(client);
  return checks_passed();
}
