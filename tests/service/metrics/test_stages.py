from service.metrics import STAGES, Metrics
from tests.service.metrics.exposition import value, values


def test_stages_are_timed_under_the_names_of_dashboards() -> None:
    metrics = Metrics()

    metrics.time_stages({"tokenise": 0.25, "decide": 0.5})

    sums = values(metrics, "surematch_stage_duration_seconds_sum", "stage")
    assert sums == dict.fromkeys(STAGES, 0) | {"tokenise": 0.25, "decide": 0.5}
    assert value(metrics, "surematch_stage_duration_seconds_count", stage="queue") == 0
    assert STAGES == ("tokenise", "queue", "encode", "search", "decide")
