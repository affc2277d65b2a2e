"""Pages whose token an EHR takes no more: renewed once, or over, and said to be so."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.publishing.housekeeping import Housekeeper
from cds_service.store.upkeep.pruning import Keep
from cds_service.trust import SmartApp
from cds_service.web.smart.leaving import give_back_when_over

from ...smart_server import SmartServer, walk
from .opening import CLIENT, with_ehrs
from .visitor import BASE, Visitor, audited, cookies_of, id_of

CALLBACK = f"{BASE}/smart/callback"


@dataclass
class Shift:
    """Somebody at work in a real EHR, with a page of this server open."""

    ehr: SmartServer
    world: World
    visitor: Visitor
    passed: list[timedelta]
    """How far this server's clock is ahead."""
    path: str = ""

    def open(self) -> None:
        """Open the pages from the EHR."""
        asked = urlencode({"iss": self.ehr.base, "launch": self.ehr.launch()})
        self._enter(f"/smart/launch?{asked}")

    def start(self) -> None:
        """Open the pages without the EHR."""
        self.ehr.set(patient="p1")
        self._enter(f"/smart/start?ehr={CLIENT.id}")

    def _enter(self, path: str) -> None:
        sent = self.visitor.http.get(path)
        told = walk(sent.headers["Location"], CALLBACK)
        done = self.visitor.http.get(f"/smart/callback?{urlencode(told)}")
        assert done.status_code == 303, done.text
        self.path = done.headers["Location"].removeprefix("/base")
        self.ehr.seen()

    def look(self, page: str) -> TestResponse:
        """Look at another page of the session."""
        return self.visitor.http.get(f"{self.path.rpartition('/')[0]}/{page}")

    def renewals(self) -> int:
        """How often the EHR was asked for a token since this was asked last."""
        return self.ehr.seen().count("POST /token")


@pytest.fixture
def shift(build: Callable[..., World], smart_server: SmartServer) -> Shift:
    base = smart_server.base
    client = replace(
        CLIENT,
        fhir_base=base,
        fhir_servers=(ListedServer(base, Reach.LOCAL),),
        smart=SmartApp(smart_server.register(CALLBACK)),
    )
    world = with_ehrs(build(), client)
    passed = [timedelta()]
    world = replace(world, clock=lambda: datetime.now(UTC) + passed[0])
    visitor = Visitor(create_app(world=world).test_client())
    return Shift(smart_server, world, visitor, passed)


PAGES = pytest.mark.parametrize("page", ["why", "timeline"])


@PAGES
def test_a_token_that_the_ehr_takes_no_more_is_renewed_and_the_page_is_shown(
    shift: Shift, page: str
) -> None:
    shift.open()
    before = shift.look(page).text
    assert "HTTP 401" not in before
    shift.ehr.expire()
    shift.ehr.seen()

    answered = shift.look(page)

    assert answered.status_code == 200
    assert "Peter Chalmers" in answered.text and "HTTP 401" not in answered.text
    assert shift.renewals() == 1
    assert shift.look(page).status_code == 200
    assert shift.renewals() == 0


@PAGES
def test_an_ehr_that_takes_the_next_token_no_more_either_is_asked_no_third_time(
    shift: Shift, page: str
) -> None:
    shift.open()
    shift.ehr.set(refuses=["*"])

    answered = shift.look(page)

    assert answered.status_code == 403
    assert "Open it from the EHR again" in answered.text
    assert "Chalmers" not in answered.text
    assert "Max-Age=0" in cookies_of(answered)[f"__Host-s-{id_of(shift.path)}"]
    assert shift.renewals() == 1
    assert shift.look("consent").status_code == 404
    told = audited(shift.world)[-1]
    assert (told["signIn"], told["why"]) == (
        "ended",
        "The EHR does not accept a new token either.",
    )


@PAGES
def test_without_a_refresh_token_the_session_ends_and_says_to_open_it_again(
    shift: Shift, page: str
) -> None:
    shift.ehr.set(refreshes=False)
    shift.open()
    shift.ehr.expire()

    answered = shift.look(page)

    assert answered.status_code == 403
    assert "The EHR no longer accepts our token" in answered.text
    assert "Open it from the EHR again" in answered.text
    assert "Chalmers" not in answered.text
    assert shift.renewals() == 0
    assert audited(shift.world)[-1]["signIn"] == "ended"
    assert shift.look("consent").status_code == 404


@PAGES
def test_an_id_token_that_is_not_believed_ends_the_session_and_nothing_is_shown(
    shift: Shift, page: str
) -> None:
    shift.open()
    shift.ehr.set(again={"id_token": "e30.e30.AAAA"})
    shift.ehr.expire()

    answered = shift.look(page)

    assert answered.status_code == 403
    assert "The ID token is not believed" in answered.text
    assert "Open it from the EHR again" in answered.text
    assert "Chalmers" not in answered.text
    assert "not believed" in audited(shift.world)[-1]["why"]
    assert shift.look("consent").status_code == 404


def test_an_ehr_that_refuses_a_part_of_the_chart_alone_ends_and_renews_nothing(
    shift: Shift,
) -> None:
    shift.open()
    shift.ehr.set(refuses=["Observation"])

    answered = shift.look("why")

    assert answered.status_code == 200
    assert "HTTP 401" in answered.text
    assert shift.renewals() == 0


def test_a_permission_that_was_taken_back_is_said_on_a_page_without_the_patient(
    shift: Shift,
) -> None:
    shift.open()
    shift.ehr.revoke()

    answered = shift.look("timeline")

    assert answered.status_code == 403
    assert "The EHR permits it no longer." in answered.text
    assert "Chalmers" not in answered.text


def test_a_page_without_an_ehr_outlasts_its_first_token_and_ends_after_eight_hours(
    shift: Shift,
) -> None:
    shift.ehr.set(supported=["offline_access"], accessSeconds=600)
    shift.start()
    shift.passed[0] = timedelta(minutes=11)

    assert "Peter Chalmers" in shift.look("why").text
    assert shift.renewals() == 1
    while shift.passed[0] < timedelta(hours=7, minutes=59):
        shift.passed[0] += timedelta(minutes=12)
        assert shift.look("consent").status_code == 200
    shift.passed[0] = timedelta(hours=8, seconds=1)
    assert shift.look("consent").status_code == 404

    def quiet(event: str, **facts: object) -> None:
        """Log nothing."""

    give_back = give_back_when_over(shift.world, quiet)
    world = shift.world
    Housekeeper(world.store, Keep(), world.clock, quiet, give_back=give_back).look()
    assert shift.ehr.seen().count("POST /token/revocation") == 2


def test_a_page_without_an_ehr_that_lists_nothing_ends_with_its_first_token(
    shift: Shift,
) -> None:
    shift.ehr.set(accessSeconds=600)
    shift.start()
    shift.passed[0] = timedelta(minutes=11)

    answered = shift.look("why")

    assert answered.status_code == 403
    assert "The EHR&#39;s permission has expired" in answered.text
    assert "Open it from the EHR again" in answered.text
