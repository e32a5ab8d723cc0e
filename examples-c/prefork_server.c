/*
 * A prefork server: the parent creates the client and forks its workers, and each worker uses the client.
 *
 *     prefork_server KEY_ID SOCKET [WORKERS]
 *
 * It listens on a Unix socket. A client writes one line and gets the ciphertext of that line. SIGTERM ends the server.
 * Credentials, region and endpoint come from the environment, as for the quickstart.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tckms.h>

enum { WORKERS_MAX = 64 };

static volatile sig_atomic_t stopping = 0;

static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

static int listen_on(const char *path) {
  struct sockaddr_un address;
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (listener < 0 || strlen(path) >= sizeof address.sun_path) {
    return -1;
  }
  strcpy(address.sun_path, path);
  unlink(path);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
    close(listener);
    return -1;
  }
  return listener;
}

static void answer(FILE *stream, const tckms_client *client, const char *key_id) {
  char line[TCKMS_PLAINTEXT_MAX + 2];
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  if (fgets(line, sizeof line, stream) == NULL) {
    return;
  }
  line[strcspn(line, "\n")] = '\0';
  if (tckms_encrypt(client, key_id, line, strlen(line), NULL, &blob) == TCKMS_OK) {
    fprintf(stream, "%ld %s\n", (long)getpid(), (const char *)blob.data);
  } else {
    fprintf(stream, "%ld error: %s\n", (long)getpid(), tckms_error_message(tckms_last_error()));
  }
  tckms_wipe(line, sizeof line);
  tckms_buffer_free(&blob);
}

/* The first call opens a connection of the worker, which shares none with the parent. */
static int work(int listener, tckms_client *client, const char *key_id) {
  while (!stopping) {
    int connection = accept(listener, NULL, NULL);
    FILE *stream = connection < 0 ? NULL : fdopen(connection, "r+");
    if (stream != NULL) {
      answer(stream, client, key_id);
      fclose(stream);
    } else if (connection < 0 && errno != EINTR) {
      perror("accept");
      return EXIT_FAILURE;
    }
  }
  tckms_client_free(client);
  return EXIT_SUCCESS;
}

static void catch_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  /* Without SA_RESTART, so that accept() and wait() return. */
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

int main(int argc, char **argv) {
  pid_t workers[WORKERS_MAX];
  int count = argc > 3 ? atoi(argv[3]) : 4;
  tckms_client *client = NULL;
  int listener, i;

  if (argc < 3 || argc > 4 || count < 1 || count > WORKERS_MAX) {
    fprintf(stderr, "usage: %s KEY_ID SOCKET [WORKERS, 1 to %d]\n", argv[0], WORKERS_MAX);
    return EXIT_FAILURE;
  }
  if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    fprintf(stderr, "cannot create a client: %s\n", tckms_error_message(tckms_last_error()));
    return EXIT_FAILURE;
  }
  listener = listen_on(argv[2]);
  if (listener < 0) {
    perror(argv[2]);
    return EXIT_FAILURE;
  }
  catch_signals();
  for (i = 0; i < count; i++) {
    workers[i] = fork();
    if (workers[i] == 0) {
      return work(listener, client, argv[1]);
    }
    if (workers[i] < 0) {
      perror("fork");
      count = i;
      stopping = 1;
    }
  }
  while (!stopping && (waitpid(-1, NULL, 0) > 0 || errno == EINTR)) {
    /* A real server would replace a worker that ended. */
  }
  for (i = 0; i < count; i++) {
    kill(workers[i], SIGTERM);
    waitpid(workers[i], NULL, 0);
  }
  unlink(argv[2]);
  tckms_client_free(client);
  return EXIT_SUCCESS;
}
