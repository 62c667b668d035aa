"""What can be predicted."""

from typing import Literal

Task = Literal["binaryClassification", "multiclassClassification", "multilabelClassification", "regression"]
