from support.workloads import a_deployment, a_replica_set
from trainyard_devcluster.controllers.deployment import revision, template
from trainyard_devcluster.controllers.deployment.spec import parse


def test_the_current_set_is_found_by_its_template_whatever_its_hash_is() -> None:
    sets = [a_replica_set("one", 1), a_replica_set("two", 1, image="web:2")]
    assert template.current(a_deployment(image="web:2"), sets) is sets[1]
    assert template.current(a_deployment(image="web:3"), sets) is None


def test_of_two_sets_with_the_template_the_older_one_is_current() -> None:
    sets = [a_replica_set("young", 1, created=-1), a_replica_set("old", 1, created=-9)]
    assert template.current(a_deployment(), sets) is sets[1]


def test_a_hash_is_stable_safe_in_names_and_changes_with_template_and_collisions() -> None:
    first = a_deployment()["spec"]["template"]
    digest = template.template_hash(first, 0)
    assert digest == template.template_hash(dict(reversed(first.items())), 0)
    assert digest.isalnum()
    assert digest.islower()
    assert len({digest, template.template_hash(first, 1), template.template_hash({"a": 1}, 0)}) == 3


def test_a_template_that_comes_back_gets_the_newest_revision() -> None:
    deployment = a_deployment()
    deployment["metadata"]["annotations"] = {"team": "ml", revision.REVISION_ANNOTATION: "2"}
    first = a_replica_set("one", 0, annotations={revision.REVISION_ANNOTATION: "1"})
    second = a_replica_set("two", 1, image="web:2", annotations={revision.REVISION_ANNOTATION: "2"})
    annotations = revision.annotations_for(deployment, first, [second], parse(deployment))
    assert annotations[revision.REVISION_ANNOTATION] == "3"
    assert annotations[revision.HISTORY_ANNOTATION] == "1"
    assert annotations["team"] == "ml"
    same = first | {"metadata": first["metadata"] | {"annotations": annotations}}
    assert revision.annotations_for(deployment, same, [second], parse(deployment)) == annotations


def test_history_keeps_the_newest_empty_sets_and_every_set_with_pods() -> None:
    sets = [a_replica_set(f"r{n}", 0, annotations={revision.REVISION_ANNOTATION: str(n)}) for n in (3, 1, 2)]
    busy = a_replica_set("r0", 1, annotations={revision.REVISION_ANNOTATION: "0"})
    gone = revision.outdated(parse(a_deployment(revisionHistoryLimit=1)), [*sets, busy])
    assert [entry["metadata"]["name"] for entry in gone] == ["r1", "r2"]
