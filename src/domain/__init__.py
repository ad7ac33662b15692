"""What Tallystick promises: values, rules, refusals and the ports that carry them. No I/O, clock or randomness."""
