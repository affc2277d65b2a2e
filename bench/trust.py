"""Trust: what a token costs a call, and what a flood of bad ones costs the others.

The same body and rules, recording on: first without trust, then with tokens of ES384
and RS384, each spent in the database. Runs alternate, and ratios of medians are
printed. Then good calls at a steady pace, alone and beside 10,000 bad tokens a minute.
"""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.ehr.tokens import Claims, build_token

from .content import build_body, write_rules
from .serving import (
    PATH,
    ROUNDS,
    SECONDS,
    finish,
    print_conditions,
    serve,
    start,
)

ISSUER = "https://ehr.example.org"
PUBLIC = "https://cds.example.org"
BAD_A_MINUTE = 10_000
PACE = 20.0
"""Good calls a second beside the flood."""
TOKENS = int(os.environ.get("BENCH_TOKENS", "2500"))
"""Made for a run at most; it ends early where they are spent."""


@dataclass
class Subject:
    """One way of calling, and what was measured so far."""

    name: str
    port: int
    key: Any = None
    kid: str = ""
    took: dict[int, list[float]] = field(default_factory=dict)
    """By connections: the median milliseconds of each round."""
    rates: dict[int, list[float]] = field(default_factory=dict)
    """By connections: requests a second of each round."""

    def tokens(self, count: int) -> list[str]:
        """Tokens that are good for one call each."""
        if self.key is None:
            return []
        claims = Claims(ISSUER, PUBLIC + PATH, self.kid, lifetime=3600)
        now = datetime.now(UTC)
        return [build_token(self.key, claims, now) for _ in range(count)]

    def median(self, connections: int) -> float:
        """Median milliseconds of a call."""
        return statistics.median(self.took[connections])

    def rate(self, connections: int) -> float:
        """Median requests a second."""
        return statistics.median(self.rates[connections])


def main() -> None:
    """Measure and print."""
    es, rs = ec.generate_private_key(ec.SECP384R1()), _rsa_key()
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        body = folder / "body.json"
        body.write_bytes(build_body())
        print_conditions(body)
        rules = write_rules(folder / "rules", 10)
        clients = _write_clients(folder, es, rs)
        with (
            _serve(folder, rules, "off", None) as off,
            _serve(folder, rules, "on", clients) as on,
        ):
            bare = Subject("no trust", off)
            signed = [Subject("ES384", on, es, "es"), Subject("RS384", on, rs, "rs")]
            compare([bare, *signed], body)
            print_costs(bare, signed)
            flood(signed[0], body)


def compare(subjects: Sequence[Subject], body: Path) -> None:
    """Load each way in turn, round after round, after a warm-up of each."""
    for subject in subjects:
        load(subject, body, 1, 1)
    for _ in range(ROUNDS):
        for connections in (1, 8):
            for subject in subjects:
                took, elapsed = load(subject, body, connections, SECONDS)
                subject.took.setdefault(connections, []).append(
                    statistics.median(took) * 1000
                )
                subject.rates.setdefault(connections, []).append(len(took) / elapsed)


def load(
    subject: Subject, body: Path, connections: int, seconds: float
) -> tuple[list[float], float]:
    """How long each call took, and all of them together."""
    told = _told(subject, body, subject.tokens(TOKENS), connections, seconds)
    result = finish(start(told), subject.name)
    return result["took"], result["elapsed"]


def print_costs(bare: Subject, signed: Sequence[Subject]) -> None:
    """The table, and the ratios that matter."""
    for connections in (1, 8):
        print(f"\nc = {connections:<10} req/s   p50 ms   beside no trust")
        for subject in (bare, *signed):
            ratio = subject.median(connections) / bare.median(connections)
            print(
                f"  {subject.name:<10} {subject.rate(connections):7.0f}"
                f" {subject.median(connections):8.2f}   {ratio:.2f}"
            )
    for subject in signed:
        worst = max(subject.median(c) / bare.median(c) for c in (1, 8))
        print(f"{subject.name} beside no trust: {worst:.2f} (aim: 2 or less)")


def flood(subject: Subject, body: Path) -> None:
    """Good calls at a steady pace, alone and beside the flood, in turn."""
    alone, beside, sent = [], [], 0
    forged = [each[:-8] + "AAAAAAAA" for each in subject.tokens(500)]
    seconds = max(SECONDS * 2, 5.0)
    for _ in range(ROUNDS):
        for flooded in (False, True):
            steady = _told(subject, body, subject.tokens(TOKENS), 4, seconds)
            good = start({**steady, "rate": PACE / 4})
            if flooded:
                bad = _told(subject, body, forged, 4, seconds, status="401")
                rate = BAD_A_MINUTE / 60 / 4
                result = finish(start({**bad, "rate": rate, "again": True}), "flood")
                sent += len(result["took"])
            took = finish(good, subject.name)["took"]
            p99 = statistics.quantiles(took, n=100)[98] * 1000
            (beside if flooded else alone).append(p99)
    calm, stormy = statistics.median(alone), statistics.median(beside)
    per_minute = sent / (ROUNDS * seconds) * 60
    print(f"\n{PACE:g} good calls a second beside {per_minute:.0f} bad tokens a minute")
    print(f"  p99 alone {calm:.1f} ms, beside them {stormy:.1f} ms")
    print(f"p99 beside the flood: {stormy / calm:.2f} (aim: 1.5 or less)")


def _told(
    subject: Subject,
    body: Path,
    tokens: list[str],
    connections: int,
    seconds: float,
    status: str = "200",
) -> dict[str, Any]:
    return {
        "port": subject.port,
        "path": PATH,
        "body": str(body),
        "tokens": tokens,
        "again": False,
        "connections": connections,
        "seconds": seconds,
        "status": status,
        "rate": 0,
        "patients": 0,
    }


@contextmanager
def _serve(folder: Path, rules: Path, auth: str, clients: Path | None) -> Iterator[int]:
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": auth,
        "CDS_RULES": str(rules),
        "CDS_DATABASE_URL": f"sqlite:///{folder / f'{auth}.sqlite'}",
        **({"CDS_CLIENTS_FILE": str(clients)} if clients else {}),
    }
    with serve("cds_service.app:create_app()", settings, public_url=PUBLIC) as (
        port,
        _,
    ):
        yield port


def _write_clients(folder: Path, es: Any, rs: Any) -> Path:
    keys = [
        {**ECAlgorithm.to_jwk(es.public_key(), as_dict=True), "kid": "es"},
        {**RSAAlgorithm.to_jwk(rs.public_key(), as_dict=True), "kid": "rs"},
    ]
    file = folder / "clients.yaml"
    file.write_text(
        json.dumps({"clients": [{"id": "ehr", "iss": ISSUER, "keys": keys}]})
    )
    return file


def _rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)
