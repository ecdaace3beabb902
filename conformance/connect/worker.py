"""A Connect worker in a process of its own, and its REST interface."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE = 90
LOG = pathlib.Path(__file__).with_name("log4j2.properties")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, condition):
    """What a condition gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"not in time: {what}")
        time.sleep(0.1)


class Process:
    """A JVM that is ended with the `with`."""

    def __init__(self, command, log, cwd):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd,
                                            stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.log.read_text()[-6000:])

    def says(self, words):
        if self.process.poll() is not None:
            raise SystemExit(f"it has ended with status {self.process.returncode}")
        return words in self.log.read_text()


class Worker(Process):
    """`mode` is Distributed or Standalone; `files` are those of standalone connectors."""

    def __init__(self, mode, folder, jars, properties, files=(), port=None):
        self.port = port or free_port()
        path = pathlib.Path(folder) / f"worker-{self.port}.properties"
        path.write_text("\n".join([*properties, f"listeners=http://127.0.0.1:{self.port}"]) + "\n")
        command = ["java", "-Xmx384m", "-XX:TieredStopAtLevel=1",
                   f"-Dlog4j2.configurationFile={LOG}", "-cp", f"{jars}/*",
                   f"org.apache.kafka.connect.cli.Connect{mode}", path, *files]
        super().__init__([str(word) for word in command], f"{path}.log", folder)

    def ask(self, method, path, body=None):
        """The answer to a request, or the status of one that is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, ConnectionError):
            if self.process.poll() is not None:
                raise SystemExit("the worker has ended") from None
            return None

    def state(self, connector):
        """States of a connector and of its tasks."""
        status = self.ask("GET", f"/connectors/{connector}/status")
        if not isinstance(status, dict):
            return None
        return status["connector"]["state"], [task["state"] for task in status["tasks"]]

    def wait_ready(self):
        until("the worker serves", lambda: isinstance(self.ask("GET", "/connectors"), list))


def folder():
    return tempfile.TemporaryDirectory(prefix="ringlog-connect-")


def run_id():
    return f"{os.getpid()}-{time.time_ns() % 1_000_000_000}"
