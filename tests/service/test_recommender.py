from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalogue import Catalogue
from service.contract import bundle as bundles
from service.contract.decision import Decision, Reason
from service.contract.errors import BundleCorruptError
from service.opening import open_recommender
from service.recommender import MAX_K, Answer, Asked, Recommender, StageClock
from service.retrievers import FlatRetriever
from tests.poison import HARMS, Harm, PoisonSession
from tests.tiny import DIM, PRODUCTS, open_tiny, write_bundle

WORDS = ["sony", "wh", "1000xm4", "black", "bose", "canon", "eos", "r6", "generic", "unheard"]
words = st.sampled_from([*WORDS, "", "\u200b", "SONY", "wh-1000xm4", "\ud800", "\x00", "\ufb01"])
queries = st.lists(words, max_size=15).map(" ".join) | st.text(st.characters(), max_size=10)
bodies = st.lists(queries, max_size=12)


@pytest.fixture(scope="module")
def recommender(tiny_bundle: Path) -> Recommender:
    return open_tiny(tiny_bundle)


def products_of(answer: Answer) -> list[str]:
    return [found.product_id for found in answer.recommendations]


def similarities_of(answer: Answer) -> list[float]:
    return [found.similarity for found in answer.recommendations]


@pytest.mark.parametrize(
    ("text", "reason", "best"),
    [
        ("Sony WH-1000XM4 Black", Reason.ABOVE_THRESHOLD, "p-1"),
        ("sony wh1000xm4 silver", Reason.BELOW_THRESHOLD, "p-2"),
        ("  CANON\teos\x00R5 body ", Reason.ABOVE_THRESHOLD, "p-5"),
        ("canon", Reason.BELOW_THRESHOLD, "p-4"),
        ("generic cable", Reason.AMBIGUOUS_PRODUCT, "p-7"),
        ("generic", Reason.AMBIGUOUS_PRODUCT, "p-7"),
        ("", Reason.EMPTY_TEXT, None),
        (" \u200b\n", Reason.EMPTY_TEXT, None),
        ("\ud800", Reason.EMPTY_TEXT, None),
    ],
)
def test_a_query_gets_this_reason_and_this_best_product(
    recommender: Recommender, text: str, reason: Reason, best: str | None
) -> None:
    answer = recommender.recommend([text])[0]

    assert answer.reason is reason
    assert products_of(answer)[:1] == ([] if best is None else [best])
    assert (answer.decision is Decision.AUTO_ACCEPTED) == (reason is Reason.ABOVE_THRESHOLD)


def test_a_recommendation_names_the_product_of_its_row(recommender: Recommender) -> None:
    answer = recommender.recommend(["canon"], k=MAX_K)[0]

    assert sorted(found.row for found in answer.recommendations) == list(range(len(PRODUCTS)))
    for found in answer.recommendations:
        assert (found.product_id, found.title) == PRODUCTS[found.row][:2]


