#!/usr/bin/env python3
"""The coordinator is killed in the middle of a removal, at each of its steps and again and again:
after the restart everything of the job is gone, and of no other job anything."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading

import harness
import servers
from harness import AS_OF, sha256
from stored import StoredService

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-removal-"))
TREES = {"embedding_type": "events", "algorithm": "agglomerative", "as_of": AS_OF,
         "params": {"n_clusters": 4}}
PAIRS = {"embedding_type": "events", "algorithm": "pairs", "window_days": 5, "as_of": AS_OF,
         "params": {"min_weight": 0.6}}
PLAIN = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}
SIDES = {"agglomerative": "dendrogram", "pairs": "pairs"}
TABLES = ("result_cluster", "result_member", "result_entity", "result_text")


class Service(StoredService):
    """Its gateway caches in the Redis of the ledger, in the database that is for that."""

    def __init__(self, workers=1, embedded=False):
        super().__init__(harness.DATA, workers=workers, embedded=embedded)
        self.environment = {}

    def results_options(self, user, password):
        options = super().results_options(user, password)
        if user == "stage4_reader" and self.servers:
            options += ["--result-cache", "redis", "--redis-cache-port", self.servers["redis"].port,
                        "--redis-cache-password-file",
                        self.secret("cache", servers.REDIS_PASSWORD)]
        return options

    def redis(self, *words):
        return self.servers["redis"].tell(*words).splitlines()

    def in_ledger(self, job, field="state"):
        """None without the job."""
        answer = self.redis("HGET stage4:job:%s %s" % (job, field))
        return answer[3] if len(answer) > 4 and answer[2] != "$-1" else None

    def done(self, job):
        job_id = self.submit(**job)
        self.wait_state(job_id, "completed")
        return job_id

    def expire(self, *jobs):
        """Their retention ended, by a clock that is put back while nobody looks."""
        for job in jobs:
            self.redis("HSET stage4:job:%s changed_ms 1000" % job)
            self.redis("ZADD stage4:ended 1000 %s" % job)  # where the time is looked for

    def files(self, job):
        return sorted((self.folder / "data").glob("*%s*" % job))

    def answers(self, job):
        """What the gateway says of it; looked at twice, so that the second comes from the cache."""
        for _ in range(2):
            found = [self.request("GET", path) for path in (
                "/cluster/status/" + job, "/clusters?limit=100&job_id=" + job,
                "/cluster/results/" + job, "/cluster/dendrogram/" + job, "/cluster/pairs/" + job)]
        return [(status, body if status == 200 else None) for status, body, _ in found]

    def traces(self, job):
        """Where something of the job is left."""
        found = [f.name for f in self.folder.rglob("*%s*" % job)]
        links = [f for f in (self.folder / "data").iterdir() if f.is_symlink()]
        found += [f.name for f in links if job in os.readlink(f) or not f.exists()]
        found += ["redis: " + key for key in self.redis("KEYS *%s*" % job) if job in key]
        rows = self.rows("SELECT count(*) FROM result_job WHERE job_id = '%s'" % job)
        rows += [self.rows("SELECT count(*) FROM %s WHERE writing NOT IN (SELECT writing FROM"
                           " result_job)" % table)[0] for table in TABLES]
        return found + ([str(rows)] if any(int(row[0]) for row in rows) else [])

    def everything_of(self, jobs):
        """What must not change: bytes, daily names, rows and answers."""
        files = [(f.name, sha256(f)) for job in jobs for f in self.files(job)]
        writings = [self.rows("SELECT writing FROM result_job WHERE job_id = '%s'" % job)[0][0]
                    for job in jobs]
        rows = [self.rows("SELECT count(*) FROM %s WHERE writing = %s" % (table, writing))
                for table in TABLES for writing in writings]
        states = [answer["state"] for job in jobs for _, answer in self.answers(job)[:1]]
        return files, rows, states, [self.answers(job)[1:] for job in jobs]

    def killed_when_stopped(self, store, there):
        """`store`'s connection has stopped at a word; what was done by then is there."""
        self.wait_for(lambda: not self.proxies[store].words, 60, "the words to %s" % store)
        self.wait_for(there, 60, "what comes before")
        self.kill(self.coordinator)
        for proxy in self.proxies.values():
            proxy.heal()

    def again(self):
        """A coordinator that finds what the killed one left."""
        self.start_coordinator()
        self.wait_for(lambda: self.request("GET", "/health")[0] == 200, 30, "the coordinator")


def steps_of_a_removal(service, job):
    """(store, where its connection stops, what is there by then)"""
    def files():
        return bool(service.files(job))

    def rows():
        return service.rows("SELECT count(*) FROM result_job WHERE job_id = '%s'" % job) != [("0",)]
    return [
        ("redis", ("deaf", "removing"),
         lambda: service.in_ledger(job) == "removing" and files() and rows()),
        ("postgres", ("silent", "pg_advisory_xact_lock"), lambda: not files() and rows()),
        ("postgres", ("deaf", "pg_advisory_xact_lock", "COMMIT"),
         lambda: not rows() and service.in_ledger(job)),
        ("redis", ("deaf", "removing", job), lambda: not service.in_ledger(job) and not rows()),
    ]


