import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import panel
import pytest

from workbench.explorer.viewer.nifti_view import BUNDLE


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node: apt install nodejs")
def test_the_brain_of_a_scan_in_sd_is_whole_and_that_of_others_as_before():
    """In SD half of a brain is below 0; what is beside it is the lowest value."""
    brain = np.random.default_rng(0).normal(0, 1, 500).clip(-2.5, 2.5).round(3)
    scans = {
        "sd": [*[-4.0] * 500, *brain],
        "mr": [*[0.0] * 500, *(100 + 20 * brain)],
        "noise": [3.0, -1.0, *[100.0] * 50],
    }
    script = f"""
import {{ threshold }} from "{BUNDLE.with_name("volumes.js").as_uri()}"
const kept = ([name, img]) => [name, img.filter(threshold({{ img }}, 0.35)).length]
console.log(JSON.stringify(Object.fromEntries(Object.entries({json.dumps(scans)}).map(kept))))"""
    done = subprocess.run(
        ["node", "--input-type=module", "-"], input=script, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"sd": 500, "mr": 500, "noise": 50}


def test_no_class_of_the_viewer_is_one_of_bootstrap():
    """Its sheet is inside the viewers of pages that are opened late: a legend of class "row" fell apart there."""
    sheets = Path(panel.__file__).parent / "dist" / "bundled"
    taken = set(
        re.findall(r"\.([a-z][\w-]*)(?=[^{}]*\{)", (sheets / "bootstrap5" / "css" / "bootstrap.min.css").read_text())
    )
    ours = set()
    for source in ("nifti_view.js", "legend.js"):
        text = BUNDLE.with_name(source).read_text()
        for names in re.findall(r'class="([\w -]+)"|element\("\w+", "([\w -]+)"', text):
            ours |= {name for part in names for name in part.split()}
    assert "row" in taken and "told" in ours and not ours & taken
