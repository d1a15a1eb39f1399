"""The atlas: its specs are as declared, its protocol says what they say, and its summary is that of its tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from studies.tiny_contest import tiny_contest
from support import imported

from softstep import stats
from softstep.cli.main import main
from softstep.files import json_text
from softstep.policies.rejudging import study_best_returns
from softstep.studies import study_folder
from softstep.studies.declaration import content_differences, read_declarations, spec_content
from softstep.studies.judge import judge_study
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec
from softstep.studies.summaries import FRESH_COLUMNS, summarize_agents

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "studies/protocol.md").read_text(encoding="utf-8")
TINY = tiny_contest({"soft": "", "none": "c = 0.0"}, "soft-beats-none")


ATLAS = imported(ROOT / "studies/atlas.py")
DECLARED = sorted((ROOT / "studies").rglob("*.declared.json"))
FINISHED = [name for name in ATLAS.SCALES if (ATLAS.RESULTS / f"{name}.json").exists()]


def number(text: str) -> float:
    return float(re.sub(r"[  ]", "", text.replace("−", "-")))


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of the protocol, without its head."""
    lines = PROTOCOL.split(f"\n## {heading}\n")[1].splitlines()
    table = [line for line in lines[lines.index("") + 1 :] if line.startswith("|")]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]
    ruler = next(i for i, row in enumerate(rows) if set(row[0]) <= {"-"})
    end = next((i for i in range(ruler + 1, len(rows)) if len(rows[i]) != len(rows[ruler])), len(rows))
    return rows[ruler + 1 : end]


@pytest.mark.parametrize("path", DECLARED, ids=lambda path: path.name)
def test_a_spec_is_what_was_declared(path: Path) -> None:
    declarations = read_declarations(path.read_text(encoding="utf-8"), str(path))
    spec_file = path.with_name(path.name.replace(".declared.json", ".toml"))
    spec = Spec.from_toml(spec_file.read_text(encoding="utf-8"), source=spec_file.name)
    assert content_differences(declarations[-1].content, spec_content(spec)) == []


def test_every_spec_of_the_atlas_is_in_the_summary_and_declared() -> None:
    assert {path.name.split(".")[0] for path in DECLARED} >= set(ATLAS.SCALES)
    assert set(ATLAS.SCALES) == {path.stem for path in (ROOT / "studies/atlas").glob("*.toml")}


def test_the_protocol_says_what_the_specs_say() -> None:
    budgets = {name: number(steps) for name, _, steps, *_ in rows_of("Environments and budgets")}
    assert budgets == {name: ATLAS.read_spec(name).base.total_steps for name in ATLAS.SCALES}
    counts = {
        name: [int(candidates), *map(int, seeds.split(", "))]
        for name, *_, candidates, seeds in rows_of("Environments and budgets")
    }
    margins = {name.lower().replace(" ", "-"): (number(m), number(f)) for name, *_, m, f in rows_of("Margins")}
    criteria = {name: ATLAS.read_spec(name).criteria for name in ATLAS.SCALES}
    assert margins == {name: (each.margin, each.floor) for name, each in criteria.items()}
    scales = {
        row[0].lower().replace(" ", "-"): (number(row[1]), number(row[2])) for row in rows_of("Over the environments")
    }
    assert scales == ATLAS.SCALES
    for name in ATLAS.SCALES:
        spec = ATLAS.read_spec(name)
        assert spec.draw.seed == 0
        assert [spec.draw.count, spec.selection, spec.seeds - spec.selection] == counts[name]
        assert list(spec.selection_seeds) == list(range(spec.selection))
        assert spec.metric == "final_return"
        assert spec.base.total_steps == 20 * spec.base.eval_every
        assert spec.base.eval_episodes == (30 if name == "lunar-lander" else 10)
        rates = {str(each.knobs["learning_rate"]) for each in spec.contenders.values()}
        assert len(rates) == 1


@pytest.mark.parametrize("name", FINISHED)
def test_a_study_was_declared_before_its_data_and_not_changed(name: str) -> None:
    carried = json.loads((ATLAS.RESULTS / f"{name}.json").read_text(encoding="utf-8"))["declaration"]
    declared = json.loads((ATLAS.SPECS / f"{name}.declared.json").read_text(encoding="utf-8"))
    assert carried["declarations"] == declared["declarations"]
    assert [row["declared"] < carried["began"] for row in declared["declarations"]] == [True]
    assert [row["content"] for row in carried["specs"]] == [declared["declarations"][0]["content"]]


