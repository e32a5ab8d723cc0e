/* The emulator's admin API: a test sets the next faults, and reads the requests that the emulator received. */
#ifndef ADMIN_H
#define ADMIN_H

#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static inline int emulator_port(void) {
  const char *colon = strrchr(GIVEN_ENDPOINT, ':');
  return atoi(colon + 1);
}

static inline int admin_connection(void) {
  struct sockaddr_in address;
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connection >= 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)emulator_port());
  CHECK_INT(connect(connection, (struct sockaddr *)&address, sizeof address), 0);
  return connection;
}

static inline char *read_to_end(int connection) {
  size_t size = 65536;
  size_t len = 0;
  char *text = (char *)malloc(size);
  for (;;) {
    ssize_t got;
    CHECK(text != NULL);
    got = recv(connection, text + len, size - len - 1, 0);
    CHECK(got >= 0);
    if (got == 0) {
      text[len] = '\0';
      return text;
    }
    len += (size_t)got;
    if (len == size - 1) {
      text = (char *)realloc(text, size *= 2);
    }
  }
}

/* Sends a request and returns the reply's body, to be freed. The admin API always uses plain HTTP. */
static inline char *admin(const char *method, const char *path, const char *body) {
  size_t size = strlen(body) + 256;
  char *text = (char *)malloc(size);
  char *reply;
  char *content;
  int connection = admin_connection();
  CHECK(text != NULL);
  snprintf(text, size, "%s /_admin/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
           "Content-Length: %lu\r\n\r\n%s",
           method, path, (unsigned long)strlen(body), body);
  CHECK_INT(send(connection, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
  free(text);
  reply = read_to_end(connection);
  close(connection);
  if (strncmp(reply, "HTTP/1.1 20", 11) != 0) {
    check_failed(__FILE__, __LINE__, "%s %s %s: %s", method, path, body, reply);
  }
  content = strstr(reply, "\r\n\r\n");
  CHECK(content != NULL);
  memmove(reply, content + 4, strlen(content + 4) + 1);
  return reply;
}

/* `script` is a JSON list of entries. It replaces the previous script. */
static inline void set_faults(const char *script) {
  free(admin("PUT", "faults", script));
}

/* One fault for the next `times` requests of an action; "*" is any. */
static inline void set_fault(const char *action, const char *fault, int times) {
  char script[4096];
  snprintf(script, sizeof script, "[{\"action\":\"%s\",\"fault\":%s,\"times\":%d}]", action, fault, times);
  set_faults(script);
}

static inline void clear_faults(void) {
  free(admin("DELETE", "faults", ""));
}

static inline int faults_are_left(void) {
  char *faults = admin("GET", "faults", "");
  int left = strstr(faults, "\"faults\":[]") == NULL;
  free(faults);
  return left;
}

static inline void forget_requests(void) {
  free(admin("DELETE", "requests", ""));
}

/* The number of times that `part` occurs in the list of received requests. */
static inline int seen(const char *part) {
  char *requests = admin("GET", "requests", "");
  const char *place = requests;
  int count = 0;
  while ((place = strstr(place, part)) != NULL) {
    place += strlen(part);
    count++;
  }
  free(requests);
  return count;
}

/* The number of requests for an action that the emulator received. */
static inline int requests_seen(const char *action) {
  char part[128];
  snprintf(part, sizeof part, "\"action\":\"%s\"", action);
  return seen(part);
}

/* Copies the string after the last `"name":"` in `json`. */
static inline void last_string(const char *json, const char *name, char *value, size_t size) {
  char part[64];
  const char *found = NULL;
  const char *place = json;
  snprintf(part, sizeof part, "\"%s\":\"", name);
  while ((place = strstr(place, part)) != NULL) {
    place += strlen(part);
    found = place;
  }
  if (found == NULL) {
    check_failed(__FILE__, __LINE__, "there is no \"%s\" in %s", name, json);
    return;
  }
  snprintf(value, size, "%.*s", (int)strcspn(found, "\""), found);
}

/* The id of the last request. */
static inline void last_seen_request_id(char *value, size_t size) {
  char *requests = admin("GET", "requests", "");
  last_string(requests, "request_id", value, size);
  free(requests);
}

/* A temporary identity. */
struct identity {
  char secret_id[256];
  char secret_key[256];
  char token[2048];
};

static inline struct identity issue_identity(void) {
  struct identity identity;
  char *issued = admin("POST", "credentials", "");
  last_string(issued, "secret_id", identity.secret_id, sizeof identity.secret_id);
  last_string(issued, "secret_key", identity.secret_key, sizeof identity.secret_key);
  last_string(issued, "token", identity.token, sizeof identity.token);
  free(issued);
  return identity;
}

#endif /* ADMIN_H */
