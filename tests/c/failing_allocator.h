/*
 * An allocator that fails for the library, at the allocations that a test selects. It replaces the allocator of the process, and needs
 * glibc. Define _GNU_SOURCE before including this.
 */
#ifndef FAILING_ALLOCATOR_H
#define FAILING_ALLOCATOR_H

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* The functions of glibc that those below replace. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);
extern void *__libc_memalign(size_t alignment, size_t size);

static uintptr_t library_begin, library_end;
/* The number of the library's allocations since the count began, and the first and the last one that fail. */
static atomic_long counted, first_failing, last_failing;

static int find_library(struct dl_phdr_info *object, size_t size, void *unused) {
  int i;
  (void)size;
  (void)unused;
  if (strstr(object->dlpi_name, "libtckms") == NULL) {
    return 0;
  }
  for (i = 0; i < object->dlpi_phnum; i++) {
    if (object->dlpi_phdr[i].p_type == PT_LOAD) {
      uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
      uintptr_t end = begin + object->dlpi_phdr[i].p_memsz;
      library_begin = library_begin == 0 || begin < library_begin ? begin : library_begin;
      library_end = end > library_end ? end : library_end;
    }
  }
  return 1;
}

/* Whether this allocation fails. libc's own allocations do not fail, because libc ends the process for some of them. */
static int fails(const void *caller) {
  long number;
  if ((uintptr_t)caller < library_begin || (uintptr_t)caller >= library_end) {
    return 0;
  }
  number = atomic_fetch_add(&counted, 1) + 1;
  return number >= atomic_load(&first_failing) && number <= atomic_load(&last_failing);
}

/*
 * Memory that Rust's standard library allocates for a thread, and cannot do without. Before that, the library frees a block of the same
 * size, which every allocator returns to the same thread again.
 */
#define THREAD_HANDLE_LEN 48
static __thread size_t just_freed;

void free(void *block) {
  just_freed = block == NULL ? 0 : malloc_usable_size(block);
  __libc_free(block);
}

void *malloc(size_t size) {
  int is_given_again = size == THREAD_HANDLE_LEN && just_freed >= size && just_freed < 2 * size;
  just_freed = 0;
  return !is_given_again && fails(__builtin_return_address(0)) ? (errno = ENOMEM, NULL) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return fails(__builtin_return_address(0)) ? (errno = ENOMEM, NULL) : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  return fails(__builtin_return_address(0)) ? (errno = ENOMEM, NULL) : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return fails(__builtin_return_address(0)) ? (errno = ENOMEM, NULL) : __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  if (fails(__builtin_return_address(0))) {
    return ENOMEM;
  }
  *block = __libc_memalign(alignment, size);
  return *block == NULL ? ENOMEM : 0;
}

static void begin_to_fail(long first, long last) {
  atomic_store(&counted, 0);
  atomic_store(&last_failing, last);
  atomic_store(&first_failing, first);
}

/* Returns the number of allocations since then. */
static long stop_failing(void) {
  atomic_store(&first_failing, LONG_MAX);
  return atomic_load(&counted);
}

#endif /* FAILING_ALLOCATOR_H */
