"""Advice that the tests of its renderers and of its migration share: the demo shop, as if it were a busy one."""

from __future__ import annotations

from dataclasses import replace

from queryfit.advise.build_cost import build_ms, disk_bytes
from queryfit.advise.measure.measured import Built, Measured, Outcome, Side, Trial, Withdrawn
from queryfit.advise.model import (
    Advice,
    Candidate,
    Chosen,
    Effect,
    Existing,
    Point,
    Rejected,
    Removal,
    Skipped,
    Weighted,
    Workload,
)
from queryfit.lab.planner import Index, Key, Query, Size
from tests.render.samples import HOSTILE

MB = 1 << 20
MIN = 60_000.0
TABLES = {
    "public.orders": 9_400 * MB, "public.customers": 310 * MB, "public.products": 96 * MB,
    "public.page_views": 14_200 * MB, "public.jobs": 2_100 * MB,
}  # fmt: skip

BY_CUSTOMER = Index("public.orders", (Key("customer_id"), Key("created_at", is_descending=True, is_nulls_first=True)))
BY_EMAIL = Index("public.customers", (Key("lower(email)", is_column=False),))
BY_WORDS = Index("public.products", (Key("name", operator_class="gin_trgm_ops"),), access_method="gin")
BY_VIEWER = Index("public.page_views", (Key("customer_id"),), included=("path",))
QUEUED = Index("public.jobs", (Key("id"),), predicate="state = 'queued'")
BY_STATUS = Index("public.orders", (Key("status"), Key("created_at")))
BY_TOTAL = Index("public.orders", (Key("total"),), access_method="brin")

STATEMENTS = (
    ("a1f0", "select id, status, total from orders where customer_id = $1 order by created_at desc limit $2", 70 * MIN),
    ("b2e1", "select * from customers where lower(email) = lower($1)", 42 * MIN),
    ("c3d2", "select id from jobs where state = 'queued' order by id limit 1 for update skip locked", 31 * MIN),
    ("d4c3", "select path, count(*) from page_views where customer_id = $1 group by path", 55 * MIN),
    ("e5b4", "select id, name, price from products where name ilike '%' || $1 || '%'", 24 * MIN),
    ("f6a5", "select created_at::date, sum(total) from orders where created_at >= $1 group by 1", 210 * MIN),
    ("0797", "insert into orders (customer_id, status, total, created_at) values ($1, $2, $3, $4)", 18 * MIN),
    ("1888", "select o.id from orders o join customers c on c.id = o.customer_id where c.country = $1", 26 * MIN),
    ("2979", "select count(*) from products where name > $1", 0.3 * MIN),
)  # fmt: skip


def _size(number: float, rows: float) -> Size:
    return Size(int(number * MB), rows, 2, "built")


def _chosen(  # noqa: PLR0917 -- a row of the table below
    index: Index, name: str, why: str, saving: float, upkeep: float, size: Size, fingerprints: tuple[str, ...],
    replaces: tuple[str, ...] = (),
) -> Chosen:  # fmt: skip
    candidate = Candidate(index, frozenset(fingerprints), why, replaces, size, upkeep)
    return Chosen(
        candidate, name, saving, fingerprints, build_ms(TABLES[index.relation], size, index.access_method),
        disk_bytes(size, index.access_method),
    )  # fmt: skip


