"""A rules folder cut down to one rule, so that the rule can be tested alone."""

import json
from collections.abc import Mapping
from typing import Any

from .findings import Findings
from .notation import ExampleError
from .source import parse_yaml

_SERVICE = "rule-test"
_HOOK = "patient-view"
_SHARED_FOLDERS = ("valuesets/", "facts/")
_SHARED_FILES = ("alert-types.yaml",)
_SITE_KEYS = ("time_zone", "overlays", "override_reasons", "unresolved")


def files_of_one_rule(
    files: Mapping[str, str], rule: str, params: Mapping[str, Any]
) -> Mapping[str, str]:
    """A rules folder with one service, which serves one rule on the rule's first hook.

    What the site has tuned is left out.

    Raises:
        ExampleError: if the folder has no such rule.
    """
    own = [name for name in files if name.rpartition("/")[2] == f"{rule}.yaml"]
    own = [name for name in own if not name.startswith(_SHARED_FOLDERS)]
    if not own:
        raise ExampleError(f"there is no rule `{rule}`")
    service = {
        "id": _SERVICE,
        "hooks": (_data(files[own[0]]).get("hooks") or [_HOOK])[:1],
        "title": "Rule test",
        "description": "One rule under test.",
        "rules": [rule],
    }
    tuned = {"status": "active", **({"params": dict(params)} if params else {})}
    site = {
        **_site(files.get("site.yaml")),
        "format": 1,
        "unapproved": "serve",
        "rules": {rule: tuned},
    }
    shared = {
        name: text
        for name, text in files.items()
        if name.startswith(_SHARED_FOLDERS) or name in _SHARED_FILES
    }
    return {
        **shared,
        own[0]: files[own[0]],
        # JSON is YAML.
        "services.yaml": json.dumps({"format": 1, "services": [service]}),
        "site.yaml": json.dumps(site),
    }


def _site(text: str | None) -> dict[str, Any]:
    """What tests keep of a site's file."""
    data = _data(text or "")
    return {"time_zone": "UTC"} | {key: data[key] for key in _SITE_KEYS if key in data}


def _data(text: str) -> dict[str, Any]:
    """A file's content; nothing where it is no mapping, which compiling will tell."""
    document = parse_yaml(text, "", Findings())
    return document.data if document and isinstance(document.data, dict) else {}
