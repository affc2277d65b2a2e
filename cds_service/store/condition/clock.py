"""Forgetting by a clock that may be wrong: what is forgotten is never taken for new.

Tokens that were spent, and answers to deliveries, are forgotten once nobody can use
them any more. A clock that steps forward makes that seem so of all of them; when it
steps back, they are good again. So, first, a server forgets nothing until its clock has
run as evenly as one that nobody can set, for as long as a token usually lives. And
whatever was forgotten leaves a mark, up to which no token is taken for new.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, text

from ..statements import RAISE_MARK
from ..tables import SPENT_TOKENS

Seconds = Callable[[], float]
"""Seconds of a clock that is never set."""
TOKENS = "tokens"
"""The mark up to which spent tokens were forgotten."""
KEPT = timedelta(hours=1)
"""How long a spent token is remembered after nobody accepts it any more, and how long a
clock has to run evenly."""
UNEVEN = 60.0
"""Seconds by which a clock may be put right without being in doubt."""
DATABASE_CLOCK = text("SELECT extract(epoch FROM clock_timestamp())")


class Evenness:
    """Whether a clock runs as evenly as one that nobody can set."""

    def __init__(self, seconds: Seconds | None) -> None:
        """Take the other clock; without one, every clock is believed."""
        self._seconds = seconds
        self._since: float | None = None
        self._ahead = 0.0

    def is_trusted(self, now: datetime) -> bool:
        """Return whether the clock has run evenly for long enough, up to *now*."""
        if self._seconds is None:
            return True
        moment = self._seconds()
        ahead = now.timestamp() - moment
        if self._since is None or abs(ahead - self._ahead) > UNEVEN:
            self._since, self._ahead = moment, ahead
        return moment - self._since >= KEPT.total_seconds()


def forget_tokens(connection: Connection, now: datetime) -> None:
    """Forget the tokens that nobody accepts any more, and leave a mark."""
    limit = (now - KEPT).timestamp()
    if connection.dialect.name != "sqlite":
        # A machine whose clock is ahead must not forget for all others.
        known = float(connection.execute(DATABASE_CLOCK).scalar_one())
        limit = min(limit, known - KEPT.total_seconds())
    RAISE_MARK.run(connection, {"name": TOKENS, "at_utc": limit})
    connection.execute(delete(SPENT_TOKENS).where(SPENT_TOKENS.c.expires_utc < limit))
