"""The `softstep` command: arguments, printing and exit codes; the work is done elsewhere."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

import softstep
from softstep import comparison, presets, runs, store
from softstep.config import Arm, Change, Config, ConfigError
from softstep.events import EnvironmentFailed, Progress, ReplayMismatch
from softstep.population import WorkerFailed
from softstep.report.picture import CurvePicture
from softstep.report.progress import ProgressView, json_line
from softstep.report.tensorboard import ScalarWriter
from softstep.report.terminal import echo_target, return_table, summary_table

INTERRUPTED = 130
USAGE = 2


# ---- commands and their arguments ----


@dataclass(frozen=True)
class Settings(Config):
    """Every field of the configuration as a flag."""

    env: tyro.conf.Suppress[str] = "LunarLander-v3"
    env_modules: Annotated[tuple[str, ...], tyro.conf.arg(name="env-module")] = ()
    """Modules to import that register environments of your own."""
    arms: tyro.conf.Suppress[tuple[Arm, ...]] = ()
    changes: tyro.conf.Suppress[tuple[Change, ...]] = ()


def _settings(config: Config) -> Settings:
    return Settings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)})


@dataclass(frozen=True)
class RunArguments:
    """What `train` and `compare` share."""

    settings: Annotated[Settings, tyro.conf.arg(name="")]
    preset: Literal["lab", "fast", "demo", "full"] | None = None
    """Start from a preset; flags override it (`softstep presets` lists them)."""
    config: Path | None = None
    """Start from a JSON file of settings, laid over the preset; flags override it."""
    out: Path | None = None
    """Run folder to make; by default a new one under runs/."""
    force: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace the run in --out."""
    workers: int | None = None
    """Worker processes; None takes one per core."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object per line instead of a progress bar."""
    tensorboard: bool = True
    """Write TensorBoard scalars into the run folder."""
    resume: Path | None = None
    """Continue this interrupted run exactly (no ENV; the other settings are its own)."""


@dataclass(frozen=True)
class Train(RunArguments):
    """Train agents on an environment: one, or several seeds as one population."""

    env: tyro.conf.Positional[str | None] = None
    """A Gymnasium id, gymnax:ID or envpool:ID."""


@dataclass(frozen=True)
class Compare(RunArguments):
    """Soft update, or just a smaller step? Named arms on one environment, and a verdict."""

    env: tyro.conf.Positional[str | None] = None
    """A Gymnasium id, gymnax:ID or envpool:ID."""
    arms: str | None = None
    """Arms with commas between them, of soft, smaller-alpha, blended, same-alpha, hard, best-alpha, best-soft; None
    takes the preset's."""
    steps: int | None = None
    """Short for --total-steps."""
    inner_steps: int = 1
    """Gradient steps of `blended` between two blends."""
    selection_seeds: int = 5
    """Seeds on which best-alpha and best-soft are selected, apart from those that judge."""
    margin: float | None = None
    """δ, the difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """The return that a diverged agent scores; None takes the one declared for the environment."""


@dataclass(frozen=True)
class Eval:
    """Greedy returns of a run's agents on held-out episodes."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    episodes: int = 100
    """Episodes per agent."""
    seed: int = 0
    """Which held-out episodes; other seeds share none."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the run's configuration names, if you trust them."""
    network: str | None = None
    """Repeat the network that the run's configuration names, if you trust it."""


@dataclass(frozen=True)
class Watch:
    """A GIF of one greedy episode, with the action values beside it."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    agent: int = 0
    """Which agent, counted from 0 in the order of the table."""
    seed: int = 0
    """Seed of the episode."""
    out: Path | None = None
    """File to write; by default watch-AGENT-SEED.gif in the run folder."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the run's configuration names, if you trust them."""
    network: str | None = None
    """Repeat the network that the run's configuration names, if you trust it."""


@dataclass(frozen=True)
class Envs:
    """Environments that can be trained on here."""


@dataclass(frozen=True)
class Presets:
    """Named configurations."""

    show: Literal["lab", "fast", "demo", "full"] | None = None
    """Print this one as JSON, for --config."""


@dataclass(frozen=True)
class Runs:
    """Runs in a folder, and where each stands."""

    folder: tyro.conf.Positional[Path] = field(default_factory=lambda: Path("runs"))
    """Folder of run folders."""


