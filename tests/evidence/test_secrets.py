"""No capture holds a password: not in a setting, not in a statement."""

from __future__ import annotations

import pytest

from queryfit.evidence.secrets import without_passwords, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "create role r login password 'HUNTER'",
        "alter user r with encrypted password E'HUNTER' valid until 'infinity'",
        "create server s foreign data wrapper w options (host 'h', password 'HUNTER')",
        "alter user mapping for r server s options (set \"password\" 'HUNTER')",
        "create subscription s connection 'host=h password=HUNTER' publication p",
        "create subscription s connection 'postgresql://u:HUNTER@h/db' publication p",
        "alter system set primary_conninfo = 'host=h password=HUNTER'",
        "alter system set archive_command to 'KEY=HUNTER cp %p /x'",
        "select * from users where password = 'HUNTER'",
        "do $$ begin create role r password 'HUNTER'; end $$",
        "create role r password 'HUNTER",
        "alter role r password U&'HUNTER'",
    ],
)
def test_a_password_is_hidden(text: str) -> None:
    for table in ("statement_text", "activity"):
        assert "HUNTER" not in str(without_secrets(table, {"text": text})["text"])


@pytest.mark.parametrize(
    "text",
    [
        "select password, note from users where id = 5 and note = 'kept'",
        "update users set password = $1 where name = 'kept'",
        "select $1 from \"passwords\" where kind = 'kept'",
        "alter role r valid until 'kept'",
    ],
)
def test_other_constants_stay(text: str) -> None:
    assert without_passwords(text) == text


def test_what_is_beside_the_password_stays() -> None:
    told = without_passwords("create server s foreign data wrapper w options (host 'h', password 'x', port '5')")
    assert told == "create server s foreign data wrapper w options (host 'h', password '…', port '5')"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("primary_conninfo", "host=p user=r password=HUNTER port=5", "host=p user=r password=… port=5"),
        ("primary_conninfo", r"password='HUN\'TER x' host=p", "password=… host=p"),
        ("primary_conninfo", r"host=p password=HUN\ TER", "host=p password=…"),
        ("primary_conninfo", "host=p sslpassword = HUNTER", "host=p sslpassword = …"),
        ("primary_conninfo", "postgresql://r:HUNTER@p/x", "postgresql://r:…@p/x"),
        ("archive_command", "AWS_SECRET=HUNTER cp %p /x", "…"),
        ("archive_command", "", ""),
        ("anon.salt", "HUNTER", "…"),
        ("password_encryption", "scram-sha-256", "scram-sha-256"),
        ("work_mem", "4096", "4096"),
    ],
)
def test_settings_are_kept_without_passwords(name: str, value: str, expected: str) -> None:
    assert without_secrets("setting", {"name": name, "value": value})["value"] == expected
