/*
 * Shared code of the tests of credentials: configurations for the emulator whose log lines and errors are all searched for secrets,
 * the emulator as metadata service and STS, and threads.
 *
 * Secrets of the tests contain "S3CRET". Those of the emulator are sequences of 32 or more letters and digits, which do not occur
 * otherwise in a log. Define _GNU_SOURCE before including this.
 */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include "check.h"

#include <ctype.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#include "admin.h"
#include "clock.h"
#include "fixture.h"
#include "process.h"
#include "server.h"

#define ROLE_ARN "qcs::cam::uin/100000000001:roleName/backup"

/* The maximum length of the emulator's credentials that a test searches for in log lines and errors. */
enum { SECRET_LEN = 32 };

static inline void expect_no_secret_in(const char *text) {
  size_t run = 0;
  const char *place;
  if (strstr(text, "S3CRET") != NULL) {
    check_failed(__FILE__, __LINE__, "a secret of the test is in \"%s\"", text);
  }
  for (place = text; *place != '\0'; place++) {
    run = isalnum((unsigned char)*place) ? run + 1 : 0;
    if (run >= SECRET_LEN) {
      check_failed(__FILE__, __LINE__, "something like a secret is in \"%s\"", text);
    }
  }
  check_done();
}

/* The number of log lines, and of those with a certain text, which is set before the client is made. */
static long log_lines = 0;
static long awaited_lines = 0;
static const char *awaited_line = NULL;

static inline void search_line(void *userdata, const tckms_log_event *event) {
  const char *line = tckms_log_event_message(event);
  (void)userdata;
  expect_no_secret_in(line);
  __atomic_add_fetch(&log_lines, 1, __ATOMIC_RELAXED);
  if (awaited_line != NULL && strstr(line, awaited_line) != NULL) {
    __atomic_add_fetch(&awaited_lines, 1, __ATOMIC_RELAXED);
  }
}

/* The call fails with this status, and its error contains no secret. */
#define CHECK_REFUSED(call, status)                            \
  do {                                                         \
    CHECK_STATUS(call, status);                                \
    expect_no_secret_in(tckms_error_message(tckms_last_error())); \
  } while (0)
#define CHECK_MESSAGE_HAS(part) CHECK_HAS(tckms_error_message(tckms_last_error()), part)

/* All services are the emulator's, and the log has the most verbose level. The credentials are not set yet. */
static inline tckms_config *config_at(const char *metadata, const char *sts) {
  tckms_config *config = config_for(GIVEN_ENDPOINT);
  if (given_ca_file() != NULL) {
    CHECK_OK(tckms_config_set_ca_file(config, given_ca_file()));
  }
  CHECK_OK(tckms_config_set_metadata_endpoint(config, metadata));
  CHECK_OK(tckms_config_set_sts_endpoint(config, sts));
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, search_line, NULL, NULL));
  return config;
}

static inline tckms_config *logged_config(void) {
  return config_at(GIVEN_ENDPOINT, GIVEN_ENDPOINT);
}

/* One call that needs credentials. */
static inline tckms_status use(const tckms_client *client) {
  tckms_buffer blob = garbage();
  tckms_status status = tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob);
  tckms_buffer_free(&blob);
  return status;
}

/* The same, with the time that it took. */
static inline tckms_status use_and_measure(const tckms_client *client, long *took) {
  long started = now_ms();
  tckms_status status = use(client);
  *took = now_ms() - started;
  return status;
}

