#!/usr/bin/env python3
"""Two coordinators on one Redis: one of them works, and never both. And a Redis that hangs holds
neither a pause nor anybody's heartbeats up."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

import harness
import servers
from harness import AS_OF, BUILD, Cluster, run, sha256
from proxy import Proxy
from servers import Postgres, Redis

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-fencing-"))
CONFLICT = 9
JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}


def big():
    folder = WORK / "big"
    if not folder.exists():
        harness.made_events(folder, harness.rows_of_a_long_job() // 2, seed=9)
    return folder


def options(redis):
    secret = WORK / "secret"
    secret.write_text(servers.REDIS_PASSWORD)
    return ["--ledger", "redis", "--redis-host", "127.0.0.1", "--redis-port", redis.port,
            "--redis-password-file", secret]


REFERENCE = {}


def reference():
    if not REFERENCE:
        with Cluster(big()) as alone:
            job = alone.start_all(2).submit(**JOB)
            alone.wait_state(job, "completed")
            REFERENCE["sha"] = sha256(alone.jsonl(job))
    return REFERENCE["sha"]


def last_words(cluster, program="stage4-coordinator"):
    return sorted(cluster.folder.glob("*-%s.log" % program))[-1].read_text()


def a_second_coordinator_on_the_same_redis_is_refused():
    with Redis() as redis, Cluster(big()) as first:
        first.coordinator_options = options(redis)
        first.start_all(0)
        code, _, problem = run(
            BUILD / "stage4-coordinator", "--indices", big(), "--state", WORK / "other",
            "--output-folder", WORK / "other-data", "--client-endpoint",
            "tcp://127.0.0.1:%d" % harness.free_port(), "--worker-endpoint",
            "tcp://127.0.0.1:%d" % harness.free_port(), *options(redis), check=False, timeout=60)
        assert code == CONFLICT, (code, problem)
        assert "coordinator %d on host" % first.coordinator.pid in problem, problem
        assert first.coordinator.poll() is None
        first.kill(first.coordinator)
        first.start_coordinator()  # its own folder: it need not wait for a lease
        first.wait_for(lambda: first.request("GET", "/health")[0] == 200, 4, "the coordinator")


def one_that_was_stopped_while_another_took_over_stops_for_good():
    expected = reference()
    with Redis() as redis, Cluster(big()) as first, Cluster(big()) as second:
        for cluster in (first, second):
            cluster.coordinator_options = options(redis)
        first.start_all(2)
        job = first.submit(**JOB)
        first.wait_for(lambda: any(first.status(job).get(each) for each in ("stage", "tasks_done")),
                       60, "some results")
        first.coordinator.send_signal(signal.SIGSTOP)
        second.start_all(2)  # waits until the lease is over
        second.wait_for(lambda: second.status(job).get("state"), 30, "the job, taken over")
        first.coordinator.send_signal(signal.SIGCONT)
        assert first.coordinator.wait(timeout=30) == CONFLICT
        words = last_words(first)
        assert "coordinator %d on host" % second.coordinator.pid in words, words[-800:]
        second.wait_state(job, "completed")
        assert sha256(second.jsonl(job)) == expected
        assert not list((first.folder / "data").glob("*%s*" % job)), "the first wrote it as well"


def results(port, user, password):
    secret = WORK / user
    secret.write_text(password)
    return ["--results", "postgres", "--postgres-host", "127.0.0.1", "--postgres-port", port,
            "--postgres-user", user, "--postgres-password-file", secret]


def remove(redis, service, job):
    """Its retention is over, by a clock that is put back while nobody looks."""
    service.kill(service.coordinator)
    redis.tell("HSET stage4:job:%s changed_ms 1000" % job)
    redis.tell("ZADD stage4:ended 1000 %s" % job)  # where the time is looked for
    service.start_coordinator()
    service.wait_for(lambda: service.request("GET", "/cluster/status/" + job)[0] == 404, 30,
                     "the job to be removed")


def rows(postgres):
    return [postgres.ask("SELECT count(*) FROM result_" + table)
            for table in ("job", "cluster", "member")]


def one_that_was_stopped_while_it_wrote_leaves_no_rows_of_a_removed_job():
    with Redis() as redis, Postgres() as postgres, \
            Cluster(harness.DATA) as first, Cluster(harness.DATA) as second:
        wire = Proxy(harness.free_port(), postgres.port)
        for cluster, port in ((first, wire.port), (second, postgres.port)):
            cluster.coordinator_options = options(redis) + results(port, "stage4_user",
                                                                   servers.WRITER_PASSWORD)
            cluster.gateway_options = results(postgres.port, "stage4_reader",
                                              servers.READER_PASSWORD)
        first.start_all(1)
        wire.silent = True  # what it writes does not arrive yet
        job = first.submit(**JOB)
        first.wait_state(job, "writing")
        first.coordinator.send_signal(signal.SIGSTOP)
        second.start_all(1)
        second.wait_state(job, "completed")
        assert rows(postgres)[0] == "1", rows(postgres)
        remove(redis, second, job)
        assert rows(postgres) == ["0", "0", "0"], rows(postgres)
        wire.heal()
        first.coordinator.send_signal(signal.SIGCONT)
        assert first.coordinator.wait(timeout=60) == CONFLICT
        assert "another coordinator has the" in last_words(first), last_words(first)[-800:]
        assert rows(postgres) == ["0", "0", "0"], rows(postgres)
        assert second.coordinator.poll() is None
        wire.close()


def pause_in_the_background(service, job):
    def ask():
        service.request("POST", "/cluster/pause/" + job)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def a_redis_that_hangs_holds_up_neither_pause_nor_heartbeats():
    expected = reference()
    with Redis() as redis, Cluster(big()) as service:
        service.coordinator_options = options(redis)
        service.start_all(2)
        job = service.submit(**JOB)
        service.wait_for(lambda: service.status(job).get("phase") == "neighbours" and
                         service.status(job).get("tasks_in_flight"), 60, "a task at work")
        redis.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        thread = pause_in_the_background(service, job)
        slowest = 0.0
        words = set()
        progress = []  # nothing is computed any more once the pause has had its two seconds
        while time.monotonic() - begin < 6:
            asked = time.monotonic()
            status = service.status(job)
            slowest = max(slowest, time.monotonic() - asked)
            assert status.get("state") != "paused", "acknowledged, and not durable"
            words.add(status.get("waiting_for"))
            if asked - begin > 3.5:
                progress.append(status["work_done"])
            time.sleep(0.05)
        print("    slowest answer %.2f s" % slowest)
        redis.process.send_signal(signal.SIGCONT)
        assert min(progress) == max(progress), progress
        assert slowest < 2.5, slowest  # it used to be more than three, again and again
        told = [w for w in words if w and w.startswith("a save that failed is tried again: the "
                                                       "ledger has not answered for ")]
        assert [w for w in told if "Redis at " in w], words
        assert [w for w in told if w.endswith((" hold", " holds"))], words
        thread.join(timeout=60)
        service.wait_state(job, "paused")
        assert "worker_dismissed" not in last_words(service)
        service.request("POST", "/cluster/resume/" + job)
        service.wait_state(job, "completed")
        assert sha256(service.jsonl(job)) == expected


if __name__ == "__main__":
    lacking = servers.missing()
    if lacking:
        print("skipped: not installed: " + lacking)
        sys.exit(0)
    os.chdir(WORK)
    try:
        harness.main([a_second_coordinator_on_the_same_redis_is_refused,
                      one_that_was_stopped_while_another_took_over_stops_for_good,
                      one_that_was_stopped_while_it_wrote_leaves_no_rows_of_a_removed_job,
                      a_redis_that_hangs_holds_up_neither_pause_nor_heartbeats])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
