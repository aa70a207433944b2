import math
from itertools import product

import numpy as np
import pytest
import torch

from tests.training.objective.embedded import (
    BASES,
    batch_of_similarity,
    objective_settings,
    random_batch,
    unit_vectors,
)
from training.losses.query_label import QueryLabelObjective
from training.losses.tcm import threshold_consistent_margin
from training.objective.embedded_batch import EmbeddedBatch
from training.objective.objective import Objective, Terms

POSITIVES = [[0], [1], [2], [3, 0]]  # the last was drawn the later of its two
GIVEN = ("tcm.positive_margin=0.9", "tcm.negative_margin=0.5")
EVERYTHING = ("tcm.weight=1.0", *GIVEN, "query_label.weight=0.5", "query_batch.weight=0.5")
EVERYTHING_BUT_HEADS = ("tcm.weight=1.0", *GIVEN)
HEADS = ("query_label", "query_batch")
EARLY, LATE = 0.05, 0.9


def batch() -> EmbeddedBatch:
    return random_batch(POSITIVES, products=5)


def made(*overrides: str) -> Objective:
    """Return an objective of fixed weights, of products of which the last has no query."""
    torch.manual_seed(0)
    return Objective(objective_settings(*overrides), 8, np.array([2, 1, 1, 1, 0]))


def with_vectors(objective: Objective) -> Objective:
    """Let a base that gives products vectors look at them, and learn vectors that differ."""
    assert objective.side is not None
    queries = unit_vectors(len(POSITIVES), 8).numpy()
    positives = tuple(tuple(rows) for rows in POSITIVES)
    objective.side.refresh(unit_vectors(5, 8, seed=1).numpy(), queries, positives, seed=0)
    with torch.no_grad():
        for parameter in objective.side.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return objective


def terms_of(*overrides: str, run_ratio: float = LATE) -> Terms:
    return made(*overrides)(batch(), run_ratio=run_ratio)


BASE_TERMS = {
    "dexml": ["dexml"],
    "ngame": ["ngame"],
    "dexa": ["dexa"],
    "prime": ["prime_text", "prime_reverse"],
}


@pytest.mark.parametrize("base", BASES)
def test_a_base_alone_has_its_own_terms_and_no_notes(base: str) -> None:
    terms = terms_of(f"base={base}")

    assert list(terms.losses) == BASE_TERMS[base]
    assert terms.notes == {}


@pytest.mark.parametrize(
    ("tcm", "query_label", "query_batch", "run_ratio"),
    list(product((0.0, 1.0), (0.0, 0.5), (0.0, 0.5), (0.0, 0.299, 0.3, 0.9))),
)
def test_each_term_is_there_when_and_only_when_it_has_a_weight_and_has_begun(
    tcm: float, query_label: float, query_batch: float, run_ratio: float
) -> None:
    terms = terms_of(
        f"tcm.weight={tcm}",
        *GIVEN,
        f"query_label.weight={query_label}",
        f"query_batch.weight={query_batch}",
        run_ratio=run_ratio,
    )

    expected = {"dexml"}
    expected |= {"tcm"} if tcm and run_ratio >= 0.3 else set()
    expected |= {"query_label"} if query_label else set()
    expected |= {"query_batch"} if query_batch else set()
    assert set(terms.losses) == expected
    assert ("positive_margin" in terms.notes) == ("tcm" in expected)
    for head in HEADS:
        assert (f"{head}_accuracy" in terms.notes) == (head in expected)


def test_the_sum_of_all_terms_is_minimised() -> None:
    terms = terms_of(*EVERYTHING)

    assert len(terms.losses) == 4
    assert terms.total().item() == pytest.approx(sum(t.item() for t in terms.losses.values()))


@pytest.mark.parametrize("term", ["tcm", "query_label", "query_batch"])
def test_a_weight_scales_its_term_and_no_other(term: str) -> None:
    once = terms_of(*EVERYTHING, f"{term}.weight=0.5").losses
    thrice = terms_of(*EVERYTHING, f"{term}.weight=1.5").losses

    assert once[term].item() > 0
    for name in once:
        factor = 3 if name == term else 1
        assert thrice[name].item() == pytest.approx(factor * once[name].item(), rel=1e-6)


