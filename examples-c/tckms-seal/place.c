#ifdef __linux__
#define _GNU_SOURCE
#else
#define _XOPEN_SOURCE 700
#endif

#include "place.h"

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
struct part {
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
static int take_part(struct walk *walk, struct part *part) {
  char *name = walk->rest + strspn(walk->rest, "/");
  size_t len = strcspn(name, "/");
  char *after = name + len + strspn(name + len, "/");
  if (len == 0) {
    return refuse(walk, walk->rest[0] == '\0' ? ENOENT : EISDIR, NULL);
  }
  if (len > NAME_MAX) {
    return refuse(walk, ENAMETOOLONG, NULL);
  }
  memcpy(part->name, name, len);
  part->name[len] = '\0';
  part->is_last = *after == '\0';
  part->must_be_folder = name[len] == '/';
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
static int follow_in_procfs(struct walk *walk, const struct part *part, struct place *place) {
  if (!part->is_last) {
    return enter(walk, part->name, 0);
  }
  place->descriptor = descriptor_number(part->name);
  if (place->descriptor < 0 || !(is_folder(walk, "/proc/self/fd") || is_folder(walk, "/proc/thread-self/fd"))) {
    return refuse(walk, EPERM, "this is not a descriptor of this program");
  }
  if (place->descriptor == walk->folder) {
    return refuse(walk, EBADF, NULL);
  }
  place->kind = PLACE_DESCRIPTOR;
  return 0;
}

static int follow_link(struct walk *walk, const struct part *part) {
  char target[PATH_MAX], *rest = NULL;
  ssize_t len = readlinkat(walk->folder, part->name, target, sizeof target);
  if (len < 0) {
    return -1;
  }
  if (len == sizeof target || len == 0 || ++walk->links > LINKS_MAX) {
    return refuse(walk, len == 0 ? ENOENT : len == sizeof target ? ENAMETOOLONG : ELOOP, NULL);
  }
  text_append(&rest, target, (size_t)len);
  text_append_string(&rest, part->must_be_folder ? "/" : "");
  text_append_string(&rest, walk->rest);
  free(walk->rest);
  walk->rest = rest;
  return rest[0] == '/' ? enter(walk, "/", 0) : 0;
}

static int arrive(const struct part *part, struct place *place, enum place_kind kind) {
  place->kind = kind;
  text_append_string(&place->name, part->name);
  return 0;
}

/* Resolves one component. Ends at a name in a folder or at a descriptor. */
static int step(struct walk *walk, struct place *place) {
  struct part part;
  struct stat *stat = &place->stat;
  if (take_part(walk, &part) != 0) {
    return -1;
  }
  if (fstatat(walk->folder, part.name, stat, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT || !part.is_last || part.must_be_folder) {
      return -1;
    }
    return arrive(&part, place, PLACE_ABSENT);
  }
  if ((walk->folder_stat.st_mode & S_ISVTX) && !S_ISDIR(stat->st_mode) && stat->st_uid != geteuid()) {
    return refuse(walk, EPERM,
                  S_ISLNK(stat->st_mode) ? "a link of another user in a sticky folder is not followed"
                                         : "a file of another user in a sticky folder is not written to");
  }
  if (S_ISLNK(stat->st_mode)) {
    return is_in_procfs(walk) ? follow_in_procfs(walk, &part, place) : follow_link(walk, &part);
  }
  if (S_ISDIR(stat->st_mode)) {
    return part.is_last ? refuse(walk, EISDIR, NULL) : enter(walk, part.name, O_NOFOLLOW);
  }
  if (!part.is_last || part.must_be_folder) {
    return refuse(walk, ENOTDIR, NULL);
  }
  return arrive(&part, place, S_ISREG(stat->st_mode) ? PLACE_FILE : PLACE_SPECIAL);
}

static int find(struct walk *walk, struct place *place, const char *path) {
  if (begin(walk, path) != 0) {
    return -1;
  }
  while (!place->name && place->descriptor < 0) {
    if (step(walk, place) != 0) {
      return -1;
    }
  }
  return 0;
}

int place_find(struct place *place, const char *path) {
  struct walk walk;
  int result = EXIT_SUCCESS;
  memset(place, 0, sizeof *place);
  place->folder = -1;
  place->descriptor = descriptor_in_path(path);
  if (place->descriptor >= 0) {
    place->kind = PLACE_DESCRIPTOR;
    return EXIT_SUCCESS;
  }
  if (find(&walk, place, path) != 0) {
    result = walk.why ? report(path, walk.why) : report_errno(path);
    place->descriptor = -1;
  }
  free(walk.rest);
  if (result == EXIT_SUCCESS && place->kind != PLACE_DESCRIPTOR) {
    place->folder = walk.folder;
  } else if (walk.folder >= 0) {
    close(walk.folder);
  }
  return result;
}

int place_open(const struct place *place, int flags) {
  struct stat now;
  int file = openat(place->folder, place->name, flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC), found;
  if (file < 0) {
    return -1;
  }
  found = fstat(file, &now) == 0;
  if (!found || now.st_dev != place->stat.st_dev || now.st_ino != place->stat.st_ino) {
    close(file);
    errno = found ? ESTALE : errno;
    return -1;
  }
  return file;
}

void place_free(struct place *place) {
  if (place->folder >= 0) {
    close(place->folder);
  }
  free(place->name);
}
