/*
 * Searches all memory of this process for secrets: every heap and every stack, including those of threads that have ended.
 *
 * The secrets are stored masked, so that the search does not find its own copies; this file compares masked bytes.
 */
#ifndef MEMORY_SCAN_H
#define MEMORY_SCAN_H

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum { MASK = 0x5a, FRAGMENT = 16, SECRET_MAX = 256, FRAGMENTS_MAX = 8192, WINDOW = 1024 * 1024 };

/* Sixteen bytes of a secret, so that a partly overwritten secret is found too. */
struct fragment {
  const char *of;
  const char *form;
  unsigned char masked[FRAGMENT];
  /* Occurrences are tolerated at the moment. */
  int tolerated;
  /* The next fragment with the same first two bytes; 0 for none. */
  int next;
};

static struct fragment fragments[FRAGMENTS_MAX];
static int fragment_count = 1;
static int first_with[65536];
static pthread_mutex_t fragments_lock = PTHREAD_MUTEX_INITIALIZER;

static inline void add_fragments(const char *of, const char *form, const unsigned char *masked, size_t len) {
  size_t at;
  CHECK(len >= FRAGMENT);
  pthread_mutex_lock(&fragments_lock);
  for (at = 0; at + FRAGMENT <= len; at += FRAGMENT) {
    int *first = &first_with[masked[at] << 8 | masked[at + 1]];
    struct fragment *fragment = &fragments[fragment_count];
    CHECK(fragment_count < FRAGMENTS_MAX);
    fragment->of = of;
    fragment->form = form;
    fragment->tolerated = 0;
    memcpy(fragment->masked, masked + at, FRAGMENT);
    fragment->next = *first;
    *first = fragment_count++;
  }
  pthread_mutex_unlock(&fragments_lock);
}

/* Three bytes in base64, from masked to masked. */
static inline void mask_base64(const unsigned char *masked, unsigned char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned bits = (unsigned)(masked[0] ^ MASK) << 16 | (unsigned)(masked[1] ^ MASK) << 8 | (masked[2] ^ MASK);
  int i;
  for (i = 0; i < 4; i++) {
    out[i] = (unsigned char)digits[bits >> (18 - 6 * i) & 63] ^ MASK;
  }
}

/* Byte by byte, so that no vector register keeps a part that the next function saves on the stack. */
static inline void copy_bytes(unsigned char *to, const unsigned char *from, size_t len) {
  volatile unsigned char *slowly = to;
  size_t i;
  for (i = 0; i < len; i++) {
    slowly[i] = from[i];
  }
}

/* Searches for these bytes from now on: raw, and in base64 at each of the three alignments. */
static inline void look_for_masked(const char *of, const unsigned char *masked, size_t len) {
  static const char *const forms[] = {"base64", "base64, one byte later", "base64, two bytes later"};
  unsigned char encoded[SECRET_MAX * 2];
  size_t skipped, at;
  CHECK(len <= SECRET_MAX);
  add_fragments(of, "plain", masked, len);
  for (skipped = 0; skipped < 3; skipped++) {
    size_t length = 0;
    for (at = skipped; at + 3 <= len; at += 3) {
      mask_base64(masked + at, encoded + length);
      length += 4;
    }
    add_fragments(of, forms[skipped], encoded, length);
  }
}

static inline void mask(unsigned char *masked, const void *bytes, size_t len) {
  const unsigned char *from = bytes;
  size_t i;
  for (i = 0; i < len; i++) {
    masked[i] = from[i] ^ MASK;
  }
}

static inline void look_for(const char *of, const void *bytes, size_t len) {
  unsigned char masked[SECRET_MAX];
  CHECK(len <= SECRET_MAX);
  mask(masked, bytes, len);
  look_for_masked(of, masked, len);
}

static inline int is_at(const unsigned char *place, const unsigned char *masked) {
  int i;
  for (i = 0; i < FRAGMENT; i++) {
    if ((place[i] ^ MASK) != masked[i]) {
      return 0;
    }
  }
  return 1;
}

static inline void tolerate(const char *of, const char *form, int tolerated) {
  int i;
  for (i = 1; i < fragment_count; i++) {
    if (strcmp(fragments[i].of, of) == 0 && strcmp(fragments[i].form, form) == 0) {
      fragments[i].tolerated = tolerated;
    }
  }
}

/* The number of fragments in `bytes`. Each is printed to `report`, unless it is NULL. */
static inline int scan_bytes(const unsigned char *bytes, size_t len, unsigned long address, const char *mapping,
                             FILE *report) {
  int found = 0;
  size_t at;
  for (at = 0; at + FRAGMENT <= len; at++) {
    int i = first_with[(bytes[at] ^ MASK) << 8 | (bytes[at + 1] ^ MASK)];
    for (; i != 0; i = fragments[i].next) {
      if (!fragments[i].tolerated && is_at(bytes + at, fragments[i].masked)) {
        found++;
        if (report != NULL) {
          fprintf(report, "%s (%s) is at %lx in %s\n", fragments[i].of, fragments[i].form,
                  address + (unsigned long)at, mapping);
        }
      }
    }
  }
  return found;
}

static inline int scan_mapping(int memory, unsigned char *window, unsigned long start, unsigned long end,
                               const char *mapping, FILE *report) {
  unsigned long at;
  int found = 0;
  for (at = start; at < end; at += WINDOW - FRAGMENT + 1) {
    ssize_t got = pread(memory, window, end - at < WINDOW ? end - at : WINDOW, (off_t)at);
    if (got <= 0) {
      /* Pages of the kernel, such as [vvar]. */
      break;
    }
    found += scan_bytes(window, (size_t)got, at, mapping, report);
  }
  return found;
}

/* The number of fragments in all memory that this process can read, except the buffer of the search. */
static inline int scan_memory(FILE *report) {
  static char maps[256 * 1024];
  /* Shared, so that the kernel does not merge it with its neighbours. */
  unsigned char *window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  int list = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  size_t len = 0;
  ssize_t got;
  int found = 0;
  char *line;
  char *next;
  CHECK(window != MAP_FAILED && memory >= 0 && list >= 0);
  while ((got = read(list, maps + len, sizeof maps - 1 - len)) > 0) {
    len += (size_t)got;
  }
  CHECK(len < sizeof maps - 1);
  maps[len] = '\0';
  close(list);
  for (line = maps; *line != '\0'; line = next) {
    unsigned long start, end;
    char readable;
    next = line + strcspn(line, "\n");
    if (*next == '\n') {
      *next++ = '\0';
    }
    CHECK_INT(sscanf(line, "%lx-%lx %c", &start, &end, &readable), 3);
    if (readable == 'r' && start != (unsigned long)(uintptr_t)window) {
      found += scan_mapping(memory, window, start, end, line, report);
    }
  }
  close(memory);
  munmap(window, WINDOW);
  return found;
}

#endif /* MEMORY_SCAN_H */
