"""Whether a network's weights are still those that a copy was made of; makes no copies."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, nn


class Watch:
    """Remembers a network's modules and weights, and sees when one is replaced or written to.

    What is written through `.data`, or through memory shared with numpy, can't be seen.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = list(model.modules())
        children = [(m._modules, name) for m in modules for name in m._modules]
        weights = [
            (m._parameters, name)
            for m in modules
            for name, p in m._parameters.items()
            if p is not None
        ]
        self._parents, self._children = _columns(children)
        self._owners, self._names = _columns(weights)
        self._modules = list(map(operator.getitem, self._parents, self._children))
        self._weights: list[Tensor] = list(map(operator.getitem, self._owners, self._names))
        self._places = list(map(_PLACE, self._weights))
        self._counted = [p for p in self._weights if not p.is_inference()]
        self._version = self._written()

    def unchanged(self) -> bool:
        """Whether nothing has happened. Asked before every token, so it goes by `map`."""
        weights = list(map(operator.getitem, self._owners, self._names))
        return (
            list(map(operator.getitem, self._parents, self._children)) == self._modules
            and all(map(operator.is_, weights, self._weights))
            and list(map(_PLACE, weights)) == self._places
            and self._written() == self._version
        )

    def _written(self) -> int:
        """A number that grows whenever a weight is written to."""
        return sum(map(_VERSION, self._counted))


_VERSION = operator.attrgetter("_version")
_PLACE = torch.Tensor.data_ptr


def _columns(pairs: list[tuple[dict[str, Any], str]]) -> tuple[list[dict[str, Any]], list[str]]:
    return [owner for owner, _ in pairs], [name for _, name in pairs]
