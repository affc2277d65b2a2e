"""What ``cds-service patients export`` writes, from servers of every temper."""

import csv
import json
import signal
import stat
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.fhir.demographics import COLUMNS

from ...waiting import PATIENCE, until


def person(number):
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "name": [{"family": f"Family{number}", "given": ["Ann"]}],
        "birthDate": "1970-01-01",
        "telecom": [{"system": "phone", "value": f"+1-555-{number:04}"}],
    }


@pytest.fixture
def ehr(serve):
    """45 patients on pages of 20."""
    return serve(map(person, range(45)))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "patients.csv"


@pytest.fixture
def export(ehr, out):
    def run(*options, fhir=None):
        arguments = ["patients", "export", "--fhir", fhir or ehr.base, "--out", out]
        return CliRunner().invoke(main, [str(each) for each in [*arguments, *options]])

    return run


def read(file):
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def ids(file):
    return [each["id"] for each in read(file)]


def everybody(ehr):
    return [each["id"] for each in ehr.resources]


def test_every_patient_is_a_row(ehr, export, out):
    result = export()

    assert result.exit_code == 0, result.output
    assert result.output == f"45 of 45 patients, 3 pages, written to {out}\n"
    assert ids(out) == everybody(ehr)
    assert list(read(out)[0]) == list(COLUMNS)
    assert [each.name for each in out.parent.iterdir()] == ["patients.csv"]
    assert ehr.asked[0] == "/fhir/Patient?_count=200"


def test_the_file_is_its_owners_alone(export, out):
    out.write_text("an older one")
    out.chmod(0o644)

    assert export().exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_json_lines_hold_what_was_recorded(ehr, export, out):
    export("--format", "jsonl")

    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [each["id"] for each in rows] == everybody(ehr)
    assert rows[0]["phone"] == "+1-555-0000"


def test_no_cell_is_taken_for_a_formula(ehr, export, out):
    ehr.resources[0]["name"] = [{"family": '=HYPERLINK("http://x")', "given": ["@a"]}]

    export()

    first = read(out)[0]
    assert (first["family"], first["given"]) == ('\'=HYPERLINK("http://x")', "'@a")
    assert first["phone"] == "'+1-555-0000"


def test_a_query_reaches_the_server_whole(ehr, export):
    export("--query", "Patient?active=true&name=Anna M|x", "--count", "7")

    asked = "/fhir/Patient?active=true&name=Anna%20M%7Cx&_count=7"
    assert ehr.asked[0] == asked


def test_a_server_that_refuses_the_page_size_is_asked_without(ehr, export, out):
    ehr.moods = [(0, 422, {"resourceType": "OperationOutcome"})]

    assert export().exit_code == 0
    assert ehr.asked[:2] == ["/fhir/Patient?_count=200", "/fhir/Patient"]
    assert ids(out) == everybody(ehr)


def test_an_empty_server_gives_a_header(serve, export, out):
    assert export(fhir=serve([]).base).exit_code == 0
    assert out.read_text().strip().split(",") == list(COLUMNS)


def test_patients_on_two_pages_are_one_row(ehr, export, out):
    ehr.entries[20] = [{"resource": person(3)}, {"resource": person(3)}]

    assert export().exit_code == 0
    assert ids(out) == everybody(ehr)


def test_entries_that_are_no_patients_are_left_out(ehr, export, out):
    issue = {"severity": "warning", "code": "informational"}
    warned = {"resourceType": "OperationOutcome", "issue": [issue]}
    ehr.entries[0] = [
        {"resource": {"resourceType": "Practitioner", "id": "d1"}},
        {"resource": person(900), "search": {"mode": "include"}},
        {"resource": warned, "search": {"mode": "outcome"}},
    ]

    assert export().exit_code == 0
    assert ids(out) == everybody(ehr)


