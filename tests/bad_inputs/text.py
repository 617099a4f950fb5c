"""Faults of CSV and JSON Lines."""

from pipeline.expressions import Column
from pipeline.rows import Matches, RowRules, Rule
from pipeline.sources import Csv, JsonLines
from pipeline.splits import HashSplit
from tests.bad_inputs.build import HEADER, Build, changed, csv, files, good, json_row, jsonl, line
from tests.bad_inputs.case import clean, quarantine, stop


def _three(**replaced: str) -> Build:
    return csv(changed(good(1, 2, 3), **replaced))


def _unquoted(*lines: int) -> Build:
    """A hundred rows, with a quote that opens a value of some lines and is not closed."""
    text = [HEADER, *(f"{number},1.5,Blue,2024-01-01,1.0" for number in range(1, 101))]
    return csv([row.replace("Blue", '"Blue') if number in lines else row for number, row in enumerate(text, 1)])


def _all_but(*ids: int) -> tuple[int, ...]:
    return tuple(number for number in range(1, 101) if number not in ids)


_KEY = RowRules(key=("id",))
_TIP = RowRules(rules=(Rule("a tip is at most the fare", Column("tips") <= Column("fare")),))
_DAY = RowRules(rules=(Matches("day", r"\d{4}-\d{2}-\d{2}"),))
_LONG = "x" * (10 << 20)

