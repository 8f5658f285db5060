"""What is said above the cloud."""

import pandas as pd

from workbench.explorer.cohort.scatter_view import placed_words, quality_html


def test_a_picture_that_few_scans_made_says_so_and_an_old_one_claims_nothing():
    row = pd.Series({"picture": "umap", "trustworthiness": 0.912, "continuity": 0.5})
    whole = row.to_dict() | {"fitted": 40, "placed": 0}
    assert quality_html(row) == quality_html(pd.Series(whole)) and "placed" not in quality_html(row)
    assert placed_words(None) == placed_words(row) == placed_words(pd.Series(whole)) == ""
    some = quality_html(pd.Series(row.to_dict() | {"fitted": 2000, "placed": 98_000}))
    assert "0.91, continuity 0.50; 98,000 scans are placed among 2,000." in some and "--reference_scans" in some
