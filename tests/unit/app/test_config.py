"""Settings in rising strength: pyproject, environment, flags; each says where it came from."""

import math
from pathlib import Path

import pytest

from rekindle.app.config import Settings, load_settings
from rekindle.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """Writes the project's [tool.rekindle] and gives its folder."""

    def make(text="", table="[tool.rekindle]"):
        (tmp_path / "pyproject.toml").write_text(f"{table}\n{text}\n")
        return tmp_path

    return make


def load(folder, environ=None, **flags):
    settings, origins = load_settings(flags, folder=folder, environ=environ or {})
    return settings, {o.name: o for o in origins}


def test_defaults_where_nothing_is_said(tmp_path):
    settings, origins = load(tmp_path)
    assert settings == Settings()
    assert {o.origin for o in origins.values()} == {"default"}
    assert origins["threads"].value == 1


def test_each_place_beats_the_one_before(folder):
    place = folder('threads = 2\npoll_seconds = 3\nlog_level = "INFO"')
    environ = {"REKINDLE_THREADS": "4", "REKINDLE_POLL_SECONDS": "5"}
    settings, origins = load(place, environ, threads=8)
    assert (settings.threads, settings.poll_seconds, settings.log_level) == (8, 5.0, "INFO")
    assert origins["threads"].origin == "flag --threads"
    assert origins["poll_seconds"].origin == "REKINDLE_POLL_SECONDS"
    assert origins["log_level"].origin == f"{place / 'pyproject.toml'}, [tool.rekindle]"
    assert origins["home"].origin == "default"
    assert origins["poll_seconds"].value == 5.0


def test_a_flag_that_was_not_given_is_none(folder):
    assert load(folder("threads = 2"), threads=None)[0].threads == 2


def test_the_nearest_pyproject_above_counts(folder):
    place = folder("threads = 2")
    below = place / "a" / "b"
    below.mkdir(parents=True)
    assert load(below)[0].threads == 2
    (place / "a" / "pyproject.toml").write_text("")
    assert load(below)[0].threads == 1, "the nearest file counts, also when it says nothing"


def test_a_path_in_pyproject_is_read_from_its_own_folder(folder):
    place = folder('home = "models/here"')
    (place / "sub").mkdir()
    settings, origins = load(place / "sub")
    assert settings.home == origins["home"].value == place / "models" / "here"
    assert load(place, {"REKINDLE_HOME": "other"})[0].home == Path("other")
    assert load(folder('home = "/var/models"'))[0].home == Path("/var/models")


def test_an_empty_variable_counts_as_not_set(folder):
    settings, _ = load(folder(), {"REKINDLE_HOME": "", "REKINDLE_THREADS": ""})
    assert settings == Settings()


def test_other_variables_of_that_prefix_are_left_alone(folder):
    """Secrets are often named like that: rk.env("REKINDLE_TELEGRAM")."""
    assert load(folder(), {"REKINDLE_TELEGRAM": "tgram://..."})[0] == Settings()


@pytest.mark.parametrize(
    ("name", "near"), [("thread", "threads"), ("train_second", "train_seconds"), ("hom", "home")]
)
def test_an_unknown_setting_names_the_nearest(folder, name, near):
    with pytest.raises(ConfigError, match=f"setting {name}=.*pyproject.toml.*Did you mean '{near}'"):
        load(folder(f"{name} = 1"))
    with pytest.raises(ConfigError, match=f"from flag --{name}.*Did you mean '{near}'"):
        load(folder(), **{name: 1})


WRONG = [
    ("threads", "x", "a whole number"),
    ("threads", 1.5, "a whole number"),
    ("threads", "1.5", "a whole number"),
    ("threads", True, "a whole number"),
    ("threads", 0, "1 or more"),
    ("train_seconds", "soon", "a number"),
    ("train_seconds", 0, "above 0"),
    ("train_seconds", "nan", "above 0"),
    ("train_seconds", math.inf, "above 0"),
    ("train_seconds", [1], "a number"),
    ("poll_seconds", -1, "above 0"),
    ("approval_days", 0, "above 0"),
    ("train_memory_mb", -5, "0 for no limit"),
    ("train_memory_mb", "2GB", "a whole number"),
    ("database", 5, "text"),
    ("home", 5, "a path"),
    ("home", False, "a path"),
    ("log_level", "verbose", "DEBUG, INFO, WARNING, ERROR"),
    ("log_level", "debug", "DEBUG, INFO, WARNING, ERROR"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_wrong_value_says_where_it_came_from_and_what_to_give(folder, name, value, words):
    with pytest.raises(ConfigError, match=f"setting {name}=.*from flag --{name}.*give.*{words}"):
        load(folder(), **{name: value})


@pytest.mark.parametrize(("name", "value", "words"), [w for w in WRONG if isinstance(w[1], str)])
def test_a_wrong_variable_is_named(folder, name, value, words):
    variable = f"REKINDLE_{name.upper()}"
    with pytest.raises(ConfigError, match=f"from {variable}.*give.*{words}"):
        load(folder(), {variable: value})


def test_settings_made_in_python_are_checked_too():
    with pytest.raises(ConfigError, match="threads=0"):
        Settings(threads=0)
    with pytest.raises(ConfigError, match="train_memory_mb=-1"):
        Settings(train_memory_mb=-1)


def test_text_becomes_what_the_setting_is(folder):
    environ = {
        "REKINDLE_TRAIN_SECONDS": "1e3",
        "REKINDLE_TRAIN_MEMORY_MB": "2048",
        "REKINDLE_HOME": "~/models",
    }
    settings, _ = load(folder(), environ)
    assert settings.train_seconds == 1000.0
    assert type(settings.train_memory_mb) is int
    assert settings.home == Path("~/models")
    assert load(folder("train_seconds = 60\nthreads = 2.0"))[0].threads == 2


@pytest.mark.parametrize("text", ["[tool.rekindle", "\x00", "a = [1"])
def test_a_broken_pyproject_is_a_sentence(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"pyproject\.toml.*mend it"):
        load(tmp_path)


@pytest.mark.parametrize("table", ["tool = 3", "[other]", "", "[tool]\nother = 1"])
def test_a_pyproject_of_something_else(tmp_path, table):
    (tmp_path / "pyproject.toml").write_text(table)
    assert load(tmp_path)[0] == Settings()


def test_our_part_of_pyproject_is_a_table(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool]\nrekindle = 3\n")
    with pytest.raises(ConfigError, match=r"give a table: \[tool\.rekindle\]"):
        load(tmp_path)