TEXT = (
    stop("empty file", csv(b""), "the file is empty. Expected a header and rows"),
    stop("only blank lines", csv(b"\n\r\n\n"), "the file is empty"),
    stop("header only", csv([HEADER]), "no rows. Expected at least one"),
    stop("header and blank lines", csv(f"{HEADER}\n\n\n".encode()), "no rows"),
    quarantine("a short row", _three(_3="2,2.5"), (1, 3), ((3, "parse"),), "expected 5 values. Received: 2"),
    quarantine("a long row", _three(_3=line(2) + ",,"), (1, 3), ((3, "parse"),), "expected 5 values. Received: 7"),
    quarantine("only ragged rows", csv([HEADER, "1", "2,3"]), (), ((2, "parse"), (3, "parse")), "expected 5 values"),
    quarantine("a line of blanks", _three(_3="   "), (1, 3), ((3, "parse"),), "Received: 1"),
    clean("blank lines between rows", csv([HEADER, line(1), "", line(2), "", "", line(3), ""])),
    stop(
        "wrong delimiter",
        csv([row.replace(",", ";") for row in good(1, 2)]),
        "column 'fare', a feature, is missing",
        "as if the delimiter were ';'",
    ),
    quarantine(
        "another delimiter in the rows than in the header",
        csv([HEADER, line(1).replace(",", "\t")]),
        (),
        ((2, "parse"),),
        "expected 5 values. Received: 1",
    ),
    clean("byte order mark", csv(b"\xef\xbb\xbf" + changed(good(1, 2, 3)))),
    stop("nothing but a byte order mark", csv(b"\xef\xbb\xbf"), "the file is empty"),
    clean("CRLF", csv(changed(good(1, 2, 3)).replace(b"\n", b"\r\n"))),
    clean("lone CR", csv(changed(good(1, 2, 3)).replace(b"\n", b"\r"))),
    clean("no newline at the end", csv(changed(good(1, 2, 3)).rstrip())),
    quarantine(
        "CRLF and a short row",
        csv(changed(good(1, 2, 3), _3="2").replace(b"\n", b"\r\n")),
        (1, 3),
        ((3, "parse"),),
        "expected 5 values",
    ),
    quarantine(
        "latin-1 bytes",
        csv(changed(good(1, 2, 3), _3=line(2).replace("Blue", "Caf\xe9")).decode().encode("latin-1")),
        (1, 3),
        ((3, "parse"),),
        "expected UTF-8",
    ),
    quarantine(
        "latin-1 bytes in a ragged row",
        csv(changed(good(1, 2, 3), _3="Caf\xe9").decode().encode("latin-1")),
        (1, 3),
        ((3, "parse"),),
        "expected 5 values",
    ),
    clean("latin-1, as the source says", csv("\n".join(good(1, 2, 3)).encode("latin-1"), encoding="latin-1")),
    stop("latin-1 bytes in the header", csv(HEADER.replace("day", "d\xe9j\xe0").encode("latin-1") + b"\n1"), "header"),
    stop("UTF-16", csv("\n".join(good(1, 2, 3)).encode("utf-16")), "Received: UTF-16", "encoding='utf-16'"),
    clean("UTF-16, as the source says", csv("\n".join(good(1, 2, 3)).encode("utf-16"), encoding="utf-16")),
    stop("not of the encoding that the source names", csv([*good(1), "\xe9"], encoding="ascii"), "not ascii"),
    quarantine("NUL", _three(_3=line(2).replace("Blue", "Bl\0ue")), (1, 3), ((3, "parse"),), "a NUL byte"),
    stop("NUL in the header", csv(changed(good(1)).replace(b"fare", b"fa\0re")), "has a NUL byte"),
    clean("quoted newlines", _three(_3=line(2).replace("Blue", '"Blue\n\nRibbon, ""Inc""\r\n"'))),
    quarantine(
        "a row after quoted newlines",
        _three(_3=line(2).replace("Blue", '"a\nb\nc"'), _4="3"),
        (1, 2),
        ((6, "parse"),),
        "5 values",
    ),
    quarantine("unclosed quote in the first row", _unquoted(2), _all_but(1), ((2, "parse"),), 'a closing "'),
    quarantine("unclosed quote in the middle", _unquoted(50), _all_but(49), ((50, "parse"),), 'a closing "'),
    quarantine("unclosed quote in the last row", _unquoted(101), _all_but(100), ((101, "parse"),), 'a closing "'),
    quarantine(
        "stray quotes in rows far apart",
        _unquoted(10, 90),
        _all_but(9, 89),
        ((10, "parse"), (90, "parse")),
        'a closing "',
    ),
    quarantine(
        "stray quotes in three rows",
        _unquoted(10, 50, 90),
        _all_but(9, 49, 89),
        ((10, "parse"), (50, "parse"), (90, "parse")),
        'a closing "',
    ),
    stop(
        "a quote that opens a value in every row",
        csv([HEADER, *[f'{number},1.5,"5 inch,2024-01-01,1.0' for number in range(3000)]]),
        '1,001 of the first 1,001 rows have a " that is not closed',
        "quote=None",
    ),
    clean("quotes as text", csv([HEADER, *[line(n).replace("Blue", '"5 inch') for n in (1, 2, 3)]], quote=None)),
    clean("blank lines before the header", csv(["", " ", *good(1, 2, 3)])),
    stop("a header of delimiters", csv([",,,,", line(1)]), "has no name for column 1"),
    stop("unclosed quote in the header", csv([f'{HEADER},"x', line(1)]), "a quote in the header is never closed"),
    quarantine(
        "a field of 10 MB", _three(_3=line(2).replace("Blue", _LONG)), (1, 3), ((3, "parse"),), "at most 1,048,576"
    ),
    quarantine(
        "a line of 40 MB", _three(_3=line(2).replace("Blue", 4 * _LONG)), (1, 3), ((3, "parse"),), "a longer one"
    ),
    stop("duplicate column names", csv([HEADER + ",fare", line(1) + ",2"]), "names fare more than once"),
    stop("an empty column name", csv([HEADER.replace("day", " "), line(1)]), "has no name for column 4"),
    clean("columns reordered", csv(["tips,day,id,company,fare", "1.0,2024-01-01,1,Blue,2.5"]), 1),
    clean("a column added", csv([f"{HEADER},extra", *(f"{line(n)},x" for n in (1, 2, 3))]), new=("extra",)),
    stop(
        "a column missing",
        csv(["id,fares,company,day,tips", line(1)]),
        "column 'fare', a feature, is missing",
        "Did you mean 'fares'?",
    ),
    clean(
        "a column missing that only the schema has", csv(["id,fare,company,tips", "1,2.5,Blue,1.0"]), 1, gone=("day",)
    ),
    stop(
        "label missing", csv(["id,fare,company,day", "1,2.5,Blue,2024-01-01"]), "column 'tips', the label, is missing"
    ),
    clean("label constant", _three()),
    clean("an all-null column", csv([HEADER, "1,,Blue,2024-01-01,1.0", "2,,Blue,2024-01-01,1.0"]), 1, 2),
    quarantine(
        "an all-null column that is required",
        csv([HEADER, "1,,Blue,2024-01-01,1.0", "2,,Blue,2024-01-01,1.0"]),
        (),
        ((2, "required"), (3, "required")),
        "expected a value",
        required=True,
    ),
    quarantine(
        "a few values missing that are required",
        _three(_3="2,,Blue,2024-01-02,1.0"),
        (1, 3),
        ((3, "required"),),
        "expected a value",
        required=True,
    ),
    quarantine(
        "integer overflow",
        _three(_3=line(2).replace("2,", "9223372036854775808,", 1)),
        (1, 3),
        ((3, "type"),),
        "an integer",
    ),
    quarantine("a fraction among integers", _three(_3="2.5" + line(2)[1:]), (1, 3), ((3, "type"),), "an integer"),
    clean("whole floats among integers", _three(_3="2.0" + line(2)[1:])),
    quarantine("text among numbers", _three(_3=line(2).replace("2.5", "two")), (1, 3), ((3, "type"),), "a number"),
    clean("NaN", _three(_3=line(2).replace("2.5", "NaN"))),
    quarantine(
        "NaN where a value is required",
        _three(_3=line(2).replace("2.5", "nan")),
        (1, 3),
        ((3, "required"),),
        "expected a value",
        required=True,
    ),
    quarantine(
        "inf",
        _three(_2=line(1).replace("1.5", "-inf"), _3=line(2).replace("2.5", "Infinity")),
        (3,),
        ((2, "finite"), (3, "finite")),
        "a finite number",
    ),
    quarantine(
        "a number beyond float32", _three(_3=line(2).replace("2.5", "1e39")), (1, 3), ((3, "finite"),), "finite"
    ),
    clean("-0", _three(_3=line(2).replace("2.5", "-0"))),
    quarantine(
        "thousands separators", _three(_3=line(2).replace("2.5", '"1,234.5"')), (1, 3), ((3, "type"),), "a number"
    ),
    clean(
        "decimal commas",
        csv([row.replace(",", ";").replace(".", ",") for row in good(1, 2, 3)], delimiter=";", decimal=","),
    ),
    quarantine(
        "decimal commas and one bad number",
        csv(
            [row.replace(",", ";").replace(".", ",").replace("2,5", "2.5") for row in good(1, 2, 3)],
            delimiter=";",
            decimal=",",
        ),
        (1, 3),
        ((3, "type"),),
        "a number",
    ),
    quarantine(
        "dates in two formats",
        _three(_3=line(2).replace("2024-01-02", "02.01.2024")),
        (1, 3),
        ((3, "rule"),),
        "day matches",
        rules=_DAY,
    ),
    quarantine(
        "a rule over columns broken",
        _three(_3=line(2).replace("1.0", "99")),
        (1, 3),
        ((3, "rule"),),
        "a tip is at most the fare",
        rules=_TIP,
    ),
    quarantine(
        "a value outside its range", _three(_3=line(2).replace("2.5", "-2.5")), (1, 3), ((3, "range"),), "at least 0"
    ),
    quarantine(
        "a value outside its domain",
        _three(_3=line(2).replace("Blue", "Pink")),
        (1, 3),
        ((3, "domain"),),
        "one of Blue, Teal",
    ),
    quarantine("a key twice", _three(_4=line(1)), (1, 2), ((4, "unique"),), "a key (id)", rules=_KEY),
    quarantine(
        "a key twice, in two files",
        files({"1.csv": changed(good(1, 2)), "2.csv": changed(good(3, 2, 4))}, Csv),
        (1, 2, 3, 4),
        ((3, "unique"),),
        "a key (id)",
        rules=_KEY,
    ),
    quarantine("a row without its key", _three(_3=line(2)[1:]), (1, 3), ((3, "required"),), "a value", rules=_KEY),
    quarantine(
        "an entity missing",
        _three(_3=line(2).replace("Blue", "")),
        (1, 3),
        ((3, "split"),),
        "to split by",
        split=HashSplit(by=("company",)),
    ),
)

