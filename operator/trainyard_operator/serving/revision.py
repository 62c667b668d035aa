"""A revision: one model version together with the server settings it is served with."""

import hashlib
import json
from dataclasses import dataclass, field

from trainyard_api.modelservice import PublicKey
from trainyard_api.pods import Resources
from trainyard_api.server import Server
from trainyard_operator.serving.gate import Gated
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.workloads.blockers import Blocker


@dataclass(frozen=True, slots=True)
class Fetching:
    """How the model comes to its server.

    Attributes:
        secret: Opens the store that the model comes from.
        any_operation: Whether the model's graph may do more than compute.
        structure: Whether a complete SavedModel without a manifest will do.
        public_key: Whose signature the version must have.
        resources: Those of the init container; the operator's defaults where it names none.
    """

    secret: str | None = None
    any_operation: bool = False
    structure: bool = False
    public_key: PublicKey | None = None
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Revision:
    """What the pods of one revision run.

    Attributes:
        profile: The TrainingProfile that the spec names.
        known_as: Its id, where a profile has filled in what the id is not made of.
        id: Names it among the revisions of its service.
    """

    model: ModelVersion
    server: Server
    fetching: Fetching = field(default_factory=Fetching)
    profile: str | None = None
    known_as: str | None = None
    id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Every reconcile compares ids many times.
        object.__setattr__(self, "id", _digest(self) if self.known_as is None else self.known_as)


def _digest(revision: Revision) -> str:
    """Return eight hex digits that change with what the pods run, and with nothing else.

    The operator's version and its images stay out, so that its upgrade rolls nothing. So do fields that are left at
    their defaults, so that a field added later changes no id; except the image, whose default moves on with the
    releases while the API server keeps what it filled in.
    """
    server = revision.server.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"image"})
    content: dict[str, object] = {
        "uri": revision.model.uri,
        "digest": revision.model.digest,
        "image": revision.server.image,
        "server": server,
    }
    fetching = revision.fetching
    content |= {"profile": revision.profile} if revision.profile else {}
    content |= {"secret": fetching.secret} if fetching.secret else {}
    content |= {"anyOperation": True} if fetching.any_operation else {}
    content |= {"structure": True} if fetching.structure else {}
    content |= {"publicKey": fetching.public_key.to_wire()} if fetching.public_key else {}
    content |= {"fetch": fetching.resources.to_wire()} if fetching.resources != Resources() else {}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Target:
    """What a ModelService shall serve.

    Attributes:
        revision: The revision, where it is known.
        waiting: What is being waited for. Nothing is wrong.
        blocker: What is wrong.
        gated: What came of the gate, where there is one.
    """

    revision: Revision | None = None
    waiting: Blocker | None = None
    blocker: Blocker | None = None
    gated: Gated | None = None
