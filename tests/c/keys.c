/* Creating, describing, listing, enabling, disabling and rotating CMKs, and scheduling their deletion. */
#include "check.h"

#include <time.h>

#include "admin.h"
#include "fixture.h"

static void make_key(const tckms_client *client, const tckms_create_key_options *options, char key_id[64]) {
  tckms_buffer id;
  CHECK_OK(tckms_create_key(client, options, sizeof *options, &id, NULL));
  CHECK(id.len > 0 && id.len < 64);
  CHECK_TEXT(tckms_last_key_id(), (const char *)id.data);
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static void a_new_key_has_the_requested_attributes(const tckms_client *client) {
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

/* Fields may be null instead of absent. */
static void a_description_may_have_nulls(const tckms_client *client) {
  tckms_key_info *key = NULL;
  char fault[1024];
  snprintf(fault, sizeof fault,
            "{\"kind\":\"replace_fields\",\"fields\":{\"KeyMetadata\":{\"KeyId\":\"%s\",\"Alias\":null,"
            "\"Description\":null,\"KeyState\":null,\"KeyUsage\":null,\"Origin\":null,\"Owner\":null,"
            "\"KeyRotationEnabled\":null,\"RotateDays\":null,\"CreateTime\":null,\"NextRotateTime\":null,"
            "\"LastRotateTime\":null,\"DeletionDate\":null,\"ValidTo\":null,\"HsmClusterId\":null}}}", MAIN_KEY);
  set_fault("DescribeKey", fault, 1);
  CHECK_OK(tckms_describe_key(client, MAIN_KEY, &key));
  CHECK_TEXT(tckms_key_info_key_id(key), MAIN_KEY);
  CHECK_TEXT(tckms_key_info_alias(key), "");
  CHECK_TEXT(tckms_key_info_state(key), "");
  CHECK_INT(tckms_key_info_created_at_seconds(key), 0);
  CHECK_INT(tckms_key_info_rotation_days(key), 0);
  CHECK_INT(tckms_key_info_deleted_at_seconds(key), 0);
  tckms_key_info_free(key);
  set_fault("DescribeKey", "{\"kind\":\"replace_fields\",\"fields\":{\"KeyMetadata\":[]}}", 1);
  CHECK_STATUS(tckms_describe_key(client, MAIN_KEY, &key), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK(key == NULL);
  set_fault("DescribeKey", "{\"kind\":\"replace_fields\",\"fields\":{\"KeyMetadata\":null}}", 1);
  CHECK_STATUS(tckms_describe_key(client, MAIN_KEY, &key), TCKMS_ERR_RESPONSE_MALFORMED);
}

/* The key is created but its tags are not: the call succeeds and reports it. */
static void tags_that_failed_are_reported(const tckms_client *client) {
  static const struct {
    const char *fields;
    const char *told;
  } replies[] = {
    {"{\"TagCode\":1,\"TagMsg\":\"internal error\"}", "internal error"},
    {"{\"TagCode\":2,\"TagMsg\":\"\"}", "tag code 2"},
    {"{\"TagCode\":2,\"TagMsg\":null}", "tag code 2"},
    {"{\"TagCode\":0,\"TagMsg\":\"ok\"}", NULL},
    {"{\"TagCode\":null,\"TagMsg\":null}", NULL},
  };
  static const tckms_tag tag = {"team", "billing"};
  size_t i;
  for (i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
    tckms_buffer id, tag_failure = garbage();
    char alias[32], fault[256];
    snprintf(alias, sizeof alias, "tags-%lu", (unsigned long)i);
    snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":%s}", replies[i].fields);
    options.alias = alias;
    options.tags = &tag;
    options.tag_count = 1;
    set_fault("CreateKey", fault, 1);
    CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, &tag_failure));
    CHECK_INT((intmax_t)id.len, 36);
    if (replies[i].told == NULL) {
      CHECK_EMPTY(tag_failure);
    } else {
      CHECK_HAS((const char *)tag_failure.data, replies[i].told);
    }
    tckms_buffer_free(&tag_failure);
    tckms_buffer_free(&id);
  }
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

/* The error for a request that is refused before it is sent names its action and key, and the call is counted. */
static void refused_arguments_are_reported_and_counted(const tckms_client *client) {
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

/* Tags in the memory of an output would be overwritten before they are read. */
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
  /* The emulator's keys are AES-256; an SM4 key would accept this length. */
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 16, 0), TCKMS_ERR_INVALID_PARAMETER);
  CHECK_TEXT(tckms_error_action(tckms_last_error()), "ImportKeyMaterial");
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 0, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 31, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 33, 0), TCKMS_ERR_INVALID_LENGTH);
  CHECK_STATUS(tckms_import_key_material(client, key_id, NULL, 32, 0), TCKMS_ERR_NULL_POINTER);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 1), TCKMS_ERR_INVALID_PARAMETER);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, INT64_C(2147443201)), TCKMS_ERR_OUT_OF_RANGE);
  set_fault("ImportKeyMaterial", "{\"kind\":\"error\",\"code\":\"ResourceUnavailable.TokenExpired\"}", 1);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 0), TCKMS_ERR_IMPORT_TOKEN_EXPIRED);
  set_fault("GetParametersForImport", "{\"kind\":\"replace_fields\",\"fields\":{\"PublicKey\":\"AAAA\"}}", 1);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 0), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_OK(tckms_import_key_material(client, key_id, material, 32, 0));
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

