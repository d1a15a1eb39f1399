"""The commands that look at what there is: runs, pages, environments, presets."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

import softstep
from softstep import presets
from softstep.cli.arguments import Envs, Eval, Explore, Export, Presets, Runs, Theory, Watch, trusted_names
from softstep.comparison import folders
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.report.terminal.tables import return_table
from softstep.runs import listing


def evaluate(command: Eval) -> int:
    """`softstep eval`."""
    trusted = trusted_names(command.env_module, command.network)
    found = softstep.evaluate(command.run, command.episodes, command.seed, trusted=trusted)
    rows = found.statistics
    if command.json:
        agents = [{"arm": a.arm, "seed": a.seed} | r._asdict() for a, r in zip(found.agents, rows, strict=True)]
        print(json.dumps({"run": str(command.run), "episodes": command.episodes, "agents": agents}))
    else:
        Console().print(return_table(found.agents, rows, command.episodes))
    return 0


def watch(command: Watch) -> int:
    """`softstep watch`."""
    policy = softstep.load(command.run, command.agent, trusted=trusted_names(command.env_module, command.network))
    out = command.out or command.run / f"watch-{command.agent}-{command.seed}.gif"
    told = softstep.landing_gif(policy.q_values, policy.spec.name, out, command.seed)
    print(f"{out}: return {told['return']:.0f} in {told['steps']} steps")
    return 0


def export(command: Export) -> int:
    """`softstep export`."""
    trusted = trusted_names(command.env_module, command.network)
    print(softstep.export_policy(command.run, command.to, command.out, command.agent, trusted=trusted))
    return 0


def theory(command: Theory) -> int:
    """`softstep theory`."""
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


def explore(command: Explore) -> int:
    """`softstep explore`."""
    if command.export is not None:
        print(f"The pages begin at {softstep.export_explorer(command.export)}")
        return 0
    softstep.explore(
        command.runs,
        host=command.host,
        port=command.port,
        live_agents=command.live_agents,
        open_browser=not command.no_browser,
    )
    return 0


def envs(command: Envs) -> int:
    """`softstep envs`."""
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


def show_presets(command: Presets) -> int:
    """`softstep presets`."""
    if command.show is not None:
        print(presets.get(command.show).to_json())
        return 0
    for preset in presets.PRESETS.values():
        print(f"{preset.name:6} {preset.summary}")
    return 0


def runs(command: Runs) -> int:
    """`softstep runs`."""
    if not command.folder.is_dir():
        raise ConfigError(f"{command.folder} is not a folder: softstep runs FOLDER (runs/ by default)")
    table = Table()
    for column in ("run", "environment", "agents", "steps", "state"):
        table.add_column(column)
    for line in listing.list_runs(command.folder):
        name = "train" if folders.comparison_folder(line.path) is None else "compare"
        state = "finished" if line.finished else f"resumable: softstep {name} --resume"
        table.add_row(str(line.path), line.env, str(line.agents), f"{line.env_steps}/{line.total_steps}", state)
    Console().print(table)
    return 0
