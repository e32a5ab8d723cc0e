#!/usr/bin/env python3
"""Unmodified programs of the distribution, with their keys in the emulator by way of the PKCS#11 module.

    python3 pkcs11/tests/consumers [NAME…]    all checks, or those whose names contain one of these words

Each check prints one line: `ok`, `FAILED` or `NOT RUN` with the reason. What did not run is counted and named at the end.

  PKCS11_PROVIDER_SOURCE=FOLDER   pkcs11-provider, compiled in its folder build/, where the distribution has none
  TCKMS_KEEP=1                    keep the folders of the checks
"""

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402
import applications  # noqa: E402, F401
import code_signing  # noqa: E402, F401
import gnutls  # noqa: E402, F401
import java  # noqa: E402, F401
import nginx  # noqa: E402, F401
import openssl  # noqa: E402, F401
import pkcs11_tool  # noqa: E402, F401
import programs  # noqa: E402, F401
import ssh  # noqa: E402, F401


def run(check, emulator, certificates):
    """Runs a check. Returns what to say of it: ok, FAILED or NOT RUN, and why."""
    work = None
    try:
        harness.require(check.tools)
        work = harness.Work(emulator, certificates, check.__name__)
        check(work)
        return "ok", ""
    except harness.NotRun as reason:
        return "NOT RUN", str(reason)
    except Exception as error:  # A check that fails does not keep the others from running.
        place = next(frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if "harness.py" not in frame.filename)
        return "FAILED", f"{Path(place.filename).name}:{place.lineno}: {type(error).__name__}: {error}"
    finally:
        if work:
            work.end()


def main():
    words = sys.argv[1:]
    chosen = [check for check in harness.CHECKS if not words or any(word in check.__name__ for word in words)]
    folder = Path(tempfile.mkdtemp(prefix="tckms-certificates-"))
    emulator = harness.Emulator(folder)
    outcomes = {"ok": [], "FAILED": [], "NOT RUN": []}
    try:
        harness.make_certificates(folder, ["web", "rsa"])
        for check in chosen:
            began = time.monotonic()
            outcome, reason = run(check, emulator, folder)
            outcomes[outcome].append((check.__name__, reason))
            print(f"{outcome:8}{check.__name__} ({time.monotonic() - began:.1f} s){': ' + reason if reason else ''}", flush=True)
    finally:
        emulator.stop()
        shutil.rmtree(folder)
    for name, reason in outcomes["NOT RUN"]:
        print(f"NOT TESTED: {name}: {reason}")
    print(f"{len(outcomes['ok'])} passed, {len(outcomes['FAILED'])} failed, {len(outcomes['NOT RUN'])} not run")
    sys.exit(bool(outcomes["FAILED"]) or not chosen)


main()
