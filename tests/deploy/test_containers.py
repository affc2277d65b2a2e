"""The image and what is started beside it: hardened, with settings that exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from packaging.specifiers import SpecifierSet

from cds_service.config import Config, load_config
from cds_service.config.settings import PREFIX

from ..waiting import PATIENCE

HOME = Path(__file__).parents[2]
DEPLOY = HOME / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
PROGRAMS = Path(sys.executable).parent
URL = "https://cds.hospital.example"


def lint(file: Path) -> str:
    """What hadolint says of a container file."""
    command = [PROGRAMS / "hadolint", "--no-color", file]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_container_file() -> None:
    assert lint(DEPLOY / "Containerfile") == ""


def test_hadolint_does_find_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "Containerfile"
    file.write_text("FROM python\nRUN apt-get update && apt-get install -y curl\n")

    assert {"DL3006", "DL3008"} <= set(lint(file).replace(":", " ").split())


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the container file, on one line."""
    lines = CONTAINERFILE.replace("\\\n", " ").splitlines()
    told = (each.strip().partition(" ") for each in lines if each[:1] not in ("", "#"))
    return [(name, rest.strip()) for name, _, rest in told]


def last(name: str) -> str:
    return [rest for each, rest in instructions() if each == name][-1]


def variables() -> dict[str, str]:
    """The environment that the image gives its program."""
    return dict(each.split("=", 1) for each in shlex.split(last("ENV")))


def test_the_image_runs_the_server_as_somebody_without_rights() -> None:
    user, _, group = last("USER").partition(":")

    assert int(user) > 0 and int(group) > 0
    assert json.loads(last("ENTRYPOINT")) + json.loads(last("CMD")) == [
        "cds-service",
        "serve",
    ]
    assert last("EXPOSE") == str(Config.model_fields["port"].default)


def test_what_is_built_with_is_not_in_the_image() -> None:
    bases = [rest.split() for name, rest in instructions() if name == "FROM"]

    assert [each[1:] for each in bases] == [["AS", "build"], []]
    assert [each[0] for each in bases] == ["${BASE}", "${BASE}"]
    version = last("ARG").removeprefix("BASE=python:").partition("-")[0]
    assert version in SpecifierSet(required_python())


DIGEST = f"sha256:{'0f' * 32}"


def images(found: Mapping[str, Any]) -> list[str]:
    """What is pulled, or built upon, for each service."""
    ours = {each["image"] for each in found.values() if "build" in each}
    return [
        each["build"]["args"]["BASE"] if "build" in each else each["image"]
        for each in found.values()
        if "build" in each or each["image"] not in ours
    ]


def test_every_image_that_is_pulled_is_named_by_its_digest_where_the_site_says_so() -> (
    None
):
    page = (HOME / "docs" / "hospital.md").read_text("utf-8")
    usual = dict(re.findall(r"^\| `(IMAGE_\w+)` \| `(\S+)` \|$", page, re.MULTILINE))
    pinned = {name: f"{image}@{DIGEST}" for name, image in usual.items()}

    assert sorted(images(services())) == sorted(usual.values())
    assert f"BASE={usual['IMAGE_PYTHON']}" == last("ARG")
    assert sorted(images(read_services(**pinned))) == sorted(pinned.values())


def required_python() -> str:
    (line,) = (
        each
        for each in (HOME / "setup.cfg").read_text("utf-8").splitlines()
        if each.startswith("python_requires")
    )
    return line.partition("=")[2].strip()


