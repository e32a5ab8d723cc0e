/*
 * Measures how much a hostile server delays the other calls of the same client.
 *
 * The server replies to GenerateRandom normally, and floods every request for DescribeKey. Calls of GenerateRandom are timed in rounds
 * of three phases: without a flood, during a flood, and during a load of the processors from outside the library. A busy machine
 * disturbs some rounds, so the least of the rounds' differences counts: of the medians, and of the 99th percentiles.
 *
 * The server is a separate process. Where that is allowed, everything except its floods has real-time priority, because the test
 * measures the library's network thread and not the competition for processors with other programs and the floods. Elsewhere only
 * the medians are compared.
 *
 * Arguments: the number of connections that are flooded at once, and the number of rounds. With TEST_FIGURES set, the
 * program writes a table to stderr.
 */
#define _GNU_SOURCE
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "clock.h"
#include "fixture.h"
#include "server.h"

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 72\r\n\r\n"
    "{\"Response\":{\"Plaintext\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"RequestId\":\"good\"}}";

static const char CHUNKED[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/* The reply to DescribeKey: a beginning, and a part that is repeated until the client disconnects. */
static const struct {
  const char *name;
  const char *beginning;
  const char *piece;
} FLOODS[] = {
    {"interim heads", "", "HTTP/1.1 100 Continue\r\n\r\n"},
    {"interim heads with fields", "", "HTTP/1.1 103 Early Hints\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n"},
    {"one endless head", "HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxx"},
    {"endless header fields", "HTTP/1.1 200 OK\r\n", "X: y\r\n"},
    {"chunks of one byte", CHUNKED, "1\r\n \r\n"},
    {"an endless chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", "yyyyyyyyyyyyyyyy"},
    {"endless trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"},
    /* The largest reply that the library reads, sent as fast as possible. It is not JSON, so the call fails at its end. */
    {"a reply of 1 MiB", "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", "                                "},
};

enum { FLOOD_KINDS = sizeof FLOODS / sizeof FLOODS[0], FLOODED_MAX = 31, ROUNDS_MAX = 64, CALLS = 100 };

/* Which of FLOODS is sent, for the server's process. */
static int *kind_of_flood;
static int is_real_time;

/* Sets the priority of the calling thread and the threads that it creates. */
static int set_real_time(int on) {
  struct sched_param parameters;
  parameters.sched_priority = on ? 1 : 0;
  return sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &parameters) == 0;
}

static void pause_us(long us) {
  struct timespec pause;
  pause.tv_sec = us / 1000000;
  pause.tv_nsec = us % 1000000 * 1000;
  nanosleep(&pause, NULL);
}

static long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long)(now.tv_sec * 1000000 + now.tv_nsec / 1000);
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

static void flood(int connection, const char *beginning, const char *piece) {
  static const size_t BLOCK = 65536;
  char *block = malloc(BLOCK);
  size_t len = 0;
  CHECK(block != NULL);
  while (len + strlen(piece) < BLOCK) {
    memcpy(block + len, piece, strlen(piece));
    len += strlen(piece);
  }
  if (sent(connection, beginning, strlen(beginning))) {
    while (sent(connection, block, len)) {
    }
  }
  free(block);
}

static void *receive_visit(void *argument) {
  int connection = *(int *)argument;
  char *request = malloc(REQUEST_SIZE);
  CHECK(request != NULL);
  free(argument);
  while (read_request(connection, request)) {
    if (strstr(request, "DescribeKey") != NULL) {
      int kind = __atomic_load_n(kind_of_flood, __ATOMIC_RELAXED);
      set_real_time(0);
      setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -20);
      flood(connection, FLOODS[kind].beginning, FLOODS[kind].piece);
      break;
    }
    if (!sent(connection, ANSWER, strlen(ANSWER))) {
      break;
    }
  }
  free(request);
  close(connection);
  return NULL;
}

static void serve(int listener) {
  for (;;) {
    pthread_t thread;
    int *connection = malloc(sizeof *connection);
    CHECK(connection != NULL);
    *connection = accept(listener, NULL, NULL);
    CHECK(*connection >= 0);
    CHECK_INT(pthread_create(&thread, NULL, receive_visit, connection), 0);
    pthread_detach(thread);
  }
}

static int over;
/* Calls that were flooded. */
static long floods;

