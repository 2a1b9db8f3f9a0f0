#!/usr/bin/env python3
"""A bounded chaos.py: processes, stores, connections and disks disturbed 210 times, nothing lost,
doubled or different. A build with sanitizers or coverage runs a quarter of it: there it looks for
other things.

STAGE4_CHAOS_SEED chooses another sequence of faults."""
import os

import chaos
import harness
import servers

PLAIN = harness.BUILD.name != "build-checked"
SEED = int(os.environ.get("STAGE4_CHAOS_SEED", "1"))


def rehearse(faults, **keywords):
    assert chaos.rehearse(faults=faults if PLAIN else faults // 4, seed=SEED, rate=8.0, rows=1500,
                          users=5, **keywords)


def jobs_survive_whatever_happens_to_processes_stores_connections_and_disks():
    rehearse(140)


def jobs_survive_on_the_coordinators_own_files():
    rehearse(70, embedded=True)


if __name__ == "__main__":
    tests = [jobs_survive_whatever_happens_to_processes_stores_connections_and_disks,
             jobs_survive_on_the_coordinators_own_files]
    if servers.missing():
        print("only on files; not installed: %s; run deploy/setup.sh" % servers.missing())
    harness.main(tests[1:] if servers.missing() else tests)
