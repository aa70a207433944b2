"""Tiny Hugging Face encoders with random weights: real architectures, milliseconds a step."""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

KINDS = ("bert", "distilbert", "xlm-roberta", "mpnet")
MAX_POSITIONS = 66
_WORDS = 400


def write_tiny_encoder(
    folder: Path, texts: list[str], *, kind: str = "bert", layers: int = 2, dim: int = 32
) -> Path:
    """Write weights, config and tokenizer as `save_pretrained` would; return the folder."""
    pad_id = 1 if kind in ("xlm-roberta", "mpnet") else 0
    tokenizer = _tokenizer(texts, pad_id=pad_id)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": pad_id}
    model = _model(kind, shape, layers=layers, dim=dim)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer(texts: list[str], *, pad_id: int) -> Tokenizer:
    specials = ["[PAD]", "[UNK]"] if pad_id == 0 else ["[UNK]", "[PAD]"]
    normaliser, splitter = BertNormalizer(), BertPreTokenizer()
    words = Counter(
        word
        for text in texts
        for word, _ in splitter.pre_tokenize_str(normaliser.normalize_str(text))
    )
    vocabulary = _vocabulary(words, [*specials, "[CLS]", "[SEP]"])
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normaliser
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _vocabulary(words: Counter[str], specials: list[str]) -> dict[str, int]:
    """Return special tokens, characters and the most frequent words.

    `WordPieceTrainer` breaks ties differently in each process, and no two test runs would be
    alike.
    """
    characters = sorted({character for word in words for character in word})
    parts = [*characters, *(f"##{character}" for character in characters)]
    frequent = sorted(words, key=lambda word: (-words[word], word))[:_WORDS]
    tokens = [*specials, *dict.fromkeys([*parts, *frequent])]
    return {token: number for number, token in enumerate(tokens)}


def _model(kind: str, known: dict[str, int], *, layers: int, dim: int) -> PreTrainedModel:
    shape: dict[str, Any] = {**known, "max_position_embeddings": MAX_POSITIONS}
    wide: dict[str, Any] = {
        "hidden_size": dim,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * dim,
    }
    if kind == "bert":
        return BertModel(BertConfig(**shape, **wide))
    if kind == "xlm-roberta":
        return XLMRobertaModel(XLMRobertaConfig(**shape, **wide, type_vocab_size=1))
    if kind == "mpnet":
        return MPNetModel(MPNetConfig(**shape, **wide))
    thin: dict[str, Any] = {"dim": dim, "n_layers": layers, "n_heads": 2, "hidden_dim": 2 * dim}
    return DistilBertModel(DistilBertConfig(**shape, **thin))
