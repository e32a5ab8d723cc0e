#!/usr/bin/env python3
"""Counts the instructions of the library's calls under callgrind, and compares them with bench/instructions/baseline.json.

    scripts/bench-instructions.py                 print the counts; fail if one is more than 3 % above its baseline
    scripts/bench-instructions.py --update        write the baseline
    scripts/bench-instructions.py --top CASE      print the functions of one case that take the most
    scripts/bench-instructions.py --beside FILE   count with another shared library too, such as that of `make dist`; fail if
                                                  a case takes more than 3 % more with it

Other load on the machine does not change the counts. To make them independent of the processor too, the C library uses variants
that every x86-64 processor has. The code of hash functions and ciphers depends on the processor, so they are in separate columns,
which are not compared.
"""

import argparse
import http.server
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench/instructions/baseline.json"
SOURCE = ROOT / "bench/instructions/workload.c"
LIBRARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

# How much more than its baseline a case may take.
ALLOWED = 0.03
CALLS = 100
ROUNDS = 6
CASES = ["encrypt-32", "decrypt-32", "queue-encrypt-32", "seal-1k", "open-1k", "seal-64k", "open-64k", "stream-seal-64k", "stream-open-64k"]

# Selects the variants of memset() and memcpy() that every x86-64 processor has. Otherwise the choice depends on the processor, and
# callgrind counts a repeated string instruction once for each byte.
ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join(
        f"-{name}" for name in
        "AVX_Usable,AVX2_Usable,AVX512F_Usable,AVX_Fast_Unaligned_Load,AVX,AVX2,AVX512F,AVX512VL,AVX512BW,ERMS,FSRM".split(",")),
}

# The functions in other columns than the library's, by name.
HASHES = re.compile(r"sha(256|384|512)|sha2::|sm3::", re.IGNORECASE)
CIPHERS = re.compile(r"aes|gcm|ghash|chacha|poly1305|x25519|p256|ecp_nistz", re.IGNORECASE)
MEMORY = re.compile(r"^(__)?(memset|memcpy|memmove|explicit_bzero)", re.IGNORECASE)
ALLOCATOR = re.compile(r"malloc|calloc|realloc|^_?_?(libc_)?(free|cfree)|_int_free|unlink_chunk|sysmalloc|systrim|posix_memalign")
COLUMNS = ["library", "memory", "malloc", "other", "hashes", "ciphers"]
# The columns whose sum is compared.
COMPARED = ["library", "memory", "malloc", "other"]


class Service(http.server.BaseHTTPRequestHandler):
    """Always sends the same reply to an action."""

    protocol_version = "HTTP/1.1"
    KEY = '"KeyId":"23e80852-1e38-11e9-b129-5cb9019b4b01","RequestId":"6ef60bec-0242-43af-bb20-270359fb54a7"'
    REPLIES = {
        "Encrypt": f'{{"Response":{{"CiphertextBlob":"{"A" * 88}-k-{"B" * 24}-k-{"C" * 48}",{KEY}}}}}',
        "Decrypt": f'{{"Response":{{"Plaintext":"{"QUFB" * 10}QUE=",{KEY}}}}}',
    }

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        reply = self.REPLIES[self.headers["X-TC-Action"]].encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 01 Aug 2026 00:00:00 GMT\r\n"
                         b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply))

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def build(folder):
    program = folder / "workload"
    subprocess.run(["cc", "-std=c11", "-O1", "-o", program, SOURCE, f"-I{ROOT}/include", f"-L{LIBRARY}", "-ltckms"], check=True)
    # Cargo's library: the installed one has no symbols.
    shutil.copy(LIBRARY / "libtckms.so", folder)
    return program


def callers(dump, wanted):
    """The calls and instructions of functions with `wanted` in their names, by caller."""
    counts, caller, callee, calls = {}, None, None, None
    for line in dump.splitlines():
        if line.startswith("fn="):
            caller = line[3:]
        elif line.startswith("cfn="):
            callee = line[4:]
        elif line.startswith("calls="):
            calls = int(line[6:].split()[0])
        elif calls is not None:
            if wanted in callee:
                before = counts.get((caller, callee), (0, 0))
                counts[caller, callee] = (before[0] + calls, before[1] + int(line.split()[1]))
            calls = None
    return counts


def functions(dump):
    """The instructions of each function in a file of callgrind, without those of the functions that it calls."""
    counts, function, lib, is_call = {}, None, "", False
    for line in dump.splitlines():
        if line.startswith("ob="):
            lib = line[3:]
        elif line.startswith("fn="):
            function = (lib, line[3:])
        elif line.startswith("calls="):
            is_call = True
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            if not is_call:
                counts[function] = counts.get(function, 0) + int(line.split()[1])
            is_call = False
    return counts


def column(lib, name, program):
    if lib == str(program):
        return None
    if "libtckms" in lib:
        return "hashes" if HASHES.search(name) else "ciphers" if CIPHERS.search(name) else "library"
    if MEMORY.search(name):
        return "memory"
    return "malloc" if ALLOCATOR.search(name) else "other"


