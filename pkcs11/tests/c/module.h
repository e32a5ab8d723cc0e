/*
 * Shared by the C tests of the module: checks, and loading the module as a program does.
 *
 * A check that fails prints its position and values on stderr and ends the program. A program whose checks all pass prints only
 * one line with their number.
 */
#ifndef MODULE_H
#define MODULE_H

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11.h"

static long checks_done = 0;

static inline void check_at(int holds, const char *text, unsigned long got, unsigned long expected, const char *file,
                            int line) {
  if (!holds) {
    fprintf(stderr, "%s:%d: check failed: %s (%#lx, expected %#lx)\n", file, line, text, got, expected);
    _exit(1);
  }
  __atomic_add_fetch(&checks_done, 1, __ATOMIC_RELAXED);
}

#define CHECK(condition) check_at((condition) ? 1 : 0, #condition, 0, 1, __FILE__, __LINE__)
#define CHECK_INT(got, expected) check_int_at((unsigned long)(got), (unsigned long)(expected), #got, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_INT(call, CKR_OK)

static inline void check_int_at(unsigned long got, unsigned long expected, const char *text, const char *file, int line) {
  check_at(got == expected, text, got, expected, file, line);
}

static inline int checks_passed(void) {
  printf("ok %ld checks\n", checks_done);
  return 0;
}

static CK_FUNCTION_LIST_3_0 *p11;
static CK_FUNCTION_LIST *p11_old;
static void *module_handle;

static inline void open_module(void) {
  CK_INTERFACE *interface = NULL;
  CK_RV (*get_interface)(CK_UTF8CHAR *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS);
  CK_RV (*get_list)(CK_FUNCTION_LIST **);
  module_handle = dlopen(getenv("TEST_MODULE"), RTLD_NOW | RTLD_LOCAL);
  if (module_handle == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  *(void **)&get_interface = dlsym(module_handle, "C_GetInterface");
  *(void **)&get_list = dlsym(module_handle, "C_GetFunctionList");
  CHECK(get_interface != NULL && get_list != NULL);
  CHECK_OK(get_interface(NULL, NULL, &interface, 0));
  CHECK(strcmp((const char *)interface->pInterfaceName, "PKCS 11") == 0);
  p11 = interface->pFunctionList;
  CHECK_INT(p11->version.major, 3);
  CHECK_INT(p11->version.minor, 0);
  CHECK_OK(get_list(&p11_old));
  CHECK_INT(p11_old->version.major, 2);
  CHECK_INT(p11_old->version.minor, 40);
}

static inline CK_SESSION_HANDLE open_session(void) {
  CK_SESSION_HANDLE session = 0;
  CHECK_OK(p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
  return session;
}

/* The object with this class and label, which must exist. */
static inline CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS kind, const char *label) {
  CK_OBJECT_HANDLE found[2] = {0, 0};
  CK_ULONG count = 0;
  CK_ATTRIBUTE wanted[2];
  wanted[0].type = CKA_CLASS;
  wanted[0].pValue = &kind;
  wanted[0].ulValueLen = sizeof kind;
  wanted[1].type = CKA_LABEL;
  wanted[1].pValue = (void *)label;
  wanted[1].ulValueLen = strlen(label);
  CHECK_OK(p11->C_FindObjectsInit(session, wanted, 2));
  CHECK_OK(p11->C_FindObjects(session, found, 2, &count));
  CHECK_OK(p11->C_FindObjectsFinal(session));
  CHECK_INT(count, 1);
  return found[0];
}

/* Reads each attribute of an object with a buffer of each length from 0 to more than needed, of all numbers up to those of vendors.
 * Returns the sum of their lengths. */
static inline CK_ULONG read_with_every_length(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  static CK_BYTE room[8192];
  CK_ULONG sum = 0;
  for (CK_ATTRIBUTE_TYPE type = 0; type < 0x700; type++) {
    /* Also those whose value is an array. */
    for (int array = 0; array < 2; array++) {
      CK_ATTRIBUTE attribute = {array ? type | CKF_ARRAY_ATTRIBUTE : type, NULL, 0};
      CK_RV asked = p11->C_GetAttributeValue(session, object, &attribute, 1);
      CK_ULONG len = attribute.ulValueLen;
      if (asked != CKR_OK) {
        CHECK(asked == CKR_ATTRIBUTE_TYPE_INVALID || asked == CKR_ATTRIBUTE_SENSITIVE);
        CHECK_INT(len, CK_UNAVAILABLE_INFORMATION);
        attribute.pValue = room;
        attribute.ulValueLen = sizeof room;
        memset(room, 0xa5, sizeof room);
        CHECK_INT(p11->C_GetAttributeValue(session, object, &attribute, 1), asked);
        CHECK(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION && room[0] == 0xa5 &&
              memcmp(room, room + 1, sizeof room - 1) == 0);
        continue;
      }
      CHECK(len < sizeof room / 2);
      sum += len;
      for (CK_ULONG given = 0; given <= len + 2; given++) {
        memset(room, 0xa5, len + 64);
        attribute.pValue = room;
        attribute.ulValueLen = given;
        CK_RV got = p11->C_GetAttributeValue(session, object, &attribute, 1);
        CHECK_INT(got, given < len ? CKR_BUFFER_TOO_SMALL : CKR_OK);
        CHECK_INT(attribute.ulValueLen, given < len ? CK_UNAVAILABLE_INFORMATION : len);
        for (CK_ULONG i = given < len ? 0 : len; i < len + 64; i++) {
          CHECK(room[i] == 0xa5);
        }
      }
    }
  }
  return sum;
}

static inline CK_MECHANISM plain(CK_MECHANISM_TYPE kind) {
  CK_MECHANISM mechanism;
  mechanism.mechanism = kind;
  mechanism.pParameter = NULL;
  mechanism.ulParameterLen = 0;
  return mechanism;
}

static inline double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * (double)now.tv_sec + (double)now.tv_nsec / 1e6;
}

#endif