enum { DELETED = 5 };

struct some_keys {
  size_t count;
  char ids[DELETED][64];
};

static int take_some(void *userdata, const tckms_key_info *key) {
  struct some_keys *some = userdata;
  snprintf(some->ids[some->count++], sizeof some->ids[0], "%s", tckms_key_info_key_id(key));
  return some->count == DELETED;
}

static void more_than_a_page_is_listed(const tckms_client *client) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  struct some_keys some;
  char key_id[64];
  size_t i;
  for (i = 0; i < 250; i++) {
    char alias[32];
    snprintf(alias, sizeof alias, "more-%lu", (unsigned long)i);
    options.alias = alias;
    make_key(client, &options, key_id);
  }
  forget_requests();
  CHECK_INT(list(client, NULL, 0).keys, 450);
  CHECK_INT(requests_seen("ListKeyDetail"), 3);
  CHECK_TEXT(list(client, NULL, 0).last_alias, "more-249");
  CHECK_INT(list(client, NULL, 201).keys, 201);
  forget_requests();
  CHECK_INT(list(client, NULL, 200).keys, 200);
  CHECK_INT(requests_seen("ListKeyDetail"), 1);
  some.count = 0;
  filter.search = "page-";
  CHECK_OK(tckms_list_keys(client, &filter, sizeof filter, take_some, &some));
  for (i = 0; i < DELETED; i++) {
    CHECK_OK(tckms_disable_key(client, some.ids[i]));
    CHECK_OK(tckms_schedule_key_deletion(client, some.ids[i], 7, NULL));
  }
  filter.state = "PendingDelete";
  CHECK_INT(list(client, &filter, 0).keys, DELETED);
  filter.search = "more-";
  CHECK_INT(list(client, &filter, 0).keys, 0);
  filter.state = "Enabled";
  CHECK_INT(list(client, &filter, 0).keys, 250);
}

static int disable_it(void *userdata, const tckms_key_info *key) {
  CHECK_OK(tckms_disable_key(userdata, tckms_key_info_key_id(key)));
  return 0;
}

/* Each key that the callback disables is no longer among the enabled ones, so that the others move to smaller offsets. */
static void a_callback_may_disable_what_is_listed(tckms_client *client) {
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  filter.search = "more-";
  filter.state = "Enabled";
  CHECK_OK(tckms_list_keys(client, &filter, sizeof filter, disable_it, client));
  CHECK_INT(list(client, &filter, 0).keys, 0);
  filter.state = "Disabled";
  CHECK_INT(list(client, &filter, 0).keys, 250);
}

static void the_limit_of_keys_is_a_status(const tckms_client *client) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id = garbage();
  set_fault("CreateKey", "{\"kind\":\"error\",\"code\":\"LimitExceeded.CmkLimitExceeded\"}", 1);
  options.alias = "one-too-many";
  CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, NULL), TCKMS_ERR_KEY_LIMIT_EXCEEDED);
  CHECK_EMPTY(id);
}

