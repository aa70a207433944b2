"""The moving parts of a training run, and what of them is saved to go on later."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from torch import nn

from service.contract.errors import CheckpointError, ConfigError
from service.contract.tokens import TextTokeniser
from training.batches import TrainingSet, batch_bounds, batches_per_epoch, training_set
from training.config import Config
from training.data.folders import DataFolder
from training.encoder import LoadedEncoder
from training.metrics import inverse_propensity
from training.objective.objective import Objective
from training.precision import Machine, choose_machine
from training.ranks import Ranks
from training.teacher import Teacher, open_teacher
from training.truncation import encoder_to_train


@dataclass
class Run:
    """A run between two steps.

    Attributes:
        order: rows of the training queries in the order of the current epoch.
        step: steps taken so far.
        clusters: neighbourhood of each training query, once there are any.
        mined: hard negatives of each training query, once they are looked for.
        positive_weights: weight of each product where a query has several to draw from.
        teacher: the encoder whose embeddings this one follows, if there is one.
    """

    config: Config
    encoder: LoadedEncoder
    tokeniser: TextTokeniser
    data: TrainingSet
    machine: Machine
    ranks: Ranks
    objective: Objective
    optimiser: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    order: Int[np.ndarray, " query"]
    positive_weights: Float64[np.ndarray, " product"] | None
    step: int = 0
    clusters: Int64[np.ndarray, " query"] | None = None
    mined: Int64[np.ndarray, "query depth"] | None = None
    teacher: Teacher | None = None

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

    @property
    def queries_done_in_epoch(self) -> int:
        """Return how many queries of the current epoch have been asked."""
        begin, _ = self._bounds(self.step % self.steps_per_epoch)
        return begin

    def batch(self, number: int) -> Int[np.ndarray, " query"]:
        """Return the query rows of the current epoch's batch of this number, from 0."""
        begin, end = self._bounds(number)
        return self.order[begin:end]

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs; everything else follows from seed and step."""
        return {
            "step": self.step,
            "machine": str(self.machine),
            "order": torch.from_numpy(self.order),
            "clusters": _tensor(self.clusters),
            "mined": _tensor(self.mined),
            "model": self.encoder.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "teacher": self.teacher.digest if self.teacher else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            CheckpointError: if the teacher is another one by now.
        """
        if self.teacher and state["teacher"] != self.teacher.digest:
            message = (
                f"distillation.teacher {self.config.distillation.teacher!r} has other weights than "
                "when this run began; bring them back, or train into another folder"
            )
            raise CheckpointError(message)
        self.step = state["step"]
        self.order = state["order"].numpy()
        self.clusters = _array(state["clusters"])
        self.mined = _array(state["mined"])
        self.encoder.model.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # empty where the run began in a format that needs no scaling
            self.scaler.load_state_dict(state["scaler"])

    def _bounds(self, number: int) -> tuple[int, int]:
        return batch_bounds(len(self.order), self.steps_per_epoch, number)


def set_up(config: Config, data: DataFolder, ranks: Ranks | None = None) -> Run:
    """Return a run that has taken no step.

    Raises:
        ConfigError: if the encoder or the machine asked for is not there.
        DataError: if there is nothing to train on.
    """
    machine = choose_machine(config.run)
    torch.manual_seed(config.run.seed)
    encoder = encoder_to_train(config.encoder)
    _must_be_shorter(config, encoder)
    encoder.model.to(machine.device)
    encoder.model.train()
    tokeniser = encoder.tokeniser
    trained_on = training_set(
        data.split("train"),
        data.products,
        tokeniser,
        product_text=config.data.product_text,
        filtered=data.filtered,
    )
    queries_of = trained_on.queries_of_products()
    objective = Objective(config.objective, encoder.dim, queries_of, config.matryoshka)
    objective.to(machine.device)
    ranks = ranks or Ranks()
    return Run(
        config=config,
        encoder=encoder,
        tokeniser=tokeniser,
        data=trained_on,
        machine=machine,
        ranks=ranks,
        objective=objective,
        optimiser=optimiser_of(encoder, objective, config),
        scaler=torch.amp.GradScaler(machine.device.type, enabled=machine.scales_gradients),
        order=np.arange(len(trained_on.queries)),
        positive_weights=_positive_weights(config, queries_of, len(trained_on.queries)),
        teacher=open_teacher(config, encoder, trained_on, ranks),
    )


def _must_be_shorter(config: Config, encoder: LoadedEncoder) -> None:
    longest = max(config.matryoshka.dims, default=0)
    if longest >= encoder.dim:
        message = (
            f"matryoshka.dims has {longest}, but an embedding has {encoder.dim} entries, and the "
            "whole is always trained; name shorter ones"
        )
        raise ConfigError(message)


def _positive_weights(
    config: Config, queries_of: Int64[np.ndarray, " product"], queries: int
) -> Float64[np.ndarray, " product"] | None:
    """Return the inverse propensity of each product, if that is how positives are drawn.

    Source:
        PRIME, arXiv:2410.20401, samples positives so; the propensity is Jain et al.'s (2016).
    """
    if config.batches.positives == "uniform":
        return None
    return inverse_propensity(queries_of, max(queries, 2))


def optimiser_of(encoder: LoadedEncoder, objective: Objective, config: Config) -> torch.optim.AdamW:
    """Return AdamW that decays the encoder's matrices only, with a rate of its own for each part.

    A group's ``full_rate`` is its rate at the top of the schedule.
    """
    settings = config.optimiser
    encoders = [p for p in encoder.model.parameters() if p.requires_grad]
    products = list(objective.side.parameters()) if isinstance(objective.side, nn.Module) else []
    groups: list[dict[str, Any]] = [
        _group([p for p in encoders if p.ndim > 1], settings.learning_rate, settings.weight_decay),
        _group([p for p in encoders if p.ndim <= 1], settings.learning_rate),
        _group(list(objective.head_parameters()), config.objective.heads.learning_rate),
        _group(products, config.objective.products.learning_rate),
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]])


def _group(
    parameters: list[nn.Parameter], full_rate: float, weight_decay: float = 0.0
) -> dict[str, Any]:
    return {
        "params": parameters,
        "lr": full_rate,
        "full_rate": full_rate,
        "weight_decay": weight_decay,
    }


def _tensor(rows: Int64[np.ndarray, "*row"] | None) -> torch.Tensor | None:
    return None if rows is None else torch.from_numpy(rows)


def _array(rows: torch.Tensor | None) -> Int64[np.ndarray, "*row"] | None:
    return None if rows is None else rows.numpy()
