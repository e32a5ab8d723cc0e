/*
 * An allocator that fails: at each single allocation of a call, and at all from that one on. Every call ends with a status,
 * and none ends the process.
 *
 *     memory_torture [STRIDE]
 *
 * Of the allocations of a call beyond the first hundred, only each STRIDEth one fails: 1 for all of them. Without it, about
 * 150 do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>

#include "fixture.h"

/* The functions of glibc that those below replace for the whole process. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static uintptr_t library_begin, library_end;
/* Allocations of the library since the count began, and the first and the last one that fail. */
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

/* Whether this allocation fails. Those of libc for its own purposes do not: it ends the process for some of them. */
static int fails(const void *caller) {
  long number;
  if ((uintptr_t)caller < library_begin || (uintptr_t)caller >= library_end) {
    return 0;
  }
  number = atomic_fetch_add(&counted, 1) + 1;
  return number >= atomic_load(&first_failing) && number <= atomic_load(&last_failing);
}

/*
 * What Rust's standard library keeps for a thread, which it allocates without an allocator of ours, and cannot do without. The
 * library looks for memory before it starts a thread.
 */
#define THREAD_HANDLE_LEN 48

void *malloc(size_t size) {
  return size != THREAD_HANDLE_LEN && fails(__builtin_return_address(0)) ? (errno = ENOMEM, NULL) : __libc_malloc(size);
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

static long stop_failing(void) {
  atomic_store(&first_failing, LONG_MAX);
  return atomic_load(&counted);
}

/* A status, and where it is one of an error, an error with that status and a text. */
static int succeeded(tckms_status status) {
  if (status != TCKMS_OK) {
    const tckms_error *error = tckms_last_error();
    CHECK_INT(tckms_error_status(error), status);
    CHECK(tckms_error_message(error)[0] != '\0');
    CHECK(tckms_status_name((int)status)[0] == 'T');
  }
  return status == TCKMS_OK;
}

static tckms_client *new_client(void) {
  tckms_client *client = NULL;
  tckms_config *config = tckms_config_new();
  int good = config != NULL && succeeded(tckms_config_set_region(config, "ap-guangzhou")) &&
             succeeded(tckms_config_set_endpoint(config, GIVEN_ENDPOINT)) &&
             succeeded(tckms_config_set_credentials(config, GIVEN_SECRET_ID, GIVEN_SECRET_KEY, NULL)) &&
             succeeded(tckms_config_set_total_timeout_ms(config, 2000)) &&
             succeeded(tckms_config_set_max_attempts(config, 1)) &&
             (given_ca_file() == NULL || succeeded(tckms_config_set_ca_file(config, given_ca_file())));
  if (good && !succeeded(tckms_client_new(config, &client))) {
    CHECK(client == NULL);
  }
  tckms_config_free(config);
  return client;
}

static void call_the_service(void) {
  tckms_client *client = new_client();
  tckms_buffer blob = TCKMS_BUFFER_INIT, out = TCKMS_BUFFER_INIT, other = TCKMS_BUFFER_INIT;
  unsigned char random[16];
  if (client != NULL) {
    if (succeeded(tckms_encrypt(client, MAIN_KEY, "x", 1, "{\"a\":\"1\"}", &blob))) {
      succeeded(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, "{\"a\":\"1\"}", &out));
      tckms_buffer_free(&out);
      succeeded(tckms_reencrypt(client, OTHER_KEY, blob.data, blob.len, "{\"a\":\"1\"}", NULL, &out));
      tckms_buffer_free(&out);
    }
    CHECK(!succeeded(tckms_decrypt(client, MAIN_KEY, "junk", 4, NULL, &out)));
    succeeded(tckms_generate_data_key(client, MAIN_KEY, 32, NULL, &out, &other));
    succeeded(tckms_generate_random(client, random, sizeof random));
    tckms_buffer_free(&out);
    tckms_buffer_free(&other);
    succeeded(tckms_call(client, "ListKeys", "{}", &out));
    tckms_buffer_free(&out);
    tckms_error_free(tckms_last_error_take());
  }
  tckms_buffer_free(&blob);
  tckms_client_free(client);
}

static void stream(const tckms_keyring *keyring, int opens, const void *in, size_t len) {
  static unsigned char room[8192];
  tckms_stream *stream = NULL;
  size_t consumed, produced, total = 0;
  int done = 0;
  tckms_status status = opens ? tckms_stream_new_open(keyring, "{\"a\":\"1\"}", &stream)
                              : tckms_stream_new_seal(keyring, "{\"a\":\"1\"}", &stream);
  if (!succeeded(status)) {
    CHECK(stream == NULL);
    return;
  }
  while (total < len && succeeded(tckms_stream_update(stream, (const char *)in + total, len - total, &consumed, room,
                                                      sizeof room, &produced))) {
    total += consumed;
  }
  while (total == len && !done && succeeded(tckms_stream_finish(stream, room, sizeof room, &produced, &done))) {
  }
  tckms_stream_free(stream);
}

