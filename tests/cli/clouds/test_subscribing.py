"""Notifications on the command line: subscribed, looked after by hand, and ended."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink

from ...connect.played_vendors import PlayedOura, PlayedWithings, serve_vendor
from .conftest import JANE, OLD_KEY, RULES
from .test_clouds import connected

SECRET = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"
PUBLIC = "https://cds.example.org"
Run = Callable[..., Result]


@pytest.fixture
def withings() -> PlayedWithings:
    return PlayedWithings()


@pytest.fixture
def oura() -> PlayedOura:
    now = datetime.now(UTC)
    return PlayedOura(scope="daily personal", now=lambda: now)


@pytest.fixture
def environment(
    withings: PlayedWithings, oura: PlayedOura, tmp_path: Path
) -> Iterator[Mapping[str, str]]:
    """Of a server in development, with two vendors that are to notify."""
    with serve_vendor(withings) as scales, serve_vendor(oura) as rings:
        (tmp_path / "vendor.secret").write_text("played-secret\n")
        (tmp_path / "told.secret").write_text(f"{SECRET}\n")
        more = "client_id: played, client_secret_file: vendor.secret, days_before: 1"
        told = "notifications: {secrets_file: told.secret}"
        (tmp_path / "clients.yaml").write_text(
            "clouds:\n"
            f"- {{id: scales, vendor: withings, kinds: [measures], {more}, {told},"
            f' simulated: "{scales}"}}\n'
            f"- {{id: rings, vendor: oura, kinds: [sleep], {more}, {told},"
            f' simulated: "{rings}"}}\n'
        )
        yield {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(RULES),
            "CDS_CLIENTS_FILE": str(tmp_path / "clients.yaml"),
            "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite",
            "CDS_TOKEN_KEY": OLD_KEY,
            "CDS_PUBLIC_URL": PUBLIC,
        }


@pytest.fixture
def linked(store: Store) -> Store:
    now = datetime.now(UTC)
    for source in ("scales", "rings"):
        link = WearerLink(source, JANE, now - timedelta(days=30), "u-7")
        store.links.add(link, AuditEvent(now, "link"))
    return store


def test_who_connects_a_wearer_is_told_that_notifications_are_subscribed(
    environment: Mapping[str, str], linked: Store, run: Run, withings: PlayedWithings
) -> None:
    said = connected(environment, "scales")

    assert "Notifications are subscribed." in said
    callback = f"{PUBLIC}/wearables/v1/notifications/scales/{SECRET}"
    assert withings.notified == {(each, callback) for each in ("1", "2", "4")}
    shown = run("connect", "list", "--source", "scales").output
    assert shown.endswith("notifications: subscribed\n")
    assert SECRET not in said + shown


def test_what_the_vendor_refuses_is_told_and_the_wearer_is_connected(
    environment: Mapping[str, str], linked: Store, run: Run, withings: PlayedWithings
) -> None:
    withings.on_notify.append((200, {"status": 343, "body": {}}, {}))

    said = connected(environment, "scales")

    assert "Notifications could not all be subscribed: status 343" in said
    assert "notifications: status 343" in run("connect", "list").output
    (told,) = json.loads(run("connect", "list", "--json").output)
    assert told["notifications"] == {"until": None, "problem": "status 343"}


def test_it_is_done_by_hand_and_the_exit_code_tells(
    environment: Mapping[str, str], linked: Store, run: Run, oura: PlayedOura
) -> None:
    oura.on_notify.append((403, {}, {}))
    connected(environment, "rings")
    oura.on_notify.append((403, {}, {}))

    failed = run("connect", "subscribe", "--source", "oura")
    done = run("connect", "subscribe", "--source", "oura")

    refused = "rings: HTTP 403: it does not accept the app's id and secret\n"
    assert (failed.exit_code, failed.output) == (1, refused)
    assert done.exit_code == 0
    until = (oura.now() + oura.lasts).date()
    assert done.output == f"rings: notifications are subscribed until {until}\n"
    assert f"notifications: until {until}" in run("connect", "list").output
    assert len(oura.held) == 3


def test_a_pull_says_what_it_subscribed_and_its_exit_code_is_that_of_the_fetching(
    environment: Mapping[str, str], linked: Store, run: Run, withings: PlayedWithings
) -> None:
    withings.on_notify.append((200, {"status": 343, "body": {}}, {}))
    connected(environment, "scales")
    withings.on_notify.append((200, {"status": 343, "body": {}}, {}))
    asked = linked.subscriptions.find(next(linked.grants.all()).wearer)
    assert asked is not None
    linked.subscriptions.drop(asked.wearer)

    failed = run("pull", "--source", "scales")
    linked.subscriptions.drop(asked.wearer)
    done = run("pull", "--source", "scales")

    assert (failed.exit_code, done.exit_code) == (0, 0)
    assert "scales u-7 notifications: status 343" in failed.output
    assert "scales u-7 notifications: notifications are subscribed" in done.output


def test_with_the_permission_they_end_and_what_could_not_be_ended_is_said(
    environment: Mapping[str, str],
    linked: Store,
    run: Run,
    withings: PlayedWithings,
    oura: PlayedOura,
) -> None:
    connected(environment, "scales")
    connected(environment, "rings")
    oura.on_notify.extend([(500, {}, {})] * 2)

    for source in ("scales", "rings"):
        done = run("connect", "revoke", "--source", source, "--user", "u-7")

    assert withings.notified == set()
    assert (
        "The vendor may continue to send notifications, which are ignored (HTTP 500)."
        in done.output
    )
    assert [str(each.state) for each in linked.grants.all()] == ["revoked"] * 2


def test_a_patient_who_is_erased_is_notified_of_no_more(
    environment: Mapping[str, str], linked: Store, run: Run, withings: PlayedWithings
) -> None:
    connected(environment, "scales")

    run("patient", "erase", "--patient", "jane", "--yes")

    assert withings.notified == set()


def test_a_vendor_that_is_asked_by_hand_is_not_asked_from_here(
    environment: Mapping[str, str], store: Store, run: Run, tmp_path: Path
) -> None:
    clients = tmp_path / "clients.yaml"
    clients.write_text(
        "clouds: [{id: cgm, vendor: dexcom, client_id: played,"
        " client_secret_file: vendor.secret}]\n"
    )

    asked = run("connect", "subscribe", "--source", "cgm")

    assert asked.exit_code == 1
    assert "Dexcom is not asked for notifications from here" in asked.output


def test_metrics_count_what_is_subscribed_and_what_fails(
    environment: Mapping[str, str],
    linked: Store,
    oura: PlayedOura,
) -> None:
    oura.on_notify.append((403, {}, {}))
    for name in ("scales", "rings"):
        connected(environment, name)

    shown = create_app(load_config(environment)).test_client().get("/metrics").text

    lines = [e for e in shown.splitlines() if "subscriptions{" in e]
    assert lines == [
        'cds_notification_subscriptions{source="scales",state="subscribed"} 1.0',
        'cds_notification_subscriptions{source="scales",state="failing"} 0.0',
        'cds_notification_subscriptions{source="rings",state="subscribed"} 0.0',
        'cds_notification_subscriptions{source="rings",state="failing"} 1.0',
    ]