def ignored(path: str) -> bool:
    """Whether the builder is not sent a file or folder of the top of the repository."""
    lines = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    result = False
    for line in (each for each in lines if each and each[0] != "#"):
        if fnmatch(path, line.removeprefix("!")):
            result = not line.startswith("!")
    return result


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }

    assert copied == {
        *("cds_service", "rules", "fixtures"),
        *("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "requirements.lock"),
    }
    assert all((HOME / each).exists() for each in copied)
    sent = {each.name for each in HOME.iterdir() if not ignored(each.name)}
    assert sent == copied


class Health(BaseHTTPRequestHandler):
    """Answers as a server that lives, and under another path as one that does not."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def check_health(
    command: Sequence[str], status: int, port: str = ""
) -> tuple[int, Any]:
    """The exit code of a health check beside a server, and what it asked for."""
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.status, server.asked = status, []  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        here = str(server.server_port)
        words = [each.replace(port, here) if port else each for each in command[1:]]
        # A machine may be busy; how long it is waited for is another matter.
        words = [each.replace("timeout=4", f"timeout={PATIENCE}") for each in words]
        environ = {**os.environ, "CDS_PORT": here}
        done = subprocess.run(
            [sys.executable, *words], env=environ, capture_output=True
        )
        server.shutdown()
        thread.join()
        return done.returncode, server.asked  # type: ignore[attr-defined]


def test_an_image_is_healthy_while_its_server_lives() -> None:
    command = json.loads(last("HEALTHCHECK").partition("CMD")[2])

    assert command[0] == "python"
    assert check_health(command, 200) == (0, ["/health/live"])
    assert check_health(command, 500) == (1, ["/health/live"])


# Compose


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    file = DEPLOY / "compose.yaml"
    return subprocess.run(
        [PROGRAMS / "docker-compose", "--file", file, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
    )


@cache
def services() -> Mapping[str, Any]:
    """Every service, as Compose understands the file."""
    return read_services()


def read_services(**environment: str) -> Mapping[str, Any]:
    """The same where a site sets variables."""
    done = compose("config", "--format", "json", CDS_PUBLIC_URL=URL, **environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_compose_understands_its_file() -> None:
    assert set(services()) == {"cds", "database", "proxy", "prometheus"}


def test_with_clouds_all_who_read_the_clients_file_have_the_key_and_one_pulls() -> None:
    told = compose(
        *("--file", str(DEPLOY / "compose.clouds.yaml"), "--profile", "*"),
        *("config", "--format", "json"),
        CDS_PUBLIC_URL=URL,
    )
    assert told.returncode == 0, told.stderr
    with_clouds = dict(json.loads(told.stdout)["services"])
    readers = {
        name
        for name, each in with_clouds.items()
        if "CDS_CLIENTS_FILE" in (each.get("environment") or {})
    }

    assert readers == {"cds", "deliver", "mllp", "pull"}
    for name in readers:
        each = with_clouds[name]
        key = each["environment"]["CDS_TOKEN_KEY_FILE"]
        assert key == "/run/secrets/token.key"
        assert "token.key" in [secret["source"] for secret in each["secrets"]]
    pull = with_clouds["pull"]
    assert pull["command"] == ["pull", "--every", "15m"]
    assert pull["read_only"] is True and pull["cap_drop"] == ["ALL"]
    assert pull["security_opt"] == ["no-new-privileges:true"]


def test_compose_asks_for_the_url_that_ehrs_call() -> None:
    done = compose("config")

    assert done.returncode != 0
    assert "CDS_PUBLIC_URL" in done.stderr


def test_compose_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    file.write_text(text.replace("read_only:", "readonly:"))

    done = subprocess.run(
        [PROGRAMS / "docker-compose", "--file", file, "config", "--quiet"],
        env={"PATH": os.environ["PATH"], "CDS_PUBLIC_URL": URL},
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0 and "readonly" in done.stderr


def test_containers_can_change_nothing_but_their_volumes() -> None:
    for name, each in services().items():
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in each
        if name != "database":  # whose own program lets go of its rights
            assert each["read_only"] is True
            assert each["cap_drop"] == ["ALL"]
    assert "cap_add" not in services()["cds"]


def test_nothing_but_tls_can_be_reached_from_other_machines() -> None:
    published = {
        (name, port.get("host_ip", ""), port["target"])
        for name, each in services().items()
        for port in each.get("ports", [])
    }

    assert published == {("cds", "", 443), ("prometheus", "127.0.0.1", 9090)}
    assert list(services()["database"]["networks"]) == ["inside"]


def test_everything_that_is_mounted_is_there() -> None:
    mounted = [
        Path(volume["source"])
        for each in services().values()
        for volume in each.get("volumes", [])
        if volume["type"] == "bind"
    ]

    assert len(mounted) == 3
    assert [each for each in mounted if not each.exists()] == []


def test_secrets_are_files_that_no_commit_can_hold(tmp_path: Path) -> None:
    named = {
        each["source"] for one in services().values() for each in one.get("secrets", [])
    }
    hidden = [f"deploy/secrets/{name}" for name in sorted(named)]

    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *hidden],
        cwd=HOME,
        capture_output=True,
        text=True,
    )

    assert len(named) == 5
    assert done.stdout.split() == hidden


def test_the_server_starts_with_the_settings_that_compose_gives_it(
    tmp_path: Path,
) -> None:
    url = "postgresql+psycopg://cds:geheim@database/cds"
    (tmp_path / "database-url").write_text(f"{url}\n")
    (tmp_path / "clients.yaml").write_text("format: 1\n")
    told = {**variables(), **services()["cds"]["environment"]}
    given = {
        name: value.replace("/run/secrets", str(tmp_path))
        for name, value in told.items()
        if name.startswith(PREFIX)
    }

    config = load_config(given)

    known = {PREFIX + name.upper() for name in Config.model_fields}
    assert set(given) <= known
    assert (config.database_url, config.public_url) == (url, URL)
    assert config.host == "0.0.0.0", "Prometheus has to reach it"
    assert "geheim" not in json.dumps(services())


def test_compose_waits_for_a_server_that_is_ready() -> None:
    command = services()["cds"]["healthcheck"]["test"]

    assert command[:2] == ["CMD", "python"]
    assert check_health(command[1:], 200, "8080") == (0, ["/health/ready"])
    assert check_health(command[1:], 503, "8080") == (1, ["/health/ready"])
    assert services()["proxy"]["depends_on"]["cds"]["condition"] == "service_healthy"


def test_the_proxy_finds_its_certificate_and_the_server_where_compose_puts_them() -> (
    None
):
    proxy, site = services()["proxy"], (DEPLOY / "nginx.conf").read_text("utf-8")

    named = re.findall(r"^ *ssl_certificate(?:_key)? ([^;]+);", site, re.MULTILINE)
    assert named == [each["target"] for each in proxy["secrets"]]
    assert proxy["network_mode"] == "service:cds"
    assert f"server 127.0.0.1:{last('EXPOSE')} " in site
    assert services()["cds"]["environment"]["CDS_TRUSTED_PROXIES"] == "127.0.0.1"
