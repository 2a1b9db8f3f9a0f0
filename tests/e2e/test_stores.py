#!/usr/bin/env python3
"""The daemons on a real Redis and a real PostgreSQL: the bytes of the embedded run, whatever is
killed meanwhile; and what is misconfigured is refused by name."""
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import harness
import servers
from harness import AS_OF, BUILD, DATA, Cluster, run, sha256, stage4
from servers import Postgres, Redis

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-stores-"))
EXIT = {"ERR_USAGE": 2, "ERR_UNAVAILABLE": 8, "ERR_CONFLICT": 9}
JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}


def secret(name, text):
    path = WORK / name
    path.write_text(text + "\n")
    return path


def ledger_options(redis):
    return ["--ledger", "redis", "--redis-host", "127.0.0.1", "--redis-port", redis.port,
            "--redis-password-file", secret("redis", servers.REDIS_PASSWORD)]


def results_options(postgres, user="stage4_user"):
    password = servers.WRITER_PASSWORD if user == "stage4_user" else servers.READER_PASSWORD
    return ["--results", "postgres", "--postgres-host", "127.0.0.1", "--postgres-port",
            postgres.port, "--postgres-user", user, "--postgres-password-file",
            secret(user, password)]


class Service(Cluster):
    def __init__(self, indices, redis, postgres):
        super().__init__(indices)
        self.coordinator_options = ledger_options(redis) + results_options(postgres)
        self.gateway_options = results_options(postgres, "stage4_reader")

    def logs(self):
        return "".join(f.read_text() for f in sorted(self.folder.glob("*.log")))


def big():
    folder = WORK / "big"
    if not folder.exists():
        harness.made_events(folder, 4000, seed=5)
    return folder


REFERENCE = {}


def reference():
    """What one process with its SQLite files makes of the same job."""
    if not REFERENCE:
        out = WORK / "reference.jsonl"
        stage4("run", "--indices", big(), "--embedding-type", "events", "--as-of", AS_OF,
               "--output", out)
        REFERENCE["sha"] = sha256(out)
        REFERENCE["clusters"] = len(out.read_text().splitlines())
    return REFERENCE["sha"]


def check_rows(postgres, service, job):
    """Each cluster and member is there once, and nothing that belongs to no job."""
    lines = [json.loads(line) for line in service.jsonl(job).read_text().splitlines()]
    members = sum(line["cluster_size"] for line in lines)
    counts = postgres.ask(
        "SELECT (SELECT count(*) FROM result_job), (SELECT count(*) FROM result_cluster),"
        " (SELECT count(DISTINCT cluster_id) FROM result_cluster),"
        " (SELECT count(*) FROM result_member WHERE cluster IS NOT NULL),"
        " (SELECT count(*) FROM result_member)")
    noise = service.status(job)["report"]["noise"]
    assert counts == "1|%d|%d|%d|%d" % (len(lines), len(lines), members, members + noise), counts


def a_job_survives_the_death_of_every_server():
    """What is down decides how far the job comes, so the faults hit it however fast it is."""
    expected = reference()
    with Redis() as redis, Postgres() as postgres, Service(big(), redis, postgres) as service:
        service.start_coordinator()
        service.start_gateway()
        service.wait_for(lambda: service.request("GET", "/")[0] == 200, 20, "the gateway")
        job = service.submit(**JOB)
        service.wait_state(job, "running")  # a stage is in Redis; no worker is there
        service.kill(service.coordinator)
        redis.stop()
        redis.start()
        service.start_coordinator()
        service.wait_for(lambda: service.status(job).get("state") == "running", 20, "recovery")
        postgres.stop()
        redis.stop()
        service.start_worker()
        service.start_worker()
        service.wait_for(lambda: "save_failed" in service.logs(), 60, "a save that fails")
        time.sleep(1.5)  # it is tried again meanwhile
        redis.start()
        service.wait_state(job, "writing")
        time.sleep(1)
        assert service.status(job)["state"] == "writing"
        postgres.start()
        report = service.wait_state(job, "completed")["report"]
        assert report["recovered"] == 1, report
        assert sha256(service.jsonl(job)) == expected
        check_rows(postgres, service, job)
        page = service.request("GET", "/api/v1/clusters?limit=1000")[1]
        assert page["total"] == REFERENCE["clusters"], page["total"]
        postgres.stop(signal.SIGQUIT)  # the gateway's connections die with it
        assert service.request("GET", "/api/v1/clusters?limit=1")[0] == 503
        postgres.start()
        again = service.request("GET", "/api/v1/clusters?limit=1000")[1]
        assert again == page, "another page after the restart"
        for word in (servers.REDIS_PASSWORD, servers.WRITER_PASSWORD, servers.READER_PASSWORD):
            assert word not in service.logs()
        for words in ("redis at 127.0.0.1", "postgres at 127.0.0.1"):
            assert words in service.logs()


