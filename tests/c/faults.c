/*
 * Every fault combined with every core call and every call with asymmetric keys: the call ends in time, reports what happened, leaves its
 * outputs empty and repeats no secret, and the next call works.
 *
 *     faults GROUP [ACTION]
 */
#include "check.h"

#include "admin.h"
#include "clock.h"
#include "service_codes.h"

#define PLAINTEXT "correct horse battery staple"
#define PLAINTEXT_BASE64 "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ"
#define CONTEXT "{\"purpose\":\"faults\"}"

enum { ATTEMPTS = 2, FIRST_WAIT_MAX_MS = 100, SHORT_TRY_MS = 800 };

/* The current fault and action, for the message of a check that fails. */
static const char *fault_now = "";
static const char *action_now = "";

#define EXPECT(condition) expect_at((condition) ? 1 : 0, #condition, __LINE__)
#define EXPECT_INT(got, expected) expect_int_at((got), (expected), #got, __LINE__)

static void expect_at(int holds, const char *text, int line) {
  if (!holds) {
    check_failed(__FILE__, line, "%s of %s: check failed: %s", fault_now, action_now, text);
  }
  check_done();
}

static void expect_int_at(long got, long expected, const char *text, int line) {
  if (got != expected) {
    check_failed(__FILE__, line, "%s of %s: %s is %ld, not %ld", fault_now, action_now, text, got, expected);
  }
  check_done();
}

/* ---- The library's log at the most verbose level, which must not contain a secret. ---- */

static struct {
  char text[1 << 20];
  size_t len;
  int attempts;
} logged;

static struct identity identity;

static void on_log_event(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  int written = snprintf(logged.text + logged.len, sizeof logged.text - logged.len, "%s\n", message);
  (void)userdata;
  EXPECT(level >= TCKMS_LOG_ERROR && level <= TCKMS_LOG_DEBUG);
  EXPECT(written > 0 && (size_t)written < sizeof logged.text - logged.len);
  logged.len += (size_t)written;
  logged.attempts += strncmp(message, "action=", 7) == 0 && strstr(message, " status=") != NULL;
}

static void clear_log(void) {
  memset(&logged, 0, sizeof logged);
}

static void base64(const uint8_t *bytes, size_t len, char *text) {
  static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t i;
  for (i = 0; i + 2 < len; i += 3) {
    unsigned long three = (unsigned long)bytes[i] << 16 | (unsigned long)bytes[i + 1] << 8 | bytes[i + 2];
    *text++ = LETTERS[three >> 18];
    *text++ = LETTERS[three >> 12 & 63];
    *text++ = LETTERS[three >> 6 & 63];
    *text++ = LETTERS[three & 63];
  }
  *text = '\0';
}

static void expect_no_secret_in(const char *text) {
  EXPECT(strstr(text, identity.secret_key) == NULL);
  EXPECT(strstr(text, identity.token) == NULL);
  EXPECT(strstr(text, PLAINTEXT) == NULL);
  EXPECT(strstr(text, PLAINTEXT_BASE64) == NULL);
  EXPECT(strstr(text, "TC3-HMAC-SHA256") == NULL && strstr(text, "Signature=") == NULL);
}

/* Bytes from the service that must stay secret. */
static void expect_not_logged(const uint8_t *bytes, size_t len) {
  char text[128];
  base64(bytes, len, text);
  EXPECT(strstr(logged.text, text) == NULL);
}

/* ---- The core calls. Each checks its outputs: correct if it succeeds, empty if it fails. ---- */

/* A client that is not affected by faults. */
static tckms_client *bystander;
static tckms_buffer known_blob;

static void expect_decrypts_to_plaintext(const tckms_buffer *blob) {
  tckms_buffer plaintext;
  CHECK_OK(tckms_decrypt(bystander, NULL, blob->data, blob->len, CONTEXT, &plaintext));
  CHECK_BYTES(plaintext, PLAINTEXT, strlen(PLAINTEXT));
  tckms_buffer_free(&plaintext);
}

static void expect_empty(const tckms_buffer *buffer) {
  EXPECT(buffer->data == NULL && buffer->len == 0);
}

static tckms_status encrypt(const tckms_client *client, int judge) {
  tckms_buffer blob = garbage();
  tckms_status status = tckms_encrypt(client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), CONTEXT, &blob);
  if (status != TCKMS_OK) {
    expect_empty(&blob);
  } else if (judge) {
    expect_decrypts_to_plaintext(&blob);
  }
  tckms_buffer_free(&blob);
  return status;
}

