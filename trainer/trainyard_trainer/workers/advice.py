"""Whether several workers are worth it, from how long their steps take."""

_WORTH_SHARING_SECONDS = 0.01
"""Adding up gradients over a network takes milliseconds (docs/explanation/distributed.md has measurements)."""


def advice(workers: int, seconds_per_step: float) -> str | None:
    """Return what to tell people whose steps are so short that one worker would be faster, or nothing."""
    if workers == 1 or seconds_per_step >= _WORTH_SHARING_SECONDS:
        return None
    return (
        f"a step of {workers} workers takes {seconds_per_step * 1000:.1f} ms: where steps are this short one worker is "
        "faster; set roles.worker.replicas to 1, or a larger fit.batchSize"
    )
