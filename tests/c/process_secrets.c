/* After a call, when its buffers are freed, no secret of the call remains in this process's memory. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>

#include "process.h"
#include "secrets.h"

enum { SIZE = 48, CALLERS = 4, FAULTS = 17 };

static unsigned char secret_key[SECRET_MAX];
static size_t secret_key_len;

/* A signing key, which is valid for a day. */
static void look_for_derived_key(const char *name) {
  unsigned char masked[SECRET_MAX];
  size_t len = take_hexadecimal(name, masked);
  add_fragments(name, "plain", masked, len);
}

/* HMAC XORs its key, "TC3" and the secret key, with two pads. The results reveal the key. */
static void look_for_padded_key(const char *form, unsigned char pad) {
  unsigned char padded[SECRET_MAX];
  size_t i;
  for (i = 0; i < secret_key_len; i++) {
    padded[i] = secret_key[i] ^ pad;
  }
  add_fragments("the secret key", form, padded, secret_key_len);
}

static void take_the_key(void) {
  secret_key_len = take_from_environment("TENCENTCLOUD_SECRET_KEY", secret_key);
  CHECK(secret_key_len >= 2 * FRAGMENT);
  look_for_masked("the secret key", secret_key, secret_key_len);
  look_for_padded_key("in HMAC's inner pad", 0x36);
  look_for_padded_key("in HMAC's outer pad", 0x5c);
  look_for_derived_key("TEST_DATE_KEY");
  look_for_derived_key("TEST_SERVICE_KEY");
  look_for_derived_key("TEST_SIGNING_KEY");
}

static void on_log_event(void *userdata, const tckms_log_event *event) {
  int level = tckms_log_event_level(event);
  const char *message = tckms_log_event_message(event);
  (void)level;
  ++*(int *)userdata;
  CHECK_INT(scan_bytes((const unsigned char *)message, strlen(message), 0, "the log", stderr), 0);
  CHECK(strstr(message, "TC3") == NULL && strstr(message, "Authorization") == NULL);
  CHECK(strstr(message, "Signature=") == NULL && strstr(message, "authorization") == NULL);
}

static int lines;

static tckms_client *logging_client(void) {
  tckms_config *config = config_for(GIVEN_ENDPOINT);
  size_t i;
  for (i = 0; i < secret_key_len; i++) {
    clear[i] = secret_key[i] ^ MASK;
  }
  clear[secret_key_len] = '\0';
  CHECK_OK(tckms_config_set_credentials(config, GIVEN_SECRET_ID, (const char *)clear, NULL));
  forget();
  CHECK_OK(tckms_config_set_log(config, TCKMS_LOG_DEBUG, on_log_event, &lines, NULL));
  if (given_ca_file() != NULL) {
    CHECK_OK(tckms_config_set_ca_file(config, given_ca_file()));
  }
  return client_of(config);
}

/* A caller may print the error. */
static void expect_no_secret_in_the_error(void) {
  const char *message = tckms_error_message(tckms_last_error());
  CHECK_INT(scan_bytes((const unsigned char *)message, strlen(message), 0, "an error", stderr), 0);
  CHECK(strstr(message, "Signature=") == NULL);
}

/*
 * A client in use stores its secret key and the signing key of the day. Over TLS the buffers of its connections keep the last
 * data.
 */
static void expect_nothing_but_what_a_client_needs(void) {
  static const char *const results[] = {"a plaintext", "a decrypted plaintext", "another key's",
                                        "a data key",  "an unwrapped data key", "random bytes",
                                        "an RSA plaintext", "a decrypted RSA plaintext",
                                        "an SM2 plaintext", "a decrypted SM2 plaintext"};
  static const char *const forms[] = {"base64", "base64, one byte later", "base64, two bytes later"};
  size_t i, k;
  tolerate("the secret key", "plain", 1);
  tolerate("TEST_SIGNING_KEY", "plain", 1);
  for (i = 0; given_ca_file() != NULL && i < sizeof results / sizeof results[0]; i++) {
    for (k = 0; k < 3; k++) {
      tolerate(results[i], forms[k], 1);
    }
  }
  expect_nothing_left();
}

/* Between the calling thread and the thread that scans memory after each call, while the caller's stack is unchanged. */
static pthread_barrier_t turn;
static int is_looked_after = 0;

static void call_is_over(void) {
  forget();
  if (is_looked_after) {
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
  }
}

static void finish(tckms_status status, const char *name, tckms_buffer *secret) {
  if (status != TCKMS_OK) {
    CHECK_EMPTY(*secret);
    expect_no_secret_in_the_error();
  } else {
    look_for(name, secret->data, secret->len);
  }
  tckms_buffer_free(secret);
  call_is_over();
}

