/* After data was sealed or opened and all objects were freed, no plaintext and no data key remains in this process's memory. */
#define _GNU_SOURCE
#include "check.h"

#include "process.h"
#include "secrets.h"

enum { SIZE = 240, FRAME = 64, PIECE = 37, ROOM = 50, KEY_LEN = 32, MESSAGE_MAX = 4096, LARGE = 20000 * SIZE };

#define CONTEXT "{\"a\":\"b\"}"

/* A custom key that wraps by masking. The data keys are secrets to search for. */

static void wrap_masked(const uint8_t *data_key, size_t len, struct tckms_wrapped_key *out) {
  unsigned char wrapped[KEY_LEN];
  CHECK_INT(len, KEY_LEN);
  mask(wrapped, data_key, len);
  CHECK_OK(tckms_wrapped_key_set(out, "k", 1, wrapped, len));
}

static int generate(void *userdata, const char *ctx_json, uint8_t *data_key, size_t len,
                    struct tckms_wrapped_key *out) {
  (void)userdata;
  (void)ctx_json;
  draw_secret("a data key", data_key, len);
  wrap_masked(data_key, len, out);
  return TCKMS_OK;
}

static int wrap(void *userdata, const char *ctx_json, const uint8_t *data_key, size_t len,
                struct tckms_wrapped_key *out) {
  (void)userdata;
  (void)ctx_json;
  wrap_masked(data_key, len, out);
  return TCKMS_OK;
}

static int unwrap(void *userdata, const tckms_wrapped_key *wrapped, const char *ctx_json, uint8_t *data_key, size_t len) {
  size_t wrapped_len;
  const uint8_t *blob = tckms_wrapped_key_blob(wrapped, &wrapped_len);
  (void)userdata;
  (void)ctx_json;
  CHECK_INT(wrapped_len, KEY_LEN);
  CHECK_INT(len, KEY_LEN);
  mask(data_key, blob, len);
  return TCKMS_OK;
}

static void add_masking_key(tckms_keyring *keyring) {
  tckms_custom_key key;
  memset(&key, 0, sizeof key);
  key.provider_id = "masking";
  key.generate = generate;
  key.wrap = wrap;
  key.unwrap = unwrap;
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
}

/* A keyring with two such keys: the first generates the data key, the second wraps it. */
static tckms_keyring *masking_keyring(int signing) {
  tckms_keyring *keyring = tckms_keyring_new();
  CHECK(keyring != NULL);
  add_masking_key(keyring);
  add_masking_key(keyring);
  CHECK_OK(tckms_keyring_set_signing(keyring, signing));
  CHECK_OK(tckms_keyring_set_frame_len(keyring, FRAME));
  return keyring;
}

/* Checks the plaintext without a comparison that would leave parts of it in registers. */
static void expect_plaintext(const void *bytes, size_t len) {
  CHECK_INT(scan_bytes(bytes, len, 0, "the opened data", NULL), (int)(len / FRAGMENT));
}

static tckms_buffer seal_secret(const tckms_keyring *keyring) {
  tckms_buffer message;
  make_secret("a plaintext", SIZE);
  CHECK_OK(tckms_seal(keyring, clear, SIZE, CONTEXT, &message));
  forget();
  return message;
}

static void open_secret(const tckms_keyring *keyring, const tckms_buffer *message) {
  tckms_buffer out;
  CHECK_OK(tckms_open(keyring, message->data, message->len, CONTEXT, &out));
  CHECK_INT(out.len, SIZE);
  expect_plaintext(out.data, out.len);
  tckms_buffer_free(&out);
}

/* A message that is refused at its end was opened up to that point. */
static void open_changed(const tckms_keyring *keyring, const tckms_buffer *message) {
  tckms_buffer out;
  message->data[message->len - 1] ^= 1;
  CHECK(tckms_open(keyring, message->data, message->len, CONTEXT, &out) != TCKMS_OK);
  CHECK_EMPTY(out);
  message->data[message->len - 1] ^= 1;
}

