/*
 * Many calls through one queue and one thread. The first argument selects one of two tests:
 *
 *     throughput   500 Encrypts are outstanding at all times, against a service that takes 50 ms for each
 *     faults       many calls with scripted faults, of which some are canceled: each completes exactly once
 *
 * TEST_CALLS sets the number of calls, for longer tests.
 */
#define _GNU_SOURCE

#include "check.h"

#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include "admin.h"
#include "clock.h"
#include "fixture.h"

enum { OUTSTANDING = 500, LATENCY_MS = 50, IDS_MAX = 1000000 };

static unsigned char times_done[IDS_MAX];
/* The longest time of one of the event loop's functions, and how often one took more than a millisecond. */
static double longest_us;
static long stalls;

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

/* The number of involuntary context switches of this thread. */
static long preemptions(void) {
  struct rusage usage;
  CHECK_INT(getrusage(RUSAGE_THREAD, &usage), 0);
  return usage.ru_nivcsw;
}

struct interval {
  double began;
  long preemptions;
};

static struct interval begin(void) {
  struct interval interval;
  interval.preemptions = preemptions();
  interval.began = now_us();
  return interval;
}

/* An interval with a context switch does not count, because the machine ran another thread. */
static void end(struct interval interval) {
  double us = now_us() - interval.began;
  if (preemptions() == interval.preemptions) {
    longest_us = us > longest_us ? us : longest_us;
    stalls += us > 1000;
  }
}

static long calls_wanted(long usual) {
  const char *given = getenv("TEST_CALLS");
  return given == NULL ? usual : atol(given);
}

static uint64_t submit(tckms_queue *queue, tckms_client *client, int64_t timeout_ms) {
  uint64_t id = 0;
  struct interval interval = begin();
  CHECK_OK(tckms_submit_encrypt(queue, client, MAIN_KEY, "a secret", 8, NULL, timeout_ms, NULL, &id));
  end(interval);
  CHECK(id < IDS_MAX);
  return id;
}

static tckms_completion *take(tckms_queue *queue) {
  tckms_completion *completion = NULL;
  struct interval interval = begin();
  tckms_status status = tckms_queue_next(queue, &completion);
  end(interval);
  CHECK(status == TCKMS_OK || status == TCKMS_ERR_AGAIN);
  if (completion != NULL) {
    CHECK_INT(times_done[tckms_completion_id(completion)]++, 0);
  }
  return completion;
}

static tckms_client *client_with_connections(void) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_max_connections(config, OUTSTANDING));
  CHECK_OK(tckms_config_set_max_idle_connections(config, OUTSTANDING));
  return client_of(config);
}

static void throughput(void) {
  tckms_client *client = client_with_connections();
  long wanted = calls_wanted(3000), submitted, done = 0;
  tckms_queue *queue = NULL;
  char script[128];
  struct pollfd polled = {0, POLLIN, 0};
  double began, rate;
  snprintf(script, sizeof script, "[{\"fault\":{\"kind\":\"delay\",\"ms\":%d},\"times\":1000000}]", LATENCY_MS);
  set_faults(script);
  CHECK_OK(tckms_queue_new(NULL, 0, &queue));
  CHECK_OK(tckms_queue_fd(queue, &polled.fd));
  /* The connections are opened before the time counts. */
  for (submitted = 0; submitted < OUTSTANDING; submitted++) {
    submit(queue, client, 60000);
  }
  while (done < OUTSTANDING) {
    tckms_completion *completion;
    CHECK_INT(poll(&polled, 1, 60000), 1);
    while ((completion = take(queue)) != NULL) {
      tckms_completion_free(completion);
      submit(queue, client, 60000);
      done++;
    }
  }
  began = now_us();
  for (submitted = 0, done = 0; done < wanted;) {
    tckms_completion *completion;
    CHECK_INT(poll(&polled, 1, 60000), 1);
    while (done < wanted && (completion = take(queue)) != NULL) {
      CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
      tckms_completion_free(completion);
      submit(queue, client, 60000);
      done++;
    }
  }
  rate = done * 1e6 / (now_us() - began);
  if (getenv("TEST_VERBOSE") != NULL) {
    fprintf(stderr, "%.0f calls/s; the library's functions took at most %.0f us, and %ld times more than 1 ms\n", rate, longest_us,
            stalls);
  }
  clear_faults();
  /* The service's maximum is 10000 per second. A busy machine reaches a part of that, and may preempt the thread that holds a lock. */
  CHECK(rate > 200);
  CHECK(stalls * 100 <= done);
  tckms_queue_free(queue);
  tckms_client_free(client);
}

