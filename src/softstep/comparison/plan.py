"""What a comparison compares: settings, arms, and what its judgement needs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from softstep.comparison.arms import ARMS, PROBE, SELECTION_SEED, TUNED, candidates
from softstep.comparison.scores import declared
from softstep.config import Arm, Config
from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate

PLAN = "comparison.json"


@dataclass(frozen=True)
class Plan:
    """What is to be compared."""

    config: Config
    """The common settings: α and the soft target are those of `soft`."""
    arms: tuple[str, ...]
    inner_steps: int = 1
    """Gradient steps of `blended` between two blends."""
    selection_seeds: int = 5
    margin: float | None = None
    """δ, the difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """The return that a diverged agent scores; None takes the one declared for the environment."""

    def __post_init__(self) -> None:
        declared(self.config.env, self.margin, self.floor)  # complains before hours of training, not after
        if self.config.target.kind != "soft":
            raise ConfigError(
                f"target.tau = {self.config.target.tau:g} is no soft update, so there is nothing to compare a smaller"
                " step with: choose tau below 1"
            )
        for name in self.arms:
            if name not in ARMS:
                raise ConfigError(f"arm {name!r} is none of {', '.join(ARMS)}{near(name, list(ARMS))}")
        if not self.arms or len(set(self.arms)) < len(self.arms):
            raise ConfigError(f"arms = {','.join(self.arms)!r} must name each arm once, at least one")
        for field in ("inner_steps", "selection_seeds"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field} = {getattr(self, field)} must be at least 1")
        if self.config.eval_every == 0:
            raise ConfigError("eval_every = 0: a comparison judges greedy evaluations; set it, for example to 25000")
        for field in ("eval_gate", "solve_at"):
            if getattr(self.config, field) is not None:
                raise ConfigError(
                    f"{field} = {getattr(self.config, field):g} leaves out evaluations that a comparison judges:"
                    " set it to None"
                )
        if self.tuned and self.config.seed + self.config.seeds > SELECTION_SEED:
            raise ConfigError(f"seed = {self.config.seed} reaches the selection seeds: stay below {SELECTION_SEED}")

    @property
    def tuned(self) -> bool:
        """Whether there is something to select first."""
        return any(name in TUNED for name in self.arms)

    def selection(self) -> Config:
        """The run on which best-alpha and best-soft are selected."""
        alphas, taus = candidates(self.config)
        none, soft = TargetUpdate.none(), self.config.target.period
        arms = [Arm(f"alpha {alpha:.6g}", alpha, none) for alpha in alphas if "best-alpha" in self.arms]
        arms += [Arm(f"tau {tau:.6g}", None, TargetUpdate(tau, soft)) for tau in taus if "best-soft" in self.arms]
        return dataclasses.replace(self.config, seed=SELECTION_SEED, seeds=self.selection_seeds, arms=tuple(arms))

    def judged(self, selected: Mapping[str, Arm]) -> Config:
        """The run that is judged; `selected` holds the tuned arms."""
        made = {name: selected[name] if name in TUNED else self._arm(name) for name in self.arms}
        return dataclasses.replace(self.config, arms=tuple(made.values()), probe=PROBE)

    def _arm(self, name: str) -> Arm:
        alpha, target = self.config.learning_rate, self.config.target
        return {
            "soft": Arm(name, alpha, target),
            "smaller-alpha": Arm(name, target.tau * alpha, TargetUpdate.none()),
            "blended": Arm(name, alpha, TargetUpdate(target.tau, self.inner_steps), blended=True),
            "same-alpha": Arm(name, alpha, TargetUpdate.none()),
            "hard": Arm(name, alpha, TargetUpdate.hard(target.lag_matched_period())),
        }[name]

    def to_json(self) -> str:
        """JSON text; `from_json` reads it back equal."""
        told = dataclasses.asdict(self) | {"config": json.loads(self.config.to_json())}
        return json.dumps(told, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read `to_json`'s text; ConfigError where it is none."""
        try:
            told = json.loads(text)
            config = Config.from_mapping(told["config"], source=PLAN)
            return cls(config, tuple(told.pop("arms")), **{k: v for k, v in told.items() if k != "config"})
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{PLAN}: {error}") from None
