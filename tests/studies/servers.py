"""Servers that the tests start here: a real PostgreSQL, and what stands in for S3."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg

PASSWORD = "p4ss-w0rd"


def programs():
    """The folder of PostgreSQL's programs, or None where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    return next(reversed([*folders, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]), None)


class Server:
    """A PostgreSQL server in a folder of its own, as its own user where the tests run as root.

    It answers at one address, loopback's or that of a wire to another host.
    """

    def __init__(self, programs, folder, host="127.0.0.1"):
        self.programs, self.folder, self.host = programs, folder, host
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        (folder / "password").write_text(PASSWORD)
        self._run(
            "initdb", "-D", folder / "data", "-U", "lab", "-A", "scram-sha-256", "--no-sync",
            "--pwfile", folder / "password",
        )  # fmt: skip
        with (folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write(f"host all all {host}/24 scram-sha-256\n")
        self.begin()

    def begin(self):
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [
                self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                "-h", self.host, "-k", self.folder, "-c", "fsync=off",
            ],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.user,
        )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._address("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def database(self):
        """The address of a new and empty database."""
        name = f"study_{time.monotonic_ns()}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def end(self):
        """End it; `begin` starts it again with all that it holds."""
        self.process.send_signal(signal.SIGINT)  # which does not wait for who is connected
        self.process.wait(timeout=60)

    def stop(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _address(self, name):
        return f"postgresql://lab:{PASSWORD}@{self.host}:{self.port}/{name}"

    def _run(self, program, *arguments):
        command = [self.programs / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.user)


class BucketServer:
    """A stand-in for S3, which answers at one address, loopback's or that of a wire."""

    needs = ("boto3", "moto", "flask")

    def __init__(self, host="127.0.0.1"):
        with socket.socket() as free:
            free.bind((host, 0))
            port = free.getsockname()[1]
        self.variables = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **self.variables},
        )  # fmt: skip
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection((host, port)).close()
                break
            except OSError:
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)

    def end(self):
        self._process.kill()
        self._process.wait()
