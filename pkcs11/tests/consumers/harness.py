"""What the checks share: the emulator with three keys, a folder for each check, the recipes of docs/pkcs11.md, and assertions.

A check takes a `Work` and uses the module as a user does: it runs the recipe of the documentation as it stands, with the path of
the module that was built and a free port in place of the ones in the text.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
MODULE = TARGET / "dist/libtckms-pkcs11.so"
DOCUMENT = ROOT / "docs/pkcs11.md"
INSTALLED_MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/libtckms-pkcs11.so"
SECONDS = 60

CHECKS = []


class NotRun(Exception):
    """What a check needs is not on this machine."""


def check(*tools):
    """Marks a function as a check that needs these programs or files."""

    def add(function):
        function.tools = tools
        CHECKS.append(function)
        return function

    return add


def path_of(tool):
    """Where a program is, also for a user whose PATH has no sbin."""
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def require(tools):
    """Fails if a program, or a file that a pattern names, is missing."""
    for tool in tools:
        found = list(Path("/").glob(tool[1:])) if tool.startswith("/") else path_of(tool)
        if not found:
            raise NotRun(f"{tool} is not installed")


def section(name):
    """The section of the documentation with this heading."""
    parts = re.split(r"^#{2,3} (.*)\n", DOCUMENT.read_text(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))
    return sections[name]


def blocks(name, language):
    """The blocks of a section in a language, with the module that was built."""
    found = re.findall(rf"^```{language}\n(.*?)^```", section(name), flags=re.MULTILINE | re.DOTALL)
    return [block.replace(INSTALLED_MODULE, str(MODULE)) for block in found]


def recipe(name, beginning):
    """The command of a section that begins so, with its continuation lines."""
    commands = "".join(blocks(name, "sh")).replace("\\\n", "")
    found = [line for line in commands.splitlines() if line.startswith(beginning)]
    assert len(found) == 1, f"docs/pkcs11.md, {name}: {len(found)} commands begin with {beginning!r}"
    return re.sub(r"  +# .*", "", found[0])


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, what):
    """Waits until a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} s"
        time.sleep(0.05)


def answers(port):
    with contextlib.closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Emulator:
    """The local KMS, with a key of each kind."""

    KEYS = {
        "web": "ASYMMETRIC_SIGN_VERIFY_ECC",
        "rsa": "ASYMMETRIC_SIGN_VERIFY_RSA_2048",
        "decrypt": "ASYMMETRIC_DECRYPT_RSA_2048",
    }

    def __init__(self, folder):
        program = TARGET / "release/tckms-emulator"
        options = [option for alias, usage in self.KEYS.items() for option in ("--key", f"{alias}:{usage}")]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.ready = json.loads(self.process.stdout.readline())
        self.folder = folder
        self.keys = self.ready["keys"]
        self.environment = {
            "TCKMS_ENDPOINT": self.ready["endpoint"],
            "TENCENTCLOUD_REGION": "ap-guangzhou",
            "TENCENTCLOUD_SECRET_ID": self.ready["secret_id"],
            "TENCENTCLOUD_SECRET_KEY": self.ready["secret_key"],
        }
        for alias in self.keys:
            self._public_key(alias)

    def _public_key(self, alias):
        environment = {**os.environ, **self.environment}
        command = [TARGET / "release/tckms", "public-key", "--key", self.keys[alias]]
        pem = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        (self.folder / f"{alias}.pub").write_text(pem)

    def admin(self, method, path, body=""):
        request = urllib.request.Request(f"{self.ready['endpoint']}/_admin/{path}", data=body.encode() or None, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as reply:
            return reply.read()

    def signatures(self):
        """How many signatures it made."""
        seen = json.loads(self.admin("GET", "requests"))["requests"]
        return sum(request["action"] == "SignByAsymmetricKey" for request in seen)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def make_certificates(folder, aliases):
    """A certificate authority with its key in a file, and certificates for the keys in KMS, each with the authority's behind it."""

    def openssl(*arguments):
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "OPENSSL_CONF": "/etc/ssl/openssl.cnf"})

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-subj", "/CN=Test CA", "-days", "30")
    openssl("req", "-new", "-key", "ca.key", "-subj", "/CN=localhost", "-out", "request")
    extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth,codeSigning,emailProtection\n"
    (folder / "extensions").write_text(extensions + "keyUsage=digitalSignature\n")
    for alias in aliases:
        openssl("x509", "-req", "-in", "request", "-force_pubkey", f"{alias}.pub", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "30", "-extfile", "extensions", "-out", f"{alias}.crt")
        (folder / f"{alias}.pem").write_text((folder / f"{alias}.crt").read_text() + (folder / "ca.pem").read_text())


