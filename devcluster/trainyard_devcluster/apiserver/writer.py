"""The write path: every create, update, patch and delete goes through here, synchronously.

Nothing in this module awaits, so each write sees and leaves a consistent store.
"""

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.admission import admit
from trainyard_devcluster.apiserver.checks import check
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.decoding import completed
from trainyard_devcluster.apiserver.patch import managers as managed
from trainyard_devcluster.apiserver.patch.fieldset import FieldSet
from trainyard_devcluster.apiserver.request import WriteOptions
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.schema.decode import decode
from trainyard_devcluster.apiserver.store import Stored
from trainyard_devcluster.apiserver.values import Object, clone, key_of

_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
"""Metadata that only the server writes."""


class Writer:
    """Writes objects of any resource."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._store = cluster.store

    def stored(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Return an object.

        Raises:
            ApiError: 404, there is none of that name.
        """
        found = self._store.get(resource.storage, (namespace, name))
        if found is None:
            raise errors.not_found(resource.plural, resource.group, name)
        return found

    def create(self, resource: Resource, namespace: str, obj: Object, options: WriteOptions) -> Object:
        """Store a new object.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (it exists) or 422.
        """
        self._prepare_new(resource, namespace, obj)
        blank = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}
        self._own(resource, blank, obj, {}, options)
        return self._store_new(resource, namespace, obj, options)

    def update(self, resource: Resource, old: Object, new: Object, options: WriteOptions) -> Object:
        """Store the next version of an object, or remove it where it only waited for its last finalizer.

        Raises:
            ApiError: 409 (it has changed since) or 422.
        """
        cleared = new["metadata"].get("managedFields") in ([], [{}])
        self._prepare_update(resource, old, new, options)
        self._own(resource, old, new, {} if cleared else managed.read(old), options)
        return self._store_update(resource, old, new, options)

    def apply(
        self, resource: Resource, namespace: str, name: str, config: Object, options: WriteOptions
    ) -> tuple[Object, bool]:
        """Server-side apply; return the object and whether it was created.

        Raises:
            ApiError: 409, fields belong to others (without `force`); 404, a subresource of no object; and as `create`.
        """
        found = self._store.get(resource.storage, (namespace, name))
        if found is None and options.subresource:
            raise errors.not_found(resource.plural, resource.group, name)
        live = resource.view(found.obj) if found else self._blank(resource, namespace, name)
        manager = managed.Manager(options.manager, "Apply", resource.api_version, options.subresource)
        merged, managers = managed.after_apply(
            live, config, managed.read(live), by=manager, schema=resource.schema,
            ignored=_ignored(resource, options.subresource), force=options.force, now=self._cluster.now,
        )  # fmt: skip
        new = completed(resource, decode(merged, resource.schema).value)
        if found is None:
            return self._create_applied(resource, namespace, new, managers, options), True
        self._prepare_update(resource, found.obj, new, options)
        new["metadata"]["managedFields"] = managed.write(managers)
        return self._store_update(resource, found.obj, new, options), False

    def _blank(self, resource: Resource, namespace: str, name: str) -> Object:
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}

    def _create_applied(
        self, resource: Resource, namespace: str, new: Object, managers: managed.Managers, options: WriteOptions
    ) -> Object:
        if new["metadata"].get("uid"):
            uid = new["metadata"]["uid"]
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise errors.conflict(resource.plural, resource.group, new["metadata"]["name"], why)
        self._prepare_new(resource, namespace, new)
        new["metadata"]["managedFields"] = managed.write(managers)
        return self._store_new(resource, namespace, new, options)

    def _prepare_new(self, resource: Resource, namespace: str, obj: Object) -> None:
        self._identify(resource, namespace, obj)
        self._begin(resource, obj)
        admit(self._cluster, resource, obj)
        resource.behaviour.prepare(self._cluster, obj, None)

    def _prepare_update(self, resource: Resource, old: Object, new: Object, options: WriteOptions) -> None:
        self._check_versions(resource, old, new)
        metadata, before = new["metadata"], old["metadata"]
        for field in (*_KEPT, "managedFields"):
            metadata.pop(field, None)
            if field in before:
                metadata[field] = before[field]
        self._reset(resource, old, new, options.subresource)
        resource.behaviour.prepare(self._cluster, new, old)
        self._count_generation(resource, old, new)

    def _identify(self, resource: Resource, namespace: str, obj: Object) -> None:
        metadata = obj["metadata"]
        if resource.namespaced:
            if metadata.get("namespace", namespace) != namespace:
                raise errors.wrong_namespace()
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._cluster.new_name(metadata["generateName"])

    def _begin(self, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        if metadata.pop("resourceVersion", None):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        for field in (*_KEPT, "managedFields"):
            metadata.pop(field, None)
        metadata["uid"] = self._cluster.new_uid()
        metadata["creationTimestamp"] = self._cluster.now
        if resource.generation:
            metadata["generation"] = 1
        if resource.status and not resource.behaviour.keeps_status:
            obj.pop("status", None)
            if not resource.custom:
                obj["status"] = {}  # In Go a struct, so it is always there.

    def _check_versions(self, resource: Resource, old: Object, new: Object) -> None:
        sent, metadata = new["metadata"], old["metadata"]
        name = metadata["name"]
        if sent.get("uid", metadata["uid"]) != metadata["uid"]:
            why = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {metadata['uid']}"
            raise errors.conflict(resource.plural, resource.group, name, why)
        version = sent.get("resourceVersion")
        if version and version not in ("0", metadata["resourceVersion"]):
            raise errors.conflict(resource.plural, resource.group, name, errors.STALE)
        sent["resourceVersion"] = metadata["resourceVersion"]

    def _reset(self, resource: Resource, old: Object, new: Object, subresource: str) -> None:
        """Undo changes to the half of the object that this endpoint does not write."""
        if subresource == "status":
            status = new.get("status")
            for field in [field for field in new if field not in old]:
                del new[field]
            kept = {key: value for key, value in old.items() if key not in ("status", "metadata")}
            new.update(clone(kept))
            new["metadata"] = dict(old["metadata"])
            if status is None:
                new.pop("status", None)
            else:
                new["status"] = status
        elif resource.status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = clone(old["status"])

    def _count_generation(self, resource: Resource, old: Object, new: Object) -> None:
        if resource.generation and _specification(resource, old) != _specification(resource, new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def _own(
        self, resource: Resource, old: Object, new: Object, managers: managed.Managers, options: WriteOptions
    ) -> None:
        manager = managed.Manager(options.manager, "Update", resource.api_version, options.subresource)
        new["metadata"]["managedFields"] = managed.write(
            managed.after_update(
                old,
                new,
                managers,
                by=manager,
                schema=resource.schema,
                ignored=_ignored(resource, options.subresource),
                now=self._cluster.now,
            )
        )

    def _store_new(self, resource: Resource, namespace: str, obj: Object, options: WriteOptions) -> Object:
        check(resource, obj)
        key = (namespace, obj["metadata"]["name"])
        if self._store.get(resource.storage, key):
            raise errors.already_exists(resource.plural, resource.group, key[1])
        return obj if options.dry_run else self._store.put(resource.storage, key, _ordered(obj)).obj

    def _store_update(self, resource: Resource, old: Object, new: Object, options: WriteOptions) -> Object:
        check(resource, new, old, status_only=options.subresource == "status")
        if new == old:
            return old
        if options.dry_run:
            return new
        if is_gone(new):
            return self._store.delete(resource.storage, key_of(old)).obj
        return self._store.put(resource.storage, key_of(new), _ordered(new)).obj


def _ignored(resource: Resource, subresource: str) -> FieldSet:
    """What this endpoint does not write, and so nobody comes to own through it."""
    if subresource == "status":
        return FieldSet({f"f:{name}" for name in ("metadata", *resource.schema.properties) if name != "status"})
    return FieldSet({"f:status"}) if resource.status else FieldSet()


def _specification(resource: Resource, obj: Object) -> Object:
    skipped = ("metadata", "status") if resource.status or not resource.custom else ("metadata",)
    return {key: value for key, value in obj.items() if key not in skipped}


def _ordered(obj: Object) -> Object:
    """Return the object with its type first, as the list encoder relies on."""
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"]} | obj


def is_gone(obj: Object) -> bool:
    """Return whether nothing holds back an object that is being deleted."""
    metadata = obj["metadata"]
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not (obj["kind"] == "Namespace" and (obj.get("spec") or {}).get("finalizers"))
    )
