/* Replies of a proxy to CONNECT, and the result of the call. The proxy is a scripted one in this process. */
#include "check.h"

#include "clock.h"
#include "fixture.h"
#include "relay.h"

/* The connect timeout for a proxy that never replies. */
enum { CONNECT_TIMEOUT_MS = 400 };

struct proxy {
  char url[64];
  int listener;
  pthread_t thread;
  /* NULL: it resets the connection. Empty: it closes it. "hang": it does not reply. */
  const char *answer;
  int connections;
  char request[REQUEST_SIZE];
};

static void *answer_connect(void *argument) {
  struct proxy *proxy = argument;
  for (;;) {
    int connection = accept(proxy->listener, NULL, NULL);
    if (connection < 0) {
      return NULL;
    }
    __atomic_add_fetch(&proxy->connections, 1, __ATOMIC_RELEASE);
    if (read_request(connection, proxy->request)) {
      if (proxy->answer == NULL) {
        reset_on_close(connection);
      } else if (strcmp(proxy->answer, "hang") == 0) {
        wait_until_client_leaves(connection);
      } else {
        send_all(connection, proxy->answer, strlen(proxy->answer));
      }
    }
    close(connection);
  }
}

static void proxy_start(struct proxy *proxy, const char *answer) {
  memset(proxy, 0, sizeof *proxy);
  proxy->answer = answer;
  proxy->listener = listening_socket(proxy->url, sizeof proxy->url);
  CHECK_INT(pthread_create(&proxy->thread, NULL, answer_connect, proxy), 0);
}

static void proxy_stop(struct proxy *proxy) {
  shutdown(proxy->listener, SHUT_RDWR);
  CHECK_INT(pthread_join(proxy->thread, NULL), 0);
  close(proxy->listener);
}

/* Makes one call through a proxy with this reply. */
static void call_through(struct proxy *proxy, const char *endpoint, const char *user, tckms_status expected,
                         int attempts) {
  char url[128];
  tckms_config *config = config_for(endpoint);
  tckms_client *client;
  tckms_stats stats = TCKMS_STATS_INIT;
  uint8_t bytes[8];
  snprintf(url, sizeof url, "http://%s%s", user, proxy->url + strlen("http://"));
  CHECK_OK(tckms_config_set_proxy(config, url));
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, CONNECT_TIMEOUT_MS));
  CHECK_OK(tckms_config_set_max_attempts(config, 3));
  client = client_of(config);
  CHECK_STATUS(tckms_generate_random(client, bytes, sizeof bytes), expected);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), attempts);
  CHECK_INT(__atomic_load_n(&proxy->connections, __ATOMIC_ACQUIRE), attempts);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "proxy");
  CHECK_HAS(tckms_error_message(tckms_last_error()), proxy->url + strlen("http://"));
  CHECK_HAS(tckms_error_message(tckms_last_error()), "kms.example");
  CHECK(strstr(tckms_error_message(tckms_last_error()), "ssword") == NULL);
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  CHECK_INT(stats.calls, 1);
  CHECK_INT(stats.retries, attempts - 1);
  CHECK_INT(stats.failures_transport, 1);
  CHECK_INT(stats.connections_opened, 0);
  CHECK_INT(stats.connections_open, 0);
  tckms_client_free(client);
}

static void a_refusal_is_reported_with_its_status_and_not_retried(void) {
  static const int statuses[] = {300, 302, 400, 401, 403, 404, 405, 407, 429, 500, 502, 503, 504};
  size_t i;
  for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    struct proxy proxy;
    char answer[256];
    char status[32];
    snprintf(answer, sizeof answer,
             "HTTP/1.1 %d Because\r\nProxy-Authenticate: Basic\r\nContent-Length: 6\r\n\r\n<html>", statuses[i]);
    snprintf(status, sizeof status, "HTTP status %d", statuses[i]);
    proxy_start(&proxy, answer);
    call_through(&proxy, "https://kms.example", "user:password@", TCKMS_ERR_PROXY_REFUSED, 1);
    CHECK_INT(tckms_error_http_status(tckms_last_error()), statuses[i]);
    CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
    CHECK_INT(tckms_status_category(TCKMS_ERR_PROXY_REFUSED), TCKMS_CATEGORY_TRANSPORT);
    CHECK_HAS(tckms_error_message(tckms_last_error()), status);
    CHECK_HAS(proxy.request, "CONNECT kms.example:443 HTTP/1.1\r\nHost: kms.example:443\r\n");
    CHECK_HAS(proxy.request, "\r\nProxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n");
    proxy_stop(&proxy);
  }
}

