"""The house: one order of import, one boundary, few doors to each library."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover

PACKAGE = Path(__file__).parent.parent / "cds_service"

ORDER = [
    ["garbage"],
    ["protocol.errors"],
    ["protocol", "units"],
    ["fhir.chart", "fhir.code_systems", "fhir.moments", "wearables.records"],
    ["wearables"],
    ["rulebook.values"],
    ["rulebook.language"],
    ["rulebook.terminology"],
    ["rulebook.engine.rows"],
    ["rulebook.engine"],
    ["rulebook.cards"],
    ["rulebook.compile"],
    ["rulebook.testing", "rulebook.describe", "rulebook.authoring"],
    ["rulebook"],
    ["store"],
    ["http"],
    ["fhir"],
    ["trust", "audit", "connect.vendors"],
    ["config"],
    ["publishing"],
    ["decision", "ingestion", "delivery"],
    ["connect"],
    ["ehr", "exports"],
    ["web"],
    ["starting"],
    ["app"],
    ["cli"],
]
"""What a module imports stands to the left, or in its own room. Rooms of one line know
nothing of each other."""
LARGEST_FOLDER = 20
"""Modules."""
HISTORY = "versions"
"""A folder that grows with each change of the schema."""
LONGEST_MODULE = 499
"""Lines."""

PURE = [
    "audit.audit_event", "cli.serve.framing", "cli.serve.places",
    "connect.planning", "connect.smart.configuration", "connect.smart.context",
    "connect.smart.scopes", "connect.vendors",
    "delivery.backoff", "delivery.records",
    "protocol", "units", "rulebook", "wearables",
    "fhir.backend_services.configuration", "fhir.chart", "fhir.code_systems",
    "fhir.demographics",
    "fhir.entries", "fhir.foreign_text", "fhir.forms",
    "fhir.models", "fhir.moments", "fhir.questions", "fhir.reading",
    "fhir.refusals", "fhir.scopes", "fhir.subjects", "http.addresses",
    "http.bodies", "http.pacing",
    "web.pages.banner", "web.pages.plots", "web.pages.timeline.asking",
    "web.pages.timeline.figures", "web.pages.timeline.picture",
    "web.pages.timeline.words", "web.pages.whys",
]  # fmt: skip
NOT_PURE = ["rulebook.load", "rulebook.watch"]
WORLD = {
    "asyncio", "flask", "glob", "http", "io", "logging", "multiprocessing", "os",
    "pathlib", "psycopg", "random", "requests", "secrets", "shutil", "socket",
    "sqlalchemy", "sqlite3", "structlog", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib.request", "urllib3",
}  # fmt: skip
WORLDLY_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}

DOORS = {
    "flask": ["web", "app", "cli.serve"],
    "werkzeug": ["web"],
    "gunicorn": ["web", "cli.serve"],
    "orjson": ["web", "http"],
    "jsonschema": ["protocol.schemas"],
    "jsonschema_rs": ["protocol.schemas"],
    "fhirclient": ["fhir.client", "fhir.models"],
    "urllib3": ["http", "ehr"],
    "certifi": ["http", "ehr"],
    "jwt": ["trust", "fhir.backend_services", "ehr", "cli"],
    "cryptography": ["trust", "fhir.backend_services", "ehr", "cli"],
    "yaml": ["rulebook.language"],
    "sqlalchemy": ["store"],
    "alembic": ["store"],
    "authlib": ["connect.oauth", "connect.smart"],
    "sqlite3": ["store", "exports.health_connect"],
    "psycopg": ["store.postgresql", "store.condition.refusals"],
    "pydantic": ["config"],
    "pydantic_settings": ["config"],
    "click": ["cli"],
    "rich": ["cli"],
    "structlog": ["web.log"],
    "opentelemetry": ["web.tracing"],
    "prometheus_client": ["web.health", "web.metrics"],
    "flask_cors": ["web"],
    "jinja2": ["web.pages.shell"],
    "markupsafe": ["web.pages.markdown"],
    "markdown_it": ["web.pages.markdown"],
    "nh3": ["web.pages.markdown"],
    "standardwebhooks": ["cli", "web.workbench.stage"],
    "hl7": ["wearables.adapters.hl7v2"],
    "hl7apy": ["wearables.outputs"],
    "ucumvert": ["units"],
    "pint": ["units"],
    "lark": ["units"],
}
"""Every library that is imported, and the rooms that import it."""
EXTRAS = ["opentelemetry"]
"""Libraries without which the server runs; who works on it may be without them too."""
OWN_DOORS = ["sqlite3"]
"""Libraries of Python itself that have doors."""


def module_names(package: Path) -> dict[str, Path]:
    """Module name without the package, such as ``fhir.chart``, to its file."""
    names = {}
    for file in sorted(package.rglob("*.py")):
        parts = list(file.relative_to(package).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts:
            names[".".join(parts)] = file
    return names


def defined(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module, and the methods of its classes.

    What is decorated is called by whoever decorates it.
    """
    bodies = [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef))]
    for node in (each for body in bodies for each in body):
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))


