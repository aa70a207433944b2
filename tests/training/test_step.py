"""One step: the loss, its gradient through the encoder, and the weights that it moves."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.tiny_data import tiny_config
from tests.training.tiny_runs import (
    BASES,
    HEADS,
    advance,
    advanced,
    all_weights,
    everything,
    lone_product,
)
from training import embedding
from training.batches import assemble
from training.data.folders import DataFolder
from training.dealing import companions, prepare_step
from training.objective.embedded_batch import EmbeddedBatch
from training.objective.objective import Objective, Terms
from training.run import Run, set_up
from training.schedule import learning_rate_factor
from training.step import LossError, take_step

ATOL = 1e-6


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step of tiny data take several passes through the encoder, as a real one does."""
    monkeypatch.setitem(embedding._PADDED_TOKENS, "cpu", 96)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("base", BASES)
def test_a_step_that_keeps_no_activations_gives_the_same_loss_and_the_same_weights(
    data: DataFolder, encoder: Path, base: str
) -> None:
    """With dropout, all products' vectors, mined negatives, margins and heads."""
    recipe = ("run.epochs=4", "run.batch_size=24")
    keeping, kept = advanced(
        everything(encoder, base, "run.tokens_with_gradients=0", *recipe), data, 9
    )
    caching, cached = advanced(
        everything(encoder, base, "run.tokens_with_gradients=1", *recipe), data, 9
    )

    assert _drops_out(keeping)
    assert {"tcm", "query_label", "query_batch"} < set(kept[-1].losses)
    for one, other in zip(kept, cached, strict=True):
        assert other.losses == pytest.approx(one.losses, abs=ATOL)
    assert _largest_difference(all_weights(keeping), all_weights(caching)) <= ATOL


@pytest.mark.usefixtures("small_chunks")
def test_a_step_that_keeps_no_activations_gives_the_same_in_bfloat16(
    data: DataFolder, encoder: Path
) -> None:
    keeping, caching = (
        advanced(
            tiny_config(encoder, "run.precision=bfloat16", f"run.tokens_with_gradients={tokens}"),
            data,
            3,
        )[0]
        for tokens in (0, 1)
    )

    assert _largest_difference(all_weights(keeping), all_weights(caching)) <= ATOL


