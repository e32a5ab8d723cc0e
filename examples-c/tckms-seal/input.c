#define _XOPEN_SOURCE 700

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tckms.h>

#include "descriptor.h"
#include "interrupt.h"
#include "report.h"

/* Usual headers have less than a kilobyte; the library reads at most this. */
#define HEADER_MAX (512 * 1024)
/* How long a header that arrives in small parts is collected before the next check. */
#define PAUSE_MS 50

int input_open(struct input *input, const char *path) {
  int named = path ? descriptor_in_path(path) : STDIN_FILENO;
  input->name = path ? path : "standard input";
  input->fd = STDIN_FILENO;
  /* Opening /dev/fd/N of a closed descriptor would fail differently, or open a descriptor of this program. */
  if (named >= 0 && !descriptor_is_readable(named)) {
    return report_errno(input->name);
  }
  if (path && (input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0) {
    return interrupt_signal() ? report(path, interrupt_text()) : report_errno(path);
  }
  if (fstat(input->fd, &input->before) != 0) {
    return report_errno(input->name);
  }
  if (S_ISDIR(input->before.st_mode)) {
    errno = EISDIR;
    return report_errno(input->name);
  }
  return EXIT_SUCCESS;
}

void input_close(const struct input *input) {
  if (input->fd > STDERR_FILENO) {
    close(input->fd);
  }
}

/* Files in /proc have content although their size is 0. */
static int has_size(const struct input *input) { return S_ISREG(input->before.st_mode) && input->before.st_size > 0; }

uint64_t input_size(const struct input *input) {
  off_t position = has_size(input) ? lseek(input->fd, 0, SEEK_CUR) : -1;
  if (position < 0) {
    return UINT64_MAX;
  }
  return position < input->before.st_size ? (uint64_t)(input->before.st_size - position) : 0;
}

static int same_time(const struct stat *one, const struct stat *other) {
#ifdef __APPLE__
  return one->st_mtime == other->st_mtime;
#else
  return one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
#endif
}

int input_check_unchanged(const struct input *input) {
  struct stat after;
  if (!S_ISREG(input->before.st_mode)) {
    return EXIT_SUCCESS;
  }
  if (fstat(input->fd, &after) != 0) {
    return report_errno(input->name);
  }
  if (after.st_size != input->before.st_size) {
    return report(input->name, after.st_size > input->before.st_size ? "the file grew while it was read"
                                                                     : "the file shrank while it was read");
  }
  if (has_size(input) && !same_time(&after, &input->before)) {
    return report(input->name, "the file was modified while it was read");
  }
  return EXIT_SUCCESS;
}

/* Whether no input arrives for a while. */
static int is_idle(int fd) {
  struct pollfd wait;
  wait.fd = fd;
  wait.events = POLLIN;
  return poll(&wait, 1, PAUSE_MS) == 0;
}

static tckms_status read_info(const unsigned char *beginning, size_t len, tckms_buffer *json) {
  tckms_message_info *info = NULL;
  tckms_status status = tckms_message_info_new(beginning, len, &info);
  if (status == TCKMS_OK) {
    status = tckms_message_info_json(info, json);
    tckms_message_info_free(info);
  }
  return status;
}

/* The writer of a pipe may send the header alone or in parts and keep the pipe open, so the header is parsed after each
 * pause and at the end. */
int input_print_info(const struct input *input) {
  static unsigned char beginning[HEADER_MAX];
  tckms_buffer json = TCKMS_BUFFER_INIT;
  tckms_status status = TCKMS_ERR_TRUNCATED;
  size_t len = 0;
  ssize_t got = 1;
  while (status == TCKMS_ERR_TRUNCATED && got > 0 && len < sizeof beginning) {
    got = read(input->fd, beginning + len, sizeof beginning - len);
    if (got < 0 && errno != EAGAIN) {
      return interrupt_signal() ? report(input->name, interrupt_text()) : report_errno(input->name);
    }
    len += got > 0 ? (size_t)got : 0;
    if (got == 0 || len == sizeof beginning || is_idle(input->fd)) {
      status = read_info(beginning, len, &json);
    }
    got = got < 0 ? 1 : got;
  }
  if (status != TCKMS_OK) {
    return report_error(input->name);
  }
  puts((const char *)json.data);
  tckms_buffer_free(&json);
  return report_flush();
}
