"""`queryfit schedule`: captures and reports by the clock, printed, installed or removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import click

from queryfit.cli import options
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryfit.config import Config
    from queryfit.schedule.cron import Table
    from queryfit.schedule.github import Workflow
    from queryfit.schedule.jobs import Wanted
    from queryfit.schedule.kubernetes import Cluster
    from queryfit.schedule.systemd import Units

Kind = Literal["systemd", "cron", "kubernetes", "github"]
_SYSTEM_STORE = Path("/var/lib/queryfit")
_FOR_OTHERS = 0o077
# options that only some kinds of scheduler know
_ONLY: dict[str, tuple[Kind, ...]] = {
    "is_system": ("systemd",),
    "run_as": ("systemd",),
    "env_file": ("systemd", "cron"),
    "timezone": ("systemd", "kubernetes"),
    "image": ("kubernetes",),
    "namespace": ("kubernetes",),
    "secret": ("kubernetes",),
    "config_map": ("kubernetes",),
    "volume_size": ("kubernetes",),
}
_FLAGS = {"is_system": "system"}


class Asked(TypedDict):
    """The options, by their names."""

    kind: Kind
    name: str
    every: str
    report: str
    by_mail: bool
    by_webhook: bool
    redact: bool
    is_system: bool
    run_as: str | None
    env_file: Path | None
    timezone: str | None
    image: str | None
    namespace: str | None
    secret: str | None
    config_map: str | None
    volume_size: str | None
    store_folder: Path | None
    config_file: Path | None


@click.command("schedule", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("dsn", required=False, metavar="[DSN]")
@options.with_options(
    click.option(
        "--kind",
        type=click.Choice(("systemd", "cron", "kubernetes", "github")),
        default="systemd",
        show_default=True,
        help="The scheduler.",
    ),
    click.option("--install", "does_install", is_flag=True, help="Install it; again, to change it."),
    click.option(
        "--remove", "does_remove", is_flag=True, help="Remove what --install has installed, and nothing else."
    ),
    click.option("--every", default="5m", show_default=True, metavar="TIME", help="Time between two captures."),
    click.option(
        "--report",
        default="Mon 07:00",
        show_default=True,
        metavar="TIME",
        help="When to report: 'Mon 07:00', 'daily 07:00', 'monthly 07:00', or never.",
    ),
    click.option("--mail", "by_mail", is_flag=True, help="Send the report by mail, as [mail] in queryfit.toml says."),
    click.option("--webhook", "by_webhook", is_flag=True, help="Post it to each [[webhook]] in queryfit.toml."),
    click.option("--redact", is_flag=True, help="Keep no literals and no statistic values in the captures."),
    click.option(
        "--name",
        default="queryfit",
        show_default=True,
        metavar="NAME",
        help="Tells schedules of several servers apart.",
    ),
    click.option(
        "--env-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="systemd, cron: variables for the jobs, such as PGPASSWORD; mode 600.",
    ),
    click.option(
        "--timezone", metavar="ZONE", help="systemd, kubernetes: zone of the times.  [default: the machine's]"
    ),
    click.option("--system", "is_system", is_flag=True, help="systemd: for the machine, not for you alone."),
    click.option("--run-as", metavar="USER", help="systemd, with --system: who runs it.  [default: queryfit]"),
    click.option("--image", metavar="IMAGE", help="kubernetes: an image with queryfit in it."),
    click.option("--namespace", metavar="NAME", help="kubernetes: the namespace."),
    click.option(
        "--secret", metavar="NAME", help="kubernetes: a secret with PGHOST, PGPASSWORD …  [default: queryfit]"
    ),
    click.option("--config-map", metavar="NAME", help="kubernetes: a config map with a queryfit.toml."),
    click.option("--volume-size", metavar="SIZE", help="kubernetes: size of the store.  [default: 5Gi]"),
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context, *, dsn: str | None, does_install: bool, does_remove: bool, **asked: Unpack[Asked]
) -> None:
    """Print what makes a scheduler capture, compact and report; or install or remove it.

    A password is never in it: ~/.pgpass, a service file, --env-file or a secret has it.

    queryfit schedule service=shop                                  units of systemd, to look at
    queryfit schedule service=shop --mail --install                 … installed
    queryfit schedule service=shop --kind cron --every 10m --install
    queryfit schedule --kind kubernetes --image registry.example.org/queryfit:1 | kubectl apply -f -
    queryfit schedule --remove
    """
    from queryfit.config import Config  # noqa: PLC0415
    from queryfit.schedule.jobs import check_name  # noqa: PLC0415

    if does_install and does_remove:
        raise UsageError("--install and --remove exclude each other", hint="give one of them")
    _check_kind(asked)
    check_name(asked["name"])
    if does_remove:
        said = _removed(asked, Config())  # a mistake in the file is no reason to let it run
        options.deliver("\n".join(said or ["there was nothing to remove"]), None)
        return
    config = options.configuration(asked["config_file"], store_folder=asked["store_folder"])
    for note in _notes(asked, dsn, config):
        options.say(context, note)
    options.deliver(_made(asked, dsn, config, does_install=does_install), None)


def _check_kind(asked: Asked) -> None:
    for key, kinds in _ONLY.items():
        if asked[key] and asked["kind"] not in kinds:  # type: ignore[literal-required]
            flag = _FLAGS.get(key, key.replace("_", "-"))
            raise UsageError(f"--{flag} means nothing to {asked['kind']}", hint=f"it is for {' and '.join(kinds)}")
    if asked["run_as"] and not asked["is_system"]:
        raise UsageError("--run-as is for the machine's services", hint="add --system")
    if zone := asked["timezone"]:
        from zoneinfo import ZoneInfo  # noqa: PLC0415

        try:
            ZoneInfo(zone)
        except (ValueError, OSError, LookupError):
            raise UsageError(f"--timezone {zone!r} is not known", hint="such as Europe/Berlin, or UTC") from None


def _made(asked: Asked, dsn: str | None, config: Config, *, does_install: bool) -> str:
    """The text of the schedule, or with `does_install` what was done."""
    from queryfit.schedule import cron, github, kubernetes, systemd  # noqa: PLC0415
    from queryfit.schedule.jobs import make_jobs  # noqa: PLC0415

    jobs = make_jobs(_wanted(asked, dsn, config))
    said: Sequence[str]
    if asked["kind"] == "systemd":
        units = _units(asked, config)
        texts = systemd.files(units, jobs)
        printed = "\n".join(f"# {units.folder() / name}\n{text}" for name, text in texts.items())
        said = systemd.install(units, jobs) if does_install else ()
    elif asked["kind"] == "cron":
        table = _table(asked)
        printed = cron.block(table, jobs)
        said = cron.install(table, jobs) if does_install else ()
    elif asked["kind"] == "kubernetes":
        cluster = _cluster(asked)
        printed = kubernetes.manifest(cluster, jobs)
        said = kubernetes.install(cluster, jobs) if does_install else ()
    else:
        workflow = _workflow(asked, config)
        printed = github.text(workflow, jobs)
        said = github.install(workflow, jobs) if does_install else ()
    return "\n".join(said) if does_install else printed


def _removed(asked: Asked, config: Config) -> list[str]:
    from queryfit.schedule import cron, github, kubernetes, systemd  # noqa: PLC0415

    if asked["kind"] == "systemd":
        return systemd.remove(_units(asked, config))
    if asked["kind"] == "cron":
        return cron.remove(_table(asked))
    if asked["kind"] == "kubernetes":
        return kubernetes.remove(_cluster(asked))
    return github.remove(_workflow(asked, config))


def _wanted(asked: Asked, dsn: str | None, config: Config) -> Wanted:
    from queryfit.schedule import github, kubernetes  # noqa: PLC0415
    from queryfit.schedule.jobs import Wanted  # noqa: PLC0415
    from queryfit.schedule.timing import parse_at, parse_every  # noqa: PLC0415

    if asked["kind"] == "kubernetes":
        store, place = kubernetes.STORE, kubernetes.CONFIG if asked["config_map"] else None
    elif asked["kind"] == "github":
        store, place = github.STORE, _in_repository(config.path)
    else:
        store, place = str(_store(asked, config)), str(config.path.resolve()) if config.path else None
    is_sent = asked["by_mail"] or asked["by_webhook"]
    return Wanted(
        every=parse_every(asked["every"]),
        report=parse_at(asked["report"]),
        dsn=dsn,
        store=store,
        config=place,
        by_mail=asked["by_mail"],
        by_webhook=asked["by_webhook"],
        page=None if is_sent else f"{store}/report.html",
        redacts=asked["redact"],
    )


def _store(asked: Asked, config: Config) -> Path:
    if asked["is_system"] and config.store is None:
        return _SYSTEM_STORE
    return options.store_of(config).folder.expanduser().resolve()


def _units(asked: Asked, config: Config) -> Units:
    from queryfit.schedule.systemd import Units  # noqa: PLC0415

    return Units(
        name=asked["name"],
        program=_program(),
        store=_store(asked, config),
        is_system=asked["is_system"],
        run_as=(asked["run_as"] or "queryfit") if asked["is_system"] else None,
        env_file=_private(asked["env_file"]),
        timezone=asked["timezone"],
    )


def _table(asked: Asked) -> Table:
    from queryfit.schedule.cron import Table  # noqa: PLC0415

    return Table(asked["name"], _program(), _private(asked["env_file"]))


def _cluster(asked: Asked) -> Cluster:
    from queryfit.schedule.kubernetes import Cluster  # noqa: PLC0415

    return Cluster(
        name=asked["name"],
        image=asked["image"] or "",
        namespace=asked["namespace"],
        secret=asked["secret"] or "queryfit",
        config_map=asked["config_map"],
        volume_size=asked["volume_size"] or "5Gi",
        timezone=asked["timezone"],
    )


def _workflow(asked: Asked, config: Config) -> Workflow:
    from queryfit.schedule.github import Workflow  # noqa: PLC0415

    places = [config.mail.password] if config.mail and asked["by_mail"] else []
    places += [webhook.url for webhook in config.webhooks] if asked["by_webhook"] else []
    names = tuple(place.name for place in places if place is not None and place.kind == "env")
    return Workflow(asked["name"], _repository(), names)


def _repository() -> Path:
    """The root of the working copy that this folder is in, else this folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _in_repository(path: Path | None) -> str | None:
    if path is None:
        return None
    root = _repository().resolve()
    if not path.resolve().is_relative_to(root):
        raise UsageError(f"{path} is not in the repository of the workflow", hint="put it there, or run it elsewhere")
    return path.resolve().relative_to(root).as_posix()


