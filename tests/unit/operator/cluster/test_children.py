from typing import Any

import pytest

from support.fake_cluster import FakeCluster
from support.training import NAMESPACE, a_training_job
from trainyard_operator.cluster.children import Leftover, NameTaken, controlled_by, ensure, owner_reference
from trainyard_operator.cluster.errors import Conflict
from trainyard_operator.cluster.kinds import CONFIG_MAP

PARENT = a_training_job().build()


def a_child(owner: str = "uid-of-churn", **fields: Any) -> dict[str, Any]:
    reference = owner_reference(PARENT) | {"uid": owner}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "child", "namespace": NAMESPACE, "ownerReferences": [reference]},
    } | fields


async def test_a_child_is_created_once_and_left_alone_while_it_is_as_wanted() -> None:
    cluster = FakeCluster()

    live = await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), None)
    await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), live)

    assert cluster.writes == [("create", "configmaps")]


async def test_a_child_that_differs_is_applied_to() -> None:
    cluster = FakeCluster()
    live = await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), None)

    changed = await ensure(cluster, CONFIG_MAP, a_child(data={"a": "2"}), live)

    assert changed["data"] == {"a": "2"}
    assert cluster.writes == [("create", "configmaps"), ("apply", "configmaps")]


async def test_a_child_that_was_there_without_being_observed_is_recognized_by_its_owner() -> None:
    cluster = FakeCluster()
    cluster.put(CONFIG_MAP, a_child(data={"a": "1"}))

    await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), None)

    assert len(cluster.peek(CONFIG_MAP)) == 1


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({}, NameTaken),
        ({"ownerReferences": [owner_reference(PARENT) | {"uid": "other", "kind": "Deployment"}]}, NameTaken),
        ({"ownerReferences": [owner_reference(PARENT) | {"uid": "predecessor"}]}, Leftover),
        ({"deletionTimestamp": "2026-11-23T10:00:00Z"}, Leftover),
    ],
    ids=["nobody's", "somebody else's", "of a deleted parent of that name", "being deleted"],
)
async def test_an_object_that_is_not_ours_is_not_touched(metadata: dict[str, Any], error: type[Exception]) -> None:
    cluster = FakeCluster()
    cluster.put(CONFIG_MAP, {"metadata": {"name": "child", "namespace": NAMESPACE} | metadata})

    with pytest.raises(NameTaken) as raised:
        await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), None)

    assert type(raised.value) is error
    assert "data" not in cluster.peek(CONFIG_MAP)[0]


@pytest.mark.parametrize("observed", [True, False], ids=["observed", "no longer selected by its labels"])
@pytest.mark.parametrize(
    "change",
    [
        {"labels": {}},
        {"labels": {"app": "other"}},
        {"ownerReferences": [owner_reference(PARENT) | {"uid": "uid-of-churn", "blockOwnerDeletion": False}]},
    ],
    ids=["labels stripped", "a label changed", "an owner reference changed"],
)
async def test_what_others_changed_of_its_metadata_is_put_back(change: dict[str, Any], observed: bool) -> None:
    cluster = FakeCluster()
    wanted = a_child(data={"a": "1"})
    wanted["metadata"]["labels"] = {"app": "ours"}
    changed = a_child(data={"a": "1"})
    changed["metadata"] |= {"labels": {"app": "ours"}} | change
    cluster.put(CONFIG_MAP, changed)
    live = cluster.peek(CONFIG_MAP)[0]

    restored = await ensure(cluster, CONFIG_MAP, wanted, live if observed else None)

    assert restored["metadata"]["labels"] == wanted["metadata"]["labels"]
    assert restored["metadata"]["ownerReferences"] == wanted["metadata"]["ownerReferences"]
    assert restored["metadata"]["uid"] == live["metadata"]["uid"]


async def test_a_child_that_was_replaced_meanwhile_is_a_conflict() -> None:
    cluster = FakeCluster()
    live = await ensure(cluster, CONFIG_MAP, a_child(data={"a": "1"}), None)
    cluster.remove(CONFIG_MAP, NAMESPACE, "child")
    cluster.put(CONFIG_MAP, a_child(owner="somebody-else"))

    with pytest.raises(Conflict):
        await ensure(cluster, CONFIG_MAP, a_child(data={"a": "2"}), live)


def test_only_what_the_parent_controls_is_its_child() -> None:
    mine, foreign = a_child(), a_child(owner="somebody-else")
    adopted = a_child()
    adopted["metadata"]["ownerReferences"][0]["controller"] = False

    assert controlled_by(PARENT, [foreign, adopted]) == {}
    assert controlled_by(PARENT, [mine]) == {"child": mine}
