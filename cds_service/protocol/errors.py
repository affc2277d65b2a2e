"""What can go wrong with a call, and the HTTP answer that each error is.

::

    CdsError                        500  never raised itself
    ├── InvalidRequest              400  the message breaks the protocol
    │   ├── WrongHook               400  the service is not offered on this hook
    │   └── WrongPatient            400  the data is about somebody else
    ├── Unauthenticated             401  never says which check failed
    ├── Forbidden                   403  known, but not allowed to do this
    ├── UnknownService              404  no service of that id
    ├── Conflict                    409  the same delivery is still in progress
    ├── UnmetPrecondition           412  required data could not be had
    │   └── TokenRefused            412  since its token is taken no more
    ├── TooLarge                    413  body over the limit
    ├── UnsupportedMediaType        415  not JSON
    ├── Unprocessable               422  understood, and nothing in it can be stored
    ├── Throttled                   429  the caller did too much lately
    └── Unavailable                 503  not recorded, therefore not answered

``web`` turns each into an OperationOutcome; Werkzeug's own errors and bugs too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    text: str
    """For a person; holds no patient data."""
    expression: str = ""
    """Where, as ``$.context.patientId``; empty for the message as a whole."""
    diagnostics: str = ""
    """For a machine or an engineer, such as a prefetch key."""
    informs: bool = False
    """Whether it is no fault but what else there is to know."""


class CdsError(Exception):
    """An answer other than 200. Subclasses fix ``status`` and ``code``."""

    status = 500
    code = "exception"
    """FHIR issue type: http://hl7.org/fhir/R4/valueset-issue-type.html."""
    severity = "error"
    retry_after: int | None = None
    """Seconds, for the ``Retry-After`` header."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(
            Problem(each) if isinstance(each, str) else each for each in problems
        )
        super().__init__("; ".join(str(each.text) for each in self.problems))

    def as_json(self) -> dict[str, Any]:
        """Return the error as a FHIR R4 OperationOutcome, one issue a problem."""
        return {
            "resourceType": "OperationOutcome",
            "issue": [self._issue(problem) for problem in self.problems]
            or [{"severity": self.severity, "code": self.code}],
        }

    def _issue(self, problem: Problem) -> dict[str, Any]:
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code}
        if problem.informs:
            issue = {"severity": "information", "code": "informational"}
        if problem.text:
            issue["details"] = {"text": problem.text}
        if problem.diagnostics:
            issue["diagnostics"] = problem.diagnostics
        if problem.expression:
            issue["expression"] = [problem.expression]
        return issue


class InvalidRequest(CdsError):
    """The message breaks the protocol; every wrong field is named."""

    status, code = 400, "invalid"


class WrongHook(InvalidRequest):
    """The service exists, but not on this hook."""

    code = "not-supported"


class WrongPatient(InvalidRequest):
    """The data supplied is about somebody other than the context's patient."""

    code = "security"


class Unauthenticated(CdsError):
    """Who calls could not be established. Always the same words."""

    status, code = 401, "login"

    def __init__(self, reason: str = "", hint: str = "") -> None:
        super().__init__("Authentication is required.")
        self.reason = reason
        """A constant phrase for the audit trail; part of no answer in production."""
        self.hint = hint
        """What would have been right; told in development alone."""

    def explained(self) -> dict[str, Any]:
        """Return the error as an OperationOutcome that says which check failed."""
        outcome = self.as_json()
        told = "; ".join(filter(None, (self.reason, self.hint)))
        outcome["issue"][0]["diagnostics"] = told
        return outcome


class Forbidden(CdsError):
    """The caller is known and may not do this."""

    status, code = 403, "forbidden"


class UnknownService(CdsError):
    """No service has this id."""

    status, code = 404, "not-found"


class Conflict(CdsError):
    """The same delivery is still in progress; ask again."""

    status, code = 409, "conflict"
    retry_after = 1


class UnmetPrecondition(CdsError):
    """Data that the service requires could not be had (CDS Hooks: 412)."""

    status, code = 412, "incomplete"


class TokenRefused(UnmetPrecondition):
    """The FHIR server takes a token no more, although its time is not over."""


class TooLarge(CdsError):
    """The body is over the limit."""

    status, code = 413, "too-long"


class UnsupportedMediaType(CdsError):
    """The body does not claim to be JSON."""

    status, code = 415, "not-supported"


class Unprocessable(CdsError):
    """Well-formed and understood, yet nothing in it can be stored."""

    status, code = 422, "processing"


class Throttled(CdsError):
    """The caller did too much lately; nothing of this message was looked at."""

    status, code = 429, "throttled"

    def __init__(self, seconds: int, *, again: bool = False) -> None:
        super().__init__("Too many messages. Try again later.")
        self.retry_after = seconds
        self.again = again
        """Whether this was said to the same caller less than a minute ago."""


class Unavailable(CdsError):
    """The call could not be recorded, so it is not answered."""

    status, code = 503, "transient"
    retry_after = 2


MOST_ITEMS = 10
"""Wrong items that are named in one array; a longer list helps nobody."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """The problems and deviations of one message, collected as it is read."""

    strict: bool = False
    """Whether a deviation is a problem."""
    problems: list[Problem] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)

    def wrong(self, path: str, text: str) -> None:
        """Note a problem at *path*, such as ``$.context.patientId``."""
        self.problems.append(Problem(f"{path}: {text}", path))

    def wrong_items(self, path: str, indexes: Iterable[int], text: str) -> None:
        """Note the first few wrong items of the array at *path*."""
        for index in islice(indexes, MOST_ITEMS):
            self.wrong(f"{path}[{index}]", text)

    def deviates(self, path: str, text: str) -> None:
        """Note something at *path* that is forgiven, or under strict is not."""
        if self.strict:
            self.wrong(path, text)
        else:
            self.deviations.append(f"{path}: {text}")
