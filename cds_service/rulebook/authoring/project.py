"""Schemas that know one rulebook's own names, and how a file names its schema.

With a rulebook's names in the place of "a name", the editor completes and marks those
too.
"""

import copy
import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath, relpath

from ...fhir.code_systems import SYSTEMS
from ...protocol.feedback import OVERRIDE_REASONS
from ...protocol.hooks import HOOKS
from ...units.formats import OWN_UNITS
from ..compile.compiler import kind_of
from ..engine.rulebook import Rulebook
from ..language.schemas import FROM_GRAMMAR, Schema, bundle
from ..terminology.valuesets import ValueSet

Names = Mapping[str, str]
"""What may stand there, and what it is."""


CATALOGUES = {"metrics": "metrics", "alert-types": "alert_types"}
"""Where the files that name what wearables tell have their entries."""


def project_schema(name: str, rulebook: Rulebook, facts: Names) -> Schema:
    """The schema of a *name* file with the names that a rulebook holds.

    *facts* are its shared facts by name, each with its title.
    """
    schema = bundle(name)
    definitions = schema["definitions"]
    known = _Known(rulebook, facts)
    for key, fill in (
        ("condition", known.condition),
        ("medication", known.medication),
        ("observation", known.observation),
        ("wearable_alert", known.wearable_alert),
        ("wearable", known.days),
        ("stream", known.stream),
        ("fact", known.fact),
        ("card", known.card),
        ("card_defaults", known.card),
    ):
        if FROM_GRAMMAR + key in definitions:
            fill(definitions[FROM_GRAMMAR + key]["properties"])
    if FROM_GRAMMAR + "hook" in definitions:
        definitions[FROM_GRAMMAR + "hook"] = known.hook(
            definitions[FROM_GRAMMAR + "hook"]
        )
    known.fill_file(name, schema)
    return schema


class _Known:
    """What a rulebook has names for, put where those names may stand."""

    def __init__(self, rulebook: Rulebook, facts: Names) -> None:
        self._rulebook = rulebook
        self._facts = facts

    def condition(self, properties: Schema) -> None:
        self._valueset(properties, "in", DIAGNOSES)

    def medication(self, properties: Schema) -> None:
        self._valueset(properties, "in", MEDICINES)

    def observation(self, properties: Schema) -> None:
        self._valueset(properties, "in", RESULTS)

    def wearable_alert(self, properties: Schema) -> None:
        properties["type"]["items"] = _one_of("A type of alert.", self._alert_types())

    def days(self, properties: Schema) -> None:
        _name(properties, "metric", self._metrics())
        _name(properties, "summary", self._statistics())

    def stream(self, properties: Schema) -> None:
        _name(properties, "metric", self._metrics())
        _name(properties, "detector", self._detectors())

    def fact(self, properties: Schema) -> None:
        if self._facts:
            text = properties["use"]["description"]
            properties["use"] = _one_of(text, self._facts)

    def card(self, properties: Schema) -> None:
        site = self._rulebook.site.override_reasons
        reasons = {**OVERRIDE_REASONS, **site}
        names = {code: each.display for code, each in reasons.items()}
        properties["override_reasons"]["items"] = _one_of("A reason.", names)

    def hook(self, schema: Schema) -> Schema:
        """A hook of the library, or an EHR's own, which has a dot in its name."""
        names = {name: f"Version {each.version}." for name, each in HOOKS.items()}
        own = {**schema, "pattern": r"^[a-z0-9]+([.-][a-zA-Z0-9]+)*\.[a-zA-Z0-9.-]+$"}
        return {
            "description": schema["description"],
            "anyOf": [_one_of(schema["description"], names), own],
        }

    def fill_file(self, name: str, schema: Schema) -> None:
        """Put names where only files of this kind have them."""
        fill = {
            "rule": self._rule_file,
            "rule-test": self._rule_tests,
            "site": self._site_file,
            "services": self._services_file,
            "detector": self._detector_file,
            "detector-test": self._detector_tests,
            "valueset": self._valueset_file,
            "outputs": self._outputs_file,
        }.get(name)
        if fill is not None:
            fill(schema)
        elif name in CATALOGUES:
            self._fill_catalogue(schema["properties"][CATALOGUES[name]])

    def _rule_file(self, schema: Schema) -> None:
        _name(schema["properties"], "replaced_by", self._rules())

    def _rule_tests(self, schema: Schema) -> None:
        alert = schema["definitions"]["wearable_alert"]["properties"]
        alert["type"] = _one_of(alert["type"]["description"], self._alert_types())
        parts = schema["definitions"]
        self.days(parts["worn_days"]["properties"])
        _name(parts["worn_stream"]["properties"], "metric", self._metrics())
        _name(parts["worn_tallies"]["properties"], "detector", self._detectors())
        _name(schema["properties"], "test", self._rules())

    def _site_file(self, schema: Schema) -> None:
        properties = schema["properties"]
        _name_settings(properties["rules"], "A rule of this rulebook.", self._rules())
        text = "A detector of this rulebook."
        _name_settings(properties["detectors"], text, self._detectors())

    def _services_file(self, schema: Schema) -> None:
        files = [each.file for each in self._rulebook.rules.values()]
        folders = sorted({file.rpartition("/")[0] for file in files} - {""})
        names = {each: "A folder of rules." for each in folders}
        items = schema["properties"]["services"]["items"]["properties"]["rules"]
        items["items"] = _one_of("A folder or a rule.", names | dict(self._rules()))

    def _detector_file(self, schema: Schema) -> None:
        properties, sustained = schema["properties"], schema["definitions"]["sustained"]
        proofs = sustained["properties"]["at_rest"]["properties"]
        _name(properties, "raises", self._alert_types())
        _name(properties, "metric", self._metrics())
        _name(proofs, "metric", self._metrics())
        _name(properties, "replaced_by", self._detectors())

    def _detector_tests(self, schema: Schema) -> None:
        readings = schema["definitions"]["readings"]["items"]["properties"]
        _name(readings, "metric", self._metrics())
        _name(schema["properties"], "test", self._detectors())

    def _outputs_file(self, schema: Schema) -> None:
        metrics, categories = schema["properties"]["metrics"], self._categories()
        if self._metrics():
            metrics["propertyNames"] = _one_of("A metric.", self._metrics())
        if categories:
            items = schema["definitions"]["categories"]["items"]
            text = items["description"]
            schema["definitions"]["categories"]["items"] = _one_of(text, categories)

    def _categories(self) -> Names:
        return dict.fromkeys(
            self._rulebook.catalogue.outputs.categories, "Of this file."
        )

    def _statistics(self) -> Names:
        """What a day may have of any metric, and of which."""
        found: dict[str, list[str]] = {}
        for metric in self._rulebook.catalogue.metrics.values():
            for each in metric.statistics:
                found.setdefault(each, []).append(metric.title)
        return {
            name: ", ".join(titles) if ":" in name else "Of the day."
            for name, titles in sorted(found.items())
        }

    def _valueset_file(self, schema: Schema) -> None:
        properties = schema["properties"]
        for key in ("include", "exclude"):
            entry = properties[key]["items"]["properties"]
            self._valueset(entry, "valueset", frozenset())
        self._valueset(properties, "extends", frozenset())

    def _rules(self) -> Names:
        return {each.id: each.title for each in self._rulebook.rules.values()}

    def _detectors(self) -> Names:
        return {each.name: each.title for each in self._rulebook.detectors.values()}

    def _metrics(self) -> Names:
        metrics = self._rulebook.catalogue.metrics.values()
        return {each.name: f"{each.title} ({each.unit})" for each in metrics}

    def _fill_catalogue(self, schema: Schema) -> None:
        entry = schema["additionalProperties"]["properties"]
        formats = dict.fromkeys(OWN_UNITS, "A format of readings.")
        entry["names"]["propertyNames"] = _one_of("A format.", formats)
        names = self._metrics()
        for place, key in (
            (entry, "metric"),
            (entry.get("derived", {}).get("properties", {}), "from"),
            (entry.get("includes", {}), "items"),
        ):
            if key in place and names:
                place[key] = _one_of(place[key]["description"], names)

    def _alert_types(self) -> Names:
        return {
            name: f"{each.title} ({each.unit})" if each.unit else each.title
            for name, each in self._rulebook.catalogue.alert_types.items()
        }

    def _valueset(self, properties: Schema, key: str, systems: frozenset[str]) -> None:
        names = {
            name: each.title
            for name, each in self._rulebook.valuesets.items()
            if may_hold(each, systems)
        }
        if names:
            properties[key] = _one_of(properties[key]["description"], names)


