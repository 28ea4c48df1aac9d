"""What `make install`, `make deploy-ssh`, the images and the manifests put onto a machine."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
INSTALL = ROOT / "infra" / "install.sh"
UNIT = ROOT / "infra" / "systemd" / "lockgate.service"
KUBERNETES = ROOT / "infra" / "kubernetes"


def run(*arguments, **options):
    return subprocess.run([str(it) for it in arguments], capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def binary():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "lockgate"


@pytest.fixture
def root(tmp_path, binary):
    installed = run("sh", INSTALL, "install", "--root", tmp_path, "--binary", binary)
    assert installed.returncode == 0, installed.stderr
    return tmp_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_but_the_service_reads_the_settings(root):
    assert mode(root / "etc/lockgate") == 0o700
    assert mode(root / "etc/lockgate/config.yaml") == 0o600
    assert mode(root / "etc/lockgate/env") == 0o600
    assert re.fullmatch("GATEWAY_API_KEY=[0-9a-f]{64}\n", (root / "etc/lockgate/env").read_text())


def test_what_is_installed_passes_its_own_check_and_starts(root, tmp_path):
    program, settings = root / "usr/local/bin/lockgate", root / "etc/lockgate"
    checked = run(program, "check", "--file", settings / "config.yaml", "--env-file", settings / "env")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    served = subprocess.Popen(
        [program, "serve", "--config", settings / "config.yaml", "--env-file", settings / "env",
         "--data", tmp_path / "lockgate.db", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    try:
        address = served.stdout.readline().strip().rpartition("http://")[2]
        assert run(program, "health", "--listen", address, "--wait", "10").returncode == 0
    finally:
        served.terminate()
        assert served.wait(30) == 0


def test_an_upgrade_keeps_the_settings_and_the_last_version(root, binary):
    settings = root / "etc/lockgate"
    (settings / "config.yaml").write_text("# mine\n")
    key = (settings / "env").read_text()
    again = run("sh", INSTALL, "install", "--root", root, "--binary", binary)
    assert again.returncode == 0, again.stderr
    assert (settings / "config.yaml").read_text() == "# mine\n"
    assert (settings / "env").read_text() == key
    assert (root / "usr/local/bin/lockgate.previous").exists()


@pytest.mark.parametrize("purge", [False, True])
def test_uninstalling_leaves_nothing_but_the_settings_and_with_purge_not_even_them(root, purge):
    removed = run("sh", INSTALL, "uninstall", "--root", root, *["--purge"] * purge)
    assert removed.returncode == 0, removed.stderr
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert left == (set() if purge else {"etc/lockgate/config.yaml", "etc/lockgate/env"})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_unit_and_calls_it_safe(root):
    installed = root / "etc/systemd/system/lockgate.service"
    # What the unit starts is not at its place here.
    here = installed.read_text().replace("/usr/local/bin/", f"{root}/usr/local/bin/")
    installed.write_text(here)
    verified = run("systemd-analyze", "verify", "--man=no", installed)
    assert verified.returncode == 0, verified.stderr
    assert "lockgate.service" not in verified.stderr
    exposure = run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT)
    assert exposure.returncode == 0, exposure.stdout[-300:]


@pytest.fixture
def other_machine(tmp_path):
    """A stand-in for `ssh` whose other machine is a folder: commands run here, `install.sh` below it."""
    machine = tmp_path / "machine"
    machine.mkdir()
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$(echo "$1" | sed "s|install.sh install|& --root ' f'{machine}|")"\n')
    ssh.chmod(0o755)
    return machine, ssh


def test_another_machine_gets_the_program_the_service_and_the_configuration(other_machine, binary, tmp_path):
    machine, ssh = other_machine
    (tmp_path / "mine.yaml").write_text("api_key: k\nproviders: [{name: a, type: mock}]\n")
    deployed = run("sh", ROOT / "infra/deploy-ssh.sh", "somewhere", binary, tmp_path / "mine.yaml",
                   env=os.environ | {"SSH": str(ssh), "TMPDIR": str(tmp_path)})
    assert deployed.returncode == 0, deployed.stderr
    assert (machine / "etc/lockgate/config.yaml").read_text().startswith("api_key: k")
    assert (machine / "etc/systemd/system/lockgate.service").read_bytes() == UNIT.read_bytes()
    assert run(machine / "usr/local/bin/lockgate", "--version").stdout.startswith("lockgate ")
    # Nothing is left of the archive that came over.
    assert not [path for path in tmp_path.glob("tmp.*")]


def manifests():
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    names = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert names == set(kustomization["resources"])
    return [yaml.safe_load((KUBERNETES / name).read_text()) for name in sorted(names)]


def test_kubernetes_takes_the_manifests():
    import kubernetes_validate
    for manifest in manifests():
        kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_what_the_manifests_name_exists():
    by_kind = {manifest["kind"]: manifest for manifest in manifests()}
    pod = by_kind["Deployment"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert volumes["config"]["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == by_kind["PersistentVolumeClaim"]["metadata"]["name"]
    assert container["envFrom"][0]["secretRef"]["name"] == by_kind["Secret"]["metadata"]["name"]
    for kind in ("Service", "PodDisruptionBudget"):
        selector = by_kind[kind]["spec"]["selector"]
        assert selector.get("matchLabels", selector) == pod["metadata"]["labels"]


def test_the_configuration_of_the_manifests_is_valid(binary, tmp_path):
    by_kind = {manifest["kind"]: manifest for manifest in manifests()}
    (tmp_path / "config.yaml").write_text(by_kind["ConfigMap"]["data"]["config.yaml"])
    checked = run(binary, "check", cwd=tmp_path, env=by_kind["Secret"]["stringData"])
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("printed, cause", [
    ("error: linking with `zigcc` failed: exit status: 1\n"
     '  = note: error: unable to find system framework "Security". searched paths: none\n'
     "error: could not compile `lockgate` (bin \"lockgate\") due to 1 previous error\n",
     'unable to find system framework "Security". searched paths: none'),
    ("warning: unused\nerror: no such command: `zigbuild`\n", "error: no such command: `zigbuild`"),
    ("killed\n", "killed"),
    ("", "no reason was given"),
])
def test_a_system_that_is_left_out_of_a_release_is_told_the_cause(monkeypatch, printed, cause):
    monkeypatch.syspath_prepend(ROOT / "infra")
    import release

    assert release.cause(printed) == cause


def test_the_image_holds_no_configuration_and_runs_without_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")):]
    assert "FROM scratch" in last_stage
    assert any(line.startswith("USER 65532") for line in last_stage)
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    assert not [line for line in last_stage if "config.yaml" in line and line.startswith(("COPY", "ADD"))]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and "!config.yaml" not in ignored


def test_compose_keeps_to_what_the_image_offers():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    gateway = services["lockgate"]
    assert gateway["ports"] == ["127.0.0.1:8080:8080"]
    assert "./config.yaml:/etc/lockgate/config.yaml:ro" in gateway["volumes"]
    assert services["traefik"]["profiles"] == ["https"]
