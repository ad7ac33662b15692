"""Logs and metrics for operators, without personal data, codes or secrets."""
