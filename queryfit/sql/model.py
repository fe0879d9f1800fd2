"""What a statement says, as rows of the evidence tables `reference` and `shape`; their comments hold the meanings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of one column; a row of the table `reference` without database and fingerprint.

    `clause` is 0 outside conditions and otherwise distinct over the whole statement, not only within the block: a
    condition on a subquery's column is listed in the block of the relation that the column comes from.
    """

    block: int
    clause: int
    relation: str
    alias: str
    column_name: str
    role: str
    operator: str | None = None
    expression: str | None = None
    cast_type: str | None = None
    is_disjunct: bool = False
    is_optional: bool = False
    position: int | None = None
    is_descending: bool | None = None
    is_nulls_first: bool | None = None
    value: str | None = None
    value_kind: str | None = None
    value_cast_type: str | None = None
    other_relation: str | None = None
    other_column: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Flags of one statement; a row of the table `shape` without the fingerprint."""

    relations: int = 0
    joins: int = 0
    subqueries: int = 0
    common_tables: int = 0
    parameters: int = 0
    has_where: bool = False
    has_limit: bool = False
    has_constant_limit: bool = False
    has_offset: bool = False
    offset_rows: int | None = None
    has_order_by: bool = False
    has_group_by: bool = False
    has_distinct: bool = False
    has_aggregate: bool = False
    has_window: bool = False
    has_set_operation: bool = False
    has_star: bool = False
    has_recursion: bool = False
    has_row_locks: bool = False
    is_skip_locked: bool = False
    is_count_only: bool = False
    is_full_read: bool = False
    has_not_in_subquery: bool = False
    has_leading_wildcard: bool = False
    has_returning: bool = False
    has_writing_cte: bool = False