static void nothing_is_left_of_complete_messages(int signing) {
  tckms_keyring *keyring = masking_keyring(signing);
  tckms_buffer message = seal_secret(keyring);
  expect_nothing_left();
  open_secret(keyring, &message);
  expect_nothing_left();
  open_changed(keyring, &message);
  expect_nothing_left();
  tckms_buffer_free(&message);
  tckms_keyring_free(keyring);
  expect_nothing_left();
}

/* In chunks that are not frames, with output buffers smaller than a frame. */
static size_t push(tckms_stream *stream, const unsigned char *in, size_t len, unsigned char *out) {
  size_t taken = 0, made = 0;
  while (taken < len) {
    size_t consumed, produced;
    size_t piece = len - taken < PIECE ? len - taken : PIECE;
    CHECK_OK(tckms_stream_update(stream, in + taken, piece, &consumed, out + made, ROOM, &produced));
    taken += consumed;
    made += produced;
    CHECK(made + ROOM <= MESSAGE_MAX);
  }
  return made;
}

static size_t end(tckms_stream *stream, unsigned char *out) {
  size_t made = 0;
  int done = 0;
  while (!done) {
    size_t produced;
    CHECK_OK(tckms_stream_finish(stream, out + made, ROOM, &produced, &done));
    made += produced;
  }
  return made;
}

static tckms_stream *opening_stream(const tckms_keyring *keyring) {
  tckms_stream *stream;
  CHECK_OK(tckms_stream_new_open(keyring, CONTEXT, &stream));
  CHECK_OK(tckms_stream_set_signed_allowed(stream, 1));
  return stream;
}

static void nothing_is_left_of_streams(int signing) {
  static unsigned char message[MESSAGE_MAX];
  static unsigned char out[MESSAGE_MAX];
  tckms_keyring *keyring = masking_keyring(signing);
  tckms_stream *stream;
  size_t len, made;
  CHECK_OK(tckms_stream_new_seal(keyring, CONTEXT, &stream));
  make_secret("a plaintext", SIZE);
  len = push(stream, clear, SIZE, message);
  forget();
  len += end(stream, message + len);
  tckms_stream_free(stream);
  expect_nothing_left();

  stream = opening_stream(keyring);
  made = push(stream, message, len, out);
  made += end(stream, out + made);
  CHECK_INT(made, SIZE);
  expect_plaintext(out, made);
  tckms_wipe(out, sizeof out);
  tckms_stream_free(stream);
  expect_nothing_left();

  /* A stream that is freed while it buffers a part of a frame, and one that fails. */
  stream = opening_stream(keyring);
  expect_plaintext(out, push(stream, message, len - FRAME, out) / FRAGMENT * FRAGMENT);
  tckms_wipe(out, sizeof out);
  tckms_stream_free(stream);
  expect_nothing_left();
  stream = opening_stream(keyring);
  (void)push(stream, message, len - FRAME, out);
  CHECK_STATUS(tckms_stream_finish(stream, out, ROOM, &made, &(int){0}), TCKMS_ERR_TRUNCATED);
  tckms_wipe(out, sizeof out);
  expect_nothing_left();
  tckms_stream_free(stream);
  CHECK_OK(tckms_stream_new_seal(keyring, CONTEXT, &stream));
  make_secret("a plaintext", SIZE);
  (void)push(stream, clear, SIZE, message);
  forget();
  tckms_stream_free(stream);
  tckms_keyring_free(keyring);
  expect_nothing_left();
}

static int file_in_memory(void) {
  int file = memfd_create("message", MFD_CLOEXEC);
  CHECK(file >= 0);
  return file;
}

/* Enough data for several threads, whose stacks stay mapped after they end. */
static void nothing_is_left_of_threads_between_descriptors(int signing) {
  tckms_keyring *keyring = masking_keyring(signing);
  tckms_fd_options options;
  int plain = file_in_memory(), message = file_in_memory(), opened = file_in_memory();
  size_t at;
  memset(&options, 0, sizeof options);
  options.threads = 4;
  options.signed_allowed = 1;
  make_secret("a plaintext", SIZE);
  for (at = 0; at < LARGE; at += SIZE) {
    CHECK_INT(write(plain, clear, SIZE), SIZE);
  }
  forget();
  CHECK_INT(lseek(plain, 0, SEEK_SET), 0);
  CHECK_OK(tckms_seal_fd(keyring, plain, message, CONTEXT, &options, sizeof options));
  expect_nothing_left();
  CHECK_INT(lseek(message, 0, SEEK_SET), 0);
  CHECK_OK(tckms_open_fd(keyring, message, opened, CONTEXT, &options, sizeof options));
  tckms_keyring_free(keyring);
  expect_nothing_left();
  CHECK_INT(lseek(opened, 0, SEEK_END), LARGE);
  CHECK_INT(pread(opened, clear, SIZE, LARGE - SIZE), SIZE);
  expect_plaintext(clear, SIZE);
  forget();
  CHECK(close(plain) == 0 && close(message) == 0 && close(opened) == 0);
}

