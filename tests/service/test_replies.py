import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from service.contract import bundle as bundles
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.opening import OpenBundle, open_bundle_to_serve
from service.recommender import Answer, Recommender
from service.replies import reply_of
from service.schemas import RecommendRequest, RecommendResponse
from tests.client import asking
from tests.poison import PoisonSession

POISON = "nikon"


class PoisonedEncoder(Encoder):
    """An encoder that cannot take one word."""

    def __init__(self, path: Path, tokeniser: TextTokeniser) -> None:
        super().__init__(path, tokeniser, workers=1)
        token = tokeniser([POISON])[0].ids[1]
        self._session = PoisonSession(path, token=token, harm="raises")


@pytest.fixture
def bundle(tiny_bundle: Path) -> OpenBundle:
    return open_bundle_to_serve(tiny_bundle)


def poisoned(bundle: OpenBundle, folder: Path) -> OpenBundle:
    tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
    encoder = PoisonedEncoder(folder / bundles.ENCODER, tokeniser)
    real = bundle.recommender
    recommender = Recommender(encoder, real.retriever, real.catalogue, threshold=real.threshold)
    return replace(bundle, recommender=recommender)


@dataclass(frozen=True)
class Reply:
    """A response with the answers it was made of."""

    content: bytes
    answers: list[Answer]


def reply(bundle: OpenBundle, **body: Any) -> Reply:
    asked = RecommendRequest.model_validate(body)
    answers = bundle.recommender.recommend([query.text for query in asked.queries], k=asked.k)
    return Reply(reply_of(asked, answers, bundle, 0.95), answers)


def summary(result: Mapping[str, Any]) -> tuple[str, list[str]]:
    return result["reason"], [one["product_id"] for one in result["recommendations"]]


def test_the_bytes_are_the_answers_in_the_schema_of_the_response(bundle: OpenBundle) -> None:
    got = reply(bundle, queries=["canon eos r5 body", {"id": 3, "text": ""}], k=2)

    response = RecommendResponse.model_validate_json(got.content)
    assert response.bundle_id == bundle.manifest.bundle_id
    assert [result.reason for result in response.results] == [one.reason for one in got.answers]
    assert [result.id for result in response.results] == [None, 3]


def test_fields_are_those_of_the_very_product(bundle: OpenBundle) -> None:
    got = json.loads(reply(bundle, queries=["canon"], k=8, fields=["brand"]).content)

    found = got["results"][0]["recommendations"]
    assert len(found) == 8
    assert all(one["fields"]["brand"] == one["title"].split()[0] for one in found)


def test_an_encoder_that_fails_on_one_query_fails_no_other(
    bundle: OpenBundle, tiny_bundle: Path
) -> None:
    queries = ["canon eos r5 body", "nikon z6 ii body", "", "bose quietcomfort 45 white"]
    failing = poisoned(bundle, tiny_bundle)

    def open_failing(_folder: Path, *, current: OpenBundle | None) -> OpenBundle:  # noqa: ARG001
        return failing

    with asking(tiny_bundle, opener=open_failing) as client:
        got = client.recommend({"queries": queries}).json()["results"]
        failures = client.sample("surematch_encoder_failures_total", kind="runtime")
        coverage = client.sample("surematch_coverage_ratio", window="5m")
    whole = json.loads(reply(bundle, queries=queries).content)["results"]

    assert got[1] == {
        "id": None,
        "decision": "manual_review",
        "reason": "encoder_failed",
        "target_precision": 0.95,
        "truncated": False,
        "recommendations": [],
    }
    assert [summary(one) for one in got[:1] + got[2:]] == [
        summary(one) for one in whole[:1] + whole[2:]
    ]
    assert failures == 1
    assert coverage == pytest.approx(2 / 4)
