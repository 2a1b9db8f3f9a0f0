"""What a job is foretold to need beside what it takes, and what happens to one that does not fit."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import BUILD

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-memory-"))
ROWS = 40000
FACTOR = 1.3
HDBSCAN = ["--param", "min_cluster_size=5", "--param", "min_samples=5", "--window-days", "2"]
KMEANS = ["--algorithm", "kmeans", "--param", "k=50", "--param", "max_iterations=2"]


def made():
    folder = WORK / "made"
    if not folder.is_dir():
        script = pathlib.Path(__file__).parent.parent / "bench" / "make_vectors.py"
        subprocess.run([sys.executable, script, folder, str(ROWS)], check=True)
    return folder


def run(*extra):
    """Exit status, report, peak in bytes, and what was said on standard error."""
    command = [BUILD / "stage4", "run", "--indices", made(), "--embedding-type", "events", "--threads",
               "1", "--output", WORK / "out.jsonl", "--report", WORK / "report.json", *extra]
    with open(WORK / "stderr", "w+") as notes:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=notes)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        notes.seek(0)
        said = notes.read()
    report = json.loads((WORK / "report.json").read_text()) if process.returncode == 0 else None
    return process.returncode, report, usage.ru_maxrss * 1024, said


def assert_as_foretold(*extra):
    status, report, peak, said = run(*extra)
    assert status == 0, said
    ratio = report["memory_foreseen_bytes"] / peak
    print(f"  {peak / 2**20:.0f} MiB at the peak, foretold {ratio:.2f} of it")
    assert 1 / FACTOR <= ratio <= FACTOR, (ratio, peak)
    return report["memory_foreseen_bytes"]


def a_run_takes_what_was_foretold():
    assert_as_foretold(*HDBSCAN)


def workers_in_the_process_are_counted():
    assert_as_foretold(*HDBSCAN, "--workers", "2")


def long_lists_are_counted():
    assert_as_foretold(*[word.replace("min_samples=5", "min_samples=100") for word in HDBSCAN])


def kmeans_takes_what_was_foretold():
    assert_as_foretold(*KMEANS)


def a_job_that_does_not_fit_is_refused_with_the_size_that_would():
    limit = 80
    status, _, _, said = run(*HDBSCAN, "--memory-limit-mib", limit)
    lines = [line for line in said.splitlines() if line.startswith("stage4: ")]
    assert status == 11, said
    found = re.search(rf"{ROWS} items need about (\d+) MiB of memory, and memory_limit_mib is {limit}; "
                      r"about (\d+) items would fit", lines[-1])
    assert found, said
    fit = int(found[2])
    assert 1000 < fit < ROWS
    shutil.rmtree(WORK / "made")
    subprocess.run([sys.executable, pathlib.Path(__file__).parent.parent / "bench" / "make_vectors.py",
                    WORK / "made", str(fit * 95 // 100)], check=True)
    status, _, peak, said = run(*HDBSCAN, "--memory-limit-mib", limit)
    assert status == 0, said
    assert peak < FACTOR * limit * 2**20, peak


if __name__ == "__main__":
    try:
        harness.main([
            a_run_takes_what_was_foretold,
            workers_in_the_process_are_counted,
            long_lists_are_counted,
            kmeans_takes_what_was_foretold,
            a_job_that_does_not_fit_is_refused_with_the_size_that_would,
        ])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
