"""`queryfit rules`: what is checked, why, and how to add to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options
from queryfit.cli.main import FOUND
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.ruleset import Problem, Rule

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


@click.group("rules", cls=options.Group, invoke_without_command=True, context_settings=options.CONTEXT)
@click.pass_context
def command(context: click.Context) -> None:
    """List, explain, check and write rules.

    queryfit rules                              every rule, by group
    queryfit rules show duplicate-index         why it matters, what to do, its SELECT
    queryfit rules new orders-without-owner     a rule of your own, from a template
    queryfit rules check rules/                 does it say what it means?
    """
    if context.invoked_subcommand is None:
        context.invoke(list_rules)


@command.command("list", context_settings=options.CONTEXT)
@options.with_options(
    click.option("--group", help="Only the rules of this group: workload, schema, plans …"),
    options.format_option("terminal", "json"),
    options.output_option,
    options.table_format_option,
    options.width_option,
    options.rules_option,
    options.config_option,
    options.quiet_and_verbose,
)
def list_rules(
    *,
    group: str | None = None,
    form: str = "terminal",
    output: Path | None = None,
    table_format: str = "simple",
    width: int | None = None,
    rule_folders: tuple[Path, ...] = (),
    config_file: Path | None = None,
) -> None:
    """List the rules.

    queryfit rules list --group schema
    queryfit rules list --table-format github
    """
    from queryfit.render import rules as render  # noqa: PLC0415

    rules = _rules(config_file, rule_folders)
    if group is not None:
        groups = sorted({rule.group for rule in rules})
        rules = [rule for rule in rules if rule.group == group]
        if not rules:
            raise UsageError(f"there is no group {group!r} of rules", hint=f"there are {', '.join(groups)}")
    if form == "json":
        options.deliver(render.listing_json(rules), output)
    else:
        look = options.look(output=output, width=width, table_format=table_format)
        options.deliver(render.listing(rules, look), output)


@command.command("show", context_settings=options.CONTEXT)
@click.argument("name")
@options.with_options(
    options.output_option,
    options.width_option,
    options.rules_option,
    options.config_option,
    options.quiet_and_verbose,
)
def show_rule(
    name: str, *, output: Path | None, width: int | None, rule_folders: tuple[Path, ...], config_file: Path | None
) -> None:
    """Explain the rule NAME.

    Its words, its thresholds with their reasons, its SELECT and its examples.

    queryfit rules show duplicate-index
    """
    from difflib import get_close_matches  # noqa: PLC0415

    from queryfit.render import rules as render  # noqa: PLC0415

    rules = {rule.name: rule for rule in _rules(config_file, rule_folders)}
    if name not in rules:
        near = get_close_matches(name, rules, n=3, cutoff=0.5)
        raise UsageError(
            f"there is no rule {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "`queryfit rules` lists them",
        )
    options.deliver(render.explained(rules[name], options.look(output=output, width=width)), output)


@command.command("check", context_settings=options.CONTEXT)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@options.with_options(options.rules_option, options.config_option, options.quiet_and_verbose)
@click.pass_context
def check_rules(
    context: click.Context, paths: tuple[Path, ...], rule_folders: tuple[Path, ...], config_file: Path | None
) -> int:
    """Check rule files.

    Header, words, SELECT, columns, and that every example finds what it says. Without PATH all rules are
    checked, those that come with queryfit and your own. Every problem is one line, `file:line: problem`; the
    exit status is 1 when there is one.

    queryfit rules check
    queryfit rules check rules/custom/orders-without-owner.sql
    """
    from queryfit.render.escape import line  # noqa: PLC0415

    files = _files(paths) if paths else _all_files(config_file, rule_folders)
    problems, examples = _checked(files)
    for problem in problems:
        click.echo(line(str(problem)))
    said = f"{_counted(len(files), 'rule')}, {_counted(examples, 'example')} checked"
    if problems:
        options.say(context, f"{said}: {_counted(len(problems), 'problem')}")
        return FOUND
    click.echo(f"{said}: no problem")
    return 0


@command.command("new", context_settings=options.CONTEXT)
@click.argument("name")
@options.with_options(
    click.option("--group", default="custom", show_default=True, help="Folder below --dir: what the rule is about."),
    click.option(
        "--dir",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("rules"),
        show_default=True,
        help="Folder of your rules.",
    ),
    options.quiet_and_verbose,
)
@click.pass_context
def new_rule(context: click.Context, name: str, group: str, folder: Path) -> None:
    """Write a rule from a template.

    The template passes `queryfit rules check` as it is. NAME names the fault, not the cure: lower case,
    words joined by hyphens.

    queryfit rules new orders-without-owner --group schema
    queryfit rules check rules/
    queryfit audit --rules rules/
    """
    from queryfit.ruleset import rule_files  # noqa: PLC0415

    for kind, word in (("name", name), ("group", group)):
        if not _NAME.match(word):
            raise UsageError(
                f"{word!r} is no {kind} for a rule", hint="lower-case words joined by hyphens: orders-without-owner"
            )
    if taken := [path for path in rule_files() if path.stem == name]:
        raise UsageError(f"there is a rule {name} already, in {taken[0]}", hint="choose another name")
    path = folder / group / f"{name}.sql"
    template = Path(__file__).with_name("rule_template.sql").read_text(encoding="utf-8")
    title = name.replace("-", " ").capitalize()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never over a file that is there
            file.write(template.replace("NAME_OF_THE_RULE", name).replace("TITLE_OF_THE_RULE", title))
    except FileExistsError:
        raise QueryfitError(f"{path} is there already", hint="choose another name, or edit that file") from None
    except OSError as error:
        raise QueryfitError(
            f"cannot write {path}: {error.strerror or error}", hint="name another folder with --dir"
        ) from None
    click.echo(str(path))
    options.say(context, f"edit it, then: queryfit rules check {path}")


def _checked(files: Sequence[Path]) -> tuple[list[Problem], int]:
    """Everything that is wrong with the files, and how many examples they hold."""
    from queryfit.ruleset import Problem, RuleError, check_rule, read_rule  # noqa: PLC0415

    problems: list[Problem] = []
    examples = 0
    places: dict[str, Path] = {}
    for path in files:
        problems += check_rule(path)
        with suppress(RuleError):
            examples += len(read_rule(path).examples)
        if path.stem in places:
            problems.append(Problem(path, 1, f"rule {path.stem} is already defined in {places[path.stem]}"))
        places.setdefault(path.stem, path)
    return problems, examples


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _rules(config_file: Path | None, rule_folders: Sequence[Path]) -> list[Rule]:
    from queryfit.ruleset import load_rules  # noqa: PLC0415

    config = options.configuration(config_file, rule_folders=rule_folders)
    return sorted(load_rules(config.rules), key=lambda rule: (rule.group, rule.name))


def _all_files(config_file: Path | None, rule_folders: Sequence[Path]) -> list[Path]:
    from queryfit.ruleset import rule_files  # noqa: PLC0415

    return rule_files(options.configuration(config_file, rule_folders=rule_folders).rules)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The rule files that the arguments name: files, and all `.sql` files below folders."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise QueryfitError(f"there is no {path}", hint="name rule files or folders of them")
        found = sorted(path.rglob("*.sql")) if path.is_dir() else [path]
        if not found:
            raise QueryfitError(f"{path} holds no rule: no file ends with .sql", hint="`queryfit rules new` writes one")
        files += found
    return list(dict.fromkeys(files))
