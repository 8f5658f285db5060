"""Attention on the page says whose it is, and what an encoder made elsewhere cannot give."""

import pytest

from workbench.explorer.cohort.cohort_view import CohortView
from workbench.explorer.overlays import overlays
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files
from workbench.runs import Run

IMPORTED = {"pooling": "the mean of its <tokens>", "people_unknown": True}


def attention_of(runs):
    state = ExplorerState(runs)
    return overlays(state, state.row())["attention"]


def test_of_the_scatters_own_encoder_it_needs_no_name(own_runs):
    shown = attention_of(own_runs)
    assert shown.look["title"].startswith("Attention (mean of heads)") and not shown.note


def test_what_stands_for_cls_is_in_the_title_and_beside_the_scatter(own_runs):
    for name in ("embed", "attend"):
        Run(own_runs / name).note(**IMPORTED)
    state = ExplorerState(own_runs)
    map_ = files.attention_file(state.catalog, "attend", state.case, "mean")
    map_.with_name(map_.name.replace(".nii.gz", ".json")).write_text('{"block": "rollout", "query": "CLS"}')
    assert attention_of(own_runs).look["title"].endswith(f"rollout of {IMPORTED['pooling']}")
    said = CohortView(state)._source()
    for words in ("no CLS: the mean of its &lt;tokens&gt; is used", "possibly transductive: nobody lists"):
        assert words in said
    assert "<tokens>" not in said


@pytest.mark.parametrize("there", [True, False])
def test_beside_an_encoder_without_attention_that_of_another_has_its_name(own_runs, there):
    Run(own_runs / "embed").note(has_attention=False)
    for name in ("attend", "attend-random"):
        config = own_runs / name / "config.yaml"
        config.write_text(config.read_text().replace("pretrain\n", "another\n"))
        if not there:
            (own_runs / name / "status.json").write_text('{"state": "failed"}')
    shown = attention_of(own_runs)
    assert "has no attention that can be shown" in shown.note
    assert ("Attention of runs/another (" in shown.look.get("title", "")) == there
