import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from pydantic import ValidationError

from service.contract.similarities import EDGES, SimilarityHistogram


@pytest.mark.parametrize(
    ("similarity", "bucket"),
    [(-1.0, 0), (0.0, 0), (0.001, 1), (0.05, 1), (0.0501, 2), (0.95, 19), (1.0, 20), (1.0001, 21)],
)
def test_an_edge_belongs_to_the_bucket_below_it(similarity: float, bucket: int) -> None:
    counts = SimilarityHistogram.of([similarity]).counts

    assert [row for row, count in enumerate(counts) if count] == [bucket]


@given(st.lists(st.one_of(st.floats(-1, 1, width=32), st.sampled_from(EDGES)), max_size=30))
def test_calibration_and_live_traffic_are_counted_alike(similarities: list[float]) -> None:
    live = Histogram("live", "As the service counts.", buckets=EDGES, registry=CollectorRegistry())
    for similarity in similarities:
        live.observe(similarity)
    (family,) = live.collect()
    cumulative = {s.labels["le"]: s.value for s in family.samples if s.name == "live_bucket"}

    shares = SimilarityHistogram.of(similarities).shares_up_to_edges()

    for edge, share in shares.items():
        assert math.isclose(share * len(similarities), cumulative[str(edge)], abs_tol=1e-9)
    assert bool(shares) is bool(similarities)


@pytest.mark.parametrize(
    "fields",
    [
        {"edges": (), "counts": (1,)},
        {"edges": (0.5, 0.5), "counts": (1, 1, 1)},
        {"edges": (0.5, 0.4), "counts": (1, 1, 1)},
        {"edges": (0.5, 1.0), "counts": (1, 1)},
        {"edges": (0.5, 1.0), "counts": (1, -1, 1)},
        {"edges": (0.5, 1.5), "counts": (1, 1, 1)},
        {"edges": (0.5, math.nan), "counts": (1, 1, 1)},
    ],
)
def test_a_histogram_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SimilarityHistogram(**fields)
