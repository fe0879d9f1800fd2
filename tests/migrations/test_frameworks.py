"""What Alembic and Django really print as SQL, on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pglast.parser import parse_sql_json

from queryfit.migrations.files import MigrationFile, find_files
from tests.servers import Cluster

ALEMBIC_ENV = """
from alembic import context
context.configure(url="postgresql+psycopg://", literal_binds=True, transaction_per_migration={per_migration})
with context.begin_transaction():
    context.run_migrations()
"""
ALEMBIC_FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "a1", None
def upgrade():
    op.create_table("orders", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("note", sa.String(20)))
def downgrade():
    op.drop_table("orders")
"""
ALEMBIC_SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "b2", "a1"
def upgrade():
    op.add_column("orders", sa.Column("customer_id", sa.BigInteger))
    op.alter_column("orders", "note", type_=sa.Text(), nullable=False)
    with op.get_context().autocommit_block():
        op.create_index("orders_note", "orders", ["note"], postgresql_concurrently=True)
    op.create_index("orders_customer", "orders", ["customer_id"])
    op.execute("comment on table orders is 'a:b \\\\ c ${d}'")
def downgrade():
    op.drop_column("orders", "customer_id")
"""
DJANGO_SETTINGS = """
INSTALLED_APPS = ["shop"]
HOST = {host!r}
DATABASES = {{
    "default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": HOST}}
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
DJANGO_FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Order", [
            ("id", models.BigAutoField(primary_key=True)), ("note", models.CharField(max_length=20)),
        ]),
    ]
"""
DJANGO_SECOND = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0001_initial")]
    operations = [AddIndexConcurrently("order", models.Index(fields=["note"], name="order_note"))]
"""
DJANGO_THIRD = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("shop", "0002_note")]
    operations = [
        migrations.AlterField("order", "note", models.TextField()),
        migrations.AddIndex("order", models.Index(fields=["-id"], name="order_backwards")),
        migrations.RunPython(lambda apps, editor: None),
    ]
"""


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "settings"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def alembic(folder: Path, *, per_migration: bool, what: str = "upgrade head") -> str:
    """What `alembic … --sql` prints."""
    (folder / "versions").mkdir(exist_ok=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "env.py").write_text(ALEMBIC_ENV.format(per_migration=per_migration))
    (folder / "versions/a1.py").write_text(ALEMBIC_FIRST)
    (folder / "versions/b2.py").write_text(ALEMBIC_SECOND)
    return run([sys.executable, "-m", "alembic", *what.split(), "--sql"], folder)


def django(folder: Path, server: Cluster) -> list[str]:
    """What `manage.py sqlmigrate` prints of three migrations."""
    migrations = folder / "shop" / "migrations"
    migrations.mkdir(parents=True)
    for package in (folder / "shop", migrations):
        (package / "__init__.py").write_text("")
    (folder / "settings.py").write_text(DJANGO_SETTINGS.format(host=str(server.socket_dir)))
    texts = {"0001_initial": DJANGO_FIRST, "0002_note": DJANGO_SECOND, "0003_text": DJANGO_THIRD}
    for name, text in texts.items():
        (migrations / f"{name}.py").write_text(text)
    return [run([sys.executable, "-m", "django", "sqlmigrate", "shop", name], folder) for name in texts]


def read(sql: str) -> tuple[MigrationFile, list[str]]:
    """The file that standard input is, and the kinds of its statements."""
    [file] = find_files([Path("-")], root=Path(), stdin=sql)
    tree = json.loads(parse_sql_json(file.sql))
    return file, [kind(statement["stmt"]) for statement in tree["stmts"]]


def kind(statement: dict[str, Any]) -> str:
    [(name, node)] = statement.items()
    return str(node["kind"]).removeprefix("TRANS_STMT_").lower() if name == "TransactionStmt" else str(name)


def lint(sql: str, folder: Path) -> list[tuple[str, int, str]]:
    """What the real command finds: rule, line and severity."""
    command = [sys.executable, "-m", "queryfit", "lint", "-", "--format", "json", "--fail-on", "never"]
    done = subprocess.run(command, cwd=folder, input=sql, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(found["rule"], found["line"], found["severity"]) for found in json.loads(done.stdout)["findings"]]


def line_of(sql: str, words: str) -> int:
    return next(number for number, line in enumerate(sql.splitlines(), 1) if words in line)


@pytest.mark.parametrize("per_migration", [True, False])
def test_alembic_opens_its_transactions_itself(tmp_path: Path, per_migration: bool) -> None:
    file, kinds = read(alembic(tmp_path, per_migration=per_migration))
    assert (file.runner, file.transactions, file.notes) == ("psql", "each", ())
    assert file.sql == file.text
    concurrent = next(place for place, line in enumerate(file.text.split(";")) if "CONCURRENTLY" in line)
    before = kinds[:concurrent]
    assert before.count("begin") == before.count("commit") > 0
    assert kinds[concurrent + 1] == "begin"
    assert kinds[-1] == "commit"


def test_alembics_way_back_is_sql_too(tmp_path: Path) -> None:
    file, kinds = read(alembic(tmp_path, per_migration=True, what="downgrade b2:a1"))
    assert kinds[0] == "begin"
    assert "AlterTableStmt" in kinds
    assert "DROP COLUMN" in file.sql


def test_what_alembic_prints_is_linted(tmp_path: Path) -> None:
    sql = alembic(tmp_path, per_migration=True, what="upgrade a1:head")
    found = lint(sql, tmp_path)
    rules = {(rule, line) for rule, line, _ in found}
    assert ("index-not-concurrent", line_of(sql, "CREATE INDEX orders_customer")) in rules
    assert not [one for one in found if one[1] == line_of(sql, "CONCURRENTLY") and "transaction" in one[0]]


def test_the_table_that_alembic_makes_in_the_same_run_is_new(tmp_path: Path) -> None:
    sql = alembic(tmp_path, per_migration=True)
    assert not [rule for rule, _, severity in lint(sql, tmp_path) if rule == "index-not-concurrent" and severity]


def test_django_opens_its_transactions_itself(tmp_path: Path, newest: Cluster) -> None:
    first, second, third = (read(sql) for sql in django(tmp_path, newest))
    assert first[1] == ["begin", "CreateStmt", "commit"]
    assert second[1] == ["IndexStmt"]
    assert third[1][0] == "begin"
    assert third[1][-1] == "commit"
    assert {file.transactions for file, _ in (first, second, third)} == {"each"}
    assert all(file.sql == file.text for file, _ in (first, second, third))


def test_what_django_prints_is_linted(tmp_path: Path, newest: Cluster) -> None:
    _, second, third = django(tmp_path, newest)
    assert not [rule for rule, _, _ in lint(second, tmp_path) if rule == "index-not-concurrent"]
    rules = {(rule, line) for rule, line, _ in lint(third, tmp_path)}
    assert ("index-not-concurrent", line_of(third, "CREATE INDEX")) in rules
