/* All threads of a process share one client, with scripted faults, and the client leaks no resources. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/resource.h>

#include "process.h"

enum { THREADS = 64, SMALL_STACK = 64 * 1024 };

/* A number that the harness sets, smaller for a slow build. */
static int number_given(const char *name, int otherwise) {
  const char *value = getenv(name);
  return value == NULL ? otherwise : atoi(value);
}

struct worker {
  pthread_t thread;
  const tckms_client *client;
  int calls;
  int succeeded;
  int failed[1000 / 100];
};

/* A call with one of the faults below ends with one of these statuses, and its error has the matching detail. */
static void account_for_failure(struct worker *worker, tckms_status status, const tckms_buffer *out) {
  const tckms_error *error = tckms_last_error();
  CHECK_EMPTY(*out);
  CHECK_INT(tckms_error_status(error), status);
  CHECK(tckms_error_attempts(error) >= 1 && tckms_error_attempts(error) <= 4);
  switch (tckms_status_category(status)) {
    case TCKMS_CATEGORY_TRANSPORT:
    case TCKMS_CATEGORY_UNAVAILABLE:
    case TCKMS_CATEGORY_REQUEST:
    case TCKMS_CATEGORY_INTEGRITY:
      worker->failed[tckms_status_category(status) / 100]++;
      return;
    default:
      check_failed(__FILE__, __LINE__, "a call among faults is %s", tckms_status_name(status));
  }
}

static void *work(void *argument) {
  struct worker *worker = argument;
  char secret[32];
  int i;
  snprintf(secret, sizeof secret, "secret of %p", argument);
  for (i = 0; i < worker->calls; i += 2) {
    tckms_buffer blob = garbage();
    tckms_buffer plaintext = garbage();
    tckms_status status = tckms_encrypt(worker->client, MAIN_KEY, secret, strlen(secret), NULL, &blob);
    if (status != TCKMS_OK) {
      account_for_failure(worker, status, &blob);
      /* Another call instead of Decrypt, which has no input. */
      status = tckms_call(worker->client, "GetServiceStatus", NULL, &plaintext);
    } else {
      worker->succeeded++;
      status = tckms_decrypt(worker->client, MAIN_KEY, blob.data, blob.len, NULL, &plaintext);
      if (status == TCKMS_OK) {
        /* Checks that it is not the reply to another call. */
        CHECK_BYTES(plaintext, secret, strlen(secret));
      }
    }
    if (status != TCKMS_OK) {
      account_for_failure(worker, status, &plaintext);
    } else {
      worker->succeeded++;
    }
    tckms_buffer_free(&plaintext);
    tckms_buffer_free(&blob);
  }
  return NULL;
}

/* A script with faults of all kinds, each after some normal requests. */
static void set_mixed_faults(int rounds) {
  static const char *const faults[] = {
      "{\"kind\":\"error\",\"code\":\"InternalError\"}",
      "{\"kind\":\"reset_reply\",\"after_bytes\":100}",
      "{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"0\"},\"body\":\"\"}",
      "{\"kind\":\"close_after_reading\"}",
      "{\"kind\":\"delay\",\"ms\":50}",
      "{\"kind\":\"truncate_body\",\"keep_bytes\":10}",
      "{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\"}",
      "{\"kind\":\"garbage\"}",
      "{\"kind\":\"error\",\"code\":\"ResourceUnavailable.CmkDisabled\"}",
      "{\"kind\":\"close_before_reading\"}",
      "{\"kind\":\"chunked\",\"bytes\":16}",
      "{\"kind\":\"replace_fields\",\"fields\":{\"KeyId\":null}}",
      "{\"kind\":\"reset_request\",\"after_bytes\":1}",
      "{\"kind\":\"drip\",\"bytes\":16,\"every_ms\":1}",
      "{\"kind\":\"bad_gateway\"}",
  };
  size_t kinds = sizeof faults / sizeof faults[0];
  size_t size = (size_t)rounds * kinds * 256 + 16;
  char *script = malloc(size);
  size_t len = 0;
  size_t i;
  CHECK(script != NULL);
  for (i = 0; i < (size_t)rounds * kinds; i++) {
    len += (size_t)snprintf(script + len, size - len, "%s{\"fault\":{\"kind\":\"pass\"},\"times\":7},{\"fault\":%s}",
                            i == 0 ? "[" : ",", faults[i % kinds]);
  }
  strcpy(script + len, "]");
  set_faults(script);
  free(script);
}

