#!/usr/bin/env python3
"""What attackers, full disks and broken neighbours do to us: a clear answer, nothing half written,
and everybody else's job as before."""
import hashlib
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import harness
from harness import AS_OF, BUILD, DATA, Cluster, sha256

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-hostile-"))
EVENTS = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF}
KMEANS = {**EVENTS, "algorithm": "kmeans", "params": {"k": 12}}
USAGE, MISSING, INPUT, IO = 2, 3, 4, 6


def medium():
    folder = WORK / "medium"
    return folder if folder.is_dir() else harness.made_events(folder, 2000, seed=5)


def copy_of_sample(name):
    return pathlib.Path(shutil.copytree(DATA, WORK / name))


def ended(cluster, job_id, *states):
    return cluster.wait_state(job_id, *(states or ("completed",)), seconds=60)


def reference(cluster, job):
    job_id = cluster.submit(**job)
    ended(cluster, job_id)
    return sha256(cluster.jsonl(job_id))


def everybody_lives(cluster):
    for process in [cluster.coordinator, cluster.gateway] + cluster.workers:
        assert process.poll() is None, (process.args[0], process.returncode)
    for process in [cluster.gateway] + cluster.workers + [cluster.coordinator]:
        assert cluster.kill(process, signal.SIGTERM) == 0, process.args[0]


# ---- stage4 run ----

