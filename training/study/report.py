"""A study as people read it: what was compared, where, and what came out, in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from training.console import table
from training.report import percent, ratio
from training.study.results import StudyResults
from training.study.summary import (
    GROUPS,
    Difference,
    Spread,
    Summary,
    differences,
    of_recipe,
    summarise,
)

_COMPARED_WORDS = {
    "coverage": "coverage",
    "oracle_coverage_95": "oracle cov@95",
    "precision_at_1": "P@1",
}


def markdown(results: StudyResults) -> str:
    """Return the report: facts, a table a group of queries, differences, costs, failures."""
    parts = [
        [f"# {results.section.name}", *results.section.description],
        list(_facts(results)),
        *([f"## Queries: {group}", *_group_table(results, group)] for group in GROUPS),
        _differences(results),
        ["## Costs", *_cost_table(results)],
        _failures(results),
    ]
    return "\n".join("\n\n".join(_blocks(part)) + "\n" for part in parts if part)


def run_line(name: str, figures: Mapping[str, Any]) -> str:
    """Return one finished run or baseline with its main figures, all queries, on one line.

    >>> group = {"precision_at_1": 0.9, "threshold": None, "oracle_coverage": {"0.95": 0.8}}
    >>> run_line("dexml-none-0", {"groups": {"all": group}})
    'dexml-none-0: P@1 0.900, no threshold, oracle cov@95 0.800'
    """
    group = figures["groups"]["all"]
    promised = "no threshold"
    if group["threshold"] is not None:
        precision = ratio(group["accepted_precision"])
        promised = f"coverage {ratio(group['coverage'])} with precision {precision}"
    line = (
        f"{name}: P@1 {ratio(group['precision_at_1'])}, {promised}, "
        f"oracle cov@95 {ratio(group['oracle_coverage']['0.95'])}"
    )
    if "training_seconds" in figures:
        line += f"; {figures['training_seconds']:.0f} s, {figures['peak_memory_mb']:.0f} MB"
    return line


def with_deviation(spread: Spread, digits: int = 3, *, signed: bool = False) -> str:
    """Return mean and standard deviation with so many decimals; a dash of no seed.

    >>> with_deviation(Spread(0.5, 0.01, 3)), with_deviation(Spread(None, None, 0))
    ('0.500 ± 0.010', '-')
    """
    if spread.mean is None:
        return "-"
    mean = f"{spread.mean:{'+' if signed else ''}.{digits}f}"
    return mean if spread.deviation is None else f"{mean} ± {spread.deviation:.{digits}f}"


def _blocks(lines: Sequence[str]) -> list[str]:
    """Return lines as blocks to be parted by blank lines: table rows stay together."""
    blocks: list[str] = []
    for line in lines:
        if blocks and line.startswith(("| ", "- ")) and blocks[-1].startswith(line[:2]):
            blocks[-1] += f"\n{line}"
        else:
            blocks.append(line)
    return blocks


def _facts(results: StudyResults) -> Iterator[str]:
    section = results.section
    target, confidence = percent(section.target_precision), percent(section.confidence)
    yield (
        f"Mean ± sample standard deviation over seeds {', '.join(map(str, section.seeds))}. "
        f"Coverage is the share of the test queries that a threshold accepts which promises "
        f"{target} precision with {confidence} confidence; it was fixed on validation and "
        "calibration queries, for each group apart, and each promise stands alone. A run without "
        "a threshold has coverage 0. Oracle coverage takes its threshold from the test queries "
        "themselves: an upper bound, no promise. Risk area: the mean share of wrong answers over "
        "all coverages; OPIS: how differently one threshold fits the categories, where two of "
        "them have positives enough; of both, less is better."
    )
    yield f"- data: `{results.data_path}`, SHA-256 {results.data_digest[:12]}"
    for machine in results.machines():
        yield f"- machine: {machine}"
    yield f"- dates: {results.dates()}; commit: {results.commits()}"
    yield f"- runs done: {len(results.runs)} of {results.planned_runs}"


def _group_table(results: StudyResults, group: str) -> list[str]:
    target = f"{100 * results.section.target_precision:.6g}"
    head = [
        *("system", "seeds", "P@1", "R@10", f"coverage@{target}", "promised", "precision got"),
        *("below target", "oracle cov@90", "oracle cov@95", "oracle cov@98", "risk area", "OPIS"),
    ]
    rows = [_row(name, summarise([figures], group)) for name, figures in results.baselines.items()]
    for base, variant in results.recipes():
        runs = of_recipe(results.runs, base, variant)
        rows.append(_row(f"{base}, {variant}", summarise(runs, group)))
    return table(head, rows)


def _row(name: str, summary: Summary) -> list[str]:
    def cell(measure: str) -> str:
        return with_deviation(summary.measures[measure])

    return [
        name,
        str(summary.runs),
        cell("precision_at_1"),
        cell("recall_at_10"),
        cell("coverage"),
        f"{summary.promised} of {summary.runs}",
        cell("accepted_precision"),
        f"{summary.violated} of {summary.promised}",
        *(cell(f"oracle_coverage_{share}") for share in (90, 95, 98)),
        with_deviation(summary.measures["risk_coverage_area"], 4),
        with_deviation(summary.measures["opis"], 5),
    ]


def _differences(results: StudyResults) -> list[str]:
    first, *others = results.section.variants
    if not others:
        return []
    head = ["system", "queries", "pairs"]
    for words in _COMPARED_WORDS.values():
        head += [words, "better"]
    rows = [
        _difference_row(f"{base}, {variant}", group, differences(runs, references, group))
        for base in results.section.bases
        for references in [of_recipe(results.runs, base, first)]
        for variant in others
        for runs in [of_recipe(results.runs, base, variant)]
        for group in GROUPS
    ]
    said = "Mean ± standard deviation of the differences, seed by seed; better: seeds above zero."
    return [f"## Differences to {first}", said, *table(head, rows)]


def _difference_row(name: str, group: str, found: Mapping[str, Difference]) -> list[str]:
    cells = [name, group, str(max(difference.spread.seeds for difference in found.values()))]
    for measure in _COMPARED_WORDS:
        difference = found[measure]
        cells.append(with_deviation(difference.spread, signed=True))
        cells.append(f"{difference.better} of {difference.spread.seeds}")
    return cells


def _cost_table(results: StudyResults) -> list[str]:
    rows: list[list[str]] = []
    for base, variant in results.recipes():
        costs = summarise(of_recipe(results.runs, base, variant), "all").costs
        rows.append(
            [
                f"{base}, {variant}",
                with_deviation(costs["training_seconds"], 0),
                with_deviation(costs["seconds_per_step"], 4),
                with_deviation(costs["peak_memory_mb"], 0),
            ]
        )
    return table(["system", "seconds", "seconds a step (median)", "peak memory, MB"], rows)


def _failures(results: StudyResults) -> list[str]:
    if not results.failures:
        return []
    lines = [f"- {name}: {error}" for name, error in results.failures.items()]
    return ["## Failed", *lines]
