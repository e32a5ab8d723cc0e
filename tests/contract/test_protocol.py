"""The emulator accepts every way in which the SDK signs and sends requests."""

import base64

from fixture import ContractTest

CONTEXT = '{"用途":"a & b = c + d"}'


class OverHttp(ContractTest):
    def check(self, **options):
        sdk = self.emulator.sdk(**options)
        blob = sdk.encrypt(self.key_id, b"\0 binary \xff", CONTEXT).CiphertextBlob
        self.assertEqual(self.libtckms.decrypt(blob, CONTEXT), b"\0 binary \xff")
        decrypted, _ = sdk.decrypt(self.libtckms.encrypt(self.key_id, b"text", CONTEXT), CONTEXT)
        self.assertEqual(decrypted, b"text")
        return sdk

    def test_post(self):
        self.check()

    def test_get(self):
        sdk = self.check(method="GET")
        # Integers and lists have another form in a query string.
        self.assertEqual(len(sdk.call("ListKeys", Offset=0, Limit=1).Keys), 1)
        described = sdk.call("DescribeKeys", KeyIds=[self.other_key_id, self.key_id])
        self.assertEqual([key.KeyId for key in described.KeyMetadatas], [self.other_key_id, self.key_id])

    def test_post_with_an_unsigned_payload(self):
        self.check(unsigned_payload=True)

    def test_get_with_an_unsigned_payload(self):
        self.check(method="GET", unsigned_payload=True)

    def test_both_languages(self):
        self.check(language="zh-CN")
        self.check(language="en-US")

    def test_with_a_client_name(self):
        self.check(request_client="contract-test")

    def test_without_a_region(self):
        self.check(region="")

    def test_the_longest_plaintext_in_a_query_string(self):
        encoded = base64.b64encode(bytes(4096)).decode()
        response = self.emulator.sdk(method="GET").call("Encrypt", KeyId=self.key_id, Plaintext=encoded)
        self.assertEqual(self.libtckms.decrypt(response.CiphertextBlob), bytes(4096))


class OverHttps(OverHttp):
    OPTIONS = ("--tls",)