static const char FAULTS[] =
    "[{\"fault\":{\"kind\":\"delay\",\"ms\":30},\"times\":50},{\"fault\":{\"kind\":\"close_before_reading\"},\"times\":20},"
    "{\"fault\":{\"kind\":\"close_after_reading\"},\"times\":20},{\"fault\":{\"kind\":\"reset_reply\",\"after_bytes\":100},"
    "\"times\":20},{\"fault\":{\"kind\":\"truncate_body\",\"keep_bytes\":10},\"times\":20},{\"fault\":{\"kind\":\"error\","
    "\"code\":\"InternalError\"},\"times\":20},{\"fault\":{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"},\"times\":20},"
    "{\"fault\":{\"kind\":\"status\",\"status\":503},\"times\":20},{\"fault\":{\"kind\":\"bad_gateway\"},\"times\":20},"
    "{\"fault\":{\"kind\":\"garbage\"},\"times\":20},{\"fault\":{\"kind\":\"no_response\"},\"times\":20},"
    "{\"fault\":{\"kind\":\"close_connection\"},\"times\":5},{\"fault\":{\"kind\":\"delay\",\"ms\":2000},\"times\":5}]";

static void faults(void) {
  tckms_client *client = client_with_connections();
  long wanted = calls_wanted(6000), submitted = 0, done = 0, succeeded = 0, canceled = 0;
  uint64_t last = 0;
  tckms_queue *queue = NULL;
  struct pollfd polled = {0, POLLIN, 0};
  CHECK_OK(tckms_queue_new(NULL, 0, &queue));
  CHECK_OK(tckms_queue_fd(queue, &polled.fd));
  while (done < wanted) {
    tckms_completion *completion;
    if (submitted % 1000 == 0) {
      set_faults(FAULTS);
    }
    while (submitted < wanted && submitted - done < OUTSTANDING) {
      last = submit(queue, client, submitted % 97 == 0 ? 1 + submitted % 50 : 60000);
      submitted++;
      /* Cancels calls at different stages: one that just began, and one that has been running for a while. */
      if (submitted % 13 == 0) {
        tckms_status status = tckms_cancel(queue, submitted % 2 == 0 || last < 100 ? last : last - 90);
        CHECK(status == TCKMS_OK || status == TCKMS_ERR_NOT_OUTSTANDING);
      }
      if (submitted % 1000 == 0) {
        break;
      }
    }
    CHECK_INT(poll(&polled, 1, 60000), 1);
    while ((completion = take(queue)) != NULL) {
      succeeded += tckms_completion_status(completion) == TCKMS_OK;
      canceled += tckms_completion_status(completion) == TCKMS_ERR_CANCELED;
      tckms_completion_free(completion);
      done++;
    }
  }
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  CHECK_INT(done, submitted);
  CHECK(succeeded > wanted / 2 && canceled > 0);
  clear_faults();
  tckms_queue_free(queue);
  tckms_client_free(client);
}

int main(int argc, char **argv) {
  CHECK_INT(argc, 2);
  if (strcmp(argv[1], "throughput") == 0) {
    throughput();
  } else {
    faults();
  }
  return checks_passed();
}
