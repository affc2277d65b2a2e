"""A vendor's cloud as data: where it is, how it gives tokens, what may be asked. Pure.

What is fetched goes to the adapter of its format as if it had been delivered. Here
stands no more than how it is asked for, and how an answer says that there is more of
it, or that it is none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class CivilDays:
    """What is asked for: civil days of a wearer, whole, from one to before another."""

    first: date
    last: date
    """Of the days themselves; the same as the first where it is one day."""
    zone: tzinfo
    """The wearer's."""

    @property
    def start(self) -> datetime:
        """The moment at which the first day begins, on the wearer's clock."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The moment at which the day after the last begins, on the wearer's clock."""
        return _midnight(self.last + timedelta(days=1), self.zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Where clocks go forward at midnight, as in Beirut, a day begins later."""
    return datetime.combine(day, time(), zone).astimezone(UTC).astimezone(zone)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a vendor's API; who sends it adds the token."""

    path: str
    """Below the base of the API, with a slash at its beginning."""
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    """What to post as JSON."""
    form: Mapping[str, str] | None = None
    """What to post as a form; without either it is a GET."""
    method: str = ""
    """Where it is another than these."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer holds."""

    body: Any
    """For the adapter; None for nothing."""
    next: Call | None = None
    """What brings the rest of it."""


@dataclass(frozen=True, slots=True)
class VendorFault:
    """What an answer says is wrong, where its status is 200 all the same."""

    kind: Literal["token", "busy", "refused"]
    """``token``: it is none any more, and another is to be had by a refresh; ``busy``:
    asked again later, it may be answered; ``refused``: it never will."""
    why: str
    """A constant phrase or a code of the vendor's, without anything of the wearer's."""
    retry_after: timedelta | None = None


Reading = Callable[[Any, CivilDays, Call], Answered | VendorFault]
"""Takes the JSON of an answer with status 200, and what had been asked for."""


@dataclass(frozen=True, slots=True)
class DataKind:
    """One kind of data that a vendor has of a wearer."""

    name: str
    """In kebab case; what notifications, cursors and operators call it."""
    scopes: tuple[str, ...]
    """All of which have to be granted."""
    metrics: tuple[str, ...]
    """Of ``rules/metrics.yaml``: those to the collecting of which the patient has to
    consent, to one at least, before anything is asked."""
    format: str
    """Of ``wearables/adapters``: what reads the answers."""
    ask: Callable[[CivilDays], Call]
    """The first request for the days."""
    read: Reading
    most_days: int = 1
    """Days of one request."""
    sole: tuple[str, ...] = ()
    """Metrics that no other kind of the vendor tells. What a notification has named and
    is told no more is taken back of these alone."""
    whole: bool = False
    """Whether a day is asked for once it is over, and not before: what is told is one
    value of all of it."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint wants beyond OAuth, and how its answers differ from it."""

    client_auth: Literal["client_secret_post", "client_secret_basic"] = (
        "client_secret_post"
    )
    authorize: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the link to the vendor, beside those of OAuth."""
    request: Mapping[str, str] = field(default_factory=dict)
    """Parameters of each request for a token, beside those of OAuth."""
    scope_separator: str = " "
    """Between scopes in the link, and in what the answer says is granted."""
    unwrap: Callable[[Any], Any] = lambda answer: answer
    """The token response of RFC 6749 in the answer's JSON; an error is one with the
    member ``error``."""
    user: Callable[[Mapping[str, Any]], str] = lambda token: ""
    """Who the vendor says it is, by the token response; empty where that says not."""


@dataclass(frozen=True, slots=True)
class WearerIdentity:
    """How a vendor is asked who the wearer is, as its notifications call them."""

    ask: Call
    read: Callable[[Any], str]
    """The id in the JSON of the answer; empty if there is none."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """One subscription that a vendor has."""

    topic: str
    """What it notifies of, in the vendor's words."""
    callback: str = field(repr=False)
    """The URL to which it is sent; a secret may stand in it."""
    expires: datetime | None = None
    """None where it has no end, or none is told."""
    id: str = ""
    """As the vendor calls it, if it does."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a vendor answered who was asked to begin, renew or end a subscription."""

    what: Literal["done", "already", "gone", "refused"]
    """``already``: there is one of its kind; ``gone``: there is none to renew or end;
    ``refused``: it will not."""
    why: str = ""
    """Why it was refused, a constant phrase or a code of the vendor's."""
    standing: StandingOrder | None = None
    """What there is now, where it tells."""


@dataclass(frozen=True, slots=True)
class Subscribing:
    """How a vendor is asked to notify."""

    topics: Mapping[str, tuple[str, ...]]
    """By kind of data, what tells that there is any."""
    of_app: bool
    """Whether it is asked by the app, once for all wearers; else by each one's token.
    """
    secret_in_url: bool
    list: Call
    """What asks for all there are."""
    read: Callable[[int, Any], tuple[StandingOrder, ...] | VendorFault]
    """Takes the status and the JSON of the answer to that."""
    begin: Callable[[str, str, str], Call]
    """Takes a topic, the URL and the secret that was agreed."""
    renew: Callable[[StandingOrder, str], Call]
    """Takes also the secret."""
    end: Callable[[StandingOrder], Call]
    judge: Callable[[int, Any], Done | VendorFault]
    """Takes the status and the JSON of the answer to any of these three."""
    headers: Callable[[str, str], Mapping[str, str]] = lambda id, secret: {}
    """Of an app, who it is: takes its id and its secret."""
    longest_url: int = 2048
    """Characters that the vendor takes."""

    def wanted(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Return what tells that there is anything of these kinds, once each."""
        every = (each for kind in kinds for each in self.topics.get(kind, ()))
        return tuple(dict.fromkeys(every))


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's cloud."""

    name: str
    """In kebab case, as in ``vendor:`` of the clients file."""
    title: str
    authorize_url: str
    token_url: str
    api: str
    """The base of its API, without a slash at its end."""
    kinds: tuple[DataKind, ...]
    issuer: str = ""
    """As it may call itself in the callback, by RFC 9207; empty where that is not
    known."""
    revoke_url: str = ""
    """Of RFC 7009; empty where the vendor has none."""
    tokens: Tokens = Tokens()
    identity: WearerIdentity | None = None
    """None where nobody needs to ask: by the token response, or never."""
    per_minute: int = 60
    """Requests in a minute that it takes: of one wearer, or of all together."""
    of_all: bool = False
    """Whether its limit is that of the app, whoever is asked for."""
    note: str = ""
    """What whoever connects has to know of it, in a sentence."""
    subscribing: Subscribing | None = None
    """None where it notifies of nothing, or is asked to by hand."""

    def kind(self, name: str) -> DataKind | None:
        """Return the kind of data that has a name; None where there is none."""
        return next((each for each in self.kinds if each.name == name), None)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope of its kinds, once each."""
        every = (scope for kind in self.kinds for scope in kind.scopes)
        return tuple(dict.fromkeys(every))
