"""One field of an event, from the columns of a batch: the rule of the field, resolved.

Every step takes a whole column. A step that cannot take one of the values raises; the values are
then taken one by one, by the same steps.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import neg
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct, inspect

from service.mapping.rows import GENERAL
from service.mapping.rules import RECORD_PATHS, FieldRule, Unit, text_of
from service.mapping.times import counted, nanoseconds, since_ns

Column = Sequence[Any]
Step = Callable[[Column, Mapping[str, Column]], Column]
"""Takes a column and the other columns: those of paths, and those of fields that are ready."""

FLAT_ENTRY_PRICE = 1.0
"""The entry price of a position of quantity 0: it has none, and no rule reads it."""

_OPPOSITE = {"buy": "sell", "sell": "buy", None: None}
_DIGITS = 15
"""The digits of a difference: what a double holds. Without rounding, 0.3 - 0.1 is not 0.2."""

UNREADABLE = (msgspec.ValidationError, ValueError, TypeError, KeyError, OverflowError)
"""What a step raises for a value that it cannot take."""


class Plan(Struct, frozen=True):
    """How a field is read.

    Attributes
    ----------
    own
        Foreshock's name of the field.
    rule
        Its rule.
    annotation
        The type of the field in the event, with its bounds; without None if it is required.
    leaf
        The type in the row of the value at the rule's path.
    steps
        What is done to the column of these values.
    may_be_none
        Whether the steps leave it to `apply` to find the values that a required field lacks.
    """

    own: str
    rule: FieldRule
    annotation: Any
    required: bool
    leaf: Any
    steps: tuple[Step, ...]
    may_be_none: bool = True

    def apply(self, column: Column, others: Mapping[str, Column]) -> Column:
        """Return the field of each event. Raises one of `UNREADABLE` for the whole column."""
        for step in self.steps:
            column = step(column, others)
        if self.required and self.may_be_none and None in column:
            raise TypeError(self.own)
        return column


def plan(own: str, rule: FieldRule, annotation: Any, unit: Unit, *, shared: bool) -> Plan:
    """Resolve the rule of a field.

    Parameters
    ----------
    annotation
        The type of the field in the event.
    unit
        The unit of the times of the stream.
    shared
        Whether other rules read the same value: it has the general type in the row.
    """
    required, bounds = not _is_optional(annotation), without_none(annotation)
    if rule.value is not None:
        constant = msgspec.convert(rule.value, bounds, strict=False)
        return Plan(own, rule, bounds, required, GENERAL, (_constant(constant),))
    steps = _cleaning(rule, bounds, is_required=required)
    kind = kind_of(bounds)
    unit = rule.unit or unit
    arithmetic = _arithmetic(rule) if kind == "number" else []
    leaf: Any = GENERAL
    if not (steps or arithmetic or shared or rule.path in RECORD_PATHS):
        leaf = _leaf(bounds, kind, unit, rule)
    steps += arithmetic
    if kind == "time":
        steps += _time_steps(bounds, unit, rule, is_checked=leaf is not GENERAL)
    elif kind == "name":
        steps.append(_named(bounds, in_row=leaf is not GENERAL, required=required))
    elif leaf is GENERAL and (rule.values is None or arithmetic):
        steps.append(_checked(bounds | None))
    if rule.opposite:
        steps.append(_opposite)
    may_be_none = kind != "name" and not (kind == "other" and rule.values is not None and required)
    return Plan(own, rule, bounds, required, leaf, tuple(steps), may_be_none)


def _leaf(bounds: Any, kind: "Kind", unit: Unit, rule: FieldRule) -> Any:
    """Return the type of a value that its row can check."""
    if kind == "time":
        whole = counted(unit) if rule.since is None else None
        return GENERAL if whole is None else whole | None
    return bounds | int | None if kind == "name" else bounds | None


def _time_steps(bounds: Any, unit: Unit, rule: FieldRule, *, is_checked: bool) -> list[Step]:
    if is_checked:
        return [] if unit == "ns" else [_times(unit, 0)]
    return [_times(unit, since_ns(rule.since)), _checked(bounds | None)]


def _cleaning(rule: FieldRule, bounds: Any, *, is_required: bool) -> list[Step]:
    steps: list[Step] = []
    if rule.absent:
        steps.append(_without(absence(rule.absent, kind_of(bounds))))
    if rule.after is not None:
        steps.append(_after(rule.after))
    if rule.values is not None:
        to = {its: msgspec.convert(ours, bounds, strict=False) for its, ours in rule.values.items()}
        steps.append(_valued(to, is_required=is_required))
    return steps


Kind = Literal["time", "name", "number", "other"]


def kind_of(annotation: Any) -> Kind:
    """Return what kind of field has this type.

    >>> from detectors.market_data.events import Name, Nanoseconds, Positive, Side
    >>> kind_of(Nanoseconds), kind_of(Name), kind_of(Positive | None), kind_of(Side)
    ('time', 'name', 'number', 'other')
    """
    info = inspect.type_info(annotation)
    options = info.types if isinstance(info, inspect.UnionType) else (info,)
    for option in options:
        its = option.type if isinstance(option, inspect.Metadata) else option
        if isinstance(its, inspect.IntType):
            return "time" if its.ge is not None and its.ge > 0 else "number"
        if isinstance(its, inspect.StrType):
            return "name"
        if isinstance(its, inspect.FloatType):
            return "number"
    return "other"


def _constant(value: Any) -> Step:
    return lambda column, _others: [value] * len(column)


def absence(absent: Sequence[Any], kind: "Kind") -> Callable[[Any], bool]:
    """Return whether a value means that a field of a kind is absent.

    >>> absence(["0"], "number")("0.000"), absence(["0"], "name")("00"), absence([""], "name")("")
    (True, False, True)
    """
    texts = {text_of(value) for value in absent}
    numbers = {number for text in texts if (number := _number(text)) is not None}

    def is_absent(value: Any) -> bool:
        if value is None or isinstance(value, dict | list):
            return value is None
        text = text_of(value)
        return text in texts or (kind == "number" and bool(numbers) and _number(text) in numbers)

    return is_absent


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _without(is_absent: Callable[[Any], bool]) -> Step:
    return lambda column, _others: [None if is_absent(value) else value for value in column]


def _after(prefix: str) -> Step:
    def removed(text: Any) -> str:
        if not isinstance(text, str) or not text.startswith(prefix):
            raise ValueError(f'it must begin with "{prefix}"')
        return text.removeprefix(prefix)

    return lambda column, _others: [None if text is None else removed(text) for text in column]


def _valued(values: Mapping[str, Any], *, is_required: bool) -> Step:
    """Replace the venue's values. A number and the text of it are the same."""
    table: dict[Any, Any] = {**values} if is_required else {None: None, **values}
    numbers = {int(key): to for key, to in values.items() if key.lstrip("-").isdigit()}
    truths = {key == "true": to for key, to in values.items() if key in ("true", "false")}
    table = {**truths, **table, **numbers}
    if "*" in values:
        other = values["*"]
        if is_required:
            return lambda column, _others: [_some(table, value, other) for value in column]
        return lambda column, _others: [table.get(value, other) for value in column]
    return lambda column, _others: list(map(table.__getitem__, column))


