/*
 * Signs a file with a key that never leaves KMS, and writes the public key that verifies it.
 *
 *     sign KEY_ID FILE SIGNATURE_FILE PUBLIC_KEY_FILE
 *
 * Anyone can verify the signature. With OpenSSL, for a key of usage ASYMMETRIC_SIGN_VERIFY_ECC:
 *
 *     openssl dgst -sha256 -verify PUBLIC_KEY_FILE -signature SIGNATURE_FILE FILE
 *
 * Credentials and region come from the environment, as for quickstart.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

static int explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
  return 0;
}

/* Adds a complete file to the message, without reading all of it into memory. */
static int add_file(tckms_signer *signer, const char *path) {
  char block[65536];
  size_t len;
  int failed;
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 0;
  }
  while ((len = fread(block, 1, sizeof block, file)) > 0) {
    if (tckms_signer_update(signer, block, len) != TCKMS_OK) {
      fclose(file);
      return explain("cannot hash the file");
    }
  }
  failed = ferror(file);
  fclose(file);
  if (failed) {
    perror(path);
  }
  return !failed;
}

static int write_file(const char *path, const tckms_buffer *content) {
  FILE *file = fopen(path, "wb");
  int written = file != NULL && fwrite(content->data, 1, content->len, file) == content->len;
  if (file != NULL && fclose(file) != 0) {
    written = 0;
  }
  if (!written) {
    perror(path);
  }
  return written;
}

int main(int argc, char **argv) {
  tckms_client *client = NULL;
  tckms_signer *signer = NULL;
  tckms_buffer signature = TCKMS_BUFFER_INIT;
  tckms_buffer public_key = TCKMS_BUFFER_INIT;
  int done = 0;

  if (argc != 5) {
    fprintf(stderr, "usage: %s KEY_ID FILE SIGNATURE_FILE PUBLIC_KEY_FILE\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    explain("cannot create a client");
  } else if (tckms_public_key_pem(client, argv[1], &public_key) != TCKMS_OK) {
    explain("cannot get the public key");
  } else if (tckms_signer_new(client, argv[1], TCKMS_SIGN_DEFAULT, NULL, 0, &signer) != TCKMS_OK) {
    explain("cannot begin the signature");
  } else if (add_file(signer, argv[2])) {
    if (tckms_signer_finish(signer, &signature) != TCKMS_OK) {
      explain("cannot sign");
    } else {
      done = write_file(argv[3], &signature) && write_file(argv[4], &public_key);
    }
  }
  tckms_buffer_free(&signature);
  tckms_buffer_free(&public_key);
  tckms_signer_free(signer);
  tckms_client_free(client);
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
