"""The command line: commands, options, exit codes. Imports no torch at start."""
