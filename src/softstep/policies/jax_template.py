"""The Python module that is exported beside a policy's JAX parameters."""

_IMPORTS = """from pathlib import Path

import jax
import jax.numpy as jnp
from safetensors.numpy import load_file
"""

_LOAD = '''

def load(path=Path(__file__).with_name("policy.safetensors")):
    """Return the layers' weights (out, in) and biases (out,)."""
    tensors = load_file(path)
    return [(jnp.asarray(tensors[f"{{n}}.weight"]), jnp.asarray(tensors[f"{{n}}.bias"])) for n in range({layers})]


'''

_LAYERS = """    x = jnp.asarray(observations, jnp.float32)
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight.T + bias)
    weight, bias = params[-1]
"""

_TITLE = '''"""{title}

    from policy import load, q_values
    params = load()
    values = q_values(params, observations)     # float32 (..., {observations}) -> float32 (..., {actions})
    action = int(q_values(params, observation).argmax())

A batch axis is optional; `jax.jit`, `jax.vmap` and `jax.grad` apply to `q_values`.
"""

'''

_Q_VALUES = '''def q_values(params, observations):
    """Return the action values of observations, along the last axis."""
'''

JAX_MODULE = _TITLE + _IMPORTS + _LOAD + _Q_VALUES + _LAYERS + "    return x @ weight.T + bias\n"
"""A template with the fields title, observations, actions and layers (numbers of all three)."""

_ACTOR_TITLE = '''"""{title}

    from policy import act, load
    params = load()
    actions = act(params, observations)         # float32 (..., {observations}) -> float32 (..., {actions})

Actions are deterministic and lie within LOW and HIGH, the environment's bounds. A batch axis is optional; `jax.jit`,
`jax.vmap` and `jax.grad` apply to `act`.
"""

'''

_BOUNDS = "\nLOW, HIGH = {low}, {high}\n"

_ACT = '''def act(params, observations):
    """Return the actions of observations, along the last axis: tanh of the outputs, scaled from [-1, 1]."""
'''

_SCALED = """    low, high = jnp.asarray(LOW, jnp.float32), jnp.asarray(HIGH, jnp.float32)
    return low + 0.5 * (jnp.tanh(x @ weight.T + bias) + 1) * (high - low)
"""

JAX_ACTOR_MODULE = _ACTOR_TITLE + _IMPORTS + _BOUNDS + _LOAD + _ACT + _LAYERS + _SCALED
"""The same for an actor, with the further fields low and high (lists)."""
