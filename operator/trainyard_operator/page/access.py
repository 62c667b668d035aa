"""Who somebody is, and what they may see: the API server says both, and is asked anew after a while."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from trainyard_api.meta import GROUP
from trainyard_operator.cluster.errors import NotFound, Unavailable
from trainyard_operator.cluster.port import Manifest

_KEPT_SECONDS = 20.0
"""How long an answer counts: so long somebody may still look on who may no more."""
_MOST_ANSWERS = 2000
_AT_ONCE = 8
"""Questions to the API server at a time, however many people look."""
MOST_NAMESPACES = 200
"""Asked about for one person who may not see all of them."""
_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

Answer = TypeVar("Answer")


class Reviews(Protocol):
    """Asks the API server for a review."""

    async def review(self, url: str, review: Manifest) -> Manifest:
        """Return the review with its status."""
        ...


@dataclass(frozen=True, slots=True)
class User:
    """Who a token belongs to.

    Attributes:
        wire: Name, uid, groups and extra, as a SubjectAccessReview takes them.
    """

    name: str
    wire: str
    fields: Manifest = field(compare=False, hash=False)


@dataclass(slots=True)
class _Remembered(Generic[Answer]):
    """Answers by their questions, for a while."""

    clock: Callable[[], float]
    _answers: OrderedDict[Hashable, tuple[float, Answer]] = field(default_factory=OrderedDict)

    async def get(self, question: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        known = self._answers.get(question)
        if known is not None and self.clock() < known[0]:
            return known[1]
        answer = await ask()
        self._answers.pop(question, None)
        self._answers[question] = (self.clock() + _KEPT_SECONDS, answer)
        while len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)
        return answer


class Access:
    """Asks about tokens and rights, and remembers the answers for some seconds."""

    def __init__(self, reviews: Reviews, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews = reviews
        self._users: _Remembered[User | None] = _Remembered(clock)
        self._rights: _Remembered[bool] = _Remembered(clock)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def user(self, token: str) -> User | None:
        """Return who a bearer token belongs to, or None where the API server does not know it.

        Raises:
            ApiError: the API server could not be asked.
        """
        # The token itself is not kept.
        return await self._users.get(hashlib.sha256(token.encode()).digest(), lambda: self._ask_user(token))

    async def may(self, user: User, verb: str, resource: str, namespace: str = "", group: str = GROUP) -> bool:
        """Return whether a user may do something in a namespace, or in all of them (empty).

        Raises:
            ApiError: the API server could not be asked.
        """
        question = (user.wire, verb, group, resource, namespace)
        return await self._rights.get(question, lambda: self._ask_right(user, verb, group, resource, namespace))

    async def visible(self, user: User, resource: str, namespaces: Collection[str]) -> set[str]:
        """Return those of the namespaces whose objects of a kind a user may list."""
        if not namespaces or await self.may(user, "list", resource):
            return set(namespaces)
        asked = sorted(namespaces)[:MOST_NAMESPACES]
        answers = await asyncio.gather(*(self.may(user, "list", resource, each) for each in asked))
        return {namespace for namespace, allowed in zip(asked, answers, strict=True) if allowed}

    async def _ask_user(self, token: str) -> User | None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = await self._status(_TOKEN_REVIEWS, review)
        found = status.get("user")
        if status.get("authenticated") is not True or not isinstance(found, dict) or not found.get("username"):
            return None
        name = str(found["username"])
        wire = {
            "user": name,
            "uid": str(found.get("uid") or ""),
            "groups": [str(each) for each in found.get("groups") or []],
            "extra": found.get("extra") or {},
        }
        return User(name, repr(wire), wire)

    async def _ask_right(self, user: User, verb: str, group: str, resource: str, namespace: str) -> bool:
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        spec = user.fields | {"resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return (await self._status(_ACCESS_REVIEWS, review)).get("allowed") is True

    async def _status(self, url: str, review: Manifest) -> dict[str, Any]:
        try:
            async with self._slots:
                answer = await self._reviews.review(url, review)
        except NotFound as error:  # an API server without reviews is no object that is not there
            raise Unavailable(str(error), code=error.code) from error
        status = answer.get("status")
        return status if isinstance(status, dict) else {}
