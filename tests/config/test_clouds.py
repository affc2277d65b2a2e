"""Clouds in the clients file: which vendors are asked for what, refused by field."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cds_service.config import (
    Clients,
    Cloud,
    InvalidConfig,
    load_clients,
    load_config,
    load_vault,
)
from cds_service.config.inventory import build_inventory, digest_file
from cds_service.http.addresses import Reach

Write = Callable[[str], Path]
KEY = base64.b64encode(bytes(range(32))).decode()
FIT = (
    "clouds: [{id: fit, tenant: north, vendor: google-fit, client_id: c1,"
    " client_secret_file: secret%s}]\n"
)


def load(file: Path, *, development: bool = False) -> Clients:
    (file.parent / "secret").write_text("s3cret\n")
    return load_clients(file, development=development, lifetime=3600)


def problems(file: Path, *, development: bool = False) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        load(file, development=development)
    return [each.partition(": ")[2] for each in refused.value.problems]


def test_of_a_cloud_everything_is_asked_for_by_default(write: Write) -> None:
    (cloud,) = load(write(FIT % "")).clouds

    assert cloud == Cloud("fit", "north", "-", "google-fit", "c1", "s3cret")
    assert cloud.kinds == cloud.vendor.kinds
    assert cloud.vendor.token_url == "https://oauth2.googleapis.com/token"
    assert (cloud.days_again, cloud.days_before) == (2, 7)
    assert cloud.reach is Reach.PUBLIC
    assert "s3cret" not in repr(cloud)


def test_a_site_asks_for_the_kinds_that_it_names(write: Write) -> None:
    told = ", kinds: [steps, sleep], time_zone: Europe/Berlin, days_again: 0"
    (cloud,) = load(write(FIT % told)).clouds

    assert [each.name for each in cloud.kinds] == ["steps", "sleep"]
    assert (cloud.time_zone, cloud.days_again) == ("Europe/Berlin", 0)


def test_in_development_a_vendor_may_be_played_on_this_machine(write: Write) -> None:
    file = write(FIT % ', simulated: "http://127.0.0.1:9/"')

    (cloud,) = load(file, development=True).clouds

    assert cloud.vendor.api == "http://127.0.0.1:9/fitness/v1"
    assert cloud.vendor.authorize_url == "http://127.0.0.1:9/o/oauth2/v2/auth"
    assert cloud.reach is Reach.LOCAL
    assert problems(file) == ["clouds[0].simulated: only in development"]


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (", vendr: x", "clouds[0].vendr: unknown field; did you mean `vendor`?"),
        (
            ", kinds: [step]",
            "clouds[0].kinds[0]: google-fit has no such kind of data;"
            " did you mean `steps`?",
        ),
        (
            ", time_zone: Berlin",
            "clouds[0].time_zone: must be a time zone, such as America/New_York",
        ),
        (
            ", days_again: 31",
            "clouds[0].days_again: input should be less than or equal to 30",
        ),
    ],
)
def test_what_is_wrong_with_a_cloud_is_told_by_field(
    write: Write, told: str, problem: str
) -> None:
    assert [each.partition(": ")[2] for each in problems(write(FIT % told))] == [
        problem.partition(": ")[2]
    ]


def test_a_vendor_that_is_not_known_is_refused_with_one_that_is(write: Write) -> None:
    file = write((FIT % "").replace("google-fit", "google-fitt"))

    (problem,) = problems(file)
    assert "no such vendor; did you mean `google-fit`?" in problem


@pytest.mark.parametrize("content", ["", "one two", "one\ntwo\n"])
def test_a_secret_is_one_line_of_a_file(write: Write, content: str) -> None:
    file = write(FIT % "")
    (file.parent / "secret").write_text(content)

    with pytest.raises(InvalidConfig, match="must hold one secret and nothing else"):
        load_clients(file, development=False, lifetime=3600)


def test_a_secret_that_is_not_there_is_said(write: Write) -> None:
    with pytest.raises(InvalidConfig, match="secret: No such file or directory"):
        load_clients(write(FIT % ""), development=False, lifetime=3600)


def test_a_webhook_of_the_same_id_is_of_the_same_tenant(write: Write) -> None:
    webhook = f"webhooks: [{{id: fit, tenant: south, secrets: [whsec_{'A' * 32}]}}]\n"

    (problem,) = problems(write(webhook + FIT % ""))

    assert "the webhook 'fit' has another tenant" in problem


def test_no_secret_stands_in_the_inventory(write: Write) -> None:
    file = write(FIT % "")
    clients = load(file)
    config = load_config(
        {
            **{"CDS_PROFILE": "development", "CDS_CLIENTS_FILE": str(file)},
            "CDS_TOKEN_KEY": KEY,
        }
    )

    told = build_inventory(config, clients, digest_file)

    assert told["cloud.fit.vendor"] == "google-fit"
    assert "s3cret" not in str(told) and KEY not in str(told)


def environment(write: Write, **keys: str) -> Mapping[str, str]:
    file = write(FIT % "")
    (file.parent / "secret").write_text("s3cret\n")
    return {"CDS_PROFILE": "development", "CDS_CLIENTS_FILE": str(file), **keys}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "must be set: it encrypts tokens at clouds and EHRs"),
        ("abc", "must be 32 bytes in base64 each"),
    ],
)
def test_a_server_with_clouds_needs_a_key_for_their_tokens(
    write: Write, key: str, problem: str
) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load_config(environment(write, CDS_TOKEN_KEY=key))

    assert refused.value.problems == (f"CDS_TOKEN_KEY: {problem}",)


def test_keys_may_stand_in_a_file_one_a_line(write: Write, tmp_path: Path) -> None:
    other = base64.b64encode(bytes(32)).decode()
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n{other}\n")

    config = load_config(environment(write, CDS_TOKEN_KEY_FILE=str(file)))

    assert len(load_vault(config).keys) == 2
    both = environment(write, CDS_TOKEN_KEY_FILE=str(file), CDS_TOKEN_KEY=KEY)
    with pytest.raises(InvalidConfig, match="only one of it and CDS_TOKEN_KEY may"):
        load_config(both)


HEALTH = (
    "clouds: [{id: gh, vendor: google-health, client_id: c1,"
    " client_secret_file: secret, notifications: {secrets_file: hook%s}}]\n"
)
HOOK = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"


def test_a_vendor_that_notifies_has_secrets_of_its_own(write: Write) -> None:
    file = write(HEALTH % "")
    (file.parent / "hook").write_text(f"{HOOK}\n\n{HOOK[::-1]}\n")

    (cloud,) = load(file).clouds

    assert cloud.notifications is not None
    assert cloud.notifications.secrets == (HOOK, HOOK[::-1])
    assert cloud.notifications.keys.startswith("https://www.gstatic.com/")
    assert HOOK not in repr(cloud)


@pytest.mark.parametrize(
    ("more", "hook", "said"),
    [
        ("", "short", "must be 32 letters, digits, - or _, or more, up to 200"),
        ("", "\n", "holds no secret"),
        (", keys: http://keys.example/k", HOOK, "must be a URL that begins with"),
        (", key: x", HOOK, "unknown field; did you mean `keys`?"),
    ],
)
def test_what_would_let_anybody_notify_is_refused(
    write: Write, more: str, hook: str, said: str
) -> None:
    file = write(HEALTH % more)
    (file.parent / "hook").write_text(hook)

    (problem,) = problems(file)

    assert said in problem


def test_secrets_that_are_not_there_are_told(write: Write) -> None:
    (problem,) = problems(write(HEALTH % ""))

    assert "No such file" in problem


def test_a_vendor_that_notifies_of_nothing_is_told(write: Write) -> None:
    file = write(FIT % ", notifications: {secrets_file: hook}")
    (file.parent / "hook").write_text(HOOK)

    assert problems(file) == [
        "clouds[0].notifications: google-fit sends no notifications"
    ]


def test_of_a_secret_to_notify_by_the_inventory_has_a_fingerprint(
    write: Write,
) -> None:
    file = write(HEALTH % "")
    (file.parent / "hook").write_text(HOOK)

    told = {"CDS_PROFILE": "development", "CDS_AUTH": "off"}
    inventory = build_inventory(load_config(told), load(file), digest_file)

    assert HOOK not in str(inventory)
    assert len(inventory["cloud.gh.notifications.secrets"][0]) == 12
