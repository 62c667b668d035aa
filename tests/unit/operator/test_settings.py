import pytest

from trainyard_operator.settings import Settings, load


def test_without_anything_the_defaults_hold() -> None:
    assert load([], {}) == Settings()


def test_a_flag_wins_over_its_variable() -> None:
    environment = {"TRAINYARD_WORKERS": "3", "TRAINYARD_PROGRESS_INTERVAL": "1.5"}

    settings = load(["--workers", "5"], environment)

    assert (settings.workers, settings.progress_interval) == (5, 1.5)


@pytest.mark.parametrize(
    ("text", "namespaces"), [("", ()), ("a", ("a",)), ("a, b,", ("a", "b"))], ids=["all", "one", "two"]
)
def test_namespaces_are_separated_by_commas(text: str, namespaces: tuple[str, ...]) -> None:
    assert load([], {"TRAINYARD_NAMESPACES": text}).namespace_list == namespaces


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--workers", "0"], {}, "--workers must be greater than 0, got 0"),
        ([], {"TRAINYARD_WORKERS": "many"}, "invalid int value: 'many'"),
        ([], {"TRAINYARD_LOG_LEVEL": "loud"}, "--log-level must be one of debug, info, warning, error"),
    ],
)
def test_a_wrong_setting_ends_with_what_is_wrong(
    arguments: list[str], environment: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(arguments, environment)
    assert complaint in capsys.readouterr().err
