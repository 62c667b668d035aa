"""The port between a container and its pod."""

from typing import Protocol

from trainyard_devcluster.node.launch import ContainerFolder, Launch
from trainyard_devcluster.resources import Object


class PodOfContainer(Protocol):
    """What a container needs of its pod."""

    @property
    def ip(self) -> str:
        """The pod's address."""

    async def launch(self, container: Object, folder: ContainerFolder, container_id: str) -> Launch:
        """The process to start. ImageError, ConfigError or MountError where it cannot be told yet."""

    async def pause(self, seconds: float) -> None:
        """Wait before another try; shorter where something that the pod needs has changed."""

    def changed(self) -> None:
        """The container's state is not what it was."""

    def normal(self, reason: str, message: str) -> None:
        """Record an event about the pod."""

    def warning(self, reason: str, message: str) -> None:
        """Record an event about the pod that a person may have to act on."""

    def grace(self, container: Object) -> float:
        """How many seconds a container that has to be restarted gets."""

    def describe(self, container_name: str) -> str:
        """The container and its pod in words, for messages."""
