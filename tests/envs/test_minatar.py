"""gymnax's MinAtar games: flattened in the compiled loop, and with the convolutional network of the examples."""

from __future__ import annotations

from pathlib import Path

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from support import advance, make_driver, remembered, small

from softstep.learner.algorithms import make_learner

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["Breakout-MinAtar", "Seaquest-MinAtar"])
def test_stored_rows_equal_gymnax_stepped_by_hand(name: str) -> None:
    config = small(env=f"gymnax:{name}", memory_size=300, learning_starts=100)
    driver = make_driver(config)
    advance(driver, config, 150)
    env, params = gymnax.make(name)
    observation, state = env.reset(driver._block.reset_keys()[0, 0], params)
    ended = 0
    for n, row in enumerate(remembered(driver)[0]):
        stored, action, reward, discount, following = driver._block.layout.columns(row)
        iteration, v = divmod(n, 2)
        key = driver._block.draw(iteration).env_keys[0, v, 0, 0]
        np.testing.assert_array_equal(stored, np.ravel(observation))
        observation, state, expected, terminated, truncated, info = env.step(key, state, int(action), params)
        np.testing.assert_array_equal(following, np.ravel(info["final_observation"]))
        assert (reward, discount) == (float(expected), not terminated)
        ended += int(terminated | truncated)
    assert ended > 0


def test_the_example_network_equals_torchs_and_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    config = small(
        env="gymnax:Breakout-MinAtar", network="convolution:build", memory_size=300, learning_starts=100, num_envs=2
    )
    network = make_learner(config, 400, 3).network
    parameters = network.init(jax.random.key(0))
    weights = [torch.tensor(np.asarray(leaf)) for leaf in parameters]
    pictures = np.random.default_rng(0).random((5, 10, 10, 4), np.float32)
    x = torch.nn.functional.conv2d(torch.tensor(pictures).permute(0, 3, 1, 2), weights[0], weights[1].ravel())
    x = torch.relu(torch.relu(x).flatten(1) @ weights[2].T + weights[3]) @ weights[4].T + weights[5]
    ours = network.batch(parameters, jnp.asarray(pictures.reshape(5, -1)))
    np.testing.assert_allclose(ours, x.numpy(), rtol=1e-4, atol=1e-5)

    driver = make_driver(config)
    initial = [np.asarray(leaf) for leaf in driver.state.learner.online]
    advance(driver, config, 200)
    for before, after in zip(initial, driver.state.learner.online, strict=True):
        assert np.isfinite(after).all()
        assert (before != after).any()
