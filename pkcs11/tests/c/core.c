/* Every function, called correctly and incorrectly. */
#include "module.h"

typedef CK_RV any_function(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, unsigned long,
                           unsigned long, unsigned long);

enum { FUNCTIONS = (sizeof(CK_FUNCTION_LIST_3_0) - sizeof(void *)) / sizeof(void *) };

/* A function of the table, by its index. All arguments of all functions are words. */
static any_function *at(int index) {
  any_function *function;
  memcpy(&function, (const char *)p11 + sizeof(void *) + (size_t)index * sizeof(void *), sizeof function);
  return function;
}

static int is(int index, const void *function) {
  any_function *here = at(index);
  return memcmp(&here, &function, sizeof function) == 0;
}

/* Functions that work before C_Initialize, or undo it. */
static int is_special(int index) {
  return is(index, *(void **)&p11->C_Initialize) || is(index, *(void **)&p11->C_Finalize) ||
         is(index, *(void **)&p11->C_GetFunctionList) || is(index, *(void **)&p11->C_GetInterface) ||
         is(index, *(void **)&p11->C_GetInterfaceList);
}

static void both_tables_have_the_same_functions(void) {
  CHECK_INT(FUNCTIONS, 92);
  CHECK(memcmp((const char *)p11 + sizeof(void *), (const char *)p11_old + sizeof(void *),
               sizeof(CK_FUNCTION_LIST) - sizeof(void *)) == 0);
  for (int i = 0; i < FUNCTIONS; i++) {
    CHECK(at(i) != NULL);
  }
}

static void interfaces_are_chosen_by_name_version_and_flags(void) {
  CK_INTERFACE *interface = NULL, list[2];
  CK_ULONG count = 0;
  CK_VERSION version = {3, 0};
  CHECK_OK(p11->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0));
  CHECK(interface->pFunctionList == p11);
  CHECK(interface->flags & CKF_INTERFACE_FORK_SAFE);
  version.major = 2;
  version.minor = 40;
  CHECK_OK(p11->C_GetInterface(NULL, &version, &interface, CKF_INTERFACE_FORK_SAFE));
  CHECK(interface->pFunctionList == p11_old);
  version.minor = 11;
  CHECK_INT(p11->C_GetInterface(NULL, &version, &interface, 0), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_GetInterface((CK_UTF8CHAR *)"Vendor X", NULL, &interface, 0), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_GetInterface(NULL, NULL, &interface, 0x100), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_GetInterface(NULL, NULL, NULL, 0), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_GetInterfaceList(NULL, NULL), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_GetInterfaceList(NULL, &count));
  CHECK_INT(count, 2);
  count = 1;
  CHECK_INT(p11->C_GetInterfaceList(list, &count), CKR_BUFFER_TOO_SMALL);
  CHECK_INT(count, 2);
  CHECK_OK(p11->C_GetInterfaceList(list, &count));
  CHECK(list[0].pFunctionList == p11 && list[1].pFunctionList == p11_old);
  CHECK_INT(p11->C_GetFunctionList(NULL), CKR_ARGUMENTS_BAD);
}

