"""Two optimizers that train the two networks of one model, as Keras knows one optimizer for a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class TwoOptimizers(keras.optimizers.Optimizer):  # type: ignore[misc]  # Keras comes without types
    """One optimizer for some `weights`, on every `every`-th batch, and another for all others, on each batch.

    Both are built when this is. The first may average its weights (`use_ema`): these averages are then the model's
    final weights.
    """

    def __init__(
        self,
        some: keras.optimizers.Optimizer,
        rest: keras.optimizers.Optimizer,
        *,
        weights: Sequence[Any],
        every: int,
    ) -> None:
        super().__init__(learning_rate=0.0, name="two_optimizers")
        self.some, self.rest, self.every = some, rest, every
        self._some_ids = frozenset(id(weight) for weight in weights)

    @property
    def variables(self) -> list[Any]:
        """The variables of both optimizers, and the number of batches."""
        return [*super().variables, *self.some.variables, *self.rest.variables]

    def build(self, variables: Sequence[Any]) -> None:
        """Create what both optimizers keep of the weights."""
        if self.built:
            return
        super().build(list(variables))
        for optimizer, is_some in ((self.some, True), (self.rest, False)):
            optimizer.build([variable for variable in variables if self._is_some(variable) == is_some])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Update the rest by their gradients, and the others where it is their turn."""
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        self.build(variables)
        pairs = list(zip(grads, variables, strict=True))
        self.rest.apply_gradients([pair for pair in pairs if not self._is_some(pair[1])])
        self._iterations.assign_add(1)
        some = [pair for pair in pairs if self._is_some(pair[1])]
        if self.every == 1:
            self.some.apply_gradients(some)
        else:
            is_due = keras.ops.equal(self._iterations % self.every, 0)
            keras.ops.cond(is_due, lambda: self._apply_some(some), lambda: None)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Give the first optimizer's weights their averages, if it keeps any."""
        self.some.finalize_variable_values([variable for variable in var_list if self._is_some(variable)])

    def _apply_some(self, pairs: list[Any]) -> None:
        self.some.apply_gradients(pairs)

    def _is_some(self, variable: Any) -> bool:
        return id(variable) in self._some_ids
