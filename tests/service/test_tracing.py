import importlib.util
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from service.contract.errors import ConfigError
from service.trace_context import TraceContext
from service.tracing import (
    BATCH_SPANS,
    MAX_WAITING_SPANS,
    CollectorTracer,
    NoTracer,
    RequestSpan,
    StageSpan,
    Tracer,
    open_tracer,
)
from tests.collector import SECONDS, Collector, facts_of

ROOT = Path(__file__).parents[2]

needs_otel = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("opentelemetry.sdk", "opentelemetry.exporter")
    ),
    reason="the extra otel is not installed",
)

OWN = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "b7ad6b7169203331", sampled=True)


def request(**facts: Any) -> RequestSpan:
    now = time.monotonic()
    given: dict[str, Any] = {
        "context": OWN,
        "caller": CALLER,
        "method": "POST",
        "route": "/recommend",
        "status": 200,
        "started": now - 0.5,
        "ended": now,
    }
    return RequestSpan(**given | facts)


@pytest.fixture
def collector() -> Generator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def tracer(collector: Collector) -> Generator[Tracer]:
    tracer = open_tracer(collector.address, service_version="1.2.3")
    yield tracer
    collector.answers.set()
    tracer.close()


def test_without_an_endpoint_there_is_no_tracer_and_nothing_is_imported_for_one() -> None:
    program = """
import sys
from service.tracing import NoTracer, open_tracer
tracer = open_tracer(None, service_version="1")
assert isinstance(tracer, NoTracer)
tracer.record(None)
tracer.close()
print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""

    said = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    )

    assert said.stdout.strip() == ""


@pytest.mark.parametrize(
    "missing",
    [
        "opentelemetry.sdk.trace",
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        "opentelemetry.sdk.resources",
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ConfigError, match=r"pip install 'surematch\[otel\]'") as raised:
        open_tracer("http://localhost:4318", service_version="1")

    assert "otlp_endpoint" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "collector",
        "collector:4318",
        "grpc://collector:4317",
        "http://",
        "http://:4318",
        "http://collector:many",
        "http://collector:99999",
        "http://collector:0",
        "http://[::1",
    ],
)
def test_an_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="it must be the URL of a collector"):
        open_tracer(endpoint, service_version="1")


@needs_otel
@pytest.mark.parametrize("path", ["", "/", "/v1/traces", "/v1/traces/"])
def test_an_endpoint_may_name_the_collector_or_its_path_for_traces(
    path: str, collector: Collector
) -> None:
    tracer = open_tracer(collector.address + path, service_version="1")
    tracer.record(request())
    tracer.close()

    assert collector.paths == ["/v1/traces"]


@needs_otel
def test_a_request_is_a_span_below_the_one_of_its_caller(
    collector: Collector, tracer: Tracer
) -> None:
    tracer.record(request(queries=3, bundle_id="b-1"))
    tracer.close()

    (span,) = collector.spans

    assert span.name == "POST /recommend"
    assert span.trace_id.hex() == OWN.trace_id
    assert span.span_id.hex() == OWN.parent_id
    assert span.parent_span_id.hex() == CALLER.parent_id
    assert span.kind == span.SPAN_KIND_SERVER
    assert span.status.code == span.status.STATUS_CODE_UNSET
    assert facts_of(span) == {
        "http.request.method": "POST",
        "http.route": "/recommend",
        "http.response.status_code": 200,
        "surematch.queries": 3,
        "surematch.bundle_id": "b-1",
    }


@needs_otel
def test_a_request_without_a_caller_is_the_root_of_a_trace_of_its_own_ids(
    collector: Collector, tracer: Tracer
) -> None:
    context = TraceContext.begin()
    tracer.record(request(context=context, caller=None))
    tracer.close()

    (span,) = collector.spans

    assert span.parent_span_id == b""
    assert (span.trace_id.hex(), span.span_id.hex()) == (context.trace_id, context.parent_id)


@needs_otel
def test_a_trace_that_its_caller_does_not_record_is_not_sent(
    collector: Collector, tracer: Tracer
) -> None:
    silent = TraceContext(OWN.trace_id, OWN.parent_id, sampled=False)
    tracer.record(request(context=silent, stages=[StageSpan("encode", 1.0, 2.0)]))
    tracer.close()

    assert collector.exports == []


@needs_otel
@pytest.mark.parametrize(
    ("status", "fails"), [(200, False), (429, False), (500, True), (504, True)]
)
def test_only_an_answer_that_is_our_fault_marks_its_span_as_failed(
    status: int, fails: bool, collector: Collector, tracer: Tracer
) -> None:
    tracer.record(request(status=status))
    tracer.close()

    (span,) = collector.spans

    assert (span.status.code == span.status.STATUS_CODE_ERROR) == fails


@needs_otel
def test_what_a_client_invents_names_no_span(collector: Collector, tracer: Tracer) -> None:
    tracer.record(request(method="BREW", route=None, status=404))
    tracer.close()

    (span,) = collector.spans

    assert span.name == "_OTHER"
    assert facts_of(span) == {
        "http.request.method": "_OTHER",
        "http.response.status_code": 404,
        "surematch.queries": 0,
    }


@needs_otel
def test_each_stage_is_one_span_from_its_first_run_to_its_last(
    collector: Collector, tracer: Tracer
) -> None:
    now = time.monotonic()
    runs = [
        StageSpan("tokenise", now - 8, now - 7),
        StageSpan("encode", now - 6, now - 5.5),
        StageSpan("search", now - 5, now - 4),
        StageSpan("encode", now - 4, now - 2),
    ]
    tracer.record(request(started=now - 9, ended=now, stages=runs))
    tracer.close()

    whole, encode = collector.span("POST /recommend"), collector.span("encode")

    assert {span.name for span in collector.spans} == {
        *("POST /recommend", "tokenise", "encode", "search")
    }
    assert (encode.trace_id, encode.parent_span_id) == (whole.trace_id, whole.span_id)
    assert encode.kind == encode.SPAN_KIND_INTERNAL
    assert encode.end_time_unix_nano - encode.start_time_unix_nano == pytest.approx(4e9, rel=1e-6)
    assert encode.start_time_unix_nano - whole.start_time_unix_nano == pytest.approx(3e9, rel=1e-6)
    assert facts_of(encode) == {"surematch.runs": 2, "surematch.seconds": pytest.approx(2.5)}
    assert len({span.span_id for span in collector.spans}) == 4


@needs_otel
def test_times_are_those_of_the_wall_clock(collector: Collector, tracer: Tracer) -> None:
    before = time.time_ns()
    started = time.monotonic()
    tracer.record(request(started=started, ended=time.monotonic()))
    after = time.time_ns()
    tracer.close()

    (span,) = collector.spans

    rounding = 10_000  # nanoseconds of a float of many seconds
    assert before - rounding <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert span.end_time_unix_nano <= after + rounding


@needs_otel
def test_the_resource_says_which_release_of_which_service_it_is(
    collector: Collector, tracer: Tracer
) -> None:
    tracer.record(request())
    tracer.close()

    facts = facts_of(collector.exports[0].resource_spans[0].resource)

    assert (facts["service.name"], facts["service.version"]) == ("surematch", "1.2.3")


@needs_otel
def test_the_environment_may_name_the_service(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "matcher")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    tracer = open_tracer(collector.address, service_version="1.2.3")
    tracer.record(request())
    tracer.close()

    facts = facts_of(collector.exports[0].resource_spans[0].resource)

    assert (facts["service.name"], facts["service.version"]) == ("matcher", "1.2.3")
    assert facts["deployment.environment.name"] == "test"


@needs_otel
def test_a_collector_that_refuses_or_is_away_is_nothing_to_a_request(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    away = CollectorTracer("http://127.0.0.1:9/v1/traces", service_version="1", flush_seconds=0.1)
    away.record(request())
    away.close()
    collector.status = 400
    refused = open_tracer(collector.address, service_version="1")
    refused.record(request())
    refused.close()
    refused.record(request())

    assert len(collector.spans) == 1
    assert any("Failed to export" in record.getMessage() for record in caplog.records)


@needs_otel
def test_the_end_does_not_wait_for_a_collector_that_hangs(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers.clear()
    tracer = CollectorTracer(
        f"{collector.address}/v1/traces", service_version="1", flush_seconds=0.1
    )
    tracer.record(request())

    tracer.close()

    assert collector.exports == []  # it has not answered yet
    assert any(record.getMessage() == "traces given up" for record in caplog.records)


@needs_otel
def test_while_a_collector_hangs_a_bounded_number_of_spans_waits(
    collector: Collector, tracer: Tracer
) -> None:
    collector.answers.clear()
    for _ in range(BATCH_SPANS):
        tracer.record(request())
    assert collector.asked.wait(SECONDS)
    for _ in range(MAX_WAITING_SPANS + 2 * BATCH_SPANS):
        tracer.record(request())

    collector.answers.set()
    tracer.close()

    assert len(collector.spans) <= MAX_WAITING_SPANS + BATCH_SPANS
    assert len(collector.spans) > BATCH_SPANS


def test_no_tracer_takes_whatever_comes() -> None:
    tracer = NoTracer()

    tracer.record(request())
    tracer.close()
