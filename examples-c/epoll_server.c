/*
 * A server with one thread that encrypts each line that a peer sends. No peer waits for another.
 *
 *     epoll_server KEY_ID PORT
 *
 * Credentials, region and endpoint come from the environment, as for the quickstart.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tckms.h>

enum { TIMEOUT_MS = 5000, EVENTS = 64, PAUSE_US = 10000 };

static tckms_client *client;
static tckms_queue *queue;
static int poll_fd;

static int must(int result, const char *what) {
  if (result < 0) perror(what), exit(1);
  return result;
}

static void watch(int fd, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  must(epoll_ctl(poll_fd, operation, fd, &event), "epoll_ctl");
}

static int listen_on(int port) {
  int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
  return must(listen(listener, 128), "listen"), listener;
}

static void accept_from(int listener) {
  int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer >= 0) watch(peer, EPOLLIN | EPOLLONESHOT, EPOLL_CTL_ADD);
  if (peer < 0 && (errno == EMFILE || errno == ENFILE)) usleep(PAUSE_US); /* until another peer leaves */
}

/* Polls the peer again after the line. A peer that does not read its replies is closed. */
static void answer(int peer, const char *text) {
  if (dprintf(peer, "%s\n", text) < 0) close(peer);
  else watch(peer, EPOLLIN | EPOLLONESHOT, EPOLL_CTL_MOD);
}

/* The socket of a peer is the userdata of its call. */
static void read_from(int peer, const char *key_id) {
  char line[TCKMS_PLAINTEXT_MAX];
  ssize_t len = read(peer, line, sizeof line);
  void *self = (void *)(intptr_t)peer;
  if (len <= 0) close(peer);
  else if (tckms_submit_encrypt(queue, client, key_id, line, (size_t)len, NULL, TIMEOUT_MS, self, NULL) != TCKMS_OK)
    answer(peer, tckms_error_message(tckms_last_error()));
}

static void answer_all(void) {
  tckms_completion *done;
  while (tckms_queue_next(queue, &done) == TCKMS_OK) {
    const tckms_error *error = tckms_completion_error(done);
    answer((int)(intptr_t)tckms_completion_userdata(done),
           error ? tckms_error_message(error) : (const char *)tckms_completion_output(done)->data);
    tckms_completion_free(done);
  }
}

int main(int argc, char **argv) {
  struct epoll_event events[EVENTS];
  int listener, done_fd, count;
  if (argc != 3 || tckms_client_new_from_env(&client) != TCKMS_OK || tckms_queue_new(NULL, 0, &queue) != TCKMS_OK ||
      tckms_queue_fd(queue, &done_fd) != TCKMS_OK) {
    fprintf(stderr, "usage: epoll_server KEY_ID PORT\n%s\n", tckms_error_message(tckms_last_error()));
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  poll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(listener = listen_on(atoi(argv[2])), EPOLLIN, EPOLL_CTL_ADD);
  watch(done_fd, EPOLLIN, EPOLL_CTL_ADD);
  while ((count = epoll_wait(poll_fd, events, EVENTS, -1)) >= 0 || errno == EINTR) { /* SIGCONT interrupts it */
    while (--count >= 0) {
      int ready = events[count].data.fd;
      if (ready == done_fd) answer_all();
      else if (ready == listener) accept_from(listener);
      else read_from(ready, argv[1]);
    }
  }
  return must(-1, "epoll_wait");
}
