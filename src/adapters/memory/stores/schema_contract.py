"""The contract with the schema in memory, where the tables are those of the program."""

from tallystick.application.schema_contract import SchemaContract


class MemorySchemaContract(SchemaContract):
    """Always met."""

    async def hold(self) -> str:
        return "memory"