def run(program, endpoint, case, folder):
    """Runs a case under callgrind. Returns the file of each round."""
    out = folder / f"{case}.out"
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no", "--compress-pos=no",
                "--dump-line=no", "--combine-dumps=no"]
    environment = {**os.environ, **ENVIRONMENT, "LD_LIBRARY_PATH": str(folder)}
    finished = subprocess.run([*valgrind, program, endpoint, case, str(CALLS), str(ROUNDS)], env=environment,
                              capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(f"{case}: {finished.stderr}")
    return [(folder / f"{case}.out.{number}").read_text() for number in range(1, ROUNDS + 1)]


def summary(counts, program):
    columns = dict.fromkeys(COLUMNS, 0)
    for (lib, name), count in counts.items():
        if where := column(lib, name, program):
            columns[where] += count / CALLS
    return columns


def measure(program, endpoint, case, folder):
    """The columns of the round with the fewest instructions: in the others a thread slept and woke more often than necessary."""
    rounds = [summary(functions(dump), program) for dump in run(program, endpoint, case, folder)]
    return {name: round(count) for name, count in min(rounds, key=compared).items()}


def compared(columns):
    return sum(columns[name] for name in COMPARED)


def versions():
    """The programs and libraries on which the counts depend."""
    first_line = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    return {
        "rustc": first_line("rustc", "--version"),
        "libc": " ".join(platform.libc_ver()),
        "valgrind": first_line("valgrind", "--version"),
    }


def print_table(measured, baseline):
    print("instructions a call     compared   baseline  change  " + "".join(f"{name:>10}" for name in COLUMNS))
    for case, columns in measured.items():
        now, before = compared(columns), compared(baseline[case]) if case in baseline else None
        change = f"{(now / before - 1) * 100:+7.1f}%" if before else "        "
        print(f"{case:<20} {now:>11} {before or '-':>10} {change} " + "".join(f"{columns[name]:>10}" for name in COLUMNS))
    print(f"\ncompared: {' + '.join(COMPARED)}. Hash functions and ciphers depend on the processor and are not compared.")


def too_high(measured, baseline):
    return [case for case, columns in measured.items()
            if case not in baseline or compared(columns) > compared(baseline[case]) * (1 + ALLOWED)]


def compare_with(other, program, endpoint, folder):
    """Compares the sums of all columns, because a library without symbols does not name its functions."""
    here = {case: sum(measure(program, endpoint, case, folder).values()) for case in CASES}
    shutil.copy(other, folder / "libtckms.so")
    there = {case: sum(measure(program, endpoint, case, folder).values()) for case in CASES}
    print("instructions a call       this build        other  change")
    for case in CASES:
        print(f"{case:<20} {here[case]:>15} {there[case]:>12} {(there[case] / here[case] - 1) * 100:+6.1f}%")
    if failed := [case for case in CASES if there[case] > here[case] * (1 + ALLOWED)]:
        sys.exit(f"more than {ALLOWED:.0%} above this build: {', '.join(failed)}")


def print_top(program, endpoint, case, folder, called):
    dump = run(program, endpoint, case, folder)[0]
    if called:
        for (caller, callee), (calls, count) in sorted(callers(dump, called).items(), key=lambda item: -item[1][1])[:60]:
            print(f"{count / CALLS:>10.0f} in {calls / CALLS:>6.1f} calls of {callee} by {caller}")
        return
    counts = functions(dump)
    for (lib, name), count in sorted(counts.items(), key=lambda item: -item[1])[:60]:
        print(f"{count / CALLS:>10.0f} {str(column(lib, name, program)):<8} {Path(lib).name}: {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--top", metavar="CASE", choices=CASES)
    parser.add_argument("--beside", metavar="FILE", type=Path, help="another shared library")
    parser.add_argument("--callers", metavar="FUNCTION", help="with --top: print the callers of functions with this in their names")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, endpoint = build(folder), serve()
        if options.top:
            return print_top(program, endpoint, options.top, folder, options.callers)
        if options.beside:
            return compare_with(options.beside, program, endpoint, folder)
        measured = {case: measure(program, endpoint, case, folder) for case in CASES}
    current = versions()
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"versions": current, "cases": {}}
    print_table(measured, baseline["cases"])
    if options.update:
        BASELINE.write_text(json.dumps({"versions": current, "cases": measured}, indent=2) + "\n")
        return print(f"written: {BASELINE.relative_to(ROOT)}")
    if current != baseline["versions"]:
        print(f"The baseline was counted with {baseline['versions']}, these figures with {current}. That may cause a difference.",
              file=sys.stderr)
    if failed := too_high(measured, baseline["cases"]):
        sys.exit(f"more than {ALLOWED:.0%} above the baseline: {', '.join(failed)}\n"
                 "If the increase is intended, run `make bench-instructions-update`, and say why in the commit.")


if __name__ == "__main__":
    main()
