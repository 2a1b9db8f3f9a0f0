#!/usr/bin/env python3
"""deploy/cluster.sh as a person uses it: up, up again, after deaths, down, and what it refuses."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import harness
import servers
from harness import AS_OF, DATA, ROOT, run, sha256, stage4

SCRIPT = ROOT / "deploy" / "cluster.sh"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-cluster-script-"))
WORK.chmod(0o755)  # PostgreSQL's user has to get in
FOLDER = WORK / "cluster"
JOB = ["--embedding-type", "events", "--param", "min_cluster_size=3", "--as-of", AS_OF]


def cluster(verb, *arguments, folder=FOLDER, **keywords):
    return run(SCRIPT, verb, "--folder", folder, *arguments, **keywords)


def processes(folder=FOLDER):
    """name -> process id, of what runs."""
    _, out, _ = cluster("status", folder=folder, check=False)
    return {name: int(pid) for name, pid in re.findall(r"^(\S+) +runs, process (\d+)", out, re.M)}


def url():
    return re.search(r"http://\S+", cluster("status")[1]).group()


def refused(words, verb, *arguments, **keywords):
    code, _, problem = cluster(verb, *arguments, check=False, **keywords)
    assert code and words in problem, (words, code, problem)


def one_command_starts_a_cluster_that_works():
    _, out, _ = cluster("up", "--indices", DATA)
    assert set(processes()) == {"redis", "postgres", "coordinator", "worker-1", "worker-2",
                                "gateway"}, processes()
    assert url() in out and str(FOLDER) in out
    stage4("submit", "--url", url(), *JOB, "--wait", timeout=120)
    reference = WORK / "reference.jsonl"
    stage4("run", "--indices", DATA, *JOB, "--output", reference)
    made, = [p for p in (FOLDER / "data").iterdir() if not p.is_symlink()]
    assert sha256(made) == sha256(reference)
    _, health, _ = run("curl", "-s", url() + "/health")
    assert '"healthy"' in health, health
    for secret in (FOLDER / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0, secret
        listing = run("ps", "-eww", "-o", "args")[1] + "".join(
            log.read_text(errors="replace") for log in (FOLDER / "logs").iterdir())
        assert secret.name == "redis.conf" or secret.read_text() not in listing, secret


def up_again_changes_nothing_and_mends_what_died():
    before = processes()
    cluster("up")
    assert processes() == before
    for name in ("redis", "worker-2", "postgres"):
        os.kill(before[name], signal.SIGKILL)
    harness.Cluster.wait_for(lambda: len(processes()) == len(before) - 3, 10, "three deaths")
    assert cluster("status", check=False)[0] == 1
    cluster("up", "--workers", 3)
    after = processes()
    assert set(after) == set(before) | {"worker-3"}
    assert {n for n in before if after[n] != before[n]} == {"redis", "worker-2", "postgres"}
    cluster("up", "--workers", 1)
    assert not {"worker-2", "worker-3"} & set(processes())


def alive(pid):
    """Whether it can still do anything; its parent may be slow to notice that it cannot."""
    try:
        return "\nState:\tZ" not in pathlib.Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return False


def jobs():
    return stage4("status", "--url", url())[1].count("completed")


def down_ends_what_it_started_and_keeps_the_data():
    """A number that another process has by now, as after a boot, is nobody's to end."""
    os.kill(processes()["worker-1"], signal.SIGSTOP)  # one that hears no SIGTERM
    mine = processes()
    bystander = subprocess.Popen(["sleep", "600"])
    record = FOLDER / "run" / "worker-7.pid"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        record.write_text("%d 1 %s\n" % (bystander.pid, boot))
        cluster("down")
        assert bystander.poll() is None and not record.exists()
    finally:
        bystander.kill()
        bystander.wait()
    assert not processes()
    assert not [pid for pid in mine.values() if alive(pid)]
    cluster("down")
    cluster("up")
    assert jobs() == 1
    cluster("down", "--purge")
    assert not FOLDER.exists()


def a_boot_leaves_nothing_that_hinders():
    """After a power cut: no process is left, but all of their files are."""
    cluster("up", "--workers", 1, "--indices", DATA)
    for pid in processes().values():
        os.kill(pid, signal.SIGKILL)
    harness.Cluster.wait_for(lambda: not processes(), 10, "all to be dead")
    for record in (FOLDER / "run").glob("*.pid"):
        pid, started, _ = record.read_text().split()
        record.write_text("%s %s another-boot\n" % (os.getpid(), started))
    lock = FOLDER / "postgres" / "data" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getppid())] + lines[1:]) + "\n")
    cluster("up")
    assert len(processes()) == 5
    cluster("down", "--purge")


def what_cannot_be_is_refused_in_words():
    full = WORK / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("not to be lost")
    refused("holds other things", "up", folder=full)
    cluster("down", "--purge", folder=full)
    assert (full / "thesis.txt").exists()
    refused("from 1 to 64", "up", "--workers", "0")
    refused("unknown option", "up", "--wrokers", "2")
    refused("is not a folder", "up", "--indices", "/no/such/folder")
    refused("is not built", "up", env={"STAGE4_BUILD": "/no/such/build"})
    bare = WORK / "bin"
    bare.mkdir()
    for name in ("bash", "dirname", "sort", "tail", "realpath"):
        (bare / name).symlink_to(shutil.which(name))
    refused("redis-server", "up", env={"PATH": str(bare)})
    with harness.socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused("is taken", "up", "--indices", DATA, "--http-port", taken.getsockname()[1])
    if os.geteuid() == 0:
        closed = WORK / "closed"
        closed.mkdir(mode=0o700)
        refused("the user postgres", "up", folder=closed / "cluster")
    cluster("down", "--purge")


if __name__ == "__main__":
    lacking = servers.missing()
    if lacking:
        print("skipped: not installed: %s; run deploy/setup.sh" % lacking)
        sys.exit(77)
    os.environ["STAGE4_BUILD"] = str(harness.BUILD)
    try:
        harness.main([one_command_starts_a_cluster_that_works,
                      up_again_changes_nothing_and_mends_what_died,
                      down_ends_what_it_started_and_keeps_the_data,
                      a_boot_leaves_nothing_that_hinders,
                      what_cannot_be_is_refused_in_words])
    finally:
        if FOLDER.exists():
            cluster("down", "--purge", check=False)
        shutil.rmtree(WORK, ignore_errors=True)
