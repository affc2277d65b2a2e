"""Trying rules on charts: what an author sees before a rule is ever served."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.web.workbench.trying import REHEARSAL, Rehearsal

from .conftest import Browser, OpenBrowser
from .plays import (
    BETA,
    FIRES,
    bundle,
    card_ids,
    heart_rate,
    send,
    serving_of,
    summaries,
    truths,
    upload,
)

TEXTAREA = re.compile(r'<textarea name="upload"[^>]*>(.*?)</textarea>', re.S)
HOSTILE = json.loads(
    (Path(__file__).parents[2] / "hostile_texts.json").read_text("utf-8")
)
WORDS = [each for group in HOSTILE.values() for each in group if isinstance(each, str)]


def test_a_fixture_shows_its_card_as_an_ehr_would(author: Browser) -> None:
    page = author.last

    assert len(summaries(page)) == 1
    assert "despite metoprolol" in summaries(page)[0]
    assert "<strong>up to 118 /min</strong>" in page
    assert truths(page)[BETA] == "Applies"
    assert "Draft an order for a 12-lead ECG</button>" in page


def test_without_a_prefetch_key_nothing_is_concluded_and_it_is_said_why(
    author: Browser,
) -> None:
    page = send(author, **{"state_medication-requests": "dropped"})

    assert summaries(page) == []
    assert truths(page)[BETA] == "Not known"
    assert "it could not be read" in page
    assert "status 412" in page


def test_a_source_that_fails_makes_what_rests_on_it_unknown(author: Browser) -> None:
    chart = "fixture patient-view/heavier-in-heart-failure"
    weight = "Rapid gain of weight in heart failure"

    page = send(author, chart=chart)
    assert (len(summaries(page)), truths(page)[weight]) == (1, "Applies")

    page = send(author, chart=chart, **{"state_observations": "failed"})
    assert truths(page)[weight] == "Not known"
    assert "it could not be read" in page


def test_the_clock_can_be_moved_and_cards_go_with_it(author: Browser) -> None:
    page = send(author, shift="30d")

    assert "Time of the call: 22 Dec 2026" in page
    assert not any("despite metoprolol" in each for each in summaries(page))
    assert truths(page)[BETA] == "Not known"
    assert "not recorded" in page


def test_readings_of_a_watch_go_through_the_door_that_real_ones_take(
    author: Browser,
) -> None:
    before = send(author, chart="fixture patient-view/fast-hour")
    assert summaries(before) == []

    for format in ("samples", "fhir"):
        page = send(
            author,
            chart="fixture patient-view/fast-hour",
            watch="hour steady_tachy",
            format=format,
        )

        assert "an hour at rest, fast: 202" in page

    page = send(
        author, chart="fixture patient-view/fast-hour", watch="hour steady_tachy"
    )
    assert len(summaries(page)) == 1


def test_notices_of_a_watch_can_be_played_as_well(author: Browser) -> None:
    page = send(
        author, chart="fixture patient-view/silent", watch="alert irregular_rhythm"
    )

    assert "a notice: 202, 1 accepted" in page


def test_an_override_is_sent_and_found_and_the_card_stays_away(
    author: Browser,
) -> None:
    (card,) = card_ids(author.last)
    reason = re.search(r'<option value="(\S+?\|\S+?)">', author.last)
    assert reason

    page = send(
        author,
        do=f"overridden {card}",
        **{f"reason:{card}": reason[1], f"comment:{card}": "seen yesterday"},
    )

    rule = "beta-blocker-resting-tachycardia@"
    assert f"on record for <code>{rule}" in page
    assert reason[1].rpartition("|")[2] in page
    assert "“seen yesterday”" in page
    assert "When the chart is opened again, it has 0 cards; 1 held back" in page
    assert card_ids(page) == [card]


def test_what_was_done_with_a_card_stays_done_while_other_things_change(
    author: Browser,
) -> None:
    (card,) = card_ids(author.last)
    send(author, do=f"overridden {card}")

    page = send(author, **{"state_observations": "failed"})

    assert "Feedback that was sent" in page


def test_a_suggestion_is_accepted_by_its_button(author: Browser) -> None:
    found = re.search(r'value="(accepted \S+ \S+)"', author.last)
    assert found

    page = send(author, do=found[1])

    assert re.search(r"accepted</span>\s*on record for <code>", page)


def test_nothing_that_is_tried_is_among_what_happened(
    author: Browser, rows: Any
) -> None:
    (card,) = card_ids(author.last)
    send(author, do=f"overridden {card}", watch="hour steady_tachy", shift="365d")

    for table in ("calls", "cards", "feedback", "wearable_alerts", "samples"):
        assert rows(f"SELECT * FROM {table}") == []
    metrics = author.world.store.audit_entries()
    kinds = {each.kind for each in metrics}
    assert kinds == {"sign-in", "view"}


def test_it_is_rehearsed_when_an_author_opens_the_workbench(
    browse: OpenBrowser,
) -> None:
    author = browse().sign_in("author")

    author.get("/workbench/")

    assert REHEARSAL.begin(author.http.application, author.world) is None


def test_the_first_play_is_rehearsed_once_and_nothing_is_left_of_it(
    browse: OpenBrowser, rows: Any
) -> None:
    author = browse().sign_in("author")
    before = len(list(author.world.store.audit_entries()))
    rehearsal = Rehearsal()

    thread = rehearsal.begin(author.http.application, author.world)

    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()
    assert rehearsal.begin(author.http.application, author.world) is None
    assert rows("SELECT * FROM calls") == []
    assert len(list(author.world.store.audit_entries())) == before


def test_where_nothing_can_be_played_the_page_says_why_and_what_to_do(
    author: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setenv("TMPDIR", str(gone))

    answer = author.get("/workbench/try")

    assert answer.status_code == 200
    said = answer.text[answer.text.index('role="alert"') :].partition("</div>")[0]
    assert str(gone) in said and "No such file or directory" in said
    assert "Make room there, or start the server with TMPDIR" in said


def test_a_rehearsal_that_cannot_be_played_leaves_the_telling_to_the_page(
    author: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))

    thread = Rehearsal().begin(author.http.application, author.world)

    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()  # and an error in it would fail the run


def test_who_looked_at_whose_chart_is_in_the_trail(author: Browser) -> None:
    entries = list(author.world.store.audit_entries())

    told = json.loads(entries[-1].detail)
    assert entries[-1].kind == "view"
    assert told["user"] == "jane@desk"
    assert (told["page"], told["chart"], told["patient"]) == ("try", FIRES, "fires")


@pytest.mark.parametrize("path", ["/workbench/try", "/workbench/why"])
def test_a_viewer_sees_no_chart(browse: OpenBrowser, path: str) -> None:
    browser = browse().sign_in("viewer")

    answer = browser.get(path)

    assert answer.status_code == 403
    assert "requires the role author" in answer.text
    assert path not in browser.get("/workbench/").text


def test_why_tells_every_rule_that_was_considered_fired_or_not(
    author: Browser,
) -> None:
    rulebook = author.world.rulebook
    (service,) = rulebook.services.values()

    page = send(author, "why")

    for asked in service.rules:
        assert f"<code>{asked.id}@{asked.version}</code>" in page
    judged = page.partition('id="judged"')[2].partition("</section>")[0]
    # Links to pages of a server that is tried on its own machine.
    assert set(re.findall(r"<code>([A-Z]+-\d+)</code>", judged)) == {"C-25"}
    assert "is http; a client over https may refuse" in judged
    assert "<dt>gather</dt>" in page
    assert "&#34;hookInstance&#34;" in page


def test_an_answer_that_keeps_the_standard_is_said_to(author: Browser) -> None:
    page = send(author, "why", chart="fixture patient-view/silent")

    assert "No violation was found." in page


def test_why_leads_from_a_criterion_to_the_entry_that_it_rests_on(
    author: Browser,
) -> None:
    page = send(author, "why")

    found = re.search(
        r'<a href="#(entry-\d+)"><code>(Observation/\w+)</code></a>', page
    )
    assert found
    text = page.partition(f'<details id="{found[1]}"')[2].partition("</details>")[0]
    assert f"<code>{found[2]}</code>" in text
    assert "valueQuantity" in text


def test_why_a_call_was_refused_is_told_with_what_each_rule_would_have_said(
    author: Browser,
) -> None:
    page = send(author, "why", **{"state_conditions": "failed"})

    assert "Answer, status 412" in page
    assert "it could not be read" in page


def test_an_upload_is_tried_and_goes_back_with_the_page(author: Browser) -> None:
    page = upload(author, json.dumps(bundle(heart_rate(71))).encode())

    assert "What you uploaded</option>" in page
    assert '<option value="upload" selected>' in page
    assert "Time of the call: 22 Nov 2026" in page
    kept = html.unescape(re.search(TEXTAREA, page)[1])  # type: ignore[index]
    assert json.loads(kept)["entry"][1]["resource"]["id"] == "o1"
    assert "Observation/o1" in send(author, "why", chart="upload", upload=kept)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Choose a chart."),
        (b"no json", "This is not a Bundle"),
        (b"[" * 100_000, "This is not a Bundle"),
        (b'{"resourceType": "Bundle"}', "not a Bundle with resources"),
        (
            b'{"entry": [1, null, {"resource": 7}, {"resource": {}}]}',
            "not a Bundle with",
        ),
        (
            json.dumps({"entry": [{"resource": {"resourceType": "X"}}]}).encode(),
            "no Pa",
        ),
        (b" " * (1024 * 1024 + 1), "more than 1,048,576 bytes"),
        (b'{"entry": [' + b"1," * 600_000 + b"1]}", "more than"),
    ],
)
def test_what_is_no_chart_is_said_to_be_none(
    author: Browser, content: bytes, says: str
) -> None:
    page = upload(author, content)

    if content:
        assert says in page
        assert summaries(page) == []


ODD = [None, 7, "x", [], {}, [None], {"coding": "x"}, {"coding": [7]}, {"reference": 7}]


@pytest.mark.parametrize("odd", ODD, ids=map(str, range(len(ODD))))
def test_entries_of_any_shape_sink_nothing(author: Browser, odd: Any) -> None:
    kinds = ("Condition", "Observation", "MedicationRequest", "MedicationStatement")
    members = ("id", "subject", "code", "status", "effectiveDateTime", "category")
    more = ("clinicalStatus", "medicationReference", "medicationCodeableConcept")
    entries = [
        {"resourceType": kind, "id": "x", "subject": {"reference": "Patient/p1"}}
        | {member: odd}
        for kind in kinds
        for member in (*members, *more)
    ]

    page = upload(author, json.dumps(bundle(*entries)).encode())

    assert "What the rules said" in page


@pytest.mark.parametrize("page", ["try", "why"])
def test_hostile_words_in_every_text_of_a_chart_stay_text(
    author: Browser, page: str
) -> None:
    resources = [
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "subject": {"reference": "Patient/p1", "display": word},
            "code": {
                "text": word,
                "coding": [{"system": word, "code": word, "display": word}],
            },
            "note": [{"text": word}],
        }
        for number, word in enumerate(WORDS)
    ]

    shown = upload(author, json.dumps(bundle(*resources)).encode(), page)

    assert "<script>alert" not in shown
    assert "<img src=x" not in shown
    assert not re.search(r"<[^>]+ on\w+=", shown)
    assert 'href="javascript:' not in shown.lower()
    inside = re.findall(r"<script[^>]*>", shown)
    assert inside == [each for each in inside if 'src="/assets/play.' in each]


@pytest.mark.parametrize(
    "chart",
    [
        "fixture ../../etc",
        "bundle ../../etc/passwd",
        "bundle /etc/passwd",
        "server x y",
    ],
)
def test_a_chart_that_is_not_on_the_list_is_not_looked_for(
    author: Browser, chart: str
) -> None:
    page = send(author, chart=chart)

    assert "Choose a chart." in page


def test_bundles_of_the_folder_of_the_settings_can_be_chosen_and_no_others(
    browse: OpenBrowser, tmp_path: Path
) -> None:
    folder = tmp_path / "charts"
    (folder / "ward").mkdir(parents=True)
    (folder / "ward" / "jane.json").write_text(json.dumps(bundle()))
    (tmp_path / "secret.json").write_text(json.dumps(bundle()))
    (folder / "out.json").symlink_to(tmp_path / "secret.json")
    author = browse(workbench_charts=str(folder)).sign_in("author")
    author.get("/workbench/try")

    assert "ward/jane.json</option>" in author.last
    assert "out.json" not in author.last
    assert "What the rules said" in send(author, chart="bundle ward/jane.json")
    assert "Choose a chart." in send(author, chart="bundle out.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shift", "99999999999d"),
        ("shift", "-"),
        ("opened", "9999-12-31T23:59:59+00:00"),
        ("opened", "x"),
        ("instance", "x"),
        ("service", "no such-service"),
        ("patient", "nobody"),
        ("watch", "hour no_such_scenario"),
        ("watch", "alert bad_signature"),
        ("format", "../x"),
        ("act", "[[["),
        ("act", '["overridden", "x", "", "", "", ""]'),
        ("do", "overridden"),
        ("state:no-such-key", "dropped"),
    ],
)
def test_a_form_that_somebody_made_up_is_answered_all_the_same(
    author: Browser, name: str, value: str
) -> None:
    answer = author.post("/workbench/try", {"chart": FIRES, name: value})

    assert answer.status_code == 200
    assert "What the rules said" in answer.text


HOOKS = ("patient-view", "encounter-start", "order-select", "order-sign")


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_called_with_the_context_that_it_needs(
    browse: OpenBrowser, tmp_path: Path, hook: str
) -> None:
    hooks = {"[patient-view, encounter-start]": f"[{', '.join(HOOKS)}]"}
    serving = serving_of(tmp_path / "rules", hooks)
    author = browse(serving=serving).sign_in("author")
    author.get("/workbench/try")
    order = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "metoprolol"},
    }
    text = json.dumps(bundle(order))

    page = send(author, "why", chart="upload", upload=text, service=f"review {hook}")

    assert f"&#34;hook&#34;: &#34;{hook}&#34;" in page
    assert "Answer, status 200" in page
    assert "<code>fast@1.0.0</code>" in page
    drafts = hook in ("order-select", "order-sign")
    assert ("&#34;draftOrders&#34;" in page) is drafts
