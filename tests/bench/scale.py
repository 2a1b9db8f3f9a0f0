#!/usr/bin/env python3
"""What it costs to be reliable, and what does not grow: the numbers of docs/reliability.md.

    tests/bench/scale.py checkpoint [--rows 50000] [--pairs 3]   a job's checkpoints, and its result rows
    tests/bench/scale.py queue [--jobs 1000] [--workers 64]      the coordinator's share of a core
    tests/bench/scale.py memory [--jobs 1000]                    of each daemon, job after job

On a Redis and a PostgreSQL of its own (checkpoint: on files, and its ledger in a Redis as well).
Processor time, not the clock, wherever a busy machine would lie."""
import argparse
import json
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
import servers  # noqa: E402
from harness import AS_OF, BUILD  # noqa: E402
from stored import StoredService  # noqa: E402

JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}


# ---- checkpoints ----

VARIANTS = (("nothing kept", "none", "none"), ("ledger in SQLite", "sqlite", "none"),
            ("ledger in Redis", "redis", "none"),
            ("ledger and results in SQLite", "sqlite", "sqlite"))


def run_once(indices, folder, ledger, results):
    """What bench_checkpoint says, and the processor seconds of the Redis beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    program = next(BUILD.rglob("bench_checkpoint"))
    command = [str(program), str(indices), "events", str(folder), ledger, results]
    if ledger != "redis":
        return dict(json.loads(subprocess.check_output(command)), server=0.0)
    with servers.Redis() as redis:
        before = harness.processor_seconds(redis.process.pid)
        said = json.loads(subprocess.check_output(
            command + [str(redis.port), servers.REDIS_PASSWORD]))
        return dict(said, server=harness.processor_seconds(redis.process.pid) - before)


def checkpoint(folder, options):
    """The saver's thread, what the merge thread's syncs took, and Redis: that is what checkpoints
    cost, payloads' files included. The difference to a run that keeps nothing has the noise of two runs."""
    source = harness.DATA / "events.index" if not options.source else options.source
    make_vectors.make(folder / "indices", options.rows, source)
    runs = {name: [] for name, _, _ in VARIANTS}
    for pair in range(options.pairs):
        for name, ledger, results in VARIANTS[::-1] if pair % 2 else VARIANTS:
            runs[name].append(run_once(folder / "indices", folder / "run", ledger, results))
    for name, _, results in VARIANTS:
        cost = [r["saver"] + r["other_syncs_processor"] + r["server"] for r in runs[name]]
        whole = [r["processor"] + r["server"] for r in runs[name]]
        beside = [100 * (w / n["processor"] - 1) for w, n in zip(whole, runs["nothing kept"])]
        print("%s: %.2f s of processor; saver %.3f s, others' syncs %.3f s, Redis %.3f s: %.2f %% "
              "of the job; against nothing kept %+.1f %%; %d + %d syncs, waited for %.2f + %.2f s" % (
                  name, statistics.median(whole), *(statistics.median(r[k] for r in runs[name]) for k in (
                      "saver", "other_syncs_processor", "server")),
                  statistics.median(100 * c / w for c, w in zip(cost, whole)),
                  statistics.median(beside), runs[name][0]["saver_syncs"],
                  runs[name][0]["other_syncs"], *(statistics.median(r[k] for r in runs[name]) for k in (
                      "saver_syncs_seconds", "other_syncs_seconds"))), flush=True)


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
