"""The programs of this repository as processes, each with an end of its own.

Everything listens on loopback, and ends when the tests do, even when they are killed.
"""

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import stack

# Starts a program, and ends it when standard input does: when we let go of it, or die.
WATCHDOG = '"$@" & read _; kill $!; wait $!'


def built():
    """Every program, by name, built the quick way.

    The selection is the one of `cargo test --workspace`: any other unites the features of libraries
    otherwise, and builds half of them anew.
    """
    done = subprocess.run(
        ["cargo", "build", "--workspace", "--all-targets", "--message-format", "json"],
        cwd=stack.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True,
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        m["target"]["name"]: Path(m["executable"])
        for m in messages if m.get("executable") and not m["profile"]["test"]
    }


class Process:
    """A program that runs until it is stopped."""

    def __init__(self, *command, log, **more):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", WATCHDOG, "sh", *map(str, command)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, **more,
            )

    def line(self):
        """The next line that it prints."""
        line = self.process.stdout.readline().decode()
        assert line, f"it ended: {self.log.read_text()}"
        return line

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=20)


class InteractiveProgram(Process):
    """A program that ends with its input."""

    def __init__(self, *command, log):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )

    def ask(self, question):
        """Asks in a line of JSON, and gets one back."""
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.line())


class AddressedProgram(InteractiveProgram):
    """A program of the testkit, which says where it is in one line of JSON."""

    def __init__(self, *command, log):
        super().__init__(*command, log=log)
        self.url = json.loads(self.line())["url"]


class Provider(AddressedProgram):
    """A fake provider. The program describes the format of its script."""

    def script(self, *answers):
        self._put("/_script", json.dumps(answers))

    def open(self, latch):
        self._put(f"/_latch/{latch}", "")

    def seen(self):
        with urllib.request.urlopen(f"{self.url}/_seen") as answer:
            return json.load(answer)

    def requested_providers(self):
        """The providers that got requests, by their names in the configuration."""
        return [request["target"].split("/")[1] for request in self.seen()]

    def _put(self, path, body):
        request = urllib.request.Request(self.url + path, data=body.encode(), method="PUT")
        urllib.request.urlopen(request).close()


class Emulator(AddressedProgram):
    """Functions as Lambda runs them."""

    def report(self):
        with urllib.request.urlopen(f"{self.url}/_emulator/report") as answer:
            return json.load(answer)


class Aws(Process):
    """An emulated AWS."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            stack.TOOLS / "ministack", log=folder / "aws.log", cwd=folder,
            env={
                "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "HOME": str(folder),
                "LOG_LEVEL": "ERROR", "PATH": "/usr/bin:/bin",
            },
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"it did not start: {self.log.read_text()}")

    def variables(self):
        """What a program has to know to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": stack.REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        }
