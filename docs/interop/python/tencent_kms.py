"""CMKs of Tencent Cloud KMS for the AWS Encryption SDK for Python (aws-encryption-sdk 3.3.1 or 4.0.5 and later).

    provider = TencentKms(client, "ap-guangzhou", ["93866e69-9755-11ef-8e65-52540089bc41"])
    ciphertext, header = aws_encryption_sdk.EncryptionSDKClient().encrypt(source=b"...", key_provider=provider)

`client` is a tencentcloud.kms.v20190118.kms_client.KmsClient for that region. What this writes, libtckms opens, and the
other way round. While the service is unable, the SDK says "Unable to decrypt any data key", which then says nothing of the
message: its debug log has the service's own error. docs/sealing.md has the convention on one page.
"""

import base64
import json

import attr
from aws_encryption_sdk.exceptions import DecryptKeyError, EncryptKeyError, GenerateKeyError, InvalidKeyIdError
from aws_encryption_sdk.key_providers.base import MasterKey, MasterKeyConfig, MasterKeyProvider, MasterKeyProviderConfig
from aws_encryption_sdk.structures import DataKey, EncryptedDataKey
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.kms.v20190118 import models


@attr.s(hash=True)
class _KeyConfig(MasterKeyConfig):
    provider_id = "tencent-kms"
    client = attr.ib(hash=False)


class _Key(MasterKey):
    provider_id = "tencent-kms"
    _config_class = _KeyConfig

    def _cmk(self):
        return self.key_id.decode("ascii").split("/", 1)[1]

    def _generate_data_key(self, algorithm, encryption_context):
        fields = {"KeyId": self._cmk(), "NumberOfBytes": algorithm.kdf_input_len}
        reply = self._call("GenerateDataKey", fields, encryption_context, GenerateKeyError)
        return DataKey(self.key_provider, base64.b64decode(reply.Plaintext), reply.CiphertextBlob.encode("ascii"))

    def _encrypt_data_key(self, data_key, algorithm, encryption_context):
        fields = {"KeyId": self._cmk(), "Plaintext": base64.b64encode(data_key.data_key).decode("ascii")}
        reply = self._call("Encrypt", fields, encryption_context, EncryptKeyError)
        return EncryptedDataKey(self.key_provider, reply.CiphertextBlob.encode("ascii"))

    def _decrypt_data_key(self, encrypted_data_key, algorithm, encryption_context):
        blob = encrypted_data_key.encrypted_data_key
        if not blob.isascii():
            raise DecryptKeyError("the wrapped key is not the text of a CiphertextBlob")
        reply = self._call("Decrypt", {"CiphertextBlob": blob.decode("ascii")}, encryption_context, DecryptKeyError)
        return DataKey(self.key_provider, base64.b64decode(reply.Plaintext), blob)

    def _call(self, action, fields, encryption_context, failure):
        request = getattr(models, f"{action}Request")()
        if encryption_context:
            # The service may compare the context as text, so it is always written in the same way.
            pairs = dict(sorted(encryption_context.items()))
            request.EncryptionContext = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
        for name, value in fields.items():
            setattr(request, name, value)
        try:
            reply = getattr(self.config.client, action)(request)
        except TencentCloudSDKException as error:
            raise failure(f"{action}: {error}") from error
        # Decrypt takes no key id. Only the reply says that this CMK made the blob.
        if reply.KeyId != self._cmk():
            raise failure(f"{action}: the reply is about CMK {reply.KeyId}, not {self._cmk()}")
        return reply


@attr.s(hash=True)
class _ProviderConfig(MasterKeyProviderConfig):
    client = attr.ib(hash=False)
    region = attr.ib()


class _Provider(MasterKeyProvider):
    provider_id = "tencent-kms"
    _config_class = _ProviderConfig
    # Only CMKs that were added are ever asked, whatever a message names.
    vend_masterkey_on_decrypt = False

    def _new_master_key(self, key_id):
        if not key_id.startswith(self.config.region.encode("ascii") + b"/"):
            raise InvalidKeyIdError(f"{key_id} is not in {self.config.region}")
        return _Key(key_id=key_id, client=self.config.client)


def TencentKms(client, region, key_ids):  # noqa: N802, used like a class
    """A key provider for the CMKs of one region, the first of which makes the data keys."""
    provider = _Provider(client=client, region=region)
    for key_id in key_ids:
        provider.add_master_key(f"{region}/{key_id}")
    return provider


def from_environment(**_):
    """The provider for aws-encryption-cli, which adds the keys itself, each as REGION/KEYID.

    Credentials, region and endpoint come from the same variables as for libtckms and tckms-seal.
    """
    import os
    from urllib.parse import urlsplit

    from tencentcloud.common import credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.kms.v20190118.kms_client import KmsClient

    region = os.environ["TENCENTCLOUD_REGION"]
    endpoint = urlsplit(os.environ.get("TCKMS_ENDPOINT", "https://kms.tencentcloudapi.com"))
    profile = ClientProfile(httpProfile=HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc))
    identity = credential.Credential(
        os.environ["TENCENTCLOUD_SECRET_ID"],
        os.environ["TENCENTCLOUD_SECRET_KEY"],
        os.environ.get("TENCENTCLOUD_SESSION_TOKEN"),
    )
    return TencentKms(KmsClient(identity, region, profile), region, [])
