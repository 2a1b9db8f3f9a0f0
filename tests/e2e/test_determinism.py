"""The bytes of the output depend on the job and the input alone.

Not on the number of workers or threads, the SIMD width, the order of the index's rows, the time, or
on whoever was killed while the job ran."""
import json
import os
import pathlib
import shutil
import tempfile

import harness
from harness import AS_OF, DATA, Cluster, sha256, stage4

WORK = pathlib.Path(tempfile.mkdtemp(prefix="stage4-determinism-"))


def cluster(name, indices=DATA, level="entities", env=None, extra=(), algorithm="hdbscan",
            params=("min_cluster_size=3",)):
    output = WORK / (name + ".jsonl")
    arguments = ["run", "--indices", indices, "--embedding-type", level, "--algorithm", algorithm,
                 "--as-of", AS_OF, "--output", output, "--json"]
    for param in params:
        arguments += ["--param", param]
    stage4(*arguments, *extra, env=env)
    assert output.stat().st_size > 0
    return sha256(output)


def simd_here():
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    names = ["scalar"]
    names += ["avx2"] if " avx2 " in flags and " fma " in flags else []
    names += ["avx512"] if " avx512f " in flags and " avx512bw " in flags else []
    return names


def any_number_of_workers_and_threads_gives_the_same_bytes():
    made = harness.made_events(WORK / "made", 9000)
    for level, indices in (("entities", DATA), ("events", made)):
        seen = {(w, t): cluster("w%d-t%d" % (w, t), indices, level,
                                extra=("--workers", w, "--threads", t))
                for w, t in ((1, 1), (1, 2), (2, 1), (4, 1), (8, 1), (2, 2))}
        assert len(set(seen.values())) == 1, seen


def any_simd_width_gives_the_same_bytes():
    seen = {simd: cluster("simd-" + simd, env={"STAGE4_SIMD": simd}) for simd in simd_here()}
    print("  back ends:", ", ".join(seen))
    assert len(set(seen.values())) == 1, seen


def kmeans_gives_the_same_bytes_too():
    seen = {(w, simd): cluster("km-%d-%s" % (w, simd), algorithm="kmeans",
                               params=("k=40", "seed=7"), env={"STAGE4_SIMD": simd},
                               extra=("--workers", w))
            for w in (1, 4) for simd in simd_here()}
    assert len(set(seen.values())) == 1, seen


def partitions_and_windows_give_the_same_bytes():
    extra = ("--partition-by", "domain", "--window-days", "7")
    seen = {w: cluster("pw%d" % w, level="events", extra=extra + ("--workers", w))
            for w in (1, 3)}
    assert len(set(seen.values())) == 1, seen


def permuted_rows_give_the_same_bytes():
    for level in ("documents", "events", "entities", "storylines"):
        plain = WORK / ("plain-" + level)
        plain.mkdir()
        for suffix in (".index", "_metadata.json"):
            shutil.copy(DATA / (level + suffix), plain)
        first = cluster("plain-" + level, plain, level)
        for seed in (1, 2):
            folder = WORK / ("permuted-%s-%d" % (level, seed))
            harness.permuted(DATA, level, folder, seed)
            assert cluster("permuted", folder, level) == first, (level, seed)


def killed_workers_and_coordinators_change_nothing():
    made = harness.made_events(WORK / "kills", 16000, seed=3)
    wanted = cluster("fault-free", made, "events")
    job = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF,
           "params": {"min_cluster_size": 3}}
    with Cluster(made) as service:
        service.start_all(workers=2)
        job_id = service.submit(**job)
        service.wait_for(lambda: service.status(job_id).get("tasks_done", 0) >= 1, 60,
                         "the first finished task")
        service.kill(service.workers[0])
        service.start_worker()
        done = service.status(job_id).get("tasks_done", 0)
        service.wait_for(lambda: service.status(job_id).get("tasks_done", 0) > done, 60,
                         "a task finished after the worker's death")
        service.kill(service.coordinator)
        service.start_coordinator()
        service.wait_state(job_id, "running", "merging", "writing", "completed", seconds=20)
        report = service.wait_state(job_id, "completed")
        assert sha256(service.jsonl(job_id)) == wanted
        print("  report:", json.dumps({k: report.get(k) for k in (
            "retries", "workers_lost", "late_results")}))


def a_coordinator_killed_again_and_again_still_finishes():
    made = WORK / "kills"
    wanted = cluster("fault-free-again", made, "events")
    with Cluster(made) as service:
        service.start_all(workers=1)
        job_id = service.submit(embedding_type="events", algorithm="hdbscan", as_of=AS_OF,
                                params={"min_cluster_size": 3})
        for pause in (0.3, 0.9, 1.7, 2.4, 0.1):
            harness.time.sleep(pause)
            service.kill(service.coordinator)
            service.start_coordinator()
        service.wait_state(job_id, "completed")
        assert sha256(service.jsonl(job_id)) == wanted


if __name__ == "__main__":
    try:
        harness.main([
            any_number_of_workers_and_threads_gives_the_same_bytes,
            any_simd_width_gives_the_same_bytes,
            kmeans_gives_the_same_bytes_too,
            partitions_and_windows_give_the_same_bytes,
            permuted_rows_give_the_same_bytes,
            killed_workers_and_coordinators_change_nothing,
            a_coordinator_killed_again_and_again_still_finishes,
        ])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
