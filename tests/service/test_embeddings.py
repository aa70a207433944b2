import asyncio
import base64
import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.keys import ApiKey, Scope, digest_of
from service.access.keys_file import append_key
from service.contract.text import normalise
from service.encoder import Encoder
from tests.client import Client, asking
from tests.conversation import talking
from tests.gate import put_gate
from tests.poison import HARMS, Harm, PoisonSession
from tests.tiny import DIM, MAX_TOKENS, PRODUCTS, open_tiny, write_bundle

EMBED, OPENAI = "/embed", "/v1/embeddings"
CLS, SEP = 2, 3
TITLES = [title for _, title, _ in PRODUCTS]
LONG = "sony " * 50
LENGTH = "must have 1 to 10000 characters"
COUNT = f"it must hold 1 to {MAX_TOKENS - 2}"
VOCABULARY = "holds an id outside the vocabulary"

texts = st.lists(st.sampled_from(TITLES) | st.text(max_size=30), min_size=1, max_size=10)


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle) as client:
        yield client


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> Encoder:
    return open_tiny(tiny_bundle).encoder


def embed(client: Client, texts: object) -> list[dict[str, Any]]:
    response = client.request("POST", EMBED, json={"texts": texts})
    assert response.status_code == 200, response.text
    return response.json()["results"]


def openai(client: Client, given: object, **rest: object) -> Any:
    return client.request("POST", OPENAI, json={"input": given, "model": "surematch", **rest})


def vectors(client: Client, given: object, **rest: object) -> np.ndarray:
    response = openai(client, given, **rest)
    assert response.status_code == 200, response.text
    return np.array([one["embedding"] for one in response.json()["data"]])


def poison(client: Client, word: str, *, harm: Harm, bundle: Path) -> None:
    encoder = client.serving.opened().bundle.recommender.encoder
    token = encoder.tokeniser([word])[0].ids[1]
    vars(encoder)["_session"] = PoisonSession(bundle / "encoder.onnx", token=token, harm=harm)


def test_a_text_gets_its_unit_vector(client: Client, encoder: Encoder) -> None:
    response = client.request("POST", EMBED, json={"texts": ["canon eos r5 body"]})

    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {"bundle_id", "dim", "results"}
    assert answer["bundle_id"] == client.serving.opened().manifest.bundle_id
    assert answer["dim"] == DIM
    (result,) = answer["results"]
    vector = result.pop("embedding")
    assert result == {"truncated": False, "reason": None}
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(
        np.array(vector, dtype=np.float64),
        encoder.embed(["canon eos r5 body"])[0].astype(np.float64),  # exactly, in double too
    )


@given(texts)
def test_texts_get_the_vectors_of_the_encoder_in_order(
    client: Client, encoder: Encoder, texts: list[str]
) -> None:
    expected = encoder.embed(texts)

    for result, own, text in zip(embed(client, texts), expected, texts, strict=True):
        if normalise(text) and result["embedding"] is not None:
            np.testing.assert_allclose(result["embedding"], own, atol=1e-5)
        else:
            assert (result["embedding"], result["reason"]) == (None, "empty_text")


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\u00a0", "\ud800"])
def test_a_blank_text_has_no_vector_and_says_so(client: Client, text: str) -> None:
    body = json.dumps({"texts": ["sony", text]}).encode()

    found, blank = client.request("POST", EMBED, content=body).json()["results"]

    assert found["embedding"] is not None
    assert blank == {"embedding": None, "truncated": False, "reason": "empty_text"}


def test_a_text_that_is_cut_says_so(client: Client) -> None:
    assert [one["truncated"] for one in embed(client, [LONG, "sony"])] == [True, False]


