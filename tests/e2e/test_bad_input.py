#!/usr/bin/env python3
"""Every kind of bad input, one table, by both ways in: `stage4 run` ends with one line and its exit
status, a job sent to the gateway is refused or fails with the same words, and neither leaves a file,
a row or a process behind."""
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile

import numpy

import harness
from harness import BUILD, DATA, Cluster, run

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-bad-"))
INDEX, METADATA = "storylines.index", "storylines_metadata.json"
EXIT = {"ERR_USAGE": 2, "ERR_NOT_FOUND": 3, "ERR_INPUT": 4, "ERR_IO": 6, "ERR_UNAVAILABLE": 8}


# ---- what can be wrong with a folder of indices: name -> (code, words, how it is made) ----

def cut(name, share):
    def make(folder):
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[:int(len(raw) * share)])
    return make


def patch(name, at, new):
    def make(folder):
        with open(folder / name, "r+b") as file:
            file.seek(at)
            file.write(new)
    return make


def vectors(change):
    def make(folder):
        fourcc, metric, old = harness.read_index(folder / INDEX)
        harness.write_index(folder / INDEX, change(old.copy()), fourcc, metric)
    return make


def with_nan(values):
    values[::2, 5] = numpy.nan
    return values


def of_length_two(values):
    values[::2] *= 2
    return values


def replaced(name, content):
    def make(folder):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
    return make


def a_pipe(folder):
    (folder / INDEX).unlink()
    os.mkfifo(folder / INDEX)


FOLDERS = {
    "no index": ("ERR_NOT_FOUND", INDEX, replaced(INDEX, None)),
    "no metadata": ("ERR_NOT_FOUND", METADATA, replaced(METADATA, None)),
    "an index cut in the middle": ("ERR_INPUT", "truncated", cut(INDEX, 0.5)),
    "an index of something else": ("ERR_INPUT", INDEX, replaced(INDEX, b"PK\3\4" + bytes(200))),
    "an empty index": ("ERR_INPUT", INDEX, replaced(INDEX, b"")),
    "a count beyond the file": ("ERR_INPUT", "announces", patch(INDEX, 8, b"\0\0\0\x70")),
    "a negative count": ("ERR_INPUT", INDEX, patch(INDEX, 8, b"\xff" * 8)),
    "a dimension of 512": ("ERR_INPUT", "dimension", vectors(lambda v: v[:, :512])),
    "a pipe": ("ERR_INPUT", "pipe", a_pipe),
    "NaN in every second row": ("ERR_INPUT", "max_bad_fraction", vectors(with_nan)),
    "norms of 2 in every second row": ("ERR_INPUT", "max_bad_fraction", vectors(of_length_two)),
    "metadata cut in the middle": ("ERR_INPUT", METADATA, cut(METADATA, 0.5)),
    "metadata that is not UTF-8": ("ERR_INPUT", "UTF-8", patch(METADATA, 900, b"\xff\xfe")),
    "metadata that is a list": ("ERR_INPUT", METADATA, replaced(METADATA, b"[1, 2]")),
    "metadata of another index": ("ERR_INPUT", "max_bad_fraction", replaced(
        METADATA, b'{"metadata_store": {}, "id_map": {}, "reverse_id_map": {}}')),
}

# ---- what can be wrong with a job over good data: (code, words, field, members of the job) ----

JOBS = [
    ("ERR_USAGE", "evnts", "embedding_type", {"embedding_type": "evnts"}),
    ("ERR_USAGE", "dbscan", "algorithm", {"algorithm": "dbscan"}),
    ("ERR_USAGE", "min_clustersize", "params.min_clustersize", {"params": {"min_clustersize": 5}}),
    ("ERR_USAGE", "min_cluster_size", "params.min_cluster_size",
     {"params": {"min_cluster_size": 1}}),
    ("ERR_USAGE", "metric", "metric", {"metric": "manhattan"}),
    ("ERR_USAGE", "window_days", "window_days", {"window_days": -1}),
    ("ERR_USAGE", "only 198 items", "", {"params": {"min_cluster_size": 100000}}),
    ("ERR_INPUT", "filter", "", {"filter": {"domain": "none"}}),
]


def flags_of(job):
    """The options of `stage4 run` that say what the job says."""
    flags = []
    for name, value in {"embedding_type": "storylines", "algorithm": "hdbscan", **job}.items():
        if name == "params":
            flags += ["--param=%s=%s" % item for item in value.items()]
        elif name == "filter":
            flags += ["--filter=%s=%s" % item for item in value.items()]
        else:
            flags.append("--%s=%s" % (name.replace("_", "-"), value))
    return flags


def run_fails(code, words, indices, job):
    place = pathlib.Path(tempfile.mkdtemp(dir=WORK))
    status, _, errors = run(BUILD / "stage4", "run", "--indices", indices, "--output",
                            place / "o.jsonl", *flags_of(job), check=False, timeout=120)
    lines = harness.error_lines(errors)
    assert status == EXIT[code] and len(lines) == 1 and words in lines[0], (status, errors)
    assert not list(place.iterdir()), list(place.iterdir())


def nothing_is_left(cluster):
    assert not list((cluster.folder / "data").glob("*.jsonl*"))
    with sqlite3.connect("file:%s?mode=ro" % (cluster.folder / "state" / "stage4.db"), uri=True) as rows:
        for table in ("result_cluster", "result_member"):
            assert not rows.execute("SELECT * FROM %s LIMIT 1" % table).fetchall(), table


