"""What objects show in a notebook's cell is escaped, says what they are, and marks simulated data."""

from typing import ClassVar

import numpy as np

from workbench.cohort import load_cohort
from workbench.html import facts_table
from workbench.model import load_encoder
from workbench.runs import JobConfig, Run, start_run
from workbench.stats import compare


class Toy(JobConfig):
    job: ClassVar[str] = "toy"

    word: str = "<script>alert(1)</script>"


def test_nothing_from_outside_becomes_markup(tmp_path):
    html = facts_table("<b>x</b>", {"<i>": "<script>", "none": None, "zero": 0})
    assert "<script" not in html and "<i>" not in html and "&lt;b&gt;x" in html
    assert "none" not in html and ">0<" in html and "simulated" not in html
    with start_run(Toy(out=tmp_path / "<run>")) as run:
        pass
    html = run._repr_html_()
    assert "<script" not in html and "<run>" not in html
    assert "toy: &lt;run&gt;" in html and ">ok<" in html and "simulated" not in html


def test_a_run_a_cohort_and_an_encoder_say_what_they_are(study):
    run = Run(study.encoder_run)._repr_html_()
    assert "pretrain: pre" in run and "simulated data" in run and "epochs=2.0" in run
    cohort = load_cohort(study.cohort)
    html = cohort._repr_html_()
    assert "Cohort: 12 scans of 12 people" in html and cohort.fingerprint in html and "simulated data" in html
    for site, n in cohort.table.groupby("site")["participant"].nunique().items():
        assert f"{site}: {n}" in html
    _, card = load_encoder(study.encoder_run)
    assert "pretrained weights" in card._repr_html_() and "6 people" in card._repr_html_()
    assert "simulated data" in card._repr_html_()
    _, fresh = load_encoder(study.encoder_run, init="random")
    assert "random weights" in fresh._repr_html_() and "0 people" in fresh._repr_html_()


def test_a_comparison_shows_its_difference_with_its_interval_and_n():
    a, people = np.array([0.7, 0.6, 0.8, 0.5]), list("pqrs")
    found = compare(a, people, a - np.array([0.1, 0.2, 0.1, 0.3]), people)
    html = found._repr_html_()
    assert ">+0.175<" in html and f"{found.interval.low:+.3f} to {found.interval.high:+.3f}" in html
    assert '>people</th><td style="text-align:left">4<' in html and "95 % interval" in html
    assert f"{found.p:.3g}" in html and "nan" not in html
    assert "nan" in compare(a[:1], people[:1], a[:1], people[:1])._repr_html_(), "one person leaves no interval"