def test_entries_that_cannot_be_read_are_named_and_the_rest_is_written(
    ehr, export, out
):
    ehr.entries[0] = [
        {"fullUrl": "http://x/Patient/lost1"},
        {"resource": {"resourceType": "Patient"}, "fullUrl": "urn:uuid/lost2"},
        "odd",
        {"resource": {"resourceType": "patient", "id": "p9"}, "fullUrl": "x/lost3"},
        {"resource": {"resourceType": "Bundle"}, "fullUrl": "x/lost4"},
        {"resource": {"resourceType": ["Patient"]}, "fullUrl": "x/lost5"},
    ]

    result = export()

    assert result.exit_code == 1
    assert (
        "6 entries could not be read and are not in the file: lost1, lost2, entry 23 "
        "of a page, which has no id, lost3, lost4, lost5." in result.output
    )
    assert ids(out) == everybody(ehr)


@pytest.mark.parametrize("severity", ["error", "fatal", "none that FHIR knows"])
def test_an_error_beside_the_patients_is_told(ehr, export, out, severity):
    issue = {"severity": severity, "diagnostics": "shard 2 is down"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    ehr.entries[20] = [{"resource": outcome, "search": {"mode": "outcome"}}]

    result = export()

    assert result.exit_code == 1
    assert "something went wrong: shard 2 is down." in result.output
    assert len(ids(out)) == 45


@pytest.mark.parametrize("code", ["suppressed", "incomplete", "too-costly"])
def test_a_warning_that_some_patients_are_withheld_is_told(ehr, export, out, code):
    issues = [
        {"severity": "information", "code": "informational", "diagnostics": "hello"},
        {"severity": "warning", "code": code, "diagnostics": "VIPs are left out"},
    ]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    ehr.entries[20] = [{"resource": outcome, "search": {"mode": "outcome"}}]

    result = export()

    assert result.exit_code == 1
    assert "something went wrong: VIPs are left out." in result.output
    assert len(ids(out)) == 45


def test_what_is_no_patient_and_said_to_match_is_named(ehr, export):
    group = {"resourceType": "Group", "id": "g1"}
    ehr.entries[0] = [
        {"resource": group, "search": {"mode": "match"}, "fullUrl": "http://x/Group/g1"}
    ]

    result = export()

    assert result.exit_code == 1
    assert "1 entry could not be read and are not in the file: g1 (not a Patient)" in (
        result.output
    )


def test_fewer_patients_than_the_server_counts_are_no_success(ehr, export):
    ehr.members = {"total": 50}
    ehr.counted = False

    result = export()

    assert result.exit_code == 1
    assert "there are 50 patients, and 45 came" in result.output


def test_a_server_that_does_not_count_is_believed(ehr, export):
    ehr.counted = False

    assert export().output.startswith("45 patients, 3 pages")


# Trouble that passes.


@pytest.mark.slow
def test_a_page_that_fails_three_times_comes(ehr, export, out):
    ehr.moods = [
        (20, 503, b"busy"),
        (20, 200, b'{"resourceType": "Bundle", "entry": [{"reso'),
        (20, 200, b'{"resou', {"Content-Length": "9999", "Connection": "close"}),
    ]

    result = export()

    assert result.exit_code == 0, result.output
    assert ids(out) == everybody(ehr)
    assert len(ehr.asked) == 6


@pytest.mark.slow
def test_a_storm_of_429_is_sat_out(ehr, export, out):
    busy = (429, b"", {"Retry-After": "0"})
    ehr.moods = [(start, *busy) for start in (0, 20, 40) for _ in range(5)]

    assert export().exit_code == 0
    assert ids(out) == everybody(ehr)


@pytest.mark.slow
def test_retry_after_is_honoured(ehr, export):
    ehr.moods = [(20, 429, b"", {"Retry-After": "1"})]
    begun = time.monotonic()

    assert export().exit_code == 0
    assert time.monotonic() - begun >= 1


@pytest.mark.slow
def test_a_used_up_limit_is_waited_out(ehr, export):
    limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
    ehr.moods = [(0, 200, ehr.page(0), limits)]
    begun = time.monotonic()

    assert export().exit_code == 0
    assert time.monotonic() - begun >= 1


def test_a_rate_is_kept(ehr, export):
    begun = time.monotonic()

    assert export("--rate", "4").exit_code == 0
    assert time.monotonic() - begun >= 0.5


def test_a_wait_of_an_hour_is_left_to_a_person(ehr, export, out):
    ehr.moods = [(20, 503, b"", {"Retry-After": "3600"})]

    result = export()

    assert result.exit_code == 1
    assert "asks to be left alone for 3600 seconds" in result.output
    assert "--resume continues" in result.output


# Trouble that stays: a sentence, no success, and what came is kept.


@pytest.mark.parametrize(
    ("mood", "sentence"),
    [
        ((404, b""), "has no patients to search (HTTP 404)"),
        ((401, b""), "asks for a token (HTTP 401); give --bearer-file"),
        ((403, b""), "does not permit a search of patients with this token (HTTP 403)"),
        ((200, b"<!doctype html><html>"), "answers with an HTML page, not with FHIR"),
        (
            (
                200,
                {
                    "resourceType": "OperationOutcome",
                    "issue": [{"details": {"text": "not today"}}],
                },
            ),
            "answers without patients: not today.",
        ),
        ((200, {"resourceType": "Patient"}), "something other than a Bundle"),
        ((200, [1]), "something other than a Bundle"),
        ((200, {"resourceType": "Bundle", "entry": {}}), "other than a Bundle"),
        ((302, b"", {"Location": "http://localhost/"}), "leads elsewhere (HTTP 302)"),
        (
            (
                400,
                {
                    "resourceType": "OperationOutcome",
                    "issue": [{"diagnostics": "unknown parameter x"}],
                },
            ),
            "HTTP 400: unknown parameter x.",
        ),
        ((200, b"\xff\xfe{}"), "cut off or no JSON (not UTF-8). (asked 2 times)"),
        ((200, b""), "cut off or no JSON (empty body). (asked 2 times)"),
        ((500, b""), "answers with HTTP 500. (asked 2 times)"),
    ],
)
def test_what_fails_is_told_in_a_sentence_and_kept(ehr, export, out, mood, sentence):
    ehr.moods = [(20, *mood)] * 2

    stopped = export("--max-attempts", "2")

    assert stopped.exit_code == 1
    assert sentence in stopped.output
    assert "20 of 45 patients, 1 pages are kept in" in stopped.output
    assert not out.exists()
    for each in out.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    ehr.moods = []
    assert export("--resume").exit_code == 0
    assert ids(out) == everybody(ehr)
    assert [each.name for each in out.parent.iterdir()] == ["patients.csv"]


def test_a_failure_before_the_first_page_leaves_nothing(ehr, export, out):
    ehr.moods = [(0, 403, b"")]

    assert export().exit_code == 1
    assert list(out.parent.iterdir()) == []


def test_nobody_there_is_told(serve, export):
    gone = serve([])
    base = gone.base
    gone.http.server_close()

    result = export("--max-attempts", "1", fhir=base)

    assert result.exit_code == 1
    assert "could not be read: connection failed" in result.output


def test_a_server_that_hangs_is_told(ehr, export):
    ehr.halt_after(0)

    result = export("--timeout", "0.5", "--max-attempts", "1")

    assert result.exit_code == 1
    assert "could not be read: timeout" in result.output


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:{port}/fhir?cursor=20",
        "http://user@127.0.0.1:{port}/fhir?cursor=20",
        "http://127.0.0.1:{port}/other?cursor=20",
        "https://127.0.0.1:{port}/fhir?cursor=20",
        "",
    ],
)
def test_a_next_page_elsewhere_is_not_asked(ehr, export, tmp_path, link):
    ehr.token = "s3cret"
    ehr.links[0] = link.format(port=ehr.http.server_port)
    token = tmp_path / "token"
    token.write_text("s3cret\n")

    result = export("--bearer-file", token)

    assert result.exit_code == 1
    assert "is outside http://127.0.0.1" in result.output
    assert len(ehr.asked) == 1


