/* Files with secrets: the profile of the official SDKs, and the files of tccli. */
#define _GNU_SOURCE
#include "credentials.h"

/* More than the maximum size of a file of credentials. */
enum { TOO_LONG = 65 * 1024, LONGEST = 64 * 1024 };

static tckms_config *profile_config(const char *path, const char *section) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_profile_credentials(config, path, section));
  return config;
}

static tckms_config *tccli_config(const char *path) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_tccli_credentials(config, path));
  return config;
}

static void expect_no_client(tckms_config *config, tckms_status status, const char *reason) {
  tckms_client *client = NULL;
  CHECK_REFUSED(tckms_client_new(config, &client), status);
  CHECK(client == NULL);
  CHECK_MESSAGE_HAS(reason);
  tckms_config_free(config);
}

static int signed_by(const struct identity *identity) {
  char part[512];
  snprintf(part, sizeof part, "\"secret_id\":\"%s\"", identity->secret_id);
  return seen(part);
}

static void each_section_is_a_separate_identity(void) {
  struct identity first = issue_identity();
  struct identity second = issue_identity();
  char text[8192];
  const char *path;
  snprintf(text, sizeof text,
           "# comment\n; comment\n\n[default]\nsecret_id = %s\nsecret_key=%s\r\ntoken = %s\nrole_arn = x\n\n"
           "[ci]\nsecret_key=%s\nsecret_id=%s\ntoken=%s\n",
           first.secret_id, first.secret_key, first.token, second.secret_key, second.secret_id, second.token);
  path = write_file("sections", text);
  forget_requests();
  expect_usable(profile_config(path, NULL));
  CHECK_INT(signed_by(&first), 1);
  expect_usable(profile_config(path, "ci"));
  CHECK_INT(signed_by(&second), 1);
  expect_no_client(profile_config(path, "other"), TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it has no section [other]");
}

static void a_file_that_is_not_there_is_named(void) {
  const char *path = path_of("no-such-file");
  expect_no_client(profile_config(path, NULL), TCKMS_ERR_NO_CREDENTIALS, path);
  expect_no_client(tccli_config(path), TCKMS_ERR_NO_CREDENTIALS, path);
}

static void a_broken_profile_is_refused_with_the_place(void) {
  static const struct {
    const char *text;
    const char *reason;
  } cases[] = {
      {"", "it has no section [default]"},
      {"secret_id = a\nsecret_key = S3CRET\n", "it has no section [default]"},
      {"[default]\nsecret_key = S3CRET\n", "has no secret_id"},
      {"[default]\nsecret_id = a\n", "has no secret_key"},
      {"[default]\nsecret_id = a\nS3CRET\n", "see line 3"},
      {"[default]\nsecret_id = a\nsecret_key = S3CRET\n[oops\nx = y\n", "see line "},
      {"[default]\nsecret_id =\nsecret_key = S3CRET\n", "the secret id is empty"},
      {"[default]\nsecret_id = a\nsecret_key =\n", "the secret key is empty"},
      {"[default]\nsecret_id = a\nsecret_key = S3CRET S3CRET\n", "the secret key has a character"},
      {"[default]\nsecret_id = a\nsecret_key = S3CRET\ntoken = S3CRET\tS3CRET\n", "the session token has a character"},
      {"[default]\nsecret_id = a\nsecret_key = \"S3CRET \"\n", "the secret key has blanks around it"},
      {"[default]\nsecret_id = a\nsecret_key = S3CRET\xe5\xaf\x86\n", "the secret key has a character"},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof *cases; i++) {
    expect_no_client(profile_config(write_file("broken", cases[i].text), NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                     cases[i].reason);
  }
}

/* No call blocks: opening a pipe would block until it has a writer. */
static void only_regular_files_are_read(void) {
  const char *pipe_path = path_of("pipe");
  long began = now_ms();
  CHECK_INT(mkfifo(pipe_path, 0600), 0);
  expect_no_client(profile_config(pipe_path, NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it is not a regular file");
  expect_no_client(tccli_config(pipe_path), TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it is not a regular file");
  expect_no_client(profile_config(given("TEST_FOLDER"), NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                   "it is not a regular file");
  expect_no_client(profile_config("/dev/zero", NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it is not a regular file");
  CHECK(now_ms() < began + slack_ms());
}

static void a_file_has_64_kib_at_most(void) {
  struct identity identity = issue_identity();
  char *text = malloc(TOO_LONG + 1);
  size_t len;
  CHECK(text != NULL);
  snprintf(text, TOO_LONG, "[default]\nsecret_id=%s\nsecret_key=%s\ntoken=%s\n;", identity.secret_id,
           identity.secret_key, identity.token);
  len = strlen(text);
  memset(text + len, 'a', TOO_LONG - len);
  expect_usable(profile_config(write_bytes("longest", text, LONGEST), NULL));
  expect_no_client(profile_config(write_bytes("longer", text, LONGEST + 1), NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                   "it is longer than 65536 bytes");
  expect_no_client(profile_config(write_bytes("much-longer", text, TOO_LONG), NULL),
                   TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it is longer than 65536 bytes");
  expect_no_client(tccli_config(write_bytes("longer.credential", text, LONGEST + 1)),
                   TCKMS_ERR_INVALID_CREDENTIALS_FILE, "it is longer than 65536 bytes");
  free(text);
}

static void a_file_is_text(void) {
  static const char text[] = "[default]\nsecret_id = a\nsecret_key = S3CRET\xff\n";
  expect_no_client(profile_config(write_file("not-text", text), NULL), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                   "it is not valid UTF-8");
  expect_no_client(tccli_config(write_file("not-text", text)), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                   "it is not valid UTF-8");
}

/* This is only a warning, because the file belongs to the user. */
static void a_file_that_every_user_may_read_is_reported(void) {
  struct identity identity = issue_identity();
  const char *path = write_profile("open", "default", &identity);
  awaited_line = "every user may read it";
  CHECK_INT(chmod(path, 0640), 0);
  expect_usable(profile_config(path, NULL));
  CHECK_INT(awaited_lines, 0);
  CHECK_INT(chmod(path, 0644), 0);
  expect_usable(profile_config(path, NULL));
  CHECK_INT(awaited_lines, 1);
  awaited_line = NULL;
}

/* The service does not know the id, so each call reads the file again. */
static void a_file_that_is_read_often_is_reported_once(void) {
  static const struct identity deleted = {"AKIDdeleted", "S3CRET", "S3CRET"};
  const char *path = write_profile("often", "default", &deleted);
  tckms_client *client;
  int i;
  CHECK_INT(chmod(path, 0644), 0);
  awaited_lines = 0;
  awaited_line = "every user may read it";
  client = client_of(profile_config(path, NULL));
  for (i = 0; i < 5; i++) {
    CHECK_REFUSED(use(client), TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND);
  }
  CHECK_INT(awaited_lines, 1);
  awaited_line = NULL;
  tckms_client_free(client);
}

static void the_default_files_are_tried_in_order(void) {
  struct identity of_variable = issue_identity();
  struct identity of_home = issue_identity();
  tckms_config *config;
  clear_environment();
  set_variable("HOME", given("TEST_FOLDER"));
  CHECK_INT(mkdir(path_of(".tencentcloud"), 0700), 0);
  write_profile(".tencentcloud/credentials", "default", &of_home);

  forget_requests();
  config = logged_config();
  CHECK_OK(tckms_config_set_default_profile_credentials(config, NULL));
  expect_usable(config);
  CHECK_INT(signed_by(&of_home), 1);

  set_variable("TENCENTCLOUD_CREDENTIALS_FILE", write_profile("of-variable", "work", &of_variable));
  config = logged_config();
  CHECK_OK(tckms_config_set_default_profile_credentials(config, "work"));
  expect_usable(config);
  CHECK_INT(signed_by(&of_variable), 1);

  CHECK_INT(unsetenv("TENCENTCLOUD_CREDENTIALS_FILE"), 0);
  set_variable("HOME", path_of("no-such-home"));
  config = logged_config();
  CHECK_OK(tckms_config_set_default_profile_credentials(config, NULL));
  if (access("/etc/tencentcloud/credentials", F_OK) != 0) {
    expect_no_client(config, TCKMS_ERR_NO_CREDENTIALS,
                     "no-such-home/.tencentcloud/credentials or /etc/tencentcloud/credentials");
  } else {
    tckms_config_free(config);
  }
}

static void use_the_file_of_the_machine(void *of_machine) {
  tckms_config *config;
  change_root(path_of("machine"));
  clear_environment();
  set_variable("HOME", "/nonexistent");
  config = logged_config();
  CHECK_OK(tckms_config_set_default_profile_credentials(config, NULL));
  expect_usable(config);
  CHECK_INT(signed_by(of_machine), 1);
}

/* In another root directory, because the real file belongs to the machine. */
static void the_file_of_the_machine_comes_last(void) {
  struct identity of_machine = issue_identity();
  CHECK_INT(mkdir(path_of("machine"), 0755), 0);
  CHECK_INT(mkdir(path_of("machine/etc"), 0755), 0);
  CHECK_INT(mkdir(path_of("machine/etc/tencentcloud"), 0755), 0);
  write_profile("machine/etc/tencentcloud/credentials", "default", &of_machine);
  forget_requests();
  in_a_child(use_the_file_of_the_machine, &of_machine);
}

static const char *write_login(const char *name, const struct identity *identity, const char *more) {
  char text[8192];
  snprintf(text, sizeof text, "{\"secretId\":\"%s\",\"secretKey\":\"%s\",\"token\":\"%s\"%s}", identity->secret_id,
           identity->secret_key, identity->token, more);
  return write_file(name, text);
}

static void each_kind_of_tccli_file_is_understood(void) {
  struct identity identity = issue_identity();
  char more[256];
  reset_emulator();
  identity = issue_identity();
  expect_usable(tccli_config(write_login("plain.credential", &identity, "")));
  CHECK_INT(signed_by(&identity), 1);
  expect_usable(tccli_config(write_login("default.credential", &identity, ",\"type\":\"default\"")));
  CHECK_INT(signed_by(&identity), 2);
  snprintf(more, sizeof more, ",\"type\":\"oauth\",\"expiresAt\":%" PRId64, unix_time() + 3600);
  expect_usable(tccli_config(write_login("oauth.credential", &identity, more)));
  CHECK_INT(signed_by(&identity), 3);
  snprintf(more, sizeof more, ",\"type\":\"sso\",\"expiresAt\":%" PRId64, unix_time() + 3600);
  expect_usable(tccli_config(write_login("sso.credential", &identity, more)));
  CHECK_INT(signed_by(&identity), 4);
  CHECK_INT(requests_seen("AssumeRole") + requests_seen("Metadata"), 0);

  expect_usable(tccli_config(write_login("role.credential", &identity,
                                         ",\"role-arn\":\"" ROLE_ARN "\",\"role-session-name\":\"cli\"")));
  CHECK_INT(requests_seen("AssumeRole"), 1);
  set_issuer("my-role", 0);
  expect_usable(tccli_config(write_file("cvm.credential", "{\"type\":\"cvm-role\"}")));
  CHECK_INT(requests_seen("Metadata"), 2);
}

static void a_login_that_expired_is_refused_and_read_again(void) {
  struct identity identity = issue_identity();
  char more[256];
  tckms_client *client;
  expect_no_client(tccli_config(write_login("old.credential", &identity, ",\"type\":\"oauth\",\"expiresAt\":1")),
                   TCKMS_ERR_CREDENTIALS_EXPIRED, "expired");
  snprintf(more, sizeof more, ",\"type\":\"oauth\",\"expiresAt\":%" PRId64, start_of_a_second() + 3);
  client = client_of(tccli_config(write_login("login.credential", &identity, more)));
  CHECK_OK(use(client));
  sleep_ms(3100);
  CHECK_REFUSED(use(client), TCKMS_ERR_CREDENTIALS_EXPIRED);
  /* The user has logged in again. */
  snprintf(more, sizeof more, ",\"type\":\"oauth\",\"expiresAt\":%" PRId64, unix_time() + 3600);
  write_login("login.credential", &identity, more);
  sleep_ms(600);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

static void a_broken_tccli_file_is_refused_with_the_place(void) {
  static const struct {
    const char *text;
    const char *reason;
  } cases[] = {
      {"", "see line 1"},
      {"{\n\"secretId\": \"a\",\n\"secretKey\": S3CRET\n}", "see line 3, column "},
      {"{\"secretId\":\"a\",\"secretKey\":[\"S3CRET\"]}", "see line 1, column "},
      {"\"S3CRET\"", "see line 1"},
      {"{}", "the secret id is empty"},
      {"{\"secretId\":\"a\",\"secretKey\":\" S3CRET\"}", "the secret key has blanks around it"},
      {"{\"secretId\":\"a\",\"secretKey\":\"S3CRET\",\"role-arn\":\"x\"}", "a role ARN is like"},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof *cases; i++) {
    expect_no_client(tccli_config(write_file("broken.credential", cases[i].text)), TCKMS_ERR_INVALID_CREDENTIALS_FILE,
                     cases[i].reason);
  }
}

static void a_tccli_profile_is_a_file_of_the_user(void) {
  struct identity first = issue_identity();
  struct identity second = issue_identity();
  tckms_config *config = logged_config();
  clear_environment();
  set_variable("HOME", given("TEST_FOLDER"));
  CHECK_INT(mkdir(path_of(".tccli"), 0700), 0);
  write_login(".tccli/default.credential", &first, "");
  write_login(".tccli/ci.credential", &second, "");
  forget_requests();
  CHECK_OK(tckms_config_set_default_tccli_credentials(config, NULL));
  expect_usable(config);
  CHECK_INT(signed_by(&first), 1);
  config = logged_config();
  CHECK_OK(tckms_config_set_default_tccli_credentials(config, "ci"));
  expect_usable(config);
  CHECK_INT(signed_by(&second), 1);
  config = logged_config();
  set_variable("TCCLI_PROFILE", "ci");
  CHECK_OK(tckms_config_set_default_tccli_credentials(config, NULL));
  expect_usable(config);
  CHECK_INT(signed_by(&second), 2);
  config = logged_config();
  CHECK_REFUSED(tckms_config_set_default_tccli_credentials(config, "../x"), TCKMS_ERR_INVALID_CREDENTIALS_FILE);
  tckms_config_free(config);
}

static void fixed_keys_are_checked_too(void) {
  static const char *const bad[] = {"", " S3CRET", "S3CRET ", "S3 CRET", "S3CRET\n", "S3CRET\xe5\xaf\x86"};
  tckms_config *config = logged_config();
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_REFUSED(tckms_config_set_credentials(config, bad[i], "S3CRET", NULL), TCKMS_ERR_MALFORMED_CREDENTIALS);
    CHECK_REFUSED(tckms_config_set_credentials(config, "AKIDTEST", bad[i], NULL), TCKMS_ERR_MALFORMED_CREDENTIALS);
    CHECK_REFUSED(tckms_config_set_credentials(config, "AKIDTEST", "S3CRET", bad[i]),
                  TCKMS_ERR_MALFORMED_CREDENTIALS);
  }
  tckms_config_free(config);
}

int main(void) {
  reset_emulator();
  each_section_is_a_separate_identity();
  a_file_that_is_not_there_is_named();
  a_broken_profile_is_refused_with_the_place();
  only_regular_files_are_read();
  a_file_has_64_kib_at_most();
  a_file_is_text();
  a_file_that_every_user_may_read_is_reported();
  a_file_that_is_read_often_is_reported_once();
  the_default_files_are_tried_in_order();
  the_file_of_the_machine_comes_last();
  each_kind_of_tccli_file_is_understood();
  a_login_that_expired_is_refused_and_read_again();
  a_broken_tccli_file_is_refused_with_the_place();
  a_tccli_profile_is_a_file_of_the_user();
  fixed_keys_are_checked_too();
  return no_secret_was_logged();
}
