"""Which folders are versions, and which of them a model should have."""

import pytest

from trainyard_modelserver.versions import All, Latest, Policy, Specific, aspired, parse_version

NAMES = ["1", "2", "00000123", "1700000000", "latest", ".staging-1", "3.tmp", "v4"]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("00000123", 123),
        ("1700000000", 1_700_000_000),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("", None),
        ("1.0", None),
        ("v1", None),
        (".staging-1", None),
        ("1_0", None),
        ("١", None),
    ],
)
def test_a_version_is_a_name_that_is_a_number_as_a_whole(name: str, version: int | None) -> None:
    assert parse_version(name) == version


@pytest.mark.parametrize(
    ("policy", "folders"),
    [
        (Latest(), {1_700_000_000: "1700000000"}),
        (Latest(2), {123: "00000123", 1_700_000_000: "1700000000"}),
        (Latest(0), {1_700_000_000: "1700000000"}),
        (Latest(9), {1: "1", 2: "2", 123: "00000123", 1_700_000_000: "1700000000"}),
        (All(), {1: "1", 2: "2", 123: "00000123", 1_700_000_000: "1700000000"}),
        (Specific(frozenset({2, 123})), {2: "2", 123: "00000123"}),
    ],
)
def test_the_policy_chooses(policy: Policy, folders: dict[int, str]) -> None:
    chosen = aspired("m", "/models/m", NAMES, policy)
    assert chosen.folders == folders
    assert not chosen.warnings


def test_specific_versions_that_are_absent_are_warned_of() -> None:
    chosen = aspired("m", "/models/m", NAMES, Specific(frozenset({2, 7})))
    assert chosen.folders == {2: "2"}
    assert len(chosen.warnings) == 1
    assert chosen.warnings[0].startswith("Version 7 of servable m, which was requested to be served as a 'specific'")


def test_a_folder_without_versions_is_warned_of() -> None:
    (warning,) = aspired("m", "/models/m", ["saved_model.pb", "variables"], Latest()).warnings
    assert warning == (
        "No versions of servable m found under base path /models/m. Did you forget to name your leaf directory as a "
        "number (eg. '/1/')?"
    )


def test_of_two_names_for_one_number_one_wins() -> None:
    chosen = aspired("m", "/models/m", ["7", "007"], Latest())
    assert chosen.folders == {7: "7"}
    assert chosen.warnings == (
        "Duplicate version directories detected. Version 7 will be loaded from 7, 007 will be ignored.",
    )
