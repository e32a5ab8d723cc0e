"""The SDK's models read every reply of the emulator: they know each field, and each has the documented type.

The comparison itself is in sdk.Sdk.call.
"""

import base64
import subprocess
import tempfile
import time
import uuid

from fixture import ContractTest

# Fields of KeyMetadata that the service leaves out unless the key is a replica or a member account's.
SOMETIMES_ABSENT = {
    "SourceRegion",
    "SyncStatus",
    "SyncMessages",
    "SyncStartTime",
    "SyncEndTime",
    "SourceHsmClusterId",
    "AccountAppId",
    "AccountUin",
    "AccountName",
}


class Models(ContractTest):
    def describe(self, key_id):
        return self.sdk.call("DescribeKey", KeyId=key_id).KeyMetadata

    def test_a_key_is_created_changed_and_scheduled_for_deletion(self):
        before = int(time.time())
        made = self.sdk.call("CreateKey", Alias="life", Description="made by the SDK", KeyUsage="ENCRYPT_DECRYPT")
        key_id = made.KeyId
        self.assertEqual((made.Alias, made.Description), ("life", "made by the SDK"))
        self.assertEqual((made.KeyState, made.KeyUsage), ("Enabled", "ENCRYPT_DECRYPT"))
        self.assertTrue(before <= made.CreateTime <= time.time())

        key = self.describe(key_id)
        self.assertEqual((key.KeyId, key.Alias, key.Description), (key_id, "life", "made by the SDK"))
        self.assertEqual((key.CreateTime, key.KeyState, key.Owner), (made.CreateTime, "Enabled", "user"))
        self.assertEqual(key.ResourceId, f"creatorUin/{key.CreatorUin}/{key_id}")

        for change, state in (("DisableKey", "Disabled"), ("EnableKey", "Enabled")):
            self.sdk.call(change, KeyId=key_id)
            self.assertEqual(self.describe(key_id).KeyState, state)

        self.sdk.call("UpdateAlias", KeyId=key_id, Alias="renamed")
        self.sdk.call("UpdateKeyDescription", KeyId=key_id, Description="")
        self.assertEqual((self.describe(key_id).Alias, self.describe(key_id).Description), ("renamed", ""))

        self.sdk.call("DisableKey", KeyId=key_id)
        scheduled = self.sdk.call("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
        key = self.describe(key_id)
        self.assertEqual((key.KeyState, key.DeletionDate), ("PendingDelete", scheduled.DeletionDate))
        self.assertEqual(self.sdk.call("CancelKeyDeletion", KeyId=key_id).KeyId, key_id)
        self.assertEqual(self.describe(key_id).DeletionDate, 0)

    def test_metadata_has_every_field_that_is_always_present(self):
        read = self.describe(self.key_id)._serialize(allow_none=True)
        absent = {name for name, value in read.items() if value is None}
        self.assertLessEqual(absent, SOMETIMES_ABSENT)

    def test_lists_have_pages(self):
        made = {self.sdk.call("CreateKey", Alias=f"page-{number}").KeyId for number in range(3)}
        total = self.sdk.call("ListKeys").TotalCount
        listed = []
        while len(listed) < total:
            page = self.sdk.call("ListKeys", Offset=len(listed), Limit=2)
            self.assertEqual(page.TotalCount, total)
            self.assertTrue(page.Keys)
            listed += [key.KeyId for key in page.Keys]
        self.assertEqual(len(set(listed)), total)
        self.assertLessEqual(made | {self.key_id, self.other_key_id}, set(listed))

        found = self.sdk.call("ListKeyDetail", SearchKeyAlias="page-", Limit=200)
        self.assertEqual({key.KeyId for key in found.KeyMetadatas}, made)
        described = self.sdk.call("DescribeKeys", KeyIds=sorted(made))
        self.assertEqual([key.KeyId for key in described.KeyMetadatas], sorted(made))

    def test_keys_change_state_together(self):
        key_ids = [self.sdk.call("CreateKey", Alias=f"together-{number}").KeyId for number in range(2)]
        for change, state in (("DisableKeys", "Disabled"), ("EnableKeys", "Enabled")):
            self.sdk.call(change, KeyIds=key_ids)
            self.assertEqual([self.describe(key_id).KeyState for key_id in key_ids], [state] * 2)

    def test_rotation_is_enabled_and_disabled(self):
        self.assertIs(self.sdk.call("GetKeyRotationStatus", KeyId=self.key_id).KeyRotationEnabled, False)
        self.sdk.call("EnableKeyRotation", KeyId=self.key_id, RotateDays=30)
        self.assertIs(self.sdk.call("GetKeyRotationStatus", KeyId=self.key_id).KeyRotationEnabled, True)
        self.assertEqual(self.describe(self.key_id).RotateDays, 30)
        self.sdk.call("DisableKeyRotation", KeyId=self.key_id)

    def test_the_service_verifies_its_signature(self):
        made = self.sdk.call("CreateKey", Alias="signs", KeyUsage="ASYMMETRIC_SIGN_VERIFY_ECC")
        public = self.sdk.call("GetPublicKey", KeyId=made.KeyId)
        self.assertTrue(base64.b64decode(public.PublicKey, validate=True))
        request = {
            "KeyId": made.KeyId,
            "Algorithm": "ECC_P256_R1",
            "Message": base64.b64encode(b"message").decode(),
            "MessageType": "RAW",
        }
        signature = self.sdk.call("SignByAsymmetricKey", **request).Signature
        verified = self.sdk.call("VerifyByAsymmetricKey", SignatureValue=signature, **request)
        self.assertIs(verified.SignatureValid, True)

    def test_information_about_the_service(self):
        self.assertIs(self.sdk.call("GetServiceStatus").ServiceEnabled, True)
        self.assertIn("ap-guangzhou", self.sdk.call("GetRegions").Regions)
        algorithms = self.sdk.call("ListAlgorithms")
        self.assertIn("ENCRYPT_DECRYPT", [each.KeyUsage for each in algorithms.SymmetricAlgorithms])

    def test_rotation_on_request(self):
        key_id = self.sdk.call("CreateKey", Alias="rotates").KeyId
        self.assertEqual(str(uuid.UUID(self.sdk.call("RotateKey", KeyId=key_id).TaskId)).count("-"), 4)
        self.assertTrue(0 < self.describe(key_id).LastRotateTime <= time.time())

    def test_material_is_imported_and_deleted(self):
        key_id = self.sdk.call("CreateKey", Alias="imported", Type=2).KeyId
        self.assertEqual(self.describe(key_id).KeyState, "PendingImport")
        parameters = self.sdk.call(
            "GetParametersForImport",
            KeyId=key_id,
            WrappingAlgorithm="RSAES_OAEP_SHA_256",
            WrappingKeySpec="RSA_2048",
        )
        self.assertGreater(parameters.ParametersValidTo, time.time())
        wrapped = wrap(base64.b64decode(parameters.PublicKey, validate=True), bytes(32))
        valid_to = int(time.time()) + 3600
        self.sdk.call(
            "ImportKeyMaterial",
            KeyId=key_id,
            ImportToken=parameters.ImportToken,
            EncryptedKeyMaterial=base64.b64encode(wrapped).decode(),
            ValidTo=valid_to,
        )
        key = self.describe(key_id)
        self.assertEqual((key.KeyState, key.Origin, key.ValidTo), ("Enabled", "EXTERNAL", valid_to))
        blob = self.sdk.encrypt(key_id, b"under imported material").CiphertextBlob
        self.assertEqual(self.libtckms.decrypt(blob), b"under imported material")
        self.sdk.call("DeleteImportedKeyMaterial", KeyId=key_id)
        self.assertEqual(self.describe(key_id).KeyState, "PendingImport")

    def test_hosted_data_keys(self):
        made = self.sdk.call(
            "GenerateDataKey", KeyId=self.key_id, KeySpec="AES_256", IsHostedByKms=1, DataKeyName="hosted"
        )
        plain = self.sdk.call("GetDataKeyPlaintext", DataKeyId=made.DataKeyId)
        self.assertEqual(plain.Plaintext, made.Plaintext)
        blob = self.sdk.call("GetDataKeyCiphertextBlob", DataKeyId=made.DataKeyId).CiphertextBlob
        self.assertEqual(base64.b64encode(self.libtckms.decrypt(blob)).decode(), made.Plaintext)
        imported = self.sdk.call(
            "ImportDataKey", DataKeyName="brought", ImportType=2, KeyId=self.key_id, ImportKeyMaterial="AAECAwQ="
        )
        ids = [made.DataKeyId, imported.DataKeyId]
        described = self.sdk.call("DescribeDataKeys", DataKeyIds=ids).DataKeyMetadatas
        self.assertEqual([key.DataKeyName for key in described], ["hosted", "brought"])
        self.assertEqual([key.Origin for key in described], ["TENCENT_KMS", "EXTERNAL"])
        self.assertEqual([key.DataKeyId for key in self.sdk.call("ListDataKeys").DataKeys], ids[::-1])
        self.assertEqual(self.sdk.call("ListDataKeyDetail", DataKeyLen=5).TotalCount, 1)

        self.sdk.call("UpdateDataKeyName", DataKeyId=ids[0], DataKeyName="renamed")
        self.sdk.call("UpdateDataKeyDescription", DataKeyId=ids[0], Description="described")
        self.sdk.call("DisableDataKeys", DataKeyIds=ids)
        self.sdk.call("EnableDataKey", DataKeyId=ids[1])
        scheduled = self.sdk.call("ScheduleDataKeyDeletion", DataKeyId=ids[0], PendingWindowInDays=7)
        key = self.sdk.call("DescribeDataKey", DataKeyId=ids[0]).DataKeyMetadata
        self.assertEqual((key.DataKeyName, key.Description), ("renamed", "described"))
        self.assertEqual((key.KeyState, key.DeletionDate), ("PendingDelete", scheduled.DeletionDate))
        self.assertEqual(self.sdk.call("CancelDataKeyDeletion", DataKeyId=ids[0]).DataKeyId, ids[0])
        for change in ("EnableDataKeys", "DisableDataKeys"):
            self.sdk.call(change, DataKeyIds=ids)
        self.sdk.call("EnableDataKey", DataKeyId=ids[0])
        self.sdk.call("DisableDataKey", DataKeyId=ids[0])

    def test_post_quantum_keys(self):
        key_id = self.sdk.call("CreateKey", Alias="pq", KeyUsage="POST_QUANTUM_ENCRYPT_DECRYPT").KeyId
        blob = self.sdk.call("PostQuantumCryptoEncrypt", KeyId=key_id, PlainText="AAEC").CiphertextBlob
        self.assertEqual(self.sdk.call("PostQuantumCryptoDecrypt", CiphertextBlob=blob).PlainText, "AAEC")
        key_id = self.sdk.call("CreateKey", Alias="pq-signs", KeyUsage="POST_QUANTUM_SIGN_VERIFY").KeyId
        signature = self.sdk.call("PostQuantumCryptoSign", KeyId=key_id, Message="AAEC").Signature
        verified = self.sdk.call("PostQuantumCryptoVerify", KeyId=key_id, Message="AAEC", SignatureValue=signature)
        self.assertIs(verified.SignatureValid, True)

    def test_cloud_products_and_white_box(self):
        key_id = self.sdk.call("CreateKey", Alias="bound").KeyId
        for action in ("BindCloudResource", "UnbindCloudResource"):
            self.sdk.call(action, KeyId=key_id, ProductId="cos", ResourceId="bucket")
        self.assertIs(self.sdk.call("DescribeWhiteBoxServiceStatus").ServiceEnabled, False)


class NestedLists(ContractTest):
    """The SDK flattens lists and objects into the names of a query string."""

    def test_a_query_string_has_nested_lists(self):
        get = self.emulator.sdk(method="GET", endpoint=self.emulator.endpoint.replace("127.0.0.1", "localhost"))
        made = [
            get.call_json("CreateKey", {"Alias": f"get-{n}", "Tags": [{"TagKey": "n", "TagValue": f"{n % 2}"}]})["KeyId"]
            for n in range(12)
        ]
        described = get.call_json("DescribeKeys", {"KeyIds": made})["KeyMetadatas"]
        self.assertEqual([key["KeyId"] for key in described], made)
        filters = [{"TagKey": "n", "TagValue": ["1", "2"]}]
        self.assertEqual(get.call_json("ListKeyDetail", {"TagFilters": filters, "Limit": 1})["TotalCount"], 6)


def wrap(public_key, material):
    """RSAES_OAEP_SHA_256 by OpenSSL."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(public_key)
        file.flush()
        options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
        command = ["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", file.name]
        command += [word for option in options for word in ("-pkeyopt", option)]
        return subprocess.run(command, input=material, stdout=subprocess.PIPE, check=True).stdout