@pytest.mark.slow
def test_pages_that_go_round_end(ehr, export):
    ehr.links[40] = f"{ehr.base}?cursor=0"

    result = export()

    assert result.exit_code == 1
    assert "The last 200 pages brought no patient that is new." in result.output


def test_a_page_that_follows_itself_ends(ehr, export):
    ehr.links[20] = f"{ehr.base}?cursor=20"

    assert "the next page is the same again" in export().output


# Going on.


def stop_at(ehr, export, start, *options):
    ehr.moods = [(start, 403, b"")]
    assert export(*options).exit_code == 1
    ehr.moods = []


def test_what_is_unfinished_is_not_overwritten_by_accident(ehr, export):
    stop_at(ehr, export, 20)

    result = export()

    assert result.exit_code == 2
    assert "--resume continues it, --fresh starts over" in result.output


def test_fresh_starts_anew(ehr, export, out):
    stop_at(ehr, export, 20)
    ehr.resources[0]["name"] = [{"family": "Newer"}]

    assert export("--fresh").exit_code == 0
    assert read(out)[0]["family"] == "Newer"
    assert ids(out) == everybody(ehr)


def test_resume_without_anything_unfinished_begins(ehr, export, out):
    assert export("--resume").exit_code == 0
    assert ids(out) == everybody(ehr)


