/* CMKs are made, described, listed, switched, rotated and scheduled for deletion. */
#include "check.h"

#include <time.h>

#include "fixture.h"

static void make_key(const tckms_client *client, const tckms_create_key_options *options, char key_id[64]) {
  tckms_buffer id;
  CHECK_OK(tckms_create_key(client, options, sizeof *options, &id, NULL));
  CHECK(id.len > 0 && id.len < 64);
  CHECK_TEXT(tckms_last_key_id(), (const char *)id.data);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static void a_key_is_what_it_was_made_to_be(const tckms_client *client) {
  static const tckms_tag tags[] = {{"team", "billing"}, {"stage", "test"}};
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  char key_id[64];
  tckms_key_info *key = NULL;
  tckms_buffer id;
  options.alias = "described";
  options.usage = TCKMS_KEY_USAGE_SIGN_ECC;
  options.description = "for a test";
  options.tags = tags;
  options.tag_count = 2;
  make_key(client, &options, key_id);
  CHECK_OK(tckms_describe_key(client, key_id, &key));
  CHECK_TEXT(tckms_key_info_key_id(key), key_id);
  CHECK_TEXT(tckms_key_info_alias(key), "described");
  CHECK_TEXT(tckms_key_info_description(key), "for a test");
  CHECK_TEXT(tckms_key_info_state(key), "Enabled");
  CHECK_TEXT(tckms_key_info_usage(key), TCKMS_KEY_USAGE_SIGN_ECC);
  CHECK_TEXT(tckms_key_info_origin(key), "TENCENT_KMS");
  CHECK(tckms_key_info_created_at_seconds(key) > time(NULL) - 3600);
  CHECK_INT(tckms_key_info_rotation_days(key), 0);
  CHECK_INT(tckms_key_info_rotates_at_seconds(key), 0);
  CHECK_INT(tckms_key_info_rotated_at_seconds(key), 0);
  CHECK_INT(tckms_key_info_deleted_at_seconds(key), 0);
  CHECK_INT(tckms_key_info_material_expires_at_seconds(key), 0);
  tckms_key_info_free(key);
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_ALIAS_EXISTS);
  CHECK_EMPTY(id);
}

static int never_called(void *userdata, const tckms_key_info *key) {
  (void)userdata;
  check_failed(__FILE__, __LINE__, "a key is given: %s", tckms_key_info_key_id(key));
  return 1;
}