static void nothing_works_without_initialisation(void) {
  static char room[4096];
  for (int i = 0; i < FUNCTIONS; i++) {
    if (is_special(i)) {
      continue;
    }
    CHECK_INT(at(i)(0, 0, 0, 0, 0, 0, 0, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK_INT(at(i)(1, (unsigned long)room, 1, (unsigned long)room, (unsigned long)room, 1, 1, 1),
              CKR_CRYPTOKI_NOT_INITIALIZED);
  }
  CHECK_INT(p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static void nulls_and_stale_handles_are_refused(void) {
  static CK_ULONG room[512];
  unsigned long place = (unsigned long)room;
  CHECK_INT(p11->C_GetInfo(NULL), CKR_ARGUMENTS_BAD);
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "ec");
  CK_SESSION_HANDLE sessions[] = {0, session, 0xdeadbeef, ~0UL};
  for (int i = 0; i < FUNCTIONS; i++) {
    /* The first argument is a pointer. */
    if (is_special(i) || is(i, *(void **)&p11->C_GetInfo)) {
      continue;
    }
    for (size_t j = 0; j < sizeof sessions / sizeof *sessions; j++) {
      /* Arguments after the first: NULL and 0, then NULL with another length, or with a valid output. */
      (void)at(i)(sessions[j], 0, 0, 0, 0, 0, 0, 0);
      CK_SESSION_HANDLE again = open_session();
      (void)at(i)(j == 1 ? again : sessions[j], 0, place, 0, place, 0, place, 0);
      (void)p11->C_CloseSession(again);
    }
    /* Some of the calls closed sessions or logged out. The module must still work. */
    session = open_session();
    CHECK_INT(find(session, CKO_PRIVATE_KEY, "ec"), key);
  }
  CHECK_OK(p11->C_CloseAllSessions(0));
  CHECK_INT(p11->C_CloseSession(session), CKR_SESSION_HANDLE_INVALID);
  CK_MECHANISM ecdsa = plain(CKM_ECDSA);
  CHECK_INT(p11->C_SignInit(session, &ecdsa, key), CKR_SESSION_HANDLE_INVALID);
  CK_BYTE byte = 0;
  CK_ULONG len = 1;
  CHECK_INT(p11->C_Sign(session, &byte, 1, &byte, &len), CKR_SESSION_HANDLE_INVALID);
  session = open_session();
  CHECK_INT(p11->C_SignInit(session, &ecdsa, 0), CKR_KEY_HANDLE_INVALID);
  CHECK_INT(p11->C_SignInit(session, &ecdsa, 9999), CKR_KEY_HANDLE_INVALID);
  CHECK_INT(p11->C_SignInit(session, &ecdsa, ~0UL), CKR_KEY_HANDLE_INVALID);
  CHECK_OK(p11->C_CloseSession(session));
}

static CK_RV no_mutex(void **mutex) {
  (void)mutex;
  return CKR_GENERAL_ERROR;
}

static CK_RV no_lock(void *mutex) {
  (void)mutex;
  return CKR_GENERAL_ERROR;
}

static void arguments_of_initialisation(void) {
  CK_C_INITIALIZE_ARGS none = {0};
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_INT(p11->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
  CHECK_INT(p11->C_Initialize(&none), CKR_CRYPTOKI_ALREADY_INITIALIZED);
  CHECK_INT(p11->C_Finalize(&none), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_Finalize(NULL));
  /* All combinations of callbacks and flags. */
  for (unsigned callbacks = 0; callbacks < 16; callbacks++) {
    for (unsigned long flags = 0; flags < 4; flags++) {
      CK_C_INITIALIZE_ARGS given = {0};
      CK_RV expected = CKR_OK;
      given.CreateMutex = callbacks & 1 ? no_mutex : NULL;
      given.DestroyMutex = callbacks & 2 ? no_lock : NULL;
      given.LockMutex = callbacks & 4 ? no_lock : NULL;
      given.UnlockMutex = callbacks & 8 ? no_lock : NULL;
      given.flags = flags;
      if (callbacks != 0 && callbacks != 15) {
        expected = CKR_ARGUMENTS_BAD;
      } else if (flags == CKF_LIBRARY_CANT_CREATE_OS_THREADS) {
        expected = CKR_NEED_TO_CREATE_THREADS;
      } else if (callbacks == 15 && !(flags & CKF_OS_LOCKING_OK)) {
        expected = CKR_CANT_LOCK;
      }
      CHECK_INT(p11->C_Initialize(&given), expected);
      if (expected == CKR_OK) {
        CHECK_OK(p11->C_Finalize(NULL));
      }
      CHECK_INT(p11->C_GetInfo(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
    }
  }
  CK_C_INITIALIZE_ARGS text = {0};
  text.pReserved = (void *)"";
  CHECK_OK(p11->C_Initialize(&text));
  CHECK_OK(p11->C_Finalize(NULL));
  text.pReserved = (void *)1;
  CHECK_INT(p11->C_Initialize(&text), CKR_ARGUMENTS_BAD);
  text.pReserved = (void *)"colour=red";
  CHECK_INT(p11->C_Initialize(&text), CKR_GENERAL_ERROR);
  text.pReserved = (void *)"\xff\xfe";
  CHECK_INT(p11->C_Initialize(&text), CKR_ARGUMENTS_BAD);
  text.pReserved = (void *)"/nonexistent/pkcs11.conf";
  CHECK_INT(p11->C_Initialize(&text), CKR_GENERAL_ERROR);
}

static int has_text(const CK_UTF8CHAR *field, size_t len, const char *text) {
  size_t i = strlen(text);
  if (memcmp(field, text, i) != 0) {
    return 0;
  }
  for (; i < len; i++) {
    if (field[i] != ' ') {
      return 0;
    }
  }
  return 1;
}

static void slots_tokens_and_mechanisms(void) {
  CK_INFO info, again;
  CK_SLOT_ID slots[4] = {9, 9, 9, 9};
  CK_SLOT_INFO slot;
  CK_TOKEN_INFO token;
  CK_ULONG count = 0;
  memset(&info, 1, sizeof info);
  memset(&again, 2, sizeof again);
  CHECK_OK(p11->C_GetInfo(&info));
  CHECK_OK(p11->C_GetInfo(&again));
  /* pkcs11-provider compares them byte by byte. */
  CHECK(info.flags == again.flags && memcmp(info.manufacturerID, again.manufacturerID, 32) == 0 &&
        memcmp(info.libraryDescription, again.libraryDescription, 32) == 0);
  CHECK_INT(info.cryptokiVersion.major, 2);
  CHECK_INT(info.cryptokiVersion.minor, 40);
  CHECK_OK(p11->C_GetSlotList(CK_TRUE, NULL, &count));
  CHECK_INT(count, 1);
  count = 0;
  CHECK_INT(p11->C_GetSlotList(CK_TRUE, slots, &count), CKR_BUFFER_TOO_SMALL);
  CHECK_INT(count, 1);
  count = 4;
  CHECK_OK(p11->C_GetSlotList(CK_FALSE, slots, &count));
  CHECK_INT(count, 1);
  CHECK_INT(slots[0], 0);
  CHECK_INT(slots[1], 9);
  CHECK_OK(p11->C_GetSlotInfo(0, &slot));
  CHECK_INT(slot.flags & CKF_TOKEN_PRESENT, CKF_TOKEN_PRESENT);
  CHECK_INT(p11->C_GetSlotInfo(1, &slot), CKR_SLOT_ID_INVALID);
  CHECK_INT(p11->C_GetSlotInfo(~0UL, &slot), CKR_SLOT_ID_INVALID);
  CHECK_OK(p11->C_GetTokenInfo(0, &token));
  CHECK(has_text(token.label, sizeof token.label, "tckms"));
  CHECK(has_text(token.model, sizeof token.model, "KMS"));
  CHECK_INT(token.flags, CKF_RNG | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED);
  CHECK_INT(token.ulMinPinLen, 0);
  CHECK_INT(token.ulMaxPinLen, 256);

  CK_MECHANISM_TYPE kinds[32];
  count = 0;
  CHECK_INT(p11->C_GetMechanismList(0, kinds, &count), CKR_BUFFER_TOO_SMALL);
  CHECK_INT(count, 14);
  CHECK_OK(p11->C_GetMechanismList(0, kinds, &count));
  for (CK_ULONG i = 0; i < count; i++) {
    CK_MECHANISM_INFO told;
    CHECK_OK(p11->C_GetMechanismInfo(0, kinds[i], &told));
    CHECK(told.flags != 0);
  }
  CK_MECHANISM_INFO told;
  CHECK_INT(p11->C_GetMechanismInfo(0, CKM_RSA_X_509, &told), CKR_MECHANISM_INVALID);
  CHECK_INT(p11->C_GetMechanismInfo(0, CKM_RSA_X_509, NULL), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_GetMechanismInfo(0, CKM_ECDSA, NULL), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_GetMechanismInfo(0, CKM_ECDSA, &told));
  CHECK_INT(told.ulMinKeySize, 256);
  CHECK_INT(told.flags & (CKF_SIGN | CKF_VERIFY), CKF_SIGN | CKF_VERIFY);
  CHECK_INT(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, slots, NULL), CKR_NO_EVENT);
  CHECK_INT(p11->C_WaitForSlotEvent(0, slots, NULL), CKR_FUNCTION_NOT_SUPPORTED);
}

static CK_RV never_called(CK_SESSION_HANDLE session, CK_NOTIFICATION event, void *application) {
  (void)session, (void)event, (void)application;
  abort();
}

static CK_STATE state_of(CK_SESSION_HANDLE session) {
  CK_SESSION_INFO info;
  CHECK_OK(p11->C_GetSessionInfo(session, &info));
  return info.state;
}

static void sessions_and_login(void) {
  CK_SESSION_HANDLE first, second;
  int application = 0;
  CHECK_INT(p11->C_OpenSession(0, 0, NULL, NULL, &first), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
  CHECK_INT(p11->C_OpenSession(5, CKF_SERIAL_SESSION, NULL, NULL, &first), CKR_SLOT_ID_INVALID);
  CHECK_OK(p11->C_OpenSession(0, CKF_SERIAL_SESSION, &application, never_called, &first));
  CHECK_OK(p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &second));
  CHECK(first != second);
  CHECK_INT(state_of(first), CKS_RO_PUBLIC_SESSION);
  CHECK_INT(state_of(second), CKS_RW_PUBLIC_SESSION);
  CHECK_INT(p11->C_Logout(first), CKR_USER_NOT_LOGGED_IN);
  CHECK_INT(p11->C_Login(first, CKU_SO, (CK_UTF8CHAR *)"1", 1), CKR_USER_TYPE_INVALID);
  CHECK_INT(p11->C_Login(first, CKU_CONTEXT_SPECIFIC, (CK_UTF8CHAR *)"1", 1), CKR_OPERATION_NOT_INITIALIZED);
  CHECK_INT(p11->C_Login(first, CKU_USER, NULL, 4), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_Login(first, CKU_USER, NULL, 0));
  CHECK_INT(p11->C_Login(second, CKU_USER, (CK_UTF8CHAR *)"1234", 4), CKR_USER_ALREADY_LOGGED_IN);
  CHECK_INT(state_of(first), CKS_RO_USER_FUNCTIONS);
  CHECK_INT(state_of(second), CKS_RW_USER_FUNCTIONS);
  CHECK_OK(p11->C_Logout(second));
  CHECK_INT(state_of(first), CKS_RO_PUBLIC_SESSION);
  CHECK_OK(p11->C_LoginUser(first, CKU_USER, (CK_UTF8CHAR *)"1234", 4, (CK_UTF8CHAR *)"me", 2));
  CHECK_OK(p11->C_CloseSession(first));
  CHECK_INT(state_of(second), CKS_RW_USER_FUNCTIONS);
  /* Closing the last session logs out. */
  CHECK_OK(p11->C_CloseSession(second));
  second = open_session();
  CHECK_INT(state_of(second), CKS_RW_PUBLIC_SESSION);
  CHECK_OK(p11->C_CloseAllSessions(0));
  CHECK_INT(p11->C_CloseSession(second), CKR_SESSION_HANDLE_INVALID);
  CHECK_INT(p11->C_GetFunctionStatus(second), CKR_FUNCTION_NOT_PARALLEL);
  CHECK_INT(p11->C_CancelFunction(second), CKR_FUNCTION_NOT_PARALLEL);
}

static CK_ULONG count_of(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG len) {
  CK_OBJECT_HANDLE found[64];
  CK_ULONG count = 0, all = 0;
  CHECK_OK(p11->C_FindObjectsInit(session, wanted, len));
  CHECK_INT(p11->C_FindObjectsInit(session, wanted, len), CKR_OPERATION_ACTIVE);
  do {
    /* One at a time, as some programs do. */
    CHECK_OK(p11->C_FindObjects(session, found, 1, &count));
    CHECK(count <= 1);
    all += count;
  } while (count > 0);
  CHECK_OK(p11->C_FindObjects(session, found, 64, &count));
  CHECK_INT(count, 0);
  CHECK_OK(p11->C_FindObjectsFinal(session));
  CHECK_INT(p11->C_FindObjectsFinal(session), CKR_OPERATION_NOT_INITIALIZED);
  CHECK_INT(p11->C_FindObjects(session, found, 64, &count), CKR_OPERATION_NOT_INITIALIZED);
  return all;
}

static void objects_are_found(void) {
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_CLASS kind = CKO_PRIVATE_KEY;
  CK_BBOOL yes = CK_TRUE;
  CK_KEY_TYPE rsa = CKK_RSA;
  CK_ATTRIBUTE wanted[] = {
      {CKA_CLASS, &kind, sizeof kind}, {CKA_SIGN, &yes, sizeof yes}, {CKA_KEY_TYPE, &rsa, sizeof rsa}};
  CHECK_INT(count_of(session, NULL, 0), 6);
  CHECK_INT(count_of(session, wanted, 1), 3);
  CHECK_INT(count_of(session, wanted, 2), 2);
  CHECK_INT(count_of(session, wanted, 3), 1);
  kind = CKO_CERTIFICATE;
  CHECK_INT(count_of(session, wanted, 1), 0);
  kind = CKO_SECRET_KEY;
  CHECK_INT(count_of(session, wanted, 1), 0);
  /* A value of another length does not match. */
  wanted[0].ulValueLen = 1;
  CHECK_INT(count_of(session, wanted, 1), 0);
  wanted[0].pValue = NULL;
  CHECK_INT(p11->C_FindObjectsInit(session, wanted, 1), CKR_ATTRIBUTE_VALUE_INVALID);
  CHECK_INT(p11->C_FindObjectsInit(session, NULL, 1), CKR_ARGUMENTS_BAD);
  CHECK_INT(p11->C_FindObjectsInit(session, wanted, ~0UL), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_CloseSession(session));
}

/* Every attribute that there is, with every buffer size from 0 to more than needed. */
static void attributes_with_every_length(void) {
  static const char *labels[] = {"ec", "rsa", "decrypt"};
  CK_SESSION_HANDLE session = open_session();
  for (size_t l = 0; l < 3; l++) {
    for (CK_OBJECT_CLASS kind = CKO_PUBLIC_KEY; kind <= CKO_PRIVATE_KEY; kind++) {
      CK_OBJECT_HANDLE object = find(session, kind, labels[l]);
      CK_ULONG size = 0;
      CHECK_OK(p11->C_GetObjectSize(session, object, &size));
      CHECK_INT(read_with_every_length(session, object), size);
      CHECK(size > 100 && size < 4096);
    }
  }
  /* An attribute that fails does not keep the others from being filled. */
  CK_BYTE exponent[512], label[8];
  CK_ATTRIBUTE mixed[] = {{CKA_PRIVATE_EXPONENT, exponent, sizeof exponent},
                          {CKA_LABEL, label, sizeof label},
                          {CKA_VENDOR_DEFINED, exponent, sizeof exponent},
                          {CKA_KEY_TYPE, NULL, 0}};
  CK_OBJECT_HANDLE rsa = find(session, CKO_PRIVATE_KEY, "rsa");
  CK_RV outcome = p11->C_GetAttributeValue(session, rsa, mixed, 4);
  CHECK(outcome == CKR_ATTRIBUTE_SENSITIVE || outcome == CKR_ATTRIBUTE_TYPE_INVALID);
  CHECK_INT(mixed[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
  CHECK_INT(mixed[1].ulValueLen, 3);
  CHECK(memcmp(label, "rsa", 3) == 0);
  CHECK_INT(mixed[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
  CHECK_INT(mixed[3].ulValueLen, sizeof(CK_KEY_TYPE));
  CHECK_INT(p11->C_GetAttributeValue(session, 9999, mixed, 1), CKR_OBJECT_HANDLE_INVALID);
  CHECK_INT(p11->C_GetAttributeValue(session, rsa, NULL, 1), CKR_ARGUMENTS_BAD);

  /* The point is an OCTET STRING (PKCS#11 2.40, 2.3.3), the curve an object identifier. */
  CK_BYTE point[100], curve[20];
  CK_ATTRIBUTE ec[] = {{CKA_EC_POINT, point, sizeof point}, {CKA_EC_PARAMS, curve, sizeof curve}};
  CHECK_OK(p11->C_GetAttributeValue(session, find(session, CKO_PUBLIC_KEY, "ec"), ec, 2));
  CHECK_INT(ec[0].ulValueLen, 67);
  CHECK(memcmp(point, "\x04\x41\x04", 3) == 0);
  CHECK(memcmp(curve, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10) == 0);
  CHECK_INT(p11->C_SetAttributeValue(session, rsa, mixed, 1), CKR_FUNCTION_NOT_SUPPORTED);
  CHECK_INT(p11->C_CopyObject(session, rsa, NULL, 0, &rsa), CKR_FUNCTION_NOT_SUPPORTED);
  CHECK_OK(p11->C_CloseSession(session));
}

static const CK_BYTE sha256_prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

static CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};

struct signing {
  const char *label;
  CK_MECHANISM_TYPE kind;
  CK_ULONG data_len;
  CK_ULONG signature_len;
};

static const struct signing signings[] = {
    {"ec", CKM_ECDSA, 32, 64},           {"ec", CKM_ECDSA, 28, 64},
    {"ec", CKM_ECDSA, 48, 64},           {"ec", CKM_ECDSA, 64, 64},
    {"ec", CKM_ECDSA, 1, 64},            {"ec", CKM_ECDSA_SHA224, 1000, 64},
    {"ec", CKM_ECDSA_SHA256, 1000, 64},  {"ec", CKM_ECDSA_SHA384, 1000, 64},
    {"ec", CKM_ECDSA_SHA512, 1000, 64},  {"ec", CKM_ECDSA_SHA256, 0, 64},
    {"rsa", CKM_RSA_PKCS, 51, 256},      {"rsa", CKM_SHA256_RSA_PKCS, 100000, 256},
    {"rsa", CKM_RSA_PKCS_PSS, 32, 256},  {"rsa", CKM_SHA256_RSA_PKCS_PSS, 1000, 256},
    {"rsa", CKM_SHA256_RSA_PKCS, 0, 256}};

static CK_MECHANISM mechanism_of(CK_MECHANISM_TYPE kind) {
  CK_MECHANISM mechanism = plain(kind);
  if (kind == CKM_RSA_PKCS_PSS || kind == CKM_SHA256_RSA_PKCS_PSS) {
    mechanism.pParameter = &pss;
    mechanism.ulParameterLen = sizeof pss;
  }
  return mechanism;
}

static void signatures_in_one_part_and_in_many(void) {
  static CK_BYTE data[100000];
  CK_SESSION_HANDLE session = open_session();
  for (size_t i = 0; i < sizeof signings / sizeof *signings; i++) {
    const struct signing *signing = &signings[i];
    CK_BYTE signature[300];
    CK_ULONG len = 0;
    CK_MECHANISM mechanism = mechanism_of(signing->kind);
    CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, signing->label);
    CK_OBJECT_HANDLE public_key = find(session, CKO_PUBLIC_KEY, signing->label);
    memset(data, (int)i + 1, sizeof data);
    if (signing->kind == CKM_RSA_PKCS) {
      memcpy(data, sha256_prefix, sizeof sha256_prefix);
    }
    /* Asking for the size, and buffers that are too small, leave the operation active. */
    CHECK_OK(p11->C_SignInit(session, &mechanism, key));
    CHECK_INT(p11->C_SignInit(session, &mechanism, key), CKR_OPERATION_ACTIVE);
    CHECK_OK(p11->C_Sign(session, data, signing->data_len, NULL, &len));
    CHECK_INT(len, signing->signature_len);
    for (CK_ULONG room = 0; room < signing->signature_len; room += 31) {
      memset(signature, 0xa5, sizeof signature);
      len = room;
      CHECK_INT(p11->C_Sign(session, data, signing->data_len, signature, &len), CKR_BUFFER_TOO_SMALL);
      CHECK_INT(len, signing->signature_len);
      CHECK(signature[0] == 0xa5);
    }
    len = sizeof signature;
    memset(signature, 0xa5, sizeof signature);
    CHECK_OK(p11->C_Sign(session, data, signing->data_len, signature, &len));
    CHECK_INT(len, signing->signature_len);
    CHECK(signature[len] == 0xa5);
    CHECK_INT(p11->C_Sign(session, data, signing->data_len, signature, &len), CKR_OPERATION_NOT_INITIALIZED);

    CHECK_OK(p11->C_VerifyInit(session, &mechanism, public_key));
    CHECK_OK(p11->C_Verify(session, data, signing->data_len, signature, len));
    CHECK_INT(p11->C_Verify(session, data, signing->data_len, signature, len), CKR_OPERATION_NOT_INITIALIZED);
    signature[20] ^= 1;
    CHECK_OK(p11->C_VerifyInit(session, &mechanism, public_key));
    CHECK_INT(p11->C_Verify(session, data, signing->data_len, signature, len), CKR_SIGNATURE_INVALID);
    CHECK_OK(p11->C_VerifyInit(session, &mechanism, public_key));
    CHECK_INT(p11->C_Verify(session, data, signing->data_len, signature, len - 1), CKR_SIGNATURE_LEN_RANGE);

    /* In parts of growing length, one of them empty. */
    CHECK_OK(p11->C_SignInit(session, &mechanism, key));
    CHECK_OK(p11->C_VerifyInit(session, &mechanism, public_key));
    CHECK_OK(p11->C_SignUpdate(session, NULL, 0));
    for (CK_ULONG done = 0, part = 1; done < signing->data_len; done += part, part *= 3) {
      part = part > signing->data_len - done ? signing->data_len - done : part;
      CHECK_OK(p11->C_SignUpdate(session, data + done, part));
      CHECK_OK(p11->C_VerifyUpdate(session, data + done, part));
    }
    len = 0;
    CHECK_OK(p11->C_SignFinal(session, NULL, &len));
    CHECK_INT(len, signing->signature_len);
    len = 1;
    CHECK_INT(p11->C_SignFinal(session, signature, &len), CKR_BUFFER_TOO_SMALL);
    len = sizeof signature;
    CHECK_OK(p11->C_SignFinal(session, signature, &len));
    CHECK_OK(p11->C_VerifyFinal(session, signature, len));
    CHECK_INT(p11->C_SignFinal(session, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
  }
  CHECK_OK(p11->C_CloseSession(session));
}

/* C_SignInit, then C_Sign. A failure ends the operation, so the next one can begin. */
static CK_RV sign_with(const char *label, CK_MECHANISM mechanism, const void *data, CK_ULONG data_len) {
  CK_SESSION_HANDLE session = open_session();
  CK_BYTE signature[300];
  CK_ULONG len = sizeof signature;
  CK_RV outcome = p11->C_SignInit(session, &mechanism, find(session, CKO_PRIVATE_KEY, label));
  if (outcome == CKR_OK) {
    outcome = p11->C_Sign(session, (CK_BYTE *)data, data_len, signature, &len);
    CHECK_INT(p11->C_SignUpdate(session, signature, 1), CKR_OPERATION_NOT_INITIALIZED);
  }
  CHECK_OK(p11->C_CloseSession(session));
  return outcome;
}

static void unsupported_mechanisms_are_refused(void) {
  CK_BYTE info[300] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03};
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS), info, 83), CKR_DATA_INVALID);
  memset(info, 7, sizeof info);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS), info, 36), CKR_DATA_INVALID);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS), info, 32), CKR_DATA_INVALID);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS), NULL, 0), CKR_DATA_INVALID);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS), info, 300), CKR_DATA_LEN_RANGE);
  CHECK_INT(sign_with("ec", plain(CKM_ECDSA), info, 20), CKR_DATA_INVALID);
  CHECK_INT(sign_with("ec", plain(CKM_ECDSA), info, 65), CKR_DATA_LEN_RANGE);
  CHECK_INT(sign_with("ec", plain(CKM_ECDSA), NULL, 0), CKR_DATA_LEN_RANGE);
  CHECK_INT(sign_with("ec", plain(CKM_ECDSA), NULL, 32), CKR_ARGUMENTS_BAD);
  CHECK_INT(sign_with("rsa", plain(CKM_SHA512_RSA_PKCS), info, 32), CKR_MECHANISM_INVALID);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_X_509), info, 256), CKR_MECHANISM_INVALID);
  CHECK_INT(sign_with("ec", plain(CKM_ECDSA_SHA1), info, 32), CKR_MECHANISM_INVALID);
  CHECK_INT(sign_with("ec", plain(CKM_SHA256), info, 32), CKR_MECHANISM_INVALID);
  CHECK_INT(sign_with("ec", plain(CKM_SHA256_RSA_PKCS), info, 32), CKR_KEY_TYPE_INCONSISTENT);
  CHECK_INT(sign_with("rsa", plain(CKM_ECDSA), info, 32), CKR_KEY_TYPE_INCONSISTENT);
  CHECK_INT(sign_with("decrypt", plain(CKM_SHA256_RSA_PKCS), info, 32), CKR_KEY_FUNCTION_NOT_PERMITTED);
  CHECK_INT(sign_with("rsa", plain(CKM_RSA_PKCS_PSS), info, 32), CKR_MECHANISM_PARAM_INVALID);

  CK_MECHANISM with_pss = mechanism_of(CKM_RSA_PKCS_PSS);
  CHECK_OK(sign_with("rsa", with_pss, info, 32));
  CHECK_INT(sign_with("rsa", with_pss, info, 31), CKR_DATA_LEN_RANGE);
  CHECK_INT(sign_with("rsa", with_pss, info, 48), CKR_DATA_LEN_RANGE);
  CK_RSA_PKCS_PSS_PARAMS wrong[] = {{CKM_SHA384, CKG_MGF1_SHA384, 48}, {CKM_SHA256, CKG_MGF1_SHA1, 32},
                                    {CKM_SHA256, CKG_MGF1_SHA256, 20}, {CKM_SHA_1, CKG_MGF1_SHA1, 20},
                                    {CKM_SHA256, CKG_MGF1_SHA256, ~0UL}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    with_pss.pParameter = &wrong[i];
    CHECK_INT(sign_with("rsa", with_pss, info, 32), CKR_MECHANISM_PARAM_INVALID);
  }
  with_pss.pParameter = &pss;
  for (CK_ULONG len = 0; len < sizeof pss; len++) {
    with_pss.ulParameterLen = len;
    CHECK_INT(sign_with("rsa", with_pss, info, 32), CKR_MECHANISM_PARAM_INVALID);
  }
  with_pss.pParameter = NULL;
  with_pss.ulParameterLen = ~0UL;
  CHECK_INT(sign_with("rsa", with_pss, info, 32), CKR_MECHANISM_PARAM_INVALID);
  CK_MECHANISM ecdsa = mechanism_of(CKM_ECDSA);
  ecdsa.pParameter = &pss;
  ecdsa.ulParameterLen = sizeof pss;
  CHECK_INT(sign_with("ec", ecdsa, info, 32), CKR_MECHANISM_PARAM_INVALID);
}

