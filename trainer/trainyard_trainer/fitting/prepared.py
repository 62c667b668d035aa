"""What a training starts from: its data, read once, and the settings that were checked against them."""

from dataclasses import dataclass

from trainyard_trainer.data.dataset import DataSet
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.fitting.stopping import StopPolicy
from trainyard_trainer.privacy.plan import PrivacyPlan
from trainyard_trainer.spec import Run
from trainyard_trainer.tensors import Floats


@dataclass(frozen=True, slots=True)
class Prepared:
    """A training whose input has been found good. `run` has all settings, those too that its spec left open."""

    run: Run
    table: DataSet
    profile: Profile
    policy: StopPolicy
    metrics: tuple[str, ...]
    cache_bytes: int
    class_weights: Floats | None
    privacy: PrivacyPlan | None
