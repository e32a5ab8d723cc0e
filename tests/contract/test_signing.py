"""Each client verifies the other's signatures, and both decrypt ciphertexts under asymmetric keys."""

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile

from fixture import ContractTest
from tckms import TckmsError

# The service's name, the constant of tckms.h, the usage of the key, and the function that computes the digest.
ALGORITHMS = (
    ("ECC_P256_R1", 1, "ASYMMETRIC_SIGN_VERIFY_ECC", hashlib.sha256),
    ("ECC_P384_R1", 2, "ASYMMETRIC_SIGN_VERIFY_ECDSA384", hashlib.sha384),
    ("RSA_PSS_SHA_256", 3, "ASYMMETRIC_SIGN_VERIFY_RSA_2048", hashlib.sha256),
    ("RSA_PKCS1_SHA_256", 4, "ASYMMETRIC_SIGN_VERIFY_RSA_2048", hashlib.sha256),
    ("SM2DSA", 5, "ASYMMETRIC_SIGN_VERIFY_SM2", None),
)
MESSAGES = {
    "empty": b"",
    "one zero byte": b"\0",
    "text": "密钥管理系统\n".encode(),
    "the longest that the service hashes": os.urandom(4096),
}
# The service's name, the constant of tckms.h, and the padding and digest for `openssl pkeyutl`.
PADDINGS = (
    ("RSAES_OAEP_SHA_256", 1, ("oaep", "sha256")),
    ("RSAES_OAEP_SHA_1", 2, ("oaep", "sha1")),
    ("RSAES_PKCS1_V1_5", 3, ("pkcs1", None)),
)


def encoded(data):
    return base64.b64encode(data).decode()


def decoded(text):
    return base64.b64decode(text, validate=True)


