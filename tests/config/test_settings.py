"""Settings: what the environment says, refused in a sentence where it cannot be."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cds_service.config import (
    Auth,
    Config,
    ConsentMode,
    InvalidConfig,
    Profile,
    load_config,
    warnings,
)
from cds_service.http.addresses import ListedServer, Reach

DEVELOPMENT = {"CDS_PROFILE": "development", "CDS_AUTH": "off"}


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidConfig) as refused:
        load_config(environ)
    return refused.value.problems


def test_nothing_said_is_production_with_auth_and_says_what_is_needed() -> None:
    assert problems({}) == (
        "CDS_PUBLIC_URL: must be set to an https:// URL in production",
    )
    assert problems({"CDS_PUBLIC_URL": "https://cds.example"}) == (
        "CDS_CLIENTS_FILE: must be set while CDS_AUTH is on",
    )


def test_development_has_its_own_defaults() -> None:
    config = load_config({**DEVELOPMENT, "CDS_PORT": "8123"})

    assert config.public_url == "http://127.0.0.1:8123"
    assert config.wearables_consent is ConsentMode.ASSUMED
    assert load_config({**DEVELOPMENT, "CDS_WEARABLES_CONSENT": "required"}) != config


def test_production_assumes_no_consent(write: Callable[[str], Path]) -> None:
    config = load_config(
        {
            "CDS_PUBLIC_URL": "https://cds.example/base/",
            "CDS_CLIENTS_FILE": str(write("format: 1")),
        }
    )

    assert config.profile is Profile.PRODUCTION
    assert config.auth is Auth.ON
    assert config.wearables_consent is ConsentMode.REQUIRED
    assert config.public_url == "https://cds.example/base"


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("CDS_RULES", "/srv/rules", "rules", Path("/srv/rules")),
        ("CDS_BODY_LIMIT", "2048", "body_limit", 2048),
        ("CDS_GATHER_DEADLINE_MS", "250", "gather_deadline_ms", 250),
        ("CDS_DISCOVERY", "authenticated", "discovery", "authenticated"),
        ("CDS_FHIR_SERVERS", "http://a/fhir, https://b/", "fhir_servers", None),
        ("CDS_PORT", "", "port", 8080),
        ("CDS_SAMPLE_DATA", "/data", "port", 8080),
        ("CDS_SERVICE_PORT_8080_TCP_ADDR", "10.0.0.1", "port", 8080),
    ],
)
def test_a_setting_is_read_from_its_variable(
    name: str, value: str, field: str, expected: Any
) -> None:
    config = load_config({**DEVELOPMENT, name: value})

    wanted = ("http://a/fhir", "https://b") if expected is None else expected
    assert getattr(config, field) == wanted


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"CDS_PROFILE": "prod"},
            "CDS_PROFILE: input should be 'production' or 'development'",
        ),
        ({"CDS_AUTH": "no"}, "CDS_AUTH: input should be 'on' or 'off'"),
        ({"CDS_PORT": "http"}, "CDS_PORT: input should be a valid integer"),
        ({"CDS_PORT": "70000"}, "CDS_PORT: input should be less than or equal to"),
        ({"CDS_WORKERS": "0"}, "CDS_WORKERS: input should be greater than or equal"),
        (
            {"CDS_PUBLIC_URL": "cds.example"},
            "CDS_PUBLIC_URL: must be a URL that begins with http:// or https://",
        ),
        (
            {"CDS_PUBLIC_URL": "https://cds.example/?a=b"},
            "CDS_PUBLIC_URL: must be a URL without user, query or fragment",
        ),
        (
            {"CDS_PUBLIC_URL": "http://cds.example"},
            "CDS_PUBLIC_URL: must be set to an https:// URL in production",
        ),
        (
            {"CDS_DATABASE_STATEMENT_TIMEOUT_MS": "60000"},
            "CDS_DATABASE_TRANSACTION_TIMEOUT_MS: must not be less than"
            " CDS_DATABASE_STATEMENT_TIMEOUT_MS",
        ),
        (
            {"CDS_ANSWERS_KEPT_DAYS": "6"},
            "CDS_ANSWERS_KEPT_DAYS: input should be greater than or equal to 7",
        ),
        ({"CDS_AUTH": "off"}, "CDS_AUTH: off is only for CDS_PROFILE=development"),
        ({"CDS_FHIR_SERVERS": "https://a ftp://b"}, "CDS_FHIR_SERVERS: must be a URL"),
        (
            {**DEVELOPMENT, "CDS_TLS_CERT": "cert.pem"},
            "CDS_TLS_KEY: must be set as well; it takes both",
        ),
        (
            {**DEVELOPMENT, "CDS_TLS_KEY": "key.pem"},
            "CDS_TLS_CERT: must be set as well; it takes both",
        ),
        (
            {**DEVELOPMENT, "CDS_TLS_CLIENT_CA": "ca.pem"},
            "CDS_TLS_CLIENT_CA: needs CDS_TLS_CERT and CDS_TLS_KEY",
        ),
        (
            {"CDS_TRUSTED_PROXIES": "10.0.0.1/8"},
            "CDS_TRUSTED_PROXIES: must be addresses or networks, such as 10.0.0.7 or"
            " 10.0.0.0/24; '10.0.0.1/8' is neither",
        ),
        ({"CDS_TRUSTED_PROXIES": "*"}, "CDS_TRUSTED_PROXIES: must be addresses"),
        ({"CDS_RATE_LIMIT": "-1"}, "CDS_RATE_LIMIT: input should be greater than"),
        ({"CDS_QUEUE_LIMIT": "901"}, "CDS_QUEUE_LIMIT: input should be less than"),
        ({"CDS_PROFIL": "x"}, "CDS_PROFIL: unknown; did you mean CDS_PROFILE?"),
        ({"CDS_CLIENT_FILE": "x"}, "unknown; did you mean CDS_CLIENTS_FILE?"),
        (
            {"CDS_PUBLIC_URL": "https://a", "CDS_CLIENTS_FILE": "/no/such/file"},
            "CDS_CLIENTS_FILE: /no/such/file: No such file or directory",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_a_sentence(
    environ: dict[str, str], expected: str
) -> None:
    assert expected in "\n".join(problems(environ))


def test_every_problem_is_named_at_once() -> None:
    found = problems({"CDS_PORT": "x", "CDS_THREADS": "y", "CDS_RULE": "z"})

    assert [each.split(":")[0] for each in found] == [
        "CDS_RULE",
        "CDS_PORT",
        "CDS_THREADS",
    ]


def test_the_environment_of_the_process_is_not_read_where_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CDS_PORT", "9999")

    assert load_config(DEVELOPMENT).port == 8080
    assert Config(profile=Profile.DEVELOPMENT, auth=Auth.OFF).port == 8080


def test_a_config_never_changes() -> None:
    with pytest.raises(ValidationError):
        load_config(DEVELOPMENT).port = 1


def test_with_auth_off_anybody_is_one_client_with_the_open_servers() -> None:
    config = load_config({**DEVELOPMENT, "CDS_FHIR_SERVERS": "http://127.0.0.1:1/fhir"})

    anybody = config.clients.anonymous
    assert anybody is not None
    assert (anybody.id, anybody.tenant) == ("anonymous", "default")
    assert anybody.fhir_servers == ()
    assert anybody.open_fhir_servers == (
        ListedServer("http://127.0.0.1:1/fhir", Reach.LOCAL),
    )


def test_with_auth_off_webhook_sources_still_prove_who_they_are(
    write: Callable[[str], Path],
) -> None:
    secret = "whsec_" + "A" * 32
    file = write(f"webhooks: [{{id: w, secrets: [{secret}]}}]")

    config = load_config({**DEVELOPMENT, "CDS_CLIENTS_FILE": str(file)})

    assert [each.secrets for each in config.clients.webhooks] == [(secret,)]


def test_with_auth_on_nobody_is_anonymous(write: Callable[[str], Path]) -> None:
    file = str(write("format: 1"))
    config = load_config({"CDS_PROFILE": "development", "CDS_CLIENTS_FILE": file})

    assert config.clients.anonymous is None


def test_what_is_less_than_safe_is_said_at_start(
    write: Callable[[str], Path], keys_line: str
) -> None:
    file = write(
        "clients:\n  - id: inferno\n    iss: https://i.example\n"
        f"    profile: {{replay: allow}}\n{keys_line}\n"
    )
    config = load_config({**DEVELOPMENT, "CDS_CLIENTS_FILE": str(file)})

    assert warnings(config, config.clients) == [
        "development profile: http and loopback FHIR servers are allowed, and a 401 "
        "says which check failed",
        "auth is off: anybody who reaches this server is answered, and pages on this "
        "machine and of the CDS Hooks sandbox may call it",
        "client inferno: a token may be used again and again",
    ]
    assert config.warnings() == warnings(config, config.clients)


def test_what_is_safe_is_not_spoken_of(write: Callable[[str], Path]) -> None:
    config = load_config(
        {
            "CDS_PUBLIC_URL": "https://cds.example",
            "CDS_CLIENTS_FILE": str(write("format: 1")),
        }
    )

    assert config.warnings() == []


def test_every_setting_says_what_it_is(
    settings_table: list[tuple[str, str, str]],
) -> None:
    assert len(settings_table) == len(Config.model_fields)
    assert ("CDS_PORT", "8080", "Port to listen on.") in settings_table
    assert all(
        name.startswith("CDS_") and text.endswith(".")
        for name, _, text in settings_table
    )


def test_rates_are_limited_in_production_and_only_on_request_in_development(
    settings_table: list[tuple[str, str, str]],
) -> None:
    development = load_config(DEVELOPMENT)
    wanted = load_config({**DEVELOPMENT, "CDS_RATE_LIMIT": "60"})

    assert (development.rate_limit, development.refusal_limit) == (0, 0)
    assert wanted.rate_limit == 60
    defaults = {name: default for name, default, _ in settings_table}
    assert (defaults["CDS_RATE_LIMIT"], defaults["CDS_REFUSAL_LIMIT"]) == (
        "6000",
        "1200",
    )


def test_proxies_are_addresses_and_networks() -> None:
    listed = "10.0.0.7, 192.168.0.0/24 2001:db8::/48"

    config = load_config({**DEVELOPMENT, "CDS_TRUSTED_PROXIES": listed})

    assert config.trusted_proxies == (
        "10.0.0.7/32",
        "192.168.0.0/24",
        "2001:db8::/48",
    )


def test_the_url_of_the_database_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql+psycopg://cds:geheim@db.example/cds\n")

    config = load_config({**DEVELOPMENT, "CDS_DATABASE_URL_FILE": str(secret)})

    assert config.database_url == "postgresql+psycopg://cds:geheim@db.example/cds"


def test_an_empty_variable_beside_the_file_is_none(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("sqlite:////srv/cds.sqlite")
    told = {"CDS_DATABASE_URL": "", "CDS_DATABASE_URL_FILE": str(secret)}

    assert load_config({**DEVELOPMENT, **told}).database_url == secret.read_text()


@pytest.mark.parametrize(
    "content", [None, b" \n", b"\xff", b"sqlite:///a\nsqlite:///b"]
)
def test_a_file_that_holds_no_url_is_named_without_what_it_holds(
    tmp_path: Path, content: bytes | None
) -> None:
    secret = tmp_path / "url"
    if content is not None:
        secret.write_bytes(content)

    (told,) = problems({**DEVELOPMENT, "CDS_DATABASE_URL_FILE": str(secret)})

    assert told.startswith(f"CDS_DATABASE_URL_FILE: {secret}")
    assert "sqlite" not in told


def test_a_url_and_a_file_of_one_are_one_too_many(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("sqlite:////srv/cds.sqlite")
    both = {"CDS_DATABASE_URL": "sqlite:///a", "CDS_DATABASE_URL_FILE": str(secret)}

    assert problems({**DEVELOPMENT, **both}) == (
        "CDS_DATABASE_URL_FILE: only one of it and CDS_DATABASE_URL may be set",
    )


LIKE_HERE_BUT = """
import sys
from cds_service.config import InvalidConfig, load_config
told = {"CDS_PROFILE": "development", "CDS_AUTH": "off"}
assert load_config(told).traces_url == ""
try:
    load_config({**told, "CDS_TRACES_URL": "http://127.0.0.1:4318/v1/traces"})
except InvalidConfig as error:
    print(*error.problems, sep="\\n")
"""


def test_traces_are_refused_at_start_where_their_library_is_not_installed(
    tmp_path: Path,
) -> None:
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith("opentelemetry"):
            (tmp_path / each.name).symlink_to(each)
    path = f"{tmp_path}:{Path(__file__).parents[2]}"

    done = subprocess.run(
        [sys.executable, "-S", "-c", LIKE_HERE_BUT],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.stderr) == (
        "CDS_TRACES_URL: needs `pip install cds-service[otel]`\n",
        "",
    )


@pytest.mark.parametrize("share", ["1.5", "-0.1", "some"])
def test_a_share_is_between_nothing_and_all(share: str) -> None:
    (told,) = problems({**DEVELOPMENT, "CDS_TRACES_SHARE": share})

    assert told.startswith("CDS_TRACES_SHARE: ")


def test_traces_go_to_a_url() -> None:
    (told,) = problems({**DEVELOPMENT, "CDS_TRACES_URL": "collector:4318"})

    assert told.startswith("CDS_TRACES_URL: must be a URL")
