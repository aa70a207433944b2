"""Prometheus metrics of one app, in a registry of their own; every series exists from the start."""

from service.metrics.admission import CANCELLED_STAGES as CANCELLED_STAGES
from service.metrics.admission import DEADLINE_STAGES as DEADLINE_STAGES
from service.metrics.admission import REJECTIONS as REJECTIONS
from service.metrics.bundle import SWAP_RESULTS as SWAP_RESULTS
from service.metrics.cache import CACHE_RESULTS as CACHE_RESULTS
from service.metrics.decisions import WINDOWS as WINDOWS
from service.metrics.http_requests import METHODS as METHODS
from service.metrics.http_requests import ROUTES as ROUTES
from service.metrics.http_requests import UNMATCHED as UNMATCHED
from service.metrics.products import MERGE_RESULTS as MERGE_RESULTS
from service.metrics.recall import PROBE_RESULTS as PROBE_RESULTS
from service.metrics.stages import STAGES as STAGES
from service.metrics.surface import Metrics as Metrics
