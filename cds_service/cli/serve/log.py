"""gunicorn's log, without what callers sent."""

from typing import Any

from gunicorn.glogging import Logger


class Log(Logger):
    """Leaves the values out of gunicorn's lines for debugging.

    They quote the head of a message that broke off, and its token with it.
    """

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Write the sentence alone."""
        sentence = str(msg).replace("%s", "…")
        super().debug("%s", sentence)  # type: ignore[no-untyped-call]


def keep_quiet(worker: Any, request: Any) -> None:
    """Say nothing of a request; gunicorn would tell its path, whatever is in it."""
