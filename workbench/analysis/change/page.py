"""What a change run found, as one page that opens offline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.found.found import named
from workbench.found.years import change
from workbench.runs import Run, replacing

SHOWN = 6  # figures
GROUPS = 6  # colours that can be told apart


def write_page(run: Run) -> Path:
    """Write ``report.html`` of a run whose tables are there; everything in it that comes from files is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("workbench.analysis.change", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    slopes, summary, people = (run.read_table(name) for name in ("slopes", "summary", "people"))
    path = run.path / "report.html"
    with replacing(path) as partial:
        partial.write_text(
            environment.get_template("page.html").render(
                simulated=run.simulated,
                lines=change(run).lines(),
                slopes=_rows(slopes),
                summary=_rows(summary),
                groups=_groups(people),
                figures=_figures(slopes, run.read_table("courses")),
                notes=run.read_table("notes")["note"].tolist(),
            ),
            encoding="utf-8",
        )
    return path


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    who = table["group"].where(table["group"] != "", "everybody")
    who = who.where(table["other"] == "", table["group"] + " minus " + table["other"])
    return table.assign(who=who, run=table["run"].map(named)).to_dict("records")


def _groups(people: pd.DataFrame) -> list[dict[str, Any]]:
    if not len(people):
        return []
    found = people.assign(run=people["run"].map(named), group=people["group"].replace("", "no group"))
    table = found.groupby(["run", "group"]).agg(
        people=("participant", "size"), scans=("scans", "sum"), years=("years", "mean"), first_age=("first_age", "mean")
    )
    return table.reset_index().to_dict("records")


def _figures(slopes: pd.DataFrame, courses: pd.DataFrame) -> list[dict[str, str]]:
    """People's courses of the numbers whose change is clearest, volumes and scores before components."""
    mine = slopes[(slopes["group"] == "") & (slopes["other"] == "")]
    mine = mine.assign(last=mine["kind"] == "component").sort_values(["last", "p"], kind="stable").head(SHOWN)
    out = []
    for row in mine.itertuples():
        some = courses[(courses["run"] == row.run) & (courses["kind"] == row.kind) & (courses["name"] == row.name)]
        title = row.name if row.kind in ("component", "column") else f"{row.kind} of {row.name}"
        out.append({"title": f"{named(row.run)}: {title}", "svg": _svg(some)})
    return out


def _svg(courses: pd.DataFrame) -> str:
    """A thin line a person, a thick one of each group's mean level and slope."""
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    from workbench.stats import own_slopes

    colours = matplotlib.style.library["seaborn-v0_8-colorblind"]["axes.prop_cycle"].by_key()["color"]
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axis = figure.subplots()
    for i, (group, mine) in enumerate(courses.groupby("group", sort=True)):
        colour = colours[i] if i < GROUPS else "#9AA0A6"
        for _, one in mine.groupby("participant"):
            one = one.sort_values("years")
            axis.plot(one["years"], one["value"], color=colour, linewidth=0.6, alpha=0.5)
        _, slope = own_slopes(mine["value"].to_numpy(), mine["years"].to_numpy(), mine["participant"].to_numpy(str))
        middle = mine.groupby("participant")[["years", "value"]].mean().mean()
        ends = [0.0, float(mine["years"].max())]
        label = f"{group or 'everybody'} (n = {len(slope)})"
        axis.plot(
            ends, [middle["value"] + slope.mean() * (x - middle["years"]) for x in ends], color=colour, lw=2.5,
            label=label,
        )  # fmt: skip
    axis.set_xlabel("years since the first scan")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "workbench"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    found = text.getvalue()
    return found[found.index("<svg") :]


def _number(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
