/*
 * The calls of programs as they were recorded on Debian 12 with a spy between the program and another module, one function for
 * each program. What a program needs to be told is checked, so that a change that would break it fails here, also on a machine that
 * does not have the program.
 */
#include "module.h"

static const CK_BYTE sha256_prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};

static CK_RV ignore(CK_SESSION_HANDLE session, CK_NOTIFICATION event, void *application) {
  (void)session, (void)event, (void)application;
  return CKR_OK;
}

static void start(CK_FLAGS flags) {
  CK_C_INITIALIZE_ARGS arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = flags;
  CHECK_OK(p11_old->C_Initialize(&arguments));
}

static void end(void) {
  CHECK_OK(p11_old->C_Finalize(NULL));
}

/* The slots, twice over: once for their number. libp11 refuses a token without a user PIN. */
static CK_SLOT_ID look_at_slots(void) {
  CK_SLOT_ID slots[8];
  CK_ULONG count = 0;
  CHECK_OK(p11_old->C_GetSlotList(CK_FALSE, NULL, &count));
  CHECK_OK(p11_old->C_GetSlotList(CK_FALSE, slots, &count));
  CHECK_INT(count, 1);
  for (CK_ULONG i = 0; i < count; i++) {
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;
    CHECK_OK(p11_old->C_GetSlotInfo(slots[i], &slot));
    CHECK(slot.flags & CKF_TOKEN_PRESENT);
    CHECK_OK(p11_old->C_GetTokenInfo(slots[i], &token));
    CHECK((token.flags & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED)) == (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED));
    CHECK(!(token.flags & (CKF_LOGIN_REQUIRED | CKF_WRITE_PROTECTED)));
  }
  return slots[0];
}

static CK_ULONG find_class(CK_SESSION_HANDLE session, CK_OBJECT_CLASS kind, CK_OBJECT_HANDLE *found, CK_ULONG room) {
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE wanted[] = {{CKA_TOKEN, &yes, sizeof yes}, {CKA_CLASS, &kind, sizeof kind}};
  CK_ULONG all = 0, count = 0;
  CHECK_OK(p11_old->C_FindObjectsInit(session, wanted, 2));
  do {
    CHECK_OK(p11_old->C_FindObjects(session, found + all, 1, &count));
    all += count;
  } while (count > 0 && all < room);
  CHECK_OK(p11_old->C_FindObjectsFinal(session));
  return all;
}

