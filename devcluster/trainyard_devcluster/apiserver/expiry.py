"""Events are forgotten after an hour, as on any cluster."""

import asyncio
from datetime import timedelta

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import dig, key_of, parse_time

LIFETIME = timedelta(hours=1)
_LOOK_SECONDS = 60.0


def forget_old_events(cluster: Cluster) -> None:
    """Delete the events that nothing was added to for an hour."""
    for event in list(cluster.store.objects("events")):
        series = dig(event, "series", "lastObservedTime")
        last = series or event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
        if cluster.clock() - parse_time(last) > LIFETIME:
            cluster.store.delete("events", key_of(event))


async def keep_forgetting(cluster: Cluster) -> None:
    """Forget old events for as long as the server runs."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        forget_old_events(cluster)