static tckms_status decrypt(const tckms_client *client, int judge) {
  tckms_buffer plaintext = garbage();
  tckms_status status =
      tckms_decrypt(client, MAIN_KEY, known_blob.data, known_blob.len, CONTEXT, &plaintext);
  if (status != TCKMS_OK) {
    expect_empty(&plaintext);
  } else if (judge) {
    CHECK_BYTES(plaintext, PLAINTEXT, strlen(PLAINTEXT));
  }
  tckms_buffer_free(&plaintext);
  return status;
}

static tckms_status reencrypt(const tckms_client *client, int judge) {
  tckms_buffer blob = garbage();
  tckms_status status =
      tckms_reencrypt(client, OTHER_KEY, known_blob.data, known_blob.len, CONTEXT, CONTEXT, &blob);
  if (status != TCKMS_OK) {
    expect_empty(&blob);
  } else if (judge) {
    expect_decrypts_to_plaintext(&blob);
  }
  tckms_buffer_free(&blob);
  return status;
}

static tckms_status generate_data_key(const tckms_client *client, int judge) {
  tckms_buffer plaintext = garbage();
  tckms_buffer blob = garbage();
  tckms_status status = tckms_generate_data_key(client, MAIN_KEY, 33, CONTEXT, &plaintext, &blob);
  if (status != TCKMS_OK) {
    expect_empty(&plaintext);
    expect_empty(&blob);
  } else if (judge) {
    tckms_buffer again;
    CHECK_OK(tckms_decrypt(bystander, MAIN_KEY, blob.data, blob.len, CONTEXT, &again));
    CHECK_BYTES(again, plaintext.data, 33);
    expect_not_logged(plaintext.data, plaintext.len);
    tckms_buffer_free(&again);
  }
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  return status;
}

static tckms_status generate_random(const tckms_client *client, int judge) {
  uint8_t bytes[33];
  uint8_t untouched[33];
  tckms_status status;
  memset(bytes, 0x5a, sizeof bytes);
  memset(untouched, 0x5a, sizeof untouched);
  status = tckms_generate_random(client, bytes, sizeof bytes);
  EXPECT((status != TCKMS_OK) == (memcmp(bytes, untouched, sizeof bytes) == 0));
  if (status == TCKMS_OK && judge) {
    expect_not_logged(bytes, sizeof bytes);
  }
  return status;
}

static tckms_status describe_key(const tckms_client *client, int judge) {
  tckms_buffer response = garbage();
  char request[256];
  tckms_status status;
  snprintf(request, sizeof request, "{\"KeyId\":\"%s\"}", MAIN_KEY);
  status = tckms_call(client, "DescribeKey", request, &response);
  if (status != TCKMS_OK) {
    expect_empty(&response);
  } else if (judge) {
    CHECK_HAS((const char *)response.data, "\"KeyState\":\"Enabled\"");
  }
  tckms_buffer_free(&response);
  return status;
}

/* CMKs that this program creates. */
static char signing_key[64];
static char decrypting_key[64];
static tckms_buffer known_rsa_ciphertext;

static tckms_status get_public_key(const tckms_client *client, int judge) {
  tckms_buffer key = garbage();
  tckms_status status = tckms_public_key(client, signing_key, &key);
  if (status != TCKMS_OK) {
    expect_empty(&key);
  } else if (judge) {
    tckms_buffer again;
    CHECK_OK(tckms_public_key(bystander, signing_key, &again));
    CHECK_BYTES(key, again.data, again.len);
    tckms_buffer_free(&again);
  }
  tckms_buffer_free(&key);
  return status;
}

static tckms_status sign(const tckms_client *client, int judge) {
  tckms_buffer signature = garbage();
  tckms_status status =
      tckms_sign(client, signing_key, TCKMS_SIGN_DEFAULT, PLAINTEXT, strlen(PLAINTEXT), &signature);
  if (status != TCKMS_OK) {
    expect_empty(&signature);
  } else if (judge) {
    CHECK_OK(tckms_verify(bystander, signing_key, TCKMS_SIGN_DEFAULT, PLAINTEXT, strlen(PLAINTEXT), signature.data,
                          signature.len));
  }
  tckms_buffer_free(&signature);
  return status;
}