def _some(table: Mapping[Any, Any], value: Any, other: Any) -> Any:
    if value is None:
        raise TypeError("a required value is absent")
    return table.get(value, other)


def _times(unit: Unit, base_ns: int) -> Step:
    return lambda column, _others: nanoseconds(column, unit, base_ns)


def _checked(annotation: Any) -> Step:
    """Check the bounds, and turn text into numbers."""
    kind = list[annotation]
    return lambda column, _others: msgspec.convert(column, kind, strict=False)


def _named(annotation: Any, *, in_row: bool, required: bool) -> Step:
    """Turn integers into text. ``in_row``: the row has checked text already."""
    optional = list[annotation | None]

    def named(column: Column, _others: Mapping[str, Column]) -> Column:
        if in_row and _are_texts(column):
            return column
        for value in column:
            if isinstance(value, float | bool) or (required and value is None):
                raise TypeError("a name is text or a whole number")
        return msgspec.convert([None if v is None else str(v) for v in column], optional)

    return named


def _are_texts(column: Column) -> bool:
    try:
        "".join(column)
    except TypeError:
        return False
    return True


def _opposite(column: Column, _others: Mapping[str, Column]) -> Column:
    return [_OPPOSITE[side] for side in column]


def _arithmetic(rule: FieldRule) -> list[Step]:
    steps: list[Step] = []
    numbers = _checked(float | None)
    if rule.minus is not None:
        steps.append(_less(rule.minus))
    if rule.divisor is not None:
        divisor = rule.divisor
        steps.append(lambda column, _others: [None if v is None else v / divisor for v in column])
    if rule.contract_size is not None:
        steps.append(_sized(rule.contract_size))
    if rule.inverse:
        steps.append(_per_price)
    if rule.sign is not None:
        steps.append(_signed(rule.sign, {text_of(value) for value in rule.negative}))
    return [numbers, *steps] if steps else []


def _less(path: str) -> Step:
    def less(column: Column, others: Mapping[str, Column]) -> Column:
        taken = msgspec.convert(others[path], list[float | None], strict=False)
        return [
            None if value is None else float(f"{value - (its or 0.0):.{_DIGITS}g}")
            for value, its in zip(column, taken, strict=True)
        ]

    return less


def _sized(size: float | Mapping[str, float]) -> Step:
    if not isinstance(size, Mapping):
        return lambda column, _others: [None if v is None else v * size for v in column]
    sizes: dict[str, float] = {}

    def of(symbol: str) -> float:
        if symbol not in sizes:
            found = [its for pattern, its in size.items() if fnmatchcase(symbol, pattern)]
            if not found:
                raise ValueError(f"contract_size has no entry for {symbol}")
            sizes[symbol] = found[0]
        return sizes[symbol]

    return lambda column, others: [
        None if value is None else value * of(symbol)
        for value, symbol in zip(column, others["symbol"], strict=True)
    ]


def _per_price(column: Column, others: Mapping[str, Column]) -> Column:
    prices = others["price"] if "price" in others else others["entry_price"]
    return [
        None if value is None else 0.0 if value == 0 else value / price
        for value, price in zip(column, prices, strict=True)
    ]


def _signed(path: str, negative: set[str]) -> Step:
    return lambda column, others: [
        neg(value) if value is not None and text_of(sign) in negative else value
        for value, sign in zip(column, others[path], strict=True)
    ]


def flat_price(quantity: str) -> Step:
    """Return the step that gives a position of quantity 0 an entry price, if it has none."""
    return lambda column, others: [
        FLAT_ENTRY_PRICE if _is_nothing(price) and _is_nothing(its) else price
        for price, its in zip(column, others[quantity], strict=True)
    ]


def _is_nothing(value: Any) -> bool:
    if value is None or value == "":
        return True
    try:
        return float(value) == 0.0
    except (TypeError, ValueError):
        return False


def _is_optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def without_none(annotation: Any) -> Any:
    """Return the type of an optional field without None."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if _is_optional(annotation) and len(kinds) == 1 else annotation
