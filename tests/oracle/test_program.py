#!/usr/bin/env python3
"""The program as users run it gives the clusters of the oracle's driver: coordinator, sockets,
workers and writer change nothing on the way. The sample in tests/data, every level, both
algorithms. STAGE4_BUILD: where stage4 is (default: build)."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data/wiki2015"
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")).resolve()
RUNS = (("hdbscan", ("min_cluster_size=3",)),
        ("hdbscan", ("min_cluster_size=10", "min_samples=3", "cluster_selection_method=leaf")),
        ("kmeans", ("k=12", "seed=5")))


def by_driver(level, algorithm, params):
    done = subprocess.run([str(BUILD / "tests/oracle_driver"), str(DATA), level,
                           "algorithm=" + algorithm, *params],
                          capture_output=True, text=True, check=True)
    names = json.loads((DATA / (level + "_metadata.json")).read_text())["reverse_id_map"]
    clusters = {}
    for line in done.stdout.splitlines():
        row, label, strength, outlier = line.split("\t")
        if label != "-1":
            member = names[row], float(strength), float(outlier)
            clusters.setdefault(int(label), []).append(member)
    return [sorted(clusters[label]) for label in sorted(clusters)]


def by_program(level, algorithm, params, folder):
    output = pathlib.Path(folder) / "out.jsonl"
    arguments = [str(BUILD / "stage4"), "run", "--indices", str(DATA), "--embedding-type", level,
                 "--algorithm", algorithm, "--workers", "2", "--output", str(output), "--json"]
    for param in params:
        arguments += ["--param", param]
    subprocess.run(arguments, capture_output=True, text=True, check=True)
    clusters = []
    for line in output.read_text().splitlines():
        members = json.loads(line)["members"]
        clusters.append(sorted((m["vector_id"], m["strength"], m["outlier_score"])
                               for m in members if m["assignment"] != "noise"))
    return clusters


def same(ours, theirs):
    if [[m[0] for m in c] for c in ours] != [[m[0] for m in c] for c in theirs]:
        return False
    pairs = [(a, b) for c, d in zip(ours, theirs) for a, b in zip(c, d)]
    return all(abs(a[i] - b[i]) < 1e-6 for a, b in pairs for i in (1, 2))


def main():
    passed = failed = 0
    for level in ("documents", "events", "entities", "storylines"):
        for algorithm, params in RUNS:
            with tempfile.TemporaryDirectory() as folder:
                program = by_program(level, algorithm, params, folder)
            driver = by_driver(level, algorithm, params)
            good = same(driver, program) and len(driver) > 0
            passed, failed = passed + good, failed + (not good)
            print("%s %s %s: %d clusters%s" % (level, algorithm, " ".join(params), len(driver),
                                               "" if good else " DIFFER"), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