static void set_default_cache(tckms_keyring *keyring) {
  tckms_cache_limits limits;
  memset(&limits, 0, sizeof limits);
  CHECK_OK(tckms_keyring_set_cache(keyring, &limits, sizeof limits));
}

/* The search finds the data keys of a cache while it is in use. They are wiped with the keyring. */
static void a_cache_keeps_data_keys_until_it_is_freed(int signing) {
  tckms_keyring *keyring = masking_keyring(signing);
  tckms_buffer message;
  set_default_cache(keyring);
  message = seal_secret(keyring);
  open_secret(keyring, &message);
  CHECK(scan_memory(NULL) >= KEY_LEN / FRAGMENT);
  tckms_keyring_free(keyring);
  expect_nothing_left();
  tckms_buffer_free(&message);
}

static size_t number_at(const tckms_buffer *message, size_t at) {
  CHECK(at + 2 <= message->len);
  return (size_t)message->data[at] << 8 | message->data[at + 1];
}

/* The first wrapped data key of a message: version, suite, id, context, count, provider id, provider info, blob. */
static const uint8_t *wrapped_key(const tckms_buffer *message, size_t *len) {
  size_t at = 1 + 2 + 32;
  int part;
  at += 2 + number_at(message, at);
  at += 2;
  for (part = 0; part < 2; part++) {
    at += 2 + number_at(message, at);
  }
  *len = number_at(message, at);
  CHECK(at + 2 + *len <= message->len);
  return message->data + at + 2;
}

/* Decrypts the wrapped data key, to search for the data key. */
static void look_for_data_key_of(const tckms_client *client, const tckms_buffer *message) {
  tckms_buffer data_key;
  size_t len;
  const uint8_t *wrapped = wrapped_key(message, &len);
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, wrapped, len, CONTEXT, &data_key));
  CHECK_INT(data_key.len, KEY_LEN);
  look_for("a data key of KMS", data_key.data, data_key.len);
  tckms_buffer_free(&data_key);
}

static void nothing_is_left_of_data_keys_from_kms(int cached) {
  tckms_client *client = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_buffer message;
  CHECK_OK(tckms_keyring_add_kms(keyring, client, MAIN_KEY));
  if (cached) {
    set_default_cache(keyring);
  }
  message = seal_secret(keyring);
  open_secret(keyring, &message);
  open_changed(keyring, &message);
  look_for_data_key_of(client, &message);
  tckms_buffer_free(&message);
  tckms_client_free(client);
  CHECK(!cached || scan_memory(NULL) >= KEY_LEN / FRAGMENT);
  tckms_keyring_free(keyring);
  expect_nothing_left();
}

static void look_for_padded(const char *name, const uint8_t *key, unsigned char pad) {
  unsigned char masked[KEY_LEN];
  size_t i;
  for (i = 0; i < KEY_LEN; i++) {
    masked[i] = key[i] ^ pad ^ MASK;
  }
  add_fragments(name, "plain", masked, KEY_LEN);
}

/* Decrypts the branch key with the context of its record, to search for it. */
static void look_for_branch_key(const tckms_client *client, const char *record) {
  char branch_id[80], version[40], blob[1024], context[256];
  tckms_buffer key;
  CHECK_INT(sscanf(record, "tbk1 %*s %79s %39s %*s %1023s", branch_id, version, blob), 3);
  snprintf(context, sizeof context, "{\"tckms-branch\":\"%s\",\"tckms-version\":\"%s\"}", branch_id, version);
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob, strlen(blob), context, &key));
  CHECK_INT(key.len, KEY_LEN);
  look_for("a branch key", key.data, key.len);
  look_for_padded("a branch key in HMAC's inner pad", key.data, 0x36);
  look_for_padded("a branch key in HMAC's outer pad", key.data, 0x5c);
  tckms_buffer_free(&key);
}

