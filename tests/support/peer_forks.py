"""Pairs of workers without TensorFlow, of which one is frozen: real processes, forked, so that many cost little.

`python -m support.peer_forks MOMENTS SEED` prints for each pair, as a line of JSON, how the one that was left ended.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.trainer_pairs import tf_configs
from trainyard_trainer.errors import PeerLost
from trainyard_trainer.workers.cluster import read_cluster
from trainyard_trainer.workers.rendezvous import Invitation, join_group

BEAT_SECONDS = 0.05


def _work(config: str, met: Path, *, waits_for_ever: bool) -> None:
    """Train as seen by the peers: numbers are exchanged again and again, with some work, or a hang, between."""

    def end(loss: PeerLost, how: str) -> None:
        met.with_suffix(".end").write_text(json.dumps({"how": how, "message": str(loss)}))
        os._exit(loss.exit_code)

    cluster = read_cluster({"TF_CONFIG": config})
    rendezvous = join_group(
        cluster, Invitation({}), seconds=60, abandon=lambda loss: end(loss, "abandoned"), beat_seconds=BEAT_SECONDS
    )
    met.touch()
    if waits_for_ever:
        threading.Event().wait()  # as TensorFlow does for another worker's gradient
    chance = random.Random(cluster.index)
    try:
        while True:
            rendezvous.group.gather(cluster.index)
            time.sleep(chance.uniform(0, 0.01))
    except PeerLost as loss:
        end(loss, "noticed")


def _frozen_pair(chance: random.Random, folder: Path) -> dict[str, Any]:
    frozen, waits = chance.randrange(2), chance.random() < 0.5
    met = [folder / f"met-{index}" for index in (0, 1)]
    pids = []
    for config, path in zip(tf_configs(2), met, strict=True):
        if not (pid := os.fork()):
            _work(config, path, waits_for_ever=waits)
        pids.append(pid)
    while not all(each.exists() for each in met):
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.4))
    os.kill(pids[frozen], signal.SIGSTOP)
    began = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(pids[1 - frozen], 0)[1])
    took = time.monotonic() - began
    os.kill(pids[frozen], signal.SIGKILL)
    os.waitpid(pids[frozen], 0)
    end = json.loads(met[1 - frozen].with_suffix(".end").read_text())
    return {"frozen": frozen, "waits": waits, "code": code, "beats": took / BEAT_SECONDS} | end


if __name__ == "__main__":
    chance = random.Random(sys.argv[2])
    for _ in range(int(sys.argv[1])):
        with TemporaryDirectory() as folder:
            print(json.dumps(_frozen_pair(chance, Path(folder))), flush=True)
