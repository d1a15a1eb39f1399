"""Optional libraries: which extra of softstep brings each, and the line that says how to install a missing one.

`pip install softstep` brings NumPy, SciPy, tyro and rich. Whatever needs more imports it inside `required_by`, or is
imported inside it: the commands by the command line, the names of `import softstep` by the package.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from softstep.errors import ConfigError

LIBRARIES = {
    "train": (
        "msgspec", "jax", "optax", "equinox", "jaxtyping", "llvmlite", "gymnasium", "safetensors", "polars", "plotly",
        "PIL",
    ),
    "gymnax": ("gymnax", "six"),
    "envpool": ("envpool",),
    "web": ("starlette", "uvicorn"),
    "ray": ("ray",),
    "notebook": ("anywidget", "traitlets"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "torch": ("torch",),
    "keras": ("keras",),
    "sb3": ("stable_baselines3",),
    "onnx": ("onnx",),
    "symbolic": ("sympy",),
    "yaml": ("yaml",),
}  # fmt: skip
"""Libraries that an extra brings, by the names under which they are imported. Each extra brings all that its users
need besides: the explorer's brings `train` too."""

_EXTRAS = {library: extra for extra, libraries in LIBRARIES.items() for library in libraries}


class MissingExtra(ModuleNotFoundError, ConfigError):
    """A library that is not installed: the message says what needs it and the pip command that brings it.

    Attributes:
        name: the library, as it is imported.
        fix: the command.
    """

    def __init__(self, needed_by: str, library: str, extra: str) -> None:
        self.fix = f"pip install 'softstep[{extra}]'"
        super().__init__(f"{needed_by} needs {library}: {self.fix}", name=library)


@contextlib.contextmanager
def required_by(user: str, extra: str | None = None) -> Iterator[None]:
    """Turn the absence of an optional library inside `with` into one line with the pip command that brings it.

    Args:
        user: what needs the library, the beginning of the line.
        extra: the extra to name. None names the one that brings the library.

    Raises:
        MissingExtra: a library of `LIBRARIES` is not installed. Other modules' absence passes through.
    """
    try:
        yield
    except MissingExtra:
        raise  # by what needs it most directly
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        raise MissingExtra(user, library, extra or _EXTRAS[library]) from None
