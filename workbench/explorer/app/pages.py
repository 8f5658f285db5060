"""The pages of the explorer, in the order of their tabs. A new page is a view class and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.explorer.check.check_view import CheckView
from workbench.explorer.cohort.cohort_view import CohortView
from workbench.explorer.comparison.comparison_view import ComparisonView
from workbench.explorer.group.group_view import GroupView
from workbench.explorer.own.own_view import OwnView
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.sites.sites_view import SitesView
from workbench.explorer.whatif.whatif_view import WhatIfView


@dataclass(frozen=True)
class Page:
    """One tab.

    A page is made when it is first opened, from the state alone, and kept for the session. The scan (viewer and facts)
    is one part of the screen that all pages share, so that no page loads it again: beside the page, or hidden.
    """

    key: str
    """In the address: ``?view=key``."""
    title: str
    """On the tab."""
    make: Callable[[ExplorerState], Any] | None
    """View class or function that gives the content; None for the scan itself on the whole width."""
    beside_scan: bool = True
    """The scan stays on the right; False where the page needs the whole width."""


PAGES = (
    Page("cohort", "Cohort", CohortView),
    Page("scan", "Scan", None),
    Page("comparison", "Comparison", ComparisonView),
    Page("sites", "Sites", SitesView, beside_scan=False),
    Page("group", "Group", GroupView, beside_scan=False),
    Page("check", "Check", CheckView),
    Page("what-if", "What if", WhatIfView, beside_scan=False),
    Page("own", "Your scan", OwnView, beside_scan=False),
)
