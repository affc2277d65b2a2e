"""From the chart to the card, by its link through the EHR's sign-in, to why."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from ..e2e.conftest import prepared
from ..smart_server import SmartServer, smart_server_process
from .browsing import (
    NARROWEST,
    Visitor,
    hidden_focus,
    sideways,
    small_targets,
    violations,
    walk,
)
from .hospital import Hospital, link_of, running_hospital

__all__ = ["prepared", "smart_server_process"]
Visit = Callable[..., Visitor]
PAGES = ("card", "why", "timeline", "consent")
SUMMARY = "despite metoprolol: ask about missed doses"


@pytest.fixture(scope="module")
def hospital(
    prepared: Path,
    smart_server_process: SmartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hospital]:
    smart_server_process.reset()
    folder = tmp_path_factory.mktemp("hospital")
    with running_hospital(folder, prepared, smart_server_process) as running:
        yield running


@pytest.fixture
def enter(visit: Visit, hospital: Hospital) -> Callable[..., Page]:
    """Opens a chart, and presses the link of its card: with a browser of one's own."""

    def press(patient: str, label: str = "Why", **options: Any) -> Page:
        card = hospital.open_chart(hospital.admit(patient, "Peter"))[0]
        visitor = visit(hospital.base, own_host_only=False, **options)
        return hospital.launch(visitor, patient, link_of(card, label))

    return press


def test_a_card_leads_through_the_ehr_to_why_it_was_shown(
    enter: Callable[..., Page], hospital: Hospital
) -> None:
    page = enter("why-1")

    assert urlsplit(page.url).path.endswith("/why")
    assert SUMMARY in page.inner_text("main")
    assert "112 /min" in page.inner_text("main")
    assert "Observation/o0-why-1" in page.inner_text("main")
    assert "Peter Chalmers" in page.inner_text("header")
    assert "MRN-why-1" in page.inner_text("header")


def test_an_override_on_the_page_is_feedback_as_from_the_ehr(
    enter: Callable[..., Page], hospital: Hospital
) -> None:
    page = enter("over-1")
    page.get_by_role("link", name="Card", exact=True).click()
    page.get_by_label("Normal for this patient").check()
    page.get_by_label("Comment").fill("Known for years")

    page.get_by_role("button", name="Record as overridden").click()

    said = page.get_by_role("status").inner_text()
    assert "Recorded as overridden" in said and "Normal for this patient" in said
    assert "is not shown" in said or "count as wrong" in said
    rows = hospital.server.rows(
        "select f.outcome, f.reason_code, f.user_comment, f.rule from feedback f"
        " join cards c on c.uuid = f.card where c.patient_id = 'over-1'"
    )
    rule = "beta-blocker-resting-tachycardia"
    assert rows == [("overridden", "known-baseline", "Known for years", rule)]
    assert SUMMARY not in str(hospital.open_chart("over-1"))


def test_a_suggestion_that_is_taken_on_the_page_is_kept(
    enter: Callable[..., Page], hospital: Hospital
) -> None:
    page = enter("taken-1")
    page.get_by_role("link", name="Card", exact=True).click()
    page.get_by_label("Draft an order for a 12-lead ECG").check()

    page.get_by_role("button", name="Record as accepted").click()

    assert "12-lead ECG" in page.get_by_role("status").inner_text()
    rows = hospital.server.rows(
        "select f.outcome from feedback f join cards c on c.uuid = f.card"
        " where c.patient_id = 'taken-1'"
    )
    assert rows == [("accepted",)]


def test_each_page_that_was_looked_at_is_in_the_audit_trail(
    enter: Callable[..., Page], hospital: Hospital
) -> None:
    page = enter("seen-1")
    page.get_by_role("link", name="Consent").click()
    page.wait_for_url("**/consent")

    rows = hospital.server.rows(
        "select detail from audit where kind = 'view' and patient_id = 'seen-1'"
        " order by sequence"
    )
    assert ['"why"' in rows[0][0], '"consent"' in rows[1][0]] == [True, True]
    assert hospital.server.breaks() == []


def test_without_results_the_page_says_that_they_were_not_read(
    visit: Visit, hospital: Hospital
) -> None:
    patient = hospital.admit("blind-1", "Peter")
    kinds = ("patient/Observation.rs", "patient/Observation.read")
    hospital.smart.set(drop=[*kinds, "patient/Observation.s", "patient/Observation.r"])
    try:
        visitor = visit(hospital.base, own_host_only=False)
        page = hospital.launch(visitor, patient)
        text = page.inner_text("main")
    finally:
        hospital.smart.set(drop=[])

    assert "For the chart as it is now" in text
    assert "Not known" in text and "Not read" in text
    assert "could not be read" in text


def test_two_patients_in_two_tabs_never_mix(visit: Visit, hospital: Hospital) -> None:
    visitor = visit(hospital.base, own_host_only=False)
    pages = {}
    for patient, given in (("tab-1", "Peter"), ("tab-2", "Paula")):
        card = hospital.open_chart(hospital.admit(patient, given))[0]
        pages[given] = hospital.launch(visitor, patient, link_of(card))

    for given, page in pages.items():
        page.reload()
        page.get_by_role("link", name="Consent").click()
        page.wait_for_url("**/consent")
        assert f"{given} Chalmers" in page.inner_text("header")


