"""BM25 over the words of products: candidates that an embedding may miss, and a signal of them.

Source: Lucene's variant of BM25 with k1 = 1.5 and b = 0.75, by the package bm25s.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.contract.bundle import LEXICAL
from service.contract.errors import BundleCorruptError
from service.contract.signals import LexicalRecord
from service.contract.text import normalise
from service.signals.words import words_of

if TYPE_CHECKING:
    import bm25s  # loads SciPy where that is installed; only bundles with an index need it

K1 = 1.5
B = 0.75
_DATA, _INDICES, _INDPTR, _VOCABULARY, _PARAMETERS = LEXICAL


class LexicalIndex:
    """Scores every product by the words that it shares with a query; safe to share."""

    def __init__(self, index: "bm25s.BM25", record: LexicalRecord) -> None:
        self.record = record
        self._index = index
        self._vocabulary: dict[str, int] = index.vocab_dict
        self._holders: Int64[np.ndarray, " word"] = np.diff(index.scores["indptr"])
        self._fresh: tuple[dict[str, float], ...] = ()
        self._weighed: dict[str, dict[str, float]] = {}
        self._removed: Int64[np.ndarray, " removed"] = np.empty(0, dtype=np.int64)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "LexicalIndex":
        """Return the index of product texts, rows in their order."""
        import bm25s  # noqa: PLC0415

        words = [words_of(normalise(text)) for text in texts]
        known = sorted({word for text in words for word in text})
        rows = {word: row for row, word in enumerate(known or [""])}
        index = bm25s.BM25(method="lucene", k1=K1, b=B)
        ids = [[rows[word] for word in text] for text in words]
        index.index((ids if known else [*ids, [0]], rows), show_progress=False)
        mean = sum(map(len, words)) / len(words)
        record = LexicalRecord(products=len(words), words=len(known), mean_length=mean)
        return cls(index, record)

    @classmethod
    def from_folder(cls, folder: Path, record: LexicalRecord) -> "LexicalIndex":
        """Read what `write` wrote, from files whose digests were checked.

        Raises:
            BundleCorruptError: if they are no index of so many products.
        """
        import bm25s  # noqa: PLC0415

        try:
            index = bm25s.BM25.load(
                folder,
                data_name=_DATA,
                indices_name=_INDICES,
                indptr_name=_INDPTR,
                vocab_name=_VOCABULARY,
                params_name=_PARAMETERS,
                show_progress=False,
            )
            found = cls(index, record)
            has_all = index.scores["num_docs"] >= record.products
        except (KeyError, OSError, TypeError, ValueError) as error:
            message = f"{folder} holds no lexical index ({error}); build the bundle again"
            raise BundleCorruptError(message) from error
        if not has_all or len(found._holders) < record.words:
            message = (
                f"the lexical index in {folder} has {index.scores['num_docs']} products, the "
                f"manifest says {record.products}; build the bundle again"
            )
            raise BundleCorruptError(message)
        return found

    def write(self, folder: Path) -> None:
        """Write the index into the folder of a bundle, as the files `LEXICAL`."""
        self._index.save(
            folder,
            data_name=_DATA,
            indices_name=_INDICES,
            indptr_name=_INDPTR,
            vocab_name=_VOCABULARY,
            params_name=_PARAMETERS,
            show_progress=False,
        )

    def with_changes(self, *, removed: Collection[int], fresh: Sequence[str]) -> "LexicalIndex":
        """Return the index of a catalogue that has changed; this one stays as it is.

        What a word weighs, and how long a text is by comparison, stay those of the products that
        the bundle was built with.

        Args:
            removed: rows of all products that are gone, fresh ones among them.
            fresh: texts of all products that came since; their rows follow those of the bundle.
        """
        changed = LexicalIndex(self._index, self.record)
        known = self._weighed  # on the event loop, so that only the texts that are new are read
        changed._weighed = {
            text: known.get(text) or self._weights(words_of(normalise(text))) for text in fresh
        }
        changed._fresh = tuple(changed._weighed[text] for text in fresh)
        changed._removed = np.array(sorted(removed), dtype=np.int64)
        return changed

    def scores(self, words: Sequence[str]) -> Float32[np.ndarray, " product"]:
        """Return the score of every product; 0 for those that share no word or are gone."""
        known = [row for word in words if (row := self._vocabulary.get(word)) is not None]
        own = self.record.products
        found = np.zeros(own + len(self._fresh), dtype=np.float32)
        if known:
            found[:own] = self._index.get_scores_from_ids(known)[:own]
        for row, weights in enumerate(self._fresh, start=own):
            found[row] = sum(weights.get(word, 0.0) for word in words)
        found[self._removed] = 0
        return found

    def own_score(self, words: Sequence[str]) -> float:
        """Return the score that a product of exactly these words would have; 0 without words."""
        weights = self._weights(words)
        return sum(weights[word] for word in words)

    def _weights(self, words: Sequence[str]) -> dict[str, float]:
        """Return what each word of a product adds to its score."""
        norm = K1 * (1 - B + B * len(words) / max(self.record.mean_length, 1e-9))
        return {
            word: self._rarity(word) * times / (times + norm)
            for word, times in Counter(words).items()
        }

    def _rarity(self, word: str) -> float:
        row = self._vocabulary.get(word)
        holders = 0 if row is None or row >= len(self._holders) else int(self._holders[row])
        return float(np.log1p((self.record.products - holders + 0.5) / (holders + 0.5)))


def best_rows(
    scores: Float32[np.ndarray, " product"],
    most: int,
    *,
    allowed: Bool[np.ndarray, " product"] | None = None,
) -> Int64[np.ndarray, " found"]:
    """Return the rows of the best scores above 0, best first, equal ones in catalogue order."""
    if allowed is not None:
        scores = np.where(allowed, scores, 0)
    if most < len(scores):
        least = np.partition(scores, -most)[-most]
        rows = np.flatnonzero(scores >= max(float(least), np.finfo(np.float32).tiny))
    else:
        rows = np.flatnonzero(scores > 0)
    return rows[np.lexsort((rows, -scores[rows]))][:most]
