#!/usr/bin/env python3
"""Jobs on real processes while those are killed, stopped and cut off at random, from a seed.

    tests/e2e/chaos.py [--faults 200] [--seed 1] [--rate 2.5] [--users 3] [--workers 3] [--keep]

Users submit jobs through the gateway (each under an idempotency key, again and again until they are
answered), pause, resume and cancel some, and follow them to their end. Meanwhile, --rate times a
second, something happens to a process or to a connection. When all faults are spent, everything is
mended, and every job must end: those that were not cancelled with the bytes of the fault-free run,
each cluster and member once in the result store; those that were, with nothing left of them.

The seed decides which fault comes when, to whom and for how long; what it hits is up to the machine.
Exit status 1 when anything was lost, doubled, different, stuck, or died by itself."""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

import harness
from harness import AS_OF, Cluster, sha256
from proxy import Proxy

SLOW = {"STAGE4_SIMD": "scalar"}  # jobs of seconds, not of moments: something to be hit in
PATIENCE = 240                    # seconds that a job may take after the last fault
ENDED = ("completed", "cancelled", "failed")
LINKS = ("workers", "gateway")

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


# ---- the service, with a proxy in each of its two connections ----

class Service(Cluster):
    def __init__(self, indices, workers):
        super().__init__(indices)
        self.proxies = {}
        self.worker_count = workers
        self.near = {"workers": harness.free_port(), "gateway": harness.free_port()}

    def __enter__(self):
        far = {"workers": self.worker_endpoint, "gateway": self.client}
        for name in LINKS:
            self.proxies[name] = Proxy(self.near[name], int(far[name].rsplit(":", 1)[1]))
        return self

    def __exit__(self, *problem):
        for proxy in self.proxies.values():
            proxy.close()
        super().__exit__(*problem)

    def start_coordinator(self):
        self.coordinator = self.start(
            "stage4-coordinator", "--indices", self.indices, "--state", self.folder / "state",
            "--output-folder", self.folder / "data", "--client-endpoint", self.client,
            "--worker-endpoint", self.worker_endpoint, "--retry-limit", 100)

    def start_gateway(self):
        self.gateway = self.start(
            "stage4-gateway", "--indices", self.indices, "--state", self.folder / "state",
            "--output-folder", self.folder / "data", "--client-endpoint",
            "tcp://127.0.0.1:%d" % self.near["gateway"], "--http-listen",
            "127.0.0.1:%d" % self.http)

    def start_worker(self, threads=1):
        os.environ.update(SLOW)
        process = self.start("stage4-worker", "--indices", self.indices, "--worker-endpoint",
                             "tcp://127.0.0.1:%d" % self.near["workers"], "--threads", threads)
        for name in SLOW:
            del os.environ[name]
        return process

    def request(self, *arguments):
        try:
            return super().request(*arguments)
        except http.client.HTTPException:  # an answer that was cut off
            return 0, None, {}

    def begin(self):
        self.start_coordinator()
        self.start_gateway()
        self.workers = [self.start_worker() for _ in range(self.worker_count)]
        self.wait_for(lambda: self.request("GET", "/health")[0] == 200, 20, "a healthy gateway")
        return self


# ---- what happens to it ----

