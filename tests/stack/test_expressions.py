"""Each expression of rules, alerts and panels has an answer in a Prometheus that scrapes us."""

import threading
from collections.abc import Generator

import pytest

from tests.monitoring import Rule, alerts, rules
from tests.promql import selectors
from tests.stack.expressions import Asked, of_panels, recorded
from tests.stack.local_stack import Sample, Stack, wait_for
from tests.stack.traffic import Traffic

EMPTY: dict[str, str] = {
    "Surematch coverage / Changes of products / A": "the stack keeps no log of changed products",
    "Surematch service / What went wrong / A": "no text of ours makes the encoder fail",
    "Surematch service / What went wrong / B": "whether a deadline passes depends on the machine",
    "Surematch service / What went wrong / C": "every caller waits for its answer",
    "Surematch service / What went wrong / D": "no worker gets stuck",
}
"""By rule or panel: why it may be empty in a stack where nothing is broken; it must be valid."""


@pytest.fixture(scope="module")
def busy(stack: Stack) -> Generator[Stack]:
    """The stack while callers do all that they can, again and again."""
    stop = threading.Event()
    failed: list[Exception] = []

    def call() -> None:
        traffic = Traffic(stack)
        while not stop.wait(2):
            try:
                traffic.everything()
                traffic.count(1, 0.5)
            except Exception as error:  # told by the test that waits for its effect
                failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield stack
    finally:
        stop.set()
        thread.join()
    assert not failed, failed[0]


def abbreviated(labels: frozenset[str], sample: Sample) -> bool:
    """Whether a series has a label for each abbreviation, and no other."""
    own = sample.labels.keys() - {"__name__"}
    return len(own) == len(labels) and all(
        any(name.split("_")[0] == short for name in own) for short in labels
    )


@pytest.mark.parametrize("asked", recorded(), ids=lambda asked: asked.where)
def test_a_recording_rule_has_series_with_the_labels_of_its_name(busy: Stack, asked: Asked) -> None:
    samples = wait_for(lambda: busy.ask(asked.where) or None, asked.where)

    assert all(abbreviated(asked.labels, sample) for sample in samples), samples[0]


@pytest.mark.parametrize("asked", of_panels(), ids=lambda asked: asked.where)
def test_a_panel_has_series_with_the_labels_of_its_legend(busy: Stack, asked: Asked) -> None:
    if asked.where in EMPTY:
        busy.ask(asked.expression)  # fails unless Prometheus takes it
        return

    samples = wait_for(lambda: busy.ask(asked.expression) or None, asked.where)

    assert all(asked.labels <= sample.labels.keys() for sample in samples), samples[0]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_is_evaluated_and_all_that_it_reads_is_there(busy: Stack, alert: Rule) -> None:
    def evaluated() -> str | None:
        found = [one for one in busy.rules() if one["name"] == alert.name]
        return found[0]["health"] if found and found[0]["health"] != "unknown" else None

    assert wait_for(evaluated, alert.name) == "ok"
    for selector in selectors(alert.expression):
        wait_for(lambda name=selector.metric: busy.ask(name) or None, selector.metric)


def test_prometheus_evaluates_every_rule_that_is_there(busy: Stack) -> None:
    wait_for(
        lambda: {rule["name"] for rule in busy.rules()} == {rule.name for rule in rules()} or None,
        "all rules",
    )


def test_an_exception_is_the_name_of_something(busy: Stack) -> None:  # noqa: ARG001
    names = {asked.where for asked in of_panels()}

    assert EMPTY.keys() <= names


def test_prometheus_knows_alertmanager(busy: Stack) -> None:
    wait_for(lambda: len(busy.knowledge("alertmanagers")["activeAlertmanagers"]) == 1, "one")