/* A keyring stores the HMAC state of the branch key; the key itself is in memory only while it is unwrapped. */
static void use_branch_key(tckms_keyring *keyring, tckms_client *client, const char *record) {
  tckms_buffer message = seal_secret(keyring);
  open_secret(keyring, &message);
  open_changed(keyring, &message);
  look_for_branch_key(client, record);
  tckms_buffer_free(&message);
  tckms_client_free(client);
  tckms_keyring_free(keyring);
  expect_nothing_left();
}

/* Also in a child that inherited an unused keyring. */
static void nothing_is_left_of_branch_keys(void) {
  tckms_client *client = emulator_client(), *administrator = emulator_client();
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_branch_options options = TCKMS_BRANCH_OPTIONS_INIT;
  tckms_buffer record;
  int status = 1;
  pid_t child;
  CHECK_OK(tckms_branch_record_new(administrator, MAIN_KEY, "orders", &record));
  tckms_client_free(administrator);
  options.branch_id = "orders";
  options.records = (const char *)record.data;
  CHECK_OK(tckms_keyring_add_branch(keyring, client, MAIN_KEY, &options, sizeof options));
  child = fork();
  if (child == 0) {
    use_branch_key(keyring, client, (const char *)record.data);
    _exit(0);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  use_branch_key(keyring, client, (const char *)record.data);
  tckms_buffer_free(&record);
}

static unsigned char known_data_key[SECRET_MAX];

static int hand_out(void *userdata, const tckms_wrapped_key *wrapped, const char *ctx_json, uint8_t *data_key,
                    size_t len) {
  size_t wrapped_len;
  (void)userdata;
  (void)ctx_json;
  CHECK(tckms_wrapped_key_blob(wrapped, &wrapped_len) != NULL);
  CHECK_INT(wrapped_len, 1);
  CHECK_INT(len, KEY_LEN);
  mask(data_key, known_data_key, len);
  return TCKMS_OK;
}

static void look_for_key(const char *name) {
  unsigned char masked[SECRET_MAX];
  size_t len = take_hexadecimal(name, masked);
  CHECK(len >= KEY_LEN);
  look_for_masked(name, masked, len);
}

/* The harness sealed a message and computed the keys derived from its data key; the content key is the secret of the cipher. */
static void nothing_is_left_of_derived_keys(void) {
  static unsigned char message[MESSAGE_MAX];
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key;
  tckms_buffer out;
  int file = open(given("TEST_SEALED_MESSAGE"), O_RDONLY | O_CLOEXEC);
  ssize_t len = read(file, message, sizeof message);
  CHECK(len > 0);
  close(file);
  CHECK_INT(take_hexadecimal("TEST_SEALED_DATA_KEY", known_data_key), KEY_LEN);
  look_for_masked("the known data key", known_data_key, KEY_LEN);
  look_for_key("TEST_SEALED_EXTRACTED_KEY");
  look_for_key("TEST_SEALED_CONTENT_KEY");
  memset(&key, 0, sizeof key);
  key.unwrap = hand_out;
  CHECK_OK(tckms_keyring_add_custom(keyring, &key, sizeof key));
  CHECK_OK(tckms_open(keyring, message, (size_t)len, NULL, &out));
  CHECK_BYTES(out, "known", 5);
  tckms_buffer_free(&out);
  tckms_keyring_free(keyring);
  expect_nothing_left();
}

int main(void) {
  int choice;
  nothing_is_left_of_derived_keys();
  for (choice = 0; choice < 2; choice++) {
    nothing_is_left_of_complete_messages(choice);
    nothing_is_left_of_streams(choice);
    nothing_is_left_of_threads_between_descriptors(choice);
    a_cache_keeps_data_keys_until_it_is_freed(choice);
    nothing_is_left_of_data_keys_from_kms(choice);
  }
  nothing_is_left_of_branch_keys();
  return reports_only() ? 0 : checks_passed();
}
