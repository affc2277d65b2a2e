"""A line on the terminal that says how far a long run is, and goes when it is over."""

import sys
import time

import click

_PATIENCE = 1.0
"""Seconds of work before anything is said."""
_EVERY = 0.1
"""Seconds between two changes of the line."""


class Progress:
    """One line on standard error, and only where that is a terminal."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._said_at = 0.0
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Show *text* in place of what is there, once the run is a long one."""
        now = time.monotonic()
        if not self._terminal or now - self._begun < _PATIENCE:
            return
        if now - self._said_at >= _EVERY:
            self._said_at, self._shown = now, True
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away, before something else is written."""
        if self._shown:
            self._shown = False
            click.echo("\r\x1b[K", nl=False, err=True)
