/* A client works after the steps of a daemon: it forks twice, changes its working directory, and closes every descriptor. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "process.h"

enum { HOST_FILES = 64 };

/* The state of the process before it becomes a daemon. */
struct origin {
  tckms_client *client;
  char folder[512];
  /* The descriptors that were open after the client's calls. */
  int highest_descriptor;
};

static int highest_descriptor(void) {
  DIR *folder = opendir("/proc/self/fd");
  struct dirent *entry;
  int highest = -1;
  CHECK(folder != NULL);
  while ((entry = readdir(folder)) != NULL) {
    int number = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != dirfd(folder) && number > highest) {
      highest = number;
    }
  }
  closedir(folder);
  return highest;
}

static void close_from(int first) {
  int number;
  for (number = first; number < 4096; number++) {
    close(number);
  }
}

/* A file of the host, which must stay unchanged. */
struct host_file {
  int descriptor;
  struct stat stat;
};

static void open_host_file(struct host_file *file, const char *folder, int index) {
  char path[600];
  snprintf(path, sizeof path, "%s/host-%d", folder, index);
  file->descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(file->descriptor >= 0);
  CHECK_INT(write(file->descriptor, "0123456789", 10), 10);
  CHECK_INT(fstat(file->descriptor, &file->stat), 0);
}

static void expect_unharmed(const struct host_file *file) {
  struct stat now;
  char content[16];
  if (fstat(file->descriptor, &now) != 0) {
    check_failed(__FILE__, __LINE__, "the host's descriptor %d was closed", file->descriptor);
  }
  CHECK_INT(now.st_dev, file->stat.st_dev);
  CHECK_INT(now.st_ino, file->stat.st_ino);
  CHECK_INT(now.st_size, 10);
  CHECK_INT(lseek(file->descriptor, 0, SEEK_CUR), 10);
  CHECK_INT(fcntl(file->descriptor, F_GETFD), 0);
  CHECK_INT(pread(file->descriptor, content, sizeof content, 0), 10);
  CHECK(memcmp(content, "0123456789", 10) == 0);
}

static void reopen_standard_descriptors(const char *folder) {
  char path[600];
  snprintf(path, sizeof path, "%s/daemon.log", folder);
  CHECK_INT(open("/dev/null", O_RDONLY), 0);
  CHECK_INT(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600), 1);
  CHECK_INT(dup(1), 2);
}

static void live_as_daemon(const struct origin *origin) {
  struct host_file files[HOST_FILES];
  int i;
  CHECK_INT(chdir("/"), 0);
  umask(0);
  close_from(0);
  reopen_standard_descriptors(origin->folder);
  for (i = 0; i < HOST_FILES; i++) {
    open_host_file(&files[i], origin->folder, i);
  }
  /* The host now uses every number that was the library's. */
  CHECK_INT(files[0].descriptor, 3);
  CHECK(files[HOST_FILES - 1].descriptor >= origin->highest_descriptor);

  for (i = 0; i < 20; i++) {
    encrypt_and_decrypt(origin->client);
  }
  for (i = 0; i < HOST_FILES; i++) {
    expect_unharmed(&files[i]);
  }
  tckms_client_free(origin->client);
  for (i = 0; i < HOST_FILES; i++) {
    expect_unharmed(&files[i]);
  }
  _exit(0);
}

static void become_daemon(void *argument) {
  CHECK(setsid() > 0);
  /* The second fork. The test is a subreaper, so it can wait for the daemon. */
  switch (fork()) {
    case -1:
      CHECK(0);
      break;
    case 0:
      alarm(CHILD_SECONDS);
      live_as_daemon(argument);
      break;
    default:
      break;
  }
}

static void expect_empty_log(const char *folder) {
  char path[600];
  char text[1024];
  ssize_t len;
  int file;
  snprintf(path, sizeof path, "%s/daemon.log", folder);
  file = open(path, O_RDONLY);
  CHECK(file >= 0);
  len = read(file, text, sizeof text - 1);
  close(file);
  CHECK(len >= 0);
  text[len] = '\0';
  if (len > 0) {
    check_failed(__FILE__, __LINE__, "the daemon or the library wrote: %s", text);
  }
  CHECK_INT(len, 0);
}

