#ifdef __linux__
#define _GNU_SOURCE
#else
#define _XOPEN_SOURCE 700
#endif

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/ioctl.h>
#endif

#include <tckms.h>

#include "attributes.h"
#include "descriptor.h"
#include "interrupt.h"
#include "report.h"
#include "text.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

int output_find(struct output *output, const char *path, int is_secret) {
  mode_t mask = umask(0);
  umask(mask);
  memset(output, 0, sizeof *output);
  output->fd = output->old = output->target = output->folder = output->resolved.folder = -1;
  /* Opened plaintext may be secret, so only the owner may read it. */
  output->new_mode = is_secret ? 0600 : 0666 & ~mask;
  if (!path || strcmp(path, "-") == 0) {
    output->name = "standard output";
    output->resolved.kind = RESOLVED_DESCRIPTOR;
    output->resolved.descriptor = STDOUT_FILENO;
  } else {
    output->name = path;
    if (resolved_find(&output->resolved, path) != EXIT_SUCCESS) {
      return EXIT_FAILURE;
    }
  }
  if (output->resolved.kind == RESOLVED_DESCRIPTOR) {
    output->fd = output->resolved.descriptor;
    return descriptor_is_writable(output->fd) ? EXIT_SUCCESS : report_errno(output->name);
  }
  output->method = output->resolved.kind == RESOLVED_SPECIAL ? OUTPUT_DIRECT : OUTPUT_RENAMED;
  return EXIT_SUCCESS;
}

int output_is_input(const struct output *output, const struct input *input) {
  struct stat target = output->resolved.stat;
  if (output->resolved.kind == RESOLVED_ABSENT ||
      (output->resolved.kind == RESOLVED_DESCRIPTOR && fstat(output->fd, &target) != 0)) {
    return 0;
  }
  if (S_ISBLK(target.st_mode) && S_ISBLK(input->before.st_mode)) {
    return target.st_rdev == input->before.st_rdev;
  }
  return S_ISREG(target.st_mode) && target.st_dev == input->before.st_dev && target.st_ino == input->before.st_ino;
}

int output_is_atomic(const struct output *output) { return output->method != OUTPUT_DIRECT; }

/* ---- The unfinished file ---- */

/* The names may be predictable: an existing file is never opened. */
static void make_name(char *name, size_t size) {
  static unsigned long attempt;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(name, size, ".tckms-seal.%lx.%lx.%lx", (unsigned long)getpid(), (unsigned long)now.tv_nsec, attempt++);
}

/* Returns 0, or -1 with errno. */
static int create_unfinished(struct output *output, int folder) {
  char name[80];
  int attempt;
  for (attempt = 0; attempt < 100; attempt++) {
    make_name(name, sizeof name);
    output->fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (output->fd >= 0) {
      output->folder = folder;
      text_append_string(&output->unfinished, name);
      return 0;
    }
    if (errno != EEXIST) {
      return -1;
    }
  }
  return -1;
}

/* In the folder for temporary files. */
static int create_unfinished_in_temporary_folder(struct output *output) {
  const char *path = getenv("TMPDIR");
  int folder;
  output->temporary_folder = path && path[0] == '/' ? path : "/tmp";
  path = output->temporary_folder;
  folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || create_unfinished(output, folder) != 0) {
    if (folder >= 0) {
      close(folder);
    }
    return report_errno(path);
  }
  return EXIT_SUCCESS;
}

static void remove_unfinished(struct output *output) {
  if (output->unfinished) {
    unlinkat(output->folder, output->unfinished, 0);
    free(output->unfinished);
    output->unfinished = NULL;
  }
}

/* ---- Whether a file can be replaced ---- */

#ifdef __linux__
/* The id of the mount of an open file, or -1. */
static long mount_of(int file) {
  char path[64], line[128];
  long mount = -1;
  FILE *info;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
  info = fopen(path, "re");
  while (info && mount < 0 && fgets(line, sizeof line, info)) {
    if (sscanf(line, "mnt_id: %ld", &mount) != 1) {
      mount = -1;
    }
  }
  if (info) {
    fclose(info);
  }
  return mount;
}

/* From linux/fs.h, which is not part of every C library. */
static const unsigned GET_FLAGS = _IOR('f', 1, long);
enum { FLAG_APPEND = 0x20 };

