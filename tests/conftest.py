"""Every test checks the shapes in signatures at run time, uses one thread, and reuses cached compiled programs."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault(
    "NPROC", "1"
)  # set before jax starts, because its CPU client reads the size of its thread pool from it
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax
import jaxtyping
import pytest
from hypothesis import settings

assert "softstep" not in sys.modules, "softstep was imported before the shape checks were installed"
(package,) = importlib.util.find_spec("softstep").submodule_search_locations
modules = {path.stem for path in Path(package).iterdir() if not path.name.startswith("_")}
self_checking = {"config", "settings", "target"}  # they report wrong types in their own error messages
jaxtyping.install_import_hook([f"softstep.{name}" for name in modules - self_checking], "shapes.check")

settings.register_profile("softstep", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("softstep")


def pytest_configure(config: pytest.Config) -> None:
    """Cache compiled programs in pytest's cache folder to make later runs fast."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
