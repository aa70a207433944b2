"""One step of a run: embed a batch, weigh it, and move the weights; on one process or several."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from service.contract.errors import SurematchError
from service.contract.tokens import TokenisedText
from training.batches import Batch, assemble
from training.dealing import companions
from training.embedding import chunks_of
from training.objective.embedded_batch import EmbeddedBatch
from training.objective.objective import Terms
from training.objective.teaching import teaching_term
from training.run import Run
from training.schedule import learning_rate_factor


class LossError(SurematchError):
    """A loss term or its gradient is not a number: the run has diverged."""


@dataclass(frozen=True)
class StepFigures:
    """What the log says of a step.

    Attributes:
        queries: how many were asked.
        losses: weighted loss terms by name.
        notes: further figures by name.
        learning_rate: of the encoder.
        seconds: the whole step took.
        loading_seconds: of these went by before the encoder had its first tokens.
    """

    queries: int
    losses: dict[str, float]
    notes: dict[str, float]
    learning_rate: float
    seconds: float
    loading_seconds: float


@dataclass(frozen=True)
class _Chunk:
    """Texts of like length that pass the encoder together: their rows, padded ids and mask."""

    number: int
    rows: Tensor
    ids: Tensor
    mask: Tensor


def take_step(run: Run) -> StepFigures:
    """Take the next step of a run.

    The loss is a function of all embeddings of the batch, so its gradient is taken in two parts:
    to the embeddings, and from there through the encoder, chunk by chunk. A step of more tokens
    than `tokens_with_gradients` keeps no activations: each chunk passes the encoder a second time
    (gradient caching). Several processes share the chunks; each computes the whole loss, and the
    encoder's gradients are added up.

    Raises:
        LossError: if a loss term or the gradient is not a number.
        MarginError: if the margins of TCM leave no gap.

    Source:
        Gradient caching: Gao et al., arXiv:2101.06983.
    """
    started = time.perf_counter()
    batch = _next_batch(run)
    texts = run.data.queries.take(batch.queries) + run.data.products.take(batch.products)
    chunks = _own_chunks(run, texts)
    loading_seconds = time.perf_counter() - started
    parts = _embed(run, chunks, with_gradients=_fits(run, texts))
    leaves = _gather(run, chunks, parts, (len(texts), run.encoder.dim)).requires_grad_()
    embedded = _embedded(run, batch, leaves)
    taught = _taught(run, batch, chunks, embedded)
    terms = terms_of(run, embedded, taught)
    losses = _finite_losses(terms, run.step)
    run.optimiser.zero_grad(set_to_none=True)
    run.scaler.scale(terms.total()).backward()
    _pass_back(run, chunks, parts, leaves)
    rate = _update(run)
    run.step += 1
    return StepFigures(
        queries=len(batch.queries),
        losses=losses,
        notes=terms.notes,
        learning_rate=rate,
        seconds=time.perf_counter() - started,
        loading_seconds=loading_seconds,
    )


def terms_of(run: Run, embedded: EmbeddedBatch, taught: EmbeddedBatch | None) -> Terms:
    """Return all terms of a step: the objective's, and what the embeddings lack of the teacher's.

    Args:
        run: before the step.
        embedded: the step's embeddings.
        taught: the teacher's of the same texts, None without a teacher.

    Raises:
        MarginError: if the margins of TCM leave no gap.
    """
    settings = run.config.distillation
    is_alone = taught is not None and run.progress_ratio < settings.alone_ratio
    # heads and product vectors learn meanwhile, and margins are watched
    judged = embedded.detached() if is_alone else embedded
    terms: Terms = run.objective(judged, run_ratio=run.progress_ratio)
    if taught is not None:
        terms.losses["distillation"] = teaching_term(embedded, taught, settings)
    return terms


def _next_batch(run: Run) -> Batch:
    rows = run.batch(run.step % run.steps_per_epoch)
    return assemble(run.data, rows, companions(run), seed=run.config.run.seed, step=run.step)


def _own_chunks(run: Run, texts: Sequence[TokenisedText]) -> list[_Chunk]:
    """Return this process's share of the chunks of a step."""
    chunks: list[_Chunk] = []
    for number, rows in enumerate(chunks_of(texts, run.machine.device)):
        if run.ranks.owns(number):
            padded = run.tokeniser.pad([texts[row] for row in rows])
            ids, mask = torch.from_numpy(padded.ids), torch.from_numpy(padded.mask)
            device = run.machine.device
            place = torch.tensor(rows, device=device)
            chunks.append(_Chunk(number, place, ids.to(device), mask.to(device)))
    return chunks


def _fits(run: Run, texts: Sequence[TokenisedText]) -> bool:
    limit = run.config.run.tokens_with_gradients
    return limit == 0 or sum(len(text.ids) for text in texts) <= limit * run.ranks.world


