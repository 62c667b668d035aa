"""The model version that predicts: found, copied with every check of a server, and its signature."""

from dataclasses import dataclass
from pathlib import Path

from trainyard_api.model_uris import VersionUri
from trainyard_api.names import MANIFEST_FILE, SIGNATURE
from trainyard_fetcher.copying import Demands, FetchError, Origin, fetch
from trainyard_fetcher.volume import Folder
from trainyard_trainer.errors import BadInput, listed
from trainyard_trainer.export.keras_model import signatures_of
from trainyard_trainer.export.signatures import SignatureDescription
from trainyard_trainer.prediction.request import Request
from trainyard_trainer.programs.operations import check_saved
from trainyard_trainer.stores.faults import StoreUnavailable
from trainyard_trainer.stores.objects import ObjectStore
from trainyard_trainer.stores.origins import StoredVersion, told


@dataclass(frozen=True, slots=True)
class FetchedVersion:
    """A verified copy of a model version; `address` is where it is from."""

    address: str
    folder: Path
    signature: SignatureDescription


def find_version(request: Request) -> str:
    """Return the path or URI of the version to take.

    Raises:
        BadInput: there is none.
        StoreUnavailable: the store fails.
    """
    wanted = request.program.model
    if wanted.uri is not None:
        return _address(request, wanted.uri)
    where = f"{request.store}/{wanted.name}"
    # All names, because GCS lists no folders that were not made as such.
    files = ObjectStore(where, request.store_access).names(recursive=True)
    folders = [folder for folder, _, name in (path.partition("/") for path in files) if name == MANIFEST_FILE]
    numbers = [int(folder) for folder in folders if folder.isdecimal()]
    if not numbers:
        raise BadInput(
            f"there is no complete version of model {wanted.name!r} at {where}: train it first, or name another one in "
            "program.predict.model"
        )
    return f"{where}/{max(numbers)}"


def fetch_version(request: Request, address: str, target: Path) -> FetchedVersion:
    """Copy a version to a new folder, and look what it takes.

    Raises:
        BadInput: it is not there, altered or incomplete, uses an operation that no model may have, or does not answer
            by columns.
        StoreUnavailable: the store fails.
    """
    try:
        # Its own check of operations advises on a field that only a ModelService has.
        fetch(_origin(request, address), target, Demands(any_operation=True), wait=0)
    except FetchError as error:
        if error.reason == StoreUnavailable.reason:
            raise StoreUnavailable(str(error)) from error
        raise BadInput(f"program.predict.model: {error}") from error
    check_saved(target, f"the model at {address}")
    signatures = signatures_of(target)
    if SIGNATURE not in signatures:
        raise BadInput(
            f"the model at {address} has no signature {SIGNATURE} (it has {listed(signatures) or 'none'}): export it "
            "with one"
        )
    return FetchedVersion(address, target, signatures[SIGNATURE])


def _address(request: Request, uri: str) -> str:
    try:
        version = VersionUri.parse(uri)
    except ValueError as error:
        raise BadInput(f"program.predict.model.uri: {error}") from error
    if version.claim is None:
        return str(version)
    if request.mounted is None:
        raise BadInput(
            f"program.predict.model.uri is {uri}, on a volume that only a cluster mounts: use model.name for a model "
            "in output.store"
        )
    return str(request.mounted)


def _origin(request: Request, address: str) -> Origin:
    if "://" not in address:
        return Folder(Path(address))
    with told():
        return StoredVersion(address, request.store_access)