class Work:
    """A folder and an environment for one check."""

    def __init__(self, emulator, certificates, name):
        self.emulator = emulator
        self.folder = Path(tempfile.mkdtemp(prefix=f"tckms-{name}-"))
        self.folder.chmod(0o755)
        for file in certificates.iterdir():
            if file.is_file():
                shutil.copy(file, self.folder)
        self.write("file", "What is signed.\n")
        keys = ",".join(f"{alias}={key}" for alias, key in emulator.keys.items())
        self.environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "MODULE": str(MODULE),
            "KEY": "pkcs11:token=tckms;object=web;type=private",
            "TCKMS_PKCS11_KEYS": keys,
            "TCKMS_PKCS11_LOG": str(self.folder / "module.log"),
            **emulator.environment,
        }
        self.processes = []

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def read(self, name):
        return (self.folder / name).read_text()

    def use_key(self, alias):
        """Has $KEY name another key."""
        self.environment["KEY"] = f"pkcs11:token=tckms;object={alias};type=private"

    def configure(self, text=""):
        """Has the module read a file with the keys and their certificates instead of the variable."""
        token = '[token "tckms"]\nregion = ap-guangzhou\n'
        keys = [
            f'[key "{alias}"]\nid = {self.emulator.keys[alias]}\n'
            + (f"certificate = {alias}.pem\n" if alias != "decrypt" else "public_key = decrypt.pub\nusage = decrypt\n")
            for alias in self.emulator.keys
        ]
        del self.environment["TCKMS_PKCS11_KEYS"]
        self.environment["TCKMS_PKCS11_CONFIG"] = str(self.write("pkcs11.conf", token + "".join(keys) + text))

    def run(self, command, expect=0, **options):
        """Runs a command line of the shell in the folder. Returns what it printed on both streams."""
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=4 * SECONDS, **options)
        said = done.stdout.decode(errors="replace")
        if expect is not None:
            assert done.returncode == expect, f"{command}\nended with {done.returncode}\n{said}{self.log()}"
        return said

    def start(self, command, port=None):
        """Starts a command in the background, and waits until it listens."""
        output = open(self.folder / f"output{len(self.processes)}", "wb")
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment,
                                   stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)
        self.processes.append(process)

        def is_ready():
            said = Path(output.name).read_text(errors="replace")
            assert process.poll() is None, f"{command}\nended with {process.returncode}\n{said}{self.log()}"
            return port is None or answers(port)

        wait_for(is_ready, command)
        return process

    def log(self):
        """The lines of the module's log."""
        file = self.folder / "module.log"
        return file.read_text() if file.exists() else ""

    def signatures(self, expected, action):
        """Does something, which has to make this many signatures in KMS. One at least if `expected` is None."""
        before = self.emulator.signatures()
        result = action()
        made = self.emulator.signatures() - before
        if expected is None:
            assert made >= 1, f"no signature was made in KMS\n{self.log()}"
        else:
            assert made == expected, f"{made} signatures in KMS, not {expected}\n{self.log()}"
        return result

    def verify(self, signature, data="file", alias="web", options=""):
        """OpenSSL verifies a signature with the public key."""
        said = self.run(f"OPENSSL_CONF= openssl dgst -sha256 -verify {alias}.pub {options} -signature {signature} {data}")
        assert "Verified OK" in said, said

    def handshake(self, port, alias="web", options="-tls1_3", expect=0):
        """A TLS handshake: the chain is trusted, and the server's key is the key in KMS."""
        said = self.run(f"OPENSSL_CONF= openssl s_client -connect 127.0.0.1:{port} -servername localhost -CAfile ca.pem "
                        f"-verify_return_error {options} </dev/null", expect=expect)
        if expect == 0:
            assert "Verify return code: 0 (ok)" in said, said
            certificate = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", said, re.DOTALL)
            self.write("peer.pem", certificate.group())
            public = self.run("OPENSSL_CONF= openssl x509 -in peer.pem -noout -pubkey")
            assert public == self.read(f"{alias}.pub"), said
        return said

    def stop(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self):
        for process in self.processes:
            self.stop(process)
        if not os.environ.get("TCKMS_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