CHOSEN = (
    _chosen(
        BY_CUSTOMER, "public.orders_customer_id_created_at_idx", "equality on customer_id, order by created_at desc",
        88.2 * MIN, 1.9 * MIN, _size(204, 9.6e6), ("a1f0", "1888"), ("public.orders_customer_idx",),
    ),
    _chosen(
        BY_VIEWER, "public.page_views_customer_id_path_idx", "equality on customer_id, path read from the index",
        53.6 * MIN, 3.1 * MIN, _size(142, 4.1e6), ("d4c3",),
    ),
    _chosen(BY_EMAIL, "public.customers_lower_idx", "equality on lower(email)", 41.7 * MIN, 0.2 * MIN,
            _size(38, 1.2e6), ("b2e1",)),
    _chosen(QUEUED, "public.jobs_id_idx", "state = 'queued', order by id", 30.8 * MIN, 0.9 * MIN,
            _size(0.02, 180), ("c3d2",)),
    _chosen(BY_WORDS, "public.products_name_idx", "pattern '%…%' on name", 21.3 * MIN, 0.4 * MIN,
            _size(28, 2.4e5), ("e5b4",)),
)  # fmt: skip
REMOVALS = (
    Removal(
        Existing("public.orders_customer_idx", Index("public.orders", (Key("customer_id"),)), 66 * MB, 1.2 * MIN,
                 is_removable=True),
        "replaced by orders_customer_id_created_at_idx", 1.2 * MIN,
    ),
    Removal(
        Existing("public.orders_coupon_code_idx", Index("public.orders", (Key("coupon_code"),)), 71 * MB, 1.3 * MIN,
                 is_removable=True),
        "unused: not read in 34 days", 1.3 * MIN,
    ),
)  # fmt: skip
REJECTED = (
    Rejected(Candidate(BY_STATUS, frozenset({"f6a5"}), "equality on status", size=_size(240, 9.6e6), upkeep=5.2 * MIN),
             "its upkeep of 5.2 min a day is more than the 3.4 min that it saves"),
    Rejected(Candidate(BY_TOTAL, frozenset({"f6a5"}), "huge table", size=_size(0.4, 6e4)),
             "no plan uses it"),
    Rejected(
        Candidate(Index("public.orders", (Key("created_at"), Key("total"))), frozenset({"f6a5"}),
                  "range on created_at, total read from the index", size=_size(310, 9.6e6), upkeep=2.2 * MIN),
        "it would exceed the budget: it saves 61 min a day for 310 MB",
    ),
)  # fmt: skip


def _effect(fingerprint: str, before: float, after: float, *indexes: str) -> Effect:
    ms = next(time for name, _, time in STATEMENTS if name == fingerprint)
    return Effect(fingerprint, before, after, ms / before, indexes)


EFFECTS = (
    _effect("a1f0", 8_412, 12.4, "public.orders_customer_id_created_at_idx"),
    _effect("b2e1", 31_250, 8.4, "public.customers_lower_idx"),
    _effect("c3d2", 51_200, 0.9, "public.jobs_id_idx"),
    _effect("d4c3", 96_100, 1_830, "public.page_views_customer_id_path_idx"),
    _effect("e5b4", 12_400, 1_395, "public.products_name_idx"),
    _effect("f6a5", 1_204_000, 1_204_000),
    _effect("0797", 0.05, 0.0519),
    _effect("1888", 88_000, 61_400, "public.orders_customer_id_created_at_idx"),
    _effect("2979", 1_100, 1_133),
)
WORKLOAD = Workload(
    tuple(
        Weighted(name, text, (Query(name, text),), ms / 100, calls_per_day=86_400.0, execution_ms_per_day=ms)
        for name, text, ms in STATEMENTS
    ),
    (
        Skipped("3a6b", "it reads a temporary table that the capture does not know"),
        Skipped("4b5c", "its text is cut off", "raise track_activity_query_size to 16384"),
        Skipped("5c4d", "its text is cut off", "raise track_activity_query_size to 16384"),
    ),
    unit="ms per day",
    database="shop",
)
BEFORE = sum(ms for _, _, ms in STATEMENTS)
UPKEEP = sum(chosen.candidate.upkeep for chosen in CHOSEN)


def _point(budget: int | None, size: float, left: float, bound: float, *indexes: Index) -> Point:
    return Point(budget * MB if budget else None, int(size * MB), BEFORE * left, BEFORE * bound, indexes)


