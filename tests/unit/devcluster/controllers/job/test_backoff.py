import pytest

from support.workloads import NOW, Object, a_pod, ended
from trainyard_devcluster.controllers.job import backoff
from trainyard_devcluster.controllers.job.spec import INDEX_FAILURES_ANNOTATION, TRACKING_FINALIZER


@pytest.mark.parametrize(
    ("job_pods", "seconds"),
    [
        ([], 0),
        ([a_pod()], 0),
        ([ended(a_pod(), 1, finished=-4)], 6),
        ([ended(a_pod(), 1, finished=-40)], 0),
        ([ended(a_pod("a"), 1, finished=-4), ended(a_pod("b"), 1, finished=-30)], 16),
        ([ended(a_pod(str(n)), 1, finished=-n) for n in range(10)], 600),
        # A success starts the count anew.
        ([ended(a_pod("a"), 1, finished=-4), ended(a_pod("b"), 0, finished=-5), ended(a_pod("c"), 1)], 6),
        ([ended(a_pod("a"), 1, finished=-4), ended(a_pod("b"), 0, finished=-3)], 0),
        # Somebody deleted a pod: a failure; the Job itself took a surplus one down: none.
        ([a_pod(deleted=True, finalizers=[TRACKING_FINALIZER])], 10),
        ([a_pod(deleted=True)], 0),
    ],
)
def test_a_job_waits_ten_seconds_doubled_for_every_failure_in_a_row(job_pods: list[Object], seconds: float) -> None:
    assert backoff.remaining(job_pods, NOW) == seconds


def test_an_index_waits_for_its_own_failures_only() -> None:
    failed = ended(a_pod(annotations={INDEX_FAILURES_ANNOTATION: "2"}), 1, finished=-4)
    assert backoff.remaining_for_index(failed, NOW) == 36
    assert backoff.remaining_for_index(None, NOW) == 0
