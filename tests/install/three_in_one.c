/*
 * One program with three libraries that could conflict: libtckms.a, another archive written in Rust, and OpenSSL, which defines many
 * functions that libtckms contains under the same names. Each is used before and after the others.
 */
#include "check.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

/* tests/install/neighbour: adds on separate threads, and survives a panic. */
extern int64_t neighbour_sum(uint32_t last);

static int sha256_is_right(void) {
  static const unsigned char expected[4] = {0xba, 0x78, 0x16, 0xbf};
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int len = 0;
  return EVP_Digest("abc", 3, digest, &len, EVP_sha256(), NULL) == 1 && len == 32 && memcmp(digest, expected, 4) == 0;
}

static int tls_can_be_set_up(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *connection = context != NULL ? SSL_new(context) : NULL;
  int usable = connection != NULL;
  SSL_free(connection);
  SSL_CTX_free(context);
  return usable;
}

int main(void) {
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;

  CHECK(sha256_is_right());
  CHECK(neighbour_sum(10) == 55);

  CHECK(tckms_client_new_from_env(&client) == TCKMS_OK);
  CHECK(tckms_encrypt(client, getenv("TEST_KEY_MAIN"), "abc", 3, NULL, &blob) == TCKMS_OK);
  CHECK(tls_can_be_set_up());
  CHECK(tckms_decrypt(client, NULL, blob.data, blob.len, NULL, &plaintext) == TCKMS_OK);
  CHECK(plaintext.len == 3 && memcmp(plaintext.data, "abc", 3) == 0);
  CHECK(sha256_is_right());

  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  CHECK(neighbour_sum(4) == 10);
  return checks_passed();
}
