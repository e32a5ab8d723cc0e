/*
 * Runs the steps that its arguments name, in order, and prints the result of each:
 *
 *   init      C_Initialize
 *   find      opens a session, finds all objects and prints the labels of private keys
 *   read      reads attributes of all objects 100 times
 *   size      asks for the size of a signature 10 times
 *   sign      signs a digest with the key "ec"
 *   pss       signs a digest with the key "rsa" by RSA-PSS
 *   decrypt   decrypts invalid data with the key "decrypt"
 */
#include "module.h"

static CK_SESSION_HANDLE session;

static void print(const char *step, CK_RV outcome) {
  printf("%s %#lx\n", step, outcome);
}

static CK_OBJECT_HANDLE objects[4096];
static CK_ULONG count = 0;

static CK_RV find_all(void) {
  CK_RV outcome = session ? CKR_OK : p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session);
  if (outcome == CKR_OK) {
    outcome = p11->C_FindObjectsInit(session, NULL, 0);
  }
  if (outcome == CKR_OK) {
    outcome = p11->C_FindObjects(session, objects, 4096, &count);
    (void)p11->C_FindObjectsFinal(session);
  }
  return outcome;
}

static void print_labels(void) {
  for (CK_ULONG i = 0; i < count; i++) {
    char label[300] = "";
    CK_OBJECT_CLASS kind = 0;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &kind, sizeof kind}, {CKA_LABEL, label, sizeof label - 1}};
    CHECK_OK(p11->C_GetAttributeValue(session, objects[i], wanted, 2));
    printf("%s %s\n", kind == CKO_PRIVATE_KEY ? "private" : kind == CKO_PUBLIC_KEY ? "public" : "certificate", label);
  }
}

static void read_all(void) {
  for (int round = 0; round < 100; round++) {
    for (CK_ULONG i = 0; i < count; i++) {
      CK_BYTE room[4096];
      CK_ATTRIBUTE wanted[] = {{CKA_CLASS, room, sizeof room}, {CKA_PUBLIC_KEY_INFO, room, sizeof room}};
      CHECK_OK(p11->C_GetAttributeValue(session, objects[i], wanted, 2));
    }
  }
}

static CK_OBJECT_HANDLE key_of(const char *label) {
  for (CK_ULONG i = 0; i < count; i++) {
    char found[300] = "";
    CK_OBJECT_CLASS kind = 0;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &kind, sizeof kind}, {CKA_LABEL, found, sizeof found - 1}};
    CHECK_OK(p11->C_GetAttributeValue(session, objects[i], wanted, 2));
    if (kind == CKO_PRIVATE_KEY && strcmp(found, label) == 0) {
      return objects[i];
    }
  }
  return 0;
}

static CK_RV sign(int sizes_only) {
  CK_BYTE data[32] = {1}, signature[64];
  CK_ULONG len = sizeof signature;
  CK_MECHANISM ecdsa = plain(CKM_ECDSA);
  CK_RV outcome = p11->C_SignInit(session, &ecdsa, key_of("ec"));
  if (outcome != CKR_OK) {
    return outcome;
  }
  for (int i = 0; i < 10; i++) {
    CHECK_OK(p11->C_Sign(session, data, sizeof data, NULL, &len));
    CHECK_INT(len, 64);
  }
  return sizes_only ? p11->C_SignInit(session, NULL, 0) : p11->C_Sign(session, data, sizeof data, signature, &len);
}

static CK_RV sign_by_pss(void) {
  CK_BYTE data[32] = {1}, signature[256];
  CK_ULONG len = sizeof signature;
  CK_RSA_PKCS_PSS_PARAMS parameters = {CKM_SHA256, CKG_MGF1_SHA256, 32};
  CK_MECHANISM pss = {CKM_RSA_PKCS_PSS, &parameters, sizeof parameters};
  CK_RV outcome = p11->C_SignInit(session, &pss, key_of("rsa"));
  return outcome == CKR_OK ? p11->C_Sign(session, data, sizeof data, signature, &len) : outcome;
}

static CK_RV decrypt(void) {
  CK_BYTE data[256], plaintext[256];
  CK_ULONG len = sizeof plaintext;
  CK_MECHANISM rsa = plain(CKM_RSA_PKCS);
  CK_RV outcome = p11->C_DecryptInit(session, &rsa, key_of("decrypt"));
  memset(data, 3, sizeof data);
  return outcome == CKR_OK ? p11->C_Decrypt(session, data, sizeof data, plaintext, &len) : outcome;
}

int main(int argument_count, char **arguments) {
  open_module();
  for (int i = 1; i < argument_count; i++) {
    const char *step = arguments[i];
    double began = now_ms();
    if (strcmp(step, "init") == 0) {
      print(step, p11->C_Initialize(NULL));
    } else if (strcmp(step, "find") == 0) {
      print(step, find_all());
      print_labels();
    } else if (strcmp(step, "read") == 0) {
      read_all();
      print(step, CKR_OK);
    } else if (strcmp(step, "size") == 0) {
      print(step, sign(1));
    } else if (strcmp(step, "sign") == 0) {
      print(step, sign(0));
    } else if (strcmp(step, "pss") == 0) {
      print(step, sign_by_pss());
    } else if (strcmp(step, "decrypt") == 0) {
      print(step, decrypt());
    }
    if (getenv("TEST_TIMES")) {
      printf("%s took %.1f ms\n", step, now_ms() - began);
    }
  }
  return 0;
}
