"""LayerNorm in the MLP, against torch; and a target for the last layer alone, against its definition."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, LearnerState
from softstep.settings import Arm
from softstep.target import TargetUpdate
from softstep.transition import Transition

O, A, B = 3, 2, 8  # noqa: E741


def torch_network(parameters: dict[str, Any]) -> torch.nn.Module:
    """Return Linear, LayerNorm (if there are norms), ReLU, and so on, with these parameters."""
    prefix = "layers/" if "layers/0/weight" in parameters else ""
    modules: list[torch.nn.Module] = []
    for n in range(3):
        weight, bias = parameters[f"{prefix}{n}/weight"], parameters[f"{prefix}{n}/bias"]
        modules.append(torch.nn.Linear(weight.shape[1], weight.shape[0]).double())
        modules[-1].load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        if n < 2 and f"norms/{n}/weight" in parameters:
            modules.append(torch.nn.LayerNorm(len(bias)).double())
            names = {"weight": f"norms/{n}/weight", "bias": f"norms/{n}/bias"}
            modules[-1].load_state_dict({kind: torch.tensor(parameters[name]) for kind, name in names.items()})
        if n < 2:
            modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules)


def test_layer_normalization_equals_torchs() -> None:
    rng = np.random.default_rng(0)
    network = make_learner(Config(hidden=(5, 4), normalization="layer"), O, A).network
    with jax.enable_x64(True):
        shapes = {
            name: leaf.shape
            for name, leaf in zip(network.parameter_names, network.init(jax.random.key(0)), strict=True)
        }
        parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        observations = rng.standard_normal((B, O))
        ours = network.batch(tuple(map(jnp.asarray, parameters.values())), jnp.asarray(observations))
    theirs = torch_network(parameters)(torch.tensor(observations)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_normalization_starts_as_the_identity_on_normalized_units() -> None:
    network = make_learner(Config(hidden=(5, 4), normalization="layer"), O, A).network
    initial = dict(zip(network.parameter_names, network.init(jax.random.key(0)), strict=True))
    for name in ("norms/0", "norms/1"):
        assert (np.asarray(initial[f"{name}/weight"]) == 1).all()
        assert (np.asarray(initial[f"{name}/bias"]) == 0).all()


def batch(seed: int) -> Transition:
    rng = np.random.default_rng(seed)
    return Transition(
        rng.standard_normal((B, O)).astype(np.float32),
        rng.integers(A, size=B).astype(np.int32),
        rng.standard_normal(B).astype(np.float32),
        np.ones(B, np.float32),
        rng.standard_normal((B, O)).astype(np.float32),
    )


def trained(config: Config, hyper: Hyper, updates: int) -> tuple[Any, LearnerState]:
    learner = make_learner(config, O, A)
    state, update = learner.init(jax.random.key(0)), jax.jit(learner.update)
    for step in range(updates):
        state, _ = update(state, batch(step), hyper)
    return learner, state


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_a_target_for_the_last_layer_shares_all_other_layers_with_q(normalization: Any) -> None:
    config = Config(hidden=(5, 4), target_scope="last-layer", normalization=normalization)
    learner, state = trained(config, Hyper(1e-2, 0.1, 1, 0.9), 5)
    for n, (q, t) in enumerate(zip(state.online, state.target, strict=True)):
        assert np.array_equal(q, t) == (n < len(state.online) - 2)
    mixed = (*state.online[:-2], *state.target[-2:])
    next_values = learner.network.batch(mixed, jnp.asarray(batch(9).next_observation))
    y = learner.td_targets(state, batch(9), Hyper(1e-2, 0.1, 1, 0.9))
    np.testing.assert_allclose(y, batch(9).reward + 0.9 * next_values.max(-1), rtol=1e-6)


@pytest.mark.parametrize("scope", ["all", "last-layer"])
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_updates_equal_those_written_in_torch(normalization: Any, scope: Any) -> None:
    config = Config(hidden=(5, 4), normalization=normalization, target_scope=scope, optimizer="sgd")
    rate, tau, gamma, updates = 0.05, 0.1, 0.5, 6  # γ exact in float32, the type of rewards and discounts
    with jax.enable_x64(True):
        learner, state = trained(config, Hyper(rate, tau, 1, gamma), updates)
        initial = learner.init(jax.random.key(0)).online
        ours = dict(zip(learner.network.parameter_names, map(np.asarray, state.online), strict=True))
        our_target = dict(zip(learner.network.parameter_names, map(np.asarray, state.target), strict=True))
        start = {name: np.asarray(leaf) for name, leaf in zip(ours, initial, strict=True)}
    online, target = torch_network(start), torch_network(start)
    for step in range(updates):
        rows = [torch.tensor(np.asarray(column)) for column in batch(step)]
        observation, action, reward, _, following = (row if row.dtype == torch.int32 else row.double() for row in rows)
        with torch.no_grad():
            features = (target if scope == "all" else online)[:-1](following)
            y = reward + gamma * target[-1](features).amax(1)
        values = online(observation).gather(1, action.long()[:, None])[:, 0]
        online.zero_grad()
        (y - values).square().mean().backward()
        with torch.no_grad():
            for q in online.parameters():
                q -= rate * q.grad
            for t, q in zip(target.parameters(), online.parameters(), strict=True):
                t.lerp_(q, tau)
    whole = target if scope == "all" else torch.nn.Sequential(*online[:-1], target[-1])
    for parameters, theirs in ((ours, online), (our_target, whole)):
        for a, b in zip(torch_network(parameters).parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-9, atol=1e-12)


def test_the_last_layers_target_is_a_blend_of_the_last_layers() -> None:
    config, tau = Config(hidden=(5,), target_scope="last-layer"), 0.25
    hyper = Hyper(1e-2, tau, 1, 0.9)
    _, before = trained(config, hyper, 3)
    _, after = trained(config, hyper, 4)
    for old, new, online in zip(before.target[-2:], after.target[-2:], after.online[-2:], strict=True):
        np.testing.assert_allclose(new, (1 - tau) * old + tau * online, rtol=1e-5, atol=1e-7)


def test_without_a_target_the_scope_does_not_matter() -> None:
    none = TargetUpdate.none()
    hyper = Hyper(1e-2, none.tau, none.period, 0.9)
    states = [trained(Config(hidden=(5,), target_scope=scope), hyper, 5)[1] for scope in ("all", "last-layer")]
    jax.tree.map(np.testing.assert_array_equal, *[state.online for state in states])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "module:function", "normalization": "layer"}, "normalization = 'layer'"),
        ({"network": "module:function", "target_scope": "last-layer"}, "target_scope = 'last-layer'"),
        ({"arms": (Arm("blended", blended=True),), "target_scope": "last-layer"}, "blended"),
        ({"algorithm": "sac", "env": "Pendulum-v1", "double_q": True}, "double_q"),
        ({"algorithm": "td3", "env": "Pendulum-v1", "n_step": 3}, "n_step"),
        ({"algorithm": "sac", "env": "Pendulum-v1", "eval_network": "target"}, "no target"),
        ({"algorithm": "ddpg", "arms": (Arm("blended", blended=True),)}, "blended"),
        ({"n_step": 50, "memory_size": 64, "num_envs": 4}, "raise the memory"),
        ({"n_step": 2, "env": "envpool:CartPole-v1"}, "EnvPool"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Config(**settings)
    assert "\n" not in str(error.value)
