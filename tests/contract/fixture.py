"""An emulator for a class of tests, and both clients for it."""

import json
import os
import subprocess
import unittest

import tckms
from sdk import Sdk

REGION = "ap-guangzhou"
ALIASES = ("first", "second")

# Both clients talk to 127.0.0.1 only, and the SDK takes proxies from the environment.
for _variable in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_variable, None)
    os.environ.pop(_variable.upper(), None)


class Emulator:
    """A running tckms-emulator, with the content of the line that it printed when it was ready."""

    def __init__(self, *options):
        keys = [option for alias in ALIASES for option in ("--key", alias)]
        self._process = subprocess.Popen(
            [os.environ["TCKMS_EMULATOR"], *options, *keys], stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator ended with status {self._process.wait()} instead of starting")
        ready = json.loads(line)
        self.endpoint = ready["endpoint"]
        self.secret_id = ready["secret_id"]
        self.secret_key = ready["secret_key"]
        self.ca_file = ready["ca_file"]
        self.keys = ready["keys"]

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def sdk(self, **options):
        return Sdk(**{**self._access(), **options})

    def libtckms(self, **options):
        return tckms.Client(**{**self._access(), **options})

    def _access(self):
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "secret_id": self.secret_id,
            "secret_key": self.secret_key,
            "ca_file": self.ca_file,
        }


class ContractTest(unittest.TestCase):
    """Tests that share an emulator. A class over HTTPS sets OPTIONS to ("--tls",)."""

    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator(*cls.OPTIONS)
        cls.addClassCleanup(cls.emulator.stop)
        cls.sdk = cls.emulator.sdk()
        cls.libtckms = cls.emulator.libtckms()
        cls.addClassCleanup(cls.libtckms.close)
        cls.key_id = cls.emulator.keys["first"]
        cls.other_key_id = cls.emulator.keys["second"]
