"""The two passes of an MLP over a batch, each as one function for one agent.

Activations are kept feature by feature, (J, B): a product reads its left factor number by number, so W as it lies
serves W·H and Wᵀ·G alike. Only the weights' gradient needs activations sample by sample.

    forward    H₀ = Xᵀ,  Hₗ = max(0, Wₗ·Hₗ₋₁ + bₗ),  values = W·H + b
    backward   ∂Wₗ = Gₗ·Hₗ₋₁ᵀ,  ∂bₗ = Gₗ·1,  Gₗ₋₁ = Wₗᵀ·Gₗ where Hₗ₋₁ > 0, else 0
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from llvmlite import ir

from softstep.kernels.emit import Emitter, Matrix, Registers, Signature, Size, function


class Shape(NamedTuple):
    """An MLP's layers, and the batch it is given."""

    sizes: Size
    """O, hidden widths, A."""
    batch: int

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(I, J) of each: from I numbers to J."""
        return list(itertools.pairwise(self.sizes))

    @property
    def parameters(self) -> list[Size]:
        """Weights (J, I) and biases (J,), layer by layer."""
        return [size for i, j in self.layers for size in ((j, i), (j,))]

    @property
    def activations(self) -> list[Size]:
        """What the forward pass keeps: (J, B) of the observation and of every hidden layer."""
        return [(size, self.batch) for size in self.sizes[:-1]]


def forward_signature(shape: Shape) -> Signature:
    """(parameters…, observations (B, O)) → (values (A, B), activations…)."""
    reads = [*shape.parameters, (shape.batch, shape.sizes[0])]
    return Signature(reads, [(shape.sizes[-1], shape.batch), *shape.activations])


def backward_signature(shape: Shape) -> Signature:
    """(parameters…, observations (B, O), activations…, ∂values (A, B)) → (∂parameters…, room to work in)."""
    reads = [*forward_signature(shape).reads, *shape.activations, (shape.sizes[-1], shape.batch)]
    return Signature(reads, [*shape.parameters, (3, max(shape.sizes) * shape.batch)])


def emit_forward(module: ir.Module, shape: Shape, registers: Registers) -> None:
    """Write `forward` into the module."""
    made = function(module, "forward", forward_signature(shape))
    emit, batch, count = Emitter(made, registers), shape.batch, len(shape.parameters)
    parameters, (observations, values, *kept) = made.args[:count], made.args[count:]
    emit.transpose(batch, shape.sizes[0], Matrix(observations, shape.sizes[0]), Matrix(kept[0], batch))
    results = [*kept[1:], values]
    for n, (fan_in, fan_out) in enumerate(shape.layers):
        weight, bias = parameters[2 * n : 2 * n + 2]
        emit.product(
            (fan_out, batch, fan_in),
            Matrix(weight, fan_in),
            Matrix(kept[n], batch),
            Matrix(results[n], batch),
            start=bias,
            finish=None if results[n] is values else lambda sums, *_: emit.positive_part(sums),
        )
    emit.builder.ret_void()


def emit_backward(module: ir.Module, shape: Shape, registers: Registers) -> None:
    """Write `backward` into the module."""
    made = function(module, "backward", backward_signature(shape))
    emit, batch, count, depth = Emitter(made, registers), shape.batch, len(shape.parameters), len(shape.layers)
    parameters, (observations, *rest) = made.args[:count], made.args[count:]
    kept, gradient, gradients, room = rest[:depth], rest[depth], rest[depth + 1 : -1], rest[-1]
    samples, *spare = (emit.at(room, n * max(shape.sizes) * batch) for n in range(3))
    for n in reversed(range(depth)):
        fan_in, fan_out = shape.layers[n]
        g, below = Matrix(gradient, batch), Matrix(kept[n], batch)
        if n > 0:
            emit.transpose(fan_in, batch, below, Matrix(samples, fan_in))
        right = Matrix(samples if n > 0 else observations, fan_in)
        emit.product((fan_out, fan_in, batch), g, right, Matrix(gradients[2 * n], fan_in))
        emit.row_sums(fan_out, batch, g, gradients[2 * n + 1])
        if n > 0:
            gradient = spare[n % 2]
            weight = Matrix(parameters[2 * n], fan_in).transposed
            active = emit.where_positive(below)
            emit.product((fan_in, batch, fan_out), weight, g, Matrix(gradient, batch), finish=active)
    emit.builder.ret_void()


PASSES: Mapping[str, tuple[Callable[[Shape], Signature], Callable[[ir.Module, Shape, Registers], None]]] = {
    "forward": (forward_signature, emit_forward),
    "backward": (backward_signature, emit_backward),
}
