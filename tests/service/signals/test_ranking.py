import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract import bundle as bundles
from service.contract.decision import Reason
from service.contract.errors import BundleCorruptError
from service.contract.manifest import Manifest
from service.contract.signals import IdentifierKind
from service.opening import open_recommender
from service.recommender import Answer, Recommender
from service.signals import QueryText
from tests.informed import GTINS, MPNS, inform
from tests.tiny import open_tiny

WORDS = ["sony", "wh", "1000xm4", "black", "silver", "bose", "canon", "eos", "r5", "cable", "odd"]
queries = st.lists(st.sampled_from([*WORDS, *GTINS.values(), "wh1000xm4/b"]), max_size=6).map(
    " ".join
)
Make = Callable[..., Recommender]


@pytest.fixture(scope="module")
def make(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes recommenders of bundles that know more than embeddings."""

    def made(**wished: Any) -> Recommender:
        folder = tmp_path_factory.mktemp("informed") / "bundle"
        shutil.copytree(tiny_bundle, folder)
        inform(folder, **wished)
        return open_recommender(folder)[0]

    return made


@pytest.fixture(scope="module")
def scored(make: Make) -> Recommender:
    return make(identifiers=True, lexical=True, score=True)


def best(answer: Answer) -> str:
    return answer.recommendations[0].product_id


def scores(answer: Answer) -> list[float]:
    return [found.score for found in answer.recommendations if found.score is not None]


@settings(max_examples=25)
@given(st.lists(queries, max_size=5), st.integers(1, 12))
def test_order_and_decision_follow_the_score(scored: Recommender, texts: list[str], k: int) -> None:
    for answer in scored.recommend(texts, k=k):
        found = scores(answer)

        assert len(found) == len(answer.recommendations) <= k
        assert found == sorted(found, reverse=True)
        assert all(0 <= score <= 1 for score in found)
        assert all(-1 <= one.similarity <= 1 for one in answer.recommendations)
        if answer.reason in (Reason.ABOVE_THRESHOLD, Reason.BELOW_THRESHOLD):
            assert answer.value is not None
            assert (answer.reason is Reason.ABOVE_THRESHOLD) == (answer.value >= 0.8)


@settings(max_examples=25)
@given(queries, st.integers(1, 11))
def test_asking_for_more_products_changes_neither_the_first_nor_the_decision(
    scored: Recommender, text: str, k: int
) -> None:
    few, many = (scored.recommend([text], k=depth)[0] for depth in (k, k + 1))

    assert few.recommendations == many.recommendations[:k]
    assert (few.reason, few.value) == (many.reason, many.value)


@settings(max_examples=25)
@given(st.lists(queries, max_size=5), st.integers(1, 12))
def test_a_lexical_index_alone_changes_no_answer_of_an_exact_search(
    make_once: Recommender, tiny_bundle: Path, texts: list[str], k: int
) -> None:
    plain, widened = open_tiny(tiny_bundle).recommend(texts, k=k), make_once.recommend(texts, k=k)

    for one, other in zip(plain, widened, strict=True):
        assert one.reason is other.reason
        assert [r.row for r in one.recommendations] == [r.row for r in other.recommendations]
        assert not scores(other)


@pytest.fixture(scope="module")
def make_once(make: Make) -> Recommender:
    return make(lexical=True)


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [(True, Reason.IDENTIFIER_MATCH), (False, Reason.IDENTIFIER_UNPROVEN)],
)
@pytest.mark.parametrize("score", [True, False])
def test_a_product_that_is_named_comes_first_and_is_accepted_where_that_was_calibrated(
    make: Make, *, accepted: bool, reason: Reason, score: bool
) -> None:
    rules = {IdentifierKind.GTIN: accepted}
    recommender = make(identifiers=True, score=score, accepted=rules)

    [answer] = recommender.recommend([f"bose quietcomfort 45 white {GTINS['p-1']}"], k=3)

    assert (best(answer), answer.reason, answer.identifier) == ("p-1", reason, "matched")
    first, *others = answer.recommendations
    assert (first.matched_by, first.score) == (IdentifierKind.GTIN, 1.0)
    assert [other.matched_by for other in others] == [None, None]
    assert scores(answer) == sorted(scores(answer), reverse=True)


def test_an_identifier_that_was_not_calibrated_accepts_only_what_the_threshold_would(
    make: Make,
) -> None:
    recommender = make(identifiers=True).with_threshold(-1.0)
    agree, differ = recommender.recommend(
        [f"sony wh-1000xm4 black {GTINS['p-1']}", f"nikon z6 ii body {GTINS['p-1']}"]
    )

    assert (best(agree), agree.reason) == ("p-1", Reason.ABOVE_THRESHOLD)
    assert (best(differ), differ.reason) == ("p-1", Reason.IDENTIFIER_UNPROVEN)


def test_an_identifier_tells_products_of_one_text_apart(make: Make) -> None:
    recommender = make(identifiers=True, accepted={IdentifierKind.GTIN: True})
    [plain, named] = recommender.recommend(["generic cable", f"generic cable {GTINS['p-7']}"])

    assert plain.reason is Reason.AMBIGUOUS_PRODUCT
    assert (best(named), named.reason) == ("p-7", Reason.IDENTIFIER_MATCH)


def test_an_identifier_of_several_products_is_ambiguous_and_shows_them_first(
    make: Make,
) -> None:
    recommender = make(identifiers=True, accepted={IdentifierKind.GTIN: True})
    [answer] = recommender.recommend([f"bose {GTINS['p-5']}"], k=3)

    assert answer.reason is Reason.AMBIGUOUS_PRODUCT
    assert {r.product_id for r in answer.recommendations[:2]} == {"p-5", "p-6"}
    assert scores(answer)[:2] == [1.0, 1.0]


def test_a_part_number_in_the_text_names_its_product(make: Make) -> None:
    recommender = make(identifiers=True, accepted={IdentifierKind.MPN: True})
    [answer] = recommender.recommend([f"canon kit ({MPNS['p-4']})"])

    assert (best(answer), answer.reason) == ("p-4", Reason.IDENTIFIER_MATCH)
    assert answer.recommendations[0].matched_by is IdentifierKind.MPN


@pytest.mark.parametrize("text", ["xyzzy", "?!?", "0000000000000", "9" * 200])
def test_a_query_with_nothing_that_is_known_still_gets_an_answer(
    scored: Recommender, text: str
) -> None:
    [answer] = scored.recommend([text])

    assert all(np.isfinite(score) for score in scores(answer))
    assert answer.reason is not Reason.IDENTIFIER_MATCH


def test_signals_follow_a_catalogue_that_changes(make: Make) -> None:
    signals = make(identifiers=True, lexical=True).signals
    assert signals is not None
    texts = [*signals.texts, "Leica Q3"]

    changed = signals.with_changes(
        texts, removed=[0], fresh={8: {IdentifierKind.GTIN: ["96385074"]}}
    )

    assert changed.lexical is not None
    assert changed.lexical.scores(["leica"]).argmax() == 8
    assert changed.identifiers is not None
    match = changed.identifiers.look_up(QueryText("", gtin="96385074"))
    assert match is not None
    assert match.row == 8


@pytest.mark.parametrize("name", bundles.LEXICAL)
def test_a_torn_lexical_index_is_refused(own_bundle: Path, name: str) -> None:
    inform(own_bundle, lexical=True)
    path = own_bundle / name
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(BundleCorruptError, match="bytes, its manifest says"):
        open_recommender(own_bundle)


def test_a_score_that_is_no_number_is_refused(own_bundle: Path) -> None:
    manifest = inform(own_bundle, score=True)
    path = own_bundle / bundles.MANIFEST
    assert manifest.signals is not None
    assert manifest.signals.score is not None
    written = str(manifest.signals.score.intercept)
    path.write_text(path.read_text().replace(f'"intercept": {written}', '"intercept": NaN'))

    with pytest.raises(BundleCorruptError, match="intercept"):
        open_recommender(own_bundle)


def test_a_score_of_other_features_is_refused(own_bundle: Path) -> None:
    manifest = inform(own_bundle, score=True)
    assert manifest.signals is not None
    assert manifest.signals.score is not None
    features = (*manifest.signals.score.features[1:], "luck")
    score = manifest.signals.score.model_copy(update={"features": features})
    signals = manifest.signals.model_copy(update={"score": score})
    other = manifest.model_copy(update={"signals": signals}).sealed()
    (own_bundle / bundles.MANIFEST).write_bytes(other.to_bytes())

    with pytest.raises(BundleCorruptError, match="luck"):
        open_recommender(own_bundle)


def test_a_bundle_without_signals_says_nothing_of_them(tiny_bundle: Path) -> None:
    content = (tiny_bundle / bundles.MANIFEST).read_text()

    assert '"signals"' not in content
    assert Manifest.model_validate_json(content).signals is None
    assert '"score"' not in (tiny_bundle / bundles.GOLDEN).read_text()
