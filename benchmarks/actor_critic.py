"""SAC, TD3 and DDPG on Pendulum beside rejax, sbx and stable-baselines3, one gradient step per environment step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from benchmarks import floor, measure
from benchmarks.measure import BenchmarkError, Result, Sample, rates
from benchmarks.table import Row, Unit, rate_row, spread
from softstep.config import Config
from softstep.target import TargetUpdate

Algorithm = Literal["ddpg", "td3", "sac"]

AGENTS = 8
UNIT: Unit = "µs per agent-step"
OURS = "softstep"
SHAPE = {"observation": 3, "actions": 1}
"""Numbers in Pendulum's observations and actions."""

REQUIRED = {
    ("as shipped", 64): {"rejax": 4.5, "sbx": 20.0, "stable-baselines3": 80.0},
    ("core for core", 64): {"rejax": 2.5, "sbx": 12.0, "stable-baselines3": 45.0},
    ("core for core", 256): {"rejax": 1.3, "sbx": 1.7, "stable-baselines3": 3.5},
}
"""Required ratios of SAC by mode and width, and by peer."""

NOTES = [
    "as shipped: the whole machine, default threads on each side; ours: two workers. core for core: one core, one",
    "  thread on both sides.",
    "64-64: minibatches of 64 transitions; 256-256: of 256. Everywhere ReLU, Adam, a replay of 10 000 transitions; a",
    "  gradient step of the critics and of the actor (TD3's actor: at every second step) and a soft update per",
    "  environment step. No side evaluates. All timed steps learn: each side counts its gradient steps.",
    f"ours: {AGENTS} agents on gymnax through `softstep.train`, with default records and checkpoints; in blocks of",
    f"  {AGENTS} on one core, and of one agent at 256-256, whose networks then stay in the caches.",
    f"rejax: jit(vmap(train)) over {AGENTS} seeds on gymnax; it draws minibatches without replacement from the whole",
    "  buffer, so it slows down as the buffer grows: the row with a replay of 1 000 shows how much. It has no DDPG.",
    "sbx and stable-baselines3: one agent (they do not train populations) on Gymnasium's Pendulum-v1.",
    "TD3, DDPG: core for core, one sample, not judged. rejax's TD3 moves its actor along both critics, and its targets",
    "  once per two steps.",
    "the floor counts only the matrix products of an update, at the speed of the fastest product of the round on one",
    "  core. At 256-256 arithmetic rules: all sides compute nearly the same products (ours goes back to the action",
    "  through a sample's smaller critic alone, the others through both), and little but those can be saved.",
]


class Size(NamedTuple):
    """Amount of work per sample, in steps per agent.

    Ours trains `ours` learning steps (`wide` at 256-256), of which the first `warm` (`wide_warm`) are not timed; the
    peers take as many timed steps as their fields say.
    """

    rounds: int
    unjudged_rounds: int
    ours: int
    warm: int
    wide: int
    wide_warm: int
    rejax: int
    rejax_wide: int
    sbx: int
    sb3: int
    gymnasium_wide: int


FULL = Size(
    3, 1, ours=15_000, warm=5_000, wide=300, wide_warm=30, rejax=2_000, rejax_wide=100, sbx=2_500, sb3=1_000,
    gymnasium_wide=400,
)  # fmt: skip
QUICK = Size(
    1, 1, ours=2_500, warm=500, wide=150, wide_warm=10, rejax=100, rejax_wide=10, sbx=100, sb3=100, gymnasium_wide=20,
)  # fmt: skip


def config(algorithm: Algorithm, width: int, size: Size, *, one_core: bool) -> Config:
    """Return softstep's work, with two hidden layers of `width` units and as many transitions per minibatch."""
    return Config(
        algorithm=algorithm,
        env="gymnax:Pendulum-v1",
        seeds=AGENTS,
        block_width=(AGENTS if width == 64 else 1) if one_core else None,
        total_steps=1_000 + (size.ours if width == 64 else size.wide),
        learning_starts=1_000,
        learning_rate=1e-3,
        target=TargetUpdate(tau=0.005),
        gamma=0.99,
        batch_size=width,
        memory_size=10_000,
        train_every=1,
        gradient_steps=1,
        hidden=(width, width),
        policy_delay=2 if algorithm == "td3" else 1,
    )


def peer_settings(ours: Config) -> dict[str, Any]:
    """Return the same work as settings that the peers' programs accept; they learn once a minibatch is there."""
    return {
        "env": "Pendulum-v1",
        "algorithm": ours.algorithm,
        "hidden": list(ours.hidden),
        "batch_size": ours.batch_size,
        "memory_size": ours.memory_size,
        "learning_starts": ours.batch_size,
        "warm": ours.batch_size + 40,
        "learning_rate": ours.learning_rate,
        "tau": ours.target.tau,
        "gamma": ours.gamma,
        "action_noise": ours.action_noise,
        "seed": ours.seed,
    }