class Chaos:
    """Draws faults from the seed, does them, and undoes them when their time is over."""

    # kind: (weight, shortest, longest seconds until it is undone)
    KINDS = {
        "worker killed": (10, 0.0, 2.0),
        "worker stopped": (8, 0.2, 5.0),
        "worker told to leave": (3, 0.0, 1.0),
        "worker added": (2, 0.5, 8.0),
        "coordinator killed": (7, 0.0, 1.0),
        "coordinator stopped": (4, 0.1, 4.0),
        "coordinator told to leave": (2, 0.0, 0.5),
        "gateway killed": (5, 0.0, 1.0),
        "gateway stopped": (2, 0.1, 2.0),
        "connection cut": (9, 0.0, 0.0),
        "all connections cut": (4, 0.0, 0.0),
        "message torn": (5, 0.5, 0.5),
        "connections refused": (3, 0.2, 2.0),
        "connections delayed": (5, 0.3, 3.0),
        "connections silent": (5, 0.2, 4.5),
    }

    def __init__(self, service, seed):
        self.service = service
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.due = []       # (time, victim, what undoes it)
        self.busy = set()   # victims that have something already
        self.died = []      # processes that ended by themselves

    def victims(self, kind):
        """Names of what the fault can happen to now."""
        if kind == "worker added":
            return ["extra"]
        if kind.startswith("worker"):
            return ["worker %d" % i for i in range(self.service.worker_count)]
        if kind.startswith(("coordinator", "gateway")):
            return [kind.split()[0]]
        return ["%s' connections" % name for name in LINKS]

    def step(self):
        kinds = list(self.KINDS)
        kind = self.random.choices(kinds, [self.KINDS[k][0] for k in kinds])[0]
        _, shortest, longest = self.KINDS[kind]
        seconds = self.random.uniform(shortest, longest)
        pick = self.random.randrange(1 << 30)
        victims = self.victims(kind)
        victim = victims[pick % len(victims)]
        if victim in self.busy:
            return False
        undo = self.do(kind, victim, pick)
        self.counts[kind] += 1
        if undo:
            self.busy.add(victim)
            self.due.append((time.monotonic() + seconds, victim, undo))
        return True

    def do(self, kind, victim, pick):
        """Does it; the function that undoes it, or None."""
        if kind == "worker added":
            worker = self.service.start_worker()
            return lambda: self.service.kill(worker)
        if victim.endswith("connections"):
            return self.disturb(kind, self.service.proxies[victim.split("'")[0]], pick)
        process = self.process(victim)
        if kind.endswith("stopped"):
            process.send_signal(signal.SIGSTOP)
            return lambda: process.send_signal(signal.SIGCONT)
        if kind.endswith("told to leave"):
            begin = time.monotonic()
            code = self.service.kill(process, signal.SIGTERM)
            if code or time.monotonic() - begin > 10:
                self.died.append("%s left with %d after %.1f s"
                                 % (victim, code, time.monotonic() - begin))
        else:
            self.service.kill(process)
        return lambda: self.restart(victim)

    @staticmethod
    def disturb(kind, proxy, pick):
        if kind == "connection cut":
            proxy.cut(pick)
            return None
        if kind == "all connections cut":
            proxy.cut()
            return None
        if kind == "message torn":
            proxy.tear = True
        elif kind == "connections refused":
            proxy.refusing = True
            proxy.cut(pick)
        elif kind == "connections delayed":
            proxy.delay = 0.02 + (pick % 100) / 250
        else:
            proxy.silent = True
        return proxy.heal

    def process(self, victim):
        if victim.startswith("worker"):
            return self.service.workers[int(victim.split()[1])]
        return getattr(self.service, victim)

    def restart(self, victim):
        if victim.startswith("worker"):
            self.service.workers[int(victim.split()[1])] = self.service.start_worker()
        else:
            getattr(self.service, "start_" + victim)()

    def undo(self, everything=False):
        now = time.monotonic()
        ripe = [d for d in self.due if everything or d[0] <= now]
        self.due = [d for d in self.due if d not in ripe]
        for _, victim, undo in ripe:
            undo()
            self.busy.discard(victim)

    def watch(self):
        """Whoever is not being disturbed must be alive."""
        names = ["worker %d" % i for i in range(self.service.worker_count)]
        for name in names + ["coordinator", "gateway"]:
            process = self.process(name)
            if name not in self.busy and process.poll() is not None:
                self.died.append("%s ended by itself with %d" % (name, process.returncode))
                self.restart(name)

    def run(self, faults, rate):
        while sum(self.counts.values()) < faults:
            until = time.monotonic() + self.random.expovariate(rate)
            while time.monotonic() < until:
                self.undo()
                self.watch()
                time.sleep(0.02)
            self.step()
        self.undo(everything=True)


# ---- those who want clusters ----

class User(threading.Thread):
    """Submits one job after another and follows each to its end, in its own thread."""

    def __init__(self, service, number, seed):
        super().__init__(daemon=True)
        self.service = service
        self.number = number
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
                until = until or time.monotonic() + PATIENCE
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
                deadline = deadline or time.monotonic() + PATIENCE
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


def rows_of(database, job_id):
    """(clusters, members in clusters, items, distinct items) of a job in the result store."""
    row = database.execute("SELECT writing FROM result_job WHERE job_id=?", (job_id,)).fetchall()
    if len(row) != 1:
        return None
    return tuple(database.execute(sql, row[0]).fetchone()[0] for sql in (
        "SELECT count(*) FROM result_cluster WHERE writing=?",
        "SELECT count(*) FROM result_member WHERE writing=? AND cluster IS NOT NULL",
        "SELECT count(*) FROM result_member WHERE writing=?",
        "SELECT count(DISTINCT vector_id) FROM result_member WHERE writing=?"))


