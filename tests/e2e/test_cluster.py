#!/usr/bin/env python3
"""Coordinator and workers as real processes, asked through the coordinator's own socket: faults,
restarts, pause, cancel, and what a user is told when something is wrong."""
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import tempfile
import time

import harness
from harness import AS_OF, BUILD, DATA, Cluster, run, sha256

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-cluster-"))
EXIT = {"ERR_USAGE": 2, "ERR_NOT_FOUND": 3, "ERR_UNAVAILABLE": 8, "ERR_CONFLICT": 9}


class Service(Cluster):
    def ask(self, verb, job="-", body="", key="", expect=0):
        code, out, problem = run(BUILD / "tests" / "stage4-ask", self.client, verb, job, body, key,
                                 check=False)
        assert code == expect, (verb, job, code, problem)
        return json.loads(out) if code == 0 else problem

    def begin(self, workers=2):
        self.start_coordinator()
        for _ in range(workers):
            self.start_worker()
        self.wait_for(lambda: len(self.ask("info")["workers"]) == workers, 20, "the workers")
        return self

    def with_slow_worker(self):
        worker = self.start_slow_worker()
        self.wait_for(lambda: len(self.ask("info")["workers"]) == 2, 20, "the slow worker")
        return worker

    def send(self, key="", expect=0, **job):
        return self.ask("submit", "-", json.dumps({"as_of": AS_OF, **job}), key, expect)

    def status(self, job_id):
        return self.ask("status", job_id)

    def at_work(self, job_id):
        """(stage, tasks of it that are done), when there is a result at least: these only grow."""
        def some():
            status = self.status(job_id)
            reached = (status["stage"] or 0, status["tasks_done"])
            return reached if any(reached) else None
        return self.wait_for(some, 60, "some tasks")

    def tasks_of(self, pid):
        """How many tasks the worker said that it holds."""
        return sum(w["tasks_held"] for w in self.ask("info")["workers"] if w["pid"] == pid)

    def kill_at_work(self, worker):
        """It beats once a second: that it held a task then does not say that it does now."""
        while True:
            self.wait_for(lambda: self.tasks_of(worker.pid), 60, "a worker with tasks")
            worker.send_signal(signal.SIGSTOP)
            time.sleep(0.3)  # what it had sent is read
            if self.tasks_of(worker.pid):
                return self.kill(worker)
            worker.send_signal(signal.SIGCONT)

    def log(self, program):
        return "".join(f.read_text() for f in sorted(self.folder.glob("*-%s.log" % program)))

    def spool(self):
        return list((self.folder / "state" / "spool").rglob("*"))


def big():
    """A job of some seconds: enough to be killed in the middle of."""
    folder = WORK / "big"
    if not folder.exists():
        harness.made_events(folder, harness.rows_of_a_long_job(), seed=5)
    return folder


JOB = {"embedding_type": "events", "algorithm": "hdbscan"}
REFERENCE = {}


def reference():
    """The bytes of the undisturbed run."""
    if not REFERENCE:
        with Service(big()).begin(2) as service:
            job = service.send(**JOB)["job_id"]
            service.wait_state(job, "completed")
            REFERENCE["sha"] = sha256(service.jsonl(job))
    return REFERENCE["sha"]


def a_job_runs_to_its_end_and_leaves_nothing_behind():
    with Service(DATA).begin(2) as service:
        first = service.send(**JOB)
        assert first["state"] == "queued" and first["as_of"] == AS_OF, first
        status = service.wait_state(first["job_id"], "completed")
        assert status["progress"] == 1 and status["error"] is None, status
        report = status["report"]
        assert [t["phase"] for t in report["times"]][0] == "planning", report
        assert report["retries"] == 0 and report["recovered"] == 0 and report["workers"], report
        assert report["output"]["sha256"] == sha256(service.jsonl(first["job_id"]))
        service.wait_for(lambda: not service.spool(), 5, "an empty spool")
        info = service.ask("info")
        assert info["status"] == "healthy" and info["jobs"]["completed"] == 1, info
        for process in service.workers + [service.coordinator]:
            assert service.kill(process, signal.SIGTERM) == 0
        for line in (service.log("stage4-coordinator") + service.log("stage4-worker")).splitlines():
            assert {"time", "level", "service", "event"} <= set(json.loads(line)), line


def a_killed_worker_costs_time_only():
    expected = reference()
    with Service(big()).begin(1) as service:
        victim = service.with_slow_worker()
        job = service.send(**JOB)["job_id"]
        service.kill_at_work(victim)
        report = service.wait_state(job, "completed")["report"]
        assert sha256(service.jsonl(job)) == expected
        assert report["workers_lost"] == 1 and report["retries"] >= 1, report


