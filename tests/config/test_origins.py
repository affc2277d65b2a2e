"""Web origins, as browsers send them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.config import InvalidConfig, load_clients

FILE = """\
clients:
  - id: ehr
    iss: https://ehr.example
    keys_file: none.json
    origins: ["{origin}"]
"""


def problems(file: Path) -> str:
    with pytest.raises(InvalidConfig) as refused:
        load_clients(file, development=True, lifetime=300)
    return "\n".join(refused.value.problems)


@pytest.mark.parametrize(
    "origin",
    [
        "https://ehr.example",
        "https://EHR.example:8443",
        "http://localhost:3000",
        "http://[::1]:3000",
        "https://[2001:db8::80]",
    ],
)
def test_an_origin_is_scheme_host_and_port(
    write: Callable[[str], Path], origin: str
) -> None:
    assert "origins[0]" not in problems(write(FILE.format(origin=origin)))


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("*", "must be an origin"),
        ("null", "must be an origin"),
        ("https://", "must be an origin"),
        ("https://*", "must be an origin"),
        ("https://*.ehr.example", "must be an origin"),
        ("https://me@ehr.example", "must be an origin"),
        ("https://ehr.example/", "must be an origin"),
        ("https://ehr.example, https://b", "must be an origin"),
        ("https://ehr.example:443", "without the usual port"),
        ("http://ehr.example:80", "without the usual port"),
    ],
)
def test_what_no_browser_sends_is_refused(
    write: Callable[[str], Path], origin: str, words: str
) -> None:
    found = problems(write(FILE.format(origin=origin)))

    assert "origins[0]" in found and words in found