class Signing(ContractTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = {usage: cls.make_key(usage) for usage in sorted({usage for _, _, usage, _ in ALGORITHMS})}

    @classmethod
    def make_key(cls, usage, **fields):
        alias = f"signing-{os.urandom(6).hex()}"
        return cls.sdk.call("CreateKey", Alias=alias, KeyUsage=usage, **fields).KeyId

    def sdk_verifies(self, key_id, algorithm, message_type, message, signature):
        return self.sdk.call(
            "VerifyByAsymmetricKey",
            KeyId=key_id,
            Algorithm=algorithm,
            MessageType=message_type,
            Message=encoded(message),
            SignatureValue=encoded(signature),
        ).SignatureValid

    def sdk_signs(self, key_id, algorithm, message_type, message):
        fields = {"KeyId": key_id, "Algorithm": algorithm, "MessageType": message_type, "Message": encoded(message)}
        return decoded(self.sdk.call("SignByAsymmetricKey", **fields).Signature)

    def digest(self, key_id, make_digest, message):
        return self.libtckms.sm2_digest(key_id, message) if make_digest is None else make_digest(message).digest()

    def cases(self):
        for name, number, usage, make_digest in ALGORITHMS:
            for what, message in MESSAGES.items():
                with self.subTest(algorithm=name, message=what):
                    yield name, number, self.keys[usage], make_digest, message

    def test_the_sdk_verifies_what_libtckms_signs(self):
        for name, number, key_id, make_digest, message in self.cases():
            signature = self.libtckms.sign(key_id, number, message)
            digest = self.digest(key_id, make_digest, message)
            self.assertTrue(self.sdk_verifies(key_id, name, "DIGEST", digest, signature))
            # The service hashes the message as the library does, but it refuses an empty message.
            if message:
                self.assertTrue(self.sdk_verifies(key_id, name, "RAW", message, signature))
            of_digest = self.libtckms.sign_digest(key_id, number, digest)
            self.assertTrue(self.sdk_verifies(key_id, name, "DIGEST", digest, of_digest))
            other = bytes([digest[0] ^ 1]) + digest[1:]
            self.assertFalse(self.sdk_verifies(key_id, name, "DIGEST", other, signature))

    def test_libtckms_verifies_what_the_sdk_signs(self):
        for name, number, key_id, make_digest, message in self.cases():
            digest = self.digest(key_id, make_digest, message)
            signatures = [self.sdk_signs(key_id, name, "DIGEST", digest)]
            if message:
                signatures.append(self.sdk_signs(key_id, name, "RAW", message))
            for signature in signatures:
                self.libtckms.verify(key_id, number, message, signature)
                with self.assertRaises(TckmsError) as failure:
                    self.libtckms.verify(key_id, number, message + b"x", signature)
                self.assertEqual(failure.exception.status_name, "TCKMS_ERR_SIGNATURE_INVALID")

    def test_both_have_the_same_public_key(self):
        for usage, key_id in self.keys.items():
            with self.subTest(usage):
                response = self.sdk.call("GetPublicKey", KeyId=key_id)
                self.assertEqual(self.libtckms.public_key(key_id), decoded(response.PublicKey))
                self.assertEqual(self.libtckms.public_key_pem(key_id).decode().split(), response.PublicKeyPem.split())

    def test_both_decrypt_rsa_ciphertexts(self):
        key_id = self.make_key("ASYMMETRIC_DECRYPT_RSA_2048")
        for name, number, options in PADDINGS:
            for plaintext in (b"x", bytes(range(190))):
                with self.subTest(padding=name, len=len(plaintext)):
                    ciphertext = self.libtckms.rsa_encrypt(key_id, number, plaintext)
                    reply = self.sdk.call(
                        "AsymmetricRsaDecrypt", KeyId=key_id, Ciphertext=encoded(ciphertext), Algorithm=name
                    )
                    self.assertEqual(decoded(reply.Plaintext), plaintext)
                    ciphertext = self.openssl_encrypts(key_id, plaintext, *options)
                    self.assertEqual(self.libtckms.rsa_decrypt(key_id, number, ciphertext), plaintext)

    def test_both_decrypt_sm2_ciphertexts_of_openssl(self):
        key_id = self.make_key("ASYMMETRIC_DECRYPT_SM2")
        ciphertext = self.openssl_encrypts(key_id, b"for sm2")
        self.assertEqual(self.libtckms.sm2_decrypt(key_id, ciphertext), b"for sm2")
        reply = self.sdk.call("AsymmetricSm2Decrypt", KeyId=key_id, Ciphertext=encoded(ciphertext))
        self.assertEqual(decoded(reply.Plaintext), b"for sm2")

    def openssl_encrypts(self, key_id, plaintext, padding=None, digest=None):
        """Encrypts as users of the SDK must: with OpenSSL, under the public key that the SDK returns."""
        openssl = shutil.which("openssl")
        self.assertIsNotNone(openssl, "openssl is missing; Debian's package is openssl")
        public_key = decoded(self.sdk.call("GetPublicKey", KeyId=key_id).PublicKey)
        with tempfile.NamedTemporaryFile() as file:
            file.write(public_key)
            file.flush()
            options = ["-encrypt", "-pubin", "-keyform", "DER", "-inkey", file.name]
            if padding:
                options += ["-pkeyopt", f"rsa_padding_mode:{padding}"]
            if digest:
                options += ["-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{digest}"]
            return subprocess.run([openssl, "pkeyutl", *options], input=plaintext, stdout=subprocess.PIPE, check=True).stdout

    def test_the_sdk_encrypts_under_material_that_libtckms_imported(self):
        key_id = self.make_key("ENCRYPT_DECRYPT", Type=2)
        material = os.urandom(32)
        self.libtckms.import_key_material(key_id, material)
        self.assertEqual(self.sdk.call("DescribeKey", KeyId=key_id).KeyMetadata.KeyState, "Enabled")
        blob = self.sdk.encrypt(key_id, b"under imported material").CiphertextBlob
        self.assertEqual(self.libtckms.decrypt(blob, key_id=key_id), b"under imported material")


class SigningOverHttps(Signing):
    OPTIONS = ("--tls",)
