/*
 * What C_Decrypt gave is nowhere in this process afterwards but where the program put it, and after C_Finalize the secret key of the
 * credentials is gone as well. TEST_SECRET_MASKED is that key, each byte masked, in hexadecimal: it must not be in memory already.
 */
#include "module.h"

#include <fcntl.h>

enum { MASK = 0x5a, LEN = 32 };

static CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};

/* How often 16 bytes of a masked secret are in memory that can be written. Nothing here puts them together. */
static int times_in_memory(const CK_BYTE *masked) {
  static CK_BYTE window[1 << 20];
  char line[512];
  int found = 0, memory = open("/proc/self/mem", O_RDONLY);
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(memory >= 0 && maps != NULL);
  while (fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[1] != 'w') {
      continue;
    }
    for (unsigned long at = from; at < to; at += sizeof window - LEN) {
      size_t wanted = to - at < sizeof window ? to - at : sizeof window;
      /* The window itself may hold what was read from elsewhere. */
      if (at < (unsigned long)window + sizeof window && (unsigned long)window < at + wanted) {
        continue;
      }
      ssize_t len = pread(memory, window, wanted, (off_t)at);
      for (ssize_t i = 0; i + 16 <= len; i++) {
        int equal = 0;
        while (equal < 16 && (window[i + equal] ^ MASK) == masked[equal]) {
          equal++;
        }
        found += equal == 16;
      }
      memset(window, 0, sizeof window);
    }
  }
  fclose(maps);
  close(memory);
  return found;
}

static void wipe(volatile CK_BYTE *bytes, size_t len) {
  while (len-- > 0) {
    *bytes++ = 0;
  }
}

int main(void) {
  CK_BYTE masked[LEN], plaintext[256], ciphertext[256], key[64] = {0};
  CK_MECHANISM mechanisms[] = {{CKM_RSA_PKCS, NULL, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}};
  const char *text = getenv("TEST_SECRET_MASKED");
  for (size_t i = 0; i < 16; i++) {
    unsigned byte = 0;
    CHECK(sscanf(text + 2 * i, "%2x", &byte) == 1);
    key[i] = (CK_BYTE)byte;
  }
  open_module();
  CHECK_OK(p11->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_HANDLE private_key = find(session, CKO_PRIVATE_KEY, "decrypt");
  CK_OBJECT_HANDLE public_key = find(session, CKO_PUBLIC_KEY, "decrypt");
  CHECK(times_in_memory(key) > 0);
  for (int round = 0; round < 4; round++) {
    CK_ULONG len = sizeof ciphertext;
    for (int i = 0; i < LEN; i++) {
      masked[i] = (CK_BYTE)(rand() >> 7);
      plaintext[i] = masked[i] ^ MASK;
    }
    CHECK_OK(p11->C_EncryptInit(session, &mechanisms[round % 2], public_key));
    CHECK_OK(p11->C_Encrypt(session, plaintext, LEN, ciphertext, &len));
    wipe(plaintext, sizeof plaintext);
    CHECK_INT(times_in_memory(masked), 0);
    CHECK_OK(p11->C_DecryptInit(session, &mechanisms[round % 2], private_key));
    if (round >= 2) {
      /* A plaintext that waits for a larger room is kept, and goes when the operation is given up. */
      len = 1;
      CHECK_INT(p11->C_Decrypt(session, ciphertext, 256, plaintext, &len), CKR_BUFFER_TOO_SMALL);
      CHECK(times_in_memory(masked) > 0);
      if (round == 3) {
        CHECK_OK(p11->C_CloseSession(session));
        session = open_session();
      } else {
        CHECK_OK(p11->C_SessionCancel(session, CKF_DECRYPT));
      }
    } else {
      len = sizeof plaintext;
      CHECK_OK(p11->C_Decrypt(session, ciphertext, 256, plaintext, &len));
      CHECK(len == LEN && (plaintext[7] ^ MASK) == masked[7]);
      CHECK_INT(times_in_memory(masked), 1);
      wipe(plaintext, sizeof plaintext);
    }
    CHECK_INT(times_in_memory(masked), 0);
  }
  CHECK_OK(p11->C_Finalize(NULL));
  /* The thread of the network ends by itself. */
  for (int i = 0; i < 200 && times_in_memory(key) > 0; i++) {
    usleep(10000);
  }
  CHECK_INT(times_in_memory(key), 0);
  return checks_passed();
}
