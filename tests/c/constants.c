/* The macros of the header have the same values as the functions of the library. Prints the version, which the harness compares. */
#include "check.h"

#if !TCKMS_VERSION_AT_LEAST(0, 1, 0)
#error "the header is older than the first version"
#endif
#if TCKMS_VERSION_AT_LEAST(TCKMS_VERSION_MAJOR, TCKMS_VERSION_MINOR, TCKMS_VERSION_PATCH + 1)
#error "the header claims to be newer than it is"
#endif
#if !TCKMS_VERSION_AT_LEAST(TCKMS_VERSION_MAJOR, TCKMS_VERSION_MINOR, TCKMS_VERSION_PATCH)
#error "the header claims to be older than it is"
#endif

static void the_version_composed_and_decomposed_is_the_same(void) {
  char composed[64];
  snprintf(composed, sizeof composed, "%d.%d.%d", TCKMS_VERSION_MAJOR, TCKMS_VERSION_MINOR, TCKMS_VERSION_PATCH);
  CHECK_TEXT(composed, TCKMS_VERSION);
  CHECK_INT(TCKMS_VERSION_NUMBER >> 16, TCKMS_VERSION_MAJOR);
  CHECK_INT(TCKMS_VERSION_NUMBER >> 8 & 255, TCKMS_VERSION_MINOR);
  CHECK_INT(TCKMS_VERSION_NUMBER & 255, TCKMS_VERSION_PATCH);
}

static void header_and_library_are_of_one_version(void) {
  CHECK_TEXT(tckms_version(), TCKMS_VERSION);
  CHECK_INT(tckms_version_number(), TCKMS_VERSION_NUMBER);
}

static void limits_are_the_same_as_macros_and_as_functions(void) {
  CHECK_INT(tckms_plaintext_max(), TCKMS_PLAINTEXT_MAX);
  CHECK_INT(tckms_encryption_context_max(), TCKMS_ENCRYPTION_CONTEXT_MAX);
  CHECK_INT(tckms_random_max(), TCKMS_RANDOM_MAX);
  CHECK_INT(tckms_key_id_max(), TCKMS_KEY_ID_MAX);
  CHECK_INT(tckms_ciphertext_blob_max(), TCKMS_CIPHERTEXT_BLOB_MAX);
  CHECK_INT(tckms_threads_max(), TCKMS_THREADS_MAX);
}

/* A compiler that chose the smallest size for an enum would not match the library. */
static void enums_are_as_wide_as_int(void) {
  CHECK_INT(sizeof(tckms_status), sizeof(int));
  CHECK_INT(sizeof(tckms_category), sizeof(int));
}

int main(void) {
  the_version_composed_and_decomposed_is_the_same();
  header_and_library_are_of_one_version();
  limits_are_the_same_as_macros_and_as_functions();
  enums_are_as_wide_as_int();
  printf("version %s\n", TCKMS_VERSION);
  return checks_passed();
}
