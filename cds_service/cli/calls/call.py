"""``cds-service call``: any CDS Service, called as an EHR calls it, and judged."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ...ehr.client import Ehr, ServiceAnswer
from ...ehr.exchange import Incomplete, Unanswered
from ...ehr.fixtures import (
    Case,
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
from ...protocol.conformance import Level, Violation, read_json
from ..cards import print_answer
from .options import FHIR_TOKEN, Options, read_context, take_options
from .verdicts import print_services, print_violations, reply_json, size, timing


class Unreached(click.ClickException):
    """Nothing could be asked."""

    exit_code = 2


@click.command()
@take_options
def call(**given: Any) -> None:
    """Call SERVICE about a patient and say what is wrong with its answer.

    The chart is read from --fhir, or taken from the fixture case in FOLDER. Without
    SERVICE, print what discovery offers.

    Every violation of CDS Hooks that shows is listed with the id of its rule. Exit
    code 0: answered with 200, and nothing that a service MUST do is violated; 1
    otherwise; 2: the command was not understood, or nothing answers.

    A server must know the FHIR address that --no-prefetch uses; for a fixture give it
    a port with --fhir-port and list http://127.0.0.1:PORT/fhir in the clients file.
    Wearable alerts of a fixture are not sent: `cds-service simulate` does that. Each
    run opens the chart anew, so what was shown a moment ago may be held back.
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
        raise click.UsageError(f"--base {options.base} is no http(s) address")
    if options.folder and (options.patient or options.fhir):
        raise click.UsageError("FOLDER is the chart: leave out --patient and --fhir.")
    if options.folder and options.save:
        raise click.UsageError("FOLDER is a case already; --save takes a real chart.")
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
            "With --hook the service is called all the same."
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


def _load(folder: Path | None, now: datetime) -> Case | None:
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
        raise click.UsageError(f"{options.bearer_file} holds no bearer token")
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


def _print_call(options: Options, url: str, called: Called, case: Case | None) -> None:
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
    counted = {Level.MUST, Level.SHOULD} if strict else {Level.MUST}
    return any(each.level in counted for each in violations)
