"""What a query is, told from its syntax tree: one SELECT over named tables, and whether it fixes its order."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from sealift.errors import RequestError
from sealift.rows import engine

Node = Mapping[str, Any]

SELECTS = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
ROW_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "generate_subscripts"}
)
"""Functions that may stand in FROM. The others read files, settings or memory, or run SQL that nobody has checked."""

TELLING = frozenset({"current_setting", "getvariable", "json_serialize_plan", "sleep_ms", "write_log"}) | frozenset(
    {"format_type", "get_block_size", "pg_get_constraintdef", "pg_get_viewdef"}
)
"""Functions of values that tell of settings or of where tables lie on this machine, or that do more than to answer;
the latter four are macros over DuckDB's catalogue."""

ONE_SELECT = "write one SELECT (WITH …, FROM … and VALUES … are fine); sealift itself writes the files"


@functools.lru_cache(maxsize=16)
def parse(sql: str) -> Node:
    """The syntax tree of the one SELECT that this is; nothing is run.

    DuckDB lets a WITH clause write (COPY, INSERT …), even over a file that it may only read: such a tree is refused
    here, as are DuckDB's own tables and every function in FROM that is not known to be harmless.

    Raises:
        RequestError: it is no SQL, several statements, something else than a SELECT, or reaches beyond the tables.
    """
    with duckdb.connect(":memory:") as con:
        try:
            statements = con.extract_statements(sql)
            tree = engine.run(con, f"SELECT json_serialize_sql({engine.text(sql)})")[0][0]
        except duckdb.Error as error:
            raise RequestError(engine.said(error), hint=ONE_SELECT, key="rows") from error
        own = _own_tables(con)
    try:
        found = json.loads(str(tree))
    except RecursionError as error:
        raise RequestError("the query nests too deep", hint="name its inner queries with WITH", key="rows") from error
    if len(statements) != 1 or found["error"]:
        raise RequestError(_not_a_select(len(statements), found), hint=ONE_SELECT, key="rows")
    node: Node = found["statements"][0]["node"]
    _refuse_reaching_out(node, own)
    return node


def _not_a_select(count: int, found: Node) -> str:
    if count == 0:
        return "the query is empty"
    if count > 1 and not found["error"]:
        return f"there are {count} statements, but one SELECT is wanted"
    if "PIVOT" in str(found.get("error_message")).upper():
        return "PIVOT needs its values spelled out: PIVOT … ON column IN (…)"
    return "this is not one SELECT statement (a PIVOT is one when its values are spelled out: ON column IN (…))"


def _refuse_reaching_out(tree: Node, own: frozenset[str]) -> None:
    for node in _nodes(tree):
        kind = str(node.get("type", ""))
        if kind.endswith("_NODE") and kind not in SELECTS:
            verb = kind.split("_")[0]
            raise RequestError(f"the query holds a statement that writes: {verb}", hint=ONE_SELECT, key="rows")
        if kind == "VALUE_PARAMETER":
            raise RequestError("the query has an open parameter (? or $…)", hint="write the value itself", key="rows")
        if kind == "SHOW_REF":
            raise RequestError("DESCRIBE, SHOW and SUMMARIZE are no rows", hint=ONE_SELECT, key="rows")
        beyond = _beyond(node, own)
        if beyond:
            raise RequestError(
                f"{beyond} is not allowed: a query sees the named tables and `files` only",
                hint="name the file under tables: and write FROM that name",
                key="rows",
            )


def _beyond(node: Node, own: frozenset[str]) -> str:
    """What this node reads beside tables: settings, DuckDB's own tables, what a function in FROM gives; '' if none."""
    if node.get("class") == "FUNCTION":
        called = str(node.get("function_name", "")).lower()
        return f"{called}(…)" if called in TELLING else ""
    if node.get("type") == "TABLE_FUNCTION":
        called = str(node["function"].get("function_name", "")).lower()
        return "" if called in ROW_FUNCTIONS else f"{called}(…)"
    if node.get("type") == "BASE_TABLE":
        schema, name = str(node["schema_name"]).lower(), str(node["table_name"]).lower()
        if schema not in ("", "main") or name in own:
            return f"{schema}.{name}" if schema else name
    return ""