def a_killed_coordinator_goes_on_where_it_was():
    expected = reference()
    with Service(big()).begin(2) as service:
        job = service.send(key="monday", **JOB)["job_id"]
        done = service.at_work(job)
        service.kill(service.coordinator)
        service.start_coordinator()
        status = service.status(job)
        reached = (status["stage"], status["tasks_done"])
        assert status["state"] != "planning", status  # it need not begin again
        assert reached[0] is None or reached >= done, (done, status)
        assert service.send(key="monday", **JOB)["job_id"] == job
        report = service.wait_state(job, "completed")["report"]
        assert sha256(service.jsonl(job)) == expected
        assert report["recovered"] == 1, report
        service.kill(service.coordinator)
        service.start_coordinator()
        again = service.status(job)
        assert again["state"] == "completed" and again["report"] == report, again


def every_fault_that_was_survived_is_in_the_report():
    with Service(big()).begin(1) as service:
        victim = service.with_slow_worker()
        job = service.send(**JOB)["job_id"]
        service.wait_for(lambda: service.tasks_of(victim.pid), 30, "a worker with tasks")
        service.kill(victim)
        service.wait_for(lambda: service.status(job)["faults"], 20, "the lost worker to be told of")
        service.kill(service.coordinator)
        service.start_coordinator()
        told = service.status(job)
        assert told["workers_lost"] == 1, told
        report = service.wait_state(job, "completed")["report"]
        assert [fault["what"] for fault in report["faults"]] == [
            "worker_lost", "coordinator_restarted"], report["faults"]
        assert "-%d-" % victim.pid in report["faults"][0]["words"], report["faults"]
        assert report["recovered"] == 1 and report["workers_lost"] == 1, report
        service.kill(service.coordinator)
        service.start_coordinator()
        assert service.status(job)["faults"] == report["faults"]


def a_worker_that_is_told_to_stop_gives_its_tasks_back():
    expected = reference()
    with Service(big()).begin(2) as service:
        job = service.send(**JOB)["job_id"]
        service.at_work(job)
        begin = time.monotonic()
        assert service.kill(service.workers[0], signal.SIGTERM) == 0
        assert time.monotonic() - begin < 5
        report = service.wait_state(job, "completed")["report"]
        assert report["workers_lost"] == 0, report
        assert sha256(service.jsonl(job)) == expected


def a_job_without_workers_says_what_it_waits_for():
    with Service(DATA).begin(0) as service:
        job = service.send(**JOB)["job_id"]
        service.wait_state(job, "running")
        assert service.status(job)["waiting_for"] == "no worker is connected"
        service.start_worker()
        service.wait_state(job, "completed")


