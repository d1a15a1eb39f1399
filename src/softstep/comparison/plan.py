"""The plan of a comparison: its settings and arms, and the runs that select and judge them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from softstep.comparison.arms import (
    ACTOR_TARGET_ARMS,
    ARMS,
    FIRST_SELECTION_SEED,
    TUNED_ARMS,
    candidates_of_best_alpha,
    candidates_of_best_soft,
    make_arm,
)
from softstep.comparison.scores import ReturnCriteria, return_criteria
from softstep.config import Config
from softstep.errors import ConfigError, near
from softstep.files import json_text
from softstep.settings import ALGORITHMS_WITH, Arm

PLAN_FILE = "comparison.json"

PROBE_TRANSITIONS = 64
"""Transitions of the probe on which Δy is measured at every gradient step."""


@dataclass(frozen=True)
class ComparisonPlan:
    """What a comparison trains and how it is judged."""

    config: Config
    """Settings common to all arms; its α and soft target are those of `soft`."""
    arms: tuple[str, ...]
    inner_steps: int = 1
    """Gradient steps of `blended` between two blends."""
    selection_seeds: int = 5
    margin: float | None = None
    """δ, the smallest difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """Return that a diverged agent scores; None takes the one declared for the environment."""

    def __post_init__(self) -> None:
        _ = self.criteria  # missing criteria are reported before hours of training, not after
        if self.config.target.schedule == "harmonic":
            raise ConfigError(
                "target.schedule = 'harmonic': the arms of a comparison are made from a constant tau; compare harmonic"
                " with constant targets in a study, with the axis target.schedule"
            )
        if self.config.target.kind != "soft":
            raise ConfigError(
                f"target.tau = {self.config.target.tau:g} is not a soft update, so there is nothing to compare a"
                " smaller step with: choose tau below 1"
            )
        for name in self.arms:
            if name not in ARMS:
                raise ConfigError(f"unknown arm {name!r}: choose from {', '.join(ARMS)}{near(name, list(ARMS))}")
        if not self.arms or len(set(self.arms)) < len(self.arms):
            raise ConfigError(f"arms = {','.join(self.arms)!r} must name at least one arm and no arm twice")
        self._check_arms_fit_the_learner()
        for field in ("inner_steps", "selection_seeds"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field} = {getattr(self, field)} must be at least 1")
        self._check_evaluations()
        if self.needs_selection and self.config.seed + self.config.seeds > FIRST_SELECTION_SEED:
            raise ConfigError(
                f"seed = {self.config.seed} with seeds = {self.config.seeds} reaches the selection seeds:"
                f" stay below {FIRST_SELECTION_SEED}"
            )

    def _check_arms_fit_the_learner(self) -> None:
        """Raise ConfigError for an arm that the algorithm or its target cannot have."""
        algorithm, target = self.config.algorithm, self.config.target
        if self.config.continuous and "blended" in self.arms:
            raise ConfigError(f"arm 'blended' is one network, and algorithm = {algorithm!r} has several: leave it out")
        for arm in (arm for arm in ACTOR_TARGET_ARMS if arm in self.arms):
            if algorithm not in ALGORITHMS_WITH["actor_tau"]:
                raise ConfigError(
                    f"arm {arm!r} is for algorithm = 'ddpg' or 'td3', whose actor has a target; {algorithm!r} has none"
                )
        if "critic-target" in self.arms and self.config.actor_period % target.period:
            raise ConfigError(
                f"arm 'critic-target' needs targets that move whenever the actor does: target.period = {target.period}"
                f" does not divide policy_delay = {self.config.actor_period}, so that the actor would have old copies"
            )

    def _check_evaluations(self) -> None:
        """Raise ConfigError unless every agent is evaluated regularly until its end."""
        if self.config.eval_every == 0:
            raise ConfigError("eval_every = 0, but a comparison judges greedy evaluations: set it to 25000, say")
        for field in ("eval_gate", "solve_at"):
            if getattr(self.config, field) is not None:
                raise ConfigError(
                    f"{field} = {getattr(self.config, field):g} skips evaluations that a comparison judges:"
                    " set it to None"
                )

    @property
    def criteria(self) -> ReturnCriteria:
        """The margin and floor of the returns."""
        return return_criteria(self.config.env, self.margin, self.floor)

    @property
    def needs_selection(self) -> bool:
        """Whether an arm has to be tuned before the comparison."""
        return any(name in TUNED_ARMS for name in self.arms)

    def selection_config(self) -> Config:
        """Return the run on which best-alpha and best-soft are selected: one arm per candidate."""
        arms: list[Arm] = []
        if "best-alpha" in self.arms:
            arms += candidates_of_best_alpha(self.config)
        if "best-soft" in self.arms:
            arms += candidates_of_best_soft(self.config)
        return dataclasses.replace(self.config, seed=FIRST_SELECTION_SEED, seeds=self.selection_seeds, arms=tuple(arms))

    def judged_config(self, tuned_arms: Mapping[str, Arm]) -> Config:
        """Return the run that is judged, given the selected arms by name."""
        arms = (
            tuned_arms[name] if name in TUNED_ARMS else make_arm(name, self.config, self.inner_steps)
            for name in self.arms
        )
        return dataclasses.replace(self.config, arms=tuple(arms), probe=PROBE_TRANSITIONS)

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back equal."""
        fields = dataclasses.asdict(self) | {"config": json.loads(self.config.to_json())}
        return json_text(fields, indent=2)

    @classmethod
    def from_json(cls, text: str) -> ComparisonPlan:
        """Read the text of `to_json`; raise ConfigError if it is damaged."""
        try:
            fields = json.loads(text)
            config = Config.from_mapping(fields.pop("config"), source=PLAN_FILE)
            return cls(config, tuple(fields.pop("arms")), **fields)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{PLAN_FILE} is damaged or invalid: {error}") from None
