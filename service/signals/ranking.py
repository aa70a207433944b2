"""Candidates of a query, widened, scored and put in order; what identifiers name comes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from service.contract.signals import IdentifierKind, ScoreModel
from service.contract.text import normalise
from service.retrievers import Retriever
from service.signals.features import Candidates, features
from service.signals.identifiers import (
    IdentifierMatch,
    IdentifierStatus,
    IdentifierTable,
    QueryText,
)
from service.signals.lexical import LexicalIndex, best_rows
from service.signals.score import score_of
from service.signals.words import ReadText, words_of

POOL = 16
"""So many products of the highest similarity are candidates, however few are asked for."""
LEXICAL_POOL = 16
"""And so many of the best that share words with the query."""
MOST_NAMED = 100
"""So many of the products that share one identifier are shown at most."""


@dataclass(frozen=True, slots=True)
class Best:
    """The first product of a query by similarity or score.

    Attributes:
        row: in the catalogue.
        value: what is held against the threshold.
    """

    row: int
    value: float


@dataclass(frozen=True)
class Ranking:
    """Products of one query in the order of its answer.

    Attributes:
        similarity: cosine of each with the query.
        rows: in the catalogue.
        score: what the order follows, in [0, 1]; None where that is the similarity.
        match: what the query's identifiers name; None where it has none.
        best: the first product as if there were no identifiers; None where nothing was found.
    """

    similarity: Float64[np.ndarray, " rank"]
    rows: Int64[np.ndarray, " rank"]
    score: Float64[np.ndarray, " rank"] | None = None
    match: IdentifierMatch | None = None
    best: Best | None = None


@dataclass(frozen=True)
class Pool:
    """Candidates of one query: distinct products, in no order that matters."""

    rows: Int64[np.ndarray, " candidate"]
    similarity: Float64[np.ndarray, " candidate"]
    lexical: Float64[np.ndarray, " candidate"] | None


@dataclass(frozen=True)
class Nearest:
    """What the embedding found for one query.

    Attributes:
        embedding: of the query.
        similarity: of the nearest products, best first.
        rows: theirs; -1 at the end where there are no more.
        allowed: true at the rows that may be recommended; None allows all.
    """

    embedding: Float32[np.ndarray, " dim"]
    similarity: Float32[np.ndarray, " rank"]
    rows: Int64[np.ndarray, " rank"]
    allowed: Bool[np.ndarray, " product"] | None = None


@dataclass(frozen=True)
class Signals:
    """What a bundle knows of a query besides its embedding; safe to share between threads.

    Attributes:
        texts: of the products, by row.
        identifiers: which products have which; None without columns of them.
        lexical: the BM25 index; None without one.
        score: what the answers are ordered by; None for the similarity.
    """

    texts: Sequence[str]
    identifiers: IdentifierTable | None = None
    lexical: LexicalIndex | None = None
    score: ScoreModel | None = None

    def with_changes(
        self,
        texts: Sequence[str],
        *,
        removed: Sequence[int],
        fresh: Mapping[int, Mapping[IdentifierKind, Sequence[str]]],
    ) -> "Signals":
        """Return the signals of a catalogue that has changed; these stay as they are.

        Args:
            texts: of the products, the fresh ones included.
            removed: rows of all products that are gone.
            fresh: identifiers of all products that came, by their rows, which follow those of
                the bundle without a gap.
        """
        table, index = self.identifiers, self.lexical
        if table is not None:
            table = table.with_changes(removed=removed, fresh=fresh)
        if index is not None:
            index = index.with_changes(removed=removed, fresh=[texts[row] for row in sorted(fresh)])
        return replace(self, texts=texts, identifiers=table, lexical=index)

    @property
    def depth(self) -> int:
        """Return how many of the nearest products are needed, however few are asked for."""
        return POOL

    def rank(self, query: QueryText, nearest: Nearest, retriever: Retriever) -> Ranking:
        """Return the products of one query in the order of its answer.

        The first ones don't depend on how many are asked for: candidates are the first `POOL`
        and the lexical ones. Further products follow in the order of their similarity, and have
        at most the score of the last candidate.
        """
        ranking = self._in_order(query, self.pool(query, nearest, retriever), nearest)
        match = self._look_up(query, nearest)
        if match is None or not match.rows:
            return replace(ranking, match=match)
        return named_first(ranking, match, nearest, retriever)

    def pool(self, query: QueryText, nearest: Nearest, retriever: Retriever) -> Pool:
        """Return the candidates of a query: the nearest, and those that share its words."""
        near = nearest.rows[:POOL]
        near = near[near >= 0]
        similarity = nearest.similarity[: len(near)].astype(np.float64)
        if self.lexical is None:
            return Pool(near, similarity, None)
        words = words_of(query.text)
        scores = self.lexical.scores(words)
        found = best_rows(scores, LEXICAL_POOL, allowed=nearest.allowed)
        more = found[~np.isin(found, near)]
        rows = np.concatenate([near, more])
        known = retriever.similarities(nearest.embedding[None], more[None])[0].astype(np.float64)
        share = scores[rows].astype(np.float64) / max(self.lexical.own_score(words), 1e-9)
        return Pool(rows, np.concatenate([similarity, known]), share)

    def features(self, query: QueryText, pool: Pool) -> Float64[np.ndarray, "candidate feature"]:
        """Return what the score is made of, one row a candidate."""
        texts = [ReadText.of(normalise(self.texts[int(row)])) for row in pool.rows]
        found = Candidates(pool.similarity, texts, pool.lexical)
        return features(ReadText.of(query.text), found)

    def _in_order(self, query: QueryText, pool: Pool, nearest: Nearest) -> Ranking:
        """Return candidates by their score, or all by their similarity where there is none."""
        rest = (nearest.rows >= 0) & ~np.isin(nearest.rows, pool.rows)
        rows = np.concatenate([pool.rows, nearest.rows[rest]])
        similarity = np.concatenate([pool.similarity, nearest.similarity[rest].astype(np.float64)])
        if self.score is None or not len(rows):
            order = np.lexsort((rows, -similarity))
            return _ranking(similarity[order], rows[order], None)
        own = score_of(self.score, self.features(query, pool))
        score = np.concatenate([own, np.full(int(rest.sum()), own.min())])
        is_rest = np.arange(len(rows)) >= len(own)
        order = np.lexsort((rows, -similarity, is_rest, -score))
        return _ranking(similarity[order], rows[order], score[order])

    def _look_up(self, query: QueryText, nearest: Nearest) -> IdentifierMatch | None:
        if self.identifiers is None:
            return _not_indexed(query)
        match = self.identifiers.look_up(query)
        if match is None or nearest.allowed is None:
            return match
        rows = tuple(row for row in match.rows if nearest.allowed[row])
        if match.rows and not rows:
            return IdentifierMatch(IdentifierStatus.UNKNOWN)
        return replace(match, rows=rows)


def by_similarity(query: QueryText | None, nearest: Nearest) -> Ranking:
    """Return the nearest products as they are, for a bundle that knows nothing else."""
    rows = nearest.rows[nearest.rows >= 0]
    similarity = nearest.similarity[: len(rows)].astype(np.float64)
    ranking = _ranking(similarity, rows, None)
    return ranking if query is None else replace(ranking, match=_not_indexed(query))


def named_first(
    ranking: Ranking, match: IdentifierMatch, nearest: Nearest, retriever: Retriever
) -> Ranking:
    """Return the products that identifiers name, scored 1, and after them all others."""
    named = np.array(match.rows[:MOST_NAMED], dtype=np.int64)
    known = retriever.similarities(nearest.embedding[None], named[None])[0].astype(np.float64)
    order = np.lexsort((named, -known))
    others = ~np.isin(ranking.rows, named)
    own = np.maximum(ranking.similarity, 0) if ranking.score is None else ranking.score
    return Ranking(
        similarity=np.concatenate([known[order], ranking.similarity[others]]),
        rows=np.concatenate([named[order], ranking.rows[others]]),
        score=np.concatenate([np.ones(len(named)), own[others]]),
        match=match,
        best=ranking.best,
    )


def _ranking(
    similarity: Float64[np.ndarray, " rank"],
    rows: Int64[np.ndarray, " rank"],
    score: Float64[np.ndarray, " rank"] | None,
) -> Ranking:
    values = similarity if score is None else score
    best = Best(int(rows[0]), float(values[0])) if len(rows) else None
    return Ranking(similarity, rows, score, best=best)


def _not_indexed(query: QueryText) -> IdentifierMatch | None:
    """Say of identifiers that came with a query that no product's are known; None without any."""
    if query.gtin is None and query.mpn is None:
        return None
    return IdentifierMatch(IdentifierStatus.NOT_INDEXED)
