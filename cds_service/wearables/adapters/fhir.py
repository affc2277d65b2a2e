"""FHIR: an Observation, or a Bundle of them.

What an Observation is of, a coding of its ``code`` says, or that of a component. One
that a server has kept, or that has an ``identifier``, is changed by sending it again;
``entered-in-error`` takes it back. JupyterHealth sends the data point of Open mHealth
that it was made from in a ``valueAttachment``, and no value beside it.

Source: FHIR R4, "Observation", "Bundle"; ISO/IEEE 11073-10101 (units); implementation
guide of the JupyterHealth Exchange.
"""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...protocol.errors import Problem, Unprocessable
from ..metrics import Catalogue, Metric
from ..records import PATIENT_ID, AlertType
from ..samples import (
    NOBODY_NAMED,
    Device,
    Flag,
    Item,
    LeftOut,
    Notice,
    Removal,
    Sample,
    SourceWearer,
    microseconds,
)
from . import open_mhealth
from .members import Sender
from .reading import (
    MILLISECONDS,
    Frame,
    NotTaken,
    Object,
    Reader,
    inside,
    made_id,
    open_reader,
    read_each,
    read_id,
    read_name,
    read_one,
    read_revision,
    read_span,
)

FORMAT = "fhir"
READ = frozenset({"final", "amended", "corrected", "preliminary", "unknown"})
"""``unknown`` is what the mapping from Open mHealth writes into every Observation."""
TAKEN_BACK = "entered-in-error"
TEST_DATA = "HTEST"
"""Source: HL7 v3 ActReason, "test health data"."""
LONGEST_NOTICE = 128
"""Characters in the id of an alert."""
LONGEST_ATTACHMENT = 256 * 1024
"""Characters of an attached data point in base64; a genuine one has less than 2,000."""
BOUNDED = {"<": Flag.BELOW, "<=": Flag.BELOW, ">": Flag.ABOVE, ">=": Flag.ABOVE}
"""What a comparator makes of a value; of another one nothing can be made."""
COUNTED = "1"
"""The unit of a number without one. Counts have none, and nothing else is read so."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what Observations say.

    Raises:
        Unprocessable: if *body* is neither an Observation nor a Bundle.
    """
    kind = body.get("resourceType") if isinstance(body, dict) else None
    delivery = _Delivery(
        open_reader(FORMAT, sender, catalogue),
        open_reader(open_mhealth.FORMAT, sender, catalogue),
        sender.fhir_base,
        _patients(body) if kind == "Bundle" else {},
    )
    if kind == "Observation":
        yield from read_one(body, "$", delivery.read)
    elif kind == "Bundle":
        yield from read_each(body.get("entry"), "$.entry", delivery.entry)
    else:
        text = "Must be a FHIR Observation, or a Bundle of them."
        raise Unprocessable(Problem(text, "$.resourceType"))