static void *be_flooded(void *client) {
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    tckms_buffer response;
    if (tckms_call(client, "DescribeKey", "{}", &response) == TCKMS_OK) {
      check_failed(__FILE__, __LINE__, "a flood is no reply");
    }
    __atomic_add_fetch(&floods, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

/* As busy as a network thread that always has work. */
static void *be_busy(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
  }
  return NULL;
}

static int by_value(const void *one, const void *other) {
  long difference = *(const long *)one - *(const long *)other;
  return (difference > 0) - (difference < 0);
}

struct latency {
  long median;
  long p99;
};

static struct latency measure(const tckms_client *client) {
  long times[CALLS];
  struct latency latency;
  int i;
  for (i = 0; i < CALLS; i++) {
    uint8_t bytes[16];
    long began = now_us();
    CHECK_OK(tckms_generate_random(client, bytes, sizeof bytes));
    times[i] = now_us() - began;
    pause_us(1000);
  }
  qsort(times, CALLS, sizeof times[0], by_value);
  latency.median = times[CALLS / 2];
  latency.p99 = times[CALLS * 99 / 100 - 1];
  return latency;
}

/* Measures while `count` threads do other work. */
static struct latency measure_beside(tckms_client *client, void *(*work)(void *), int count) {
  pthread_t threads[FLOODED_MAX];
  struct latency latency;
  int i;
  __atomic_store_n(&over, 0, __ATOMIC_RELEASE);
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, work, client), 0);
  }
  pause_us(20000);
  latency = measure(client);
  __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  return latency;
}

static long median_of(long *values, int count) {
  qsort(values, (size_t)count, sizeof values[0], by_value);
  return values[count / 2];
}

static long least_of(const long *values, int count) {
  long least = values[0];
  int i;
  for (i = 1; i < count; i++) {
    least = values[i] < least ? values[i] : least;
  }
  return least;
}

static void a_flood_delays_no_other_call(tckms_client *client, int kind, int flooded, int rounds) {
  long median[ROUNDS_MAX];
  long p99[ROUNDS_MAX];
  long busy_median[ROUNDS_MAX];
  long busy_p99[ROUNDS_MAX];
  long quiet_p99[ROUNDS_MAX];
  /* Each flooded connection takes one turn of the network thread before the next reply is read. */
  long limit = flooded == 1 ? 10000 : 30000;
  long allowed;
  int i;
  __atomic_store_n(kind_of_flood, kind, __ATOMIC_RELAXED);
  __atomic_store_n(&floods, 0, __ATOMIC_RELAXED);
  for (i = 0; i < rounds; i++) {
    struct latency quiet = measure(client);
    struct latency attacked = measure_beside(client, be_flooded, flooded);
    struct latency busy = measure_beside(client, be_busy, 1);
    quiet_p99[i] = quiet.p99;
    median[i] = attacked.median - quiet.median;
    p99[i] = attacked.p99 - quiet.p99;
    busy_median[i] = busy.median - quiet.median;
    busy_p99[i] = busy.p99 - quiet.p99;
  }
  if (getenv("TEST_FIGURES") != NULL) {
    fprintf(stderr, "%-28s %2d connections: median %+6ld us, p99 %+6ld us; busy processor: median %+6ld, p99 %+6ld; quiet p99 %ld; %ld floods\n",
            FLOODS[kind].name, flooded, median_of(median, rounds), median_of(p99, rounds),
            median_of(busy_median, rounds), median_of(busy_p99, rounds), median_of(quiet_p99, rounds), floods);
  }
  /* Other programs disturb some rounds; a library that lets a flood starve other calls is slow in all. */
  CHECK(least_of(median, rounds) < limit);
  /* What a busy processor alone delays is not the library's. */
  allowed = median_of(busy_p99, rounds);
  CHECK(least_of(p99, rounds) < limit + (allowed > 0 ? allowed : 0) || !is_real_time);
}

int main(int count, char **arguments) {
  char endpoint[64];
  int listener = listening_socket(endpoint, sizeof endpoint);
  tckms_config *config = config_for(endpoint);
  tckms_client *client;
  pid_t server;
  int kind;
  CHECK_INT(count, 3);
  CHECK(atoi(arguments[1]) <= FLOODED_MAX && atoi(arguments[2]) <= ROUNDS_MAX);
  kind_of_flood = mmap(NULL, sizeof *kind_of_flood, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(kind_of_flood != MAP_FAILED);
  is_real_time = set_real_time(1);
  server = fork();
  CHECK(server >= 0);
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(listener);
  }
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  for (kind = 0; kind < FLOOD_KINDS; kind++) {
    a_flood_delays_no_other_call(client, kind, atoi(arguments[1]), atoi(arguments[2]));
  }
  tckms_client_free(client);
  CHECK_INT(kill(server, SIGKILL), 0);
  return checks_passed();
}
