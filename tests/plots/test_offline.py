import base64

from panel.io.resources import CDN_DIST

from workbench.plots.offline import with_styles


def test_panel_styles_travel_with_the_figure():
    text = f'"url":"{CDN_DIST}css/loading.css?v=1.2.3","other":"{CDN_DIST}bundled/theme/default.css"'
    got = with_styles(text)
    assert "http" not in got
    encoded = got.split("base64,")[1].split('"')[0]
    assert "{" in base64.b64decode(encoded).decode()


def test_what_is_not_there_becomes_empty_and_other_text_stays():
    assert with_styles(f"a {CDN_DIST}css/no-such.css b") == "a data:text/css;base64, b"
    assert with_styles("see https://example.org/a.css") == "see https://example.org/a.css"