/* Of the usage that decrypts with RSA. */
static char rsa_key[64];

static tckms_status make_key(const tckms_client *client, const char *usage, int external, char key_id[64]) {
  static int made;
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  tckms_status status;
  char alias[32];
  snprintf(alias, sizeof alias, "secrets-%d", __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST));
  options.alias = alias;
  options.usage = usage;
  options.external = external;
  status = tckms_create_key(client, &options, sizeof options, &id, NULL);
  if (status == TCKMS_OK) {
    memcpy(key_id, id.data, id.len + 1);
  }
  tckms_buffer_free(&id);
  return status;
}

/* RSA's numbers are stored in little-endian order. */
static void look_for_reversed(const char *of, const unsigned char *bytes, size_t len) {
  unsigned char masked[SECRET_MAX];
  size_t i;
  for (i = 0; i < len; i++) {
    masked[i] = bytes[len - 1 - i] ^ MASK;
  }
  add_fragments(of, "reversed", masked, len);
}

static void use_rsa(const tckms_client *client, int padding) {
  tckms_buffer ciphertext, out;
  tckms_status status;
  make_secret("an RSA plaintext", SIZE);
  look_for_reversed("an RSA plaintext", clear, SIZE);
  status = tckms_rsa_encrypt(client, rsa_key, padding, clear, SIZE, &ciphertext);
  call_is_over();
  if (status == TCKMS_OK) {
    finish(tckms_rsa_decrypt(client, rsa_key, padding, ciphertext.data, ciphertext.len, &out),
           "a decrypted RSA plaintext", &out);
  }
  tckms_buffer_free(&ciphertext);
}

/* Of the usage that decrypts with SM2, with what OpenSSL encrypted under it: the library does not encrypt with SM2. */
static char sm2_key[64];
static char sm2_ciphertext[256];
static size_t sm2_ciphertext_len;

/* The path of a file in the folder of this test. */
static const char *file_in_folder(const char *name, char path[512]) {
  const char *folder = getenv("TEST_FOLDER");
  CHECK(folder != NULL);
  snprintf(path, 512, "%s/%s", folder, name);
  return path;
}

static void write_file(const char *path, const void *bytes, size_t len) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(file >= 0);
  CHECK_INT(write(file, bytes, len), (ssize_t)len);
  close(file);
}

static void run_openssl(void *unused) {
  char key[512], plaintext[512], ciphertext[512];
  (void)unused;
  execlp("openssl", "openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", file_in_folder("sm2.pem", key), "-in",
         file_in_folder("sm2.plaintext", plaintext), "-out", file_in_folder("sm2.ciphertext", ciphertext), (char *)NULL);
  _exit(127);
}

static void encrypt_with_sm2(const tckms_client *client) {
  char path[512];
  tckms_buffer pem;
  int file;
  ssize_t len;
  CHECK_OK(make_key(client, TCKMS_KEY_USAGE_DECRYPT_SM2, 0, sm2_key));
  CHECK_OK(tckms_public_key_pem(client, sm2_key, &pem));
  write_file(file_in_folder("sm2.pem", path), pem.data, pem.len);
  tckms_buffer_free(&pem);
  make_secret("an SM2 plaintext", SIZE);
  write_file(file_in_folder("sm2.plaintext", path), clear, SIZE);
  forget();
  in_a_child(run_openssl, NULL);
  file = open(file_in_folder("sm2.ciphertext", path), O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  len = read(file, sm2_ciphertext, sizeof sm2_ciphertext);
  CHECK(len > SIZE);
  sm2_ciphertext_len = (size_t)len;
  close(file);
}

static void use_sm2(const tckms_client *client) {
  tckms_buffer out;
  tckms_status status = tckms_sm2_decrypt(client, sm2_key, sm2_ciphertext, sm2_ciphertext_len, &out);
  if (status == TCKMS_OK) {
    CHECK_INT((intmax_t)out.len, SIZE);
  }
  finish(status, "a decrypted SM2 plaintext", &out);
}

/* The service requires the same material for each import, so each call uses a new key. */
static void import_material(const tckms_client *client) {
  char key_id[64];
  if (make_key(client, NULL, 1, key_id) != TCKMS_OK) {
    return;
  }
  make_secret("key material", 32);
  look_for_reversed("key material", clear, 32);
  if (tckms_import_key_material(client, key_id, clear, 32, 0) != TCKMS_OK) {
    expect_no_secret_in_the_error();
  }
  call_is_over();
}

/* All calls that handle a secret. With a fault they may fail, and must not leave secrets either. */
static void use_secrets(const tckms_client *client) {
  tckms_buffer blob, wrapped, out;
  char request[1024];
  tckms_status status;
  make_secret("a plaintext", SIZE);
  status = tckms_encrypt(client, MAIN_KEY, clear, SIZE, "{\"a\":\"b\"}", &blob);
  call_is_over();
  if (status == TCKMS_OK) {
    finish(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, "{\"a\":\"b\"}", &out), "a decrypted plaintext", &out);
    /* Another context, and another key than the one expected: refused by the service, and by the library. */
    finish(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &out), "a refused plaintext", &out);
    finish(tckms_decrypt(client, OTHER_KEY, blob.data, blob.len, "{\"a\":\"b\"}", &out), "another key's", &out);
    snprintf(request, sizeof request, "{\"CiphertextBlob\":\"%s\",\"EncryptionContext\":\"{\\\"a\\\":\\\"b\\\"}\"}",
             (const char *)blob.data);
    status = tckms_call(client, "Decrypt", request, &out);
    if (status == TCKMS_OK) {
      CHECK_HAS((const char *)out.data, "\"Plaintext\":");
    }
    tckms_buffer_free(&out);
    call_is_over();
  }
  tckms_buffer_free(&blob);
  status = tckms_generate_data_key(client, MAIN_KEY, SIZE, NULL, &out, &wrapped);
  finish(status, "a data key", &out);
  if (status == TCKMS_OK) {
    finish(tckms_decrypt(client, NULL, wrapped.data, wrapped.len, NULL, &out), "an unwrapped data key", &out);
  }
  tckms_buffer_free(&wrapped);
  status = tckms_generate_random(client, clear, SIZE);
  if (status == TCKMS_OK) {
    look_for("random bytes", clear, SIZE);
  }
  call_is_over();
  use_rsa(client, TCKMS_RSA_OAEP_SHA256);
  use_rsa(client, TCKMS_RSA_PKCS1_V1_5);
  use_sm2(client);
  import_material(client);
}

