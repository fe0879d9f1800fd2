"""The door to EXPLAIN: one plannable statement passes, everything else is refused with a reason."""

import pytest
from pglast import ast

from queryfit.sql.safety import single_plannable


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("select 1", ast.SelectStmt),
        ("select * from t where a in ($1 /*, ... */)", ast.SelectStmt),
        ("values (1)", ast.SelectStmt),
        ("table t", ast.SelectStmt),
        ("with x as (delete from t returning *) select * from x", ast.SelectStmt),
        ("insert into t values ($1)", ast.InsertStmt),
        ("update t set a = $1 where b = $2", ast.UpdateStmt),
        ("delete from t using u where t.a = u.a", ast.DeleteStmt),
        ("merge into t using s on t.a = s.a when matched then delete", ast.MergeStmt),
        ("select 'a;b' -- ; drop table t", ast.SelectStmt),
        ("select 1;", ast.SelectStmt),
    ],
)
def test_one_planned_statement_passes(text: str, node: type[ast.Node]) -> None:
    statement, reason = single_plannable(text)
    assert reason is None
    assert isinstance(statement, node)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no statement"),
        (" -- nothing", "no statement"),
        ("select 1; drop table t", "2 statements"),
        ("select 'a'; select 'b';", "2 statements"),
        (r"select '\'; drop table t; --'", "2 statements"),
        ("drop table t", "Drop"),
        ("explain analyze delete from t", "Explain"),
        ("copy t to program 'x'", "Copy"),
        ("create table t as select 1", "CreateTableAs"),
        ("select 1 into t", "SELECT INTO"),
        ("select 1 into t union select 2", "SELECT INTO"),
        ("do $$ begin end $$", "Do"),
        ("call p()", "Call"),
        ("execute p", "Execute"),
        ("begin", "Transaction"),
        ("select * from t where a = ", "end of input"),
        ("select 'x", "unterminated"),
        ("<insufficient privilege>", "syntax error"),
        ("select 1 \0 from t", "NUL"),
        ("select '\ud800'", "Unicode"),
    ],
)
def test_everything_else_is_refused_in_words(text: str, words: str) -> None:
    statement, reason = single_plannable(text)
    assert statement is None
    assert reason is not None
    assert words in reason