def _name(properties: Schema, key: str, names: Names) -> None:
    """Let one of *names* stand under a key, if there is one."""
    if names:
        properties[key] = _one_of(properties[key]["description"], names)


def _name_settings(schema: Schema, text: str, names: Names) -> None:
    """Put the names of what a site sets, and their titles, where they may stand."""
    if names:
        schema["propertyNames"] = _one_of(text, names)
        settings = schema["additionalProperties"]
        schema["properties"] = {
            name: {**copy.deepcopy(settings), "description": title}
            for name, title in names.items()
        }


def may_hold(valueset: ValueSet, systems: frozenset[str]) -> bool:
    """Return whether a set can be about what is coded in *systems*; of none, in any."""
    if not systems or not valueset.systems:
        return True
    elsewhere = valueset.systems - frozenset(SYSTEMS.values())
    return bool(elsewhere or valueset.systems & systems)


def _one_of(description: str, names: Names) -> Schema:
    ordered = sorted(names)
    return {
        "description": description,
        "type": "string",
        "enum": ordered,
        "markdownEnumDescriptions": [names[each] for each in ordered],
    }


MEDICINES = frozenset(SYSTEMS[name] for name in ("rxnorm", "atc", "ndc", "snomed"))
DIAGNOSES = frozenset(SYSTEMS[name] for name in ("icd10cm", "snomed"))
RESULTS = frozenset(SYSTEMS[name] for name in ("loinc", "snomed"))
"""The systems that the entries of a chart are coded in, by their kind."""


def modeline(path: str, schemas: str) -> str:
    """The line for a file of the rules folder; both are named from that folder.

    *schemas* is the folder of the schemas; it may be an absolute path.
    """
    target = join(schemas, f"{kind_of(path)}.schema.json")
    if not schemas.startswith("/"):
        target = relpath(target, dirname(path) or ".")
    return f"# yaml-language-server: $schema={target}"


def schema_folder(path: str, text: str) -> str | None:
    """The folder of schemas, from the rules folder, that a file's first line names."""
    found = _MODELINE.match(text)
    if not found or "://" in found[1]:
        return None
    return normpath(join(dirname(path), dirname(found[1])))


def with_modeline(text: str, line: str) -> str:
    """The text with *line* at its top, in the place of the one that it had."""
    found = _MODELINE.match(text)
    return f"{line}\n{text[found.end():] if found else text}"


_MODELINE = re.compile(
    r"\ufeff?# yaml-language-server: \$schema=(\S+)[ \t]*(?:\r?\n|\Z)"
)
