"""Wall time of `softstep train LunarLander-v3 --preset fast`, seed by seed, from the command to its end."""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.cartpole import peer_settings
from benchmarks.measure import ROOT, SOFTSTEP, Result, Sample, print_part, summary
from benchmarks.table import Row, format_number, spread
from softstep import presets

ENV = "LunarLander-v3"
SEEDS = 10
LIMIT = 90.0
"""Seconds within which 9 of 10 seeds must be solved."""
SOLVED = 220.0
"""Mean return over 30 greedy episodes that counts as solved; the preset may require more."""
PEER_LIMIT = 240.0
"""Seconds after which the peer is stopped."""

NOTES = [
    "solved: two consecutive evaluations of one policy, 30 fresh episodes each, both at least the preset's `solve_at`",
    f"= {presets.get('fast').solve_at:g} ({SOLVED:g} is required); an unsolved seed counts as infinitely slow.",
    "judge: `softstep eval --episodes 100`, on episodes that training never saw.",
    "peer: stable-baselines3 with the same settings, as far as it supports them (no double Q, one environment), until",
    f"one evaluation of 30 episodes reaches {SOLVED:g}; limit {PEER_LIMIT:.0f} s. – means not reached.",
]


def run(*, quick: bool) -> Result:
    """Train and judge every seed, then one seed of the peer."""
    seeds, flags = (1, ["--total-steps", "4000"]) if quick else (SEEDS, [])
    ours = []
    for seed in range(seeds):
        print_part(f"  seed {seed} …")
        ours.append(train_and_judge(seed, flags, judge_episodes=5 if quick else 100))
        print_part(f" {_summary(ours[-1])}\n")
    print_part("  stable-baselines3 …")
    peer = measure.sb3(peer_request(4.0 if quick else PEER_LIMIT))
    print_part(f" {summary(peer)}\n")
    return Result(
        "fast", f"{ENV} --preset fast", rows(ours, peer), {"softstep": ours, "stable-baselines3": [peer]}, NOTES
    )


def train_and_judge(seed: int, flags: list[str], judge_episodes: int) -> Sample:
    """Train one seed and return the command's wall time, whether it solved the task, and the judge's mean return."""
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        out = Path(folder) / "run"
        command = [
            str(SOFTSTEP),
            "train",
            ENV,
            "--preset",
            "fast",
            "--seed",
            str(seed),
            "--out",
            str(out),
            "--json",
            *flags,
        ]
        start = time.perf_counter()
        completed = measure.run(command)
        seconds = time.perf_counter() - start
        block = end_event(completed.stdout)["blocks"][0]
        judged = measure.run([str(SOFTSTEP), "eval", str(out), "--episodes", str(judge_episodes), "--json"])
    return {
        "seed": seed,
        "seconds": seconds,
        "solved": bool(block["solved"][0]),
        "env_steps": block["env_steps"],
        "train_seconds": block["train_seconds"],
        "eval_seconds": block["eval_seconds"],
        "judge": json.loads(judged.stdout.strip().splitlines()[-1])["agents"][0]["mean"],
    }


def end_event(output: str) -> dict[str, Any]:
    """Return the last event that `softstep train --json` prints, the one of kind "end"."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return next(event for event in reversed(events) if event.get("kind") == "end")


def peer_request(limit: float) -> dict[str, Any]:
    """Return the preset's settings for stable-baselines3."""
    config = presets.get("fast")
    return peer_settings(config) | {
        "do": "solve",
        "env": ENV,
        "limit_seconds": limit,
        "learning_rate_decay": config.learning_rate_decay,
        "learning_rate_decay_steps": config.learning_rate_decay_steps,
        "reward_scale": config.reward_scale,
        "max_grad_norm": config.max_grad_norm,
        "eval_every": config.eval_every,
        "eval_episodes": config.eval_episodes,
        "eval_gate": config.eval_gate,
        "solve_at": SOLVED,
    }


def rows(ours: list[Sample], peer: Sample) -> list[Row]:
    """Return rows for the median time, the seeds within the limit, and the worst judged return."""
    times = [sample["seconds"] if sample["solved"] else math.inf for sample in ours]
    peer_seconds = peer["seconds"] if peer["solved"] else math.nan
    in_time = float(sum(seconds <= LIMIT for seconds in times))
    worst = min(sample["judge"] for sample in ours)
    required_seeds = 0.9 * len(ours)
    return [
        Row("median time to solved", "s", spread(times), spread([peer_seconds]), None, 30.0, "at most"),
        Row(
            f"seeds solved within {LIMIT:.0f} s, of {len(ours)}", "count", spread([in_time]), None, None, required_seeds
        ),
        Row("worst judge", "return", spread([worst]), None, None, 200.0),
    ]


def _summary(sample: Sample) -> str:
    solved = "solved" if sample["solved"] else "NOT solved"
    steps, judge = format_number(float(sample["env_steps"])), format_number(sample["judge"])
    return f"{format_number(sample['seconds'])} s, {solved} after {steps} steps, judged {judge}"
