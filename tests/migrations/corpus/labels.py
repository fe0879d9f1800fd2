# ruff: noqa: E501 - lists of forms, one line a kind
"""Labels for the corpus: which statement may surprise production, by what a server did with it.

Unsafe is a statement that fails; that rewrites, reads whole or builds an index of a table that was there while a lock
on it keeps reads or writes out; or, by definition, that takes away or renames what running clients use. Where opinions
differ, or where the reason to be careful is not in what was observed, there is no label.
"""

from __future__ import annotations

import re
from typing import Literal

from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE
from queryfit.migrations.trace import Observed
from tests.migrations.corpus.case import Case

Label = Literal["unsafe", "safe"]

FORMS = re.compile(
    r"alter type, (plain|indexed|check|expression index|partitioned|inherited|unique|primary key|view)$|alter type (of a key|in a time zone)"
    r"|several actions|add column|drop column|rename (column|table)|defaults|set not null|not null|drop not null|add primary key on"
    r"|primary key|keys|check|foreign key|exclusion|create (unique )?index|drop index|reindex|alter index|index, |refused in"
    r"|attach partition|create partition|detach partition|column settings|identity|generated|alter table|drop table|create table"
    r"|enum|domain|comment|view|maintenance|do block|own block|two statements|trigger|policy|function|statistics|behind a lock"
)
# by definition: gone or under another name for clients that run
_BREAKS = re.compile(
    r"(?:^|begin |then |else |execute '|perform 1; )(?:alter (table|view|materialized view)\b.*\brename (?!constraint)"
    r"|drop (table|view|materialized view|schema|function|type|domain)\b|alter table .*\bset schema\b|truncate\b|drop index (?!concurrently))"
    r"|refresh materialized view .* with no data|\bdrop column\b|\bdrop tags\b|\brename value\b"
)
# no label: a matter of taste, of roles and rows, or no surprise in what a server shows
_OPEN = re.compile(
    r"\babsent\b|row level security|\btrigger all\b|\btrigger user\b|(dis|en)able .*trigger|\bdetach\b|regclass|tablespace|cascade|lock table|^lock"
    r"|update |delete |insert |drop constraint|drop (identity|expression|default)|drop trigger|drop policy|drop rule|drop statistics"
    r"|drop not null|^(begin|commit|rollback|savepoint)$|vacuum orders, customers|rename to (c|x)$|not enforced|^alter table (only )?(root|parent|low|kid) (no )?inherit"
    r"|\btmp\b|\bfresh\b|no inherit|^drop sequence|rename constraint|^drop function|^alter function|empty candidate|validate constraint c$"
    r"|positive_check|truncate only|^alter table customers drop column|^drop schema|replica identity|force row|^checkpoint|finalize"
    r"|^alter (view|materialized view|table) \w*(view|report|seq|counter) |^alter view orders|^alter sequence|^alter index orders |orders_n rename|scratch set unlogged|^drop index root|^drop index report_id|on report |if not exists"
)
# errors that the schema and the transaction explain; others come of rows or of the rig
_FORESEEN = frozenset({"25001", "23502", "42809", "0A000", "55P04", "2BP01", "42830"})


def label(case: Case, observed: Observed) -> Label | None:
    """The label of the last statement of a case, or None where it has none."""
    statement = case.statements[-1]
    if FORMS.match(case.form) is None or _OPEN.search(statement) or "regclass" in case.name or "empty" in case.variant:
        return None
    if observed.error is not None:
        return "unsafe" if observed.error.sqlstate in _FORESEEN else None
    if observed.locks_seen == "none" or (not observed.locks and not observed.held):
        return None
    if _blocks_long(observed, case) or _BREAKS.search(statement):
        return "unsafe"
    return "safe"


def _blocks_long(observed: Observed, case: Case) -> bool:
    """Work on a table that was there before the file, while somebody who wants to write has to wait."""
    born = {f"public.{name}" for text in case.statements[:-1] for name in re.findall(r"create table (\w+)", text)}
    worked = observed.rewritten | observed.scanned | {*observed.built.values()} | {*observed.rebuilt.values()}
    worked -= born | observed.empty
    levels = {
        name: max(observed.locks.get(name, 0), observed.held.get(name, 0)) for name in {*observed.locks, *observed.held}
    }
    blocked = {
        name
        for name, level in levels.items()
        # a materialized view has no writers; of an index, CONCURRENTLY locks only the one that nobody uses any more
        if name not in born
        and not (observed.locks_seen == "sampled" and observed.kinds.get(name) == "i")
        and level >= (ACCESS_EXCLUSIVE if observed.kinds.get(name) == "m" else SHARE)
    }
    return bool(worked) and bool(blocked)
