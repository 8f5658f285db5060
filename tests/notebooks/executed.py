"""What a reader of an executed notebook sees: its words and its tables."""

import nbformat
import pandas as pd
from bs4 import BeautifulSoup


class Report:
    """An executed notebook."""

    def __init__(self, run, made):
        self.run, self.made = run, made
        self.outputs = [
            output for cell in nbformat.read(run.path / "notebook.ipynb", 4).cells for output in cell.get("outputs", [])
        ]
        self.text = "".join(o.text for o in self.outputs if o.output_type == "stream" and o.name == "stdout")

    @property
    def figures(self):
        """The HTML of every figure."""
        return [
            o["data"]["text/html"]
            for o in self.outputs
            if "application/vnd.holoviews_exec.v0+json" in o.get("data", {}) and o["data"].get("text/plain")
        ]

    def table(self, *columns):
        """The table shown that has these columns, every cell as text."""
        for output in self.outputs:
            for found in BeautifulSoup(output.get("data", {}).get("text/html", ""), "html.parser").select("table"):
                if not found.select("thead tr"):
                    continue
                # a named index has its names in a second line, below blanks
                lines = [[th.get_text() for th in tr.select("th")] for tr in found.select("thead tr")]
                if len(lines[0]) != len(lines[-1]):
                    continue
                header = [(below or above) for above, below in zip(lines[0], lines[-1], strict=True)]
                if set(columns) <= set(header):
                    rows, above = [], []
                    for tr in found.select("tbody tr"):
                        cells = [cell.get_text() for cell in tr.select("th, td")]
                        cells = above[: len(header) - len(cells)] + cells  # an index level that spans several rows
                        above = cells
                        rows.append(cells)
                    return pd.DataFrame(rows, columns=header)
        raise AssertionError(f"no table with {columns}")
