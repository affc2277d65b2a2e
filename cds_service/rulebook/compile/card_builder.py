"""The cards of a rule file: templates parsed, placeholders checked, codes named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...protocol.cards import CardSource, Coding, Indicator, Link
from ..cards import sentences
from ..cards.shape import (
    SUMMARY_ROOM,
    absence_in,
    claims_absence,
    compose_detail,
    flaws,
    longest_value,
)
from ..cards.suggestions import Occasion, created, why_no_reason
from ..engine.attributes import PATIENT_SHOWS, show_param
from ..engine.facts import KINDS, Criterion, Fact
from ..engine.rules import (
    ActionTemplate,
    CardTemplate,
    Param,
    Site,
    SuggestionTemplate,
)
from ..engine.worn_text import TABLE
from ..language.criterion_tree import ALERT_ATTRIBUTES
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Path
from ..language.tree import ActionNode, CardNode, RuleTree, SuggestionNode
from ..values.text import (
    PARAMETER,
    SUMMARY_LIMIT,
    Placeholder,
    Template,
    TemplateError,
    Text,
    parse_template,
    placeholders,
    render_markdown,
    render_plain,
)
from .fact_builder import DRAFT_ORDERS, Shelf
from .orders import coded
from .when_builder import WhenBuilder


class CardBuilder:
    """Builds the cards of one rule."""

    def __init__(
        self,
        rule: RuleTree,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        reasons: Mapping[str, Coding],
        site: Site,
        shelf: Shelf,
        whens: WhenBuilder,
        findings: Findings,
    ) -> None:
        self.rule = rule
        self.document = rule.document
        self.facts = facts
        self.params = params
        self.reasons = reasons
        """The override reasons that a card may offer, by code."""
        self.orders = site.orders
        self.pages = site.pages
        self.shelf = shelf
        self.whens = whens
        self.findings = findings
        self.fires_unknown = rule.if_unknown == "fire"

    def build_all(
        self, when: Criterion | None, limit: Indicator | None
    ) -> tuple[CardTemplate, ...]:
        """Every card; *limit* is the highest severity that the site allows."""
        cards = []
        # All criteria come first: they decide which alert a text is about.
        owns = [
            self.whens.build(card.when) if card.when is not None else None
            for card in self.rule.cards
        ]
        for index, (card, own) in enumerate(zip(self.rule.cards, owns, strict=True)):
            if when is None or (own is None and card.when is not None):
                sure = set(self.facts)
            else:
                sure = self._sure([when] if own is None else [when, own])
            cards.append(self._card(index, card, own, sure, limit))
        return tuple(cards)

    def _sure(self, nodes: Sequence[Criterion]) -> set[str]:
        """The facts that have a row where all of *nodes* hold, and what these show."""
        if self.fires_unknown:
            return set()
        sure = set[str]().union(*(_sure_of(node) for node in nodes))
        readers = {self.facts[name].reader for name in sure & self.facts.keys()}
        for name, fact in self.facts.items():
            if fact.reader in readers or any(each.name in sure for each in fact.parts):
                sure.add(name)
            if len(self.whens.alert_tests.get(name, ())) > 1:
                # The text may be about an alert that passes another of the tests.
                sure -= {f"{name}.{each}" for each in ALERT_ATTRIBUTES}
        return sure

    def _card(
        self,
        index: int,
        card: CardNode,
        when: Criterion | None,
        sure: set[str],
        limit: Indicator | None,
    ) -> CardTemplate:
        texts = {
            name: self._text(text, card.place(name), sure, name == "detail")
            for name, text in (
                ("summary", card.summary),
                ("detail", card.detail),
                ("limits", card.limits),
            )
        }
        summary = texts["summary"]
        self._check_summary(summary, card.place("summary"))
        if texts["detail"]:
            self._check_shape(texts, card.severity, card.place("detail"))
        return CardTemplate(
            index=index,
            severity=min(card.severity, limit) if limit else card.severity,
            when=when,
            summary=summary,
            detail=texts["detail"] if card.detail else None,
            limits=texts["limits"],
            source=self._source(card),
            override_reasons=self._reasons(card),
            links=self._links(card),
            suggestions=tuple(self._suggestion(s, sure) for s in card.suggestions),
            selection=card.selection,
            together=self._together(card),
            system_actions=self._actions(card.system_actions, sure),
        )

    def _together(self, card: CardNode) -> str:
        """Return what suggestions are called as one, where they can go together."""
        choice = any(each.action_selection for each in card.suggestions)
        several = card.selection == "any" and len(card.suggestions) > 1
        if card.together and (choice or not several):
            message = "these suggestions cannot be offered together"
            help = "it needs `selection: any`, and several without `action_selection`"
            self._error(card.place("together"), "CDS676", message, help)
        return card.together

    def _text(self, text: str, where: Path, sure: set[str], tables: bool) -> Template:
        """A text that the clinician reads; it does not claim that nothing is there."""
        template = self._template(text, where, sure, may_go=True, tables=tables)
        literal = "".join(part for part in template if isinstance(part, str))
        claims = [absence_in(literal)]
        claims += [
            each.otherwise
            for each in placeholders(template)
            if each.otherwise and claims_absence(each.attribute, each.otherwise)
        ]
        for claim in filter(None, claims):
            message = (
                f"{quote(' '.join(claim.split()))} is shown whatever could be read"
            )
            help = (
                "show `{{ fact.recorded }}`: it says what is recorded, or 'not known'"
            )
            self.findings.warning(self.document, where, "CDS520", message, help)
        return template

    def _check_summary(self, summary: Template, path: Path) -> None:
        fixed = sum(len(part) for part in summary if isinstance(part, str))
        if fixed > SUMMARY_LIMIT:
            message = f"the summary has {fixed} characters before anything is filled in"
            help = f"shorten it; at most {SUMMARY_LIMIT} are shown"
            self._error(path, "CDS505", message, help)
            return
        filled = len(render_plain(summary, self._longest, limit=10 * SUMMARY_LIMIT))
        if filled > SUMMARY_ROOM:
            message = f"the summary may have {filled} characters"
            help = (
                f"at most {SUMMARY_ROOM} are read; show `ingredient` instead of `name`"
            )
            self.findings.warning(self.document, path, "CDS521", message, help)

    def _check_shape(
        self, texts: Mapping[str, Template], severity: Indicator, path: Path
    ) -> None:
        body, limits = (
            render_markdown(texts[name], self._longest) for name in ("detail", "limits")
        )
        whole = compose_detail(body, limits, [sentences.AWAITS_APPROVAL])
        for flaw in flaws(whole, severity):
            help = (
                "what to do in bold, why, at most three bullets; the rest in `limits`"
            )
            self.findings.warning(self.document, path, "CDS522", flaw, help)

    def _longest(self, fact: str, attribute: str) -> Text:
        """About the longest that a placeholder is going to show."""
        if fact == PARAMETER and attribute in self.params:
            return show_param(self.params[attribute])
        if fact not in self.facts:
            return Text("99", True)
        names = set[str]()
        for slot in self.facts[fact].slots:
            valueset = self.shelf.selectors[slot].valueset
            if valueset in self.shelf.valuesets:
                names.update(self.shelf.valuesets[valueset].called.values())
        return Text(longest_value(self.facts[fact], attribute, names), True)

    def _template(
        self,
        text: str,
        path: Path,
        sure: set[str],
        may_go: bool = False,
        tables: bool = False,
    ) -> Template:
        """The template of a text.

        Args:
            may_go: Whether lines of it may be left out.
            tables: Whether a line of it may be a table.
        """
        try:
            template = parse_template(text)
        except TemplateError as error:
            self._at(path, error.offset, "CDS501", error.message, error.help)
            return ()
        for placeholder in placeholders(template):
            if placeholder.otherwise == "" and not may_go:
                message = "here, the text after `or` must not be empty"
                help = "only `summary`, `detail` and `limits` leave out lines"
                self._at(path, placeholder.offset, "CDS501", message, help)
            self._check(placeholder, path, sure)
        for placeholder, alone in _tables(template):
            if not (tables and alone):
                message = f"{quote(TABLE)} is used where no table can be shown"
                help = "put it alone on a line of `detail`, with `or ''`"
                self._at(path, placeholder.offset, "CDS511", message, help)
        return template

    def _check(self, placeholder: Placeholder, path: Path, sure: set[str]) -> None:
        offset = placeholder.offset
        name, attribute = placeholder.fact, placeholder.attribute
        if name == PARAMETER:
            if attribute not in self.params:
                message = f"there is no param {quote('$' + attribute)}"
                known = [f"${each}" for each in self.params]
                help = suggest(f"${attribute}", known) or "define it under `params`"
                self._at(path, offset, "CDS303", message, help)
            self.whens.limits.used_params.add(attribute)
            return
        if name == "patient":
            always, shows, sometimes = frozenset[str](), frozenset[str](), PATIENT_SHOWS
        elif name in self.facts:
            self.whens.used_facts.add(name)
            kind = KINDS[self.facts[name].kind]
            always, shows, sometimes = kind.always, kind.shows, kind.may_show
        else:
            message = f"there is no fact {quote(name)} in this rule"
            options = [*self.facts, "patient"]
            self._at(path, offset, "CDS502", message, suggest(name, options))
            return
        if attribute not in shows | sometimes:
            message = f"{quote(name)} has no {quote(attribute)} to show"
            self._at(
                path, offset, "CDS503", message, suggest(attribute, shows | sometimes)
            )
        elif placeholder.otherwise is None and attribute not in always:
            there = name in sure and attribute not in sometimes
            if not there and f"{name}.{attribute}" not in sure:
                message = f"{quote(f'{name}.{attribute}')} may have no value here"
                help = f"write {{{{ {name}.{attribute} or 'not known' }}}}"
                self._at(path, offset, "CDS504", message, help)

    def _source(self, card: CardNode) -> CardSource:
        if card.source is None:
            message = "the card has no `source`"
            self._error(card.path, "CDS506", message, "name who gives the advice")
            return CardSource("")
        return card.source

    def _reasons(self, card: CardNode) -> tuple[Coding, ...]:
        reasons = []
        for index, code in enumerate(card.override_reasons):
            if code in self.reasons:
                reasons.append(self.reasons[code])
                continue
            self._error(
                (*card.place("override_reasons"), index),
                "CDS507",
                f"{quote(code)} is not an override reason",
                suggest(code, self.reasons)
                or "local reasons are listed in site.yaml under `override_reasons`",
            )
        return tuple(reasons)

    def _links(self, card: CardNode) -> tuple[Link, ...]:
        """Return the links, each page of this server called as it is here."""
        links = []
        for index, link in enumerate(card.links):
            label = link.label or self.pages.get(link.page, "")
            if not label:
                message = f"the link to the page {quote(link.page)} has no label"
                help = "write `label:` here, or name the page in site.yaml, `pages`"
                self._error((*card.place("links"), index), "CDS512", message, help)
            links.append(replace(link, label=label))
        return tuple(links)

    def _suggestion(self, node: SuggestionNode, sure: set[str]) -> SuggestionTemplate:
        actions = self._actions(node.actions, sure)
        return SuggestionTemplate(
            node.label, node.recommended, actions, node.action_selection
        )

    def _actions(
        self, written: Sequence[ActionNode], sure: set[str]
    ) -> tuple[ActionTemplate, ...]:
        actions = (self._action(each, sure) for each in written)
        return tuple(action for action in actions if action is not None)

    def _action(self, node: ActionNode, sure: set[str]) -> ActionTemplate | None:
        if node.type == "create":
            return self._create(node, sure)
        name = node.fact
        if name not in self.facts:
            self._unknown_fact(name, (*node.path, node.type))
            return None
        self.whens.used_facts.add(name)
        kind = self.facts[name].kind
        if kind in _NO_RESOURCES:
            message = f"{_NO_RESOURCES[kind]} is not a resource of the EHR"
            help = "name a fact that is read from the chart"
            self._error((*node.path, node.type), "CDS508", message, help)
            return None
        if node.type == "remove":
            return ActionTemplate("delete", node.description, fact=name)
        for member in sorted(_IDENTITY & node.content.keys()):
            message = f"{quote(member)} says which record this is, and whose it is"
            help = "an update changes what a record says; create another one instead"
            where = (*node.place, member)
            self.findings.error(self.document, where, "CDS510", message, help, key=True)
        for where, text in _texts(node.content, node.place):
            self._template(text, where, sure)
        changes = coded(node.content, self.orders)
        return ActionTemplate("update", node.description, fact=name, changes=changes)

    def _create(self, node: ActionNode, sure: set[str]) -> ActionTemplate:
        for where, text in _texts(node.content, node.place):
            self._template(text, where, sure)
        resource = coded(node.content, self.orders)
        self._check_created(resource, node.place)
        reasons = self._grounds(node)
        return ActionTemplate("create", node.description, resource, reasons=reasons)

    def _grounds(self, node: ActionNode) -> tuple[str, ...]:
        """The facts that are the reason for what is created."""
        grounds = []
        for index, name in enumerate(node.reasons):
            where = (*node.path, "reason", index)
            if name not in self.facts:
                self._unknown_fact(name, where)
                continue
            self.whens.used_facts.add(name)
            fact = self.facts[name]
            why = why_no_reason(node.content["resourceType"], fact.kind)
            if not why and DRAFT_ORDERS in fact.origins:
                why = "a draft is not in the record yet"
            if why:
                help = "name another fact, or write `reasonCode` with a `text`"
                self._error(where, "CDS675", why, help)
                continue
            grounds.append(name)
        return tuple(grounds)

    def _unknown_fact(self, name: str, path: Path) -> None:
        message = f"there is no fact {quote(name)} in this rule"
        self._error(path, "CDS502", message, suggest(name, self.facts))

    def _check_created(self, resource: Mapping[str, Any], path: Path) -> None:
        """Hold a new resource to FHIR, with some text in its placeholders.

        As of a call that tells all it may, and as of one that tells nothing.
        """
        try:
            problems = [
                problem
                for occasion in _OCCASIONS
                for problem in self.shelf.check_resource(
                    created(resource, lambda *_: Text("text", True), occasion)
                )
            ]
        except TemplateError:
            return  # already told, where the text stands
        for problem in dict.fromkeys(problems):
            message = f"this is not a FHIR R4 resource: {problem}"
            help = (
                "see the resource's page at https://hl7.org/fhir/R4/resourcelist.html"
            )
            self._error(path, "CDS509", message, help)

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.document, path, code, message, help)

    def _at(self, path: Path, offset: int, code: str, message: str, help: str) -> None:
        # To find the place means to walk the text, so it is done for mistakes alone.
        line, column = self.document.position_in(path, offset)
        self.findings.error_at(self.document.file, line, column, code, message, help)


_OCCASIONS = (
    Occasion("example", "2026-01-01"),
    Occasion("example", "2026-01-01", "example", "Practitioner/example"),
)
_IDENTITY = frozenset({"resourceType", "id", "meta", "subject", "patient", "for"})
_NO_RESOURCES = {
    "wearable_alert": "a wearable alert",
    "wearable": "a day of a wearable",
    "stream": "a stream of a wearable",
    "score": "a score",
}


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in a resource template, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _texts(member, (*path, name))
    elif isinstance(value, Sequence):
        for index, member in enumerate(value):
            yield from _texts(member, (*path, index))


def _sure_of(node: Criterion) -> frozenset[str]:
    """The facts that certainly have a row where the node is true."""
    if node.operator in ("present", "compare"):
        return node.sure | {node.fact}
    sure = [_sure_of(child) for child in node.children]
    if node.operator == "all":
        return frozenset[str]().union(*sure)
    if node.operator == "none":
        return frozenset[str]().union(*map(_sure_without, node.children))
    if node.operator == "any" and sure:
        return sure[0].intersection(*sure[1:])
    return node.sure


def _sure_without(node: Criterion) -> frozenset[str]:
    """The facts that certainly have a row where the node is false."""
    if node.operator == "absent":
        return frozenset({node.fact})
    if node.operator == "any":
        return frozenset[str]().union(*map(_sure_without, node.children))
    if node.operator == "none":
        sure = [_sure_of(child) for child in node.children]
        return sure[0].intersection(*sure[1:])
    return frozenset()


def _tables(template: Template) -> Iterator[tuple[Placeholder, bool]]:
    """Yield placeholders of tables, and whether each is a line that may go."""
    for index, part in enumerate(template):
        if isinstance(part, str) or part.attribute != TABLE:
            continue
        before, after = template[:index][-1:], template[index + 1 :][:1]
        begins = not before or isinstance(before[0], str) and before[0].endswith("\n")
        ends = not after or isinstance(after[0], str) and after[0].startswith("\n")
        yield part, begins and ends and part.otherwise == ""
