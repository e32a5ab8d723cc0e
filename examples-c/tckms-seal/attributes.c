#ifdef __linux__
#define _GNU_SOURCE
#else
#define _XOPEN_SOURCE 700
#endif

#include "attributes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include "report.h"
#include "text.h"

/* The attributes that could not be copied. */
enum { OWNER = 1, GROUP = 2, ACL = 4, LABEL = 8 };

static const char *const NAMES[] = {"owner", "group", "access control list", "SELinux label"};

static int keep_owner(const struct stat *was, int file) {
  struct stat is;
  int lost = 0;
  if (fstat(file, &is) != 0 || is.st_uid != was->st_uid) {
    lost |= fchown(file, was->st_uid, (gid_t)-1) == 0 ? 0 : OWNER;
  }
  if (fstat(file, &is) != 0 || is.st_gid != was->st_gid) {
    lost |= fchown(file, (uid_t)-1, was->st_gid) == 0 ? 0 : GROUP;
  }
  return lost;
}

#ifdef __linux__
/* The maximal size of an attribute in the kernel. */
#define ATTRIBUTE_MAX 65536

static ssize_t get_attribute(int file, const char *name, char *value) {
  char path[64];
  ssize_t len = fgetxattr(file, name, value, ATTRIBUTE_MAX);
  if (len < 0 && errno == EBADF) {
    /* A file that cannot be read is opened with O_PATH, which fgetxattr() refuses. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    len = getxattr(path, name, value, ATTRIBUTE_MAX);
  }
  return len;
}

static int is_without(void) { return errno == ENODATA || errno == ENOTSUP; }

/* Copies the attribute. Returns whether both files have the same value, or none. */
static int keep_attribute(int old, int file, const char *name) {
  static char value[ATTRIBUTE_MAX], present[ATTRIBUTE_MAX];
  ssize_t len = get_attribute(old, name, value);
  if (len < 0) {
    if (!is_without()) {
      return 0;
    }
    /* The old file has none: remove one that the new file inherited from its folder. */
    return (get_attribute(file, name, present) < 0 && is_without()) || fremovexattr(file, name) == 0;
  }
  if (get_attribute(file, name, present) == len && memcmp(value, present, (size_t)len) == 0) {
    return 1;
  }
  return fsetxattr(file, name, value, (size_t)len, 0) == 0;
}

/* Copies the SELinux label. A label cannot be removed: a file without one keeps the default of the policy. */
static int keep_label(int old, int file) {
  static char value[ATTRIBUTE_MAX];
  return (get_attribute(old, "security.selinux", value) < 0 && is_without()) ||
         keep_attribute(old, file, "security.selinux");
}

/* The label first: the access control list must not take effect before it. */
static int keep_rules(int old, int file) {
  int lost = keep_label(old, file) ? 0 : LABEL;
  return lost | (keep_attribute(old, file, "system.posix_acl_access") ? 0 : ACL);
}
#else
static int keep_rules(int old, int file) {
  (void)old;
  (void)file;
  return 0;
}
#endif

/* A mode that allows nothing that the old file or a new file forbids. */
static mode_t narrower(mode_t was, mode_t new_mode, int lost) {
  mode_t mode = was & new_mode & 0777;
  if (lost & GROUP) {
    /* Members of the new group had the permissions of others before. */
    mode &= (mode_t)~070 | ((was & 07) << 3);
  }
  if (lost & ACL) {
    /* The list may deny what the mode allows. */
    mode &= 0700;
  }
  return mode;
}

static void report_lost(const char *name, int lost, mode_t mode) {
  char *why = NULL, number[32];
  size_t i;
  for (i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
    if (lost & (1 << i)) {
      text_append_string(&why, why ? ", " : "could not keep its ");
      text_append_string(&why, NAMES[i]);
    }
  }
  snprintf(number, sizeof number, "; its mode becomes %04o", (unsigned)mode);
  text_append_string(&why, number);
  report(name, why);
  free(why);
}

int attributes_keep(int old, int file, mode_t new_mode, const char *name) {
  struct stat was;
  mode_t mode;
  int lost;
  if (fstat(old, &was) != 0) {
    return report_errno(name);
  }
  lost = keep_owner(&was, file);
  lost |= keep_rules(old, file);
  mode = lost ? narrower(was.st_mode, new_mode, lost) : was.st_mode & 07777;
  if (lost) {
    report_lost(name, lost, mode);
  }
  /* Last: changing the owner clears bits of the mode. */
  attributes_set_mode(file, mode, name);
  return EXIT_SUCCESS;
}

void attributes_set_mode(int file, mode_t mode, const char *name) {
  char why[64];
  struct stat is;
  int number = fchmod(file, mode) == 0 ? 0 : errno;
  if (number != 0 && fstat(file, &is) == 0 && (is.st_mode & 07777) != mode) {
    snprintf(why, sizeof why, "could not set its mode, which is %04o", (unsigned)(is.st_mode & 07777));
    report(name, why);
  }
}