@pytest.mark.parametrize("harm", HARMS)
def test_a_text_that_the_encoder_fails_on_costs_only_itself(tiny_bundle: Path, harm: Harm) -> None:
    with asking(tiny_bundle) as client:
        expected = embed(client, ["sony", "canon eos r5 body"])
        poison(client, "cable", harm=harm, bundle=tiny_bundle)
        first, failed, last = embed(client, ["sony", "generic cable", "canon eos r5 body"])

    assert failed == {"embedding": None, "truncated": False, "reason": "encoder_failed"}
    for found, wanted in ((first, expected[0]), (last, expected[1])):
        np.testing.assert_allclose(found["embedding"], wanted["embedding"], atol=1e-5)


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ({}, "texts", "is missing"),
        ({"texts": []}, "texts", "must have at least 1 item after validation, not 0"),
        ({"texts": "sony"}, "texts", "must be a list"),
        ({"texts": [3]}, "texts[0]", "must be a string"),
        ({"texts": ["x", None]}, "texts[1]", "must be a string"),
        ({"texts": [{"text": "x"}]}, "texts[0]", "must be a string"),
        ({"texts": ["x" * 10_001]}, "texts[0]", "must have at most 10000 characters"),
        ({"texts": ["x"] * 1001}, "texts", "holds 1001 texts, at most 1000 are allowed"),
        ({"texts": ["x"], "k": 5}, "k", "is no key of this object"),
        ([], "body", "must be an object"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(
    client: Client, body: object, where: str, what: str
) -> None:
    response = client.request("POST", EMBED, json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0] == {"where": where, "what": what}
    assert "error" not in response.json()


@pytest.mark.parametrize("given", ["canon eos r5 body", ["canon eos r5 body"], [TITLES[4]]])
def test_a_client_of_openai_gets_the_form_it_knows(client: Client, given: object) -> None:
    response = openai(client, given)

    answer = response.json()
    (one,) = answer.pop("data")
    vector = one.pop("embedding")
    assert one == {"object": "embedding", "index": 0}
    assert answer == {
        "object": "list",
        "model": client.serving.opened().manifest.bundle_id,
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }
    assert vector == embed(client, ["canon eos r5 body"])[0]["embedding"]


@given(texts.map(lambda some: [text for text in some if normalise(text)]).filter(bool))
def test_both_routes_and_both_formats_give_the_same_vectors(
    client: Client, texts: list[str]
) -> None:
    whole = openai(client, texts)
    if whole.status_code == 422:  # nothing of a text but what the tokenizer drops
        assert "must not be blank" in whole.json()["detail"]
        return
    packed = openai(client, texts, encoding_format="base64").json()["data"]

    own = [one["embedding"] for one in embed(client, texts)]
    data = whole.json()["data"]
    assert [one["index"] for one in data] == list(range(len(texts)))
    np.testing.assert_allclose([one["embedding"] for one in data], own, atol=1e-5)
    unpacked = [np.frombuffer(base64.b64decode(one["embedding"]), dtype="<f4") for one in packed]
    np.testing.assert_allclose(unpacked, own, atol=1e-5)


def test_base64_holds_the_very_numbers(client: Client) -> None:
    (one,) = openai(client, "sony", encoding_format="base64").json()["data"]

    unpacked = np.frombuffer(base64.b64decode(one["embedding"]), dtype="<f4")
    np.testing.assert_array_equal(unpacked, vectors(client, "sony")[0])


@pytest.mark.parametrize("text", [*TITLES, "zebra", LONG])
def test_the_token_ids_of_a_text_get_its_vector_with_special_tokens_or_without(
    client: Client, encoder: Encoder, text: str
) -> None:
    ids = list(encoder.tokeniser([text])[0].ids)

    expected = vectors(client, text)
    assert (ids[0], ids[-1]) == (CLS, SEP)
    for same in (ids, ids[1:-1], [ids], [ids[1:-1]]):
        np.testing.assert_array_equal(vectors(client, same), expected)


def test_texts_and_token_ids_may_stand_side_by_side(client: Client, encoder: Encoder) -> None:
    ids = list(encoder.tokeniser(["bose"])[0].ids)
    tokens = openai(client, ["sony", ids, "canon eos"]).json()["usage"]["prompt_tokens"]

    np.testing.assert_allclose(
        vectors(client, ["sony", ids, "canon eos"]),
        vectors(client, ["sony", "bose", "canon eos"]),
        atol=1e-6,
    )
    assert tokens == 3 + 3 + 4


def test_an_item_says_that_its_text_was_cut_and_others_say_nothing(client: Client) -> None:
    first, second = openai(client, ["sony", LONG]).json()["data"]

    assert "truncated" not in first
    assert second["truncated"] is True


@pytest.mark.parametrize("name", ["surematch", "tiny", "bundle"])
def test_the_model_goes_by_three_names(client: Client, name: str) -> None:
    bundle_id = client.serving.opened().manifest.bundle_id
    model = bundle_id if name == "bundle" else name

    response = openai(client, "sony", model=model)

    assert (response.status_code, response.json()["model"]) == (200, bundle_id)


@pytest.mark.parametrize("name", ["text-embedding-3-small", "", "Surematch", "\udc00"])
def test_another_model_is_not_found(client: Client, name: str) -> None:
    body = json.dumps({"input": "sony", "model": name}).encode()

    response = client.request("POST", OPENAI, content=body)

    assert response.status_code == 404
    problem = response.json()
    assert problem["code"] == problem["error"]["code"] == "model_not_found"
    assert problem["detail"] == problem["error"]["message"]


@pytest.mark.parametrize("rest", [{}, {"user": "me"}, {"user": None}, {"encoding_format": None}])
def test_what_a_client_may_add_changes_nothing(client: Client, rest: dict[str, object]) -> None:
    np.testing.assert_array_equal(
        vectors(client, "sony", dimensions=DIM, **rest), vectors(client, "sony")
    )


REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "no input": ({"model": "surematch"}, "input", "is missing"),
    "no model": ({"input": "x"}, "model", "is missing"),
    "null": ({"input": None}, "input", "must be a list"),
    "a number": ({"input": 3}, "input", "must be a list"),
    "an object": ({"input": {"text": "x"}}, "input", "must be a list"),
    "an empty string": ({"input": ""}, "input[0]", LENGTH),
    "an empty string among others": ({"input": ["x", ""]}, "input[1]", LENGTH),
    "a long text": ({"input": "x" * 10_001}, "input[0]", LENGTH),
    "an empty list": ({"input": []}, "input", "must have at least 1 item"),
    "a blank text": ({"input": ["x", " \u200b"]}, "input[1]", "must not be blank"),
    "many texts": ({"input": ["x"] * 1001}, "input", "holds 1001 texts, at most 1000 are"),
    "a list of null": ({"input": [None]}, "input[0]", "must be a string or a list of token ids"),
    "booleans": ({"input": [True]}, "input[0]", "must be a string or a list of token ids"),
    "fractions": ({"input": [5.0]}, "input[0]", "must be a string or a list of token ids"),
    "ids and a text in one list": ({"input": [5, "x"]}, "input[0]", "must hold whole numbers"),
    "a list of booleans": ({"input": [[True]]}, "input[0]", "must hold whole numbers only"),
    "no ids": ({"input": [[]]}, "input[0]", COUNT),
    "special tokens only": ({"input": [[CLS, SEP]]}, "input[0]", COUNT),
    "too many ids": ({"input": [5] * (MAX_TOKENS - 1)}, "input[0]", COUNT),
    "a million ids": ({"input": [5] * 1_000_000}, "input[0]", COUNT),
    "a negative id": ({"input": [[4], [-1]]}, "input[1]", VOCABULARY),
    "an id that is none": ({"input": [10**6]}, "input[0]", VOCABULARY),
    "an id of 4,000 digits": ({"input": [10**4000]}, "input[0]", VOCABULARY),
    "other dimensions": ({"input": "x", "dimensions": 8}, "dimensions", f"must be {DIM}, which"),
    "no dimensions": ({"input": "x", "dimensions": 0}, "dimensions", "must be greater than"),
    "dimensions as text": ({"input": "x", "dimensions": "16"}, "dimensions", "must be a valid"),
    "another format": ({"input": "x", "encoding_format": "int8"}, "encoding_format", "must be"),
    "an unknown key": ({"input": "x", "stream": True}, "stream", "is no key of this object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_input_is_refused_in_the_words_of_both(client: Client, name: str) -> None:
    body, where, what = REFUSED[name]
    whole = body if name in ("no input", "no model") else {"model": "surematch", **body}

    response = client.request("POST", OPENAI, content=json.dumps(whole).encode())

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["errors"][0]["where"] == where
    assert what in problem["errors"][0]["what"]
    assert problem["error"] == {
        "message": problem["detail"],
        "type": "invalid_request_error",
        "param": where,
        "code": "invalid_request",
    }


def test_an_input_that_the_encoder_fails_on_fails_the_whole_and_is_named(
    tiny_bundle: Path,
) -> None:
    with asking(tiny_bundle) as client:
        poison(client, "cable", harm="gives NaN", bundle=tiny_bundle)
        response = openai(client, ["sony", "generic cable", "bose", "cable"])
        others = openai(client, ["sony", "bose"])

    problem = response.json()
    assert (response.status_code, problem["code"]) == (500, "encoder_failed")
    assert "input[1] and 1 more" in problem["detail"]
    assert problem["error"]["type"] == "server_error"
    assert response.headers["x-should-retry"] == "false"
    assert others.status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"not json", 400, "not_json"), (b"[1]", 422, "invalid_request")],
)
def test_errors_of_the_body_have_both_forms(
    client: Client, content: bytes, status: int, code: str
) -> None:
    response = client.request("POST", OPENAI, content=content)

    assert response.status_code == status
    assert response.json()["error"]["code"] == response.json()["code"] == code


