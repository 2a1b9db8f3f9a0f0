#!/usr/bin/env python3
"""A bounded chaos.py: real processes and connections disturbed 200 times, nothing lost, doubled or
different. A build with sanitizers or coverage runs a quarter of it: there it looks for other things.

STAGE4_CHAOS_SEED chooses another sequence of faults."""
import os

import chaos
import harness


def jobs_survive_whatever_happens_to_processes_and_connections():
    plain = not any(word in harness.BUILD.name for word in ("asan", "coverage"))
    seed = int(os.environ.get("STAGE4_CHAOS_SEED", "1"))
    assert chaos.rehearse(faults=200 if plain else 50, seed=seed, rate=3.0, rows=4000)


if __name__ == "__main__":
    harness.main([jobs_survive_whatever_happens_to_processes_and_connections])
