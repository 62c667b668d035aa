"""Batch scoring: the predictions of an exported version for all rows of a data set, as Parquet files."""
