"""Runs with fewer layers, with a teacher and with prefixes: as exact as any other."""

from pathlib import Path

import pytest
import torch

from service.contract.errors import ConfigError
from tests.tiny_data import same, tiny_config, weights
from tests.training.tiny_runs import (
    advance,
    advanced,
    all_weights,
    everything,
    lines_without_clock,
    stop_after,
)
from training import embedding
from training.batches import Batch, assemble
from training.checkpoint import STATE, load_checkpoint
from training.data.folders import DataFolder
from training.dealing import companions, prepare_step
from training.embedding import embed
from training.interruption import StoppedError
from training.loop import fit
from training.objective.embedded_batch import EmbeddedBatch
from training.objective.teaching import teaching_term
from training.run import Run, set_up
from training.run_log import read_log
from training.step import take_step, terms_of

pytestmark = pytest.mark.usefixtures("without_curves")

ATOL = 1e-6
SMALLER = ("encoder.layers=1", "matryoshka.dims=[8, 16]")
TAUGHT = {
    "looked up": ("distillation.form=embedding", "distillation.alone_ratio=0.4"),
    "computed": ("distillation.form=similarity", "distillation.cache_mb=0"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: DataFolder, encoder: Path) -> Path:
    """A checkpoint of both layers, to learn from."""
    out = tmp_path_factory.mktemp("teacher") / "checkpoint"
    fit(tiny_config(encoder, "run.validate_every_epochs=0"), data, out)
    return out


def taught(encoder: Path, way: str) -> tuple[str, ...]:
    return (*SMALLER, f"distillation.teacher={encoder}", *TAUGHT[way])


@pytest.mark.parametrize(("base", "way"), [("dexml", "looked up"), ("prime", "computed")])
def test_a_resumed_run_gives_the_very_weights_of_an_uninterrupted_one(
    tmp_path: Path, data: DataFolder, encoder: Path, base: str, way: str
) -> None:
    shorter = ("run.epochs=2", "run.validate_every_epochs=0")
    config = everything(encoder, base, *taught(encoder, way), *shorter)
    fit(config, data, tmp_path / "whole")
    for steps in (3, 4):
        with pytest.raises(StoppedError):
            fit(config, data, tmp_path / "parts", should_stop=stop_after(steps))
    fit(config, data, tmp_path / "parts")

    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert lines_without_clock(tmp_path / "parts") == lines_without_clock(tmp_path / "whole")
    terms = [x["terms"] for x in read_log(tmp_path / "whole" / "log.jsonl") if "terms" in x]
    assert all({"distillation", "prefix_8", "prefix_16"} < set(said) for said in terms)
    saved = load_checkpoint(tmp_path / "whole").encoder.model.transformer
    assert saved.config.num_hidden_layers == 1  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def test_a_state_from_before_there_were_teachers_goes_on(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    config = tiny_config(encoder, "run.epochs=1", "run.validate_every_epochs=0")
    fit(config, data, tmp_path / "whole")
    with pytest.raises(StoppedError):
        fit(config, data, tmp_path / "out", should_stop=stop_after(3))
    state = torch.load(tmp_path / "out" / STATE, weights_only=True)
    del state["teacher"]
    torch.save(state, tmp_path / "out" / STATE)

    fit(config, data, tmp_path / "out")

    assert same(weights(tmp_path / "out"), weights(tmp_path / "whole"))


@pytest.mark.parametrize("way", TAUGHT)
def test_a_step_that_keeps_no_activations_gives_the_same_weights(
    data: DataFolder, encoder: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(embedding._PADDED_TOKENS, "cpu", 96)  # pyright: ignore[reportPrivateUsage]
    keeping, caching = (
        advanced(
            everything(encoder, "dexml", *taught(encoder, way), f"run.tokens_with_gradients={n}"),
            data,
            6,
        )[0]
        for n in (0, 1)
    )

    ours, theirs = all_weights(keeping), all_weights(caching)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) <= ATOL


@pytest.mark.parametrize("limit", [0, 1])
def test_the_gradient_is_that_of_all_terms_in_one_graph(
    data: DataFolder, encoder: Path, limit: int
) -> None:
    """Without dropout, against all texts of the step in one padded batch."""
    settings = (f"run.tokens_with_gradients={limit}", "optimiser.max_gradient_norm=1e9")
    ways = (*taught(encoder, "looked up"), "distillation.alone_ratio=0")
    run, _ = advanced(tiny_config(encoder, *ways, *settings), data, 5)
    run.encoder.model.eval()
    prepare_step(run)
    rows = run.batch(run.step % run.steps_per_epoch)
    batch = assemble(run.data, rows, companions(run), seed=0, step=run.step)
    padded = run.tokeniser.pad(
        run.data.queries.take(batch.queries) + run.data.products.take(batch.products)
    )
    vectors = run.encoder.model(torch.from_numpy(padded.ids), torch.from_numpy(padded.mask))
    assert run.teacher is not None
    assert run.teacher.known is not None
    own, teachers = (in_batch(some, batch) for some in (vectors, run.teacher.known.of(batch)))
    parameters = list(run.encoder.model.parameters())
    expected = torch.autograd.grad(terms_of(run, own, teachers).total(), parameters)

    losses = take_step(run).losses

    assert {"distillation", "prefix_8", "prefix_16", "dexml"} == set(losses)
    assert max(float(gradient.abs().max()) for gradient in expected) > 0.01
    for parameter, gradient_of_all in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient_of_all, atol=1e-5)


def test_alone_the_teacher_moves_the_encoder_and_then_the_objective_does_too(
    data: DataFolder, encoder: Path
) -> None:
    run, _ = advanced(tiny_config(encoder, *taught(encoder, "looked up")), data, 1)
    batch, teachers = embedded(run)
    alone = gradient(terms_of(run, batch, teachers).total(), batch)
    term = gradient(teaching_term(batch, teachers, run.config.distillation), batch)

    run.step = run.steps - 1
    beside = gradient(terms_of(run, batch, teachers).total(), batch)

    assert torch.allclose(alone, term, atol=1e-7)
    assert not torch.allclose(beside, term, atol=1e-3)


@pytest.mark.parametrize("form", ["embedding", "similarity"])
def test_a_student_comes_close_to_its_teacher_on_texts_it_was_not_trained_on(
    data: DataFolder, encoder: Path, finished: Path, form: str
) -> None:
    alone = ("distillation.alone_ratio=1.0", f"distillation.form={form}", "encoder.layers=1")
    lessons = (f"distillation.teacher={finished}", "run.epochs=8", "distillation.weight=10.0")
    run = set_up(tiny_config(encoder, *alone, *lessons), data)
    before = distances(run, data)

    advance(run, run.steps)

    after = distances(run, data)
    assert after[form] < 0.5 * before[form]


def test_prefixes_are_trained_to_find_the_products_alone(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    fit(tiny_config(encoder, "matryoshka.dims=[4]"), data, tmp_path / "out")
    terms = [x["terms"] for x in read_log(tmp_path / "out" / "log.jsonl") if "terms" in x]

    first, last = (sum(said["prefix_4"] for said in some) for some in (terms[:4], terms[-4:]))
    assert last < 0.7 * first


@pytest.mark.parametrize("longest", [32, 64])
def test_a_prefix_as_long_as_the_embeddings_is_refused(
    data: DataFolder, encoder: Path, longest: int
) -> None:
    with pytest.raises(ConfigError, match=f"dims has {longest}, but an embedding has 32 entries"):
        set_up(tiny_config(encoder, f"matryoshka.dims=[8, {longest}]"), data)


def test_more_layers_than_the_base_has_stop_the_run_before_it_begins(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.layers is 3, the base has 2"):
        fit(tiny_config(encoder, "encoder.layers=3"), data, tmp_path / "out")
    assert not (tmp_path / "out" / "config.toml").exists()


def embedded(run: Run) -> tuple[EmbeddedBatch, EmbeddedBatch]:
    """Return the next batch as random embeddings that take a gradient, and as the teacher's."""
    batch = assemble(run.data, run.batch(0), companions(run), seed=0, step=0)
    assert run.teacher is not None
    assert run.teacher.known is not None
    vectors = run.teacher.known.of(batch)
    torch.manual_seed(0)
    moved = torch.nn.functional.normalize(vectors + 0.1 * torch.randn_like(vectors), dim=1)
    return in_batch(moved.requires_grad_(), batch), in_batch(vectors, batch)


def in_batch(vectors: torch.Tensor, batch: Batch) -> EmbeddedBatch:
    """Return embeddings of a step's queries, then of its products, with what is known of them."""
    return EmbeddedBatch(
        queries=vectors[: len(batch.queries)],
        texts=vectors[len(batch.queries) :],
        product_rows=torch.from_numpy(batch.products),
        is_positive=torch.from_numpy(batch.is_positive),
        is_ignored=torch.from_numpy(batch.is_ignored),
        sampled=torch.from_numpy(batch.sampled),
    )


def gradient(loss: torch.Tensor, batch: EmbeddedBatch) -> torch.Tensor:
    queries, texts = torch.autograd.grad(loss, (batch.queries, batch.texts))
    return torch.cat((queries, texts))


def distances(run: Run, data: DataFolder) -> dict[str, float]:
    """Return how far student and teacher are apart on the held-out queries, in both senses."""
    assert run.teacher is not None
    texts = run.tokeniser([query.text for query in data.split("test")])
    products = run.data.products
    student, teacher = (
        [embed(model, some, run.tokeniser, what="measuring") for some in (texts, products)]
        for model in (run.encoder.model, run.teacher.model)
    )
    of_embeddings = ((student[0] - teacher[0]) ** 2).sum(axis=1).mean()
    own, wanted = (side[0] @ side[1].T for side in (student, teacher))
    centred = (own - own.mean(axis=1, keepdims=True)) - (
        wanted - wanted.mean(axis=1, keepdims=True)
    )
    return {"embedding": float(of_embeddings), "similarity": float((centred**2).mean())}
