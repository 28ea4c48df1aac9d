"""Builds the archives of a release, with their checksums, into target/release-archives.

Zig links for every system from any machine. A system that cannot be built for here is left out, and
said with the reason; with --strict that is a failure.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "target" / "release-archives"
TARGETS = {
    "linux-x86_64": "x86_64-unknown-linux-musl",
    "linux-arm64": "aarch64-unknown-linux-musl",
    "macos-x86_64": "x86_64-apple-darwin",
    "macos-arm64": "aarch64-apple-darwin",
    "windows-x86_64": "x86_64-pc-windows-gnu",
}
# What an archive holds beside the program.
DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md"]
SERVICE = ["infra/install.sh", "infra/systemd/lockgate.service", "infra/systemd/sysusers.conf",
           "infra/systemd/config.yaml"]


def main():
    arguments = parse_arguments()
    version, commit, moment = identity()
    environment = build_environment(f"{version} ({commit}, built {moment})")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    left_out = {}
    archives = []
    for system in arguments.systems:
        problem = build(TARGETS[system], arguments.profile, environment)
        if problem:
            left_out[system] = problem
            continue
        archives.append(pack(system, version, program_of(system, arguments.profile)))
    checksums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in archives]
    (OUTPUT / "SHA256SUMS").write_text("".join(line + "\n" for line in checksums))
    for path in archives:
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")
    for system, problem in left_out.items():
        print(f"left out {system}: {problem}", file=sys.stderr)
    if not archives or (arguments.strict and left_out):
        sys.exit(1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", default=list(TARGETS), metavar="SYSTEM",
                        help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--profile", default="release", help="the profile to build with")
    parser.add_argument("--strict", action="store_true", help="fail when a system is left out")
    arguments = parser.parse_args()
    if unknown := set(arguments.systems) - set(TARGETS):
        parser.error(f"{', '.join(sorted(unknown))}: not of {', '.join(TARGETS)}")
    return arguments


def identity():
    """The version, the commit, and the time of the commit or of SOURCE_DATE_EPOCH, in UTC."""
    package = subprocess.run(["cargo", "pkgid", "--package", "lockgate"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout.strip()
    version = package.rpartition("#")[2].rpartition("@")[2]
    commit = git("rev-parse", "--short=12", "HEAD") or os.environ.get("LOCKGATE_COMMIT", "unknown")
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or "0"
    moment = datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
    return version, commit, moment


def git(*arguments):
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else ""


def build_environment(version):
    tools = Path(sys.executable).parent
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "LOCKGATE_VERSION": version}


def build(target, profile, environment):
    """Builds for one system. Gives the reason when that cannot be done."""
    added = subprocess.run(["rustup", "target", "add", target], capture_output=True, text=True)
    if added.returncode != 0:
        return "its standard library cannot be had: " + cause(added.stderr)
    built = subprocess.run(
        ["cargo", "zigbuild", "--locked", "--package", "lockgate", "--profile", profile, "--target", target],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return "" if built.returncode == 0 else cause(built.stderr)


def cause(text):
    """The cause of a failure in what a tool printed."""
    # The linker's own words stand within a note; the compiler itself says only that linking failed.
    notes = [line.partition("error: ")[2] for line in text.splitlines() if line.lstrip(" =").startswith("note: error: ")]
    errors = [line for line in text.splitlines() if line.startswith("error")]
    return (notes or errors or text.strip().splitlines() or ["no reason was given"])[-1]


def program_of(system, profile):
    """Where cargo puts the program of one system."""
    built = ROOT / "target" / TARGETS[system] / ("debug" if profile == "dev" else profile)
    return built / ("lockgate.exe" if system.startswith("windows") else "lockgate")


def pack(system, version, built):
    """Makes the archive of one system: a zip for Windows, a compressed tar for the others."""
    folder = f"lockgate-{version}-{system}"
    program = "lockgate.exe" if system.startswith("windows") else "lockgate"
    files = [(built, program)] + [(ROOT / name, name) for name in DOCUMENTS]
    if system.startswith("linux"):
        files += [(ROOT / name, name) for name in SERVICE]
    if system.startswith("windows"):
        path = OUTPUT / f"{folder}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for source, name in files:
                archive.write(source, f"{folder}/{name}")
        return path
    path = OUTPUT / f"{folder}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for source, name in files:
            archive.add(source, f"{folder}/{name}")
    return path


if __name__ == "__main__":
    if shutil.which("rustup") is None:
        sys.exit("rustup is needed, which brings the standard libraries: https://rustup.rs")
    main()