def run_fails(status, words, folder, *arguments, output=None, **keywords):
    place = pathlib.Path(tempfile.mkdtemp(dir=WORK))
    output = output or place / "o.jsonl"
    done = subprocess.run(
        [str(BUILD / "stage4"), "run", "--indices", str(folder), "--embedding-type", "storylines",
         "--output", str(output), *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **keywords)
    lines = harness.error_lines(done.stderr)
    assert done.returncode == status and len(lines) == 1 and words in lines[0], (
        done.returncode, status, words, done.stderr)
    assert not list(place.iterdir()), list(place.iterdir())


def an_unusable_input_is_one_line():
    index, metadata = "storylines.index", "storylines_metadata.json"
    raw, text = (DATA / index).read_bytes(), (DATA / metadata).read_bytes()
    cases = [(INPUT, "truncated", index, raw[:len(raw) // 2]),
             (INPUT, "no FAISS index", index, b"\0" * 100),
             (INPUT, "announces", index, raw[:8] + struct.pack("<q", 1 << 31) + raw[16:]),
             (INPUT, "ends too early", metadata, text[:len(text) // 2]),
             (INPUT, "UTF-8", metadata, text[:900] + b"\xff\xfe" + text[900:]),
             (INPUT, "nested deeper", metadata, b'{"a":' * 50000),
             (MISSING, "cannot be opened", index, None)]
    for number, (status, words, name, content) in enumerate(cases):
        folder = copy_of_sample("bad-%d" % number)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        run_fails(status, words, folder)
    folder = copy_of_sample("pipe")
    (folder / index).unlink()
    os.mkfifo(folder / index)
    run_fails(INPUT, "a pipe", folder)


def an_output_never_replaces_an_input():
    folder = copy_of_sample("own")
    for name in ("storylines.index", "events_metadata.json"):
        before = sha256(folder / name)
        run_fails(USAGE, "is an input", folder, output=folder / name)
        run_fails(USAGE, "is an input", folder, "--report", folder / "labels" / ".." / name)
        assert sha256(folder / name) == before
    both = WORK / "both.json"
    run_fails(USAGE, "the output already", folder, "--report", both, output=both)
    assert not both.exists()


def a_disk_that_fills_up_at_any_moment_ends_the_run():
    for limit in (0, 20000, 50000):  # bytes a file: its own files, the spool, the output
        def small_disk(limit=limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run_fails(IO, "", DATA, preexec_fn=small_disk)


# ---- HTTP ----

def raw_answer(cluster, request):
    with socket.create_connection(("127.0.0.1", cluster.http), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return answer
                answer += piece
        except (TimeoutError, ConnectionResetError):
            return answer


def the_gateway_answers_each_request_once_and_none_that_is_hidden():
    hidden = b"GET /statistics HTTP/1.1\r\nHost: h\r\n\r\n"
    length = b"Content-Length: %d\r\n" % len(hidden)
    heads = [length + b"Content-Length: 0\r\n", b"Content-Length: 0\r\n" + length,
             b"Transfer-Encoding: identity\r\n", b"X-A: b\r\n folded\r\n" + length,
             b"Content-Length : %d\r\n" % len(hidden),
             b"".join(b"X-%d: y\r\n" % i for i in range(70)) + length]
    with Cluster(DATA).start_all(workers=0) as cluster:
        for head in heads:
            answer = raw_answer(cluster, b"POST /cluster/batch HTTP/1.1\r\nHost: h\r\n"
                                b"Content-Type: application/json\r\n" + head + b"\r\n" + hidden)
            assert answer.startswith(b"HTTP/1.1 4"), (head, answer)
            assert answer.count(b"X-Request-ID:") == 1, (head, answer)
        for cursor in ("zzz", "job_" + "0" * 25, "job_" + "l" * 26, "%2e%2e"):
            status, body, _ = cluster.request("GET", "/cluster/jobs?cursor=" + cursor)
            assert status == 400 and body["field"] == "cursor", (cursor, body)
        readers = []
        for _ in range(40):  # ask much and read nothing
            readers.append(socket.create_connection(("127.0.0.1", cluster.http)))
            readers[-1].sendall(b"GET /openapi.yaml HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
        assert cluster.request("GET", "/health")[0] == 200
        for reader in readers:
            reader.close()
        everybody_lives(cluster)


# ---- jobs ----

def one_key_from_twenty_threads_is_one_job():
    with Cluster(DATA).start_all(workers=1) as cluster:
        answers = []

        def submit():
            answers.append(cluster.request("POST", "/cluster/batch", EVENTS,
                                           {"Idempotency-Key": "same"}))
        threads = [threading.Thread(target=submit) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {status for status, _, _ in answers} <= {202, 503}, answers
        assert len({body["job_id"] for status, body, _ in answers if status == 202}) == 1, answers
        everybody_lives(cluster)


def a_storm_of_pauses_and_resumes_changes_no_byte():
    with Cluster(medium()).start_all(workers=1) as cluster:
        expected = reference(cluster, EVENTS)
        job_id = cluster.submit(**EVENTS)

        def storm(seed):
            choice = random.Random(seed)
            for _ in range(60):
                verb = choice.choice(["pause", "resume"])
                status, body, _ = cluster.request("POST", "/cluster/%s/%s" % (verb, job_id))
                assert status in (200, 409), body
        threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cluster.request("POST", "/cluster/resume/" + job_id)
        ended(cluster, job_id)
        assert sha256(cluster.jsonl(job_id)) == expected
        for _ in range(5):
            job_id = cluster.submit(**EVENTS)
            assert cluster.request("POST", "/cluster/cancel/" + job_id)[0] == 200
            ended(cluster, job_id, "cancelled")
        cluster.wait_for(lambda: not list((cluster.folder / "state" / "spool").iterdir()), 5,
                         "an empty spool")
        everybody_lives(cluster)


# ---- the coordinator's sockets ----

GREETING = (b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def frame(body, more=0, length=None):
    return bytes([more | 2]) + struct.pack(">Q", len(body) if length is None else length) + body


def throw(endpoint, greeting, piece):
    """The greetings wait for each other; being refused in the middle is as good as being read."""
    connection = socket.create_connection(("127.0.0.1", int(endpoint.split(":")[2])), timeout=0.2)
    try:
        connection.sendall(greeting)
        if greeting:
            Liar.take(connection, 64)
        connection.sendall(piece)
        while connection.recv(65536):
            pass
    except OSError:
        pass
    connection.close()


def garbage_at_the_sockets_does_no_harm():
    chance = random.Random(11)
    with Cluster(DATA).start_all(workers=1) as cluster:
        expected = reference(cluster, EVENTS)
        pieces = [READY + frame(b"x", length=2**63 - 1),
                  READY + b"".join(frame(b"a", 1) for _ in range(5000)) + frame(b"b"),
                  READY + frame(b"\x91" * 100000) + frame(b"\xdf\xff\xff\xff\xff")
                  + frame(b"\x81\xa1m\xa5hello") + frame(b"")]
        pieces += [READY + b"".join(frame(chance.randbytes(chance.randrange(200)),
                                          chance.random() < 0.3) for _ in range(100))
                   for _ in range(10)]
        for endpoint in (cluster.client, cluster.worker_endpoint):
            throw(endpoint, b"", chance.randbytes(2000))
            for piece in pieces:
                throw(endpoint, GREETING, piece)
        assert reference(cluster, EVENTS) == expected
        log = "".join(path.read_text() for path in cluster.folder.glob("*coordinator.log"))
        assert log.count("message_dropped") > 100 and log.count("request_dropped") > 100
        everybody_lives(cluster)


class Liar:
    """Between a worker and the coordinator: changes what one result says, under its right hash."""

    def __init__(self, endpoint):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.target = ("127.0.0.1", int(endpoint.split(":")[2]))
        self.lies = []  # each is told once, in turn
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            worker = self.listener.accept()[0]
            try:
                coordinator = socket.create_connection(self.target)
            except OSError:  # the coordinator does not listen yet, or not any more
                worker.close()
                continue
            for body in (self.upward, self.downward):
                threading.Thread(target=body, args=(worker, coordinator), daemon=True).start()

    @staticmethod
    def take(source, size):
        got = b""
        while len(got) < size:
            piece = source.recv(size - len(got))
            if not piece:
                raise OSError("closed")
            got += piece
        return got

    @staticmethod
    def downward(worker, coordinator):
        try:
            while True:
                piece = coordinator.recv(65536)
                if not piece:
                    break
                worker.sendall(piece)
        except OSError:
            pass
        worker.close()

    def upward(self, worker, coordinator):
        message = []
        try:
            for _ in range(64):  # the greetings wait for each other
                coordinator.sendall(self.take(worker, 1))
            while True:
                flags = self.take(worker, 1)[0]
                size = self.take(worker, 8 if flags & 2 else 1)
                body = self.take(worker, int.from_bytes(size, "big"))
                if flags & 4:
                    coordinator.sendall(bytes([flags]) + size + body)
                    continue
                message.append(body)
                if not flags & 1:
                    self.pass_on(message, coordinator)
                    message = []
        except OSError:
            coordinator.close()

    def pass_on(self, message, coordinator):
        if len(message) == 2 and b"\xa6result" in message[0] and self.lies:
            payload = self.lies.pop()(message[1])
            at = message[0].index(b"\xa6sha256\xc4\x20") + 9
            digest = hashlib.sha256(payload).digest()
            message = [message[0][:at] + digest + message[0][at + 32:], payload]
        for number, body in enumerate(message):
            coordinator.sendall(frame(body, more=number + 1 < len(message)))


def a_lie_under_its_right_hash_is_computed_again():
    lies = [lambda payload: b"", lambda payload: payload + payload,
            lambda payload: bytes(len(payload)), lambda payload: payload[:len(payload) // 2],
            lambda payload: b"\xff" * len(payload)]
    with Cluster(DATA) as cluster:
        cluster.start_coordinator()
        cluster.start_gateway()
        liar = Liar(cluster.worker_endpoint)
        cluster.worker_endpoint = liar.endpoint
        cluster.start_worker()
        cluster.wait_for(lambda: cluster.request("GET", "/health")[0] == 200, 20, "the gateway")
        for job in (EVENTS, KMEANS):
            expected = reference(cluster, job)
            for lie in lies:
                liar.lies = [lie]
                job_id = cluster.submit(**job)
                report = ended(cluster, job_id)["report"]
                assert sha256(cluster.jsonl(job_id)) == expected and report["retries"] >= 1, report
        liar.lies = lies[:1] * 1000
        job_id = cluster.submit(**EVENTS)
        error = ended(cluster, job_id, "failed")["error"]
        assert "failed 3 times" in error["message"], error
        liar.lies = []
        everybody_lives(cluster)


def a_spool_that_is_taken_away_ends_the_job_with_words():
    with Cluster(medium()).start_all(workers=1) as cluster:
        expected = reference(cluster, EVENTS)
        spool = cluster.folder / "state" / "spool"
        job_id = cluster.submit(**EVENTS)
        cluster.wait_for(lambda: list(spool.glob(job_id + "/*")), 20, "a file in the spool")
        shutil.rmtree(spool / job_id, ignore_errors=True)
        status = ended(cluster, job_id, "completed", "failed")
        if status["state"] == "completed":
            assert sha256(cluster.jsonl(job_id)) == expected
        else:
            assert "spool" in status["error"]["message"], status["error"]
        assert reference(cluster, EVENTS) == expected
        everybody_lives(cluster)


if __name__ == "__main__":
    os.chdir(WORK)
    try:
        harness.main([an_unusable_input_is_one_line,
                      an_output_never_replaces_an_input,
                      a_disk_that_fills_up_at_any_moment_ends_the_run,
                      the_gateway_answers_each_request_once_and_none_that_is_hidden,
                      one_key_from_twenty_threads_is_one_job,
                      a_storm_of_pauses_and_resumes_changes_no_byte,
                      garbage_at_the_sockets_does_no_harm,
                      a_lie_under_its_right_hash_is_computed_again,
                      a_spool_that_is_taken_away_ends_the_job_with_words])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
