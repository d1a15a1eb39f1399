"""Every test runs with the shapes in the signatures executed, one thread, and compiled programs kept between runs."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("NPROC", "1")  # before jax starts: its CPU client sizes its thread pool by it
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax
import jaxtyping
import pytest
from hypothesis import settings

assert "softstep" not in sys.modules, "softstep was imported before its shapes could be checked"
(package,) = importlib.util.find_spec("softstep").submodule_search_locations
modules = {path.stem for path in Path(package).iterdir() if not path.name.startswith("_")}
checking_themselves = {"config", "target"}  # their complaints are the user's error messages
jaxtyping.install_import_hook([f"softstep.{name}" for name in modules - checking_themselves], "shapes.check")

settings.register_profile("softstep", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("softstep")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs in pytest's cache folder, so that a second run is fast."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
