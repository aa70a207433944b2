"""What is known of a query besides its embedding: identifiers, words, a learnt score."""

from service.signals.identifiers import (
    IdentifierMatch,
    IdentifierStatus,
    IdentifierTable,
    QueryText,
    described,
)
from service.signals.lexical import LexicalIndex
from service.signals.loading import load_signals
from service.signals.ranking import Nearest, Ranking, Signals, by_similarity

__all__ = [
    "IdentifierMatch",
    "IdentifierStatus",
    "IdentifierTable",
    "LexicalIndex",
    "Nearest",
    "QueryText",
    "Ranking",
    "Signals",
    "by_similarity",
    "described",
    "load_signals",
]