static void seal_and_open(void) {
  static unsigned char plaintext[5000];
  tckms_client *client = new_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  tckms_message_info *info = NULL;
  tckms_context_pair pair = {"a", "1"};
  tckms_buffer message = TCKMS_BUFFER_INIT, out = TCKMS_BUFFER_INIT;
  if (client != NULL && keyring != NULL && succeeded(tckms_keyring_add_kms(keyring, client, MAIN_KEY)) &&
      succeeded(tckms_keyring_set_frame_len(keyring, 1024)) &&
      succeeded(tckms_keyring_set_cache(keyring, &limits, sizeof limits))) {
    succeeded(tckms_keyring_set_signing(keyring, 1));
    if (succeeded(tckms_seal(keyring, plaintext, sizeof plaintext, "{\"a\":\"1\"}", &message))) {
      if (succeeded(tckms_open(keyring, message.data, message.len, "{\"a\":\"1\"}", &out))) {
        CHECK_BYTES(out, plaintext, sizeof plaintext);
      }
      tckms_buffer_free(&out);
      if (succeeded(tckms_message_info_new(message.data, message.len, &info))) {
        succeeded(tckms_message_info_json(info, &out));
        tckms_buffer_free(&out);
      }
      tckms_message_info_free(info);
    }
    tckms_buffer_free(&message);
    succeeded(tckms_keyring_set_signing(keyring, 0));
    if (succeeded(tckms_seal(keyring, plaintext, sizeof plaintext, "{\"a\":\"1\"}", &message))) {
      stream(keyring, 1, message.data, message.len);
    }
    stream(keyring, 0, plaintext, sizeof plaintext);
    succeeded(tckms_context_json(&pair, 1, &out));
    tckms_buffer_free(&out);
  }
  tckms_buffer_free(&message);
  tckms_keyring_free(keyring);
  tckms_client_free(client);
}

/* Sizes that the program chooses: their allocation fails, whatever is kept for small blocks. */
static void large_messages(void) {
  static unsigned char header[400000];
  tckms_buffer out = TCKMS_BUFFER_INIT;
  tckms_message_info *info = NULL;
  int part;
  size_t at = 39, pairs = 0;
  memcpy(header, "\2\4\x78", 3);
  for (; at + 7 < 65000; pairs++, at += 7) {
    header[at + 1] = 3;
    header[at + 2] = (unsigned char)('A' + pairs % 26);
    header[at + 3] = (unsigned char)('A' + pairs / 26 % 26);
    header[at + 4] = (unsigned char)('A' + pairs / 676);
  }
  header[35] = (unsigned char)((at - 37) >> 8);
  header[36] = (unsigned char)(at - 37);
  header[37] = (unsigned char)(pairs >> 8);
  header[38] = (unsigned char)pairs;
  /* Eight wrapped keys of the longest kind, then the end of the header. */
  header[at + 1] = 8;
  at += 2;
  for (part = 0; part < 5; part++) {
    header[at] = header[at + 1] = 0xff;
    memset(header + at + 2, 'p', 0xffff);
    at += 2 + 0xffff;
  }
  if (succeeded(tckms_message_info_new(header, sizeof header, &info))) {
    succeeded(tckms_message_info_json(info, &out));
  }
  tckms_buffer_free(&out);
  tckms_message_info_free(info);
}

static void torture(void (*calls)(void), long stride) {
  long n, allocations;
  calls();
  begin_to_fail(LONG_MAX, LONG_MAX);
  calls();
  allocations = stop_failing();
  CHECK(allocations > 3);
  stride = stride > 0 ? stride : allocations / 150 + 1;
  for (n = 1; n <= allocations; n += n < 100 ? 1 : stride) {
    begin_to_fail(n, n);
    calls();
    begin_to_fail(n, LONG_MAX);
    calls();
    stop_failing();
  }
  /* Nothing is broken afterwards. */
  begin_to_fail(LONG_MAX, LONG_MAX);
  calls();
}

int main(int argc, char **argv) {
  long stride = argc > 1 ? atol(argv[1]) : 0;
  dl_iterate_phdr(find_library, NULL);
  CHECK(library_begin != 0);
  stop_failing();
  torture(large_messages, stride);
  torture(seal_and_open, stride);
  torture(call_the_service, stride);
  return checks_passed();
}
