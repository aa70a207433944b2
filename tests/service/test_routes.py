import logging
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client import Client, asking
from tests.tiny import PRODUCTS, open_tiny, write_bundle

titles = st.sampled_from([title for _, title, _ in PRODUCTS])
texts = st.one_of(titles, st.text(max_size=30), st.lists(titles, min_size=2).map(" ".join))


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle) as client:
        yield client


def results(client: Client, body: object) -> list[dict[str, Any]]:
    response = client.recommend(body)
    assert response.status_code == 200, response.text
    return response.json()["results"]


def test_a_query_gets_its_products_with_a_decision(client: Client) -> None:
    body = {"queries": [{"id": "offer-1", "text": "canon eos r5 body"}], "k": 2}

    response = client.recommend(body)

    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {"bundle_id", "results"}
    (result,) = answer["results"]
    found = result.pop("recommendations")
    assert result == {
        "id": "offer-1",
        "decision": "auto_accepted",
        "reason": "above_threshold",
        "target_precision": 0.95,
        "truncated": False,
    }
    assert [set(one) for one in found] == [{"product_id", "title", "similarity"}] * 2
    assert (found[0]["product_id"], found[0]["title"]) == ("p-5", "Canon EOS R5 Body")
    assert 1 >= found[0]["similarity"] >= found[1]["similarity"] >= -1


@given(st.lists(texts, min_size=1, max_size=20), st.integers(1, 100))
def test_the_service_answers_what_the_recommender_answers_in_order(
    client: Client, tiny_bundle: Path, queries: list[str], k: int
) -> None:
    expected = open_tiny(tiny_bundle).recommend(queries, k=k)
    body = {"queries": [{"id": n, "text": text} for n, text in enumerate(queries)], "k": k}

    answered = results(client, body)

    assert [result["id"] for result in answered] == list(range(len(queries)))
    for result, answer in zip(answered, expected, strict=True):
        assert (result["decision"], result["reason"]) == (answer.decision, answer.reason)
        assert result["truncated"] == answer.truncated
        found = [(one["product_id"], one["similarity"]) for one in result["recommendations"]]
        assert found == [
            (one.product_id, pytest.approx(one.similarity, abs=1e-5))
            for one in answer.recommendations
        ]


@pytest.mark.parametrize("query_id", ["offer-1", "", 0, -7, 2**53 + 1, None, "\x00é\U0001f3a7"])
def test_an_id_comes_back_as_it_is(client: Client, query_id: object) -> None:
    (result,) = results(client, {"queries": [{"id": query_id, "text": "cable"}]})

    assert result["id"] == query_id
    assert type(result["id"]) is type(query_id)


def test_equal_ids_are_two_queries(client: Client) -> None:
    body = {"queries": [{"id": 1, "text": "nikon z6 ii body"}, {"id": 1, "text": "generic cable"}]}

    assert [(one["id"], one["reason"]) for one in results(client, body)] == [
        (1, "above_threshold"),
        (1, "ambiguous_product"),
    ]


@pytest.mark.parametrize(("k", "count"), [(None, 5), (1, 1), (8, 8), (100, 8)])
def test_k_is_the_most_a_query_gets(client: Client, k: int | None, count: int) -> None:
    body = {"queries": ["sony"]} | ({} if k is None else {"k": k})

    assert len(results(client, body)[0]["recommendations"]) == count


def test_fields_come_with_every_recommendation_when_asked(client: Client) -> None:
    body = {"queries": ["canon eos r5 body"], "k": 3, "fields": ["brand", "category"]}

    found = results(client, body)[0]["recommendations"]

    assert found[0]["fields"] == {"brand": "Canon", "category": "Cameras"}
    assert [set(one["fields"]) for one in found] == [{"brand", "category"}] * 3


@pytest.mark.parametrize("fields", [None, []])
def test_without_fields_no_recommendation_has_any(client: Client, fields: object) -> None:
    found = results(client, {"queries": ["sony"], "fields": fields})[0]["recommendations"]

    assert all("fields" not in one for one in found)