@pytest.mark.parametrize(
    "options", [("--query", "Patient?active=true"), ("--format", "jsonl")]
)
def test_another_query_does_not_go_on(ehr, export, options):
    stop_at(ehr, export, 20)

    result = export("--resume", *options)

    assert result.exit_code == 2
    assert "the unfinished export is of Patient of" in result.output


def test_another_server_does_not_go_on(ehr, serve, export):
    stop_at(ehr, export, 20)
    other = serve([])

    result = export("--resume", fhir=other.base)

    assert result.exit_code == 2
    assert f"the unfinished export is of Patient of {ehr.base} as csv" in result.output
    assert other.asked == []


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_page_that_the_server_forgot_is_reached_from_the_start(
    ehr, export, out, status
):
    stop_at(ehr, export, 40)
    ehr.moods = [(40, status, b"")]

    result = export("--resume")

    assert result.exit_code == 0, result.output
    assert ids(out) == everybody(ehr)


@pytest.mark.parametrize(
    "harm",
    [
        lambda partial, state: partial.unlink(),
        lambda partial, state: partial.write_bytes(partial.read_bytes()[:-40]),
        lambda partial, state: state.write_text("{"),
        lambda partial, state: state.write_text("[]"),
        lambda partial, state: state.write_text("{}"),
    ],
)
def test_files_that_were_changed_by_others_are_not_gone_on_with(ehr, export, out, harm):
    stop_at(ehr, export, 20)
    harm(out.with_name(out.name + ".partial"), out.with_name(out.name + ".state.json"))

    result = export("--resume")

    assert result.exit_code == 2
    assert "--fresh starts over" in result.output


def test_rows_that_the_state_does_not_know_are_written_once(ehr, export, out):
    stop_at(ehr, export, 20)
    with out.with_name(out.name + ".partial").open("ab") as partial:
        partial.write(b"p20,whole row\r\np21,half a r")

    assert export("--resume").exit_code == 0
    assert ids(out) == everybody(ehr)


