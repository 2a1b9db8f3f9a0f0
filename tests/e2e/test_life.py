#!/usr/bin/env python3
"""The life of a job beyond its end, with real processes: what has failed is retried from what it
has, and what was lost on the way is made again."""
import os
import pathlib
import shutil
import sqlite3
import tempfile
import time

import harness
from harness import AS_OF, Cluster, sha256
from proxy import Proxy

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-life-"))
JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}
REFERENCE = {}


def big():
    folder = WORK / "big"
    if not folder.exists():
        harness.made_events(folder, harness.rows_of_a_long_job() // 2, seed=9)
    return folder


class Service(Cluster):
    def control(self, verb, job, expect=200):
        status, body, _ = self.request("POST", "/api/v1/cluster/%s/%s" % (verb, job))
        assert status == expect, (verb, status, body)
        return body

    def computed(self):
        """Results that were saved since the coordinator started."""
        return sum(w["tasks_done"] for w in self.request("GET", "/health")[1]["workers"])

    def in_the_way(self, job):
        return self.folder / "data" / ("clustered_events_%s.jsonl" % job)


def reference():
    """The bytes of the undisturbed run, and how many tasks it has."""
    if not REFERENCE:
        with Service(big()).start_all(2) as service:
            job = service.submit(**JOB)
            report = service.wait_state(job, "completed")["report"]
            REFERENCE["memory"] = report["memory_foreseen_bytes"]
            REFERENCE["sha"] = sha256(service.jsonl(job))
    return REFERENCE["sha"]


def a_failed_job_goes_on_where_it_was():
    expected = reference()
    with Service(big()).start_all(2) as service:
        job = service.submit(**JOB)
        (service.in_the_way(job) / "something").mkdir(parents=True)  # nothing can be renamed to it
        failed = service.wait_state(job, "failed")
        dispatched = log_count(service, "result_saved")
        service.control("resume", job, 409)
        shutil.rmtree(service.in_the_way(job))
        again = service.control("retry", job)
        assert again["state"] in ("queued", "planning", "writing"), again
        report = service.wait_state(job, "completed")["report"]
        assert sha256(service.jsonl(job)) == expected
        assert log_count(service, "result_saved") == dispatched, "tasks were computed again"
        assert any(f["what"] == "retried" and failed["error"]["message"][:40] in f["words"]
                   for f in report["faults"]), report["faults"]
        problem = service.control("retry", job, 409)
        assert "completed" in problem["detail"], problem
        service.wait_for(lambda: not list((service.folder / "state" / "spool").iterdir()), 10,
                         "an empty spool")


def a_failed_job_is_retried_by_another_coordinator():
    expected = reference()
    with Service(big()) as service:
        service.coordinator_options = ["--retry-limit", "1"]
        service.start_all(0)
        victim = service.start_slow_worker()
        job = service.submit(**JOB)
        service.wait_for(lambda: service.status(job)["tasks_in_flight"], 60, "a task")
        service.kill(victim)
        error = service.wait_state(job, "failed")["error"]
        assert "failed 1 times" in error["message"], error
        service.kill(service.coordinator)
        service.start_coordinator()
        service.start_worker()
        service.start_worker()
        service.wait_for(lambda: service.status(job).get("state") == "failed", 20, "the job")
        service.control("retry", job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected


def a_cancelled_job_can_be_run_after_all():
    expected = reference()
    with Service(big()).start_all(2) as service:
        job = service.submit(**JOB)
        service.wait_for(lambda: service.status(job)["tasks_in_flight"], 60, "a task")
        service.control("cancel", job)
        service.wait_state(job, "cancelled")
        service.control("retry", job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected


def log_count(service, event):
    logs = (f.read_text() for f in service.folder.glob("*-stage4-coordinator.log"))
    return sum(text.count('"%s"' % event) for text in logs)


class FarWorkers(Service):
    """Between them and the coordinator is a wire that can be made slow: a stage that is over in a
    moment then takes long enough to be met."""

    def __init__(self, indices):
        super().__init__(indices)
        self.wire = Proxy(harness.free_port(), int(self.worker_endpoint.rsplit(":", 1)[1]))

    def __exit__(self, *problem):
        super().__exit__(*problem)
        self.wire.close()

    def start_worker(self, threads=1):
        near, self.worker_endpoint = self.worker_endpoint, "tcp://127.0.0.1:%d" % self.wire.port
        worker = super().start_worker(threads)
        self.worker_endpoint = near
        return worker


def in_the_rounds(service, job):
    """The job rests, past its neighbours: their results are inputs of what comes next."""
    def phase():
        return str(service.status(job).get("phase"))
    service.wait_for(lambda: phase() in ("bounds", "neighbours"), 60, "the neighbours")
    service.wire.delay = 0.02  # a piece: what is large takes a second, less than a lease
    until = time.monotonic() + 60
    while not phase().startswith("tree"):
        assert time.monotonic() < until, "the rounds never came"
        time.sleep(0.005)
    service.control("pause", job)
    service.wait_state(job, "paused")
    service.wire.delay = 0
    return service.folder / "state" / "spool" / job


def again(service, job):
    """A coordinator that has nothing in memory takes the job up."""
    service.kill(service.coordinator)
    service.start_coordinator()
    service.wait_for(lambda: service.status(job).get("state") == "paused", 30, "the coordinator")
    service.control("resume", job)


def results_of_earlier_stages(spool):
    """Those that the finished stages' lists name."""
    for memory in spool.glob("*.results"):
        raw = memory.read_bytes()[:-32]
        yield from (spool / raw[i:i + 32].hex() for i in range(0, len(raw), 32))


def lost_results_of_earlier_stages_are_computed_again():
    expected = reference()
    with FarWorkers(big()).start_all(2) as service:
        job = service.submit(**JOB)
        spool = in_the_rounds(service, job)
        before = log_count(service, "result_saved")
        for file in set(results_of_earlier_stages(spool)):
            file.unlink()
        again(service, job)
        report = service.wait_state(job, "completed")["report"]
        assert sha256(service.jsonl(job)) == expected
        assert any(f["what"] == "file_lost" for f in report["faults"]), report["faults"]
        assert log_count(service, "result_saved") > before


def a_spool_that_was_emptied_is_filled_again():
    expected = reference()
    with FarWorkers(big()).start_all(2) as service:
        job = service.submit(**JOB)
        spool = in_the_rounds(service, job)
        for file in spool.iterdir():
            file.unlink()
        again(service, job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected


def ended_long_ago(service, *jobs):
    """The ledger's clock is put back by a year, for these jobs, while nobody looks."""
    service.kill(service.coordinator)
    with sqlite3.connect(service.folder / "state" / "ledger.db") as ledger:
        for job in jobs:
            ledger.execute("UPDATE ledger_job SET changed_ms = changed_ms - ? WHERE job_id = ?",
                           (365 * 86400 * 1000, job))
    service.start_coordinator()


def traces_of(service, job):
    """Where something of the job is left."""
    found = [str(f) for f in service.folder.rglob("*%s*" % job)]
    found += [f.name for f in (service.folder / "data").iterdir()]
    for name in ("ledger.db", "stage4.db"):
        with sqlite3.connect("file:%s?mode=ro" % (service.folder / "state" / name),
                             uri=True) as database:
            tables = [row[0] for row in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%job_id%'")]
            found += [table for table in tables if database.execute(
                "SELECT 1 FROM \"%s\" WHERE job_id = ? LIMIT 1" % table, (job,)).fetchone()]
    return found


def jobs_go_when_their_retention_is_over():
    with Service(harness.DATA) as service:
        service.coordinator_options = ["--retention-days", "30"]
        service.start_all(1)
        small = dict(JOB, params={"min_cluster_size": 3})
        job = service.submit(**small)
        for_ever = service.submit(**dict(small, retention_days=0))
        status = service.wait_state(job, "completed")
        assert status["expires_at"][:10] > status["changed_at"][:10], status
        assert service.wait_state(for_ever, "completed")["expires_at"] is None
        assert len(traces_of(service, job)) >= 5, traces_of(service, job)
        ended_long_ago(service, for_ever)
        service.wait_for(lambda: service.status(for_ever).get("state") == "completed", 20, "the job")
        data = service.folder / "data"
        assert [f for f in data.iterdir() if f.is_symlink()], list(data.iterdir())
        ended_long_ago(service, job)
        service.wait_for(lambda: service.request("GET", "/cluster/status/" + job)[0] == 404, 30,
                         "the job to be gone")
        left = [t for t in traces_of(service, job) if for_ever not in t]
        assert not [t for t in left if not t.startswith("clustered_")], left
        assert [f for f in data.iterdir()], "the other job's files are there"
        assert service.status(for_ever)["state"] == "completed"
        service.kill(service.coordinator)
        service.start_coordinator()
        service.wait_for(lambda: service.status(for_ever).get("state") == "completed", 20, "the job")
        assert service.request("GET", "/cluster/status/" + job)[0] == 404


def jobs_that_do_not_fit_together_wait_for_memory():
    expected = reference()
    with Service(big()) as service:
        service.coordinator_options = ["--memory-limit-mib", str(REFERENCE["memory"] * 3 // 2 >> 20)]
        service.start_all(2)
        jobs = [service.submit(**JOB), service.submit(**JOB)]
        words = service.wait_for(lambda: [w for w in (service.status(job).get("waiting_for")
                                                      for job in jobs) if w and "memory" in w],
                                 60, "a job that waits for memory")
        assert words[0].startswith("memory: needs ") and words[0].endswith("are in use"), words
        for job in jobs:
            service.wait_state(job, "completed")
            assert sha256(service.jsonl(job)) == expected


if __name__ == "__main__":
    os.environ["LOG_LEVEL"] = "debug"
    os.chdir(WORK)
    try:
        harness.main([a_failed_job_goes_on_where_it_was,
                      a_failed_job_is_retried_by_another_coordinator,
                      a_cancelled_job_can_be_run_after_all,
                      lost_results_of_earlier_stages_are_computed_again,
                      a_spool_that_was_emptied_is_filled_again,
                      jobs_go_when_their_retention_is_over,
                      jobs_that_do_not_fit_together_wait_for_memory])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
