"""The bytes of the output depend on the job and the input alone.

Not on the number of workers or threads, the SIMD width, the order of the index's rows, the time, or
on whoever was killed while the job ran."""
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
    """A small job screens by float32 products, one of 5,000 rows by int8 codes."""
    made = harness.made_events(WORK / "simd", 5000, seed=9)
    for level, indices in (("entities", DATA), ("events", made)):
        seen = {simd: cluster("simd-" + simd, indices, level, env={"STAGE4_SIMD": simd})
                for simd in simd_here()}
        assert len(set(seen.values())) == 1, seen
    print("  back ends:", ", ".join(seen))


def kmeans_gives_the_same_bytes_too():
    seen = {(w, simd): cluster("km-%d-%s" % (w, simd), algorithm="kmeans",
                               params=("k=40", "seed=7"), env={"STAGE4_SIMD": simd},
                               extra=("--workers", w))
            for w in (1, 4) for simd in simd_here()}
    assert len(set(seen.values())) == 1, seen


def cells_and_codes_of_centres_give_the_same_bytes():
    """k-means and approximate jobs by int8 codes, whose last bits differ between processors."""
    made = harness.made_events(WORK / "cells", 5000, seed=4)
    for algorithm, params in (("kmeans", ("k=70", "max_iterations=6")),
                              ("two-stage", ("target_recall=0.8",)),
                              ("two-stage", ("cells=30", "min_samples=4"))):
        seen = {(w, t, simd): cluster("cells-%d-%d-%s" % (w, t, simd), made, "events",
                                      algorithm=algorithm, params=params,
                                      env={"STAGE4_SIMD": simd},
                                      extra=("--workers", w, "--threads", t))
                for w, t, simd in [(1, 1, simd_here()[-1]), (3, 1, "scalar"),
                                   (2, 2, simd_here()[-1])]}
        assert len(set(seen.values())) == 1, (algorithm, seen)


def agglomerative_trees_have_the_same_bytes():
    """One partition, and many; single linkage is another road (spanning tree, codes or not)."""
    for linkage in ("average", "single", "ward"):
        params = ("linkage=" + linkage, "distance_threshold=0.3")
        seen, trees = {}, {}
        for w, t, simd in [(1, 1, simd_here()[-1]), (3, 1, "scalar"), (2, 2, simd_here()[-1])]:
            tree = WORK / ("tree-%s-%d-%d" % (linkage, w, t))
            seen[w, t] = cluster("ag-%s-%d-%d" % (linkage, w, t), algorithm="agglomerative",
                                 params=params, env={"STAGE4_SIMD": simd},
                                 extra=("--workers", w, "--threads", t, "--dendrogram", tree,
                                        "--partition-by", "entity_type"))
            trees[w, t] = sha256(tree)
        assert len(set(seen.values())) == len(set(trees.values())) == 1, (linkage, seen, trees)


def validities_have_the_same_bytes():
    """Of small clusters, a thread each, and of large ones, which all threads measure together."""
    made = harness.made_events(WORK / "validities", 2600, seed=4)
    for algorithm, params in (("hdbscan", ("min_cluster_size=5",)),
                              ("kmeans", ("k=2", "max_iterations=4"))):
        seen = set()
        for w, t, simd in [(1, 1, simd_here()[-1]), (3, 1, "scalar"), (2, 3, simd_here()[-1])]:
            name = "dbcv-%s-%d-%d" % (algorithm, w, t)
            seen.add(cluster(name, made, "events", algorithm=algorithm, params=params,
                             env={"STAGE4_SIMD": simd},
                             extra=("--workers", w, "--threads", t, "--quality", "dbcv")))
            assert '"dbcv":' in (WORK / (name + ".jsonl")).read_text()
        assert len(seen) == 1, (algorithm, seen)


def pairs_have_the_same_bytes():
    """By products (entities), and by codes, with an estimate before."""
    made = harness.made_events(WORK / "pairs", 5000, seed=4)
    for level, indices, floor in (("entities", DATA, 0.8), ("events", made, 0.9)):
        seen = set()
        for w, t, simd in [(1, 1, simd_here()[-1]), (3, 1, "scalar"), (2, 2, simd_here()[-1])]:
            pairs = WORK / ("pairs-%s-%d-%d" % (level, w, t))
            clusters = cluster("pr-%s-%d-%d" % (level, w, t), indices, level, algorithm="pairs",
                               params=("min_weight=%g" % floor,), env={"STAGE4_SIMD": simd},
                               extra=("--workers", w, "--threads", t, "--pairs", pairs))
            seen.add((clusters, sha256(pairs)))
        assert len(seen) == 1, (level, seen)


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


