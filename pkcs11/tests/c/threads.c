/* Many threads, each with its own session. The variables THREADS and SIGNATURES set the numbers. */
#include "module.h"

static int signatures = 50;
static CK_OBJECT_HANDLE key, public_key;

static void *work(void *number) {
  CK_SESSION_HANDLE session = open_session();
  CK_MECHANISM ecdsa = plain(CKM_ECDSA), sha256 = plain(CKM_ECDSA_SHA256);
  for (int i = 0; i < signatures; i++) {
    CK_MECHANISM *mechanism = i % 2 ? &ecdsa : &sha256;
    CK_BYTE data[32], signature[64];
    CK_ULONG len = sizeof signature;
    memset(data, i + (int)(size_t)number, sizeof data);
    CHECK_OK(p11->C_SignInit(session, mechanism, key));
    if (i % 2) {
      CHECK_OK(p11->C_Sign(session, data, sizeof data, signature, &len));
    } else {
      CHECK_OK(p11->C_SignUpdate(session, data, sizeof data));
      CHECK_OK(p11->C_SignFinal(session, signature, &len));
    }
    CHECK_OK(p11->C_VerifyInit(session, mechanism, public_key));
    CHECK_OK(p11->C_Verify(session, data, sizeof data, signature, len));
    if (i % 16 == 0) {
      CHECK_INT(find(session, CKO_PRIVATE_KEY, "ec"), key);
      CHECK_OK(p11->C_CloseSession(session));
      session = open_session();
    }
  }
  CHECK_OK(p11->C_CloseSession(session));
  return NULL;
}

/* All threads use one session at once. It must neither crash nor hang; results may be errors. */
static CK_SESSION_HANDLE shared;

static void *share(void *number) {
  CK_MECHANISM ecdsa = plain(CKM_ECDSA);
  CK_BYTE data[32] = {0}, signature[64];
  for (int i = 0; i < signatures; i++) {
    CK_ULONG len = sizeof signature;
    CK_RV outcome = p11->C_SignInit(shared, &ecdsa, key);
    CHECK(outcome == CKR_OK || outcome == CKR_OPERATION_ACTIVE);
    outcome = p11->C_Sign(shared, data, sizeof data, signature, &len);
    CHECK(outcome == CKR_OK || outcome == CKR_OPERATION_NOT_INITIALIZED);
  }
  return number;
}

static void *look(void *number) {
  CK_SESSION_HANDLE session = open_session();
  CHECK(find(session, CKO_PRIVATE_KEY, "ec") != 0);
  return number;
}

static void run(void *(*what)(void *), int count) {
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  for (int i = 0; i < count; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, what, (void *)(size_t)i), 0);
  }
  for (int i = 0; i < count; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
  free(threads);
}

int main(void) {
  int threads = getenv("TEST_THREADS") ? atoi(getenv("TEST_THREADS")) : 8;
  if (getenv("TEST_SIGNATURES")) {
    signatures = atoi(getenv("TEST_SIGNATURES"));
  }
  open_module();
  CHECK_OK(p11->C_Initialize(NULL));
  /* All threads do the first search at once. */
  run(look, threads);
  shared = open_session();
  key = find(shared, CKO_PRIVATE_KEY, "ec");
  public_key = find(shared, CKO_PUBLIC_KEY, "ec");
  run(work, threads);
  run(share, 4);
  CHECK_OK(p11->C_Finalize(NULL));
  return checks_passed();
}
