"""What an author does on the page Try, and what is then on it."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cds_service.publishing.serving import Serving
from cds_service.rulebook.load import check_folder

from ..clinic import ALERT_TYPES, SERVICES, SITE, VALUE_SET, rule
from ..conftest import NOW
from .conftest import Browser

FIRES = "fixture patient-view/fires"
BETA = "Fast resting heart rate despite a beta-blocker"


def send(author: Browser, page: str = "try", **fields: Any) -> str:
    """Send the form as it stands on the page, with what is otherwise."""
    told = {
        name: html.unescape(value)
        for name, value in re.findall(
            r'name="(opened|instance|upload)" value="([^"]*)"', author.last
        )
    }
    acts = [
        ("act", html.unescape(each))
        for each in re.findall(r'name="act" value="([^"]*)"', author.last)
    ]
    named = {name.replace("state_", "state:"): each for name, each in fields.items()}
    sent = {"chart": FIRES, **told, **named}
    answer = author.http.post(
        f"/workbench/{page}",
        base_url=author.base,
        data={**form_token(author), **sent, **({"act": [x[1] for x in acts]})},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    author.last = answer.get_data(as_text=True)
    assert answer.status_code == 200, author.last
    return author.last


def form_token(author: Browser) -> dict[str, str]:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', author.last)
    return {"form_token": found[1]} if found else {}


def summaries(page: str) -> list[str]:
    """What the cards say, as an EHR shows them."""
    return re.findall(r'<p class="summary">(.*?)</p>', page)


def truths(page: str) -> dict[str, str]:
    """What each rule said, by its title."""
    part = page.partition('id="truths"')[2].partition("</section>")[0]
    found = re.findall(r"</svg>\s*([^<]*?)</span>\s*<span>(.*?)</span>", part)
    return {title: word for word, title in found}


def card_ids(page: str) -> list[str]:
    return re.findall(r'value="overridden ([0-9a-f-]+)"', page)


def heart_rate(value: int) -> dict[str, Any]:
    """A heart rate of an hour ago, per minute."""
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "@now-1h",
        "valueQuantity": {
            "value": value,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def bundle(*resources: Any) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
    entries = [{"resource": each} for each in (patient, *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def upload(author: Browser, content: bytes, page: str = "try") -> str:
    named = [(name, value.encode()) for name, value in form_token(author).items()]
    parts = [(f'name="{name}"', value) for name, value in named]
    parts.append(('name="file"; filename="chart.json"', content))
    lines = b"".join(
        b"--xx\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body
        for head, body in ((head, value + b"\r\n") for head, value in parts)
    )
    answer = author.http.post(
        f"/workbench/{page}",
        base_url=author.base,
        data=lines + b"--xx--\r\n",
        headers={"Sec-Fetch-Site": "same-origin"},
        content_type="multipart/form-data; boundary=xx",
    )
    author.last = answer.get_data(as_text=True)
    assert answer.status_code == 200, author.last
    return author.last


def serving_of(folder: Path, swap: Mapping[str, str]) -> Serving:
    """One rule and its service, whose texts say something else here and there."""
    named = {
        "services.yaml": SERVICES,
        "site.yaml": SITE,
        "alert-types.yaml": ALERT_TYPES,
        "valuesets/heart-rate.yaml": VALUE_SET,
        **rule("fast"),
    }
    for name, text in named.items():
        for old, new in swap.items():
            text = text.replace(old, new)
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Serving(check_folder(folder).rulebook, NOW)