static void a_daemon_works_and_its_files_are_not_touched(void) {
  struct origin origin;
  int i;
  int status = -1;
  CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  snprintf(origin.folder, sizeof origin.folder, "%s", given("TEST_FOLDER"));
  origin.client = emulator_client();
  for (i = 0; i < 3; i++) {
    encrypt_and_decrypt(origin.client);
  }
  origin.highest_descriptor = highest_descriptor();
  CHECK(origin.highest_descriptor > 3);
  CHECK(origin.highest_descriptor < 3 + HOST_FILES);
  in_a_child(become_daemon, &origin);
  CHECK(wait(&status) > 0);
  expect_empty_log(origin.folder);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  /* The process that started the daemon is not affected. */
  encrypt_and_decrypt(origin.client);
  tckms_client_free(origin.client);
}

static void encrypt_without_standard_descriptors(void *client) {
  tckms_client *own;
  int number;
  close(0);
  close(1);
  close(2);
  encrypt_and_decrypt(client);
  own = emulator_client();
  encrypt_and_decrypt(own);
  tckms_client_free(own);
  tckms_client_free(client);
  /* The descriptors that the library opened with these numbers are closed again. */
  for (number = 0; number < 3; number++) {
    CHECK(fcntl(number, F_GETFD) == -1);
  }
}

static void calls_work_without_standard_descriptors(void) {
  tckms_client *client = emulator_client();
  in_a_child(encrypt_without_standard_descriptors, client);
  encrypt_and_decrypt(client);
  in_a_child(encrypt_without_standard_descriptors, client);
  tckms_client_free(client);
}

/* The same without a fork: the library's thread is still running. */
static void close_everything_under_a_client(void *client) {
  struct host_file files[HOST_FILES];
  const char *folder = given("TEST_FOLDER");
  int round, i;
  encrypt_and_decrypt(client);
  for (round = 0; round < 5; round++) {
    close_from(3);
    for (i = 0; round % 2 == 0 && i < HOST_FILES; i++) {
      open_host_file(&files[i], folder, i);
    }
    encrypt_and_decrypt(client);
    encrypt_and_decrypt(client);
    for (i = 0; round % 2 == 0 && i < HOST_FILES; i++) {
      expect_unharmed(&files[i]);
    }
  }
  close_from(3);
  for (i = 0; i < HOST_FILES; i++) {
    open_host_file(&files[i], folder, i);
  }
  tckms_client_free(client);
  for (i = 0; i < HOST_FILES; i++) {
    expect_unharmed(&files[i]);
  }
}

static void *wait_for_a_late_reply(void *client) {
  tckms_buffer blob = garbage();
  tckms_status status = tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &blob);
  if (tckms_status_category(status) != TCKMS_CATEGORY_TRANSPORT) {
    check_failed(__FILE__, __LINE__, "a call that lost its connection is %s", tckms_status_name(status));
  }
  CHECK_EMPTY(blob);
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 1);
  return NULL;
}

/* A running call loses its connection, and fails at its timeout. */
static void close_everything_during_a_call(void *unused) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  pthread_t thread;
  (void)unused;
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 1000));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  encrypt_and_decrypt(client);
  set_fault("Encrypt", "{\"kind\":\"delay\",\"ms\":500}", 1);
  CHECK_INT(pthread_create(&thread, NULL, wait_for_a_late_reply, client), 0);
  while (faults_are_left()) {
    sleep_ms(1);
  }
  close_from(3);
  CHECK_INT(pthread_join(thread, NULL), 0);
  encrypt_and_decrypt(client);
  close_from(3);
  tckms_client_free(client);
}

/* The library's thread waits on descriptors that were closed. When a timer wakes it, it must not use the new descriptors with the same
 * numbers. */
