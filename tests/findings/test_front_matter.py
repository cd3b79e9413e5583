"""A damaged query file is refused with one sentence that names the file and the clause."""

from decimal import Decimal

import pytest

from analyzer.errors import AnalyzerError
from analyzer.findings import History, load, run
from analyzer.findings.front_matter import parse
from analyzer.findings.runner import check_statement

GOOD = """/* ---
title    = "Big positions"
severity = "low"
summary  = "Positions over a size."
advice   = "Look at them."
grain    = "one row per position"
identity = ["chain_id", "position_id"]

[params]
over = { type = "decimal", default = "1.5", help = "Size in USD." }

[columns]
chain_id     = "Chain."
protocol     = "Protocol."
deployment   = "Deployment."
block_number = "Block."
position_id  = "Position."
--- */
select chain_id, protocol, deployment, block_number, position_id
from current_positions
where size_usd > $over
order by position_id
"""


def test_a_good_file_is_read():
    query = parse("big", "big.sql", GOOD)
    assert query.is_finding
    assert query.params[0].default == Decimal("1.5")
    assert query.table == tuple(query.columns)
    assert query.sql.startswith("select chain_id")


def without(line):
    return "".join(kept for kept in GOOD.splitlines(keepends=True) if not kept.startswith(line))


def with_history(lines):
    return GOOD.replace("[columns]", f"[history]\n{lines}\n\n[columns]")


DAMAGED = {
    "no opening": (GOOD.removeprefix("/* ---\n"), "start the file with the front matter"),
    "no closing": (GOOD.replace("--- */", "*/"), "end the front matter"),
    "no SQL": (GOOD[: GOOD.index("select chain_id")], "write one SELECT"),
    "not TOML": (GOOD.replace('"low"', "low"), "not valid TOML"),
    "typo": (GOOD.replace("advice  ", "advise  "), "unknown key `advise`"),
    "no title": (without("title"), "give `title` as one line"),
    "no summary": (without("summary"), "give `summary` as one line"),
    "no advice": (without("advice"), "give `advice` as one line"),
    "no grain": (without("grain"), "give `grain` as one line"),
    "empty text": (GOOD.replace('"Look at them."', '" "'), "give `advice` as one line"),
    "number as text": (GOOD.replace('"Look at them."', "3"), "give `advice` as one line"),
    "severity": (GOOD.replace('"low"', '"urgent"'), "`severity` is one of info, low"),
    "severity number": (GOOD.replace('"low"', "3"), "`severity` is one of info, low"),
    "no identity": (without("identity"), "give `identity` as a list"),
    "empty identity": (GOOD.replace('["chain_id", "position_id"]', "[]"), "give `identity`"),
    "double identity": (GOOD.replace('["chain_id", "', '["position_id", "'), "different columns"),
    "strange identity": (GOOD.replace('["chain_id", "', '["size", "'), "names `size`"),
    "nested identity": (GOOD.replace('["chain_id", "', '[["x"], "'), "which is not in"),
    "strange table": (GOOD.replace("grain", 'table = ["x"]\ngrain'), "`table` names `x`"),
    "no columns": (GOOD[: GOOD.index("[columns]")] + GOOD[GOOD.index("---", 10) :], "[columns]"),
    "no chain": (without("protocol "), "add the column `protocol`"),
    "reserved": (GOOD.replace("[columns]", '[columns]\nid = "x"'), "rename the column `id`"),
    "reserved cause": (
        GOOD.replace("[columns]", '[columns]\ncause = "x"'),
        "rename the column `cause`",
    ),
    "severity of a report": (
        GOOD.replace('severity = "low"\n', "").replace("[columns]", '[columns]\nseverity = "x"'),
        "rename the column `severity`",
    ),
    "history of a report": (
        with_history("subject = ['position_id']").replace('severity = "low"\n', ""),
        "write `[history]` as a TOML table, for a finding",
    ),
    "history value": (GOOD.replace("grain", "history = 3\ngrain", 1), "write `[history]` as a"),
    "history key": (with_history('better = "lower"'), "`[history]` has an unknown key `better`"),
    "measure alone": (with_history('measure = "chain_id"'), "`measure` needs `worse`"),
    "worse alone": (with_history('worse = "lower"'), "`measure` needs `worse`"),
    "worse": (
        with_history('measure = "chain_id"\nworse = "down"'),
        "`worse`, which is one of lower, higher",
    ),
    "strange measure": (
        with_history('measure = "size"\nworse = "lower"'),
        "`measure` names `size`, which is not in `[columns]`",
    ),
    "strange subject": (with_history('subject = ["size"]'), "`subject` names `size`"),
    "empty subject": (with_history("subject = []"), "give `subject` as a list"),
    "escalates without subject": (
        with_history('escalates_to = ["liquidatable"]'),
        "`escalates_to` needs `subject`",
    ),
    "escalates to text": (
        with_history('subject = ["position_id"]\nescalates_to = "liquidatable"'),
        "give `escalates_to` as a list",
    ),
    "bad column": (GOOD.replace("[columns]", '[columns]\n"a b" = "x"'), "write the name 'a b'"),
    "column text": (GOOD.replace('"Chain."', "1"), "give `chain_id` as one line"),
    "params": (GOOD.replace("[params]", "params = 3\n[other]"), "unknown key `other`"),
    "params value": (
        GOOD.replace("[params]\n", "").replace("over = {", "params = {"),
        "the parameter `type`",
    ),
    "param keys": (GOOD.replace(', help = "Size in USD."', ""), "exactly type, default and help"),
    "param type": (GOOD.replace('"decimal"', '"float"'), "the type of the parameter `over`"),
    "param default": (GOOD.replace('"1.5"', "1.5"), "the default of the parameter `over`"),
    "param value": (GOOD.replace('"1.5"', '"much"'), "the default of the parameter `over`"),
    "bool for int": (
        GOOD.replace('type = "decimal", default = "1.5"', 'type = "int", default = true'),
        "is no int",
    ),
    "param help": (GOOD.replace('"Size in USD."', '""'), "give `help` as one line"),
}