/* A client for one call, which succeeds. */
static inline void expect_usable(tckms_config *config) {
  tckms_client *client = client_of(config);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

/* Sets the role bound to the machine, or NULL, and the lifetime of all temporary credentials; 0 for the default. */
static inline void set_issuer(const char *role, int lifetime_seconds) {
  char settings[256];
  char lifetime[64] = "";
  if (lifetime_seconds > 0) {
    snprintf(lifetime, sizeof lifetime, ",\"lifetime_seconds\":%d", lifetime_seconds);
  }
  if (role == NULL) {
    snprintf(settings, sizeof settings, "{\"role\":null%s}", lifetime);
  } else {
    snprintf(settings, sizeof settings, "{\"role\":\"%s\"%s}", role, lifetime);
  }
  free(admin("PUT", "credentials", settings));
}

/* Resets the emulator to its initial state. */
static inline void reset_emulator(void) {
  set_issuer(NULL, 0);
  clear_faults();
  forget_requests();
}

static inline int64_t unix_time(void) {
  return (int64_t)time(NULL);
}

/* The same, but waits for the beginning of a second, so that times in whole seconds do not change for most of a second. */
static inline int64_t start_of_a_second(void) {
  int64_t before = unix_time();
  while (unix_time() == before) {
    sleep_ms(1);
  }
  return before + 1;
}

/* The metadata service's document with the credentials of an identity. */
static inline void write_document(char *text, size_t size, const struct identity *identity, int64_t expired_time) {
  snprintf(text, size,
           "{\"TmpSecretId\":\"%s\",\"TmpSecretKey\":\"%s\",\"Token\":\"%s\",\"ExpiredTime\":%" PRId64
           ",\"Expiration\":\"2030-01-01T00:00:00Z\",\"Code\":\"Success\"}",
           identity->secret_id, identity->secret_key, identity->token, expired_time);
}

/* The reply of STS with the credentials of an identity. */
static inline void write_answer(char *text, size_t size, const struct identity *identity, int64_t expired_time) {
  snprintf(text, size,
           "{\"Response\":{\"Credentials\":{\"TmpSecretId\":\"%s\",\"TmpSecretKey\":\"%s\",\"Token\":\"%s\"},"
           "\"ExpiredTime\":%" PRId64 ",\"RequestId\":\"req-1\"}}",
           identity->secret_id, identity->secret_key, identity->token, expired_time);
}

static inline struct reply reply_of(int status, const char *body) {
  struct reply reply;
  memset(&reply, 0, sizeof reply);
  reply.status = status;
  reply.body = body;
  reply.fate = ARRIVES_AND_CLOSES;
  return reply;
}

static inline struct reply no_reply(void) {
  struct reply reply = reply_of(200, "");
  reply.fate = NEVER_COMES;
  return reply;
}

/* The path of a file of this test. */
static inline const char *path_of(const char *name) {
  static char paths[8][512];
  static int next = 0;
  char *path = paths[next++ % 8];
  snprintf(path, 512, "%s/%s", given("TEST_FOLDER"), name);
  return path;
}

static inline const char *write_bytes(const char *name, const char *bytes, size_t len) {
  const char *path = path_of(name);
  FILE *file;
  remove(path);
  file = fopen(path, "wb");
  CHECK(file != NULL);
  CHECK(fwrite(bytes, 1, len, file) == len);
  CHECK_INT(fclose(file), 0);
  CHECK_INT(chmod(path, 0600), 0);
  return path;
}

static inline const char *write_file(const char *name, const char *text) {
  return write_bytes(name, text, strlen(text));
}

static inline const char *write_profile(const char *name, const char *section, const struct identity *identity) {
  char text[4096];
  snprintf(text, sizeof text, "[%s]\nsecret_id = %s\nsecret_key = %s\ntoken = %s\n", section, identity->secret_id,
           identity->secret_key, identity->token);
  return write_file(name, text);
}

enum { THREADS_MAX = 32 };

/* Runs the same work on several threads at once, and returns when all are done. */
static inline void on_threads(int count, void *(*work)(void *), void *argument) {
  pthread_t threads[THREADS_MAX];
  int i;
  CHECK(count <= THREADS_MAX);
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, work, argument), 0);
  }
  for (i = 0; i < count; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
}

static inline void *use_on_thread(void *client) {
  CHECK_OK(use(client));
  return NULL;
}

/* Unsets all variables from which credentials come. */
static inline void clear_environment(void) {
  static const char *const names[] = {
      "TENCENTCLOUD_SECRET_ID",  "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SESSION_TOKEN",
      "TENCENTCLOUD_TOKEN",      "TCCLI_PROFILE",           "TENCENTCLOUD_CREDENTIALS_FILE",
      "TKE_PROVIDER_ID",         "TKE_REGION",              "TKE_WEB_IDENTITY_TOKEN_FILE",
      "TKE_ROLE_ARN",            "HOME"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    CHECK_INT(unsetenv(names[i]), 0);
  }
}

static inline void set_variable(const char *name, const char *value) {
  CHECK_INT(setenv(name, value, 1), 0);
}

/* Cannot be undone. Without root, a user namespace is used, which requires that there is only one thread. */
static inline void change_root(const char *path) {
  if (chroot(path) != 0) {
    CHECK_INT(unshare(CLONE_NEWUSER), 0);
    CHECK_INT(chroot(path), 0);
  }
  CHECK_INT(chdir("/"), 0);
}

/* The last statement of a program: checks that the log was in use, because an unused log would contain no secret either. */
static inline int no_secret_was_logged(void) {
  CHECK(log_lines > 0);
  return checks_passed();
}

#endif /* CREDENTIALS_H */
