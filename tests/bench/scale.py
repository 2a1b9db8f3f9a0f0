#!/usr/bin/env python3
"""What it costs to be reliable, and what does not grow: the numbers of docs/reliability.md.

    tests/bench/scale.py checkpoint [--rows 50000] [--pairs 3]   a run with its checkpoints and without
    tests/bench/scale.py queue [--jobs 1000] [--workers 64]      the coordinator's share of a core
    tests/bench/scale.py memory [--jobs 1000]                    of each daemon, job after job

On a Redis and a PostgreSQL of its own (checkpoint: on files, as `stage4 run` works). Processor time,
not the clock, wherever a busy machine would lie."""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "e2e")]
import harness  # noqa: E402
import make_vectors  # noqa: E402
from harness import AS_OF, BUILD  # noqa: E402
from stored import StoredService  # noqa: E402

JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}


# ---- checkpoints ----

def run_once(indices, folder, state):
    """(processor seconds, seconds) of one run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [str(BUILD / "stage4"), "run", "--indices", str(indices), "--embedding-type", "events",
               "--as-of", AS_OF, "--output", str(folder / "out.jsonl"), "--threads", "1"]
    command += ["--state", str(folder / "state")] if state else []
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begin


def checkpoint(folder, options):
    source = harness.DATA / "events.index" if not options.source else options.source
    make_vectors.make(folder / "indices", options.rows, source)
    rows = []
    for pair in range(options.pairs):
        order = (True, False) if pair % 2 else (False, True)
        times = {state: run_once(folder / "indices", folder / "run", state) for state in order}
        rows.append(times)
        print("with %.2f s of processor (%.2f s), without %.2f s (%.2f s): %+.1f %% (%+.1f %%)" % (
            *times[True], *times[False], *(100 * (times[True][i] / times[False][i] - 1)
                                           for i in (0, 1))), flush=True)
    for i, what in ((0, "processor time"), (1, "time")):
        print("checkpoints and result store, %s: %+.1f %% (median of %d pairs)" % (
            what, statistics.median(100 * (t[True][i] / t[False][i] - 1) for t in rows), len(rows)))


# ---- many jobs and workers ----

class Scaled(StoredService):
    def __init__(self, indices, workers, queue_limit):
        super().__init__(indices, workers)
        self.queue_limit = queue_limit
        self.environment = {"STAGE4_LOG_LEVEL": "warning", "STAGE4_QUEUE_LIMIT": str(queue_limit),
                            "STAGE4_RESULT_CACHE_MIB": "4"}  # full soon: it is meant to be


def queue(folder, options):
    harness.made_events(folder / "indices", 20000, seed=3)
    with Scaled(folder / "indices", options.workers, options.jobs + 10) as service:
        service.environment["STAGE4_SIMD"] = "scalar"  # what runs goes on for longer than we look
        service.begin()
        for _ in range(options.jobs):
            service.submit(**JOB)
        time.sleep(3)
        pid, begin = service.coordinator.pid, time.monotonic()
        before = harness.processor_seconds(pid)
        time.sleep(options.seconds)
        seconds = time.monotonic() - begin
        share = (harness.processor_seconds(pid) - before) / seconds
        _, info, _ = service.request("GET", "/api/v1/statistics")
        print("%d jobs, %d workers, %.0f s: the coordinator took %.1f %% of a core" % (
            options.jobs, options.workers, seconds, 100 * share))
        print("  " + ", ".join("%s %s" % (k, v) for k, v in sorted(info["coordinator"].items())
                               if isinstance(v, (int, dict))))


# ---- memory ----

def resident_kib(pid):
    return int(next(line for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines()
                    if line.startswith("VmRSS")).split()[1])


def memory(folder, options):
    with Scaled(harness.DATA, 1, 1000) as service:
        service.begin()
        daemons = {"coordinator": service.coordinator, "gateway": service.gateway,
                   "worker": service.workers[0]}
        seen = {name: [] for name in daemons}
        for number in range(1, options.jobs + 1):
            job = service.submit(embedding_type=("events", "storylines")[number % 2], as_of=AS_OF,
                                 params={"min_cluster_size": 3 + number % 5})
            service.wait_state(job, "completed")
            service.request("GET", "/api/v1/clusters?job_id=%s&limit=50" % job)
            if number % (options.jobs // 10) == 0:
                for name, process in daemons.items():
                    seen[name].append(resident_kib(process.pid))
                print("%5d jobs: " % number + ", ".join(
                    "%s %.1f MiB" % (name, seen[name][-1] / 1024) for name in daemons), flush=True)
        for name, sizes in seen.items():
            grown = sizes[-1] - sizes[len(sizes) // 2 - 1]
            print("%-12s grew by %d KiB over the last half: %.2f KiB a job" % (
                name, grown, grown / (options.jobs / 2)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, work, settings in (
            ("checkpoint", checkpoint, (("rows", 50000), ("pairs", 3))),
            ("queue", queue, (("jobs", 1000), ("workers", 64), ("seconds", 20))),
            ("memory", memory, (("jobs", 1000),))):
        sub = verbs.add_parser(verb)
        sub.set_defaults(work=work)
        for name, value in settings:
            sub.add_argument("--" + name, type=int, default=value)
        if verb == "checkpoint":
            sub.add_argument("--from", dest="source", type=pathlib.Path, help="as make_vectors.py")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-scale-"))
    try:
        options.work(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
