#!/usr/bin/env python3
"""The density-based validity of each cluster, and of the whole, is that of dbcv.py: on real sets, as
they are and brought down to few dimensions, and the same bytes for any workers, threads and SIMD width.
STAGE4_BUILD: where stage4 is (default: build)."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np

import dbcv
from vectors import read_index, square_distances

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE = HERE.parent / "data"
DATA = pathlib.Path(os.environ.get("STAGE4_DATA", HERE.parents[2] / "shared/data")) / "stage3"
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")).resolve()
HDBSCAN = ("hdbscan", ("min_cluster_size=3", "min_samples=3"))
SINGLES = ("agglomerative", ("n_clusters=150",))
KMEANS = ("kmeans", ("k=9", "init=random"))
#        set, level, dimensions, metrics, algorithms
MATTERS = (("wiki2015", "events", 768, ("cosine", "euclidean"), (HDBSCAN, KMEANS, SINGLES)),
           ("wiki2015", "entities", 768, ("cosine", "euclidean"), (HDBSCAN,)),
           ("wiki2015", "entities", 3, ("cosine", "euclidean"), (HDBSCAN, KMEANS)),
           ("wiki2015", "entities", 32, ("cosine",), (HDBSCAN,)),
           ("wiki2015", "storylines", 8, ("euclidean",), (HDBSCAN,)),
           ("gva2015", "documents", 768, ("cosine",), (HDBSCAN,)),
           ("gva2015", "documents", 5, ("euclidean",), (HDBSCAN,)))
TOLERANCE = 1e-6  # distances are float32: 2^-24 of each, twice in a quotient


def projected(vectors, dimension):
    """Their principal components, of unit length."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:dimension]
    points = centred @ axes.T
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def write_index(path, vectors):
    rows, dimension = vectors.shape
    head = struct.pack("<4siqqqBiQ", b"IxFI", dimension, rows, 1 << 20, 1 << 20, 1, 0, vectors.size)
    path.write_bytes(head + np.ascontiguousarray(vectors).tobytes())


def run(folder, level, dimension, metric, algorithm, workers=1, threads=1, simd=None):
    """The lines of the output without their job's names, and the report's figures."""
    name, params = algorithm
    with tempfile.TemporaryDirectory() as place:
        output, report = pathlib.Path(place) / "out.jsonl", pathlib.Path(place) / "report.json"
        command = [BUILD / "stage4", "run", "--indices", folder, "--embedding-type", level,
                   "--dimension", dimension, "--algorithm", name, "--metric", metric,
                   "--workers", workers, "--threads", threads, "--quality", "dbcv",
                   "--as-of", "2026-01-01", "--output", output, "--report", report]
        for param in params:
            command += ["--param", param]
        subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True,
                       env=os.environ | ({"STAGE4_SIMD": simd} if simd else {}))
        return output.read_text(), json.loads(report.read_text())["quality"]["dbcv"]


def check(folder, level, dimension, metric, algorithm, vectors):
    text, report = run(folder, level, dimension, metric, algorithm)
    again = run(folder, level, dimension, metric, algorithm, 2, 3, "scalar")
    lines = [json.loads(line) for line in text.splitlines()]
    ids = json.loads((folder / (level + "_metadata.json")).read_text())["id_map"]
    order = [ids[key] for key in sorted(ids, key=str.encode)]  # that of the slots
    place = {row: at for at, row in enumerate(order)}
    clusters = [sorted(place[ids[member["vector_id"]]] for member in line["members"]) for line in lines]
    square = square_distances(vectors[order])
    distance = square / 2 if metric == "cosine" else np.sqrt(square)
    expected = dbcv.validities(distance, clusters, dimension)
    found = np.array([line["metadata"]["dbcv"] for line in lines], float)
    mean = dbcv.dbcv(expected, clusters, len(order))
    good = (np.allclose(found, expected, rtol=0, atol=TOLERANCE, equal_nan=True)
            and abs(report["mean"] - mean) < TOLERANCE and report["items"] == len(order)
            and report["clusters"] == np.isfinite(expected).sum() and again == (text, report))
    print("%s/%s, %d dimensions, %s, %s: %d clusters, %.7f, expected %.7f%s" % (
        folder.name, level, dimension, metric, algorithm[0], len(lines), report["mean"], mean,
        "" if good else " DIFFER"), flush=True)
    return good


def main():
    passed = failed = 0
    for name, level, dimension, metrics, algorithms in MATTERS:
        source = DATA / name if DATA.is_dir() else SAMPLE / name
        if not (source / (level + ".index")).exists():
            print("%s/%s is not here" % (name, level))
            continue
        vectors = read_index(source / (level + ".index"))
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place) / name
            folder.mkdir()
            if dimension < vectors.shape[1]:
                vectors = projected(vectors, dimension)
            write_index(folder / (level + ".index"), vectors)
            shutil.copy(source / (level + "_metadata.json"), folder)
            for metric in metrics:
                for algorithm in algorithms:
                    good = check(folder, level, dimension, metric, algorithm, vectors)
                    passed, failed = passed + good, failed + (not good)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
