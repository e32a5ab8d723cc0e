"""libtckms and Tencent's SDK decrypt each other's ciphertexts, with one emulator."""

import base64
import os
import re

from fixture import ContractTest
from tckms import TckmsError
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.kms.v20190118 import models

PLAINTEXTS = {
    "one zero byte": b"\0",
    "every byte": bytes(range(256)),
    "text": "密钥管理系统\n".encode(),
    "the longest": os.urandom(4096),
}
CONTEXTS = {
    "without a context": None,
    "with a context": '{"purpose":"contract","empty":""}',
    # Blanks, escapes and several alphabets: the text must be sent unchanged.
    "with an intricate context": '{ "用途" : "a \\"b\\" \\\\ \\u5bc6 \\n" , "𝔘": "é" }',
}
CASES = [(f"{p} {c}", PLAINTEXTS[p], CONTEXTS[c]) for p in PLAINTEXTS for c in CONTEXTS]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class OverHttp(ContractTest):
    def test_libtckms_decrypts_what_the_sdk_encrypts(self):
        for name, plaintext, context in CASES:
            with self.subTest(name):
                encrypted = self.sdk.encrypt(self.key_id, plaintext, context)
                self.assertEqual(self.libtckms.decrypt(encrypted.CiphertextBlob, context, self.key_id), plaintext)
                self.assertEqual(self.libtckms.last_key_id, encrypted.KeyId)

    def test_the_sdk_decrypts_what_libtckms_encrypts(self):
        for name, plaintext, context in CASES:
            with self.subTest(name):
                blob = self.libtckms.encrypt(self.key_id, plaintext, context)
                key_id = self.libtckms.last_key_id
                decrypted, response = self.sdk.decrypt(blob, context)
                self.assertEqual((decrypted, response.KeyId), (plaintext, key_id))

    def test_a_blob_is_text_that_is_not_base64(self):
        for blob in (
            self.libtckms.encrypt(self.key_id, b"x"),
            self.sdk.encrypt(self.key_id, b"x").CiphertextBlob,
        ):
            self.assertEqual(blob.count("-k-"), 2)
            with self.assertRaises(ValueError):
                base64.b64decode(blob, validate=True)

    def test_libtckms_decrypts_data_keys_of_the_sdk(self):
        for length in ({"KeySpec": "AES_128"}, {"KeySpec": "AES_256"}, {"NumberOfBytes": 1024}):
            with self.subTest(length):
                made = self.sdk.call("GenerateDataKey", KeyId=self.key_id, **length)
                plaintext = base64.b64decode(made.Plaintext, validate=True)
                self.assertEqual(self.libtckms.decrypt(made.CiphertextBlob, key_id=made.KeyId), plaintext)

    def test_the_sdk_decrypts_data_keys_of_libtckms(self):
        for length in (1, 16, 32, 1024):
            for context in CONTEXTS.values():
                with self.subTest(length=length, context=context):
                    plaintext, blob = self.libtckms.generate_data_key(self.key_id, length, context)
                    self.assertEqual(len(plaintext), length)
                    decrypted, response = self.sdk.decrypt(blob, context)
                    self.assertEqual(decrypted, plaintext)
                    self.assertEqual(response.KeyId, self.key_id)

    def test_the_sdk_reencrypts_for_libtckms(self):
        old, new = CONTEXTS["with a context"], CONTEXTS["with an intricate context"]
        blob = self.libtckms.encrypt(self.key_id, b"moved", old)
        moved = self.sdk.call(
            "ReEncrypt",
            CiphertextBlob=blob,
            DestinationKeyId=self.other_key_id,
            SourceEncryptionContext=old,
            DestinationEncryptionContext=new,
        )
        self.assertEqual((moved.SourceKeyId, moved.KeyId, moved.ReEncrypted), (self.key_id, self.other_key_id, True))
        self.assertEqual(self.libtckms.decrypt(moved.CiphertextBlob, new, self.other_key_id), b"moved")

    def test_libtckms_reencrypts_for_the_sdk(self):
        old, new = CONTEXTS["with an intricate context"], None
        blob = self.sdk.encrypt(self.key_id, b"moved", old).CiphertextBlob
        moved = self.libtckms.reencrypt(blob, self.other_key_id, old, new)
        self.assertEqual(self.libtckms.last_key_id, self.other_key_id)
        decrypted, response = self.sdk.decrypt(moved, new)
        self.assertEqual((decrypted, response.KeyId), (b"moved", self.other_key_id))

    def test_both_refuse_another_context(self):
        blob = self.libtckms.encrypt(self.key_id, b"x", '{"a":"1"}')
        for context in (None, '{"a":"2"}'):
            with self.subTest(context=context):
                with self.assertRaises(TencentCloudSDKException) as sdk_failure:
                    self.sdk.decrypt(blob, context)
                with self.assertRaises(TckmsError) as failure:
                    self.libtckms.decrypt(blob, context)
                self.assertEqual(sdk_failure.exception.code, "InvalidParameterValue.InvalidCiphertext")
                self.assertEqual(failure.exception.service_code, sdk_failure.exception.code)

    def test_decryption_fails_if_the_blob_is_under_another_cmk(self):
        blob = self.sdk.encrypt(self.other_key_id, b"x").CiphertextBlob
        with self.assertRaises(TckmsError) as failure:
            self.libtckms.decrypt(blob, key_id=self.key_id)
        self.assertEqual(failure.exception.status_name, "TCKMS_ERR_KEY_MISMATCH")

    def test_random_numbers_have_the_requested_length(self):
        for length in (1, 33, 1024):
            response = self.sdk.call("GenerateRandom", NumberOfBytes=length)
            self.assertEqual(len(base64.b64decode(response.Plaintext, validate=True)), length)
            self.assertEqual(len(self.libtckms.generate_random(length)), length)

    def test_every_reply_has_a_different_request_id(self):
        ids = set()
        for _ in range(3):
            ids.add(self.sdk.encrypt(self.key_id, b"x").RequestId)
            self.libtckms.encrypt(self.key_id, b"x")
            ids.add(self.libtckms.last_request_id)
        self.assertEqual(len(ids), 6)
        for request_id in ids:
            self.assertRegex(request_id, UUID)

    def test_the_sdk_reads_a_reply_that_libtckms_returns(self):
        described = self.sdk.call("DescribeKey", KeyId=self.key_id)
        response = models.DescribeKeyResponse()
        response.from_json_string(self.libtckms.call("DescribeKey", f'{{"KeyId":"{self.key_id}"}}'))
        self.assertEqual(response.KeyMetadata._serialize(), described.KeyMetadata._serialize())


class OverHttps(OverHttp):
    OPTIONS = ("--tls",)
