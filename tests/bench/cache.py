#!/usr/bin/env python3
"""What the result cache saves: processor time and latency of the same requests with and without it.

    tests/bench/cache.py [--rows 20000] [--requests 300]

One job's clusters in a PostgreSQL of its own; for each kind of cache a gateway, asked the same mix of
requests, each kind of cache in turn and again: pages with and without a filter, and single clusters."""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
import servers  # noqa: E402
from stored import StoredService  # noqa: E402

ROUNDS = 3


class Gateway:
    def __init__(self, service, kind):
        self.service, self.kind = service, kind
        self.port = harness.free_port()
        options = ["--client-endpoint", "tcp://127.0.0.1:%d" % service.proxies["gateway"].port,
                   "--http-listen", "127.0.0.1:%d" % self.port, "--result-cache", kind,
                   "--redis-cache-port", service.servers["redis"].port, "--log-level", "off",
                   "--redis-cache-password-file", service.secret("cache", servers.REDIS_PASSWORD),
                   *service.results_options("stage4_reader", servers.READER_PASSWORD)]
        self.process = service.start("stage4-gateway", "--indices", service.indices, "--state",
                                     service.folder / "state", *options)
        self.times, self.processor = [], 0.0

    def ask(self, paths):
        self.service.http = self.port
        begin = harness.processor_seconds(self.process.pid)
        for path in paths:
            start = time.perf_counter()
            status, _, _ = self.service.request("GET", "/api/v1" + path)
            assert status == 200, path
            self.times.append(1000 * (time.perf_counter() - start))
        self.processor += harness.processor_seconds(self.process.pid) - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-cache-"))
    try:
        indices = harness.made_events(folder, options.rows, seed=3)
        with StoredService(indices, workers=1) as service:
            service.environment = {}
            service.begin()
            service.wait_state(service.submit(embedding_type="events", as_of=harness.AS_OF),
                               "completed", seconds=600)
            first = service.request("GET", "/api/v1/clusters?limit=50")[1]["clusters"]
            paths = ["/clusters?limit=50", "/clusters?limit=20&text=event",
                     "/clusters?limit=20&event_type=kind_1&size_min=6",
                     "/clusters?limit=5&domain=general_news&include=members"] + \
                ["/clusters/" + cluster["cluster_id"] for cluster in first[:16]]
            mix = [paths[i % len(paths)] for i in range(options.requests)]
            gateways = [Gateway(service, kind) for kind in ("off", "memory", "redis")]
            service.workers += [gateway.process for gateway in gateways]  # ended as those are
            for gateway in gateways:
                service.http = gateway.port
                service.wait_for(lambda: service.request("GET", "/health")[0] == 200, 20, "health")
            for _ in range(ROUNDS):
                for gateway in gateways:
                    gateway.ask(mix)
        for gateway in gateways:
            times = sorted(gateway.times)
            print("%-7s %5d requests: median %6.2f ms, 95 %% %6.2f ms, gateway %5.2f ms of "
                  "processor each" % (gateway.kind, len(times), times[len(times) // 2],
                                      times[int(0.95 * len(times))],
                                      1000 * gateway.processor / len(times)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
