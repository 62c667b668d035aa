"""Keeps the registry in step with the CustomResourceDefinitions in the store."""

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.definitions import TABLE, resources_of
from trainyard_devcluster.apiserver.store import Event


def serve_definitions(cluster: Cluster) -> None:
    """Serve what each definition in the store describes, from the moment it is stored until it is deleted."""

    def notice(event: Event) -> None:
        name = event.key[1]
        if event.type == "DELETED":
            cluster.registry.remove_custom(name)
            cluster.store.drop(f"{event.now.obj['spec']['names']['plural']}.{event.now.obj['spec']['group']}")
        else:
            cluster.registry.set_custom(name, resources_of(event.now.obj))

    cluster.store.table(TABLE).listeners.add(notice)
