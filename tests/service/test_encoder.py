from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from service.contract.errors import BundleCorruptError
from service.contract.tokens import TextTokeniser
from service.cores import available_cores
from service.encoder import Encoder, Failure
from service.token_budget import DEFAULT_TOKENS
from tests.poison import HARMS, Harm, PoisonSession
from tests.tiny import DIM, SPECIAL, make_tokenizer, write_encoder

WORDS = ("alpha", "beta", "gamma", "delta", "poison")
POISON = len(SPECIAL) + sorted(WORDS).index("poison")
tokeniser = TextTokeniser(make_tokenizer(WORDS))

texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    write_encoder(path, vocabulary_size=len(SPECIAL) + len(WORDS))
    return path


@pytest.fixture(scope="module")
def encoder(onnx_file: Path) -> Encoder:
    return Encoder(onnx_file, tokeniser, workers=2)


def worked_out(many: Sequence[str]) -> np.ndarray:
    """The slow way: mean of each text's own word vectors, then length one."""
    size = (len(SPECIAL) + len(WORDS), DIM)
    vectors = np.random.default_rng(0).normal(size=size).astype(np.float32)
    vectors[: len(SPECIAL)] *= 0.01
    means = [vectors[list(text.ids)].astype(np.float64).sum(axis=0) for text in tokeniser(many)]
    return np.stack([mean / np.linalg.norm(mean) for mean in means])


@given(st.lists(texts, min_size=1, max_size=40))
def test_each_text_gets_its_own_embedding_in_order(encoder: Encoder, many: list[str]) -> None:
    found = encoder.embed(many)

    np.testing.assert_allclose(found, worked_out(many), atol=1e-5)


@given(st.lists(texts, min_size=1, max_size=40))
def test_an_embedding_has_length_one(encoder: Encoder, many: list[str]) -> None:
    found = encoder.embed(many)

    assert (found.dtype, found.shape) == (np.float32, (len(many), DIM))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@given(st.lists(texts, min_size=1, max_size=40), st.data())
def test_an_embedding_does_not_depend_on_the_texts_beside_it(
    encoder: Encoder, many: list[str], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(many) - 1))

    together, alone = encoder.embed(many)[row], encoder.embed([many[row]])[0]

    assert np.abs(together - alone).max() <= 1e-5


def test_no_text_gives_no_embedding(encoder: Encoder) -> None:
    assert encoder.embed([]).shape == (0, DIM)


def test_texts_of_many_batches_are_not_mixed_up(onnx_file: Path) -> None:
    many = [" ".join(WORDS[(row * step) % 4] for step in range(row % 11)) for row in range(300)]
    assert sum(len(text.ids) for text in tokeniser(many)) > 5 * DEFAULT_TOKENS

    found = [Encoder(onnx_file, tokeniser, workers=workers).embed(many) for workers in (1, 3)]

    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], worked_out(many), atol=1e-5)


def test_threads_that_share_an_encoder_get_the_embeddings_of_one(encoder: Encoder) -> None:
    bodies = [[f"{WORDS[row % 4]} beta" for row in range(size)] for size in range(1, 90, 11)]
    expected = [encoder.embed(body) for body in bodies]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.embed, bodies * 8))

    for row, embeddings in enumerate(found):
        np.testing.assert_array_equal(embeddings, expected[row % len(bodies)])


@pytest.mark.parametrize("harm", HARMS)
def test_a_bad_text_costs_only_itself_in_a_batch_and_alone(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, harm: Harm
) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=2)
    monkeypatch.setattr(encoder, "_session", PoisonSession(onnx_file, token=POISON, harm=harm))
    many = ["alpha", "beta poison", "gamma delta", "poison", "", "alpha beta"] * 30
    is_bad = np.array(["poison" in text for text in many])

    together = encoder.embed(many)
    alone = np.concatenate([encoder.embed([text]) for text in many[:6]])

    assert np.isnan(together[is_bad]).all()
    np.testing.assert_allclose(together[~is_bad], worked_out(many)[~is_bad], atol=1e-5)
    assert np.isnan(alone).all(axis=1).tolist() == is_bad[:6].tolist()
    assert (np.isnan(alone).any(axis=1) == np.isnan(alone).all(axis=1)).all()


def test_a_real_session_that_fails_on_one_token_fails_only_the_texts_with_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "encoder.onnx"
    write_encoder(path, vocabulary_size=POISON)
    encoder = Encoder(path, tokeniser)

    found = encoder.embed(["alpha", "poison", "beta", "gamma poison"])

    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("harm", "texts", "runs"),
    [
        ("raises", 1, 1),
        ("raises", 2, 3),
        ("raises", 16, 9),  # the batch, then two halves four times
        ("gives NaN", 16, 2),  # the row that is wrong is known, and run once more alone
        ("gives NaN to the whole batch", 16, 9),
        ("gives too few rows", 16, 9),
    ],
)
def test_a_bad_text_is_found_by_halving_its_batch(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, harm: Harm, texts: int, runs: int
) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=1)
    session = PoisonSession(onnx_file, token=POISON, harm=harm)
    monkeypatch.setattr(encoder, "_session", session)
    told: list[tuple[Failure, bool]] = []
    encoder.on_failure = lambda failure, was_together: told.append((failure, was_together))

    found = encoder.encode_together(encoder.tokenise(["poison", *["alpha beta"] * (texts - 1)]))

    assert np.isnan(found).all(axis=1).tolist() == [True] + [False] * (texts - 1)
    assert session.runs == runs
    kind = Failure.INVALID if harm.startswith("gives NaN") else Failure.RUNTIME
    assert told == [(kind, texts > 1)]


def test_running_out_of_memory_halves_the_budget(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=1)
    before = encoder.budget.tokens
    session = PoisonSession(onnx_file, token=POISON, harm="runs out of memory")
    monkeypatch.setattr(encoder, "_session", session)

    found = encoder.embed(["poison", "alpha"])

    assert np.isnan(found).all(axis=1).tolist() == [True, False]
    assert encoder.budget.tokens == before // 4  # once in the batch, once alone


@pytest.mark.parametrize("content", [b"", b"not ONNX", b"\x08\x08\x12\x00"])
def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(content)

    with pytest.raises(BundleCorruptError, match=r"encoder\.onnx is no model"):
        Encoder(path, tokeniser)


def test_a_model_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match=r"absent\.onnx is no model"):
        Encoder(tmp_path / "absent.onnx", tokeniser)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("logits", ["text", DIM]),
        ("embedding", ["text", 7, DIM]),
        ("embedding", ["text", "dim"]),
        ("embedding", ["text"]),
    ],
)
def test_a_model_without_one_embedding_a_text_is_refused(
    tmp_path: Path, name: str, shape: list[int | str]
) -> None:
    path = tmp_path / "encoder.onnx"
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input_ids"], [name])],
        "other",
        [helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))

    with pytest.raises(BundleCorruptError, match="not one `embedding` of fixed length"):
        Encoder(path, tokeniser)


def test_at_least_one_core_may_be_used() -> None:
    assert available_cores() >= 1
