"""Values, rules, failures, and the ports that carry them. No I/O, clock or randomness."""
