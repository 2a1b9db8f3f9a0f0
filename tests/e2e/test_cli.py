"""The stage4 command: what it prints, what it leaves behind, and how it ends when something is wrong."""
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from harness import AS_OF, BUILD, DATA, sha256

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-cli-"))
EVENTS = ["--embedding-type", "events", "--param", "min_cluster_size=3", "--as-of", AS_OF]


def stage4(*arguments, **keywords):
    return harness.run(BUILD / "stage4", *arguments, check=False, **keywords)


def run_events(output, *extra, indices=DATA, **keywords):
    return stage4("run", "--indices", indices, *EVENTS, "--output", output, *extra, **keywords)


def start(*arguments, **keywords):
    return subprocess.Popen([str(BUILD / "stage4"), *map(str, arguments)], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **keywords)


def fresh(name):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def made():
    folder = WORK / "made"
    return folder if folder.is_dir() else harness.made_events(folder, 8000, seed=5)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def error_line(stderr):
    """The one line of the error; progress and log lines are JSON."""
    lines = harness.error_lines(stderr)
    assert len(lines) == 1 and lines[0].startswith("stage4: "), stderr
    return lines[0]


def assert_fails(status, pattern, *arguments, **keywords):
    code, _, stderr = stage4(*arguments, **keywords)
    line = error_line(stderr)
    assert code == status, (code, line)
    assert re.search(pattern, line), line


# ---- run ----

def a_run_writes_its_file_its_report_and_a_summary():
    folder = fresh("run")
    output = folder / "events.jsonl"
    code, stdout, stderr = run_events(output, "--report", folder / "report.json")
    assert code == 0, stderr
    report = json.loads((folder / "report.json").read_text())
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert names(folder) == ["events.jsonl", "report.json"]
    assert len(lines) == report["clusters"] > 0
    assert report["output"]["sha256"] == sha256(output)
    assert report["output"]["bytes"] == output.stat().st_size
    assert sum(len(line["member_ids"]) for line in lines) == report["items"] - report["noise"]
    for words in ("clusters   %d, of 428 items" % report["clusters"], sha256(output),
                  "largest clusters", str(output), report["largest"][0]["label"][:40]):
        assert words in stdout, (words, stdout)
    assert [json.loads(line)["state"] for line in stderr.splitlines()][-1] == "completed"


def json_is_one_object_on_standard_output():
    folder = fresh("json")
    code, stdout, _ = run_events(folder / "e.jsonl", "--json")
    answer = json.loads(stdout)
    assert code == 0 and answer["state"] == "completed"
    assert answer["output"] == str(folder / "e.jsonl")
    assert answer["report"]["output"]["sha256"] == sha256(folder / "e.jsonl")