@given(bodies, st.integers(1, 100))
def test_an_answer_does_not_depend_on_the_queries_beside_it(
    recommender: Recommender, body: list[str], k: int
) -> None:
    together = recommender.recommend(body, k=k)

    alone = [recommender.recommend([text], k=k)[0] for text in body]
    assert [answer.reason for answer in together] == [answer.reason for answer in alone]
    assert [answer.truncated for answer in together] == [answer.truncated for answer in alone]
    assert [*map(products_of, together)] == [*map(products_of, alone)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(similarities_of(one), similarities_of(other), atol=1e-5)


@given(bodies, st.randoms(use_true_random=False))
def test_answers_follow_their_queries_into_any_order(
    recommender: Recommender, body: list[str], chance: Any
) -> None:
    order = list(range(len(body)))
    chance.shuffle(order)

    before = recommender.recommend(body)
    after = recommender.recommend([body[row] for row in order])

    assert [*map(products_of, after)] == [products_of(before[row]) for row in order]


@given(bodies, st.integers(1, 100))
def test_similarities_never_increase_and_stay_cosines(
    recommender: Recommender, body: list[str], k: int
) -> None:
    for answer in recommender.recommend(body, k=k):
        found = similarities_of(answer)

        assert found == sorted(found, reverse=True)
        assert all(-1 <= similarity <= 1 for similarity in found)
        assert answer.similarity == (found[0] if found else None)


@given(queries, st.integers(1, 99))
def test_asking_for_more_products_never_changes_the_first_ones(
    recommender: Recommender, text: str, k: int
) -> None:
    few, many = recommender.recommend([text], k=k)[0], recommender.recommend([text], k=k + 1)[0]

    assert products_of(few) == products_of(many)[:k]
    assert few.reason is many.reason


@given(bodies, st.none() | st.floats(-1, 1))
def test_only_a_readable_unambiguous_query_at_or_above_the_threshold_is_accepted(
    recommender: Recommender, body: list[str], threshold: float | None
) -> None:
    answers = recommender.with_threshold(threshold).recommend(body)

    for answer in answers:
        deserves = (
            threshold is not None
            and answer.similarity is not None
            and answer.similarity >= threshold
            and products_of(answer)[0] not in ("p-7", "p-8")
        )
        assert (answer.decision is Decision.AUTO_ACCEPTED) == deserves


@pytest.mark.parametrize(("k", "expected"), [(1, 1), (7, 7), (8, 8), (9, 8), (MAX_K, 8)])
def test_an_answer_has_k_products_or_the_whole_catalogue(
    recommender: Recommender, k: int, expected: int
) -> None:
    answer = recommender.recommend(["sony"], k=k)[0]

    assert len(set(products_of(answer))) == len(products_of(answer)) == expected


@pytest.mark.parametrize("k", [-1, 0, 101])
def test_a_k_out_of_its_range_is_a_mistake_even_without_queries(
    recommender: Recommender, k: int
) -> None:
    with pytest.raises(ValueError, match=f"k is {k}, it must be 1 to 100"):
        recommender.recommend([], k=k)


def test_no_query_gets_no_answer(recommender: Recommender) -> None:
    assert recommender.recommend([]) == []


def test_blank_queries_alone_get_an_answer_each(recommender: Recommender) -> None:
    answers = recommender.recommend(["", " ", "\u200b", "\ufffd"])

    blank = Answer(reason=Reason.EMPTY_TEXT, truncated=False, recommendations=())
    assert answers == [blank] * 4
    assert blank.similarity is None


def test_blank_queries_move_no_other_answer(recommender: Recommender) -> None:
    answers = recommender.recommend(["", "canon eos r6 body", " ", "", "nikon z6 ii body", ""])

    assert [products_of(answer)[:1] for answer in answers] == [[], ["p-4"], [], [], ["p-6"], []]


def test_a_query_beyond_the_tokens_of_the_encoder_is_answered_and_marked(
    recommender: Recommender,
) -> None:
    fits, too_long = "sony " * 10, "sony " * 11

    answers = recommender.recommend([fits, too_long])

    assert [answer.truncated for answer in answers] == [False, True]
    assert products_of(answers[0]) == products_of(answers[1])


@pytest.mark.parametrize("threshold", [-1.0, 0.8, 1.0])
def test_a_best_product_with_a_twin_is_never_accepted(
    recommender: Recommender, threshold: float
) -> None:
    answer = recommender.with_threshold(threshold).recommend(["Generic Cable"])[0]

    assert products_of(answer)[:2] == ["p-7", "p-8"]
    assert similarities_of(answer)[0] == similarities_of(answer)[1]
    assert answer.reason is Reason.AMBIGUOUS_PRODUCT


def test_products_that_differ_only_beyond_the_tokens_of_the_encoder_are_twins(
    tmp_path: Path,
) -> None:
    title = "sony " * 10
    write_bundle(
        tmp_path / "long", products=[("p-1", f"{title}black", ""), ("p-2", f"{title}white", "")]
    )

    answer = open_tiny(tmp_path / "long").recommend([f"{title}white"])[0]

    assert (answer.reason, answer.truncated) == (Reason.AMBIGUOUS_PRODUCT, True)


def test_a_twin_further_down_the_list_does_not_matter(recommender: Recommender) -> None:
    answer = recommender.recommend(["sony wh-1000xm4 black"], k=8)[0]

    assert {"p-7", "p-8"} < set(products_of(answer))
    assert answer.reason is Reason.ABOVE_THRESHOLD


def test_twins_keep_the_order_of_the_catalogue_at_every_rank_and_k(
    tmp_path: Path,
) -> None:
    names = ["cable", "sony", "cable", "bose", "cable", "sony", "cable"]
    write_bundle(
        tmp_path / "twins", products=[(f"p-{row}", name, "") for row, name in enumerate(names)]
    )
    recommender = open_tiny(tmp_path / "twins")

    for text in ("cable", "sony", "bose", "sony bose", "unheard of"):
        for k in range(1, len(names) + 1):
            found = recommender.recommend([text], k=k)[0].recommendations

            ranks = [(-product.similarity, product.row) for product in found]
            assert ranks == sorted(ranks)
            for name in {names[product.row] for product in found}:
                rows = [product.row for product in found if names[product.row] == name]
                assert (
                    rows == [row for row, other in enumerate(names) if other == name][: len(rows)]
                )


def test_without_a_threshold_nothing_is_accepted_and_the_reason_says_so(tmp_path: Path) -> None:
    write_bundle(tmp_path / "open", threshold=None)

    recommender, manifest = open_recommender(tmp_path / "open")

    answers = recommender.recommend(["sony wh-1000xm4 black", "generic cable", ""])
    assert manifest.threshold is recommender.threshold is None
    assert [answer.reason for answer in answers] == [
        Reason.NO_THRESHOLD,
        Reason.AMBIGUOUS_PRODUCT,
        Reason.EMPTY_TEXT,
    ]


def test_another_threshold_leaves_the_recommender_it_came_from_alone(
    recommender: Recommender,
) -> None:
    strict = recommender.with_threshold(None)

    assert recommender.recommend(["sony wh-1000xm4 black"])[0].reason is Reason.ABOVE_THRESHOLD
    assert strict.recommend(["sony wh-1000xm4 black"])[0].reason is Reason.NO_THRESHOLD


def test_a_similarity_equal_to_the_threshold_is_accepted(recommender: Recommender) -> None:
    text = "sony wh-1000xm4 unheard of"
    similarity = recommender.recommend([text])[0].similarity
    assert similarity is not None

    at, above = [
        recommender.with_threshold(threshold).recommend([text])[0].reason
        for threshold in (similarity, float(np.nextafter(np.float32(similarity), np.float32(2))))
    ]

    assert (at, above) == (Reason.ABOVE_THRESHOLD, Reason.BELOW_THRESHOLD)


@pytest.mark.parametrize("harm", HARMS)
def test_a_query_the_encoder_fails_on_fails_alone(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, harm: Harm
) -> None:
    healthy, harmed = open_tiny(tiny_bundle), open_tiny(tiny_bundle)
    poison = healthy.encoder.tokenise(["bose"])[0].ids[1]
    session = PoisonSession(tiny_bundle / bundles.ENCODER, token=poison, harm=harm)
    monkeypatch.setattr(harmed.encoder, "_session", session)
    body = ["canon eos r6 body", "bose", "", "sony bose black", "generic cable", "nikon"] * 20

    answers, expected = harmed.recommend(body), healthy.recommend(body)

    for text, answer, well in zip(body, answers, expected, strict=True):
        if "bose" in text:
            assert answer == Answer(Reason.ENCODER_FAILED, truncated=False, recommendations=())
            assert answer.decision is Decision.MANUAL_REVIEW
        else:
            assert (answer.reason, products_of(answer)) == (well.reason, products_of(well))
    assert harmed.recommend(["bose"])[0].reason is Reason.ENCODER_FAILED


def test_threads_that_share_a_recommender_get_the_answers_of_one(
    recommender: Recommender,
) -> None:
    crowd = [
        [f"{WORDS[(row * size) % len(WORDS)]} {WORDS[row % 7]}" for row in range(size)]
        for size in range(1, 60, 7)
    ]
    expected = [recommender.recommend(body) for body in crowd]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(recommender.recommend, crowd * 8))

    assert found == expected * 8