def run(*, quick: bool) -> Result:
    """Compare SAC with three peers at two widths, and TD3 and DDPG at 64-64."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for (mode, width), required in REQUIRED.items():
        one_core = mode == "core for core"
        products = floor.sides(quick=quick) if width == 256 else {}
        part = measure.alternate(_sides("sac", width, size, one_core=one_core) | products, size.rounds)
        check_counts(part, config("sac", width, size, one_core=one_core))
        label = f"{mode}: SAC {width}-{width}"
        rows += peer_rows(label, part, required)
        samples |= {name if name in products else f"{label}: {name}": taken for name, taken in part.items()}
    rows += floor_rows(samples)
    unjudged: tuple[Algorithm, ...] = ("td3", "ddpg")
    for algorithm in unjudged:
        part = measure.alternate(_sides(algorithm, 64, size, one_core=True), size.unjudged_rounds)
        check_counts(part, config(algorithm, 64, size, one_core=True))
        label = f"core for core: {algorithm.upper()} 64-64"
        rows += peer_rows(label, part, {})
        samples |= {f"{label}: {name}": taken for name, taken in part.items()}
    title = "SAC, TD3 and DDPG on Pendulum, a gradient step and a soft update per environment step"
    return Result("actor_critic", title, rows, samples, [*NOTES, *floor_notes(samples)])


def check_counts(samples: Mapping[str, Sequence[Sample]], work: Config) -> None:
    """Raise BenchmarkError unless every side took one gradient step of its critics per learning environment step.

    The actor's steps are checked as well where the side reports them, one per `policy_delay` steps of the critics.
    """
    of_run = AGENTS * (work.total_steps - work.learning_starts)
    for name, side_samples in samples.items():
        if name.startswith(floor.PREFIX):
            continue
        for sample in side_samples:
            ours = "gradient_steps_of_run" in sample
            taken = sample["gradient_steps_of_run"] if ours else sample["gradient_steps"]
            expected = of_run if ours else sample["agent_steps"]
            moved, due = sample.get("actor_steps"), sample["agent_steps"] / work.actor_period
            if taken != expected or (moved is not None and abs(moved - due) >= 1):
                raise BenchmarkError(f"{name}: {taken} gradient steps, {moved} of the actor, in {expected} steps")


def peer_rows(label: str, samples: Mapping[str, Sequence[Sample]], required: Mapping[str, float]) -> list[Row]:
    """Return a row for each peer, and whether ours is as many times as fast as required."""
    ours = rates(samples[OURS])
    peers = [name for name in samples if name != OURS and not name.startswith(floor.PREFIX)]
    return [rate_row(f"{label}: {name}", ours, rates(samples[name]), required.get(name), UNIT) for name in peers]


def floor_rows(samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    """Return the speed of the machine's products, and our SAC relative to the arithmetic of its update."""
    fastest, rows = floor.fastest(samples), floor.rows(samples)
    for width in (64, 256):
        label = f"core for core: SAC {width}-{width}"
        work = config("sac", width, FULL, one_core=True)
        times = floor.times_floor(work, rates(samples[f"{label}: {OURS}"]), fastest, **SHAPE)
        rows.append(Row(f"{label}: an agent-step / the fastest floor", "×", spread(times)))
    return rows


def floor_notes(samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Return the arithmetic of an update of SAC, and the time that it takes at the fastest product's speed."""
    fastest = floor.fastest(samples)
    speed, notes = spread(fastest.rates).median, list[str]()
    for width in (64, 256):
        operations = floor.update_operations(config("sac", width, FULL, one_core=True), **SHAPE)
        notes.append(
            f"SAC {width}-{width}: {operations / 1e6:.3g} MFLOP per update, {1e6 * operations / speed:.3g} µs at"
            f" {speed / 1e9:.3g} GFLOP/s per core ({fastest.product})."
        )
    return notes


def _sides(algorithm: Algorithm, width: int, size: Size, *, one_core: bool) -> dict[str, Any]:
    """Return our side and the peers; the row of rejax with a small replay comes core for core at 64-64 alone."""
    work, narrow = config(algorithm, width, size, one_core=one_core), width == 64
    shared = peer_settings(work)
    vmapped = shared | {"agents": AGENTS, "steps": size.rejax if narrow else size.rejax_wide}
    sides: dict[str, Any] = {
        OURS: partial(
            measure.ours,
            work,
            warm=work.learning_starts + (size.warm if narrow else size.wide_warm),
            one_core=one_core,
        )
    }
    if algorithm != "ddpg":
        sides["rejax"] = partial(measure.rejax_actor_critic, vmapped, one_core=one_core)
    if algorithm == "sac" and narrow and one_core:
        small = vmapped | {"memory_size": 1_000}
        sides["rejax, replay 1 000"] = partial(measure.rejax_actor_critic, small, one_core=one_core)
    for name, library, steps in (("sbx", "sbx", size.sbx), ("stable-baselines3", "sb3", size.sb3)):
        request = shared | {"steps": steps if narrow else size.gymnasium_wide}
        sides[name] = partial(measure.sb3_actor_critic, library, request, one_core=one_core)
    return sides
