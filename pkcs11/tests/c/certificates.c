/*
 * A key with its certificate and those of its issuers: the first has the id of the key, by which Java and NSS bring them
 * together, and the others lead from issuer to issuer. CERTIFICATES names files in DER, in the order of the chain.
 */
#include "module.h"

struct value {
  CK_BYTE bytes[4096];
  CK_ULONG len;
};

static struct value value_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  struct value value = {{0}, 0};
  CK_ATTRIBUTE asked = {type, value.bytes, sizeof value.bytes};
  CHECK_OK(p11->C_GetAttributeValue(session, object, &asked, 1));
  value.len = asked.ulValueLen;
  return value;
}

static int same(struct value a, struct value b) {
  return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

static CK_ULONG number(struct value value) {
  CK_ULONG number = 0;
  CHECK_INT(value.len, sizeof number);
  memcpy(&number, value.bytes, sizeof number);
  return number;
}

/* The one certificate with this attribute, or 0. */
static CK_OBJECT_HANDLE certificate_with(CK_SESSION_HANDLE session, CK_ATTRIBUTE_TYPE type, struct value value) {
  CK_OBJECT_CLASS kind = CKO_CERTIFICATE;
  CK_OBJECT_HANDLE found[4];
  CK_ULONG count = 0;
  CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &kind, sizeof kind}, {type, value.bytes, value.len}};
  CHECK_OK(p11->C_FindObjectsInit(session, wanted, 2));
  CHECK_OK(p11->C_FindObjects(session, found, 4, &count));
  CHECK_OK(p11->C_FindObjectsFinal(session));
  CHECK(count <= 1);
  return count ? found[0] : 0;
}

static struct value file(const char *path) {
  struct value value = {{0}, 0};
  FILE *opened = fopen(path, "rb");
  CHECK(opened != NULL);
  value.len = fread(value.bytes, 1, sizeof value.bytes, opened);
  fclose(opened);
  return value;
}

int main(int count, char **files) {
  open_module();
  CHECK_OK(p11->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session();
  CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "ec");
  CK_OBJECT_HANDLE certificate = certificate_with(session, CKA_ID, value_of(session, key, CKA_ID));
  CHECK(certificate != 0);
  CHECK(same(value_of(session, certificate, CKA_LABEL), value_of(session, key, CKA_LABEL)));
  CHECK(same(value_of(session, certificate, CKA_SUBJECT), value_of(session, key, CKA_SUBJECT)));
  CHECK(same(value_of(session, certificate, CKA_PUBLIC_KEY_INFO), value_of(session, key, CKA_PUBLIC_KEY_INFO)));
  for (int i = 1; i < count; i++) {
    CK_ULONG size = 0;
    CHECK(certificate != 0);
    CHECK_OK(p11->C_GetObjectSize(session, certificate, &size));
    CHECK_INT(read_with_every_length(session, certificate), size);
    CHECK(same(value_of(session, certificate, CKA_VALUE), file(files[i])));
    CHECK_INT(number(value_of(session, certificate, CKA_CERTIFICATE_TYPE)), CKC_X_509);
    CHECK_INT(number(value_of(session, certificate, CKA_CERTIFICATE_CATEGORY)), i == 1 ? 1 : 2);
    CHECK(value_of(session, certificate, CKA_SERIAL_NUMBER).bytes[0] == 2);
    CHECK_INT(value_of(session, certificate, CKA_START_DATE).len, 8);
    CHECK_INT(value_of(session, certificate, CKA_CHECK_VALUE).len, 3);
    struct value issuer = value_of(session, certificate, CKA_ISSUER);
    if (i + 1 < count) {
      certificate = certificate_with(session, CKA_SUBJECT, issuer);
    } else {
      CHECK(same(issuer, value_of(session, certificate, CKA_SUBJECT)));
    }
  }
  CHECK_OK(p11->C_Finalize(NULL));
  return checks_passed();
}
