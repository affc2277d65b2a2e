"""``cds-service call``: any CDS Service, called as an EHR calls it, and judged."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ...ehr.client import Ehr, ServiceAnswer
from ...ehr.exchange import Incomplete, Unanswered
from ...ehr.fixtures import (
    FixtureCase,
    Played,
    Unsaved,
    as_text,
    load_case,
    refuse_taken,
    save_case,
)
from ...ehr.hook_calls import (
    Called,
    Discovered,
    Unoffered,
    Wishes,
    call_service,
    discover,
    find_entry,
)
from ...ehr.tokens import Signer, choose_algorithm, name_signer, read_key
from ...fhir.foreign_text import clean
from ...http.addresses import parse_base
from ...protocol.conformance import Obligation, Reply, Violation, read_json
from ..terminal import print_answer
from .options import FHIR_TOKEN, Options, read_context, take_options


class Unreached(click.ClickException):
    """Nothing could be asked."""

    exit_code = 2


@click.command()
@take_options
def call(**given: Any) -> None:
    """Call SERVICE about a patient and check its answer.

    The chart is read from --fhir, or taken from the fixture case in FOLDER. Without
    SERVICE, print what discovery offers.

    Every violation of CDS Hooks is listed with the id of the rule. Exit code 0: status
    200, and nothing that a service MUST do is violated; 1: otherwise; 2: the command
    was not understood, or nothing answers.

    A server must know the FHIR address that --no-prefetch uses; for a fixture give it a
    port with --fhir-port and list http://127.0.0.1:PORT/fhir in the clients file.
    Wearable alerts of a fixture are not sent: `cds-service simulate` does that. Each
    run opens the chart again, so a card that was just shown may be held back.
    """
    options = Options(**{**given, "alg": given["alg"] or ""})
    _refuse_nonsense(options)
    try:
        ehr = _build_ehr(options)
        found = discover(ehr, options.service or "")
        if options.service is None:
            failed = _list(options, ehr, found)
        else:
            failed = _call(options, ehr, found, options.service)
    except Incomplete as error:
        raise click.UsageError(str(error)) from error
    except (Unanswered, Unoffered, OSError) as error:
        raise Unreached(str(error)) from error
    except Unsaved as error:
        raise click.ClickException(str(error)) from error
    if failed:
        raise SystemExit(1)


def _refuse_nonsense(options: Options) -> None:
    base = parse_base(options.base.rstrip("/"))
    if base is None:
        raise click.UsageError(f"--base {options.base} is not an http(s) address")
    if options.folder and (options.patient or options.fhir):
        raise click.UsageError("FOLDER is the chart: leave out --patient and --fhir.")
    if options.folder and options.save:
        raise click.UsageError("FOLDER is already a case; --save needs a real chart.")
    if options.no_prefetch and options.partial:
        raise click.UsageError("--no-prefetch and --partial exclude each other.")
    named = options.folder or options.patient or options.context
    if options.service and not named:
        raise click.UsageError("Name a patient: --patient ID --fhir URL, or a FOLDER.")
    if options.save:
        try:
            refuse_taken(options.save)
        except Unsaved as error:
            raise click.UsageError(str(error)) from error


def _build_ehr(options: Options) -> Ehr:
    key, algorithm = "", "ES384"
    signer = Signer(options.iss, options.kid, options.tenant)
    if options.key:
        key = read_key(options.key)
        algorithm = choose_algorithm(key, options.alg)
        signer = name_signer(options.key, signer, options.clients)
    return Ehr(
        options.base.rstrip("/"),
        signer.iss,
        key,
        signer.kid,
        algorithm,
        options.jku,
        signer.tenant,
        options.origin,
        options.timeout,
    )


def _list(options: Options, ehr: Ehr, found: Discovered) -> bool:
    """Prints what is offered; whether that was wrong."""
    violations = found.violations
    if options.as_json:
        told = {"discovery": reply_json(found.reply), "violations": _plain(violations)}
        click.echo(as_text(told))
    else:
        options.console.print(
            Text(f"{ehr.discovery_url}: {timing(found.reply)}"), soft_wrap=True
        )
        if found.reply.status == 200:
            print_services(options.console, found.services)
            print_violations(options.console, violations)
    return found.reply.status != 200 or _fatal(violations, options.strict)


def _call(options: Options, ehr: Ehr, found: Discovered, service: str) -> bool:
    """Calls the service and prints the answer; whether it was wrong."""
    if found.reply.status != 200 and not options.hook:
        raise Unoffered(
            f"{ehr.discovery_url} answered {found.reply.status}. "
            "With --hook, the service is called anyway."
        )
    now = datetime.now().astimezone()
    case = _load(options.folder, now)
    entry = find_entry(found.services, service, options.hook)
    called = call_service(ehr, service, entry, _wishes(options), case, now)
    violations = (*found.violations, *called.violations)
    try:
        if options.as_json:
            _print_json(called, violations)
        else:
            _print_call(options, ehr.service_url(service), called, case)
            print_violations(options.console, violations)
    finally:  # whoever reads the output may have left
        if options.save:
            _save(options, called, now)
    return called.reply.status != 200 or _fatal(violations, options.strict)


def _load(folder: Path | None, now: datetime) -> FixtureCase | None:
    try:
        return load_case(folder, now) if folder else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _wishes(options: Options) -> Wishes:
    return Wishes(
        hook=options.hook,
        patient_id=options.patient,
        user=options.user,
        encounter_id=options.encounter,
        context=read_context(options.context),
        fhir=options.fhir,
        fhir_port=options.fhir_port,
        token=_read_token(options),
        scope=options.scope,
        subject=options.subject,
        no_prefetch=options.no_prefetch,
        partial=options.partial,
        all_pages=options.all_pages or options.save is not None,
        errors_as_outcome=options.errors_as_outcome,
        system_actions=options.system_actions,
        spec=options.spec,
        reads_all=options.save is not None,
        patience=options.timeout,
    )


def _read_token(options: Options) -> str:
    if not options.bearer_file:
        return os.environ.get(FHIR_TOKEN, "").strip()
    token = options.bearer_file.read_bytes().decode("ascii", "replace").strip()
    if not token or not token.isprintable() or " " in token or not token.isascii():
        raise click.UsageError(f"{options.bearer_file} contains no bearer token")
    return token


def _print_json(called: Called, violations: tuple[Violation, ...]) -> None:
    told = {
        "service": dict(called.entry),
        "hook": called.request["hook"],
        "hookInstance": called.request["hookInstance"],
        "prefetched": list(called.request.get("prefetch", {})),
        "left_out": called.chart.left_out,
        "answer": reply_json(called.reply),
        "violations": _plain(violations),
    }
    click.echo(as_text(told))


def _plain(violations: tuple[Violation, ...]) -> list[dict[str, str]]:
    return [each.as_json() for each in violations]


def _print_call(
    options: Options, url: str, called: Called, case: FixtureCase | None
) -> None:
    console, request = options.console, called.request
    name = case.name if case else clean(request["context"].get("patientId"))
    sent = request.get("prefetch", {})
    keys = ", ".join(clean(key) for key in sent)
    told = f"{keys} ({size(len(json.dumps(sent)))})" if sent else "nothing"
    lines = [f"{request['hook']} for {name}: POST {url}", f"  prefetched: {told}"]
    for key, reason in called.chart.left_out.items():
        lines.append(f"  left out: {clean(key)}: {clean(reason)}")
    for key in sorted(called.chart.failed & sent.keys()):
        lines.append(f"  sent as a failure: {clean(key)}")
    if "fhirServer" in request:
        bearer = " with a token" if "fhirAuthorization" in request else ""
        lines.append(f"  may read: {request['fhirServer']}{bearer}")
    lines.append(f"  {timing(called.reply)}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    body = read_json(called.reply.content).value
    print_answer(console, ServiceAnswer(called.reply.status, body, 0.0))


def _save(options: Options, called: Called, now: datetime) -> None:
    assert options.save is not None
    server = options.fhir.rstrip("/")
    secrets = (called.token,)
    played = Played(called.request, called.chart, called.reply, now, server, secrets)
    save_case(options.save, played)
    click.echo(
        f"Saved in {options.save}, for your eyes only (0600). It may hold patient "
        "data: names, addresses and dates are as they were read.",
        err=True,
    )


def _fatal(violations: tuple[Violation, ...], strict: bool) -> bool:
    counted = {Obligation.MUST, Obligation.SHOULD} if strict else {Obligation.MUST}
    return any(each.level in counted for each in violations)


# What was found in the answers, for a person or as JSON

_STYLES = {
    Obligation.MUST: "bold red",
    Obligation.SHOULD: "yellow",
    Obligation.NOTE: "cyan",
}
_MOST = 60
"""Violations that are printed; JSON has them all."""


def print_violations(console: Console, found: Sequence[Violation]) -> None:
    """Every violation, the most binding first, each with the id of its rule."""
    if not found:
        console.print("No violation of CDS Hooks found.")
        return
    counts = Counter(each.level for each in found)
    told = ", ".join(
        f"{counts[level]} {level}" for level in Obligation if counts[level]
    )
    console.print(f"Violations of CDS Hooks ({told}):")
    order = list(Obligation)
    ranked = sorted(found, key=lambda each: order.index(each.level))
    for each in ranked[:_MOST]:
        line = Text(f"  {each.level:6} ", style=_STYLES[each.level])
        where = f"{clean(each.path)} " if each.path else ""
        line.append(f"{each.id:5} {where}{clean(each.text)}", style="default")
        console.print(line, soft_wrap=True)
    if len(ranked) > _MOST:
        console.print(f"  … and {len(ranked) - _MOST} more")


def print_services(console: Console, services: Sequence[Any]) -> None:
    """Print what discovery offers."""
    if not services:
        console.print("  No services.")
    for each in services:
        if not isinstance(each, dict):
            continue
        line = Text(f"  {clean(each.get('id'))}", style="bold")
        line.append(f"  {clean(each.get('hook'))}", style="default")
        if each.get("title"):
            line.append(f"  {clean(each['title'])}", style="dim")
        console.print(line, soft_wrap=True)
        prefetch = each.get("prefetch")
        if isinstance(prefetch, dict) and prefetch:
            keys = ", ".join(clean(key) for key in prefetch)
            console.print(Text(f"    prefetch: {keys}"), soft_wrap=True)


def timing(reply: Reply) -> str:
    """Return status, times and size in one line."""
    return (
        f"status {reply.status}, {reply.seconds * 1000:.0f} ms "
        f"(first byte {reply.first_byte * 1000:.0f} ms), {size(len(reply.content))}"
    )


def size(count: int) -> str:
    """Return so many bytes, as people say it."""
    for unit, divisor in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= divisor:
            return f"{count / divisor:.1f} {unit}"
    return f"{count} bytes"


def reply_json(reply: Reply) -> dict[str, Any]:
    """Return an answer as plain data; ``body`` is null where it is not JSON."""
    return {
        "status": reply.status,
        "milliseconds": round(reply.seconds * 1000, 1),
        "first_byte_milliseconds": round(reply.first_byte * 1000, 1),
        "bytes": len(reply.content),
        "body": read_json(reply.content).value,
    }