def command(ehr, out, *options):
    words = [sys.executable, "-m", "cds_service.cli", "patients", "export"]
    return [*words, "--fhir", ehr.base, "--out", str(out), *options]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_killed_goes_on_byte_for_byte(serve, tmp_path, how):
    ehr = serve(map(person, range(1000)))
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    subprocess.run(command(ehr, whole), check=True, capture_output=True)
    for pages in (2, 9, 17, 12):
        ehr.halt_after(pages)
        process = subprocess.Popen(
            command(ehr, cut, "--resume"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        until(ehr.halted.is_set, process=process)
        process.send_signal(how)
        _, said = process.communicate(timeout=PATIENCE)
        ehr.go_on.set()
        assert process.returncode in (1, -how)
        assert b"Traceback" not in said
    subprocess.run(command(ehr, cut, "--resume"), check=True, capture_output=True)

    assert cut.read_bytes() == whole.read_bytes()
    assert len(ids(cut)) == 1000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cut.csv", "whole.csv"]


@pytest.mark.slow
def test_two_exports_do_not_write_to_one_file(serve, export, out):
    ehr = serve(map(person, range(1000)))
    ehr.halt_after(2)
    process = subprocess.Popen(command(ehr, out), stderr=subprocess.PIPE)
    until(ehr.halted.is_set, process=process)

    result = export("--resume", fhir=ehr.base)

    process.kill()
    process.communicate()
    assert result.exit_code == 1
    assert "another export is writing there now" in result.output


# Usage and tokens.


def test_a_token_comes_from_a_file_and_is_never_said(ehr, export, tmp_path):
    ehr.token = "s3cret"
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)

    result = export("--bearer-file", token)

    assert result.exit_code == 0
    assert "s3cret" not in result.output and "warning" not in result.output
    assert set(ehr.tokens) == {"Bearer s3cret"}


def test_a_token_that_others_may_read_is_warned_of(ehr, export, tmp_path):
    token = tmp_path / "token"
    token.write_text("wrong")
    token.chmod(0o644)
    ehr.token = "right"

    result = export("--bearer-file", token)

    assert result.exit_code == 1
    assert "warning: others may read" in result.output
    assert "does not accept the token (HTTP 401)" in result.output


def test_a_backend_service_exports_and_renews_its_token(ehr, export, out, as_service):
    ehr.moods = [(20, 401, b"")]

    result = export(*as_service)

    assert result.exit_code == 0, result.output
    assert ids(out) == everybody(ehr)
    assert ehr.given == 2
    assert "token-" not in result.output


def test_a_token_that_permits_no_patients_is_told(ehr, export, out, as_service):
    ehr.scope = "system/Observation.rs"

    result = export(*as_service)

    assert result.exit_code == 1
    assert "does not permit a search of patients" in result.output
    assert ehr.asked == [] and not out.exists()


def test_a_token_that_shows_some_patients_is_warned_of(ehr, export, as_service):
    ehr.scope = "system/Patient.rs?active=true"

    result = export(*as_service)

    assert result.exit_code == 0
    assert "the token shows some patients only" in result.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--query", "Observation?x=1"), "--query is a search of Patient"),
        (("--query", "Patient/p1"), "--query is a search of Patient"),
        (("--query", "Patient?_summary=count"), "_summary would not return complete"),
        (("--query", "Patient?_revinclude:iterate=x"), "_revinclude:iterate would not"),
        (("--resume", "--fresh"), "--resume and --fresh exclude each other"),
        (("--client-id", "c"), "--client-id needs --key"),
        (("--kid", "c"), "--key needs --client-id"),
        (("--rate", "0"), "--rate"),
    ],
)
def test_what_is_not_understood_is_told(ehr, export, options, sentence):
    result = export(*options)

    assert result.exit_code == 2
    assert sentence in result.output
    assert ehr.asked == []


@pytest.mark.parametrize(
    "base", ["ftp://x/fhir", "http://u@x/fhir", "fhir", "http://x?a"]
)
def test_what_is_no_base_is_told(export, base):
    result = export(fhir=base)

    assert result.exit_code == 2
    assert "--fhir is the base address of a FHIR server" in result.output


def test_a_token_goes_over_https_only(export, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret")

    result = export("--bearer-file", token, fhir="http://ehr.example.org/fhir")

    assert result.exit_code == 2
    assert "a token goes over https only" in result.output


def test_a_folder_that_is_not_there_is_told(ehr, out):
    arguments = ["patients", "export", "--fhir", ehr.base, "--out"]

    result = CliRunner().invoke(main, [*arguments, str(out.parent / "no" / "p.csv")])

    assert result.exit_code == 1
    assert "No such file or directory" in result.output


def test_a_server_that_keeps_its_answers_gives_the_patients_of_now(ehr, export, out):
    ehr.kept = {}
    export()
    ehr.resources[44] = person(99)

    export()

    assert ids(out)[-1] == "p99"
