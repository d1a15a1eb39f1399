"""What settings mean, whoever's they are: τ, the period in gradient steps, and the pace of learning."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from softstep.target import TargetUpdate


@dataclass(frozen=True)
class Meaning:
    """A target update on the clock of gradient steps, and how that clock runs against the environment's."""

    tau: float
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ."""
    period: Fraction
    """Gradient steps from one update of the target to the next, on average. Below 1: several towards the same Q."""
    num_envs: int = 1
    """Environments that step together."""
    gradient_steps: Fraction = Fraction(1)
    """Gradient steps per step of all environments together."""

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
        """Gradient steps until half of a change of Q has reached T; 0 where τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).half_life

    @property
    def time_constant(self) -> float:
        """Gradient steps until a gap has shrunk by the factor e; 0 where τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).time_constant

    @property
    def mean_lag(self) -> float:
        """Mean age of what T holds, in gradient steps; of `update` for periods below 1."""
        if self.period < 1:
            return self.update.mean_lag
        return float(self.period) * TargetUpdate(self.tau).mean_lag + (float(self.period) - 1) / 2

    @property
    def update(self) -> TargetUpdate:
        """The same on our clock: a period rounded to whole gradient steps, at the same half-life.

        Several updates towards the same Q are one: after k of them c^k of the old target is left.
        """
        period = max(1, round(self.period))
        if self.tau == 1 or period == self.period:
            return TargetUpdate(self.tau, period)
        return TargetUpdate.from_half_life(self.half_life, period)

    def in_env_steps(self, gradient_steps: float) -> float:
        """Gradient steps as environment steps."""
        return gradient_steps * float(self.env_steps_per_gradient_step)