@dataclass
class Contents:
    """What is looked for in a file, found in one walk through it.

    The trees of all files together would be a million objects.
    """

    imports: list[tuple[int, int, str]] = field(default_factory=list)
    """Line, level and name of what is imported."""
    calls: list[tuple[int, str]] = field(default_factory=list)
    """Line and name of calls of the world."""
    read: set[str] = field(default_factory=set)
    """Names that are read."""
    defined: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    lines: int = 0


@cache
def contents(file: Path) -> Contents:
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    lines = len(text.splitlines())
    found = Contents(defined=[*defined(tree)], classes=classes, lines=lines)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found.imports.extend((node.lineno, 0, each.name) for each in names)
            case ast.ImportFrom(module=base, names=names, level=level):
                stem = f"{base}." if base else ""
                found.imports.extend(
                    (node.lineno, level, stem + each.name) for each in names
                )
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if (
                name in WORLDLY_CALLS
            ):
                found.calls.append((node.lineno, f"a pure module calls {name}()"))
            case ast.Attribute(attr=name, ctx=ast.Load()) | ast.Name(
                id=name, ctx=ast.Load()
            ):
                found.read.add(name)
    return found


@cache
def imports(module: str, file: Path) -> list[tuple[int, str]]:
    """Line and full name of everything that a module imports."""
    package = ("cds_service." + module).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    return [
        (
            line,
            ".".join([*(package[: len(package) - level + 1] if level else []), name]),
        )
        for line, level, name in contents(file).imports
    ]


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def is_foreign(library: str) -> bool:
    """Whether a library has doors."""
    ours = library == "cds_service" or library in sys.stdlib_module_names
    return not ours or library in OWN_DOORS


def layer(name: str) -> int | None:
    """The layer of a module, by the longest room that holds it."""
    found = [
        (len(room), index)
        for index, rooms in enumerate(ORDER)
        for room in rooms
        if within(name, room)
    ]
    return max(found)[1] if found else None


def room_of(name: str) -> str:
    """The longest room of the order that holds a module."""
    rooms = [room for line in ORDER for room in line if within(name, room)]
    return max(rooms, key=len)


