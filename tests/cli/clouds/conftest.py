"""A server's settings, a played Google, and a wearer who is linked."""

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.connect.played import PlayedGoogle, serve_played
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ...connect.played_vendors import HaltingGoogle

RULES = Path(__file__).parents[3] / "rules"
NEW_KEY, OLD_KEY = (base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2))
JANE = PatientKey("default", "-", "jane")


@pytest.fixture
def google() -> HaltingGoogle:
    return HaltingGoogle(allows_at_once=True)


@pytest.fixture
def environment(google: PlayedGoogle, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Of a server in development."""
    with serve_played(google) as base:
        (tmp_path / "fit.secret").write_text("played-secret\n")
        (tmp_path / "clients.yaml").write_text(
            "clouds: [{id: fit, vendor: google-fit, client_id: played, kinds: [steps],"
            " client_secret_file: fit.secret, days_before: 2, time_zone: Asia/Tokyo,"
            f' simulated: "{base}"}}]\n'
        )
        yield {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(RULES),
            "CDS_CLIENTS_FILE": str(tmp_path / "clients.yaml"),
            "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite",
            "CDS_TOKEN_KEY": OLD_KEY,
        }


@pytest.fixture
def store(environment: Mapping[str, str]) -> Iterator[Store]:
    opened = Store.open(environment["CDS_DATABASE_URL"])
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def linked(store: Store) -> Store:
    now = datetime.now(UTC)
    event = AuditEvent(now, "link")
    store.links.add(WearerLink("fit", JANE, now - timedelta(days=30), "u-7"), event)
    return store


Run = Callable[..., Result]


@pytest.fixture
def run(environment: Mapping[str, str], store: Store) -> Run:
    """A command in the server's environment, changed as given."""

    def go(*arguments: str, **changes: str) -> Result:
        env = {**environment, **changes}
        return CliRunner(env=env).invoke(main, list(arguments))

    return go
