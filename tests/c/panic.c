/* A panic inside the library becomes a status. Only a library built for the tests has the function that panics. */
#include "check.h"

#include <pthread.h>

#include "fixture.h"

TCKMS_WARN_UNUSED
tckms_status tckms_test_panic(void);

static void a_panic_is_an_internal_error_with_its_text(void) {
  CHECK_STATUS(tckms_test_panic(), TCKMS_ERR_INTERNAL);
  CHECK_INT(tckms_status_category(TCKMS_ERR_INTERNAL), TCKMS_CATEGORY_LIBRARY);
  CHECK_HAS(tckms_error_message(tckms_last_error()), "tckms_test_panic was called");
  CHECK_INT(tckms_error_retryable(tckms_last_error()), 0);
}

static void *panic(void *unused) {
  a_panic_is_an_internal_error_with_its_text();
  return unused;
}

static void every_thread_and_every_call_behaves_the_same(void) {
  pthread_t thread;
  int i;
  for (i = 0; i < 100; i++) {
    a_panic_is_an_internal_error_with_its_text();
  }
  CHECK_INT(pthread_create(&thread, NULL, panic, NULL), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
}

static void the_library_works_afterwards(void) {
  tckms_client *client = emulator_client();
  tckms_buffer blob;
  tckms_buffer plaintext;
  CHECK_OK(tckms_encrypt(client, MAIN_KEY, "secret", 6, NULL, &blob));
  CHECK_STATUS(tckms_test_panic(), TCKMS_ERR_INTERNAL);
  CHECK_OK(tckms_decrypt(client, MAIN_KEY, blob.data, blob.len, NULL, &plaintext));
  CHECK_BYTES(plaintext, "secret", 6);
  tckms_buffer_free(&plaintext);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
}

int main(void) {
  a_panic_is_an_internal_error_with_its_text();
  every_thread_and_every_call_behaves_the_same();
  the_library_works_afterwards();
  return checks_passed();
}
