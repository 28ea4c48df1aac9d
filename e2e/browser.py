"""A browser for the tests of the pages: Debian's Chromium, driven by Playwright."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)


def found():
    """Where a browser is, or nothing."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def installed():
    """Where a browser is. On Debian as root, one is installed if there is none. Nothing where that fails."""
    if found() is None and shutil.which("apt-get") and os.geteuid() == 0:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "--quiet", *arguments], env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=300, check=False,
            )
    return found()
