/* Invalid replies about keys: each causes a status, and none of their content reaches the program. */
#include "check.h"

#include "admin.h"
#include "fixture.h"

#define LONG_ID \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
  "aaaaaaaaaaaaaaaaa"

static char material[32] = "0123456789abcdef0123456789abcde";

static void replace(const char *action, const char *fields) {
  char fault[3500];
  snprintf(fault, sizeof fault, "{\"kind\":\"replace_fields\",\"fields\":%s}", fields);
  set_fault(action, fault, 1);
}

static void make_key(const tckms_client *client, const char *alias, const char *usage, int external, char key_id[64]) {
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id;
  options.alias = alias;
  options.usage = usage;
  options.external = external;
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, NULL));
  memcpy(key_id, id.data, id.len + 1);
  tckms_buffer_free(&id);
}

static tckms_status describe(const tckms_client *client, const char *key_id) {
  tckms_key_info *key = NULL;
  tckms_status status = tckms_describe_key(client, key_id, &key);
  CHECK((key != NULL) == (status == TCKMS_OK));
  tckms_key_info_free(key);
  return status;
}

static tckms_status schedule(const tckms_client *client, const char *key_id, int64_t *time) {
  *time = 7;
  return tckms_schedule_key_deletion(client, key_id, 7, time);
}

