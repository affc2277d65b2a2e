"""A port that says how the process fares, and what it counts: GET, and nothing else."""

import asyncio
from collections.abc import Callable, Mapping

LONGEST_LINE = 1024
PATIENCE = 5.0
"""Seconds for a request."""
Page = Callable[[], tuple[int, str, bytes]]
"""Status, media type and body."""
REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}


async def open_health_port(
    host: str, port: int, pages: Mapping[str, Page]
) -> asyncio.Server:
    """Return the open port; it answers with pages by their path.

    Raises:
        OSError: if it cannot be had.
    """

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
                writer.write(await _render(line, pages))
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # who asked is gone, or is no browser
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=LONGEST_LINE)


async def _render(line: bytes, pages: Mapping[str, Page]) -> bytes:
    method, _, rest = line.decode("latin-1").partition(" ")
    path = rest.split(" ")[0].partition("?")[0]
    status, kind, body = 404, "text/plain", b"not found\n"
    if method not in ("GET", "HEAD"):
        status, body = 405, b"GET\n"
    elif path in pages:
        status, kind, body = await asyncio.to_thread(pages[path])
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)
