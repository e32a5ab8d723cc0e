#!/usr/bin/env python3
"""Compares tckms with programs that its users already have: age, openssl, gpg, the AWS Encryption SDK's tool, cp, libcurl, and
Tencent's SDKs.

    scripts/bench-tools.py [--quick] [--part file|call|start|growth] [--json FILE] [--write]

The programs of a part alternate in each round. A ratio is the median over the rounds of one program's figure divided by another's
in the same round. A round in which other programs use more than 5 % of the processors is repeated. Programs that are not installed
are listed.

  TCKMS_BENCH_AWS_CLI   aws-encryption-cli, with the provider of docs/interop/python in its environment; the sealing tests install
                        one in target/tmp/interop-python-cli/bin
  TCKMS_BENCH_PYTHON    a Python that has tencentcloud-sdk-python-kms, such as target/tmp/interop-python-3/bin/python
  TCKMS_BENCH_CPP_SDK   a program that makes Encrypt calls with Tencent's C++ SDK: PROGRAM KEY_ID CALLS
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DIST = TARGET / "dist"
# The compiled bench/tools/run.c, which runs the commands.
RUNNER = Path("run")
# The share of the processors that other programs may use in a round, and how often a part may repeat rounds.
OTHERS_MAX = 0.05
REPEATS_MAX = 2

PYTHON_CALLS = """
import sys
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.kms.v20190118 import kms_client, models
import os
scheme, host = os.environ["TCKMS_ENDPOINT"].split("://")
trusted = os.environ.get("TCKMS_CA_FILE", True)
profile = ClientProfile(httpProfile=HttpProfile(protocol=scheme, endpoint=host, keepAlive=True, certification=trusted))
identity = credential.Credential(os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"])
client = kms_client.KmsClient(identity, os.environ["TENCENTCLOUD_REGION"], profile)
for _ in range(int(sys.argv[2])):
    request = models.EncryptRequest()
    request.KeyId, request.Plaintext = sys.argv[1], "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
    client.Encrypt(request)
"""


class Cost:
    """The cost of a process: wall-clock seconds, CPU seconds, and peak memory in KiB."""

    def __init__(self, figures):
        wall, cpu, memory = figures.split()
        self.wall, self.cpu, self.memory = float(wall), float(cpu), int(memory)


def run(command, environment=None):
    """Runs a command. If it fails, the benchmark ends."""
    figures = RUNNER.with_name("figures")
    status = subprocess.run([str(word) for word in [RUNNER, figures, *command]], env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    if status != 0:
        sys.exit(f"bench-tools: {command[0]} failed with {status}")
    return Cost(figures.read_text())


class Machine:
    """The load of other programs on the processors, from the kernel's counters."""

    def __init__(self, helpers):
        self.helpers = helpers
        self.repeated = self.disturbed = 0

    def busy(self):
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        user, nice, system, _idle, _wait, irq, softirq = fields[:7]
        return user + nice + system + irq + softirq

    def own(self):
        times = os.times()
        ticks = os.sysconf("SC_CLK_TCK")
        total = (times.user + times.system + times.children_user + times.children_system) * ticks
        for pid in self.helpers:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def share_of_others(self, before, wall):
        others = (self.busy() - before[0]) - (self.own() - before[1])
        return max(0.0, others / (wall * os.sysconf("SC_CLK_TCK") * os.cpu_count()))

    def rounds(self, count, turns):
        """The costs of each of `turns`, by its name, in `count` rounds."""
        series, repeats = {name: [] for name in turns}, REPEATS_MAX * count
        names = list(turns)
        for name in names:
            turns[name]()
        number = 0
        while number < count:
            before, began = (self.busy(), self.own()), time.monotonic()
            costs = {name: turns[name]() for name in names[number % len(names):] + names[:number % len(names)]}
            if self.share_of_others(before, time.monotonic() - began) > OTHERS_MAX:
                if repeats > 0:
                    repeats -= 1
                    self.repeated += 1
                    continue
                self.disturbed += 1
            for name, cost in costs.items():
                series[name].append(cost)
            number += 1
        return series

    def verdict(self):
        if self.disturbed:
            return (f"THE MACHINE IS BUSY: other programs used more than {OTHERS_MAX:.0%} of the processors in {self.disturbed} of the "
                    f"rounds that count, and {self.repeated} more rounds were repeated. Do not publish these figures.")
        return f"Other programs used at most {OTHERS_MAX:.0%} of the processors; {self.repeated} rounds were repeated."


def median(values):
    return statistics.median(values)


def ratio(ours, theirs, of):
    return median(of(us) / of(them) for us, them in zip(ours, theirs))


class Emulator:
    def __init__(self, *options):
        self.process = subprocess.Popen([TARGET / "release/tckms-emulator", "--key", "bench", *options], stdout=subprocess.PIPE)
        self.ready = json.loads(self.process.stdout.readline())
        self.key_id = self.ready["keys"]["bench"]
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LD_LIBRARY_PATH": str(DIST),
            "TCKMS_ENDPOINT": self.ready["endpoint"], "TENCENTCLOUD_REGION": "ap-guangzhou",
            "TENCENTCLOUD_SECRET_ID": self.ready["secret_id"], "TENCENTCLOUD_SECRET_KEY": self.ready["secret_key"],
        }
        if self.ready.get("ca_file"):
            self.environment["TCKMS_CA_FILE"] = self.ready["ca_file"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def compile_program(folder, source, *libraries):
    program = folder / Path(source).stem
    subprocess.run(["cc", "-std=c11", "-O2", "-o", program, ROOT / source, f"-I{ROOT}/include", f"-L{DIST}", *libraries, "-lpthread"],
                   check=True)
    return program


def missing(what):
    print(f"not measured: {what}", file=sys.stderr)


def files(folder, emulator, machine, quick):
    """A file from memory to memory, encrypted and decrypted."""
    size = (64 << 20) if quick else (1 << 30)
    plain = folder / "plain"
    with plain.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    out = folder / "out"

    def new_file(command, environment=None):
        """Runs a command that writes `out`, after removing an old `out`: other programs would overwrite its memory, while tckms-seal
        keeps the old file until the new one is complete."""
        out.unlink(missing_ok=True)
        return run(command, environment)

    key, iv = "00" * 32, "00" * 16
    seal = DIST / "tckms-seal"
    encrypt = {
        "tckms-seal": lambda: new_file([seal, "-q", "-k", emulator.key_id, "-o", out, plain], emulator.environment),
        "tckms-seal -t 1": lambda: new_file([seal, "-q", "-t", "1", "-k", emulator.key_id, "-o", out, plain], emulator.environment),
        "cp": lambda: new_file(["cp", plain, out]),
    }
    decrypt = {}

    def add(name, encrypting, decrypting, message):
        encrypt[name] = encrypting
        encrypting()
        shutil.move(out, message)
        decrypt[name] = decrypting

    sealed = folder / "sealed"
    encrypt["tckms-seal"]()
    shutil.move(out, sealed)
    decrypt["tckms-seal"] = lambda: new_file([seal, "-d", "-q", "-k", emulator.key_id, "-o", out, sealed], emulator.environment)
    decrypt["cp"] = encrypt["cp"]
    if shutil.which("age"):
        identity = folder / "age.key"
        subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
        recipient = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout.strip()
        add("age", lambda: new_file(["age", "-r", recipient, "-o", out, plain]),
            lambda: new_file(["age", "-d", "-i", identity, "-o", out, folder / "age"]), folder / "age")
    else:
        missing("age")
    add("openssl enc -aes-256-ctr", lambda: new_file(["openssl", "enc", "-aes-256-ctr", "-K", key, "-iv", iv, "-in", plain, "-out", out]),
        lambda: new_file(["openssl", "enc", "-d", "-aes-256-ctr", "-K", key, "-iv", iv, "-in", folder / "ctr", "-out", out]), folder / "ctr")
    if shutil.which("gpg"):
        home = folder / "gnupg"
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--passphrase", "x", "--pinentry-mode", "loopback"]
        add("gpg --symmetric", lambda: new_file([*gpg, "--cipher-algo", "AES256", "--compress-algo", "none", "-o", out, "-c", plain]),
            lambda: new_file([*gpg, "-o", out, "-d", folder / "gpg"]), folder / "gpg")
    else:
        missing("gpg")
    if cli := os.environ.get("TCKMS_BENCH_AWS_CLI"):
        aws = [cli, "--suppress-metadata", "--wrapping-keys", "provider=tencent-kms",
               f"key=ap-guangzhou/{emulator.key_id}", "--output", out]
        add("aws-encryption-cli", lambda: new_file([*aws, "--encrypt", "--input", plain], emulator.environment),
            lambda: new_file([*aws, "--decrypt", "--input", folder / "aws"], emulator.environment), folder / "aws")
    else:
        missing("aws-encryption-cli: TCKMS_BENCH_AWS_CLI is not set")
    rounds = 3 if quick else 7
    return [
        table(f"Encrypting a file of {size >> 20} MiB", machine.rounds(rounds, encrypt), "tckms-seal", size),
        table(f"Decrypting a file of {size >> 20} MiB", machine.rounds(rounds, decrypt), "tckms-seal", size),
    ]


def table(title, series, ours, size=None):
    rows = []
    for name, costs in series.items():
        row = {
            "name": name, "wall_s": median(cost.wall for cost in costs), "cpu_s": median(cost.cpu for cost in costs),
            "memory_mib": max(cost.memory for cost in costs) / 1024,
            "ours_to_this_wall": ratio(series[ours], costs, lambda cost: cost.wall),
            "ours_to_this_cpu": ratio(series[ours], costs, lambda cost: max(cost.cpu, 1e-9)),
        }
        rows.append(row)
    return {"title": title, "ours": ours, "rows": rows}


def calls(folder, emulator, machine, quick):
    """One Encrypt call in a process that makes many, without the start of the process."""
    count = 500 if quick else 2000
    body = json.dumps({"KeyId": emulator.key_id, "Plaintext": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="})
    tckms = compile_program(folder, "bench/tools/call.c", "-ltckms")
    programs = {"tckms_encrypt": lambda number: [tckms, emulator.key_id, number, 1]}
    try:
        curl = compile_program(folder, "bench/tools/curl_call.c", "-lcurl")
        ca = [emulator.ready["ca_file"]] if emulator.ready.get("ca_file") else []
        programs["libcurl, no signature, reply not parsed"] = lambda number: [curl, emulator.ready["endpoint"], body, number, *ca]
    except subprocess.CalledProcessError:
        missing("libcurl: its headers are not installed")
    if python := os.environ.get("TCKMS_BENCH_PYTHON"):
        programs["tencentcloud-sdk-python"] = lambda number: [python, "-c", PYTHON_CALLS, emulator.key_id, number]
    else:
        missing("Tencent's SDK for Python: TCKMS_BENCH_PYTHON is not set")
    if sdk := os.environ.get("TCKMS_BENCH_CPP_SDK"):
        programs["tencentcloud-sdk-cpp"] = lambda number: [sdk, emulator.key_id, number]
    else:
        missing("Tencent's SDK for C++: TCKMS_BENCH_CPP_SDK is not set")

    def turn(command):
        def cost():
            start, total = run(command(1), emulator.environment), run(command(count + 1), emulator.environment)
            total.wall, total.cpu = (total.wall - start.wall) / count, (total.cpu - start.cpu) / count
            return total
        return cost

    series = machine.rounds(3 if quick else 11, {name: turn(command) for name, command in programs.items()})
    return [table(f"One Encrypt call of 32 bytes over {emulator.ready['endpoint'].split(':')[0].upper()}", series, "tckms_encrypt")]


def first_call(folder, emulator, machine, quick):
    """A process that makes one call over HTTPS and ends."""
    tckms = compile_program(folder, "bench/tools/call.c", "-ltckms")
    bundle = folder / "system.pem"
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    ca_file = emulator.ready["ca_file"]
    bundle.write_text(Path(ca_file).read_text() + (system.read_text() if system.exists() else ""))
    body = json.dumps({"KeyId": emulator.key_id, "Plaintext": "eHg="})
    tables = []
    for title, ca in [("one certificate", ca_file), ("the system's CA store", bundle)]:
        environment = {**emulator.environment, "TCKMS_CA_FILE": str(ca)}
        curl = ["curl", "-s", "--noproxy", "*", "--cacert", ca, "-H", "X-TC-Action: Encrypt", "-d", body, emulator.ready["endpoint"]]
        turns = {"tckms_encrypt": lambda: run([tckms, emulator.key_id, 1, 1], environment), "curl": lambda: run(curl)}
        series = machine.rounds(7 if quick else 31, turns)
        tables.append(table(f"A process that makes one call over HTTPS and ends, {title}", series, "tckms_encrypt"))
    return tables


def growth(folder, emulator, machine, quick):
    """The time as a function of the number of threads, the length of a message, and the number of pairs in its context."""
    call, seal = compile_program(folder, "bench/tools/call.c", "-ltckms"), compile_program(folder, "bench/tools/seal.c", "-ltckms")
    count, rounds, tables = 640 if quick else 3200, 3 if quick else 7, []

    def each(title, ours, programs, amount):
        def turn(command, number):
            def cost():
                start, total = run(command(0), emulator.environment), run(command(number), emulator.environment)
                total.wall, total.cpu = max(total.wall - start.wall, 1e-9) / number, max(total.cpu - start.cpu, 1e-9) / number
                return total
            return cost
        turns = {name: turn(command, amount(name)) for name, command in programs.items()}
        tables.append(table(title, machine.rounds(rounds, turns), ours))

    threads = {f"{number} threads": (lambda calls, number=number: [call, emulator.key_id, calls, number]) for number in (1, 2, 8, 64)}
    each("One Encrypt call, by threads", "1 threads", threads, lambda _: count)
    sizes = {name: size for name, size in [("0 B", 0), ("1 KiB", 1 << 10), ("64 KiB", 1 << 16), ("1 MiB", 1 << 20), ("64 MiB", 1 << 26),
                                           ("1 GiB", 1 << 30)] if not quick or size <= 1 << 26}
    by_size = {name: (lambda calls, size=size: [seal, size, calls, 2]) for name, size in sizes.items()}
    each("tckms_seal, by the length of the message", "1 KiB", by_size, lambda name: max(1, min(20000, (1 << 28) // max(sizes[name], 8192))))
    pairs = {f"{number} pairs": (lambda calls, number=number: [seal, 1024, calls, number]) for number in (0, 2, 8, 32)}
    each("tckms_seal of 1 KiB, by the pairs of the context", "0 pairs", pairs, lambda _: 20000)
    return tables


def time_text(seconds):
    for unit, factor in [("s", 1), ("ms", 1e3)]:
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


def markdown(tables, verdict):
    lines = [verdict, ""]
    for one in tables:
        lines += [f"### {one['title']}", "", f"| | time | CPU time | memory | {one['ours']} to this, time | CPU time |", "|---|---|---|---|---|---|"]
        for row in one["rows"]:
            lines.append(f"| {row['name']} | {time_text(row['wall_s'])} | {time_text(row['cpu_s'])} | {row['memory_mib']:.0f} MiB | "
                         f"{row['ours_to_this_wall']:.2f} | {row['ours_to_this_cpu']:.2f} |")
        lines.append("")
    return "\n".join(lines)


def write_document(text, machine):
    if machine.disturbed:
        sys.exit("bench-tools: docs/performance.md was not updated, because the machine was busy")
    document = ROOT / "docs/performance.md"
    before, begin, rest = document.read_text().partition("<!-- bench-tools -->\n")
    _, end, after = rest.partition("<!-- /bench-tools -->\n")
    document.write_text(before + begin + text + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a rough result: small files and few rounds")
    parser.add_argument("--part", choices=["file", "call", "start", "growth"], action="append", help="measure only this; repeatable")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/performance.md, unless the machine was busy")
    options = parser.parse_args()
    parts = options.part or ["file", "call", "start", "growth"]
    memory = Path("/dev/shm")
    http, https = Emulator(), Emulator("--tls")
    machine, tables = Machine([http.process.pid, https.process.pid]), []
    try:
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
            folder = Path(name)
            global RUNNER
            RUNNER = compile_program(folder, "bench/tools/run.c")
            for part, measure, emulator in [("file", files, http), ("call", calls, http), ("call", calls, https), ("start", first_call, https),
                                            ("growth", growth, http)]:
                if part in parts:
                    print(f"measuring {part}", file=sys.stderr)
                    tables += measure(folder, emulator, machine, options.quick)
    finally:
        http.stop()
        https.stop()
    text = markdown(tables, machine.verdict())
    print(text)
    if options.write:
        write_document(text, machine)
    if options.json:
        options.json.write_text(json.dumps({"verdict": machine.verdict(), "tables": tables}, indent=2) + "\n")


if __name__ == "__main__":
    main()