/* Every reply with a KeyId must have the KeyId of the request. */
static void a_reply_about_another_key_is_a_mismatch(const tckms_client *client) {
  char other[128], metadata[256], key_id[64], external[64], decrypting[64], sm2[64];
  tckms_client *fresh = emulator_client();
  tckms_buffer out = garbage(), second = garbage();
  int64_t time;
  make_key(client, "mismatch", NULL, 0, key_id);
  make_key(client, "mismatch-external", NULL, 1, external);
  make_key(client, "mismatch-rsa", TCKMS_KEY_USAGE_DECRYPT_RSA_2048, 0, decrypting);
  make_key(client, "mismatch-sm2", TCKMS_KEY_USAGE_SIGN_ECC, 0, sm2);
  snprintf(other, sizeof other, "{\"KeyId\":\"%s\"}", OTHER_KEY);
  snprintf(metadata, sizeof metadata, "{\"KeyMetadata\":%s}", other);
  replace("DescribeKey", metadata);
  CHECK_STATUS(describe(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  CHECK_HAS(tckms_error_message(tckms_last_error()), key_id);
  CHECK(strlen(tckms_error_request_id(tckms_last_error())) > 0);
  replace("DescribeKey", other);
  CHECK_STATUS(describe(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  CHECK_OK(tckms_disable_key(client, key_id));
  replace("ScheduleKeyDeletion", other);
  CHECK_STATUS(schedule(client, key_id, &time), TCKMS_ERR_KEY_MISMATCH);
  CHECK_INT(time, 0);
  replace("CancelKeyDeletion", other);
  CHECK_STATUS(tckms_cancel_key_deletion(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  replace("EnableKey", other);
  CHECK_STATUS(tckms_enable_key(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  replace("EnableKeyRotation", other);
  CHECK_STATUS(tckms_set_key_rotation(client, key_id, 30), TCKMS_ERR_KEY_MISMATCH);
  replace("DisableKeyRotation", other);
  CHECK_STATUS(tckms_set_key_rotation(client, key_id, 0), TCKMS_ERR_KEY_MISMATCH);
  replace("RotateKey", other);
  CHECK_STATUS(tckms_rotate_key(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  replace("DisableKey", other);
  CHECK_STATUS(tckms_disable_key(client, key_id), TCKMS_ERR_KEY_MISMATCH);
  replace("GetParametersForImport", other);
  forget_requests();
  CHECK_STATUS(tckms_import_key_material(client, external, material, 32, 0), TCKMS_ERR_KEY_MISMATCH);
  CHECK_INT(requests_seen("ImportKeyMaterial"), 0);
  replace("ImportKeyMaterial", other);
  CHECK_STATUS(tckms_import_key_material(client, external, material, 32, 0), TCKMS_ERR_KEY_MISMATCH);
  replace("GetPublicKey", other);
  CHECK_STATUS(tckms_public_key(fresh, sm2, &out), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(out);
  replace("SignByAsymmetricKey", other);
  CHECK_STATUS(tckms_sign(fresh, sm2, 0, "m", 1, &out), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(out);
  CHECK_OK(tckms_rsa_encrypt(client, decrypting, TCKMS_RSA_OAEP_SHA256, "x", 1, &second));
  replace("AsymmetricRsaDecrypt", other);
  CHECK_STATUS(tckms_rsa_decrypt(client, decrypting, TCKMS_RSA_OAEP_SHA256, second.data, second.len, &out),
               TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(out);
  tckms_buffer_free(&second);
  replace("Encrypt", other);
  CHECK_STATUS(tckms_encrypt(client, MAIN_KEY, "x", 1, NULL, &out), TCKMS_ERR_KEY_MISMATCH);
  replace("GenerateDataKey", other);
  CHECK_STATUS(tckms_generate_data_key(client, MAIN_KEY, 32, NULL, &out, &second), TCKMS_ERR_KEY_MISMATCH);
  CHECK_EMPTY(out);
  CHECK_EMPTY(second);
  CHECK(!faults_are_left());
  tckms_client_free(fresh);
}

/* A key id may be written in upper case, and a call that has a KeyId in its reply needs one. */
static void the_same_id_in_another_case_is_no_mismatch(const tckms_client *client) {
  char fields[128], upper[64];
  size_t i;
  snprintf(upper, sizeof upper, "%s", MAIN_KEY);
  for (i = 0; upper[i] != '\0'; i++) {
    upper[i] = (char)(upper[i] >= 'a' && upper[i] <= 'z' ? upper[i] - 'a' + 'A' : upper[i]);
  }
  snprintf(fields, sizeof fields, "{\"KeyMetadata\":{\"KeyId\":\"%s\"}}", upper);
  replace("DescribeKey", fields);
  CHECK_OK(describe(client, MAIN_KEY));
}

static void a_new_key_has_a_usable_id(const tckms_client *client) {
  static const char *const ids[] = {"\"\"", "null", "7", "\"" LONG_ID "\"", "\"a b\"", "\"a\\u001b[2J\"", "\"a\\n\"",
                                    "\"a\\u0000b\"", "\"\\u202eabc\"", "\"\\u00e9\""};
  size_t i;
  for (i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
    tckms_buffer id = garbage(), tag_failure = garbage();
    char alias[32], fields[256];
    snprintf(alias, sizeof alias, "bad-id-%lu", (unsigned long)i);
    snprintf(fields, sizeof fields, "{\"KeyId\":%s,\"TagCode\":1}", ids[i]);
    options.alias = alias;
    replace("CreateKey", fields);
    CHECK_STATUS(tckms_create_key(client, &options, sizeof options, &id, &tag_failure), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_EMPTY(id);
    CHECK_EMPTY(tag_failure);
  }
}

static void a_reason_for_missing_tags_is_short_and_printable(const tckms_client *client) {
  static char fields[3000];
  tckms_create_key_options options = TCKMS_CREATE_KEY_OPTIONS_INIT;
  tckms_buffer id, tag_failure = garbage();
  size_t len = (size_t)snprintf(fields, sizeof fields, "{\"TagCode\":-1,\"TagMsg\":\"\\u001b[2J");
  memset(fields + len, 'x', 2000);
  snprintf(fields + len + 2000, sizeof fields - len - 2000, "\"}");
  options.alias = "long-reason";
  replace("CreateKey", fields);
  CHECK_OK(tckms_create_key(client, &options, sizeof options, &id, &tag_failure));
  CHECK(tag_failure.len > 100 && tag_failure.len < 1100);
  CHECK(strchr((const char *)tag_failure.data, 27) == NULL);
  tckms_buffer_free(&id);
  tckms_buffer_free(&tag_failure);
}

static int count(void *number, const tckms_key_info *key) {
  (void)key;
  ++*(int *)number;
  return 0;
}

/* One invalid field of a description, in DescribeKey and in ListKeyDetail. */
static void metadata_is_checked(const tckms_client *client) {
  static const char *const fields[] = {
    "\"KeyId\":\"\"", "\"KeyId\":null", "\"KeyId\":\"" LONG_ID "\"", "\"KeyId\":\"a\\u001b\"",
    "\"Alias\":\"a\\u001b[31m\"", "\"Alias\":\"\\u202e\"", "\"Alias\":\"" LONG_ID LONG_ID LONG_ID "\"", "\"Alias\":7",
    "\"KeyState\":\"a\\nb\"", "\"KeyState\":\"" LONG_ID LONG_ID LONG_ID "\"", "\"KeyUsage\":\"\\u0000\"",
    "\"Origin\":\"\\u0007\"", "\"Owner\":\"\\u009b\"", "\"Description\":[]",
    "\"CreateTime\":-1", "\"CreateTime\":9223372036854775807", "\"CreateTime\":1e300", "\"CreateTime\":\"1\"",
    "\"DeletionDate\":-5", "\"DeletionDate\":253402300800", "\"NextRotateTime\":-1", "\"LastRotateTime\":-1",
    "\"ValidTo\":-1", "\"RotateDays\":-30", "\"RotateDays\":36501", "\"KeyRotationEnabled\":1",
  };
  size_t i;
  for (i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    char metadata[2000], reply[2100];
    int is_id = strncmp(fields[i], "\"KeyId\"", 7) == 0;
    int seen = 0;
    snprintf(metadata, sizeof metadata, "{\"KeyId\":\"%s\",%s}", MAIN_KEY, fields[i]);
    if (is_id) {
      snprintf(metadata, sizeof metadata, "{%s}", fields[i]);
    }
    snprintf(reply, sizeof reply, "{\"KeyMetadata\":%s}", metadata);
    replace("DescribeKey", reply);
    CHECK_STATUS(describe(client, MAIN_KEY), TCKMS_ERR_RESPONSE_MALFORMED);
    snprintf(reply, sizeof reply, "{\"TotalCount\":1,\"KeyMetadatas\":[%s]}", metadata);
    replace("ListKeyDetail", reply);
    CHECK_STATUS(tckms_list_keys(client, NULL, 0, count, &seen), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_INT(seen, 0);
  }
}

/* A description is free text. The library returns it without control characters. */
static void a_description_is_bounded_free_text(const tckms_client *client) {
  static char reply[3400], text[3000];
  tckms_key_info *key = NULL;
  memset(text, 'x', sizeof text - 1);
  snprintf(reply, sizeof reply, "{\"KeyMetadata\":{\"KeyId\":\"%s\",\"Description\":\"two\\nlines \\u001b[2J\"}}", MAIN_KEY);
  replace("DescribeKey", reply);
  CHECK_OK(tckms_describe_key(client, MAIN_KEY, &key));
  CHECK_HAS(tckms_key_info_description(key), "two lines ");
  CHECK(strchr(tckms_key_info_description(key), 27) == NULL);
  tckms_key_info_free(key);
  snprintf(reply, sizeof reply, "{\"KeyMetadata\":{\"KeyId\":\"%s\",\"Description\":\"%s\"}}", MAIN_KEY, text);
  replace("DescribeKey", reply);
  CHECK_OK(describe(client, MAIN_KEY));
}

static void a_time_of_deletion_is_a_time(const tckms_client *client) {
  static const char *const times[] = {"-1", "0", "null", "\"1\"", "253402300800", "1.5", "-9223372036854775808"};
  char key_id[64], fields[64];
  size_t i;
  int64_t time;
  make_key(client, "bad-time", NULL, 0, key_id);
  CHECK_OK(tckms_disable_key(client, key_id));
  for (i = 0; i < sizeof times / sizeof times[0]; i++) {
    snprintf(fields, sizeof fields, "{\"DeletionDate\":%s}", times[i]);
    replace("ScheduleKeyDeletion", fields);
    CHECK_STATUS(schedule(client, key_id, &time), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_INT(time, 0);
    CHECK_OK(tckms_cancel_key_deletion(client, key_id));
  }
  replace("ScheduleKeyDeletion", "{\"KeyId\":null}");
  CHECK_STATUS(schedule(client, key_id, &time), TCKMS_ERR_RESPONSE_MALFORMED);
}

/* The status blames the service's reply, because the caller does not choose the algorithm. */
static void import_parameters_are_checked(const tckms_client *client) {
  static const char rsa_1024[] =
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDEizvC+BfKIhgtiTcYLAh+dXTPcTUwd6SzqlSpV+RQV+iqIQrTUdmyEUjUm3M6NiFr"
    "fK0oQjV3Bo7sD2hwUQsxvOfem4Yun4Hf0mUMoup1KuBpuHi+JfCy2rTg9GxmjQrdrvD/mwgR54GLFaNAjr3/BYDF/YcRMQUDcxDTqPbrmwID"
    "AQAB";
  static const char p256[] =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1RNBrcHviLngAlGe/sjiDBYj4RuJzTY8ye5YFrWX4KvrsHzvGAdJOfAq8nhxUWXsuyfUSbGj"
    "FrhAv3zEJA7pqg==";
  static const char *const broken[] = {"\"PublicKey\":\"\"", "\"PublicKey\":\"AAAA\"", "\"PublicKey\":\"!\"",
                                       "\"PublicKey\":null", "\"ImportToken\":\"\"", "\"ImportToken\":null",
                                       "\"ImportToken\":\"a b\"", "\"ImportToken\":\"\\u001b\"", "\"KeyId\":null"};
  char key_id[64], fields[1024];
  size_t i;
  make_key(client, "bad-import", NULL, 1, key_id);
  forget_requests();
  for (i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    snprintf(fields, sizeof fields, "{%s}", broken[i]);
    replace("GetParametersForImport", fields);
    CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 0), TCKMS_ERR_RESPONSE_MALFORMED);
    CHECK_TEXT(tckms_error_action(tckms_last_error()), "GetParametersForImport");
  }
  snprintf(fields, sizeof fields, "{\"PublicKey\":\"%s\"}", p256);
  replace("GetParametersForImport", fields);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 0), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "P-256");
  snprintf(fields, sizeof fields, "{\"PublicKey\":\"%s\"}", rsa_1024);
  replace("GetParametersForImport", fields);
  CHECK_STATUS(tckms_import_key_material(client, key_id, material, 32, 0), TCKMS_ERR_RESPONSE_MALFORMED);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "1024 bits");
  CHECK_HAS(tckms_error_message(tckms_last_error()), "2048");
  CHECK_INT(requests_seen("ImportKeyMaterial"), 0);
  CHECK_OK(tckms_import_key_material(client, key_id, material, 32, 0));
}

int main(void) {
  tckms_client *client = emulator_client();
  a_reply_about_another_key_is_a_mismatch(client);
  the_same_id_in_another_case_is_no_mismatch(client);
  a_new_key_has_a_usable_id(client);
  a_reason_for_missing_tags_is_short_and_printable(client);
  metadata_is_checked(client);
  a_description_is_bounded_free_text(client);
  a_time_of_deletion_is_a_time(client);
  import_parameters_are_checked(client);
  clear_faults();
  tckms_client_free(client);
  return checks_passed();
}