def _patients(bundle: Object) -> dict[str, Object]:
    """The Patients that come with a Bundle, by what its references call them."""
    entries = bundle.get("entry")
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        held = inside(entry, "resource") if isinstance(entry, dict) else {}
        url = entry.get("fullUrl") if held.get("resourceType") == "Patient" else None
        if isinstance(url, str):
            found[url] = held
    return found


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What the Observations of one delivery have in common."""

    reader: Reader
    points: Reader
    """Of data points of Open mHealth."""
    base: str
    """Of the server whose patient ids are used."""
    patients: Mapping[str, Object]

    def entry(self, entry: Object, path: str) -> Iterator[Item]:
        """Yield what an entry of a Bundle says."""
        request = inside(entry, "request")
        url = request.get("url")
        if request.get("method") == "DELETE" and isinstance(url, str):
            if not url.startswith("Observation/"):
                raise NotTaken("other-kind", "No Observation.", "request.url")
            yield Removal(source_id=read_id(url, "request.url"), path=path)
            return
        resource = inside(entry, "resource")
        if resource.get("resourceType") != "Observation":
            raise NotTaken("other-kind", "No Observation.", "resource")
        yield from read_one(resource, f"{path}.resource", self.read)

    def read(self, observation: Object, path: str) -> Iterator[Item]:
        """Yield what an Observation says."""
        told = observation.get("status")
        status = told if isinstance(told, str) else ""
        taken_back = status == TAKEN_BACK
        if not taken_back and status not in READ:
            reason = "no-value" if status else "malformed"
            raise NotTaken(
                reason, "Must say that it was measured, such as final.", "status"
            )
        if _is_for_tests(observation):
            raise NotTaken("demo", "Is marked as test data.", "meta.security")
        wearer = self._wearer(observation)
        if "valueAttachment" in observation:
            items = self._attached(observation, path, wearer)
            yield from map(_removal, items) if taken_back else items
            return
        id = _identity(observation)
        if taken_back and id:
            revision = _revision(observation, self.reader)
            yield Removal(wearer, "", id, revision=revision, path=path)
            return
        frame = _frame(observation, id, wearer, self.reader)
        items = _items(observation, path, frame, self.reader)
        yield from map(_removal, items) if taken_back else items

    def _attached(
        self, observation: Object, path: str, wearer: SourceWearer
    ) -> Iterator[Item]:
        """What the data point says from which the Observation was made."""
        data = inside(observation, "valueAttachment").get("data")
        member = "valueAttachment.data"
        if not isinstance(data, str) or len(data) > LONGEST_ATTACHMENT:
            raise NotTaken("other-kind", "No data point is attached.", member)
        try:
            point = json.loads(b64decode(data, validate=True))
        except (ValueError, RecursionError) as error:
            text = "Must be a data point of Open mHealth as JSON in base64."
            raise NotTaken("malformed", text, member) from error
        named = None if wearer == NOBODY_NAMED else wearer

        def read(held: Object, place: str) -> Iterator[Item]:
            return open_mhealth.read_point(held, place, self.points, named)

        yield from read_one(point, f"{path}.{member}", read)

    def _wearer(self, observation: Object) -> SourceWearer:
        """Who the subject is: a Patient of the server, or the number of one."""
        if observation.get("subject") is None:
            return NOBODY_NAMED
        subject = inside(observation, "subject")
        reference = subject.get("reference")
        named = reference if isinstance(reference, str) else ""
        local = named.removeprefix(f"{self.base}/")
        id = local.removeprefix("Patient/").partition("/_history/")[0]
        if local.startswith("Patient/") and PATIENT_ID.fullmatch(id):
            return SourceWearer(patient=id)
        contained = observation.get("contained")
        inner = {
            f"#{each['id']}": each
            for each in (contained if isinstance(contained, list) else [])
            if isinstance(each, dict) and "id" in each
        }
        patient = inner.get(local) or self.patients.get(local) or {}
        numbers = patient.get("identifier")
        number = _number_of(numbers) or _number_of([subject.get("identifier")])
        if not number:
            text = "Must be a Patient of the server, or the identifier of one."
            raise NotTaken("wearer", text, "subject")
        return SourceWearer(user=number)


def _is_for_tests(observation: Object) -> bool:
    labels = inside(observation, "meta").get("security")
    return any(
        isinstance(each, dict) and each.get("code") == TEST_DATA
        for each in (labels if isinstance(labels, list) else [])
    )


def _number_of(told: Any) -> str:
    """The first identifier as system and value; empty where there is none."""
    for each in told if isinstance(told, list) else []:
        if isinstance(each, dict) and each.get("value"):
            system = each.get("system")
            system = system if isinstance(system, str) else ""
            return f"{system}|{read_id(each['value'], 'identifier')}"
    return ""


def _identity(observation: Object) -> str:
    """What tells it from all others; the id alone does so only on its own server."""
    number = _number_of(observation.get("identifier"))
    if number:
        return read_id(number, "identifier")
    meta = inside(observation, "meta")
    kept = meta.get("versionId") is not None or meta.get("lastUpdated") is not None
    id = read_id(observation.get("id"), "id") if kept else ""
    return f"Observation/{id}" if id else ""


def _revision(observation: Object, reader: Reader) -> int:
    meta = inside(observation, "meta")
    try:
        at, _ = reader.time(meta.get("lastUpdated"), "meta.lastUpdated")
        return microseconds(at) // MILLISECONDS
    except NotTaken:
        return read_revision(meta.get("versionId"))


def _frame(observation: Object, id: str, wearer: SourceWearer, reader: Reader) -> Frame:
    start, end, local = _times(observation, reader)
    device = inside(observation, "device")
    named = _number_of([device.get("identifier")]) or device.get("reference")
    return Frame(
        start,
        end,
        local,
        wearer,
        Device(read_id(named, "device"), read_name(device.get("display"))),
        id,
        _revision(observation, reader),
    )


def _times(observation: Object, reader: Reader) -> tuple[datetime, datetime, bool]:
    if isinstance(observation.get("effectivePeriod"), dict):
        period = inside(observation, "effectivePeriod")
        names = ("effectivePeriod.start", "effectivePeriod.end")
        start, _, local = _moment(period.get("start"), names[0], reader)
        _, end, _ = _moment(period.get("end"), names[1], reader)
        return *read_span(start, end, names[1]), local
    name = "effectiveInstant" if "effectiveInstant" in observation else ""
    name = name or "effectiveDateTime"
    return _moment(observation.get(name), name, reader)


def _moment(told: Any, name: str, reader: Reader) -> tuple[datetime, datetime, bool]:
    """Begin and end of a time: a day is the whole of it."""
    day = reader.day(told, name)
    if day:
        return *day, True
    at, local = reader.time(told, name)
    return at, at, local


def _items(
    observation: Object, path: str, frame: Frame, reader: Reader
) -> Iterator[Item]:
    """What an Observation says by itself and by its components."""
    event = _event(observation, reader)
    if event is not None:
        yield _notice(event, path, frame)
        return
    held = observation.get("component")
    held = held if isinstance(held, list) else []
    parts = [(f"{path}.component[{index}]", each) for index, each in enumerate(held)]
    known = [
        (place, part, metric)
        for place, part in [(path, observation), *parts]
        if isinstance(part, dict) and (metric := _metric(part, reader))
    ]
    if len(known) > 1 and _value_name(observation) is None:
        known = [each for each in known if each[1] is not observation]
    if not known:
        raise NotTaken("other-kind", "No metric here has this code.", "code")
    seen = set[str]()
    for place, part, metric in known:
        if metric.name in seen:
            text = "Another part is of the same metric."
            yield LeftOut("malformed", Problem(text, place), frame.source_id)
        else:
            yield _value(part, metric, place, frame, reader)
        seen.add(metric.name)


def _codings(part: Object) -> Iterator[tuple[str, str]]:
    told = inside(part, "code").get("coding")
    for each in told if isinstance(told, list) else []:
        system, code = (
            (each.get("system"), each.get("code")) if isinstance(each, dict) else (0, 0)
        )
        if isinstance(system, str) and isinstance(code, str):
            name = canonical_system(system)
            yield name, normalise_code(name, code)


def _metric(part: Object, reader: Reader) -> Metric | None:
    found = (reader.catalogue.metric_coded(*each) for each in _codings(part))
    return next((each for each in found if each), None)


def _event(observation: Object, reader: Reader) -> AlertType | None:
    """The type of alert that the code names, such as that of a fast heart."""
    names = (f"{system}|{code}" for system, code in _codings(observation))
    found = (reader.catalogue.alert_named(FORMAT, each) for each in names)
    return next((each for each in found if each), None)


def _notice(event: AlertType, path: str, frame: Frame) -> Notice:
    id = frame.source_id or made_id(event.name, str(microseconds(frame.start)))
    return Notice(
        event.name,
        id if len(id) <= LONGEST_NOTICE else made_id(id),
        frame.start,
        frame.end,
        frame.local,
        frame.wearer,
        frame.device,
        revision=frame.revision,
        path=path,
    )


def _value_name(part: Object) -> str | None:
    return next((each for each in part if each.startswith("value")), None)


def _value(
    part: Object, metric: Metric, path: str, frame: Frame, reader: Reader
) -> Item:
    name = _value_name(part)
    place = f"{path}.{name}" if name else path
    if name == "valueInteger":
        return reader.value(metric, part[name], COUNTED, frame, place)
    if name is not None and name != "valueQuantity":
        return LeftOut("other-kind", Problem("No number with a unit.", path))
    quantity = inside(part, "valueQuantity")
    if comparator := quantity.get("comparator"):
        bound = BOUNDED.get(comparator) if isinstance(comparator, str) else None
        if bound is None:
            text = "Says how it compares with a number, and no number."
            return LeftOut("sentinel", Problem(text, place), frame.source_id)
        frame = replace(frame, flags=frame.flags | bound)
    units = [quantity.get(each) for each in ("code", "unit")]
    spelled = dict.fromkeys(each for each in units if isinstance(each, str) and each)
    for unit in spelled or (COUNTED,):
        item = reader.value(metric, quantity.get("value"), unit, frame, place)
        if isinstance(item, Sample) or item.reason != "unit":
            break
    return item


def _removal(item: Item) -> Item:
    """What takes back what was said."""
    if isinstance(item, Notice):
        return replace(item, retracted=True)
    if not isinstance(item, Sample):
        return item
    return Removal(
        item.wearer,
        item.metric,
        item.source_id,
        item.start,
        item.end,
        item.revision,
        item.path,
    )
