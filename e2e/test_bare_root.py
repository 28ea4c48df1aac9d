"""Each way to install, on a bare root of Debian: what Debian itself needs, and nothing else.

mmdebstrap makes such a root, as root, from a mirror; where one of these is missing, the tests say so and go on.
A chroot has no service manager: a script of a few lines starts and stops what the unit says.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "debug" / "lockgate"
SUITE = "bookworm"
MIRROR_SECONDS = 900

# What systemctl does with this unit, as far as the installer asks for it.
SERVICE_MANAGER = """#!/bin/sh
unit=/etc/systemd/system/lockgate.service
said() { sed -n "s/^$1=//p" "$unit"; }
stop() {
    [ -e /run/lockgate.pid ] || return 0
    kill "$(cat /run/lockgate.pid)" 2>/dev/null
    for _ in $(seq 100); do kill -0 "$(cat /run/lockgate.pid)" 2>/dev/null || break; sleep 0.1; done
    rm -f /run/lockgate.pid
}
start() {
    install -d -m 700 -o lockgate -g lockgate /var/lib/lockgate
    runuser -u lockgate -- $(said ExecStartPre) >/dev/null || return 1
    runuser -u lockgate -- $(said ExecStart) </dev/null >/run/lockgate.log 2>&1 &
    echo $! >/run/lockgate.pid
}
case "$*" in
    *restart*) stop; start ;;
    *disable*) stop ;;
    *status*) cat /run/lockgate.log ;;
esac
"""


def run(*arguments, **options):
    return subprocess.run([str(it) for it in arguments], capture_output=True, text=True, **options)


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until_open(port):
    deadline = time.monotonic() + 60
    while not is_open(port):
        assert time.monotonic() < deadline, f"nobody listens on {port}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def archive():
    """A bare Debian root in one file, which later runs take again."""
    if os.geteuid() != 0:
        pytest.skip("a root of Debian is made and entered as root")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not on this machine: apt install mmdebstrap")
    path = TARGET / f"debian-{SUITE}.tar"
    if not path.exists():
        part = path.with_suffix(".part.tar")
        made = run("mmdebstrap", "--variant=minbase", "--mode=root", SUITE, part, timeout=MIRROR_SECONDS)
        if made.returncode != 0:
            pytest.skip("no mirror of Debian gave a root: " + made.stderr.strip().splitlines()[-1])
        part.rename(path)
    return path


class Machine:
    """A bare root: commands run within, requests come from outside."""

    def __init__(self, path):
        self.path = path
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        manager = path / "usr/local/bin/systemctl"
        manager.write_text(SERVICE_MANAGER)
        manager.chmod(0o755)
        (path / "run/systemd/system").mkdir(parents=True)
        self.write("root/config.yaml", self.config("demo"))

    def config(self, model):
        return f"""api_key: ${{GATEWAY_API_KEY}}
port: {self.port}
providers: [{{ name: demo, type: mock, script: {{ answer: Hello from a bare root }} }}]
models: [{{ name: {model}, provider: demo }}]
"""

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, command):
        return run("chroot", self.path, "sh", "-c", command, timeout=120)

    def key(self):
        return (self.path / "etc/lockgate/env").read_text().strip().partition("=")[2]

    def answer(self, model="demo"):
        """What the gateway on the machine answers to a first request."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key()}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["choices"][0]["message"]["content"]

    def is_served(self):
        return is_open(self.port)

    def copy_sources(self):
        """Puts there what a clone of the repository and a build hold."""
        source = self.path / "src/lockgate"
        shutil.copytree(ROOT / "infra", source / "infra")
        shutil.copy(ROOT / "README.md", source)
        (source / "target/release").mkdir(parents=True)
        shutil.copy(BINARY, source / "target/release/lockgate")
        return source

    def install(self, options=""):
        return self.run(f"cd /src/lockgate && sh infra/install.sh install {options}")


@pytest.fixture
def machine(archive, request):
    # Below target/: sshd takes no root below a folder that everybody may write to.
    path = TARGET / f"bare-{os.getpid()}-{request.node.name}"
    path.mkdir()
    try:
        unpacked = run("tar", "--extract", "--file", archive, "--directory", path, "--numeric-owner")
        assert unpacked.returncode == 0, unpacked.stderr
        machine = Machine(path)
        shutil.copy(BINARY, path / "root/lockgate")
        if machine.run("/root/lockgate --version").returncode != 0:
            pytest.skip(f"the program was built for another system than Debian {SUITE}")
        (path / "root/lockgate").unlink()
        yield machine
        machine.run("systemctl disable lockgate")
    finally:
        shutil.rmtree(path, ignore_errors=True)


