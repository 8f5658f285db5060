"""Who came in and who was left out."""

from types import SimpleNamespace

import pandas as pd

from workbench.study.evidence.flow import flow_table


def test_who_was_set_aside_is_counted_once_and_by_cause(tmp_path):
    (tmp_path / "results").mkdir()
    aside = pd.DataFrame(
        {
            "path": ["/x/a.nii", "/x/b.nii", "/x/c.nii"],
            "participant": ["d/1", "d/2", "d/3"],
            "kind": ["scan", "scan", "segmentation"],
            "stage": ["cohort", "prepare", "cohort"],
            "cause": ["/x/a.nii: too small: 3 mm", "/x/b.nii: too small: 4 mm", "not on the grid: 5"],
        }
    )
    aside.to_parquet(tmp_path / "results" / "set_aside.parquet")
    index = pd.DataFrame({"participant": ["d/3", "d/4", "d/4"], "site": ["A", "A", "A"], "sex": ["F", "M", "M"]})
    plan = SimpleNamespace(
        stores={"x": SimpleNamespace(index=index, path=tmp_path)},
        study=SimpleNamespace(tasks={}, data={"x": SimpleNamespace(pretrain_sites=())}),
    )
    flow = flow_table(plan, pd.DataFrame(), []).set_index("what")
    assert flow.loc["found", ["people", "scans"]].tolist() == [4, 5]
    assert flow.loc["set aside: too small", ["people", "scans"]].tolist() == [2, 2]
    assert flow.loc["prepared", ["people", "scans"]].tolist() == [2, 3]
    assert "stays" in flow.index[flow.index.str.startswith("set aside: not on the grid")][0]
