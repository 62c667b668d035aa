"""Profiles for tests."""

from typing import Any

from support.fake_cluster import FakeCluster
from trainyard_operator.cluster.kinds import TRAINING_PROFILE
from trainyard_operator.cluster.port import Manifest


def a_profile(name: str = "team", **spec: Any) -> Manifest:
    """A TrainingProfile as the API server would hand it out."""
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingProfile",
        "metadata": {"name": name, "generation": 1},
        "spec": spec,
    }


def put_profile(cluster: FakeCluster, name: str = "team", **spec: Any) -> None:
    """Create a profile, or change it."""
    known = cluster.objects.get((TRAINING_PROFILE.plural, "", name))
    profile = a_profile(name, **spec)
    if known is not None:
        profile["metadata"] = known["metadata"]
    cluster.put(TRAINING_PROFILE, profile)
