"""One training run, top to bottom: labelled texts in, a finished checkpoint out."""

import math
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

from training import checkpoint
from training.config import Config
from training.console import Progress, complain, progress, say
from training.data.folders import DataFolder
from training.dealing import prepare_step
from training.evaluation import CatalogueTexts, retrieval_figures
from training.folder_lock import alone_in
from training.head_report import head_lines
from training.interruption import StoppedError, stop_requests
from training.precision import choose_machine
from training.ranks import Ranks, join_ranks, leave_ranks
from training.retrieval import judge_encoder
from training.rules import rules_of
from training.run import Run, set_up
from training.run_log import RunLog, draw_curves, read_log
from training.step import take_step
from training.trained_vectors import served_vectors, trained_vectors


def fit(
    config: Config, data: DataFolder, out: Path, *, should_stop: Callable[[], bool] | None = None
) -> None:
    """Train an encoder on ``data`` and leave a finished checkpoint in ``out``.

    A run that was interrupted goes on where its last state was saved and gives, on the same
    machine, the same weights as an uninterrupted one. A finished run is left as it is. Started by
    `torchrun`, several processes share each step, and the first of them writes.

    Args:
        config: the resolved settings.
        data: products, and queries with splits.
        out: the checkpoint's folder: new, empty or of this very run.
        should_stop: asked after every step; signals are watched where it is None.

    Raises:
        DataError: if there is nothing to train on.
        CheckpointError: if ``out`` belongs to another run, or another process trains into it.
        LossError: if the loss or its gradient stops being a number.
        MarginError: if the margins of TCM leave no gap.
        StoppedError: if a stop was asked for; the state is saved first.
    """
    ranks = join_ranks(choose_machine(config.run).device)
    try:
        with _one_voice(ranks), alone_in(out) if ranks.is_main else nullcontext():
            _fit(config, data, out, ranks, should_stop)
    finally:
        leave_ranks()


def _fit(
    config: Config,
    data: DataFolder,
    out: Path,
    ranks: Ranks,
    should_stop: Callable[[], bool] | None,
) -> None:
    digest = data.digest()
    if checkpoint.is_finished(out, config, data_digest=digest):
        say(f"{out} already holds this run, finished; nothing to do")
        return
    run = set_up(config, data, ranks)
    _begin(run, out, digest)
    if should_stop is None:
        with stop_requests() as signalled:
            _train(run, data, out, digest, signalled)
    else:
        _train(run, data, out, digest, should_stop)
    if ranks.is_main:
        _finish(run, data, out, digest)
    ranks.wait()


def _begin(run: Run, out: Path, digest: str) -> None:
    """Open the folder, the main process first, and go on from its state if there is one."""
    state = checkpoint.start(out, run.config, data_digest=digest) if run.ranks.is_main else None
    run.ranks.wait()
    if not run.ranks.is_main:
        state = checkpoint.start(out, run.config, data_digest=digest)
    run.ranks.wait()
    if state is not None:
        run.restore(state)
        say(f"resuming at step {run.step} of {run.steps}")
        if state["machine"] != str(run.machine):
            complain(f"note: the run began on {state['machine']}; its weights will differ")
    processes = f", {run.ranks.world} processes" if run.ranks.world > 1 else ""
    say(
        f"training on {len(run.data.queries)} queries and {len(run.data.products)} distinct "
        f"product texts: {run.config.run.epochs} epochs of {run.steps_per_epoch} steps "
        f"({run.machine}{processes})"
    )


def _finish(run: Run, data: DataFolder, out: Path, digest: str) -> None:
    outcome = checkpoint.Outcome(run.encoder, trained_vectors(run, data), run.steps)
    checkpoint.finish(out, run.config, outcome, data, data_digest=digest)
    log = out / checkpoint.LOG
    for line in head_lines(read_log(log)):
        say(line)
    draw_curves(log, out / checkpoint.CURVES)
    say(f"checkpoint written to {out}; curves in {out / checkpoint.CURVES}")


@contextmanager
def _one_voice(ranks: Ranks) -> Generator[None]:
    """Let the main process alone speak while the block runs."""
    if ranks.is_main:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _train(
    run: Run, data: DataFolder, out: Path, digest: str, should_stop: Callable[[], bool]
) -> None:
    is_main = run.ranks.is_main
    log = RunLog(out / checkpoint.LOG, from_step=run.step) if is_main else None
    with progress(len(run.data.queries) * run.config.run.epochs, "training", unit="queries") as bar:
        bar.resume_at(_queries_done(run))
        while run.step < run.steps:
            _one_step(run, log, bar)
            at_epoch_end = run.step % run.steps_per_epoch == 0
            if at_epoch_end and log is not None:
                _validate(run, data, log)
            stopping = run.ranks.any(should_stop())
            is_due = run.step % run.config.run.checkpoint_every_steps == 0
            if is_main and (at_epoch_end or stopping or is_due):
                checkpoint.save_state(out, run.state(), run.config, data_digest=digest)
            if stopping and run.step < run.steps:
                message = f"stopped at step {run.step} of {run.steps}; the same command goes on"
                raise StoppedError(message)


def _queries_done(run: Run) -> int:
    return run.step // run.steps_per_epoch * len(run.data.queries) + run.queries_done_in_epoch


def _one_step(run: Run, log: RunLog | None, bar: Progress) -> None:
    epoch = run.step // run.steps_per_epoch
    prepare_step(run)
    was_left_out = run.objective.left_out()
    figures = take_step(run)
    for what, reason in run.objective.left_out().items():
        if what not in was_left_out:
            complain(f"note: TCM is left out of {what}; {reason}")
    if log is not None:
        log.write(
            run.step,
            epoch=epoch + 1,
            terms=figures.losses,
            notes={
                name: value if math.isfinite(value) else None
                for name, value in figures.notes.items()
            },
            learning_rate=figures.learning_rate,
            queries=figures.queries,
            seconds=round(figures.seconds, 4),
            loading_seconds=round(figures.loading_seconds, 4),
        )
    bar.advance(figures.queries, {name: f"{value:.4f}" for name, value in figures.losses.items()})


def _validate(run: Run, data: DataFolder, log: RunLog) -> None:
    every = run.config.run.validate_every_epochs
    epoch = run.step // run.steps_per_epoch
    queries = data.split("validation")
    if every == 0 or (epoch % every and run.step < run.steps) or not queries:
        return
    judged = judge_encoder(
        run.encoder,
        queries,
        CatalogueTexts.of(data.products, run.config.data.product_text),
        trained_products=data.trained_products(),
        what="validating",
        products=served_vectors(run, what="validating: products")[run.data.row_of_product],
        rules=rules_of(data),
    )
    figures = retrieval_figures(judged)
    log.write(run.step, epoch=epoch, validation=figures)
    oracle = figures["oracle_coverage"]["0.95"]
    precision = figures["precision_at_1"]
    shown = "-" if precision is None else f"{precision:.3f}"
    say(f"epoch {epoch}: validation precision at 1 {shown}, oracle coverage at 95 % {oracle:.3f}")
