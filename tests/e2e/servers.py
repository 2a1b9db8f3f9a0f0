"""The distribution's own redis-server and PostgreSQL, for one test: on free ports, in a temporary
folder, with passwords. Services that the machine runs are not touched."""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness

REDIS = "/usr/bin/redis-server"
REDIS_PASSWORD = "redis secret of a test"
WRITER_PASSWORD = "writer's secret of a test"
READER_PASSWORD = "reader's secret of a test"
ADMIN_PASSWORD = "administrator of a test"


def postgres_program(name):
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/" + name))
    return found[-1] if found else None


def missing():
    """Words on what is not installed; "" when all is there."""
    wanted = {REDIS: os.path.exists(REDIS), "postgresql": postgres_program("initdb"),
              "psql": shutil.which("psql")}
    return ", ".join(name for name, there in wanted.items() if not there)


class Disk:
    """A small file system of its own, so that filling it up is nobody else's trouble. Root only."""

    def __init__(self, folder, mebibytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.ballast = self.folder / "ballast"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=%dm" % mebibytes, "tmpfs",
                        str(self.folder)], check=True)

    @staticmethod
    def possible():
        """Whether this process may mount one."""
        if os.geteuid():
            return False
        with tempfile.TemporaryDirectory(prefix="stage4-disk-") as folder:
            done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True)
            return not done.returncode and not subprocess.run(["umount", folder]).returncode

    def fill(self):
        with open(self.ballast, "ab") as file:
            piece = 1 << 30
            while piece >= 1:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)
                except OSError:
                    piece //= 2

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class Server:
    """A process of a server's, which is killed and started again at will."""

    last = signal.SIGKILL  # what ends it for good
    tries = 1              # starts until it must stay

    def __init__(self, name, disk=0):
        """disk: mebibytes of a disk of its own, 0: none."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-%s-" % name))
        self.disk = Disk(self.folder, disk) if disk else None
        self.port = harness.free_port()
        self.process = None
        self.user = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop(self.last)
        if self.disk:
            self.disk.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        for attempt in range(self.tries):
            with open(self.folder / "log", "a") as log:
                self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                                cwd=self.folder, stdin=subprocess.DEVNULL,
                                                start_new_session=True, user=self.user)
            harness.Cluster.wait_for(lambda: self.ready() or not self.alive(), 30,
                                     type(self).__name__ + " to answer")
            if self.alive():
                return self
            time.sleep(0.5 * attempt)
        raise AssertionError("%s does not start: %s" % (
            type(self).__name__, (self.folder / "log").read_text()[-1000:]))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal_all(self, how):
        """To all of its processes."""
        os.killpg(self.process.pid, how)

    def stop(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None


class Redis(Server):
    def __init__(self, append="yes", disk=0):
        super().__init__("redis", disk)
        self.append = append

    def command(self):
        return [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                "--requirepass", REDIS_PASSWORD, "--appendonly", self.append, "--appendfsync",
                "always", "--save", "", "--daemonize", "no"]

    def tell(self, *lines):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            s.sendall("\r\n".join(['AUTH "%s"' % REDIS_PASSWORD, "SELECT 6", *lines, "QUIT\r\n"])
                      .encode())
            answer = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    return answer.decode()
                answer += piece

    def ready(self):
        try:
            return "PONG" in self.tell("PING")
        except OSError:
            return False


class Postgres(Server):
    """With the database and roles that deploy/postgres/roles.sql makes."""

    last = signal.SIGQUIT  # at once, but it gives its shared memory back
    tries = 8              # the children of one that was killed linger

    def __init__(self, disk=0):
        super().__init__("postgres", disk)
        secret = self.folder / "secret"
        secret.write_text(ADMIN_PASSWORD + "\n")
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self.user = "postgres"
            owner = pwd.getpwnam(self.user)
            for path in (self.folder, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run([postgres_program("initdb"), "-D", str(self.folder / "data"), "-U",
                        "postgres", "-A", "scram-sha-256", "--pwfile=" + str(secret), "-E", "UTF8",
                        "--locale=C", "--no-sync"], check=True, cwd=self.folder, user=self.user,
                       stdout=subprocess.DEVNULL)
        self.made = False

    def command(self):
        return [postgres_program("postgres"), "-D", str(self.folder / "data"), "-p",
                str(self.port), "-c", "listen_addresses=127.0.0.1", "-c",
                "unix_socket_directories=", "-c", "max_wal_size=" +
                ("64MB" if self.disk else "1GB")]

    def ready(self):
        return self.ask("SELECT 1", database="postgres", check=False) == "1"

    def start(self):
        super().start()
        if not self.made:
            self.psql("-f", harness.ROOT / "deploy" / "postgres" / "roles.sql",
                      database="postgres")
            self.made = True
        return self

    def psql(self, *arguments, database="stage4_clustering", check=True):
        code, out, _ = harness.run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
            self.port, "-U", "postgres", "-d", database, *arguments, check=check,
            env={"PGPASSWORD": ADMIN_PASSWORD, "STAGE4_POSTGRES_PASSWORD": WRITER_PASSWORD,
                 "STAGE4_POSTGRES_READER_PASSWORD": READER_PASSWORD, "PGCONNECT_TIMEOUT": "5"})
        return out.strip() if code == 0 else None

    def ask(self, sql, **keywords):
        return self.psql("-c", sql, **keywords)


