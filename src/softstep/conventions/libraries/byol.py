"""Self-supervised learning: BYOL, MoCo and DINO, whose "momentum" is c."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_old
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library

_read_byol, _write_byol = weight_of_old("moving_average_decay")
_read_moco, _write_moco = weight_of_old("m")
_read_dino, _write_dino = weight_of_old("momentum_teacher")

BYOL = Library(
    title="byol-pytorch, BYOL",
    version="29931261",
    source="lucidrains/byol-pytorch:byol_pytorch/byol_pytorch.py:109-123, 273, 342-345",
    settings={"moving_average_decay": weight(0.99), **CALLER_PACE},
    weighs="moving_average_decay: old",
    clock="calls of update_moving_average()",
    meaning=_read_byol,
    write=_write_byol,
    remarks=("the paper's decay rises from 0.996 to 1 by a cosine; here it is constant",),
)

MOCO = Library(
    title="MoCo, the key encoder",
    version="4397a04e",
    source="facebookresearch/moco:moco/builder.py, _momentum_update_key_encoder",
    settings={"m": weight(0.999), **CALLER_PACE},
    weighs="m: old",
    clock="forward passes, before the gradient step",
    meaning=_read_moco,
    write=_write_moco,
    aliases={"moco_m": "m"},
)

DINO = Library(
    title="DINO, the teacher",
    version="7c446df5",
    source="facebookresearch/dino:main_dino.py:61, 250, 348-350, utils.py:187-198",
    settings={"momentum_teacher": weight(0.996), **CALLER_PACE},
    weighs="momentum_teacher: old",
    clock="gradient steps",
    meaning=_read_dino,
    write=_write_dino,
    remarks=("this is its meaning at the start: the momentum rises to 1 by a cosine, so that the teacher stops",),
)
