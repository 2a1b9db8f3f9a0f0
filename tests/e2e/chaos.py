#!/usr/bin/env python3
"""Jobs on real processes while those are killed, stopped and cut off at random, from a seed.

    tests/e2e/chaos.py [--faults 200] [--seed 1] [--rate 4] [--users 3] [--workers 3] [--embedded]

On a Redis and a PostgreSQL, or, with --embedded, on the coordinator's own files. Users submit jobs through the gateway (each under an idempotency key, again and again until they are
answered), pause, resume and cancel some, and follow them to their end. Meanwhile, --rate times a
second, something happens to a process, a store, a connection or (as root) a disk. When all faults are spent, everything is
mended, and every job must end: those that were not cancelled with the bytes of the fault-free run,
each cluster and member once in the result store; those that were, with nothing left of them.

The seed decides which fault comes when, to whom and for how long; what it hits is up to the machine.
Exit status 1 when anything was lost, doubled, different, stuck, or died by itself."""
import argparse
import collections
import json
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

import harness
import servers
from chaos_faults import Chaos
from harness import AS_OF, sha256, stage4
from stored import StoredService

ENDED = ("completed", "cancelled", "failed")

JOBS = {
    "hdbscan": {"embedding_type": "events", "algorithm": "hdbscan",
                "params": {"min_cluster_size": 3}},
    "partitions": {"embedding_type": "events", "algorithm": "hdbscan",
                   "partition_by": ["event_type"], "window_days": 9},
    "kmeans": {"embedding_type": "events", "algorithm": "kmeans",
               "params": {"k": 25, "seed": 7, "max_iterations": 12}},
}


class Wrong(Exception):
    """A promise was broken."""


# ---- those who want clusters ----

