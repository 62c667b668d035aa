import pytest

from support.workloads import Object, a_job, a_pod
from trainyard_devcluster.controllers.garbage.graph import Graph, Owner, Verdict, blocks, judge

P, A, W = Owner.PRESENT, Owner.ABSENT, Owner.WAITING
FIRST, SECOND = {"uid": "first"}, {"uid": "second"}


@pytest.mark.parametrize(
    ("owners", "has_dependents", "finalizers", "verdict"),
    [
        ([], False, [], Verdict()),
        ([P], False, [], Verdict()),
        ([A], False, [], Verdict(delete="Background")),
        ([A, A], True, [], Verdict(delete="Background")),
        ([A, P], False, [], Verdict(keep=(SECOND,))),
        ([W, P], False, [], Verdict(keep=(SECOND,))),
        ([W], False, [], Verdict(delete="Background")),
        ([W], True, [], Verdict(delete="Foreground")),
        ([A], True, ["foregroundDeletion"], Verdict(delete="Foreground")),
        ([A], False, ["orphan"], Verdict(delete="Orphan")),
    ],
)
def test_an_object_goes_with_its_last_owner(
    owners: list[Owner], has_dependents: bool, finalizers: list[str], verdict: Verdict
) -> None:
    obj = a_pod(finalizers=finalizers)
    dependents = [a_pod("dependent")] if has_dependents else []
    assert judge(obj, list(zip([FIRST, SECOND], owners, strict=False)), dependents) == verdict


def names(found: list[Object]) -> list[str]:
    return [entry["metadata"]["name"] for entry in found]


def test_the_graph_follows_changes_of_owners() -> None:
    graph, one, two = Graph(), a_job("one"), a_job("two")
    for obj in (one, two, a_pod("p", owner=one)):
        graph.put(obj)
    assert names(graph.dependents("uid-one")) == ["p"]
    graph.put(a_pod("p", owner=two))
    assert (names(graph.dependents("uid-one")), names(graph.dependents("uid-two"))) == ([], ["p"])
    graph.remove(a_pod("p", owner=two))
    assert graph.dependents("uid-two") == []


def test_dependents_of_an_object_that_was_never_seen_are_known() -> None:
    graph = Graph()
    graph.put(a_pod("p", owner=a_job("gone")))
    assert names(graph.dependents("uid-gone")) == ["p"]
    assert not graph.has_departed("uid-gone")


def test_departures_are_remembered() -> None:
    graph = Graph()
    graph.put(a_job("job"))
    graph.remove(a_job("job"))
    assert graph.has_departed("uid-job")


def test_a_dependent_blocks_only_the_owner_whose_reference_says_so() -> None:
    pod = a_pod("p", owner=a_job("one"))
    assert blocks(pod, "uid-one")
    assert not blocks(pod, "uid-two")
