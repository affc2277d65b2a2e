"""Rules: which there are, how they fare, what they do, and whether their tests hold.

What is listed is what this process serves; what is wrong with the rules folder, and who
watches it, stands in the database. A page looks again by itself when either changes.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ...config import Config
from ...decision import World
from ...publishing.serving import published_files
from ...rulebook.describe import build_served_page, markdown
from ...rulebook.engine import Rule, Rulebook
from ...store.records import StoreError
from ...store.reports import Sampled
from ...store.store import Store
from ..json import render_json
from ..pages.shell import local_url, render_page
from ..sources import HeldAnswer
from .figures import ORDERS, RuleRow, RulesWanted, list_rules
from .running import KINDS, RuleRun, begin_run, compare_published
from .sessions import PREFIX, BenchRole, Workplace, current_visit, needs

PAGE = f"{PREFIX}/rules"
MOST_CALLS = 5000
"""The newest, from which the figures are."""
STATUSES = ("active", "shadow", "draft", "retired")
LONGEST_WORD = 100
"""Characters of what is looked for."""


Figures = HeldAnswer[tuple[Sampled, datetime]]
"""What became of cards lately, and when that was asked."""


def add_rules(workbench: Blueprint, place: Workplace) -> None:
    """Add the list, a page for each rule, and what is run from it."""
    world = place.world
    figures = Figures(lambda: _sample(world))

    @workbench.get("/rules")
    @needs(BenchRole.VIEWER)
    def show_rules() -> Response:
        return _show_list(world, figures)

    @workbench.get("/rules/state")
    @needs(BenchRole.VIEWER)
    def tell_state() -> Response:
        return Response(render_json(_state(world)), mimetype="application/json")

    @workbench.get("/rules/<rule_id>")
    @needs(BenchRole.VIEWER)
    def show_rule(rule_id: str) -> Response:
        return _show_rule(rule_id, world, figures)

    @workbench.post("/rules/<rule_id>/runs")
    @needs(BenchRole.AUTHOR)
    def begin(rule_id: str) -> ResponseReturnValue:
        return _begin(_find(world, rule_id), world)

    @workbench.post("/rules/<rule_id>/runs/cancel")
    @needs(BenchRole.AUTHOR)
    def cancel(rule_id: str) -> ResponseReturnValue:
        return _cancel(_find(world, rule_id), world)


def _show_list(world: World, figures: Figures) -> Response:
    wanted = _wanted()
    rows, told = _rows(world, figures, wanted)
    return render_page(
        "workbench/rules.html",
        title="Rules",
        rows=rows,
        wanted=wanted,
        orders=ORDERS,
        statuses=STATUSES,
        changes=_changes(world, request.args.get("since", "")),
        **told,
        **_standing(world),
    )


def _show_rule(rule_id: str, world: World, figures: Figures) -> Response:
    rows, told = _rows(world, figures, RulesWanted(rule_id))
    row = next((each for each in rows if each.rule.id == rule_id), None)
    if row is None:
        raise NotFound()
    rule, visit = row.rule, current_visit()
    run = world.store.runs.of_session(visit.session.key_hash, visit.now, rule.id)
    return render_page(
        "workbench/rule.html",
        title=rule.title,
        row=row,
        page=_describe(rule, world),
        run=run,
        found=read_result(run.result) if run else None,
        busy=world.store.runs.current(visit.now),
        is_author=visit.role >= BenchRole.AUTHOR,
        now=visit.now,
        **told,
        **_standing(world),
    )


def _begin(rule: Rule, world: World) -> ResponseReturnValue:
    kind = request.form.get("kind", "")
    if kind not in KINDS:
        raise NotFound()
    asked = RuleRun(kind, rule.id, rule.file, current_visit().session)
    told = "" if begin_run(asked, world) else "?busy=1"
    return redirect(local_url(f"{PAGE}/{rule.id}{told}#runs"), 303)


def _cancel(rule: Rule, world: World) -> ResponseReturnValue:
    visit = current_visit()
    run = world.store.runs.of_session(visit.session.key_hash, visit.now, rule.id)
    if run is not None and run.is_running:
        world.store.runs.cancel(run.id, visit.now)
    return redirect(local_url(f"{PAGE}/{rule.id}#runs"), 303)


def _wanted() -> RulesWanted:
    told = request.args
    order, status = told.get("order", "name"), told.get("status", "")
    return RulesWanted(
        told.get("q", "")[:LONGEST_WORD],
        status if status in STATUSES else "",
        order if order in ORDERS else "name",
    )


def _sample(world: World) -> tuple[Sampled, datetime]:
    at = world.clock()
    return world.store.reports.newest(at, MOST_CALLS), at


def _rows(
    world: World, figures: Figures, wanted: RulesWanted
) -> tuple[list[RuleRow], dict[str, Any]]:
    """The rules that are wanted, and from when their figures are."""
    rulebook, (sampled, at) = world.rulebook, figures.read()
    today = at.astimezone(rulebook.site.time_zone).date()
    told = {"calls": sum(sampled.calls.values()), "since": sampled.since, "at": at}
    return list_rules(rulebook, sampled, today, wanted), told


def _standing(world: World) -> dict[str, Any]:
    """What is served, and what is wrong with the folder."""
    return {
        "state": render_json(_state(world)).decode(),
        "served": world.rulebook,
        "serving": world.serving,
        "refusal": world.store.publications.refusal(),
        "before": _published_before(world),
    }


def _state(world: World) -> Mapping[str, str]:
    """What a page looks again for: small, and the same until something has changed."""
    refusal = world.store.publications.refusal()
    visit = current_visit()
    run = world.store.runs.of_session(visit.session.key_hash, visit.now)
    return {
        "served": world.rulebook.digest,
        "refused": f"{refusal.at} {refusal.checked}" if refusal else "",
        "run": f"{run.id} {run.state}" if run else "",
        "seconds": str((visit.now - run.begun).seconds) if run else "",
    }


def _published_before(world: World) -> str:
    """The digest of what was published before what is served; empty for nothing."""
    latest = [each.digest for each in world.store.publications.latest(2)]
    return next((each for each in latest if each != world.rulebook.digest), "")


def _changes(world: World, since: str) -> Mapping[str, Any] | None:
    """What changed in meaning since another rulebook that was published."""
    if not since or since == world.rulebook.digest:
        return None
    try:
        return _compare(world.store, since, world.rulebook.digest)
    except (StoreError, LookupError):
        return {"untold": True}


@lru_cache(maxsize=16)
def _compare(store: Store, old: str, new: str) -> Mapping[str, Any]:
    """The same for ever: both are known by their digests.

    Raises:
        LookupError: if nothing came of it, which is not remembered.
    """
    found = compare_published(published_files(store, old), published_files(store, new))
    if found is None:
        raise LookupError(old)
    return found


def _find(world: World, rule_id: str) -> Rule:
    rule = world.rulebook.rules.get(rule_id)
    if rule is None:
        raise NotFound()
    return rule


def _describe(rule: Rule, world: World) -> str:
    """The page of a rule as ``doc`` writes it; empty if its text is gone."""
    rulebook = world.rulebook
    try:
        texts = dict(published_files(world.store, rulebook.digest))
    except StoreError:
        return ""
    tests = rule.file.removesuffix(".yaml") + ".test.yaml"
    text = _read(world.config, tests)
    return _write_page(rule.id, _Served(rulebook, {**texts, **text}))


class _Served:
    """A rulebook with its texts, the same as another of the same texts."""

    def __init__(self, rulebook: Rulebook, texts: Mapping[str, str]) -> None:
        self.rulebook, self.texts = rulebook, texts
        self._key = (rulebook.digest, hash(frozenset(texts.items())))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Served) and self._key == other._key


@lru_cache(maxsize=32)
def _write_page(rule: str, served: _Served) -> str:
    page = markdown(build_served_page(rule, served.rulebook, served.texts))
    # The title is the page's own; what follows stands one level below it.
    return page.partition("\n")[2].replace("\n## ", "\n# ").replace("\n### ", "\n## ")


def _read(config: Config, path: str) -> dict[str, str]:
    """A file of the folder that is not published; none where it is not there."""
    try:
        return {path: Path(config.rules, path).read_text("utf-8-sig")}
    except (OSError, UnicodeDecodeError):
        return {}


def read_result(result: str) -> Mapping[str, Any] | None:
    """Return what a run printed as data; None where it came to no result."""
    try:
        told = json.loads(result)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