static int planted;

static void *plant_on_a_stack(void *secret) {
  unsigned char copy[SIZE];
  copy_bytes(copy, secret, SIZE);
  __atomic_store_n(&planted, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&planted, __ATOMIC_SEQ_CST) != 0) {
    sched_yield();
  }
  tckms_wipe(copy, SIZE);
  return NULL;
}

/* Shows that the search works: it finds secrets on a heap, in base64, and on another thread's stack. */
static void secrets_that_are_present_are_found(void) {
  enum { PLAIN = SIZE / FRAGMENT };
  unsigned char *block = malloc(4 * SIZE);
  pthread_t thread;
  int i;
  CHECK(block != NULL);
  make_secret("planted", SIZE);
  CHECK_INT(scan_memory(NULL), PLAIN);
  copy_bytes(block + 5, clear, SIZE);
  CHECK_INT(scan_memory(NULL), 2 * PLAIN);
  CHECK_INT(pthread_create(&thread, NULL, plant_on_a_stack, clear), 0);
  while (__atomic_load_n(&planted, __ATOMIC_SEQ_CST) == 0) {
    sched_yield();
  }
  CHECK_INT(scan_memory(NULL), 3 * PLAIN);
  __atomic_store_n(&planted, 0, __ATOMIC_SEQ_CST);
  CHECK_INT(pthread_join(thread, NULL), 0);
  tckms_wipe(block, 4 * SIZE);
  CHECK_INT(scan_memory(NULL), PLAIN);
  /* From its second byte on, in base64: three whole fragments of sixteen characters. */
  for (i = 0; 1 + i + 3 <= SIZE; i += 3) {
    unsigned char masked[3];
    mask(masked, clear + 1 + i, 3);
    mask_base64(masked, block + i / 3 * 4);
    mask(block + i / 3 * 4, block + i / 3 * 4, 4);
  }
  CHECK_INT(scan_memory(NULL), PLAIN + 3);
  tckms_wipe(block, 4 * SIZE);
  free(block);
  expect_nothing_left();
}