@dataclass(frozen=True)
class Theory:
    """What a pair (α, c) means: lag, noise, when it equals a smaller α and when not, and where it is stable."""

    alpha: float
    """α, the size of a gradient step."""
    c: float | None = None
    """Weight of the old target, in [0, 1); give --c or --tau."""
    tau: float | None = None
    """τ = 1 − c, the weight of the new parameters, in (0, 1]."""
    problem: str | None = None
    """A named problem: both, only_target, target_destroys, neither, two_theta, resonance or baird."""
    mdp: Path | None = None
    """A JSON file with phi, P, d, gamma and perhaps rewards, in place of a named problem."""
    out: Path = Path("theory.html")
    """Where the page is written."""


@dataclass(frozen=True)
class Explore:
    """A page in the browser: sliders for α and c, and an agent that learns while you watch."""

    runs: Path = field(default_factory=lambda: Path("runs"))
    """Folder where live runs are saved, and whose reports are shown."""
    host: str = "127.0.0.1"
    """Address to serve at; anything but this machine's own lets others in who have the link."""
    port: int = 0
    """Port to serve at; 0 takes a free one."""
    live_agents: int = 2
    """How many live agents may train at once."""
    export: Path | None = None
    """Write the rooms as static pages into this folder instead (all but the live agents)."""
    no_browser: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the link only."""


COMMANDS: dict[str, tuple[type[Any], str]] = {
    "train": (Train, "train agents on an environment"),
    "compare": (Compare, "soft update, or just a smaller step? named arms, and a verdict"),
    "eval": (Eval, "greedy returns of a run's agents on held-out episodes"),
    "watch": (Watch, "a GIF of one greedy episode, with the action values beside it"),
    "theory": (Theory, "what a pair (α, c) means, exactly"),
    "explore": (Explore, "sliders for α and c in the browser, and an agent learning live"),
    "envs": (Envs, "environments that can be trained on here"),
    "presets": (Presets, "named configurations"),
    "runs": (Runs, "runs in a folder, and where each stands"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code: 0, 1 for a failure, 2 for usage, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else argv
    warnings.showwarning = _show_warning
    try:
        return _dispatch(arguments)
    except (ConfigError, store.StoreError) as error:
        _complain(str(error))
        return USAGE
    except (EnvironmentFailed, ReplayMismatch, WorkerFailed) as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone
        return 1


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name == "--version":
        print(f"softstep {softstep.__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{softstep.config.near(name, list(COMMANDS))} (softstep --help)")
    command = _parse(name, arguments[1:])
    handlers: dict[type[Any], Callable[[Any], int]] = {
        Train: _train,
        Compare: _compare,
        Eval: _eval,
        Watch: _watch,
        Theory: _theory,
        Explore: _explore,
        Envs: _envs,
        Presets: _presets,
        Runs: _runs,
    }
    return handlers[type(command)](command)


def _usage() -> str:
    lines = ["usage: softstep COMMAND [OPTIONS]   (softstep COMMAND --help tells more)", "", softstep.__doc__ or "", ""]
    return "\n".join(lines + [f"  {name:9} {summary}" for name, (_, summary) in COMMANDS.items()])


def _parse(name: str, arguments: list[str]) -> Any:
    kind = COMMANDS[name][0]
    if not issubclass(kind, RunArguments):
        return tyro.cli(kind, prog=f"softstep {name}", args=arguments)
    base = _base(arguments, default="demo" if name == "compare" else None)
    return tyro.cli(kind, prog=f"softstep {name}", args=arguments, default=kind(settings=_settings(base)))


def _base(arguments: list[str], default: str | None) -> Config:
    """The configuration that flags override: preset, then file."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", default=None)
    early.add_argument("--config", type=Path, default=None)
    try:
        known, _ = early.parse_known_args([a for a in arguments if a not in ("-h", "--help")])
    except argparse.ArgumentError:
        return Config()  # the full parser says what is wrong
    name = known.preset or default
    base = presets.get(name) if name else Config()
    if known.config is None:
        return base
    try:
        text = known.config.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read --config {known.config}: {error}") from None
    return Config.from_json(text, base, source=str(known.config))


def _config(command: Train | Compare) -> Config:
    """The configuration that the flags describe."""
    if command.env is None and command.config is None:
        name = "compare" if isinstance(command, Compare) else "train"
        raise ConfigError(f"which environment? For example: softstep {name} LunarLander-v3")
    values = {f.name: getattr(command.settings, f.name) for f in dataclasses.fields(Config)}
    if command.env is not None:
        values["env"] = command.env
    return Config(**values)


# ---- what they do ----


def _train(command: Train) -> int:
    if command.resume is not None:
        _refuse_env(command)
        return _ended(command, _resumed(command, command.resume))
    config = _config(command)
    return _ended(command, _begun(command, config, command.out or runs.default_out(config, "train"), {}))


