"""The data set of a TrainingJob."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainyard_api.forms import KEY_PATTERN
from trainyard_api.meta import ApiModel, Column, Name, RelativePath, rule, rules
from trainyard_api.stores import DataUri, SecretRef

Buckets = Annotated[int, Field(ge=2, le=1000000)]
ColumnType = Literal["number", "category", "date", "text"]


class ConfigMapSource(ApiModel):
    """Data small enough for a ConfigMap (1 MiB)."""

    name: Name = Field(description="Name of the ConfigMap.")
    key: str | None = Field(
        default=None,
        pattern=KEY_PATTERN,
        max_length=253,
        description="The one key to read; all keys, as files, where absent.",
    )


class VolumeSource(ApiModel):
    """Data on a PersistentVolumeClaim."""

    claim_name: Name = Field(description="Name of the PersistentVolumeClaim.")
    path: RelativePath = Field(default="", description="File or folder inside the volume, relative to its root.")


class DataSource(ApiModel):
    """Where the data is; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.uri), has(self.configMap), has(self.persistentVolumeClaim)].filter(x, x).size() == 1",
                "set exactly one of uri, configMap and persistentVolumeClaim",
            ),
            rule("!has(self.secretRef) || has(self.uri)", "only uri takes a secretRef", ".secretRef"),
        )
    )
    uri: DataUri | None = Field(
        default=None,
        description="A file or folder: a path, or a URI with the scheme file, s3, gs, abfs, abfss, http, https, hdfs, "
        "webhdfs or swebhdfs.",
    )
    secret_ref: SecretRef | None = Field(
        default=None,
        description="Credentials for the URI: a Secret with keys such as AWS_ACCESS_KEY_ID (docs/reference/stores.md).",
    )
    config_map: ConfigMapSource | None = Field(default=None, description="A ConfigMap in the same namespace.")
    persistent_volume_claim: VolumeSource | None = Field(default=None, description="A claim in the same namespace.")
    require_success: bool = Field(
        default=False,
        description="Refuse a folder without the file _SUCCESS, which Spark and Hadoop write last.",
    )


class Validation(ApiModel):
    """Which rows are held back to judge the model by; at most one of its fields; fraction goes with the last two."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.fraction), has(self.uri), has(self.column)].filter(x, x).size() <= 1",
                "set at most one of fraction, uri and column",
            ),
            rule(
                "[has(self.uri), has(self.column), has(self.groupBy), has(self.timeColumn)].filter(x, x).size() <= 1",
                "set at most one of uri, column, groupBy and timeColumn",
            ),
            rule(
                "!has(self.fraction) || self.fraction > 0.0 || !has(self.groupBy) && !has(self.timeColumn)",
                "groupBy and timeColumn hold rows back: set a fraction above 0, or remove them",
                ".fraction",
            ),
            rule(
                "!has(self.folds) || ![has(self.uri), has(self.column), has(self.timeColumn)].exists(x, x)",
                "folds take turns in being held back, so uri, column and timeColumn cannot choose: remove folds",
                ".folds",
            ),
        )
    )
    fraction: float | None = Field(
        default=None, ge=0, le=0.9, description="Share of the rows, chosen by the seed; 0.1 where nothing is set here."
    )
    uri: DataUri | None = Field(
        default=None,
        description="A file or folder with rows of the same columns, in format directory a folder with the same "
        "classes: a path or URI; a relative path starts in the folder that the data of data.source is in.",
    )
    column: Column | None = Field(
        default=None,
        description="A column that says of each row whether it is held back: true or false, 1 or 0, validation or "
        "train. It is no feature then.",
    )
    group_by: Column | None = Field(
        default=None,
        description="A column whose values are never parted: all rows of a value, such as a customer, are trained on, "
        "or all are held back. fraction is the share of the values. It is no feature then.",
    )
    time_column: Column | None = Field(
        default=None,
        description="A column of dates, times or numbers: the latest rows are held back, fraction of them. It is no "
        "feature then.",
    )

    folds: int | None = Field(
        default=None,
        ge=2,
        le=20,
        description="First part the rows into so many folds, and train once without each, to tell mean and spread of "
        "the metrics (k-fold cross-validation). The model itself is trained after that, as without folds.",
    )

    @property
    def share(self) -> float:
        """The share of the rows of data.source to hold back at random."""
        chosen = (self.uri, self.column, self.group_by, self.time_column)
        return self.fraction_of_rows if all(way is None for way in chosen) else 0.0

    @property
    def fraction_of_rows(self) -> float:
        """The share of the rows, or of their groups, to hold back."""
        return 0.1 if self.fraction is None else self.fraction

    @property
    def wanted(self) -> bool:
        """Whether any rows are held back."""
        return self.fraction != 0


class HoldOut(ApiModel):
    """Which rows have no say in the training, and judge the model once it is chosen; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.fraction) != has(self.uri)", "set exactly one of fraction and uri"),
        )
    )
    fraction: float | None = Field(
        default=None, gt=0, le=0.9, description="Share of the rows of data.source, chosen by the seed."
    )
    uri: DataUri | None = Field(
        default=None,
        description="A file or folder with rows of the same columns: a path or URI, as in validation.uri.",
    )