static void sixty_four_threads_share_a_client_among_faults(void) {
  static struct worker workers[THREADS];
  int calls = number_given("TEST_CALLS", 20000);
  /* The script applies to two thirds of all requests. */
  int rounds = calls / (8 * 15) * 2 / 3;
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_stats stats;
  int made = 0;
  int succeeded = 0;
  int failed[1000 / 100] = {0};
  int i, category;
  client = client_of(config);
  forget_requests();
  set_mixed_faults(rounds);
  for (i = 0; i < THREADS; i++) {
    workers[i].client = client;
    workers[i].calls = (calls / THREADS + 2) / 2 * 2;
    CHECK_INT(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(workers[i].thread, NULL), 0);
    made += workers[i].calls;
    succeeded += workers[i].succeeded;
    for (category = 0; category < 10; category++) {
      failed[category] += workers[i].failed[category];
    }
  }
  CHECK(!faults_are_left());
  CHECK(made >= calls);

  /* Every call has ended, the client's counters agree, and the emulator received every attempt. */
  CHECK_OK(tckms_client_stats(client, &stats, sizeof stats));
  CHECK_INT(stats.calls, made);
  CHECK_INT(succeeded + failed[3] + failed[5] + failed[6] + failed[7], made);
  CHECK_INT(stats.failures_transport, failed[3]);
  CHECK_INT(stats.failures_request, failed[5]);
  CHECK_INT(stats.failures_unavailable, failed[6]);
  CHECK_INT(stats.failures_integrity, failed[7]);
  CHECK_INT(stats.failures_argument + stats.failures_identity + stats.failures_library, 0);
  CHECK_INT(seen("\"action\":\""), stats.calls + stats.retries);
  CHECK(stats.throttles > 0 && stats.retries > 0);
  /* Most calls succeed, because temporary failures are retried. */
  CHECK(succeeded > made * 9 / 10 && succeeded < made);
  tckms_client_free(client);
}

/* Creating a client starts no thread. Its first call starts one thread, and freeing it ends the thread. */
static void a_client_in_use_has_one_thread(void) {
  tckms_client *one;
  tckms_client *other;
  tckms_client *named;
  tckms_config *config = emulator_config();
  int before = thread_count();
  one = emulator_client();
  other = emulator_client();
  CHECK_INT(thread_count(), before);
  encrypt_and_decrypt(one);
  CHECK_INT(thread_count(), before + 1);
  encrypt_and_decrypt(one);
  CHECK_INT(thread_count(), before + 1);
  encrypt_and_decrypt(other);
  CHECK_INT(thread_count(), before + 2);
  tckms_client_free(other);
  expect_threads(before + 1);
  tckms_client_free(one);
  expect_threads(before);
  /* There is one more thread while a name is being resolved. */
  CHECK_OK(tckms_config_set_endpoint(config, endpoint_with_a_name()));
  named = client_of(config);
  encrypt_and_decrypt(named);
  expect_threads(before + 1);
  tckms_client_free(named);
  expect_threads(before);
}

struct refusal {
  const tckms_client *client;
  tckms_status status;
};

