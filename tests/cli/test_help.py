"""Every command explains itself, with an example, and the README names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from queryfit.cli.main import cli
from tests.cli.conftest import CommandLine

README = Path(__file__).parents[2] / "README.md"


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_a_sentence_an_example_and_words_for_every_option(queryfit: CommandLine, words: str) -> None:
    done = queryfit(*words.split(), "--help")
    assert (done.status, done.err) == (0, "")
    assert re.search(rf"^  queryfit {words}\b", done.out, re.MULTILINE), "no example"
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"
            assert parameter.help.endswith((".", "…", "]")), parameter.help


@pytest.mark.parametrize("words", COMMANDS)
def test_no_line_of_help_is_too_wide(words: str) -> None:
    text = COMMANDS[words].help or ""
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("words", COMMANDS)
def test_the_readme_names_it(words: str) -> None:
    first, _, rest = words.partition(" ")
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if f"queryfit {first}" in line]
    assert [line for line in lines if re.search(rf"\b{rest}\b", line)], f"`queryfit {words}` is not in README.md"
