"""The dashboard *Service*: whether answers come, how fast, and what they take."""

from deploy.dashboards.panel import JOB, PER_SCRAPES, REPLICAS, Board, Kind, Panel, Query, Unit


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{REPLICAS}}}[{PER_SCRAPES}]))"


def _mean(histogram: str, by: str) -> str:
    return f"{_rate(f'{histogram}_sum', by)} / ({_rate(f'{histogram}_count', by)} > 0)"


_NOW = (
    Panel(
        "Replicas ready",
        "Replicas that have a bundle, make progress and are not about to stop. Red at none.",
        (Query(f"sum(surematch_ready{{{JOB}}})", "ready"),),
        Unit.NUMBER,
        Kind.NUMBER,
        span=4,
        alert_at=1,
        alert_below=True,
    ),
    Panel(
        "Requests per second",
        "HTTP requests of all routes and replicas, over five minutes.",
        (Query("sum(job_route:surematch_http_requests:rate5m)", "requests"),),
        Unit.PER_SECOND,
        Kind.NUMBER,
        span=4,
    ),
    Panel(
        "99th percentile of /recommend",
        "One in a hundred requests takes longer; large bodies do by nature. Red above 2.5 s.",
        (Query('job_route:surematch_request_duration_seconds:p99_5m{route="/recommend"}', "p99"),),
        Unit.SECONDS,
        Kind.NUMBER,
        span=4,
        alert_at=2.5,
    ),
    Panel(
        "Refused",
        "Share of the requests for answers that got 429 for want of room or time. Red above 5 %.",
        (Query("job:surematch_refused:ratio_rate5m", "refused"),),
        Unit.SHARE,
        Kind.NUMBER,
        span=4,
        alert_at=0.05,
        top=1,
    ),
    Panel(
        "Oldest text in the queue",
        "Seconds that the text next in line has waited, on the replica where it is longest.",
        (Query(f"max(surematch_queue_oldest_age_seconds{{{JOB}}})", "oldest"),),
        Unit.SECONDS,
        Kind.NUMBER,
        span=4,
        alert_at=5,
    ),
    Panel(
        "Most memory",
        "Resident memory of the largest replica. Two bundles are in memory after a swap.",
        (Query(f"max(process_resident_memory_bytes{{{JOB}}})", "resident"),),
        Unit.BYTES,
        Kind.NUMBER,
        span=4,
    ),
)

_TRAFFIC = (
    Panel(
        "Traffic",
        "Requests per second by route, over five minutes. A stream is one request.",
        (Query("job_route:surematch_http_requests:rate5m > 0", "{{route}}"),),
        Unit.PER_SECOND,
    ),
    Panel(
        "Requests by code",
        "429 is refused, 499 a client that left, 503 not ready, 504 out of time, 500 a bug.",
        (Query(f"{_rate('surematch_http_requests_total', 'code')} > 0", "{{code}}"),),
        Unit.PER_SECOND,
    ),
    Panel(
        "Seconds of a request",
        "Half, 95 % and 99 % of the requests to /recommend take at most so long.",
        tuple(
            Query(f'job_route:surematch_request_duration_seconds:{q}_5m{{route="/recommend"}}', q)
            for q in ("p50", "p95", "p99")
        ),
        Unit.SECONDS,
        alert_at=2.5,
    ),
    Panel(
        "Seconds of each stage",
        "99th percentile; tokenise and queue of a body, the others of a batch. A long queue is "
        "load, a long encode longer texts or a slower machine.",
        (Query("job_stage:surematch_stage_duration_seconds:p99_5m", "{{stage}}"),),
        Unit.SECONDS,
    ),
)

_BATCHING = (
    Panel(
        "Queue",
        "Tokens that wait for a worker, by lane. Small bodies wait in `interactive`.",
        (Query(f"sum by (lane) (surematch_queue_tokens{{{REPLICAS}}})", "{{lane}}"),),
        Unit.NUMBER,
        span=8,
    ),
    Panel(
        "Age of the queue",
        "Seconds that the text next in line has waited, by replica.",
        (Query(f"surematch_queue_oldest_age_seconds{{{REPLICAS}}}", "{{instance}}"),),
        Unit.SECONDS,
        span=8,
        alert_at=5,
    ),
    Panel(
        "Refused requests by reason",
        "What callers do wrong is here too: auth, scope, payload, and the rate of their key.",
        (Query("job_reason:surematch_admission_rejected:rate5m", "{{reason}}"),),
        Unit.PER_SECOND,
        span=8,
    ),
    Panel(
        "Batches",
        "Texts and tokens of a batch, on average. Batches grow with the load, up to the budget.",
        (
            Query(_mean("surematch_batch_size", "job"), "texts"),
            Query(_mean("surematch_batch_tokens", "job"), "tokens"),
        ),
        Unit.NUMBER,
        span=8,
    ),
    Panel(
        "Padding, and answers from the cache",
        "Share of the tokens that only fill up batches; share of the queries answered from the "
        "cache, or by the run of another request.",
        (
            Query("job:surematch_padding:ratio_rate5m", "padding"),
            Query(
                'job_result:surematch_cache_requests:ratio_rate5m{result=~"hit|coalesced"}',
                "cache {{result}}",
            ),
        ),
        Unit.SHARE,
        span=8,
        top=1,
    ),
    Panel(
        "What went wrong",
        "Texts the encoder failed on, requests out of time or given up by their client, workers "
        "that got stuck and were replaced.",
        (
            Query(_rate("surematch_encoder_failures_total", "job"), "encoder failed"),
            Query(_rate("surematch_deadline_exceeded_total", "job"), "out of time"),
            Query(_rate("surematch_request_cancelled_total", "job"), "client left"),
            Query(_rate("surematch_worker_restarts_total", "job"), "worker stuck"),
        ),
        Unit.PER_SECOND,
        span=8,
    ),
)

_REPLICAS = (
    Panel(
        "Memory",
        "Resident memory of each replica. It rises at a swap, while a bundle more is open.",
        (Query(f"process_resident_memory_bytes{{{REPLICAS}}}", "{{instance}}"),),
        Unit.BYTES,
    ),
    Panel(
        "Processor time",
        "Cores that each replica keeps busy; one that is at its quota is at its limit.",
        (Query(f"rate(process_cpu_seconds_total{{{REPLICAS}}}[{PER_SCRAPES}])", "{{instance}}"),),
        Unit.NUMBER,
    ),
    Panel(
        "Bundle of each replica",
        "Which bundle answers where. Replicas that disagree for long missed a swap.",
        (
            Query(
                f"max by (instance, bundle_id) (surematch_bundle_info{{{REPLICAS}}})",
                "{{instance}} {{bundle_id}}",
            ),
        ),
        Unit.NUMBER,
        Kind.STATES,
    ),
    Panel(
        "Index generation of each replica",
        "Counts the bundles of a process. One that falls back to 1 was started again.",
        (
            Query(
                f"max by (instance, generation, type) (surematch_index_info{{{REPLICAS}}})",
                "{{instance}} #{{generation}} {{type}}",
            ),
        ),
        Unit.NUMBER,
        Kind.STATES,
    ),
)

BOARD = Board(
    name="service",
    title="Surematch service",
    description="Whether answers come, how fast, and what they take, by replica.",
    rows={
        "Now": _NOW,
        "Traffic and time": _TRAFFIC,
        "Queue and batches": _BATCHING,
        "Replicas and bundles": _REPLICAS,
    },
)
