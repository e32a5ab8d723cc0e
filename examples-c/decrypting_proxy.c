/*
 * A web server with one thread, like a worker of nginx. It decrypts for each request, and serves other requests meanwhile.
 *
 *     decrypting_proxy KEY_ID PORT        then: curl --data @blob http://127.0.0.1:PORT/
 *
 * The body of a request is a CiphertextBlob; the reply is the plaintext. Credentials, region and endpoint come from the
 * environment, as for the quickstart.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tckms.h>

enum { PEERS = 256, REQUEST_MAX = 80000, TIMEOUT_MS = 5000 };

static struct pollfd polled[2 + PEERS];
static struct peer { char request[REQUEST_MAX + 1]; size_t len; } peers[2 + PEERS];
static tckms_client *client;
static tckms_queue *queue;

static void finish(struct peer *peer, const char *line, const void *body, size_t len) {
  struct pollfd *slot = &polled[peer - peers];
  slot->fd = slot->fd < -1 ? ~slot->fd : slot->fd;
  dprintf(slot->fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", line, len);
  (void)!write(slot->fd, body, len);
  close(slot->fd);
  slot->fd = -1, peer->len = 0;
}

static void read_request(struct peer *peer, const char *key_id) {
  struct pollfd *slot = &polled[peer - peers];
  ssize_t got = recv(slot->fd, peer->request + peer->len, REQUEST_MAX - peer->len, MSG_DONTWAIT);
  const char *end = peer->request + (peer->len += (size_t)(got > 0 ? got : 0)), *body, *length;
  size_t wanted = 0;
  peer->request[peer->len] = '\0';
  if ((body = strstr(peer->request, "\r\n\r\n")) != NULL) {
    length = strcasestr(peer->request, "\r\nContent-Length:");
    wanted = length != NULL && length < body ? strtoul(length + 17, NULL, 10) : 0;
    body += 4;
  }
  if (got <= 0 || (body == NULL && peer->len == REQUEST_MAX)) finish(peer, "400 Bad Request", "", 0);
  else if (body == NULL) return;
  else if (strncmp(peer->request, "POST ", 5) != 0) finish(peer, "405 Method Not Allowed\r\nAllow: POST", "", 0);
  else if (wanted == 0) finish(peer, "411 Length Required", "", 0);
  else if (wanted > (size_t)(peer->request + REQUEST_MAX - body)) finish(peer, "413 Content Too Large", "", 0);
  else if (wanted <= (size_t)(end - body)) {
    slot->fd = ~slot->fd; /* poll() ignores it until the call is done */
    if (tckms_submit_decrypt(queue, client, key_id, body, wanted, NULL, TIMEOUT_MS, peer, NULL) != TCKMS_OK)
      finish(peer, "503 Service Unavailable", "", 0);
  }
}

static void answer_all(void) {
  tckms_completion *done;
  while (tckms_queue_next(queue, &done) == TCKMS_OK) {
    const tckms_buffer *plain = tckms_completion_output(done);
    const char *line = tckms_completion_status(done) == TCKMS_OK ? "200 OK" : "502 Bad Gateway";
    finish(tckms_completion_userdata(done), line, plain->data, plain->len);
    tckms_completion_free(done);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argc == 3 ? argv[2] : "0"))};
  int slot, tries, next = 2;
  if (argc != 3) return fputs("usage: decrypting_proxy KEY_ID PORT\n", stderr), 2;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  polled[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(polled[0].fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(polled[0].fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(polled[0].fd, 64) != 0)
    return perror("decrypting_proxy: cannot listen"), 1;
  if (tckms_client_new_from_env(&client) || tckms_queue_new(NULL, 0, &queue) || tckms_queue_fd(queue, &polled[1].fd))
    return fprintf(stderr, "decrypting_proxy: %s\n", tckms_error_message(tckms_last_error())), 1;
  signal(SIGPIPE, SIG_IGN);
  for (polled[1].events = POLLIN, slot = 2; slot < 2 + PEERS; slot++) polled[slot].fd = -1;
  for (;;) {
    /* A new peer takes the place of the oldest whose request is not complete, unless calls need all places. */
    for (tries = 0; tries < PEERS && polled[next].fd < -1; tries++) next = 2 + (next - 1) % PEERS;
    polled[0].events = tries < PEERS ? POLLIN : 0;
    if (poll(polled, 2 + PEERS, -1) < 0 && errno != EINTR) return perror("decrypting_proxy: poll"), 1;
    if (polled[1].revents) answer_all();
    for (slot = 2; slot < 2 + PEERS; slot++)
      if (polled[slot].fd >= 0 && polled[slot].revents) read_request(&peers[slot], argv[1]);
    if (!polled[0].revents || polled[next].fd < -1) continue;
    if (polled[next].fd >= 0) finish(&peers[next], "408 Request Timeout", "", 0);
    polled[next] = (struct pollfd){accept(polled[0].fd, NULL, NULL), POLLIN, 0};
    if (polled[next].fd < 0) poll(NULL, 0, 1); /* no descriptor is free */
    next = 2 + (next - 1) % PEERS;
  }
}