def long_job():
    folder = WORK / "kills"
    if not folder.exists():
        harness.made_events(folder, harness.rows_of_a_long_job(), seed=3)
        FAULT_FREE.append(cluster("fault-free", folder, "events"))
    return folder, FAULT_FREE[0]


FAULT_FREE = []
JOB = {"embedding_type": "events", "algorithm": "hdbscan", "as_of": AS_OF,
       "params": {"min_cluster_size": 3}}


def killed_workers_and_coordinators_change_nothing():
    made, wanted = long_job()
    with Cluster(made) as service:
        service.start_coordinator()
        service.start_gateway()
        service.start_worker()
        victim = service.start_slow_worker()
        service.wait_for(lambda: service.request("GET", "/health")[0] == 200, 20, "the gateway")
        service.wait_for(lambda: len(workers(service)) == 2, 20, "both workers")
        job_id = service.submit(**JOB)
        service.wait_for(lambda: workers(service).get(victim.pid), 60, "the slow worker's task")
        service.kill(victim)
        lost = service.wait_for(lambda: service.status(job_id)["workers_lost"], 20, "its loss")
        service.kill(service.coordinator)
        service.start_coordinator()
        report = service.wait_state(job_id, "completed")["report"]
        assert sha256(service.jsonl(job_id)) == wanted
        assert lost == 1 and report["recovered"] == 1, report
        told = stage4("status", job_id, "--url", "http://127.0.0.1:%d" % service.http)[1]
        assert "the coordinator was started again" in told and "went silent" in told, told
        print("  survived:", [fault["what"] for fault in report["faults"]])


def workers(service):
    """pid -> tasks held, of every worker the coordinator knows."""
    statistics = service.request("GET", "/statistics")[1] or {}
    found = statistics.get("coordinator", statistics).get("workers") or []
    return {worker["pid"]: worker["tasks_held"] for worker in found}


def trees_and_pairs_survive_kills_too():
    """Agglomerative and pairs jobs, whose worker and coordinator die together in mid-task, twice."""
    made = harness.made_events(WORK / "kills-too", 4000, seed=6)
    for algorithm, params in (("agglomerative", {"linkage": "average", "distance_threshold": 0.4}),
                              ("pairs", {"min_weight": 0.5})):
        wanted = cluster("kills-" + algorithm, made, "events", algorithm=algorithm,
                         params=["%s=%s" % pair for pair in params.items()])
        with Cluster(made) as service:
            service.start_coordinator()
            service.start_gateway()
            service.wait_for(lambda: service.request("GET", "/health")[0], 20, "the gateway")
            job_id = service.submit(embedding_type="events", algorithm=algorithm, as_of=AS_OF,
                                    params=params)
            for _ in range(2):
                victim = service.start_slow_worker()
                service.wait_for(lambda: workers(service).get(victim.pid), 60, "its task")
                service.kill(victim)
                service.kill(service.coordinator)
                service.start_coordinator()
            service.start_worker()
            report = service.wait_state(job_id, "completed")["report"]
            assert sha256(service.jsonl(job_id)) == wanted, algorithm
            assert report["recovered"] == 2, report
            print("  %s survived" % algorithm)


def a_coordinator_killed_again_and_again_still_finishes():
    made, wanted = long_job()
    with Cluster(made) as service:
        service.start_all(workers=1)
        job_id = service.submit(**JOB)
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
            cells_and_codes_of_centres_give_the_same_bytes,
            agglomerative_trees_have_the_same_bytes,
            validities_have_the_same_bytes,
            pairs_have_the_same_bytes,
            partitions_and_windows_give_the_same_bytes,
            permuted_rows_give_the_same_bytes,
            killed_workers_and_coordinators_change_nothing,
            a_coordinator_killed_again_and_again_still_finishes,
            trees_and_pairs_survive_kills_too,
        ])
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