def leftovers(service, database, jobs):
    """What nobody should find: rows of no finished job, files of no finished job, spooled parts."""
    found = []
    for table in ("result_cluster", "result_member", "result_writing"):
        column = "number" if table == "result_writing" else "writing"
        count = database.execute("SELECT count(*) FROM %s WHERE %s NOT IN (SELECT writing FROM "
                                 "result_job)" % (table, column)).fetchone()[0]
        found += ["%d rows of %s" % (count, table)] if count else []
    done = {job for job, _, state in jobs if state == "completed"}
    for (job,) in database.execute("SELECT job_id FROM result_job").fetchall():
        found += [] if job in done else ["results of %s" % job]
    for path in (service.folder / "data").iterdir():
        if not path.is_symlink() and not any(job in path.name for job in done):
            found.append("the file " + path.name)
    found += ["the spool of " + path.name for path in (service.folder / "state" / "spool").iterdir()
              if path.is_dir() and any(path.iterdir())]
    return found


def reckon(service, users, references, expected_items):
    jobs = [job for user in users for job in user.jobs]
    tally = collections.Counter(jobs=len(jobs))
    problems = [problem for user in users for problem in user.problems]
    if len({job for job, _, _ in jobs}) != len(jobs):
        problems.append("two submits gave one job")
    database = sqlite3.connect("file:%s?mode=ro" % (service.folder / "state" / "stage4.db"),
                               uri=True)
    for job_id, kind, state in jobs:
        tally[state] += 1
        if state != "completed":
            continue
        files = list((service.folder / "data").glob("clustered_*_%s.jsonl" % job_id))
        if len(files) != 1:
            tally["lost"] += 1
            continue
        tally["differing"] += sha256(files[0]) != references[kind]
        clusters, members = written(files[0])
        rows = rows_of(database, job_id)
        if not rows:
            tally["lost"] += 1
            continue
        tally["lost"] += rows[0] < clusters or rows[1] < members or rows[3] < expected_items
        tally["duplicated"] += rows[0] > clusters or rows[1] > members or rows[2] > rows[3]
    settle = time.monotonic() + 20
    while (found := leftovers(service, database, jobs)) and time.monotonic() < settle:
        time.sleep(0.2)
    database.close()
    tally["lost"] += sum("LOST" in problem for problem in problems)
    tally["stuck"] = sum("STUCK" in problem for problem in problems)
    return tally, problems + ["left over: " + thing for thing in found]


def references_of(indices):
    """The bytes of the fault-free runs, by kind of job."""
    with Cluster(indices) as service:
        service.start_all(workers=1)
        jobs = {kind: service.submit(as_of=AS_OF, **JOBS[kind]) for kind in JOBS}
        for job_id in jobs.values():
            service.wait_state(job_id, "completed")
        return {kind: sha256(service.jsonl(job_id)) for kind, job_id in jobs.items()}


def rehearse(faults=200, seed=1, rate=2.5, users=3, workers=3, rows=7000, keep=False):
    """One whole run; True when nothing was wrong."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-chaos-"))
    begin = time.monotonic()
    try:
        indices = harness.made_events(folder / "indices", rows, seed=3)
        references = references_of(indices)
        with Service(indices, workers) as service:
            service.begin()
            chaos = Chaos(service, seed)
            people = [User(service, i, seed) for i in range(users)]
            for user in people:
                user.start()
            chaos.run(faults, rate)
            calm = time.monotonic()
            for user in people:
                user.calm.set()
            for user in people:
                while user.is_alive():
                    chaos.watch()
                    user.join(0.1)
            tally, problems = reckon(service, people, references, rows)
            problems += chaos.died
            if problems or keep:
                kept = pathlib.Path(tempfile.mkdtemp(prefix="stage4-chaos-kept-"))
                shutil.copytree(service.folder, kept, dirs_exist_ok=True, symlinks=True)
                print("kept in %s" % kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tell(seed, chaos, people, tally, problems, calm - begin, time.monotonic() - calm)


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
                              ("rate", 2.5, "faults a second"), ("users", 3, "jobs at once"),
                              ("workers", 3, "worker processes"), ("rows", 7000, "of each job")):
        parser.add_argument("--" + name, type=type(value), default=value, help=what)
    parser.add_argument("--keep", action="store_true", help="keep logs and state")
    sys.exit(not rehearse(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
