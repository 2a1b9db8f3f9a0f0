#!/usr/bin/env python3
"""stage4 beside its peers from PyPI, on the same vectors; called by peers.sh, which has the packages.

    peers.py --indices FOLDER --build BUILD [--threads 2] [--rows N] [--only NAME]... [--into FILE]

Each peer runs alone in a process of its own, on as many rows as end in reasonable time (PEERS), and
on the number of threads given. Its seconds are those of the clustering alone: packages are loaded,
numba has compiled on 2,000 rows before. stage4's are those of the whole `stage4 run`, start, reading
and output included. The ratio is seconds / (2 N^2 d / float32 peak), the peak as stage4-bench
finds it at the start. The agreement is the adjusted Rand index, noise a label of its own,
with stage4's labels of the same rows, which are the exact ones."""
import argparse
import importlib.metadata
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import time

HEADER = struct.Struct("<4siqqqBiQ")
MIN_CLUSTER_SIZE = MIN_SAMPLES = 5
WARM_ROWS = 2000
TIME_LIMIT = 900
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


# ---- the peers: each is given the vectors and the number of clusters that stage4 finds ----

def scikit_learn(vectors, _):
    from sklearn.cluster import HDBSCAN
    return HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES, algorithm="brute",
                   n_jobs=-1, copy=True).fit_predict(vectors)


def scikit_learn_tree(vectors, _):
    from sklearn.cluster import HDBSCAN
    return HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES, algorithm="ball_tree",
                   n_jobs=-1, copy=True).fit_predict(vectors)


def hdbscan(vectors, _):
    import hdbscan as package  # its min_samples leaves the point itself out
    return package.HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES - 1,
                           core_dist_n_jobs=-1).fit_predict(vectors)


def fast_hdbscan(vectors, _):
    import fast_hdbscan as package  # as hdbscan
    return package.HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE,
                           min_samples=MIN_SAMPLES - 1).fit_predict(vectors)


def evoc(vectors, _):
    import evoc as package
    return package.EVoC(base_min_cluster_size=MIN_CLUSTER_SIZE,
                        min_samples=MIN_SAMPLES).fit_predict(vectors)


def umap_hdbscan(vectors, _):
    import hdbscan as package
    import umap
    reduced = umap.UMAP(n_components=5, n_neighbors=15, min_dist=0.0,
                        metric="cosine").fit_transform(vectors)
    return package.HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE,
                           min_samples=MIN_SAMPLES - 1).fit_predict(reduced)


def genieclust(vectors, clusters):
    import genieclust as package
    return package.Genie(n_clusters=max(2, clusters), M=MIN_SAMPLES - 1).fit_predict(vectors)


def quitefastmst(vectors, _):
    import quitefastmst as package
    package.mst_euclid(vectors.astype("f8"), M=MIN_SAMPLES - 1)


def faiss_neighbours(vectors, _):
    import faiss
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    index.search(vectors, 32)


def faiss_kmeans(vectors, _):
    import faiss
    centres = faiss.Kmeans(vectors.shape[1], 1000, niter=10, seed=1, min_points_per_centroid=1,
                           max_points_per_centroid=10**9)
    centres.train(vectors)


# name: (function, packages, rows at most, exact, what it does)
PEERS = {
    "fast_hdbscan": (fast_hdbscan, ["fast_hdbscan"], 10**9, "no", "HDBSCAN* over an approximate graph"),
    "evoc": (evoc, ["evoc"], 10**9, "no", "clusters of an approximate graph, of its own kind"),
    "umap+hdbscan": (umap_hdbscan, ["umap-learn", "hdbscan"], 40000, "no", "HDBSCAN* in 5 dimensions"),
    "scikit-learn": (scikit_learn, ["scikit-learn"], 20000, "yes", "HDBSCAN*, all pairs in float64"),
    "scikit-learn ball tree": (scikit_learn_tree, ["scikit-learn"], 5000, "yes", "HDBSCAN*, ball tree"),
    "hdbscan": (hdbscan, ["hdbscan"], 10000, "yes", "HDBSCAN*"),
    "genieclust": (genieclust, ["genieclust"], 10000, "yes", "Genie over the same spanning tree, "
                   "given the number of clusters"),
    "quitefastmst": (quitefastmst, ["quitefastmst"], 10000, "yes", "the spanning tree alone"),
    "faiss-cpu neighbours": (faiss_neighbours, ["faiss-cpu"], 40000, "yes",
                             "32 neighbours alone, flat index"),
    "faiss-cpu k-means": (faiss_kmeans, ["faiss-cpu"], 10**9, "", "k-means, k = 1,000, 10 iterations"),
}


