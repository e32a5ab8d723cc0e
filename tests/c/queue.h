/* A queue as a program with an event loop uses it. */
#ifndef QUEUE_H
#define QUEUE_H

#include "check.h"

#include <poll.h>

#include "fixture.h"

#define LONG_MS 60000
#define PLAINTEXT "correct horse battery staple"

static inline void pause_ms(int ms) {
  poll(NULL, 0, ms);
}

static inline tckms_queue *new_queue(uint64_t depth) {
  tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
  tckms_queue *queue = NULL;
  options.depth = depth;
  CHECK_OK(tckms_queue_new(&options, sizeof options, &queue));
  CHECK(queue != NULL);
  return queue;
}

static inline int fd_of(tckms_queue *queue) {
  int fd = -2;
  CHECK_OK(tckms_queue_fd(queue, &fd));
  CHECK(fd > 2);
  return fd;
}

static inline int is_readable(int fd) {
  struct pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

/* The next completion, as a program with an event loop gets it. */
static inline tckms_completion *take(tckms_queue *queue) {
  tckms_completion *completion = NULL;
  struct pollfd polled = {0, POLLIN, 0};
  polled.fd = fd_of(queue);
  CHECK_INT(poll(&polled, 1, LONG_MS), 1);
  CHECK_OK(tckms_queue_next(queue, &completion));
  CHECK(completion != NULL);
  return completion;
}

static inline tckms_buffer take_output(tckms_queue *queue, uint64_t id) {
  tckms_completion *completion = take(queue);
  tckms_buffer output = TCKMS_BUFFER_INIT;
  CHECK_INT(tckms_completion_status(completion), TCKMS_OK);
  CHECK(tckms_completion_error(completion) == NULL);
  CHECK_INT(tckms_completion_id(completion), id);
  CHECK_OK(tckms_completion_take_output(completion, &output));
  CHECK_INT(tckms_completion_output(completion)->len, 0);
  tckms_completion_free(completion);
  return output;
}

static inline tckms_status take_status(tckms_queue *queue, uint64_t id) {
  tckms_completion *completion = take(queue);
  tckms_status status = tckms_completion_status(completion);
  CHECK_INT(tckms_completion_id(completion), id);
  CHECK((tckms_completion_error(completion) == NULL) == (status == TCKMS_OK));
  tckms_completion_free(completion);
  return status;
}

static inline uint64_t submit(tckms_queue *queue, tckms_client *client) {
  uint64_t id = 0;
  CHECK_OK(tckms_submit_encrypt(queue, client, MAIN_KEY, PLAINTEXT, strlen(PLAINTEXT), NULL, LONG_MS, NULL, &id));
  CHECK(id != 0);
  return id;
}

#endif
