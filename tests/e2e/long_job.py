#!/usr/bin/env python3
"""The story of one long job: workers come and go, the coordinator is killed twice, Redis and
PostgreSQL are restarted; it ends with the bytes of the undisturbed run, and its report says it all.

    tests/e2e/long_job.py [--rows 60000] [--duty 0.3] [--hold]

Workers are slow: they have one thread, and are stopped (SIGSTOP) for a part of every fifth of a
second, so that they work --duty of the time. What happens next happens when the job has come so far,
not after so many seconds. With --hold they work a quarter of that while a fault is waited to be felt, so
that a short job has something left for the next one; test_long_job.py is that."""
import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

import harness
from harness import AS_OF, sha256, stage4
from stored import StoredService

JOB = {"embedding_type": "events", "algorithm": "hdbscan", "window_days": 30, "as_of": AS_OF}
BEAT = 0.2  # seconds: a worker runs and rests once in each


class Throttle(threading.Thread):
    """Lets every worker run `duty` of the time."""

    def __init__(self, service, duty):
        super().__init__(daemon=True)
        self.service, self.duty = service, duty
        self.over = threading.Event()

    def all_workers(self, how):
        for worker in list(self.service.workers):
            if worker.poll() is None:
                worker.send_signal(how)

    def run(self):
        while not self.over.wait(BEAT * self.duty):
            self.all_workers(signal.SIGSTOP)
            self.over.wait(BEAT * (1 - self.duty))
            self.all_workers(signal.SIGCONT)

    def stop(self):
        self.over.set()
        self.join()
        self.all_workers(signal.SIGCONT)


class Story:
    def __init__(self, service, throttle, hold):
        self.service = service
        self.throttle = throttle
        self.hold = hold
        self.job = None
        self.told = []
        self.chapters = [  # (how far the job must have come, what happens then)
            (0.06, self.a_worker_is_killed),
            (0.08, self.a_worker_comes),
            (0.16, self.the_coordinator_is_killed),
            (0.24, self.a_worker_comes),
            (0.32, self.redis_goes_and_comes_back),
            (0.40, self.a_worker_comes),
            (0.48, self.a_worker_leaves),
            (0.56, self.the_coordinator_is_killed),
            (0.64, self.a_worker_comes),
            (0.80, self.postgres_goes),
        ]

    def a_worker_comes(self):
        self.service.workers.append(self.service.new_worker())

    def is_told(self, what):
        """Of the job, by now; what a fault did is felt before the next one comes."""
        faults = self.service.status(self.job).get("faults", [])
        return sum(f.get("times", 1) for f in faults if f["what"] == what)

    def one_at_work(self):
        """The worker that has had most of the processor in the last second."""
        before = {worker.pid: harness.processor_seconds(worker.pid) for worker in self.service.workers}
        time.sleep(1)
        return max(self.service.workers, key=lambda worker:
                   harness.processor_seconds(worker.pid) - before[worker.pid])

    def a_worker_is_killed(self):
        worker = self.one_at_work()
        self.service.workers.remove(worker)
        self.service.kill(worker)
        self.service.wait_for(lambda: self.is_told("worker_lost"), 120, "a lost worker")

    def a_worker_leaves(self):
        worker = self.service.workers.pop(0)
        worker.send_signal(signal.SIGCONT)
        assert self.service.kill(worker, signal.SIGTERM) == 0

    def the_coordinator_is_killed(self):
        before = self.is_told("coordinator_restarted")
        self.service.kill(self.service.coordinator)
        self.service.start_coordinator()
        self.service.wait_for(lambda: self.is_told("coordinator_restarted") > before, 60,
                              "the job to go on")

    def waits(self):
        return "not answered" in (self.service.status(self.job).get("waiting_for") or "")

    def redis_goes_and_comes_back(self):
        redis = self.service.servers["redis"]
        redis.stop()
        self.service.wait_for(self.waits, 600, "a checkpoint that has to wait")
        time.sleep(1.5)  # what lasts less than a second is not worth a line of the report
        redis.start()
        self.service.wait_for(lambda: self.is_told("store_failed"), 120, "a checkpoint taken")

    def postgres_goes(self):
        """It comes back when its absence was felt: not before the results are to be written."""
        postgres = self.service.servers["postgres"]
        postgres.stop(signal.SIGQUIT)
        self.service.wait_for(self.waits, 600, "results that have to wait")
        time.sleep(1.5)
        postgres.start()

    def run(self):
        begin = time.monotonic()
        self.job = self.service.submit(**JOB)
        for progress, chapter in self.chapters:
            status = self.service.wait_for(lambda: self.reached(progress), 900, chapter.__name__)
            duty = self.throttle.duty
            if self.hold and chapter not in (self.redis_goes_and_comes_back, self.postgres_goes):
                self.throttle.duty /= 4  # those two wait for the job to go on
            chapter()
            self.throttle.duty = duty
            self.told.append("%5.1f s, %2.0f %%: %s" % (
                time.monotonic() - begin, 100 * status["progress"],
                chapter.__name__.replace("_", " ")))
        return self.service.wait_state(self.job, "completed", seconds=900)

    def reached(self, progress):
        status = self.service.status(self.job)
        assert status.get("state") not in ("failed", "cancelled"), status
        return status if status.get("progress", 0) >= progress else None


def undisturbed(indices, folder):
    out = folder / "undisturbed.jsonl"
    stage4("run", "--indices", indices, "--embedding-type", "events", "--window-days",
           JOB["window_days"], "--as-of", AS_OF, "--output", out)
    return sha256(out)


def check_report(report):
    """It tells of all that was felt."""
    faults = report["faults"]
    what = {}
    for fault in faults:
        what[fault["what"]] = what.get(fault["what"], 0) + fault.get("times", 1)
    assert what.get("coordinator_restarted") == 2 == report["recovered"], faults
    assert what.get("worker_lost", 0) >= 1, faults
    stores = " ".join(fault["words"] for fault in faults if fault["what"] == "store_failed")
    assert "ledger" in stores and "result" in stores, faults
    assert len(report["workers"]) >= 2, report["workers"]


def tell_story(rows, duty, hold):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-long-job-"))
    try:
        indices = harness.made_events(folder / "indices", rows, seed=3)
        expected = undisturbed(indices, folder)
        with StoredService(indices, workers=2) as service:
            service.limit = 3  # as a user has it: no task is unlucky thrice
            service.environment = {}
            service.begin()
            throttle = Throttle(service, duty)
            throttle.start()
            story = Story(service, throttle, hold)
            try:
                begin = time.monotonic()
                status = story.run()
            finally:
                throttle.stop()
            print("\n".join(story.told))
            print("%5.1f s: %s" % (time.monotonic() - begin, status["state"]))
            for fault in status["report"]["faults"]:
                print("  report: %(at)s %(what)s: %(words)s" % fault)
            assert sha256(service.jsonl(story.job)) == expected, "other bytes"
            check_report(status["report"])
            return json.dumps(status["report"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60000)
    parser.add_argument("--duty", type=float, default=0.3)
    parser.add_argument("--hold", action="store_true")
    tell_story(**vars(parser.parse_args()))
    print("the bytes of the undisturbed run, and the report says what happened")
    sys.exit(0)


if __name__ == "__main__":
    main()
