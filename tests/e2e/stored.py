"""A cluster of real processes with everything that can be disturbed about it: a proxy in each kind of
connection, and, unless it is to be the embedded form, a Redis and a PostgreSQL, each on a disk of its
own where this process may mount one."""
import http.client
import pathlib
import shutil
import sqlite3
import time

import harness
import servers
from proxy import Proxy

SLOW = {"STAGE4_SIMD": "scalar"}  # jobs of seconds, not of moments: something to be hit in
STORES = ("redis", "postgres")
DISK = {"coordinator": 512, "redis": 192, "postgres": 768}  # mebibytes: more than jobs can use in a run


class StoredService(harness.Cluster):
    def __init__(self, indices, workers=2, embedded=False, disks=False):
        super().__init__(indices)
        self.worker_count = workers
        self.servers = {}
        self.proxies = {}
        self.disks = {}
        self.born = {}    # process id -> when it was started
        self.limit = 100  # deaths of one task: many die here, and it need not be the task's fault
        self.environment = SLOW
        if disks:
            self.disks["coordinator"] = self.own_disk()
        if not embedded:
            self.servers["redis"] = servers.Redis(disk=DISK["redis"] * disks)
            self.servers["postgres"] = servers.Postgres(disk=DISK["postgres"] * disks)
            self.disks.update({n: s.disk for n, s in self.servers.items() if s.disk})

    def own_disk(self):
        """For all that the coordinator writes, but not for the logs."""
        disk = servers.Disk(self.folder / "disk", DISK["coordinator"])
        for name in ("state", "data"):
            (disk.folder / name).mkdir()
            (self.folder / name).symlink_to(disk.folder / name)
        return disk

    def __enter__(self):
        for name, address in (("workers", self.worker_endpoint), ("gateway", self.client)):
            self.proxies[name] = Proxy(harness.free_port(), int(address.rsplit(":", 1)[1]),
                                       messages=name == "workers")
        for name, server in self.servers.items():
            self.proxies[name] = Proxy(harness.free_port(), server.start().port)
        return self

    def __exit__(self, *problem):
        for proxy in self.proxies.values():
            proxy.close()
        for server in self.servers.values():
            server.__exit__(*problem)
        if "coordinator" in self.disks:
            kept = pathlib.Path(str(self.folder) + "-disk")
            for process in [self.coordinator] + self.workers:
                if process and process.poll() is None:
                    self.kill(process)
            self.disks["coordinator"].remove()
            shutil.rmtree(kept, ignore_errors=True)
        super().__exit__(*problem)

    def secret(self, name, text):
        path = self.folder / (name + ".secret")
        path.write_text(text + "\n")
        return path

    def ledger_options(self):
        if not self.servers:
            return []
        return ["--ledger", "redis", "--redis-host", "127.0.0.1", "--redis-port",
                self.proxies["redis"].port, "--redis-password-file",
                self.secret("redis", servers.REDIS_PASSWORD)]

    def results_options(self, user, password):
        if not self.servers:
            return []
        return ["--results", "postgres", "--postgres-host", "127.0.0.1", "--postgres-port",
                self.proxies["postgres"].port, "--postgres-user", user,
                "--postgres-password-file", self.secret(user, password)]

    def start(self, *arguments, **keywords):
        process = super().start(*arguments, **keywords)
        self.born[process.pid] = time.monotonic()
        return process

    def start_coordinator(self):
        self.coordinator_options = ["--retry-limit", self.limit, "--running-limit", 4,
                                    *self.ledger_options(),
                                    *self.results_options("stage4_user", servers.WRITER_PASSWORD)]
        super().start_coordinator()

    def start_gateway(self):
        self.gateway_options = [
            "--client-endpoint", "tcp://127.0.0.1:%d" % self.proxies["gateway"].port,
            *self.results_options("stage4_reader", servers.READER_PASSWORD)]
        super().start_gateway()

    def new_worker(self, threads=1):
        """One that is not among self.workers."""
        return self.start("stage4-worker", "--indices", self.indices, "--worker-endpoint",
                          "tcp://127.0.0.1:%d" % self.proxies["workers"].port, "--threads", threads)

    def begin(self):
        self.start_coordinator()
        self.start_gateway()
        self.workers = [self.new_worker() for _ in range(self.worker_count)]
        self.wait_for(lambda: self.request("GET", "/health")[0] == 200, 20, "a healthy gateway")
        return self

    def request(self, *arguments):
        try:
            return super().request(*arguments)
        except http.client.HTTPException:  # an answer that was cut off
            return 0, None, {}

    def rows(self, sql):
        """What the result store answers, each value as text; the same SQL for both."""
        if self.servers:
            out = self.servers["postgres"].ask(sql)
            return [tuple(line.split("|")) for line in out.splitlines()]
        database = sqlite3.connect("file:%s?mode=ro" % (self.folder / "state" / "stage4.db"),
                                   uri=True)
        try:
            return [tuple("" if v is None else str(v) for v in row)
                    for row in database.execute(sql)]
        finally:
            database.close()

    def settle(self, condition, seconds=20):
        """What `condition` still finds after it was given time to find nothing."""
        end = time.monotonic() + seconds
        while (found := condition()) and time.monotonic() < end:
            time.sleep(0.2)
        return found