def a_removal_that_is_killed_at_any_step_is_finished_by_the_next_coordinator():
    with Service() as service:
        service.begin()
        kept = [service.done(job) for job in (PLAIN, TREES, PAIRS)]
        before = service.everything_of(kept)
        for number in range(4):
            job = service.done(TREES if number % 2 else PAIRS)
            assert len(service.files(job)) == 2, service.files(job)
            assert sum(status == 200 for status, _ in service.answers(job)) == 4
            assert len(service.traces(job)) >= 5, service.traces(job)
            service.kill(service.coordinator)
            service.expire(job)
            store, moment, there = steps_of_a_removal(service, job)[number]
            service.proxies[store].stop_at(*moment)
            service.start_coordinator()
            service.killed_when_stopped(store, there)
            service.again()
            service.wait_for(lambda: not service.traces(job), 30, "nothing to be left")
            assert [s for s, _ in service.answers(job)] == [404] * 5, service.answers(job)
            assert service.everything_of(kept) == before


def many_removals_are_killed_again_and_again():
    with Service(workers=2) as service:
        service.begin()
        jobs = [service.submit(**(PLAIN, TREES, PAIRS)[i // 3 % 3]) for i in range(18)]
        for job in jobs:
            service.wait_state(job, "completed")
        kept, going = jobs[::3], [job for i, job in enumerate(jobs) if i % 3]
        before = service.everything_of(kept)
        service.kill(service.coordinator)
        service.expire(*going)
        for left in (10, 7, 4, 1):
            service.start_coordinator()
            service.wait_for(lambda: sum(bool(service.files(job)) for job in going) <= left, 60,
                             "%d jobs to be left" % left)
            service.kill(service.coordinator)
        service.again()
        for job in going:
            service.wait_for(lambda: not service.traces(job), 30, "nothing to be left")
        assert service.everything_of(kept) == before


def a_cancelled_job_is_gone_whatever_is_killed_meanwhile():
    with Service(workers=0) as service:
        service.begin()
        for number in range(3):
            job = service.submit(**PLAIN)
            service.wait_state(job, "running")
            spool = service.folder / "state" / "spool" / job
            store, moment, there = (
                ("redis", ("deaf", "cancelling"), spool.exists),
                ("postgres", ("silent", "pg_advisory_xact_lock"), lambda: not spool.exists()),
                ("postgres", ("deaf", "COMMIT"), lambda: service.in_ledger(job) == "cancelling"),
            )[number]
            service.proxies[store].stop_at(*moment)
            ask = threading.Thread(target=service.request, daemon=True,
                                           args=("POST", "/cluster/cancel/" + job))
            ask.start()
            service.killed_when_stopped(store, there)
            service.again()
            service.wait_state(job, "cancelled")
            service.wait_for(lambda: [t for t in service.traces(job) if "redis" not in t] == [], 30,
                             "nothing to be left")
            ask.join(timeout=60)


def what_a_failed_writing_showed_goes_and_comes_back_by_a_retry():
    """After the side file has its name, something is in the way of that of the clusters."""
    kinds = [TREES, PAIRS]
    with Service(embedded=True) as service:
        service.begin()
        expected = [[sha256(f) for f in service.files(service.done(job))] for job in kinds]
        service.workers[0].send_signal(signal.SIGSTOP)
        jobs = [service.submit(**job) for job in kinds]
        obstacles = [service.folder / "data" / ("clustered_events_%s.jsonl" % job) for job in jobs]
        for obstacle in obstacles:
            (obstacle / "something").mkdir(parents=True)
        service.workers[0].send_signal(signal.SIGCONT)
        for job, obstacle in zip(jobs, obstacles):
            service.wait_state(job, "failed")
            service.wait_for(lambda: service.files(job) == [obstacle], 30, "no other file")
            shutil.rmtree(obstacle)
            service.request("POST", "/cluster/retry/" + job)
        for kind, job, shas in zip(kinds, jobs, expected):
            service.wait_state(job, "completed")
            files = service.files(job)
            assert [sha256(f) for f in files] == shas, files
            assert any(SIDES[kind["algorithm"]] in f.name for f in files), files


if __name__ == "__main__":
    lacking = servers.missing()
    if lacking:
        print("skipped: not installed: " + lacking)
        sys.exit(0)
    os.chdir(WORK)
    try:
        harness.main([a_removal_that_is_killed_at_any_step_is_finished_by_the_next_coordinator,
                      many_removals_are_killed_again_and_again,
                      a_cancelled_job_is_gone_whatever_is_killed_meanwhile,
                      what_a_failed_writing_showed_goes_and_comes_back_by_a_retry])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
