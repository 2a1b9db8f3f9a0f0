"""The REST API in front of a real coordinator and worker: every route, every prefix, every error,
and every answer checked against docs/openapi.yaml."""
import http.client
import json
import pathlib
import signal
import socket
import tempfile
import threading
import time

import jsonschema
from prometheus_client.parser import text_string_to_metric_families

from description import API, PREFIXES, check_described, resolve
from harness import BUILD, DATA, ROOT, Cluster, free_port, main, run

CLUSTER_SCHEMA = json.loads((ROOT / "docs/schema/cluster_result.schema.json").read_text("utf-8"))


class Setup:
    """One cluster of processes for all tests; two completed jobs, of events and of entities."""
    cluster = None
    events = None
    entities = None


def ask(method, path, body=None, headers=None, raw=None):
    """(status, body, headers), checked against the description."""
    connection = http.client.HTTPConnection("127.0.0.1", Setup.cluster.http, timeout=30)
    send = dict(headers or {})
    if body is not None:
        raw = json.dumps(body).encode()
        send.setdefault("Content-Type", "application/json")
    connection.request(method, path, body=raw, headers=send)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    kind = answer.headers.get("Content-Type", "")
    single = kind in ("application/json", "application/problem+json")
    value = json.loads(content) if single and content else content
    if method not in ("HEAD", "OPTIONS"):
        check_described(method, path.partition("?")[0], answer.status, kind, value)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"]
    text = content.decode("utf-8")
    for private in (str(Setup.cluster.folder), str(DATA), "stage4.db", ".c:"):
        assert private not in text or kind == "application/yaml", (path, private)
    return answer.status, value, answer.headers


def expect_problem(status, field, method, path, says="", **keywords):
    got, body, headers = ask(method, path, **keywords)
    assert got == status, (method, path, got, body)
    assert headers["Content-Type"] == "application/problem+json"
    assert body["status"] == status and body.get("field", "") == field, body
    assert says in body["detail"], body
    return body, headers


def job(**members):
    return {"embedding_type": "events", **members}


# ---- jobs ----

def a_job_is_accepted_with_its_location():
    forwarded = {"X-Forwarded-Prefix": "/api/v1/clustering"}
    for path, headers, prefix in [
            ("/api/v1/cluster/batch", {}, "/api/v1"),
            ("/api/v1/clustering/cluster/batch", {}, "/api/v1/clustering"),
            ("/cluster/batch", {}, ""),
            ("/api/v1/clustering/batch", {}, "/api/v1/clustering"),
            ("/cluster/batch", forwarded, "/api/v1/clustering"),
            ("/api/v1/cluster/batch", forwarded, "/api/v1/clustering/api/v1"),
            ("/cluster/batch", {"X-Forwarded-Prefix": "//evil.example"}, ""),
            ("/cluster/batch", {"X-Forwarded-Prefix": "/a/../b"}, ""),
            ("/cluster/batch", {"X-Forwarded-Prefix": "https://evil.example/x"}, "")]:
        status, body, answer = ask("POST", path, body=job(), headers=headers)
        assert status == 202, (path, status, body)
        wanted = prefix + "/cluster/status/" + body["job_id"]
        assert answer["Location"] == wanted, answer["Location"]
        assert ask("GET", "/cluster/status/" + body["job_id"])[0] == 200


def the_same_key_gives_the_same_job():
    key = {"Idempotency-Key": "nightly-2015-09-30"}
    first = ask("POST", "/cluster/batch", body=job(), headers=key)[1]["job_id"]
    again = ask("POST", "/cluster/batch", body=job(), headers=key)[1]["job_id"]
    other = ask("POST", "/cluster/batch", body=job())[1]["job_id"]
    assert first == again and first != other
    for other in ({"embedding_type": "entities"}, {"quality": ["silhouette"]}, {"priority": 9},
                  {"retention_days": 1}, {"include_metadata": True}):
        expect_problem(409, "idempotency_key", "POST", "/cluster/batch", headers=key,
                       body=job(**other))
    expect_problem(400, "Idempotency-Key", "POST", "/cluster/batch", body=job(),
                   headers={"Idempotency-Key": "x" * 80})


