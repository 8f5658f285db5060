"""The page itself: its look, tables, lists. Everything that comes from files or settings is escaped here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd

STYLE = """body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;max-width:66rem;margin:1.5rem auto;
padding:0 1.2rem;color:#1c2733}h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.3rem;margin:2.2rem 0 .4rem;
padding-top:.8rem;border-top:2px solid #dde3e8}h3{font-size:1.02rem;margin:1.3rem 0 .3rem}
table{border-collapse:collapse;margin:.5rem 0;font-size:13px;display:block;overflow-x:auto}
td,th{padding:.2rem .6rem;border-bottom:1px solid #dde3e8;text-align:left;vertical-align:top}
th{font-weight:600;background:#f4f6f8}.badge{display:inline-block;background:#f5b301;padding:.1rem .6rem;
border-radius:.7rem;font-weight:700;font-size:13px}.lead{font-size:1.05rem;margin:.4rem 0}
.found{background:#f4f6f8;border-radius:.6rem;padding:.6rem 1.1rem .8rem}.found h2{border:0;margin:0;padding:0}
.found h3{margin:.7rem 0 .1rem}ul.says{list-style:none;margin:.2rem 0;padding:0}
ul.says li{margin:.3rem 0;padding:.15rem 0 .15rem .8rem;border-left:4px solid #9aa0a6}
ul.says li.better{border-left-color:#0072B2}ul.says li.worse{border-left-color:#D55E00}
.place{color:#52606b}.note{color:#52606b;font-size:13px}nav{font-size:13px;margin:.6rem 0}nav a{margin-right:1rem}
a{color:#0b5cad}pre{background:#f4f6f8;padding:1rem;overflow:auto;font-size:12px}svg,img{max-width:100%;height:auto}
summary{cursor:pointer;margin:.7rem 0;color:#0b5cad}figure{margin:.8rem 0}figcaption{font-size:12.5px;color:#52606b}
table.numbers td:not(:first-child){white-space:nowrap}table.numbers td{padding:.2rem .5rem}
.branches{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));gap:0 2rem}
.branches>.flow{border:1px dashed #b8c2ca;border-radius:.5rem;padding:.2rem .8rem .8rem;
grid-template-columns:minmax(11rem,14rem) 1fr;align-content:start}.box small{color:#52606b}
.flow{display:grid;grid-template-columns:minmax(15rem,20rem) 1fr;gap:.35rem 1.2rem;align-items:center;margin:.6rem 0}
.box{border:1.5px solid #0072B2;border-radius:.4rem;padding:.35rem .7rem;background:#fff;position:relative}
.box.task{border-color:#009E73}.out{border-left:3px solid #D55E00;padding:.1rem .7rem;font-size:13px;color:#3b4750}
.flow .arrow{grid-column:1;text-align:center;color:#7a868f;line-height:.9}
.key i{display:inline-block;width:1.6rem;border-top:3px solid;margin:0 .3rem .25rem .8rem}"""


def page(title: str, parts: Iterable[str]) -> str:
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def table(rows: pd.DataFrame, empty: str = "none", kind: str = "") -> str:
    return rows.to_html(index=False, border=0, na_rep="", classes=kind or None) if len(rows) else paragraph(empty)


def folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>"
