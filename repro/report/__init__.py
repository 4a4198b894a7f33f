"""What a person sees: `document.py` (JSON, CSV, Markdown), `figures/`, `terminal.py`, `progress.py`."""