def _program() -> tuple[str, ...]:
    """The command that starts this queryfit again, whatever the PATH is there."""
    called = Path(sys.argv[0])
    if called.name == "queryfit" and called.is_file():
        return (str(called.absolute()),)
    return (sys.executable, "-m", "queryfit")


def _private(path: Path | None) -> Path | None:
    """The absolute path of a file of variables. Raises QueryfitError where others can read it."""
    if path is None:
        return None
    if path.exists() and path.stat().st_mode & _FOR_OTHERS:
        raise QueryfitError(f"{path} can be read by others, and passwords may be in it", hint=f"chmod 600 {path}")
    return path.absolute()


def _notes(asked: Asked, dsn: str | None, config: Config) -> list[str]:
    """What a person has to see to. Raises QueryfitError for what could not work."""
    notes = []
    is_here = asked["kind"] in {"systemd", "cron"}
    if asked["kind"] == "kubernetes" and not asked["image"]:
        raise UsageError(
            "--image is missing: the jobs need an image that holds queryfit",
            hint="FROM python:3.13-slim, RUN pip install 'queryfit[report]'",
        )
    if asked["kind"] == "kubernetes":
        if (asked["by_mail"] or asked["by_webhook"]) and not asked["config_map"]:
            raise UsageError("--mail and --webhook need a configuration in the cluster", hint="--config-map NAME")
        if asked["config_map"]:
            notes.append(
                f"kubectl create configmap {asked['config_map']} --from-file=queryfit.toml makes the config map"
            )
    else:
        _check_ways(asked, config)
    if dsn is None and config.dsn is None and is_here and asked["env_file"] is None:
        notes.append("no DSN: the jobs need one, as an argument, in queryfit.toml, or as PG* variables in --env-file")
    if asked["kind"] == "systemd" and not asked["is_system"]:
        notes.append("`loginctl enable-linger` lets it run while you are not logged in")
    if asked["is_system"]:
        user = asked["run_as"] or "queryfit"
        notes.append(f"it runs as {user}: useradd --system {user} makes the user where there is none")
    return notes


def _check_ways(asked: Asked, config: Config) -> None:
    from queryfit.delivery.deliver import envelope_of  # noqa: PLC0415

    if asked["by_mail"]:
        if config.mail is None:
            raise QueryfitError(
                "--mail, and no [mail] in the configuration", hint="add it to queryfit.toml: host, from, to"
            )
        envelope_of(config.mail)
    if asked["by_webhook"] and not config.webhooks:
        raise QueryfitError(
            "--webhook, and no [[webhook]] in the configuration", hint="add it to queryfit.toml: url-env"
        )