/* Whether the folder is append-only: names can be created but not renamed or removed. */
static int is_append_only(int folder) {
  int readable = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = 0, answered;
  answered = readable >= 0 && ioctl(readable, GET_FLAGS, &flags) == 0;
  if (readable >= 0) {
    close(readable);
  }
  return answered && (flags & FLAG_APPEND);
}
#else
static long mount_of(int file) {
  (void)file;
  return -1;
}

static int is_append_only(int folder) {
  (void)folder;
  return 0;
}
#endif

/* Whether the file is a mount point. rename() would report that only after the work. */
static int is_mounted(const struct output *output) {
  struct stat folder;
  long mount_of_folder = mount_of(output->resolved.folder), mount_of_file = mount_of(output->old);
  if (mount_of_folder >= 0 && mount_of_file >= 0) {
    return mount_of_folder != mount_of_file;
  }
  /* Assumed; rename() will report it otherwise. */
  return fstat(output->resolved.folder, &folder) != 0 || folder.st_dev != output->resolved.stat.st_dev;
}

/* Returns 0 if the existing file can be replaced, or an error number. */
static int prepare_replacement(struct output *output) {
  if (output->old >= 0 && is_mounted(output)) {
    return EBUSY;
  }
  if (is_append_only(output->resolved.folder)) {
    return EPERM;
  }
  return create_unfinished(output, output->resolved.folder) == 0 ? 0 : errno;
}

static int prepare_copy(struct output *output) {
  output->method = OUTPUT_COPIED;
  if (!is_append_only(output->resolved.folder) && create_unfinished(output, output->resolved.folder) == 0) {
    return EXIT_SUCCESS;
  }
  return create_unfinished_in_temporary_folder(output);
}

static int open_special(struct output *output) {
  output->fd = resolved_open(&output->resolved, O_WRONLY);
  if (output->fd >= 0) {
    return EXIT_SUCCESS;
  }
  return interrupt_signal() ? report(output->name, interrupt_text()) : report_errno(output->name);
}

static int open_old(struct output *output) {
  int number = 0;
  output->target = resolved_open(&output->resolved, O_WRONLY | O_NONBLOCK);
  number = output->target < 0 ? errno : 0;
  if (number == EPERM || number == EROFS || number == ESTALE) {
    /* It is immutable, on a read-only mount, or was replaced meanwhile. */
    return report(output->name, strerror(number));
  }
  output->old = resolved_open(&output->resolved, O_RDONLY | O_NONBLOCK);
  if (output->old < 0) {
    output->old = resolved_open(&output->resolved, O_PATH);
  }
  return output->old >= 0 ? EXIT_SUCCESS : report_errno(output->name);
}

int output_open(struct output *output) {
  int number;
  if (output->resolved.kind == RESOLVED_DESCRIPTOR) {
    return EXIT_SUCCESS;
  }
  if (output->resolved.kind == RESOLVED_SPECIAL) {
    return open_special(output);
  }
  if (output->resolved.kind == RESOLVED_FILE && open_old(output) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  number = prepare_replacement(output);
  if (number == 0) {
    return EXIT_SUCCESS;
  }
  /* If there is no space for the smallest file, there is none for a copy. */
  if (output->target < 0 || number == ENOSPC || number == EDQUOT) {
    return report(output->name, strerror(number));
  }
  return prepare_copy(output);
}

/* ---- Delivery ---- */

/* Makes the name survive a crash. A folder that cannot be synced is not a failure. */
static void sync_folder(int folder) {
  int readable = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (readable >= 0) {
    fsync(readable);
    close(readable);
  }
}

/* Some file systems do not support fsync(). */
static int sync_file(int file) {
  return fsync(file) == 0 || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP ? 0 : -1;
}

/* Allocates the space before the old content is overwritten. If the file system does not support that, the copy may
 * fail. */
static int reserve(int target, off_t before, off_t len) {
#ifdef __linux__
  int number;
  /* Not posix_fallocate(), which writes zeros if the file system does not support it, also into files of the kernel. */
  if (len <= before || fallocate(target, 0, before, len - before) == 0 ||
      (errno != ENOSPC && errno != EFBIG && errno != EDQUOT)) {
    return 0;
  }
  /* A partial allocation may have extended the file. */
  number = errno;
  errno = ftruncate(target, before) == 0 ? number : errno;
  return -1;
#else
  (void)target, (void)before, (void)len;
  return 0;
#endif
}

static int write_all(int file, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t written = write(file, bytes, len);
    if (written < 0 && errno != EINTR) {
      return -1;
    }
    bytes += written > 0 ? written : 0;
    len -= written > 0 ? (size_t)written : 0;
  }
  return 0;
}