def pause_and_resume_give_the_same_bytes():
    expected = reference()
    with Service(big()).begin(2) as service:
        job = service.send(**JOB)["job_id"]
        service.at_work(job)
        assert service.ask("pause", job)["state"] in ("pausing", "paused")
        paused = service.wait_state(job, "paused")
        time.sleep(0.5)
        later = service.status(job)
        reached = [(s["stage"], s["tasks_done"]) for s in (paused, later)]
        assert reached[0] == reached[1] and any(reached[0]), reached
        service.kill(service.coordinator)
        service.start_coordinator()
        assert service.status(job)["state"] == "paused"
        service.ask("resume", job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected
        assert "completed" in service.ask("pause", job, expect=EXIT["ERR_CONFLICT"])


def cancel_leaves_neither_files_nor_rows():
    with Service(big()).begin(2) as service:
        job = service.send(**JOB)["job_id"]
        service.at_work(job)
        service.ask("cancel", job)
        service.wait_state(job, "cancelled")
        assert not list((service.folder / "data").iterdir())
        service.wait_for(lambda: not service.spool(), 10, "an empty spool")
        after = service.send(embedding_type="storylines", algorithm="hdbscan")["job_id"]
        service.wait_for(lambda: service.status(after)["state"] in ("completed", "failed"), 30,
                         "the next job")


def a_job_that_fails_while_it_is_written_leaves_no_rows():
    with Service(big()).begin(2) as service:
        job = service.send(**JOB)["job_id"]
        service.at_work(job)
        in_the_way = service.folder / "data" / ("clustered_events_%s.jsonl" % job)
        (in_the_way / "something").mkdir(parents=True)
        error = service.wait_state(job, "failed")["error"]
        assert in_the_way.name in error["message"], error
        with sqlite3.connect(service.folder / "state" / "stage4.db") as database:
            for table in ("result_job", "result_cluster", "result_member"):
                service.wait_for(
                    lambda: not database.execute("SELECT * FROM %s LIMIT 1" % table).fetchall(),
                    10, "an empty table " + table)


def an_index_that_changes_fails_the_job():
    folder = WORK / "changing"
    shutil.copytree(big(), folder)
    with Service(folder).begin(1) as service:
        job = service.send(**JOB)["job_id"]
        service.at_work(job)
        with open(folder / "events.index", "r+b") as index:
            index.seek(1000)
            index.write(b"\0" * 4000)
        error = service.wait_state(job, "failed")["error"]
        assert error["code"] == "ERR_CHANGED" and "events.index" in error["message"], error


def wrong_requests_are_answered_with_what_is_wrong():
    with Service(DATA).begin(0) as service:
        nothing = "job_00000000000000000000000000"
        assert nothing in service.ask("status", nothing, expect=EXIT["ERR_NOT_FOUND"])
        assert nothing in service.ask("cancel", nothing, expect=EXIT["ERR_NOT_FOUND"])
        problem = service.ask("submit", "-", '{"embedding_type": "events", "algorithm": "magic"}',
                              expect=EXIT["ERR_USAGE"])
        assert problem.startswith("ERR_USAGE algorithm"), problem
        service.ask("submit", "-", "", expect=EXIT["ERR_USAGE"])
        service.ask("list", "-", '{"state": "asleep"}', expect=EXIT["ERR_USAGE"])
        service.ask("list", "-", '{"limit": 0}', expect=EXIT["ERR_USAGE"])
        service.ask("list", "-", '[1]', expect=EXIT["ERR_USAGE"])
        job = service.send(key="k", **JOB)["job_id"]
        assert service.send(key="k", **JOB)["job_id"] == job
        other = service.send(key="k", embedding_type="documents", algorithm="hdbscan",
                             expect=EXIT["ERR_CONFLICT"])
        assert job in other, other


def the_list_is_in_pages_newest_first():
    with Service(DATA).begin(0) as service:
        jobs = [service.send(**JOB)["job_id"] for _ in range(5)]
        assert jobs == sorted(jobs) and len(set(jobs)) == 5
        assert all(re.fullmatch(r"job_[0-9A-HJKMNP-TV-Z]{26}", job) for job in jobs), jobs
        seen, cursor = [], None
        while True:
            page = service.ask("list", "-", json.dumps({"limit": 2, "cursor": cursor}))
            assert page["total"] == 5, page
            seen += [entry["job_id"] for entry in page["jobs"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert seen == jobs[::-1], seen
        queued = service.ask("list", "-", json.dumps({"state": "queued"}))
        assert queued["total"] == 3, queued  # two may run at once


def a_second_coordinator_is_refused():
    with Service(DATA).begin(0) as service:
        def other(state, client):
            return run(BUILD / "stage4-coordinator", "--indices", DATA, "--state", state,
                       "--output-folder", WORK / "other", "--client-endpoint", client,
                       "--worker-endpoint", "tcp://127.0.0.1:%d" % harness.free_port(), check=False)
        free = "tcp://127.0.0.1:%d" % harness.free_port()
        code, _, problem = other(service.folder / "state", free)
        assert code == EXIT["ERR_CONFLICT"] and str(service.coordinator.pid) in problem, problem
        code, _, problem = other(WORK / "other-state", service.client)
        assert code == EXIT["ERR_UNAVAILABLE"] and service.client in problem, problem
        assert problem.count("\n") == 1, problem


def programs_say_what_is_wrong_with_their_options():
    missing = WORK / "nowhere"
    for program, extra in (("stage4-coordinator", ["--state", WORK / "s"]), ("stage4-worker", [])):
        code, _, problem = run(BUILD / program, "--indices", missing, *extra, check=False)
        assert code == EXIT["ERR_NOT_FOUND"] and str(missing) in problem, problem
        code, _, problem = run(BUILD / program, "--nonsense", check=False)
        assert code == EXIT["ERR_USAGE"] and "nonsense" in problem, problem
        code, out, _ = run(BUILD / program, "--help")
        assert code == 0 and "--indices" in out, out


if __name__ == "__main__":
    os.chdir(WORK)
    try:
        harness.main([a_job_runs_to_its_end_and_leaves_nothing_behind,
                      a_killed_worker_costs_time_only,
                      a_killed_coordinator_goes_on_where_it_was,
                      every_fault_that_was_survived_is_in_the_report,
                      a_worker_that_is_told_to_stop_gives_its_tasks_back,
                      a_job_without_workers_says_what_it_waits_for,
                      pause_and_resume_give_the_same_bytes,
                      cancel_leaves_neither_files_nor_rows,
                      a_job_that_fails_while_it_is_written_leaves_no_rows,
                      an_index_that_changes_fails_the_job,
                      wrong_requests_are_answered_with_what_is_wrong,
                      the_list_is_in_pages_newest_first,
                      a_second_coordinator_is_refused,
                      programs_say_what_is_wrong_with_their_options])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
