#!/usr/bin/env python3
"""Compares the PKCS#11 module with the library and with a key in a file.

    scripts/bench-pkcs11.py [PART…]   all parts except nginx by default

  instructions   C_SignInit and C_Sign compared with tckms_sign_digest, under callgrind; fails above 1.2 times as many instructions
  start          fails if C_Initialize with 1,000 keys in files takes 50 ms or more, or discovery of 1,000 keys 15 s or more
  nginx          handshakes per second with a P-256 key in a file, and in the emulator with a delay of 0 or 5 ms for each signature;
                 the figures depend on the machine, and never fail
"""

import base64
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
DIST = TARGET / "dist"
MODULE = DIST / "libtckms-pkcs11.so"
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "pkcs11/tests/consumers"))

CALLS = 50
RATIO_MAX = 1.2
KEYS = 1000
INITIALIZE_MAX_MS = 50
DISCOVERY_MAX_MS = 15000
SECONDS = 5
CLIENTS = 8


def key_id(number):
    return f"23e80852-1e38-11e9-b129-{number:012x}"


class Service(http.server.BaseHTTPRequestHandler):
    """Replies for one key and one digest, because the module and the library verify each signature."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = getattr(self, self.headers["X-TC-Action"])(request)
        body = json.dumps({"Response": {**reply, "RequestId": "6ef60bec-0242-43af-bb20-270359fb54a7"}}).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def GetPublicKey(self, request):
        return {"KeyId": request["KeyId"], "PublicKey": self.server.public_key, "PublicKeyPem": ""}

    def SignByAsymmetricKey(self, _):
        return {"Signature": self.server.signature}

    def ListKeyDetail(self, request):
        first, count = request.get("Offset", 0), request.get("Limit", 10)
        keys = [{"KeyId": key_id(number), "Alias": f"key-{number}", "KeyState": "Enabled", "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_ECC"}
                for number in range(first, min(first + count, KEYS))]
        return {"TotalCount": KEYS, "KeyMetadatas": keys}

    def log_message(self, *_):
        pass


def serve(folder):
    """Starts the service. OpenSSL signs the digest, 32 bytes of value 7."""
    (folder / "digest").write_bytes(bytes([7] * 32))
    openssl = lambda *arguments: subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    openssl("ec", "-in", "key.pem", "-pubout", "-out", "public.pem")
    openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-in", "digest", "-out", "signature")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    server.public_key = "".join((folder / "public.pem").read_text().splitlines()[1:-1])
    server.signature = base64.b64encode((folder / "signature").read_bytes()).decode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TCKMS_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "TENCENTCLOUD_REGION": "ap-guangzhou",
        "TENCENTCLOUD_SECRET_ID": "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
        "TENCENTCLOUD_SECRET_KEY": "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        "TCKMS_PKCS11_LOG": "stderr",
    }


def count(program, folder, environment, what):
    """The instructions of one call in the round with the fewest: in the others threads slept and woke more often."""
    out = folder / f"{Path(what).name}.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--combine-dumps=no", program, what, key_id(0), str(CALLS)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(f"{what}: {finished.stderr}")
    rounds = [re.search(r"^(?:totals|summary): (\d+)", file.read_text(), re.MULTILINE) for file in folder.glob(f"{out.name}.*")]
    return min(int(found.group(1)) for found in rounds if found and int(found.group(1)) > 1000 * CALLS) / CALLS


def instructions(folder):
    """C_SignInit and C_Sign compared with tckms_sign_digest."""
    environment = serve(folder)
    # As in scripts/bench-instructions.py: the variants of the C library that every processor has.
    environment["GLIBC_TUNABLES"] = "glibc.cpu.hwcaps=" + ",".join(
        f"-{name}" for name in "AVX_Usable,AVX2_Usable,AVX512F_Usable,AVX_Fast_Unaligned_Load,AVX,AVX2,ERMS,FSRM".split(","))
    environment["LD_LIBRARY_PATH"] = str(DIST)
    environment["TCKMS_PKCS11_KEYS"] = f"key={key_id(0)}"
    program = folder / "signing"
    subprocess.run(["cc", "-O1", "-o", program, ROOT / "bench/instructions/signing.c", f"-I{ROOT}/include", f"-L{DIST}", "-ltckms", "-ldl"],
                   check=True)
    library = count(program, folder, environment, "library")
    module = count(program, folder, environment, str(MODULE))
    print(f"instructions of a P-256 signature: tckms_sign_digest {library:,.0f}, C_SignInit and C_Sign {module:,.0f}, "
          f"ratio {module / library:.3f}")
    return module <= RATIO_MAX * library


def steps(folder, environment, configuration, wanted):
    """The time of the step `wanted` of pkcs11/tests/c/steps.c with a configuration, in milliseconds."""
    file = folder / "pkcs11.conf"
    file.write_text(configuration)
    program = folder / "steps"
    if not program.exists():
        subprocess.run(["cc", "-std=gnu99", "-O1", "-o", program, ROOT / "pkcs11/tests/c/steps.c", "-ldl", "-lpthread"], check=True)
    environment = {**environment, "TCKMS_PKCS11_CONFIG": str(file), "TEST_MODULE": str(MODULE), "TEST_TIMES": "1"}
    output = subprocess.run([program, "init", "find"], env=environment, check=True, capture_output=True, text=True).stdout
    assert "init 0\n" in output and "find 0\n" in output and output.count("private ") == KEYS, output[-2000:]
    return float(re.search(rf"{wanted} took ([0-9.]+) ms", output).group(1))


def start(folder):
    """C_Initialize with keys in files, and the first search with discovery."""
    environment = serve(folder)
    token = '[token "t"]\nregion = ap-guangzhou\n'
    keys = "".join(f'[key "key-{number}"]\nid = {key_id(number)}\npublic_key = public.pem\n' for number in range(KEYS))
    initialize = min(steps(folder, environment, token + keys, "init") for _ in range(3))
    discovery = steps(folder, environment, token + "discover = all\n", "find")
    print(f"C_Initialize with {KEYS} keys in files: {initialize:.1f} ms")
    print(f"discovery of {KEYS} keys at 100 requests per second: {discovery / 1000:.1f} s")
    return initialize < INITIALIZE_MAX_MS and discovery < DISCOVERY_MAX_MS


def handshakes(port, folder, version):
    """New sessions per second with several concurrent clients."""
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(SECONDS), "-CAfile", "ca.pem", version]
    environment = {"PATH": os.environ["PATH"], "OPENSSL_CONF": "/etc/ssl/openssl.cnf"}
    clients = [subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
               for _ in range(CLIENTS)]
    outputs = [client.communicate()[0] for client in clients]
    return sum(int(re.search(r"^(\d+) connections in \d+ real seconds", text, re.MULTILINE).group(1)) for text in outputs) / SECONDS


def nginx(folder):
    """Handshakes per second."""
    import harness
    from nginx import Nginx
    from openssl import use_engine

    emulator = harness.Emulator(folder)
    harness.make_certificates(folder, ["web"])
    print(f"handshakes per second of nginx, two workers, {CLIENTS} clients; load of the machine before: {os.getloadavg()[0]:.1f}")
    try:
        for name, delay in (("key in KMS, 0 ms", 0), ("key in KMS, 5 ms", 5), ("key in a file", None)):
            work = harness.Work(emulator, folder, "bench")
            use_engine(work)
            script = [{"action": "SignByAsymmetricKey", "fault": {"kind": "delay", "ms": delay}, "times": 1000000}] if delay else []
            emulator.admin("PUT", "faults", json.dumps(script))
            server = Nginx(work, "web")
            if delay is None:
                in_file(work)
            server.start()
            figures = [handshakes(server.port, work.folder, version) for version in ("-tls1_2", "-tls1_3")]
            print(f"| {name} | {figures[0]:.0f} | {figures[1]:.0f} |")
            server.stop()
            work.end()
    finally:
        emulator.stop()
    return True


def in_file(work):
    """Configures nginx with a key in a file."""
    text = work.read("nginx.conf").replace("ssl_engine pkcs11;\n", "")
    work.write("nginx.conf", re.sub(r'"engine:.*"', f"{work.folder}/file.key", text))
    work.run("export OPENSSL_CONF=/etc/ssl/openssl.cnf; "
             "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout file.key -subj /CN=localhost -out file.csr && "
             "openssl x509 -req -in file.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out web.pem")


def main():
    parts = {"instructions": instructions, "start": start, "nginx": nginx}
    wanted = sys.argv[1:] or ["instructions", "start"]
    if not set(wanted) <= set(parts):
        sys.exit(__doc__)
    failed = []
    for part in wanted:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            began = time.monotonic()
            if not parts[part](folder):
                failed.append(part)
            print(f"({part}: {time.monotonic() - began:.0f} s)", flush=True)
    if failed:
        sys.exit(f"too slow: {', '.join(failed)}")


if __name__ == "__main__":
    main()
