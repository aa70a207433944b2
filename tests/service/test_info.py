from pathlib import Path

import pytest

from service.generation import Generation
from service.info import info_of
from service.opening import open_bundle_to_serve
from service.settings import Settings
from tests.tiny import write_bundle


def test_info_tells_bundle_promise_and_limits(tmp_path: Path) -> None:
    bundle = open_bundle_to_serve(write_bundle(tmp_path / "b").folder)
    settings = Settings(bundle=tmp_path, max_queries=7, max_body_bytes=99)

    info = info_of(Generation.of(bundle, number=1), settings, target_precision=0.95).model_dump(
        mode="json"
    )

    point = {
        "threshold": 0.8,
        "target_precision": 0.95,
        "confidence": 0.95,
        "queries": 100,
        "accepted": 80,
        "wrong": 0,
        "coverage": 0.8,
        "precision": 1.0,
        "precision_lower_bound": 0.963,
    }
    assert info == {
        "bundle_id": bundle.manifest.bundle_id,
        "created_at": "2026-01-01T00:00:00Z",
        "release": "test",
        "encoder": {
            "base": "tiny",
            "dim": 16,
            "max_tokens": 12,
            "precision": "fp32",
            "parity_max_error": 0.0,
            "method": "",
            "cpu": None,
            "variants": [],
        },
        "catalogue": {
            "products": 8,
            "newer_products": 0,
            "newer_ratio": 0.0,
            "removed_products": 0,
            "pending_products": 0,
            "fields": ["category", "brand"],
            "product_text": ["title"],
            "index": "Flat",
            "retriever": None,
        },
        "operating_point": point,
        "decides_on": "similarity",
        "identifiers": [],
        "explanation": "invented for tests",
        "target_precision": 0.95,
        "promises": [
            {
                "target_precision": 0.95,
                "operating_point": point,
                "explanation": "invented for tests",
            }
        ],
        "batch": {
            "max_tokens": 256,
            "max_texts": 1024,
            "tokens_per_second": None,
            "device": "cpu",
        },
        "limits": {
            "body_bytes": 99,
            "queries": 7,
            "k": 100,
            "text_characters": 10000,
            "id_characters": 256,
            "fields": 100,
            "tokens": 12,
            "interactive_queries": 8,
            "stream_bytes": 64 * 1024 * 1024,
            "stream_line_bytes": 128 * 1024,
            "streams": 8,
            "deadline_seconds": 60.0,
        },
    }


@pytest.mark.parametrize("threshold", [None])
def test_without_a_promise_the_operating_point_is_null_and_the_reason_stands(
    tmp_path: Path, threshold: None
) -> None:
    bundle = write_bundle(tmp_path / "b", threshold=threshold)

    generation = Generation.of(open_bundle_to_serve(bundle.folder), number=1)
    info = info_of(generation, Settings(bundle=tmp_path), target_precision=0.95)

    assert info.operating_point is None
    assert info.explanation == "invented for tests"
