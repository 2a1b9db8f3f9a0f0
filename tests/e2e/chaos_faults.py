"""The faults of chaos.py: what they are, whom they hit, how they are undone."""
import collections
import concurrent.futures
import random
import signal
import time

# kind: (weight, shortest, longest seconds until it is undone)
KINDS = {
    "worker killed": (8, 0.0, 2.0),
    "worker stopped": (6, 0.2, 5.0),
    "worker told to leave": (3, 0.0, 1.0),
    "worker added": (2, 0.5, 8.0),
    "coordinator killed": (6, 0.0, 1.0),
    "coordinator stopped": (3, 0.1, 4.0),
    "coordinator told to leave": (2, 0.0, 0.5),
    "gateway killed": (4, 0.0, 1.0),
    "gateway stopped": (2, 0.1, 2.0),
    "redis killed": (3, 0.0, 1.5),
    "redis stopped": (2, 0.1, 3.5),
    "redis told to leave": (2, 0.0, 1.0),
    "postgres killed": (3, 0.0, 1.5),
    "postgres stopped": (2, 0.1, 3.5),
    "postgres told to leave": (2, 0.0, 1.0),
    "disk filled": (5, 0.3, 2.5),
    "connection cut": (11, 0.0, 0.0),
    "all connections cut": (5, 0.0, 0.0),
    "message torn": (6, 0.5, 0.5),
    "messages lost": (6, 0.5, 0.5),
    "connections refused": (4, 0.2, 2.0),
    "connections delayed": (5, 0.3, 3.0),
    "connections silent": (5, 0.2, 4.0),
}
STORES_AWAY = (6, 8)  # exit statuses of a coordinator that cannot use its stores at its start
NEWBORN = 3           # seconds in which a program on a busy machine may not hear SIGTERM yet
AFTERMATH = 15        # seconds after a fault of a store in which it may still end with those


