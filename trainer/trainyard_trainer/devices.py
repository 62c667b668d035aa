"""What the training runs on: CPU or GPUs, and how TensorFlow is set up for it."""

import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Strategy


class Devices:
    """Sets TensorFlow up; a second time in a process only the seed is new.

    With more than one GPU or process the work is mirrored: each holds the weights and trains on its share of every
    batch. `addresses` are those of the processes, where there are several, and `index` is the number of this one. Where
    the last `servers` of them are parameter servers, those hold the weights instead.
    """

    def __init__(self, seed: int, addresses: Sequence[str] = (), index: int = 0, servers: int = 0) -> None:
        import keras
        import tensorflow as tf

        from trainyard_trainer.workers.distribution import strategy_for

        gpus = tf.config.list_physical_devices("GPU")
        self.own_gpus = len(gpus)
        """How many this process has."""
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        threads = tf.config.threading
        if threads.get_intra_op_parallelism_threads() != usable_cpus():
            threads.set_intra_op_parallelism_threads(usable_cpus())
        # One step is a chain of small operations: handing them from thread to thread costs a fifth of the speed.
        if not gpus and not servers and threads.get_inter_op_parallelism_threads() != 1:
            threads.set_inter_op_parallelism_threads(1)
        # Before all else that starts TensorFlow: its servers can be started only with it.
        self.strategy: Strategy | None = strategy_for(len(gpus), addresses, index, servers)
        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self.workers = len(addresses) - servers - 1 if servers else 0
        """How many train at once, each by itself, with parameter servers; 0 without."""
        if self.workers:
            gpus = [gpu for gpu in tf.config.list_logical_devices("GPU") if gpu.name.startswith("/job:worker")]
            self.gpus = len(gpus)
            self.kind = f"{self.workers} asynchronous worker(s) with {'a GPU' if gpus else 'CPU'} each"
            self.description = f"{self.kind}, and {servers} parameter server(s)"
            self.has_bfloat16 = False  # nobody has asked the workers
            return
        self.gpus = len(gpus) * max(1, len(addresses))
        own = f"{len(gpus)} GPU(s)" if gpus else f"{usable_cpus()} CPU thread(s)"
        self.description = f"{len(addresses)} workers with {own} each" if addresses else own
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        kind = f"{len(gpus)} x {details[0].get('device_name', 'GPU')}" if gpus else "CPU"
        self.kind = f"{len(addresses)} workers with {kind}" if addresses else kind
        """What speed depends on: a training that comes back on another kind has to measure again."""
        self.has_bfloat16 = (
            all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
            if gpus
            else _cpu_has_bfloat16()
        )

    def scope(self) -> AbstractContextManager[object]:
        """Return the context in which variables are to be made."""
        return self.strategy.scope() if self.strategy else nullcontext()


@contextmanager
def deterministic() -> Iterator[None]:
    """Say what to change where TensorFlow finds only now that it has no deterministic kernel for an operation.

    Raises:
        BadInput: it has none.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.UnimplementedError as error:
        if "determinis" not in str(error).lower():
            raise
        raise BadInput(
            "the model has an operation that a GPU computes differently each time, which this trainer does not do, "
            "because a training that is restarted has to end like one that is not: use another operation, or train on "
            "a CPU (spec.roles.worker.gpus: 0), or bring the whole program as program.container. TensorFlow says: "
            + one_line(error, 600)
        ) from error


def check_gpus(wanted: int, found: int, env: Mapping[str, str]) -> None:
    """Refuse to train without the GPUs that the pod was given: it would hold them, and train on CPUs.

    Raises:
        BadInput: TensorFlow has found fewer than were asked for.
    """
    import tensorflow as tf

    if found >= wanted:
        return
    if not tf.test.is_built_with_cuda():
        cause = (
            "the TensorFlow of this image is built without CUDA; take the trainer's image with CUDA, whose tag ends in "
            "-gpu, in roles.worker.image or in the operator's setting trainer_gpu_image"
        )
    else:
        visible = env.get("NVIDIA_VISIBLE_DEVICES", "not set")
        cause = (
            "see that the node's NVIDIA driver is new enough for the CUDA of this image, that the NVIDIA runtime "
            f"starts its containers (NVIDIA_VISIBLE_DEVICES is {visible!r:.200}; runtimeClassName may be missing in "
            "roles.worker.template), and what TensorFlow says in the first lines of the log"
        )
    raise BadInput(f"spec.roles.worker.gpus is {wanted}, but TensorFlow has found {found}: {cause}")


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def usable_cpus() -> int:
    """Return the number of CPUs this process may use, by its affinity and its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))


def usable_memory() -> int:
    """Return the bytes this process may use, by the machine's memory and its container's limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return machine
    return machine if limit == "max" else min(machine, int(limit))


def peak_memory() -> int:
    """Return the most bytes this process has had in memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
