"""Signed deliveries to the webhook of a server, and its answers in words.

Source: Standard Webhooks 1.0.0.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import click
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from ...ehr.exchange import Unanswered, exchange
from ...fhir.foreign_text import clean
from ...protocol.conformance import Reply, read_json

PATIENCE = 30.0
"""Seconds to wait for the answer."""
FORGER = base64.b64encode(b"this secret is known to nobody").decode()


@dataclass(frozen=True, slots=True)
class OutgoingDelivery:
    """What is sent once."""

    id: str
    """The ``webhook-id``."""
    body: str
    signed_at: datetime
    """Aware."""


def secret_option(command: Callable[..., None]) -> Callable[..., None]:
    """Return the option ``--secret`` on a command; required where it sends."""
    option = click.option(
        "--secret",
        envvar="CDS_WEBHOOK_SECRET",
        callback=_check_secret,
        help="Secret that signs the deliveries.  [env: CDS_WEBHOOK_SECRET]",
    )
    return option(command)


def _check_secret(
    context: click.Context, parameter: click.Parameter, secret: str | None
) -> str | None:
    try:
        if secret is not None:
            Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError) as error:
        raise click.BadParameter("not base64, as in whsec_MfKQ9r8G…") from error
    return secret


def deliver(
    delivery: OutgoingDelivery,
    url: str,
    secret: str,
    media_type: str = "application/json",
) -> Reply:
    """Return the server's answer to one delivery. Raises ClickException without one."""
    signed_at = delivery.signed_at
    signature = Webhook(secret).sign(delivery.id, signed_at, delivery.body)
    headers = {
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": signature,
        "Content-Type": media_type,
    }
    return post(url, delivery.body, headers)


def post(url: str, body: str, headers: Mapping[str, str]) -> Reply:
    """Return the answer to JSON, or what else the headers say it is.

    Raises ClickException without one.
    """
    told = {"Content-Type": "application/json", **headers}
    try:
        return exchange(
            "POST", url, headers=told, body=body.encode(), patience=PATIENCE
        )
    except Unanswered as error:
        raise click.ClickException(str(error)) from error


def read(reply: Reply) -> str:
    """Return an answer in a few words."""
    answer = answer_of(reply)
    if "accepted" in answer:
        return f"{answer['accepted']} accepted, {answer.get('rejected')} rejected"
    try:
        issue = answer["issue"][0]
        words = [*issue.get("expression", []), issue["details"]["text"]]
        return clean(" ".join(words))
    except (KeyError, IndexError, TypeError, AttributeError):
        with suppress(ValueError):
            return HTTPStatus(reply.status).phrase
        return "an answer in an unknown format"


def answer_of(reply: Reply) -> dict[str, Any]:
    """Return the JSON object of an answer; empty where it holds none."""
    answer = read_json(reply.content).value
    return answer if isinstance(answer, dict) else {}


def webhook_url(url: str, path: str) -> str:
    """Return the URL of a webhook of a server, where *url* may be that already."""
    return url if url.rstrip("/").endswith(path) else url.rstrip("/") + path