def test_the_summary_is_that_of_the_tables() -> None:
    stored = json.loads((ATLAS.RESULTS / "summary.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json_text(ATLAS.summarize(FINISHED))), "run python studies/atlas.py"


def test_the_pages_have_the_tables_and_pictures_of_the_summary() -> None:
    for path, text in imported(ROOT / "studies/atlas_pages.py").pages().items():
        assert path.read_text(encoding="utf-8") == text, "run python studies/atlas_pages.py"


def test_the_protocol_lists_the_contenders_and_claims() -> None:
    named = [row[0] for row in rows_of("Contenders")]
    assert named == list(ATLAS.read_spec("cartpole").contenders)
    claims = re.findall(r"^\d\. `(.*?)`", PROTOCOL, flags=re.MULTILINE)
    assert claims == [claim.name for claim in ATLAS.read_spec("cartpole").claims]


def test_collected_tables_give_what_the_study_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs, runs, results = tmp_path / "specs", tmp_path / "runs", tmp_path / "results"
    specs.mkdir()
    for name in ("cartpole", "acrobot"):  # two studies, of one environment
        (specs / f"{name}.toml").write_text(TINY.replace("[seeds]", f"[seeds]\nfirst = {len(name)}"))
        main(["study", "declare", str(specs / f"{name}.toml")])
        main(["study", "run", str(specs / f"{name}.toml"), "--out", str(runs / name), "--workers", "2"])
    monkeypatch.setattr(ATLAS, "SPECS", specs)
    monkeypatch.setattr(ATLAS, "RESULTS", results)
    assert f"judged again on {ATLAS.FRESH_EPISODES} fresh episodes" in PROTOCOL
    monkeypatch.setattr(ATLAS, "FRESH_EPISODES", 3)
    ATLAS.main([str(runs / name) for name in ("cartpole", "acrobot")])
    summary = json.loads((results / "summary.json").read_text())
    for name in ("cartpole", "acrobot"):
        study = Study(runs / name)
        agents = summarize_agents(study.frame, study.spec)
        (verdict,) = [verdict._asdict() for verdict in judge_study(agents, study.spec, study.winners)]
        assert summary["studies"][name]["verdicts"] == [pytest.approx(verdict)]
        winner = study.winners[0].cell
        judged = agents.filter((pl.col("cell") == winner) & (pl.col("seed") >= study.spec.judging_seeds.start))
        kept = ATLAS.judging_returns(ATLAS.read_finished(name))
        np.testing.assert_array_equal(kept["soft"], judged["final_return"].to_numpy())
        fresh = study_best_returns(study, 3)
        assert pl.read_parquet(results / f"{name}-best-checkpoints.parquet").equals(fresh)
        means = [fresh.filter(cell=winner.cell)["fresh_return"].mean() for winner in study.winners]
        assert [row["fresh_return"] for row in summary["studies"][name]["contenders"]] == pytest.approx(means)
        (secondary,) = summary["studies"][name]["secondary"]
        assert secondary["estimate"] == pytest.approx(means[0] - means[1])
        ATLAS.best_file(name).unlink()
    together = summary["over_environments"]["dqn"]
    scores = {
        name: stats.normalized(ATLAS.judging_returns(ATLAS.read_finished(name))["soft"], *ATLAS.SCALES[name])
        for name in ("cartpole", "acrobot")
    }
    assert together["iqm"]["soft"]["estimate"] == pytest.approx(stats.iqm_over_environments(scores))
    ATLAS.main([])  # the summary again, of studies without best checkpoints
    without = json.loads((results / "summary.json").read_text())
    for name, study in without["studies"].items():
        assert "secondary" not in study
        assert study["verdicts"] == summary["studies"][name]["verdicts"]
        assert study["contenders"] == [
            {key: value for key, value in row.items() if key not in FRESH_COLUMNS}
            for row in summary["studies"][name]["contenders"]
        ]


def test_a_study_that_is_not_finished_is_not_collected(tmp_path: Path) -> None:
    study_folder.create_study(tmp_path / "cartpole", Spec.from_toml(TINY, source="tiny"))
    with pytest.raises(SystemExit, match=r"is not finished: .*--resume"):
        ATLAS.main([str(tmp_path / "cartpole")])
    with pytest.raises(SystemExit, match="is not named after a study of the atlas: cartpole, acrobot"):
        ATLAS.main([str(tmp_path)])
