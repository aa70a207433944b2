"""An encoder of fewer layers than its base: some of the base's layers, as they are."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import AutoModel

from service.contract.errors import ConfigError
from training.config import EncoderSection
from training.config_smaller import ALL, KeptLayers
from training.console import first_line
from training.encoder import LoadedEncoder, SentenceEncoder, load_encoder


def encoder_to_train(settings: EncoderSection) -> LoadedEncoder:
    """Return the encoder that a run begins with: the base, or some of its layers.

    Raises:
        ConfigError: if there is no such encoder, or it cannot be cut to that many layers.
    """
    base = load_encoder(settings.base, max_tokens=settings.max_tokens, pooling=settings.pooling)
    if settings.layers == ALL:
        return base
    return with_layers(base, settings.layers, keep=settings.keep_layers)


def kept_layers(total: int, layers: int, *, keep: KeptLayers) -> list[int]:
    """Return which of ``total`` layers are kept, counted from 0.

    ``spread`` keeps the first and the last, and evenly between; a lone layer is the first.

    >>> kept_layers(6, 3, keep="spread"), kept_layers(6, 3, keep="first")
    ([0, 3, 5], [0, 1, 2])

    Source:
        DistilBERT (arXiv:1910.01108) begins from every other layer of its teacher.
    """
    if keep == "first" or layers == 1:
        return list(range(layers))
    gaps = layers - 1
    return [(2 * number * (total - 1) + gaps) // (2 * gaps) for number in range(layers)]


def with_layers(loaded: LoadedEncoder, layers: int, *, keep: KeptLayers) -> LoadedEncoder:
    """Return an encoder with only some of the layers; the given one is left as it is.

    It is made anew from its settings, so it is what a checkpoint of it will be read as.

    Raises:
        ConfigError: if there are fewer layers, or the architecture cannot be cut.
    """
    transformer = loaded.model.transformer
    stack, total = _layer_stack(transformer)
    if layers > total:
        message = f"encoder.layers is {layers}, the base has {total}; name at most that many"
        raise ConfigError(message)
    kept = kept_layers(total, layers, keep=keep)
    try:
        smaller = _made_anew(transformer, layers)
        smaller.load_state_dict(_renumbered(transformer.state_dict(), stack, kept))
    except Exception as error:  # each architecture of transformers has reasons of its own
        message = (
            f"encoder.layers is {layers}, but this base cannot be cut ({first_line(error)}); "
            'use another base, or "all"'
        )
        raise ConfigError(message) from error
    model = SentenceEncoder(smaller, loaded.model.pooling)
    model.train(loaded.model.training)
    return LoadedEncoder(model, loaded.tokenizer, loaded.dim)


def _layer_stack(transformer: nn.Module) -> tuple[str, int]:
    """Return the name of the list of layers, and how many there are."""
    total = int(transformer.config.num_hidden_layers)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOptionalMemberAccess]  # AutoModel has it
    found = [
        name
        for name, module in transformer.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == total
    ]
    if len(found) != 1:
        message = 'encoder.layers: this base has no plain stack of layers; use another, or "all"'
        raise ConfigError(message)
    return found[0], total


def _made_anew(transformer: nn.Module, layers: int) -> nn.Module:
    """Return a model of the same settings but for its layers; its weights mean nothing yet."""
    config = copy.deepcopy(transformer.config)
    config.num_hidden_layers = layers  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOptionalMemberAccess]  # AutoModel has it
    with torch.random.fork_rng(devices=[]):  # so that heads begin as in a run of all layers
        smaller = AutoModel.from_config(config, dtype=torch.float32)
    if getattr(transformer, "pooler", None) is None and hasattr(smaller, "pooler"):
        smaller.register_module("pooler", None)
    return smaller


def _renumbered(weights: Mapping[str, Tensor], stack: str, kept: list[int]) -> dict[str, Tensor]:
    """Return the weights of the kept layers under their new numbers, and all beside the layers."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if not name.startswith(f"{stack}."):
            found[name] = weight
            continue
        number, _, rest = name.removeprefix(f"{stack}.").partition(".")
        if int(number) in kept:
            found[f"{stack}.{kept.index(int(number))}.{rest}"] = weight
    return found
