"""The benchmarks' arithmetic, tables and pins; no timings."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import (
    actor_critic,
    bare_lander,
    capacity,
    cartpole,
    fast,
    floor,
    forecast,
    lander,
    machine,
    measure,
    ours,
    overhead,
    peers,
    recipe,
    registers,
    study,
    study_time,
    table,
)
from benchmarks.__main__ import BENCHMARKS, main
from softstep import presets
from softstep.studies.spec import Spec
from softstep.training.recording import GATE_WINDOW


def test_rate_row_compares_pair_by_pair() -> None:
    row = table.rate_row("work", [100.0, 90.0, 330.0], [10.0, 10.0, 30.0], required=10.0)
    assert row.ratio == table.Spread(10.0, 9.0, 11.0)
    assert row.ours == table.Spread(100.0, 90.0, 330.0)
    assert row.met


def test_rate_row_in_microseconds_keeps_the_ratio_of_rates() -> None:
    row = table.rate_row("work", [50_000.0], [10_000.0], required=6.0, unit="µs per agent-step")
    assert row.ours.median == pytest.approx(20)
    assert row.peer is not None
    assert row.peer.median == pytest.approx(100)
    assert row.judged == pytest.approx(5)
    assert row.met is False


def test_own_number_is_judged_without_a_ratio() -> None:
    row = table.Row("wait", "s", table.spread([1.0, 2.0, 4.0]), required=2.0, sense="at most")
    assert row.met
    assert row._replace(required=1.9).met is False
    assert row._replace(required=None).met is None
    assert json.loads(json.dumps(row.as_dict()))["ours"] == {"median": 2.0, "low": 1.0, "high": 4.0}


def test_missing_samples_show_as_a_dash() -> None:
    assert math.isnan(table.spread([]).median)
    assert table.spread([1.0, math.nan]).text() == "–"


@pytest.mark.parametrize(
    ("value", "text"), [(16.42, "16.4"), (0.01234, "0.0123"), (61_035.2, "61 035"), (math.inf, "–")]
)
def test_numbers_keep_three_significant_digits(value: float, text: str) -> None:
    assert table.format_number(value) == text


def test_the_table_marks_missed_requirements() -> None:
    rows = [table.rate_row("a", [7.0], [1.0], 6.0), table.rate_row("b", [5.0], [1.0], 6.0)]
    lines = table.render("title", rows).splitlines()
    assert lines[0] == "title"
    assert lines[-2].endswith("≥ 6×      met")
    assert lines[-1].endswith("≥ 6×      MISSED")


def _timeline(agents: int, begin: float, pace: float, end: int = 400) -> ours.Timeline:
    steps = range(100, end + 1, 100)
    return ours.Timeline(agents, [begin + s / pace for s in steps], list(steps))


def test_throughput_of_parallel_workers_is_measured_while_all_learn() -> None:
    early, late = _timeline(4, 0.0, 100.0), _timeline(4, 1.5, 100.0)
    agent_steps, seconds = ours.throughput([early, late], warm=100, workers=2)
    assert (agent_steps, seconds) == (pytest.approx(8 * 150), pytest.approx(1.5))


def test_throughput_of_one_worker_adds_up_its_blocks() -> None:
    agent_steps, seconds = ours.throughput([_timeline(4, 0.0, 100.0), _timeline(2, 9.0, 50.0)], warm=200, workers=1)
    assert (agent_steps, seconds) == (pytest.approx(6 * 200), pytest.approx(2 + 4))


def test_throughput_of_more_blocks_than_workers_ends_when_a_worker_runs_out_of_blocks() -> None:
    blocks = [_timeline(4, 0.0, 100.0), _timeline(4, 0.0, 100.0), _timeline(4, 5.0, 100.0), _timeline(4, 5.0, 50.0)]
    agent_steps, seconds = ours.throughput(blocks, warm=100, workers=2)
    end = min(blocks[2].end, blocks[3].end)
    expected = sum(block.agent_steps(1.0, end) for block in blocks)
    assert (agent_steps, seconds) == (pytest.approx(expected), pytest.approx(end - 1.0))


def test_throughput_refuses_windows_that_do_not_overlap() -> None:
    with pytest.raises(ValueError, match="more steps"):
        ours.throughput([_timeline(4, 0.0, 100.0), _timeline(4, 60.0, 100.0)], warm=100, workers=2)


@pytest.mark.parametrize("warm", [400, 500])
def test_throughput_refuses_a_run_too_short_to_time(warm: int) -> None:
    with pytest.raises(ValueError, match="request more steps"):
        ours.throughput([_timeline(4, 0.0, 100.0)], warm=warm, workers=1)


@pytest.mark.parametrize("name", ["sb3", "rejax", "sbx", "recipe"])
def test_peers_are_pinned(name: str) -> None:
    pins = peers.pins(name)
    expected = {
        "sb3": {"stable-baselines3": "2.9.2"},
        "rejax": {"rejax": "0.1.3", "gymnax": "0.0.9"},
        "sbx": {"sbx-rl": "0.28.0", "stable-baselines3": "2.9.2"},
        "recipe": {"flashbax": "0.1.3", "gymnax": "1.0.1"},
    }[name]
    assert expected.items() <= pins.items()
    assert len(peers.fingerprint(name)) == 64


def test_a_requirement_without_a_pinned_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loose.txt").write_text("torch>=2\n")
    monkeypatch.setattr(peers, "HERE", tmp_path)
    with pytest.raises(ValueError, match="is not a pin"):
        peers.pins("loose")


def test_peers_get_the_same_work() -> None:
    settings = cartpole.peer_settings(lander.config(8_000, 1))
    assert (settings["train_every"], settings["tau"], settings["hidden"], settings["total_steps"]) == (
        4,
        1e-3,
        [64, 64],
        8_000,
    )
    request = recipe.peer_request(8, recipe.FULL)
    assert (request["train_every"], request["tau"], request["hidden"], request["memory_size"], request["agents"]) == (
        1,
        0.005,
        [64, 64],
        10_000,
        8,
    )


def test_both_sides_of_fast_stop_by_the_same_rule() -> None:
    request, preset = json.loads(json.dumps(fast.peer_request(3, 240.0))), presets.get("fast")
    settings = ("double_q", "eval_every", "eval_episodes", "eval_gate", "eval_network", "solve_at")
    assert [request[name] for name in settings] == [getattr(preset, name) for name in settings]
    assert (request["seed"], request["gate_window"]) == (3, GATE_WINDOW)


def test_the_end_event_is_found_among_the_lines_of_a_run() -> None:
    printed = '{"kind": "progress"}\nnot JSON\n{"kind": "end", "blocks": [{"solved": [true]}]}\n'
    assert fast.end_event(printed)["blocks"][0]["solved"] == [True]


def test_fast_counts_an_unsolved_seed_as_infinitely_slow() -> None:
    seeds = [{"seconds": 20.0, "solved": True, "judge": 240.0}, {"seconds": 80.0, "solved": False, "judge": 150.0}]
    median, in_time, judged, returns, _ = fast.rows(seeds, [{"seconds": 240.0, "solved": False}])
    assert (median.ours.high, in_time.ours.median, judged.ours.median, returns.ours.low) == (math.inf, 1.0, 1.0, 150.0)
    assert [row.met for row in (median, in_time, judged)] == [False, False, False]


def test_fast_compares_medians_of_different_numbers_of_seeds() -> None:
    ours_seeds = [{"seconds": s, "solved": True, "judge": 240.0} for s in (10.0, 20.0, 30.0)]
    median, *_ = fast.rows(ours_seeds, [{"seconds": s, "solved": True} for s in (150.0, 300.0)])
    assert median.judged == pytest.approx(225 / 20)
    assert median.met


def test_a_floor_divides_by_the_fastest_product_of_each_round() -> None:
    samples = {
        floor.PREFIX + "NumPy": [{"rate": 200e9}, {"rate": 110e9}, {"rate": 230e9}],
        floor.PREFIX + "registers": [{"rate": 266e9}, {"rate": 120e9}, {"rate": 220e9}],
        "8 agents": [{"rate": 1.0}] * 3,
    }
    fastest = floor.fastest(samples)
    assert (fastest.product, fastest.rates) == ("registers", [266e9, 120e9, 230e9])
    assert [row.label for row in floor.rows(samples)] == ["NumPy", "registers"]
    work = cartpole.population(8, 1, one_core=True)
    assert floor.update_operations(work) == 2 * 64 * (4 * (4 * 64 + 64 * 64 + 64 * 2) - 4 * 64)
    at_floor = [flops / floor.update_operations(work) for flops in fastest.rates]
    assert floor.times_floor(work, at_floor, fastest) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("algorithm", "forward_critics", "trained_critics", "valuing"),
    [("sac", 2, 2, 2), ("td3", 2, 2, 1), ("ddpg", 1, 1, 1)],
)
@pytest.mark.parametrize("width", [64, 256])
def test_the_floor_of_actor_critic_counts_every_product(
    algorithm: actor_critic.Algorithm, forward_critics: int, trained_critics: int, valuing: int, width: int
) -> None:
    work = actor_critic.config(algorithm, width, actor_critic.FULL, one_core=True)
    outputs = 2 if algorithm == "sac" else 1
    inner, delay = width * width, 2 if algorithm == "td3" else 1
    actor, critic = 3 * width + inner + outputs * width, 4 * width + inner + width
    targets = actor + forward_critics * critic
    critics = trained_critics * (critic + critic + inner + width)  # weights of all layers; inputs of all but the first
    own = actor + actor + inner + outputs * width
    through = valuing * critic + width + inner + width  # back to one component of the action, from the smallest value
    expected = 2 * work.batch_size * (targets + critics + (own + through) / delay)
    assert floor.update_operations(work, **actor_critic.SHAPE) == pytest.approx(expected)


def test_the_register_loop_runs() -> None:
    assert registers.measure(0.01) > 0


def test_variables_that_change_a_librarys_speed_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert not machine.environment(one_thread=False).keys() & {"OPENBLAS_CORETYPE", "OMP_NUM_THREADS"}
    assert machine.environment(one_thread=True)["OMP_NUM_THREADS"] == "1"


def test_a_result_names_its_commit_and_whether_the_machine_was_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    saved = []
    for busy in ([0.01, 0.02], [0.01, 0.5]):
        result = measure.Result("work", "Work", [], {}, busy=busy)
        saved.append(json.loads(result.save(quick=False).read_text()))
    assert [content["quiet"] for content in saved] == [True, False]
    assert saved[0]["commit"] == machine.commit(measure.ROOT)
    assert machine.commit(tmp_path) == "unknown"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_run_function(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)


@pytest.mark.parametrize("lander", bare_lander.LANDERS)
def test_bare_landers_are_stepped_by_processes_of_their_own(lander: str) -> None:
    request = {"lander": lander, "processes": 2, "seconds": 0.05}
    command = [sys.executable, "-m", "benchmarks.bare_lander", json.dumps(request)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=measure.ROOT).stdout
    assert json.loads(printed)["rate"] > 100


def test_names_are_listed_and_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in BENCHMARKS)
    assert main(["speed"]) == 2
    assert "unknown benchmark: speed" in capsys.readouterr().err


def test_non_finite_values_are_null_in_json() -> None:
    row = table.Row("time", "s", table.spread([1.0, math.inf]))
    assert json.loads(json.dumps(row.as_dict(), allow_nan=False))["ours"] == {"median": None, "low": 1.0, "high": None}


def test_both_sides_of_the_lander_learn_after_every_fourth_step() -> None:
    work = lander.config(8_000, 8)
    assert (work.steps_per_iteration, work.updates, work.target.period) == (4, 1, 1)
    assert cartpole.peer_settings(work)["train_every"] == 4
    assert fast.peer_request(0, 240.0)["train_every"] == 4


def test_the_first_record_is_not_timed() -> None:
    work = cartpole.population(8, 12_000)
    with pytest.raises(ValueError, match="warm = 4999 ends before the first record: make it 5000 or more"):
        measure.ours(work, warm=4_999)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("module", [actor_critic, capacity, cartpole, lander, recipe, study])
def test_no_benchmark_asks_for_too_short_a_warm_up(
    module: ModuleType, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = {"rate": 1e4, "agent_steps": 1e5, "seconds": 10.0, "gradient_steps": 1e5, "peak_mb": 100.0}
    monkeypatch.setattr(measure, "run_request", lambda *_arguments, **_options: sample)
    assert module.run(quick=quick).rows


def test_runs_of_different_capacities_differ_only_in_capacity() -> None:
    compiled, host = capacity.configs(capacity.FULL).values()
    assert (compiled.updates, compiled.steps_per_iteration, host.updates, host.steps_per_iteration) == (1, 1, 1, 4)
    assert compiled.learning_starts == host.learning_starts == max(capacity.FULL.capacities)


def test_every_side_of_actor_critic_does_the_same_work() -> None:
    for width in (64, 256):
        work = actor_critic.config("sac", width, actor_critic.FULL, one_core=True)
        assert (work.updates, work.steps_per_iteration, work.hidden, work.batch_size) == (1, 1, (width, width), width)
        request = json.loads(json.dumps(actor_critic.peer_settings(work)))
        settings = ("algorithm", "batch_size", "memory_size", "learning_rate", "gamma", "action_noise")
        assert [request[name] for name in settings] == [getattr(work, name) for name in settings]
        assert (request["hidden"], request["tau"]) == ([width, width], work.target.tau)
        assert work.batch_size <= request["learning_starts"] < request["warm"]  # all timed steps learn
    shipped, pinned = (actor_critic.config("sac", 64, actor_critic.FULL, one_core=one) for one in (False, True))
    assert (len(shipped.blocks()), len(pinned.blocks())) == (2, 1)


def _learned(peer: float = 1.0, ours: float = 1.0, actor: float = 1.0) -> dict[str, list[measure.Sample]]:
    work = actor_critic.config("td3", 64, actor_critic.QUICK, one_core=True)
    steps = 8 * (work.total_steps - work.learning_starts)
    taken = {"gradient_steps": round(100 * peer), "actor_steps": round(50 * actor)}
    return {
        "softstep": [{"rate": 50.0, "agent_steps": 0.7 * steps, "gradient_steps_of_run": round(ours * steps)}],
        "rejax": [{"rate": 10.0, "agent_steps": 100} | taken],
        floor.PREFIX + "NumPy": [{"rate": 1e9}],
    }


def test_a_side_that_skips_gradient_steps_is_refused() -> None:
    work = actor_critic.config("td3", 64, actor_critic.QUICK, one_core=True)
    actor_critic.check_counts(_learned(), work)
    for samples in (_learned(peer=0.99), _learned(ours=0.5), _learned(actor=0.96), _learned(actor=2.0)):
        with pytest.raises(measure.BenchmarkError, match="gradient steps"):
            actor_critic.check_counts(samples, work)


def test_rows_of_actor_critic_are_judged_by_their_peer() -> None:
    (row,) = actor_critic.peer_rows("core for core: SAC 64-64", _learned(), {"rejax": 6.0, "sbx": 12.0})
    assert (row.label, row.judged, row.met) == ("core for core: SAC 64-64: rejax", 5.0, False)
    required = {name for peers_of_part in actor_critic.REQUIRED.values() for name in peers_of_part}
    for (mode, width), _ in actor_critic.REQUIRED.items():
        sides = actor_critic._sides("sac", width, actor_critic.FULL, one_core=mode == "core for core")
        assert required | {"softstep"} <= sides.keys()


def test_the_arithmetic_of_sac_is_printed() -> None:
    samples = {floor.PREFIX + "registers": [{"rate": 200e9}]} | {
        f"core for core: SAC {width}-{width}: softstep": [{"rate": 1_000.0}] for width in (64, 256)
    }
    narrow, wide = actor_critic.floor_notes(samples)
    assert narrow.startswith("SAC 64-64: 8.36 MFLOP per update, 41.8 µs")
    assert " MFLOP per update, " in wide
    assert wide.endswith("200 GFLOP/s per core (registers).")
    product, *rows = actor_critic.floor_rows(samples)
    operations = floor.update_operations(actor_critic.config("sac", 256, actor_critic.FULL, one_core=True), 3, 1)
    assert product.label == "registers"
    assert rows[1].ours.median == pytest.approx(1e-3 * 200e9 / operations)


def atlas(name: str) -> Spec:
    return Spec.from_toml((measure.ROOT / "studies" / "atlas" / f"{name}.toml").read_text(), source=name)


@pytest.mark.parametrize("size", [forecast.FULL, forecast.QUICK])
def test_the_slice_that_is_forecast_has_the_shapes_of_its_study(size: forecast.Size) -> None:
    for name, shorter in size.studies.items():
        spec = atlas(name)
        part = forecast.part_of(spec, size, shorter)
        assert part.num_agents == len(forecast.CONTENDERS) * (size.candidates * spec.selection + size.judging)
        assert part.base.total_steps * shorter == spec.base.total_steps
        assert part.width == spec.width
        cells = spec.named_cells()
        assert all(cells[cell] == settings for cell, settings in part.named_cells().items())


def test_the_blocks_whose_time_is_divided_are_full_and_all_of_the_first_contender() -> None:
    for name, shorter in overhead.FULL.shorter.items():
        spec = study_time.shortened(atlas(name), shorter)
        blocks = study_time.first_blocks(spec).blocks()
        assert [len(block) for block in blocks] == [spec.width] * study_time.BLOCKS
        assert {agent.arm.partition("/")[0] for block in blocks for agent in block} == {next(iter(spec.contenders))}
        assert spec.base.total_steps // spec.base.eval_every == 20 // shorter