def test_what_a_client_of_openai_asks_besides_is_refused_in_its_form(client: Client) -> None:
    response = client.get("/v1/models")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", [EMBED, OPENAI])
def test_without_a_key_or_over_the_rate_nothing_is_embedded(
    tiny_bundle: Path, tmp_path: Path, path: str
) -> None:
    key = ApiKey(
        name="shop",
        sha256=digest_of("sm_shop"),
        scopes=frozenset({Scope.RECOMMEND}),
        queries_per_second=0.001,
        burst=3,
    )
    append_key(tmp_path / "keys.toml", key)
    body = {"texts": ["a", "b"]} if path == EMBED else {"input": ["a", "b"], "model": "tiny"}
    with asking(tiny_bundle, keys_file=tmp_path / "keys.toml") as client:
        headers = {"Authorization": "Bearer sm_shop"}
        without = client.request("POST", path, json=body)
        first, second = (client.request("POST", path, json=body, headers=headers) for _ in "12")

    assert [without.status_code, first.status_code, second.status_code] == [401, 200, 429]
    assert int(second.headers["retry-after"]) > 1
    if path == OPENAI:
        assert without.json()["error"]["type"] == "authentication_error"
        assert second.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("path", [EMBED, OPENAI])
def test_an_answer_that_comes_too_late_is_none(tiny_bundle: Path, path: str) -> None:
    body = {"texts": ["sony"]} if path == EMBED else {"input": "sony", "model": "tiny"}
    with asking(tiny_bundle) as client:
        gate = put_gate(client.serving.opened().bundle.recommender.encoder)
        gate.open.clear()
        headers = {"X-Request-Deadline-Ms": "200"}
        response = client.request("POST", path, json=body, headers=headers)
        gate.open.set()

    assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")


