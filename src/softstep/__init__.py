"""softstep: soft update, or just a smaller step? A deep Q-learning laboratory for the pair (α, c)."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Arm": "config",
    "Config": "config",
    "ConfigError": "config",
    "Exploration": "config",
    "TargetUpdate": "target",
    "Transition": "types",
    "Learner": "learner",
    "Hyper": "learner",
    "make_learner": "learner",
    "Run": "runs",
    "train": "runs",
    "resume": "runs",
    "compare": "comparison",
    "presets": "presets",
    "load": "policy",
    "evaluate": "policy",
    "Policy": "policy",
    "EnvironmentFailed": "events",
    "StoreError": "store",
}
"""Public names and the modules they live in; each is imported when it is first used."""

__all__ = sorted([*_PUBLIC, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from softstep.config import Arm, Config, ConfigError, Exploration


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'softstep' has no attribute {name!r}")
    module = _PUBLIC[name]
    if name == "train" and "jax" in sys.modules:
        module = "execution"
    loaded = importlib.import_module(f"softstep.{module}")
    return loaded if name == module else getattr(loaded, name)


def __dir__() -> list[str]:
    return list(__all__)
