import pytest

from support.workloads import Object, a_pod, ended
from trainyard_devcluster.controllers.job.failure_policy import judge

ON_CODE_2 = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3]}}
ON_OTHERS = {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [1]}}
ON_SIDECAR = {"action": "FailJob", "onExitCodes": {"containerName": "sidecar", "operator": "In", "values": [2]}}
ON_DISRUPTION = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def disrupted(pod: Object, status: str = "True") -> Object:
    conditions = [*pod["status"]["conditions"], {"type": "DisruptionTarget", "status": status}]
    return pod | {"status": pod["status"] | {"conditions": conditions}}


@pytest.mark.parametrize(
    ("rules", "pod", "action"),
    [
        ([], ended(a_pod(), 1), "Count"),
        ([ON_CODE_2], ended(a_pod(), 2), "FailJob"),
        ([ON_CODE_2], ended(a_pod(), 1), "Count"),
        ([ON_OTHERS], ended(a_pod(), 75), "Ignore"),
        ([ON_OTHERS], ended(a_pod(), 1), "Count"),
        ([ON_SIDECAR], ended(a_pod(), 2), "Count"),
        ([ON_SIDECAR], ended(a_pod(), 2, container="sidecar"), "FailJob"),
        ([ON_DISRUPTION, ON_CODE_2], disrupted(ended(a_pod(), 2)), "Ignore"),
        ([ON_CODE_2, ON_DISRUPTION], disrupted(ended(a_pod(), 2)), "FailJob"),
        ([ON_DISRUPTION], disrupted(ended(a_pod(), 2), "False"), "Count"),
    ],
)
def test_the_first_rule_that_matches_decides(rules: list[Object], pod: Object, action: str) -> None:
    assert judge(rules, pod).action == action


def test_containers_that_ended_well_do_not_match_by_exit_code() -> None:
    pod = ended(a_pod(), 1)
    pod["status"]["containerStatuses"].append({"name": "b", "state": {"terminated": {"exitCode": 0}}})
    rule = {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}}
    assert judge([rule], pod).action == "Count"


def test_the_message_names_what_failed_in_kubernetes_words() -> None:
    assert judge([ON_DISRUPTION, ON_CODE_2], ended(a_pod("p"), 3)).message == (
        "Container main for pod default/p failed with exit code 3 matching FailJob rule at index 1"
    )
    assert judge([ON_DISRUPTION], disrupted(ended(a_pod("p"), 1))).message == (
        "Pod default/p has condition DisruptionTarget matching Ignore rule at index 0"
    )
