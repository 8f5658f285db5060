"""The look of the page. Panel's parts live in shadow roots, so those that need a rule get the sheet themselves."""

# custom properties are inherited into shadow roots
LIGHT = ":root { --paper: #fff; --ink: #1f2d3d; --quiet: #5b6776; --line: #d9dee5; --shade: #eef1f5; --desk: #f3f5f8; }"
DARK = ":root {--paper: #20262e; --ink: #e8ebef; --quiet: #a5afbb; --line: #3b444f; --shade: #2c343d; --desk: #15191e }"

CARD = """
:host { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
        padding: 6px 6px 4px; box-sizing: border-box; }
"""

HTML = """
:host { font-size: 13px; color: var(--ink); }
h2 { font-size: 14px; font-weight: 600; margin: 2px 0; color: var(--ink); }
h2 small { font-weight: 400; color: var(--quiet); margin-left: 8px; font-size: 12px; }
.hint, :host(.hint) { color: var(--quiet); font-size: 12px; }
code { color: inherit; background: var(--shade); padding: 0 3px; border-radius: 3px; font-size: 12px; }
.simulated { background: #ffb703; color: #1f2d3d; font-weight: 700; font-size: 11px; letter-spacing: .04em;
             padding: 2px 8px; border-radius: 10px; white-space: nowrap; }
.message { background: #fff1f0; border: 1px solid #d4380d; border-radius: 6px; padding: 6px 10px; white-space: pre-wrap;
           font-size: 12px; color: #7a1f05; }
.empty { max-width: 46em; margin: 8vh auto; font-size: 14px; line-height: 1.5; }
.empty pre { background: var(--shade); padding: 10px; border-radius: 6px; white-space: pre-wrap; }
.case { display: flex; gap: 28px; flex-wrap: wrap; }
dl { columns: 2; column-gap: 28px; margin: 0; font-size: 12.5px; flex: 1 1 360px; }
dl div { display: flex; gap: 10px; break-inside: avoid; padding: 1px 0; }
dt { color: var(--quiet); font-weight: 400; flex: 0 0 92px; } dd { margin: 0; overflow-wrap: anywhere; }
table.dice { border-collapse: collapse; font-size: 12.5px; margin: 0 10px 0 0; align-self: flex-start;
             font-variant-numeric: tabular-nums; }
table.dice th { text-align: left; font-weight: 500; padding: 2px 10px 2px 0; vertical-align: bottom; }
table.dice td { padding: 2px 10px 2px 0; } table.dice thead th { border-bottom: 1px solid var(--line); }
table.dice small { color: var(--quiet); }
.footer { color: var(--quiet); font-size: 12px; text-align: center; }
kbd { border: 1px solid var(--line); border-radius: 3px; padding: 0 4px; font: 11px system-ui, sans-serif; }
.summary { color: #fff; font-size: 13px; }
"""

# above the theme's own sheet also where that comes later, as in a table that is made when its page is opened
TABLE = """
:host .tabulator.tabulator.tabulator { font-size: 12.5px; border: none; }
:host .tabulator.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 2px 6px; }
:host .tabulator.tabulator .tabulator-row .tabulator-cell { padding: 2px 6px; height: 25px; }
:host .tabulator.tabulator .tabulator-row { min-height: 25px; cursor: pointer; }
:host .tabulator.tabulator .tabulator-footer { background: transparent; padding: 0; border: none; }
:host .tabulator.tabulator .tabulator-footer .tabulator-footer-contents { padding: 2px 0 0; }
:host .tabulator.tabulator .tabulator-footer .tabulator-page.tabulator-page {
  padding: 0 8px; font-size: 12px; line-height: 22px; }
:host .tabulator.tabulator .tabulator-header-filter input {
  height: 24px; min-height: 0; padding: 1px 5px; font-size: 12px; }
"""

# a list of which all is seen has no arrow that opens it
LIST = """
:host select.bk-input { background-image: none; padding-left: 6px; padding-right: 0; }
"""

# the label of a control whose place says what it is: read out, and not seen
HIDDEN_LABEL = """
:host label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""

PAGE = """
body { background: var(--desk); }
#header { padding: 4px 16px; min-height: 44px; }
#header .title { font-size: 17px; font-weight: 600; white-space: nowrap; }
@media (max-width: 1560px) { #header .title { display: none; } }
#main { overflow: hidden; }
#main { padding: 6px 10px 0; }
#sidebar, #sidebar-toggle { display: none; }
"""