def _own_tables(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """DuckDB's catalogue, by the names that need no schema: it shows settings, and where tables lie on this machine."""
    rows = engine.run(con, "SELECT view_name FROM duckdb_views() WHERE schema_name IN ('main', 'pg_catalog')")
    return frozenset(str(row[0]) for row in rows)


def _nodes(value: Any) -> Iterator[Node]:
    """Every object of the tree, without recursion: a query may nest deeper than Python's stack."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def unordered(sql: str) -> bool:
    """True if the query does not fix the order of its rows.

    It is fixed by an ORDER BY at the top, and by plain scans: one table, filters, expressions, LIMIT, UNNEST,
    `row_number() OVER ()`, subqueries of the same, and UNION ALL of them, which DuckDB documents to keep the order.
    Joins, GROUP BY, DISTINCT, other set operations, windows, samples, pivots and recursion do not.

    Raises:
        RequestError: as `parse`.
    """
    node = parse(sql)
    return not _ordered(node) and not _plain(node, {})


def _ordered(node: Node) -> bool:
    return any(modifier["type"] == "ORDER_MODIFIER" for modifier in node.get("modifiers", []))


def _plain(node: Node, outer: Mapping[str, bool]) -> bool:
    """Whether the node is made of plain scans; `outer` says so of the queries that WITH has named by now."""
    known = dict(outer)
    for cte in node.get("cte_map", {}).get("map", []):
        known[cte["key"].lower()] = _plain(cte["value"]["query_node"], known)
    if any(modifier["type"] == "DISTINCT_MODIFIER" for modifier in node.get("modifiers", [])):
        return False
    if node["type"] == "SET_OPERATION_NODE":
        appends = str(node["setop_type"]).startswith("UNION") and node.get("setop_all")
        sides = node.get("children") or [node["left"], node["right"]]
        return bool(appends) and all(_plain(side, known) for side in sides)
    if node["type"] != "SELECT_NODE" or any(node.get(part) for part in ("group_expressions", "sample", "qualify")):
        return False
    if node.get("aggregate_handling") != "STANDARD_HANDLING":  # GROUP BY ALL
        return False
    spoken = [node.get("select_list"), node.get("where_clause"), node.get("modifiers")]
    return not _disturbs(spoken) and _plain_source(node["from_table"], known)


def _disturbs(expressions: Any) -> bool:
    """True for subqueries, which become joins, and for windows that sort their rows."""
    for node in _nodes(expressions):
        if node.get("class") == "SUBQUERY":
            return True
        if node.get("class") == "WINDOW" and (node.get("partitions") or node.get("orders")):
            return True
    return False


def _plain_source(source: Node, known: Mapping[str, bool]) -> bool:
    if source.get("sample"):
        return False
    if source["type"] == "BASE_TABLE":
        return known.get(str(source["table_name"]).lower(), True)
    if source["type"] == "SUBQUERY":
        return _plain(source["subquery"]["node"], known)
    return source["type"] in ("EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION")


MOMENTS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})


def changing(sql: str) -> list[str]:
    """What makes the query give other rows each time it is run: random(), now(), uuid(), USING SAMPLE … ; sorted.

    DuckDB's own list of functions says which are not the same for the same input.

    Raises:
        RequestError: as `parse`.
    """
    found = set()
    functions = set()
    for node in _nodes(parse(sql)):
        if node.get("class") == "FUNCTION":
            functions.add(str(node.get("function_name", "")).lower())
        if node.get("class") == "COLUMN_REF" and [name.lower() for name in node["column_names"]][-1] in MOMENTS:
            found.add(node["column_names"][-1].lower())
        if isinstance(node.get("sample"), Mapping):
            found.add("USING SAMPLE")
    if functions:  # asking costs more than planning a thousand rows
        found.update(f"{name}()" for name in functions & _fickle_functions())
    return sorted(found)


@functools.cache
def _fickle_functions() -> frozenset[str]:
    with duckdb.connect(":memory:") as con:
        rows = engine.run(con, "SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
    return frozenset(str(row[0]) for row in rows)