def asked(recommender: Recommender, text: str, *, k: int = 5, allowed: set[int] | None) -> Asked:
    [tokens] = recommender.encoder.tokenise([text])
    [embedding] = recommender.encoder.encode([tokens])
    mask = None if allowed is None else np.isin(np.arange(len(PRODUCTS)), list(allowed))
    return Asked(tokens, embedding, k, -1.0, mask)


def test_a_query_that_nothing_is_found_for_goes_to_review(recommender: Recommender) -> None:
    one = asked(recommender, "sony", allowed=set())

    answers = recommender.answer([one, replace(one, threshold=None)])

    assert [answer.recommendations for answer in answers] == [(), ()]
    assert [answer.reason for answer in answers] == [Reason.NO_CANDIDATE, Reason.NO_CANDIDATE]


def test_a_query_gets_as_many_of_the_allowed_products_as_there_are(
    recommender: Recommender,
) -> None:
    answer = recommender.answer([asked(recommender, "sony", allowed={4, 0, 2})])[0]

    assert sorted(found.row for found in answer.recommendations) == [0, 2, 4]


@given(st.lists(st.sets(st.integers(0, len(PRODUCTS) - 1)) | st.none(), max_size=6))
def test_each_query_of_a_body_is_answered_from_the_products_allowed_to_it(
    recommender: Recommender, filters: list[set[int] | None]
) -> None:
    body = [asked(recommender, "canon eos", allowed=allowed) for allowed in filters]

    answers = recommender.answer(body)

    everything = recommender.recommend(["canon eos"], k=MAX_K)[0].recommendations
    for answer, allowed in zip(answers, filters, strict=True):
        best = [one.row for one in everything if allowed is None or one.row in allowed]
        assert [found.row for found in answer.recommendations] == best[:5]