CURVE = (
    _point(50, 38.0, 0.849, 0.849, BY_EMAIL, QUEUED),
    _point(100, 66.0, 0.805, 0.805, BY_EMAIL, QUEUED, BY_WORDS),
    _point(250, 242.0, 0.665, 0.658, BY_EMAIL, QUEUED, BY_CUSTOMER),
    _point(500, 412.0, 0.515, 0.511, BY_EMAIL, QUEUED, BY_CUSTOMER, BY_VIEWER, BY_WORDS),
    _point(1000, 722.0, 0.391, 0.391, BY_EMAIL, QUEUED, BY_CUSTOMER, BY_VIEWER, BY_WORDS, BY_STATUS),
    _point(None, 722.0, 0.391, 0.391, BY_EMAIL, QUEUED, BY_CUSTOMER, BY_VIEWER, BY_WORDS, BY_STATUS),
)
FULL = Advice(
    workload=WORKLOAD,
    cost_before=BEFORE,
    cost_after=BEFORE * 0.515,
    bound=BEFORE * 0.511,
    size_bytes=412 * MB,
    upkeep=UPKEEP,
    chosen=CHOSEN,
    removals=REMOVALS,
    effects=EFFECTS,
    rejected=REJECTED,
    curve=CURVE,
    planner_calls=1_284,
    seconds=4.2,
    is_complete=True,
    notes=("the function public.slug() is a stub in the lab: 1 statement that calls it is not judged",),
    budget_bytes=500 * MB,
    tolerance=0.1,
    server="PostgreSQL 18.1 (self-hosted) · shop",
)
NOTHING = replace(
    FULL, cost_after=BEFORE, bound=BEFORE, size_bytes=0, upkeep=0.0, chosen=(), removals=(), curve=(),
    effects=tuple(replace(effect, cost_after=effect.cost_before, indexes=()) for effect in EFFECTS), notes=(),
    workload=replace(WORKLOAD, skipped=()),
)  # fmt: skip
BY_COST = replace(
    FULL,
    workload=Workload(
        tuple(Weighted(f"q{n}", text, (Query(f"q{n}", text),), ms / 100) for n, (_, text, ms) in enumerate(STATEMENTS)),
        unit="cost",
    ),
    effects=tuple(replace(effect, fingerprint=f"q{n}") for n, effect in enumerate(EFFECTS)),
    removals=(),
    is_complete=False,
    planner="hypopg",
    server=None,
    budget_bytes=None,
)
_EVIL = Index(f'public."{HOSTILE}"', (Key(f'"{HOSTILE}"'),), predicate=f"x = '{HOSTILE}'")
HOSTILE_ADVICE = replace(
    FULL,
    chosen=(replace(CHOSEN[0], name=f'public."{HOSTILE}"', candidate=replace(CHOSEN[0].candidate, index=_EVIL,
                                                                             why=HOSTILE)),),
    removals=(replace(REMOVALS[0], reason=HOSTILE, existing=replace(REMOVALS[0].existing, name=HOSTILE, index=_EVIL)),),
    rejected=(replace(REJECTED[0], reason=HOSTILE, candidate=replace(REJECTED[0].candidate, index=_EVIL)),),
    effects=(replace(EFFECTS[0], fingerprint=HOSTILE, indexes=(HOSTILE,)),
             replace(EFFECTS[8], fingerprint=f"{HOSTILE}2", indexes=(HOSTILE,))),
    workload=Workload((replace(WORKLOAD.statements[0], fingerprint=HOSTILE, text=HOSTILE),),
                      (Skipped(HOSTILE, HOSTILE, HOSTILE),), "ms per day", HOSTILE),
    notes=(HOSTILE,),
    server=HOSTILE,
)  # fmt: skip
SAMPLES = {"full": FULL, "nothing": NOTHING, "cost": BY_COST, "hostile": HOSTILE_ADVICE}

TRIALS = tuple(
    Trial(name, Query(f"{name} {n}", text, ("1",)), 500.0, effect.cost_after / effect.cost_before)
    for effect, (name, text, _) in zip(EFFECTS, STATEMENTS, strict=True)
    for n in range(1 + (name == "a1f0"))
)


def _side(ms: float, blocks: int) -> Side:
    return Side(tuple(ms * jitter for jitter in (1.02, 0.98, 1.0, 1.05, 0.99, 1.01)), blocks, blocks // 4, frozenset())


MEASURED = Measured(
    "transaction",
    (
        Outcome(TRIALS[0], _side(48.0, 9_200), _side(0.4, 14), 0.05),
        Outcome(TRIALS[2], _side(190.0, 31_000), _side(0.2, 5), 0.05),
        Outcome(TRIALS[-1], _side(4.0, 210), _side(4.6, 230), 0.05),
        Outcome(TRIALS[6], _side(950.0, 120_000), _side(955.0, 120_000), 0.05, is_control=True),
    ),
    (), (Skipped("3a6b", "it writes, and writing was not allowed"),),
    (Built("orders_customer_id_created_at_idx", 211 * MB, 62.0),), (("products_name_idx", "no pg_trgm here"),), (), (),
    ("the server restarted its statistics meanwhile",), 94.0, is_complete=True,
    withdrawn=(Withdrawn("orders_state_idx", "9c1d", 1.36),),
)  # fmt: skip
PROVEN = replace(FULL, measured=MEASURED.ratios)
