import numpy as np
import pandas as pd
import pytest

from workbench.explorer.check.outliers import snr, unusual, within_site


def test_z_is_within_the_site_and_nothing_is_called_unusual_among_few():
    table = pd.DataFrame({"scan_id": list("abcdefgh"), "brain": [1000.0, 1010, 990, 1500, 2000, 2010, 1990, 2005]})
    z = within_site(table, pd.Series(["A"] * 4 + ["B"] * 4))["brain"]
    assert z.abs().idxmax() == 3 and (z.abs().drop(3) < 3).all()  # 2000 ml is usual at B
    few = within_site(table, pd.Series(["A"] * 5 + ["B"] * 3))["brain"]
    assert few.iloc[5:].isna().all()


def test_only_a_low_snr_and_a_large_distance_are_unusual():
    z = pd.DataFrame({"snr": [5.0, -4.0, 0.0], "distance": [-6.0, 0.0, 3.0], "brain": [0.5, np.nan, -1.0]})
    assert list(unusual(z)) == [0.5, 4.0, 3.0]


def test_snr_falls_with_noise_and_not_with_what_changes_slowly():
    x = np.linspace(-1, 1, 48)
    brain = np.add.outer(np.add.outer(x, 0.5 * x), x) + 5.0
    draw = np.random.default_rng(0)
    noisy = [snr((brain + draw.normal(0, s, brain.shape)).astype(np.float32)) for s in (0.1, 0.4)]
    expected = [np.sqrt(brain.var() + s**2) / s for s in (0.1, 0.4)]
    assert noisy == pytest.approx(expected, rel=0.05)
    assert np.isnan(snr(np.zeros((8, 8, 8), np.float32)))


def test_scans_of_which_nothing_is_measured_have_no_measure():
    table = pd.DataFrame({"scan_id": list("abcd")})
    assert within_site(table, pd.Series(list("ssss"))).shape == (4, 0)
