"""Soft updates of a PyTorch network: ours, stable-baselines3's, torchrl's, torch's own and a plain loop.

The lower bound is memory bandwidth: two arrays are read and one is written, 12 bytes per parameter, at the rate that
NumPy's `add(a, b, out=b)` reaches on arrays of the same size in the same run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial

from benchmarks import measure
from benchmarks.measure import Result, Sample
from benchmarks.table import Row, spread

NETWORKS = {"8-64-64-4": [8, 64, 64, 4], "2 × 2048": [64, 2048, 2048, 8], "25 million": [512, 4096, 4096, 1024]}
PEERS = ("stable-baselines3", "torchrl", "AveragedModel", "loop")

PROGRAM = """
import copy, json, sys, time
import numpy as np, torch
from torch import nn
sizes, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
torch.manual_seed(0)
layers = [m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.ReLU())]
online = nn.Sequential(*layers[:-1])
target = copy.deepcopy(online).requires_grad_(False)
from softstep.adapters.torch import Target, soft_update
from softstep.target import TargetUpdate
from stable_baselines3.common.utils import polyak_update
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss, SoftUpdate

def loop():
    with torch.no_grad():
        for t, q in zip(target.parameters(), online.parameters()):
            t.lerp_(q, 0.005)

followed = Target(online, TargetUpdate(0.005))
averaged = AveragedModel(online, multi_avg_fn=get_ema_multi_avg_fn(0.995))
actor = QValueActor(copy.deepcopy(online), in_keys=["observation"], action_space="one-hot")
updater = SoftUpdate(DQNLoss(actor, action_space="one-hot", delay_value=True), tau=0.005)
count = sum(p.numel() for p in online.parameters())
a, b = np.ones(count, np.float32), np.ones(count, np.float32)
updates = {
    "ours": lambda: soft_update(target, online, 0.005), "Target.step": followed.step,
    "stable-baselines3": lambda: polyak_update(online.parameters(), target.parameters(), 0.005),
    "torchrl": updater.step, "AveragedModel": lambda: averaged.update_parameters(online), "loop": loop,
    "memory": lambda: np.add(a, b, out=b),
}
microseconds = {}
for name, update in updates.items():
    for _ in range(3): update()
for _ in range(5):  # in turn, so that other load on the machine affects all of them
    for name, update in updates.items():
        start, calls = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds:
            for _ in range(10 if count > 1e6 else 200): update()
            calls += 10 if count > 1e6 else 200
        microseconds.setdefault(name, []).append(1e6 * elapsed / calls)
best = {name: min(times) for name, times in microseconds.items()}
print(json.dumps(best | {"seconds": best["ours"] / 1e6}))
"""


def run(*, quick: bool) -> Result:
    """Measure networks of three sizes, on one thread."""
    rounds, seconds = (1, 0.02) if quick else (3, 0.3)
    sides: dict[str, Callable[[], Sample]] = {
        name: partial(_sample, sizes, seconds) for name, sizes in NETWORKS.items() if not quick or sizes[1] == 64
    }
    samples = measure.alternate(sides, rounds)
    notes = [
        "µs per update of the whole network, one thread on one core; each sample is the best of five turns.",
        "loop: `for t, q in zip(...): t.lerp_(q, tau)` under no_grad. memory: NumPy's add of as many numbers.",
    ]
    rows = [row for name in sides for row in _rows(name, samples[name])]
    return Result("adapters", "Soft updates in PyTorch", rows, samples, notes)


def _sample(sizes: list[int], seconds: float) -> Sample:
    completed = measure.run([sys.executable, "-c", PROGRAM, json.dumps(sizes), str(seconds)], one_core=True)
    return dict(json.loads(completed.stdout.strip().splitlines()[-1]))


def _rows(network: str, samples: list[Sample]) -> list[Row]:
    def ratio_to_ours(peer: str) -> list[float]:
        return [sample[peer] / sample["ours"] for sample in samples]

    names = ("ours", "Target.step", *PEERS)
    rows = [Row(f"{network}: {name}", "µs", spread([s[name] for s in samples])) for name in names]
    required = 6.0 if network == "8-64-64-4" else 1.0
    rows.append(
        Row(f"{network}: stable-baselines3 / ours", "×", spread(ratio_to_ours("stable-baselines3")), required=required)
    )
    best = [min(sample[peer] for peer in PEERS) / sample["ours"] for sample in samples]
    rows.append(Row(f"{network}: the best of them / ours (to 5 %)", "×", spread(best), required=0.95))
    if network == "25 million":
        floor = [sample["ours"] / sample["memory"] for sample in samples]
        rows.append(Row(f"{network}: ours / memory", "×", spread(floor), required=1.3, sense="at most"))
    return rows
