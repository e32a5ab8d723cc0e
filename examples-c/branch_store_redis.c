/*
 * Shares the branch keys of a fleet through Redis, with hiredis.
 *
 *     branch_store_redis KEY_ID [MESSAGES [ROTATION_MS]]
 *
 * It seals MESSAGES messages (default 1), 10 per second, each with its own context, opens each again, and prints the
 * number of requests. Messages never depend on Redis: if you stop it, nothing fails. REDIS_HOST and REDIS_PORT are
 * its address (default 127.0.0.1, 6379), REDIS_PASSWORD the password. The client comes from the environment, as in
 * quickstart.c.
 *
 *     cc branch_store_redis.c $(pkg-config --cflags --libs tckms hiredis) -o branch_store_redis
 *
 * A branch is a hash, its slots are the fields, and HSETNX is the put-if-absent. Records are not secret. A user who can
 * write to them can make sealing fall back to separate branch keys, use an older branch key, or fail by reference. A
 * Redis that evicts keys costs a few more branch keys, except for messages by reference: these need a store that keeps
 * all records.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>
#include <tckms.h>

/* The library calls from one thread at a time, so the connection needs no lock. */
struct store {
  const char *host, *password;
  int port;
  redisContext *connection;
  /* A forked child must not use its parent's connection. */
  pid_t process;
};

static void disconnect(struct store *store) {
  if (store->connection && store->process == getpid()) {
    redisFree(store->connection);
  }
  store->connection = NULL;
}

static int fail(struct store *store, const char *why) {
  if (tckms_callback_set_error_text(why) != TCKMS_OK) {
    fprintf(stderr, "%s\n", why);
  }
  disconnect(store);
  return TCKMS_ERR_BRANCH_STORE_FAILED;
}

/* Returns a working connection, or NULL. The timeout is below the library's limit for a callback, so that the error names
 * the cause. */
static redisContext *connected(struct store *store) {
  struct timeval limit = {1, 0};
  redisReply *reply;
  if (store->connection && store->process == getpid()) {
    return store->connection;
  }
  store->process = getpid();
  store->connection = redisConnectWithTimeout(store->host, store->port, limit);
  if (!store->connection || store->connection->err || redisSetTimeout(store->connection, limit) != REDIS_OK) {
    fail(store, store->connection ? store->connection->errstr : "no memory for a connection to Redis");
    return NULL;
  }
  if (store->password) {
    reply = redisCommand(store->connection, "AUTH %s", store->password);
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
      fail(store, "Redis refused the password");
    }
    freeReplyObject(reply);
  }
  return store->connection;
}

static int load(void *userdata, const char *key, tckms_branch_records *out) {
  struct store *store = userdata;
  redisContext *connection = connected(store);
  redisReply *reply;
  size_t i;
  int result = 0;
  if (!connection) {
    return TCKMS_ERR_BRANCH_STORE_FAILED;
  }
  reply = redisCommand(connection, "HVALS tckms:%s", key);
  if (!reply || reply->type != REDIS_REPLY_ARRAY) {
    result = fail(store, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "Redis does not reply");
  }
  for (i = 0; result == 0 && i < reply->elements; i++) {
    result = (int)tckms_branch_records_add(out, reply->element[i]->str, reply->element[i]->len);
  }
  if (reply) {
    freeReplyObject(reply);
  }
  return result;
}

/* HSETNX returns whether the record was stored; the library loads the records afterwards. */
static int put_if_absent(void *userdata, const char *key, int64_t slot, const char *record) {
  struct store *store = userdata;
  redisContext *connection = connected(store);
  redisReply *reply;
  int result = 0;
  if (!connection) {
    return TCKMS_ERR_BRANCH_STORE_FAILED;
  }
  reply = redisCommand(connection, "HSETNX tckms:%s %lld %s", key, (long long)slot, record);
  if (!reply || reply->type != REDIS_REPLY_INTEGER) {
    result = fail(store, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "Redis does not reply");
  }
  if (reply) {
    freeReplyObject(reply);
  }
  return result;
}

static void destroy(void *userdata) {
  disconnect(userdata);
  free(userdata);
}

static int explain(const char *what) {
  const tckms_error *error = tckms_last_error();
  fprintf(stderr, "%s: %s: %s\n", what, tckms_status_name(tckms_error_status(error)), tckms_error_message(error));
  return EXIT_FAILURE;
}

static int add_branch(tckms_keyring *keyring, const tckms_client *client, const char *key_id, int64_t rotation_ms) {
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  struct store *store = calloc(1, sizeof *store);
  if (!store) {
    return EXIT_FAILURE;
  }
  store->host = getenv("REDIS_HOST") ? getenv("REDIS_HOST") : "127.0.0.1";
  store->port = getenv("REDIS_PORT") ? atoi(getenv("REDIS_PORT")) : 6379;
  store->password = getenv("REDIS_PASSWORD");
  options.branch_id = "orders";
  options.load = load;
  options.put_if_absent = put_if_absent;
  options.userdata = store;
  options.destructor_or_null = destroy;
  options.rotation_ms = rotation_ms;
  if (tckms_keyring_add_branch(keyring, client, key_id, &options, sizeof options) != TCKMS_OK) {
    free(store);
    return explain("cannot add the branch");
  }
  return EXIT_SUCCESS;
}

static int seal_and_open(const tckms_keyring *keyring, long number) {
  tckms_buffer message = TCKMS_BUFFER_INIT, opened = TCKMS_BUFFER_INIT;
  char context[64];
  int result = EXIT_SUCCESS;
  snprintf(context, sizeof context, "{\"order\":\"%ld\"}", number);
  if (tckms_seal(keyring, "4711", 4, context, &message) != TCKMS_OK) {
    result = explain("cannot seal");
  } else if (tckms_open(keyring, message.data, message.len, context, &opened) != TCKMS_OK) {
    result = explain("cannot open");
  }
  tckms_buffer_free(&opened);
  tckms_buffer_free(&message);
  return result;
}

int main(int argc, char **argv) {
  static const struct timespec pause = {0, 100 * 1000 * 1000};
  long messages = argc > 2 ? atol(argv[2]) : 1, number;
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_stats stats = TCKMS_BRANCH_STATS_INIT;
  tckms_client *client = NULL;
  int result = EXIT_FAILURE;
  if (argc < 2) {
    fprintf(stderr, "usage: %s KEY_ID [MESSAGES [ROTATION_MS]]\n", argv[0]);
  } else if (tckms_client_new_from_env(&client) != TCKMS_OK) {
    result = explain("cannot create a client");
  } else {
    result = add_branch(keyring, client, argv[1], argc > 3 ? atoll(argv[3]) : (int64_t)30 * 24 * 3600 * 1000);
  }
  for (number = 0; number < messages && result == EXIT_SUCCESS; number++) {
    result = seal_and_open(keyring, number);
    nanosleep(&pause, NULL);
  }
  if (result == EXIT_SUCCESS && tckms_keyring_branch_stats(keyring, &stats, sizeof stats) == TCKMS_OK) {
    printf("sealed %llu, opened %llu, keys created %llu, unwrapped %llu, with local keys %llu, store failures %llu\n",
           (unsigned long long)stats.wraps, (unsigned long long)stats.unwraps, (unsigned long long)stats.keys_made,
           (unsigned long long)stats.keys_unwrapped, (unsigned long long)stats.own_key_wraps,
           (unsigned long long)stats.store_failures);
  }
  tckms_keyring_free(keyring);
  tckms_client_free(client);
  return result;
}