def a_completed_job_tells_its_story():
    for prefix in PREFIXES:
        status, body, _ = ask("GET", prefix + "/cluster/status/" + Setup.events)
        assert status == 200 and body["state"] == "completed" and body["progress"] == 1
        assert body["report"]["clusters"] > 0


def jobs_are_listed_in_pages():
    seen, cursor = [], ""
    while True:
        status, page, _ = ask("GET", "/cluster/jobs?limit=2" + cursor)
        assert status == 200 and len(page["jobs"]) <= 2
        seen += [entry["job_id"] for entry in page["jobs"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert len(seen) == len(set(seen)) == page["total"] and Setup.events in seen
    done = ask("GET", "/api/v1/cluster/jobs?state=completed")[1]["jobs"]
    assert done and all(entry["state"] == "completed" for entry in done)
    expect_problem(400, "state", "GET", "/cluster/jobs?state=dreaming")
    expect_problem(400, "limit", "GET", "/cluster/jobs?limit=1001")


def a_job_is_paused_resumed_and_cancelled():
    """Without a worker a job waits in `running`, so that nothing here depends on its speed."""
    folder = Setup.cluster.folder / "idle"
    folder.mkdir()
    whole = Setup.cluster
    with Cluster(DATA, folder) as Setup.cluster:
        try:
            Setup.cluster.start_coordinator()
            Setup.cluster.start_gateway()
            Setup.cluster.wait_for(lambda: Setup.cluster.request("GET", "/health")[0] == 200, 20,
                                   "a healthy gateway")
            job_id = Setup.cluster.submit(embedding_type="events")
            Setup.cluster.wait_state(job_id, "running")
            expect_problem(409, "job_id", "GET", "/cluster/results/" + job_id, says="is running")
            assert ask("POST", "/api/v1/cluster/pause/" + job_id)[0] == 200
            Setup.cluster.wait_state(job_id, "paused")
            expect_problem(409, "job_id", "GET", "/cluster/results/" + job_id, says="is paused")
            assert ask("POST", "/api/v1/clustering/cluster/resume/" + job_id)[0] == 200
            Setup.cluster.wait_state(job_id, "running")
            assert ask("POST", "/cluster/cancel/" + job_id)[0] == 200
            Setup.cluster.wait_state(job_id, "cancelled")
            expect_problem(409, "job_id", "POST", "/cluster/resume/" + job_id, says="cancelled")
        finally:
            Setup.cluster.__exit__(None, None, None)
            Setup.cluster = whole


def what_is_wrong_with_a_job_is_named():
    for field, body in [
            ("embedding_type", {}), ("embedding_type", {"embedding_type": "evnts"}),
            ("algorithm", job(algorithm="dbscan")), ("metrics", job(metrics="cosine")),
            ("params.min_cluster_size", job(params={"min_cluster_size": 1})),
            ("params.min_clustersize", job(params={"min_clustersize": 5})),
            ("params.k", job(algorithm="kmeans")),
            ("partition_by", job(partition_by=["entity_type"])),
            ("date_from", job(date_from="yesterday")), ("filter", job(filter=[]))]:
        expect_problem(400, field, "POST", "/cluster/batch", body=body)
    for raw, says in [(b"", "empty"), (b"{", "not valid JSON"), (b"[]", "object"),
                      (b'{"embedding_type":"events","embedding_type":"events"}', "duplicate"),
                      (b'{"embedding_type":"\xff"}', "not valid JSON")]:
        expect_problem(400, "", "POST", "/cluster/batch", raw=raw, says=says,
                       headers={"Content-Type": "application/json"})
    deep = b'{"filter":' + b'{"a":' * 9 + b"1" + b"}" * 10
    expect_problem(413, "", "POST", "/cluster/batch", raw=deep, says="deeper",
                   headers={"Content-Type": "application/json"})
    many = json.dumps(job(partition_by=["domain"] * 600)).encode()
    expect_problem(413, "", "POST", "/cluster/batch", raw=many, says="values",
                   headers={"Content-Type": "application/json"})
    expect_problem(413, "", "POST", "/cluster/batch", raw=b" " * 65537, says="65536",
                   headers={"Content-Type": "application/json"})
    expect_problem(415, "Content-Type", "POST", "/cluster/batch", raw=b"{}",
                   headers={"Content-Type": "text/plain"})


def unknown_jobs_and_clusters_are_not_found():
    for method, path, field in [
            ("GET", "/cluster/status/nope", "job_id"), ("GET", "/cluster/results/nope", "job_id"),
            ("GET", "/cluster/results/nope?format=jsonl", "job_id"),
            ("POST", "/cluster/pause/nope", "job_id"), ("POST", "/cluster/resume/nope", "job_id"),
            ("POST", "/cluster/cancel/nope", "job_id"), ("GET", "/clusters/nope", "id"),
            ("GET", "/cluster/status/" + "x" * 100, "job_id")]:
        expect_problem(404, field, method, path)


# ---- clusters ----

def all_pages(path):
    clusters, cursor = [], ""
    while True:
        status, page, _ = ask("GET", path + cursor)
        assert status == 200, page
        clusters += page["clusters"]
        if page["next_cursor"] is None:
            assert len(clusters) == page["total"], (len(clusters), page["total"])
            return clusters
        cursor = "&cursor=" + page["next_cursor"]


def results_come_in_pages_largest_first():
    path = "/api/v1/cluster/results/%s?limit=3" % Setup.entities
    clusters = all_pages(path)
    sizes = [c["cluster_size"] for c in clusters]
    assert len(clusters) > 6 and sizes == sorted(sizes, reverse=True)
    assert len({c["cluster_id"] for c in clusters}) == len(clusters)
    row = ask("GET", path)[1]["job"]
    assert row["job_id"] == Setup.entities and row["clusters"] == len(clusters)
    assert row["items"] == sum(sizes) + row["noise"]


def jsonl_is_the_file_for_stage_5():
    status, content, headers = ask("GET", "/cluster/results/%s?format=jsonl" % Setup.entities)
    assert status == 200 and headers["Content-Type"] == "application/x-ndjson"
    assert headers["Transfer-Encoding"] == "chunked"
    name = ask("GET", "/cluster/results/" + Setup.entities)[1]["job"]["output"]
    written = (Setup.cluster.folder / "data" / name).read_bytes()
    assert sorted(content.splitlines()) == sorted(written.splitlines())
    expect_problem(400, "format", "GET", "/cluster/results/%s?format=csv" % Setup.entities)
    expect_problem(400, "format", "GET",
                   "/cluster/results/%s?format=jsonl&limit=2" % Setup.entities)


def a_dendrogram_is_the_trees_of_an_agglomerative_job():
    body = job(algorithm="agglomerative", partition_by=["domain"], quality=["silhouette"],
               params={"n_clusters": 3, "linkage": "complete"})
    job_id = ask("POST", "/cluster/batch", body)[1]["job_id"]
    Setup.cluster.wait_state(job_id, "completed")
    lines = ask("GET", "/cluster/dendrogram/" + job_id)[1].decode().splitlines()
    clusters = all_pages("/cluster/results/%s?limit=100" % job_id)
    assert len(lines) > 1
    items = 0
    for tree in map(json.loads, lines):
        kept = tree["items"] - tree["clusters"]
        inside = [c for c in clusters if c["partition"] == tree["partition"]]
        assert len(inside) == tree["clusters"] == min(3, tree["items"]), tree["partition"]
        assert len(tree["leaf_ids"]) == tree["items"] == len(tree["Z"]) + 1
        assert [z[2] for z in tree["Z"]] == sorted(z[2] for z in tree["Z"])
        largest = max([z[3] for z in tree["Z"][:kept]], default=1)
        assert largest == max(c["cluster_size"] for c in inside)
        items += tree["items"]
    assert items == sum(c["cluster_size"] for c in clusters)
    on_disk = next((Setup.cluster.folder / "data").glob("*%s.dendrogram.jsonl" % job_id))
    assert on_disk.read_text().splitlines() == lines
    expect_problem(404, "job_id", "GET", "/cluster/dendrogram/" + Setup.events,
                   says="algorithm agglomerative")
    expect_problem(404, "job_id", "GET", "/cluster/dendrogram/nosuchjob")


def pairs_are_those_of_a_pairs_job():
    body = job(algorithm="pairs", window_days=5, params={
        "min_weight": 0.6, "decay": "half_life", "decay_days": 10})
    job_id = ask("POST", "/cluster/batch", body)[1]["job_id"]
    report = Setup.cluster.wait_state(job_id, "completed")["report"]
    lines = ask("GET", "/cluster/pairs/" + job_id)[1].decode().splitlines()
    assert len(lines) == report["pairs_found"] > 3
    members = {m["vector_id"]: m for c in all_pages("/cluster/results/%s?limit=100&include=members"
                                                    % job_id) for m in c["members"]}
    strongest = {}
    for pair in map(json.loads, lines):
        assert 0 <= abs(pair["days"]) <= 5 and pair["weight"] >= 0.6
        assert abs(pair["similarity"] * 0.5 ** (abs(pair["days"]) / 10) - pair["weight"]) < 1e-12
        for end in "ab":
            strongest[pair[end]] = max(strongest.get(pair[end], 0), pair["weight"])
    assert set(strongest) == set(members)
    assert all(abs(members[i]["strength"] - w) < 1e-6 for i, w in strongest.items())
    expect_problem(404, "job_id", "GET", "/cluster/pairs/" + Setup.events, says="algorithm pairs")


def lists_leave_out_what_is_long():
    for include, keys in [("", ()), ("centroid", ("centroid_vector",)), ("members", ("members",)),
                          ("members,centroid", ("members", "centroid_vector"))]:
        path = "/clusters?limit=2" + ("&include=" + include if include else "")
        for cluster in ask("GET", path)[1]["clusters"]:
            for key in ("members", "centroid_vector"):
                assert (key in cluster) == (key in keys), (include, key)
    assert len(ask("GET", "/clusters?limit=1&include=centroid")[1]["clusters"][0]
               ["centroid_vector"]) == 768


def a_cluster_is_given_whole():
    listed = ask("GET", "/clusters?limit=1&job_id=" + Setup.events)[1]["clusters"][0]
    for prefix in PREFIXES:
        for query in ("", "?job_id=" + Setup.events):
            status, cluster, _ = ask("GET", prefix + "/clusters/" + listed["cluster_id"] + query)
            assert status == 200 and len(cluster["members"]) == cluster["cluster_size"]
            jsonschema.Draft202012Validator(CLUSTER_SCHEMA).validate(cluster)
    expect_problem(404, "id", "GET",
                   "/clusters/%s?job_id=%s" % (listed["cluster_id"], Setup.entities))


def ids(clusters):
    return {c["cluster_id"] for c in clusters}


def every_filter_filters():
    everything = all_pages("/clusters?limit=1000&include=members")
    events = [c for c in everything if c["cluster_type"] == "event"]
    one = events[0]
    member = one["members"][0]
    assert len({c["cluster_type"] for c in everything}) == 2
    for name, value, keep in [
            ("embedding_type", "event", lambda c: c["cluster_type"] == "event"),
            ("embedding_type", "entities", lambda c: c["cluster_type"] == "entity"),
            ("domain", one["domain"], lambda c: c["domain"] == one["domain"]),
            ("event_type", one["event_type"], lambda c: c.get("event_type") == one["event_type"]
             and c["cluster_type"] == "event"),
            ("document_id", one["document_ids"][0],
             lambda c: one["document_ids"][0] in c["document_ids"]),
            ("member_id", member["id"], lambda c: member["id"] in c["member_ids"]),
            ("member_id", member["vector_id"], lambda c: member["id"] in c["member_ids"]),
            ("size_min", 6, lambda c: c["cluster_size"] >= 6),
            ("size_max", 6, lambda c: c["cluster_size"] <= 6),
            ("from", one["temporal_span"][1], lambda c: c["temporal_span"] and
             c["temporal_span"][1] >= one["temporal_span"][1]),
            ("to", one["temporal_span"][0], lambda c: c["temporal_span"] and
             c["temporal_span"][0] <= one["temporal_span"][0])]:
        body = {name: value, "limit": 1000}
        status, page, _ = ask("POST", "/api/v1/clusters/search", body=body)
        assert status == 200, page
        wanted = ids(c for c in everything if keep(c))
        assert wanted and ids(page["clusters"]) == wanted, (name, value, len(wanted), page["total"])
        query = "/clusters?limit=1000&%s=%s" % (name, str(value).replace("+", "%2B"))
        assert ids(ask("GET", query)[1]["clusters"]) == wanted, name
    label = one["cluster_label"].split()[0]
    found = ask("POST", "/clusters/search", body={"text": label.upper(), "limit": 1000})[1]
    assert one["cluster_id"] in ids(found["clusters"])
    assert all(label.lower() in c["cluster_label"].lower() for c in found["clusters"])


def filters_that_make_no_sense_are_refused():
    for name, value in [("limit", 0), ("limit", 1001), ("size_min", "many"), ("from", "soon"),
                        ("embedding_type", "words"), ("include", "all"), ("cursor", "rubbish"),
                        ("sise_min", 3), ("text", "")]:
        expect_problem(400, name, "POST", "/clusters/search", body={name: value})
        expect_problem(400, name, "GET", "/clusters?%s=%s" % (name, value))
    expect_problem(400, "event_type", "GET", "/clusters?event_type=a&embedding_type=entities")
    expect_problem(400, "limit", "GET", "/clusters?limit=1&limit=2", says="twice")


# ---- the service ----

def health_statistics_and_index_answer_everywhere():
    for prefix in PREFIXES:
        assert ask("GET", prefix + "/health")[1]["status"] == "healthy"
        statistics = ask("GET", prefix + "/statistics")[1]
        assert statistics["levels"]["events"]["clusters"] > 0
        assert statistics["coordinator"]["jobs"]["completed"] >= 2
        assert ask("GET", prefix + "/openapi.yaml")[1].startswith(b"openapi: 3.1.0")
        assert len(ask("GET", prefix + "/")[1]["routes"]) == len(routes())


def metrics():
    """What Prometheus would read: {(sample, its labels in order): value}; each family is described."""
    status, body, _ = ask("GET", "/metrics")
    assert status == 200
    table = (ROOT / "API.md").read_text("utf-8").partition("## Metrics")[2].partition("## Errors")[0]
    values = {}
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation and family.type != "unknown", family.name
        total = "_total" if family.type == "counter" else ""
        assert "`%s%s`" % (family.name, total) in table, family.name
        assert family.name.startswith(("clustering_", "process_")), family.name
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in values, key
            values[key] = sample.value
    return values


def metrics_count_jobs_tasks_and_requests():
    labels = (("algorithm", "hdbscan"), ("stage", "4"), ("status", "completed"))
    events = (("embedding_type", "events"), ("stage", "4"))
    index = (("route", "/"), ("status", "200"))
    states = API["components"]["schemas"]["JobState"]["enum"]
    cluster = Setup.cluster
    cluster.wait_for(lambda: not any(metrics()[("clustering_jobs", ("state", state))]
                                     for state in ("queued", "planning", "running", "merging",
                                                   "writing", "cancelling")), 60, "rest")
    before = metrics()
    assert before[("clustering_coordinator_up",)] == before[("clustering_workers",)] == 1
    assert before[("clustering_store_up", ("store", "ledger"))] == 1
    assert before[("process_resident_memory_bytes",)] > 1e6
    known = sum(before[("clustering_jobs", ("state", state))] for state in states)
    assert known == ask("GET", "/cluster/jobs?limit=1")[1]["total"]
    begin = time.monotonic()
    cluster.wait_state(cluster.submit(**job(params={"min_cluster_size": 4})), "completed")
    seconds = time.monotonic() - begin
    assert ask("GET", "/")[0] == 200 and ask("GET", "/nowhere")[0] == 404
    after = metrics()
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert grown[("clustering_jobs_submitted_total",)] == 1
    assert grown[("clustering_jobs_total", *labels)] == 1
    assert grown[("clustering_duration_seconds_count", *events)] == 1
    assert 0 < grown[("clustering_duration_seconds_sum", *events)] <= seconds
    assert grown[("clustering_tasks_dispatched_total",)] >= grown[
        ("clustering_task_results_total",)] > 0
    assert grown[("clustering_http_requests_total", *index)] == 1
    assert grown[("clustering_http_request_duration_seconds_count", index[0])] == 1
    assert grown[("clustering_http_requests_total", ("route", ""), ("status", "404"))] == 1
    page, again = (ask("GET", "/cluster/results/%s?limit=2" % Setup.events)[1] for _ in range(2))
    assert page == again
    assert metrics()[("clustering_result_cache_total", ("outcome", "hit"))] > after[
        ("clustering_result_cache_total", ("outcome", "hit"))]


def routes():
    lines = run(BUILD / "stage4-gateway", "--routes")[1].splitlines()
    return [line.split("\t") for line in lines]


def the_description_has_every_route_and_no_other():
    table = {(method, path): (summary, set(filter(None, parameters.split(","))))
             for method, path, _, summary, parameters in routes()}
    written = {}
    for path, operations in API["paths"].items():
        for method, operation in operations.items():
            parameters = [resolve(p) for p in operation.get("parameters", [])]
            written[method.upper(), path] = (
                operation["summary"], {p["name"] for p in parameters if p["in"] == "query"})
    assert table == written, set(table.items()) ^ set(written.items())
    fields = set(API["components"]["schemas"]["ClusterFilter"]["properties"])
    assert fields == table["GET", "/clusters"][1]


def the_documentation_has_the_table_of_fields():
    fields = run(BUILD / "stage4-gateway", "--job-fields")[1]
    assert fields in (ROOT / "API.md").read_text(encoding="utf-8")
    schema = API["components"]["schemas"]["Job"]["properties"]
    named = {"params." + name for name in schema["params"]["properties"]} | set(schema)
    assert named == {line.split("`")[1] for line in fields.splitlines() if line.startswith("| `")}


def other_methods_are_refused_with_those_that_work():
    for method, path, _, _, _ in routes():
        path = path.replace("{id}", "some-id")
        for wrong in ("PUT", "DELETE", "PATCH"):
            _, headers = expect_problem(405, "", wrong, path)
            assert method in headers["Allow"], (path, headers["Allow"])
        status, _, headers = ask("OPTIONS", "/api/v1" + path)
        assert status == 204 and method in headers["Allow"]
    expect_problem(404, "", "GET", "/api/v2/clusters")
    expect_problem(404, "", "GET", "/etc/passwd")
    expect_problem(404, "", "GET", "/../../etc/passwd")


def head_says_what_get_would():
    status, content, headers = ask("HEAD", "/clusters?limit=1")
    assert status == 200 and content == b""
    assert headers["Content-Length"] == ask("GET", "/clusters?limit=1")[2]["Content-Length"]


def a_request_id_comes_back():
    assert ask("GET", "/health", headers={"X-Request-ID": "abc.1"})[2]["X-Request-ID"] == "abc.1"
    made = ask("GET", "/health", headers={"X-Request-ID": "no spaces"})[2]["X-Request-ID"]
    assert len(made) == 32


def the_log_has_one_line_a_request_and_no_values():
    secret = "very-private-name"
    ask("GET", "/clusters?entity=" + secret, headers={"X-Request-ID": "log-test-1"})
    ask("GET", "/clusters/" + secret, headers={"X-Request-ID": "log-test-2"})
    ask("GET", "/clusters?%s=1" % secret, headers={"X-Request-ID": "log-test-3"})
    path = next(Setup.cluster.folder.glob("*-stage4-gateway.log"))

    def logged():  # a line is written once its answer has gone out
        lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
        mine = [line for line in lines if line.get("request_id", "").startswith("log-test")]
        return sorted(mine, key=lambda line: line["request_id"])
    Setup.cluster.wait_for(lambda: len(logged()) == 3, 10, "three lines in the log")
    log, mine = path.read_text(), logged()
    assert [line["status"] for line in mine] == [200, 404, 400], mine
    assert [line["route"] for line in mine] == ["/clusters", "/clusters/{id}", "/clusters"]
    assert secret not in log and str(DATA) not in json.dumps(mine)


def many_clients_at_once_get_their_own_answers():
    wrong = []

    def look(number):
        for _ in range(10):
            job_id = Setup.events if number % 2 else Setup.entities
            if ask("GET", "/cluster/status/" + job_id)[1]["job_id"] != job_id:
                wrong.append(number)
    threads = [threading.Thread(target=look, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def a_stalled_client_holds_up_nobody():
    stalled = [socket.create_connection(("127.0.0.1", Setup.cluster.http)) for _ in range(20)]
    for connection in stalled:
        connection.sendall(b"POST /cluster/batch HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n"
                           b"Content-Type: application/json\r\n\r\n{")
    begin = time.monotonic()
    assert ask("GET", "/health")[0] == 200
    assert time.monotonic() - begin < 5
    for connection in stalled:
        connection.settimeout(20)
        assert connection.recv(12) == b"HTTP/1.1 408"
        connection.close()


# ---- when others are gone ----

def its_threads_keep_nothing_that_they_have_freed():
    """It has begun itself again with that said, and under its own name; what the user says counts."""
    def said(pid):
        words = pathlib.Path("/proc/%d/environ" % pid).read_bytes().split(b"\0")
        return [word for word in words if word.startswith(b"GLIBC_TUNABLES=")]
    pid = Setup.cluster.gateway.pid
    assert said(pid) == [b"GLIBC_TUNABLES=glibc.malloc.tcache_count=0"], said(pid)
    assert pathlib.Path("/proc/%d/comm" % pid).read_text().strip() == "stage4-gateway"


def the_daemons_say_their_version():
    for name in ("stage4-gateway", "stage4-coordinator", "stage4-worker"):
        _, out, _ = run(BUILD / name, "--version")
        assert out.startswith(name + " ") and out.split()[1].count(".") == 2, out


def a_taken_port_is_named():
    status, _, error = run(BUILD / "stage4-gateway", "--http-listen",
                           "127.0.0.1:%d" % Setup.cluster.http, check=False)
    assert status == 8 and "127.0.0.1:%d" % Setup.cluster.http in error, (status, error)
    assert run(BUILD / "stage4-gateway", "--http-listen", "nowhere", check=False)[0] == 2


def without_a_coordinator_results_can_still_be_read():
    """Last: it kills the coordinator, and starts it again to see the gateway find it."""
    cluster = Setup.cluster
    cluster.kill(cluster.coordinator)
    assert ask("GET", "/cluster/results/%s?limit=1" % Setup.events)[0] == 200
    assert ask("GET", "/clusters?limit=1")[0] == 200
    _, headers = expect_problem(503, "", "GET", "/cluster/status/" + Setup.events)
    assert metrics()[("clustering_coordinator_up",)] == 0
    assert int(headers["Retry-After"]) > 0
    expect_problem(503, "", "POST", "/cluster/batch", body=job())
    status, body, _ = ask("GET", "/health")
    assert status == 503 and body["dependencies"]["coordinator"]["status"] == "unhealthy"
    assert body["dependencies"]["result_store"]["status"] == "healthy"
    assert ask("GET", "/statistics")[1]["coordinator"] is None
    cluster.start_coordinator()
    cluster.wait_for(lambda: cluster.request("GET", "/health")[0] == 200, 20, "health again")
    assert ask("GET", "/cluster/status/" + Setup.events)[1]["state"] == "completed"


def without_a_store_it_starts_and_says_so():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-e2e-"))
    whole = Setup.cluster
    with Cluster(folder / "nowhere", folder) as Setup.cluster:
        try:
            Setup.cluster.start_gateway()
            Setup.cluster.wait_for(lambda: Setup.cluster.request("GET", "/")[0] == 200, 20, "it")
            status, body, _ = ask("GET", "/health")
            assert status == 503
            assert {name for name, d in body["dependencies"].items() if d["status"] == "healthy"} == \
                {"result_cache"}, body
            expect_problem(503, "", "GET", "/clusters")
            expect_problem(503, "", "GET", "/statistics")
        finally:
            Setup.cluster.__exit__(None, None, None)
            Setup.cluster = whole


def sigterm_ends_it_in_order():
    gateway = Setup.cluster.gateway
    begin = time.monotonic()
    assert Setup.cluster.kill(gateway, signal.SIGTERM) == 0
    assert time.monotonic() - begin < 10
    log = next(Setup.cluster.folder.glob("*-stage4-gateway.log")).read_text()
    assert json.loads(log.splitlines()[-1])["event"] == "stopping"


TESTS = [
    a_job_is_accepted_with_its_location, the_same_key_gives_the_same_job,
    a_completed_job_tells_its_story, jobs_are_listed_in_pages,
    a_job_is_paused_resumed_and_cancelled, what_is_wrong_with_a_job_is_named,
    unknown_jobs_and_clusters_are_not_found, results_come_in_pages_largest_first,
    jsonl_is_the_file_for_stage_5, lists_leave_out_what_is_long, a_cluster_is_given_whole,
    every_filter_filters, filters_that_make_no_sense_are_refused,
    health_statistics_and_index_answer_everywhere, metrics_count_jobs_tasks_and_requests,
    the_description_has_every_route_and_no_other,
    the_documentation_has_the_table_of_fields,
    other_methods_are_refused_with_those_that_work, head_says_what_get_would,
    a_request_id_comes_back, the_log_has_one_line_a_request_and_no_values,
    many_clients_at_once_get_their_own_answers, a_stalled_client_holds_up_nobody,
    a_dendrogram_is_the_trees_of_an_agglomerative_job, pairs_are_those_of_a_pairs_job,
    its_threads_keep_nothing_that_they_have_freed, the_daemons_say_their_version,
    a_taken_port_is_named, without_a_store_it_starts_and_says_so,
    without_a_coordinator_results_can_still_be_read, sigterm_ends_it_in_order,
]

if __name__ == "__main__":
    with Cluster(DATA) as Setup.cluster:
        Setup.cluster.start_all(workers=1)
        Setup.events = Setup.cluster.submit(embedding_type="events", params={"min_cluster_size": 3})
        Setup.entities = Setup.cluster.submit(embedding_type="entities",
                                              params={"min_cluster_size": 4})
        for each in (Setup.events, Setup.entities):
            Setup.cluster.wait_state(each, "completed")
        main(TESTS)
