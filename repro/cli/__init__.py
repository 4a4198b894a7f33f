"""The command line: commands, their options, and how they end. Imports no torch at start."""
