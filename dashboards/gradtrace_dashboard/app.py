"""The application: its pages, in the order in which one looks for a fault.

`streamlit run app.py -- DIR` is what the command `gradtrace dashboard DIR` starts.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

__all__ = ["main"]

PAGES = (
    ("runs", "Runs", ":material/list:"),
    ("flow", "Gradient flow", ":material/grid_on:"),
    ("layer", "Layer", ":material/layers:"),
    ("findings", "Findings", ":material/search_insights:"),
    ("graph", "Graph", ":material/account_tree:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("file", "Open a file", ":material/upload_file:"),
)


def main() -> None:
    """Show the page that the address names."""
    here = Path(__file__).parent
    icon, logo = (here.joinpath(f"{name}.svg").read_text("utf-8") for name in ("icon", "logo"))
    st.set_page_config(page_title="gradtrace", page_icon=icon, layout="wide")
    st.logo(logo, icon_image=icon)
    st.html(here / "app.css")
    pages = [
        st.Page(f"views/{name}.py", title=title, icon=icon, url_path=name, default=name == "runs")
        for name, title, icon in PAGES
    ]
    st.navigation(pages).run()


if __name__ == "__main__":
    main()
