"""What the end-to-end tests share: real processes, free ports, indices made to measure.

Standard library only, but for dataset makers, which need numpy (deploy/setup.sh installs it)."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STAGE4_BUILD", ROOT / "build"))
DATA = ROOT / "tests" / "data" / "wiki2015"
AS_OF = "2015-10-01T00:00:00Z"


def rows_of_a_long_job():
    """Rows that keep two workers busy for some seconds; sanitizers and gcov are slow by themselves."""
    return 12000 if BUILD.name == "build-checked" else 30000


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def free_port():
    """Below the ports that the system hands out: a client that connects again and again to one of
    those may be given it as its own, and nobody else can listen there then."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def run(*arguments, check=True, env=None, timeout=600):
    """One finished command: (exit status, standard output, standard error)."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    if check and done.returncode:
        raise AssertionError("%s: exit %d\n%s" % (" ".join(map(str, arguments)), done.returncode,
                                                  done.stderr[-2000:]))
    return done.returncode, done.stdout, done.stderr


def error_lines(errors):
    """What a person was told: progress and logs are JSON; gcov complains for itself on a full disk."""
    return [line for line in errors.splitlines()
            if not line.startswith(("{", "profiling:", "libgcov "))]


def stage4(*arguments, **keywords):
    return run(BUILD / "stage4", *arguments, **keywords)


def processor_seconds(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- indices made to measure ----

HEADER = struct.Struct("<4siqqqBiQ")  # fourcc, dimension, rows, two unused, trained, metric, floats


def read_index(path):
    import numpy
    raw = pathlib.Path(path).read_bytes()
    fourcc, dimension, rows, _, _, _, metric, count = HEADER.unpack_from(raw)
    vectors = numpy.frombuffer(raw, dtype="<f4", offset=HEADER.size, count=count)
    return fourcc, metric, vectors.reshape(rows, dimension)


def write_index(path, vectors, fourcc=b"IxFI", metric=0):
    import numpy
    rows, dimension = vectors.shape
    header = HEADER.pack(fourcc, dimension, rows, 1 << 20, 1 << 20, 1, metric, rows * dimension)
    pathlib.Path(path).write_bytes(header + numpy.ascontiguousarray(vectors, "<f4").tobytes())


def write_metadata(path, entries, order):
    """entries: vector_id -> entry; order: the vector_id of each position."""
    pathlib.Path(path).write_text(json.dumps({
        "metadata_store": entries,
        "id_map": {v: i for i, v in enumerate(order)},
        "reverse_id_map": {str(i): v for i, v in enumerate(order)}}), encoding="utf-8")


def permuted(source, level, folder, seed):
    """A copy of one level with its rows in another order."""
    import numpy
    folder.mkdir(parents=True, exist_ok=True)
    fourcc, metric, vectors = read_index(source / (level + ".index"))
    metadata = json.loads((source / (level + "_metadata.json")).read_text(encoding="utf-8"))
    order = numpy.random.default_rng(seed).permutation(len(vectors))
    write_index(folder / (level + ".index"), vectors[order], fourcc, metric)
    old = metadata["reverse_id_map"]
    entries = list(metadata["metadata_store"].items())
    shuffled = numpy.random.default_rng(seed + 1).permutation(len(entries))
    write_metadata(folder / (level + "_metadata.json"), dict(entries[i] for i in shuffled),
                   [old[str(i)] for i in order])


def made_events(folder, rows, seed=1):
    """`rows` unit vectors near the sample's events: mixtures of two of them and a little noise."""
    import numpy
    folder.mkdir(parents=True, exist_ok=True)
    _, _, real = read_index(DATA / "events.index")
    random = numpy.random.default_rng(seed)
    first = random.integers(0, len(real), rows)
    second = random.integers(0, len(real), rows)
    weight = random.uniform(0.6, 1.0, (rows, 1)).astype("f4")
    vectors = weight * real[first] + (1 - weight) * real[second]
    vectors += random.normal(0, 0.012, vectors.shape).astype("f4")
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    write_index(folder / "events.index", vectors.astype("f4"))
    entries, order = {}, []
    for i in range(rows):
        source = "made_%06d_event_0" % random.integers(0, 10**6) + "%06d" % i
        order.append("event_emb_" + source)
        entries[order[-1]] = {"source_id": source, "embedding_type": "event", "metadata": {
            "document_id": "doc_%d" % (i // 7), "event_type": "kind_%d" % (first[i] % 5),
            "domain": "general_news", "event_description": "event %d" % first[i],
            "temporal_reference": "2015-09-%02dT00:00:00Z" % (1 + first[i] % 30)}}
    write_metadata(folder / "events_metadata.json", entries, order)
    return folder


# ---- a cluster of real processes ----

class Cluster:
    """Coordinator, gateway and workers on loopback, in a folder that goes with the test."""

    def __init__(self, indices, folder=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="stage4-e2e-"))
        self.indices = indices
        self.http = free_port()
        self.client = "tcp://127.0.0.1:%d" % free_port()
        self.worker_endpoint = "tcp://127.0.0.1:%d" % free_port()
        self.coordinator = self.gateway = None
        self.workers = []
        self.started = 0
        self.coordinator_options = []  # beside the usual ones, as are the next
        self.gateway_options = []
        self.environment = {}          # of every process, beside ours

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in [self.coordinator, self.gateway] + self.workers:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if kind and not (kind is SystemExit and not value.code):
            for log in sorted(self.folder.glob("*.log")):
                sys.stderr.write("---- %s\n%s\n" % (log.name, log.read_text()[-3000:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, program, *arguments, environment=None):
        self.started += 1
        log = open(self.folder / ("%02d-%s.log" % (self.started, program)), "w")
        process = subprocess.Popen([str(BUILD / program), *map(str, arguments)], stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL,
                                   env={**os.environ, **self.environment, **(environment or {})})
        log.close()
        return process

    def start_coordinator(self):
        self.coordinator = self.start(
            "stage4-coordinator", "--indices", self.indices, "--state", self.folder / "state",
            "--output-folder", self.folder / "data", "--client-endpoint", self.client,
            "--worker-endpoint", self.worker_endpoint, *self.coordinator_options)

    def start_gateway(self):
        self.gateway = self.start(
            "stage4-gateway", "--indices", self.indices, "--state", self.folder / "state",
            "--output-folder", self.folder / "data", "--client-endpoint", self.client,
            "--http-listen", "127.0.0.1:%d" % self.http, *self.gateway_options)

    def start_worker(self, threads=1):
        self.workers.append(self.start(
            "stage4-worker", "--indices", self.indices, "--worker-endpoint", self.worker_endpoint,
            "--threads", threads))
        return self.workers[-1]

    def start_slow_worker(self):
        """One that is still at its task when somebody comes to kill it."""
        self.workers.append(self.start(
            "stage4-worker", "--indices", self.indices, "--worker-endpoint", self.worker_endpoint,
            "--threads", 1, environment={"STAGE4_SIMD": "scalar"}))
        return self.workers[-1]

    def start_all(self, workers=2):
        self.start_coordinator()
        self.start_gateway()
        for _ in range(workers):
            self.start_worker()
        self.wait_for(lambda: self.request("GET", "/health")[0] == 200, 20, "a healthy gateway")
        return self

    def kill(self, process, how=signal.SIGKILL):
        process.send_signal(how)
        return process.wait(timeout=30)

    def request(self, method, path, body=None, headers=None):
        """(status, decoded body, headers); (0, None, {}) when nobody answers."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.http, path), data=data,
                                         method=method, headers=dict(headers or {}))
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, decoded(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as problem:
            return problem.code, decoded(problem.read()), dict(problem.headers)
        except OSError:
            return 0, None, {}

    def submit(self, **job):
        status, body, _ = self.request("POST", "/api/v1/cluster/batch", job)
        assert status == 202, (status, body)
        return body["job_id"]

    def status(self, job_id):
        return self.request("GET", "/api/v1/cluster/status/" + job_id)[1] or {}

    def wait_state(self, job_id, *states, seconds=120):
        def there():
            status = self.status(job_id)
            if status.get("state") == "failed" and "failed" not in states:
                raise AssertionError("the job failed: %s" % status.get("error"))
            return status if status.get("state") in states else None
        return self.wait_for(there, seconds, "job %s to be %s" % (job_id, " or ".join(states)))

    def jsonl(self, job_id):
        return next((self.folder / "data").glob("clustered_*_%s.jsonl" % job_id))

    @staticmethod
    def wait_for(condition, seconds, what):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError("waited %d s for %s" % (seconds, what))


def decoded(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def main(tests):
    """Runs each function, prints a line for each and a closing one; the exit status says the rest."""
    failed = 0
    for test in tests:
        begin = time.monotonic()
        try:
            test()
            word = "ok"
        except Exception as problem:  # the next test still runs
            failed += 1
            frames = traceback.extract_tb(problem.__traceback__)
            line = next((f for f in frames if f.name == test.__name__), frames[-1])
            word = "FAILED: %s: %.2000s (line %d: %s)" % (
                type(problem).__name__, problem, line.lineno, line.line)
        print("%-60s %6.1f s  %s" % (test.__name__, time.monotonic() - begin, word), flush=True)
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(failed != 0)
