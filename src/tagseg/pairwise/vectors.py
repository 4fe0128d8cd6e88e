"""Eight float32 numbers at once in compiled loops.

Loops over a pixel's few classes are too short for what a compiler does with loops of unknown length; written with these
they are faster. An index counts elements of a C-contiguous float32 array of any shape, from its start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

LANES = 8

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_FAST = ("fast",)


class _Eight(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Float32x8")


EIGHT = _Eight()


@register_model(_Eight)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _VECTOR)


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _everywhere(builder: Any, number: Any) -> Any:
    """The number in all lanes."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def inline(function: Callable[..., Any]) -> Any:
    """A function that writes the instructions of a call to it into the loop that calls it (numba's ``intrinsic``)."""
    return intrinsic(inspect.unwrap(function))  # a hook that checks types at run time may have wrapped it


def _operation(result: Any, arguments: tuple[Any, ...], generate: Callable[..., Any]) -> Any:
    return result(*arguments), lambda context, builder, signature, values: generate(builder, *values)


@inline
def load(typing, array, index):  # type: ignore[no-untyped-def]
    """Eight elements from ``index`` on."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        loaded = builder.load(_address(context, builder, signature.args[0], *values))
        loaded.align = 4  # rows start anywhere
        return loaded

    return EIGHT(array, types.intp), generate


@inline
def store(typing, array, index, vector):  # type: ignore[no-untyped-def]
    """Write eight elements from ``index`` on."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        stored = builder.store(values[2], _address(context, builder, signature.args[0], *values[:2]))
        stored.align = 4
        return context.get_dummy_value()

    return types.none(array, types.intp, EIGHT), generate


@inline
def scaled(typing, factor, x):  # type: ignore[no-untyped-def]
    """factor · x."""

    def generate(builder, factor, x):  # type: ignore[no-untyped-def]
        return builder.fmul(_everywhere(builder, factor), x, flags=_FAST)

    return _operation(EIGHT, (types.float32, EIGHT), generate)


@inline
def plus(typing, x, y):  # type: ignore[no-untyped-def]
    """x + y."""

    def generate(builder, x, y):  # type: ignore[no-untyped-def]
        return builder.fadd(x, y, flags=_FAST)

    return _operation(EIGHT, (EIGHT, EIGHT), generate)


@inline
def total(typing, x):  # type: ignore[no-untyped-def]
    """Sum of the eight."""

    def generate(builder, x):  # type: ignore[no-untyped-def]
        width = LANES
        while width > 1:  # halves onto one another
            width //= 2
            places = [*range(width, 2 * width), *[0] * (LANES - width)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), places)
            x = builder.fadd(x, builder.shuffle_vector(x, ir.Constant(_VECTOR, ir.Undefined), mask), flags=_FAST)
        return builder.extract_element(x, ir.Constant(ir.IntType(32), 0))

    return _operation(types.float32, (EIGHT,), generate)


@inline
def from_bits(typing, bits):  # type: ignore[no-untyped-def]
    """The float32 that 32 bits stand for."""

    def generate(builder, bits):  # type: ignore[no-untyped-def]
        return builder.bitcast(bits, ir.FloatType())

    return _operation(types.float32, (types.int32,), generate)
