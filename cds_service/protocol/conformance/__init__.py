"""What can be seen from outside of how a service keeps the standard.

Every rule has an id of its own; what is found names it, how binding it is, and where.
It judges by CDS Hooks, not by what this server would send: what a version did not yet
ask for is a note to a service of that version.

Source: CDS Hooks 3.0.0, with its invariants; 1.0 to 2.0.1 where they differ.
"""

from .answer import AskedCall, judge_answer, judge_preflight
from .discovery import judge_discovery
from .reply import Reply, read_json
from .violations import Obligation, Violation

__all__ = [
    "AskedCall",
    "Obligation",
    "Reply",
    "Violation",
    "judge_answer",
    "judge_discovery",
    "judge_preflight",
    "read_json",
]