def a_terminal_sees_one_line_that_is_wiped():
    folder = fresh("terminal")
    leader, follower = pty.openpty()
    process = subprocess.Popen([str(BUILD / "stage4"), "run", "--indices", str(made()), *EVENTS,
                                "--output", str(folder / "e.jsonl")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    fcntl.fcntl(leader, fcntl.F_SETFL, os.O_NONBLOCK)
    seen = b""
    while process.poll() is None:
        time.sleep(0.05)
        try:
            seen += os.read(leader, 1 << 16)
        except OSError:  # nothing there, or nobody at the other end any more
            pass
    process.communicate()
    os.close(leader)
    assert process.returncode == 0
    assert b"%" in seen and b"[" in seen and b"\n" not in seen and seen.endswith(b"\r\x1b[K"), seen


def an_existing_file_is_replaced_only_by_a_whole_one():
    folder = fresh("replace")
    output = folder / "e.jsonl"
    output.write_text("old")
    assert run_events(output, "--param", "min_cluster_size=4000")[0] == 2
    assert output.read_text() == "old" and names(folder) == ["e.jsonl"]
    assert run_events(output)[0] == 0
    assert output.read_text() != "old" and names(folder) == ["e.jsonl"]


def settings_come_from_flags_environment_and_file():
    folder = fresh("settings")
    (folder / "stage4.yaml").write_text(
        "indices: %s\nembedding_type: events\nparam: [min_cluster_size=3]\nas_of: 2015-10-01\n"
        % DATA)
    env = {"STAGE4_CONFIG": str(folder / "stage4.yaml"), "STAGE4_OUTPUT": str(folder / "b.jsonl")}
    assert run_events(folder / "a.jsonl")[0] == 0
    code, _, stderr = stage4("run", env=env)
    assert code == 0, stderr
    assert sha256(folder / "a.jsonl") == sha256(folder / "b.jsonl")
    assert stage4("run", "--embedding-type", "storylines", "--output", folder / "c.jsonl",
                  env=env)[0] == 0
    assert json.loads((folder / "c.jsonl").read_text().splitlines()[0])["cluster_type"] == "storyline"


# ---- run: what is wrong ----

def a_wrong_command_is_one_line_and_exit_2():
    run = ("run", "--indices", DATA, "--output", WORK / "never.jsonl")
    events = run + ("--embedding-type", "events")
    assert_fails(2, "is no command", "frobnicate")
    assert_fails(2, "--output is missing", "run", "--indices", DATA, *EVENTS)
    assert_fails(2, "--embedding-type is missing", *run)
    assert_fails(2, 'embedding_type is "sentences".*"documents"', *run, "--embedding-type",
                 "sentences")
    assert_fails(2, 'algorithm is "dbscan".*"hdbscan"', *events, "--algorithm", "dbscan")
    assert_fails(2, "min_cluster_sise.*did you mean.*min_cluster_size", *events, "--param",
                 "min_cluster_sise=3")
    assert_fails(2, "--param min_cluster_size=N", *events, "--min-cluster-size", "3")
    assert_fails(2, "did you mean --threads", *events, "--thread", "3")
    assert_fails(2, "workers: '0' is no whole number from 1", *events, "--workers", "0")
    assert_fails(2, "min_cluster_size is 5000, but only 428", *events, "--param",
                 "min_cluster_size=5000")
    assert_fails(2, "partition_by", *run, "--embedding-type", "entities", "--partition-by", "domain")
    assert_fails(2, "log_level: 'loud'", *events, "--log-level", "loud")
    assert_fails(2, "one argument too many", *events, "surplus")
    assert_fails(2, "cannot open the settings file", *events, "--config", WORK / "none.yaml")
    assert_fails(2, "there is no folder", "run", "--indices", DATA, *EVENTS, "--output",
                 WORK / "none" / "e.jsonl")
    assert_fails(2, "no regular file", "run", "--indices", DATA, *EVENTS, "--output", WORK)
    assert not (WORK / "never.jsonl").exists()


def unusable_input_is_one_line_and_its_own_exit_status():
    folder = fresh("input")
    output = folder / "never.jsonl"
    run = ("run", "--output", output, *EVENTS)
    raw = (DATA / "events.index").read_bytes()
    metadata = (DATA / "events_metadata.json").read_bytes()

    def indices(name, index=raw, json_bytes=metadata):
        place = folder / name
        place.mkdir()
        (place / "events.index").write_bytes(index)
        (place / "events_metadata.json").write_bytes(json_bytes)
        return place

    assert_fails(3, "cannot read the indices folder", *run, "--indices", folder / "none")
    assert_fails(6, "cannot read the indices folder", *run, "--indices", DATA / "events.index")
    assert_fails(3, "events.index", *run, "--indices", WORK)
    assert_fails(4, "truncated", *run, "--indices", indices("short", raw[:100000]))
    assert_fails(4, "events.index", *run, "--indices", indices("other", b"PK\3\4" + raw[4:]))
    assert_fails(4, "events_metadata.json", *run, "--indices",
                 indices("cut", json_bytes=metadata[:50000]))
    assert_fails(4, "has dimension 768, expected 512", *run, "--indices", DATA, "--dimension", "512")
    assert_fails(4, "none passes the filter", *run, "--indices", DATA, "--filter", "domain=none")
    broken = bytearray(raw)
    for row in range(40):
        at = harness.HEADER.size + row * 768 * 4
        broken[at:at + 4] = b"\0\0\xc0\x7f"
    assert_fails(4, "max_bad_fraction", *run, "--indices", indices("nan", bytes(broken)))
    assert not output.exists()


def a_full_disk_is_one_line_exit_6_and_nothing_half_written():
    folder = fresh("full")
    (folder / "e.jsonl").write_text("old")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))
    process = start("run", "--indices", DATA, "--embedding-type", "entities", "--output",
                    folder / "e.jsonl", preexec_fn=limit)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 6, (process.returncode, stderr)
    assert "File too large" in error_line(stderr)
    assert names(folder) == ["e.jsonl"] and (folder / "e.jsonl").read_text() == "old"