static void *use_up_the_stack(void *argument) {
  const struct refusal *refusals = argument;
  tckms_client *own = emulator_client();
  tckms_buffer key;
  tckms_buffer blob;
  tckms_buffer out;
  char random[TCKMS_RANDOM_MAX];
  encrypt_and_decrypt(own);
  CHECK_OK(tckms_generate_data_key(own, MAIN_KEY, 1024, NULL, &key, &blob));
  CHECK_OK(tckms_reencrypt(own, OTHER_KEY, blob.data, blob.len, NULL, NULL, &out));
  tckms_buffer_free(&out);
  tckms_buffer_free(&key);
  tckms_buffer_free(&blob);
  CHECK_OK(tckms_generate_random(own, random, sizeof random));
  CHECK_OK(tckms_call(own, "ListAlgorithms", "{}", &out));
  tckms_buffer_free(&out);
  CHECK_STATUS(tckms_decrypt(own, NULL, "x", 1, NULL, &out), TCKMS_ERR_INVALID_CIPHERTEXT);
  CHECK_STATUS(tckms_encrypt(own, MAIN_KEY, "x", 1, "{\"a\":1}", &out), TCKMS_ERR_INVALID_CONTEXT);
  CHECK_STATUS(tckms_call(own, "ListAlgorithms", "[[[[[[", &out), TCKMS_ERR_INVALID_REQUEST_JSON);
  for (; refusals->client != NULL; refusals++) {
    CHECK_STATUS(tckms_encrypt(refusals->client, MAIN_KEY, "x", 1, NULL, &out), refusals->status);
    tckms_error_free(tckms_last_error_take());
  }
  tckms_client_free(own);
  return NULL;
}

static tckms_client *client_for(const char *endpoint) {
  tckms_config *config = emulator_config();
  CHECK_OK(tckms_config_set_endpoint(config, endpoint));
  CHECK_OK(tckms_config_set_max_attempts(config, 2));
  return client_of(config);
}

static void a_stack_of_64_kib_is_enough(void) {
  struct refusal refusals[4];
  pthread_attr_t attributes;
  pthread_t thread;
  int i;
  memset(refusals, 0, sizeof refusals);
  refusals[0].client = client_for("https://127.0.0.1:1");
  refusals[0].status = TCKMS_ERR_CONNECT_FAILED;
  refusals[1].client = client_for("https://name.invalid");
  refusals[1].status = TCKMS_ERR_RESOLVE_FAILED;
  refusals[2].client = client_of(config_for(GIVEN_ENDPOINT));
  refusals[2].status = given_ca_file() == NULL ? TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND : TCKMS_ERR_TLS_FAILED;
  CHECK_INT(pthread_attr_init(&attributes), 0);
  CHECK_INT(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
  CHECK_INT(pthread_create(&thread, &attributes, use_up_the_stack, refusals), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  pthread_attr_destroy(&attributes);
  for (i = 0; i < 3; i++) {
    tckms_client_free((tckms_client *)(uintptr_t)refusals[i].client);
  }
}

static void allow_threads(rlim_t count) {
  struct rlimit limit;
  CHECK_INT(getrlimit(RLIMIT_NPROC, &limit), 0);
  limit.rlim_cur = count;
  CHECK_INT(setrlimit(RLIMIT_NPROC, &limit), 0);
}

static void *do_nothing(void *unused) {
  return unused;
}

static void run_out_of_threads(void *unused) {
  tckms_client *client;
  tckms_client *named = client_for(endpoint_with_a_name());
  tckms_config *config = emulator_config();
  tckms_buffer blob = garbage();
  struct rlimit before;
  pthread_t thread;
  (void)unused;
  CHECK_OK(tckms_config_set_max_attempts(config, 2));
  client = client_of(config);
  /* The limit does not apply to root, so the child becomes a user without other processes. */
  if (geteuid() == 0) {
    CHECK_INT(setuid(54321), 0);
  }
  CHECK_INT(getrlimit(RLIMIT_NPROC, &before), 0);
  allow_threads(1);
  CHECK_INT(pthread_create(&thread, NULL, do_nothing, NULL), EAGAIN);
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob), TCKMS_ERR_TRANSPORT_UNAVAILABLE);
  CHECK_INT(tckms_error_os_errno(tckms_last_error()), EAGAIN);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  CHECK_EMPTY(blob);
  allow_threads(before.rlim_cur);
  encrypt_and_decrypt(client);

  /* The network thread exists, but the thread for resolving a name cannot be started. */
  set_fault("*", "{\"kind\":\"close_after_reading\"}", 2);
  CHECK_STATUS(tckms_encrypt(named, MAIN_KEY, "x", 1, NULL, &blob), TCKMS_ERR_CONNECTION_LOST);
  allow_threads(1);
  CHECK_STATUS(tckms_encrypt(named, MAIN_KEY, "x", 1, NULL, &blob), TCKMS_ERR_RESOLVE_FAILED);
  CHECK_INT(tckms_error_os_errno(tckms_last_error()), EAGAIN);
  allow_threads(before.rlim_cur);
  encrypt_and_decrypt(named);
  tckms_client_free(client);
  tckms_client_free(named);
}

