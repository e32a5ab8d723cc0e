/*
 * A scripted HTTP server: it sends one reply to each request, in order, on a thread of the test.
 *
 * It stores every request and counts the connections. Both may be read after the server was stopped.
 */
#ifndef SERVER_H
#define SERVER_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

/* The delivery of a reply. */
enum fate {
  /* It arrives, and the connection stays open for the next request. */
  ARRIVES,
  /* It arrives, and the connection is closed. */
  ARRIVES_AND_CLOSES,
  /* It arrives without a Content-Length: the end of the connection is its end. */
  ENDS_WITH_THE_CONNECTION,
  /* Its Content-Length promises 100 bytes more than there are. */
  BREAKS_OFF,
  /* It is not sent: the connection is closed after the request was read. */
  IS_LOST,
  /* It is not sent: the server waits until the client disconnects. */
  NEVER_COMES
};

struct reply {
  int status;
  /* Each with its newline; NULL for Content-Type: application/json. */
  const char *headers;
  const char *body;
  /* 0: as long as the text. */
  size_t body_len;
  enum fate fate;
};

enum { REQUESTS_MAX = 8, REQUEST_SIZE = 16384 };

struct server {
  char endpoint[64];
  int listener;
  pthread_t thread;
  const struct reply *script;
  size_t replies;
  int connections;
  char requests[REQUESTS_MAX][REQUEST_SIZE];
};

/* A socket on a free loopback port, and that port's endpoint. Without listen(), the port refuses connections. */
static inline int bound_socket(char *endpoint, size_t size) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int bound = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bound >= 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INT(bind(bound, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_INT(getsockname(bound, (struct sockaddr *)&address, &len), 0);
  snprintf(endpoint, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
  return bound;
}

static inline int listening_socket(char *endpoint, size_t size) {
  int listener = bound_socket(endpoint, size);
  CHECK_INT(listen(listener, 16), 0);
  return listener;
}

/* Whether a client has connected: accept() can return a connection before connect() returns. */
static inline int has_connected(int listener) {
  struct pollfd waiting;
  waiting.fd = listener;
  waiting.events = POLLIN;
  return poll(&waiting, 1, 0) != 0;
}

static inline int accept_one(struct server *server) {
  struct pollfd waiting;
  int connection;
  waiting.fd = server->listener;
  waiting.events = POLLIN;
  if (poll(&waiting, 1, 60000) != 1) {
    check_failed(__FILE__, __LINE__, "the script has more replies than there are requests");
  }
  connection = accept(server->listener, NULL, NULL);
  CHECK(connection >= 0);
  server->connections++;
  return connection;
}

static inline size_t content_length(const char *request) {
  const char *header = strstr(request, "content-length: ");
  return header == NULL ? 0 : (size_t)strtoul(header + strlen("content-length: "), NULL, 10);
}

/* Reads one request, head and body. False if the client has closed the connection. */
static inline int read_request(int connection, char *request) {
  size_t len = 0;
  for (;;) {
    const char *body;
    ssize_t got = recv(connection, request + len, REQUEST_SIZE - 1 - len, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return 0;
    }
    len += (size_t)got;
    request[len] = '\0';
    CHECK(len < REQUEST_SIZE - 1);
    body = strstr(request, "\r\n\r\n");
    if (body != NULL && len - (size_t)(body + 4 - request) >= content_length(request)) {
      return 1;
    }
  }
}

/* A client may close the connection early; this is not a failure of the server. */
static inline void send_all(int connection, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t sent = send(connection, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent <= 0) {
      return;
    }
    bytes += sent;
    len -= (size_t)sent;
  }
}

static inline void wait_until_client_leaves(int connection) {
  char byte;
  while (recv(connection, &byte, 1, 0) > 0) {
  }
}

static inline void send_reply(int connection, const struct reply *reply) {
  char head[512];
  char length[64] = "";
  const char *body = reply->body == NULL ? "" : reply->body;
  size_t len = reply->body_len == 0 ? strlen(body) : reply->body_len;
  if (reply->fate != ENDS_WITH_THE_CONNECTION) {
    size_t promised = reply->fate == BREAKS_OFF ? len + 100 : len;
    snprintf(length, sizeof length, "Content-Length: %lu\r\n", (unsigned long)promised);
  }
  snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\n%s%s\r\n", reply->status,
           reply->headers == NULL ? "Content-Type: application/json\r\n" : reply->headers, length);
  send_all(connection, head, strlen(head));
  send_all(connection, body, len);
}

static inline void *run_script(void *argument) {
  struct server *server = argument;
  int connection = -1;
  size_t step = 0;
  while (step < server->replies) {
    const struct reply *reply = &server->script[step];
    if (connection < 0) {
      connection = accept_one(server);
    }
    if (!read_request(connection, server->requests[step])) {
      close(connection);
      connection = -1;
      continue;
    }
    if (reply->fate == NEVER_COMES) {
      wait_until_client_leaves(connection);
    } else if (reply->fate != IS_LOST) {
      send_reply(connection, reply);
    }
    if (reply->fate != ARRIVES) {
      close(connection);
      connection = -1;
    }
    step++;
  }
  if (connection >= 0) {
    close(connection);
  }
  return NULL;
}

static inline void server_start(struct server *server, const struct reply *script, size_t replies) {
  memset(server, 0, sizeof *server);
  CHECK(replies <= REQUESTS_MAX);
  server->script = script;
  server->replies = replies;
  server->listener = listening_socket(server->endpoint, sizeof server->endpoint);
  CHECK_INT(pthread_create(&server->thread, NULL, run_script, server), 0);
}

/* Returns when the script has ended, and checks that there was no further request. */
static inline void server_stop(struct server *server) {
  CHECK_INT(pthread_join(server->thread, NULL), 0);
  CHECK(!has_connected(server->listener));
  close(server->listener);
}

/* Copies the value of a request's header. False if it is missing. The HTTP client writes names in lower case. */
static inline int request_header(const char *request, const char *name, char *value, size_t size) {
  const char *line = request;
  const char *end = strstr(request, "\r\n\r\n");
  while ((line = strstr(line, "\r\n")) != NULL && line < end) {
    line += 2;
    if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
      const char *start = line + strlen(name) + 1;
      start += strspn(start, " ");
      snprintf(value, size, "%.*s", (int)strcspn(start, "\r\n"), start);
      return 1;
    }
  }
  return 0;
}

static inline const char *request_body(const char *request) {
  const char *end = strstr(request, "\r\n\r\n");
  return end == NULL ? "" : end + 4;
}

#endif /* SERVER_H */