/* A value whose size is asked for first, as most programs do. Returns its length, or -1 if there is none. */
static long value_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_BYTE *room, CK_ULONG size) {
  CK_ATTRIBUTE asked = {type, NULL, 0};
  CK_RV outcome = p11_old->C_GetAttributeValue(session, object, &asked, 1);
  if (outcome == CKR_ATTRIBUTE_TYPE_INVALID || outcome == CKR_ATTRIBUTE_SENSITIVE) {
    CHECK_INT(asked.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    return -1;
  }
  CHECK_OK(outcome);
  CHECK(asked.ulValueLen <= size);
  asked.pValue = room;
  CHECK_OK(p11_old->C_GetAttributeValue(session, object, &asked, 1));
  return (long)asked.ulValueLen;
}

static int is_rsa(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  CK_KEY_TYPE kind = 0;
  CK_ATTRIBUTE asked = {CKA_KEY_TYPE, &kind, sizeof kind};
  CHECK_OK(p11_old->C_GetAttributeValue(session, object, &asked, 1));
  return kind == CKK_RSA;
}

static void read_public_half(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  CK_BYTE room[600];
  if (is_rsa(session, object)) {
    CHECK_INT(value_of(session, object, CKA_MODULUS, room, sizeof room), 256);
    CHECK(value_of(session, object, CKA_PUBLIC_EXPONENT, room, sizeof room) == 3);
  } else {
    CHECK(value_of(session, object, CKA_EC_PARAMS, room, sizeof room) == 10);
    CHECK(value_of(session, object, CKA_EC_POINT, room, sizeof room) == 67);
  }
}

/* Signs in one call, or in parts, and verifies with the public key. */
static void sign(CK_SESSION_HANDLE session, const char *label, CK_MECHANISM mechanism, const CK_BYTE *data, CK_ULONG len, int parts) {
  CK_BYTE signature[512];
  CK_ULONG signature_len = sizeof signature;
  CHECK_OK(p11_old->C_SignInit(session, &mechanism, find(session, CKO_PRIVATE_KEY, label)));
  if (parts) {
    CHECK_OK(p11_old->C_SignUpdate(session, (CK_BYTE *)data, len / 2));
    CHECK_OK(p11_old->C_SignUpdate(session, (CK_BYTE *)data + len / 2, len - len / 2));
    CHECK_OK(p11_old->C_SignFinal(session, signature, &signature_len));
  } else {
    CHECK_OK(p11_old->C_Sign(session, (CK_BYTE *)data, len, signature, &signature_len));
  }
  CHECK_OK(p11_old->C_VerifyInit(session, &mechanism, find(session, CKO_PUBLIC_KEY, label)));
  CHECK_OK(p11_old->C_Verify(session, (CK_BYTE *)data, len, signature, signature_len));
}

static CK_MECHANISM with_pss(CK_MECHANISM_TYPE kind) {
  CK_MECHANISM mechanism = {kind, &pss, sizeof pss};
  return mechanism;
}

static CK_BYTE digest_info[83], digest[64];

/* libp11 of Debian 12, as s_server uses it. */
static CK_SESSION_HANDLE load_by_engine(void) {
  CK_INFO info;
  CK_OBJECT_HANDLE found[16];
  CK_SESSION_HANDLE session;
  CK_BYTE room[600];
  CHECK_OK(p11_old->C_GetInfo(&info));
  CHECK_OK(p11_old->C_OpenSession(look_at_slots(), CKF_SERIAL_SESSION, NULL, NULL, &session));
  CHECK_INT(find_class(session, CKO_CERTIFICATE, found, 16), 0);
  CHECK_OK(p11_old->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
  CK_ULONG count = find_class(session, CKO_PRIVATE_KEY, found, 16);
  CHECK_INT(count, 3);
  for (CK_ULONG i = 0; i < count; i++) {
    CHECK(value_of(session, found[i], CKA_LABEL, room, sizeof room) > 0);
    /* libp11 has room for 100 bytes. */
    long len = value_of(session, found[i], CKA_ID, room, sizeof room);
    CHECK(len > 0 && len <= 100);
    CHECK_INT(value_of(session, found[i], CKA_ALWAYS_AUTHENTICATE, room, sizeof room), 1);
    CHECK(room[0] == CK_FALSE);
    read_public_half(session, found[i]);
    /* The public key by the private key's id. */
    CK_OBJECT_CLASS kind = CKO_PUBLIC_KEY;
    CK_OBJECT_HANDLE half;
    CK_ULONG halves = 0;
    len = value_of(session, found[i], CKA_ID, room, sizeof room);
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &kind, sizeof kind}, {CKA_ID, room, (CK_ULONG)len}};
    CHECK_OK(p11_old->C_FindObjectsInit(session, wanted, 2));
    CHECK_OK(p11_old->C_FindObjects(session, &half, 1, &halves));
    CHECK_OK(p11_old->C_FindObjectsFinal(session));
    CHECK_INT(halves, 1);
    read_public_half(session, half);
  }
  return session;
}

static void openssl_engine(void) {
  start(CKF_OS_LOCKING_OK);
  CK_SESSION_HANDLE session = load_by_engine();
  sign(session, "rsa", with_pss(CKM_RSA_PKCS_PSS), digest, 32, 0);
  sign(session, "rsa", plain(CKM_RSA_PKCS), digest_info, 51, 0);
  sign(session, "ec", plain(CKM_ECDSA), digest, 32, 0);
  end();
}