def job_fails(cluster, code, words, job):
    job_id = cluster.submit(**{"embedding_type": "storylines", "algorithm": "hdbscan", **job})
    error = cluster.wait_state(job_id, "failed", seconds=60)["error"]
    assert error["code"] == code and words in error["message"], error
    assert "\n" not in error["message"], error
    status, body, _ = cluster.request("GET", "/api/v1/cluster/results/" + job_id)
    assert status == 409 and error["message"] in body["detail"], body


def each_bad_folder_is_named_by_the_command_line():
    for number, (name, (code, words, make)) in enumerate(FOLDERS.items()):
        folder = shutil.copytree(DATA, WORK / ("run-%d" % number))
        make(folder)
        try:
            run_fails(code, words, folder, {})
        except AssertionError as problem:
            raise AssertionError("%s: %s" % (name, problem)) from problem


def each_bad_folder_fails_the_job_with_the_same_words():
    """One cluster: the files are spoiled under it, and made whole again for the last job."""
    folder = pathlib.Path(shutil.copytree(DATA, WORK / "served"))
    with Cluster(folder).start_all(workers=1) as cluster:
        for name, (code, words, make) in FOLDERS.items():
            make(folder)
            try:
                job_fails(cluster, code, words, {})
            except AssertionError as problem:
                raise AssertionError("%s: %s" % (name, problem)) from problem
            for file in (INDEX, METADATA):
                (folder / file).unlink(missing_ok=True)
                shutil.copy(DATA / file, folder / file)
        nothing_is_left(cluster)
        cluster.wait_state(cluster.submit(embedding_type="storylines"), "completed")


def each_bad_job_is_named_by_both():
    with Cluster(DATA).start_all(workers=1) as cluster:
        for code, words, field, job in JOBS:
            run_fails(code, words, DATA, job)
            if not field:  # only the data say that it is wrong
                job_fails(cluster, code, words, job)
                continue
            status, body, _ = cluster.request(
                "POST", "/api/v1/cluster/batch",
                {"embedding_type": "storylines", "algorithm": "hdbscan", **job})
            assert status == 400 and body["field"] == field and words in body["detail"], body
        nothing_is_left(cluster)


def a_partition_with_too_few_items_is_noise():
    """And one with nobody in it is not there: neither is an error where others go on."""
    output, report = WORK / "few.jsonl", WORK / "few.json"
    run(BUILD / "stage4", "run", "--indices", DATA, "--output", output, "--report", report,
        "--embedding-type=events", "--partition-by=event_type", "--param=min_cluster_size=30")
    story = json.loads(report.read_text())
    sizes = [partition["items"] for partition in story["partitions"]]
    assert min(sizes) < 30 <= max(sizes) and 0 not in sizes, sizes
    assert sum(sizes) == story["items"] and story["noise"] >= sum(n for n in sizes if n < 30), story


def a_taken_port_is_named_by_every_daemon():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        common = ["--indices", DATA, "--state", WORK / "taken", "--output-folder", WORK / "out"]
        for program, option, value in [
                ("stage4-gateway", "--http-listen", address),
                ("stage4-coordinator", "--client-endpoint", "tcp://" + address),
                ("stage4-coordinator", "--worker-endpoint", "tcp://" + address)]:
            status, _, errors = run(BUILD / program, *common, option, value, check=False,
                                    timeout=60)
            lines = harness.error_lines(errors)
            assert status == EXIT["ERR_UNAVAILABLE"], (program, status, errors)
            assert len(lines) == 1 and address in lines[0], (program, errors)
        status, _, errors = run(BUILD / "stage4", "serve", *common, "--http-listen", address,
                                check=False, timeout=60)
        assert status == EXIT["ERR_UNAVAILABLE"] and address in errors, (status, errors)


# ---- a disk that is really full: a small tmpfs in a mount namespace of our own ----

ON_A_SMALL_DISK = r"""
set -e
mount -t tmpfs -o size="$2" tmpfs "$1"
shift 2
status=0
"$@" || status=$?
exit $status
"""


def small_disk(size, mount, *command):
    inside = ["unshare", "--mount", "--map-root-user", "bash", "-c", ON_A_SMALL_DISK, "bash",
              str(mount), size]
    return subprocess.run(inside + [str(c) for c in command], capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL)


def a_full_disk_ends_a_run_with_one_line():
    mount = WORK / "small"
    mount.mkdir()
    if small_disk("1m", mount, "true").returncode:
        print("         no mount namespaces here: the full disk is tested by a file size limit only")
        return
    for size in ("64k", "1m"):  # full while it computes, full while it writes
        done = small_disk(size, mount, "bash", "-c", 'status=0; "$@" || status=$?; ls -A "$0" >&2;'
                          ' exit $status', mount, BUILD / "stage4", "run", "--indices", DATA,
                          "--output", mount / "o.jsonl", "--embedding-type=entities")
        lines = harness.error_lines(done.stderr)
        assert done.returncode == EXIT["ERR_IO"], (size, done.returncode, done.stderr)
        assert "No space left" in lines[0] or "disk is full" in lines[0], (size, lines)
        assert lines[1:] == [], (size, lines)


if __name__ == "__main__":
    os.chdir(WORK)
    try:
        harness.main([each_bad_folder_is_named_by_the_command_line,
                      each_bad_folder_fails_the_job_with_the_same_words,
                      each_bad_job_is_named_by_both,
                      a_partition_with_too_few_items_is_noise,
                      a_taken_port_is_named_by_every_daemon,
                      a_full_disk_ends_a_run_with_one_line])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