def test_log_out_ends_it(enter: Callable[..., Page]) -> None:
    page = enter("out-1")
    address = page.url

    page.get_by_role("button", name="Log out").click()

    expect(page.locator("main")).to_contain_text("logged out", ignore_case=True)
    answered = page.request.get(address)
    assert answered.status == 404
    assert "Peter" not in answered.text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(enter: Callable[..., Page], scheme: str) -> None:
    page = enter(f"axe-{scheme}", color_scheme=scheme)
    found = {}

    for name in PAGES:
        page.goto(page.url.rpartition("/")[0] + f"/{name}")
        page.evaluate("document.querySelectorAll('details').forEach(e => e.open = 1)")
        found[name] = violations(page) + small_targets(page)

    assert found == {name: [] for name in PAGES}


def test_at_the_width_of_a_small_phone_nothing_is_scrolled_sideways(
    enter: Callable[..., Page],
) -> None:
    page = enter("narrow-1", viewport={"width": NARROWEST, "height": 640})
    over = {}

    for name in PAGES:
        page.goto(page.url.rpartition("/")[0] + f"/{name}")
        over[name] = sideways(page)

    assert over == dict.fromkeys(PAGES, 0)


def test_names_without_a_break_widen_no_page(visit: Visit, hospital: Hospital) -> None:
    patient = hospital.admit("unbroken-1", "P" * 70, "C" * 70)
    hospital.charts[patient][1]["medicationCodeableConcept"]["text"] += "x" * 90
    visitor = visit(
        hospital.base, own_host_only=False, viewport={"width": NARROWEST, "height": 256}
    )
    page = hospital.launch(visitor, patient, link_of(hospital.open_chart(patient)[0]))
    over = {}

    for name in PAGES:
        page.goto(page.url.rpartition("/")[0] + f"/{name}")
        over[name] = sideways(page)

    assert over == dict.fromkeys(PAGES, 0)


def test_the_keyboard_reaches_everything_in_order_and_is_always_seen(
    enter: Callable[..., Page],
) -> None:
    page = enter("keys-1", viewport={"width": 820, "height": 600})
    page.get_by_role("link", name="Card", exact=True).click()
    page.wait_for_url("**/card")

    stops = walk(page)

    assert stops[:5] == [
        "a Skip to the content",
        "a Card",
        "a Why",
        "a Timeline",
        "a Consent",
    ]
    assert stops[-2:] == ["button Open in a separate window", "button Log out"]
    assert stops.index("button Record as accepted") < stops.index("textarea Comment")
    assert hidden_focus(page) == []


def test_the_pages_work_without_scripts(enter: Callable[..., Page]) -> None:
    page = enter("plain-1", java_script_enabled=False)

    page.get_by_role("link", name="Card", exact=True).click()
    page.get_by_label("Already done").check()
    page.get_by_role("button", name="Record as overridden").click()

    assert "Recorded as overridden" in page.get_by_role("status").inner_text()


def test_with_forced_colors_a_truth_is_told_by_its_word(
    enter: Callable[..., Page],
) -> None:
    page = enter("forced-1", forced_colors="active")

    assert "Applies" in page.inner_text(".rule")
    assert violations(page) == []


def test_on_paper_each_sheet_names_the_patient_and_nothing_is_to_be_pressed(
    enter: Callable[..., Page],
) -> None:
    page = enter("paper-1")
    page.emulate_media(media="print")

    pressed = "button, .tabs a, input, textarea"
    shown = [each for each in page.locator(pressed).all() if each.is_visible()]
    assert shown == []
    page.evaluate("""() => {
      const room = document.createElement('div');
      room.style.height = '4000px';
      document.querySelector('main').replaceChildren(room);
      document.querySelector('footer').remove();
    }""")
    sheets = [text_shows(each) for each in pages_of(page.pdf())]
    assert len(sheets) > 2 and min(sheets) == max(sheets) > 0


def test_on_paper_what_was_folded_away_is_there(enter: Callable[..., Page]) -> None:
    page = enter("unfolded-1")
    folded = page.locator(".rule details .tree").first
    on_screen = folded.evaluate("each => each.checkVisibility()")

    page.emulate_media(media="print")

    assert on_screen is False
    assert folded.evaluate("each => each.checkVisibility()") is True
    assert folded.bounding_box() is not None


def pages_of(pdf: bytes) -> list[bytes]:
    """The content of each page of a PDF, as it is drawn."""
    found = []
    for part in pdf.split(b"stream\n")[1:]:
        try:
            drawn = zlib.decompress(part.partition(b"\nendstream")[0])
        except zlib.error:
            continue
        if b"BT" in drawn and b"Tj" in drawn:
            found.append(drawn)
    return found


def text_shows(drawn: bytes) -> int:
    """How many pieces of text are drawn."""
    return drawn.count(b"BT\n")
