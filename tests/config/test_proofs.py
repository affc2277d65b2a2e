"""How a webhook source proves who it is, as the clients file says it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.config import (
    InvalidConfig,
    Proof,
    ProofKind,
    WebhookSource,
    load_clients,
)

SECRET = "a-secret-of-the-vendor-and-ours"
STANDARD = "whsec_" + "A" * 32
URL_SECRET = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"

Write = Callable[[str], Path]


def load(file: Path) -> WebhookSource:
    (source,) = load_clients(file, development=False, lifetime=300).webhooks
    return source


def entry(proof: str, secret: str = SECRET, formats: str = "nightscout") -> str:
    return (
        f"webhooks: [{{id: w, secrets: [{secret}], formats: [{formats}],"
        f" proof: {proof}}}]"
    )


def test_a_source_signs_as_standard_webhooks_asks_unless_it_says_otherwise(
    write: Write,
) -> None:
    source = load(write(f"webhooks: [{{id: w, secrets: [{STANDARD}]}}]"))

    assert source.proof == Proof(ProofKind.STANDARD_WEBHOOKS)


@pytest.mark.parametrize(
    ("told", "proof"),
    [
        ("nightscout", Proof(ProofKind.NIGHTSCOUT)),
        ("{kind: nightscout}", Proof(ProofKind.NIGHTSCOUT)),
        (
            "{kind: header, header: X-Gateway-Key}",
            Proof(ProofKind.HEADER, "x-gateway-key"),
        ),
        (
            "{kind: hmac-sha256, header: x-oura-signature,"
            " timestamp_header: x-oura-timestamp}",
            Proof(ProofKind.HMAC_SHA256, "x-oura-signature", "x-oura-timestamp"),
        ),
        (
            "{kind: hmac-sha256, header: x-sig, encoding: base64, prefix: sha256=}",
            Proof(ProofKind.HMAC_SHA256, "x-sig", "", "base64", "sha256="),
        ),
    ],
)
def test_a_proof_is_read_as_it_is_written(
    write: Write, told: str, proof: Proof
) -> None:
    assert load(write(entry(told))).proof == proof


def test_a_source_of_mllp_needs_no_secret(write: Write) -> None:
    told = "{kind: mllp, addresses: [10.1.2.3], certificates: [engine.example]}"
    source = load(write(f"webhooks: [{{id: w, formats: [hl7v2], proof: {told}}}]"))

    assert source.secrets == ()
    assert source.proof == Proof(
        ProofKind.MLLP,
        addresses=("10.1.2.3/32",),
        certificates=("engine.example",),
    )


def test_a_secret_that_stands_in_a_url_has_characters_of_urls(write: Write) -> None:
    assert load(write(entry("path", URL_SECRET))).secrets == (URL_SECRET,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "webhooks: [{id: w, formats: [hl7v2], proof: mllp}]",
            "webhooks[0].proof: addresses or certificates must be given",
        ),
        (
            "webhooks: [{id: w, formats: [hl7v2],"
            " proof: {kind: mllp, addresses: [10.1.2.3/8]}}]",
            "must be an IP address or a network, such as 10.1.2.0/24",
        ),
        (
            "webhooks: [{id: w, formats: [fhir],"
            " proof: {kind: mllp, addresses: [10.0.0.0/8]}}]",
            "webhooks[0].formats[0]: fhir are not delivered over MLLP",
        ),
        (
            f"webhooks: [{{id: w, secrets: [{SECRET}], formats: [hl7v2],"
            " proof: {kind: mllp, addresses: [10.0.0.0/8]}}]",
            "webhooks[0]: a source authenticated by its connection has no secret",
        ),
        (
            entry("{kind: nightscout, addresses: [10.0.0.0/8]}"),
            "webhooks[0].proof: addresses is not of this kind",
        ),
        (entry("pigeon"), "proof.kind: input should be 'standard-webhooks', 'hmac"),
        (entry("hmac-sha256"), "webhooks[0].proof: header must be given"),
        (entry("header"), "webhooks[0].proof: header must be given"),
        (
            entry("{kind: nightscout, header: x-a}"),
            "webhooks[0].proof: header is not of this kind",
        ),
        (
            entry("{kind: header, header: x-a, prefix: a}"),
            "webhooks[0].proof: prefix is not of this kind",
        ),
        (
            entry("{kind: header, header: x-a, timestamp_header: x-b}"),
            "webhooks[0].proof: timestamp_header is not of this kind",
        ),
        (
            entry("{kind: header, header: Authorization}"),
            "proof.header: must not be one that means something else here",
        ),
        (
            entry("{kind: hmac-sha256, header: webhook-signature}"),
            "proof.header: must not be one that means something else here",
        ),
        (entry("{kind: header, header: 'a b'}"), "proof.header: must be the name of"),
        (entry("{kind: header, hedder: x}"), "did you mean `header`?"),
        (
            entry("nightscout", formats="alerts"),
            "webhooks[0].formats[0]: alerts are signed as Standard Webhooks asks",
        ),
        (
            entry("path", URL_SECRET, formats="samples"),
            "webhooks[0].formats[0]: samples have no URL with a secret in it",
        ),
        (
            entry("nightscout", "short-secret"),
            "secrets[0]: must be 24 printable ASCII characters or more",
        ),
        (
            entry("path", SECRET + "-with-a-/-slash"),
            "secrets[0]: must be 32 letters, digits, - or _, or more",
        ),
        (
            entry("path", SECRET),
            "secrets[0]: must be 32 letters, digits, - or _, or more",
        ),
    ],
)
def test_what_proves_nothing_is_refused_by_its_name(
    write: Write, text: str, expected: str
) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(write(text))

    told = "\n".join(refused.value.problems)
    assert expected in told
    assert SECRET not in told
