"""Exponential backoff per container, by the kubelet's rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(slots=True)
class Backoff:
    """The delays before restarts of one container.

    The first restart is immediate; then the delay doubles from `first` up to `last`, counted from the moment the
    container ended. A container that ended more than `forget` after its previous delay began starts anew.
    """

    first: timedelta = timedelta(seconds=10)
    last: timedelta = timedelta(minutes=5)
    forget: timedelta = timedelta(minutes=10)
    _delay: timedelta = timedelta(0)
    _since: datetime | None = None

    def next(self, ended: datetime) -> timedelta:
        """How long after `ended` the container is started again."""
        if self._since is not None and ended - self._since > self.forget:
            self._delay = timedelta(0)
        delay = self._delay
        self._delay = min(max(delay * 2, self.first), self.last)
        self._since = ended + delay
        return delay