static void a_limit_on_threads_is_an_error_until_it_is_raised(void) {
  in_a_child(run_out_of_threads, NULL);
}

static unsigned long long resident_kib(void) {
  return number_in_file("/proc/self/status", "VmRSS:", 10);
}

static void make_and_free_clients(int count, int calls) {
  tckms_config *config = emulator_config();
  int i;
  for (i = 0; i < count; i++) {
    tckms_client *client = NULL;
    CHECK_OK(tckms_client_new(config, &client));
    if (i < calls) {
      tckms_buffer blob;
      CHECK_OK(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob));
      tckms_buffer_free(&blob);
    }
    tckms_client_free(client);
  }
  tckms_config_free(config);
}

/* During the first thousand, one-time allocations grow: the allocator's arenas, tables, cached stacks of threads. */
static void ten_thousand_clients_leave_nothing_behind(void) {
  int clients = number_given("TEST_CLIENTS", 10000);
  int threads = thread_count();
  int descriptors;
  unsigned long long resident;
  make_and_free_clients(clients / 10, clients / 50);
  expect_threads(threads);
  descriptors = descriptor_count();
  resident = resident_kib();
  make_and_free_clients(clients, clients / 20);
  expect_threads(threads);
  CHECK_INT(descriptor_count(), descriptors);
  if (resident_kib() > resident + 2048) {
    check_failed(__FILE__, __LINE__, "resident memory went from %llu KiB to %llu KiB", resident, resident_kib());
  }
}

static void *call_a_service_that_is_not_there(void *result) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  tckms_buffer out = garbage();
  /* Nothing listens on the port of "discard", so the call waits between its attempts. */
  CHECK_OK(tckms_config_set_endpoint(config, "http://127.0.0.1:9"));
  client = client_of(config);
  *(tckms_status *)result = tckms_encrypt(client, "key", "x", 1, NULL, &out);
  tckms_client_free(client);
  pthread_testcancel();
  CHECK(!"a thread that was canceled goes on");
  return NULL;
}

static void a_canceled_thread_ends_after_its_call(void) {
  pthread_t thread;
  tckms_status status = TCKMS_OK;
  void *returned;
  CHECK_INT(pthread_create(&thread, NULL, call_a_service_that_is_not_there, &status), 0);
  sleep_ms(50);
  CHECK_INT(pthread_cancel(thread), 0);
  CHECK_INT(pthread_join(thread, &returned), 0);
  CHECK(returned == PTHREAD_CANCELED);
  CHECK_INT(status, TCKMS_ERR_CONNECT_FAILED);
}

int main(void) {
  /* A sanitizer has its own threads, stacks and memory, so only the test of data races runs under it. */
  if (getenv("TEST_SANITIZED") != NULL) {
    sixty_four_threads_share_a_client_among_faults();
    return checks_passed();
  }
  a_client_in_use_has_one_thread();
  a_canceled_thread_ends_after_its_call();
  sixty_four_threads_share_a_client_among_faults();
  a_stack_of_64_kib_is_enough();
  a_limit_on_threads_is_an_error_until_it_is_raised();
  ten_thousand_clients_leave_nothing_behind();
  return checks_passed();
}
