"""The dashboard *Coverage*: what goes out without a person, beside what was calibrated."""

from deploy.dashboards.panel import JOB, PER_SCRAPES, REPLICAS, Board, Kind, Panel, Query, Unit

_NOW = (
    Panel(
        "Coverage, last hour",
        "Auto-accepted share of the queries of all replicas in the last hour, from counters.",
        (Query("job:surematch_coverage:ratio_rate1h", "coverage"),),
        Unit.SHARE,
        Kind.NUMBER,
        span=4,
        top=1,
    ),
    Panel(
        "Calibrated coverage",
        "Accepted share of the calibration queries under the bundle's default promise. Live "
        "coverage should be near it; 0 means that nothing is accepted.",
        (Query(f"avg(surematch_calibrated_coverage_ratio{{{JOB}}})", "calibrated"),),
        Unit.SHARE,
        Kind.NUMBER,
        span=4,
        top=1,
    ),
    Panel(
        "Threshold",
        "Least similarity that is accepted under the default promise, or least score where the "
        "bundle decides by one. No value: it has no threshold and everything goes to review.",
        (
            Query(
                f"avg(surematch_threshold_similarity{{{JOB}}} >= -1) "  # NaN is no threshold
                f"or avg(surematch_threshold_score{{{JOB}}} >= -1)",
                "threshold",
            ),
        ),
        Unit.SIMILARITY,
        Kind.NUMBER,
        span=4,
    ),
    Panel(
        "Distance from the calibration",
        "Largest distance of the cumulative similarities of the last hour from the calibration's. "
        "Red above 0.1: the promised precision was measured on other traffic.",
        (Query("job:surematch_similarity_distance:ratio_1h", "distance"),),
        Unit.NUMBER,
        Kind.NUMBER,
        span=4,
        alert_at=0.1,
        top=1,
    ),
    Panel(
        "Age of the bundle",
        "Time since the oldest bundle that answers was built and calibrated. Red after 90 days.",
        (Query(f"max(surematch_threshold_age_seconds{{{JOB}}})", "age"),),
        Unit.AGE,
        Kind.NUMBER,
        span=4,
        alert_at=90 * 86400,
    ),
    Panel(
        "Queries per second",
        "Queries answered by all replicas, over five minutes. Few queries make shares jump.",
        (Query("job:surematch_recommendations:rate5m", "queries"),),
        Unit.PER_SECOND,
        Kind.NUMBER,
        span=4,
    ),
)

_COVERAGE = (
    Panel(
        "Coverage by window, beside the calibrated",
        "Auto-accepted share over 5 minutes, an hour and a day. A fall below the calibrated line "
        "that the hour shows too is more than chance. Reviewed precision is not counted yet.",
        (
            Query("job:surematch_coverage:ratio_rate5m", "5 minutes"),
            Query("job:surematch_coverage:ratio_rate1h", "1 hour"),
            Query("job:surematch_coverage:ratio_rate1d", "1 day"),
            Query(f"avg(surematch_calibrated_coverage_ratio{{{JOB}}})", "calibrated"),
        ),
        Unit.SHARE,
        top=1,
    ),
    Panel(
        "Coverage by target precision",
        "Keys may have a promise of their own. Live coverage of the last hour under each, beside "
        "its calibrated value; this is what the alert on coverage compares.",
        (
            Query("job_target:surematch_coverage:ratio_rate1h", "{{target_precision}} live"),
            Query(
                "job_target:surematch_calibrated_coverage:ratio", "{{target_precision}} calibrated"
            ),
        ),
        Unit.SHARE,
        top=1,
    ),
    Panel(
        "Decisions by reason",
        "Share of each reason, over five minutes. Only above_threshold is accepted; what grows "
        "beside it says why coverage falls.",
        (Query("job_reason:surematch_recommendations:ratio_rate5m", "{{reason}}"),),
        Unit.SHARE,
        Kind.SHARES,
        top=1,
    ),
    Panel(
        "Fall of coverage, and what chance explains",
        "Calibrated less live coverage of the last hour, and three standard errors of that "
        "difference. The alert needs both: above 0.05 and above chance.",
        (
            Query("job_target:surematch_coverage_fall:ratio_1h", "{{target_precision}} fall"),
            Query("job_target:surematch_coverage_noise:ratio_1h", "{{target_precision}} chance"),
        ),
        Unit.SHARE,
        alert_at=0.05,
    ),
)

