#!/usr/bin/env python3
"""HDBSCAN* whose similarities fall with the days apart, against brute force in float64.

The weighted distance of every pair, 1 - f(similarity, days) or, Euclidean, the root of twice that,
goes to the plain reference (reference.py); the clusters that the job has written must be its. Once without codes and once with.
STAGE4_BUILD: where stage4 is (default: build)."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import reference
import vectors
from test_hdbscan import same_clusters

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data/wiki2015"
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", "build")).resolve()
SETTING = (3, 3)
DECAYS = {
    "exponential": lambda share: np.exp(-share),
    "half_life": lambda share: np.exp2(-share),
    "linear": lambda share: np.maximum(0, 1 - share),
}


def run(folder, params, output, extra):
    arguments = [str(BUILD / "stage4"), "run", "--indices", str(folder), "--embedding-type",
                 "events", "--date-from", "1000-01-01", "--output", str(output), "--report", str(output) + ".report"]
    for item in params.items():
        arguments += ["--param", "%s=%s" % item]
    subprocess.run(arguments + list(extra), capture_output=True, text=True, check=True)
    return [[member["vector_id"] for member in json.loads(line)["members"]] for line in output.read_text().splitlines()]


class Matter:
    """The dated events of a folder: similarities, days, and which of them an id is."""

    def __init__(self, folder):
        self.folder = folder
        metadata = json.loads((folder / "events_metadata.json").read_text())
        when = {name: metadata["metadata_store"][name]["metadata"].get("temporal_reference")
                for name in metadata["id_map"]}
        names = [name for name in metadata["id_map"] if when[name]]
        rows = [metadata["id_map"][name] for name in names]
        self.place = {name: place for place, name in enumerate(names)}
        self.days = np.array([when[name][:10] for name in names], "datetime64[D]").astype(int)
        self.vectors = vectors.read_index(folder / "events.index")[rows]
        self.square = vectors.square_distances(self.vectors)

    def labels(self, clusters):
        out = np.full(len(self.place), -1)
        for number, members in enumerate(clusters):
            out[[self.place[name] for name in members]] = number
        return out

    def square_weighted(self, decay, tau, square):
        """As far as two unit vectors of the weighted similarity would be apart, squared."""
        factor = DECAYS[decay](np.abs(self.days[:, None] - self.days[None, :]) / tau)
        similarity = 1 - square / 2
        return 2 - 2 * np.where(similarity > 0, similarity * factor, similarity)


def distance(square, metric):
    return square / 2 if metric == "cosine" else np.sqrt(square)


def compare(matter, decay, tau, folder, coded, metric):
    params = {"min_cluster_size": SETTING[0], "min_samples": SETTING[1], "decay": decay,
              "decay_days": tau}
    output = pathlib.Path(folder) / ("%s-%s.jsonl" % (matter.folder.name, decay))
    ours = matter.labels(run(matter.folder, params, output, ("--workers", "2", "--metric", metric)))
    report = json.loads(pathlib.Path(str(output) + ".report").read_text())
    weighted = matter.square_weighted(decay, tau, matter.square)
    expected = reference.hdbscan(distance(weighted, metric), *SETTING)[0]
    plain = reference.hdbscan(distance(matter.square, metric), *SETTING)[0]
    said = "same"
    good = same_clusters(ours, expected)
    if not good:  # float32 may make or split a tie
        square = vectors.canonical_square_distances(matter.vectors).astype(np.float64)
        weighted = matter.square_weighted(decay, tau, square).astype(np.float32).astype(np.float64)
        good = same_clusters(ours, reference.hdbscan(distance(weighted, metric), *SETTING)[0])
        said = "same as on float32 distances" if good else "DIFFERS"
    phases = {phase["phase"] for phase in report["times"]}
    good = good and ("bounds" in phases) == coded == (report["rows_searched"] > 0) and not same_clusters(expected, plain)
    print("%s %s %s: %d clusters, %s%s" % (matter.folder.name, metric, decay, report["clusters"], said,
                                        "" if good else " WRONG"), flush=True)
    return good


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "made"
        subprocess.run([sys.executable, str(HERE.parent / "bench/make_vectors.py"), str(made), "4700",
                        "--days", "60"], check=True, capture_output=True)
        jobs = [(DATA, decay, 10, False, metric) for decay in DECAYS for metric in ("cosine", "euclidean")]
        jobs += [(made, "half_life", 20, True, "cosine")]
        for data, decay, tau, coded, metric in jobs:
            good = compare(Matter(data), decay, tau, folder, coded, metric)
            passed, failed = passed + good, failed + (not good)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
