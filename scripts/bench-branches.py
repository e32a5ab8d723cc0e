#!/usr/bin/env python3
"""Compares branch keys with a cache of data keys. Builds bench/branches.c with the files of target/dist, runs it against an
emulator, and writes docs/performance/branches.svg.

    scripts/bench-branches.py           measure, print the figures, and write the plot
    scripts/bench-branches.py --check   fail if sealing or opening with a branch key has less than 0.7 of the speed of a cached
                                        data key
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PLOT = ROOT / "docs/performance/branches.svg"
MIN_RATIO = 0.7
COLOURS = {"cache": "#b45309", "branch": "#1d4ed8"}
NAMES = {"cache": "cache of data keys", "branch": "branch key"}
PANELS = [("requests", "requests"), ("cpu_us_per_message", "CPU time per message, µs"), ("memory_kib", "memory, KiB")]


def build(folder):
    program, dist = folder / "branches", TARGET / "dist"
    command = ["cc", "-std=c99", "-O2", f"-I{ROOT / 'include'}", ROOT / "bench/branches.c", "-o", program]
    subprocess.run([*command, f"-L{dist}", "-ltckms", f"-Wl,-rpath,{dist}"], check=True)
    return program


class Emulator:
    def __enter__(self):
        command = [TARGET / "release/tckms-emulator", "--key", "main"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        ready = json.loads(self.process.stdout.readline())
        self.key = ready["keys"]["main"]
        self.variables = {
            "TCKMS_ENDPOINT": ready["endpoint"],
            "TENCENTCLOUD_SECRET_ID": ready["secret_id"],
            "TENCENTCLOUD_SECRET_KEY": ready["secret_key"],
            "TENCENTCLOUD_REGION": "ap-guangzhou",
        }
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def run(self, program, what):
        return subprocess.run(
            [program, self.key, what], env=self.variables, check=True, capture_output=True, text=True
        ).stdout


def measured(text):
    """The values of each quantity for each kind, with their numbers of contexts."""
    head, *lines = [line.split() for line in text.splitlines()]
    found = {kind: {name: [] for name in head[2:]} for kind in NAMES}
    for kind, contexts, *values in lines:
        for name, value in zip(head[2:], values):
            found[kind][name].append((int(contexts), max(float(value), 1)))
    return found


def line(points, left, top, width, height, highest):
    position = lambda x, y: (left + width * math.log10(x) / 4, top + height * (1 - math.log10(y) / highest))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (position(*point) for point in points))


def plot(found):
    width, height, gap, top = 210, 170, 70, 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * (width + gap) + 10} {top + height + 60}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, (kind, name) in enumerate(NAMES.items()):
        x = 60 + 170 * number
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS[kind]}"/>')
        parts.append(f'<text x="{x + 18}" y="22">{name}</text>')
    for number, (quantity, title) in enumerate(PANELS):
        left = 60 + number * (width + gap)
        highest = math.ceil(math.log10(max(value for kind in found.values() for _, value in kind[quantity])) + 0.01)
        parts.append(f'<text x="{left}" y="{top - 12}" font-weight="bold">{title}</text>')
        for power in range(highest + 1):
            y = top + height * (1 - power / highest)
            parts.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
        for power in range(5):
            x = left + width * power / 4
            parts.append(f'<text x="{x}" y="{top + height + 16}" text-anchor="middle">{10**power:,}</text>')
        parts.append(f'<text x="{left + width / 2}" y="{top + height + 34}" text-anchor="middle">contexts</text>')
        for kind, colour in COLOURS.items():
            points = line(found[kind][quantity], left, top, width, height, highest)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "\n".join([*parts, "</svg>", ""])


def main():
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        program = build(Path(folder))
        speed = emulator.run(program, "speed")
        print(speed, end="")
        if "--check" in sys.argv:
            ratios = [float(ratio) for ratio in re.findall(r"ratio ([0-9.]+)", speed)]
            sys.exit(0 if len(ratios) == 2 and min(ratios) >= MIN_RATIO else f"a branch key has less than {MIN_RATIO} of the speed")
        growth = emulator.run(program, "growth")
        print(growth, end="")
        PLOT.write_text(plot(measured(growth)))


main()
