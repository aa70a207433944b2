import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.batching.formation import Release
from service.batching.work import Lane
from service.contract.decision import Decision, Reason
from service.contract.manifest import Manifest
from service.encoder import Failure
from service.metrics import (
    CACHE_RESULTS,
    CANCELLED_STAGES,
    DEADLINE_STAGES,
    MERGE_RESULTS,
    METHODS,
    PROBE_RESULTS,
    REJECTIONS,
    ROUTES,
    STAGES,
    SWAP_RESULTS,
    UNMATCHED,
    WINDOWS,
    Metrics,
)
from service.products.outcomes import Operation, Outcome
from service.products.served import Counts
from service.recommender import Answer, Recommendation
from service.signals import IdentifierStatus
from tests.service.metrics.exposition import families, samples, value
from tests.tiny import write_bundle

OF_A_BUNDLE = {"surematch_bundle_info", "surematch_index_info"}
"""They name the bundle that answers, and there is none at the start."""

UNITS = {
    *("seconds", "bytes", "ratio", "tokens", "requests", "similarity", "score", "size", "info"),
    *("entries", "vectors", "threads", "fds"),  # counts of what they say
    "products",
    *("flight", "progress", "ready", "valid"),  # requests_in_flight, and gauges that are 0 or 1
}
"""The last word of a name that is no counter's."""

CLOSED: Mapping[str, set[str]] = {
    "decision": set(Decision),
    "window": set(WINDOWS),
    "lane": set(Lane),
    "kind": set(Failure),
    "stage": {*STAGES, *CANCELLED_STAGES, *DEADLINE_STAGES},
    "operation": set(Operation),
    "outcome": set(Outcome),
    "reason": {*Reason, *Release, *REJECTIONS},
    "result": {
        *(*SWAP_RESULTS, *CACHE_RESULTS, *PROBE_RESULTS, *MERGE_RESULTS, *IdentifierStatus),
        *("answered", "error"),
    },
    "route": {route for _, route in ROUTES},
    "method": {*METHODS, "other"},
    "code": {str(code) for codes in ROUTES.values() for code in codes},
    "target_precision": {"none", "0.9", "0.95", "0.99"},
}
"""What each label may be; `le` of histograms is a number, and the labels of infos are apart."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("metrics") / "bundle"
    return write_bundle(folder, further={0.9: 0.7, 0.99: None}).manifest


def use_everything(metrics: Metrics) -> None:
    """Count each thing that can be counted, with every value it can have."""
    best = (Recommendation("p", "t", 0.9, 0, score=0.7),)
    answers = [Answer(reason, truncated=True, recommendations=best) for reason in Reason]
    answers += [Answer(Reason.NO_THRESHOLD, False, best, status) for status in IdentifierStatus]
    for target in (None, 0.9, 0.95, 0.99, 0.123):
        metrics.count_answers(answers, target_precision=target)
    metrics.observe_tokens([1, 1000])
    metrics.time_stages(dict.fromkeys(STAGES, 0.1))
    for (method, route), codes in ROUTES.items():
        for code in codes:
            metrics.count_request(route, method, status=code, seconds=0.1)
    for count, given in (
        (metrics.count_rejection, REJECTIONS),
        (metrics.count_cancelled, CANCELLED_STAGES),
        (metrics.count_deadline, DEADLINE_STAGES),
        (metrics.count_cache, CACHE_RESULTS),
    ):
        for name in given:
            count(name)
    metrics.count_stream_lines(answered=1, errors=1)
    metrics.count_embeddings(1)
    use_the_batcher(metrics)
    use_products(metrics)


def use_products(metrics: Metrics) -> None:
    for operation, outcome in itertools.product(Operation, Outcome):
        metrics.count_product_change(operation, outcome)
    metrics.show_products(Counts(products=4, fresh=1, removed=1, newer=1, pending=1))
    metrics.show_changes_log(100)
    for result in MERGE_RESULTS:
        metrics.count_merge(result, 1.0)


def use_the_batcher(metrics: Metrics) -> None:
    for release in Release:
        metrics.observe_batch(1, real_tokens=3, padded_tokens=3, release=release)
    for kind, was_together in itertools.product(Failure, (True, False)):
        metrics.count_encoder_failure(kind, was_together)
    metrics.count_restart()
    metrics.watch_queue(lambda: dict.fromkeys(Lane, (1, 1)), lambda: 1.0)
    metrics.watch_progress(lambda: False)
    metrics.watch_ready(lambda: True)
    metrics.show_cache(entries=1, size=1)
    metrics.count_evictions(1)
    metrics.count_recall(1.0)
    metrics.count_probe_dropped()
    for result in SWAP_RESULTS:
        metrics.count_swap(result, 1.0)


def test_every_series_exists_before_the_first_request() -> None:
    before = set(samples(Metrics()))
    metrics = Metrics()
    use_everything(metrics)

    assert set(samples(metrics)) == before


def test_every_series_of_a_bundle_exists_once_it_is_shown(manifest: Manifest) -> None:
    metrics = Metrics()
    metrics.show_bundle(manifest, generation=1)
    before = set(samples(metrics))
    use_everything(metrics)

    assert set(samples(metrics)) == before


def test_no_metric_is_empty_but_those_that_name_a_bundle(manifest: Manifest) -> None:
    metrics = Metrics()
    empty_at_start = {family.name for family in families(metrics) if not family.samples}
    metrics.show_bundle(manifest, generation=1)

    assert empty_at_start == OF_A_BUNDLE
    assert all(family.samples for family in families(metrics))


def test_every_name_says_its_unit() -> None:
    for family in families(Metrics()):
        for name in {sample.name for sample in family.samples}:
            if family.type == "counter":
                assert name.endswith("_total"), name
            else:
                assert family.name.rsplit("_", 1)[-1] in UNITS, name
        assert family.name.startswith(("surematch_", "process_"))


def test_every_metric_is_explained_by_a_sentence() -> None:
    for family in families(Metrics()):
        assert family.documentation.endswith("."), family.name
        assert len(family.documentation) <= 100


def test_every_label_has_one_of_the_values_of_its_closed_list(manifest: Manifest) -> None:
    metrics = Metrics()
    metrics.show_bundle(manifest, generation=1)
    use_everything(metrics)

    for family in families(metrics):
        if family.name in OF_A_BUNDLE:
            continue
        for sample in family.samples:
            for label, given in sample.labels.items():
                assert label == "le" or given in CLOSED[label], (sample.name, label, given)


def test_nothing_that_a_client_sends_makes_a_series_beyond_the_bound() -> None:
    metrics = Metrics()
    before = len(samples(metrics))

    for number in range(2000):
        path = f"/secret-{number}"
        metrics.count_request(path, f"SECRET{number}", status=404, seconds=0)
        metrics.count_request(UNMATCHED, "x" * number, status=404, seconds=0)
        metrics.count_request("/recommend", f"secret {number}", status=405, seconds=0)
        metrics.count_answers([], target_precision=number / 2001)

    assert len(samples(metrics)) == before + 2  # (unmatched, other, 404), (/recommend, other, 405)
    assert "secret" not in metrics.render().decode().lower()


def test_two_apps_do_not_share_their_counts() -> None:
    first, second = Metrics(), Metrics()
    first.count_restart()

    assert value(first, "surematch_worker_restarts_total") == 1
    assert value(second, "surematch_worker_restarts_total") == 0


def test_no_series_says_when_it_was_made(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.show_bundle(write_bundle(tmp_path / "bundle").manifest, generation=1)

    assert not [name for name, _ in samples(metrics) if name.endswith("_created")]
