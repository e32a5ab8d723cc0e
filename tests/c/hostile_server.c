/*
 * The effects of a malicious or broken server on the other calls of a client and on its memory.
 *
 * The first connection of the server has a behaviour, and so has every request for DescribeKey; other requests get normal replies.
 */
#define _GNU_SOURCE
#include "check.h"

#include <sys/resource.h>

#include "clock.h"
#include "fixture.h"
#include "server.h"

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 72\r\n\r\n"
    "{\"Response\":{\"Plaintext\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"RequestId\":\"good\"}}";

static const char STRAY[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 73\r\n\r\n"
    "{\"Response\":{\"Plaintext\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"RequestId\":\"stray\"}}";

enum behaviour {
  ANSWERS,
  /* Endless interim heads. */
  FLOODS_WITH_INTERIM_HEADS,
  /* One endless head. */
  FLOODS_WITH_ONE_HEAD,
  /* An endless body of chunks of one byte. */
  FLOODS_WITH_CHUNKS,
  /* A chunk with an endless extension. */
  FLOODS_WITH_AN_EXTENSION,
  /* Endless trailers. */
  FLOODS_WITH_TRAILERS,
  /* Interim heads of this many KiB before the reply. */
  HAS_40_KIB_OF_INTERIM_HEADS,
  HAS_70_KIB_OF_INTERIM_HEADS,
  HAS_70_KIB_IN_ITS_HEAD,
  HAS_101_HEADERS,
  /* A second reply immediately after the first, or a little later. */
  ANSWERS_TWICE,
  ANSWERS_AGAIN_LATER
};

/* How many strays of ANSWERS_AGAIN_LATER were sent. */
static int late_replies;

struct hostile {
  char endpoint[64];
  int listener;
  pthread_t thread;
  enum behaviour of_first;
  enum behaviour of_describe_key;
  int connections;
};

struct visit {
  enum behaviour behaviour;
  enum behaviour of_describe_key;
  int connection;
};

static void pause_ms(long ms) {
  struct timespec pause;
  pause.tv_sec = ms / 1000;
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

/* False if the client has disconnected. */
static int sent(int connection, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t done = send(connection, bytes, len, MSG_NOSIGNAL);
    if (done <= 0) {
      return 0;
    }
    bytes += done;
    len -= (size_t)done;
  }
  return 1;
}

static int sent_text(int connection, const char *text) {
  return sent(connection, text, strlen(text));
}

/* For at most 3 seconds: the client should disconnect long before. */
static void flood(int connection, const char *beginning, const char *piece) {
  char block[32768];
  size_t len = 0;
  long began = now_ms();
  while (len + strlen(piece) < sizeof block) {
    memcpy(block + len, piece, strlen(piece));
    len += strlen(piece);
  }
  if (!sent_text(connection, beginning)) {
    return;
  }
  while (now_ms() - began < 3000 && sent(connection, block, len)) {
  }
}

static void answer_after(int connection, const char *piece, size_t bytes) {
  size_t done;
  for (done = 0; done < bytes; done += strlen(piece)) {
    if (!sent_text(connection, piece)) {
      return;
    }
  }
  sent_text(connection, ANSWER);
}

static void behave(int connection, enum behaviour behaviour) {
  static const char interim[] = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  int i;
  switch (behaviour) {
    case ANSWERS:
      sent_text(connection, ANSWER);
      break;
    case FLOODS_WITH_INTERIM_HEADS:
      flood(connection, "", "HTTP/1.1 100 Continue\r\n\r\n");
      break;
    case FLOODS_WITH_ONE_HEAD:
      flood(connection, "HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxx");
      break;
    case FLOODS_WITH_CHUNKS:
      flood(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n");
      break;
    case FLOODS_WITH_AN_EXTENSION:
      flood(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", "yyyyyyyyyyyyyyyy");
      break;
    case FLOODS_WITH_TRAILERS:
      flood(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n");
      break;
    case HAS_40_KIB_OF_INTERIM_HEADS:
      answer_after(connection, interim, 40 * 1024);
      break;
    case HAS_70_KIB_OF_INTERIM_HEADS:
      answer_after(connection, interim, 70 * 1024);
      break;
    case HAS_70_KIB_IN_ITS_HEAD:
      sent_text(connection, "HTTP/1.1 200 OK\r\n");
      for (i = 0; i < 70; i++) {
        char header[1100];
        snprintf(header, sizeof header, "X-%d: %01000d\r\n", i, 0);
        sent_text(connection, header);
      }
      sent_text(connection, "Content-Length: 0\r\n\r\n");
      break;
    case HAS_101_HEADERS:
      sent_text(connection, "HTTP/1.1 200 OK\r\n");
      for (i = 0; i < 101; i++) {
        sent_text(connection, "X: y\r\n");
      }
      sent_text(connection, "\r\n");
      break;
    case ANSWERS_TWICE: {
      char both[sizeof ANSWER + sizeof STRAY];
      snprintf(both, sizeof both, "%s%s", ANSWER, STRAY);
      sent_text(connection, both);
      break;
    }
    case ANSWERS_AGAIN_LATER:
      sent_text(connection, ANSWER);
      pause_ms(20);
      sent_text(connection, STRAY);
      __atomic_add_fetch(&late_replies, 1, __ATOMIC_RELEASE);
      break;
  }
}

static void *receive_visit(void *argument) {
  struct visit visit = *(struct visit *)argument;
  char *request = malloc(REQUEST_SIZE);
  CHECK(request != NULL);
  free(argument);
  while (read_request(visit.connection, request)) {
    behave(visit.connection, strstr(request, "DescribeKey") == NULL ? visit.behaviour : visit.of_describe_key);
  }
  free(request);
  close(visit.connection);
  return NULL;
}

static void *receive_visits(void *argument) {
  struct hostile *hostile = argument;
  for (;;) {
    struct visit *visit = malloc(sizeof *visit);
    pthread_t thread;
    CHECK(visit != NULL);
    visit->connection = accept(hostile->listener, NULL, NULL);
    if (visit->connection < 0) {
      free(visit);
      return NULL;
    }
    visit->behaviour = hostile->connections == 0 ? hostile->of_first : ANSWERS;
    visit->of_describe_key = hostile->of_describe_key;
    hostile->connections++;
    CHECK_INT(pthread_create(&thread, NULL, receive_visit, visit), 0);
    pthread_detach(thread);
  }
}

static void hostile_start(struct hostile *hostile, enum behaviour of_first, enum behaviour of_describe_key) {
  memset(hostile, 0, sizeof *hostile);
  hostile->of_first = of_first;
  hostile->of_describe_key = of_describe_key;
  hostile->listener = listening_socket(hostile->endpoint, sizeof hostile->endpoint);
  CHECK_INT(pthread_create(&hostile->thread, NULL, receive_visits, hostile), 0);
}

static void hostile_stop(struct hostile *hostile) {
  shutdown(hostile->listener, SHUT_RDWR);
  CHECK_INT(pthread_join(hostile->thread, NULL), 0);
  close(hostile->listener);
}

static tckms_client *client_with_attempts(const char *endpoint, int attempts) {
  tckms_config *config = config_for(endpoint);
  CHECK_OK(tckms_config_set_max_attempts(config, attempts));
  return client_of(config);
}

static tckms_status call(const tckms_client *client) {
  uint8_t bytes[16];
  return tckms_generate_random(client, bytes, sizeof bytes);
}

static long peak_kib(void) {
  struct rusage usage;
  CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
  return usage.ru_maxrss;
}

static void the_size_of_the_reply_is_bounded(void) {
  static const struct {
    enum behaviour behaviour;
    tckms_status status;
  } cases[] = {
      {HAS_40_KIB_OF_INTERIM_HEADS, TCKMS_OK},
      {HAS_70_KIB_OF_INTERIM_HEADS, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {HAS_70_KIB_IN_ITS_HEAD, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {HAS_101_HEADERS, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {FLOODS_WITH_INTERIM_HEADS, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {FLOODS_WITH_ONE_HEAD, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {FLOODS_WITH_CHUNKS, TCKMS_ERR_RESPONSE_TOO_LARGE},
      {FLOODS_WITH_AN_EXTENSION, TCKMS_ERR_CONNECTION_LOST},
      {FLOODS_WITH_TRAILERS, TCKMS_ERR_CONNECTION_LOST},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct hostile hostile;
    tckms_client *client;
    long before = peak_kib();
    long began = now_ms();
    hostile_start(&hostile, cases[i].behaviour, ANSWERS);
    client = client_with_attempts(hostile.endpoint, 1);
    CHECK_STATUS(call(client), cases[i].status);
    CHECK(now_ms() - began < 2000 + slack_ms());
    CHECK(peak_kib() - before < 16 * 1024 || getenv("TEST_SLACK_MS") != NULL);
    CHECK_OK(call(client));
    tckms_client_free(client);
    hostile_stop(&hostile);
  }
}

/* The unrequested reply would be wrong for the next call. */
static void a_second_reply_is_never_taken_for_the_next(void) {
  static const enum behaviour BEHAVIOURS[] = {ANSWERS_TWICE, ANSWERS_AGAIN_LATER};
  size_t i;
  int n;
  for (i = 0; i < 2; i++) {
    for (n = 0; n < 20; n++) {
      struct hostile hostile;
      tckms_client *client;
      int late = __atomic_load_n(&late_replies, __ATOMIC_ACQUIRE);
      hostile_start(&hostile, BEHAVIOURS[i], ANSWERS);
      client = client_with_attempts(hostile.endpoint, 1);
      CHECK_OK(call(client));
      CHECK_TEXT(tckms_last_request_id(), "good");
      while (BEHAVIOURS[i] == ANSWERS_AGAIN_LATER && __atomic_load_n(&late_replies, __ATOMIC_ACQUIRE) == late) {
        pause_ms(1);
      }
      CHECK_OK(call(client));
      CHECK_TEXT(tckms_last_request_id(), "good");
      CHECK_INT(hostile.connections, 2);
      tckms_client_free(client);
      hostile_stop(&hostile);
    }
  }
}

static int over;

static void *be_flooded(void *client) {
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    tckms_buffer response;
    if (tckms_call(client, "DescribeKey", "{}", &response) == TCKMS_OK) {
      check_failed(__FILE__, __LINE__, "a flood is no reply");
    }
  }
  return NULL;
}

static int by_value(const void *one, const void *other) {
  long difference = *(const long *)one - *(const long *)other;
  return (difference > 0) - (difference < 0);
}

static long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long)(now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* The median and the 90th percentile. */
static void latency_us(tckms_client *client, long *median, long *most) {
  enum { CALLS = 300 };
  static long times[CALLS];
  int i;
  for (i = 0; i < CALLS; i++) {
    long began = now_us();
    CHECK_OK(call(client));
    times[i] = now_us() - began;
    pause_ms(1);
  }
  qsort(times, CALLS, sizeof times[0], by_value);
  *median = times[CALLS / 2];
  *most = times[CALLS * 9 / 10];
}

/* The floods come over other connections of the same client. */
static void a_flood_does_not_delay_other_calls(enum behaviour behaviour) {
  enum { FLOODED = 4 };
  struct hostile hostile;
  tckms_client *client;
  pthread_t threads[FLOODED];
  long median[2];
  long most[2];
  int i;
  hostile_start(&hostile, ANSWERS, behaviour);
  client = client_with_attempts(hostile.endpoint, 1);
  latency_us(client, &median[0], &most[0]);
  __atomic_store_n(&over, 0, __ATOMIC_RELEASE);
  for (i = 0; i < FLOODED; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, be_flooded, client), 0);
  }
  latency_us(client, &median[1], &most[1]);
  __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
  for (i = 0; i < FLOODED; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  if (getenv("TEST_LATENCIES") != NULL) {
    fprintf(stderr, "%d: median %ld us, then %ld; nine of ten %ld us, then %ld\n", (int)behaviour, median[0], median[1],
            most[0], most[1]);
  }
  /* The server's threads need the processors too. */
  CHECK(median[1] - median[0] < 10000);
  tckms_client_free(client);
  hostile_stop(&hostile);
}

int main(void) {
  static const enum behaviour floods[] = {FLOODS_WITH_INTERIM_HEADS, FLOODS_WITH_ONE_HEAD, FLOODS_WITH_CHUNKS,
                                          FLOODS_WITH_AN_EXTENSION, FLOODS_WITH_TRAILERS};
  size_t i;
  the_size_of_the_reply_is_bounded();
  a_second_reply_is_never_taken_for_the_next();
  /* Latencies are not measured under valgrind. */
  for (i = 0; i < sizeof floods / sizeof floods[0] && getenv("TEST_SLACK_MS") == NULL; i++) {
    a_flood_does_not_delay_other_calls(floods[i]);
  }
  return checks_passed();
}
