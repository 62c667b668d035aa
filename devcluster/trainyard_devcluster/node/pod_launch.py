"""From a pod's container to the process to start: what its pod and its node add to it."""

from dataclasses import dataclass
from functools import partial

from trainyard_devcluster.node import images
from trainyard_devcluster.node.context import NodeContext
from trainyard_devcluster.node.env import expand
from trainyard_devcluster.node.fields import PodFacts, field_value, resource_value
from trainyard_devcluster.node.launch import ContainerFolder, Launch, launch, variables
from trainyard_devcluster.node.pod_files import PodFiles
from trainyard_devcluster.node.volumes import mounts_of
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of
from trainyard_devcluster.strays import CONTAINER_MARK, NODE_MARK


@dataclass(frozen=True, slots=True)
class PodLauncher:
    """Everything known when one of the pod's containers is started."""

    node: NodeContext
    pod: Object
    files: PodFiles
    facts: PodFacts

    def launch(self, container: Object, folder: ContainerFolder, container_id: str, *, init: bool) -> Launch:
        """The process to start. ImageError, ConfigError, MountError or DevicesExhaustedError where that cannot be."""
        container = self.files.admitted(container)
        image = images.find(self.node.images, container)
        base = {"HOSTNAME": self.pod["spec"].get("hostname") or name_of(self.pod)}
        base |= self.node.cluster_variables(self.pod)
        if self.files.kubeconfig:
            base["KUBECONFIG"] = str(self.files.kubeconfig)
        base |= self.node.gpus.take(uid_of(self.pod), container, init=init)
        field = partial(self._field, container["name"])
        values = variables(container, image, base, lookup=self.files.lookup, field=field)
        mounts = mounts_of(container, self.files.folders, lambda text: expand(text, values))
        return launch(container, image, values, mounts=mounts, folder=folder, marks=self._marks(container_id))

    def _field(self, container_name: str, value_from: Object) -> str:
        if reference := value_from.get("fieldRef"):
            return field_value(self.pod, reference["fieldPath"], self.facts)
        return resource_value(self.pod, container_name, value_from["resourceFieldRef"], self.facts)

    def _marks(self, container_id: str) -> dict[str, str]:
        return {
            CONTAINER_MARK: container_id,
            NODE_MARK: str(self.node.settings.folder),
            "DEVCLUSTER_POD_IP": self.facts.pod_ip,
            "DEVCLUSTER_HOSTS": str(self.node.hosts_file),
            "DEVCLUSTER_NAMESPACE": namespace_of(self.pod),
        }
