"""What a person sees: `document.py` (JSON, CSV, Markdown), `plots.py`, `terminal.py`, `progress.py`."""
