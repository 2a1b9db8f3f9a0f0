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


class Server:
    """A process of a server's, which is killed and started again at will."""

    last = signal.SIGKILL  # what ends it for good

    def __init__(self, name):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stage4-%s-" % name))
        self.port = harness.free_port()
        self.process = None
        self.user = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop(self.last)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            user=self.user)
        harness.Cluster.wait_for(self.ready, 30, type(self).__name__ + " to answer")
        return self

    def stop(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None


class Redis(Server):
    def __init__(self, append="yes"):
        super().__init__("redis")
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

    def __init__(self):
        super().__init__("postgres")
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
                "unix_socket_directories=", "-c", "max_wal_size=1GB"]

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


