"""Edits a schema's text so that it says what a new schema says, and leaves every other character as it is.

    rewrite(text, new)      # comments, order, blank lines and the way of writing numbers stay

Text and schema are compared field by field; only the values, lines and blocks that differ are touched. Where a layout
defeats that (the result must parse to the new schema, and is checked), the text is written anew below the comments that
it begins with.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_metadata.proto.v0 import schema_pb2

_NAMED = ("feature", "string_domain")
_TOKEN = re.compile(
    r"""(?P<skip>(?:\s|\#[^\n]*|[;,])+)|(?P<word>[A-Za-z_][\w.]*)|(?P<open>[{<])|(?P<close>[}>])|(?P<colon>:)
    |(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[-+\w.]+)|(?P<list>\[[^\]]*\])""",
    re.VERBOSE,
)


class _Defeated(Exception):
    """The text is laid out in a way that this module does not edit."""


@dataclass
class _Node:
    """A field in the text: `name: value` or `name { children }`.

    Attributes:
      name: of the field.
      start, end: where it is in the text.
      value: where its value is; of a block, what is between its braces.
      children: of a block; None of a value.
    """

    name: str
    start: int
    end: int
    value: tuple[int, int]
    children: "list[_Node] | None" = None


@dataclass
class _Edits:
    """Replacements in a text, made all at once.

    Attributes:
      text: the text.
      made: (start, end, new text).
    """

    text: str
    made: list[tuple[int, int, str]] = field(default_factory=list)

    def apply(self) -> str:
        """The text with all replacements; those at the same place in the order in which they were made."""
        result, at = [], 0
        for start, end, new in sorted(self.made, key=lambda edit: edit[:2]):
            if start < at:
                raise _Defeated
            result += [self.text[at:start], new]
            at = end
        return "".join([*result, self.text[at:]])


def rewrite(text: str, new: schema_pb2.Schema, blocks: Mapping[str, str] | None = None) -> str:
    """The text of a schema, changed where it has to be to say what a new schema says.

    Args:
      text: of the present schema; it parses.
      new: what it is to say.
      blocks: name of a new feature -> its text, with comments.
    """
    old = text_format.Parse(text, schema_pb2.Schema())
    if old == new:
        return text
    try:
        edits = _Edits(text)
        root = _Node("", 0, len(text), (0, len(text)), list(_parse(text)))
        _compare(edits, root, old, new, blocks or {})
        edited = edits.apply()
        if text_format.Parse(edited, schema_pb2.Schema()) == new:
            return edited
    except (_Defeated, text_format.ParseError):
        pass
    comments = re.match(r"(?:[ \t]*(?:#[^\n]*)?\n)*", text)
    return (comments.group() if comments else "") + text_format.MessageToString(new, as_utf8=True)


def _parse(text: str) -> Iterator[_Node]:
    """The fields of a text."""
    tokens = [match for match in _tokens(text) if match.lastgroup != "skip"]
    nodes, rest = _fields(tokens, 0)
    if rest != len(tokens):
        raise _Defeated
    yield from nodes


def _tokens(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Defeated
        yield match
        at = match.end()


def _fields(tokens: list[re.Match[str]], at: int) -> tuple[list[_Node], int]:
    """The fields from a token on, up to a closing brace or the end; and where that is."""
    found: list[_Node] = []
    while at < len(tokens) and tokens[at].lastgroup != "close":
        name = tokens[at]
        at += 1
        if name.lastgroup != "word" or at >= len(tokens):
            raise _Defeated
        at += tokens[at].lastgroup == "colon"
        if at >= len(tokens) or tokens[at].lastgroup not in ("open", "value", "word"):
            raise _Defeated
        opening = tokens[at]
        if opening.lastgroup == "open":
            children, closing = _fields(tokens, at + 1)
            if closing >= len(tokens):
                raise _Defeated
            span = opening.end(), tokens[closing].start()
            found.append(_Node(name.group(), name.start(), tokens[closing].end(), span, children))
            at = closing + 1
        else:
            found.append(_Node(name.group(), name.start(), opening.end(), opening.span()))
            at += 1
    return found, at


def _compare(edits: _Edits, node: _Node, old: Message, new: Message, blocks: Mapping[str, str]) -> None:
    """Notes the edits that turn a block's text from the old message's into the new one's."""
    fields = {f.name: f for f, _ in (*old.ListFields(), *new.ListFields())}
    gone: list[_Node] = []
    added: list[str] = []
    for name, descriptor in fields.items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after and _has(old, name) == _has(new, name):
            continue
        nodes = [child for child in node.children or () if child.name == name]
        if name in _NAMED and not isinstance(before, Message):
            _compare_named(edits, node, nodes, (before, after), blocks)
        elif hasattr(before, "extend"):
            _compare_values(edits, node, nodes, name, (old, new))
        elif not _has(new, name):
            gone += nodes
        elif not nodes:
            added.append(_printed(descriptor, new))
        elif isinstance(before, Message):
            _compare(edits, nodes[-1], before, after, blocks)
        else:
            edits.made.append((*nodes[-1].value, _value(descriptor, new)))
    for child, block in zip(gone, added, strict=False):  # such as int_domain by float_domain: in its place
        edits.made.append(
            (child.start, child.end, block.replace("\n", f"{_newline(edits.text)}{_indent(edits.text, child)}"))
        )
    for child in gone[len(added) :]:
        _remove(edits, child)
    for block in added[len(gone) :]:
        _insert(edits, node, block)


def _compare_named(
    edits: _Edits, node: _Node, nodes: list[_Node], values: tuple[Any, Any], blocks: Mapping[str, str]
) -> None:
    """The repeated blocks that have a name: features and domains. None is ever removed."""
    before, after = ({entry.name: entry for entry in entries} for entries in values)
    names = [entry.name for entry in values[0]]
    if len(names) != len(nodes) or len(before) != len(nodes) or not before.keys() <= after.keys():
        raise _Defeated
    for entry, child in zip(values[0], nodes, strict=True):
        _compare(edits, child, entry, after[entry.name], blocks)
    for name in [name for name in after if name not in before]:
        block = blocks.get(name) if nodes and nodes[0].name == "feature" else None
        kind = "feature" if isinstance(after[name], schema_pb2.Feature) else "string_domain"
        printed = text_format.MessageToString(schema_pb2.Schema(**{kind: [after[name]]}), as_utf8=True)
        _insert(edits, node, (block or printed).rstrip("\n"), after=nodes[-1] if nodes else None)


def _compare_values(
    edits: _Edits, node: _Node, nodes: list[_Node], name: str, messages: tuple[Message, Message]
) -> None:
    """Repeated plain values: what is new comes behind the value that precedes it, what is gone goes."""
    before, after = (list(getattr(message, name)) for message in messages)
    if len(nodes) != len(before) or any(isinstance(value, Message) for value in (*before, *after)):
        raise _Defeated
    if [value for value in after if value in before] != [value for value in before if value in after]:
        raise _Defeated
    places = dict(zip(before, nodes, strict=True))
    last: _Node | None = None
    for value in after:
        if value in places:
            last = places[value]
            continue
        line = text_format.MessageToString(type(messages[1])(**{name: [value]}), as_utf8=True).strip()
        _insert(edits, node, line, after=last, before=nodes[0] if nodes and last is None else None)
    for value in before:
        if value not in after:
            _remove(edits, places[value])


def _insert(edits: _Edits, parent: _Node, block: str, after: _Node | None = None, before: _Node | None = None) -> None:
    """A field on lines of its own: behind another field of the block, before one, or at its end."""
    text = edits.text
    children = parent.children or []
    anchor = before or after or (children[-1] if children else None)
    if anchor is None:
        raise _Defeated
    line = text.rfind("\n", 0, anchor.start) + 1
    indent = text[line : anchor.start]
    if indent.strip():  # several fields on a line
        if "#" in block:
            raise _Defeated
        flat = " ".join(block.split("\n"))
        edits.made.append((anchor.start, anchor.start, f"{flat} ") if before else (anchor.end, anchor.end, f" {flat}"))
        return
    newline = _newline(text)
    lines = newline.join(indent + part for part in block.split("\n"))
    if before:
        edits.made.append((line, line, f"{lines}{newline}"))
        return
    end = text.find("\n", anchor.end)
    rest = text[anchor.end : end if end >= 0 else len(text)].strip()
    if rest and not rest.startswith("#"):
        raise _Defeated
    place = end if end >= 0 else len(text)
    place -= text[place - 1 : place] == "\r"
    edits.made.append((place, place, f"{newline}{lines}"))


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, node: _Node) -> str:
    """The blanks before a field, on its line."""
    line = text[text.rfind("\n", 0, node.start) + 1 : node.start]
    return line[: len(line) - len(line.lstrip())]


def _remove(edits: _Edits, node: _Node) -> None:
    """Takes a field away, with its line if it has one of its own."""
    text = edits.text
    start = text.rfind("\n", 0, node.start) + 1
    end = text.find("\n", node.end)
    end = len(text) if end < 0 else end + 1
    alone = not text[start : node.start].strip() and not text[node.end : end].strip()
    edits.made.append((start, end, "") if alone else (node.start, node.end, ""))


def _has(message: Message, name: str) -> bool:
    value = getattr(message, name)
    return bool(len(value)) if hasattr(value, "extend") else message.HasField(name)


def _printed(descriptor: Any, message: Message) -> str:
    """A field that is not repeated, as text."""
    single = type(message)()
    value = getattr(message, descriptor.name)
    if isinstance(value, Message):
        getattr(single, descriptor.name).CopyFrom(value)
        getattr(single, descriptor.name).SetInParent()
    else:
        setattr(single, descriptor.name, value)
    return text_format.MessageToString(single, as_utf8=True).strip()


def _value(descriptor: Any, message: Message) -> str:
    """What is behind the colon of a field that is not repeated."""
    return _printed(descriptor, message).partition(": ")[2]
