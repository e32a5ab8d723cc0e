/*
 * Signs digests with the library or with the PKCS#11 module, between two requests to callgrind; scripts/bench-pkcs11.py counts the
 * instructions. The region, the endpoint and the credentials come from the environment.
 *
 *   signing library KEY_ID CALLS
 *   signing MODULE KEY_ID CALLS      MODULE is the path of the module; TCKMS_PKCS11_KEYS names the key
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>
#include <valgrind/callgrind.h>

#include "../../pkcs11/tests/c/pkcs11.h"

enum { WARM_UP = 20, ROUNDS = 6 };

static CK_BYTE digest[32];
static const char *key_id;
static tckms_client *client;
static CK_FUNCTION_LIST *p11;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE key;

static void expect(int holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "signing: %s: %s\n", what, tckms_error_message(tckms_last_error()));
    exit(1);
  }
}

static void sign_by_library(void) {
  tckms_buffer signature;
  expect(tckms_sign_digest(client, key_id, TCKMS_SIGN_ECDSA_P256_SHA256, digest, sizeof digest, &signature) == TCKMS_OK, "sign");
  tckms_buffer_free(&signature);
}

static void sign_by_module(void) {
  CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
  CK_BYTE signature[64];
  CK_ULONG len = sizeof signature;
  expect(p11->C_SignInit(session, &ecdsa, key) == CKR_OK, "C_SignInit");
  expect(p11->C_Sign(session, digest, sizeof digest, signature, &len) == CKR_OK, "C_Sign");
}

static void open_module(const char *path) {
  CK_RV (*list)(CK_FUNCTION_LIST **);
  CK_OBJECT_CLASS kind = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE template = {CKA_CLASS, &kind, sizeof kind};
  CK_ULONG count = 0;
  void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  expect(module != NULL, "dlopen");
  *(void **)&list = dlsym(module, "C_GetFunctionList");
  expect(list(&p11) == CKR_OK && p11->C_Initialize(NULL) == CKR_OK, "C_Initialize");
  expect(p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK, "C_OpenSession");
  expect(p11->C_FindObjectsInit(session, &template, 1) == CKR_OK, "C_FindObjectsInit");
  expect(p11->C_FindObjects(session, &key, 1, &count) == CKR_OK && count == 1, "C_FindObjects");
  expect(p11->C_FindObjectsFinal(session) == CKR_OK, "C_FindObjectsFinal");
}

int main(int argc, char **argv) {
  int is_library, i, round;
  if (argc != 4) {
    return 2;
  }
  is_library = strcmp(argv[1], "library") == 0;
  key_id = argv[2];
  memset(digest, 7, sizeof digest);
  if (is_library) {
    expect(tckms_client_new_from_env(&client) == TCKMS_OK, "client");
  } else {
    open_module(argv[1]);
  }
  for (i = 0; i < WARM_UP; i++) {
    (is_library ? sign_by_library : sign_by_module)();
  }
  for (round = 0; round < ROUNDS; round++) {
    CALLGRIND_ZERO_STATS;
    for (i = 0; i < atoi(argv[3]); i++) {
      (is_library ? sign_by_library : sign_by_module)();
    }
    CALLGRIND_DUMP_STATS;
  }
  tckms_client_free(client);
  return 0;
}