def import_graph(package: Path) -> dict[str, set[str]]:
    """Each module to the modules of the package that it imports, its packages too."""
    names = module_names(package)
    graph = {}
    for module, file in names.items():
        told = imports(module, file)
        full = [name.removeprefix("cds_service.") for _, name in told]
        # ``from room import name`` names a module of the room or what one holds.
        parents = [name.rpartition(".")[0] for name in full if name not in names]
        graph[module] = {each for each in [*full, *parents] if each in names}
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or by way of others."""
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def crowded(package: Path) -> list[str]:
    """Folders that hold more modules than a reader takes in."""
    counts = Counter(
        file.parent for file in package.rglob("*.py") if file.parent.name != HISTORY
    )
    return [str(each) for each, count in counts.items() if count > LARGEST_FOLDER]


def overlong(package: Path) -> list[str]:
    """Modules that hold more than a reader keeps in mind."""
    lengths = {
        name: contents(file).lines for name, file in module_names(package).items()
    }
    return [f"{each}: too long" for each, n in lengths.items() if n > LONGEST_MODULE]


def neighbourly(module: str, target: str) -> str:
    """What is wrong with *module* importing *target*; empty if nothing is."""
    here, there = layer(module), layer(target)
    if here is None or there is None:
        return ""
    if there > here:
        return "stands to its right"
    inside = within(module, "rulebook") or not within(target, "rulebook")
    if not inside and target.count(".") > len(["rulebook", "room"]):
        return "is not what its room offers"
    if there == here and room_of(target) != room_of(module):
        return "stands beside it"
    return ""


def violations(package: Path) -> list[str]:
    """Everything in *package* that breaks the order, the boundary or a door."""
    found = [f"{' → '.join(each)}: a cycle" for each in cycles(import_graph(package))]
    found += [f"{folder}: too many modules" for folder in crowded(package)]
    found += overlong(package)
    for module, file in module_names(package).items():
        pure = any(within(module, room) for room in PURE) and module not in NOT_PURE
        here = layer(module)
        if here is None:
            found.append(f"{module}: stands in no room of the order")
            continue
        for line, name in imports(module, file):
            where = f"{module}:{line}"
            if name.startswith("cds_service."):
                wrong = neighbourly(module, name.removeprefix("cds_service."))
                found += [f"{where}: imports {name}, which {wrong}"] if wrong else []
            library = name.split(".")[0]
            doors = DOORS.get(library, [])
            if is_foreign(library) and not any(within(module, door) for door in doors):
                found.append(f"{where}: {library} is not to be used here")
            if pure and any(within(name, each) for each in WORLD):
                found.append(f"{where}: a pure module imports {name}")
        if pure:
            calls = contents(file).calls
            found += [f"{module}:{line}: {call}" for line, call in calls]
    return found


def idle_doors(doors: Mapping[str, list[str]], package: Path) -> list[str]:
    """Doors to a library that is not installed, into no room, or that nobody uses."""
    names = module_names(package)
    used = {
        (name.split(".")[0], module)
        for module, file in names.items()
        for _, name in imports(module, file)
    }
    found = [
        f"{library}: is not installed"
        for library in doors
        if library not in EXTRAS and not find_spec(library)
    ]
    for library, rooms in doors.items():
        for room in rooms:
            if not any(within(each, room) for each in names):
                found.append(f"{library}: there is no room {room}")
            elif not any(each == library and within(by, room) for each, by in used):
                found.append(f"{library}: is not used in {room}")
    return found


def test_the_house_keeps_its_order_its_boundary_and_its_doors() -> None:
    assert violations(PACKAGE) == []


def test_every_door_leads_from_a_room_to_a_library() -> None:
    assert idle_doors(DOORS, PACKAGE) == []


@pytest.mark.parametrize(
    ("library", "room", "complaint"),
    [
        ("ruamel", "rulebook.language", "ruamel: is not installed"),
        ("yaml", "rulebook.source", "yaml: there is no room rulebook.source"),
        ("flask", "dispatch", "flask: there is no room dispatch"),
        ("flask", "rulebook", "flask: is not used in rulebook"),
        ("sqlite3", "web", "sqlite3: is not used in web"),
    ],
)
def test_a_door_to_nowhere_is_found(library: str, room: str, complaint: str) -> None:
    assert complaint in idle_doors({library: [room]}, PACKAGE)


def test_every_room_that_is_named_is_there() -> None:
    names = module_names(PACKAGE)
    named = [*(room for line in ORDER for room in line), *PURE, *NOT_PURE]

    assert [
        room for room in named if not any(within(each, room) for each in names)
    ] == []


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("protocol/x.py", "import cds_service.store.store", "stands to its right"),
        ("protocol/x.py", "from ..fhir import chart", "stands to its right"),
        ("units/x.py", "from ..wearables import records", "stands to its right"),
        ("units/x.py", "from ..protocol import cards", "stands beside it"),
        ("wearables/x.py", "from ..rulebook.values import truth", "to its right"),
        ("rulebook/engine/rows/x.py", "from .. import case", "stands to its right"),
        ("web/x.py", "from ..rulebook.engine.case import Case", "is not what its room"),
        ("rulebook/x.py", "import pint", "pint is not to be used here"),
        ("wearables/x.py", "from ..decision import answer", "stands to its right"),
        ("rulebook/x.py", "import os", "a pure module imports os"),
        ("rulebook/x.py", "from pathlib import Path", "a pure module imports"),
        ("http/x.py", "from ..fhir import questions", "stands to its right"),
        ("fhir/x.py", "import urllib3", "urllib3 is not to be used here"),
        ("fhir/chart.py", "import requests", "requests is not to be used here"),
        ("rulebook/x.py", "d = datetime.now()", "a pure module calls now()"),
        ("decision/x.py", "import yaml", "yaml is not to be used here"),
        ("cli/x.py", "import simple_icd_10_cm", "is not to be used here"),
        ("store/x.py", "import psycopg", "psycopg is not to be used here"),
        ("cli/x.py", "import sqlite3", "sqlite3 is not to be used here"),
        ("helpers.py", "", "stands in no room"),
    ],
)
def test_a_planted_violation_is_found(
    tmp_path: Path, module: str, text: str, complaint: str
) -> None:
    planted = tmp_path / module
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(text)

    found = violations(tmp_path)

    assert len(found) == 1 or "requests" in text
    assert complaint in " ".join(found)


def test_reading_the_disk_is_allowed_where_rules_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "rulebook").mkdir()
    (tmp_path / "rulebook" / "load.py").write_text("from pathlib import Path")

    assert violations(tmp_path) == []


def test_a_cycle_is_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.py").write_text("from . import b")
    (tmp_path / "store" / "b.py").write_text("from .c import name")
    (tmp_path / "store" / "c.py").write_text(
        "if TYPE_CHECKING:\n    from .a import name"
    )

    (found,) = violations(tmp_path)
    assert "a cycle" in found


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for number in range(LARGEST_FOLDER + 1):
        (tmp_path / "store" / f"m{number}.py").touch()

    (found,) = violations(tmp_path)
    assert "too many modules" in found


def test_a_module_that_is_too_long_is_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "long.py").write_text("\n" * LONGEST_MODULE + "x = 1\n")
    (tmp_path / "store" / "short.py").write_text("\n" * LONGEST_MODULE)

    assert violations(tmp_path) == ["store.long: too long"]


@cache
def unused(package: Path) -> list[str]:
    """Names that are defined in *package* and that nothing in it reads."""
    files = module_names(package)
    read = {name for file in files.values() for name in contents(file).read}
    return [
        f"{module}.{name}"
        for module, file in files.items()
        for name in contents(file).defined
        if name not in read
        and not name.startswith("__")
        and not within(module, "store.migrations")
    ]


def namesakes(package: Path) -> dict[str, list[str]]:
    """Public names of classes that several modules declare, to those modules."""
    found: dict[str, list[str]] = {}
    for module, file in module_names(package).items():
        for name in contents(file).classes:
            if not name.startswith("_"):
                found.setdefault(name, []).append(module)
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def test_the_name_of_a_class_means_one_thing() -> None:
    assert namesakes(PACKAGE) == {}


def test_a_name_with_two_meanings_is_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.py").write_text("class Answer: ...\nclass _Own: ...")
    (tmp_path / "store" / "b.py").write_text("class Answer: ...\nclass _Own: ...")

    assert namesakes(tmp_path) == {"Answer": ["store.a", "store.b"]}


FOR_OTHERS = {
    "cli.list_commands", "cli.format_commands",  # click
    "connect.oauth.raise_for_status",  # authlib
    "cli.serve.running.load", "cli.serve.worker.Worker",  # gunicorn
    "config.values.DEBUG", "config.fields.model_config",
    "config.settings.model_config",  # pydantic
    "http.connections._new_conn",  # urllib3
}  # fmt: skip
"""What a library or Python itself asks for by its name."""
UNDER_WAY: set[str] = set()
"""What the next change is to use; it leaves this list with it."""


def test_nothing_is_there_for_tests_alone() -> None:
    assert set(unused(PACKAGE)) - FOR_OTHERS - UNDER_WAY == set()


def test_nothing_is_excused_that_is_used_or_gone() -> None:
    assert (FOR_OTHERS | UNDER_WAY) - set(unused(PACKAGE)) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(): pass", ["store.x.f"]),
        ("LIMIT = 3", ["store.x.LIMIT"]),
        ("class A:\n    def m(self): pass", ["store.x.A", "store.x.m"]),
        ("def f(): pass\nf()", []),
        ("@route\ndef f(): pass", []),
    ],
)
def test_what_nothing_reads_is_found(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.py").write_text(text)

    assert unused(tmp_path) == found
