#!/usr/bin/env python3
"""Shows that chaos.py bites: plants bugs of tests/sim/mutants in the coordinator, one at a time,
builds it, and lets chaos.py run on it until it finds something wrong.

    tests/e2e/chaos_mutants.py [MUTANT]... [--seeds 2]

The patched file alone is compiled, as the build folder (STAGE4_BUILD) compiles it, and linked into a
coordinator of its own in a temporary folder; nothing in the build folder or the sources changes.
Exit status 1 when a bug survives every seed."""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from harness import BUILD, ROOT

PATCHES = ROOT / "tests" / "sim" / "mutants"
DEFAULT = ["finish_with_a_result_missing", "results_are_mixed_up", "dead_worker_keeps_tasks",
           "goodbye_loses_tasks", "lost_dispatch_is_never_noticed", "submit_answered_before_saved",
           "completed_though_the_write_failed", "failed_save_is_not_tried_again"]
PROGRAMS = ("stage4", "stage4-gateway", "stage4-worker")


def commands():
    """What builds the coordinator, one shell command each."""
    return subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", "stage4-coordinator"],
                          check=True, capture_output=True, text=True).stdout.splitlines()


def patched_source(patch, work):
    """Copies the file that the patch is for and plants the bug: (its path in ROOT, the copy)."""
    name = re.search(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M).group(1)
    copy = work / "copy" / name
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / name, copy)
    subprocess.run(["patch", "--quiet", "-p1", "-d", str(work / "copy"), "-i", str(patch)],
                   check=True)
    return ROOT / name, copy


def build_mutant(patch, work):
    """A folder that can stand in for the build folder."""
    source, copy = patched_source(patch, work)
    lines = commands()
    compile_line = next(l for l in lines if l.rstrip().endswith("-c " + str(source)))
    new_object = work / "mutant.o"
    # Without what it tells ninja about the headers, that is all about another object.
    words = shlex.split(re.sub(r" -MD -MT \S+ -MF \S+ -o \S+", "", compile_line))
    words[-1] = str(copy)
    subprocess.run([*words, "-o", str(new_object)], check=True, cwd=BUILD)
    # Before the libraries, so that its definitions are taken and the library's file is left out.
    link = next(l for l in lines if " -o stage4-coordinator " in l)
    link = link.replace(" -o stage4-coordinator ",
                        " %s -o %s " % (new_object, work / "stage4-coordinator"))
    subprocess.run(link, shell=True, check=True, cwd=BUILD)
    for program in PROGRAMS:
        (work / program).symlink_to(BUILD / program)
    return work


# A coordinator that is killed again and again forgets what it did wrong, so each bug is also run
# where only others suffer; and jobs of 1,500 rows have one task a stage.
STORMS = [["--faults", "15", "--rows", "9000", "--fast", "--embedded", "--patience", "60"],
          ["--faults", "60", "--only", "worker,connection,message", "--embedded"],
          ["--faults", "30", "--only", "messages", "--embedded"],
          ["--faults", "60", "--only", "postgres", "--patience", "60"],
          ["--faults", "30", "--only", "redis", "--patience", "60"],
          ["--faults", "140"]]


def found_by(build, seeds):
    """(what was tried, first lines on what is wrong); None when every run found it in order."""
    for seed in range(1, seeds + 1):
        for storm in STORMS:
            arguments = [*storm, "--seed", str(seed)]
            done = subprocess.run(
                [sys.executable, str(ROOT / "tests" / "e2e" / "chaos.py"), "--rate", "8", "--rows",
                 "1500", "--users", "5", "--patience", "20", *arguments], capture_output=True,
                text=True, check=False, env={**os.environ, "STAGE4_BUILD": str(build)})
            for kept in re.findall(r"^kept in (\S+)$", done.stdout, re.M):
                shutil.rmtree(kept)
            if done.returncode:
                return " ".join(arguments), verdict(done)
    return None


def verdict(done):
    said = [line.strip() for line in done.stdout.splitlines() if line.startswith("lost:")]
    problem = [line.strip()[:120] for line in done.stdout.splitlines() if "PROBLEM" in line]
    return "; ".join(said + problem[:1]) or done.stderr.strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mutants", nargs="*", default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=2, help="each bug has that many chances to bite")
    options = parser.parse_args()
    found = 0
    for name in options.mutants:
        with tempfile.TemporaryDirectory(prefix="stage4-mutant-") as work:
            result = found_by(build_mutant(PATCHES / (name + ".patch"), pathlib.Path(work)),
                              options.seeds)
        found += result is not None
        print("%-34s %s" % (name, "found by %s: %s" % result if result else "SURVIVED"),
              flush=True)
    print("%d of %d planted bugs found" % (found, len(options.mutants)))
    sys.exit(found != len(options.mutants))


if __name__ == "__main__":
    main()
