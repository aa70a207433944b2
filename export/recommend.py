"""Answers for a file of queries: the same that the service would give."""

from collections.abc import Generator, Sequence
from pathlib import Path

from export.served_answers import answer_all
from service.recommender import Answer, Recommender
from training.data.matches import Query
from training.data.table_writer import write_table
from training.data.tables import suffix_of

COLUMNS = ("query_id", "rank", "product_id", "similarity", "decision", "reason")


SIGNAL_COLUMNS = ("score", "matched_by")
"""What else is written where answers rest on more than the similarity."""

Row = tuple[str | int | float | None, ...]


def recommend_file(
    recommender: Recommender, queries: Sequence[Query], out: Path, *, k: int
) -> list[Answer]:
    """Write one row per query and rank; a query without a recommendation keeps one row.

    That row has no rank, product or similarity, so no query is lost from the file.

    Raises:
        DataError: if the file cannot be written, or its kind is unknown.
    """
    suffix_of(out)  # an unknown kind must not cost the answers
    answers = answer_all(recommender, [query.text for query in queries], k=k, what="answering")
    columns = COLUMNS if recommender.signals is None else COLUMNS + SIGNAL_COLUMNS
    rows = [
        row[: len(columns)]
        for query, answer in zip(queries, answers, strict=True)
        for row in _rows(query.query_id, answer)
    ]
    write_table(out, columns, rows)
    return answers


def _rows(query_id: str, answer: Answer) -> Generator[Row]:
    verdict = (answer.decision.value, answer.reason.value)
    if not answer.recommendations:
        yield (query_id, None, None, None, *verdict, None, None)
    for rank, best in enumerate(answer.recommendations, start=1):
        own = (best.score, best.matched_by.value if best.matched_by else None)
        yield (query_id, rank, best.product_id, best.similarity, *verdict, *own)
