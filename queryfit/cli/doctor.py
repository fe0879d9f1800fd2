"""`queryfit doctor`: what this role and server allow, and what will not be judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options

if TYPE_CHECKING:
    from queryfit.capture.connect import Reader


@click.command("doctor", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("dsn", required=False, metavar="[DSN]")
@options.with_options(
    click.option("--role", default="queryfit", show_default=True, help="Name of the role that the SQL makes."),
    click.option("--sql", "only_sql", is_flag=True, help="Print only the SQL that makes a fit role."),
    options.format_option("terminal", "json"),
    options.output_option,
    options.table_format_option,
    options.width_option,
    options.config_option,
    options.quiet_and_verbose,
)
def command(
    *,
    dsn: str | None,
    role: str,
    only_sql: bool,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    config_file: Path | None,
) -> None:
    """Say what role and server let queryfit judge, and mend it.

    For all that cannot be judged it names the GRANT or the setting that mends it.

    queryfit doctor postgresql://me@db.example/shop
    queryfit doctor --sql --role audit > role.sql
    """
    from queryfit.capture.connect import connect  # noqa: PLC0415
    from queryfit.capture.doctor import examine  # noqa: PLC0415
    from queryfit.render import doctor as render  # noqa: PLC0415

    config = options.configuration(config_file)
    with connect(dsn or config.dsn) as reader:
        sql = _fit_role_sql(reader, role)
        checks = [] if only_sql else examine(reader)
    if only_sql:
        options.deliver(sql, output)
    elif form == "json":
        options.deliver(render.diagnosis_json(checks, sql), output)
    else:
        look = options.look(output=output, width=width, table_format=table_format)
        options.deliver(render.diagnosis(checks, look), output)


def _fit_role_sql(reader: Reader, role: str) -> str:
    """The SQL that makes a fit role on this server, whoever runs it."""
    from queryfit.capture.doctor import TABLES, fit_role_sql  # noqa: PLC0415
    from queryfit.capture.scope import Filter, Gaps, Scope  # noqa: PLC0415
    from queryfit.capture.server_facts import read_server  # noqa: PLC0415

    server, _ = read_server(Scope(reader, Filter(), Gaps(), "current_user"))
    schemas = reader.query(TABLES)[0]["schemas"] or ()
    return fit_role_sql(str(server["provider"]), role, major=reader.version_number // 10_000, schemas=schemas)