_QUANTILES = tuple(
    Query(
        f"histogram_quantile({q}, sum by (le) "
        f"(rate(surematch_top_similarity_bucket{{{REPLICAS}}}[{PER_SCRAPES}])))",
        name,
    )
    for q, name in ((0.1, "10 %"), (0.25, "25 %"), (0.5, "median"), (0.75, "75 %"))
)

_SIMILARITY = (
    Panel(
        "Similarities of best products",
        "How many queries had a best product of which similarity, over time; the threshold is the "
        "line in the panel beside. A band that sinks is new texts or missing products.",
        (
            Query(
                f"sum by (le) (increase(surematch_top_similarity_bucket{{{REPLICAS}}}"
                f"[{PER_SCRAPES}]))",
                "{{le}}",
            ),
        ),
        Unit.SIMILARITY,
        Kind.HEAT,
    ),
    Panel(
        "Quantiles of similarity, with the threshold",
        "A quarter of the queries lie below the line `25 %`. Where the threshold crosses the "
        "median, half of them go to review.",
        (
            *_QUANTILES,
            Query(f"avg(surematch_threshold_similarity{{{JOB}}})", "threshold"),
        ),
        Unit.SIMILARITY,
        top=1,
    ),
    Panel(
        "Similarities of live queries and of the calibration",
        "Share of queries at or below each similarity: the last hour beside the calibration. Live "
        "bars above those of the calibration mean lower similarities.",
        (
            Query("sum by (le) (job_le:surematch_top_similarity:ratio_rate1h)", "live"),
            Query("sum by (le) (job_le:surematch_calibrated_similarity:ratio)", "calibration"),
        ),
        Unit.SHARE,
        Kind.BARS,
        top=1,
    ),
    Panel(
        "Drift of the distribution",
        "Largest distance between both, for an hour and a day, and what 999 of 1000 samples of one "
        "distribution stay below. Texts that repeat lift it without any drift.",
        (
            Query("job:surematch_similarity_distance:ratio_1h", "1 hour"),
            Query("job:surematch_similarity_distance:ratio_1d", "1 day"),
            Query("job:surematch_similarity_noise:ratio_1h", "chance, 1 hour"),
        ),
        Unit.NUMBER,
        alert_at=0.1,
        top=1,
    ),
)

_CHANGES = f"sum by (outcome) (rate(surematch_product_changes_total{{{REPLICAS}}}[{PER_SCRAPES}]))"

_CATALOGUE = (
    Panel(
        "Answers of a stale operating point",
        "Share of the queries of the last hour that reached the threshold and went to review, "
        "since the product answered is newer than the calibration.",
        (
            Query(
                'job_reason:surematch_recommendations:ratio_rate1h{reason="stale_operating_point"}',
                "stale",
            ),
        ),
        Unit.SHARE,
        alert_at=0.05,
        top=1,
    ),
    Panel(
        "Recall of the index on live queries",
        "Found share of the ten nearest products, by comparison with exact searches. Nothing where "
        "no search is compared. The alert is below 0.95.",
        (Query(f"surematch_index_recall_probe_ratio{{{REPLICAS}}}", "{{instance}}"),),
        Unit.SHARE,
        alert_at=0.95,
        alert_below=True,
        top=1,
    ),
    Panel(
        "Products since the bundle was built",
        "Fresh ones are searched beside the index, removed ones are never answered, pending ones "
        "wait for the encoder of a new bundle. A merge takes fresh ones into the index.",
        (
            Query(f"max(surematch_fresh_products{{{JOB}}})", "fresh"),
            Query(f"max(surematch_removed_products{{{JOB}}})", "removed"),
            Query(f"max(surematch_pending_products{{{JOB}}})", "pending"),
        ),
        Unit.NUMBER,
        span=8,
    ),
    Panel(
        "Products newer than the calibration",
        "Share of the products served that came after the calibration; answers with one of them "
        "go to review as stale. Calibrate anew when it hurts coverage.",
        (Query(f"max(surematch_catalogue_newer_ratio{{{JOB}}})", "newer"),),
        Unit.SHARE,
        span=8,
        top=1,
    ),
    Panel(
        "Changes of products",
        "Changes per second by outcome. `not_kept` means that the disk did not take it: the caller "
        "was told, and there is an alert.",
        (Query(_CHANGES, "{{outcome}}"),),
        Unit.PER_SECOND,
        span=8,
    ),
)

BOARD = Board(
    name="coverage",
    title="Surematch coverage",
    description="How much goes out without a person, and whether the promise still fits.",
    rows={
        "Now": _NOW,
        "Coverage and decisions": _COVERAGE,
        "Similarities": _SIMILARITY,
        "Catalogue and index": _CATALOGUE,
    },
)