@pytest.mark.parametrize("name", ["colour", "title", "product_id", "product_text", "\ud800", ""])
def test_an_unknown_field_is_refused_with_what_there_is(client: Client, name: str) -> None:
    response = client.recommend({"queries": ["sony"], "fields": ["brand", name]})

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"where": "fields[1]", "what": "is no field of the catalogue, which has: category, brand"}
    ]


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_the_content_type_does_not_matter(client: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.request(
        "POST", "/recommend", content=b'{"queries": ["sony"]}', headers=headers
    )

    assert response.status_code == 200


def test_a_longer_text_than_the_model_reads_is_cut_and_says_so(client: Client) -> None:
    (result,) = results(client, {"queries": ["sony " * 50]})

    assert result["truncated"] is True
    assert result["recommendations"]


def test_a_bundle_without_threshold_accepts_nothing(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", threshold=None)
    with asking(bundle.folder) as client:
        (result,) = results(client, {"queries": ["canon eos r5 body"]})
        point = client.get("/info").json()["operating_point"]

    assert (result["decision"], result["reason"]) == ("manual_review", "no_threshold")
    assert result["recommendations"][0]["similarity"] == pytest.approx(1)
    assert point is None


def test_bodies_under_way_together_each_get_their_own_answer(tiny_bundle: Path) -> None:
    bodies = [
        {"queries": [{"id": f"{body}-{n}", "text": PRODUCTS[(body + n) % 7][1]} for n in range(20)]}
        for body in range(30)
    ]
    with asking(tiny_bundle, workers=3) as client:
        responses = client.recommend_together(bodies)

    for body, response in enumerate(responses):
        for n, result in enumerate(response.json()["results"]):
            assert result["id"] == f"{body}-{n}"
            assert result["recommendations"][0]["product_id"] == PRODUCTS[(body + n) % 7][0]


def test_more_queries_than_the_limit_are_refused_and_the_limit_is_taken(tiny_bundle: Path) -> None:
    with asking(tiny_bundle, max_queries=3) as client:
        at_limit = client.recommend({"queries": ["sony"] * 3})
        above = client.recommend({"queries": ["sony"] * 4})

    assert at_limit.status_code == 200
    assert above.status_code == 422
    assert above.json()["detail"] == "queries holds 4 queries, at most 3 are allowed"


def test_every_answered_query_is_counted_exactly_once(tiny_bundle: Path) -> None:
    with asking(tiny_bundle) as client:
        client.recommend({"queries": ["canon eos r5 body", "", "generic cable", "qwerty " * 20]})
        client.recommend({"queries": ["canon eos r5 body"], "k": 0})
        client.send(b"not json")
        client.recommend({"queries": ["nikon z6 ii body"]})
        counted = {
            sample.labels["reason"]: sample.value
            for family in client.serving.metrics.registry.collect()
            if family.name == "surematch_recommendations"
            for sample in family.samples
        }
        coverage = client.sample("surematch_coverage_ratio", window="5m")
        truncated = client.sample("surematch_truncated_total")
        stages = {
            stage: client.sample("surematch_stage_duration_seconds_count", stage=stage)
            for stage in ("tokenise", "queue", "encode", "search", "decide")
        }

    assert counted["above_threshold"] == 2
    assert counted["empty_text"] == 1
    assert counted["ambiguous_product"] == 1
    assert sum(counted.values()) == 5
    assert coverage == pytest.approx(2 / 5)
    assert truncated == 1
    assert stages == dict.fromkeys(stages, 2)


def test_requests_are_counted_by_template_method_and_code(tiny_bundle: Path) -> None:
    with asking(tiny_bundle) as client:
        client.get("/livez")
        client.get("/livez/")
        client.get("/secret-path")
        client.get("/recommend")
        client.recommend({"queries": []})
        requests = "surematch_http_requests_total"
        found = {
            key: client.sample(requests, route=key[0], method=key[1], code=key[2])
            for key in (
                ("/livez", "GET", "200"),
                ("unmatched", "GET", "404"),
                ("/recommend", "GET", "405"),
                ("/recommend", "POST", "422"),
            )
        }
        shown = client.get("/metrics").text

    assert list(found.values()) == [1, 2, 1, 1]
    assert "secret-path" not in shown


def test_the_log_line_of_a_request_counts_its_queries_and_tells_no_text(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    client.recommend({"queries": ["a secret text", "another secret"]})
    client.recommend({"queries": ["a secret text"], "secret": "key"})
    client.send(b'{"queries": ["a secret text"')

    assert [vars(record)["queries"] for record in caplog.records] == [2, 0, 0]
    assert [vars(record)["route"] for record in caplog.records] == ["/recommend"] * 3
    assert "secret" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/recommend", "POST"),
        ("DELETE", "/recommend", "POST"),
        ("POST", "/livez", "GET"),
        ("PUT", "/metrics", "GET"),
        ("OPTIONS", "/info", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(
    client: Client, method: str, path: str, allow: str
) -> None:
    response = client.request(method, path)

    assert response.status_code == 405
    assert response.headers["allow"] == allow
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/", "/recommend/", "/nothing", "/docs/../etc", "/%00", "/info/x"]
)
def test_a_path_that_is_none_is_a_problem_document(client: Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
    assert response.headers["x-request-id"]


def test_livez_and_readyz_say_so(client: Client) -> None:
    bundle = client.serving.opened().manifest.bundle_id

    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "bundle_id": bundle}


def test_metrics_are_in_the_text_format_of_prometheus(client: Client) -> None:
    response = client.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "surematch_coverage_ratio" in response.text


def test_only_what_was_answered_moves_coverage(tiny_bundle: Path) -> None:
    with asking(tiny_bundle, max_body_bytes=50) as client:
        assert client.recommend({"queries": ["x" * 100]}).status_code == 413

        assert math.isnan(client.sample("surematch_coverage_ratio", window="1d"))
        assert client.sample("surematch_admission_rejected_total", reason="payload") == 1
