"""The vectors of the tencent-kms-hierarchy convention, computed without any code of the library or of docs/interop."""

import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BRANCH_KEY, SALT, IV, DATA_KEY = bytes(range(32)), bytes(range(16, 32)), bytes(range(32, 44)), bytes(range(64, 96))
VERSION = bytes.fromhex("83eec00756594554bf11699b90f41ac6")
BRANCH, BLOB = b"orders", b"Q0lQSEVSVEVYVEJMT0I="
CONTEXT = bytes.fromhex("0001000674656e616e7400027431")
INFO = b"ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41"


def derived(label):
    """SP 800-108, counter mode: counter, label, zero, context, length in bits."""
    block = struct.pack(">I", 1) + label + b"\0" + SALT + struct.pack(">I", 256)
    return hmac.new(BRANCH_KEY, block, hashlib.sha256).digest()


def wrapped(form, label=b"tencent-kms-hierarchy"):
    head = struct.pack("BB", form, len(BRANCH)) + BRANCH + VERSION
    additional = label + struct.pack(">H", len(INFO)) + INFO + head + CONTEXT
    sealed = AESGCM(derived(label)).encrypt(IV, DATA_KEY, additional)
    return head + SALT + IV + sealed + (BLOB if form == 1 else b"")


def aws_form():
    label = b"aws-kms-hierarchy"
    return AESGCM(derived(label)).encrypt(IV, DATA_KEY, label + BRANCH + VERSION + CONTEXT)


print(
    json.dumps(
        {
            "aws derived": derived(b"aws-kms-hierarchy").hex(),
            "aws sealed": aws_form().hex(),
            "derived": derived(b"tencent-kms-hierarchy").hex(),
            "embedded": wrapped(1).hex(),
            "by reference": wrapped(2).hex(),
        }
    )
)
