#!/usr/bin/env python3
"""A disk that hangs for as long as the test likes: the coordinator goes on answering, hands out what
it may, takes nobody for dead, says what it waits for, and acknowledges nothing meanwhile."""
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import harness
from harness import AS_OF, BUILD, Cluster, sha256

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-slow-disk-"))
SHIM = BUILD / "tests" / "stage4-slow-disk.so"
JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}
LEASE = 3.0  # seconds of silence after which a worker is given up


class SlowDisk(Cluster):
    """Its coordinator's syncs return only while nobody holds the disk."""

    def __init__(self, indices):
        super().__init__(indices)
        self.held = self.folder / "held"

    def start_coordinator(self):
        asan = os.environ.get("ASAN_OPTIONS", "")
        kept = dict(self.environment)
        self.environment.update(LD_PRELOAD=str(SHIM), STAGE4_SLOW_DISK=str(self.held),
                                ASAN_OPTIONS=asan + ":verify_asan_link_order=0")
        super().start_coordinator()
        self.environment = kept

    def hold(self):
        self.held.touch()

    def let_go(self):
        self.held.unlink(missing_ok=True)


def ask_in_the_background(call):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    return thread, answers


def a_disk_that_hangs_holds_up_saves_and_nothing_else():
    folder = WORK / "big"
    harness.made_events(folder, harness.rows_of_a_long_job() // 2, seed=11)
    with SlowDisk(folder) as service:
        service.start_all(2)
        first = service.submit(**JOB)
        service.wait_state(first, "completed")
        expected = sha256(service.jsonl(first))
        job = service.submit(**JOB)
        service.wait_for(lambda: service.status(job).get("phase") == "neighbours" and
                         service.status(job).get("tasks_in_flight"), 60, "a task at work")
        service.hold()
        words = service.wait_for(lambda: service.status(job).get("waiting_for"), 60,
                                 "words on what is waited for")
        assert words.startswith("a save is not done yet: the disk of the "), words
        assert "has not answered for " in words and "hold" in words, words
        pause, paused = ask_in_the_background(
            lambda: service.request("POST", "/cluster/pause/" + job))
        submit, submitted = ask_in_the_background(lambda: service.request(
            "POST", "/api/v1/cluster/batch", dict(JOB, params={"min_cluster_size": 9})))
        begin = time.monotonic()
        answers = 0
        done = service.status(job)["tasks_done"]
        while time.monotonic() - begin < 2 * LEASE or answers < 20:
            status = service.status(job)
            assert status["state"] == "running" and status["tasks_done"] == done, status
            assert service.status(first)["state"] == "completed"  # read from the ledger
            assert service.request("GET", "/health")[0] == 200
            answers += 1
        # The gateway may have given up meanwhile, which promises nothing.
        told = [answer[0] for answer in paused + submitted]
        assert not [code for code in told if code < 300], "acknowledged, and not on the disk"
        status = service.status(job)
        assert status["workers"] == 2 and status["workers_lost"] == 0, status
        service.let_go()
        service.wait_state(job, "paused")
        pause.join(timeout=60)
        submit.join(timeout=60)
        assert paused and submitted
        service.request("POST", "/cluster/resume/" + job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected


if __name__ == "__main__":
    os.chdir(WORK)
    try:
        harness.main([a_disk_that_hangs_holds_up_saves_and_nothing_else])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
        sys.stdout.flush()
