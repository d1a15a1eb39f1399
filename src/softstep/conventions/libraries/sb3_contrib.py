"""sb3-contrib: QR-DQN and TQC, which move as DQN and SAC of stable-baselines3 do."""

from __future__ import annotations

from dataclasses import replace

from softstep.conventions.libraries import stable_baselines3

_VERSION = "2.9.0a2 (0ca7fdd8)"

QRDQN = replace(
    stable_baselines3.DQN,
    title="sb3-contrib, QR-DQN",
    version=_VERSION,
    source="Stable-Baselines-Team/stable-baselines3-contrib:sb3_contrib/qrdqn/qrdqn.py:84-92, 179-185",
)

TQC = replace(
    stable_baselines3.SAC,
    title="sb3-contrib, TQC",
    version=_VERSION,
    source="Stable-Baselines-Team/stable-baselines3-contrib:sb3_contrib/tqc/tqc.py:91-101, 211, 285-288",
)
