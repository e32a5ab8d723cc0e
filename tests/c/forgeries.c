/*
 * A flood of forged messages, and authentic messages during and after it. A forged message is an authentic one with another wrapped
 * key, so each one costs a useless request.
 *
 * With TEST_FIGURES set, the program writes its measurements to stderr.
 */
#include "check.h"

#include <pthread.h>

#include "admin.h"
#include "clock.h"
#include "fixture.h"

#define FORGED 1000
#define HONEST 20
#define FLOODING_THREADS 8
#define LONG_MS 60000

static const char *const TENANT = "{\"tenant\":\"0000000\"}";
static const char *const OTHER_TENANT = "{\"tenant\":\"7654321\"}";
static tckms_client *client;

static void pause_ms(long ms) {
  struct timespec pause;
  pause.tv_sec = ms / 1000;
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

static void figure(const char *what, long number) {
  if (getenv("TEST_FIGURES") != NULL) {
    fprintf(stderr, "%s: %ld\n", what, number);
  }
}

static tckms_keyring *new_keyring(const tckms_client *of, int with_cache) {
  const tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  tckms_keyring *keyring = tckms_keyring_new();
  CHECK_OK(tckms_keyring_add_kms(keyring, of, MAIN_KEY));
  if (with_cache) {
    CHECK_OK(tckms_keyring_set_cache(keyring, &limits, sizeof limits));
  }
  return keyring;
}

static tckms_buffer sealed(const tckms_keyring *keyring, const char *context) {
  tckms_buffer message = TCKMS_BUFFER_INIT;
  CHECK_OK(tckms_seal(keyring, "x", 1, context, &message));
  return message;
}

static void open_honest(const tckms_keyring *keyring, const tckms_buffer *message, const char *expected) {
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  CHECK_OK(tckms_open(keyring, message->data, message->len, expected, &plaintext));
  CHECK_BYTES(plaintext, "x", 1);
  tckms_buffer_free(&plaintext);
}

static uint8_t *find(uint8_t *bytes, size_t len, const char *text) {
  size_t at;
  for (at = 0; at + strlen(text) <= len; at++) {
    if (memcmp(bytes + at, text, strlen(text)) == 0) {
      return bytes + at;
    }
  }
  check_failed(__FILE__, __LINE__, "the message is without \"%s\"", text);
  return NULL;
}

/* The number of the next forged message; all numbers are different. */
static unsigned long numbers = 0;

/* Changes the wrapped key of a message and, on request, the tenant in its context. */
static unsigned long forge(tckms_buffer *message, int with_context) {
  unsigned long number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
  char text[9];
  snprintf(text, sizeof text, "%08lx", number);
  memcpy(find(message->data, message->len, MAIN_KEY) + strlen(MAIN_KEY) + 2 + 24, text, 8);
  if (with_context) {
    snprintf(text, sizeof text, "%07lu", number);
    memcpy(find(message->data, message->len, "tenant") + strlen("tenant") + 2, text, 7);
  }
  return number;
}

static tckms_status open_forged(const tckms_keyring *keyring, tckms_buffer *message, int with_context) {
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  tckms_status status;
  forge(message, with_context);
  status = tckms_open(keyring, message->data, message->len, NULL, &plaintext);
  CHECK(status != TCKMS_OK);
  CHECK_EMPTY(plaintext);
  return status;
}

static uint64_t calls(void) {
  tckms_stats stats;
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  return stats.calls;
}

/* Messages with different data keys, which `keyring` has not opened yet. */
static void seal_all(tckms_buffer messages[HONEST], const char *context) {
  tckms_keyring *writer = new_keyring(client, 0);
  size_t i;
  for (i = 0; i < HONEST; i++) {
    messages[i] = sealed(writer, context);
  }
  tckms_keyring_free(writer);
}

/* Opens and frees them. Returns the longest time of one call. */
static long open_all(const tckms_keyring *keyring, tckms_buffer messages[HONEST], const char *expected) {
  long longest = 0;
  size_t i;
  for (i = 0; i < HONEST; i++) {
    long begun = now_ms();
    open_honest(keyring, &messages[i], expected);
    longest = now_ms() - begun > longest ? now_ms() - begun : longest;
    tckms_buffer_free(&messages[i]);
  }
  return longest;
}

static void honest_messages_open_after_a_flood(void) {
  tckms_keyring *reader = new_keyring(client, 1);
  tckms_keyring *writer = new_keyring(client, 1);
  tckms_buffer cached[HONEST];
  tckms_buffer others[HONEST];
  tckms_buffer forged;
  int is_slow = getenv("TEST_SLACK_MS") != NULL;
  uint64_t before;
  long begun;
  size_t i;
  for (i = 0; i < HONEST; i++) {
    cached[i] = sealed(writer, TENANT);
  }
  forged = sealed(writer, TENANT);
  seal_all(others, TENANT);
  open_honest(reader, &cached[0], NULL);
  /* With a short timeout, messages without a token are refused at once. Under valgrind it would be too short for a request. */
  CHECK_OK(tckms_keyring_set_total_timeout_ms(reader, is_slow ? LONG_MS : 50));
  before = calls();
  begun = now_ms();
  for (i = 0; i < (is_slow ? FORGED / 5 : FORGED); i++) {
    open_forged(reader, &forged, (int)i % 2);
  }
  figure("requests for 1000 forged messages", (long)(calls() - before));
  CHECK(calls() - before <= 120 + 10 * ((uint64_t)(now_ms() - begun) / 1000 + 1));
  CHECK_OK(tckms_keyring_set_total_timeout_ms(reader, LONG_MS));
  before = calls();
  for (i = 0; i < HONEST; i++) {
    open_honest(reader, &cached[i], NULL);
    tckms_buffer_free(&cached[i]);
  }
  CHECK_INT(calls(), before);
  begun = now_ms();
  open_all(reader, others, NULL);
  figure("ms for 20 honest messages whose keys are not cached, after the flood", now_ms() - begun);
  CHECK(now_ms() - begun < slack_ms());
  CHECK_INT(calls(), before + HONEST);
  tckms_buffer_free(&forged);
  tckms_keyring_free(writer);
  tckms_keyring_free(reader);
}

/* Opens forged messages on many threads until it is stopped. */
typedef struct {
  const tckms_keyring *reader;
  tckms_buffer original;
  int with_context;
  int stop;
  pthread_t threads[FLOODING_THREADS];
} flood;

static tckms_buffer copy_of(const tckms_buffer *message) {
  tckms_buffer copy;
  copy.len = message->len;
  copy.data = malloc(copy.len);
  CHECK(copy.data != NULL);
  memcpy(copy.data, message->data, copy.len);
  return copy;
}

static void *flooding(void *data) {
  flood *the = data;
  tckms_buffer message;
  message = copy_of(&the->original);
  while (!__atomic_load_n(&the->stop, __ATOMIC_RELAXED)) {
    open_forged(the->reader, &message, the->with_context);
  }
  free(message.data);
  return NULL;
}

static void begin_flood(flood *the, const tckms_keyring *reader, const tckms_buffer *original, int with_context) {
  size_t i;
  the->reader = reader;
  the->original = copy_of(original);
  the->with_context = with_context;
  the->stop = 0;
  for (i = 0; i < FLOODING_THREADS; i++) {
    CHECK_INT(pthread_create(&the->threads[i], NULL, flooding, the), 0);
  }
}

static void end_flood(flood *the) {
  size_t i;
  __atomic_store_n(&the->stop, 1, __ATOMIC_RELAXED);
  for (i = 0; i < FLOODING_THREADS; i++) {
    CHECK_INT(pthread_join(the->threads[i], NULL), 0);
  }
  free(the->original.data);
}

/* Waits until the flood has used all tokens. */
static void use_up(void) {
  long begun = now_ms();
  uint64_t before = calls();
  while (calls() - before < 110) {
    CHECK(now_ms() - begun < LONG_MS);
    pause_ms(1);
  }
}

/* The forged messages have contexts that have not opened before; the authentic ones have a known context. */
static void a_flood_of_unknown_contexts_does_not_delay_known_ones(void) {
  tckms_keyring *reader = new_keyring(client, 1);
  tckms_buffer honest[HONEST];
  tckms_buffer first;
  flood running;
  long longest;
  seal_all(honest, OTHER_TENANT);
  first = honest[0];
  open_honest(reader, &first, NULL);
  begin_flood(&running, reader, &first, 1);
  use_up();
  longest = open_all(reader, honest, NULL);
  figure("longest ms for an honest message of a known context, during a flood of 8 threads", longest);
  CHECK(longest < slack_ms());
  end_flood(&running);
  tckms_keyring_free(reader);
}

/* The author of a message does not choose the pairs that the caller expects, so these distinguish messages with new contexts. */
static void the_expected_pairs_tell_messages_apart(void) {
  tckms_keyring *reader = new_keyring(client, 0);
  tckms_keyring *writer = new_keyring(client, 0);
  tckms_buffer honest[HONEST];
  tckms_buffer original = sealed(writer, TENANT);
  flood running;
  long longest = 0;
  size_t i;
  for (i = 0; i < HONEST; i++) {
    char context[64];
    snprintf(context, sizeof context, "{\"file\":\"%lu\",\"owner\":\"me\"}", (unsigned long)i);
    honest[i] = sealed(writer, context);
  }
  open_honest(reader, &honest[0], "{\"owner\":\"me\"}");
  begin_flood(&running, reader, &original, 1);
  use_up();
  longest = open_all(reader, honest, "{\"owner\":\"me\"}");
  figure("longest ms with expected pairs that are known, during a flood of 8 threads", longest);
  CHECK(longest < slack_ms());
  end_flood(&running);
  tckms_buffer_free(&original);
  tckms_keyring_free(writer);
  tckms_keyring_free(reader);
}

/* Authentic messages that cannot be distinguished from forged ones wait in the same order, and all of them open. */
static void messages_like_those_of_the_flood_wait_for_their_turn(void) {
  tckms_keyring *reader = new_keyring(client, 0);
  tckms_buffer honest[HONEST];
  tckms_buffer original;
  flood running;
  long longest;
  seal_all(honest, TENANT);
  original = honest[0];
  begin_flood(&running, reader, &original, 0);
  use_up();
  longest = open_all(reader, honest, NULL);
  figure("longest ms for an honest message like those of the flood of 8 threads", longest);
  CHECK(longest < 1000 + slack_ms());
  end_flood(&running);
  tckms_keyring_free(reader);
}

static void *cancel_later(void *data) {
  pause_ms(100);
  CHECK_OK(tckms_client_cancel(data));
  return NULL;
}

static unsigned long warnings = 0;

static void on_log(void *userdata, const tckms_log_event *event) {
  (void)userdata;
  if (strstr(tckms_log_event_message(event), "too many messages did not open") != NULL) {
    CHECK_INT(tckms_log_event_level(event), TCKMS_LOG_WARN);
    __atomic_add_fetch(&warnings, 1, __ATOMIC_RELAXED);
  }
}

/* A wait ends with the call's timeout or the cancellation of the client, and is logged. */
static void a_wait_for_a_turn_is_limited(void) {
  tckms_config *config = emulator_config();
  tckms_client *canceled;
  tckms_keyring *reader;
  tckms_keyring *other = new_keyring(client, 0);
  tckms_buffer honest[HONEST];
  tckms_buffer forged;
  tckms_buffer plaintext = TCKMS_BUFFER_INIT;
  flood running;
  pthread_t thread;
  long begun;
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_WARN, on_log, NULL, NULL));
  canceled = client_of(config);
  reader = new_keyring(canceled, 0);
  seal_all(honest, TENANT);
  forged = copy_of(&honest[0]);
  /* After a useless request, the next token is available in 100 ms. */
  do {
    CHECK_OK(tckms_keyring_set_total_timeout_ms(reader, LONG_MS));
    open_forged(reader, &forged, 0);
    CHECK_OK(tckms_keyring_set_total_timeout_ms(reader, 1));
  } while (open_forged(reader, &forged, 0) != TCKMS_ERR_OPEN_LIMITED);
  CHECK(tckms_error_retryable(tckms_last_error()));
  CHECK(tckms_error_retry_after_ms(tckms_last_error()) > 0);
  free(forged.data);
  CHECK_OK(tckms_keyring_set_total_timeout_ms(reader, LONG_MS));
  begin_flood(&running, reader, &honest[0], 0);
  while (__atomic_load_n(&warnings, __ATOMIC_RELAXED) < FLOODING_THREADS) {
    pause_ms(1);
  }
  begun = now_ms();
  CHECK_INT(pthread_create(&thread, NULL, cancel_later, canceled), 0);
  CHECK_STATUS(tckms_open(reader, honest[1].data, honest[1].len, NULL, &plaintext), TCKMS_ERR_CANCELED);
  CHECK(now_ms() - begun < slack_ms());
  CHECK_INT(pthread_join(thread, NULL), 0);
  end_flood(&running);
  open_all(other, honest, NULL);
  tckms_keyring_free(other);
  tckms_keyring_free(reader);
  tckms_client_free(canceled);
}