def _embed(
    run: Run, chunks: Sequence[_Chunk], *, with_gradients: bool
) -> list[Float[Tensor, "text dim"]]:
    """Return each chunk's embeddings; a second call drops the very same entries."""
    machine, seed = run.machine, run.config.run.seed
    parts: list[Tensor] = []
    with (
        torch.set_grad_enabled(with_gradients),
        torch.autocast(machine.device.type, dtype=machine.dtype, enabled=machine.is_mixed),
    ):
        for chunk in chunks:
            # of its own for each step and chunk, so that neither a resumed run nor another
            # number of processes changes what is dropped
            torch.manual_seed((seed * 1_000_003 + run.step) * 100_003 + chunk.number)
            parts.append(run.encoder.model(chunk.ids, chunk.mask).float())
    return parts


def _gather(
    run: Run, chunks: Sequence[_Chunk], parts: Sequence[Tensor], shape: tuple[int, int]
) -> Float[Tensor, "text dim"]:
    """Return the embeddings of all texts of the step, as values without a history."""
    gathered = torch.zeros(shape, device=run.machine.device)
    for chunk, part in zip(chunks, parts, strict=True):
        gathered[chunk.rows] = part.detach()
    run.ranks.add_up([gathered])
    return gathered


def _embedded(run: Run, batch: Batch, leaves: Float[Tensor, "text dim"]) -> EmbeddedBatch:
    def there(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(run.machine.device)

    return EmbeddedBatch(
        queries=leaves[: len(batch.queries)],
        texts=leaves[len(batch.queries) :],
        product_rows=there(batch.products),
        is_positive=there(batch.is_positive),
        is_ignored=there(batch.is_ignored),
        sampled=there(batch.sampled),
    )


@torch.no_grad()
def _taught(
    run: Run, batch: Batch, chunks: Sequence[_Chunk], embedded: EmbeddedBatch
) -> EmbeddedBatch | None:
    """Return the teacher's embeddings of the same texts, looked up or computed."""
    teacher = run.teacher
    if teacher is None:
        return None
    if teacher.known:
        vectors = teacher.known.of(batch).to(run.machine.device)
    else:
        parts = [teacher.model(chunk.ids, chunk.mask) for chunk in chunks]
        texts = len(batch.queries) + len(batch.products)
        vectors = _gather(run, chunks, parts, (texts, teacher.model.dim))
    queries = len(batch.queries)
    return replace(embedded, queries=vectors[:queries], texts=vectors[queries:])


def _finite_losses(terms: Terms, step: int) -> dict[str, float]:
    losses = {name: float(term.detach()) for name, term in terms.losses.items()}
    for name, value in losses.items():
        _must_be_finite(f"the loss term {name}", value, step)
    return losses


def _pass_back(
    run: Run, chunks: Sequence[_Chunk], parts: Sequence[Tensor], leaves: Float[Tensor, "text dim"]
) -> None:
    """Carry the gradient of the embeddings through the encoder, and add up all processes' parts."""
    received = leaves.grad
    if received is None:  # one lone product has nothing to be told apart from
        received = torch.zeros_like(leaves)
    for chunk, part in zip(chunks, parts, strict=True):
        kept = part if part.requires_grad else _embed(run, [chunk], with_gradients=True)[0]
        kept.backward(received[chunk.rows])
    run.ranks.add_up(_encoder_gradients(run))
    beside = [p.grad for p in run.objective.parameters() if p.grad is not None]
    run.ranks.add_up(beside)
    for gradient in beside:  # every process computed all of it
        gradient.div_(run.ranks.world)


def _encoder_gradients(run: Run) -> list[Tensor]:
    """Return the gradient of each weight of the encoder; zero where this process had no text."""
    parameters = [p for p in run.encoder.model.parameters() if p.requires_grad]
    if run.ranks.world > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
    return [p.grad for p in parameters if p.grad is not None]


def _update(run: Run) -> float:
    """Move the weights; return the encoder's learning rate."""
    factor = learning_rate_factor(run.step, run.steps, run.config.optimiser)
    for group in run.optimiser.param_groups:
        group["lr"] = group["full_rate"] * factor
    run.scaler.unscale_(run.optimiser)
    most = run.config.optimiser.max_gradient_norm
    norm = torch.nn.utils.clip_grad_norm_(run.encoder.model.parameters(), most)
    # apart, so that a head's gradient does not shrink the encoder's
    weights = list(run.objective.parameters())
    beside = torch.nn.utils.clip_grad_norm_(weights, most) if weights else 0.0
    # a scaler meets such gradients now and then, skips the step and scales less
    if not run.scaler.is_enabled():
        _must_be_finite("the norm of the encoder's gradient", float(norm), run.step)
        _must_be_finite("the norm of the objective's gradient", float(beside), run.step)
    run.scaler.step(run.optimiser)
    run.scaler.update()
    return run.config.optimiser.learning_rate * factor


def _must_be_finite(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        message = (
            f"{what} is {value} at step {step + 1}; the last saved state stays; lower "
            "optimiser.learning_rate and train into another folder"
        )
        raise LossError(message)
