"""Does what a list of jobs on standard input says, with the stock AWS Encryption SDK and the provider of docs/interop."""

import json
import os
import sys
from urllib.parse import urlsplit

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import Algorithm
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.kms.v20190118.kms_client import KmsClient

sys.path.insert(0, os.environ["INTEROP_PROVIDER"])
from tencent_kms import TencentKms  # noqa: E402
from tencent_kms_branch import TencentKmsBranch  # noqa: E402

UNSIGNED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
SIGNED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384


def provider(keys, branch):
    address = urlsplit(os.environ["TCKMS_ENDPOINT"])
    http = HttpProfile(protocol=address.scheme, endpoint=address.netloc)
    credential = Credential(os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"])
    region = os.environ["TENCENTCLOUD_REGION"]
    client = KmsClient(credential, region, ClientProfile(httpProfile=http))
    if branch:
        return TencentKmsBranch(client, region, keys, branch["id"], branch["records"], branch["by_reference"])
    return TencentKms(client, region, keys)


def run(job, client):
    with open(job["in"], "rb") as source:
        data = source.read()
    if job["do"] == "seal":
        result, _ = client.encrypt(
            source=data,
            key_provider=provider(job["keys"], job["branch"]),
            encryption_context=job["context"],
            frame_length=job["frame_len"],
            algorithm=SIGNED if job["signed"] else UNSIGNED,
        )
    else:
        result, header = client.decrypt(source=data, key_provider=provider(job["keys"], job["branch"]))
        for key, value in job["context"].items():
            assert header.encryption_context[key] == value, (key, value)
    with open(job["out"], "wb") as sink:
        sink.write(result)


def main():
    client = aws_encryption_sdk.EncryptionSDKClient()
    for job in json.load(sys.stdin):
        try:
            run(job, client)
        except Exception as error:
            raise RuntimeError(f"{job}") from error


main()
