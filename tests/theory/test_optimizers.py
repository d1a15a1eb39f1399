"""The claims about optimizers, against optax and against literal recursions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from softstep.comparison import equivalence
from softstep.theory import optimizers


def displacement_heavy_ball(rate, mu=0.9):
    """Build x − αg + μ(x − x_before), with the displacement read off the parameters."""

    def update(gradient, before, x):
        step = jax.tree.map(lambda g, p, b: -rate * g + mu * (p - b), gradient, x, before)
        return step, x

    return optax.GradientTransformation(lambda x: x, update)


def keras_momentum(rate, mu=0.9):
    return optax.chain(optax.scale(-rate), optax.trace(mu))


def independent_decay(rate, weight_decay=0.01):
    return optax.chain(optax.scale_by_adam(), optax.scale(-rate), optax.add_decayed_weights(-weight_decay))


def update_clipping(rate, rho=0.01):
    return optax.chain(optax.sgd(rate), optax.clip_by_global_norm(rho))


def proximal(rate, strength=1.0):
    """Build descent with soft thresholding by α·strength after the step."""

    def update(gradient, state, x):
        stepped = jax.tree.map(lambda p, g: p - rate * g, x, gradient)
        shrunk = jax.tree.map(lambda s: jnp.sign(s) * jnp.maximum(jnp.abs(s) - rate * strength, 0), stepped)
        return jax.tree.map(jnp.subtract, shrunk, x), state

    return optax.GradientTransformation(lambda x: (), update)


def projected(rate, bound=0.8):
    """Build descent that clips the parameters to a box after the step."""

    def update(gradient, state, x):
        displacement = jax.tree.map(lambda p, g: jnp.clip(p - rate * g, -bound, bound) - p, x, gradient)
        return displacement, state

    return optax.GradientTransformation(lambda x: (), update)


def nesterov_ahead(rate, mu=0.9):
    """Build v ← μv − α·∇f(x + μv), with the gradient taken ahead."""

    def update(gradient, v, x, value_fn, **extra):
        ahead = jax.grad(value_fn)(jax.tree.map(lambda p, w: p + mu * w, x, v))
        v = jax.tree.map(lambda w, g: mu * w - rate * g, v, ahead)
        return v, v

    return optax.GradientTransformationExtraArgs(lambda x: jax.tree.map(jnp.zeros_like, x), update)


def line_search(rate):
    return optax.chain(optax.sgd(rate), optax.scale_by_backtracking_linesearch(max_backtracking_steps=15))


CASES = {
    "sgd": (optax.sgd, {}),
    "heavy_ball": (optax.sgd, {"momentum": 0.9}),
    "nesterov": (optax.sgd, {"momentum": 0.9, "nesterov": True}),
    "adam": (optax.adam, {}),
    "amsgrad": (optax.amsgrad, {}),
    "rmsprop": (optax.rmsprop, {}),
    "adagrad": (optax.adagrad, {}),
    "lion": (optax.lion, {}),
    "lars": (optax.lars, {"momentum": 0.0}),
    "adamw": (optax.adamw, {"weight_decay": 0.1}),
    "gradient_clipping": (lambda rate: optax.chain(optax.clip_by_global_norm(0.1), optax.adam(rate)), {}),
    "keras_momentum": (keras_momentum, {}),
    "rmsprop_momentum": (optax.rmsprop, {"momentum": 0.9}),
    "heavy_ball_displacement": (displacement_heavy_ball, {}),
    "adamw_independent": (independent_decay, {}),
    "update_clipping": (update_clipping, {}),
    "nesterov_ahead": (nesterov_ahead, {}),
    "projected": (projected, {}),
    "proximal": (proximal, {}),
    "line_search": (line_search, {}),
}


@pytest.mark.parametrize("name", optimizers.NAMES)
def test_the_measured_kind_is_the_claimed_kind(name):
    make, options = CASES[name]
    claimed, measured = optimizers.equivalence(name), equivalence.check(make, **options)
    assert measured.verdict == claimed.verdict
    assert measured.rescale == claimed.rescale
    assert claimed.reason


def test_optax_lars_keeps_the_rate_inside_its_momentum():
    assert equivalence.check(optax.lars).verdict == "exact for constant c"


def test_the_reason_for_adam_names_every_hyperparameter():
    adam = optimizers.equivalence("Adam")
    assert adam.verdict == "exact"
    assert "bias correction and epsilon unchanged" in adam.reason
    assert "decay multiplied by alpha" in optimizers.equivalence("AdamW").reason


def test_injected_hyperparameters_and_schedules():
    def injected(rate):
        return optax.inject_hyperparams(optax.adam)(learning_rate=rate)

    def scheduled(rate):
        return optax.adam(optax.cosine_decay_schedule(rate, 20))

    assert equivalence.check(injected).verdict == "exact"
    assert equivalence.check(scheduled).verdict == "exact"


def test_exact_equivalence_deviates_only_by_rounding():
    assert equivalence.check(optax.adam).changing_c < 1e-12
    assert equivalence.check(nesterov_ahead).constant_c > 1e-4


def test_blended_batch_statistics_have_a_smaller_momentum():
    """Blending m ← m + momentum·(x − m) is the same as (1−c)·momentum."""
    rng = np.random.default_rng(0)
    blended = plain = 0.0
    for x in rng.standard_normal(50):
        blended = 0.7 * blended + 0.3 * (blended + 0.1 * (x - blended))
        plain += 0.3 * 0.1 * (x - plain)
    assert blended == pytest.approx(plain, abs=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.equivalence("adamm"), "adam"),
        (lambda: optimizers.equivalence("zzz"), "is unknown"),
        (lambda: equivalence.check(optax.adam(0.1)), "function of the learning rate"),
        (lambda: equivalence.check(lambda rate: rate), "returns an optax optimizer"),
        (lambda: equivalence.check(optax.sgd, alpha=0.0), "alpha"),
        (lambda: equivalence.check(optax.sgd, c=1.0), "c = 1"),
    ],
)
def test_bad_input_raises_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