class User(threading.Thread):
    """Submits one job after another and follows each to its end, in its own thread."""

    def __init__(self, service, number, seed, patience):
        super().__init__(daemon=True)
        self.service = service
        self.number = number
        self.patience = patience
        self.random = random.Random("%d/%d" % (seed, number))
        self.calm = threading.Event()
        self.jobs = []      # (job_id, kind, state)
        self.problems = []
        self.counts = collections.Counter()

    def run(self):
        kinds = sorted(JOBS)
        turn = self.number
        while True:
            kind = kinds[turn % len(kinds)]
            turn += 1
            try:
                self.one(kind, "user-%d-turn-%d" % (self.number, turn))
            except Wrong as problem:
                self.problems.append(str(problem))
            if self.calm.is_set() or len(self.problems) > 4:
                return

    def ask(self, method, path, body=None, headers=None, accept=()):
        """Again and again until the service, not its absence, answers: (status, body)."""
        until = None
        while True:
            status, answer, _ = self.service.request(method, "/api/v1" + path, body, headers)
            if status and (status < 500 or status in accept) and status != 429:
                return status, answer
            self.counts["asked again"] += 1
            if self.calm.is_set():
                until = until or time.monotonic() + self.patience
                if time.monotonic() > until:
                    raise Wrong("%s %s: no answer but %s %s" % (method, path, status, answer))
            time.sleep(0.1)

    def state(self, job_id):
        status, answer = self.ask("GET", "/cluster/status/" + job_id)
        if status != 200:
            raise Wrong("LOST: job %s was acknowledged, and now: %s %s" % (job_id, status, answer))
        return answer

    def one(self, kind, key):
        job = {**JOBS[kind], "as_of": AS_OF}
        status, answer = self.ask("POST", "/cluster/batch", job, {"Idempotency-Key": key})
        if status != 202 and status != 200:
            raise Wrong("submit: %s %s" % (status, answer))
        job_id = answer["job_id"]
        wish = self.random.choices(["leave", "pause", "cancel"], [6, 3, 1])[0]
        after = self.random.uniform(0.2, 4.0)
        begin = time.monotonic()
        deadline = None
        while True:
            answer = self.state(job_id)
            if answer["state"] in ENDED:
                break
            if wish != "leave" and time.monotonic() - begin > after:
                getattr(self, wish)(job_id)
                wish = "leave"
            if self.calm.is_set():
                deadline = deadline or time.monotonic() + self.patience
                if time.monotonic() > deadline:
                    raise Wrong("STUCK: %s" % json.dumps(answer)[:600])
            time.sleep(0.1)
        self.counts["jobs"] += 1
        self.jobs.append((job_id, kind, answer["state"]))
        if answer["state"] == "failed":
            raise Wrong("FAILED: job %s (%s): %s" % (job_id, kind, answer["error"]))

    def control(self, verb, job_id):
        """1 when it was granted; a job that has gone too far refuses."""
        status, answer = self.ask("POST", "/cluster/%s/%s" % (verb, job_id))
        if status not in (200, 202, 409):
            raise Wrong("%s %s: %s %s" % (verb, job_id, status, answer))
        self.counts[verb] += status != 409
        return status != 409

    def holds(self, job_id, states, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            state = self.state(job_id)["state"]
            if state not in states:
                raise Wrong("job %s is %s, acknowledged was %s" % (job_id, state, states[-1]))
            time.sleep(0.1)

    def pause(self, job_id):
        if not self.control("pause", job_id):
            return
        self.holds(job_id, ("pausing", "paused"), self.random.uniform(0.1, 3.0))
        # Refused is right when the answer to an earlier try was lost, and the job has gone on.
        if not self.control("resume", job_id) and self.state(job_id)["state"] in ("pausing",
                                                                                  "paused"):
            raise Wrong("job %s was paused and cannot be resumed" % job_id)

    def cancel(self, job_id):
        if self.control("cancel", job_id):
            self.holds(job_id, ("cancelling", "cancelled"), 1.0)


# ---- the reckoning ----

def written(path):
    """(clusters, members) of a JSONL file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return len(lines), sum(len(json.loads(line)["members"]) for line in lines)


def rows_of(service, job_id):
    """(clusters, members in clusters, items, distinct items) of a job in the result store."""
    row = service.rows("SELECT writing FROM result_job WHERE job_id='%s'" % job_id)
    if len(row) != 1:
        return None
    return tuple(int(service.rows(sql + row[0][0])[0][0]) for sql in (
        "SELECT count(*) FROM result_cluster WHERE writing=",
        "SELECT count(*) FROM result_member WHERE cluster IS NOT NULL AND writing=",
        "SELECT count(*) FROM result_member WHERE writing=",
        "SELECT count(DISTINCT vector_id) FROM result_member WHERE writing="))


def leftovers(service, jobs):
    """What nobody should find: rows of no finished job, files of no finished job, spooled parts."""
    found = []
    for table in ("result_cluster", "result_member", "result_entity"):
        count, = service.rows("SELECT count(*) FROM %s WHERE writing NOT IN (SELECT writing FROM "
                              "result_job)" % table)[0]
        found += ["%s rows of %s" % (count, table)] if int(count) else []
    done = {job for job, _, state in jobs if state == "completed"}
    for (job,) in service.rows("SELECT job_id FROM result_job"):
        found += [] if job in done else ["results of %s" % job]
    for path in (service.folder / "data").iterdir():
        if not path.is_symlink() and not any(job in path.name for job in done):
            found.append("the file " + path.name)
    found += ["the spool of " + path.name for path in (service.folder / "state" / "spool").iterdir()
              if path.is_dir() and any(path.iterdir())]
    return found


def check_completed(service, job_id, expected, expected_items, tally):
    files = list((service.folder / "data").glob("clustered_*_%s.jsonl" % job_id))
    rows = rows_of(service, job_id)
    if len(files) != 1 or not rows:
        tally["lost"] += 1
        return
    tally["differing"] += sha256(files[0]) != expected
    clusters, members = written(files[0])
    tally["lost"] += rows[0] < clusters or rows[1] < members or rows[3] < expected_items
    tally["duplicated"] += rows[0] > clusters or rows[1] > members or rows[2] > rows[3]


def reckon(service, users, references, expected_items):
    jobs = [job for user in users for job in user.jobs]
    tally = collections.Counter(jobs=len(jobs))
    problems = [problem for user in users for problem in user.problems]
    if len({job for job, _, _ in jobs}) != len(jobs):
        problems.append("two submits gave one job")
    for job_id, kind, state in jobs:
        tally[state] += 1
        if state == "completed":
            check_completed(service, job_id, references[kind], expected_items, tally)
    found = service.settle(lambda: leftovers(service, jobs))
    tally["lost"] += sum("LOST" in problem for problem in problems)
    tally["stuck"] = sum("STUCK" in problem for problem in problems)
    return tally, problems + ["left over: " + thing for thing in found]


def in_words(job):
    """A job as options of `stage4 run`."""
    for name, value in job.items():
        if name == "params":
            for parameter in value.items():
                yield from ("--param", "%s=%s" % parameter)
        else:
            yield "--" + name.replace("_", "-")
            yield ",".join(value) if isinstance(value, list) else value


def references_of(indices, folder):
    """The bytes of the fault-free runs, by kind of job, each in one process."""
    for kind, job in JOBS.items():
        stage4("run", "--indices", indices, "--as-of", AS_OF, "--output", folder / kind,
               *in_words(job))
    return {kind: sha256(folder / kind) for kind in JOBS}


def disturb(service, users, chaos, faults, rate):
    """The storm and the calm after it, in which every job ends: the seconds of each."""
    begin = time.monotonic()
    for user in users:
        user.start()
    chaos.run(faults, rate)
    calm = time.monotonic()
    for user in users:
        user.calm.set()
    for user in users:
        while user.is_alive():
            chaos.watch()
            user.join(0.1)
    return calm - begin, time.monotonic() - calm


def rehearse(faults=200, seed=1, rate=4.0, users=3, workers=3, rows=4000, embedded=False,
             keep=False, patience=240, only="", fast=False):
    """One whole run; True when nothing was wrong."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-chaos-"))
    try:
        indices = harness.made_events(folder / "indices", rows, seed=3)
        references = references_of(indices, folder)
        with StoredService(indices, workers, embedded, disks=servers.Disk.possible()) as service:
            service.environment = {} if fast else service.environment
            service.begin()
            chaos = Chaos(service, seed, only)
            people = [User(service, i, seed, patience) for i in range(users)]
            seconds = disturb(service, people, chaos, faults, rate)
            tally, problems = reckon(service, people, references, rows)
            problems += chaos.died
            if problems or keep:
                kept = pathlib.Path(tempfile.mkdtemp(prefix="stage4-chaos-kept-"))
                shutil.copytree(service.folder, kept, dirs_exist_ok=True, symlinks=True)
                print("kept in %s" % kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tell(seed, chaos, people, tally, problems, *seconds)


def tell(seed, chaos, users, tally, problems, stormy, calm):
    asked = sum((user.counts for user in users), collections.Counter())
    print("seed %d: %d faults in %.0f s, then %.0f s until the last job had ended"
          % (seed, sum(chaos.counts.values()), stormy, calm))
    for kind in sorted(chaos.counts):
        print("  %-28s %5d" % (kind, chaos.counts[kind]))
    print("jobs: %d (%d completed, %d cancelled, %d failed); paused %d, resumed %d, cancelled %d; "
          "requests asked again %d" % (
              tally["jobs"], tally["completed"], tally["cancelled"], tally["failed"],
              asked["pause"], asked["resume"], asked["cancel"], asked["asked again"]))
    print("coordinators that ended since a store was away, and were started again: %d"
          % chaos.waited)
    print("lost: %d, duplicated: %d, differing: %d, stuck: %d, failed: %d, died by themselves: %d"
          % (tally["lost"], tally["duplicated"], tally["differing"], tally["stuck"],
             tally["failed"], len(chaos.died)))
    for problem in problems:
        print("  PROBLEM: " + problem)
    bad = ("lost", "duplicated", "differing", "stuck", "failed")
    return not problems and not any(tally[word] for word in bad) and tally["completed"] > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value, what in (("faults", 200, "how many"), ("seed", 1, "what happens"),
                              ("rate", 4.0, "faults a second"), ("users", 3, "jobs at once"),
                              ("workers", 3, "worker processes"), ("rows", 4000, "of each job"),
                              ("patience", 240, "seconds for a job after the last fault"),
                              ("only", "", "words of faults, such as worker,connection")):
        parser.add_argument("--" + name, type=type(value), default=value, help=what)
    parser.add_argument("--embedded", action="store_true", help="no Redis and no PostgreSQL")
    parser.add_argument("--fast", action="store_true", help="workers use the whole processor")
    parser.add_argument("--keep", action="store_true", help="keep logs and state")
    sys.exit(not rehearse(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
