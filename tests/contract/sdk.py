"""Tencent's SDK. Every reply is compared with the models of the SDK."""

import base64
import json
import re
from urllib.parse import urlsplit

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.kms.v20190118 import models
from tencentcloud.kms.v20190118.kms_client import KmsClient

SCALARS = {"str": str, "int": int, "bool": bool}


class Sdk:
    """The SDK's client. An action's fields are given by name, and its reply is one of the SDK's models."""

    def __init__(
        self, endpoint, region, secret_id, secret_key, ca_file=None, method="POST", unsigned_payload=False, **profile
    ):
        address = urlsplit(endpoint)
        http = HttpProfile(
            protocol=address.scheme, endpoint=address.netloc, reqMethod=method, reqTimeout=10, certification=ca_file
        )
        client_profile = ClientProfile(httpProfile=http, **profile)
        client_profile.unsignedPayload = unsigned_payload
        self._client = _RecordingClient(Credential(secret_id, secret_key), region, client_profile)

    def call(self, action, **fields):
        """Makes a call through the SDK's models. Raises AssertionError if the reply does not match them."""
        request = getattr(models, f"{action}Request")()
        for name, value in fields.items():
            if not hasattr(request, name):
                raise AttributeError(f"{action} has no field {name}")
            setattr(request, name, value)
        response = getattr(self._client, action)(request)
        _check_complete(response, self._client.last_body)
        _check_types(response, action)
        return response

    def call_json(self, action, fields):
        """Makes a call with fields or an action that the SDK's models do not have."""
        return self._client.call_json(action, fields)["Response"]

    def encrypt(self, key_id, plaintext, context=None):
        encoded = base64.b64encode(plaintext).decode()
        return self.call("Encrypt", KeyId=key_id, Plaintext=encoded, EncryptionContext=context)

    def decrypt(self, blob, context=None):
        response = self.call("Decrypt", CiphertextBlob=blob, EncryptionContext=context)
        return base64.b64decode(response.Plaintext, validate=True), response


class _RecordingClient(KmsClient):
    """Stores the last reply as it was received."""

    last_body = None

    def call(self, *arguments, **options):
        self.last_body = super().call(*arguments, **options)
        return self.last_body


def _check_complete(model, body):
    """The SDK ignores fields that it does not know, so the model is compared with the reply that was received."""
    received = json.loads(body)["Response"]
    read = model._serialize()
    if received != read:
        raise AssertionError(f"the SDK read {read}, but the reply was {received}")


def _check_types(value, where):
    """Compares every field with the type that the SDK documents for it: its models accept every type."""
    for name, attribute in vars(type(value)).items():
        if not isinstance(attribute, property):
            continue
        field, documented = getattr(value, name), re.search(r":rtype: (.*)", attribute.__doc__).group(1)
        if field is not None:
            _check_type(field, documented, f"{where}.{name}")


def _check_type(value, documented, where):
    if documented.startswith("list of "):
        _expect(value, list, where)
        for item in value:
            _check_type(item, documented[len("list of ") :], f"{where}[]")
    elif documented in SCALARS:
        # isinstance accepts a bool as an int, which a C or Go program does not.
        _expect(value, SCALARS[documented], where)
    else:
        _expect(value, getattr(models, re.search(r"\w+(?=`?$)", documented).group()), where)
        _check_types(value, where)


def _expect(value, expected, where):
    if type(value) is not expected:
        raise AssertionError(f"{where} is {value!r}, of {type(value)}, but the SDK documents {expected}")
