"""What each command does, one module a command (`repro/cli/` has their options)."""
