"""The meaning of target settings in any library: τ, the period in gradient steps, and the pace of learning."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from softstep.target import TargetUpdate


@dataclass(frozen=True)
class Meaning:
    """A target update counted in gradient steps, and the ratio of gradient steps to environment steps."""

    tau: float
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ."""
    period: Fraction
    """Mean number of gradient steps between updates of the target; below 1, several updates use the same Q."""
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
        """Gradient steps until half of a change of Q has reached T; 0 if τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).half_life

    @property
    def time_constant(self) -> float:
        """Gradient steps until a gap has shrunk by the factor e; 0 if τ = 1."""
        return float(self.period) * TargetUpdate(self.tau).time_constant

    @property
    def mean_lag(self) -> float:
        """Mean age of the parameters in T, in gradient steps; for periods below 1 that of `update`."""
        if self.period < 1:
            return self.update.mean_lag
        return float(self.period) * TargetUpdate(self.tau).mean_lag + (float(self.period) - 1) / 2

    @property
    def update(self) -> TargetUpdate:
        """The equivalent softstep rule: the period rounded to whole gradient steps, at the same half-life.

        Several updates towards the same Q combine into one: k of them leave c^k of the old target.
        """
        period = max(1, round(self.period))
        if self.tau == 1 or period == self.period:
            return TargetUpdate(self.tau, period)
        return TargetUpdate.from_half_life(self.half_life, period)

    def in_env_steps(self, gradient_steps: float) -> float:
        """Convert gradient steps to environment steps."""
        return gradient_steps * float(self.env_steps_per_gradient_step)