@pytest.mark.parametrize(("text", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_with_its_name_and_the_clause(text, said):
    assert text != GOOD
    with pytest.raises(AnalyzerError) as caught:
        parse("big", "folder/big.sql", text)
    message = str(caught.value)
    assert message.startswith("folder/big.sql: ")
    assert said in message
    assert "\n" not in message.removesuffix("\n")


def test_a_file_declares_how_its_findings_compare():
    assert parse("big", "big.sql", GOOD).history == History()
    declared = with_history(
        'subject = ["position_id"]\nmeasure = "block_number"\nworse = "higher"\n'
        'escalates_to = ["liquidatable"]'
    )
    assert parse("big", "big.sql", declared).history == History(
        subject=("position_id",),
        measure="block_number",
        worse="higher",
        escalates_to=("liquidatable",),
    )


def test_a_file_name_is_the_name_of_a_command():
    with pytest.raises(AnalyzerError, match="lower case with underscores"):
        parse("Big-One", "Big-One.sql", GOOD)


STATEMENTS = {
    "two": ("select 1; select 2", "exactly one statement"),
    "not a select": ("delete from positions", "exactly one statement"),
    "copy": ("copy (select 1) to 'x'", "exactly one statement"),
    "nonsense": ("selekt 1", "not valid SQL"),
    "undeclared": (GOOD + "limit $few", "the parameter `few`: declare it"),
    "unused": (GOOD.replace("> $over", "> 3"), "the parameter `over`: use it"),
}


@pytest.mark.parametrize(("sql", "said"), STATEMENTS.values(), ids=STATEMENTS)
def test_sql_that_is_not_one_select_with_its_params_is_refused(sql, said):
    whole = sql if sql.startswith("/*") else GOOD[: GOOD.index("select chain_id")] + sql
    with pytest.raises(AnalyzerError) as caught:
        check_statement(parse("big", "big.sql", whole))
    assert said in str(caught.value)
    assert str(caught.value).startswith("big.sql")


@pytest.fixture
def own(tmp_path):
    """Writes query files of a user."""

    def write(files: dict[str, str | bytes]):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def test_a_users_folder_adds_queries(own):
    report = GOOD.replace('severity = "low"\n', "")
    folder = own({"big.sql": GOOD, "reports/all_big.sql": report, "findings/more.sql": GOOD})
    added = load([folder]).keys() - load().keys()
    assert added == {"big", "all_big", "more"}


def escalating(name):
    return with_history(f'subject = ["position_id"]\nescalates_to = ["{name}"]')


REFUSED = {
    "taken": ({"positions.sql": GOOD}, "the name `positions` is taken by queries/reports/"),
    "twice": ({"big.sql": GOOD, "findings/big.sql": GOOD}, "the name `big` is taken"),
    "finding": (
        {"findings/x.sql": GOOD.replace('severity = "low"\n', "")},
        "give it a `severity`",
    ),
    "report": ({"reports/x.sql": GOOD}, "remove the `severity`"),
    "binary": ({"x.sql": b"/* ---\n\xff"}, "save the file as UTF-8"),
    "empty": ({"x.txt": "hello"}, "holds no query file"),
    "escalates to nothing": (
        {"x.sql": escalating("liquidatible")},
        "`escalates_to` names `liquidatible`, which is no graver finding",
    ),
    "escalates to a report": (
        {"x.sql": escalating("positions")},
        "`escalates_to` names `positions`, which is no graver finding",
    ),
    "escalates to as grave a one": (
        {"x.sql": escalating("y"), "y.sql": with_history('subject = ["position_id"]')},
        "`escalates_to` names `y`, which is no graver finding",
    ),
    "escalates to another thing": (
        {"x.sql": escalating("liquidatable")},
        "`subject` shares no column with that of queries/findings/liquidatable.sql",
    ),
}


@pytest.mark.parametrize(("files", "said"), REFUSED.values(), ids=REFUSED)
def test_a_users_folder_with_a_mistake_is_refused(own, files, said):
    with pytest.raises(AnalyzerError) as caught:
        load([own(files)])
    assert said in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(AnalyzerError, match="not a folder of query files"):
        load([tmp_path / "nowhere"])


def test_a_users_query_runs_like_a_shipped_one(own, database):
    query = load([own({"big.sql": GOOD})])["big"]
    position = {
        "position_id": "p1", "margin_id": "p1", "size_usd": "1.500000000000000001",
    }  # fmt: skip
    connection = database(
        {
            "snapshots": [{"complete": True}],
            "positions": [position, position | {"position_id": "p2", "size_usd": "1.5"}],
        }
    )
    result = run(connection, query)
    assert result.rows == ((31337, "gmx_v1", "local", 200, "p1"),)
    assert run(connection, query, {"over": "1"}).rows[1][-1] == "p2"