static tckms_status rsa_decrypt(const tckms_client *client, int judge) {
  tckms_buffer plaintext = garbage();
  tckms_status status = tckms_rsa_decrypt(client, decrypting_key, TCKMS_RSA_OAEP_SHA256, known_rsa_ciphertext.data,
                                          known_rsa_ciphertext.len, &plaintext);
  if (status != TCKMS_OK) {
    expect_empty(&plaintext);
  } else if (judge) {
    CHECK_BYTES(plaintext, PLAINTEXT, strlen(PLAINTEXT));
  }
  tckms_buffer_free(&plaintext);
  return status;
}

static void make_key(const char *alias, const char *usage, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  CHECK_OK(tckms_create_key(bystander, &options, sizeof options, &id, NULL));
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static void make_asymmetric_keys(void) {
  make_key("signing", TCKMS_KEY_USAGE_SIGN_ECC, signing_key);
  /* The unaffected client verifies signatures. It fetches the key now, so that it does not take a pending fault. */
  CHECK_OK(get_public_key(bystander, 0));
  make_key("decrypting", TCKMS_KEY_USAGE_DECRYPT_RSA_2048, decrypting_key);
  CHECK_OK(tckms_rsa_encrypt(bystander, decrypting_key, TCKMS_RSA_OAEP_SHA256, PLAINTEXT, strlen(PLAINTEXT),
                             &known_rsa_ciphertext));
}

enum {
  ENCRYPT = 1,
  DECRYPT = 2,
  REENCRYPT = 4,
  DATA_KEY = 8,
  RANDOM = 16,
  CALL = 32,
  SIGN = 64,
  PUBLIC_KEY = 128,
  RSA_DECRYPT = 256,
  ALL = 511,
  WITH_BLOB = ENCRYPT | REENCRYPT | DATA_KEY,
  WITH_PLAINTEXT = DECRYPT | DATA_KEY | RANDOM | RSA_DECRYPT,
  /* These check which key the reply is about. */
  WITH_KEY_ID = DECRYPT | PUBLIC_KEY | RSA_DECRYPT
};

static const struct call {
  int bit;
  const char *action;
  tckms_status (*make)(const tckms_client *client, int judge);
  int names_a_key;
} CALLS[] = {
    {ENCRYPT, "Encrypt", encrypt, 1},           {DECRYPT, "Decrypt", decrypt, 0},
    {REENCRYPT, "ReEncrypt", reencrypt, 1},     {DATA_KEY, "GenerateDataKey", generate_data_key, 1},
    {RANDOM, "GenerateRandom", generate_random, 0}, {CALL, "DescribeKey", describe_key, 0},
    {SIGN, "SignByAsymmetricKey", sign, 1},     {PUBLIC_KEY, "GetPublicKey", get_public_key, 1},
    {RSA_DECRYPT, "AsymmetricRsaDecrypt", rsa_decrypt, 1},
};

/* ---- The faults, and the result of a call if every attempt has the fault. ---- */

enum {
  RETRIED = 1,
  /* The error has the request id of the service. */
  HAS_REQUEST_ID = 2,
  /* A fault of connections, so the emulator receives no request. */
  OF_CONNECTION = 4,
  /* Active until it is removed. */
  STANDING = 8,
  /* It makes the identity invalid. */
  FINAL = 16,
  /* One attempt lasts until its timeout. */
  UNTIL_TRY_TIMEOUT = 32,
  /* The call succeeds, and its result is not checked. */
  UNJUDGED = 64
};

struct fault {
  const char *json;
  int calls;
  tckms_status status;
  int traits;
  int http_status;
  /* The value of Retry-After; -1 for none. */
  long retry_after_ms;
};

/* Without TLS the connection is established before the server closes it. */
static const struct fault PLAIN[] = {
    {"{\"kind\":\"close_connection\"}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED | OF_CONNECTION, 0, -1},
};

static const struct fault WIRE[] = {
    {"{\"kind\":\"close_before_reading\"}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 0, -1},
    {"{\"kind\":\"reset_request\",\"after_bytes\":1}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 0, -1},
    {"{\"kind\":\"close_after_reading\"}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 0, -1},
    {"{\"kind\":\"reset_reply\",\"after_bytes\":0}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 0, -1},
    {"{\"kind\":\"reset_reply\",\"after_bytes\":10}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 0, -1},
    {"{\"kind\":\"reset_reply\",\"after_bytes\":130}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 200, -1},
    {"{\"kind\":\"truncate_body\",\"keep_bytes\":0}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 200, -1},
    {"{\"kind\":\"truncate_body\",\"keep_bytes\":10}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 200, -1},
    {"{\"kind\":\"content_length\",\"value\":100000}", ALL, TCKMS_ERR_CONNECTION_LOST, RETRIED, 200, -1},
};

static const struct fault REPLIES[] = {
    /* Correct replies that are slow or have an unusual form. */
    {"{\"kind\":\"pass\"}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"delay\",\"ms\":50}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"delay_body\",\"ms\":50}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"drip\",\"bytes\":16,\"every_ms\":1}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"chunked\",\"bytes\":7}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"pad\",\"bytes\":900000}", ALL, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"RequestId\":\"of-another-request\"}}", ALL, TCKMS_OK, UNJUDGED,
     200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"Novel\":{\"KeyId\":[1,null]}}}", ALL, TCKMS_OK, 0, 200, -1},
    /* Replies that are too long or too short. */
    {"{\"kind\":\"pad\",\"bytes\":2097152}", ALL, TCKMS_ERR_RESPONSE_TOO_LARGE, 0, 200, -1},
    {"{\"kind\":\"content_length\",\"value\":3000000}", ALL, TCKMS_ERR_RESPONSE_TOO_LARGE, 0, 200, -1},
    {"{\"kind\":\"content_length\",\"value\":5}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"content_length\",\"value\":0}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    /* Replies that are not as documented. */
    {"{\"kind\":\"gzip\"}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"garbage\"}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"garbage\",\"body\":\"\\u0000\\u0001 no JSON\"}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"garbage\",\"body\":\"{\\\"Response\\\":{\\\"Plaintext\\\":\\\"" PLAINTEXT_BASE64 "==\\\"\"}", ALL,
     TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"garbage\",\"body\":\"{\\\"Response\\\":{\\\"Plaintext\\\":[\\\"" PLAINTEXT "\\\"]}}\"}", ALL,
     TCKMS_ERR_RESPONSE_MALFORMED, 0, 200, -1},
    {"{\"kind\":\"garbage\",\"body\":\"{\\\"Response\\\":5}\"}", ALL, TCKMS_ERR_RESPONSE_MALFORMED, 0, 200, -1},
    {"{\"kind\":\"garbage\",\"body\":\"[]\"}", ALL, TCKMS_ERR_RESPONSE_MALFORMED, 0, 200, -1},
    {"{\"kind\":\"no_response\"}", ALL, TCKMS_ERR_RESPONSE_MALFORMED, 0, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"Plaintext\":null}}", WITH_PLAINTEXT, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"Plaintext\":\"*\"}}", WITH_PLAINTEXT, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"truncate_field\",\"field\":\"Plaintext\",\"keep\":5}", WITH_PLAINTEXT, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"truncate_field\",\"field\":\"Plaintext\",\"keep\":4}", DATA_KEY | RANDOM,
     TCKMS_ERR_RESPONSE_MALFORMED, HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"CiphertextBlob\":null}}", WITH_BLOB, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"CiphertextBlob\":\"\"}}", WITH_BLOB, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"truncate_field\",\"field\":\"CiphertextBlob\",\"keep\":9}", WITH_BLOB, TCKMS_OK, UNJUDGED, 200, -1},
    /* Replies about another key than the expected one. */
    {"{\"kind\":\"replace_fields\",\"fields\":{\"KeyId\":\"another-key\"}}", WITH_KEY_ID, TCKMS_ERR_KEY_MISMATCH,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"KeyId\":null}}", WITH_KEY_ID, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    /* Invalid signatures and public keys. */
    {"{\"kind\":\"replace_fields\",\"fields\":{\"Signature\":null}}", SIGN, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"Signature\":\"*\"}}", SIGN, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"truncate_field\",\"field\":\"Signature\",\"keep\":8}", SIGN, TCKMS_ERR_SIGNATURE_INVALID,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"signature\",\"flaw\":\"other_key\"}", SIGN, TCKMS_ERR_SIGNATURE_INVALID, HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"signature\",\"flaw\":\"raw\"}", SIGN, TCKMS_OK, 0, 200, -1},
    {"{\"kind\":\"replace_fields\",\"fields\":{\"PublicKey\":null}}", PUBLIC_KEY, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    {"{\"kind\":\"truncate_field\",\"field\":\"PublicKey\",\"keep\":40}", PUBLIC_KEY, TCKMS_ERR_RESPONSE_MALFORMED,
     HAS_REQUEST_ID, 200, -1},
    /* Replies of a server between the client and the service. */
    {"{\"kind\":\"garbage\",\"body\":\"<html>Please log in</html>\"}", ALL, TCKMS_ERR_RESPONSE_NOT_JSON, 0, 200, -1},
    {"{\"kind\":\"bad_gateway\"}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE, RETRIED, 502, -1},
    {"{\"kind\":\"status\",\"status\":301,\"headers\":{\"Location\":\"/elsewhere\"}}", ALL, TCKMS_ERR_HTTP_REDIRECT, 0,
     301, -1},
    {"{\"kind\":\"status\",\"status\":307,\"headers\":{\"Location\":\"/\"}}", ALL, TCKMS_ERR_HTTP_REDIRECT, 0, 307, -1},
    {"{\"kind\":\"status\",\"status\":404}", ALL, TCKMS_ERR_HTTP_STATUS, 0, 404, -1},
    {"{\"kind\":\"status\",\"status\":500}", ALL, TCKMS_ERR_HTTP_STATUS, 0, 500, -1},
    {"{\"kind\":\"status\",\"status\":429}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE, RETRIED, 429, -1},
    {"{\"kind\":\"status\",\"status\":502}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE, RETRIED, 502, -1},
    {"{\"kind\":\"status\",\"status\":503}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE, RETRIED, 503, -1},
    {"{\"kind\":\"status\",\"status\":504}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE, RETRIED, 504, -1},
    /* The wait is reported even if the library does not retry. */
    {"{\"kind\":\"status\",\"status\":301,\"headers\":{\"Retry-After\":\"1\"}}", ALL, TCKMS_ERR_HTTP_REDIRECT, 0, 301,
     1000},
    {"{\"kind\":\"status\",\"status\":404,\"headers\":{\"Retry-After\":\"1\"}}", ALL, TCKMS_ERR_HTTP_STATUS, 0, 404,
     1000},
    {"{\"kind\":\"status\",\"status\":500,\"headers\":{\"Retry-After\":\"1\"}}", ALL, TCKMS_ERR_HTTP_STATUS, 0, 500,
     1000},
    {"{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"0\"}}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE,
     RETRIED, 503, 0},
    /* A value that is neither seconds nor a date is ignored. */
    {"{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"soon\"}}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE,
     RETRIED, 503, -1},
    {"{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"-1\"}}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE,
     RETRIED, 503, -1},
    /* Errors of the service itself. */
    {"{\"kind\":\"throttle\",\"per_second\":0}", ALL, TCKMS_ERR_REQUEST_LIMIT_EXCEEDED,
     RETRIED | HAS_REQUEST_ID | STANDING, 200, -1},
    {"{\"kind\":\"expire_token\"}", ALL, TCKMS_ERR_AUTH_TOKEN_FAILURE, HAS_REQUEST_ID | FINAL, 200, -1},
};

static const struct fault SLOW[] = {
    {"{\"kind\":\"delay\",\"ms\":20000}", ALL, TCKMS_ERR_TIMED_OUT, RETRIED | UNTIL_TRY_TIMEOUT, 0, -1},
    {"{\"kind\":\"delay_body\",\"ms\":20000}", ALL, TCKMS_ERR_TIMED_OUT, RETRIED | UNTIL_TRY_TIMEOUT, 200, -1},
    {"{\"kind\":\"delay_body\",\"ms\":20000,\"after_bytes\":0}", ALL, TCKMS_ERR_TIMED_OUT, RETRIED | UNTIL_TRY_TIMEOUT,
     200, -1},
    {"{\"kind\":\"drip\",\"bytes\":1,\"every_ms\":200}", ALL, TCKMS_ERR_TIMED_OUT, RETRIED | UNTIL_TRY_TIMEOUT, 200, -1},
    {"{\"kind\":\"status\",\"status\":429,\"headers\":{\"Retry-After\":\"1\"}}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE,
     RETRIED, 429, 1000},
    {"{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"1\"}}", ALL, TCKMS_ERR_HTTP_UNAVAILABLE,
     RETRIED, 503, 1000},
};

static const struct fault TLS[] = {
    {"{\"kind\":\"certificate\",\"flaw\":\"expired\"}", ALL, TCKMS_ERR_TLS_FAILED, OF_CONNECTION, 0, -1},
    {"{\"kind\":\"certificate\",\"flaw\":\"wrong_host\"}", ALL, TCKMS_ERR_TLS_FAILED, OF_CONNECTION, 0, -1},
    {"{\"kind\":\"certificate\",\"flaw\":\"unknown_ca\"}", ALL, TCKMS_ERR_TLS_FAILED, OF_CONNECTION, 0, -1},
    {"{\"kind\":\"close_connection\"}", ALL, TCKMS_ERR_CONNECT_FAILED, RETRIED | OF_CONNECTION, 0, -1},
    {"{\"kind\":\"cut_handshake\"}", ALL, TCKMS_ERR_CONNECT_FAILED, RETRIED | OF_CONNECTION, 0, -1},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static tckms_client *client_for(const struct call *call, int try_timeout_ms) {
  tckms_config *config = emulator_config();
  if (call->bit == SIGN) {
    /* No connection remains after the request for the public key, so that signing opens one, as the other calls do. */
    CHECK_OK(tckms_config_set_idle_timeout_ms(config, 1));
  }
  identity = issue_identity();
  CHECK_OK(tckms_config_set_credentials(config, identity.secret_id, identity.secret_key, identity.token));
  CHECK_OK(tckms_config_set_max_attempts(config, ATTEMPTS));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, try_timeout_ms));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_log_event, NULL, NULL));
  return client_of(config);
}

/* Signing needs the public key; only the signing itself is tested here. */
static void prepare(const struct call *call, const tckms_client *client) {
  if (call->bit == SIGN) {
    struct timespec idle_timeout = {0, 20000000};
    CHECK_OK(get_public_key(client, 0));
    nanosleep(&idle_timeout, NULL);
  }
  clear_log();
}

static void script(const struct fault *fault, const char *action, int times) {
  set_fault(fault->traits & OF_CONNECTION ? "*" : action, fault->json, times);
}

static int attempts_of(const struct fault *fault) {
  return fault->traits & RETRIED ? ATTEMPTS : 1;
}

/* Not earlier than the duration of the fault and Retry-After, and not later than that and the longest wait. */
static void expect_in_time(const struct fault *fault, long took) {
  int attempts = attempts_of(fault);
  long wait = fault->retry_after_ms > 0 ? fault->retry_after_ms : 0;
  long least = (attempts - 1) * wait;
  long most = (attempts - 1) * (wait > FIRST_WAIT_MAX_MS ? wait : FIRST_WAIT_MAX_MS);
  if (fault->traits & UNTIL_TRY_TIMEOUT) {
    least += (long)attempts * SHORT_TRY_MS;
    most += (long)attempts * SHORT_TRY_MS;
  }
  /* A timer's tick. */
  EXPECT(took >= least - 2);
  EXPECT(took <= most + slack_ms());
}

static void expect_detail(const struct fault *fault, const struct call *call) {
  const tckms_error *error = tckms_last_error();
  char request_id[64] = "";
  char begin[64];
  EXPECT_INT(tckms_error_status(error), fault->status);
  EXPECT_INT(tckms_status_category(fault->status), fault->status / 100 * 100);
  EXPECT_INT(tckms_error_retryable(error), fault->traits & RETRIED ? 1 : 0);
  EXPECT_INT(tckms_error_attempts(error), attempts_of(fault));
  EXPECT_INT(tckms_error_http_status(error), fault->http_status);
  EXPECT_INT(tckms_error_retry_after_ms(error), fault->retry_after_ms);
  EXPECT(strcmp(tckms_error_action(error), call->action) == 0);
  EXPECT(!call->names_a_key || fault->status == TCKMS_ERR_KEY_MISMATCH || strlen(tckms_error_key_id(error)) == 36);
  if (fault->traits & HAS_REQUEST_ID) {
    last_seen_request_id(request_id, sizeof request_id);
  }
  EXPECT(strcmp(tckms_error_request_id(error), request_id) == 0);
  EXPECT((strlen(tckms_error_service_code(error)) > 0) == (fault->status / 100 >= 4 && fault->status / 100 <= 6 &&
                                                           fault->status != TCKMS_ERR_HTTP_UNAVAILABLE));
  snprintf(begin, sizeof begin, "%s: ", call->action);
  EXPECT(strncmp(tckms_error_message(error), begin, strlen(begin)) == 0);
  expect_no_secret_in(tckms_error_message(error));
}

static void apply_fault_to_every_attempt(const struct fault *fault, const struct call *call, const tckms_client *client) {
  int attempts = attempts_of(fault);
  long began;
  script(fault, call->action, attempts);
  forget_requests();
  began = now_ms();
  EXPECT_INT(call->make(client, !(fault->traits & UNJUDGED)), fault->status);
  expect_in_time(fault, now_ms() - began);
  if (fault->status != TCKMS_OK) {
    expect_detail(fault, call);
  } else if (strstr(fault->json, "of-another-request") != NULL) {
    EXPECT(strcmp(tckms_last_request_id(), "of-another-request") == 0);
  }
  EXPECT_INT(logged.attempts, attempts);
  EXPECT_INT(requests_seen(call->action), fault->traits & OF_CONNECTION ? 0 : attempts);
  if (fault->traits & STANDING) {
    clear_faults();
  }
  EXPECT(!faults_are_left());
}

static void inject_once(const struct fault *fault, const struct call *call, const tckms_client *client) {
  tckms_stats before;
  tckms_stats after;
  script(fault, call->action, 1);
  CHECK_OK(tckms_client_stats(client, &before, sizeof before));
  EXPECT_INT(call->make(client, 1), TCKMS_OK);
  CHECK_OK(tckms_client_stats(client, &after, sizeof after));
  EXPECT_INT((long)(after.retries - before.retries), 1);
  EXPECT(!faults_are_left());
}

static void play(const struct fault *fault, const struct call *call, int try_timeout_ms) {
  tckms_client *client = client_for(call, try_timeout_ms);
  fault_now = fault->json;
  action_now = call->action;
  prepare(call, client);
  apply_fault_to_every_attempt(fault, call, client);
  if (!(fault->traits & FINAL)) {
    /* The fault has no lasting effect on the client or its connection. */
    EXPECT_INT(call->make(client, 1), TCKMS_OK);
  }
  tckms_client_free(client);
  if (fault->traits & RETRIED && !(fault->traits & STANDING)) {
    /* Faults of connections do not apply to an open connection. */
    client = client_for(call, try_timeout_ms);
    prepare(call, client);
    inject_once(fault, call, client);
    tckms_client_free(client);
  }
  expect_no_secret_in(logged.text);
}

static void inject_all(const struct fault *faults, size_t count, const char *action, int try_timeout_ms) {
  size_t i;
  size_t j;
  for (i = 0; i < count; i++) {
    for (j = 0; j < COUNT(CALLS); j++) {
      if (faults[i].calls & CALLS[j].bit && (action == NULL || strcmp(action, CALLS[j].action) == 0)) {
        play(&faults[i], &CALLS[j], try_timeout_ms);
      }
    }
  }
}

/* Each code of the service has its status, and only temporary errors are retried. */
static void inject_codes(void) {
  size_t i;
  size_t j;
  for (j = 0; j < COUNT(CALLS); j++) {
    tckms_client *client = client_for(&CALLS[j], 60000);
    prepare(&CALLS[j], client);
    for (i = 0; i < COUNT(SERVICE_CODES); i++) {
      const struct service_code *code = &SERVICE_CODES[i];
      char json[256];
      char line[128];
      struct fault fault = {NULL, ALL, TCKMS_OK, HAS_REQUEST_ID, 200, -1};
      snprintf(json, sizeof json, "{\"kind\":\"error\",\"code\":\"%s\"}", code->code);
      fault.json = json;
      fault.status = code->status;
      fault.traits |= code->transient ? RETRIED : 0;
      fault_now = json;
      action_now = CALLS[j].action;
      if (code->status == TCKMS_ERR_AUTH_SIGNATURE_EXPIRED) {
        /* The request is sent again with another time: see inject_clock(). */
        continue;
      }
      clear_log();
      apply_fault_to_every_attempt(&fault, &CALLS[j], client);
      EXPECT(strcmp(tckms_error_service_code(tckms_last_error()), code->code) == 0);
      snprintf(line, sizeof line, " code=%s request_id=%s ", code->code, tckms_error_request_id(tckms_last_error()));
      EXPECT(strstr(logged.text, line) != NULL);
      expect_no_secret_in(logged.text);
    }
    tckms_client_free(client);
  }
}

/* A wrong clock is corrected after the first refusal, and stays corrected. */
static void inject_clock(void) {
  static const int SHIFTS[] = {600, -600, 86400, -86400};
  size_t i;
  size_t j;
  for (i = 0; i < COUNT(SHIFTS); i++) {
    for (j = 0; j < COUNT(CALLS); j++) {
      char json[128];
      tckms_client *client;
      if (CALLS[j].bit == PUBLIC_KEY) {
        /* It is fetched once. */
        continue;
      }
      snprintf(json, sizeof json, "{\"kind\":\"clock_shift\",\"seconds\":%d}", SHIFTS[i]);
      fault_now = json;
      action_now = CALLS[j].action;
      clear_faults();
      {
        /* Not with a temporary identity, which would have expired. */
        tckms_config *config = emulator_config();
        CHECK_OK(tckms_config_set_max_attempts(config, 1));
        CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_log_event, NULL, NULL));
        client = client_of(config);
      }
      prepare(&CALLS[j], client);
      set_fault("*", json, 1);
      forget_requests();
      EXPECT_INT(CALLS[j].make(client, 0), TCKMS_OK);
      EXPECT_INT(requests_seen(CALLS[j].action), 2);
      EXPECT_INT(seen("\"code\":\"AuthFailure.SignatureExpire\""), 1);
      EXPECT(strstr(logged.text, "the service's; requests are signed with the service's time") != NULL);
      forget_requests();
      EXPECT_INT(CALLS[j].make(client, 0), TCKMS_OK);
      EXPECT_INT(requests_seen(CALLS[j].action), 1);
      EXPECT_INT(seen("\"code\":\"AuthFailure.SignatureExpire\""), 0);
      /* The service's clock jumps back: one more correction, and only one. */
      clear_faults();
      forget_requests();
      EXPECT_INT(CALLS[j].make(client, 0), TCKMS_OK);
      EXPECT_INT(requests_seen(CALLS[j].action), 2);
      set_fault(CALLS[j].action, "{\"kind\":\"error\",\"code\":\"AuthFailure.SignatureExpire\"}", 2);
      EXPECT_INT(CALLS[j].make(client, 0), TCKMS_ERR_AUTH_SIGNATURE_EXPIRED);
      EXPECT_INT(tckms_error_attempts(tckms_last_error()), 2);
      EXPECT_INT(tckms_error_retryable(tckms_last_error()), 0);
      EXPECT(!faults_are_left());
      tckms_client_free(client);
    }
  }
}

/* A fault applies to the request that the script selects, and to none before it. */
static void apply_fault_after_one_request(void) {
  size_t j;
  for (j = 0; j < COUNT(CALLS); j++) {
    tckms_client *client;
    char json[512];
    if (CALLS[j].bit == PUBLIC_KEY) {
      /* It is fetched once. */
      continue;
    }
    client = client_for(&CALLS[j], 60000);
    prepare(&CALLS[j], client);
    fault_now = "one passes, then a fault";
    action_now = CALLS[j].action;
    snprintf(json, sizeof json,
             "[{\"action\":\"%s\",\"fault\":{\"kind\":\"pass\"}},"
             "{\"action\":\"%s\",\"fault\":{\"kind\":\"error\",\"code\":\"ResourceUnavailable.CmkDisabled\"}}]",
             action_now, action_now);
    set_faults(json);
    EXPECT_INT(CALLS[j].make(client, 1), TCKMS_OK);
    EXPECT_INT(CALLS[j].make(client, 1), TCKMS_ERR_CMK_DISABLED);
    EXPECT_INT(CALLS[j].make(client, 1), TCKMS_OK);
    /* A call that succeeds leaves the last error as it was. */
    EXPECT_INT(tckms_error_status(tckms_last_error()), TCKMS_ERR_CMK_DISABLED);
    tckms_client_free(client);
  }
}

int main(int argc, char **argv) {
  const char *group = argc > 1 ? argv[1] : "";
  const char *action = argc > 2 ? argv[2] : NULL;
  bystander = emulator_client();
  CHECK_OK(tckms_encrypt(bystander, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), CONTEXT, &known_blob));
  make_asymmetric_keys();
  if (strcmp(group, "wire") == 0) {
    inject_all(WIRE, COUNT(WIRE), action, 60000);
  } else if (strcmp(group, "plain") == 0) {
    inject_all(PLAIN, COUNT(PLAIN), action, 60000);
  } else if (strcmp(group, "replies") == 0) {
    inject_all(REPLIES, COUNT(REPLIES), action, 60000);
  } else if (strcmp(group, "slow") == 0) {
    inject_all(SLOW, COUNT(SLOW), action, SHORT_TRY_MS);
  } else if (strcmp(group, "tls") == 0) {
    inject_all(TLS, COUNT(TLS), action, 60000);
  } else if (strcmp(group, "codes") == 0) {
    inject_codes();
    apply_fault_after_one_request();
  } else if (strcmp(group, "clock") == 0) {
    inject_clock();
  } else {
    check_failed(__FILE__, __LINE__, "there is no group \"%s\"", group);
  }
  tckms_buffer_free(&known_blob);
  tckms_buffer_free(&known_rsa_ciphertext);
  tckms_client_free(bystander);
  return checks_passed();
}
