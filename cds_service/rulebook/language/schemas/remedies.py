"""What to do about a broken keyword of a schema, in the words of the help line."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from ..diagnostics import closest, quote, suggest


def add_key(name: str, schema: Mapping[str, Any]) -> str:
    """Return how to write a key that is missing."""
    described = schema.get("properties", {}).get(name, {}).get("description", "")
    return f"write `{name}: …`" + (f" ({described.rstrip('.')})" if described else "")


def choose_key(name: str, known: Iterable[str]) -> str:
    """Return which key was probably meant; else all that may stand there."""
    known = sorted(known)
    near = closest(name, known)
    allowed = suggest(name, known) or "allowed here: " + ", ".join(known)
    return (allowed if near or known else "remove it") + unlike_ascii(name)


def choose_word(value: Any, allowed: Iterable[Any]) -> str:
    """Return which of a few words was probably meant, and all of them."""
    allowed = list(allowed)
    words = [quote(each).strip("`") for each in allowed]
    help = "allowed: " + ", ".join(words) + unlike_ascii(value)
    if not isinstance(value, str):
        return help
    if value in words:
        return f"write {value} without quotes"
    near = closest(value, words)
    return f"did you mean `{near}`? {help}" if near else help


def retype(value: Any, wanted: list[str], schema: Mapping[str, Any]) -> str:
    """Return how to write a value that is of another kind."""
    if "typeErrorMessage" in schema:
        return str(schema["typeErrorMessage"]) + unlike_ascii(value)
    simple = isinstance(value, (str, int, float))
    advice = str(schema.get("patternErrorMessage", ""))
    if "string" in wanted and simple:
        fits = re.search(schema.get("pattern", ""), _written(value))
        quoted = f'put it in quotes: "{_written(value)}"'
        return advice if advice and not fits else quoted
    if wanted == ["array"] and simple:
        return f"write [{_written(value)}], or one item per line after `- `"
    if isinstance(value, str) and {"number", "integer"} & set(wanted):
        return "write the number alone, without quotes or a unit"
    form = _FORMS.get(wanted[0]) or advice or "write it, or remove the key"
    return form + unlike_ascii(value)


_FORMS = {
    "boolean": "write true or false",
    "object": "write `key: value`, with a space after the colon, one per line",
    "array": "write one item per line after `- `",
}


def fit(keyword: str, schema: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    """Return how to mend what has none, or several, of keys that exclude each other."""
    if keyword == "not":
        return "remove one of them"
    if keyword == "anyOf":
        return "add one of them"
    choices = [each.get("required", ()) for each in schema.get("oneOf", ())]
    given = [names for names in choices if all(name in value for name in names)]
    return "keep one of them" if given else "add one of them"


def bound(keyword: str, limit: Any) -> str:
    """Return how to mend a number, text or list outside its bounds."""
    return _BOUNDS.get(keyword, "correct it").format(limit=limit)


_BOUNDS = {
    "minItems": "write what belongs in it, or remove the key",
    "maxItems": "remove what is too much",
    "minLength": "write it, or remove the key",
    "maxLength": "shorten it",
    "uniqueItems": "remove the second",
    "minimum": "write {limit} or more",
    "maximum": "write {limit} or less",
    "exclusiveMinimum": "write more than {limit}",
    "multipleOf": "write a multiple of {limit}",
}


def unlike_ascii(text: Any) -> str:
    """A warning of characters that look like others; empty where there are none."""
    odd = [each for each in text if not each.isascii()] if isinstance(text, str) else []
    if not odd:
        return ""
    named = unicodedata.name(odd[0], "a character without a name").lower()
    return f"; it has U+{ord(odd[0]):04X} in it, {named}"


def _written(value: Any) -> str:
    return quote(value).strip("`")
