"""What the store believes, whoever tells it what and in which order."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard_operator.cluster.store import Store

LABEL = "trainyard.dev/training-job"


def an_object(
    name: str = "a", *, at: int = 1, uid: str = "u", namespace: str = "team", **labels: str
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(at), "labels": labels}
    return {"kind": "Job", "metadata": metadata}


def names(store: Store, namespace: str | None = "team", **labels: str) -> list[str]:
    return [each["metadata"]["name"] for each in store.select(namespace, labels)]


def test_objects_are_selected_by_namespace_and_labels_in_order() -> None:
    store = Store()
    for manifest in (
        an_object("b", **{LABEL: "churn", "x": "1"}),
        an_object("a", **{LABEL: "churn"}),
        an_object("c", **{LABEL: "other"}),
        an_object("d", namespace="elsewhere", **{LABEL: "churn"}),
    ):
        store.saw(manifest)

    assert names(store, **{LABEL: "churn"}) == ["a", "b"]
    assert names(store, **{LABEL: "churn", "x": "1"}) == ["b"]
    assert names(store, None, **{LABEL: "churn"}) == ["d", "a", "b"]
    assert names(store) == ["a", "b", "c"]


def test_an_older_event_changes_nothing() -> None:
    store = Store()
    assert store.saw(an_object(at=5, x="new"))

    assert store.saw(an_object(at=4, x="old")) is None
    assert store.saw(an_object(at=4), gone=True) is None

    assert names(store, x="new") == ["a"]


def test_labels_that_change_move_the_object_in_the_index() -> None:
    store = Store()
    store.saw(an_object(at=1, **{LABEL: "churn"}))

    store.saw(an_object(at=2, **{LABEL: "other"}))

    assert names(store, **{LABEL: "churn"}) == []
    assert names(store, **{LABEL: "other"}) == ["a"]


def test_what_a_list_no_longer_has_is_gone() -> None:
    store = Store()
    store.listed([an_object("a", at=1), an_object("b", at=2)], "2")

    changes = store.listed([an_object("b", at=3), an_object("c", at=4)], "4")

    assert [(change.manifest["metadata"]["name"], change.gone) for change in changes] == [
        ("b", False),
        ("c", False),
        ("a", True),
    ]
    assert names(store) == ["b", "c"]


def test_a_list_that_changes_nothing_tells_nothing() -> None:
    store = Store()
    store.listed([an_object("a", at=1)], "1")

    assert store.listed([an_object("a", at=1)], "9") == []


def test_what_was_written_after_a_list_was_made_is_not_missing_from_it() -> None:
    store = Store()
    store.wrote(an_object("a", at=7))

    assert store.listed([], "6") == []

    assert names(store) == ["a"]


def test_an_own_write_is_known_at_once_and_its_event_is_no_news() -> None:
    store = Store()
    store.listed([], "1")
    store.wrote(an_object("a", at=2))
    assert names(store) == ["a"]

    assert store.saw(an_object("a", at=2)) is None


def test_what_was_deleted_before_its_writer_got_the_answer_does_not_come_back() -> None:
    store = Store()
    store.listed([], "1")
    store.saw(an_object("a", at=2))
    store.saw(an_object("a", at=3), gone=True)

    store.wrote(an_object("a", at=2))

    assert names(store) == []


def test_a_successor_of_the_same_name_outlives_the_news_of_its_predecessors_end() -> None:
    store = Store()
    store.wrote(an_object("a", at=9, uid="second"))

    store.saw(an_object("a", at=8, uid="first"), gone=True)
    store.deleted("team", "a", "first")

    assert names(store) == ["a"]


def test_an_own_deletion_is_known_at_once() -> None:
    store = Store()
    store.saw(an_object("a", at=1, uid="u", **{LABEL: "churn"}))

    store.deleted("team", "a", "u")

    assert names(store) == names(store, **{LABEL: "churn"}) == []


def test_what_nobody_reads_is_not_kept() -> None:
    store = Store()
    manifest = an_object()
    manifest["metadata"]["managedFields"] = [{"manager": "x"}]
    store.saw(manifest)
    found = store.get("team", "a")
    assert found is not None
    assert "managedFields" not in found["metadata"]
    assert "managedFields" in manifest["metadata"]


@pytest.mark.parametrize("version", ["", "abc", None])
def test_versions_that_are_no_numbers_do_not_keep_news_out(version: str | None) -> None:
    store = Store()
    for label in ("1", "2"):
        manifest = an_object(x=label)
        manifest["metadata"]["resourceVersion"] = version
        store.saw(manifest)
    assert names(store, x="2") == ["a"]


@settings(deadline=None)
@given(st.data())
def test_whatever_comes_in_whatever_order_in_the_end_the_store_has_what_the_server_has(draw: st.DataObject) -> None:
    """A server changes objects; the watch tells in order, answers to writes come early or late, lists in between."""
    server: dict[str, dict[str, Any]] = {}
    history: list[tuple[dict[str, Any], bool]] = []
    store, seen = Store(), 0
    late: list[dict[str, Any]] = []
    for version in range(1, draw.draw(st.integers(1, 30)) + 1):
        name = draw.draw(st.sampled_from("abc"))
        if name in server and draw.draw(st.booleans()):
            gone = an_object(name, at=version, uid=server.pop(name)["metadata"]["uid"])
            history.append((gone, True))
        else:
            uid = server[name]["metadata"]["uid"] if name in server else f"u{version}"
            server[name] = an_object(name, at=version, uid=uid, **{LABEL: name})
            history.append((server[name], False))
            late.append(server[name])
        action = draw.draw(st.sampled_from(["watch", "answer", "list", "nothing"]))
        if action == "watch":
            for manifest, is_gone in history[seen:]:
                store.saw(manifest, gone=is_gone)
            seen = len(history)
        elif action == "answer" and late:
            store.wrote(late.pop(draw.draw(st.integers(0, len(late) - 1))))
        elif action == "list":
            store.listed(list(server.values()), str(version))
            seen = len(history)
    for manifest, is_gone in history[seen:]:
        store.saw(manifest, gone=is_gone)
    assert store.select("team", {}) == [server[name] for name in sorted(server)]
    for name in "abc":
        assert names(store, **{LABEL: name}) == ([name] if name in server else [])