def _compare(command: Compare) -> int:
    plan, out = _plan(command)

    def train(config: Config, folder: Path, files: Mapping[str, bytes]) -> runs.Run:
        begun = command.resume is not None and (folder / "config.json").is_file()
        return _resumed(command, folder) if begun else _begun(command, config, folder, files)

    selected = command.resume is not None and (out / "config.json").is_file()  # the judged run has begun
    run = _resumed(command, out) if selected else comparison.carry_out(plan, out, train)
    conclusion = None
    if run.path == out and run.summary["finished"]:
        trusted = _trusted(command.settings.env_modules, command.settings.network)
        conclusion = softstep.conclude(run, trusted=trusted)
    return _ended(command, run, conclusion)


def _plan(command: Compare) -> tuple[comparison.Plan, Path]:
    """What is to be compared, and where."""
    if command.resume is not None:
        _refuse_env(command)
        return comparison.planned(command.resume), command.resume
    config = _config(command)
    if command.steps is not None:
        config = dataclasses.replace(config, total_steps=command.steps)
    arms = presets.preset(command.preset or "demo").arms if command.arms is None else command.arms.split(",")
    given = (command.inner_steps, command.selection_seeds, command.margin, command.floor)
    plan = comparison.Plan(config, tuple(arms), *given)
    out = command.out or runs.default_out(config, "compare")
    store.check_free(out, force=command.force)  # before the selection is trained
    return plan, out


def _begun(command: Train | Compare, config: Config, out: Path, files: Mapping[str, bytes]) -> runs.Run:
    """A new run, watched."""
    with _watching(config, out, command, resuming=False) as (view, stopped):
        return runs.train(
            config, out, force=command.force, workers=command.workers, view=view, should_stop=stopped, files=files
        )


def _resumed(command: Train | Compare, out: Path) -> runs.Run:
    """The rest of a run, watched."""
    trusted = _trusted(command.settings.env_modules, command.settings.network)
    with _watching(store.open_run(out).config, out, command, resuming=True) as (view, stopped):
        return runs.resume(out, workers=command.workers, view=view, should_stop=stopped, trusted=trusted)


def _ended(command: RunArguments, run: runs.Run, conclusion: Any = None) -> int:
    """Say what came out; the exit code."""
    if command.json:
        told = {} if conclusion is None else {"verdicts": conclusion.to_dicts()}
        print(json_line({"kind": "end", "out": str(run.path), **run.summary, **told}))
    else:
        _say_results(Console(), run, conclusion)
    if run.summary["finished"]:
        return 0
    name = "compare" if isinstance(command, Compare) else "train"
    begun = command.resume or command.out or run.path
    _complain(f"interrupted; continue with: softstep {name} --resume {begun if name == 'compare' else run.path}")
    return INTERRUPTED


def _say_results(console: Console, run: runs.Run, conclusion: Any) -> None:
    curves, config = run.curves, run.config
    if len(curves):
        console.print(summary_table(curves, config))
        console.print(CurvePicture(curves))
    if conclusion is not None:
        console.print(conclusion.table())
        console.print(conclusion.answer, highlight=False, markup=False)
        console.print(f"report: {conclusion.report}", highlight=False)
    console.print(f"run folder: {run.path}", highlight=False)


def _refuse_env(command: Train | Compare) -> None:
    if command.env is not None:
        raise ConfigError(f"--resume {command.resume} continues its own environment: leave out {command.env!r}")


def _crowd(config: Config) -> str:
    """How many agents train, in words."""
    if config.num_agents == 1:
        return f"one agent, seed {config.seed}"
    seeds = f"{config.seeds} seeds from {config.seed}" if config.seeds > 1 else f"seed {config.seed}"
    return f"{len(config.arms)} arms × {seeds}" if config.arms else f"{config.seeds} agents, seeds from {config.seed}"


class View:
    """Progress bar and TensorBoard together."""

    def __init__(self, progress: ProgressView, board: ScalarWriter | None) -> None:
        self._progress, self._board = progress, board

    def update(self, block: int, progress: Progress) -> None:
        """A block has moved on."""
        self._progress.update(
            block, progress.env_steps, progress.gradient_steps, progress.seconds, progress.train_return
        )

    def finished(self, block: int) -> None:
        """A block has ended."""
        self._progress.finished(block)

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Rows of the curves."""
        self._progress.records(records)
        if self._board is not None:
            self._board.write(records)


@contextmanager
def _watching(
    config: Config, out: Path, command: RunArguments, *, resuming: bool
) -> Iterator[tuple[View, Callable[[], bool]]]:
    """Say what is meant, then show progress, write TensorBoard's scalars and catch Ctrl-C."""
    if not command.json:
        for line in [f"{config.env}: {_crowd(config)}, {config.total_steps} steps each", *echo_target(config)]:
            Console().print(line, highlight=False, markup=False, soft_wrap=True)
    with _stop_on_interrupt() as stopped, _view(config, out, command, resuming=resuming) as view:
        yield view, stopped