/* A queue has few workers. Not all of them wait for a turn, so messages that need no request do not wait. */
static void a_flood_does_not_take_all_workers_of_a_queue(void) {
  const tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
  tckms_keyring *reader = new_keyring(client, 1);
  tckms_keyring *writer = new_keyring(client, 1);
  tckms_buffer honest = sealed(writer, TENANT);
  tckms_buffer forged = sealed(writer, TENANT);
  tckms_queue *queue = NULL;
  uint64_t id = 0;
  unsigned long refused = 0;
  long begun;
  int i;
  CHECK_OK(tckms_queue_new(&options, sizeof options, &queue));
  open_honest(reader, &honest, NULL);
  for (i = 0; i < 400; i++) {
    forge(&forged, 0);
    CHECK_OK(tckms_submit_open(queue, reader, forged.data, forged.len, NULL, LONG_MS, NULL, NULL));
  }
  CHECK_OK(tckms_submit_open(queue, reader, honest.data, honest.len, NULL, LONG_MS, NULL, &id));
  begun = now_ms();
  for (i = 0; i < 401; i++) {
    tckms_completion *completion = NULL;
    tckms_status status;
    CHECK_OK(tckms_queue_wait(queue, LONG_MS));
    CHECK_OK(tckms_queue_next(queue, &completion));
    status = tckms_completion_status(completion);
    if (tckms_completion_id(completion) == id) {
      CHECK_INT(status, TCKMS_OK);
      figure("ms until a message whose key is cached opened, behind 400 forged ones in a queue", now_ms() - begun);
      CHECK(now_ms() - begun < 5000 + slack_ms());
    } else {
      CHECK(status != TCKMS_OK);
      refused += status == TCKMS_ERR_OPEN_LIMITED;
    }
    tckms_completion_free(completion);
  }
  CHECK(refused > 100);
  tckms_queue_free(queue);
  tckms_buffer_free(&honest);
  tckms_buffer_free(&forged);
  tckms_keyring_free(writer);
  tckms_keyring_free(reader);
}

int main(void) {
  client = emulator_client();
  honest_messages_open_after_a_flood();
  a_flood_of_unknown_contexts_does_not_delay_known_ones();
  the_expected_pairs_tell_messages_apart();
  messages_like_those_of_the_flood_wait_for_their_turn();
  a_wait_for_a_turn_is_limited();
  a_flood_does_not_take_all_workers_of_a_queue();
  tckms_client_free(client);
  return checks_passed();
}
