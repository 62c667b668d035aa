"""What goes from a model's store after a publish, and what stays whatever is asked for."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.stores import S3
from trainyard_api.housekeeping import USE_FILE, StoreUse
from trainyard_api.names import MANIFEST_FILE
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.housekeeping import Contents, Housekeeping, Leftovers, leftovers, read_use
from trainyard_trainer.stores.objects import ObjectStore

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=1)
GONE, LIVE = "0b1c2d3e-gone", "0b1c2d3e-live"


@dataclass(frozen=True)
class Case:
    """A store, what the operator says of it, and what goes.

    Attributes:
        files: Names, or pairs of a name and its last change.
        makers: The trainings that made versions 1, 2, ...
    """

    files: tuple[str | tuple[str, datetime], ...] = ()
    makers: tuple[str, ...] = ()
    use: StoreUse = field(default_factory=lambda: said())
    keep: int | None = None
    shared: bool = False
    goes: Leftovers = field(default_factory=Leftovers)


def said(**facts: object) -> StoreUse:
    return StoreUse.model_validate({"asOf": NOW - timedelta(minutes=5)} | facts)


def training(uid: str, *parts: str, at: datetime = BEFORE) -> tuple[tuple[str, datetime], ...]:
    return tuple((f".training/{uid}/{part}", at) for part in parts or ("checkpoints/step-1.ckpt", "logs/history.csv"))


FIVE = (GONE,) * 5
CASES = {
    "all versions stay unless the spec says how many": Case(makers=FIVE),
    "versions beyond the newest go": Case(makers=FIVE, keep=2, goes=Leftovers((1, 2, 3))),
    "what a service serves or names stays": Case(makers=FIVE, keep=2, use=said(inUse=[1, 3]), goes=Leftovers((2,))),
    "versions in use do not count against the others": Case(
        makers=FIVE, keep=1, use=said(inUse=[5, 4]), goes=Leftovers((1, 2, 3))
    ),
    "a training that has not ended finds its version again": Case(
        makers=(LIVE, GONE, GONE), keep=1, use=said(running=[LIVE], jobs=[LIVE]), goes=Leftovers((2,))
    ),
    "a version that is newer than the operator's word stays": Case(
        makers=(GONE, GONE, GONE),
        files=((f"1/{MANIFEST_FILE}", NOW - timedelta(minutes=4)),),
        keep=1,
        goes=Leftovers((2,)),
    ),
    "clocks may be a minute apart": Case(
        makers=(GONE, GONE), files=((f"1/{MANIFEST_FILE}", NOW - timedelta(minutes=5, seconds=30)),), keep=1
    ),
    "no version goes by an old word": Case(makers=FIVE, keep=1, use=said(asOf=NOW - timedelta(minutes=31))),
    "what a deleted job left goes, its logs too": Case(
        files=(*training(GONE), f".staging-{GONE}/saved_model.pb"),
        goes=Leftovers(folders=(f".training/{GONE}", f".staging-{GONE}")),
    ),
    "what a deleted job left goes by an old word too": Case(
        files=training(GONE, at=NOW - timedelta(days=3)),
        use=said(asOf=NOW - timedelta(days=2)),
        goes=Leftovers(folders=(f".training/{GONE}",)),
    ),
    "logs stay with the version that they tell of": Case(
        files=training(GONE), makers=(GONE,), goes=Leftovers(folders=(f".training/{GONE}/checkpoints",))
    ),
    "logs go with the version that they tell of": Case(
        files=training(GONE), makers=(GONE, LIVE), keep=1, goes=Leftovers((1,), (f".training/{GONE}",))
    ),
    "a running training keeps all": Case(
        files=(*training(LIVE), f".staging-{LIVE}/saved_model.pb"), use=said(running=[LIVE], jobs=[LIVE])
    ),
    "a training begun since the operator's word keeps all": Case(files=training(GONE, at=NOW - timedelta(minutes=1))),
    "a training that has ended keeps its logs": Case(
        files=training(LIVE), use=said(jobs=[LIVE]), goes=Leftovers(folders=(f".training/{LIVE}/checkpoints",))
    ),
    "a training that says so keeps its checkpoints": Case(
        files=training(LIVE), use=said(jobs=[LIVE], checkpoints=[LIVE])
    ),
    "a former run of a job keeps its logs while the next one runs": Case(
        files=(*training(LIVE), *training(f"{LIVE}-1")),
        use=said(jobs=[LIVE], running=[f"{LIVE}-1"]),
        goes=Leftovers(folders=(f".training/{LIVE}/checkpoints",)),
    ),
    "a training of another cluster stays until it is silent for a day": Case(
        files=training(GONE, at=NOW - timedelta(hours=23)), shared=True
    ),
    "what a stranger left a day ago goes": Case(
        files=training(GONE, at=NOW - timedelta(hours=25)), shared=True, goes=Leftovers(folders=(f".training/{GONE}",))
    ),
    "a store that others reach waits for no job of this cluster": Case(
        files=training(LIVE),
        shared=True,
        use=said(jobs=[LIVE]),
        goes=Leftovers(folders=(f".training/{LIVE}/checkpoints",)),
    ),
    "a version that was never finished goes with its training": Case(
        files=(f"4/.claim-{GONE}", "4/saved_model.pb"), goes=Leftovers(folders=("4",))
    ),
    "a version that is being written stays": Case(
        files=(f"4/.claim-{LIVE}", "4/saved_model.pb"), use=said(jobs=[LIVE], running=[LIVE])
    ),
    "a version that was half removed goes": Case(
        files=("4/.removed", "4/saved_model.pb"), goes=Leftovers(folders=("4",))
    ),
    "a version that was about to be removed, and is in use since, stays": Case(
        files=("1/.removed",), makers=(GONE, GONE), keep=1, use=said(inUse=[1])
    ),
    "what people put into the store stays": Case(
        files=("4/saved_model.pb", "notes/readme.txt", ".git/config", "1/variables/data"),
        makers=(GONE, GONE),
        keep=2,
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_what_goes_from_a_store(case: Case) -> None:
    made = {f"{number}/{MANIFEST_FILE}": BEFORE for number in range(1, len(case.makers) + 1)}
    given = dict((each, BEFORE) if isinstance(each, str) else each for each in case.files)
    contents = Contents(made | given, dict(enumerate(case.makers, 1)), case.shared)

    assert leftovers(contents, case.use, keep=case.keep, now=NOW) == case.goes


def a_manifest(number: int, uid: str) -> str:
    return json.dumps({"name": "churn", "version": number, "files": [], "trainingJob": {"uid": uid}})


def fill(write: Callable[[str, str], None]) -> None:
    """Three versions of a deleted job, what another one left, and a model that somebody put there."""
    for number in (1, 2, 3):
        write(f"{number}/{MANIFEST_FILE}", a_manifest(number, GONE))
        write(f"{number}/variables/data", "weights")
    write(".training/older/checkpoints/step-000000000100.ckpt", "weights")
    write(".training/older/logs/history.csv", "epoch,loss")
    write("7/saved_model.pb", "a model of somebody's own")


def a_spec(folder: Path, as_of: datetime, **facts: object) -> Path:
    spec = folder / "pod" / "spec.json"
    spec.parent.mkdir()
    told = StoreUse.model_validate({"asOf": as_of} | facts)
    spec.with_name(USE_FILE).write_text(told.model_dump_json(by_alias=True))
    return spec


STAYS = ["3/trainyard.json", "3/variables/data", "7/saved_model.pb"]


def test_a_folder_is_tidied(tmp_path: Path) -> None:
    store, log = tmp_path / "churn", io.StringIO()

    def write(name: str, content: str) -> None:
        path = store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    fill(write)
    for path in store.rglob("*"):
        os.utime(path, (BEFORE.timestamp(),) * 2)
    spec = a_spec(tmp_path, NOW)

    Housekeeping(ObjectStore(str(store), Access({})), shared=False, spec=spec).tidy(1, EventLog(log), NOW)

    assert sorted(path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()) == STAYS
    line = json.loads(log.getvalue())
    assert line["event"] == "tidied"
    assert line["message"] == "removed versions 1, 2 and 1 folder that trainings have left"
    assert (line["versions"], line["folders"]) == ([1, 2], [".training/older"])


def test_a_bucket_is_tidied(s3: S3, tmp_path: Path) -> None:
    bucket, log = s3.bucket("tidied"), io.StringIO()
    fill(lambda name, content: s3.put(bucket, f"models/churn/{name}", content.encode()))
    # What was written just now is a day old when this is done, and older than what the operator says.
    now = datetime.now(UTC) + timedelta(days=2)
    objects = ObjectStore(f"s3://{bucket}/models/churn", Access(s3.env))

    Housekeeping(objects, shared=True, spec=a_spec(tmp_path, now)).tidy(1, EventLog(log), now)

    assert s3.keys(bucket) == [f"models/churn/{name}" for name in STAYS]


def test_a_removal_that_breaks_off_leaves_no_version_and_is_done_by_the_next(s3: S3, tmp_path: Path) -> None:
    bucket, log = s3.bucket("broken"), io.StringIO()
    fill(lambda name, content: s3.put(bucket, f"models/churn/{name}", content.encode()))
    now = datetime.now(UTC) + timedelta(days=2)
    objects = ObjectStore(f"s3://{bucket}/models/churn", Access(s3.env | {"AWS_MAX_ATTEMPTS": "1"}))
    keeper = Housekeeping(objects, shared=True, spec=a_spec(tmp_path, now))

    # The store takes nothing away any more after the first manifest.
    with s3.failing(lambda number, request: request["REQUEST_METHOD"] == "POST"):
        keeper.tidy(1, EventLog(log), now)
    left = s3.keys(bucket)
    keeper.tidy(1, EventLog(log), now)

    assert "models/churn/1/variables/data" in left
    assert f"models/churn/1/{MANIFEST_FILE}" not in left
    assert json.loads(log.getvalue().splitlines()[0])["event"] == "not-tidied"
    assert s3.keys(bucket) == [f"models/churn/{name}" for name in STAYS]


def test_versions_stay_where_the_operator_has_not_spoken_for_long_and_the_log_says_so(tmp_path: Path) -> None:
    log = io.StringIO()
    spec = a_spec(tmp_path, NOW - timedelta(hours=2))

    Housekeeping(ObjectStore(str(tmp_path / "churn"), Access({})), shared=False, spec=spec).tidy(1, EventLog(log), NOW)

    line = json.loads(log.getvalue())
    assert line["event"] == "versions-kept"
    assert "2026-11-23T08:00:00Z" in line["message"]


@pytest.mark.parametrize("content", [None, "", "{}", '{"asOf": "yesterday"}', '{"asOf": 1, "inUse": ["x"]}'])
def test_a_word_that_cannot_be_understood_is_none(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / USE_FILE).write_text(content)

    assert read_use(tmp_path / "spec.json") is None
    assert read_use(None) is None
