"""What a comparison of two bundles shows: tables and lines for people, a row a changed query."""

from collections.abc import Generator, Mapping, Set
from pathlib import Path
from typing import Any

from export.changes import AnswerPair, Comparison, Side, best_product, is_correct
from service.recommender import Answer
from training.console import table
from training.data.matches import LabelledQuery
from training.data.table_writer import Entry, write_table
from training.report import percent, ratio

SHOWN = 10
"""How many changed queries, and how many products of one catalogue, are put on the screen."""

ANSWER_COLUMNS = ("product", "similarity", "decision", "reason")
LABEL_COLUMNS = ("correct_a", "correct_b")
COLUMNS = (
    "query_id",
    "change",
    *(f"{name}_a" for name in ANSWER_COLUMNS),
    *(f"{name}_b" for name in ANSWER_COLUMNS),
    "only_in_one_catalogue",
)

DECISIONS: Mapping[str, str] = {
    "accepted_other_product": "accepted by both, OTHER product",
    "review_to_accepted": "review in A, accepted by B",
    "accepted_to_review": "accepted by A, review in B",
    "review_to_review": "review in both",
    "accepted_same_product": "accepted by both, same product",
}
"""The decisions of both bundles in words, the dangerous change first."""


def side_figures(side: Side) -> dict[str, Any]:
    """Return what says which bundle this is."""
    manifest = side.manifest
    return {
        "bundle_id": manifest.bundle_id,
        "products": manifest.catalogue.products,
        "dim": manifest.encoder.dim,
        "threshold": manifest.threshold,
        "operating_points": [
            {"target_precision": target, "threshold": manifest.threshold_at(target)}
            for target in manifest.target_precisions
        ],
    }


def report(a: Side, b: Side, comparison: Comparison) -> Generator[str]:
    """Yield the lines that a person reads: counts, shift, labels, products of one catalogue."""
    figures = comparison.figures()
    yield from _bundle_table(a, b)
    yield from _promises_of_one(a, b)
    yield ""
    yield from _decision_table(figures)
    shift = figures["similarity_shift"]
    yield (
        f"similarity of the best product, B - A over {shift['queries']} queries: median "
        f"{_signed(shift['median'])}, 5th percentile {_signed(shift['percentile_5'])}, "
        f"95th {_signed(shift['percentile_95'])}"
    )
    if figures["labels"]:
        yield ""
        yield from _label_table(figures["labels"])
    for name, products in (("A", comparison.only_in_a), ("B", comparison.only_in_b)):
        yield f"products only in the catalogue of {name}: {_some(products)}"


def changed_lines(comparison: Comparison, out: Path | None) -> Generator[str]:
    """Yield the first changed queries, the most dangerous first, and how many more there are."""
    changed = comparison.by_danger()
    if not changed:
        yield "no best product and no decision changed"
        return
    yield f"changed: {len(changed)} of {len(comparison.pairs)} queries, the most dangerous first"
    for pair in changed[:SHOWN]:
        yield f"  {pair.query.query_id}: {pair.change}"
        for name, answer in (("A", pair.a), ("B", pair.b)):
            lonely = name.lower() in comparison.lonely_products(pair)
            yield f"    {name} {_answer_words(answer)}" + (f", only in {name}" if lonely else "")
    if len(changed) > SHOWN:
        yield f"  and {len(changed) - SHOWN} more" + ("" if out else "; --out FILE writes them all")
    if out:
        yield f"written to {out}: {len(changed)} changed queries"


def write_changed(path: Path, comparison: Comparison, *, with_labels: bool) -> None:
    """Write one row a changed query, in the order of the queries.

    Raises:
        DataError: if the file cannot be written, or its kind is unknown.
    """
    names = COLUMNS + (LABEL_COLUMNS if with_labels else ())
    write_table(path, names, [_row(pair, comparison) for pair in comparison.changed()])


def _row(pair: AnswerPair, comparison: Comparison) -> list[Entry]:
    query, answers = pair.query, (pair.a, pair.b)
    lonely = " and ".join(f"product_{name}" for name in comparison.lonely_products(pair))
    row: list[Entry] = [query.query_id, str(pair.change)]
    for answer in answers:
        verdict = (answer.decision.value, answer.reason.value)
        row += [best_product(answer), answer.similarity, *verdict]
    row.append(lonely or None)
    if isinstance(query, LabelledQuery):
        row += [str(is_correct(query, answer)).lower() for answer in answers]
    return row


def _bundle_table(a: Side, b: Side) -> list[str]:
    rows: list[list[str]] = []
    for name, side in (("A", a), ("B", b)):
        figures = side_figures(side)
        threshold = "none" if side.manifest.threshold is None else f"{side.manifest.threshold:.4f}"
        identity = f"{name} = {figures['bundle_id']}"
        rows.append([identity, str(figures["products"]), str(figures["dim"]), threshold])
    return table(["bundle", "products", "dim", "threshold"], rows)


def _promises_of_one(a: Side, b: Side) -> Generator[str]:
    """Say which precisions only one of the bundles promises: a caller may depend on them."""
    promised = [
        {t for t in side.manifest.target_precisions if side.manifest.threshold_at(t) is not None}
        for side in (a, b)
    ]
    for name, mine, other in (("A", *promised), ("B", *reversed(promised))):
        if only := sorted(mine - other):
            yield f"precisions that only {name} promises: {', '.join(map(percent, only))}"


def _decision_table(figures: Mapping[str, Any]) -> list[str]:
    total = figures["queries"]
    counts = {words: figures["decisions"][key] for key, words in DECISIONS.items()}
    counts["same best product"] = figures["same_best_product"]
    counts["changed best product"] = figures["changed_best_product"]
    counts["all queries"] = total
    rows = [[words, str(n), f"{n / total:.1%}" if total else "-"] for words, n in counts.items()]
    return table(["from A to B", "queries", "share"], rows)


def _label_table(labels: Mapping[str, Any]) -> list[str]:
    a, b = labels["a"], labels["b"]
    rows = [
        ["precision at 1", ratio(a["precision_at_1"]), ratio(b["precision_at_1"])],
        ["coverage", ratio(a["coverage"]), ratio(b["coverage"])],
        ["precision of the accepted", *(ratio(side["accepted_precision"]) for side in (a, b))],
        ["accepted and wrong", str(a["wrong"]), str(b["wrong"])],
    ]
    return [
        *table(["by the labels", "A", "B"], rows),
        f"best product right in A, wrong in B: {labels['right_to_wrong']}; "
        f"wrong in A, right in B: {labels['wrong_to_right']}",
    ]


def _answer_words(answer: Answer) -> str:
    product, similarity = best_product(answer), answer.similarity
    found = "no product" if similarity is None else f"{product} at {similarity:.4f}"
    return f"{answer.decision} ({answer.reason}) {found}"


def _some(products: Set[str]) -> str:
    if not products:
        return "none"
    more = f" and {len(products) - SHOWN} more" if len(products) > SHOWN else ""
    return f"{len(products)} ({', '.join(sorted(products)[:SHOWN])}{more})"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"
