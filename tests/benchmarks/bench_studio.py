"""How quick the studio is on this machine: start, first map, a stroke's prediction, first estimates; and its memory.

uv run python tests/benchmarks/bench_studio.py [--minutes 10]
"""

import argparse
import base64
import http.client
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

GOALS = {"start": 8.0, "saliency": 0.3, "stroke": 0.15, "lime": 1.0, "shapley": 1.0}  # seconds


def asked(port: int, name: str, **body: object) -> list[tuple[float, dict]]:
    """Return the answer's lines with the seconds after which each came."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", f"/api/{name}", json.dumps(body))
    answer = connection.getresponse()
    lines = [(time.perf_counter() - began, json.loads(line)) for line in answer]
    connection.close()
    return lines


def said(name: str, seconds: float) -> None:
    verdict = (
        "" if name not in GOALS else f"  (goal {GOALS[name]:g} s: {'met' if seconds <= GOALS[name] else 'missed'})"
    )
    print(f"{name:10} {seconds:8.3f} s{verdict}", flush=True)


def painted(seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    mask = np.zeros((128, 128), bool)
    y, x = random.integers(0, 100, 2)
    mask[y : y + 28, x : x + 28] = True
    return [{"fill": "grey", "side": 128, "bits": base64.b64encode(np.packbits(mask).tobytes()).decode()}]


def memory(process: subprocess.Popen) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def first_map(port: int, scene: dict, method: str) -> float:
    lines = asked(port, "explain", scene=scene, methods=[{"name": method}])
    return next(seconds for seconds, event in lines if event["event"] == "map")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0, help="click everything for so long, and watch the memory")
    options = parser.parse_args()
    began = time.perf_counter()
    command = [sys.executable, "-m", "hw_xai.cli", "studio", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            asked(port, "about")
            said("start", time.perf_counter() - began)
            ((_, opened),) = asked(port, "open_dish", dish=9)
            scene = {"picture": opened["id"], "target": 9}
            for method in ("saliency", "lime", "shapley"):
                first_map(port, scene, method)  # warm
            scenes = [scene | {"paint": painted(seed)} for seed in range(9)]
            said("stroke", statistics.median(asked(port, "predict", scene=one)[0][0] for one in scenes))
            for method in ("saliency", "lime", "shapley"):
                said(method, statistics.median(first_map(port, one, method) for one in scenes[:5]))
            end, before = time.monotonic() + 60 * options.minutes, memory(process)
            for seed in itertools.count(100):
                if time.monotonic() > end:
                    break
                one = scene | {"paint": painted(seed)}
                asked(port, "open_dish", dish=seed % 11)
                for method in ("saliency", "grad_cam", "smooth_grad", "guided_backprop"):
                    first_map(port, one, method)
                asked(port, "predict", scene=one | {"randomized": seed % 5})
                if seed % 20 == 0:
                    print(f"memory {before:.0f} MB at first, {memory(process):.0f} MB now", flush=True)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
