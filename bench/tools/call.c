/* Encrypts 32 bytes CALLS times on each of several threads: call KEY_ID CALLS THREADS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

static tckms_client *client;
static const char *key_id;
static int share;

static void *encrypt(void *unused) {
  static const char plaintext[32];
  int i;
  for (i = 0; i < share; i++) {
    tckms_buffer blob;
    if (tckms_encrypt(client, key_id, plaintext, sizeof plaintext, NULL, &blob) != TCKMS_OK) {
      fprintf(stderr, "call: %s\n", tckms_error_message(tckms_last_error()));
      exit(1);
    }
    tckms_buffer_free(&blob);
  }
  return unused;
}

int main(int argc, char **argv) {
  pthread_t threads[64];
  int count, i;
  if (argc != 4 || (count = atoi(argv[3])) < 1 || count > 64) {
    return 2;
  }
  key_id = argv[1];
  share = atoi(argv[2]) / count;
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    fprintf(stderr, "call: %s\n", tckms_error_message(tckms_last_error()));
    return 1;
  }
  /* The main thread is one of them, so that a process with one call starts no thread of its own. */
  for (i = 1; i < count; i++) {
    if (pthread_create(&threads[i], NULL, encrypt, NULL) != 0) {
      return 1;
    }
  }
  encrypt(NULL);
  for (i = 1; i < count; i++) {
    pthread_join(threads[i], NULL);
  }
  tckms_client_free(client);
  return 0;
}
