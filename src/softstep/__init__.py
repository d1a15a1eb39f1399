"""softstep: soft update, or just a smaller step? A laboratory for the pair (α, c) of Q-learning and actor-critic."""

from __future__ import annotations

import importlib
import sys

__version__ = "0.1.0"

TYPE_CHECKING = False  # type checkers take it for true; importing typing would take most of the time of this import
if TYPE_CHECKING:
    from typing import Any

    from softstep import conventions as conventions
    from softstep import notebook as notebook
    from softstep import presets as presets
    from softstep import theory as theory
    from softstep.advice import Advice as Advice
    from softstep.advice import advise as advise
    from softstep.comparison import equivalence as equivalence
    from softstep.comparison.run_comparison import compare as compare
    from softstep.comparison.run_comparison import resume_comparison as resume_comparison
    from softstep.config import Config as Config
    from softstep.envs import describe as describe
    from softstep.errors import ConfigError as ConfigError
    from softstep.errors import EnvironmentFailed as EnvironmentFailed
    from softstep.errors import StoreError as StoreError
    from softstep.explorer import geogebra as geogebra
    from softstep.explorer.http.server import explore as explore
    from softstep.explorer.static_site.export import export_explorer as export_explorer
    from softstep.learner.algorithms import make_learner as make_learner
    from softstep.learner.contract import Hyper as Hyper
    from softstep.learner.contract import Learner as Learner
    from softstep.policies.evaluation import evaluate as evaluate
    from softstep.policies.export import export_policy as export_policy
    from softstep.policies.policy import Policy as Policy
    from softstep.policies.policy import load as load
    from softstep.policies.rejudging import best_returns as best_returns
    from softstep.policies.rejudging import study_best_returns as study_best_returns
    from softstep.report import theory_page as theory_page
    from softstep.report.comparison.conclusion import conclude as conclude
    from softstep.report.media.episode_gif import landing_gif as landing_gif
    from softstep.report.study.page import report_study as report_study
    from softstep.runs.api import Run as Run
    from softstep.runs.api import resume as resume
    from softstep.runs.api import train as train
    from softstep.settings import Agent as Agent
    from softstep.settings import Arm as Arm
    from softstep.settings import Exploration as Exploration
    from softstep.studies import ray_engine as ray_engine
    from softstep.studies.forecast import forecast_study as forecast_study
    from softstep.studies.run_study import Study as Study
    from softstep.studies.run_study import study as study
    from softstep.studies.spec import Spec as Spec
    from softstep.target import TargetUpdate as TargetUpdate
    from softstep.transition import Transition as Transition

_PUBLIC = {
    "Advice": "advice",
    "Agent": "settings",
    "Arm": "settings",
    "Config": "config",
    "ConfigError": "errors",
    "EnvironmentFailed": "errors",
    "Exploration": "settings",
    "Hyper": "learner.contract",
    "Learner": "learner.contract",
    "Policy": "policies.policy",
    "Run": "runs.api",
    "Spec": "studies.spec",
    "StoreError": "errors",
    "Study": "studies.run_study",
    "TargetUpdate": "target",
    "Transition": "transition",
    "advise": "advice",
    "best_returns": "policies.rejudging",
    "compare": "comparison.run_comparison",
    "conventions": "conventions",
    "conclude": "report.comparison.conclusion",
    "describe": "envs",
    "equivalence": "comparison.equivalence",
    "evaluate": "policies.evaluation",
    "explore": "explorer.http.server",
    "export_explorer": "explorer.static_site.export",
    "export_policy": "policies.export",
    "forecast_study": "studies.forecast",
    "geogebra": "explorer.geogebra",
    "landing_gif": "report.media.episode_gif",
    "load": "policies.policy",
    "make_learner": "learner.algorithms",
    "notebook": "notebook",
    "presets": "presets",
    "ray_engine": "studies.ray_engine",
    "report_study": "report.study.page",
    "resume": "runs.api",
    "resume_comparison": "comparison.run_comparison",
    "study": "studies.run_study",
    "study_best_returns": "policies.rejudging",
    "theory": "theory",
    "theory_page": "report.theory_page",
    "train": "runs.api",
}
"""Public names and the modules they live in; each module is imported when one of its names is first used."""

_TRAINING = ("train", "resume", "compare", "resume_comparison")
"""Functions that show a progress bar in a notebook, and whose runs can be shown there."""

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'softstep' has no attribute {name!r}")
    # Whoever has started JAX already trains in this process; everybody else in worker processes.
    module = "worker.in_process" if name == "train" and "jax" in sys.modules else _PUBLIC[name]
    extras = importlib.import_module("softstep.extras")  # with the first name, so that `import softstep` stays light
    with extras.required_by(f"softstep.{name}"):
        loaded = importlib.import_module(f"softstep.{module}")
    if name == module.rpartition(".")[2]:
        return loaded
    value = getattr(loaded, name)
    if name in _TRAINING and "IPython" in sys.modules:
        notebook = importlib.import_module("softstep.report.notebook")
        return notebook.for_notebook(value) if notebook.in_notebook() else value
    return value


def __dir__() -> list[str]:
    return list(__all__)