class CsvFormat(ApiModel):
    """How CSV files are written; what is absent is guessed from their beginning."""

    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="What stands between two values of a row, such as ;."
    )
    quote: str | None = Field(
        default=None,
        max_length=1,
        description='What stands around values that hold a delimiter, " where absent; an empty text: nothing does.',
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="The decimal sign of numbers, for columns where the values do not tell."
    )
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        default=None, description="What stands between thousands, for columns where the values do not tell."
    )
    encoding: str | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="Encoding, by its name in Python, such as windows-1252; where absent UTF-8, or what a byte order "
        "mark says.",
    )
    header: bool | None = Field(
        default=None, description="Whether the first line has the names of the columns; true where names is absent."
    )
    names: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10000,
        description="The names of the columns, in order: for files without a header, or instead of it.",
    )
    missing: list[Annotated[str, Field(max_length=64)]] | None = Field(
        default=None,
        max_length=100,
        description="Texts that stand for a missing value, beside the empty one, instead of NA, N/A, NULL, NaN and "
        "the others that docs/data.md lists; an empty list: none do.",
    )


class Data(ApiModel):
    """The data set and what its columns mean."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.features) || !has(self.label) || !(self.label in self.features)",
                "label cannot be one of the features",
                ".label",
            ),
            rule(
                "!has(self.exclude) || !has(self.label) || !(self.label in self.exclude)",
                "the label cannot be one of the excluded columns",
                ".exclude",
            ),
            rule(
                "!has(self.weight) || [has(self.label) ? self.label : '', has(self.validation.column) ? "
                "self.validation.column : ''].all(x, x != self.weight) && (!has(self.features) || "
                "!(self.weight in self.features))",
                "the column of the weights can be neither the label, nor one of the features, nor the column that "
                "chooses the validation rows",
                ".weight",
            ),
            rule(
                "!has(self.weight) || self.format != 'directory'",
                "files in folders have no columns: remove weight, or list the files in a table",
                ".weight",
            ),
            rule(
                "!has(self.exclude) || !has(self.features)",
                "features names all columns to use: leave exclude out",
                ".exclude",
            ),
            rule(
                "!has(self.csv) || self.format in ['auto', 'csv']",
                "csv is for format csv: remove it",
                ".csv",
            ),
            rule(
                "!has(self.validation.column) || (!has(self.label) || self.validation.column != self.label) && "
                "(!has(self.features) || !(self.validation.column in self.features))",
                "the column that chooses the validation rows can be neither the label nor one of the features",
                ".validation.column",
            ),
            rule(
                "[has(self.validation.groupBy) ? self.validation.groupBy : '', has(self.validation.timeColumn) ? "
                "self.validation.timeColumn : ''].filter(x, x != '').all(x, (!has(self.label) || x != self.label) && "
                "(!has(self.features) || !(x in self.features)))",
                "the column that parts the rows can be neither the label nor one of the features",
                ".validation",
            ),
            rule(
                "!has(self.validation.groupBy) && !has(self.validation.timeColumn) || "
                "!(self.format in ['npz', 'directory'])",
                "groupBy and timeColumn name a column of a table: formats npz and directory have none; use uri or "
                "fraction",
                ".validation",
            ),
            rule(
                "!has(self.validation.column) || self.format != 'directory'",
                "files in folders have no columns: put those to validate with into another folder and name it in "
                "validation.uri, or use validation.fraction",
                ".validation.column",
            ),
            rule(
                "!has(self.test) || !has(self.test.fraction) || !has(self.validation.groupBy) && "
                "!has(self.validation.timeColumn)",
                "a fraction of the rows would part groups and mix times: name the files of the test rows in test.uri",
                ".test.fraction",
            ),
            rule(
                "!has(self.test) || !has(self.test.fraction) || !has(self.validation.fraction) || "
                "self.test.fraction + self.validation.fraction < 1.0",
                "the fractions of validation and test leave no row to train on: make them smaller",
                ".test.fraction",
            ),
            rule(
                "!has(self.slices) || !has(self.validation.fraction) || self.validation.fraction > 0.0",
                "slices are measured on validation rows: hold some back with validation, or remove slices",
                ".slices",
            ),
            rule(
                "!has(self.slices) || !(self.format in ['npz', 'directory'])",
                "slices are by the columns of a table: format npz and directory have none; remove slices",
                ".slices",
            ),
        )
    )
    source: DataSource = Field(description="Where the data is.")
    format: Literal["auto", "csv", "parquet", "tfrecord", "npz", "directory"] = Field(
        default="auto",
        description="Format; auto goes by the file name. directory is a folder for each class, with images, texts or "
        "WAV files in it.",
    )
    label: Column | None = Field(
        default=None,
        description="The column to predict; in format directory, where it may be left out, the name to give to it.",
    )
    features: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10000,
        description="The columns to predict from, each once; all but the label where absent.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    exclude: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10000,
        description="Columns that are no features, each once; all others are.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    columns: dict[Column, ColumnType] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="What columns hold, where that is not what their values look like: a number, a category (also of "
        "numbers, such as codes), a date or time, or a text whose words count.",
    )
    csv: CsvFormat | None = Field(default=None, description="How CSV files are written, where a guess is wrong.")
    weight: Column | None = Field(
        default=None,
        description="A column of numbers that says how much each row counts, in the loss and in all metrics: one with "
        "2 as much as two rows, one with 0 not at all. It is no feature then.",
    )
    hashing: dict[Column, Buckets] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Text columns, each with the number of categories to hash its texts into: for more different texts "
        "than the 10,000 of a vocabulary, or new ones all the time.",
    )
    slices: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10,
        description="Columns of a table, each once: the manifest and the model card tell the metrics of the validation "
        "rows for each of their values too. They are features like the others unless data.features leaves them out.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    validation: Validation = Field(default=Validation(), description="Which rows are held back.")
    test: HoldOut | None = Field(
        default=None,
        description="Rows that have no say in the training, nor in the choice of the model. It is measured on them "
        "once, at the end: metrics that begin with test_.",
    )
    label_separator: str = Field(
        default="|",
        min_length=1,
        max_length=8,
        description="What stands between the labels of a row in task multilabelClassification, where they are a text.",
    )
    drop_unlabelled: bool = Field(
        default=False, description="Leave out the rows without a label, however many, instead of refusing them."
    )
    max_bad_rows: int = Field(
        default=0,
        ge=0,
        le=1000000,
        description="Rows that may be left out because they cannot be used: a number or label that is none, a wrong "
        "number of fields, a vector of another length, a text that is not UTF-8, a file that cannot be decoded. One "
        "more is an error.",
    )

    @property
    def label_name(self) -> str:
        """The label's name."""
        return self.label or "label"
