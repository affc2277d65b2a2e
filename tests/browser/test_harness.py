"""The checks of pages notice what they are there to notice."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from ..waiting import until
from .browsing import (
    Visitor,
    hidden_focus,
    sideways,
    small_targets,
    violations,
    walk,
)

Visit = Callable[..., Visitor]
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"
PAGES = {
    "good": """<main><h1>Good</h1><p><a href="/good">Again</a></p>
        <form><label for="a">Name</label> <input id="a"> <button>Send</button></form>
        </main>""",
    "pale": '<main><h1>Pale</h1><p class="pale">hardly seen</p></main>',
    "unnamed": "<main><h1>Unnamed</h1><form><input></form></main>",
    "tiny": '<main><h1>Tiny</h1><button class="tiny">x</button></main>',
    "wide": '<main><h1>Wide</h1><div class="wide">a</div></main>',
    "covered": """<main><h1>Covered</h1><button>Below</button>
        <div class="cover"></div></main>""",
    "bare": '<main><h1>Bare</h1><button class="bare">Send</button></main>',
    "inline": '<main><h1>Inline</h1><p style="color: red">a</p></main>',
    "script": "<main><h1>Script</h1><script>document.title</script></main>",
    "elsewhere": '<main><h1>E</h1><img alt="" src="http://127.0.0.1:9/x.png"></main>',
}
STYLE = """
.pale { color: #ddd; background: #fff }
.tiny { width: 12px; height: 12px; padding: 0 }
.wide { width: 900px }
.cover { position: fixed; inset: 0; background: #fff }
.bare:focus { outline: none }
button, input { min-height: 24px; min-width: 24px }
.tiny { min-height: 0; min-width: 0 }
button:focus, a:focus, input:focus { outline: 3px solid blue }
.bare:focus { outline: none }
"""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """A server with one page for each fault."""
    app = Flask("faults")

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, mimetype="text/css")

    @app.get("/<name>")
    def page(name: str) -> Response:
        html = f"""<!doctype html><html lang="en"><title>{name}</title>
            <meta name="viewport" content="width=device-width">
            <link rel="stylesheet" href="/style.css">
            <body>{PAGES[name]}</body></html>"""
        policy = f"{POLICY}; img-src *" if name == "elsewhere" else POLICY
        return Response(html, headers={"Content-Security-Policy": policy})

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_nothing_is_wrong_with_a_good_page(visit: Visit, base: str) -> None:
    page = visit(base).open("/good")

    assert violations(page) == []
    assert small_targets(page) == []
    assert hidden_focus(page) == []
    assert walk(page) == ["a Again", "input Name", "button Send"]


@pytest.mark.parametrize(
    ("name", "check", "found"),
    [
        ("pale", violations, "color-contrast"),
        ("unnamed", violations, "label"),
        ("tiny", small_targets, "tiny"),
        ("covered", hidden_focus, "button Below"),
        ("bare", hidden_focus, "button Send"),
    ],
)
def test_a_fault_of_a_page_is_found(
    visit: Visit, base: str, name: str, check: Callable[..., list[str]], found: str
) -> None:
    (said,) = check(visit(base).open(f"/{name}"))

    assert found in said


def test_a_page_that_is_too_wide_for_a_phone_is_found(visit: Visit, base: str) -> None:
    size: Any = {"width": 320, "height": 640}

    assert sideways(visit(base, viewport=size).open("/wide")) > 500
    assert sideways(visit(base, viewport=size).open("/good")) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inline", "Applying inline style violates"),
        ("script", "Executing inline script violates"),
        ("elsewhere", "left for http://127.0.0.1:9/x.png"),
    ],
)
def test_what_the_policy_stops_or_leaves_for_elsewhere_is_noted(
    visit: Visit, base: str, name: str, said: str
) -> None:
    visitor = visit(base)

    page = visitor.open(f"/{name}")

    visitor.expected += [said, "Failed to load resource"]

    def is_noted() -> bool:
        page.title()  # What a browser says comes while it is asked for something.
        return any(each.startswith(said) for each in visitor.complaints)

    until(is_noted)