class Chaos:
    """Draws faults from the seed; each is done and undone by a thread of its own."""

    def __init__(self, service, seed, only=""):
        """only: faults whose name has one of these words; "": all."""
        self.service = service
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.busy = set()       # victims that have something already
        self.died = []          # processes that ended by themselves
        self.waited = 0         # coordinators that ended because a store was away
        self.store_fault = 0.0  # when the last fault of a store was over
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.faults = []
        self.kinds = [kind for kind in KINDS if self.victims(kind) and
                      (not only or any(word in kind for word in only.split(",")))]

    def victims(self, kind):
        """Names of what the fault can happen to."""
        word = kind.split()[0]
        if kind == "worker added":
            return ["extra"]
        if word == "worker":
            return ["worker %d" % i for i in range(self.service.worker_count)]
        if word in ("coordinator", "gateway"):
            return [word]
        if word in ("redis", "postgres"):
            return [word] if word in self.service.servers else []
        if word == "disk":
            return sorted(self.service.disks)
        if kind == "messages lost":
            return ["workers' connections"]
        return ["%s' connections" % name for name in self.service.proxies]

    def step(self):
        kind = self.random.choices(self.kinds, [KINDS[k][0] for k in self.kinds])[0]
        seconds = self.random.uniform(*KINDS[kind][1:])
        pick = self.random.randrange(1 << 30)
        victims = self.victims(kind)
        victim = victims[pick % len(victims)]
        if victim in self.busy:
            return
        self.counts[kind] += 1
        self.busy.add(victim)
        self.faults.append(self.pool.submit(self.suffer, kind, victim, seconds, pick))

    def suffer(self, kind, victim, seconds, pick):
        try:
            undo = self.do(kind, victim, pick)
            if undo:
                time.sleep(seconds)
                undo()
        finally:
            if any(word in victim for word in self.service.servers) or kind == "disk filled":
                self.store_fault = time.monotonic()
            self.busy.discard(victim)

    def do(self, kind, victim, pick):
        """Does it; the function that undoes it, or None."""
        if kind == "worker added":
            worker = self.service.new_worker()
            return lambda: self.service.kill(worker)
        if kind == "disk filled":
            self.service.disks[victim].fill()
            return lambda: self.clear(victim)
        if victim.endswith("connections"):
            return self.disturb(kind, self.service.proxies[victim.split("'")[0]], pick)
        if victim in self.service.servers:
            return self.hit_server(kind, self.service.servers[victim])
        process = self.process(victim)
        if kind.endswith("stopped"):
            process.send_signal(signal.SIGSTOP)
            return lambda: process.send_signal(signal.SIGCONT)
        if kind.endswith("told to leave"):
            self.tell_to_leave(victim, process)
        else:
            self.service.kill(process)
        return lambda: self.restart(victim)

    def tell_to_leave(self, victim, process):
        begin = time.monotonic()
        code = self.service.kill(process, signal.SIGTERM)
        seconds = time.monotonic() - begin
        if code == -signal.SIGTERM and begin - self.service.born[process.pid] < NEWBORN:
            return
        if code and not self.excused(victim, code) or seconds > 10:
            self.died.append("%s left with %d after %.1f s" % (victim, code, seconds))

    @staticmethod
    def hit_server(kind, server):
        if kind.endswith("stopped"):
            server.signal_all(signal.SIGSTOP)
            return lambda: server.signal_all(signal.SIGCONT)
        server.stop(signal.SIGINT if kind.endswith("leave") else signal.SIGKILL)
        return server.start

    def clear(self, victim):
        """A full disk may have ended the server on it: Redis gives up, PostgreSQL panics."""
        self.service.disks[victim].free()
        server = self.service.servers.get(victim)
        if server and not (server.alive() and server.ready()):
            server.stop()
            server.start()

    @staticmethod
    def disturb(kind, proxy, pick):
        if kind in ("connection cut", "all connections cut"):
            proxy.cut(pick if kind == "connection cut" else None)
            return None
        if kind == "message torn":
            proxy.tear = True
        elif kind == "messages lost":
            proxy.lose[bool(pick & 4)] += 1 + pick % 3
        elif kind == "connections refused":
            proxy.refusing = True
            proxy.cut(pick)
        elif kind == "connections delayed":
            proxy.delay = 0.02 + (pick % 100) / 250
        else:
            proxy.silent = True
        return proxy.heal

    def process(self, victim):
        if victim.startswith("worker"):
            return self.service.workers[int(victim.split()[1])]
        return getattr(self.service, victim)

    def restart(self, victim):
        if victim.startswith("worker"):
            self.service.workers[int(victim.split()[1])] = self.service.new_worker()
        else:
            getattr(self.service, "start_" + victim)()

    def excused(self, name, code):
        """A coordinator cannot start without its stores; whoever supervises it starts it again."""
        away = any(word in victim for victim in self.busy for word in self.service.servers) or \
            time.monotonic() - self.store_fault < AFTERMATH or name in self.busy
        return name == "coordinator" and code in STORES_AWAY and away

    def watch(self):
        """Whoever is not being disturbed must be alive."""
        names = ["worker %d" % i for i in range(self.service.worker_count)]
        for name in names + ["coordinator", "gateway"]:
            process = self.process(name)
            if name in self.busy or process.poll() is None:
                continue
            if self.excused(name, process.returncode):
                self.waited += 1
                self.busy.add(name)
                self.faults.append(self.pool.submit(self.supervise, name))
                continue
            self.died.append("%s ended by itself with %d" % (name, process.returncode))
            self.restart(name)

    def supervise(self, name):
        time.sleep(0.5)
        self.restart(name)
        self.busy.discard(name)

    def run(self, faults, rate):
        while sum(self.counts.values()) < faults:
            until = time.monotonic() + self.random.expovariate(rate)
            while (left := until - time.monotonic()) > 0:
                self.watch()
                time.sleep(min(left, 0.02))
            self.step()
        for fault in self.faults:
            fault.result()
