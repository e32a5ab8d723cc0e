/*
 * Renewal: in time, once for all threads, and without a wait while valid credentials exist.
 *
 * Slow tests run in parallel. They use a scripted metadata service, which can report an earlier expiry than the emulator's.
 */
#define _GNU_SOURCE
#include "credentials.h"

/* The reported lifetime, and the beginning of its last tenth. */
enum { LIFETIME_S = 20, DUE_MS = 18000 };

static tckms_config *role_config(const char *metadata) {
  tckms_config *config = config_at(metadata, GIVEN_ENDPOINT);
  CHECK_OK(tckms_config_set_cvm_role_credentials(config, "my-role"));
  return config;
}

static void sleep_until(long moment) {
  long left = moment - now_ms();
  if (left > 0) {
    sleep_ms(left);
  }
}

struct renewal {
  tckms_client *client;
  int over;
};

static void *renew_slowly(void *argument) {
  struct renewal *renewal = argument;
  CHECK_OK(use(renewal->client));
  __atomic_store_n(&renewal->over, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

/* The renewal takes two seconds until it times out; a call that waited for it would take as long. */
static void *others_continue_while_a_renewal_is_slow(void *unused) {
  struct identity identity = issue_identity();
  char document[8192];
  struct reply script[2];
  struct server server;
  struct renewal renewal;
  pthread_t thread;
  int calls = 0;
  long began;
  long took;
  write_document(document, sizeof document, &identity, start_of_a_second() + LIFETIME_S);
  began = now_ms();
  script[0] = reply_of(200, document);
  script[1] = no_reply();
  server_start(&server, script, 2);
  renewal.client = client_of(role_config(server.endpoint));
  renewal.over = 0;
  CHECK_OK(use(renewal.client));
  sleep_until(began + DUE_MS + 100);
  CHECK_INT(pthread_create(&thread, NULL, renew_slowly, &renewal), 0);
  sleep_ms(200);
  while (calls < 20 && now_ms() < began + DUE_MS + 1200) {
    CHECK_OK(use_and_measure(renewal.client, &took));
    CHECK(took < 1000);
    CHECK(!__atomic_load_n(&renewal.over, __ATOMIC_SEQ_CST));
    calls++;
  }
  CHECK(calls > 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  server_stop(&server);
  tckms_client_free(renewal.client);
  return unused;
}

static void *a_failed_renewal_keeps_valid_credentials_and_is_retried_later(void *unused) {
  struct identity identity = issue_identity();
  char documents[2][8192];
  struct reply script[4];
  struct server server;
  tckms_client *client;
  long began;
  write_document(documents[0], sizeof documents[0], &identity, start_of_a_second() + LIFETIME_S);
  began = now_ms();
  write_document(documents[1], sizeof documents[1], &identity, unix_time() + 7200);
  script[0] = reply_of(200, documents[0]);
  script[1] = reply_of(500, "");
  script[2] = reply_of(200, "{\"Code\":\"Failure\"}");
  script[3] = reply_of(200, documents[1]);
  server_start(&server, script, 4);
  client = client_of(role_config(server.endpoint));
  CHECK_OK(use(client));
  sleep_until(began + DUE_MS + 50);
  /* Fails, after which half a second has to pass; then a whole one. */
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  sleep_ms(510);
  CHECK_OK(use(client));
  sleep_ms(510);
  CHECK_OK(use(client));
  sleep_until(began + LIFETIME_S * 1000 + 200);
  /* The server checks that this is the fourth request and the last. */
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  server_stop(&server);
  tckms_client_free(client);
  return unused;
}

static void *expired_credentials_do_not_replace_valid_ones(void *unused) {
  struct identity identity = issue_identity();
  char documents[2][8192];
  struct reply script[2];
  struct server server;
  tckms_client *client;
  long began;
  write_document(documents[0], sizeof documents[0], &identity, start_of_a_second() + LIFETIME_S);
  began = now_ms();
  write_document(documents[1], sizeof documents[1], &identity, unix_time() - 1);
  script[0] = reply_of(200, documents[0]);
  script[1] = reply_of(200, documents[1]);
  server_start(&server, script, 2);
  client = client_of(role_config(server.endpoint));
  CHECK_OK(use(client));
  sleep_until(began + DUE_MS + 50);
  CHECK_OK(use(client));
  CHECK_OK(use(client));
  server_stop(&server);
  tckms_client_free(client);
  return unused;
}

/* STS does not reply. The call has two seconds, and must not spend all of them on a renewal that it does not need yet. */
static void *a_renewal_leaves_time_for_the_call(void *unused) {
  struct identity identity = issue_identity();
  char answer[8192];
  struct reply script[2];
  struct server server;
  tckms_config *config;
  tckms_client *client;
  long began;
  long took;
  write_answer(answer, sizeof answer, &identity, start_of_a_second() + LIFETIME_S);
  began = now_ms();
  script[0] = reply_of(200, answer);
  script[1] = no_reply();
  server_start(&server, script, 2);
  config = config_at(GIVEN_ENDPOINT, server.endpoint);
  CHECK_OK(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", NULL));
  CHECK_OK(set_role(config, ROLE_ARN, NULL, 0, NULL, NULL));
  CHECK_OK(tckms_config_set_total_timeout_ms(config, 2000));
  client = client_of(config);
  CHECK_OK(use(client));
  sleep_until(began + DUE_MS + 50);
  CHECK_OK(use_and_measure(client, &took));
  CHECK(took >= 900);
  server_stop(&server);
  tckms_client_free(client);
  return unused;
}

static void one_refresh_serves_32_threads(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 3);
  set_fault("Metadata", "{\"kind\":\"delay\",\"ms\":500}", 1);
  client = client_of(role_config(GIVEN_ENDPOINT));
  on_threads(32, use_on_thread, client);
  CHECK_INT(requests_seen("Metadata"), 1);
  set_issuer("my-role", 0);
  sleep_ms(3100);
  set_fault("Metadata", "{\"kind\":\"delay\",\"ms\":500}", 1);
  on_threads(32, use_on_thread, client);
  CHECK_INT(requests_seen("Metadata"), 2);
  tckms_client_free(client);
}

static void *fail_on_thread(void *client) {
  CHECK_REFUSED(use(client), TCKMS_ERR_HTTP_STATUS);
  return NULL;
}

static void one_failure_serves_32_threads(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  set_fault("Metadata", "{\"kind\":\"status\",\"status\":500}", 100);
  client = client_of(role_config(GIVEN_ENDPOINT));
  on_threads(32, fail_on_thread, client);
  CHECK_INT(requests_seen("Metadata"), 1);
  tckms_client_free(client);
}

/* The emulator refuses expired tokens, so none was used too long. */
static void credentials_are_renewed_before_they_expire(void) {
  tckms_client *client;
  long began;
  reset_emulator();
  /* Times are in whole seconds: the emulator's expiry may be almost one second earlier, and the last tenth begins earlier still. */
  set_issuer("my-role", 11);
  client = client_of(role_config(GIVEN_ENDPOINT));
  began = now_ms();
  while (now_ms() < began + 12000) {
    CHECK_OK(use(client));
    sleep_ms(50);
  }
  tckms_client_free(client);
  CHECK_INT(requests_seen("Metadata"), 2);
  CHECK_INT(seen("AuthFailure.TokenFailure"), 0);
}

static void a_role_that_is_removed_while_the_program_runs(void) {
  tckms_client *client;
  long took;
  reset_emulator();
  set_issuer("my-role", 2);
  client = client_of(role_config(GIVEN_ENDPOINT));
  CHECK_OK(use(client));
  set_issuer(NULL, 0);
  sleep_ms(2100);
  CHECK_REFUSED(use_and_measure(client, &took), TCKMS_ERR_CREDENTIALS_EXPIRED);
  CHECK_MESSAGE_HAS("no role is bound");
  CHECK(took < slack_ms());
  /* Bound again, it is found by the next fetch. */
  set_issuer("my-role", 0);
  sleep_ms(600);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

static void expired_credentials_report_the_failed_renewal(void) {
  tckms_client *client;
  int i;
  reset_emulator();
  set_issuer("my-role", 2);
  client = client_of(role_config(GIVEN_ENDPOINT));
  CHECK_OK(use(client));
  set_fault("Metadata", "{\"kind\":\"status\",\"status\":500}", 1000);
  sleep_ms(2100);
  forget_requests();
  for (i = 0; i < 20; i++) {
    CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
    CHECK_MESSAGE_HAS("HTTP status 500");
  }
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(requests_seen("Encrypt"), 0);
  clear_faults();
  sleep_ms(600);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

static void a_refused_token_is_renewed_once_and_the_call_succeeds(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  client = client_of(role_config(GIVEN_ENDPOINT));
  CHECK_OK(use(client));
  forget_requests();
  set_fault("Encrypt", "{\"kind\":\"expire_token\"}", 1);
  CHECK_OK(use(client));
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(requests_seen("Encrypt"), 2);
  forget_requests();
  set_fault("Encrypt", "{\"kind\":\"expire_token\"}", 2);
  CHECK_REFUSED(use(client), TCKMS_ERR_AUTH_TOKEN_FAILURE);
  CHECK_INT(requests_seen("Metadata"), 1);
  CHECK_INT(requests_seen("Encrypt"), 2);
  tckms_client_free(client);
}

/* All 32 find the token refused at about the same time. */
static void a_refused_token_is_renewed_once_for_all_threads(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  client = client_of(role_config(GIVEN_ENDPOINT));
  CHECK_OK(use(client));
  forget_requests();
  set_fault("Encrypt", "{\"kind\":\"expire_token\"}", 1);
  on_threads(32, use_on_thread, client);
  CHECK_INT(requests_seen("Metadata"), 1);
  tckms_client_free(client);
}

enum { RENEWALS = 20, BETWEEN = 20, CALLERS = 8 };

static void *use_while_identities_change(void *client) {
  int i;
  for (i = 0; i < RENEWALS * BETWEEN / CALLERS; i++) {
    tckms_status status = use(client);
    /* The same call may get a replaced token twice. */
    CHECK(status == TCKMS_OK || status == TCKMS_ERR_AUTH_TOKEN_FAILURE);
  }
  return NULL;
}

/* A key of another identity would be refused with another code, and a token of another identity would cause more refusals. */
static void the_three_parts_are_never_mixed(void) {
  char script[8192] = "[";
  tckms_client *client;
  int i;
  reset_emulator();
  set_issuer("my-role", 0);
  for (i = 0; i < RENEWALS; i++) {
    size_t len = strlen(script);
    snprintf(script + len, sizeof script - len,
             "%s{\"action\":\"Encrypt\",\"fault\":{\"kind\":\"pass\"},\"times\":%d},"
             "{\"action\":\"Encrypt\",\"fault\":{\"kind\":\"expire_token\"}}",
             i == 0 ? "" : ",", BETWEEN - 1);
  }
  strcat(script, "]");
  set_faults(script);
  client = client_of(role_config(GIVEN_ENDPOINT));
  on_threads(CALLERS, use_while_identities_change, client);
  tckms_client_free(client);
  CHECK(!faults_are_left());
  /* Some of the twenty hit an identity that had been replaced already. */
  CHECK(requests_seen("Metadata") > 2 && requests_seen("Metadata") <= RENEWALS + 1);
}

static void a_refused_token_of_a_fixed_identity_fails_at_once(void) {
  struct identity identity;
  tckms_config *config = logged_config();
  tckms_client *client;
  reset_emulator();
  identity = issue_identity();
  CHECK_OK(tckms_config_set_credentials(config, identity.secret_id, identity.secret_key, identity.token));
  client = client_of(config);
  CHECK_OK(use(client));
  forget_requests();
  set_fault("Encrypt", "{\"kind\":\"expire_token\"}", 1);
  CHECK_REFUSED(use(client), TCKMS_ERR_AUTH_TOKEN_FAILURE);
  CHECK_INT(requests_seen("Encrypt"), 1);
  tckms_client_free(client);
}

static const char *const REFUSALS[] = {"AuthFailure.SecretIdNotFound", "AuthFailure.SignatureFailure",
                                       "AuthFailure.TokenFailure"};
static const tckms_status REFUSAL_STATUSES[] = {TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND, TCKMS_ERR_AUTH_SIGNATURE_FAILURE,
                                                TCKMS_ERR_AUTH_TOKEN_FAILURE};
enum { REFUSAL_KINDS = 3 };

static void refuse(int kind, int times) {
  char fault[128];
  snprintf(fault, sizeof fault, "{\"kind\":\"error\",\"code\":\"%s\",\"message\":\"no\"}", REFUSALS[kind]);
  set_fault("Encrypt", fault, times);
}

/* Supplies the credentials that the test sets, and counts its calls. */
struct vault {
  struct identity identity;
  int calls;
  int failing;
};

static int ask_vault(void *userdata, tckms_credentials *out) {
  struct vault *vault = userdata;
  __atomic_add_fetch(&vault->calls, 1, __ATOMIC_SEQ_CST);
  if (vault->failing) {
    return 1;
  }
  CHECK_OK(tckms_credentials_set(out, vault->identity.secret_id, vault->identity.secret_key, vault->identity.token, 0));
  return 0;
}

static tckms_client *vault_client(struct vault *vault) {
  tckms_config *config = logged_config();
  memset(vault, 0, sizeof *vault);
  vault->identity = issue_identity();
  CHECK_OK(tckms_config_set_credentials_callback(config, ask_vault, vault, NULL));
  return client_of(config);
}

static void a_pair_that_was_replaced_in_its_file_is_read_again(void) {
  int kind;
  for (kind = 0; kind < REFUSAL_KINDS; kind++) {
    struct identity identity;
    tckms_config *config = logged_config();
    tckms_client *client;
    const char *path;
    reset_emulator();
    identity = issue_identity();
    path = write_profile("rotated", "default", &identity);
    CHECK_OK(tckms_config_set_profile_credentials(config, path, NULL));
    client = client_of(config);
    CHECK_OK(use(client));
    /* Deleted first: the file has nothing else, so the request is not repeated. */
    refuse(kind, 1);
    forget_requests();
    CHECK_REFUSED(use(client), REFUSAL_STATUSES[kind]);
    CHECK(!tckms_error_retryable(tckms_last_error()));
    CHECK_INT(requests_seen("Encrypt"), 1);
    /* Then replaced: the next call finds it without waiting. */
    identity = issue_identity();
    path = write_profile("rotated", "default", &identity);
    refuse(kind, 1);
    forget_requests();
    CHECK_OK(use(client));
    CHECK_INT(requests_seen("Encrypt"), 2);
    CHECK_OK(use(client));
    CHECK_INT(requests_seen("Encrypt"), 3);
    tckms_client_free(client);
  }
}

/* The emulator refuses an unknown secret id and a wrong secret key. */
static void an_unknown_id_and_a_wrong_key_are_replaced(void) {
  int wrong;
  for (wrong = 0; wrong < 2; wrong++) {
    struct identity identity;
    struct identity refused;
    tckms_config *config = logged_config();
    tckms_client *client;
    reset_emulator();
    identity = issue_identity();
    refused = identity;
    if (wrong == 0) {
      strcpy(refused.secret_id, "AKIDdeleted");
    } else {
      strcpy(refused.secret_key, "S3CRETofAnother");
    }
    CHECK_OK(tckms_config_set_profile_credentials(config, write_profile("wrong", "default", &refused), NULL));
    client = client_of(config);
    CHECK_REFUSED(use(client), REFUSAL_STATUSES[wrong]);
    write_profile("wrong", "default", &identity);
    CHECK_OK(use(client));
    tckms_client_free(client);
  }
}

static void a_callback_is_called_again_for_refused_credentials(void) {
  int kind;
  for (kind = 0; kind < REFUSAL_KINDS; kind++) {
    struct vault vault;
    tckms_client *client;
    reset_emulator();
    client = vault_client(&vault);
    CHECK_OK(use(client));
    vault.identity = issue_identity();
    refuse(kind, 1);
    CHECK_OK(use(client));
    CHECK_INT(vault.calls, 2);
    /* The new credentials were accepted, so the next refusal is a new one. */
    vault.identity = issue_identity();
    refuse(kind, 1);
    CHECK_OK(use(client));
    CHECK_INT(vault.calls, 3);
    tckms_client_free(client);
  }
}

static void a_service_that_keeps_refusing_costs_one_fetch_per_back_off(void) {
  int kind;
  for (kind = 0; kind < REFUSAL_KINDS; kind++) {
    struct vault vault;
    tckms_client *client;
    int i;
    reset_emulator();
    client = vault_client(&vault);
    CHECK_OK(use(client));
    forget_requests();
    refuse(kind, 1000);
    /* The callback has nothing else, then something else each time. */
    for (i = 0; i < 10; i++) {
      CHECK_REFUSED(use(client), REFUSAL_STATUSES[kind]);
    }
    CHECK_INT(vault.calls, 2);
    CHECK_INT(requests_seen("Encrypt"), 10);
    sleep_ms(510);
    for (i = 0; i < 10; i++) {
      vault.identity = issue_identity();
      CHECK_REFUSED(use(client), REFUSAL_STATUSES[kind]);
    }
    CHECK_INT(vault.calls, 3);
    CHECK_INT(requests_seen("Encrypt"), 21);
    clear_faults();
    CHECK_OK(use(client));
    tckms_client_free(client);
  }
}

static void a_refusal_names_the_providers_reason(void) {
  struct vault vault;
  tckms_client *client;
  int i;
  reset_emulator();
  client = vault_client(&vault);
  CHECK_OK(use(client));
  vault.failing = 1;
  refuse(0, 3);
  for (i = 0; i < 3; i++) {
    CHECK_REFUSED(use(client), TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND);
    CHECK_MESSAGE_HAS("callback");
  }
  CHECK_INT(vault.calls, 2);
  /* The refused credentials are kept: the refusal may have been a mistake of the service. */
  CHECK_OK(use(client));
  tckms_client_free(client);
}

static void a_rotated_pair_is_noticed_by_all_threads(void) {
  struct identity identity;
  struct identity deleted;
  tckms_config *config = logged_config();
  tckms_client *client;
  reset_emulator();
  identity = issue_identity();
  deleted = identity;
  strcpy(deleted.secret_id, "AKIDdeleted");
  CHECK_OK(tckms_config_set_profile_credentials(config, write_profile("shared", "default", &deleted), NULL));
  client = client_of(config);
  write_profile("shared", "default", &identity);
  on_threads(32, use_on_thread, client);
  CHECK(requests_seen("Encrypt") <= 64);
  tckms_client_free(client);
}

/* The credentials that sign the requests to STS are renewed like those for KMS. */
static void refused_keys_of_a_role_are_renewed_for_sts(void) {
  struct identity identity;
  struct identity refused;
  tckms_config *config = logged_config();
  tckms_client *client;
  reset_emulator();
  identity = issue_identity();
  refused = identity;
  strcpy(refused.secret_id, "AKIDdeleted");
  CHECK_OK(tckms_config_set_profile_credentials(config, write_profile("base", "default", &refused), NULL));
  CHECK_OK(set_role(config, ROLE_ARN, NULL, 0, NULL, NULL));
  client = client_of(config);
  write_profile("base", "default", &identity);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

int main(void) {
  void *(*const slow[])(void *) = {
      others_continue_while_a_renewal_is_slow,
      a_failed_renewal_keeps_valid_credentials_and_is_retried_later,
      expired_credentials_do_not_replace_valid_ones,
      a_renewal_leaves_time_for_the_call,
  };
  enum { SLOW = sizeof slow / sizeof *slow };
  pthread_t threads[SLOW];
  int i;
  if (strcmp(given("TEST_PART"), "slow") == 0) {
    for (i = 0; i < SLOW; i++) {
      CHECK_INT(pthread_create(&threads[i], NULL, slow[i], NULL), 0);
    }
    for (i = 0; i < SLOW; i++) {
      CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    return no_secret_was_logged();
  }
  one_refresh_serves_32_threads();
  one_failure_serves_32_threads();
  credentials_are_renewed_before_they_expire();
  a_role_that_is_removed_while_the_program_runs();
  expired_credentials_report_the_failed_renewal();
  a_refused_token_is_renewed_once_and_the_call_succeeds();
  a_refused_token_is_renewed_once_for_all_threads();
  the_three_parts_are_never_mixed();
  a_refused_token_of_a_fixed_identity_fails_at_once();
  a_pair_that_was_replaced_in_its_file_is_read_again();
  an_unknown_id_and_a_wrong_key_are_replaced();
  a_callback_is_called_again_for_refused_credentials();
  a_service_that_keeps_refusing_costs_one_fetch_per_back_off();
  a_refusal_names_the_providers_reason();
  refused_keys_of_a_role_are_renewed_for_sts();
  a_rotated_pair_is_noticed_by_all_threads();
  return no_secret_was_logged();
}
