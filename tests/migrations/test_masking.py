"""What of a file reaches the server; the places stay."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast.parser import parse_sql_json

from queryfit.migrations.masking import MAX_NOTES, mask, statements


def masked(text: str, *, is_psql: bool = True, is_flyway: bool = False) -> str:
    sql, _ = mask(text, is_psql=is_psql, is_flyway=is_flyway)
    assert len(sql) == len(text)
    assert [place for place, sign in enumerate(sql) if sign == "\n"] == [
        place for place, sign in enumerate(text) if sign == "\n"
    ]
    return sql


def test_a_file_without_marks_stays_the_very_same_object() -> None:
    text = "create table t (a text default 'x:y', b int); select a::text from t where b[1:2] = '{}'\n"
    assert mask(text, is_psql=True)[0] is text


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("\\set x 1\nselect 1;", "        \nselect 1;"),
        ("select 1 \\gset\nselect 2;", "select 1 ;    \nselect 2;"),
        ("select 1 \\g out.txt\n", "select 1 ;         \n"),
        ("select 1\\; select 2;", "select 1 ; select 2;"),
        ("\\timing on \\\\ select 1;", "              select 1;"),
        ("\\echo 'a \\\\ b'\nselect 1;", "              \nselect 1;"),
        ("select '\\q', $$ \\q $$, E'\\'\\q'; -- \\q\n", "select '\\q', $$ \\q $$, E'\\'\\q'; -- \\q\n"),
        ("/* /* */ \\q */ select 1; \\q\nnever", "/* /* */ \\q */ select 1;   \n     "),
        ("\\if :x\nselect 1;\n\\q\n\\endif\nselect 2;", "      \nselect 1;\n  \n      \nselect 2;"),
        ("\ufeffselect 1;", " select 1;"),
        ("select 1;\0", "select 1; "),
    ],
)  # fmt: skip
def test_psql_keeps_its_own_commands_to_itself(text: str, sql: str) -> None:
    assert masked(text) == sql


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("select :a, :'b', :\"c\";", "select _a, '_b', \"_c\";"),
        ("select :{?long};", "select TRUE    ;"),
        ("select a[lo:hi], x::int, f(y := 1), ':a', $$:a$$;", "select a[lo:hi], x::int, f(y := 1), ':a', $$:a$$;"),
        (":statement;", "          ;"),
    ],
)
def test_variables_of_psql_become_names_or_texts(text: str, sql: str) -> None:
    assert masked(text) == sql


def test_variables_are_psqls_alone() -> None:
    assert masked("select :a;", is_psql=False) == "select :a;"


def test_rows_of_copy_are_not_sql() -> None:
    text = "copy t (a) from stdin;\n1\t'\n$$\n\\.\nselect 1;\n"
    assert masked(text) == "copy t (a) from stdin;\n   \n  \n  \nselect 1;\n"
    assert masked(text, is_psql=False) == masked(text)


def test_rows_of_copy_end_with_the_file() -> None:
    assert masked("COPY t FROM STDIN;\n1\n2") == "COPY t FROM STDIN;\n \n "


def test_a_copy_in_words_has_no_rows() -> None:
    text = "select 'copy t from stdin;';\nselect 1; -- copy t from stdin;\nselect 2;\n"
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("create table ${schema}.t (a int);", "create table __schema_.t (a int);"),
        ("create table {{ schema }}.t ();", "create table ___schema___.t ();"),
        ("select '${x}', 1;", "select '${x}', 1;"),
        ("${everything};\nselect 1;", "             ;\nselect 1;"),
        ("{% if x %}\nselect 1;\n{% endif %}", "          \nselect 1;\n           "),
        ("{# a; b #}select 1;", "{# a; b #}select 1;"),
        ("select '{{1,2},{3,4}}'::int[];", "select '{{1,2},{3,4}}'::int[];"),
    ],
)
def test_placeholders_become_names(text: str, sql: str) -> None:
    assert masked(text, is_psql=False) == sql


def test_flyway_fills_in_quoted_texts_too() -> None:
    text = "do $$ begin drop table ${s}.t; end $$; select '${s}';"
    assert masked(text, is_psql=False, is_flyway=True) == text.replace("${s}", "__s_")


def test_what_is_not_seen_is_said_once_with_its_line() -> None:
    _, notes = mask("select 1;\n\\i a.sql\n\\i a.sql\nselect :x, :x;\n\\timing\n", is_psql=True)
    assert [(note.line, note.text) for note in notes] == [
        (2, r"\i a.sql: the file that it includes is not read"),
        (4, ":x: its value is not seen"),
    ]


def test_a_template_with_thousands_of_placeholders_gives_few_notes() -> None:
    _, notes = mask("".join(f"select ${{p{number}}};\n" for number in range(3000)), is_psql=False)
    assert len(notes) == MAX_NOTES


@pytest.mark.parametrize(
    "piece",
    ["{{", "${", "${a", "/*", "$a$", "$a", "copy t from stdin\n", "copy\n", "\\", "\\if\n", ":'", ':"', "E'\\", ":a ",
     "\\g\n", "a[", "[:x", "'", '"', "from stdin ", "{%", "${a}", ";\n:a", "$1$ $2$ ", "-- ", "\\copy t from stdin\n"],
)  # fmt: skip
def test_hostile_texts_take_no_more_than_their_length(piece: str) -> None:
    start = time.process_time()
    masked("select ${x}; select :x; " + piece * (300_000 // len(piece)), is_flyway=True)
    masked("select ${x}; select :x; " + piece * (300_000 // len(piece)))
    statements(piece * (300_000 // len(piece)))
    assert time.process_time() - start < 3


@given(st.text(st.sampled_from("a:;'\"$\\{}[]\n-/*%#?. eEcopyfromstdin\0\ufeff"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_keeps_its_places(text: str) -> None:
    masked(text)
    masked(text, is_psql=False, is_flyway=True)
    assert all(0 <= start < len(text) for start in statements(text))


def test_statements_begin_after_blanks_and_comments() -> None:
    text = "-- a;\nselect ';'; /* ; /* ; */ */ do $x$ ; $x$; \n select 1"
    assert [text[start : start + 8].split(maxsplit=1)[0] for start in statements(text)] == ["select", "do", "select"]
    assert len(parse_sql_json(text)) > 0
