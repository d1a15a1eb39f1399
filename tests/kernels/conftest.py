"""Tests of the kernels run with the kernels on, whatever the environment says."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def kernels_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOFTSTEP_KERNELS", raising=False)
