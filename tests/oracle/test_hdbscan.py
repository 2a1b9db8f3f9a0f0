#!/usr/bin/env python3
"""Our clusterings against a plain reference and scikit-learn's HDBSCAN.

    test_hdbscan.py [set/level ...]

STAGE4_BUILD: where tests/oracle_driver is (default: build). STAGE4_DATA: the labelled sets (default:
../shared/data; where it is missing tests/data/wiki2015 alone, and it says so). Every set and level up to
8,000 rows. A difference fails unless the reference on float32 distances shows it too; one to
scikit-learn fails when the tree has no ties.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

import reference
import vectors

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = ((5, 5), (3, 2), (10, 3))
METHODS = ("eom", "leaf")
LEVELS = ("documents", "events", "entities", "storylines")
ROW_LIMIT = 8000
SCIPY_LIMIT = 2000    # rows: scipy's minimum spanning tree takes a dense matrix several times over
PERMUTATIONS = 3       # scikit-learn against itself costs another run each;
PERMUTED_LIMIT = 2000  # one is enough beyond that many rows


def same_clusters(a, b):
    """Equal up to renumbering, noise being noise."""
    pairs = {(x, y) for x, y in zip(a.tolist(), b.tolist())}
    noise = all((x == -1) == (y == -1) for x, y in pairs)
    return noise and len({x for x, _ in pairs}) == len(pairs) == len({y for _, y in pairs})


def run_driver(driver, folder, level, params):
    arguments = [str(driver), str(folder), level] + ["%s=%s" % item for item in params.items()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit("%s: %s" % (" ".join(arguments), done.stderr))
    table = np.array([line.split("\t") for line in done.stdout.splitlines()], dtype=float)
    table = table[np.argsort(table[:, 0])]
    return table[:, 1].astype(int), table[:, 2], table[:, 3], json.loads(done.stderr)


class Matter:
    """One set and level: its vectors and distances, and the tally of what was compared."""

    def __init__(self, name, folder, level, metric):
        self.name, self.folder, self.level, self.metric = name, folder, level, metric
        self.vectors = vectors.read_index(folder / (level + ".index"))
        self.distance = self.in_metric(vectors.square_distances(self.vectors))
        self.repeated = len(self.vectors) - len(np.unique(self.vectors, axis=0))
        self.canonical = None

    def in_metric(self, square):
        return square / 2 if self.metric == "cosine" else np.sqrt(square)

    def canonical_distance(self):
        if self.canonical is None:
            square = vectors.canonical_square_distances(self.vectors).astype(np.float64)
            self.canonical = self.in_metric(square)
        return self.canonical


def check_reference(matter, setting, method, edges, ours):
    """'' when all is well, else what is wrong; a float32 difference is said in the text printed."""
    labels, strength, outlier, _ = ours
    expected = reference.hdbscan(matter.distance, *setting, method, edges=edges)
    if same_clusters(labels, expected[0]):
        worst = max(np.abs(strength - expected[1]).max(), np.abs(outlier - expected[2]).max())
        return ("same", "") if worst < 1e-3 else ("same", "a strength differs by %.2g" % worst)
    traced = reference.hdbscan(matter.canonical_distance(), *setting, method)
    differing = adjusted_rand_score(labels, expected[0])
    if same_clusters(labels, traced[0]):
        return "same as the reference on float32 distances (ARI %.4f on float64)" % differing, ""
    return "ARI %.4f" % differing, "labels differ from the reference, float32 does not explain it"


def check_weight(matter, setting, edges, report):
    weight = edges[:, 0].sum()
    if len(matter.vectors) <= SCIPY_LIMIT:
        core = reference.core_distances(matter.distance, setting[1])
        reach = np.maximum(np.maximum(matter.distance, core[:, None]), core[None, :])
        # scipy takes 0 for "no edge": all weights move up by one.
        weight = minimum_spanning_tree(reach + 1).sum() - (len(core) - 1)
    off = abs(report["mst_weight"] / weight - 1)
    return "" if off < 1e-6 else "the tree weighs %.9g, not %.9g" % (report["mst_weight"], weight)


def theirs(matter, setting, method, order=None):
    distance = matter.distance if order is None else matter.distance[np.ix_(order, order)]
    return HDBSCAN(min_cluster_size=setting[0], min_samples=setting[1], metric="precomputed",
                   algorithm="brute", cluster_selection_method=method,
                   copy=True).fit(distance).labels_


def check_sklearn(matter, setting, method, edges, labels):
    expected = theirs(matter, setting, method)
    if same_clusters(labels, expected):
        return "same", ""
    ari = adjusted_rand_score(labels, expected)
    tied = reference.ties(edges)
    if tied == 0:
        return "ARI %.4f" % ari, "labels differ from scikit-learn's though the tree has no ties"
    text = "ARI %.4f with %d tied edges" % (ari, tied)
    text += " (itself, rows permuted: %.4f to %.4f)" % to_itself(matter, setting, method, expected)
    return text, ""


def to_itself(matter, setting, method, expected):
    scores = []
    for seed in range(PERMUTATIONS if len(expected) <= PERMUTED_LIMIT else 1):
        order = np.random.default_rng(seed).permutation(len(expected))
        back = np.empty_like(expected)
        back[order] = theirs(matter, setting, method, order)
        scores.append(adjusted_rand_score(back, expected))
    return min(scores), max(scores)


def compare(driver, matter):
    """How many checks held, and how many did not."""
    passed = failed = 0
    print("%s, %s: %d rows, %d repeated" % (matter.name, matter.metric, len(matter.vectors),
                                           matter.repeated), flush=True)
    for setting in SETTINGS:
        core = reference.core_distances(matter.distance, setting[1])
        edges = reference.spanning_tree(matter.distance, core)
        for method in METHODS:
            ours = run_driver(driver, matter.folder, matter.level,
                              {"min_cluster_size": setting[0], "min_samples": setting[1],
                               "cluster_selection_method": method, "metric": matter.metric})
            to_reference, wrong = check_reference(matter, setting, method, edges, ours)
            to_sklearn, wrong_too = check_sklearn(matter, setting, method, edges, ours[0])
            wrong_weight = check_weight(matter, setting, edges, ours[3])
            print("  %-8s %-4s %4d clusters; reference: %s; scikit-learn: %s"
                  % (setting, method, ours[3]["clusters"], to_reference, to_sklearn), flush=True)
            for fault in (wrong, wrong_too, wrong_weight):
                passed, failed = passed + (not fault), failed + bool(fault)
                if fault:
                    print("    WRONG: " + fault)
    return passed, failed


def find_matters(data, only):
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        for level in LEVELS:
            name = folder.name + "/" + level
            index = folder / (level + ".index")
            if not index.exists() or (only and name not in only):
                continue
            rows = (index.stat().st_size - 45) // (768 * 4)
            if rows > ROW_LIMIT:
                print("%s: %d rows, over %d: left out" % (name, rows, ROW_LIMIT))
                continue
            yield name, folder, level


def main(only):
    driver = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")) / "tests/oracle_driver"
    data = pathlib.Path(os.environ.get("STAGE4_DATA", HERE.parents[2] / "shared/data")) / "stage3"
    if not data.is_dir():
        print("%s is not there: only the sample tests/data/wiki2015 is compared" % data)
        data = HERE.parent / "data"
    started, passed, failed = time.monotonic(), 0, 0
    for name, folder, level in find_matters(data, only):
        metrics = ("cosine", "euclidean") if folder.name == "wiki2015" else ("cosine",)
        for metric in metrics:
            held, broken = compare(driver, Matter(name, folder, level, metric))
            passed, failed = passed + held, failed + broken
    print("%.0f s" % (time.monotonic() - started))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