@pytest.mark.usefixtures("small_chunks")
def test_up_to_its_tokens_a_step_keeps_activations_and_passes_each_text_once(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(tiny_config(encoder), data)
    batch = assemble(run.data, run.batch(0), companions(run), seed=0, step=0)
    texts = run.data.queries.take(batch.queries) + run.data.products.take(batch.products)
    tokens = sum(len(text.ids) for text in texts)
    passed: list[int] = []
    real = run.encoder.model.forward

    def counted(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        passed.append(len(ids))
        return real(ids, mask)

    monkeypatch.setattr(run.encoder.model, "forward", counted)
    passes: dict[int, int] = {}
    for limit in (0, tokens, tokens - 1):
        passed.clear()
        settings = run.config.run.model_copy(update={"tokens_with_gradients": limit})
        run.config = run.config.model_copy(update={"run": settings})
        run.step = 0
        take_step(run)
        passes[limit] = sum(passed)

    assert passes == {0: len(texts), tokens: len(texts), tokens - 1: 2 * len(texts)}


@pytest.mark.usefixtures("small_chunks")
def test_each_chunk_of_each_step_drops_entries_of_its_own_and_the_same_in_both_passes(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(tiny_config(encoder, "run.tokens_with_gradients=1"), data)
    seeds: list[tuple[int, int]] = []
    real = run.encoder.model.forward

    def noted(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seeds.append((run.step, torch.initial_seed()))
        return real(ids, mask)

    monkeypatch.setattr(run.encoder.model, "forward", noted)
    advance(run, 2)

    by_step = [[seed for step, seed in seeds if step == number] for number in range(2)]
    for some in by_step:
        first, second = some[: len(some) // 2], some[len(some) // 2 :]
        assert first == second
        assert len(set(first)) == len(first) > 2
    assert not set(by_step[0]) & set(by_step[1])


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("tokens", [0, 1])
@pytest.mark.parametrize("base", BASES)
def test_the_gradient_is_that_of_the_whole_loss_in_one_graph(
    data: DataFolder, encoder: Path, base: str, tokens: int
) -> None:
    """Without dropout, against all texts of the step in one padded batch."""
    limits = (f"run.tokens_with_gradients={tokens}", "optimiser.max_gradient_norm=1e9")
    run, _ = advanced(everything(encoder, base, *limits), data, 9)
    run.encoder.model.eval()
    prepare_step(run)
    expected = _gradient_in_one_graph(run)

    take_step(run)

    assert max(gradient.abs().max() for gradient in expected.values()) > 0.01
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in _parameters(run)
    }
    assert _largest_difference(found, expected) <= 1e-5


def test_the_gradient_of_the_heads_does_not_shrink_the_encoders(
    data: DataFolder, encoder: Path
) -> None:
    """Heads that warm up move no embedding, so the encoder's gradient is that without them."""
    alone, _ = advanced(tiny_config(encoder), data, 1)
    beside, _ = advanced(tiny_config(encoder, "objective.query_label.weight=1e4"), data, 1)

    for one, other in zip(
        alone.encoder.model.parameters(), beside.encoder.model.parameters(), strict=True
    ):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_encoder_heads_and_vectors_have_rates_of_their_own_on_one_schedule(
    data: DataFolder, encoder: Path
) -> None:
    rates = (
        "optimiser.learning_rate=0.001",
        "objective.heads.learning_rate=0.01",
        "objective.products.learning_rate=0.1",
    )
    run, figures = advanced(tiny_config(encoder, "objective.base=dexa", *HEADS, *rates), data, 3)

    share = learning_rate_factor(2, 15, run.config.optimiser)
    assert share < 1
    assert [group["lr"] for group in run.optimiser.param_groups] == pytest.approx(
        [share * rate for rate in (0.001, 0.001, 0.01, 0.1)]
    )
    assert figures[-1].learning_rate == pytest.approx(share * 0.001)


def test_a_step_says_what_it_did(data: DataFolder, encoder: Path) -> None:
    run, [figures] = advanced(tiny_config(encoder, *HEADS), data, 1)

    assert run.step == 1
    assert figures.queries == len(run.batch(0)) == 15
    assert set(figures.losses) == {"dexml", "query_label", "query_batch"}
    assert 0 <= figures.loading_seconds <= figures.seconds
    assert figures.notes["query_label_chance"] == pytest.approx(0.5)


@pytest.mark.parametrize("base", BASES)
def test_a_run_of_one_product_takes_its_steps_and_learns_nothing(
    data: DataFolder, encoder: Path, base: str
) -> None:
    """There is no negative at all, so nothing is told apart, with every objective on."""
    given_margins = ("objective.tcm.positive_margin=0.9", "objective.tcm.negative_margin=0.5")
    config = everything(encoder, base, "optimiser.weight_decay=0", *given_margins)
    run = set_up(config, lone_product(data))
    before = all_weights(run)
    figures = advance(run, run.steps)

    after = all_weights(run)
    losses = [loss for step in figures for loss in step.losses.values()]
    assert losses == pytest.approx([0.0] * len(losses), abs=0.02)  # prime's regulariser acts
    encoders = [name for name in before if name.startswith("encoder.")]
    assert all(torch.equal(before[name], after[name]) for name in encoders)
    assert all(weight.isfinite().all() for weight in after.values())


@pytest.mark.parametrize("term", ["dexml", "query_batch"])
def test_a_term_that_is_no_number_stops_the_step_and_is_named(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    run, _ = advanced(tiny_config(encoder, *HEADS), data, 1)
    before = all_weights(run)
    _spoil(monkeypatch, term, lambda terms, _: terms.losses[term] * math.nan)

    with pytest.raises(LossError, match=rf"the loss term {term} is nan at step 2; .*learning_rate"):
        advance(run, 1)
    assert run.step == 1
    assert all(torch.equal(weight, before[name]) for name, weight in all_weights(run).items())


@pytest.mark.parametrize("part", ["encoder", "objective"])
def test_a_gradient_that_is_no_number_stops_the_step_before_it_spoils_the_weights(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run = set_up(tiny_config(encoder, *HEADS), data)
    before = all_weights(run)
    head = next(run.objective.heads.parameters())

    def root_of_nothing(_: Terms, batch: EmbeddedBatch) -> torch.Tensor:
        return ((batch.queries if part == "encoder" else head) * 0).sum().sqrt()

    _spoil(monkeypatch, "root", root_of_nothing)

    with pytest.raises(LossError, match=f"the norm of the {part}'s gradient is nan at step 1;"):
        advance(run, 1)
    assert all(torch.equal(weight, before[name]) for name, weight in all_weights(run).items())


def _drops_out(run: Run) -> bool:
    layers = [m for m in run.encoder.model.modules() if isinstance(m, nn.Dropout)]
    return any(layer.p > 0 and layer.training for layer in layers)


def _largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def _parameters(run: Run) -> list[tuple[str, nn.Parameter]]:
    return [*run.encoder.model.named_parameters(), *run.objective.named_parameters()]


def _gradient_in_one_graph(run: Run) -> dict[str, torch.Tensor]:
    """Return the gradient of the next step by plain backpropagation."""
    rows = run.batch(run.step % run.steps_per_epoch)
    batch = assemble(run.data, rows, companions(run), seed=run.config.run.seed, step=run.step)
    texts = run.data.queries.take(batch.queries) + run.data.products.take(batch.products)
    padded = run.tokeniser.pad(texts)
    embeddings = run.encoder.model(torch.from_numpy(padded.ids), torch.from_numpy(padded.mask))
    embedded = EmbeddedBatch(
        queries=embeddings[: len(rows)],
        texts=embeddings[len(rows) :],
        product_rows=torch.from_numpy(batch.products),
        is_positive=torch.from_numpy(batch.is_positive),
        is_ignored=torch.from_numpy(batch.is_ignored),
        sampled=torch.from_numpy(batch.sampled),
    )
    total = run.objective(embedded, run_ratio=run.progress_ratio).total()
    names, parameters = zip(*_parameters(run), strict=True)
    gradients = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    return dict(zip(names, gradients, strict=True))


def _spoil(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spoilt: Callable[[Terms, EmbeddedBatch], torch.Tensor],
) -> None:
    """Put a further term, or another value of one, among those of every objective."""
    real = Objective.forward

    def forward(self: Objective, batch: EmbeddedBatch, *, run_ratio: float) -> Terms:
        terms = real(self, batch, run_ratio=run_ratio)
        terms.losses[name] = spoilt(terms, batch)
        return terms

    monkeypatch.setattr(Objective, "forward", forward)
