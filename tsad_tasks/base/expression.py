"""Expressions over channels, `speed > 100 and not (door == 1)`: checked, never run as Python.

Allowed are comparisons (also chained), and, or, not, + - * /, abs(...), numbers, and names of
channels; a name that is no identifier goes in backticks, `` `cpu %` > 5 ``, or in ch("cpu %").
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Channels = Mapping[str, "NDArray[np.float64]"]
Expression = Callable[[Channels], "NDArray[np.bool_]"]
_Part = Callable[[Channels], Any]

_MAX_CHARACTERS = 1000
# Deeper ones would be beyond what Python's own recursion allows.
_MAX_DEPTH = 100
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: lambda left, right: np.divide(left, right),
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


def compile_expression(text: str, channel_names: Sequence[str]) -> Expression:
    """A function from the channels' values to truth values of the same shape.

    Where a channel is NaN the result means nothing; `channels_of` says which channels to look at.

    Raises `ConfigError` when the text is no condition, uses anything beyond the allowed words,
    or names an unknown channel.

    >>> fast = compile_expression("10 < speed <= 20 or `cpu %` > 90", ["speed", "cpu %"])
    >>> fast({"speed": np.array([5.0, 15.0, 5.0]), "cpu %": np.array([0.0, 0.0, 95.0])}).tolist()
    [False, True, True]
    """
    tree = _parse(text)
    for name in _names(tree, text):
        if name not in channel_names:
            from difflib import get_close_matches

            near = get_close_matches(name, channel_names, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise _wrong(f"one of the channels {', '.join(channel_names)}", f"{name}{hint}")
    condition = _condition(tree, text)

    def evaluate(channels: Channels) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            return np.asarray(condition(channels), np.bool_)

    return evaluate


def channels_of(text: str) -> tuple[str, ...]:
    """Names of the channels in an expression, each once, in the order of the text.

    Raises `ConfigError` when the text cannot be read.

    >>> channels_of("speed > 3 and abs(`cpu %` - speed) < 1")
    ('speed', 'cpu %')
    """
    return tuple(dict.fromkeys(_names(_parse(text), text)))


def _wrong(expected: str, received: str) -> ConfigError:
    return ConfigError(f"Expected {expected}. Received: {received}.")


def _parse(text: str) -> ast.expr:
    rule = "a condition over channels, such as 'speed > 100 and power > 1'"
    if len(text) > _MAX_CHARACTERS:
        raise _wrong(f"{rule}, of at most {_MAX_CHARACTERS} characters", f"{len(text)} characters")
    source = re.sub(r"`([^`]*)`", lambda found: f"ch({json.dumps(found[1])})", text.strip())
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _wrong(rule, repr(text)) from error
    level: list[ast.AST] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [part for node in level for part in ast.iter_child_nodes(node)]
    if level:
        raise _wrong(f"{rule}, nested at most {_MAX_DEPTH} deep", repr(text))
    return tree


def _names(tree: ast.expr, text: str) -> list[str]:
    """Channel names in the order of the text."""
    if isinstance(tree, ast.Name):
        return [tree.id]
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "ch":
        return [_quoted_name(tree, text)]
    parts = tree.args if isinstance(tree, ast.Call) else list(ast.iter_child_nodes(tree))
    return [name for part in parts if isinstance(part, ast.expr) for name in _names(part, text)]


def _quoted_name(call: ast.Call, text: str) -> str:
    match call:
        case ast.Call(args=[ast.Constant(value=str(name))], keywords=[]):
            return name
    raise _wrong('ch("name of a channel")', repr(text))


def _condition(node: ast.expr, text: str) -> _Part:
    if isinstance(node, ast.BoolOp):
        both = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        parts = [_condition(value, text) for value in node.values]
        return lambda channels: reduce(both, (part(channels) for part in parts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _condition(node.operand, text)
        return lambda channels: np.logical_not(inner(channels))
    if isinstance(node, ast.Compare):
        return _comparison(node, text)
    raise _wrong("a condition (a comparison, and, or, not)", f"{ast.unparse(node)!r} in {text!r}")


def _comparison(node: ast.Compare, text: str) -> _Part:
    sides = [_number(side, text) for side in (node.left, *node.comparators)]
    if any(type(op) not in _COMPARISONS for op in node.ops):
        raise _wrong("one of < <= > >= == !=", f"{ast.unparse(node)!r} in {text!r}")
    comparisons = [_COMPARISONS[type(op)] for op in node.ops]

    def evaluate(channels: Channels) -> Any:
        values = [side(channels) for side in sides]
        pairs = zip(comparisons, values, values[1:], strict=False)
        return reduce(np.logical_and, (compare(left, right) for compare, left, right in pairs))

    return evaluate


def _number(node: ast.expr, text: str) -> _Part:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        try:
            value = float(node.value)  # type: ignore[arg-type]
        except OverflowError:
            value = math.inf
        if value == math.inf:
            raise _wrong("finite numbers", repr(text))
        return lambda channels: value
    if isinstance(node, ast.Name):
        return operator.itemgetter(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner, sign = _number(node.operand, text), -1.0 if isinstance(node.op, ast.USub) else 1.0
        return lambda channels: sign * inner(channels)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        combine = _ARITHMETIC[type(node.op)]
        left, right = _number(node.left, text), _number(node.right, text)
        return lambda channels: combine(left(channels), right(channels))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "ch":
            return operator.itemgetter(_quoted_name(node, text))
        if node.func.id == "abs" and len(node.args) == 1 and not node.keywords:
            within = _number(node.args[0], text)
            return lambda channels: np.abs(within(channels))
        raise _wrong('abs(...) or ch("name")', f"{ast.unparse(node)!r} in {text!r}")
    raise _wrong("numbers, channels, + - * / and abs(...)", f"{ast.unparse(node)!r} in {text!r}")