static int copy(int from, int to, off_t len) {
  static char chunk[64 * 1024];
  struct stat now;
  ssize_t got = 1;
  int result = lseek(from, 0, SEEK_SET) == 0 ? 0 : -1;
  while (result == 0 && got > 0) {
    got = read(from, chunk, sizeof chunk);
    result = got < 0 ? -1 : write_all(to, chunk, (size_t)got);
  }
  tckms_wipe(chunk, sizeof chunk);
  /* Files of the kernel have no length to set. */
  if (result == 0 && fstat(to, &now) == 0 && now.st_size > len) {
    result = ftruncate(to, len);
  }
  return result == 0 && sync_file(to) == 0 ? 0 : -1;
}

/* The old content is lost, so the new one is kept, and its path is reported. */
static int leave_unfinished(struct output *output) {
  char *what = NULL;
  text_append_string(&what, "the file is damaged; its complete new content is ");
  text_append_string(&what, output->unfinished);
  text_append_string(&what, output->temporary_folder ? " in " : " in the same folder");
  text_append_string(&what, output->temporary_folder ? output->temporary_folder : "");
  report(output->name, what);
  free(what);
  free(output->unfinished);
  output->unfinished = NULL;
  return EXIT_FAILURE;
}

/* Replaces the content of the existing file, which keeps its inode and attributes. */
static int copy_into_target(struct output *output) {
  struct stat unfinished, target;
  if (fstat(output->fd, &unfinished) != 0 || fstat(output->target, &target) != 0 ||
      reserve(output->target, target.st_size, unfinished.st_size) != 0) {
    return report_errno(output->name);
  }
  if (copy(output->fd, output->target, unfinished.st_size) != 0) {
    report_errno(output->name);
    return leave_unfinished(output);
  }
  remove_unfinished(output);
  return EXIT_SUCCESS;
}

static int rename_unfinished(struct output *output) {
  const struct resolved *resolved = &output->resolved;
  if (output->old >= 0) {
    if (attributes_keep(output->old, output->fd, output->new_mode, output->name) != EXIT_SUCCESS) {
      return EXIT_FAILURE;
    }
  } else {
    attributes_set_mode(output->fd, output->new_mode, output->name);
  }
  if (sync_file(output->fd) != 0) {
    return report_errno(output->name);
  }
  if (renameat(output->folder, output->unfinished, resolved->folder, resolved->name) != 0) {
    /* A file system or mount that the checks did not recognise. */
    return output->target >= 0 ? copy_into_target(output) : report_errno(output->name);
  }
  free(output->unfinished);
  output->unfinished = NULL;
  sync_folder(resolved->folder);
  return EXIT_SUCCESS;
}

static int close_file(int *file) {
  int result = *file > STDERR_FILENO ? close(*file) : 0;
  *file = -1;
  return result;
}

int output_finish(struct output *output) {
  int result = EXIT_SUCCESS;
  if (output->method == OUTPUT_RENAMED) {
    result = rename_unfinished(output);
  } else if (output->method == OUTPUT_COPIED) {
    result = copy_into_target(output);
  }
  /* Some file systems report only at fsync() that there is no space. Descriptors of the caller stay open. */
  if (result == EXIT_SUCCESS && output->resolved.kind != RESOLVED_DESCRIPTOR && close_file(&output->fd) != 0) {
    result = report_errno(output->name);
  }
  if (result == EXIT_SUCCESS && output->target >= 0 && close_file(&output->target) != 0) {
    result = report_errno(output->name);
  }
  return result;
}

void output_free(struct output *output) {
  remove_unfinished(output);
  if (output->resolved.kind != RESOLVED_DESCRIPTOR) {
    close_file(&output->fd);
  }
  close_file(&output->old);
  close_file(&output->target);
  if (output->folder != output->resolved.folder) {
    close_file(&output->folder);
  }
  resolved_free(&output->resolved);
}
