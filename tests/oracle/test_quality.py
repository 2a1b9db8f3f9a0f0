#!/usr/bin/env python3
"""The measures in a job's report are those of scikit-learn (silhouette) and of scipy's cophenetic
distances (the tree's validity), of the clusters that the job has written; and they have the same
digits for any number of workers. STAGE4_BUILD: where stage4 is (default: build)."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_samples

from vectors import read_index, square_distances

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data/wiki2015"
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")).resolve()
MIN_SAMPLES = 3
HDBSCAN = ("hdbscan", ("min_cluster_size=3", "min_samples=%d" % MIN_SAMPLES))
KMEANS = ("kmeans", ("k=12", "init=random", "n_init=2"))
SAMPLE = 1000


def run(level, algorithm, params, metric, workers):
    """The clusters as lists of rows, members in the order of their ids, and the report."""
    with tempfile.TemporaryDirectory() as folder:
        output, report = pathlib.Path(folder) / "out.jsonl", pathlib.Path(folder) / "report.json"
        arguments = [str(BUILD / "stage4"), "run", "--indices", str(DATA), "--embedding-type", level,
                     "--algorithm", algorithm, "--metric", metric, "--workers", str(workers),
                     "--quality", "silhouette,simplified_silhouette", "--output", str(output), "--report", str(report)]
        for param in params:
            arguments += ["--param", param]
        subprocess.run(arguments, capture_output=True, text=True, check=True)
        rows = json.loads((DATA / (level + "_metadata.json")).read_text())["id_map"]
        clusters = []
        for line in output.read_text().splitlines():
            ids = [m["vector_id"] for m in json.loads(line)["members"]]
            clusters.append([rows[name] for name in sorted(ids, key=str.encode)])
        return clusters, json.loads(report.read_text())["quality"]


def distances(vectors, metric):
    square = square_distances(vectors)
    return square / 2 if metric == "cosine" else np.sqrt(square)


def silhouette(matrix, clusters):
    rows = [row for cluster in clusters for row in cluster]
    labels = [label for label, cluster in enumerate(clusters) for _ in cluster]
    each = silhouette_samples(matrix[np.ix_(rows, rows)], labels, metric="precomputed")
    count = min(SAMPLE, len(rows))
    return each[[len(rows) * i // count for i in range(count)]].mean()


def simplified(vectors, clusters, metric):
    """By the centroids that the job has written: means, scaled to unit length."""
    centres = np.array([vectors[c].sum(axis=0, dtype=np.float64) for c in clusters])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    total = 0
    for number, cluster in enumerate(clusters):
        square = ((vectors[cluster][:, None, :] - centres[None]) ** 2).sum(axis=2)
        away = square / 2 if metric == "cosine" else np.sqrt(square)
        own, other = away[:, number], np.delete(away, number, axis=1).min(axis=1)
        if len(cluster) > 1:
            total += ((other - own) / np.maximum(own, other)).sum()
    return total / sum(map(len, clusters))


def validity(matrix, clusters):
    """1 - sparseness / separation of each cluster, under mutual reachability along the least ways."""
    core = np.sort(matrix, axis=1)[:, MIN_SAMPLES - 1]
    reach = np.maximum(matrix, np.maximum(core[:, None], core[None, :]))
    np.fill_diagonal(reach, 0)
    ways = squareform(cophenet(linkage(squareform(reach, checks=False), "single")))
    total = 0
    for number, cluster in enumerate(clusters):
        others = [row for n, c in enumerate(clusters) if n != number for row in c]
        sparseness = ways[np.ix_(cluster, cluster)].max()
        total += len(cluster) * (1 - sparseness / ways[np.ix_(cluster, others)].min())
    return total / len(matrix)


def main():
    passed = failed = 0
    for level in ("events", "entities"):
        vectors = read_index(DATA / (level + ".index"))
        for metric in ("cosine", "euclidean"):
            matrix = distances(vectors, metric)
            for algorithm, params in (HDBSCAN, KMEANS):
                clusters, quality = run(level, algorithm, params, metric, 1)
                again = run(level, algorithm, params, metric, 3)[1]
                expected = [silhouette(matrix, clusters), simplified(vectors, clusters, metric)]
                found = [quality["silhouette"]["mean"], quality["simplified_silhouette"]["mean"]]
                if algorithm == "hdbscan":
                    expected.append(validity(matrix, clusters))
                    found.append(quality["tree_validity"])
                good = np.allclose(found, expected, rtol=0, atol=1e-5) and again == quality
                passed, failed = passed + good, failed + (not good)
                print("%s %s %s: %s, expected %s%s" % (
                    level, metric, algorithm, found, [float(x) for x in expected],
                    "" if good else " DIFFER"), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