def test_the_log_learns_accuracy_and_chance_of_each_head_and_the_margins() -> None:
    notes = terms_of(*EVERYTHING).notes

    assert (notes["positive_margin"], notes["negative_margin"]) == (0.9, 0.5)
    for head in HEADS:
        assert 0 <= notes[f"{head}_accuracy"] <= 1
        assert 0 < notes[f"{head}_chance"] <= 0.5


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("run_ratio", "moves"), [(0.0, False), (0.099, False), (0.1, True)])
def test_a_head_moves_the_embeddings_only_after_its_warm_up(
    head: str, run_ratio: float, moves: bool
) -> None:
    objective, embedded = made(*EVERYTHING), batch()
    loss = objective(embedded, run_ratio=run_ratio).losses[head]
    loss.backward()

    for embeddings in (embedded.queries, embedded.texts):
        assert (embeddings.grad is not None and bool(embeddings.grad.any())) == moves
    assert all(p.grad is not None for p in objective.heads[head].parameters())


def test_a_base_moves_the_embeddings_while_the_heads_warm_up() -> None:
    embedded = batch()
    made(*EVERYTHING)(embedded, run_ratio=EARLY).losses["dexml"].backward()

    assert embedded.queries.grad is not None
    assert embedded.queries.grad.any()


@pytest.mark.parametrize("base", BASES)
def test_a_likely_false_negative_moves_nothing(base: str) -> None:
    """Product 3 beats the positive of every query, and is right for none."""
    embedded = batch_of_similarity(
        [[0.5, 0.4, 0.3, 0.6], [0.3, 0.5, 0.4, 0.6], [0.4, 0.3, 0.5, 0.51]], [[0], [1], [2]]
    )
    torch.manual_seed(0)
    objective = Objective(
        objective_settings(f"base={base}", "false_negatives.drop=true", "temperature=0.5",
                           "tcm.weight=1.0", "tcm.positive_margin=0.9", "tcm.negative_margin=0.1",
                           "query_label.weight=0.5", "query_batch.weight=0.5"),
        4,
        np.array([1, 1, 1, 0]),
    )  # fmt: skip
    objective(embedded, run_ratio=LATE).total().backward()

    assert embedded.texts.grad is not None
    assert (embedded.texts.grad[3] == 0).all()
    assert (embedded.texts.grad[:3].abs().sum(dim=1) > 0).all()


def test_dropping_equals_ignoring_the_very_pairs() -> None:
    """Products 1 and 3 lie ahead of query 0's own, product 3 by too little for the margin."""
    similarity = [[0.5, 0.75, 0.25, 0.625], [0.25, 0.5, 0.375, 0.125]]
    drop = ("false_negatives.drop=true", "false_negatives.margin=0.2")

    dropped = made(*EVERYTHING_BUT_HEADS, *drop)(
        batch_of_similarity(similarity, [[0], [1]]), run_ratio=LATE
    )
    ignored = made(*EVERYTHING_BUT_HEADS)(
        batch_of_similarity(similarity, [[0], [1]], ignored=[[1], []]), run_ratio=LATE
    )

    assert [t.item() for t in dropped.losses.values()] == [
        t.item() for t in ignored.losses.values()
    ]


def test_nothing_is_dropped_where_nobody_asked_for_it() -> None:
    embedded = batch_of_similarity([[0.3, 0.6], [0.2, 0.5]], [[0], [1]])
    made()(embedded, run_ratio=LATE).total().backward()

    assert embedded.texts.grad is not None
    assert embedded.texts.grad[1, 0] > 0


