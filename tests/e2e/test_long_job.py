#!/usr/bin/env python3
"""long_job.py in short: one job, workers that come, leave and are killed, a coordinator that is killed
twice, Redis and PostgreSQL away; the bytes of the undisturbed run, and a report that says it all."""
import sys

import harness
import long_job
import servers


def a_job_survives_all_that_happens_to_it_and_tells_of_it():
    long_job.tell_story(rows=16000, duty=0.2, hold=True)


if __name__ == "__main__":
    lacking = servers.missing()
    if lacking:
        print("skipped: not installed: " + lacking)
        sys.exit(0)
    harness.main([a_job_survives_all_that_happens_to_it_and_tells_of_it])