/* If a page has fewer keys than requested, the library requests the rest. If all pages are the same, the listing ends. */
static void short_and_equal_pages_end(const tckms_client *client) {
  static const char two[] = "{\"kind\":\"replace_fields\",\"fields\":{\"TotalCount\":%s,\"KeyMetadatas\":%s}}";
  struct seen seen = {0, 0, ""};
  char fault[512];
  snprintf(fault, sizeof fault, two, "1000", "[{\"KeyId\":\"a\"},{\"KeyId\":\"b\"}]");
  forget_requests();
  set_fault("ListKeyDetail", fault, 2);
  CHECK_STATUS(tckms_list_keys(client, NULL, 0, see, &seen), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_INT(requests_seen("ListKeyDetail"), 2);
  snprintf(fault, sizeof fault, two, "2", "[{\"KeyId\":\"a\"},{\"KeyId\":\"b\"}]");
  set_fault("ListKeyDetail", fault, 1);
  CHECK_INT(list(client, NULL, 0).keys, 2);
  snprintf(fault, sizeof fault, two, "0", "null");
  set_fault("ListKeyDetail", fault, 1);
  CHECK_INT(list(client, NULL, 0).keys, 0);
  snprintf(fault, sizeof fault, two, "0", "[{\"KeyId\":\"a\"},{\"KeyId\":\"b\"}]");
  set_fault("ListKeyDetail", fault, 1);
  CHECK_INT(list(client, NULL, 0).keys, 2);
  CHECK(!faults_are_left());
}

/* A page without keys is the end only if the reported total number of keys was reached. */
static void missing_keys_are_no_success(const tckms_client *client) {
  static const char *const pages[] = {"{\"KeyMetadatas\":null}", "{\"KeyMetadatas\":[]}", "{\"KeyMetadatas\":{}}",
                                      "{\"KeyMetadatas\":[],\"TotalCount\":1}",
                                      "{\"KeyMetadatas\":null,\"TotalCount\":null}",
                                      "{\"KeyMetadatas\":null,\"TotalCount\":-1}", "{\"TotalCount\":\"3\"}"};
  char script[512];
  struct seen seen = {0, 0, ""};
  size_t i;
  for (i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    snprintf(script, sizeof script, "{\"kind\":\"replace_fields\",\"fields\":%s}", pages[i]);
    set_fault("ListKeyDetail", script, 1);
    CHECK_STATUS(tckms_list_keys(client, NULL, 0, see, &seen), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_TEXT(tckms_error_action(tckms_last_error()), "ListKeyDetail");
  }
  CHECK_INT(seen.keys, 0);
  snprintf(script, sizeof script,
           "[{\"action\":\"ListKeyDetail\",\"fault\":{\"kind\":\"replace_fields\",\"fields\":{\"TotalCount\":3,"
           "\"KeyMetadatas\":[{\"KeyId\":\"a\"},{\"KeyId\":\"b\"}]}}},{\"action\":\"ListKeyDetail\",\"fault\":"
           "{\"kind\":\"replace_fields\",\"fields\":{\"TotalCount\":3,\"KeyMetadatas\":null}}}]");
  set_faults(script);
  CHECK_STATUS(tckms_list_keys(client, NULL, 0, see, &seen), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "there are 3, of which 2 were returned");
  CHECK_INT(seen.keys, 2);
  CHECK(!faults_are_left());
}

static int describe_it(void *userdata, const tckms_key_info *key) {
  tckms_key_info *again = NULL;
  CHECK_OK(tckms_describe_key(userdata, tckms_key_info_key_id(key), &again));
  CHECK_TEXT(tckms_key_info_alias(again), tckms_key_info_alias(key));
  tckms_key_info_free(again);
  return 0;
}

static void a_callback_may_call_the_library(tckms_client *client) {
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  filter.search = "described";
  CHECK_OK(tckms_list_keys(client, &filter, sizeof filter, describe_it, client));
}

static void keys_are_listed_over_pages_and_filtered(const tckms_client *client) {
  tckms_key_filter filter = TCKMS_KEY_FILTER_INIT;
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  int before = list(client, NULL, 0).keys;
  char key_id[64];
  int i;
  /* A full page. No other is requested, because the total number of keys shows that it is the last one. */
  for (i = 0; i < 200 - before; i++) {
    char alias[32];
    snprintf(alias, sizeof alias, "page-%d", i);
    options.alias = alias;
    make_key(client, &options, key_id);
  }
  CHECK_INT(list(client, NULL, 0).keys, 200);
  CHECK_HAS(list(client, NULL, 0).last_alias, "page-19");
  CHECK_INT(list(client, NULL, 3).keys, 3);
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
  a_new_key_has_the_requested_attributes(client);
  nonsense_is_refused(client);
  refused_arguments_are_reported_and_counted(client);
  tags_do_not_overlap_an_output(client);
  rotation_is_set_and_stopped(client);
  a_key_is_disabled_deleted_and_kept(client);
  material_is_imported_and_expires(client);
  a_key_is_rotated_once_a_day(client);
  a_description_may_have_nulls(client);
  tags_that_failed_are_reported(client);
  a_callback_may_call_the_library(client);
  short_and_equal_pages_end(client);
  missing_keys_are_no_success(client);
  keys_are_listed_over_pages_and_filtered(client);
  more_than_a_page_is_listed(client);
  a_callback_may_disable_what_is_listed(client);
  the_limit_of_keys_is_a_status(client);
  tckms_client_free(client);
  return checks_passed();
}
