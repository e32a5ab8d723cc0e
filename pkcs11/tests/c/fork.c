/* Forks as in nginx, p11-kit and pkcs11-provider, and forks while other threads sign. */
#include "module.h"

#include <signal.h>

static void sign_and_verify(CK_SESSION_HANDLE session, CK_BYTE seed) {
  CK_BYTE data[32], signature[64];
  CK_ULONG len = sizeof signature;
  CK_MECHANISM ecdsa = plain(CKM_ECDSA);
  memset(data, seed, sizeof data);
  CHECK_OK(p11->C_SignInit(session, &ecdsa, find(session, CKO_PRIVATE_KEY, "ec")));
  CHECK_OK(p11->C_Sign(session, data, sizeof data, signature, &len));
  CHECK_OK(p11->C_VerifyInit(session, &ecdsa, find(session, CKO_PUBLIC_KEY, "ec")));
  CHECK_OK(p11->C_Verify(session, data, sizeof data, signature, len));
}

static void run_in_child(void (*work)(CK_SESSION_HANDLE), CK_SESSION_HANDLE session) {
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(60);
    work(session);
    _exit(0);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
}

/* nginx and HAProxy: the master finds the key, each worker calls C_Initialize. */
static void initialise(CK_SESSION_HANDLE of_parent) {
  CK_SESSION_HANDLE session;
  CK_BYTE byte = 0;
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_INT(p11->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
  CHECK_INT(p11->C_GenerateRandom(of_parent, &byte, 1), CKR_SESSION_HANDLE_INVALID);
  session = open_session();
  CHECK_OK(p11->C_Login(session, CKU_USER, NULL, 0));
  for (CK_BYTE i = 0; i < 10; i++) {
    sign_and_verify(session, i);
  }
  CHECK_OK(p11->C_Finalize(NULL));
}

/* The child continues with the session of its parent. */
static void continue_session(CK_SESSION_HANDLE session) {
  CK_SESSION_INFO info;
  sign_and_verify(session, 3);
  CHECK_OK(p11->C_GetSessionInfo(session, &info));
  CHECK_INT(info.state, CKS_RW_USER_FUNCTIONS);
  CHECK_OK(p11->C_CloseSession(session));
  session = open_session();
  sign_and_verify(session, 4);
}

/* pkcs11-provider: C_Finalize, then C_Initialize; C_GetInfo must return the same bytes. */
static CK_INFO parents_info;

static void finalise_and_initialise(CK_SESSION_HANDLE session) {
  CK_INFO info;
  memset(&info, 0, sizeof info);
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_INT(p11->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_OK(p11->C_GetInfo(&info));
  CHECK(memcmp(&info, &parents_info, sizeof info) == 0);
  session = open_session();
  sign_and_verify(session, 5);
}

/* The same in a worker that may no longer read the configuration: it keeps what its parent read, as with C_Initialize alone. */
static void without_configuration(CK_SESSION_HANDLE session) {
  CHECK_INT(unsetenv("TCKMS_PKCS11_KEYS"), 0);
  CHECK_INT(unsetenv("TENCENTCLOUD_SECRET_KEY"), 0);
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_INT(p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_INT(p11->C_CloseSession(session), CKR_SESSION_HANDLE_INVALID);
  sign_and_verify(open_session(), 11);
  /* What it began itself, it ends, and reads the configuration again. */
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_OK(p11->C_Initialize(NULL));
  CK_OBJECT_HANDLE found;
  CK_ULONG count = 0;
  session = open_session();
  CHECK_OK(p11->C_FindObjectsInit(session, NULL, 0));
  CHECK_OK(p11->C_FindObjects(session, &found, 1, &count));
  CHECK_INT(count, 0);
  CHECK_OK(p11->C_Finalize(NULL));
}

/* Another argument is another configuration, which the parent did not read. */
static void with_another_argument(CK_SESSION_HANDLE session) {
  CK_C_INITIALIZE_ARGS none = {0};
  CK_ULONG count = 0;
  (void)session;
  none.pReserved = (void *)"region=ap-shanghai";
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_OK(p11->C_Initialize(&none));
  CK_SLOT_INFO slot;
  CHECK_OK(p11->C_GetSlotList(CK_TRUE, NULL, &count));
  CHECK_INT(count, 1);
  CHECK_OK(p11->C_GetSlotInfo(0, &slot));
  CHECK(memcmp(slot.slotDescription, "Tencent Cloud KMS, ap-shanghai", 30) == 0);
}

static void grandchildren(CK_SESSION_HANDLE session) {
  sign_and_verify(session, 6);
  run_in_child(continue_session, session);
  run_in_child(initialise, session);
  run_in_child(without_configuration, session);
  sign_and_verify(session, 7);
}

static void finalise(CK_SESSION_HANDLE session) {
  (void)session;
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_INT(p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static void finish_operation(CK_SESSION_HANDLE session) {
  CK_BYTE signature[64];
  CK_ULONG len = sizeof signature;
  CHECK_OK(p11->C_SignFinal(session, signature, &len));
}

static volatile int stop = 0;

static void *keep_signing(void *nothing) {
  CK_SESSION_HANDLE session = open_session();
  while (!stop) {
    sign_and_verify(session, 8);
  }
  CHECK_OK(p11->C_CloseSession(session));
  return nothing;
}

int main(void) {
  pthread_t threads[4];
  CK_SESSION_HANDLE session;
  open_module();
  memset(&parents_info, 0, sizeof parents_info);
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_OK(p11->C_GetInfo(&parents_info));
  /* Before the first request. */
  session = open_session();
  CHECK_OK(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
  run_in_child(continue_session, session);
  sign_and_verify(session, 1);

  run_in_child(initialise, session);
  run_in_child(initialise, session);
  run_in_child(continue_session, session);
  run_in_child(finalise_and_initialise, session);
  run_in_child(without_configuration, session);
  run_in_child(with_another_argument, session);
  run_in_child(finalise, session);
  run_in_child(grandchildren, session);
  sign_and_verify(session, 2);

  /* An active operation continues in both processes. */
  CK_MECHANISM ecdsa = plain(CKM_ECDSA_SHA256);
  CHECK_OK(p11->C_SignInit(session, &ecdsa, find(session, CKO_PRIVATE_KEY, "ec")));
  CHECK_OK(p11->C_SignUpdate(session, (CK_BYTE *)"abc", 3));
  run_in_child(finish_operation, session);
  finish_operation(session);

  /* Forks while other threads are in calls. The allocator of gcc 12's address sanitizer is not made for that: a child whose parent's
   * thread was allocating waits forever for its lock. */
#ifndef __SANITIZE_ADDRESS__
  for (int i = 0; i < 4; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, keep_signing, NULL), 0);
  }
  for (int i = 0; i < 20; i++) {
    run_in_child(initialise, session);
  }
  stop = 1;
  for (int i = 0; i < 4; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
#else
  (void)threads, (void)keep_signing;
#endif
  sign_and_verify(session, 9);
  CHECK_OK(p11->C_Finalize(NULL));
  /* The child of a process that called C_Finalize initialises the module itself. */
  run_in_child(initialise, session);
  return checks_passed();
}
