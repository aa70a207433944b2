"""What every route shares: the settings, the metrics, the workers and the open bundle."""

from dataclasses import dataclass, field

from starlette.requests import Request

from service.contract.manifest import Manifest
from service.encoder import available_cores
from service.metrics import Metrics
from service.problems import not_ready
from service.recommender import Recommender
from service.settings import Settings
from service.worker import WorkerPool


@dataclass(frozen=True)
class OpenBundle:
    """A bundle that passed its checks, ready to answer."""

    recommender: Recommender
    manifest: Manifest


@dataclass
class Serving:
    """The state of one app.

    Attributes:
        workers: run the recommender; new ones each time the app starts.
        bundle: what answers now; None until it is open.
        is_draining: true once the process was asked to stop.
    """

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)
    workers: WorkerPool = field(init=False)
    bundle: OpenBundle | None = None
    is_draining: bool = False

    def start(self) -> None:
        """Make ready to run calls."""
        workers = self.settings.workers or available_cores()
        self.workers = WorkerPool(workers=workers, max_waiting=self.settings.max_waiting)

    def stop(self) -> None:
        """Take no further calls."""
        self.workers.close()

    def opened(self) -> OpenBundle:
        """Return what answers now.

        Raises:
            ProblemError: 503 if the bundle is not open yet.
        """
        if self.bundle is None:
            detail = "the bundle is still being opened and checked; come back in a moment"
            raise not_ready(detail)
        return self.bundle

    def open(self, bundle: OpenBundle) -> None:
        """Answer from ``bundle`` from now on."""
        self.metrics.show_bundle(bundle.manifest)
        self.bundle = bundle


def serving_of(request: Request) -> Serving:
    """Return the state of the app that a request came to."""
    return request.app.state.serving
