#ifdef __linux__
#define _GNU_SOURCE
#else
#define _XOPEN_SOURCE 700
#endif

#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#include "descriptor.h"
#include "report.h"
#include "text.h"

/* The number of links that Linux follows. */
#define LINKS_MAX 40

#ifdef O_PATH
/* Works for a folder that may be searched but not read. */
#define FOLDER (O_PATH | O_DIRECTORY | O_CLOEXEC)
#else
#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#endif

/* The state of the resolution: the current folder and the rest of the path. */
struct walk {
  int folder;
  struct stat folder_stat;
  char *rest;
  int links;
  /* Why resolution failed, if errno does not say it. */
  const char *why;
};

/* A component of the path, and whether it is the last one. */
struct component {
  char name[NAME_MAX + 1];
  int is_last, must_be_folder;
};

/* Each of the following returns 0, or -1 with errno or `why`. */

static int refuse(struct walk *walk, int number, const char *why) {
  errno = number;
  walk->why = why;
  return -1;
}

static int enter(struct walk *walk, const char *name, int flags) {
  int next = openat(walk->folder, name, FOLDER | flags);
  if (next < 0 || fstat(next, &walk->folder_stat) != 0) {
    if (next >= 0) {
      close(next);
    }
    return -1;
  }
  if (walk->folder >= 0) {
    close(walk->folder);
  }
  walk->folder = next;
  return 0;
}

static int begin(struct walk *walk, const char *path) {
  memset(walk, 0, sizeof *walk);
  text_append_string(&walk->rest, path);
  walk->folder = -1;
  /* openat() ignores the folder for an absolute name. */
  walk->folder = open(path[0] == '/' ? "/" : ".", FOLDER);
  return walk->folder >= 0 && fstat(walk->folder, &walk->folder_stat) == 0 ? 0 : -1;
}

/* Removes the next component from the rest of the path. */
static int take_component(struct walk *walk, struct component *component) {
  char *name = walk->rest + strspn(walk->rest, "/");
  size_t len = strcspn(name, "/");
  char *after = name + len + strspn(name + len, "/");
  if (len == 0) {
    return refuse(walk, walk->rest[0] == '\0' ? ENOENT : EISDIR, NULL);
  }
  if (len > NAME_MAX) {
    return refuse(walk, ENAMETOOLONG, NULL);
  }
  memcpy(component->name, name, len);
  component->name[len] = '\0';
  component->is_last = *after == '\0';
  component->must_be_folder = name[len] == '/';
  memmove(walk->rest, after, strlen(after) + 1);
  return 0;
}

static int is_in_procfs(const struct walk *walk) {
#ifdef __linux__
  struct statfs system;
  return fstatfs(walk->folder, &system) == 0 && system.f_type == 0x9FA0;
#else
  (void)walk;
  return 0;
#endif
}

static int is_folder(const struct walk *walk, const char *path) {
  struct stat stat_of_path;
  return stat(path, &stat_of_path) == 0 && stat_of_path.st_dev == walk->folder_stat.st_dev &&
         stat_of_path.st_ino == walk->folder_stat.st_ino;
}

/* The text of a link in /proc may not be its target, so only the kernel can follow it. A link at the end is a
 * descriptor. */
static int follow_in_procfs(struct walk *walk, const struct component *component, struct resolved *resolved) {
  if (!component->is_last) {
    return enter(walk, component->name, 0);
  }
  resolved->descriptor = descriptor_number(component->name);
  if (resolved->descriptor < 0 || !(is_folder(walk, "/proc/self/fd") || is_folder(walk, "/proc/thread-self/fd"))) {
    return refuse(walk, EPERM, "this is not a descriptor of this program");
  }
  if (resolved->descriptor == walk->folder) {
    return refuse(walk, EBADF, NULL);
  }
  resolved->kind = RESOLVED_DESCRIPTOR;
  return 0;
}