def test_every_stage_is_timed_and_times_add_up_over_bodies(recommender: Recommender) -> None:
    clock = StageClock()

    recommender.recommend(["sony"], clock=clock)
    once = dict(clock.seconds)
    recommender.recommend(["sony"], clock=clock)

    assert set(once) == {"tokenise", "encode", "search", "decide"}
    assert all(clock.seconds[stage] > once[stage] > 0 for stage in once)


def test_a_stage_that_fails_is_timed_as_well() -> None:
    clock = StageClock()

    with pytest.raises(ZeroDivisionError), clock.stage("queue"):
        _ = 1 / 0

    assert clock.seconds["queue"] > 0


def flat_index(rows: int, dim: int) -> FlatRetriever:
    index = faiss.IndexFlatIP(dim)
    index.add(np.eye(rows, dim, dtype=np.float32))
    return FlatRetriever(index)


@pytest.mark.parametrize(("rows", "dim"), [(7, DIM), (9, DIM), (8, DIM + 1), (0, DIM)])
def test_an_index_that_does_not_fit_is_refused(
    recommender: Recommender, rows: int, dim: int
) -> None:
    with pytest.raises(BundleCorruptError, match=f"{rows} products of {dim} numbers"):
        Recommender(
            recommender.encoder, flat_index(rows, dim), recommender.catalogue, threshold=0.8
        )


def test_a_catalogue_without_products_is_refused(recommender: Recommender) -> None:
    assert isinstance(recommender.catalogue, Catalogue)
    nothing = Catalogue(recommender.catalogue.table.slice(0, 0))

    with pytest.raises(BundleCorruptError, match="0 products"):
        Recommender(recommender.encoder, flat_index(0, DIM), nothing, threshold=0.8)


@given(bodies)
def test_a_replay_is_what_a_request_would_have_got(
    recommender: Recommender, body: list[str]
) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in body]

    replayed = recommender.replay(texts)

    answers = recommender.recommend(texts, k=1)
    assert [example.text for example in replayed] == texts
    assert [example.reason for example in replayed] == [answer.reason for answer in answers]
    for example, answer in zip(replayed, answers, strict=True):
        blank = answer.reason is Reason.EMPTY_TEXT
        assert (example.product_id is None, len(example.embedding)) == (blank, 0 if blank else DIM)
        assert [example.product_id] * (not blank) == products_of(answer)
        assert example.similarity == answer.similarity
