"""When something happens in a run, as shares of its steps: the same in 4 epochs as in 300."""

from training.config import BatchSection, OptimiserSection


def learning_rate_factor(step: int, steps: int, settings: OptimiserSection) -> float:
    """Return the share of the full rate after ``step`` steps: linear warm-up, linear decay."""
    warmup = settings.warmup_ratio * steps
    rising = (step + 1) / warmup if warmup > 0 else 1.0
    falling = (steps - step) / max(steps - warmup, 1.0)
    return min(1.0, rising, falling)


def is_due(step: int, steps: int, *, start_ratio: float, every_ratio: float) -> bool:
    """Return whether the step after ``step`` steps is the first, or a regular later one, to act.

    Args:
        step: steps taken.
        steps: of the whole run.
        start_ratio: share of the steps before the first time.
        every_ratio: share of the steps between two times, above 0.
    """
    return _times(step, steps, start_ratio, every_ratio) > _times(
        step - 1, steps, start_ratio, every_ratio
    )


def neighbourhood_size(step: int, steps: int, *, settings: BatchSection, batch_size: int) -> int:
    """Return how many queries a neighbourhood has: it doubles up to the size of a batch.

    Source:
        NGAME, arXiv:2207.04452: cluster sizes double on a schedule of epochs.
    """
    if settings.double_every_ratio == 0:
        return settings.neighbours
    doublings = _times(step, steps, settings.start_ratio, settings.double_every_ratio) - 1
    return min(settings.neighbours * 2 ** max(doublings, 0), max(batch_size, settings.neighbours))


def _times(step: int, steps: int, start_ratio: float, every_ratio: float) -> int:
    """Return how often something has been due up to the step after ``step`` steps."""
    # the tolerances keep a share such as 0.07 or 0.1 + 0.2 from missing its step by rounding
    if step < 0 or step < start_ratio * steps - 1e-9:
        return 0
    return 1 + int((step / steps - start_ratio) / every_ratio + 1e-9)
