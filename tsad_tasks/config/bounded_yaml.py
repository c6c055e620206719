"""A YAML text as nodes, which know their lines, and as values: in one pass and within bounds.

A file costs its own dataset and no other, whatever is in it: libyaml tells what it reads event by
event, and the first event that is out of bounds ends the reading.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml
from yaml.reader import Reader

from tsad_tasks.base.settings import Problem
from tsad_tasks.base.shown import shown

# A dataset of 1,000 channels has about 10,000 nodes in 100,000 bytes, six levels deep.
MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 20
MAX_ALIASES = 1_000
MAX_CHARACTERS = 10_000
_MAX_DIRECTIVES = 10
_WHOLE_NUMBERS = range(-(2**63), 2**63)

_YAML = "tag:yaml.org,2002:"
_SCALARS = {f"{_YAML}{name}": name for name in ("str", "int", "float", "bool", "null", "timestamp")}
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
# A mark of byte order is one at the beginning of a file only, and is no part of its text.
_CONTROL = re.compile(rf"{Reader.NON_PRINTABLE.pattern}|\ufeff")


class MisreadError(Exception):
    """A text that is no YAML, or out of bounds: the line, and what is wrong there."""

    def __init__(self, line: int, expected: str, received: str, field: str = "(file)") -> None:
        super().__init__(f"{line}: {expected}")
        self.line = line
        self.problem = Problem((field,), expected, received)


class _Read(NamedTuple):
    """A node with the number of nodes in it, itself among them, and of levels."""

    node: yaml.Node
    n_nodes: int
    n_levels: int


def read_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """The document's root and its value; both None where there is no document.

    Raises `MisreadError`.

    >>> root, value = read_yaml("room: {low: 1, at: [2, 3]}")
    >>> value, root.value[0][1].start_mark.column
    ({'room': {'low': 1, 'at': [2, 3]}}, 6)
    >>> read_yaml("a: 1\\na: 2")
    Traceback (most recent call last):
    tsad_tasks.config.bounded_yaml.MisreadError: 2: each key once
    """
    if control := _CONTROL.search(text):
        line, received = text.count("\n", 0, control.start()) + 1, shown(control[0])
        raise MisreadError(line, "text without control characters", received)
    if (n_directives := len(_DIRECTIVE.findall(text))) > _MAX_DIRECTIVES:
        expected = f"at most {_MAX_DIRECTIVES} lines that begin with %"
        raise MisreadError(1, expected, str(n_directives))
    loader = _Loader(text)
    try:
        root = loader.root()
        return root, None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        line = mark.line + 1 if mark else 1
        raise MisreadError(line, "YAML, indented with spaces", problem) from error
    finally:
        loader.dispose()


class _Loader(yaml.CSafeLoader):
    """libyaml's events and PyYAML's values; the nodes in between are made here, within bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._n_nodes = 0
        self._n_aliases = 0
        # None: begun, but not ended.
        self._anchored: dict[str, _Read | None] = {}

    def root(self) -> yaml.Node | None:
        """Root of the one document; None where there is none."""
        self.get_event()
        if self.check_event(yaml.StreamEndEvent):
            return None
        self.get_event()
        root = self._read(1).node
        self.get_event()
        if not self.check_event(yaml.StreamEndEvent):
            second: Any = self.get_event()
            raise MisreadError(second.start_mark.line + 1, "one document", "a second one")
        return root

    def _read(self, depth: int) -> _Read:
        event: Any = self.get_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(str(event.anchor), line, depth)
        self._check(line, depth, 1)
        if event.anchor is not None:
            self._anchored[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            read = _Read(self._scalar(event, line), 1, 1)
        elif isinstance(event, yaml.MappingStartEvent):
            read = self._mapping(event, depth)
        else:
            read = self._sequence(event, depth)
        if event.anchor is not None:
            self._anchored[event.anchor] = read
        return read

    def _check(self, line: int, depth: int, n_nodes: int) -> None:
        self._n_nodes += n_nodes
        if depth > MAX_DEPTH:
            raise MisreadError(line, f"a mapping of at most {MAX_DEPTH} levels", "more")
        if self._n_nodes > MAX_NODES:
            expected = f"at most {MAX_NODES:,} keys and values, those that aliases repeat included"
            raise MisreadError(line, expected, "more")

    def _aliased(self, anchor: str, line: int, depth: int) -> _Read:
        read = self._anchored.get(anchor)
        if read is None:
            received = "one within itself" if anchor in self._anchored else shown(anchor)
            raise MisreadError(line, "an alias of an anchor that stands before it", received)
        self._n_aliases += 1
        if self._n_aliases > MAX_ALIASES:
            raise MisreadError(line, f"at most {MAX_ALIASES:,} aliases", "more")
        self._check(line, depth + read.n_levels - 1, read.n_nodes)
        return read

    def _scalar(self, event: Any, line: int) -> yaml.ScalarNode:
        text = event.value
        if len(text) > MAX_CHARACTERS:
            expected = f"at most {MAX_CHARACTERS:,} characters"
            raise MisreadError(line, expected, f"{len(text):,}, {shown(text, 40)}")
        if "\0" in text:
            raise MisreadError(line, "text without control characters", shown(text))
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
        if tag == f"{_YAML}value":
            # A plain equals sign, which YAML once meant something by.
            tag = f"{_YAML}str"
        node = yaml.ScalarNode(tag, text, event.start_mark)
        if tag in (f"{_YAML}str", f"{_YAML}merge"):
            return node
        if tag not in _SCALARS:
            raise self._unknown_tag(tag, line)
        kind = _SCALARS[tag]
        try:
            # The value is kept until the document is constructed.
            value = self.construct_object(node)
        except (ValueError, KeyError, AttributeError, OverflowError, yaml.YAMLError):
            raise MisreadError(line, f"a value that is a YAML {kind}", shown(text)) from None
        if isinstance(value, int) and value not in _WHOLE_NUMBERS:
            raise MisreadError(line, "a whole number of at most 64 bits", shown(text))
        return node

    def _mapping(self, event: Any, depth: int) -> _Read:
        self._check_tag(event, "map")
        seen, pairs = set[str](), list[tuple[yaml.Node, yaml.Node]]()
        n_nodes = n_levels = 0
        while not self.check_event(yaml.MappingEndEvent):
            begin: Any = self.peek_event()
            line = begin.start_mark.line + 1
            key, value = self._read(depth + 1), self._read(depth + 1)
            if not isinstance(key.node, yaml.ScalarNode):
                raise MisreadError(line, "text as a key", "a list or mapping")
            if key.node.value in seen:
                raise MisreadError(line, "each key once", "a second one", key.node.value)
            seen.add(key.node.value)
            name = key.node
            if name.tag == f"{_YAML}bool":
                # A key such as on is a word, though YAML sees a truth in it.
                name = yaml.ScalarNode(f"{_YAML}str", name.value, name.start_mark)
            pairs.append((name, value.node))
            n_nodes += key.n_nodes + value.n_nodes
            n_levels = max(n_levels, value.n_levels)
        self.get_event()
        node = yaml.MappingNode(f"{_YAML}map", pairs, event.start_mark)
        return _Read(node, n_nodes + 1, n_levels + 1)

    def _sequence(self, event: Any, depth: int) -> _Read:
        self._check_tag(event, "seq")
        items = list[_Read]()
        while not self.check_event(yaml.SequenceEndEvent):
            items.append(self._read(depth + 1))
        self.get_event()
        nodes = [item.node for item in items]
        node = yaml.SequenceNode(f"{_YAML}seq", nodes, event.start_mark)
        n_levels = max((item.n_levels for item in items), default=0)
        return _Read(node, 1 + sum(item.n_nodes for item in items), n_levels + 1)

    def _check_tag(self, event: Any, own: str) -> None:
        if event.tag not in (None, "!", f"{_YAML}{own}"):
            raise self._unknown_tag(event.tag, event.start_mark.line + 1)

    def _unknown_tag(self, tag: str, line: int) -> MisreadError:
        known = ", ".join(f"!!{name}" for name in _SCALARS.values())
        received = shown(tag.replace(_YAML, "!!"))
        return MisreadError(line, f"a value without a tag, or with one of {known}", received)
