"""Reports as one self-contained HTML file: no network, no scripts, readable and printable."""

from experiments.html.page import Facts, evaluation_files, render_html, write_html
from experiments.html.records import evaluation_records, to_json, to_tsv

__all__ = [
    "Facts", "evaluation_files", "evaluation_records", "render_html", "to_json", "to_tsv",
    "write_html",
]  # fmt: skip
