"""The meaning of target settings in any library: τ, the period in gradient steps, and the pace of learning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from softstep.target import TargetUpdate


@dataclass(frozen=True)
class Meaning:
    """A target update counted in gradient steps, and the ratio of gradient steps to environment steps."""

    tau: float
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ."""
    period: Fraction
    """Mean number of gradient steps between updates of the target, at least 1."""
    num_envs: int = 1
    """Environments that step together."""
    gradient_steps: Fraction = Fraction(1)
    """Gradient steps per step of all environments together."""
    blends_per_update: Fraction = Fraction(1)
    """Blends in a row towards the same network, which are one update: `tau` combines them."""

    @classmethod
    def of_rounds(
        cls, tau: float, interval: int, round_length: int, gradient_steps: int, *, num_envs: int = 1, unit: int = 1
    ) -> Meaning:
        """Return the meaning of a loop that alternates between collecting a round of steps and learning from it.

        The network stands still while a round is collected. If the interval is shorter than a round, all n blends of
        one round have the same network as their goal and are one update: 1 − τ becomes (1 − τ)^n, once per round.
        Otherwise the target moves in some of the rounds only.

        Args:
            tau: weight of the new parameters in one blend.
            interval: steps between blends.
            round_length: steps per round.
            gradient_steps: gradient steps after each round.
            num_envs: environments that step together.
            unit: steps, in the unit of the other two, per step of all environments together.
        """
        blends = max(Fraction(1), Fraction(round_length, interval))
        period = gradient_steps * max(Fraction(1), Fraction(interval, round_length))
        pace = Fraction(gradient_steps * unit, round_length)
        combined = tau if tau == 1 or blends == 1 else -math.expm1(float(blends) * math.log1p(-tau))
        return cls(combined, period, num_envs, pace, blends)

    @property
    def c(self) -> float:
        """Weight of the old target."""
        return 1 - self.tau

    @property
    def env_steps_per_gradient_step(self) -> Fraction:
        """Environment steps (of all environments) per gradient step."""
        return self.num_envs / self.gradient_steps

    @property
    def half_life(self) -> float:
        """Gradient steps until half of a change of Q has reached T; 0 if τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).half_life

    @property
    def time_constant(self) -> float:
        """Gradient steps until a gap has shrunk by the factor e; 0 if τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).time_constant

    @property
    def mean_lag(self) -> float:
        """Mean age of the parameters in T, in gradient steps."""
        return float(self.period) * TargetUpdate(self.tau).mean_lag + (float(self.period) - 1) / 2

    @property
    def update(self) -> TargetUpdate:
        """The equivalent softstep rule: the period rounded to whole gradient steps, at the same half-life."""
        period = max(1, round(self.period))
        if self.tau == 1 or period == self.period:
            return TargetUpdate(self.tau, period)
        return TargetUpdate.from_half_life(self.half_life, period)

    def in_env_steps(self, gradient_steps: float) -> float:
        """Convert gradient steps to environment steps."""
        return gradient_steps * float(self.env_steps_per_gradient_step)