# ---- run: ended from outside ----

def wait_until_running(process):
    for line in process.stderr:
        if line.startswith("{") and json.loads(line).get("state") == "running":
            return
    raise AssertionError("the run never came to its tasks")


def a_signal_ends_a_run_without_leftovers():
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = fresh("signal")
        process = start("run", "--indices", made(), *EVENTS, "--output", folder / "e.jsonl")
        wait_until_running(process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 128 + number, (process.returncode, stderr)
        assert "nothing was written" in error_line(stderr)
        assert names(folder) == []


def a_killed_run_leaves_nothing_that_the_next_trips_over():
    folder = fresh("killed")
    process = start("run", "--indices", made(), *EVENTS, "--output", folder / "e.jsonl")
    wait_until_running(process)
    process.kill()
    process.communicate()
    assert names(folder) != []
    assert run_events(folder / "e.jsonl", indices=made())[0] == 0
    assert names(folder) == ["e.jsonl"]


def a_kept_state_lets_a_killed_run_go_on():
    folder = fresh("state")
    assert run_events(folder / "plain.jsonl", indices=made())[0] == 0
    arguments = ("--state", folder / "state")
    for how in (signal.SIGKILL, signal.SIGTERM):
        process = start("run", "--indices", made(), *EVENTS, "--output", folder / "e.jsonl",
                        *arguments)
        wait_until_running(process)
        process.send_signal(how)
        process.communicate()
    answers = []
    for _ in range(2):
        code, stdout, stderr = run_events(folder / "e.jsonl", *arguments, "--json", indices=made())
        assert code == 0, stderr
        answers.append(json.loads(stdout))
        assert sha256(folder / "e.jsonl") == sha256(folder / "plain.jsonl")
        (folder / "e.jsonl").unlink()
    assert answers[0]["job_id"] == answers[1]["job_id"]
    assert answers[0]["report"]["recovered"] >= 1
    code, stdout, _ = run_events(folder / "e.jsonl", *arguments, "--json", "--param",
                                 "min_samples=2", indices=made())
    assert code == 0 and json.loads(stdout)["job_id"] != answers[0]["job_id"]


def a_kept_as_of_is_that_of_the_first_submission():
    folder = fresh("as-of")
    run = ("run", "--indices", made(), "--embedding-type", "events", "--output", folder / "e.jsonl",
           "--state", folder / "state")
    process = start(*run)
    wait_until_running(process)
    process.kill()
    process.communicate()
    before = time.time()
    time.sleep(1.1)
    code, stdout, _ = stage4(*run, "--json")
    as_of = json.loads(stdout)["as_of"]
    assert code == 0 and as_of < time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before + 1)), as_of
    first = json.loads((folder / "e.jsonl").read_text().splitlines()[0])
    assert first["metadata"]["timestamp"] == as_of


def two_runs_at_once_in_one_folder_do_not_meet():
    folder = fresh("two")
    both = [start("run", "--indices", DATA, *EVENTS, "--output", folder / name)
            for name in ("a.jsonl", "b.jsonl")]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert sha256(folder / "a.jsonl") == sha256(folder / "b.jsonl")
    assert names(folder) == ["a.jsonl", "b.jsonl"]


# ---- serve and its clients ----

class Service:
    def __enter__(self):
        self.folder = fresh("serve")
        self.port = harness.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.process = start("serve", "--indices", DATA, "--http-listen",
                             "127.0.0.1:%d" % self.port, cwd=self.folder)
        harness.Cluster.wait_for(lambda: self("status")[0] == 0, 30, "a gateway")
        return self

    def __call__(self, *arguments):
        return stage4(*arguments, "--url", self.url)

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
        self.stdout, self.stderr = self.process.communicate(timeout=30)