/* The master loads the key and forks; a worker initialises with NULL and searches again. */
static void nginx(void) {
  int status = 0;
  start(CKF_OS_LOCKING_OK);
  (void)load_by_engine();
  fflush(stdout);
  pid_t worker = fork();
  CHECK(worker >= 0);
  if (worker == 0) {
    CK_SESSION_HANDLE session;
    alarm(60);
    CHECK_OK(p11_old->C_Initialize(NULL));
    CHECK_OK(p11_old->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
    CHECK_OK(p11_old->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
    sign(session, "ec", plain(CKM_ECDSA), digest, 32, 0);
    _exit(0);
  }
  CHECK_INT(waitpid(worker, &status, 0), worker);
  CHECK_INT(status, 0);
  end();
}

/* SunPKCS11: every mechanism it knows, a session that may write, and keys by class. */
static void java(void) {
  CK_MECHANISM_TYPE kinds[64];
  CK_MECHANISM_INFO info;
  CK_OBJECT_HANDLE found[16];
  CK_SESSION_HANDLE session;
  CK_ULONG count = 64;
  start(CKF_OS_LOCKING_OK);
  CK_SLOT_ID slot = look_at_slots();
  CHECK_OK(p11_old->C_GetMechanismList(slot, kinds, &count));
  for (CK_ULONG i = 0; i < count; i++) {
    CHECK_OK(p11_old->C_GetMechanismInfo(slot, kinds[i], &info));
    CHECK(info.ulMinKeySize <= info.ulMaxKeySize);
  }
  CHECK_OK(p11_old->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
  CHECK_OK(p11_old->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"x", 1));
  CHECK_INT(find_class(session, CKO_PRIVATE_KEY, found, 16), 3);
  for (int i = 0; i < 3; i++) {
    CK_BBOOL sensitive = 2, extractable = 2;
    CK_ATTRIBUTE asked[] = {{CKA_SENSITIVE, &sensitive, 1}, {CKA_EXTRACTABLE, &extractable, 1}};
    CHECK_OK(p11_old->C_GetAttributeValue(session, found[i], asked, 2));
    CHECK(sensitive == CK_TRUE && extractable == CK_FALSE);
    read_public_half(session, found[i]);
  }
  CHECK_INT(find_class(session, CKO_CERTIFICATE, found, 16), 0);
  CHECK_INT(find_class(session, CKO_SECRET_KEY, found, 16), 0);
  sign(session, "rsa", plain(CKM_SHA256_RSA_PKCS), digest, sizeof digest, 1);
  sign(session, "ec", plain(CKM_ECDSA_SHA256), digest, sizeof digest, 1);
  sign(session, "ec", plain(CKM_ECDSA), digest, 32, 0);
  end();
}

/* pkcs11-provider 1.2.0: the interface first, callbacks for a session, and calls that it can do without. */
static void provider(void) {
  CK_INTERFACE *interface = NULL;
  CK_VERSION version = {3, 0};
  CK_SESSION_HANDLE session;
  CK_BYTE room[512];
  CK_ULONG len = sizeof room;
  int application = 0;
  CHECK_OK(p11->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", NULL, &interface, CKF_INTERFACE_FORK_SAFE));
  CHECK_OK(p11->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0));
  start(CKF_OS_LOCKING_OK);
  CK_SLOT_ID slot = look_at_slots();
  CHECK_OK(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, &application, ignore, &session));
  CHECK_OK(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
  CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa"), copy = 0;
  /* An empty list would forbid everything. */
  CHECK(value_of(session, key, CKA_ALLOWED_MECHANISMS, room, sizeof room) >= (long)sizeof(CK_MECHANISM_TYPE));
  CHECK(value_of(session, key, CKA_PUBLIC_KEY_INFO, room, sizeof room) > 0);
  CHECK_INT(p11->C_CopyObject(session, key, NULL, 0, &copy), CKR_FUNCTION_NOT_SUPPORTED);
  CHECK_INT(p11->C_GetOperationState(session, NULL, &len), CKR_FUNCTION_NOT_SUPPORTED);
  CHECK_OK(p11->C_GenerateRandom(session, room, 32));
  sign(session, "rsa", with_pss(CKM_SHA256_RSA_PKCS_PSS), digest, sizeof digest, 1);
  sign(session, "rsa", plain(CKM_SHA256_RSA_PKCS), digest, sizeof digest, 1);
  sign(session, "ec", plain(CKM_ECDSA), digest, 32, 0);
  end();
}

/* gnutls-serv signs once when it loads the key; p11tool opens many sessions and logs in again and again. */
static void gnutls(void) {
  CK_SESSION_HANDLE sessions[12];
  /* The flags of p11-kit. */
  start(CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS);
  CK_SLOT_ID slot = look_at_slots();
  for (int i = 0; i < 12; i++) {
    CHECK_OK(p11_old->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &sessions[i]));
    CK_RV outcome = p11_old->C_Login(sessions[i], CKU_USER, (CK_UTF8CHAR *)"1", 1);
    CHECK_INT(outcome, i == 0 ? CKR_OK : CKR_USER_ALREADY_LOGGED_IN);
  }
  static const CK_ATTRIBUTE_TYPE asked[] = {
      CKA_CLASS, CKA_TOKEN, CKA_PRIVATE, CKA_LABEL, CKA_ID, CKA_KEY_TYPE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE,
      CKA_ALWAYS_SENSITIVE, CKA_SIGN, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_VERIFY_RECOVER, CKA_SIGN_RECOVER,
      CKA_ALWAYS_AUTHENTICATE, CKA_MODIFIABLE, CKA_TRUSTED, CKA_CERTIFICATE_CATEGORY, CKA_SUBJECT, CKA_START_DATE, CKA_END_DATE};
  CK_OBJECT_HANDLE found[16];
  CHECK_INT(find_class(sessions[3], CKO_PRIVATE_KEY, found, 16), 3);
  for (int i = 0; i < 3; i++) {
    for (size_t j = 0; j < sizeof asked / sizeof *asked; j++) {
      CK_BYTE room[600];
      (void)value_of(sessions[3], found[i], asked[j], room, sizeof room);
    }
  }
  sign(sessions[11], "rsa", plain(CKM_RSA_PKCS), digest_info, 51, 0);
  sign(sessions[0], "rsa", with_pss(CKM_RSA_PKCS_PSS), digest, 32, 0);
  sign(sessions[5], "ec", plain(CKM_ECDSA), digest, 32, 0);
  for (int i = 0; i < 12; i++) {
    CHECK_OK(p11_old->C_CloseSession(sessions[i]));
  }
  end();
}

/* ssh-keygen -D reads public keys without a login. The agent signs with SHA-512 under RSA, and must get an error, not a signature. */
static void ssh(void) {
  CK_OBJECT_HANDLE found[16];
  CK_SESSION_HANDLE session;
  CK_BYTE signature[256];
  CK_ULONG len = sizeof signature;
  CK_MECHANISM rsa = plain(CKM_RSA_PKCS);
  CHECK_OK(p11_old->C_Initialize(NULL));
  CHECK_OK(p11_old->C_OpenSession(look_at_slots(), CKF_RW_SESSION | CKF_SERIAL_SESSION, NULL, NULL, &session));
  CK_ULONG count = find_class(session, CKO_PUBLIC_KEY, found, 16);
  CHECK_INT(count, 3);
  for (CK_ULONG i = 0; i < count; i++) {
    read_public_half(session, found[i]);
  }
  CHECK_INT(find_class(session, CKO_CERTIFICATE, found, 16), 0);
  CHECK_OK(p11_old->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"", 0));
  static const CK_BYTE sha512_prefix[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                          0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};
  CK_BYTE info[83] = {0};
  memcpy(info, sha512_prefix, sizeof sha512_prefix);
  CHECK_OK(p11_old->C_SignInit(session, &rsa, find(session, CKO_PRIVATE_KEY, "rsa")));
  CHECK_INT(p11_old->C_Sign(session, info, sizeof info, signature, &len), CKR_DATA_INVALID);
  sign(session, "ec", plain(CKM_ECDSA), digest, 32, 0);
  end();
}

int main(void) {
  memcpy(digest_info, sha256_prefix, sizeof sha256_prefix);
  for (size_t i = 0; i < sizeof digest; i++) {
    digest[i] = (CK_BYTE)(i * 37 + 1);
    if (i < 32) {
      digest_info[sizeof sha256_prefix + i] = digest[i];
    }
  }
  open_module();
  openssl_engine();
  nginx();
  java();
  provider();
  gnutls();
  ssh();
  return checks_passed();
}
