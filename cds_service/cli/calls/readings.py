"""Readings of a simulated watch, sent to a server in any format that it takes."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import requests

from ...ehr.dialects import DIALECTS, SimulatedWearer
from ...ehr.hours import HourStep, play_hour
from ...ingestion import SAMPLES, SOURCES
from .deliveries import (
    FORGER,
    TIMEOUTS,
    OutgoingDelivery,
    answer_of,
    deliver,
    read,
    webhook_url,
)


@dataclass(frozen=True, slots=True)
class Sending:
    """How, for whom and where readings are sent."""

    format: str
    wearer: SimulatedWearer
    minutes: int
    seed: int
    url: str = ""
    """Empty where nothing is sent."""
    secret: str = ""
    token: str = ""
    """Of the wearer; instead of a secret."""
    speed: float = 0.0

    @property
    def path(self) -> str:
        """Return where the server takes the format."""
        known = SAMPLES if self.format == SAMPLES.name else SOURCES[self.format]
        return known.path


def play_readings(name: str, sending: Sending, now: datetime) -> int:
    """Return how many answers were not as expected; prints what was sent and said."""
    failures, before = 0, ""
    steps = play_hour(name, now, sending.minutes, sending.seed)
    with requests.Session() as session:
        for number, step in enumerate(steps):
            body = json.dumps(DIALECTS[sending.format](step.readings, sending.wearer))
            click.echo(
                f"  {step.says}: {len(step.readings)} minutes, {len(body):,} bytes"
            )
            if not sending.url:
                click.echo(f"    {body}")
                continue
            if sending.speed:
                time.sleep(60 * sending.minutes / sending.speed)
            repeats = number - 1 if step.repeats else number
            response = _send(session, body, f"{name}-{repeats}", step, sending)
            wrong = "; ".join(_faults(step, response, before))
            failures += bool(wrong)
            verdict = f"NOT AS EXPECTED: {wrong}" if wrong else "as expected"
            click.echo(f"    {response.status_code} {_counts(response)}: {verdict}")
            before = response.text
    return failures


def _send(
    session: requests.Session, body: str, part: str, step: HourStep, sending: Sending
) -> requests.Response:
    url = webhook_url(sending.url, sending.path)
    key = f"{part}-{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    if not sending.token:
        delivery = OutgoingDelivery(key, body, datetime.now(UTC))
        return deliver(
            session, delivery, url, FORGER if step.forged else sending.secret
        )
    token = "cdsw_forged" if step.forged else sending.token
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": key,
    }
    try:
        return session.post(
            url, body, headers=headers, timeout=TIMEOUTS, allow_redirects=False
        )
    except requests.RequestException as error:
        text = f"{url} does not answer ({type(error).__name__})."
        raise click.ClickException(text) from error


def _faults(step: HourStep, response: requests.Response, before: str) -> Iterator[str]:
    """Yield what is not as a right server would answer."""
    status = response.status_code
    if step.forged:
        if status != 401:
            yield "expected 401"
        return
    if status == 401 or status >= 500:
        yield "expected that it is understood"
    elif step.repeats and response.text != before:
        yield "expected the same answer as before"
    answer = answer_of(response)
    others = {
        name: number
        for name, number in answer.items()
        if isinstance(number, int) and number and name != step.outcome
    }
    if others and not step.repeats and "results" in answer:
        yield f"expected that all are {step.outcome}"


def _counts(response: requests.Response) -> str:
    answer: dict[str, Any] = answer_of(response)
    counts = [
        f"{number:,} {name}"
        for name, number in answer.items()
        if isinstance(number, int) and number
    ]
    return ", ".join(counts) if counts and "results" in answer else read(response)
