"""A small convolutional Q-network for the MinAtar games of gymnax, whose observations softstep flattens.

cd examples && softstep train gymnax:Breakout-MinAtar --network convolution:build
"""

import equinox as eqx
import jax
import jax.numpy as jnp

SIDE = 10
"""MinAtar's observations are SIDE × SIDE × channels."""


class ConvolutionalNetwork(eqx.Module):
    """A convolution of 3 × 3, a hidden layer, and one value per action."""

    convolution: eqx.nn.Conv2d
    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __call__(self, observation):
        """Return Q(s, ·) of one flattened observation."""
        picture = jnp.moveaxis(observation.reshape(SIDE, SIDE, -1), -1, 0)  # channels first, as Equinox wants them
        features = jax.nn.relu(self.convolution(picture)).ravel()
        return self.output(jax.nn.relu(self.hidden(features)))


def build(key, observation_size, num_actions):
    """Return the network with initial weights drawn from `key`."""
    keys = jax.random.split(key, 3)
    return ConvolutionalNetwork(
        eqx.nn.Conv2d(observation_size // SIDE**2, 8, kernel_size=3, key=keys[0]),
        eqx.nn.Linear(8 * (SIDE - 2) ** 2, 32, key=keys[1]),
        eqx.nn.Linear(32, num_actions, key=keys[2]),
    )
