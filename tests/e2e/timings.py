#!/usr/bin/env python3
"""How long it takes until a fault or a wish has its effect: distributions over many trials.

    tests/e2e/timings.py [--trials 100] [--only NAME]... [--json FILE]

On a service that is at work all the time: on five jobs of short tasks for what happens to
processes, on one job of long tasks for pause and cancel. Times are those of the daemons' own logs (level debug)
and of this process, which share a clock. Exit status 1 when one trial took longer than promised."""
import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

import harness
from harness import AS_OF, Cluster

JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}
LIMITS = {  # seconds that a trial may take at most
    "worker killed -> its tasks dispatched elsewhere": 4.0,
    "worker stopped -> its tasks dispatched elsewhere": 4.0,
    "coordinator killed and started -> first new task": 5.0,
    "pause -> nothing of the job runs": 2.0,
    "cancel -> cancelled, nothing of it runs": 2.0,
    "worker SIGTERM -> exit": 10.0,
    "coordinator SIGTERM -> exit": 10.0,
}
WORKERS = 4
JOBS = 5  # at once, where tasks are short: fewer than the workers' credits, so that one is free
SHORT, LONG = 4000, 16000  # rows of a job: one task of a second, some of ten


class Service(Cluster):
    """Logs at level debug, read as they grow."""

    def __init__(self, indices):
        super().__init__(indices)
        self.read = collections.defaultdict(int)
        self.events = []       # of the coordinators, in order
        self.worker_events = []

    def start(self, program, *arguments):
        return super().start(program, *arguments, "--log-level", "debug")

    def start_coordinator(self):
        self.coordinator = self.start(
            "stage4-coordinator", "--indices", self.indices, "--state", self.folder / "state",
            "--output-folder", self.folder / "data", "--client-endpoint", self.client,
            "--worker-endpoint", self.worker_endpoint, "--retry-limit", 1000, "--running-limit",
            JOBS)

    def look(self):
        """Reads what the logs have got since."""
        for path in sorted(self.folder.glob("*-stage4-*.log")):
            if "gateway" in path.name:
                continue
            with open(path, encoding="utf-8") as log:
                log.seek(self.read[path])
                text = log.read()
            end = text.rfind("\n") + 1
            self.read[path] += len(text[:end].encode())
            for line in text[:end].splitlines():
                event = json.loads(line)
                event["at"] = datetime.datetime.fromisoformat(
                    event["time"].replace("Z", "+00:00")).timestamp()
                (self.events if "coordinator" in path.name else self.worker_events).append(event)

    def status_of_any(self):
        """1 when a job is running."""
        _, answer, _ = self.request("GET", "/api/v1/cluster/jobs?state=running&limit=1")
        return answer and answer["jobs"]

    def since(self, start, name):
        self.look()
        return [e for e in self.events[start:] if e["event"] == name]

    def held_by(self, worker):
        """(job, stage, task) handed to the worker and not saved or handed on since: attempt."""
        self.look()
        held = {}
        for event in self.events:
            if event["event"] == "coordinator_started":
                held.clear()
            if event["event"] not in ("task_dispatched", "result_saved"):
                continue
            key = (event["job_id"], event["stage"], event["task"])
            if event["event"] == "result_saved":
                held.pop(key, None)
            elif event["worker"] == worker:
                held[key] = event["attempt"]
            else:
                held.pop(key, None)
        return held


