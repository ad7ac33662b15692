"""The contract with the database: what must hold before the service serves."""
