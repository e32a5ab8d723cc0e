"""Tencent's SDK and libtckms take the same credentials from the same sources."""

import contextlib
import json
import os
import tempfile
import unittest.mock
import urllib.request
from pathlib import Path

import tckms
from fixture import REGION, ContractTest, Emulator
from sdk import Sdk
from tencentcloud.common.credential import (
    DefaultCredentialProvider,
    EnvironmentVariableCredential,
    ProfileCredential,
)

VARIABLES = (
    "TENCENTCLOUD_SECRET_ID",
    "TENCENTCLOUD_SECRET_KEY",
    "TENCENTCLOUD_SESSION_TOKEN",
    "TENCENTCLOUD_TOKEN",
    "TENCENTCLOUD_CREDENTIALS_FILE",
)

# Profile files with the same keys, in the notations that users write.
LAYOUTS = {
    "plain": "[default]\nsecret_id = {id}\nsecret_key = {key}\n",
    "without blanks": "[default]\nsecret_id={id}\nsecret_key={key}",
    "with colons": "[default]\nsecret_id: {id}\nsecret_key: {key}\n",
    "from Windows": "[default]\r\nsecret_id = {id}\r\nsecret_key = {key}\r\n",
    "with trailing blanks": "[default]  \nsecret_id =   {id}  \nsecret_key = {key}\t\n\n",
    "with comments": "# keys\n; of mine\n[default]\n# id\nsecret_id = {id}\n; key\nsecret_key = {key}\n",
    "with other sections": "[other]\nsecret_id = a\nsecret_key = b\n[default]\nsecret_id = {id}\nsecret_key = {key}\n"
    "[last]\nsecret_id = c\nsecret_key = d\n",
    "with other settings": "[default]\nrole_arn = qcs::cam::uin/1:roleName/r\nsecret_id = {id}\nsecret_key = {key}\nregion = x\n",
}


class EmulatorWithKey(Emulator):
    """An emulator whose callers sign with this secret key."""

    def __init__(self, secret_key):
        super().__init__("--secret-id", "AKIDodd", "--secret-key", secret_key)

    close = Emulator.stop


class SameCredentials(ContractTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        changed = unittest.mock.patch.dict(os.environ, {"HOME": folder.name})
        changed.start()
        self.addCleanup(changed.stop)
        for name in VARIABLES:
            os.environ.pop(name, None)

    def write_profile(self, text):
        path = self.home / ".tencentcloud" / "credentials"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o600)

    def keys(self):
        return {"id": self.emulator.secret_id, "key": self.emulator.secret_key}

    def library_encrypts(self, choose_credentials, emulator=None):
        emulator = emulator or self.emulator
        client = tckms.Client(emulator.endpoint, REGION, choose_credentials=choose_credentials)
        try:
            client.encrypt(emulator.keys["first"], b"x")
        finally:
            client.close()

    def sdk_encrypts(self, credential):
        Sdk(self.emulator.endpoint, REGION, credential.secret_id, credential.secret_key).encrypt(self.key_id, b"x")

    def last_signer(self):
        with urllib.request.urlopen(f"{self.emulator.endpoint}/_admin/requests") as reply:
            return json.load(reply)["requests"][-1]["secret_id"]

    def test_both_read_the_same_profile_file(self):
        for name, layout in LAYOUTS.items():
            with self.subTest(name):
                self.write_profile(layout.format(**self.keys()))
                self.sdk_encrypts(ProfileCredential().get_credential())
                self.assertEqual(self.last_signer(), self.emulator.secret_id)
                self.library_encrypts(tckms.default_profile_credentials)
                self.assertEqual(self.last_signer(), self.emulator.secret_id)

    def test_both_read_every_character_of_a_secret_key(self):
        for key in ("a#b", "a=b:c", "100%", "%(secret_id)s", "a\\nb", "$HOME", "a'b"):
            with self.subTest(key), contextlib.closing(EmulatorWithKey(key)) as emulator:
                self.write_profile(LAYOUTS["plain"].format(id="AKIDodd", key=key))
                self.assertEqual(ProfileCredential().get_credential().secret_key, key)
                self.library_encrypts(tckms.default_profile_credentials, emulator)

    def test_both_read_the_same_variables(self):
        os.environ["TENCENTCLOUD_SECRET_ID"] = self.emulator.secret_id
        os.environ["TENCENTCLOUD_SECRET_KEY"] = self.emulator.secret_key
        self.sdk_encrypts(EnvironmentVariableCredential().get_credential())
        self.library_encrypts(tckms.env_credentials)

    def test_for_both_the_environment_takes_precedence_over_the_profile(self):
        self.write_profile(LAYOUTS["plain"].format(id="AKIDprofile", key="profile"))
        os.environ["TENCENTCLOUD_SECRET_ID"] = self.emulator.secret_id
        os.environ["TENCENTCLOUD_SECRET_KEY"] = self.emulator.secret_key
        self.sdk_encrypts(DefaultCredentialProvider().get_credential())
        self.assertEqual(self.last_signer(), self.emulator.secret_id)
        self.library_encrypts(tckms.default_credentials)
        self.assertEqual(self.last_signer(), self.emulator.secret_id)

    def test_both_use_the_profile_if_the_environment_has_no_keys(self):
        self.write_profile(LAYOUTS["plain"].format(**self.keys()))
        for variables in ({}, {"TENCENTCLOUD_SECRET_ID": "AKIDalone"}, {"TENCENTCLOUD_SECRET_ID": ""}):
            with self.subTest(variables), unittest.mock.patch.dict(os.environ, variables):
                self.sdk_encrypts(DefaultCredentialProvider().get_credential())
                self.library_encrypts(tckms.default_credentials)
                self.assertEqual(self.last_signer(), self.emulator.secret_id)
