"""repro: regenerates "The Sooner the Better: Investigating Structure of Early Winning Lottery Tickets"."""

__version__ = "0.1.0"