def test_a_full_queue_refuses_what_is_to_be_embedded(tiny_bundle: Path) -> None:
    async def two(client: Client) -> tuple[int | None, int]:
        gate = put_gate(client.serving.opened().bundle.recommender.encoder)
        gate.open.clear()
        body = json.dumps({"texts": ["sony"]}).encode()
        async with talking(client.app, EMBED) as first:
            first.say(body)
            first.finish()
            await asyncio.to_thread(gate.begun.wait, 20)
            second = await client.asynchronous.post(EMBED, content=body)
            gate.open.set()
            await first.rest()
        assert second.headers["retry-after"] == "1"
        return first.status, second.status_code

    with asking(tiny_bundle, max_waiting=1) as client:
        assert client.run(two(client)) == (200, 429)


def test_a_client_that_leaves_takes_its_texts_with_it(tiny_bundle: Path) -> None:
    async def leave(client: Client) -> None:
        gate = put_gate(client.serving.opened().bundle.recommender.encoder)
        gate.open.clear()
        async with talking(client.app, EMBED) as request:
            request.say(json.dumps({"texts": TITLES}).encode())
            request.finish()
            await asyncio.to_thread(gate.begun.wait, 20)
        depths = client.serving.answering.batcher.queue.depths()
        assert set(depths.values()) == {(0, 0)}
        gate.open.set()

    with asking(tiny_bundle) as client:
        client.run(leave(client))

        assert client.sample("surematch_embeddings_total") == 0


def test_a_long_reply_is_as_right_as_a_short_one(tiny_bundle: Path) -> None:
    asked = [TITLES[n % 7] for n in range(2000)]
    with asking(tiny_bundle, max_queries=2000) as client:
        expected = [one["embedding"] for one in embed(client, TITLES[:7])]
        found = [one["embedding"] for one in embed(client, asked)]
        packed = vectors(client, asked)

    wanted = [expected[n % 7] for n in range(2000)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(packed, wanted, atol=1e-6)


def test_embedded_texts_are_counted_and_told_to_nobody(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    with asking(tiny_bundle) as client:
        embed(client, ["a secret text", "", "bose"])
        openai(client, ["a secret text", "bose"])
        openai(client, ["a secret text", ""])
        counted = client.sample("surematch_embeddings_total")
        decided = client.sample("surematch_truncated_total")
        stage = client.sample("surematch_stage_duration_seconds_count", stage="tokenise")
        requests = [
            client.sample("surematch_http_requests_total", route=route, method="POST", code=code)
            for route, code in ((EMBED, "200"), (OPENAI, "200"), (OPENAI, "422"))
        ]

    assert (counted, decided, stage) == (4, 0, 2)
    assert requests == [1, 1, 1]
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_the_bundle_that_a_request_met_answers_it_though_another_one_comes(
    tmp_path: Path,
) -> None:
    old = write_bundle(tmp_path / "old").folder
    new = write_bundle(tmp_path / "new", seed=1).folder

    async def swap_midway(client: Client) -> dict[str, Any]:
        gate = put_gate(client.serving.opened().bundle.recommender.encoder)
        gate.open.clear()
        async with talking(client.app, EMBED) as request:
            request.say(b'{"texts": ["sony"]}')
            request.finish()
            await asyncio.to_thread(gate.begun.wait, 20)
            await client.serving.keeper.swap(new)
            gate.open.set()
            return json.loads(await request.rest())

    with asking(old) as client:
        own = client.serving.opened().manifest.bundle_id
        answer = client.run(swap_midway(client))
        other = client.serving.opened().manifest.bundle_id

    assert own == answer["bundle_id"] != other
    np.testing.assert_allclose(
        answer["results"][0]["embedding"], open_tiny(old).encoder.embed(["sony"])[0], atol=1e-6
    )
