"""Acting with one call for all agents: values, bits and memory."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlps import as_float64, assert_near, random_mlp, torch_mlp

from softstep.kernels.acting import make_actor

SIZES = (5, 7, 33, 3)
widths = st.sampled_from([1, 2, 3, 5, 16, 17, 33, 64, 70])


def packed(sizes: tuple[int, ...], agents: int, seed: int = 0) -> np.ndarray:
    """Return random parameters (W, N), one row for each agent."""
    networks = [random_mlp(sizes, seed + agent) for agent in range(agents)]
    return np.stack([np.concatenate([array.ravel() for array in params]) for params in networks])


def random_observations(sizes: tuple[int, ...], agents: int, samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((agents, samples, sizes[0])).astype(np.float32)


def values_of(sizes: tuple[int, ...], parameters: np.ndarray, observations: np.ndarray) -> np.ndarray:
    """Compute the values with a new actor."""
    load = make_actor(sizes, *observations.shape[:2])
    return load(parameters)(observations)


def torch_values(sizes: tuple[int, ...], observations: np.ndarray, seed: int = 0) -> np.ndarray:
    with torch.no_grad():
        return np.stack([torch_mlp(random_mlp(sizes, seed + n))(as_float64(x)) for n, x in enumerate(observations)])


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize("agents", [1, 3, 8])
@pytest.mark.parametrize("sizes", [SIZES, (8, 64, 64, 4), (4, 16, 2)], ids=str)
def test_values_of_every_agent_and_sample_equal_torch(sizes: tuple[int, ...], agents: int, samples: int) -> None:
    observations = random_observations(sizes, agents, samples)
    values = values_of(sizes, packed(sizes, agents), observations)
    assert (values.shape, values.dtype) == ((agents, samples, sizes[-1]), np.float32)
    assert_near(values, torch_values(sizes, observations))


@settings(max_examples=25, deadline=None)
@given(widths, st.lists(widths, max_size=3), widths, st.integers(0, 1000))
def test_values_equal_torch_for_layers_of_any_width(
    observation_size: int, hidden: list[int], actions: int, seed: int
) -> None:
    sizes = (observation_size, *hidden, actions)
    observations = random_observations(sizes, 2, 2, seed)
    values = values_of(sizes, packed(sizes, 2, seed), observations)
    assert_near(values, torch_values(sizes, observations, seed))


@pytest.mark.parametrize("slots", [[0], [5], [0, 1, 2], [7, 5, 2], [7, 6, 5, 4, 3, 2, 1, 0]], ids=str)
def test_an_agents_bits_do_not_depend_on_its_slot_or_the_number_of_agents(slots: list[int]) -> None:
    parameters, observations = packed(SIZES, 8), random_observations(SIZES, 8, 2)
    together = values_of(SIZES, parameters, observations)
    some = values_of(SIZES, parameters[slots], observations[slots])
    assert some.tobytes() == together[slots].tobytes()


def test_a_samples_bits_do_not_depend_on_the_other_samples() -> None:
    parameters, observations = packed(SIZES, 3), random_observations(SIZES, 3, 5)
    together = values_of(SIZES, parameters, observations)
    for sample in range(5):
        alone = values_of(SIZES, parameters, observations[:, sample : sample + 1])
        assert alone.tobytes() == together[:, sample].tobytes()


def test_nan_spreads_to_all_values_of_its_sample_only() -> None:
    observations = random_observations(SIZES, 3, 2)
    clean = values_of(SIZES, packed(SIZES, 3), observations)
    observations[1, 1, -1] = np.nan
    values = values_of(SIZES, packed(SIZES, 3), observations)
    assert np.isnan(values[1, 1]).all()
    values[1, 1] = clean[1, 1]
    assert values.tobytes() == clean.tobytes()


def test_nan_in_one_agents_parameters_does_not_reach_the_others() -> None:
    parameters, observations = packed(SIZES, 3), random_observations(SIZES, 3, 2)
    clean = values_of(SIZES, parameters, observations)
    parameters[1] = np.nan
    values = values_of(SIZES, parameters, observations)
    assert np.isnan(values[1]).all()
    assert values[[0, 2]].tobytes() == clean[[0, 2]].tobytes()


# ---- memory ----


def test_the_next_call_overwrites_the_values() -> None:
    load = make_actor(SIZES, 2, 2)
    act = load(packed(SIZES, 2))
    first = act(random_observations(SIZES, 2, 2, seed=1))
    kept = first.copy()
    assert act(random_observations(SIZES, 2, 2, seed=2)) is first
    assert (first != kept).any()
    assert act(random_observations(SIZES, 2, 2, seed=1)).tobytes() == kept.tobytes()


def test_each_loaded_function_keeps_its_own_parameters() -> None:
    load, observations = make_actor(SIZES, 2, 2), random_observations(SIZES, 2, 2)
    actors = [load(packed(SIZES, 2, seed)) for seed in (0, 50)]
    gc.collect()
    for seed, act in [(0, actors[0]), (50, actors[1]), (0, actors[0])]:
        assert_near(act(observations), torch_values(SIZES, observations, seed))


def test_two_actors_do_not_share_memory() -> None:
    observations = random_observations(SIZES, 2, 2)
    loads = [make_actor(SIZES, 2, 2) for _ in range(2)]
    values = loads[0](packed(SIZES, 2))(observations)
    kept = values.copy()
    loads[1](packed(SIZES, 2, seed=50))(observations)
    assert values.tobytes() == kept.tobytes()


def test_observations_and_parameters_may_have_any_layout_and_dtype() -> None:
    parameters, observations = packed(SIZES, 2), random_observations(SIZES, 2, 2)
    values = values_of(SIZES, parameters, observations)
    awkward = np.asfortranarray(observations.astype(np.float64))
    for same in (np.asfortranarray(parameters), np.repeat(parameters, 2, axis=0)[::2], parameters.astype(np.float64)):
        assert values_of(SIZES, same, awkward).tobytes() == values.tobytes()


def test_inputs_are_not_modified() -> None:
    parameters, observations = packed(SIZES, 2), random_observations(SIZES, 2, 2)
    before = parameters.tobytes(), observations.tobytes()
    values_of(SIZES, parameters, observations)
    assert (parameters.tobytes(), observations.tobytes()) == before


def test_a_loaded_function_keeps_alive_all_memory_it_writes_to() -> None:
    """No other array may be allocated where the activations are written."""
    for hidden in (64, 300):
        sizes = (3, hidden, 2)
        act = make_actor(sizes, 1, 1)(packed(sizes, 1))
        gc.collect()
        others = [np.full(2 * hidden, 7, np.float32) for _ in range(20)]
        act(random_observations(sizes, 1, 1))
        assert [n for n, other in enumerate(others) if (other != 7).any()] == []
