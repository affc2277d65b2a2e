"""What Prometheus and Grafana are given asks for what there is, in their language.

promtool, where it is installed, is asked as well: it alone knows how rules behave.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import Metric

HOME = Path(__file__).parents[2]
PROMETHEUS = HOME / "deploy" / "prometheus"
DASHBOARD = json.loads((HOME / "deploy/grafana/dashboard.json").read_text("utf-8"))
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED = {"job", "instance", "le"}
"""Labels that Prometheus gives, and that of a histogram's buckets."""


def panels() -> Iterator[dict[str, Any]]:
    for each in DASHBOARD["panels"]:
        yield each
        yield from each.get("panels", [])


def queries() -> Iterator[str]:
    """What the dashboard asks Prometheus, with its variables filled in."""
    asked = [target["expr"] for each in panels() for target in each.get("targets", [])]
    asked += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    for each in asked:
        yield each.replace("$__rate_interval", "5m")


def expressions() -> list[str]:
    return [*queries(), *(rule["expr"] for rule in RULES)]


def nodes(text: str) -> list[Any]:
    """Every part of an expression, which has to be right as a whole."""
    found: list[Any] = []
    promql.walk(promql.parse(text), found.append)
    return found


def metrics(families: Sequence[Metric]) -> dict[str, set[str]]:
    """The names of all samples, those without one included, and their labels."""
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    known: dict[str, set[str]] = {}
    for family in families:
        for ending in endings.get(family.type, [""]):
            known[family.name + ending] = set()
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    return known


def complaints(text: str, known: dict[str, set[str]]) -> list[str]:
    """Metrics and labels of an expression that a server does not have."""
    found = []
    asked: set[str] = set()
    labels = set(ADDED)
    for node in nodes(text):
        if isinstance(node, promql.VectorSelector):
            asked.add(node.name)
            labels |= known.get(node.name, set())
            for each in node.matchers.matchers:
                if each.name not in ADDED | known.get(node.name, set()):
                    found.append(f"{node.name} has no label {each.name}")
    for node in nodes(text):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            wrong = set(node.modifier.labels) - labels
            found += [f"nothing has the label {each}" for each in wrong]
    return [f"there is no {each}" for each in sorted(asked - set(known))] + found


@pytest.mark.parametrize("text", expressions(), ids=count(1))
def test_every_metric_that_is_asked_for_is_one_of_a_server(
    families: list[Metric], text: str
) -> None:
    assert complaints(text, {**metrics(families), **OF_PROMETHEUS}) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cds_request_total > 0", "there is no cds_request_total"),
        ('cds_cards_total{rule="a"}', "cds_cards_total has no label rule"),
        ("sum by (worker) (cds_workers)", "nothing has the label worker"),
    ],
)
def test_a_metric_or_label_that_there_is_not_is_noticed(
    families: list[Metric], text: str, complaint: str
) -> None:
    assert complaints(text, metrics(families)) == [complaint]


@pytest.mark.parametrize("text", ["rate(cds_workers)", "sum(cds_workers", "nosuch(up)"])
def test_an_expression_that_prometheus_would_refuse_is_noticed(text: str) -> None:
    with pytest.raises(ValueError, match="expected|unclosed|unknown"):
        promql.parse(text)


def test_every_metric_of_a_server_is_on_the_dashboard(families: list[Metric]) -> None:
    shown = " ".join(queries())

    assert [each.name for each in families if each.name not in shown] == []


def test_the_variables_of_the_dashboard_are_asked_of_a_metric_that_is_there(
    families: list[Metric],
) -> None:
    asked = [each.get("definition", "") for each in DASHBOARD["templating"]["list"]]
    named = re.findall(r"label_values\((\w+)", " ".join(asked))

    assert named and set(named) <= set(metrics(families))


def test_panels_have_numbers_of_their_own_and_do_not_lie_upon_each_other() -> None:
    numbers = [each["id"] for each in panels()]
    taken = [
        (across, down)
        for each in panels()
        for place in [each["gridPos"]]
        for across in range(place["x"], place["x"] + place["w"])
        for down in range(place["y"], place["y"] + place["h"])
    ]

    assert len(numbers) == len(set(numbers)) > 20
    assert len(taken) == len(set(taken))
    assert all(0 <= across < 24 for across, _ in taken)


def test_every_panel_has_a_title_a_unit_and_what_it_shows() -> None:
    for each in panels():
        assert each["title"]
        if each["type"] != "row":
            assert each["targets"]
            assert each["fieldConfig"]["defaults"]["unit"]
            assert each["datasource"]["uid"] == "${datasource}"


def test_routes_that_are_asked_for_are_routes_of_the_server() -> None:
    named = {
        each.value
        for text in expressions()
        for node in nodes(text)
        if isinstance(node, promql.VectorSelector)
        for each in node.matchers.matchers
        if each.name == "route"
    }

    assert named == {"/cds-services/<service_id>"}
    assert '"/cds-services/<service_id>"' in HOOKS


HOOKS = (HOME / "cds_service" / "web" / "hooks.py").read_text("utf-8")


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_look() -> None:
    names = [rule["alert"] for rule in RULES]

    assert len(names) == len(set(names)) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
        for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            known = {"destination", "instance", "job", "kind", "source", "type"}
            assert label in known


def test_prometheus_is_told_of_the_alerts_and_of_the_server_that_compose_starts() -> (
    None
):
    told = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))

    assert [PROMETHEUS / each for each in told["rule_files"]] == [
        PROMETHEUS / "alerts.yml"
    ]
    (job,) = told["scrape_configs"]
    assert job["job_name"] == "cds-service"
    assert job["static_configs"] == [{"targets": ["cds:8080"]}]


CHECKS = [
    ["promtool", "check", "rules", "alerts.yml"],
    ["promtool", "check", "config", "prometheus.yml"],
    ["promtool", "test", "rules", "alerts.test.yml"],
]


def test_prometheus_itself_finds_nothing_wrong_where_it_is_installed() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text("utf-8"))
    tried = [each for test in cases["tests"] for each in test["alert_rule_test"]]
    assert {each["alertname"] for each in tried} <= {rule["alert"] for rule in RULES}
    for series in (
        each["series"] for test in cases["tests"] for each in test["input_series"]
    ):
        assert isinstance(promql.parse(series), promql.VectorSelector)

    for words in CHECKS if shutil.which("promtool") else []:
        done = subprocess.run(words, cwd=PROMETHEUS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_every_metric_and_no_other(families: list[Metric]) -> None:
    page = (HOME / "docs" / "operators.md").read_text("utf-8")
    start = page.index("| metric | what it is |")
    table = page[start : page.index("\n\n", start)]
    listed = re.findall(r"`(cds_\w+)`", table)

    there = {re.sub(r"_(bucket|count|sum)$", "", name) for name in metrics(families)}
    assert sorted(listed) == sorted(there)
