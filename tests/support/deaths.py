"""Kills the operator at every single call of a life, without living every life from its beginning to its end."""

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, Self, TypeVar

from support.fake_cluster import FakeCluster, Killed

Moment = Literal["fail_at", "fail_after"]


class Mortal(Protocol):
    """A world in which the operator can die."""

    cluster: FakeCluster

    def fork(self) -> Self:
        """Return a world that is as this one is now, and goes its own way from here."""

    def state(self) -> object:
        """Return what the future depends on, the memory of the operator included."""

    def restart(self) -> object:
        """Start the operator anew."""

    async def act(self) -> None:
        """Let the operator, and then everybody else, act once."""


World = TypeVar("World", bound=Mortal)
Change = Callable[[World], object]
"""Something that happens in a world. It depends on nothing else; the operator has no part in it."""


@dataclass(frozen=True)
class _Turn(Generic[World]):
    """One turn of the undisturbed life: the world before it, the calls in it, the state after it."""

    before: World
    calls: range
    after: object


async def every_death(world: World, life: Sequence[Change[World]], moment: Moment) -> AsyncIterator[tuple[str, World]]:
    """Live undisturbed, then die at every call once; yield for each death its name, and the world in the end.

    After each change everybody acts in turns until nothing changes. A life with a death begins at the turn in which the
    operator dies. It is over as soon as its state is that of the undisturbed life after the same turn, for then both
    have the same future; a life that differs lives on.
    """
    turns = [await _undisturbed(world, change) for change in life]
    for number, known in enumerate(turns):
        for first, turn in enumerate(known):
            for call in turn.calls:
                mortal = turn.before.fork()
                setattr(mortal.cluster, moment, call)
                left = [known[first:], *turns[number + 1 :]]
                yield f"{moment} {world.cluster.calls[call]} (call {call})", await _end(mortal, world, life, left)


async def _undisturbed(world: World, change: Change[World]) -> list[_Turn[World]]:
    change(world)
    turns: list[_Turn[World]] = []
    while len(turns) < 20:
        before, begin = world.fork(), len(world.cluster.calls)
        await world.act()
        turns.append(_Turn(before, range(begin, len(world.cluster.calls)), world.state()))
        if world.cluster.version == before.cluster.version:
            return turns
    raise AssertionError("the cluster does not come to rest")


async def _end(
    mortal: World, undisturbed: World, life: Sequence[Change[World]], turns: list[list[_Turn[World]]]
) -> World:
    for number, known in enumerate(turns):
        if number:
            life[number - len(turns)](mortal)
        for count in range(20):
            before = mortal.cluster.version
            await _survive(mortal)
            if count < len(known) and mortal.state() == known[count].after:
                end = copy.copy(undisturbed)
                end.cluster = copy.copy(undisturbed.cluster)
                end.cluster.calls = mortal.cluster.calls + undisturbed.cluster.calls[known[count].calls.stop :]
                return end
            if mortal.cluster.version == before:
                break
        else:
            raise AssertionError("the cluster does not come to rest")
    return mortal


async def _survive(mortal: Mortal) -> None:
    try:
        await mortal.act()
    except Killed:
        mortal.cluster.fail_at = mortal.cluster.fail_after = None
        mortal.restart()
        await mortal.act()
