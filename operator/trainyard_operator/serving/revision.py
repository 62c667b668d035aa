"""A revision: one model version together with the server settings it is served with."""

import hashlib
import json
from dataclasses import dataclass

from trainyard_api.modelservice import Server
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.workloads.blockers import Blocker


@dataclass(frozen=True, slots=True)
class Revision:
    """What the pods of one revision run.

    Attributes:
        secret: Opens the store that the model comes from.
        any_operation: Whether the model's graph may do more than compute.
    """

    model: ModelVersion
    server: Server
    secret: str | None = None
    any_operation: bool = False

    @property
    def id(self) -> str:
        """Eight hex digits that change with what the pods run, and with nothing else.

        The operator's version and its images stay out, so that its upgrade rolls nothing. So do fields that are left at
        their defaults, so that a field added later changes no id; except the image, whose default moves on with the
        releases while the API server keeps what it filled in.
        """
        server = self.server.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"image"})
        content: dict[str, object] = {
            "uri": self.model.uri,
            "digest": self.model.digest,
            "image": self.server.image,
            "server": server,
        }
        content |= {"secret": self.secret} if self.secret else {}
        content |= {"anyOperation": True} if self.any_operation else {}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Target:
    """What a ModelService shall serve.

    Attributes:
        revision: The revision, where it is known.
        waiting: What is being waited for. Nothing is wrong.
        blocker: What is wrong.
    """

    revision: Revision | None = None
    waiting: Blocker | None = None
    blocker: Blocker | None = None
