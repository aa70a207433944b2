from pathlib import Path

from tests.training.study.made_up import (
    baseline_figures,
    group_figures,
    run_figures,
    without_threshold,
    write_study,
)
from training.study.plan import load_study
from training.study.plots import BARS, CURVES, draw_study
from training.study.report import markdown
from training.study.results import StudyResults

ALL_QUERIES = """\
## Queries: all

| system     | seeds |           P@1 |          R@10 |   coverage@95 | promised | precision got | \
below target | oracle cov@90 | oracle cov@95 | oracle cov@98 |       risk area |              OPIS |
| ---------- | ----: | ------------: | ------------: | ------------: | -------: | ------------: | \
-----------: | ------------: | ------------: | ------------: | --------------: | ----------------: |
| bm25       |     1 |         0.900 |         0.990 |         0.700 |   1 of 1 |         0.971 | \
      0 of 1 |         0.900 |         0.800 |         0.500 |          0.0312 |           0.00125 |
| soft, none |     2 | 0.900 ± 0.000 | 0.990 ± 0.000 | 0.350 ± 0.495 |   1 of 2 |         0.971 | \
      0 of 1 | 0.900 ± 0.000 | 0.800 ± 0.000 | 0.500 ± 0.000 | 0.0312 ± 0.0000 | 0.00125 ± 0.00000 |
| soft, tcm  |     1 |         0.950 |         0.990 |         0.800 |   1 of 1 |         0.971 | \
      0 of 1 |         0.900 |         0.800 |         0.500 |          0.0312 |           0.00125 |
"""

DIFFERENCES = """\
| soft, tcm |     all |     1 |   +0.100 | 1 of 1 |        +0.000 | 0 of 1 | +0.050 | 1 of 1 |
"""

COSTS = """\
## Costs

| system     | seconds | seconds a step (median) | peak memory, MB |
| ---------- | ------: | ----------------------: | --------------: |
| soft, none |  60 ± 0 |         0.2500 ± 0.0000 |         500 ± 0 |
| soft, tcm  |      60 |                  0.2500 |             500 |

## Failed

- soft-tcm-1: no such encoder
"""


def results(folder: Path) -> StudyResults:
    """Four planned runs: one without a threshold, one failed; the order is not the file's."""
    study = load_study(write_study(folder))
    found = StudyResults(study.section, "data", "ab" * 32, planned_runs=4)
    better = group_figures(precision_at_1=0.95, coverage=0.8)
    found.add(run_figures("tcm", 0, better))
    found.add(run_figures("none", 1, without_threshold()))
    found.add(run_figures("none", 0))
    found.add(baseline_figures("bm25"))
    found.failures["soft-tcm-1"] = "no such encoder"
    return found


def test_the_report_shows_means_promises_differences_costs_and_failures(tmp_path: Path) -> None:
    said = markdown(results(tmp_path))

    assert said.startswith("# Made up\n\nMean ± sample")
    assert ALL_QUERIES in said
    assert DIFFERENCES in said
    assert said.endswith(COSTS)
    assert "- data: `data`, SHA-256 abababababab\n- machine: Abacus 3000, 2 cores" in said
    assert "- dates: 2026-11-20; commit: 0123456789ab\n- runs done: 3 of 4\n" in said


def test_a_study_without_a_finished_run_has_a_report(tmp_path: Path) -> None:
    section = load_study(write_study(tmp_path)).section

    said = markdown(StudyResults(section, "data", "ab" * 32, planned_runs=4))

    assert "- runs done: 0 of 4\n" in said


def test_the_figures_name_what_a_variant_is_compared_with(tmp_path: Path) -> None:
    [first, second] = results(tmp_path).figures()["summaries"]

    assert (first["variant"], second["variant"]) == ("none", "tcm")
    assert "differences" not in first["groups"]["all"]
    assert second["compared_with"] == "none"
    assert second["groups"]["seen"]["differences"]["coverage"]["better"] == 1


def test_both_pictures_are_drawn(tmp_path: Path) -> None:
    draw_study(results(tmp_path), tmp_path)

    for name in (CURVES, BARS):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_nothing_is_drawn_of_no_run(tmp_path: Path) -> None:
    section = load_study(write_study(tmp_path / "study")).section

    draw_study(StudyResults(section, "data", "ab" * 32, planned_runs=4), tmp_path)

    assert not (tmp_path / CURVES).exists()