@contextmanager
def _view(config: Config, out: Path, command: RunArguments, *, resuming: bool) -> Iterator[View]:
    blocks = [len(block) for block in config.blocks()]
    begun = store.steps_reached(store.RunFolder(out, config)) if resuming else [0] * len(blocks)
    mode: Literal["json", "auto"] = "json" if command.json else "auto"
    stream = sys.stdout if command.json else sys.stderr
    with ProgressView(config.total_steps, blocks, mode, stream, begun=begun) as progress:
        agents = zip(config.blocks(), begun, strict=True)
        resumed_from = {(a.arm, a.seed): steps for block, steps in agents for a in block} if resuming else None
        board = ScalarWriter(out / "tensorboard", resumed_from) if command.tensorboard else None
        try:
            yield View(progress, board)
        finally:
            if board is not None:
                board.close()


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to save and stop; the second ends it at once."""
    asked = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _trusted(modules: tuple[str, ...], network: str | None) -> tuple[str, ...]:
    return (*modules, *([network] if network else []))


def _eval(command: Eval) -> int:
    trusted = _trusted(command.env_module, command.network)
    found = softstep.evaluate(command.run, command.episodes, command.seed, trusted=trusted)
    rows = found.statistics
    if command.json:
        agents = [{"arm": a.arm, "seed": a.seed} | r._asdict() for a, r in zip(found.agents, rows, strict=True)]
        print(json.dumps({"run": str(command.run), "episodes": command.episodes, "agents": agents}))
    else:
        Console().print(return_table(found.agents, rows, command.episodes))
    return 0


def _watch(command: Watch) -> int:
    policy = softstep.load(command.run, command.agent, trusted=_trusted(command.env_module, command.network))
    out = command.out or command.run / f"watch-{command.agent}-{command.seed}.gif"
    told = softstep.landing_gif(policy.q_values, policy.spec.name, out, command.seed)
    print(f"{out}: return {told['return']:.0f} in {told['steps']} steps")
    return 0


def _theory(command: Theory) -> int:
    if (command.c is None) == (command.tau is None):
        raise ConfigError("give either --c, the weight of the old target, or --tau = 1 - c")
    try:
        c = command.c if command.c is not None else softstep.TargetUpdate(command.tau or 0.0).c
        told = softstep.theory_page.run(command.alpha, c, command.problem, command.mdp, command.out)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    print(told.text)
    if told.page is not None:
        print(f"page: {told.page}")
    return 0


def _explore(command: Explore) -> int:
    softstep.explore(
        command.runs,
        host=command.host,
        port=command.port,
        live_agents=command.live_agents,
        export=command.export,
        open_browser=not command.no_browser,
    )
    return 0


def _envs(command: Envs) -> int:
    table = Table(title="Environments with discrete actions", title_justify="left")
    for column in ("id", "maker", "observation", "actions", "exactly resumable"):
        table.add_column(column)
    for env in ("LunarLander-v3", "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "gymnax:CartPole-v1"):
        spec = softstep.describe(Config(env=env))
        exact = "yes" if spec.exactly_resumable else "no"
        table.add_row(env, spec.maker, str(spec.observation_size), str(spec.num_actions), exact)
    Console().print(table)
    print("Any Gymnasium id with Discrete actions and a Box observation will do, gymnax:ID too;")
    print("your own with --env-module your_module; envpool:ID with pip install 'softstep[envpool]'.")
    return 0


def _presets(command: Presets) -> int:
    if command.show is not None:
        print(presets.get(command.show).to_json())
        return 0
    for preset in presets.PRESETS.values():
        print(f"{preset.name:6} {preset.summary}")
    return 0


def _runs(command: Runs) -> int:
    if not command.folder.is_dir():
        raise ConfigError(f"{command.folder} is not a folder: softstep runs FOLDER (runs/ by default)")
    table = Table()
    for column in ("run", "environment", "agents", "steps", "state"):
        table.add_column(column)
    for line in store.list_runs(command.folder):
        state = "finished" if line.finished else "resumable: softstep train --resume"
        table.add_row(str(line.path), line.env, str(line.agents), f"{line.env_steps}/{line.total_steps}", state)
    Console().print(table)
    return 0


# ---- what they say when something is wrong ----


def _complain(message: str) -> None:
    print(f"softstep: {message}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"softstep: warning: {message}", file=sys.stderr)
