"""Trying rules as one EHR would be answered: its profile, its pages, its wearers."""

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.ehr.fixture_server import load_records, serve_records

from .conftest import Browser, OpenBrowser
from .plays import BETA, bundle, heart_rate, send, serving_of, summaries, truths

HOUR = {"chart": "fixture patient-view/fast-hour", "watch": "hour steady_tachy"}
WHY_LINK = r'formaction="/workbench/why"[^>]*>\s*Why this card'
TOKEN_KEY = base64.b64encode(bytes(32)).decode()
BASE = "https://fhir.example.org/r4"
OPENS = {
    "fhir_base": BASE,
    "fhir_servers": [BASE],
    "smart": {"client_id": "cds-service"},
}


@pytest.fixture
def author_of(browse: OpenBrowser, tmp_path: Path, keys: Any) -> Any:
    """Signs in an author where these clients are configured, by their names."""

    def sign_in(**clients: Any) -> Browser:
        entries = [
            {
                "id": name,
                "iss": f"https://{name}.example.org",
                "keys": [{**keys[1], "kid": "k"}],
                **entry,
            }
            for name, entry in clients.items()
        ]
        file = tmp_path / "clients-of-the-site.yaml"
        file.write_text(json.dumps({"clients": entries}))
        browser = browse(clients_file=str(file), token_key=TOKEN_KEY)
        author = browser.sign_in("author")
        author.get("/workbench/try")
        return author

    return sign_in


def assumed(page: str) -> str:
    """What the page says it takes for granted."""
    part = page.partition('id="assumed"')[2].partition("</section>")[0]
    return html.unescape(re.sub(r"<[^>]+>", "", part))


def test_a_link_to_a_page_of_the_card_is_drawn_as_what_launches_an_app(
    author: Browser,
) -> None:
    card = author.last.partition("<article")[2].partition("</article>")[0]

    assert "What the wearable measured" in card
    assert card.count("launches the app") == 2
    assert "do nothing here" in author.last


def test_the_link_to_why_opens_why_of_the_same_play(author: Browser) -> None:
    card = author.last.partition("<article")[2].partition("</article>")[0]

    assert re.search(WHY_LINK, card)
    assert len(re.findall("formaction", card)) == 1


def test_an_app_of_somebody_else_is_told_of_as_well_and_launches_nothing(
    browse: OpenBrowser, tmp_path: Path
) -> None:
    link = "{label: Growth chart, type: smart, url: 'https://app.example.org/l'}"
    label = "source: {label: Test}"
    serving = serving_of(tmp_path / "rules", {label: f"{label}\n  links: [{link}]"})
    author = browse(serving=serving).sign_in("author")
    author.get("/workbench/try")
    page = send(author, chart="upload", upload=json.dumps(bundle(heart_rate(141))))

    card = page.partition("<article")[2].partition("</article>")[0]
    assert "Growth chart" in card
    assert "launches the app" in card
    assert "https://app.example.org" not in card
    assert "formaction" not in card


def test_a_client_that_opens_no_pages_is_shown_no_link_to_one(author_of: Any) -> None:
    author = author_of(north={}, south=OPENS)

    page = send(author, client="north")
    assert "launches the app" not in page
    assert "opens no pages of this server" in assumed(page)

    page = send(author, client="south")
    assert page.count("launches the app") == 2
    assert "opens no pages" not in assumed(page)


def test_a_card_is_what_the_client_that_is_chosen_understands(author_of: Any) -> None:
    author = author_of(north={"profile": {"any": True}})
    unknown = send(author, "why")
    assert "&#34;selectionBehavior&#34;: &#34;at-most-one&#34;" in unknown

    page = send(author, "why", client="north")

    assert '<option value="north" selected>' in page
    assert "&#34;selectionBehavior&#34;: &#34;any&#34;" in page


def test_a_client_is_offered_the_services_that_it_has(author_of: Any) -> None:
    author = author_of(north={"services": ["another-service"]})

    page = send(author, client="north")

    assert "has no service" in page
    assert summaries(page) == []


def test_what_is_assumed_of_who_calls_is_said(author_of: Any) -> None:
    author = author_of(north={})

    assert "an unknown EHR" in assumed(author.last)
    assert "as configured in the clients file" in assumed(send(author, client="north"))


def test_a_client_that_nobody_configured_is_nobody(author: Browser) -> None:
    page = send(author, client="no-such-client")

    assert "an unknown EHR" in assumed(page)
    assert len(summaries(page)) == 1


def test_the_server_of_a_client_is_read_as_that_client(author_of: Any) -> None:
    records = load_records([bundle()])
    with serve_records(records) as fhir:
        author = author_of(
            north={"open_fhir_servers": [fhir.base], "profile": {"any": True}},
            south={},
        )
        chart = f"server north {fhir.base}"

        page = send(author, chart=chart, patient="p1", client="south")

    assert "north, whose FHIR server it is" in assumed(page)
    assert 'name="client"' not in page


def test_while_consent_stands_readings_of_the_watch_make_a_card(
    author: Browser,
) -> None:
    page = send(author, **HOUR)

    assert len(summaries(page)) == 1
    assert "counts as consent" in assumed(page)


def test_once_consent_is_withdrawn_nothing_of_the_watch_is_used(
    author: Browser,
) -> None:
    page = send(author, **HOUR, consent="withdrawn")

    assert summaries(page) == []
    assert truths(page)[BETA] != "Applies"
    assert "an hour at rest, fast: 202" in page
    assert "the wearer withdraws: 202" in page
    assert "withdrawn after the watch has sent its data" in assumed(page)


def test_without_consent_nothing_of_the_watch_is_taken(author: Browser) -> None:
    page = send(author, **HOUR, consent="missing")

    assert summaries(page) == []
    assert truths(page)[BETA] != "Applies"
    assert "No Consent is on record" in assumed(page)


def test_where_readings_of_another_fhir_base_are_told_they_are_found(
    author_of: Any,
) -> None:
    author = author_of(north=OPENS)

    page = send(author, **HOUR, client="north")

    assert len(summaries(page)) == 1