# ---- one peer in a process of its own ----

def run_one(name, path, clusters, out):
    import numpy
    vectors = numpy.load(path)
    function = PEERS[name][0]
    function(vectors[:WARM_ROWS].copy(), 10)
    began = time.monotonic()
    labels = function(vectors, clusters)
    seconds = time.monotonic() - began
    if labels is not None:
        numpy.save(out, labels)
    print(json.dumps({"seconds": seconds}))


def measure(name, path, clusters, threads, work):
    """Seconds, peak bytes and labels; or why there are none."""
    out = work / "labels.npy"
    out.unlink(missing_ok=True)
    environment = dict(os.environ, **{key: str(threads) for key in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT")})
    ended = watch([sys.executable, __file__, "--one", name, "--vectors", path, "--clusters",
                   clusters, "--labels", out], environment)
    if ended["status"] != 0:
        why = ended["said"].strip().splitlines() or [f"ended with {ended['status']}"]
        return {"failed": f"over {TIME_LIMIT} s" if ended["late"] else why[-1][:80]}
    import numpy
    return {"seconds": json.loads(ended["answer"].splitlines()[-1])["seconds"],
            "bytes": ended["bytes"], "labels": numpy.load(out) if out.is_file() else None}


def watch(command, environment=None):
    """Runs the command and tells how it went. A process's peak is never below that of the one that
    started it: so a small one does."""
    words = [sys.executable, __file__, "--watch", *map(str, command)]
    return json.loads(subprocess.run(words, env=environment, check=True, capture_output=True,
                                     text=True).stdout)


def watcher(command):
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as answer:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=answer, stderr=said)
        timer = threading.Timer(TIME_LIMIT, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds, late = time.monotonic() - began, not timer.is_alive()
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        answer.seek(0)
        print(json.dumps({"status": process.returncode, "late": late, "seconds": seconds,
                          "bytes": usage.ru_maxrss * 1024, "said": said.read()[-2000:],
                          "answer": answer.read()[-2000:]}))


# ---- stage4 ----

def read_vectors(path):
    import numpy
    with open(path, "rb") as file:
        _, dimension, rows, *_ = HEADER.unpack(file.read(HEADER.size))
    return numpy.fromfile(path, "<f4", rows * dimension, offset=HEADER.size).reshape(rows, dimension)


def write_level(folder, vectors):
    folder.mkdir(exist_ok=True)
    rows, dimension = vectors.shape
    head = HEADER.pack(b"IxFI", dimension, rows, 1 << 20, 1 << 20, 1, 0, vectors.size)
    (folder / "events.index").write_bytes(head + vectors.tobytes())
    names = [f"event_emb_{i}" for i in range(rows)]
    (folder / "events_metadata.json").write_text(json.dumps({
        "metadata_store": {name: {"source_id": str(i), "embedding_type": "event", "metadata": {}}
                           for i, name in enumerate(names)},
        "id_map": {name: i for i, name in enumerate(names)},
        "reverse_id_map": {str(i): name for i, name in enumerate(names)}}))


def float32_peak(build, vectors, threads, work):
    """Operations a second, as stage4-bench finds them beside a small job: the best of five, for what
    else the machine does can only lower it."""
    folder = work / "small"
    write_level(folder, vectors[:WARM_ROWS])
    command = [build / "stage4-bench", "--indices", folder, "--embedding-type", "events",
               "--threads", str(threads)]
    return 1e9 * max(json.loads(subprocess.run(command, check=True, capture_output=True,
                                               text=True).stdout)["float32_gflops"] for _ in range(5))


def run_stage4(build, folder, threads):
    """Seconds and peak bytes of the whole command."""
    ended = watch([build / "stage4", "run", "--indices", folder, "--embedding-type", "events",
                   "--threads", threads, "--param", f"min_cluster_size={MIN_CLUSTER_SIZE}", "--param",
                   f"min_samples={MIN_SAMPLES}", "--metric", "euclidean", "--output",
                   folder / "clusters.jsonl"])
    if ended["status"]:
        raise SystemExit("peers.py: stage4 run failed: " + ended["said"][-300:])
    return ended["seconds"], ended["bytes"]


def labels_of(output, rows):
    import numpy
    labels = numpy.full(rows, -1)
    with open(output, encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            for member in json.loads(line)["member_ids"]:
                labels[int(member)] = number
    return labels


def exact(build, vectors, threads, work):
    """stage4 twice: the faster one counts, as the peers are warmed up too."""
    folder = work / f"rows-{len(vectors)}"
    write_level(folder, vectors)
    seconds, size = min(run_stage4(build, folder, threads) for _ in range(2))
    return {"seconds": seconds, "bytes": size,
            "labels": labels_of(folder / "clusters.jsonl", len(vectors))}


# ---- the table ----

def versions(packages):
    return ", ".join(importlib.metadata.version(package) for package in packages)


def ratio(result, vectors, peak):
    return result["seconds"] / (2 * len(vectors) ** 2 * vectors.shape[1] / peak)


def agreement(labels, truth):
    if labels is None:
        return ""
    from sklearn.metrics import adjusted_rand_score
    return f"{adjusted_rand_score(truth, labels):.3f}"


def row(name, version, vectors, result, base, peak, is_exact, what):
    if "failed" in result:
        return f"| {name} | {version} | {len(vectors):,} | {result['failed']} | | | {is_exact} | | {what} |"
    return (f"| {name} | {version} | {len(vectors):,} | {result['seconds']:.2f} "
            f"| {ratio(result, vectors, peak):.3f} | {result['bytes'] / 2**20:,.0f} "
            f"| {is_exact} | {agreement(result['labels'], base['labels'])} | {what} |")


def intel():
    """Whether scikit-learn-intelex has an HDBSCAN by now."""
    try:
        import sklearnex.cluster
        return "has an HDBSCAN: add it to PEERS" if hasattr(sklearnex.cluster, "HDBSCAN") else \
            "has no HDBSCAN"
    except ImportError as error:
        return f"cannot be loaded: {error}"[:80]


def compare(options, work):
    import numpy
    every = read_vectors(options.indices / "events.index")
    order = numpy.random.default_rng(1).permutation(len(every))
    peak = float32_peak(options.build, every, options.threads, work)
    bases, lines = {}, []
    for name in options.only or ["stage4", *PEERS]:
        function, packages, most, is_exact, what = PEERS.get(
            name, (None, [], 10**9, "yes", "HDBSCAN*, start, reading and output included"))
        rows = min(len(every), most, options.rows)
        vectors = numpy.ascontiguousarray(every[order[:rows]])
        if rows not in bases:
            bases[rows] = exact(options.build, vectors, options.threads, work)
            lines.append(row("stage4", "", vectors, bases[rows], bases[rows], peak, "yes",
                             "HDBSCAN*; start, reading and output included"))
            print(lines[-1], flush=True)
        if function is None:
            continue
        numpy.save(work / "vectors.npy", vectors)
        result = measure(name, work / "vectors.npy", int(bases[rows]["labels"].max()) + 1,
                         options.threads, work)
        lines.append(row(name, versions(packages), vectors, result, bases[rows], peak, is_exact,
                         what))
        print(lines[-1], flush=True)
    return lines, peak


def processor():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def table(options, lines, peak):
    head = ["program", "version", "rows", "seconds", "ratio", "peak MiB", "exact", "ARI", "what"]
    return "\n".join([
        BEGIN, f"{processor()}, {options.threads} threads, {peak / 1e9:.0f} GFLOP/s float32 (measured). "
        f"min_cluster_size {MIN_CLUSTER_SIZE}, min_samples {MIN_SAMPLES} (the point itself counted), "
        "Euclidean.", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines, "",
        f"scikit-learn-intelex {versions(['scikit-learn-intelex'])} {intel()}.", END])


def put_into(path, text):
    """Between the two marks, which stay."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise SystemExit(f"peers.py: {path} has no lines {BEGIN} and {END}")
    before, rest = page.split(BEGIN, 1)
    path.write_text(before + text + rest.split(END, 1)[1], encoding="utf-8")


def main():
    if sys.argv[1:2] == ["--watch"]:
        watcher(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--indices", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=10**9)
    parser.add_argument("--only", action="append", choices=["stage4", *PEERS])
    parser.add_argument("--into", type=pathlib.Path)
    for hidden in ("--one", "--vectors", "--labels"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--clusters", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options.vectors, options.clusters, options.labels)
        return
    with tempfile.TemporaryDirectory(prefix="stage4-peers-") as work:
        text = table(options, *compare(options, pathlib.Path(work)))
    if options.into:
        put_into(options.into, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
