"""The colours of all figures, and the settings that they give matplotlib."""

from __future__ import annotations

from typing import Any

DPI, MARGIN = 150, 0.25  # of a PNG; inches around it
# Okabe and Ito's colours, which the colour-blind tell apart; what matters differs in shape or text too.
INK, MUTED, FAINT, LINE, PALE = "#202124", "#5f6368", "#9aa0a6", "#dadce0", "#e8eaed"
BLUE, VERMILION = "#0072B2", "#B84A00"
ON_COLOUR = ("#202125", "#fffffe")  # of numbers on a coloured ground: not INK and white, which follow dark mode
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8.5, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": FAINT, "axes.labelcolor": INK, "axes.linewidth": 0.8, "axes.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.titlelocation": "left", "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlepad": 8,
    "grid.color": LINE, "grid.linewidth": 0.6,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "hatch.color": FAINT, "hatch.linewidth": 0.6, "legend.fontsize": 8.5,
    "svg.fonttype": "none", "svg.hashsalt": "repro",
}  # fmt: skip
