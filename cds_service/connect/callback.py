"""Where a wearer comes back to from a vendor: a page that says what came of it.

It shows nothing but our own words, leads nowhere and loads nothing. On the machine of
who develops it is a server of its own for one link, on the loopback interface.
"""

import base64
import hashlib
import html
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from .granting import CONNECTED, Return

PATH = "/connect/callback"
LOOK = 0.02
"""Seconds between two looks whether the page is to be closed."""
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;"
    "padding:0 1rem}:root{color-scheme:light dark}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Take = Callable[[Mapping[str, str]], Return]


def render_page(done: Return) -> str:
    """Return the page that tells a wearer what came of it."""
    title, text = "Not connected", done.text
    if done.text == CONNECTED:
        title, text = "Connected", "It worked. You can close this page."
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1><p>{html.escape(text)}</p></main></body></html>"
    )


def status_of(done: Return) -> int:
    """Return the HTTP status of the page."""
    return 200 if done.text == CONNECTED else 400


class Loopback:
    """A page on a random port of this machine, until it is closed."""

    def __init__(self) -> None:
        """Open it; who comes before somebody listens finds nothing."""
        self._take: Take | None = None
        self._done: Queue[Return] = Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(
            target=self._server.serve_forever, args=(LOOK,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where a vendor sends the wearer back to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def listen(self, take: Take) -> None:
        """Have who comes from now on be taken back so."""
        self._take = take

    def wait(self, seconds: float) -> Return | None:
        """Return what became of who came; None where nobody did."""
        try:
            return self._done.get(timeout=seconds)
        except Empty:
            return None

    def close(self) -> None:
        """Close it; who is being answered is answered."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _come(self, address: str) -> Return | None:
        parts = urlsplit(address)
        if parts.path != PATH or self._take is None:
            return None
        return self._take(dict(parse_qsl(parts.query, max_num_fields=50)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802  as http.server calls it
                done = page._come(self.path)
                if done is None:
                    self.send_error(404)
                    return
                try:
                    self._show(done)
                finally:
                    # Whoever waits hears of it, though the browser is gone.
                    page._done.put(done)

            def _show(self, done: Return) -> None:
                body = render_page(done).encode()
                self.send_response(status_of(done))
                for name, value in HEADERS.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: what comes back is in the address."""

        return Page
