from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.reconciler import Key

KEY = Key("TrainingJob", "team", "a")


def test_the_delay_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base=0.5, cap=5, jitter=lambda: 1.0)

    assert [backoff.next(KEY) for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_jitter_takes_off_up_to_a_half() -> None:
    assert Backoff(base=2, jitter=lambda: 0.0).next(KEY) == 1


def test_success_starts_over() -> None:
    backoff = Backoff(base=0.5, jitter=lambda: 1.0)
    backoff.next(KEY)
    backoff.next(KEY)

    backoff.forget(KEY)

    assert backoff.failing() == set()
    assert backoff.next(KEY) == 0.5


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(jitter=lambda: 1.0)

    assert [backoff.next(KEY) for _ in range(2000)][-1] == 300