static void close_everything_and_wait(void *unused) {
  tckms_config *config = emulator_config();
  tckms_client *client;
  struct host_file files[HOST_FILES];
  int round, i;
  (void)unused;
  CHECK_OK(tckms_config_set_connect_timeout_ms(config, 300));
  CHECK_OK(tckms_config_set_try_timeout_ms(config, 400));
  CHECK_OK(tckms_config_set_max_attempts(config, 1));
  client = client_of(config);
  for (round = 0; round < 3; round++) {
    for (i = 0; i < 3; i++) {
      encrypt_and_decrypt(client);
    }
    close_from(3);
    for (i = 0; round == 2 && i < HOST_FILES; i++) {
      open_host_file(&files[i], given("TEST_FOLDER"), i);
    }
    for (i = 0; i < 60; i++) {
      encrypt_and_decrypt(client);
      sleep_ms(10);
    }
  }
  for (i = 0; i < HOST_FILES; i++) {
    expect_unharmed(&files[i]);
  }
  tckms_client_free(client);
}

static void a_host_may_close_every_descriptor_in_one_process(void) {
  tckms_client *client = emulator_client();
  in_a_child(close_everything_under_a_client, client);
  encrypt_and_decrypt(client);
  tckms_client_free(client);
  in_a_child(close_everything_during_a_call, NULL);
  in_a_child(close_everything_and_wait, NULL);
}

enum { PIPE_BYTES = 4096 };

/* The library must not read random numbers from a pipe of the host that has data. */
static void give_every_number_to_a_pipe(void *client) {
  static const char data[PIPE_BYTES] = "data of the host";
  int ends[2];
  int waiting = -1;
  int number;
  encrypt_and_decrypt(client);
  close_from(3);
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(write(ends[1], data, sizeof data), sizeof data);
  for (number = 0; number < HOST_FILES; number++) {
    CHECK(dup(ends[0]) >= 0);
  }
  for (number = 0; number < 5; number++) {
    encrypt_and_decrypt(client);
    tckms_client_free(client);
    client = emulator_client();
  }
  CHECK_INT(ioctl(ends[0], FIONREAD, &waiting), 0);
  CHECK_INT(waiting, PIPE_BYTES);
  tckms_client_free(client);
}

static void data_that_waits_in_a_pipe_is_left_there(void) {
  tckms_client *client = emulator_client();
  in_a_child(give_every_number_to_a_pipe, client);
  tckms_client_free(client);
}

static void call_in_an_empty_root(void *unused) {
  tckms_client *client = emulator_client();
  (void)unused;
  CHECK_INT(chroot(given("TEST_FOLDER")), 0);
  CHECK_INT(chdir("/"), 0);
  CHECK(access(given_ca_file(), F_OK) != 0);
  encrypt_and_decrypt(client);
  tckms_client_free(client);
}

/*
 * The system's bundle does not contain the emulator's CA, so the handshake fails for that reason. If the bundle were not in memory, the
 * error would be a different one.
 */
static void judge_by_the_systems_bundle_in_an_empty_root(void *unused) {
  tckms_config *config = config_for(GIVEN_ENDPOINT);
  tckms_client *client = NULL;
  tckms_client *late = NULL;
  tckms_buffer out;
  (void)unused;
  CHECK_OK(tckms_client_new(config, &client));
  CHECK_INT(chroot(given("TEST_FOLDER")), 0);
  CHECK_INT(chdir("/"), 0);
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &out), TCKMS_ERR_TLS_FAILED);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "UnknownIssuer");
  CHECK_STATUS(tckms_client_new(config, &late), TCKMS_ERR_INVALID_CA_BUNDLE);
  tckms_client_free(client);
  tckms_config_free(config);
}

/* Only root may chroot(); the harness reports it for another user. */
static void a_client_made_before_a_chroot_works_in_it(void) {
  if (given_ca_file() != NULL && geteuid() == 0) {
    in_a_child(call_in_an_empty_root, NULL);
    in_a_child(judge_by_the_systems_bundle_in_an_empty_root, NULL);
  }
}

int main(void) {
  /* Inherited descriptors have no effect. */
  close_from(3);
  a_daemon_works_and_its_files_are_not_touched();
  calls_work_without_standard_descriptors();
  a_host_may_close_every_descriptor_in_one_process();
  data_that_waits_in_a_pipe_is_left_there();
  a_client_made_before_a_chroot_works_in_it();
  return checks_passed();
}