static void an_interim_reply_is_not_the_reply(void) {
  struct proxy proxy;
  proxy_start(&proxy, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 403 No\r\n\r\n");
  call_through(&proxy, "https://kms.example", "", TCKMS_ERR_PROXY_REFUSED, 1);
  CHECK_INT(tckms_error_http_status(tckms_last_error()), 403);
  CHECK(strstr(proxy.request, "Authorization") == NULL);
  proxy_stop(&proxy);
}

/* Such a proxy may work again in a moment. */
static void a_broken_proxy_is_a_failure_to_connect(void) {
  static const struct {
    const char *answer;
    const char *reason;
  } broken[] = {
      {NULL, "reset"},
      {"", "closed"},
      {"SSH-2.0-OpenSSH_9.2p1\r\n", "not HTTP"},
      {"HTTP/1.1 200", "truncated"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP status"},
      {"HTTP/1.1 200 OK\r\n\r\nand more", "has a body"},
      {"\x05\xff", "truncated"},
      {"hang", "the connect timeout of 400 ms"},
  };
  size_t i;
  for (i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    struct proxy proxy;
    long began = now_ms();
    proxy_start(&proxy, broken[i].answer);
    call_through(&proxy, "https://kms.example", "user:password@", TCKMS_ERR_CONNECT_FAILED, 3);
    CHECK(now_ms() - began < 3 * CONNECT_TIMEOUT_MS + 300 + slack_ms());
    CHECK_HAS(tckms_error_message(tckms_last_error()), broken[i].reason);
    CHECK_INT(tckms_error_http_status(tckms_last_error()), 0);
    CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
    proxy_stop(&proxy);
  }
}

/* A TLS alert has seven bytes. Bytes that may be 0 are replaced by others here, because the reply is a C string. */
static void a_proxy_that_speaks_tls_is_recognised(void) {
  static const char *const alerts[] = {"\x15\x03\x01\x02\x02\x02\x46", "\x15\x03\x03\x02\x28\x02\x28\x02\x28\x02\x28\x02"};
  size_t i;
  for (i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
    struct proxy proxy;
    proxy_start(&proxy, alerts[i]);
    call_through(&proxy, "https://kms.example", "user:password@", TCKMS_ERR_TLS_FAILED, 1);
    CHECK_HAS(tckms_error_message(tckms_last_error()), "speaks TLS; its URL has to say https");
    proxy_stop(&proxy);
  }
}

/* ---- Messages about connections without a proxy ---- */

static const char *message_of(tckms_config *config, tckms_status expected) {
  static char message[1024];
  tckms_client *client;
  uint8_t bytes[8];
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  CHECK_STATUS(tckms_generate_random(client, bytes, sizeof bytes), expected);
  snprintf(message, sizeof message, "%s", tckms_error_message(tckms_last_error()));
  tckms_client_free(client);
  return message;
}

static int occurrences(const char *text, const char *part) {
  int count = 0;
  while ((text = strstr(text, part)) != NULL) {
    text += strlen(part);
    count++;
  }
  return count;
}

static void a_failure_to_connect_is_reported_once(void) {
  const char *message = message_of(config_for("http://127.0.0.1:1"), TCKMS_ERR_CONNECT_FAILED);
  CHECK_INT(occurrences(message, "127.0.0.1:1"), 1);
  CHECK_INT(occurrences(message, "refused"), 1);
}

static void a_timeout_is_named_with_its_length(void) {
  char endpoint[64];
  int listener = listening_socket(endpoint, sizeof endpoint);
  const char *message;
  tckms_config *config = config_for(endpoint);
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 250));
  message = message_of(config, TCKMS_ERR_TIMED_OUT);
  CHECK_HAS(message, "try timeout: 250 ms");
  CHECK_HAS(message, endpoint + strlen("http://"));
  config = config_for(endpoint);
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 200));
  CHECK_HAS(message_of(config, TCKMS_ERR_TIMED_OUT), "total timeout: 200 ms");
  /* A handshake without a reply. */
  memmove(endpoint + 5, endpoint + 4, strlen(endpoint + 4) + 1);
  endpoint[4] = 's';
  config = config_for(endpoint);
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, 300));
  message = message_of(config, TCKMS_ERR_CONNECT_FAILED);
  CHECK_HAS(message, "the connect timeout of 300 ms");
  CHECK_HAS(message, "TLS handshake");
  close(listener);
}

/* A server that sends this reply to any request. */
static void *answer_anything(void *argument) {
  struct proxy *server = argument;
  int connection = accept(server->listener, NULL, NULL);
  char bytes[1024];
  if (connection >= 0) {
    CHECK(recv(connection, bytes, sizeof bytes, 0) > 0);
    send_all(connection, server->answer, strlen(server->answer));
    shutdown(connection, SHUT_WR);
    wait_until_client_leaves(connection);
    close(connection);
  }
  return NULL;
}

static void a_wrong_scheme_is_recognised(void) {
  static const struct {
    const char *scheme;
    const char *answer;
    const char *hint;
  } wrong[] = {
      {"https", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "an http port"},
      {"https", "SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak TLS"},
      {"http", "\x15\x03\x03\x02\x28", "an https port"},
      {"http", "\x15\x03\x01\x02\x02\x46", "an https port"},
  };
  size_t i;
  for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct proxy server;
    char endpoint[64];
    memset(&server, 0, sizeof server);
    server.answer = wrong[i].answer;
    server.listener = listening_socket(server.url, sizeof server.url);
    CHECK_INT(pthread_create(&server.thread, NULL, answer_anything, &server), 0);
    snprintf(endpoint, sizeof endpoint, "%s%.40s", wrong[i].scheme, server.url + strlen("http"));
    CHECK_HAS(message_of(config_for(endpoint), TCKMS_ERR_TLS_FAILED), wrong[i].hint);
    CHECK_INT(pthread_join(server.thread, NULL), 0);
    close(server.listener);
  }
}

int main(void) {
  a_refusal_is_reported_with_its_status_and_not_retried();
  an_interim_reply_is_not_the_reply();
  a_broken_proxy_is_a_failure_to_connect();
  a_proxy_that_speaks_tls_is_recognised();
  a_failure_to_connect_is_reported_once();
  a_timeout_is_named_with_its_length();
  a_wrong_scheme_is_recognised();
  return checks_passed();
}