static void an_abandoned_operation_can_be_ended(void) {
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "ec");
  CK_MECHANISM ecdsa = plain(CKM_ECDSA);
  CK_BYTE data[32] = {1}, signature[64];
  CK_ULONG len = sizeof signature;
  /* PKCS#11 3.0: C_SignInit without a mechanism, or C_SessionCancel, ends an operation. */
  CHECK_OK(p11->C_SignInit(session, &ecdsa, key));
  CHECK_OK(p11->C_SignInit(session, NULL, 0));
  CHECK_INT(p11->C_Sign(session, data, 32, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
  CHECK_OK(p11->C_SignInit(session, &ecdsa, key));
  CHECK_OK(p11->C_SessionCancel(session, CKF_SIGN | CKF_DECRYPT | CKF_FIND_OBJECTS));
  CHECK_INT(p11->C_Sign(session, data, 32, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
  /* So does NULL as the pointer to the length. */
  CHECK_OK(p11->C_SignInit(session, &ecdsa, key));
  CHECK_INT(p11->C_Sign(session, data, 32, signature, NULL), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_SignInit(session, &ecdsa, key));
  CHECK_OK(p11->C_SignUpdate(session, data, 16));
  /* C_Sign does not end what C_SignUpdate began, and what fails ends. */
  CHECK_INT(p11->C_Sign(session, data, 16, signature, &len), CKR_OPERATION_ACTIVE);
  CHECK_INT(p11->C_SignFinal(session, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
  CHECK_OK(p11->C_SignInit(session, &ecdsa, key));
  CHECK_OK(p11->C_CloseSession(session));
}

static CK_RSA_PKCS_OAEP_PARAMS oaep_sha1 = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
static CK_RSA_PKCS_OAEP_PARAMS oaep_sha256 = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};

static void encryption_and_decryption(void) {
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "decrypt");
  CK_OBJECT_HANDLE public_key = find(session, CKO_PUBLIC_KEY, "decrypt");
  CK_MECHANISM mechanisms[3] = {{CKM_RSA_PKCS, NULL, 0},
                                {CKM_RSA_PKCS_OAEP, &oaep_sha1, sizeof oaep_sha1},
                                {CKM_RSA_PKCS_OAEP, &oaep_sha256, sizeof oaep_sha256}};
  CK_ULONG longest[3] = {245, 214, 190};
  for (int i = 0; i < 3; i++) {
    CK_BYTE plaintext[256], ciphertext[256], decrypted[256];
    CK_ULONG lens[] = {1, 32, longest[i]};
    memset(plaintext, 0x5a + i, sizeof plaintext);
    for (int j = 0; j < 3; j++) {
      CK_ULONG len = 0;
      CHECK_OK(p11->C_EncryptInit(session, &mechanisms[i], public_key));
      CHECK_OK(p11->C_Encrypt(session, plaintext, lens[j], NULL, &len));
      CHECK_INT(len, 256);
      len = 255;
      CHECK_INT(p11->C_Encrypt(session, plaintext, lens[j], ciphertext, &len), CKR_BUFFER_TOO_SMALL);
      CHECK_OK(p11->C_Encrypt(session, plaintext, lens[j], ciphertext, &len));
      CHECK_INT(len, 256);
      CHECK_OK(p11->C_DecryptInit(session, &mechanisms[i], key));
      len = 0;
      CHECK_OK(p11->C_Decrypt(session, ciphertext, 256, NULL, &len));
      CHECK(len >= lens[j]);
      if (lens[j] > 1) {
        len = 1;
        CHECK_INT(p11->C_Decrypt(session, ciphertext, 256, decrypted, &len), CKR_BUFFER_TOO_SMALL);
        CHECK_INT(len, lens[j]);
      }
      len = lens[j];
      CHECK_OK(p11->C_Decrypt(session, ciphertext, 256, decrypted, &len));
      CHECK_INT(len, lens[j]);
      CHECK(memcmp(decrypted, plaintext, len) == 0);
      CHECK_INT(p11->C_Decrypt(session, ciphertext, 256, decrypted, &len), CKR_OPERATION_NOT_INITIALIZED);
    }
    CK_ULONG len = sizeof ciphertext;
    CHECK_OK(p11->C_EncryptInit(session, &mechanisms[i], public_key));
    CHECK_INT(p11->C_Encrypt(session, plaintext, longest[i] + 1, ciphertext, &len), CKR_DATA_LEN_RANGE);
    /* All invalid ciphertexts have the same return value. */
    memset(ciphertext, 3, sizeof ciphertext);
    len = sizeof decrypted;
    CHECK_OK(p11->C_DecryptInit(session, &mechanisms[i], key));
    CHECK_INT(p11->C_Decrypt(session, ciphertext, 256, decrypted, &len), CKR_ENCRYPTED_DATA_INVALID);
    CHECK_OK(p11->C_DecryptInit(session, &mechanisms[i], key));
    CHECK_INT(p11->C_Decrypt(session, ciphertext, 255, decrypted, &len), CKR_ENCRYPTED_DATA_LEN_RANGE);
  }
  CK_RSA_PKCS_OAEP_PARAMS labelled = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, "x", 1};
  CK_RSA_PKCS_OAEP_PARAMS sha512 = {CKM_SHA512, CKG_MGF1_SHA512, CKZ_DATA_SPECIFIED, NULL, 0};
  CK_MECHANISM wrong[] = {{CKM_RSA_PKCS_OAEP, &labelled, sizeof labelled},
                          {CKM_RSA_PKCS_OAEP, &sha512, sizeof sha512},
                          {CKM_RSA_PKCS_OAEP, NULL, 0},
                          {CKM_RSA_PKCS_OAEP, &oaep_sha1, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK_INT(p11->C_DecryptInit(session, &wrong[i], key), CKR_MECHANISM_PARAM_INVALID);
  }
  CK_MECHANISM rsa = plain(CKM_RSA_PKCS);
  CHECK_INT(p11->C_DecryptInit(session, &rsa, find(session, CKO_PRIVATE_KEY, "rsa")), CKR_KEY_FUNCTION_NOT_PERMITTED);
  CHECK_INT(p11->C_DecryptInit(session, &rsa, find(session, CKO_PRIVATE_KEY, "ec")), CKR_KEY_TYPE_INCONSISTENT);
  CHECK_INT(p11->C_DecryptInit(session, &rsa, public_key), CKR_KEY_FUNCTION_NOT_PERMITTED);
  CHECK_OK(p11->C_CloseSession(session));
}

static void digests_and_random_numbers(void) {
  static const CK_BYTE abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  CK_MECHANISM sha256 = plain(CKM_SHA256), sha512 = plain(CKM_SHA512);
  CK_SESSION_HANDLE session = open_session();
  CK_BYTE digest[64];
  CK_ULONG len = 0;
  CHECK_OK(p11->C_DigestInit(session, &sha256));
  CHECK_INT(p11->C_DigestInit(session, &sha256), CKR_OPERATION_ACTIVE);
  CHECK_OK(p11->C_Digest(session, (CK_BYTE *)"abc", 3, NULL, &len));
  CHECK_INT(len, 32);
  len = 31;
  CHECK_INT(p11->C_Digest(session, (CK_BYTE *)"abc", 3, digest, &len), CKR_BUFFER_TOO_SMALL);
  CHECK_OK(p11->C_Digest(session, (CK_BYTE *)"abc", 3, digest, &len));
  CHECK(memcmp(digest, abc, 32) == 0);
  CHECK_OK(p11->C_DigestInit(session, &sha256));
  CHECK_OK(p11->C_DigestUpdate(session, (CK_BYTE *)"a", 1));
  CHECK_OK(p11->C_DigestUpdate(session, (CK_BYTE *)"bc", 2));
  len = sizeof digest;
  CHECK_OK(p11->C_DigestFinal(session, digest, &len));
  CHECK(len == 32 && memcmp(digest, abc, 32) == 0);
  CHECK_INT(p11->C_DigestFinal(session, digest, &len), CKR_OPERATION_NOT_INITIALIZED);
  CHECK_OK(p11->C_DigestInit(session, &sha512));
  CHECK_OK(p11->C_DigestFinal(session, NULL, &len));
  CHECK_INT(len, 64);
  sha256.mechanism = CKM_MD5;
  CHECK_OK(p11->C_SessionCancel(session, CKF_DIGEST));
  CHECK_INT(p11->C_DigestInit(session, &sha256), CKR_MECHANISM_INVALID);

  CK_BYTE random[3000], none = 0;
  memset(random, 0, sizeof random);
  CHECK_OK(p11->C_GenerateRandom(session, random, sizeof random));
  size_t zeros = 0;
  for (size_t i = 0; i < sizeof random; i++) {
    zeros += random[i] == 0;
  }
  CHECK(zeros < 60);
  CHECK_OK(p11->C_GenerateRandom(session, &none, 0));
  CHECK_INT(p11->C_GenerateRandom(session, NULL, 8), CKR_ARGUMENTS_BAD);
  CHECK_OK(p11->C_SeedRandom(session, random, 8));
  CHECK_OK(p11->C_CloseSession(session));
}

int main(void) {
  open_module();
  both_tables_have_the_same_functions();
  interfaces_are_chosen_by_name_version_and_flags();
  nothing_works_without_initialisation();
  arguments_of_initialisation();
  CHECK_OK(p11->C_Initialize(NULL));
  slots_tokens_and_mechanisms();
  sessions_and_login();
  objects_are_found();
  attributes_with_every_length();
  nulls_and_stale_handles_are_refused();
  signatures_in_one_part_and_in_many();
  unsupported_mechanisms_are_refused();
  an_abandoned_operation_can_be_ended();
  encryption_and_decryption();
  digests_and_random_numbers();
  CHECK_OK(p11->C_Finalize(NULL));
  nothing_works_without_initialisation();
  /* A second time. */
  CHECK_OK(p11->C_Initialize(NULL));
  CHECK_OK(p11->C_CloseSession(open_session()));
  CHECK_OK(p11->C_Finalize(NULL));
  CHECK_INT(dlclose(module_handle), 0);
  return checks_passed();
}
