"""SavedModels that TensorFlow saved and no manifest describes: fetched if complete, and named if not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from trainyard_fetcher import copying
from trainyard_fetcher.checkpoint_index import shard_sizes
from trainyard_fetcher.copying import Demands, FetchError
from trainyard_fetcher.volume import Folder

INDEX, SHARD = "variables/variables.index", "variables/variables.data-00000-of-00001"


class Line(tf.Module):
    """Variables of several sizes, and a vocabulary."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        self.slope = tf.Variable(2.0)
        self.many = [tf.Variable(tf.ones([100, number])) for number in range(1, 200)]
        words = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(words, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the place of words in the vocabulary."""
        return {"y": self.slope * tf.cast(self.table.lookup(x), tf.float32)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    vocabulary = folder / "words.txt"
    vocabulary.write_text("a\nb\nc\n")
    line = Line(vocabulary)
    tf.saved_model.save(line, str(folder / "model"), signatures={"serving_default": line.predict})
    return folder / "model"


@pytest.fixture
def source(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "store" / "3"
    for path in saved.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(saved)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(saved)).write_bytes(path.read_bytes())
    return folder


def fetch(source: Path, target: Path, *, structure: bool = True) -> None:
    copying.fetch(Folder(source), target, Demands(structure=structure, any_operation=True))


def test_a_complete_model_arrives_and_answers(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "3"

    fetch(source, target)

    assert (target / "fingerprint.pb").exists()
    answer = tf.saved_model.load(str(target)).signatures["serving_default"](x=tf.constant(["c", "a"]))
    assert answer["y"].numpy().tolist() == [4.0, 0.0]


def test_a_model_without_variables_arrives(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x + 1}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "3"), signatures=module.f)

    fetch(tmp_path / "3", tmp_path / "models" / "3")

    assert (tmp_path / "models" / "3" / "saved_model.pb").exists()


def test_the_index_says_how_large_its_shards_are(source: Path) -> None:
    assert shard_sizes((source / INDEX).read_bytes()) == {0: (source / SHARD).stat().st_size}


@pytest.mark.parametrize(
    ("damage", "reason", "said"),
    [
        (lambda folder: (folder / "saved_model.pb").unlink(), "ModelNotFound", "has no saved_model.pb"),
        (lambda folder: _cut(folder / "saved_model.pb"), "CorruptModel", "only a part of one"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b""), "CorruptModel", "it has no graph"),
        (
            lambda folder: (folder / INDEX).unlink(),
            "IncompleteModel",
            "variables.index is missing, which saved_model.pb",
        ),
        (lambda folder: _cut(folder / INDEX), "CorruptModel", "does not end as an index does"),
        (lambda folder: (folder / INDEX).write_bytes(b""), "CorruptModel", "does not end as an index does"),
        (lambda folder: (folder / SHARD).unlink(), "IncompleteModel", "00000-of-00001 is missing, which variables/"),
        (lambda folder: _cut(folder / SHARD), "IncompleteModel", "says that it has at least"),
        (lambda folder: (folder / "assets/words.txt").unlink(), "IncompleteModel", "assets/words.txt is missing"),
    ],
)
def test_an_incomplete_model_never_arrives(
    source: Path, tmp_path: Path, damage: Callable[[Path], object], reason: str, said: str
) -> None:
    damage(source)

    with pytest.raises(FetchError, match=said) as failure:
        fetch(source, tmp_path / "models" / "3")

    assert failure.value.reason == reason
    assert not (tmp_path / "models" / "3").exists()


def test_an_index_that_is_damaged_anywhere_is_refused_or_read_and_nothing_else(source: Path) -> None:
    index, refused = (source / INDEX).read_bytes(), 0
    for position in range(0, len(index), 7):
        damaged = index[:position] + bytes([index[position] ^ 0xFF]) + index[position + 1 :]
        try:
            shard_sizes(damaged)
        except ValueError:
            refused += 1

    assert refused > 0


def test_without_structure_a_manifest_is_asked_for(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="has no trainyard"):
        fetch(source, tmp_path / "models" / "3", structure=False)


def test_a_manifest_that_is_there_counts_all_the_same(source: Path, tmp_path: Path) -> None:
    (source / "trainyard.json").write_text("{}")

    with pytest.raises(FetchError, match="is not a model manifest"):
        fetch(source, tmp_path / "models" / "3")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
