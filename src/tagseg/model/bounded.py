"""A network that is built from someone's description takes no more memory than the weights that come with it need."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tagseg.errors import TagsegError

_SPARE = 1 << 24
"""Elements beyond those of the weights: of parts that are made and left out, of tables that are no weights."""
_MAKES = ("empty", "zeros", "ones", "full", "rand", "randn", "randint", "arange", "linspace", "eye")


class _TooLarge(BaseException):
    """More was asked for than the weights can fill. Not an ``Exception``: who builds explains those as bad options."""


class _Bounded(TorchDispatchMode):
    """Counts what is made, before it is."""

    def __init__(self, elements: int, tensors: int) -> None:
        super().__init__()
        self.elements, self.tensors = elements, tensors

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Make a tensor, or raise ``_TooLarge``."""
        name = func.overloadpacket.__name__.removeprefix("new_")
        if name in _MAKES:
            elements = _elements(args)
            self.elements -= elements
            self.tensors -= elements if name == "linspace" else 1  # timm's rates of drop path: one a block
            if min(self.elements, self.tensors) < 0:
                raise _TooLarge
        return func(*args, **(kwargs or {}))


def _elements(args: tuple[Any, ...]) -> int:
    """Elements of a tensor that is about to be made: of a shape, or of a range."""
    shape = next((one for one in args if isinstance(one, list | tuple)), None)
    numbers = [abs(one) for one in args if isinstance(one, int | float)]
    return math.prod(shape) if shape is not None else math.ceil(max(numbers, default=0))


@contextmanager
def within(path: Path, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """What is built inside may be somewhat larger than these weights, not without limit.

    Args:
        path: the file that describes it, for messages.
        weights: that come with the description.

    Raises:
        TagsegError: it is larger: the description is damaged, or meant to fill the memory.
    """
    elements = sum(value.numel() for value in weights.values())
    try:
        with _Bounded(4 * elements + _SPARE, 20 * len(weights) + 1000):
            yield
    except _TooLarge as error:
        raise TagsegError(
            f"{path}: describes a larger network than its {elements:,} weights are for: copy or save it again"
        ) from error
