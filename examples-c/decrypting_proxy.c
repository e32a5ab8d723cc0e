/*
 * A web server with one thread, like a worker of nginx. It decrypts for each request, and serves other requests meanwhile.
 *
 *     decrypting_proxy KEY_ID PORT        then: curl --data @blob http://127.0.0.1:PORT/
 *
 * The body of a request is a CiphertextBlob; the reply is the plaintext. Credentials, region and endpoint come from the
 * environment, as for the quickstart.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tckms.h>

enum { PEERS = 256, REQUEST_MAX = 80000, TIMEOUT_MS = 5000 };

struct peer {
  char request[REQUEST_MAX + 1];
  size_t len;
};

static struct pollfd polled[2 + PEERS];
static struct peer peers[2 + PEERS];
static tckms_client *client;
static tckms_queue *queue;

static void finish(struct peer *peer, const char *line, const void *body, size_t len) {
  struct pollfd *slot = &polled[peer - peers];
  slot->fd = slot->fd < -1 ? ~slot->fd : slot->fd;
  dprintf(slot->fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", line, len);
  (void)!write(slot->fd, body, len);
  close(slot->fd);
  slot->fd = -1;
}

static void read_request(struct peer *peer, const char *key_id) {
  struct pollfd *slot = &polled[peer - peers];
  ssize_t got = read(slot->fd, peer->request + peer->len, REQUEST_MAX - peer->len);
  const char *length, *body;
  peer->request[peer->len += (size_t)(got > 0 ? got : 0)] = '\0';
  body = strstr(peer->request, "\r\n\r\n");
  length = strstr(peer->request, "Content-Length: ");
  if (got > 0 && (body == NULL || length == NULL || strlen(body + 4) < strtoul(length + 16, NULL, 10))) {
    return;
  }
  slot->fd = ~slot->fd; /* poll() ignores it until the call is done */
  if (got <= 0 ||
      tckms_submit_decrypt(queue, client, key_id, body + 4, strlen(body + 4), NULL, TIMEOUT_MS, peer, NULL) != TCKMS_OK) {
    finish(peer, "503 Service Unavailable", "", 0);
  }
}

static void answer_all(void) {
  tckms_completion *done;
  while (tckms_queue_next(queue, &done) == TCKMS_OK) {
    const tckms_buffer *plaintext = tckms_completion_output(done);
    int failed = tckms_completion_status(done) != TCKMS_OK;
    finish(tckms_completion_userdata(done), failed ? "502 Bad Gateway" : "200 OK", plaintext->data, plaintext->len);
    tckms_completion_free(done);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int slot;
  signal(SIGPIPE, SIG_IGN);
  polled[0].fd = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_port = htons((unsigned short)(argc == 3 ? atoi(argv[2]) : 0));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (argc != 3 || bind(polled[0].fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(polled[0].fd, 64) != 0 ||
      tckms_client_new_from_env(&client) != TCKMS_OK || tckms_queue_new(NULL, 0, &queue) != TCKMS_OK ||
      tckms_queue_fd(queue, &polled[1].fd) != TCKMS_OK) {
    fprintf(stderr, "usage: decrypting_proxy KEY_ID PORT; %s\n", tckms_error_message(tckms_last_error()));
    return 2;
  }
  for (slot = 2; slot < 2 + PEERS; slot++) polled[slot].fd = -1;
  polled[0].events = polled[1].events = POLLIN;
  while (poll(polled, 2 + PEERS, -1) >= 0) {
    if (polled[1].revents) answer_all();
    for (slot = 2; slot < 2 + PEERS; slot++) {
      if (polled[slot].fd >= 0 && polled[slot].revents) read_request(&peers[slot], argv[1]);
    }
    for (slot = 2; polled[0].revents && slot < 2 + PEERS; slot++) {
      if (polled[slot].fd != -1) continue;
      polled[slot] = (struct pollfd){accept(polled[0].fd, NULL, NULL), POLLIN, 0};
      peers[slot].len = 0;
      break;
    }
  }
  return 1;
}