static int follow_link(struct walk *walk, const struct component *component) {
  char target[PATH_MAX], *rest = NULL;
  ssize_t len = readlinkat(walk->folder, component->name, target, sizeof target);
  if (len < 0) {
    return -1;
  }
  if (len == sizeof target || len == 0 || ++walk->links > LINKS_MAX) {
    return refuse(walk, len == 0 ? ENOENT : len == sizeof target ? ENAMETOOLONG : ELOOP, NULL);
  }
  text_append(&rest, target, (size_t)len);
  text_append_string(&rest, component->must_be_folder ? "/" : "");
  text_append_string(&rest, walk->rest);
  free(walk->rest);
  walk->rest = rest;
  return rest[0] == '/' ? enter(walk, "/", 0) : 0;
}

static int arrive(const struct component *component, struct resolved *resolved, enum resolved_kind kind) {
  resolved->kind = kind;
  text_append_string(&resolved->name, component->name);
  return 0;
}

/* Resolves one component. Ends at a name in a folder or at a descriptor. */
static int step(struct walk *walk, struct resolved *resolved) {
  struct component component;
  struct stat *stat = &resolved->stat;
  if (take_component(walk, &component) != 0) {
    return -1;
  }
  if (fstatat(walk->folder, component.name, stat, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT || !component.is_last || component.must_be_folder) {
      return -1;
    }
    return arrive(&component, resolved, RESOLVED_ABSENT);
  }
  if ((walk->folder_stat.st_mode & S_ISVTX) && !S_ISDIR(stat->st_mode) && stat->st_uid != geteuid()) {
    return refuse(walk, EPERM,
                  S_ISLNK(stat->st_mode) ? "a link of another user in a sticky folder is not followed"
                                         : "a file of another user in a sticky folder is not written to");
  }
  if (S_ISLNK(stat->st_mode)) {
    return is_in_procfs(walk) ? follow_in_procfs(walk, &component, resolved) : follow_link(walk, &component);
  }
  if (S_ISDIR(stat->st_mode)) {
    return component.is_last ? refuse(walk, EISDIR, NULL) : enter(walk, component.name, O_NOFOLLOW);
  }
  if (!component.is_last || component.must_be_folder) {
    return refuse(walk, ENOTDIR, NULL);
  }
  return arrive(&component, resolved, S_ISREG(stat->st_mode) ? RESOLVED_FILE : RESOLVED_SPECIAL);
}

static int find(struct walk *walk, struct resolved *resolved, const char *path) {
  if (begin(walk, path) != 0) {
    return -1;
  }
  while (!resolved->name && resolved->descriptor < 0) {
    if (step(walk, resolved) != 0) {
      return -1;
    }
  }
  return 0;
}

int resolved_find(struct resolved *resolved, const char *path) {
  struct walk walk;
  int result = EXIT_SUCCESS;
  memset(resolved, 0, sizeof *resolved);
  resolved->folder = -1;
  resolved->descriptor = descriptor_in_path(path);
  if (resolved->descriptor >= 0) {
    resolved->kind = RESOLVED_DESCRIPTOR;
    return EXIT_SUCCESS;
  }
  if (find(&walk, resolved, path) != 0) {
    result = walk.why ? report(path, walk.why) : report_errno(path);
    resolved->descriptor = -1;
  }
  free(walk.rest);
  if (result == EXIT_SUCCESS && resolved->kind != RESOLVED_DESCRIPTOR) {
    resolved->folder = walk.folder;
  } else if (walk.folder >= 0) {
    close(walk.folder);
  }
  return result;
}

int resolved_open(const struct resolved *resolved, int flags) {
  struct stat now;
  int file = openat(resolved->folder, resolved->name, flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC), found;
  if (file < 0) {
    return -1;
  }
  found = fstat(file, &now) == 0;
  if (!found || now.st_dev != resolved->stat.st_dev || now.st_ino != resolved->stat.st_ino) {
    close(file);
    errno = found ? ESTALE : errno;
    return -1;
  }
  return file;
}

void resolved_free(struct resolved *resolved) {
  if (resolved->folder >= 0) {
    close(resolved->folder);
  }
  free(resolved->name);
}
