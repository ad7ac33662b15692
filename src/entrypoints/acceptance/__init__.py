"""Acceptance from outside: what a running server has to show to users whom it has never seen."""