@pytest.mark.parametrize("base", BASES)
def test_where_every_product_is_right_no_term_pushes_and_no_head_is_asked(base: str) -> None:
    embedded = batch_of_similarity([[0.4, 0.6, 0.2], [0.5, 0.3, 0.6]], [[0, 1, 2], [1, 2, 0]])
    torch.manual_seed(0)
    objective = Objective(objective_settings(f"base={base}", *EVERYTHING), 3, np.array([2, 2, 2]))
    terms = objective(embedded, run_ratio=LATE)
    terms.total().backward()

    assert {name: term.item() for name, term in terms.losses.items()} == pytest.approx(
        dict.fromkeys(terms.losses, 0.0)
    )
    assert all(math.isnan(terms.notes[f"{head}_accuracy"]) for head in HEADS)
    assert embedded.texts.grad is not None
    assert not embedded.texts.grad.any()


def test_an_ignored_pair_is_no_candidate_of_a_head() -> None:
    """With its only rival ignored, query 0 asks nothing; query 1 has two candidates."""
    embedded = random_batch([[0], [1]], products=2, ignored=[[1], []])

    notes = made("query_batch.weight=1.0")(embedded, run_ratio=LATE).notes

    assert notes["query_batch_chance"] == 0.5
    assert notes["query_batch_accuracy"] in (0.0, 1.0)


@pytest.mark.parametrize("base", ["dexa", "prime"])
def test_margin_and_heads_look_at_the_vectors_that_are_served(base: str) -> None:
    objective, embedded = with_vectors(made(f"base={base}", *EVERYTHING)), batch()

    terms = objective(embedded, run_ratio=LATE)

    served = objective.products(embedded)
    head = objective.heads["query_label"]
    assert isinstance(head, QueryLabelObjective)
    label = head.judge(
        embedded.queries,
        served,
        embedded.is_positive,
        sampled=embedded.sampled,
        is_negative=embedded.is_negative,
    )
    tcm = threshold_consistent_margin(
        embedded.queries @ served.T,
        embedded.is_positive,
        positive_margin=0.9,
        negative_margin=0.5,
    )
    assert (served - embedded.texts).abs().max() > 0.05
    assert terms.losses["tcm"].item() == pytest.approx(tcm.item())
    assert terms.losses["query_label"].item() == pytest.approx(0.5 * label.loss.item())


@pytest.mark.parametrize("base", ["dexml", "ngame"])
def test_a_base_without_vectors_serves_the_texts(base: str) -> None:
    objective, embedded = made(f"base={base}"), batch()

    assert objective.side is None
    assert objective.products(embedded) is embedded.texts


def test_prime_has_its_four_terms_once_there_are_prototypes() -> None:
    objective = with_vectors(made("base=prime"))

    terms = objective(batch(), run_ratio=LATE)

    assert list(terms.losses) == [
        "prime_text",
        "prime_reverse",
        "prime_prototype",
        "prime_regulariser",
    ]


def test_an_auto_margin_is_taken_from_the_steps_before_it_acts() -> None:
    objective = made("tcm.weight=1.0", "tcm.positive_percentile=50", "tcm.negative_percentile=50")
    embedded = batch_of_similarity([[0.8, 0.3, 0.4], [0.2, 0.7, 0.3]], [[0], [1]])
    for run_ratio in (0.1, 0.25, 0.28):
        assert "tcm" not in objective(embedded, run_ratio=run_ratio).losses

    terms = objective(embedded, run_ratio=0.5)

    assert terms.notes["positive_margin"] == pytest.approx(0.7, abs=0.0011)
    assert terms.notes["negative_margin"] == pytest.approx(0.3, abs=0.0011)
    assert terms.losses["tcm"].item() > 0


def test_a_dropped_pair_has_no_part_in_an_auto_margin() -> None:
    objective = made("tcm.weight=1.0", "tcm.negative_percentile=100", "false_negatives.drop=true")
    embedded = batch_of_similarity([[0.5, 0.75, 0.25], [0.125, 0.5, 0.25]], [[0], [1]])
    objective(embedded, run_ratio=0.25)

    assert objective.margin.margins()[1] == pytest.approx(0.25, abs=0.0011)