/* Each kind of failure takes a different path through the code, with different copies. */
static void use_secrets_among_faults(const tckms_client *client) {
  static const char *const faults[FAULTS] = {
      "{\"kind\":\"delay\",\"ms\":20}",
      "{\"kind\":\"delay_body\",\"ms\":20}",
      "{\"kind\":\"drip\",\"bytes\":7,\"every_ms\":1}",
      "{\"kind\":\"chunked\",\"bytes\":5}",
      "{\"kind\":\"pad\",\"bytes\":100000}",
      "{\"kind\":\"pad\",\"bytes\":2000000}",
      "{\"kind\":\"close_before_reading\"}",
      "{\"kind\":\"reset_request\",\"after_bytes\":10}",
      "{\"kind\":\"close_after_reading\"}",
      "{\"kind\":\"reset_reply\",\"after_bytes\":200}",
      "{\"kind\":\"truncate_body\",\"keep_bytes\":60}",
      "{\"kind\":\"error\",\"code\":\"InternalError\"}",
      "{\"kind\":\"status\",\"status\":503,\"body\":\"later\"}",
      "{\"kind\":\"garbage\"}",
      "{\"kind\":\"replace_fields\",\"fields\":{\"KeyId\":null}}",
      "{\"kind\":\"truncate_field\",\"field\":\"Plaintext\",\"keep\":30}",
      "{\"kind\":\"clock_shift\",\"seconds\":-3600}",
  };
  char script[2048];
  int i;
  for (i = 0; i < FAULTS; i++) {
    if (strstr(faults[i], "clock_shift") != NULL) {
      snprintf(script, sizeof script, "[{\"fault\":%s}]", faults[i]);
    } else {
      /* A fault of the first attempt, and of all attempts of a call; other Encrypt calls succeed in between. */
      snprintf(script, sizeof script,
               "[{\"fault\":%s},{\"action\":\"Decrypt\",\"fault\":%s,\"times\":3},"
               "{\"action\":\"GenerateDataKey\",\"fault\":%s},{\"action\":\"GenerateRandom\",\"fault\":%s},"
               "{\"action\":\"AsymmetricRsaDecrypt\",\"fault\":%s,\"times\":3},"
               "{\"action\":\"AsymmetricSm2Decrypt\",\"fault\":%s,\"times\":3},"
               "{\"action\":\"ImportKeyMaterial\",\"fault\":%s}]",
               faults[i], faults[i], faults[i], faults[i], faults[i], faults[i], faults[i]);
    }
    set_faults(script);
    use_secrets(client);
    clear_faults();
  }
}

struct caller {
  pthread_t thread;
  const tckms_client *client;
  pthread_barrier_t *step;
};

static void *use_secrets_and_live_on(void *argument) {
  struct caller *caller = argument;
  use_secrets(caller->client);
  pthread_barrier_wait(caller->step);
  pthread_barrier_wait(caller->step);
  return NULL;
}

static void nothing_is_left_after_calls_and_free(void) {
  struct caller callers[CALLERS];
  pthread_barrier_t step;
  tckms_client *client = logging_client();
  int i;
  CHECK_INT(pthread_barrier_init(&step, NULL, CALLERS + 1), 0);
  use_secrets(client);
  use_secrets_among_faults(client);
  for (i = 0; i < CALLERS; i++) {
    callers[i].client = client;
    callers[i].step = &step;
    CHECK_INT(pthread_create(&callers[i].thread, NULL, use_secrets_and_live_on, &callers[i]), 0);
  }
  pthread_barrier_wait(&step);
  CHECK(lines > 100);
  tckms_client_free(client);
  /* The calling threads still exist, with their stacks unchanged. */
  expect_nothing_left();
  pthread_barrier_wait(&step);
  for (i = 0; i < CALLERS; i++) {
    CHECK_INT(pthread_join(callers[i].thread, NULL), 0);
  }
  expect_nothing_left();
  pthread_barrier_destroy(&step);
}

static void do_not_tolerate_anything(void) {
  int i;
  for (i = 1; i < fragment_count; i++) {
    fragments[i].tolerated = 0;
  }
}

static void *use_secrets_under_supervision(void *client) {
  use_secrets(client);
  is_looked_after = 0;
  pthread_barrier_wait(&turn);
  return NULL;
}

static void nothing_is_left_after_each_single_call(void) {
  tckms_client *client = logging_client();
  pthread_t thread;
  int calls = 0;
  CHECK_OK(make_key(client, TCKMS_KEY_USAGE_DECRYPT_RSA_2048, 0, rsa_key));
  encrypt_with_sm2(client);
  CHECK_INT(pthread_barrier_init(&turn, NULL, 2), 0);
  is_looked_after = 1;
  CHECK_INT(pthread_create(&thread, NULL, use_secrets_under_supervision, client), 0);
  while (pthread_barrier_wait(&turn), is_looked_after) {
    /* The network thread wipes a request a moment after its caller has the reply. */
    sleep_ms(50);
    expect_nothing_but_what_a_client_needs();
    calls++;
    pthread_barrier_wait(&turn);
  }
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(calls, 14);
  tckms_client_free(client);
  pthread_barrier_destroy(&turn);
}

int main(void) {
  take_the_key();
  secrets_that_are_present_are_found();
  nothing_is_left_after_each_single_call();
  do_not_tolerate_anything();
  nothing_is_left_after_calls_and_free();
  return reports_only() ? 0 : checks_passed();
}
