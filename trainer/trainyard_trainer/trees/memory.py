"""Trees look at all rows for every split: so the rows have to be in memory."""

from trainyard_trainer.data.profile import Profile
from trainyard_trainer.errors import BadInput


def require_rows_in_memory(facts: Profile, *, limit: int) -> None:
    """Refuse data that does not fit: every split of a tree looks at all rows.

    Raises:
        BadInput: it says how much is needed.
    """
    lacking = facts.kept.training is None or (facts.validation_rows and facts.kept.validation is None)
    if lacking:
        needed = max(facts.training_rows, 4 * facts.validation_rows) * facts.row_bytes
        raise BadInput(
            f"trees need all rows in memory: {facts.training_rows:,} rows to train on and {facts.validation_rows:,} to "
            f"validate with take {_mebibytes(needed)} of cache, and {_mebibytes(limit)} are allowed (an eighth of the "
            "memory where TRAINYARD_CACHE_BYTES does not say; growing takes about four times as much beside it): give "
            "the pod more memory, use fewer rows or columns, or family linear or mlp, which read the rows in pieces"
        )


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB"
