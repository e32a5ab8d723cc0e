/* Encrypts 32 bytes CALLS times, divided among the threads: call KEY_ID CALLS THREADS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

static tckms_client *client;
static const char *key_id;
static int calls_per_thread;

static void *encrypt(void *unused) {
  static const char plaintext[32];
  int i;
  for (i = 0; i < calls_per_thread; i++) {
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
  calls_per_thread = atoi(argv[2]) / count;
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    fprintf(stderr, "call: %s\n", tckms_error_message(tckms_last_error()));
    return 1;
  }
  /* The main thread makes calls too, so that a process with one call starts no other thread here. */
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
