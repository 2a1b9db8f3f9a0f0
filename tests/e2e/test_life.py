#!/usr/bin/env python3
"""The life of a job beyond its end, with real processes: what has failed is retried from what it
has, and what was lost on the way is made again."""
import os
import shutil
import tempfile
import pathlib

import harness
from harness import AS_OF, Cluster, sha256

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
            service.wait_state(job, "completed")
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


def in_the_rounds(service, job):
    """The job rests, past its neighbours: their results are inputs of what comes next."""
    service.wait_for(lambda: str(service.status(job).get("phase")).startswith("tree"),
                     60, "the rounds")
    service.control("pause", job)
    service.wait_state(job, "paused")
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
    with Service(big()).start_all(2) as service:
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
    with Service(big()).start_all(2) as service:
        job = service.submit(**JOB)
        spool = in_the_rounds(service, job)
        for file in spool.iterdir():
            file.unlink()
        again(service, job)
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
                      a_spool_that_was_emptied_is_filled_again])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
