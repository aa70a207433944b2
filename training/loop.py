"""One training run, top to bottom: labelled texts in, a finished checkpoint out."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from service.contract.errors import SurematchError
from training import checkpoint
from training.batches import Batch, assemble
from training.config import Config
from training.console import Progress, complain, progress, say
from training.data.folders import DataFolder
from training.embedding import encode
from training.evaluation import CatalogueTexts, retrieval_figures
from training.interruption import StoppedError, stop_requests
from training.losses.objective import objective_terms
from training.retrieval import judge_encoder
from training.run import Run, begin_epoch, set_up
from training.run_log import RunLog, draw_curves


class LossError(SurematchError):
    """A loss term or its gradient is not a number: the run has diverged."""


def fit(
    config: Config, data: DataFolder, out: Path, *, should_stop: Callable[[], bool] | None = None
) -> None:
    """Train an encoder on ``data`` and leave a finished checkpoint in ``out``.

    A run that was interrupted goes on where its last state was saved and gives, on the same
    machine, the same weights as an uninterrupted one. A finished run is left as it is.

    Args:
        config: the resolved settings.
        data: products, and queries with splits.
        out: the checkpoint's folder: new, empty or of this very run.
        should_stop: asked after every step; signals are watched where it is None.

    Raises:
        DataError: if there is nothing to train on.
        CheckpointError: if ``out`` belongs to another run.
        LossError: if the loss or its gradient stops being a number.
        StoppedError: if a stop was asked for; the state is saved first.
    """
    digest = data.digest()
    if checkpoint.is_finished(out, config, data_digest=digest):
        say(f"{out} already holds this run, finished; nothing to do")
        return
    state = checkpoint.start(out, config, data_digest=digest)
    run = set_up(config, data)
    if state is not None:
        run.restore(state)
        say(f"resuming at step {run.step} of {run.steps}")
        if state["machine"] != str(run.machine):
            complain(f"note: the run began on {state['machine']}; its weights will differ")
    _announce(run)
    if should_stop is None:
        with stop_requests() as signalled:
            _train(run, data, out, digest, signalled)
    else:
        _train(run, data, out, digest, should_stop)
    checkpoint.finish(
        out,
        config,
        run.encoder,
        data,
        steps=run.steps,
        data_digest=digest,
    )
    draw_curves(out / checkpoint.LOG, out / checkpoint.CURVES)
    say(f"checkpoint written to {out}; curves in {out / checkpoint.CURVES}")


def _announce(run: Run) -> None:
    say(
        f"training on {len(run.data.queries)} queries and {len(run.data.products)} distinct "
        f"product texts: {run.config.run.epochs} epochs of {run.steps_per_epoch} steps "
        f"({run.machine})"
    )


def _train(
    run: Run, data: DataFolder, out: Path, digest: str, should_stop: Callable[[], bool]
) -> None:
    log = RunLog(out / checkpoint.LOG, from_step=run.step)
    with progress(len(run.data.queries) * run.config.run.epochs, "training", unit="queries") as bar:
        bar.resume_at(_queries_done(run))
        while run.step < run.steps:
            if run.step % run.steps_per_epoch == 0:
                begin_epoch(run)
            _one_step(run, log, bar)
            at_epoch_end = run.step % run.steps_per_epoch == 0
            if at_epoch_end:
                _validate(run, data, log)
            stopping = should_stop()
            if at_epoch_end or stopping or run.step % run.config.run.checkpoint_every_steps == 0:
                checkpoint.save_state(out, run.state(), run.config, data_digest=digest)
            if stopping and run.step < run.steps:
                message = f"stopped at step {run.step} of {run.steps}; the same command goes on"
                raise StoppedError(message)


def _queries_done(run: Run) -> int:
    epochs, steps = divmod(run.step, run.steps_per_epoch)
    return epochs * len(run.data.queries) + sum(map(len, run.batches()[:steps]))


def _one_step(run: Run, log: RunLog, bar: Progress) -> None:
    started = time.perf_counter()
    epoch, position = divmod(run.step, run.steps_per_epoch)
    seed = run.config.run.seed
    batch = assemble(run.data, run.batches()[position], seed=seed, step=run.step)
    torch.manual_seed(_dropout_seed(seed, run.step))
    terms = _loss_terms(run, batch)
    values = {name: float(term.detach()) for name, term in terms.items()}
    for name, value in values.items():
        _must_be_finite(f"the loss term {name}", value, run.step)
    rate = learning_rate(run.step, run.steps, run.config)
    _update(run, torch.stack(list(terms.values())).sum(), rate)
    run.step += 1
    seconds = time.perf_counter() - started
    log.write(
        run.step,
        epoch=epoch + 1,
        terms=values,
        learning_rate=rate,
        queries=len(batch.queries),
        seconds=round(seconds, 4),
    )
    bar.advance(len(batch.queries), {name: f"{value:.4f}" for name, value in values.items()})


def _dropout_seed(seed: int, step: int) -> int:
    """Return a seed of its own for each step, so that a resumed run drops the same entries."""
    return seed * 1_000_003 + step


def _loss_terms(run: Run, batch: Batch) -> dict[str, Tensor]:
    queries = [run.data.queries[row] for row in batch.queries]
    products = [run.data.products[row] for row in batch.products]
    with torch.autocast(
        run.machine.device.type, dtype=run.machine.dtype, enabled=run.machine.is_mixed
    ):
        query_embeddings = encode(run.encoder.model, queries, run.tokeniser)
        product_embeddings = encode(run.encoder.model, products, run.tokeniser)
    similarity = query_embeddings.float() @ product_embeddings.float().T
    return objective_terms(
        similarity,
        torch.from_numpy(batch.is_positive).to(run.machine.device),
        run.config.objective,
        run_ratio=run.progress_ratio,
    )


def _update(run: Run, loss: Tensor, rate: float) -> None:
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    run.optimiser.zero_grad(set_to_none=True)
    run.scaler.scale(loss).backward()
    run.scaler.unscale_(run.optimiser)
    norm = torch.nn.utils.clip_grad_norm_(
        run.encoder.model.parameters(), run.config.optimiser.max_gradient_norm
    )
    # a scaler meets such gradients now and then, skips the step and scales less
    if not run.scaler.is_enabled():
        _must_be_finite("the norm of the gradient", float(norm), run.step)
    run.scaler.step(run.optimiser)
    run.scaler.update()


def _must_be_finite(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        message = (
            f"{what} is {value} at step {step + 1}; lower optimiser.learning_rate and train into "
            "another folder"
        )
        raise LossError(message)


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Return the rate of the step after ``step`` steps: linear warm-up, then linear decay."""
    warmup = config.optimiser.warmup_ratio * steps
    rising = (step + 1) / warmup if warmup > 0 else 1.0
    falling = (steps - step) / max(steps - warmup, 1.0)
    return config.optimiser.learning_rate * min(1.0, rising, falling)


def _validate(run: Run, data: DataFolder, log: RunLog) -> None:
    every = run.config.run.validate_every_epochs
    epoch = run.step // run.steps_per_epoch
    queries = data.split("validation")
    if every == 0 or (epoch % every and run.step < run.steps) or not queries:
        return
    texts = data.products.texts(run.config.data.product_text)
    judged = judge_encoder(
        run.encoder,
        queries,
        CatalogueTexts(data.products.product_ids(), texts),
        trained_products=data.trained_products(),
        what="validating",
    )
    figures = retrieval_figures(judged)
    log.write(run.step, epoch=epoch, validation=figures)
    oracle = figures["oracle_coverage"]["0.95"]
    precision = figures["precision_at_1"]
    shown = "-" if precision is None else f"{precision:.3f}"
    say(f"epoch {epoch}: validation precision at 1 {shown}, oracle coverage at 95 % {oracle:.3f}")
