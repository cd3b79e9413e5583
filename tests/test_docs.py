"""The documentation is true: what it shows is what the commands print."""

import re
import tomllib

import click
import pytest

from analyzer.cli.app import COMMANDS, cli
from analyzer.cli.config import load_config
from analyzer.findings import catalogue, load
from tests.conftest import NOW
from tests.docs import CATALOGUE, README, ROOT, generated_readme


def test_the_readme_shows_what_the_commands_print():
    text = README.read_text()
    assert generated_readme(text) == text, "run `make docs`"


def test_the_catalogue_of_queries_is_current():
    assert CATALOGUE.read_text() == catalogue(load()), "run `make docs`"


def test_the_readmes_configuration_is_valid(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert tomllib.loads(example)
    path = tmp_path / "perpscope.toml"
    path.write_text(example)
    config = load_config(path, NOW)
    assert len(config.deployment_tables) == len(config.ignored) == 1


def test_the_readmes_query_is_valid(tmp_path):
    (example,) = re.findall(r"```sql\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "large_positions.sql").write_text(example)
    assert load([tmp_path])["large_positions"].severity == "info"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name):
    command = cli.get_command(click.Context(cli), name)
    assert command.help
    assert f"perpscope {name}" in command.help
    assert "Examples:" in command.help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name):
    assert f"`perpscope {name}`" in README.read_text()


def test_files_that_the_readme_links_to_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target
