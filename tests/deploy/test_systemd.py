"""The units: hardened, with commands and settings that exist, and heard by systemd.

Where systemd is installed it looks at them as well.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cds_service.cli import main
from cds_service.config import Config, load_config, load_vault
from cds_service.config.settings import PREFIX

from ..waiting import PATIENCE

HOME = Path(__file__).parents[2]
UNITS = HOME / "deploy" / "systemd"
SERVICES = [
    "cds-service.service",
    "cds-service-backup.service",
    "cds-service-deliver.service",
    "cds-service-mllp.service",
    "cds-service-pull.service",
]
PROGRAM = "/opt/cds-service/bin/cds-service"
Unit = dict[str, list[str]]


def read(*files: str) -> Unit:
    """Each directive and its values, in order; later files add to those before."""
    found: Unit = {}
    for file in files:
        for line in (UNITS / file).read_text("utf-8").splitlines():
            if line and line[0] not in "#[":
                name, sign, value = line.partition("=")
                assert sign and re.fullmatch(r"[A-Z]\w+", name), line
                found.setdefault(name, []).append(value)
    return found


def environment(unit: Unit, credentials: Path) -> dict[str, str]:
    """What the unit says to its program; what it says last holds."""
    told = [
        each
        for each in (UNITS / "environment").read_text("utf-8").splitlines()
        if each and each[0] != "#"
    ]
    pairs = [each.split("=", 1) for each in [*unit["Environment"], *told]]
    return {name: value.replace("%d", str(credentials)) for name, value in pairs}


def test_the_server_tells_systemd_itself_when_it_is_up() -> None:
    unit = read("cds-service.service")

    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert unit["ExecStart"] == [f"{PROGRAM} serve"]
    assert unit["KillMode"] == ["mixed"]


def test_systemd_has_the_server_read_its_files_anew() -> None:
    program, signal_name, process = read("cds-service.service")["ExecReload"][0].split()

    assert (signal_name, process) == ("-HUP", "$MAINPID")
    assert os.access(program, os.X_OK)


HARDENED = {
    "CapabilityBoundingSet": "",
    "DynamicUser": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectHome": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
}


@pytest.mark.parametrize("file", SERVICES)
def test_a_service_can_change_nothing_but_its_own_folder(file: str) -> None:
    unit = read(file)

    assert {name: unit.get(name, [""])[-1] for name in HARDENED} == HARDENED
    assert "User" in unit and "root" not in unit["User"]
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert "ReadWritePaths" not in unit and "AmbientCapabilities" not in unit


def test_nothing_is_forbidden_that_the_server_does() -> None:
    unit = read("cds-service.service")

    assert "ProcSubset" not in unit, "claims are looked up in /proc"
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0], "PostgreSQL, systemd"


@pytest.mark.parametrize("file", SERVICES)
def test_its_command_is_one_of_ours(file: str) -> None:
    words = read(file)["ExecStart"][0].split()
    assert words.pop(0) == PROGRAM

    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_parser(click.Context(command)).parse_args(words)


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """What systemd hands over."""
    (tmp_path / "clients.yaml").write_text("format: 1\n")
    (tmp_path / "database-url").write_text("postgresql+psycopg://cds:geheim@db/cds\n")
    return tmp_path


def test_it_starts_with_the_settings_that_systemd_gives_it(credentials: Path) -> None:
    unit = read("cds-service.service")

    config = load_config(environment(unit, credentials))

    assert config.database_url == "sqlite:////var/lib/cds-service/cds.sqlite"
    assert config.clients_file == credentials / "clients.yaml"
    assert unit["StateDirectory"] == ["cds-service"]
    handed = {each.partition(":")[0] for each in unit["LoadCredential"]}
    assert handed == {"clients.yaml"}


def test_with_postgresql_its_url_is_handed_over_as_a_file(credentials: Path) -> None:
    unit = read("cds-service.service", "cds-service.service.d/postgresql.conf")

    config = load_config(environment(unit, credentials))

    assert config.database_url == "postgresql+psycopg://cds:geheim@db/cds"
    handed = {each.partition(":")[0] for each in unit["LoadCredential"]}
    assert handed == {"clients.yaml", "database-url"}


@pytest.mark.parametrize(
    "files",
    [
        ("cds-service-pull.service",),
        ("cds-service.service", "cds-service.service.d/clouds.conf"),
    ],
)
def test_with_clouds_the_key_of_wearers_tokens_is_handed_over_as_a_file(
    credentials: Path, files: tuple[str, ...]
) -> None:
    unit = read(*files)
    (credentials / "token.key").write_text("A" * 43 + "=\n")

    config = load_config(environment(unit, credentials))

    assert len(load_vault(config).keys) == 1
    handed = {each.partition(":")[0] for each in unit["LoadCredential"]}
    assert handed == {"clients.yaml", "token.key"}


def test_every_setting_that_is_named_there_is() -> None:
    known = {PREFIX + name.upper() for name in Config.model_fields}
    files = [each for each in UNITS.rglob("*") if each.is_file()]
    named = {
        name for each in files for name in re.findall(r"CDS_\w+", each.read_text())
    }

    assert len(named) > 5
    assert named - known == set()


def test_the_copy_goes_where_only_the_service_reads(credentials: Path) -> None:
    unit, server = read(SERVICES[1]), read(SERVICES[0])

    assert unit["User"] == server["User"]
    assert unit["StateDirectory"] == server["StateDirectory"]
    file = unit["ExecStart"][0].split()[-1]
    assert file.startswith("/var/lib/cds-service/backup/")
    assert unit["PrivateNetwork"] == ["yes"]


# As systemd sees them


def installed(folder: Path) -> list[Path]:
    """The units, with a program that is there."""
    program = str(Path(sys.executable).with_name("cds-service"))
    for file in UNITS.glob("cds-service*.*"):
        if file.is_file():
            text = file.read_text("utf-8").replace(PROGRAM, program)
            (folder / file.name).write_text(text)
    return sorted(folder.iterdir())


def judgements(folder: Path) -> Iterator[str]:
    """What systemd says against the units, where it is installed."""
    if not shutil.which("systemd-analyze"):
        return
    units = installed(folder)
    services = [each for each in units if each.suffix == ".service"]
    rated = [
        ["security", "--offline=true", "--threshold=20", each] for each in services
    ]
    for words in [["verify", *units], *rated]:
        command = ["systemd-analyze", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or done.stderr:
            yield done.stderr or done.stdout


def test_systemd_itself_finds_them_sound_and_safe_where_it_is_installed(
    tmp_path: Path,
) -> None:
    assert sorted(each.name for each in installed(tmp_path)) == [
        "cds-service-backup.service",
        "cds-service-backup.timer",
        "cds-service-deliver.service",
        "cds-service-mllp.service",
        "cds-service-pull.service",
        "cds-service.service",
    ]
    assert list(judgements(tmp_path)) == []


@pytest.mark.slow
def test_the_server_says_that_it_is_ready_to_whom_systemd_names(tmp_path: Path) -> None:
    place = tmp_path / "notify"
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(HOME / "rules"),
        "CDS_RELOAD": "off",
        "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite'}",
        "CDS_PORT": "0",
        "NOTIFY_SOCKET": str(place),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        systemd.bind(str(place))
        systemd.settimeout(PATIENCE)
        usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
        server = subprocess.Popen(
            [sys.executable, "-m", "cds_service.cli", "serve"],
            env={**usual, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told, ancillary, _, _ = systemd.recvmsg(4096, socket.CMSG_SPACE(12))
        finally:
            server.terminate()
            server.wait(PATIENCE)

    ((_, _, sender),) = ancillary
    assert b"READY=1" in told.splitlines()
    assert int.from_bytes(sender[:4], sys.byteorder) == server.pid
    assert server.returncode == 0