def a_served_job_can_be_submitted_followed_and_read():
    folder = fresh("local")
    assert run_events(folder / "local.jsonl")[0] == 0
    with Service() as service:
        code, stdout, stderr = service("submit", *EVENTS)
        assert code == 0, stderr
        job_id, link = stdout.split()
        assert link == service.url + "/api/v1/cluster/status/" + job_id
        code, stdout, _ = service("submit", "--embedding-type", "storylines", "--wait", "--json",
                                  "--idempotency-key", "k1")
        waited = json.loads(stdout)
        assert code == 0 and waited["state"] == "completed"
        code, stdout, _ = service("submit", "--embedding-type", "storylines", "--idempotency-key",
                                  "k1")
        assert code == 0 and stdout.split()[0] == waited["job_id"]
        harness.Cluster.wait_for(
            lambda: json.loads(service("status", job_id, "--json")[1])["state"] == "completed", 30,
            "the job to be completed")
        code, stdout, _ = service("status", job_id)
        assert code == 0 and "state      completed" in stdout and "largest clusters" in stdout
        code, stdout, _ = service("status")
        assert code == 0 and job_id in stdout and waited["job_id"] in stdout
        code, stdout, _ = service("results", job_id)
        assert code == 0
        assert sorted(stdout.splitlines()) == sorted(
            (folder / "local.jsonl").read_text().splitlines())
        assert service("results", job_id, "--output", folder / "r.jsonl")[0] == 0
        assert (folder / "r.jsonl").read_text() == stdout
        code, stdout, _ = service("results", job_id, "--json")
        assert code == 0 and json.loads(stdout)["job_id"] == job_id
        clusters_are_found(service, job_id)
        refusals_arrive_in_words(service, job_id, folder)
        assert_fails(8, "address is taken", "serve", "--indices", DATA, "--http-listen",
                     "127.0.0.1:%d" % service.port, "--state", folder / "state", "--output-folder",
                     folder / "data", "--log-level", "off")
    assert service.process.returncode == 0, (service.process.returncode, service.stderr[-1500:])
    assert [line for line in service.stdout.splitlines() if "listening" in line]
    assert sorted(path.name for path in (service.folder / "data").iterdir() if path.is_file())


def clusters_are_found(service, job_id):
    code, stdout, _ = service("clusters", "--job-id", job_id, "--limit", "2", "--json")
    page = json.loads(stdout)
    assert code == 0 and len(page["clusters"]) == 2 and page["total"] > 2
    code, stdout, _ = service("clusters", "--job-id", job_id, "--limit", "2", "--cursor",
                              page["next_cursor"], "--json")
    assert code == 0 and json.loads(stdout)["clusters"][0] not in page["clusters"]
    first = page["clusters"][0]
    code, stdout, _ = service("clusters", "--member-id", first["member_ids"][0], "--job-id", job_id)
    assert code == 0 and first["cluster_id"] in stdout and "1 of 1 clusters" in stdout
    code, stdout, _ = service("clusters", first["cluster_id"])
    assert code == 0 and len(json.loads(stdout)["centroid_vector"]) == 768
    code, stdout, _ = service("clusters", "--size-min", "100000")
    assert code == 0 and "0 of 0 clusters" in stdout


def refusals_arrive_in_words(service, job_id, folder):
    url = ("--url", service.url)
    assert_fails(3, "no job", "status", "job_X", *url)
    assert_fails(3, "no job", "cancel", "job_X", *url)
    assert_fails(3, "no job", "results", "job_X", "--output", folder / "x.jsonl", *url)
    assert not (folder / "x.jsonl").exists() and not list(folder.glob("*.part"))
    assert_fails(9, "completed", "pause", job_id, *url)
    assert_fails(9, "completed", "resume", job_id, *url)
    assert_fails(2, "cursor", "clusters", "--cursor", "zzz", *url)
    assert_fails(2, "embedding_type", "clusters", "--embedding-type", "foo", *url)
    assert_fails(2, "needs JOB", "pause", *url)


def nobody_there_is_said_with_exit_8():
    dead = "http://127.0.0.1:%d" % harness.free_port()
    for arguments in (("status",), ("pause", "x"), ("results", "x"), ("clusters",),
                      ("submit", *EVENTS)):
        assert_fails(8, "no gateway answers at %s; start one with `stage4 serve`" % dead, *arguments,
                     "--url", dead)
    assert_fails(2, "no http or https address", "status", "--url", "ftp://127.0.0.1")


