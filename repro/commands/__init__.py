"""The implementation of each command, one module per command; `repro/cli/` declares their options."""
