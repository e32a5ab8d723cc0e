/* Structures that grow: sizes of existing versions are accepted, others are refused, and unknown options are reported. */
#include "check.h"

#include "fixture.h"

/* Larger than any structure here and than the maximum of the library. */
enum { LIMIT = 4096, ROOM = LIMIT + 64 };

static union {
  unsigned char bytes[ROOM];
  void *alignment;
  uint64_t number;
} memory;

/* Calls a function with the content of `memory` as the structure. */
typedef tckms_status (*call)(size_t size);

static tckms_keyring *keyring;
static tckms_client *client;

static tckms_status set_cache(size_t size) {
  return tckms_keyring_set_cache(keyring, (const tckms_cache_limits *)(const void *)&memory, size);
}

static tckms_status add_custom(size_t size) {
  return tckms_keyring_add_custom(keyring, (const tckms_custom_key *)(const void *)&memory, size);
}

/* The options are read before the descriptors, which are invalid. */
static tckms_status seal_fd(size_t size) {
  return tckms_seal_fd(keyring, -1, -1, NULL, (const tckms_fd_options *)(const void *)&memory, size);
}

static tckms_status open_fd(size_t size) {
  return tckms_open_fd(keyring, -1, -1, NULL, (const tckms_fd_options *)(const void *)&memory, size);
}

static tckms_status set_role_options(size_t size) {
  tckms_config *config = tckms_config_new();
  tckms_status status =
      tckms_config_set_assume_role_credentials(config, (const tckms_role_options *)(const void *)&memory, size);
  tckms_config_free(config);
  return status;
}

/* Without a callback, which is checked after the filter. */
static tckms_status list_keys(size_t size) {
  return tckms_list_keys(client, (const tckms_key_filter *)(const void *)&memory, size, NULL, NULL);
}

static tckms_status create_key(size_t size) {
  tckms_buffer key_id;
  return tckms_create_key(client, (const tckms_create_key_options *)(const void *)&memory, size, &key_id, NULL);
}

static tckms_status new_queue(size_t size) {
  tckms_queue *queue = NULL;
  tckms_status status = tckms_queue_new((const tckms_queue_options *)(const void *)&memory, size, &queue);
  CHECK((queue != NULL) == (status == TCKMS_OK));
  tckms_queue_free(queue);
  return status;
}

static tckms_status add_branch(size_t size) {
  return tckms_keyring_add_branch(keyring, client, "key", (const tckms_branch_options *)(const void *)&memory, size);
}

static tckms_status branch_stats(size_t size) {
  return tckms_keyring_branch_stats(keyring, (tckms_branch_stats *)(void *)&memory, size);
}

static tckms_status client_stats(size_t size) {
  return tckms_client_stats(client, (tckms_stats *)(void *)&memory, size);
}

/* Whether the call accepted the size and read the structure. */
static int read_it(tckms_status status) {
  return status != TCKMS_ERR_INVALID_LENGTH && status != TCKMS_ERR_UNKNOWN_OPTION;
}

static void sizes_of(const char *name, call use, size_t size) {
  size_t other;
  memset(&memory, 0, sizeof memory);
  for (other = 0; other <= ROOM; other += other > size + 64 && other < LIMIT - 64 ? 64 : 1) {
    if (other == size || (other > size && other <= LIMIT && other % sizeof(void *) == 0)) {
      CHECK(read_it(use(other)));
    } else {
      CHECK_STATUS(use(other), TCKMS_ERR_INVALID_LENGTH);
      CHECK_HAS(tckms_error_message(tckms_last_error()), name);
    }
  }
  CHECK_STATUS(use(SIZE_MAX), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(use(SIZE_MAX / 2 + 1), TCKMS_ERR_INVALID_LENGTH);
}

static void wishes_of(const char *name, call use, size_t size) {
  size_t place;
  for (place = size; place < LIMIT; place += 509) {
    memset(&memory, 0, sizeof memory);
    memory.bytes[place] = 1;
    CHECK_STATUS(use(LIMIT), TCKMS_ERR_UNKNOWN_OPTION);
    CHECK_HAS(tckms_error_message(tckms_last_error()), name);
    CHECK_INT(tckms_status_category(TCKMS_ERR_UNKNOWN_OPTION), TCKMS_CATEGORY_ARGUMENT);
    /* The bytes after the given size do not matter. */
    CHECK(read_it(use(size)));
  }
}

/* A structure that the library fills. */
static void output(const char *name, call use, size_t size) {
  keyring = tckms_keyring_new();
  sizes_of(name, use, size);
  memset(&memory, 0xff, sizeof memory);
  CHECK_OK(use(size));
  CHECK(memory.bytes[size] == 0xff && memory.bytes[size - 1] == 0);
  CHECK_OK(use(LIMIT));
  CHECK(memory.bytes[LIMIT] == 0xff && memory.bytes[LIMIT - 1] == 0);
  tckms_keyring_free(keyring);
}

static void structure(const char *name, call use, size_t size) {
  keyring = tckms_keyring_new();
  sizes_of(name, use, size);
  wishes_of(name, use, size);
  tckms_keyring_free(keyring);
}

int main(void) {
  tckms_cache_limits limits = TCKMS_CACHE_LIMITS_INIT;
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  tckms_role_options role = TCKMS_ROLE_OPTIONS_INIT;
  tckms_stats stats = TCKMS_STATS_INIT;
  tckms_create_key_options new_key = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  client = client_of(config_for("http://127.0.0.1:1"));
  structure("tckms_cache_limits", set_cache, sizeof limits);
  structure("tckms_custom_key", add_custom, sizeof key);
  structure("tckms_fd_options", seal_fd, sizeof options);
  structure("tckms_fd_options", open_fd, sizeof options);
  structure("tckms_role_options", set_role_options, sizeof role);
  structure("tckms_create_key_options", create_key, sizeof new_key);
  structure("tckms_key_filter", list_keys, sizeof filter);
  structure("tckms_queue_options", new_queue, sizeof(tckms_queue_options));
  structure("tckms_branch_options", add_branch, sizeof(tckms_branch_options));
  output("tckms_branch_stats", branch_stats, sizeof(tckms_branch_stats));
  output("tckms_stats", client_stats, sizeof stats);
  tckms_client_free(client);

  keyring = tckms_keyring_new();
  CHECK_OK(tckms_keyring_set_cache(keyring, &limits, sizeof limits));
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
  CHECK_STATUS(tckms_seal_fd(keyring, 0, 1, NULL, &options, sizeof options), TCKMS_ERR_NO_USABLE_KEY);
  CHECK_INT((intmax_t)(stats.calls + stats.connections_opened), 0);
  tckms_keyring_free(keyring);
  return checks_passed();
}
