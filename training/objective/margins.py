"""The threshold-consistent margin of a run: when it acts, and where its margins come from."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from service.contract.errors import SurematchError
from training.config_objective import AUTO, TcmSection
from training.losses.tcm import threshold_consistent_margin

_BINS = 2000
_WATCHED_RATIO = 0.1


class MarginError(SurematchError):
    """The similarities of the trained base leave no gap for the margins: change the settings."""


class ThresholdConsistentMargin(nn.Module):
    """TCM with margins that are given, or taken from the similarities of the trained base.

    In the last tenth of the run before it acts, it counts the similarities of positives and of
    in-batch negatives; an ``auto`` margin is a percentile of them.

    Attributes:
        left_out: why it does not act although it should: its automatic margins leave no gap.

    Source:
        Margins from the base's score histograms are ours; the loss is arXiv:2307.04047's.
    """

    def __init__(self, settings: TcmSection) -> None:
        super().__init__()
        self._settings = settings
        self.left_out: str | None = None
        self._acting: tuple[float, float] | None = None  # once it acts, its margins stay
        self.register_buffer("positives", torch.zeros(_BINS, dtype=torch.float64))
        self.register_buffer("negatives", torch.zeros(_BINS, dtype=torch.float64))
        self.register_load_state_dict_post_hook(ThresholdConsistentMargin._look_anew)

    def watch(
        self,
        similarity: Float[Tensor, "query product"],
        is_positive: Bool[Tensor, "query product"],
        is_negative: Bool[Tensor, "query product"],
        *,
        run_ratio: float,
    ) -> None:
        """Count similarities, in the steps from which an ``auto`` margin is taken."""
        start = self._settings.start_ratio
        if not self._is_auto or not start - _WATCHED_RATIO <= run_ratio < start:
            return
        with torch.no_grad():
            self.positives += _histogram(similarity[is_positive])
            self.negatives += _histogram(similarity[is_negative])
        self._look_anew()

    def margins(self) -> tuple[float, float]:
        """Return the positive and the negative margin.

        Raises:
            MarginError: if the histograms leave no gap between them.
        """
        if self._acting is not None:
            return self._acting
        settings = self._settings
        positive, negative = settings.positive_margin, settings.negative_margin
        if positive == AUTO:
            positive = _percentile(self.positives, settings.positive_percentile)
        if negative == AUTO:
            negative = _percentile(self.negatives, settings.negative_percentile)
        if not negative < positive:  # also where one is not a number: nothing was seen
            message = (
                f"objective.tcm: the similarities before it acts give positive_margin "
                f"{positive:.3f} (percentile {settings.positive_percentile:g} of positives) and "
                f"negative_margin {negative:.3f} (percentile {settings.negative_percentile:g} of "
                "negatives), which must be lower; start it later, change the percentiles, give "
                "both margins, or turn it off with weight 0"
            )
            raise MarginError(message)
        return positive, negative

    def forward(
        self,
        similarity: Float[Tensor, "query product"],
        is_positive: Bool[Tensor, "query product"],
        *,
        run_ratio: float,
    ) -> Float[Tensor, ""] | None:
        """Return the weighted loss, or None as long as it does not act.

        Raises:
            MarginError: if the margins leave no gap and that is to stop the run.
        """
        settings = self._settings
        if settings.weight == 0 or run_ratio < settings.start_ratio:
            return None
        try:
            positive, negative = self._acting = self.margins()
        except MarginError as error:
            if settings.without_gap == "stop":
                raise
            self.left_out = str(error)
            return None
        loss = threshold_consistent_margin(
            similarity, is_positive, positive_margin=positive, negative_margin=negative
        )
        return settings.weight * self._grown(run_ratio) * loss

    def _look_anew(self, _: object = None) -> None:
        """Forget the margins: what they are taken from has changed."""
        self._acting = None

    @property
    def _is_auto(self) -> bool:
        settings = self._settings
        margins = (settings.positive_margin, settings.negative_margin)
        return settings.weight > 0 and AUTO in margins

    def _grown(self, run_ratio: float) -> float:
        """Return the share of the weight that acts while it warms up."""
        warmup = self._settings.warmup_ratio
        if warmup == 0:
            return 1.0
        return min(1.0, (run_ratio - self._settings.start_ratio) / warmup)


def _histogram(similarity: Float[Tensor, " pair"]) -> Float[Tensor, " bin"]:
    return torch.histc(similarity.float().clamp(-1, 1), bins=_BINS, min=-1.0, max=1.0).double()


def _percentile(histogram: Float[Tensor, " bin"], percentile: float) -> float:
    """Return the upper edge of the bin in which the percentile lies; NaN without any count."""
    total = float(histogram.sum())
    if total == 0:
        return float("nan")
    counted = histogram.cumsum(0)
    reached = (counted >= total * percentile / 100) & (counted > 0)  # the 0th is the least seen
    return -1.0 + 2.0 * (int(reached.nonzero()[0]) + 1) / _BINS