static void nonsense_is_refused(const tckms_client *client) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_key_info *key = (tckms_key_info *)(uintptr_t)0xdead;
  tckms_buffer id = garbage();
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_EMPTY(id);
  CHECK_STATUS(tckms_create_key(client, NULL, sizeof options, &id, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_create_key(client, &options, sizeof(void *), &id, NULL), TCKMS_ERR_INVALID_LENGTH);
  CHECK(tckms_create_key(client, &options, sizeof options, &id, &id) != TCKMS_OK);
  options.alias = "kms-reserved";
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_INVALID_ALIAS);
  options.alias = "fine";
  options.usage = "NOTHING";
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_INVALID_KEY_USAGE);
  options.usage = NULL;
  options.reserved = 1;
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_UNKNOWN_OPTION);
  options.reserved = 0;
  options.tag_count = 1;
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_describe_key(client, "no such key", &key), TCKMS_ERR_MALFORMED_KEY_ID);
  CHECK(key == NULL);
  CHECK_STATUS(tckms_schedule_key_deletion(client, MAIN_KEY, 6, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_schedule_key_deletion(client, MAIN_KEY, 31, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_schedule_key_deletion(client, MAIN_KEY, -7, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_schedule_key_deletion(client, MAIN_KEY, 7, NULL), TCKMS_ERR_KEY_NOT_DISABLED);
  CHECK_STATUS(tckms_cancel_key_deletion(client, MAIN_KEY), TCKMS_ERR_KEY_NOT_PENDING_DELETION);
  CHECK_STATUS(tckms_set_key_rotation(client, MAIN_KEY, 6), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_set_key_rotation(client, MAIN_KEY, 366), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_import_key_material(client, MAIN_KEY, "short", 5, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_import_key_material(client, MAIN_KEY, "0123456789abcdef", 16, -1), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_TEXT(tckms_key_info_alias(NULL), "");
  CHECK_INT(tckms_key_info_created_at_seconds(NULL), 0);
  tckms_key_info_free(NULL);
}

/* What is refused before it is sent says which action and which key it was about, and is counted. */
static void refused_arguments_are_told_and_counted(const tckms_client *client) {
  static const char material[] = "0123456789abcdef";
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  tckms_stats before, after;
  CHECK_OK(tckms_client_stats(client, &before, sizeof before));
  CHECK_STATUS(tckms_schedule_key_deletion(client, MAIN_KEY, 6, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "ScheduleKeyDeletion");
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  CHECK_STATUS(tckms_set_key_rotation(client, MAIN_KEY, 6), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "EnableKeyRotation");
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  CHECK_STATUS(tckms_import_key_material(client, MAIN_KEY, material, 15, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "ImportKeyMaterial");
  CHECK_STATUS(tckms_import_key_material(client, MAIN_KEY, material, 16, -1), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_TEXT(tckms_error_key_id(tckms_last_error()), MAIN_KEY);
  filter.state = "enabled";
  CHECK_STATUS(tckms_list_keys(client, &filter, sizeof filter, never_called, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "ListKeyDetail");
  CHECK_OK(tckms_client_stats(client, &after, sizeof after));
  CHECK_INT((intmax_t)(after.failures_argument - before.failures_argument), 5);
  CHECK_INT((intmax_t)(after.calls - before.calls), 5);
}

/* Tags in the memory of an output would be gone before they are read. */
static void tags_do_not_overlap_an_output(const tckms_client *client) {
  union {
    tckms_tag tag;
    tckms_buffer key_id;
  } memory;
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  memory.tag.key = "team";
  memory.tag.value = "billing";
  options.alias = "overlap";
  options.tags = &memory.tag;
  options.tag_count = 1;
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &memory.key_id, NULL), TCKMS_ERR_OVERLAP);
  options.tag_count = 51;
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &memory.key_id, NULL), TCKMS_ERR_INVALID_LENGTH);
}

static void rotation_is_set_and_stopped(const tckms_client *client) {
  tckms_key_info *key;
  CHECK_OK(tckms_set_key_rotation(client, MAIN_KEY, 30));
  CHECK_OK(tckms_describe_key(client, MAIN_KEY, &key));
  CHECK_INT(tckms_key_info_rotation_days(key), 30);
  CHECK(tckms_key_info_rotates_at_seconds(key) > time(NULL));
  tckms_key_info_free(key);
  CHECK_OK(tckms_set_key_rotation(client, MAIN_KEY, 0));
  CHECK_OK(tckms_describe_key(client, MAIN_KEY, &key));
  CHECK_INT(tckms_key_info_rotation_days(key), 0);
  tckms_key_info_free(key);
}

static void a_key_is_disabled_deleted_and_kept(const tckms_client *client) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  char key_id[64];
  tckms_key_info *key;
  int64_t deleted_at = 0;
  options.alias = "deleted";
  make_key(client, &options, key_id);
  CHECK_OK(tckms_disable_key(client, key_id));
  CHECK_OK(tckms_schedule_key_deletion(client, key_id, 7, &deleted_at));
  CHECK(deleted_at > time(NULL) + 6 * 86400);
  CHECK_OK(tckms_describe_key(client, key_id, &key));
  CHECK_TEXT(tckms_key_info_state(key), "PendingDelete");
  CHECK_INT(tckms_key_info_deleted_at_seconds(key), deleted_at);
  tckms_key_info_free(key);
  CHECK_OK(tckms_cancel_key_deletion(client, key_id));
  CHECK_OK(tckms_enable_key(client, key_id));
}

static void material_is_imported_and_expires(const tckms_client *client) {
  static const char material[] = "0123456789abcdef0123456789abcdef";
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  char key_id[64];
  tckms_key_info *key;
  tckms_buffer blob;
  int64_t tomorrow = (int64_t)time(NULL) + 86400;
  options.alias = "imported";
  options.external = 1;
  make_key(client, &options, key_id);
  CHECK_STATUS(tckms_encrypt(client, key_id, "x", 1, NULL, &blob), TCKMS_ERR_CMK_STATE_NOT_SUPPORTED);
  CHECK_OK(tckms_import_key_material(client, key_id, material, 32, tomorrow));
  CHECK_OK(tckms_encrypt(client, key_id, "x", 1, NULL, &blob));
  tckms_buffer_free(&blob);
  CHECK_OK(tckms_describe_key(client, key_id, &key));
  CHECK_TEXT(tckms_key_info_origin(key), "EXTERNAL");
  CHECK_TEXT(tckms_key_info_state(key), "Enabled");
  CHECK_INT(tckms_key_info_material_expires_at_seconds(key), tomorrow);
  tckms_key_info_free(key);
  CHECK_STATUS(tckms_import_key_material(client, key_id, "another0another0another0another0", 32, 0),
               TCKMS_ERR_MATERIAL_MISMATCH);
  CHECK_STATUS(tckms_import_key_material(client, MAIN_KEY, material, 32, 0), TCKMS_ERR_KEY_NOT_EXTERNAL);
  CHECK_STATUS(tckms_set_key_rotation(client, key_id, 30), TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE);
}

static void a_key_is_rotated_once_a_day(const tckms_client *client) {
  tckms_key_info *key;
  CHECK_OK(tckms_rotate_key(client, MAIN_KEY));
  CHECK_STATUS(tckms_rotate_key(client, MAIN_KEY), TCKMS_ERR_ROTATION_TOO_SOON);
  CHECK_INT(tckms_error_attempts(tckms_last_error()), 1);
  CHECK_OK(tckms_describe_key(client, MAIN_KEY, &key));
  CHECK(tckms_key_info_rotated_at_seconds(key) > time(NULL) - 3600);
  tckms_key_info_free(key);
}

struct seen {
  int keys;
  int stop_after;
  char last_alias[64];
};

static int see(void *userdata, const tckms_key_info *key) {
  struct seen *seen = userdata;
  snprintf(seen->last_alias, sizeof seen->last_alias, "%s", tckms_key_info_alias(key));
  seen->keys++;
  return seen->keys == seen->stop_after;
}

static struct seen list(const tckms_client *client, const tckms_key_filter *filter, int stop_after) {
  struct seen seen;
  memset(&seen, 0, sizeof seen);
  seen.stop_after = stop_after;
  CHECK_OK(tckms_list_keys(client, filter, sizeof *filter, see, &seen));
  return seen;
}

static void keys_are_listed_over_pages_and_filtered(const tckms_client *client) {
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  int before = list(client, NULL, 0).keys;
  char key_id[64];
  tckms_buffer id;
  int i;
  /* As many as an account may have: a whole page, after which an empty one ends the list. */
  for (i = 0; i < 200 - before; i++) {
    char alias[32];
    snprintf(alias, sizeof alias, "page-%d", i);
    options.alias = alias;
    make_key(client, &options, key_id);
  }
  CHECK_INT(list(client, NULL, 0).keys, 200);
  CHECK_HAS(list(client, NULL, 0).last_alias, "page-19");
  CHECK_INT(list(client, NULL, 3).keys, 3);
  options.alias = "one-too-many";
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_KEY_LIMIT_EXCEEDED);
  filter.search = "page-10";
  CHECK_INT(list(client, &filter, 0).keys, 11);
  filter.search = NULL;
  filter.usage = TCKMS_KEY_USAGE_SIGN_ECC;
  CHECK_INT(list(client, &filter, 0).keys, 1);
  filter.usage = NULL;
  filter.state = "Disabled";
  CHECK_INT(list(client, &filter, 0).keys, 0);
  filter.state = "Asleep";
  CHECK_STATUS(tckms_list_keys(client, &filter, sizeof filter, see, NULL), TCKMS_ERR_OUT_OF_RANGE);
  CHECK_STATUS(tckms_list_keys(client, NULL, 0, NULL, NULL), TCKMS_ERR_NULL_POINTER);
}

int main(void) {
  tckms_client *client = emulator_client();
  a_key_is_what_it_was_made_to_be(client);
  nonsense_is_refused(client);
  refused_arguments_are_told_and_counted(client);
  tags_do_not_overlap_an_output(client);
  rotation_is_set_and_stopped(client);
  a_key_is_disabled_deleted_and_kept(client);
  material_is_imported_and_expires(client);
  a_key_is_rotated_once_a_day(client);
  keys_are_listed_over_pages_and_filtered(client);
  tckms_client_free(client);
  return checks_passed();
}
