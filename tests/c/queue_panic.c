/* The network thread of a client panics: every call that it had is done, and the next call has a new thread. Only a library
 * built for the tests has the function that panics. */
#include "check.h"

#include "admin.h"
#include "fixture.h"
#include "queue.h"

enum { CALLS = 50 };

TCKMS_WARN_UNUSED
tckms_status tckms_test_submit_panic(const tckms_queue *queue, const tckms_client *client);

static void every_call_is_done(tckms_queue *queue, tckms_client *client, tckms_client *other) {
  int times_done[CALLS + 2] = {0};
  uint64_t first, id;
  int count;
  set_fault("*", "{\"kind\":\"delay\",\"ms\":20000}", CALLS);
  first = submit(queue, client);
  for (count = 1; count < CALLS; count++) {
    CHECK_INT(submit(queue, client), first + count);
  }
  pause_ms(100);
  CHECK_OK(tckms_test_submit_panic(queue, client));
  for (count = 0; count <= CALLS; count++) {
    tckms_completion *completion = take(queue);
    id = tckms_completion_id(completion) - first;
    CHECK(id <= CALLS && !times_done[id]++);
    CHECK_INT(tckms_completion_status(completion), TCKMS_ERR_TRANSPORT_UNAVAILABLE);
    CHECK(tckms_error_message(tckms_completion_error(completion))[0] != 0);
    tckms_completion_free(completion);
  }
  CHECK_INT(tckms_queue_outstanding(queue), 0);
  clear_faults();
  /* The thread of another client goes on. */
  CHECK_INT(take_status(queue, submit(queue, other)), TCKMS_OK);
  CHECK_INT(take_status(queue, submit(queue, client)), TCKMS_OK);
}

int main(void) {
  tckms_client *client = emulator_client();
  tckms_client *other = emulator_client();
  tckms_queue *queue = new_queue(0);
  int count;
  for (count = 0; count < 3; count++) {
    every_call_is_done(queue, client, other);
  }
  /* Freed while the calls of a thread that ends are in it. */
  submit(queue, client);
  CHECK_OK(tckms_test_submit_panic(queue, client));
  tckms_queue_free(queue);
  tckms_client_free(client);
  tckms_client_free(other);
  return checks_passed();
}