JSON = (
    quarantine(
        "JSON Lines with a broken line", jsonl(json_row(1), '{"id": 2', json_row(3)), (1, 3), ((2, "parse"),), "JSON"
    ),
    quarantine("JSON Lines with an array", jsonl(json_row(1), "[2]", json_row(3)), (1, 3), ((2, "parse"),), "array"),
    quarantine(
        "JSON Lines with a key twice",
        jsonl(json_row(1), '{"id": 2, "id": 2}', json_row(3)),
        (1, 3),
        ((2, "parse"),),
        "'id' twice",
    ),
    quarantine(
        "JSON Lines with mixed types",
        jsonl(json_row(1), json_row(2).replace("2.5", '"two"'), json_row(3)),
        (1, 3),
        ((2, "type"),),
        "a number",
    ),
    quarantine(
        "JSON Lines with an object for a value",
        jsonl(json_row(1), json_row(2).replace("2.5", '{"a": 1}')),
        (1,),
        ((2, "type"),),
        "a number",
    ),
    quarantine(
        "JSON Lines with bytes that are no UTF-8",
        jsonl(json_row(1), json_row(2).replace("Blue", "\xe9").encode("latin-1")),
        (1,),
        ((2, "parse"),),
        "UTF-8",
    ),
    quarantine(
        "JSON Lines with a huge integer",
        jsonl(json_row(1), json_row(2).replace('"id": 2', '"id": 9223372036854775808')),
        (1,),
        ((2, "type"),),
        "an integer",
    ),
    stop("JSON Lines without a label", jsonl('{"id": 1, "fare": 1.5, "company": "Blue"}'), "column 'tips', the label"),
    clean(
        "JSON Lines with blank lines and a byte order mark", jsonl(b"\xef\xbb\xbf", json_row(1), "", json_row(2)), 1, 2
    ),
    clean(
        "JSON Lines with null and a key missing",
        jsonl('{"id": 1, "fare": null, "tips": 1}', '{"id": 2, "company": "x"}'),
        1,
        2,
        gone=("day",),
    ),
    stop("UTF-16 JSON Lines", jsonl(json_row(1).encode("utf-16")), "the file is UTF-16"),
    stop("an empty JSON Lines file", files({"data.jsonl": b""}, JsonLines, "data.jsonl"), "the file is empty"),
    stop("a JSON array", jsonl("[", json_row(1) + ",", json_row(2), "]"), "a JSON array"),
    stop("CSV for JSON Lines", files({"data.jsonl": changed(good(1))}, JsonLines, "data.jsonl"), "is a JSON object"),
)
