"""``cds-service valueset``: the codes that rules mean by a name.

Here too is what its verbs share: the folder and its value sets.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ...rulebook.language import Document, suggest
from ...rulebook.terminology import ValueSet
from .. import Verb, Verbs
from ..rules.compiled import Compilation

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(
    cls=Verbs,
    package=__name__,
    verbs={
        "compare": Verb(
            "compare", "Compute recall and precision of a set against a list."
        ),
        "coverage": Verb(
            "coverage", "Count the medicines and problems that no set covers."
        ),
        "expand": Verb("show", "Write every code of a value set."),
        "import": Verb(
            "import_codes",
            "Import RxNorm or a FHIR ValueSet.",
            "import_codes",
        ),
        "licences": Verb("licences", "Find content that is subject to licences."),
        "list": Verb("show", "List every value set.", "list_sets"),
        "lock": Verb("lock", "Record what every value set contains now."),
        "outdated": Verb("lock", "List the codes added and removed since then."),
        "show": Verb("show", "Show where the codes of a value set come from."),
    },
)
def valueset() -> None:
    """Inspect value sets, import terminology, and see what it changes."""


def rules_option(command: Command) -> Command:
    """Return the option ``--rules`` on a command."""
    option = click.option(
        "--rules",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The rules folder; by default CDS_RULES, or ./rules.",
    )
    return option(command)


def form_option(*forms: str) -> Callable[[Command], Command]:
    """Return the option ``--format`` on a command, as its argument ``form``."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Output format.",
    )


def find_set(compiled: Compilation, name: str) -> ValueSet:
    """Return the value set that a user names.

    Raises:
        click.UsageError: if there is none, with what may have been meant.
    """
    sets = compiled.rulebook.valuesets
    if name not in sets:
        help = suggest(name, sets)
        raise click.UsageError(f"there is no value set {name}; {help}".rstrip("; "))
    return sets[name]


def set_documents(compiled: Compilation) -> list[Document]:
    """Return the files of the folder that hold value sets."""
    return [
        document
        for file, document in compiled.documents.items()
        if file.startswith("valuesets/")
    ]


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 code``, ``2 codes``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
