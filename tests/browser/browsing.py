"""A real Chromium before a real server: what a person sees, and what must not happen.

Whatever the browser complains of (a policy that was broken, a script that failed, a
file that is missing, a request that left for another host) is collected, and fails the
test at its end.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from ..waiting import PATIENCE

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""Of axe's rules: WCAG 2.2, levels A and AA."""
SMALLEST = 24
"""Pixels in either direction that a target has (WCAG 2.2, 2.5.8)."""
NARROWEST = 320
"""Pixels at which nothing has to be scrolled sideways (WCAG 2.1, 1.4.10)."""
WIDTHS = {390: 844, 820: 1180, 1280: 900}
"""Of a phone, a tablet and a desk, with their heights."""


def need_browser() -> None:
    """Leave a test out where there is no browser; in CI it must be there."""
    if program():
        return
    reason = "Chromium is missing; `make setup-system` installs it, or says how"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program() -> str | None:
    """Return the Chromium of this machine."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def running_browser(*more: str) -> Iterator[Browser]:
    """Give a Chromium without a window; as root it has no sandbox to be in.

    Args:
        more: Flags of its command line.
    """
    flags = [*more, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program(), args=flags, timeout=PATIENCE * 1000
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """Somebody with a browser of their own, before one server."""

    context: BrowserContext
    base: str
    complaints: list[str] = field(default_factory=list)
    """What the browser had to say; empty where all is well."""
    expected: list[str] = field(default_factory=list)
    """Beginnings of complaints that a test is about."""

    def open(self, path: str) -> Page:
        """Return a page in a tab of its own."""
        page = self.context.new_page()
        self.listen(page)
        page.goto(self.base + path)
        return page

    def listen(self, page: Page) -> None:
        """Collect what goes wrong on a page."""
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self._hear("error", str(error)))

    def own(self, route: Route) -> None:
        """Let a request go to our server; note any other, and stop it."""
        if urlsplit(route.request.url).netloc != urlsplit(self.base).netloc:
            self.complaints.append(f"left for {route.request.url}")
            route.abort()
        else:
            route.continue_()

    def unexpected(self) -> list[str]:
        """Return the complaints that no test is about."""
        return [
            each
            for each in self.complaints
            if not any(each.startswith(known) for known in self.expected)
        ]

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def visiting(
    browser: Browser, base: str, *, own_host_only: bool = True, **options: Any
) -> Iterator[Visitor]:
    """Give a visitor with fresh cookies.

    Args:
        own_host_only: Whether a request to another host is a fault.
        options: Of Playwright's ``new_context``, such as ``viewport``.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)
    try:
        visitor = Visitor(context, base)
        if own_host_only:
            context.route("**/*", visitor.own)
        yield visitor
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA, each with the places."""
    options = {"runOnly": {"type": "tag", "values": LEVELS}}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def small_targets(page: Page) -> list[str]:
    """Return what is to be pressed and too small for a finger.

    A link within a sentence may be as small as its words (WCAG 2.2, 2.5.8 "Inline").
    """
    found: list[str] = page.evaluate(_SMALL, SMALLEST)
    return found


_SMALL = """smallest => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .filter(each => each.checkVisibility() && !each.matches('.skip'))
  .filter(each => !(each.matches('a') && each.closest('p, li, dd, td, caption')
    && getComputedStyle(each).display === 'inline'))
  .map(each => [each.closest('label') ?? each, each])
  .filter(([box]) => {
    const {width, height} = box.getBoundingClientRect();
    return width < smallest || height < smallest;
  })
  .map(([, each]) => each.outerHTML.slice(0, 120))"""


def sideways(page: Page) -> int:
    """Return by how many pixels a page has to be scrolled sideways."""
    over: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return over


def walk(page: Page, most: int = 100) -> list[str]:
    """Return what Tab comes to, in its order, until it leaves the page or is at the
    first again: the tag and what it is called.
    """
    page.evaluate("document.activeElement.blur()")
    stops: list[str] = []
    seen: list[int] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(_STOP)
        if stop is None or stop[0] in seen:
            break
        seen.append(stop[0])
        stops.append(stop[1])
    return stops


_STOP = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const all = [...document.querySelectorAll('*')];
  const label = at.labels?.[0]?.innerText ?? at.innerText;
  const name = (at.ariaLabel ?? (label || at.name || at.id)).trim().split('\\n')[0];
  return [all.indexOf(at), `${at.tagName.toLowerCase()} ${name}`];
}"""


def hidden_focus(page: Page, most: int = 100) -> list[str]:
    """Return what the keyboard reaches without that being seen: no outline, or covered
    wholly by something else (WCAG 2.2, 2.4.7 and 2.4.11).
    """
    page.evaluate("document.activeElement.blur()")
    found: list[str] = []
    seen: set[int] = set()
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(_STOP)
        if stop is None or stop[0] in seen:
            break
        seen.add(stop[0])
        if not page.evaluate(_SEEN):
            found.append(stop[1])
    return found


_SEEN = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const {left, top, width, height} = at.getBoundingClientRect();
  const inset = 2, steps = [0, 0.5, 1];
  const seen = steps.some(x => steps.some(y => {
    const over = document.elementFromPoint(
      left + inset + x * (width - 2 * inset), top + inset + y * (height - 2 * inset));
    return over && (at.contains(over) || over.contains(at)
      || over.closest('label')?.contains(at));
  }));
  return outlined && seen;
}"""
