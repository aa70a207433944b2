"""Typed client of the Surematch service: `Client`, and `AsyncClient` for asyncio."""

from surematch_client.async_client import AsyncClient
from surematch_client.client import Client
from surematch_client.errors import (
    ApiError,
    AuthenticationError,
    BundleRefusedError,
    BusyError,
    ConnectionLostError,
    DeadlineError,
    FieldError,
    InvalidRequestError,
    InvalidResponseError,
    NotReadyError,
    PermissionDeniedError,
    ServerError,
    SurematchClientError,
    TimedOutError,
    TransportError,
    UnreachableError,
)
from surematch_client.exchange import Timing
from surematch_client.models import (
    Decision,
    Embedding,
    EmbedResponse,
    Identifiers,
    Info,
    Limits,
    OperatingPoint,
    Query,
    Reason,
    Recommendation,
    RecommendResponse,
    Result,
    SwapResponse,
    SwapStatus,
)
from surematch_client.products import (
    DeleteProduct,
    Outcome,
    ProductChange,
    PutProduct,
    ServedProduct,
)
from surematch_client.release import RELEASE
from surematch_client.retries import Retries

__version__ = RELEASE

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthenticationError",
    "BundleRefusedError",
    "BusyError",
    "Client",
    "ConnectionLostError",
    "DeadlineError",
    "Decision",
    "DeleteProduct",
    "EmbedResponse",
    "Embedding",
    "FieldError",
    "Identifiers",
    "Info",
    "InvalidRequestError",
    "InvalidResponseError",
    "Limits",
    "NotReadyError",
    "OperatingPoint",
    "Outcome",
    "PermissionDeniedError",
    "ProductChange",
    "PutProduct",
    "Query",
    "Reason",
    "RecommendResponse",
    "Recommendation",
    "Result",
    "Retries",
    "ServedProduct",
    "ServerError",
    "SurematchClientError",
    "SwapResponse",
    "SwapStatus",
    "TimedOutError",
    "Timing",
    "TransportError",
    "UnreachableError",
    "__version__",
]
