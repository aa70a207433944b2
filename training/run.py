"""The moving parts of a training run, and what of them is saved to go on later."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from service.contract.tokens import TextTokeniser
from training.batches import TrainingSet, batches_per_epoch, training_set
from training.clustering import shuffled, side_by_side
from training.config import Config
from training.data.folders import DataFolder
from training.embedding import embed
from training.encoder import LoadedEncoder, load_encoder
from training.precision import Machine, choose_machine


@dataclass
class Run:
    """A run between two steps.

    Attributes:
        order: rows of the training queries in the order of the current epoch.
        step: steps taken so far.
    """

    config: Config
    encoder: LoadedEncoder
    tokeniser: TextTokeniser
    data: TrainingSet
    machine: Machine
    optimiser: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    order: Int[np.ndarray, " query"]
    step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Return how many steps one pass over the training queries takes."""
        return batches_per_epoch(len(self.data.queries), self.config.run.batch_size)

    @property
    def steps(self) -> int:
        """Return how many steps the whole run takes."""
        return self.steps_per_epoch * self.config.run.epochs

    @property
    def progress_ratio(self) -> float:
        """Return the share of the steps already taken, in [0, 1]."""
        return self.step / self.steps

    def batches(self) -> list[Int[np.ndarray, " query"]]:
        """Return the current epoch's query rows in batches of nearly equal size."""
        return np.array_split(self.order, self.steps_per_epoch)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs; everything else follows from seed and step."""
        return {
            "step": self.step,
            "machine": str(self.machine),
            "order": torch.from_numpy(self.order),
            "model": self.encoder.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.step = state["step"]
        self.order = state["order"].numpy()
        self.encoder.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # empty where the run began in a format that needs no scaling
            self.scaler.load_state_dict(state["scaler"])


def set_up(config: Config, data: DataFolder) -> Run:
    """Return a run that has taken no step.

    Raises:
        ConfigError: if the encoder or the machine asked for is not there.
        DataError: if there is nothing to train on.
    """
    machine = choose_machine(config.run)
    torch.manual_seed(config.run.seed)
    encoder = load_encoder(config.encoder.base, max_tokens=config.encoder.max_tokens)
    encoder.model.to(machine.device)
    encoder.model.train()
    tokeniser = encoder.tokeniser
    trained_on = training_set(
        data.split("train"), data.products, tokeniser, product_text=config.data.product_text
    )
    return Run(
        config=config,
        encoder=encoder,
        tokeniser=tokeniser,
        data=trained_on,
        machine=machine,
        optimiser=_optimiser(encoder, config),
        scaler=torch.amp.GradScaler(machine.device.type, enabled=machine.scales_gradients),
        order=np.arange(len(trained_on.queries)),
    )


def begin_epoch(run: Run) -> None:
    """Deal the queries of the next epoch: shuffled, or neighbours side by side."""
    epoch, seed = run.step // run.steps_per_epoch, run.config.run.seed
    settings = run.config.batches
    queries = len(run.data.queries)
    if settings.neighbours <= 1 or run.progress_ratio < settings.start_ratio:
        run.order = shuffled(queries, seed=seed, epoch=epoch)
        return
    embeddings = embed(
        run.encoder.model, run.data.products, run.tokeniser, what="finding neighbours"
    )
    first = np.array([positives[0] for positives in run.data.positives])
    run.order = side_by_side(
        embeddings[first], neighbours=settings.neighbours, seed=seed, epoch=epoch
    )


def _optimiser(encoder: LoadedEncoder, config: Config) -> torch.optim.AdamW:
    """Return AdamW that decays matrices only, not biases and norms."""
    parameters = [p for p in encoder.model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    settings = config.optimiser
    return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
