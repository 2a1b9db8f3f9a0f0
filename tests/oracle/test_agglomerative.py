#!/usr/bin/env python3
"""Agglomerative jobs, as the program gives them, against scipy and scikit-learn.

    test_agglomerative.py [set/level ...]

The dendrogram's Z is compared with scipy.cluster.hierarchy.linkage on the same canonical distances:
equal heights and cophenetic distances; the clusters with fcluster on that Z and with scikit-learn's
AgglomerativeClustering. A difference is let pass only where ties make scipy's own answer depend on the
order of the rows (what we do then is tests/unit/tasks/test_nn_chain.c's business). STAGE4_BUILD and STAGE4_DATA as in test_hdbscan.py.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import AgglomerativeClustering

import vectors

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")).resolve()
LEVELS = ("documents", "events", "entities", "storylines")
METHODS = ("average", "complete", "single", "ward")
ROW_LIMIT = 1600   # scipy's cophenetic distances take a dense matrix several times over
TOLERANCE = 1e-9   # relative; of float64 sums in another order


def run(folder, level, method, metric, threshold, output, params=()):
    arguments = [str(BUILD / "stage4"), "run", "--indices", str(folder), "--embedding-type", level,
                 "--algorithm", "agglomerative", "--metric", metric, "--param", "linkage=" + method,
                 "--param", "distance_threshold=%.17g" % threshold, "--json",
                 "--output", str(output / "clusters"), "--dendrogram", str(output / "trees")]
    for param in params:
        arguments += ["--param", param]
    subprocess.run(arguments, check=True, capture_output=True)
    lines = (output / "trees").read_text().splitlines()
    assert len(lines) == 1, len(lines)
    tree = json.loads(lines[0])
    clusters = [json.loads(line)["members"] for line in (output / "clusters").read_text().splitlines()]
    place = {name: i for i, name in enumerate(tree["leaf_ids"])}
    labels = np.full(len(place), -1)
    for number, members in enumerate(clusters):
        labels[[place[member["vector_id"]] for member in members]] = number
    return tree, np.array(tree["Z"], dtype=float), labels


def same_partition(a, b):
    pairs = set(zip(a.tolist(), b.tolist()))
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


class Matter:
    def __init__(self, name, folder, level, metric):
        self.name, self.folder, self.level, self.metric = name, folder, level, metric
        names = json.loads((folder / (level + "_metadata.json")).read_text())["reverse_id_map"]
        rows = vectors.read_index(folder / (level + ".index"))
        order = sorted(range(len(rows)), key=lambda row: names[str(row)].encode())
        self.ids = [names[str(row)] for row in order]
        self.vectors = rows[order]
        self.square = vectors.canonical_square_distances(self.vectors).astype(np.float64)

    def distances(self, method):
        """As scipy wants them. Ward's are Euclidean whatever the metric."""
        if method == "ward" or self.metric == "euclidean":
            return np.sqrt(self.square)
        return self.square / 2

    def heights(self, method, expected):
        """Ward's heights in the job's metric: of unit vectors the cosine distance is half a square."""
        return expected ** 2 / 2 if method == "ward" and self.metric == "cosine" else expected


def is_unique(distance, method, expected):
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(distance))
        back = np.argsort(order)
        permuted = cophenet(linkage(squareform(distance[np.ix_(order, order)], checks=False), method))
        if not np.allclose(squareform(permuted)[np.ix_(back, back)], expected, rtol=TOLERANCE,
                           atol=1e-12):
            return False
    return True


def compare_trees(matter, method, ours, expected, labels, threshold):
    """What differs from scipy's tree and from scikit-learn's clusters."""
    distance, faults = matter.distances(method), []
    heights, apart = (matter.heights(method, x) for x in (expected[:, 2], cophenet(expected)))
    if not np.allclose(ours[:, 2], heights, rtol=TOLERANCE, atol=1e-12):
        faults.append("heights differ by %.3g" % np.abs(ours[:, 2] - heights).max())
    if not np.allclose(cophenet(ours), apart, rtol=TOLERANCE, atol=1e-12):
        faults.append("cophenetic distances differ")
    cut = threshold if method != "ward" or matter.metric == "euclidean" else np.sqrt(2 * threshold)
    model = AgglomerativeClustering(n_clusters=None, distance_threshold=np.nextafter(cut, np.inf),
                                    metric="euclidean" if method == "ward" else "precomputed",
                                    linkage=method)
    given = matter.vectors.astype(np.float64) if method == "ward" else distance
    if not same_partition(labels, model.fit(given).labels_):
        faults.append("the clusters are not scikit-learn's")
    return faults


