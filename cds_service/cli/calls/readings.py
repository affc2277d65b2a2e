"""Readings of a simulated watch, sent to a server in any format that it takes."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from ...ehr.dialects import DIALECTS, SimulatedWearer
from ...ehr.hours import HourStep, play_hour
from ...ingestion import SAMPLES, SOURCES
from ...protocol.conformance import Reply
from ...wearables.adapters.registry import FORMATS
from .deliveries import (
    FORGER,
    OutgoingDelivery,
    answer_of,
    deliver,
    post,
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

    @property
    def media_type(self) -> str:
        """Return what the body is said to be."""
        return FORMATS[self.format].media_types[0]


def play_readings(name: str, sending: Sending, now: datetime) -> int:
    """Return how many answers were not as expected; prints what was sent and said."""
    failures, before = 0, b""
    steps = play_hour(name, now, sending.minutes, sending.seed)
    for number, step in enumerate(steps):
        told = DIALECTS[sending.format](step.readings, sending.wearer)
        body = told if isinstance(told, str) else json.dumps(told)
        click.echo(f"  {step.says}: {len(step.readings)} minutes, {len(body):,} bytes")
        if not sending.url:
            click.echo(f"    {body}")
            continue
        if sending.speed:
            time.sleep(60 * sending.minutes / sending.speed)
        repeats = number - 1 if step.repeats else number
        reply = _send(body, f"{name}-{repeats}", step, sending)
        wrong = "; ".join(_faults(step, reply, before))
        failures += bool(wrong)
        verdict = f"NOT AS EXPECTED: {wrong}" if wrong else "as expected"
        click.echo(f"    {reply.status} {say_counts(reply)}: {verdict}")
        before = reply.content
    return failures


def _send(body: str, part: str, step: HourStep, sending: Sending) -> Reply:
    url = webhook_url(sending.url, sending.path)
    key = f"{part}-{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    if not sending.token:
        delivery = OutgoingDelivery(key, body, datetime.now(UTC))
        secret = FORGER if step.forged else sending.secret
        return deliver(delivery, url, secret, sending.media_type)
    token = "cdsw_forged" if step.forged else sending.token
    headers = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": key,
        "Content-Type": sending.media_type,
    }
    return post(url, body, headers)


def _faults(step: HourStep, reply: Reply, before: bytes) -> Iterator[str]:
    """Yield what is not as a right server would answer."""
    status = reply.status
    if step.forged:
        if status != 401:
            yield "expected 401"
        return
    if status == 401 or status >= 500:
        yield "expected the delivery to be accepted"
    elif step.repeats and reply.content != before:
        yield "expected the same answer as before"
    answer = answer_of(reply)
    others = {
        name: number
        for name, number in answer.items()
        if isinstance(number, int) and number and name != step.outcome
    }
    if others and not step.repeats and "results" in answer:
        yield f"expected all to be {step.outcome}"


def say_counts(reply: Reply) -> str:
    """Return how many items became what, in a few words."""
    answer: dict[str, Any] = answer_of(reply)
    counts = [
        f"{number:,} {name}"
        for name, number in answer.items()
        if isinstance(number, int) and number
    ]
    return ", ".join(counts) if counts and "results" in answer else read(reply)
