"""Code of a user's own that the trainer runs."""

from typing import Any

from pydantic import ConfigDict, Field

from trainyard_api.audio import AudioReading
from trainyard_api.forms import COMMIT_PATTERN, ENTRY_POINT_PATTERN, GIT_URL_PATTERN
from trainyard_api.images import ImageReading
from trainyard_api.meta import ApiModel, Name, RelativePath, rule, rules
from trainyard_api.tasks import Task
from trainyard_api.text import TextReading


class CodeConfigMap(ApiModel):
    """Modules small enough for a ConfigMap (1 MiB)."""

    name: Name = Field(description="Name of the ConfigMap; each key is a file, for example model.py.")


class CodeGit(ApiModel):
    """Modules in a public git repository, at one commit: nothing that is pushed later changes the training."""

    url: str = Field(
        pattern=GIT_URL_PATTERN,
        max_length=2048,
        description="Where the repository is, by https, without credentials.",
    )
    commit: str = Field(
        pattern=COMMIT_PATTERN, max_length=40, description="The full SHA-1 of the commit; branches and tags can move."
    )
    path: RelativePath = Field(default="", description="Folder in the repository that modules are looked for in.")


class CodeSource(ApiModel):
    """Where the code is; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.image), has(self.configMap), has(self.git)].filter(x, x).size() == 1",
                "set exactly one of image, configMap and git",
            ),
        )
    )
    image: str | None = Field(
        default=None, min_length=1, max_length=512, description="An image made from the trainer's, with the modules."
    )
    config_map: CodeConfigMap | None = Field(default=None, description="A ConfigMap in the same namespace.")
    git: CodeGit | None = Field(default=None, description="A git repository.")


class PythonProgram(ApiModel):
    """A function of yours that returns a keras.Model (docs/how-to/programs.md); all else is the trainer's."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.image), has(self.text), has(self.audio)].filter(x, x).size() <= 1",
                "a model learns from one kind of data: set one of image, text and audio, or none for a table",
            ),
        )
    )
    entry_point: str = Field(
        pattern=ENTRY_POINT_PATTERN,
        max_length=512,
        description='The function, as "module:function".',
    )
    task: Task = Field(description="What is predicted: it decides the loss, the metrics and the answers.")
    hyperparameters: dict[str, Any] = Field(
        default={}, max_length=100, description="What the function is called with beside the data spec, by name."
    )
    source: CodeSource = Field(description="Where the code is.")
    image: ImageReading | None = Field(
        default=None,
        description="Learn from one column of images, read like this; {} will do. Without image, text and audio the "
        "rows are a table.",
    )
    text: TextReading | None = Field(
        default=None, description="Learn from one column of texts, read like this; {} will do."
    )
    audio: AudioReading | None = Field(
        default=None, description="Learn from one column of WAV files, read like this; {} will do."
    )

    @property
    def family(self) -> str:
        """What stands for a family where the model is of nobody's family."""
        return "python"
