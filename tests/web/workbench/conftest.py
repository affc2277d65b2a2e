"""A server with a workbench, and a browser before it on the same machine."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.publishing.serving import Serving
from cds_service.store.records import AuditEvent
from cds_service.store.workbench.sessions import WorkbenchLink

from ..conftest import NOW, BuildWorld

HERE = "http://127.0.0.1:8080"
OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Clock:
    """A clock that goes as told."""

    now: datetime = NOW

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Browser:
    """Somebody's browser; it sends along what it was given, as browsers do."""

    http: FlaskClient
    world: World
    clock: Clock
    base: str = HERE
    address: str = "127.0.0.1"
    last: str = field(default="", repr=False)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self._keep(
            self.http.get(
                path,
                base_url=self.base,
                headers=headers,
                environ_base={"REMOTE_ADDR": self.address},
            )
        )

    def post(
        self, path: str, fields: Any = (), *, own: bool = True, **headers: str
    ) -> TestResponse:
        told = {**OWN, **headers} if own else headers
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.last)
        token = {"form_token": found[1]} if own and found else {}
        return self._keep(
            self.http.post(
                path,
                base_url=self.base,
                data={**token, **dict(fields)},
                headers=told,
                environ_base={"REMOTE_ADDR": self.address},
            )
        )

    def offer(self, role: str = "operator", code: str = "the-code") -> str:
        """What `cds-service workbench login` does."""
        now = self.clock.now
        until = now + timedelta(minutes=5)
        hash = sha256(code.encode()).hexdigest()
        link = WorkbenchLink(hash, "jane@desk", role, until)
        event = AuditEvent(now, "sign-in", client="workbench")
        self.world.store.workbench.offer(link, event)
        return code

    def sign_in(self, role: str = "operator") -> "Browser":
        code = self.offer(role, f"code-of-{role}-{self.clock.now}")
        assert self.post("/workbench/login", {"code": code}).status_code == 303
        return self

    def cookie(self, name: str = "wb") -> Any:
        return self.http.get_cookie(name, domain=self.base.split("/")[2].split(":")[0])

    def _keep(self, answer: TestResponse) -> TestResponse:
        self.last = answer.get_data(as_text=True)
        return answer


OpenBrowser = Callable[..., Browser]


@pytest.fixture
def browse(build: BuildWorld) -> OpenBrowser:
    """Opens a browser before a server of its own, in development if not otherwise."""

    def make(serving: Serving | None = None, **settings: str) -> Browser:
        usual = {"profile": "development", "workbench": "on", "public_url": HERE}
        clock = Clock()
        world = replace(build(**{**usual, **settings}), clock=lambda: clock.now)
        if serving is not None:
            world = replace(world, serving=serving)
        app = create_app(world=world)
        return Browser(app.test_client(), world, clock)

    return make


@pytest.fixture
def author(browse: OpenBrowser) -> Browser:
    browser = browse().sign_in("author")
    browser.get("/workbench/try")
    return browser
