"""Taking over objects that nobody controls and that a selector means, such as those left by an orphaning delete."""

from trainyard_devcluster import pods
from trainyard_devcluster.client import Client, ConflictError, InvalidError, NotFoundError
from trainyard_devcluster.controllers.pod_template import owner_reference
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.resources import Object, controller_of, name_of, namespace_of, uid_of
from trainyard_devcluster.selectors import matches


async def adopt(client: Client, owner: Object, candidates: Informer) -> None:
    """Make `owner` the controller of every matching object of its namespace that has none."""
    for candidate in candidates.by_index("namespace", namespace_of(owner)):
        if not _is_free(candidate) or not matches(owner["spec"]["selector"], candidate["metadata"].get("labels")):
            continue
        metadata = candidate["metadata"]
        references = [*(metadata.get("ownerReferences") or ()), owner_reference(owner)]
        change = {"uid": uid_of(candidate), "resourceVersion": metadata["resourceVersion"]}
        body: Object = {"metadata": change | {"ownerReferences": references}}
        try:
            taken = await client.patch(candidates.resource, name_of(candidate), body, namespace_of(candidate))
        except (ConflictError, InvalidError, NotFoundError):
            continue
        candidates.observe(taken)


def _is_free(candidate: Object) -> bool:
    return controller_of(candidate) is None and not pods.is_terminating(candidate) and not pods.is_terminal(candidate)