def test_make_install_serves_upgrades_and_goes(machine):
    source = machine.copy_sources()
    installed = machine.install("--config /root/config.yaml")
    assert installed.returncode == 0, installed.stderr
    assert machine.answer() == "Hello from a bare root"
    owner = machine.run("stat -c %U:%a /etc/lockgate /etc/lockgate/env /var/lib/lockgate").stdout.split()
    assert owner == ["lockgate:700", "lockgate:600", "lockgate:700"]

    # A newer program takes over with the settings and the data that are there.
    key, program = machine.key(), source / "target/release/lockgate"
    program.write_bytes(program.read_bytes() + b"newer")
    upgraded = machine.install()
    assert upgraded.returncode == 0, upgraded.stderr
    there = machine.path / "usr/local/bin/lockgate"
    assert there.read_bytes().endswith(b"newer") and machine.key() == key
    assert not there.with_suffix(".previous").exists()
    assert machine.answer() == "Hello from a bare root"

    removed = machine.run("cd /src/lockgate && sh infra/install.sh uninstall")
    assert removed.returncode == 0, removed.stderr
    assert not there.exists() and (machine.path / "etc/lockgate/env").exists()
    assert not machine.is_served()
    assert machine.run("cd /src/lockgate && sh infra/install.sh uninstall --purge").returncode == 0
    assert not (machine.path / "etc/lockgate").exists()


def test_a_version_that_does_not_answer_is_taken_back(machine):
    source = machine.copy_sources()
    assert machine.install("--config /root/config.yaml").returncode == 0
    good = (machine.path / "usr/local/bin/lockgate").read_bytes()
    (source / "target/release/lockgate").write_text("#!/bin/sh\nexit 1\n")
    failed = machine.install()
    assert failed.returncode == 1
    assert "the previous version runs again" in failed.stderr
    assert (machine.path / "usr/local/bin/lockgate").read_bytes() == good
    until_open(machine.port)
    assert machine.answer() == "Hello from a bare root"


def test_the_archive_of_a_release_installs_and_serves(machine, monkeypatch):
    sys.path.insert(0, str(ROOT / "infra"))
    import release

    monkeypatch.setattr(release, "OUTPUT", machine.path / "root")
    archive = release.pack("linux-x86_64", "0.0.0", BINARY)
    unpacked = machine.run(f"cd /root && tar -xzf {archive.name} && cd lockgate-0.0.0-linux-x86_64 && "
                           "sh infra/install.sh install --binary ./lockgate --config /root/config.yaml")
    assert unpacked.returncode == 0, unpacked.stderr
    assert machine.answer() == "Hello from a bare root"


@pytest.fixture
def ssh(machine, tmp_path):
    """The command that reaches the machine: a server of SSH whose clients find themselves within."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("ssh and sshd are not on this machine: apt install openssh-server")
    # What sshd asks of each folder on the way to a root (sshd_config(5), ChrootDirectory).
    for folder in machine.path.parents:
        if folder.stat().st_uid != 0 or folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            pytest.skip(f"sshd takes no root below {folder}, to which others than root may write")
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "client"):
        assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name).returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "sshd_config"
    settings.write_text(f"""Port {port}
ListenAddress 127.0.0.1
HostKey {tmp_path}/host
AuthorizedKeysFile {tmp_path}/client.pub
ChrootDirectory {machine.path}
PidFile none
StrictModes no
PermitRootLogin yes
UsePAM no
""")
    served = subprocess.Popen([server, "-D", "-e", "-f", settings], stderr=subprocess.PIPE, text=True)
    try:
        until_open(port)
        yield (f"ssh -p {port} -i {tmp_path}/client -o BatchMode=yes -o StrictHostKeyChecking=no "
               f"-o UserKnownHostsFile={tmp_path}/known")
    finally:
        served.terminate()
        served.wait(30)


def test_deploy_ssh_installs_and_upgrades_over_one_connection(machine, ssh):
    environment = os.environ | {"SSH": ssh}
    config = machine.path / "root/config.yaml"
    script = ROOT / "infra" / "deploy-ssh.sh"
    deployed = run("sh", script, "root@127.0.0.1", BINARY, config, env=environment, timeout=180)
    assert deployed.returncode == 0, deployed.stderr
    assert machine.answer() == "Hello from a bare root"

    config.write_text(machine.config("another"))
    deployed = run("sh", script, "root@127.0.0.1", BINARY, config, env=environment, timeout=180)
    assert deployed.returncode == 0, deployed.stderr
    assert machine.answer("another") == "Hello from a bare root"
    assert not list((machine.path / "tmp").iterdir()), "nothing that was copied stays"