def check(matter, method, output):
    distance = matter.distances(method)
    expected = linkage(squareform(distance, checks=False), method)
    expected_heights = matter.heights(method, expected[:, 2])
    middle = len(expected) // 2
    threshold = (expected_heights[middle] + expected_heights[middle + 1]) / 2
    tree, ours, labels = run(matter.folder, matter.level, method, matter.metric, threshold, output)
    faults = []
    if tree["leaf_ids"] != matter.ids or not is_valid_linkage(ours):
        faults.append("leaves or Z are not what they should be")
    if not same_partition(labels, fcluster(ours, threshold, "distance")):
        faults.append("the clusters are not fcluster's of our own Z")
    text = "same as scipy and scikit-learn"
    wrong = compare_trees(matter, method, ours, expected, labels, threshold)
    if wrong and not is_unique(distance, method, squareform(cophenet(expected))):
        text, wrong = "ties: scipy's answer depends on the order of the rows", []
    faults += wrong
    print("  %-8s %5d clusters: %s" % (method, labels.max() + 1, text if not faults else faults), flush=True)
    return not faults


def check_sparse(matter, floor, output):
    """Average linkage over the pairs of at least `floor`, against scipy with zeros for the others.
    scipy also joins what has nothing in common, at distance 1; we leave that apart."""
    weight = 1 - matter.square / 2
    dense = 1 - np.where(weight >= floor, weight, 0)
    np.fill_diagonal(dense, 0)
    expected = linkage(squareform(dense, checks=False), "average")
    below = int((expected[:, 2] < 1 - 1e-12).sum())
    threshold = 0.5
    _, ours, labels = run(matter.folder, matter.level, "average", "cosine", threshold, output,
                          ["min_weight=%g" % floor])
    faults = []
    if len(ours) != below or not np.allclose(ours[:, 2], expected[:below, 2], rtol=0, atol=1e-8):
        faults.append("%d merges, not %d, or other heights" % (len(ours), below))
    if not same_partition(labels, fcluster(expected, threshold, "distance")):
        faults.append("the clusters are not scipy's")
    print("  sparse %g: %d merges: %s" % (floor, below, faults or "same as scipy with zeros"), flush=True)
    return not faults


def find_matters(data, only):
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        for level in LEVELS:
            index = folder / (level + ".index")
            name = folder.name + "/" + level
            if not index.exists() or (only and name not in only):
                continue
            if (index.stat().st_size - 45) // (768 * 4) <= ROW_LIMIT:
                yield name, folder, level


def main(only):
    data = pathlib.Path(os.environ.get("STAGE4_DATA", HERE.parents[2] / "shared/data")) / "stage3"
    if not data.is_dir():
        data = HERE.parent / "data"
    started, passed, failed = time.monotonic(), 0, 0
    for name, folder, level in find_matters(data, only):
        for metric in ("cosine", "euclidean") if folder.name == "wiki2015" else ("cosine",):
            matter = Matter(name, folder, level, metric)
            print("%s, %s: %d rows" % (name, metric, len(matter.ids)), flush=True)
            for method in METHODS:
                with tempfile.TemporaryDirectory() as output:
                    good = check(matter, method, pathlib.Path(output))
                passed, failed = passed + good, failed + (not good)
            for floor in (0.5, 0.8) if metric == "cosine" else ():
                with tempfile.TemporaryDirectory() as output:
                    good = check_sparse(matter, floor, pathlib.Path(output))
                passed, failed = passed + good, failed + (not good)
    print("%.0f s" % (time.monotonic() - started))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
