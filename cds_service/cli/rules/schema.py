"""``cds-service schema``: JSON Schemas for editors, with a project's own names."""

import json
import os
from pathlib import Path
from typing import Any

import click

from ...exports.files import write_atomically
from ...rulebook.authoring import modeline, project_schema, with_modeline
from ...rulebook.compile import compile_rulebook, kind_of
from ...rulebook.language import NAMES, bundle
from ...rulebook.load import SUFFIX, InvalidRulebook, read_folder

FOLDER = Path(".cds-service", "schemas")
"""Where a project's schemas stand, beside its rules folder."""


@click.command()
@click.argument("kind", required=False, type=click.Choice(NAMES))
@click.option(
    "--project",
    is_flag=True,
    help="Include this project's own names: value sets, shared facts, alert types, "
    "override reasons, rules.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the schemas into this folder; with --project by default "
    ".cds-service/schemas beside the rules folder.",
)
@click.option(
    "--modeline",
    "modelines",
    is_flag=True,
    help="Also write a first line that names the schema into every rule file.",
)
@click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The rules folder; by default the one named by CDS_RULES, or ./rules.",
)
def schema(
    kind: str | None,
    project: bool,
    out: Path | None,
    modelines: bool,
    rules: Path | None,
) -> None:
    """Print or write the JSON Schema of each kind of rule file, for editors.

    KIND alone prints one. --out or --project writes all of them, or that of KIND; each
    stands alone. Run it again when names are added. Exit code 0: done; 1: the rules
    have errors; 2: could not run.
    """
    folder = rules or Path(os.environ.get("CDS_RULES") or "rules")
    if not kind and not project and not out:
        kinds = ", ".join(NAMES)
        raise click.UsageError(f"name a kind of file ({kinds}), or --out or --project")
    if modelines and (kind or not (project or out)):
        raise click.UsageError("--modeline goes with --project or --out, and no KIND")
    if (project or modelines) and not folder.is_dir():
        raise click.UsageError(f"there is no {folder}; name --rules, or set CDS_RULES")
    names = (kind,) if kind else NAMES
    made = (
        project_schemas(folder) if project else {each: bundle(each) for each in NAMES}
    )
    if kind and not out:
        click.echo(as_text(made[kind]), nl=False)
        return
    target = out or folder.absolute().parent / FOLDER
    for each in names:
        save(target / f"{each}.schema.json", as_text(made[each]))
    if modelines:
        point(folder, target)
    else:
        click.echo(advice(folder, target))


def project_schemas(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the schema of every kind of file, with the names in a rules folder.

    Raises:
        click.ClickException: if the rules have errors.
    """
    try:
        compiled = compile_rulebook(read_folder(folder))
    except InvalidRulebook as error:
        raise click.ClickException(str(error)) from error
    rulebook = compiled.rulebook
    if rulebook is None:
        raise click.ClickException(
            f"the rules have errors; `cds-service check {folder}` shows them"
        )
    facts = {
        document.data["fact"]: document.data.get("title", "A shared fact.")
        for file, document in compiled.documents.items()
        if kind_of(file) == "fact"
    }
    return {name: project_schema(name, rulebook, facts) for name in NAMES}


def as_text(made: dict[str, Any]) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def save(file: Path, text: str) -> None:
    """Write a file if it would change, and say what was done."""
    try:
        if file.is_file() and file.read_bytes() == text.encode():
            click.echo(f"{shown(file)} is up to date")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
    click.echo(f"{shown(file)} written")


def point(folder: Path, schemas: Path) -> None:
    """Let the first line of every file of a rules folder name the schemas."""
    path = Path(os.path.relpath(schemas.absolute(), folder.absolute())).as_posix()
    for name in read_folder(folder):
        if not name.endswith(SUFFIX):
            continue
        file = (folder / name).resolve()
        text = file.read_bytes().decode("utf-8-sig")
        written = with_modeline(text, modeline(name, path))
        if written != text:
            save(file, written)


def advice(folder: Path, schemas: Path) -> str:
    """Return how an editor comes to use the schemas."""
    settings = {
        f"./{shown(schemas / f'{kind}.schema.json')}": [
            pattern.format(folder.name) for pattern in patterns
        ]
        for kind, patterns in _PATTERNS.items()
    }
    written = json.dumps({"yaml.schemas": settings}, indent=2)
    return (
        "\nEditors with a YAML language server go by the first line of each file; "
        "--modeline lets it name these schemas.\n"
        "Files without such a line are matched by the editor's settings. In VS Code, "
        f".vscode/settings.json:\n\n{written}"
    )


def shown(path: Path) -> str:
    """Return a path as the caller would name it."""
    here = Path.cwd()
    absolute = path.absolute()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


_PATTERNS = {
    "rule": [
        "{0}/*/*.yaml",
        "!**/*.test.yaml",
        "!{0}/facts/*",
        "!{0}/detectors/**",
        "!{0}/valuesets/**",
        "!{0}/lexicon/**",
    ],
    "rule-test": ["{0}/**/*.test.yaml", "!{0}/detectors/**"],
    "detector-test": ["{0}/detectors/**/*.test.yaml"],
    "detector": ["{0}/detectors/**/*.yaml", "!**/*.test.yaml"],
    "fact": ["{0}/facts/*.yaml"],
    "valueset": ["{0}/valuesets/**/*.yaml"],
    "lexicon": ["{0}/lexicon/**/*.yaml"],
    "services": ["{0}/services.yaml"],
    "site": ["{0}/site.yaml"],
    "alert-types": ["{0}/alert-types.yaml"],
    "metrics": ["{0}/metrics.yaml"],
    "outputs": ["{0}/outputs.yaml"],
    "units": ["{0}/units.yaml"],
}
"""The files of each kind, as globs; {0} is the rules folder."""
