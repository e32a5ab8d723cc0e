"""The SDK's models read every reply of the emulator: each field is known to them and of the type they promise.

The comparison itself is in sdk.Sdk.call.
"""

import base64
import time

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

    def test_the_life_of_a_key(self):
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

    def test_metadata_has_every_field_that_is_always_there(self):
        read = self.describe(self.key_id)._serialize(allow_none=True)
        absent = {name for name, value in read.items() if value is None}
        self.assertLessEqual(absent, SOMETIMES_ABSENT)

    def test_listing_goes_page_by_page(self):
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

    def test_rotation(self):
        self.assertIs(self.sdk.call("GetKeyRotationStatus", KeyId=self.key_id).KeyRotationEnabled, False)
        self.sdk.call("EnableKeyRotation", KeyId=self.key_id, RotateDays=30)
        self.assertIs(self.sdk.call("GetKeyRotationStatus", KeyId=self.key_id).KeyRotationEnabled, True)
        self.assertEqual(self.describe(self.key_id).RotateDays, 30)
        self.sdk.call("DisableKeyRotation", KeyId=self.key_id)

    def test_signing(self):
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

    def test_what_the_service_says_about_itself(self):
        self.assertIs(self.sdk.call("GetServiceStatus").ServiceEnabled, True)
        self.assertIn("ap-guangzhou", self.sdk.call("GetRegions").Regions)
        algorithms = self.sdk.call("ListAlgorithms")
        self.assertIn("ENCRYPT_DECRYPT", [each.KeyUsage for each in algorithms.SymmetricAlgorithms])
