"""The path of an accelerator, walked on a CPU: the vectors stay where ONNX Runtime put them."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answers import Answer, StageClock
from service.batching.engines import RecommendAsk, RecommendEngine
from service.batching.work import Work
from service.contract.tokens import TextTokeniser, TokenisedText
from service.embedded import OnDevice
from service.encoder import Encoder, Failure
from service.opening import open_recommender
from service.recommender import Recommender
from service.retrievers import FlatRetriever
from service.retrievers.exact import ranked
from service.retrievers.in_place import search_pointer
from tests.poison import PoisonSession
from tests.tiny import DIM, SPECIAL, make_tokenizer, write_encoder

WORDS = ("alpha", "beta", "gamma", "delta")
tokeniser = TextTokeniser(make_tokenizer(WORDS))
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    write_encoder(path, vocabulary_size=len(SPECIAL) + len(WORDS))
    return path


@pytest.fixture(scope="module")
def encoder(onnx_file: Path) -> Encoder:
    return Encoder(onnx_file, tokeniser, workers=1, in_place=True)


def tokens(*many: str) -> list[TokenisedText]:
    return tokeniser(list(many))


@given(st.lists(texts, min_size=1, max_size=20))
def test_the_copy_is_what_a_plain_run_gives(encoder: Encoder, many: list[str]) -> None:
    embedded = encoder.encode_in_place(tokens(*many))

    assert embedded.on_device is not None
    np.testing.assert_array_equal(embedded.vectors, encoder.encode_together(tokens(*many)))


def test_faiss_reads_the_vectors_where_they_lie(encoder: Encoder) -> None:
    embedded = encoder.encode_in_place(tokens("alpha beta", "gamma", "delta delta"))
    index = faiss.IndexFlatIP(DIM)
    index.add(embedded.vectors)
    there = embedded.on_device
    assert there is not None

    similarity, rows = search_pointer(index, there, 2)

    expected_similarity, expected_rows = index.search(embedded.vectors, 2)
    assert (there.texts, there.dim) == (3, DIM)
    assert rows[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(similarity, expected_similarity)


def test_an_index_of_another_length_is_refused_before_faiss_reads_on(encoder: Encoder) -> None:
    there = encoder.encode_in_place(tokens("alpha")).on_device
    assert there is not None

    with pytest.raises(ValueError, match=f"vectors of {DIM} numbers .* an index of {DIM + 1}"):
        search_pointer(faiss.IndexFlatIP(DIM + 1), there, 1)


class InPlace(FlatRetriever):
    """An exact index that is asked by address, and says how often it was."""

    def __init__(self, index: faiss.IndexFlat) -> None:
        super().__init__(index)
        self.asked = 0

    def search_in_place(self, queries: OnDevice, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked += 1
        return ranked(*search_pointer(self._index, queries, self.products), k)


def recommender_in_place(bundle: Path, *, in_place: bool) -> tuple[RecommendEngine, InPlace]:
    opened, _ = open_recommender(bundle)
    index = faiss.read_index(str(bundle / "products.faiss"))
    assert isinstance(index, faiss.IndexFlat)
    retriever = InPlace(index)
    known = opened.encoder.tokeniser
    encoder = Encoder(bundle / "encoder.onnx", known, workers=1, in_place=in_place)
    made = Recommender(encoder, retriever, opened.catalogue, threshold=0.5)
    return RecommendEngine(made), retriever


def answers(engine: RecommendEngine, *asked: str, late: str | None = None) -> list[Answer | None]:
    works = [
        Work[RecommendAsk, Answer](
            text,
            engine,
            RecommendAsk(k=3, threshold=0.5),
            0.0,
            deadline=0.0 if words == late else float("inf"),
        )
        for words, text in zip(asked, engine.recommender.encoder.tokenise(asked), strict=True)
    ]
    return engine.answer(works, StageClock())


def test_a_batch_is_searched_where_it_was_encoded_with_the_same_answers(tiny_bundle: Path) -> None:
    there, index = recommender_in_place(tiny_bundle, in_place=True)
    copied, _ = recommender_in_place(tiny_bundle, in_place=False)
    asked = ("sony silver", "canon body", "generic cable")

    assert answers(there, *asked) == answers(copied, *asked)
    assert index.asked == 1


def test_a_batch_that_lost_a_text_is_searched_from_the_copy(tiny_bundle: Path) -> None:
    engine, index = recommender_in_place(tiny_bundle, in_place=True)

    first, gone, last = answers(engine, "sony silver", "too late", "canon body", late="too late")

    assert gone is None
    assert first is not None
    assert last is not None
    assert first.recommendations[0].product_id == "p-2"
    assert last.recommendations[0].title.startswith("Canon")
    assert index.asked == 0


def test_vectors_outlive_the_next_run(encoder: Encoder) -> None:
    first = encoder.encode_in_place(tokens("alpha"))
    for _ in range(5):
        encoder.encode_in_place(tokens("beta", "gamma"))

    assert first.on_device is not None
    np.testing.assert_array_equal(first.on_device.value.numpy(), first.vectors)


def test_a_cpu_only_copies(onnx_file: Path) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=1)

    assert encoder.encode_in_place(tokens("alpha")).on_device is None


def test_a_batch_larger_than_may_run_together_only_copies(onnx_file: Path) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=1, in_place=True)
    encoder.max_texts = 1

    assert encoder.encode_in_place(tokens("alpha", "beta")).on_device is None
    assert encoder.encode_in_place(tokens("alpha")).on_device is not None


def test_a_run_that_fails_is_copied_text_by_text(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(onnx_file, tokeniser, workers=1, in_place=True)
    bad = len(SPECIAL) + sorted(WORDS).index("delta")
    harmed = PoisonSession(onnx_file, token=bad, harm="raises")  # binds nothing: each run fails
    monkeypatch.setattr(encoder, "_session", harmed)
    failures: list[Failure] = []
    encoder.on_failure = lambda failure, _together: failures.append(failure)

    embedded = encoder.encode_in_place(tokens("alpha", "delta", "gamma"))

    assert embedded.on_device is None
    assert np.isnan(embedded.vectors).all(axis=1).tolist() == [False, True, False]
    assert failures == [Failure.RUNTIME]
