"""Arm colours: contrast on both grounds, distinguishable with any colour vision, unique letters, one definition."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from softstep import report
from softstep.report.shared.palette import ARMS, DARK_GROUND, FALLBACK, LIGHT_GROUND, arm_styles

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("ground", [LIGHT_GROUND, DARK_GROUND])
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_contrast_on_light_and_dark_grounds(arm, ground):
    pair = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (ARMS[arm].colour, ground))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_any_two_arms_are_distinguishable(vision):
    seen = {arm: lab(np.asarray(VISION[vision]) @ linear(style.colour)) for arm, style in ARMS.items()}
    closest = min(float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(seen, 2))
    assert closest > 15


def test_named_arms_keep_their_style_and_others_get_unused_ones():
    styles = arm_styles(["alpha", "soft", "also", "hard"])
    assert styles["soft"] == ARMS["soft"]
    assert styles["hard"] == ARMS["hard"]
    assert list(styles) == ["alpha", "soft", "also", "hard"]
    assert len({style.colour for style in styles.values()}) == 4


def test_letters_are_unique_for_many_arms_with_one_initial():
    styles = arm_styles([f"s{number}" for number in range(40)] + ["soft"])
    assert len({style.letter for style in styles.values()}) == 41


def test_arm_colours_are_defined_in_the_palette_alone():
    folder = Path(str(report.__file__)).parent
    sources = [path for path in folder.rglob("*") if path.suffix in (".py", ".css", ".js") and path.stem != "palette"]
    found = [path.name for path in sources if any(colour in path.read_text("utf-8").lower() for colour in FALLBACK)]
    assert len(sources) > 20
    assert found == []
