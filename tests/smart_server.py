"""A real EHR for sign-ins: oidc-provider on Node, with charts behind it.

One for a run. Whoever uses it registers an app of its own, opens charts, and has what
it changes be as before at the end (``smart_server`` does).
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit
from uuid import uuid4

import pytest
import requests

from .on_node import need_node

SCRIPT = Path(__file__).parent / "node" / "oidc.mjs"
SECONDS = 60
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Chalmers", "given": ["Peter"]}],
    "birthDate": "1958-03-14",
    "gender": "male",
}


class SmartServer:
    """An EHR that opens apps; it says what it was asked."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.base = f"{issuer}/fhir"

    def reset(self) -> None:
        """Have everything be as it was, but for who is registered."""
        self._control("state", None)
        self._control("chart", {f"Patient/{PATIENT['id']}": PATIENT})
        self.seen()

    def set(self, **told: Any) -> None:
        """Have something else hold from now on, as ``state`` in the script names it."""
        self._control("state", told)

    def chart(self, *resources: Mapping[str, Any]) -> None:
        """Have the FHIR server hold these resources, and nothing else."""
        named = {f"{each['resourceType']}/{each['id']}": each for each in resources}
        self._control("chart", named)

    def register(self, *redirect_uris: str, **metadata: Any) -> str:
        """Return the id of a new app: public, where nothing else is said."""
        client_id = f"app-{uuid4()}"
        usual = {
            "client_id": client_id,
            "redirect_uris": redirect_uris,
            "application_type": "native",
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        self._control("client", {**usual, **metadata})
        return client_id

    def launch(self, patient: str = "p1", **context: Any) -> str:
        """Return what an EHR gives along that has opened a chart.

        Args:
            context: What goes beside the token, and ``user``, who opens it.
        """
        told = self._control("launch", {"patient": patient, **context})
        return str(told["launch"])

    def revoke(self) -> None:
        """Have the EHR take back all that was permitted."""
        self._control("revoke", {})

    def expire(self) -> None:
        """Have it take no access token any more that it has given so far."""
        self._control("expire", {})

    def seen(self) -> list[str]:
        """Return what it was asked since this was asked last."""
        asked: list[str] = self._control("seen", None)
        return asked

    def _control(self, what: str, told: Any) -> Any:
        url = f"{self.issuer}/control/{what}"
        answer = requests.post(url, json=told, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()


def walk(url: str, redirect_uri: str) -> dict[str, str]:
    """Return what a browser brings back to an address that is sent to another."""
    with requests.Session() as browser:
        for _ in range(10):
            if url.startswith(redirect_uri):
                return dict(parse_qsl(urlsplit(url).query))
            answer = browser.get(url, allow_redirects=False, timeout=SECONDS)
            assert answer.is_redirect, answer.text
            url = urljoin(url, answer.headers["Location"])
    raise AssertionError("it leads nowhere")


@contextmanager
def running(port: int = 0) -> Iterator[SmartServer]:
    """A server of its own, for who needs one on a port."""
    node, folder = need_node("oidc-provider")
    command = [node, "--no-warnings", str(SCRIPT), str(folder), str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            issuer = process.stdout.readline().strip()
            assert issuer.startswith("http"), "oidc-provider did not start"
            yield SmartServer(issuer)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def smart_server_process() -> Iterator[SmartServer]:
    """One for a run; in CI it must be there."""
    with running() as server:
        yield server


@pytest.fixture
def smart_server(smart_server_process: SmartServer) -> Iterator[SmartServer]:
    """An EHR with one patient, as nobody has changed it."""
    smart_server_process.reset()
    yield smart_server_process
