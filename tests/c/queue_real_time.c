/* A thread with a real-time priority takes completions on the processor of the network thread, which has no such priority. */
#define _GNU_SOURCE

#include "check.h"

#include <sched.h>
#include <time.h>

#include "fixture.h"
#include "queue.h"

enum { CALLS = 50 };

/* The processor time of this thread, which does not depend on what else the machine does. */
static long cpu_us(void) {
  struct timespec now;
  CHECK_INT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
  return (long)(now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

static void share_one_processor(void) {
  cpu_set_t allowed, one;
  int cpu = 0;
  CHECK_INT(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  while (!CPU_ISSET(cpu, &allowed)) {
    cpu++;
  }
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
}

int main(void) {
  struct sched_param real_time;
  tckms_client *client = emulator_client();
  tckms_queue *queue = new_queue(0);
  struct pollfd polled = {0, POLLIN, 0};
  long most = 0;
  int count;
  memset(&real_time, 0, sizeof real_time);
  real_time.sched_priority = 10;
  share_one_processor();
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
  polled.fd = fd_of(queue);
  CHECK_INT(sched_setscheduler(0, SCHED_FIFO, &real_time), 0);
  for (count = 0; count < CALLS; count++) {
    tckms_completion *completion = NULL;
    long before, used;
    submit(queue, client);
    CHECK_INT(poll(&polled, 1, LONG_MS), 1);
    before = cpu_us();
    CHECK_OK(tckms_queue_next(queue, &completion));
    used = cpu_us() - before;
    most = used > most ? used : most;
    CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
    tckms_completion_free(completion);
  }
  if (getenv("TEST_VERBOSE") != NULL) {
    fprintf(stderr, "tckms_queue_next() took %ld us of the processor at most\n", most);
  }
  CHECK(most < 50000);
  tckms_queue_free(queue);
  tckms_client_free(client);
  return checks_passed();
}
