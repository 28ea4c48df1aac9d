"""Coding agents as processes: each in a folder of its own, with nothing else in its environment."""

import subprocess
from pathlib import Path

import stack

NODE = stack.TOOLS / "node"
MODULES = Path(__file__).parent / "node_modules"
# Beyond what any of these runs takes; one that waits for somebody ends.
SECONDS = 120


class Agent:
    """An agent before a gateway. `folder` is its home, `work` where it works."""

    def __init__(self, folder, variables):
        self.work = folder / "work"
        self.work.mkdir()
        path = f"{stack.TOOLS}:/usr/local/bin:/usr/bin:/bin"
        self.variables = {"PATH": path, "HOME": str(folder), **variables}

    def run(self, *command):
        """Runs a command to its end, and gives what it prints."""
        done = subprocess.run(
            [*map(str, command)], cwd=self.work, env=self.variables, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
