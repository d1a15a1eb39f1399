"""The passes of an MLP over a batch as LLVM code, each one function for one agent.

Activations are stored feature by feature, (J, B). A product reads its left factor one number at a time, so W as stored
serves both W·H and Wᵀ·G. Only the weights' gradient needs activations sample by sample.

    forward    H₀ = Xᵀ,  Hₗ = max(0, Wₗ·Hₗ₋₁ + bₗ),  values = W·H + b
    backward   ∂Wₗ = Gₗ·Hₗ₋₁ᵀ,  ∂bₗ = Gₗ·1,  Gₗ₋₁ = Wₗᵀ·Gₗ where Hₗ₋₁ > 0, else 0
    inputs     ∂X = G₀ᵀ with the same G, without the condition on H₀: what an actor learns from its critic
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from llvmlite import ir

from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import ArrayShape, Matrix, Registers, Signature, declare_function


class MLPShape(NamedTuple):
    """The widths of an MLP's layers, and the size of its batch."""

    sizes: tuple[int, ...]
    """O, hidden widths, A."""
    batch: int
    """B."""

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(I, J) of each layer, which maps I numbers to J."""
        return list(itertools.pairwise(self.sizes))

    @property
    def parameters(self) -> list[ArrayShape]:
        """Shapes of weights (J, I) and biases (J,), layer by layer."""
        return [shape for i, j in self.layers for shape in ((j, i), (j,))]

    @property
    def activations(self) -> list[ArrayShape]:
        """Shapes (J, B) of what the forward pass keeps: the observation and every hidden layer."""
        return [(size, self.batch) for size in self.sizes[:-1]]


def forward_signature(shape: MLPShape) -> Signature:
    """Return (parameters…, observations (B, O)) → (values (A, B), activations…)."""
    reads = [*shape.parameters, (shape.batch, shape.sizes[0])]
    return Signature(reads, [(shape.sizes[-1], shape.batch), *shape.activations])


def backward_signature(shape: MLPShape) -> Signature:
    """Return (parameters…, observations (B, O), activations…, ∂values (A, B)) → (∂parameters…, working memory)."""
    reads = [*forward_signature(shape).reads, *shape.activations, (shape.sizes[-1], shape.batch)]
    return Signature(reads, [*shape.parameters, (3, max(shape.sizes) * shape.batch)], shared=1)


def emit_forward(module: ir.Module, shape: MLPShape, registers: Registers) -> None:
    """Emit the function `forward` into the module."""
    function = declare_function(module, "forward", forward_signature(shape))
    emit, batch, count = Emitter(function, registers), shape.batch, len(shape.parameters)
    parameters, (observations, values, *activations) = function.args[:count], function.args[count:]
    emit.transpose(batch, shape.sizes[0], Matrix(observations, shape.sizes[0]), Matrix(activations[0], batch))
    outputs = [*activations[1:], values]
    for n, (fan_in, fan_out) in enumerate(shape.layers):
        weight, bias = parameters[2 * n : 2 * n + 2]
        emit.product(
            (fan_out, batch, fan_in),
            Matrix(weight, fan_in),
            Matrix(activations[n], batch),
            Matrix(outputs[n], batch),
            start=bias,
            finish=None if outputs[n] is values else lambda sums, *_: emit.positive_part(sums),
        )
    emit.builder.ret_void()


def emit_backward(module: ir.Module, shape: MLPShape, registers: Registers) -> None:
    """Emit the function `backward` into the module."""
    function = declare_function(module, "backward", backward_signature(shape))
    emit, batch, count, depth = Emitter(function, registers), shape.batch, len(shape.parameters), len(shape.layers)
    parameters, (observations, *rest) = function.args[:count], function.args[count:]
    activations, gradient, gradients, memory = rest[:depth], rest[depth], rest[depth + 1 : -1], rest[-1]
    samples, *buffers = (emit.address(memory, n * max(shape.sizes) * batch) for n in range(3))
    for n in reversed(range(depth)):
        fan_in, fan_out = shape.layers[n]
        g, below = Matrix(gradient, batch), Matrix(activations[n], batch)
        if n > 0:
            emit.transpose(fan_in, batch, below, Matrix(samples, fan_in))
        right = Matrix(samples if n > 0 else observations, fan_in)
        emit.product((fan_out, fan_in, batch), g, right, Matrix(gradients[2 * n], fan_in))
        emit.row_sums(fan_out, batch, g, gradients[2 * n + 1])
        if n > 0:
            gradient = buffers[n % 2]
            weight = Matrix(parameters[2 * n], fan_in).transposed
            active = emit.where_positive(below)
            emit.product((fan_in, batch, fan_out), weight, g, Matrix(gradient, batch), finish=active)
    emit.builder.ret_void()


def input_gradient_signature(shape: MLPShape) -> Signature:
    """Return (parameters…, activations…, ∂values (A, B)) → (∂observations (B, O), working memory)."""
    reads = [*shape.parameters, *shape.activations, (shape.sizes[-1], shape.batch)]
    return Signature(reads, [(shape.batch, shape.sizes[0]), (2, max(shape.sizes) * shape.batch)], shared=1)


def emit_input_gradient(module: ir.Module, shape: MLPShape, registers: Registers) -> None:
    """Emit the function `input_gradient` into the module."""
    function = declare_function(module, "input_gradient", input_gradient_signature(shape))
    emit, batch, count, depth = Emitter(function, registers), shape.batch, len(shape.parameters), len(shape.layers)
    parameters, rest = function.args[:count], function.args[count:]
    activations, gradient, inputs, memory = rest[:depth], rest[depth], rest[depth + 1], rest[depth + 2]
    buffers = [emit.address(memory, n * max(shape.sizes) * batch) for n in range(2)]
    for n in reversed(range(depth)):
        fan_in, fan_out = shape.layers[n]
        weight, below = Matrix(parameters[2 * n], fan_in).transposed, buffers[n % 2]
        active = emit.where_positive(Matrix(activations[n], batch)) if n > 0 else None
        size = (fan_in, batch, fan_out)
        emit.product(size, weight, Matrix(gradient, batch), Matrix(below, batch), finish=active)
        gradient = below
    emit.transpose(shape.sizes[0], batch, Matrix(gradient, batch), Matrix(inputs, shape.sizes[0]))
    emit.builder.ret_void()


PASSES: Mapping[str, tuple[Callable[[MLPShape], Signature], Callable[[ir.Module, MLPShape, Registers], None]]] = {
    "forward": (forward_signature, emit_forward),
    "backward": (backward_signature, emit_backward),
    "input_gradient": (input_gradient_signature, emit_input_gradient),
}
"""Signature and emitter of each pass, by the name of its function."""
