from support.workloads import Object, a_pod, at
from trainyard_devcluster.scheduler.queue import SchedulingQueue


def a_waiting_pod(name: str, priority: int = 0, created: float = 0) -> Object:
    return a_pod(name, node="", spec={"priority": priority}) | {
        "metadata": {"name": name, "namespace": "default", "uid": name, "creationTimestamp": at(created)}
    }


async def names(queue: SchedulingQueue, number: int) -> list[str]:
    return [(await queue.get())["metadata"]["name"] for _ in range(number)]


async def test_priority_comes_first_and_then_age() -> None:
    queue = SchedulingQueue()
    queue.put(a_waiting_pod("young", created=2))
    queue.put(a_waiting_pod("old", created=1))
    queue.put(a_waiting_pod("urgent", priority=10, created=3))
    assert await names(queue, 3) == ["urgent", "old", "young"]


async def test_a_pod_without_a_node_waits_until_the_cluster_changes() -> None:
    queue = SchedulingQueue()
    queue.park(a_waiting_pod("waiting", priority=10), queue.moves)
    queue.put(a_waiting_pod("next"))
    assert await names(queue, 1) == ["next"]
    queue.move()
    assert await names(queue, 1) == ["waiting"]


async def test_a_change_during_the_attempt_is_not_missed() -> None:
    queue = SchedulingQueue()
    moves = queue.moves
    queue.move()
    queue.park(a_waiting_pod("pod"), moves)
    assert await names(queue, 1) == ["pod"]


async def test_a_waiting_pod_is_tried_again_only_by_a_change_of_its_own_that_helps() -> None:
    queue = SchedulingQueue()
    queue.park(a_waiting_pod("pod"), queue.moves)
    queue.update(a_waiting_pod("pod"), helps=False)
    queue.put(a_waiting_pod("other"))
    assert await names(queue, 1) == ["other"]
    queue.update(a_waiting_pod("pod"), helps=True)
    assert await names(queue, 1) == ["pod"]


async def test_a_dropped_pod_does_not_come_back() -> None:
    queue = SchedulingQueue()
    queue.park(a_waiting_pod("gone"), queue.moves)
    queue.drop("gone")
    queue.move()
    queue.put(a_waiting_pod("next"))
    assert await names(queue, 1) == ["next"]
