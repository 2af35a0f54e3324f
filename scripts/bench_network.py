#!/usr/bin/env python3
"""Time `uc bench` beside another program that times the same network, in turn (A, B, A, B, ...), and give the ratios.

    python3 scripts/bench_network.py --peer pytorch_i3d.py --pairs 5 [--python PYTHON] [SHAPE:BATCH ...] [--dtype fp32 bf16]

The peer takes --shape, --batch, --threads, --dtype, --steps, --json and perhaps --channels-last, and prints one JSON object with
train_step_s and inference_s, as `uc bench --json` does. Of the peer's two memory layouts the one whose training step is faster in a first
run counts for training, and the one whose inference is faster for inference. Each line has the medians in seconds, the median of the
ratios uc / peer of the pairs, and the range of these ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

SHAPES = ["28,28,28:17", "64,64,64:2", "64,64,64:7", "96,96,96:2", "128,160,112:2", "40,59,47:9"]
FIGURES = ["train_step_s", "inference_s"]


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout[done.stdout.index("{"):])


def compare(a, shape, batch, dtype):
    what = ["--shape", shape, "--batch", batch, "--dtype", dtype, "--threads", str(a.threads), "--steps", str(a.steps), "--json"]
    ours = [a.uc, "bench", "--device", a.device, *what]
    layouts = [[a.python, a.peer, "--device", a.device, *what, *more] for more in ([], ["--channels-last"])]
    first = [measure(c) for c in layouts]
    best = {f: min(range(len(layouts)), key=lambda i: first[i][f]) for f in FIGURES}
    pairs = []
    for _ in range(a.pairs):
        mine = measure(ours)
        theirs = {i: measure(layouts[i]) for i in set(best.values())}
        pairs.append((mine, {f: theirs[best[f]][f] for f in FIGURES}, first[0]["tool"]))
    line = f"{shape.replace(',', ' x ')} | {batch} | {dtype}"
    for f in FIGURES:
        ratios = [m[f] / t[f] for m, t, _ in pairs]
        line += " | %.3g / %.3g | %.3f (%.3f-%.3f)" % (statistics.median(m[f] for m, _, _ in pairs), statistics.median(t[f] for _, t, _ in pairs),
                                                        statistics.median(ratios), min(ratios), max(ratios))
    print(line, "|", pairs[0][2], flush=True)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("shapes", nargs="*", default=SHAPES, metavar="SHAPE:BATCH")
    p.add_argument("--uc", default=os.path.join(root, "bin", "uc"))
    p.add_argument("--peer", required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--device", default="cpu")
    p.add_argument("--dtype", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    a = p.parse_args()
    for dtype in a.dtype:
        for s in a.shapes:
            shape, batch = s.split(":")
            compare(a, shape, batch, dtype)


if __name__ == "__main__":
    main()
