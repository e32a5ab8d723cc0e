/*
 * Shares the branch keys of a fleet through PostgreSQL, with libpq.
 *
 *     branch_store_postgres KEY_ID [MESSAGES [ROTATION_MS]]
 *
 * It seals MESSAGES messages (default 1), 10 per second, each with its own context, opens each again, and prints the
 * number of requests. Messages never depend on the database: if you stop it, nothing fails. PGHOST, PGPORT, PGDATABASE,
 * PGUSER and PGPASSWORD configure the connection, as for psql. The client comes from the environment, as in quickstart.c.
 *
 *     cc branch_store_postgres.c $(pkg-config --cflags --libs tckms libpq) -o branch_store_postgres
 *
 * A branch is the rows with its name, and INSERT with ON CONFLICT DO NOTHING is the put-if-absent. Records are not
 * secret.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <tckms.h>

/* The library calls from one thread at a time, so the connection needs no lock. */
struct store {
  PGconn *connection;
  /* A forked child must not use its parent's connection. */
  pid_t process;
};

static void disconnect(struct store *store) {
  if (store->connection && store->process == getpid()) {
    PQfinish(store->connection);
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

/* Runs one statement, whose result must be of the expected kind; returns NULL after a failure. A later call may
 * reconnect. */
static PGresult *query(struct store *store, const char *statement, int count, const char *const *values, ExecStatusType expected) {
  PGresult *result;
  if (!store->connection || store->process != getpid()) {
    store->process = getpid();
    /* PGHOST, PGUSER and others configure the connection. The library's limit for a callback is two seconds. */
    store->connection = PQconnectdb("connect_timeout=2 options='-c statement_timeout=1000 -c client_min_messages=warning'");
    if (PQstatus(store->connection) != CONNECTION_OK) {
      fail(store, PQerrorMessage(store->connection));
      return NULL;
    }
    PQclear(PQexec(store->connection,
                   "CREATE TABLE IF NOT EXISTS tckms_branch"
                   " (name text, slot bigint, record text NOT NULL, PRIMARY KEY (name, slot))"));
  }
  result = PQexecParams(store->connection, statement, count, NULL, values, NULL, NULL, 0);
  if (PQresultStatus(result) != expected) {
    fail(store, PQerrorMessage(store->connection));
    PQclear(result);
    return NULL;
  }
  return result;
}

static int load(void *userdata, const char *key, tckms_branch_records *out) {
  PGresult *rows = query(userdata, "SELECT record FROM tckms_branch WHERE name = $1", 1, &key, PGRES_TUPLES_OK);
  int i, result = rows ? 0 : TCKMS_ERR_BRANCH_STORE_FAILED;
  for (i = 0; result == 0 && i < PQntuples(rows); i++) {
    result = (int)tckms_branch_records_add(out, PQgetvalue(rows, i, 0), (size_t)PQgetlength(rows, i, 0));
  }
  PQclear(rows);
  return result;
}

static int put_if_absent(void *userdata, const char *key, int64_t slot, const char *record) {
  char number[32];
  const char *values[3];
  PGresult *done;
  snprintf(number, sizeof number, "%lld", (long long)slot);
  values[0] = key;
  values[1] = number;
  values[2] = record;
  done = query(userdata, "INSERT INTO tckms_branch VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", 3, values,
               PGRES_COMMAND_OK);
  PQclear(done);
  return done ? 0 : TCKMS_ERR_BRANCH_STORE_FAILED;
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
