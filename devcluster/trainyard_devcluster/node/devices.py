"""Which of the node's declared GPUs a pod has."""

from trainyard_devcluster import quantity
from trainyard_devcluster.node.settings import GPU
from trainyard_devcluster.resources import Object


class DevicesExhaustedError(Exception):
    """The pod asks for more GPUs than are free."""


class Gpus:
    """Hands out GPUs by number, as the device plugin does. Pods that ask for none see none."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._owners: dict[int, str] = {}

    def take(self, pod_uid: str, container: Object, *, init: bool = False) -> dict[str, str]:
        """The variables that show a container its GPUs and no others; empty on a node that declares none.

        What init containers had goes on to the containers after them.
        """
        if not self._count:
            return {}
        limits = (container.get("resources") or {}).get("limits") or {}
        wanted = int(quantity.parse(limits.get(GPU, "0")))
        passed_on = f"{pod_uid}/"
        owner = passed_on if init else passed_on + str(container["name"])
        usable = [n for n in range(self._count) if self._owners.get(n, owner) in (owner, passed_on)]
        if wanted > len(usable):
            raise DevicesExhaustedError(f"{container['name']} asks for {wanted} {GPU}, {len(usable)} are free")
        chosen = sorted(usable, key=lambda n: n not in self._owners)[:wanted]
        self._owners |= dict.fromkeys(chosen, owner)
        return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, sorted(chosen)))}

    def give_back(self, pod_uid: str) -> None:
        """The pod's containers have ended for good."""
        self._owners = {n: owner for n, owner in self._owners.items() if not owner.startswith(f"{pod_uid}/")}
