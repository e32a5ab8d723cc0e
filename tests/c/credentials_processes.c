/* Credentials in a child process, and after chroot(). */
#define _GNU_SOURCE
#include "credentials.h"

static tckms_config *role_config(void) {
  tckms_config *config = logged_config();
  CHECK_OK(tckms_config_set_cvm_role_credentials(config, "my-role"));
  return config;
}

static void use_in_child(void *client) {
  CHECK_OK(use(client));
}

static void free_in_child(void *client) {
  tckms_client_free(client);
}

/* The locks that the parent holds at that moment would never be released in the child. */
static void a_child_of_a_fork_in_a_slow_refresh_fetches_itself(void) {
  pthread_t threads[8];
  tckms_client *client;
  int i;
  reset_emulator();
  set_issuer("my-role", 0);
  set_fault("Metadata", "{\"kind\":\"delay\",\"ms\":1500}", 1);
  client = client_of(role_config());
  for (i = 0; i < 8; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, use_on_thread, client), 0);
  }
  while (requests_seen("Metadata") == 0) {
    sleep_ms(5);
  }
  in_a_child(use_in_child, client);
  CHECK_INT(requests_seen("Metadata"), 2);
  for (i = 0; i < 8; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  CHECK_INT(requests_seen("Metadata"), 2);
  in_a_child(free_in_child, client);
  CHECK_OK(use(client));
  tckms_client_free(client);
}

/* The client has read the file into its memory: neither it nor its children need the file again. */
static void use_behind_another_root(void *profile) {
  tckms_config *config = logged_config();
  tckms_client *client;
  CHECK_OK(tckms_config_set_profile_credentials(config, profile, NULL));
  client = client_of(config);
  change_root(path_of("root"));
  CHECK(access(profile, F_OK) != 0);
  CHECK_OK(use(client));
  in_a_child(use_in_child, client);
  tckms_client_free(client);
}

static void a_profile_is_valid_after_a_chroot(void) {
  struct identity identity;
  reset_emulator();
  identity = issue_identity();
  CHECK_INT(mkdir(path_of("root"), 0755), 0);
  in_a_child(use_behind_another_root, (void *)(uintptr_t)write_profile("profile", "default", &identity));
}

/* Like a daemon that forks workers. */
static void a_fork_before_the_first_call(void) {
  tckms_client *client;
  reset_emulator();
  set_issuer("my-role", 0);
  client = client_of(role_config());
  in_a_child(use_in_child, client);
  in_a_child(use_in_child, client);
  CHECK_OK(use(client));
  tckms_client_free(client);
  CHECK_INT(requests_seen("Metadata"), 3);
}

int main(void) {
  a_child_of_a_fork_in_a_slow_refresh_fetches_itself();
  a_profile_is_valid_after_a_chroot();
  a_fork_before_the_first_call();
  return no_secret_was_logged();
}