# ---- inspect, help and version ----

def inspect_counts_what_is_there_and_says_what_is_not():
    code, stdout, _ = stage4("inspect", "--indices", DATA)
    assert code == 0 and "428" in stdout and "1526" in stdout.replace(",", "")
    code, stdout, _ = stage4("inspect", "--indices", DATA, "--json")
    assert code == 0 and "428" in json.dumps(json.loads(stdout))
    assert_fails(3, "none", "inspect", "--indices", WORK / "none")


def help_lists_every_command_and_every_option():
    code, stdout, _ = stage4("help")
    commands = re.findall(r"^  (\w+)", stdout, re.MULTILINE)
    assert code == 0
    assert {"run", "serve", "submit", "status", "pause", "resume", "cancel", "results", "clusters",
            "inspect", "version"} <= set(commands)
    for command in commands:
        code, stdout, _ = stage4(command, "--help")
        assert code == 0 and "usage: stage4 " + command in stdout and "exit status" in stdout
        assert stage4("help", command)[1] == stdout
    assert stage4()[0] == 2


def the_settings_are_documented_as_they_are():
    code, stdout, _ = stage4("help", "settings")
    assert code == 0 and "| `--indices DIR` | `STAGE4_INDICES`, `STAGE3_INDICES_PATH` |" in stdout
    assert stdout in (harness.ROOT / "DEPLOYMENT.md").read_text(encoding="utf-8"), \
        "put the output of `stage4 help settings` into DEPLOYMENT.md"


def the_states_of_a_job_are_documented_as_they_are():
    code, stdout, _ = stage4("help", "states")
    assert code == 0 and "| `queued` |" in stdout
    assert stdout in (harness.ROOT / "docs" / "protocol.md").read_text(encoding="utf-8"), \
        "put the output of `stage4 help states` into docs/protocol.md"
    states = re.findall(r"^\| `(\w+)` \|", stdout, re.M)
    openapi = (harness.ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
    described = re.search(r"JobState:\s+type: string\s+enum: \[(.*?)\]", openapi).group(1)
    assert sorted(described.split(", ")) == sorted(states), described
    asked = sorted(re.findall(r"^\| (\w+) \| user \|", stdout, re.M))
    assert sorted(re.findall(r"^  /cluster/(\w+)/{id}:\n    post:", openapi, re.M)) == asked, asked


def version_names_the_back_end_and_the_libraries():
    code, stdout, _ = stage4("version", "--json")
    version = json.loads(stdout)
    assert code == 0 and re.fullmatch(r"\d+\.\d+\.\d+", version["version"])
    assert re.match("scalar|avx", version["compute"])
    assert {"zmq", "czmq", "sqlite", "civetweb"} <= set(version["libraries"])
    assert all(re.match(r"\d", value) for value in version["libraries"].values())


if __name__ == "__main__":
    try:
        harness.main([
            a_run_writes_its_file_its_report_and_a_summary,
            json_is_one_object_on_standard_output,
            a_terminal_sees_one_line_that_is_wiped,
            an_existing_file_is_replaced_only_by_a_whole_one,
            settings_come_from_flags_environment_and_file,
            a_wrong_command_is_one_line_and_exit_2,
            unusable_input_is_one_line_and_its_own_exit_status,
            a_full_disk_is_one_line_exit_6_and_nothing_half_written,
            a_signal_ends_a_run_without_leftovers,
            a_killed_run_leaves_nothing_that_the_next_trips_over,
            a_kept_state_lets_a_killed_run_go_on,
            a_kept_as_of_is_that_of_the_first_submission,
            two_runs_at_once_in_one_folder_do_not_meet,
            a_served_job_can_be_submitted_followed_and_read,
            nobody_there_is_said_with_exit_8,
            inspect_counts_what_is_there_and_says_what_is_not,
            help_lists_every_command_and_every_option,
            the_settings_are_documented_as_they_are,
            the_states_of_a_job_are_documented_as_they_are,
            version_names_the_back_end_and_the_libraries,
        ])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