class Trials:
    def __init__(self, service, trials, seed):
        self.service = service
        self.trials = trials
        self.random = random.Random(seed)
        self.job = None

    # ---- the work that goes on meanwhile ----

    def new_job(self):
        self.job = self.service.submit(**JOB)
        self.at_work()

    def at_work(self):
        self.service.wait_for(lambda: self.service.status(self.job).get("tasks_in_flight"), 60,
                              "tasks in flight")

    def keep_at_work(self):
        if self.service.status(self.job).get("state") not in ("running", "planning", "merging"):
            self.new_job()

    def feed(self, stop):
        """Keeps so many jobs going, in a thread, whatever happens to the service."""
        while not stop.wait(0.1):
            _, info, _ = self.service.request("GET", "/api/v1/cluster/jobs?limit=%d" % (2 * JOBS))
            going = sum(job["state"] not in ("completed", "failed", "cancelled")
                        for job in (info or {}).get("jobs", []))
            if info and going < JOBS:
                self.service.request("POST", "/api/v1/cluster/batch", JOB)

    @staticmethod
    def name_of(process):
        """As a worker that was given no name calls itself: host, process, thread."""
        return "%s-%d-%d" % (socket.gethostname()[:31], process.pid, process.pid)

    # ---- one trial each ----

    def redispatch(self, harm, mend):
        """Harms a worker that has tasks: seconds until the last of them was handed on."""
        process = self.random.choice(self.service.workers)
        name = self.name_of(process)
        time.sleep(self.random.uniform(0, 1))  # any phase of the heartbeat
        held = self.service.wait_for(lambda: self.service.held_by(name), 30, name + " to have tasks")
        start = len(self.service.events)
        harmed = time.time()
        harm(process)
        seconds = None
        end = time.monotonic() + 20
        while held and time.monotonic() < end:
            for event in self.service.since(start, "task_dispatched"):
                key = (event["job_id"], event["stage"], event["task"])
                if key in held and event["worker"] != name:
                    del held[key]
                    seconds = max(seconds or 0, event["at"] - harmed)
            for event in self.service.since(start, "result_saved"):  # it was on its way
                held.pop((event["job_id"], event["stage"], event["task"]), None)
            time.sleep(0.02)
        mend(process)
        assert not held, "never handed on: %s" % held
        return seconds

    def worker_killed(self):
        def replace(process):
            self.service.workers.remove(process)
            self.service.start_worker()
        return self.redispatch(lambda process: self.service.kill(process), replace)

    def worker_stopped(self):
        return self.redispatch(lambda process: process.send_signal(signal.SIGSTOP),
                               lambda process: process.send_signal(signal.SIGCONT))

    def coordinator_restarted(self):
        self.service.wait_for(lambda: self.service.status_of_any(), 30, "work")
        self.service.look()
        start = len(self.service.events)
        time.sleep(self.random.uniform(0, 0.5))
        self.service.kill(self.service.coordinator)
        killed = time.time()
        self.service.start_coordinator()
        self.service.wait_for(
            lambda: any(e["at"] >= killed for e in self.service.since(start, "task_dispatched")),
            30, "a task after the restart")
        return min(e["at"] for e in self.service.since(start, "task_dispatched")
                   if e["at"] >= killed) - killed

    def ended_for(self, job_id, states, asked):
        """Seconds until the job's state is in the log and no worker computes anything of it."""
        start = max(0, len(self.service.events) - 50)
        def told():
            return [e for e in self.service.since(start, "job_changed")
                    if e["job_id"] == job_id and e["state"] in states and e["at"] >= asked - 0.002]
        self.service.wait_for(told, 30, "the job to be " + states[0])
        time.sleep(0.3)  # stragglers among the logs
        self.service.look()
        dropped = [e["at"] for e in self.service.worker_events
                   if e["event"] == "task_dropped" and e["job_id"] == job_id and e["at"] > asked]
        return max([told()[0]["at"]] + dropped) - asked

    def pause(self):
        self.keep_at_work()
        self.at_work()
        time.sleep(self.random.uniform(0, 0.5))
        asked = time.time()
        status, _, _ = self.service.request("POST", "/api/v1/cluster/pause/" + self.job)
        if status == 409:
            return None
        seconds = self.ended_for(self.job, ("paused",), asked)
        self.service.request("POST", "/api/v1/cluster/resume/" + self.job)
        return seconds

    def cancel(self):
        self.new_job()
        time.sleep(self.random.uniform(0, 0.5))
        asked = time.time()
        status, _, _ = self.service.request("POST", "/api/v1/cluster/cancel/" + self.job)
        return None if status == 409 else self.ended_for(self.job, ("cancelled",), asked)

    def worker_leaves(self):
        process = self.random.choice(self.service.workers)
        self.service.wait_for(lambda: self.service.held_by(self.name_of(process)), 30, "tasks")
        begin = time.monotonic()
        assert self.service.kill(process, signal.SIGTERM) == 0
        seconds = time.monotonic() - begin
        self.service.workers.remove(process)
        self.service.start_worker()
        return seconds

    def coordinator_leaves(self):
        self.service.wait_for(lambda: self.service.status_of_any(), 30, "work")
        begin = time.monotonic()
        assert self.service.kill(self.service.coordinator, signal.SIGTERM) == 0
        seconds = time.monotonic() - begin
        self.service.start_coordinator()
        return seconds

    def all_of(self, name):
        one = dict(zip(LIMITS, (self.worker_killed, self.worker_stopped, self.coordinator_restarted,
                                self.pause, self.cancel, self.worker_leaves,
                                self.coordinator_leaves)))[name]
        times = []
        for _ in range(3 * self.trials):
            seconds = one()
            times += [] if seconds is None else [seconds]
            if len(times) == self.trials:
                break
        return sorted(times)


def share(times, fraction):
    return times[min(len(times) - 1, int(fraction * len(times)))]


def measure(name, folder, options):
    """The sorted times of one line, on a service of its own."""
    single = name.startswith(("pause", "cancel"))
    with Service(folder / ("long" if single else "short")) as service:
        service.start_all(workers=WORKERS)
        trials = Trials(service, options.trials, options.seed)
        stop = threading.Event()
        feeder = threading.Thread(target=trials.feed, args=(stop,), daemon=True)
        if single:
            trials.new_job()
        else:
            feeder.start()
        try:
            return trials.all_of(name)
        finally:
            stop.set()
            if not single:
                feeder.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="lines whose name contains that")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    names = [name for name in LIMITS if not options.only or any(o in name for o in options.only)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-timings-"))
    os.environ["STAGE4_SIMD"] = "scalar"  # tasks of a second: there is always one to be hit in
    results = {}
    try:
        for word, rows in (("short", SHORT), ("long", LONG)):
            harness.made_events(folder / word, rows, seed=3)
        for name in names:
            times = results[name] = measure(name, folder, options)
            print("%-50s n %4d  median %5.2f  p95 %5.2f  max %5.2f s  (promised %4.1f)" % (
                name, len(times), share(times, 0.5), share(times, 0.95), times[-1], LIMITS[name]),
                flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(results))
    sys.exit(any(not t or t[-1] > LIMITS[n] for n, t in results.items()))


if __name__ == "__main__":
    main()