def a_cache_that_is_away_only_makes_answers_slower():
    with Redis("no") as cache, Redis() as redis, Postgres() as postgres, \
            Service(DATA, redis, postgres) as service:
        service.gateway_options += [
            "--result-cache", "redis", "--redis-cache-port", cache.port,
            "--redis-cache-password-file", secret("cache", servers.REDIS_PASSWORD)]
        service.start_all(1)
        service.wait_state(service.submit(**JOB), "completed")
        def page():
            status, body, _ = service.request("GET", "/api/v1/clusters?limit=5")
            assert status == 200
            return body
        def cached():
            health = service.request("GET", "/health")
            assert health[0] == 200
            return health[1]["dependencies"]["result_cache"]
        first = page()
        assert page() == first and cached() == {"status": "healthy"}
        assert "stage4:cache:" in cache.tell("SELECT 7", "KEYS *")
        service.wait_state(service.submit(**JOB, params={"min_cluster_size": 3}), "completed")
        assert page()["total"] != first["total"], "what was kept before the commit"
        first = page()
        cache.signal_all(signal.SIGSTOP)
        assert page()["total"] == first["total"]
        assert "slower" in cached()["reason"]
        cache.stop()
        assert page()["total"] == first["total"] and cached()["status"] == "unhealthy"
        cache.start()
        service.wait_for(lambda: cached()["status"] == "healthy", 20, "the cache to be back")
        for word in (servers.REDIS_PASSWORD, "secret of"):
            assert word not in service.logs()


def a_redis_that_came_back_empty_is_refused():
    with Redis() as redis, Postgres() as postgres, Service(DATA, redis, postgres) as service:
        service.start_all(1)
        job = service.submit(**JOB)
        service.wait_state(job, "completed")
        service.kill(service.coordinator)
        redis.tell("FLUSHALL")
        service.start_coordinator()
        assert service.coordinator.wait(timeout=20) == EXIT["ERR_CONFLICT"]
        assert "came back empty" in service.logs()
        (service.folder / "state" / "ledger.generation").unlink()
        service.start_coordinator()
        service.wait_for(lambda: service.request("GET", "/health")[0] == 200, 20, "health")
        second = service.submit(**JOB)
        service.wait_state(second, "completed")
        assert service.jsonl(second).read_bytes() == service.jsonl(job).read_bytes()


def the_environment_of_the_infrastructure_is_enough():
    """Names as in its compose files, no flag at all."""
    with Redis() as redis, Postgres() as postgres, Service(DATA, redis, postgres) as service:
        service.coordinator_options = service.gateway_options = []
        service.environment = {
            "STAGE4_LEDGER": "redis", "STAGE4_RESULTS": "postgres", "REDIS_HOST": "localhost",
            "REDIS_PORT": str(redis.port), "REDIS_DB": "6",
            "REDIS_PASSWORD": servers.REDIS_PASSWORD, "POSTGRES_HOST": "localhost",
            "POSTGRES_PORT": str(postgres.port), "POSTGRES_DB": "stage4_clustering",
            "POSTGRES_USER": "stage4_user", "STAGE4_POSTGRES_PASSWORD": servers.WRITER_PASSWORD}
        service.start_all(1)
        job = service.submit(**JOB)
        service.wait_state(job, "completed")
        check_rows(postgres, service, job)


def refused(program, code, words, *options, env=None):
    arguments = [BUILD / program, "--indices", DATA, "--state", WORK / "refused", "--output-folder",
                 WORK / "refused"]
    if program == "stage4-gateway":
        arguments += ["--http-listen", "127.0.0.1:0"]
    given, out, problem = run(*arguments, *options, check=False, env=env, timeout=30)
    assert given == code and words in problem, (given, problem)
    assert "wrong secret" not in out + problem, problem


def what_is_misconfigured_is_refused_by_name():
    with Redis() as redis, Redis(append="no") as forgetful, Postgres() as postgres:
        daemon = "stage4-coordinator"
        wrong = secret("wrong", "wrong secret")
        usage = EXIT["ERR_USAGE"]
        port = ["--redis-port", redis.port]
        refused(daemon, usage, "sqlite or redis", "--ledger", "mysql")
        refused(daemon, usage, "sqlite or postgres", "--results", "mysql")
        refused(daemon, usage, "redis_password", "--ledger", "redis", *port)
        refused(daemon, usage, "redis_password", "--ledger", "redis", *port,
                "--redis-password-file", wrong)
        refused(daemon, usage, "both set", "--ledger", "redis", *port, "--redis-password-file",
                wrong, "--redis-password", "wrong secret")
        refused(daemon, usage, "cannot read /no/such/file", "--ledger", "redis", *port,
                "--redis-password-file", "/no/such/file")
        refused(daemon, usage, "appendonly", *ledger_options(forgetful))
        refused(daemon, EXIT["ERR_UNAVAILABLE"], "cannot be reached", "--ledger", "redis",
                "--redis-port", harness.free_port())
        here = ["--results", "postgres", "--postgres-port", postgres.port]
        for program in (daemon, "stage4-gateway"):
            refused(program, usage, "postgres_password", *here, "--postgres-password-file", wrong)
            refused(program, usage, "postgres_db", *results_options(postgres), "--postgres-db",
                    "none")
        refused(daemon, EXIT["ERR_UNAVAILABLE"], "cannot be reached", "--results", "postgres",
                "--postgres-port", harness.free_port())


if __name__ == "__main__":
    lacking = servers.missing()
    if lacking:
        print("skipped: not installed: %s; run deploy/setup.sh" % lacking)
        sys.exit(77)
    os.chdir(WORK)
    try:
        harness.main([a_job_survives_the_death_of_every_server,
                      a_cache_that_is_away_only_makes_answers_slower,
                      a_redis_that_came_back_empty_is_refused,
                      the_environment_of_the_infrastructure_is_enough,
                      what_is_misconfigured_is_refused_by_name])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
