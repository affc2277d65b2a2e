"""The answer to discovery, judged: what each entry says, and its templates.

Source: CDS Hooks 3.0.0 "Discovery", "Prefetch Template", "Prefetch tokens", "Prefetch
query restrictions".
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..formats import is_reverse_domain
from ..hooks import HOOKS
from ..prefetch_tokens import TOKEN, keys_read
from ..token_grammar import BadToken, BadType, Day, Path, Term, User, parse_token
from .reply import Reply, find_empty, judge_media_type, read_json
from .violations import Violation, as_of, must, note, others, should, text_member

_ENTRY = frozenset(
    "hook title description id prefetch usageRequirements version hookVersion".split()
)
_ROOT = frozenset(("services",))
_BREAKS_A_PATH = re.compile(r"[/?#%\s]")
_SEMANTIC = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_READ = re.compile(r"[A-Z][A-Za-z]*/[A-Za-z0-9.{}-]+")
_SEARCH = re.compile(r"[A-Z][A-Za-z]*\?([^?]+)")
_PARAMETER = re.compile(
    r"[a-z][A-Za-z0-9-]*(:in)?|_id|_lastUpdated|_count|_maxresults|_sort"
)
_OTHER_PREFIX = re.compile(r"(ne|sa|eb|ap)[0-9]")
_USER_AS_ID = re.compile(r"(/|\b_id=)\{\{\s*context\.(userId|performer)\s*\}\}")


def judge_discovery(reply: Reply, service_id: str = "") -> list[Violation]:
    """Return every rule that discovery does not keep, or that one service does not."""
    body = read_json(reply.content)
    found = [*body.violations, *judge_media_type(reply, body)]
    value = body.value
    if not body.is_json:
        return found
    if not isinstance(value, dict) or not isinstance(value.get("services"), list):
        return [*found, must("D-2", "$.services", "is required: an array.")]
    found += others(value, _ROOT, "$")
    entries = value["services"]
    chosen = {
        f"$.services[{place}]": each
        for place, each in enumerate(entries)
        if not service_id or not isinstance(each, dict) or each.get("id") == service_id
    }
    for path, entry in chosen.items():
        found += _entry(entry, path)
    return [*found, *_twins(entries, service_id)]


def _twins(entries: list[Any], service_id: str) -> Iterator[Violation]:
    pairs = Counter(
        (str(each.get("id")), str(each.get("hook")))
        for each in entries
        if isinstance(each, dict)
    )
    for (id, hook), times in pairs.items():
        if times > 1 and service_id in ("", id):
            text = f"{id[:60]} is listed {times} times for {hook[:60]}."
            yield must("D-10", "$.services", text)


def _entry(entry: Any, path: str) -> list[Violation]:
    if not isinstance(entry, dict):
        return [must("D-2", path, "must be an object.")]
    found: list[Violation] = []
    for name in ("hook", "description", "id"):
        found += text_member("D-3", entry, name, path, required=True)
    found += text_member("D-4", entry, "title", path)
    if "title" not in entry:
        found.append(should("D-4", f"{path}.title", "is recommended."))
    found += text_member("D-7", entry, "usageRequirements", path)
    found += _id(entry, path)
    found += _hook(entry, path)
    found += _versions(entry, path)
    found += _prefetch(entry, path)
    found += others(entry, _ENTRY, path)
    found += find_empty(entry, path)
    version = entry.get("version")
    return as_of(version if isinstance(version, str) else "", found)


def _id(entry: Mapping[str, Any], path: str) -> Iterator[Violation]:
    id = entry.get("id")
    if isinstance(id, str) and _BREAKS_A_PATH.search(id):
        yield must("D-5", f"{path}.id", "cannot stand as one segment of a URL path.")


def _hook(entry: Mapping[str, Any], path: str) -> Iterator[Violation]:
    name = entry.get("hook")
    if not isinstance(name, str) or not name:
        return
    hook = HOOKS.get(name)
    if hook is None and not is_reverse_domain(name):
        text = (
            f"{name[:60]!r} is neither in the library nor in reverse-domain notation."
        )
        yield must("H-2", f"{path}.hook", text)
    elif hook and hook.deprecated:
        yield note("H-11", f"{path}.hook", f"{name} is deprecated.")


def _versions(entry: Mapping[str, Any], path: str) -> Iterator[Violation]:
    version, hook_version = entry.get("version"), entry.get("hookVersion")
    if version is None:
        yield note("D-8", f"{path}.version", "does not say which CDS Hooks it speaks.")
    elif not isinstance(version, str):
        yield must("D-8", f"{path}.version", "must be a string.")
    elif version and not _SEMANTIC.fullmatch(version):
        text = f"{version[:40]!r} is no semantic version of CDS Hooks, as 3.0.0 is."
        yield should("D-8", f"{path}.version", text)
    hook = HOOKS.get(entry["hook"]) if isinstance(entry.get("hook"), str) else None
    if hook_version is None:
        return
    if not isinstance(hook_version, str):
        yield must("D-9", f"{path}.hookVersion", "must be a string.")
    elif hook and hook_version and hook_version != hook.version:
        text = f"is {hook_version[:20]!r}; {hook.name} is published as {hook.version}."
        yield must("D-9", f"{path}.hookVersion", text)


def _prefetch(entry: Mapping[str, Any], path: str) -> Iterator[Violation]:
    prefetch, where = entry.get("prefetch"), f"{path}.prefetch"
    if prefetch is None:
        return
    if not isinstance(prefetch, dict):
        yield must("D-6", where, "must be an object of templates by key.")
        return
    filled: list[str] = []
    for key, template in prefetch.items():
        here = f"{where}.{key[:60]}"
        if isinstance(template, str):
            yield from _template(template, here, str(entry.get("hook")))
            yield from _order(template, here, key, filled)
        elif template is not None:
            yield must("D-6", here, "must be a string.")
        filled.append(key)


def _order(
    template: str, path: str, key: str, filled: list[str]
) -> Iterator[Violation]:
    for other in dict.fromkeys(keys_read(template)):
        if other == key:
            yield must("P-6", path, "builds on itself.")
        elif other not in filled:
            text = f"builds on %{other[:40]}, which is not listed before it."
            yield must("P-6", path, text)


def _template(template: str, path: str, hook: str) -> Iterator[Violation]:
    if not template:
        return
    if "{{" in TOKEN.sub("", template) or "}}" in TOKEN.sub("", template):
        yield must("P-1", path, "its braces do not match.")
    terms: list[Term] = []
    for token in TOKEN.findall(template):
        name = token.strip()[:80]
        try:
            terms += parse_token(token.strip())
        except BadType as error:
            yield must("P-7", path, f"{{{{{name}}}}}: {error}.")
        except BadToken as error:
            bare = re.fullmatch(r"\w+", name) is not None
            yield must("P-2" if bare else "P-1", path, f"{{{{{name}}}}} {error}.")
    yield from _terms(terms, path, hook)
    if _USER_AS_ID.search(template):
        text = "puts a token that holds Type/id where an id is meant."
        yield should("P-3", path, text)
    if not TOKEN.fullmatch(template):
        for text in _outside_the_subset(TOKEN.sub("token", template)):
            yield should("P-4", path, f"{text[:100]}.")


def _outside_the_subset(query: str) -> Iterator[str]:
    """Return what leads a query out of what clients widely support."""
    if _READ.fullmatch(query):
        return
    search = _SEARCH.fullmatch(query)
    if not search:
        yield "must be Type/id or Type?query"
        return
    for parameter in search[1].split("&"):
        name, equals, value = parameter.partition("=")
        if not equals or not value:
            yield f"the parameter {name} has no value"
        if not _PARAMETER.fullmatch(name):
            yield f"{name} is outside the widely supported subset"
        if _OTHER_PREFIX.match(value):
            yield f"{value[:2]} is outside the prefixes eq, lt, gt, ge, le"


def _terms(terms: list[Term], path: str, hook: str) -> Iterator[Violation]:
    if any(isinstance(each, Day) or _is_deep(each) for each in terms):
        text = "needs a client that knows FHIRPath in tokens; others leave the key out."
        yield note("P-8", path, text)
    definition = HOOKS.get(hook)
    if definition is None:
        return
    fields = {name for each in definition.fields for name in (each.name, *each.also)}
    for each in terms:
        if isinstance(each, Path) and not each.key and each.steps[0].element:
            name = each.steps[0].element
            if name not in fields:
                text = f"{hook} has no field {name[:40]} in its context."
                yield should("P-2", path, text)


def _is_deep(term: Term) -> bool:
    return not isinstance(term, User) and not (isinstance(term, Path) and term.is_plain)
