"""JSON schemas of the types on the wire, with a description for each member."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import NODEFAULT, inspect

from tallystick.entrypoints.http.document.descriptions import member_description, type_description
from tallystick.entrypoints.http.words import rule_of

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/"


def reference(name: str) -> Schema:
    """Return a reference to a schema."""
    return {"$ref": f"{_REFERENCE}{name}"}


class Schemas:
    """The schemas of a document; each struct and enumeration is one component, under the name of its class."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._owners: dict[str, type] = {}

    def of(self, kind: Any) -> Schema:
        """Return the schema of a type, and add the components that it refers to."""
        return self.of_info(inspect.type_info(kind))

    def of_info(self, kind: inspect.Type) -> Schema:
        """Return the schema of a type that msgspec has described."""
        match kind:
            case inspect.Metadata():
                return self._ruled(kind)
            case inspect.StructType():
                return self._component(kind.cls, lambda: self._struct(kind))
            case inspect.EnumType():
                return self._component(kind.cls, lambda: _enumeration(kind.cls))
            case inspect.UnionType():
                return self._union(kind)
            case inspect.ListType() | inspect.DictType():
                return self._collection(kind)
        return _LEAVES[type(kind)](kind)

    def _collection(self, kind: inspect.ListType | inspect.DictType) -> Schema:
        least, most = kind.min_length, kind.max_length
        if isinstance(kind, inspect.ListType):
            bounds = {"minItems": least, "maxItems": most}
            return {"type": "array", "items": self.of_info(kind.item_type)} | _present(bounds)
        bounds = {"minProperties": least, "maxProperties": most}
        return {"type": "object", "additionalProperties": self.of_info(kind.value_type)} | _present(bounds)

    def _component(self, owner: type, rendered: Callable[[], Schema]) -> Schema:
        name = owner.__name__
        if self._owners.setdefault(name, owner) is not owner:
            raise AssertionError(f"two types are called {name}, and a component has one name")
        if name not in self.components:
            self.components[name] = {}  # a type that holds itself refers to the component that is being rendered
            self.components[name] = rendered()
        return reference(name)

    def _ruled(self, kind: inspect.Metadata) -> Schema:
        rule = rule_of(kind)
        said = {"description": sentence(f"it is {rule.needs}")} if rule is not None else {}
        return self.of_info(kind.type) | said | (kind.extra_json_schema or {})

    def _union(self, kind: inspect.UnionType) -> Schema:
        tagged = [each for each in kind.types if isinstance(each, inspect.StructType) and each.tag_field is not None]
        if not tagged:
            branches = [self.of_info(each) for each in kind.types]
            return {"anyOf": branches} if all(branches) else {}  # an empty schema allows any value
        mapping = {str(each.tag): self.of_info(each)["$ref"] for each in tagged}
        discriminator = {"propertyName": tagged[0].tag_field, "mapping": mapping}
        return {"oneOf": [{"$ref": each} for each in mapping.values()], "discriminator": discriminator}

    def _struct(self, kind: inspect.StructType) -> Schema:
        config = kind.cls.__struct_config__
        tag = {} if kind.tag_field is None else {kind.tag_field: _tag(kind)}
        members = {field.encode_name: self._member(kind.cls, field) for field in kind.fields}
        # Replies hold every member, unless they leave out those that have their default.
        has_gaps = config.forbid_unknown_fields or config.omit_defaults
        required = [each.encode_name for each in kind.fields if each.required or not (has_gaps or _may_be_unset(each))]
        schema: Schema = {"type": "object", "description": type_description(kind.cls), "properties": tag | members}
        if tag or required:
            schema["required"] = [*tag, *required]
        if config.forbid_unknown_fields:
            schema["additionalProperties"] = False
        return schema

    def _member(self, owner: type, field: inspect.Field) -> Schema:
        schema = self.of_info(field.type)
        said = " ".join(filter(None, (member_description(owner, field.name), schema.get("description", ""))))
        default = field.default
        stated = {} if default in {NODEFAULT, None} else {"default": default}
        return {**schema, "description": said, **stated}


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text[0].upper()}{text[1:].removesuffix(',').removesuffix('.')}."


def _may_be_unset(field: inspect.Field) -> bool:
    """Return whether a field is left out unless it is set: msgspec describes the default UNSET as none at all."""
    return not field.required and field.default is NODEFAULT and field.default_factory is NODEFAULT


def _tag(kind: inspect.StructType) -> Schema:
    assert kind.tag_field is not None
    return {"type": "string", "const": kind.tag, "description": member_description(kind.cls, kind.tag_field)}


def _enumeration(kind: type[Enum]) -> Schema:
    return {"type": "string", "enum": [each.value for each in kind], "description": type_description(kind)}


def _present(bounds: Mapping[str, Any]) -> Schema:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _text(kind: inspect.StrType) -> Schema:
    bounds = {"minLength": kind.min_length, "maxLength": kind.max_length, "pattern": kind.pattern}
    return {"type": "string"} | _present(bounds)


_LEAVES: Mapping[type[inspect.Type], Callable[[Any], Schema]] = {
    inspect.StrType: _text,
    inspect.IntType: lambda kind: (
        {"type": "integer", "format": "int64"} | _present({"minimum": kind.ge, "maximum": kind.le})
    ),
    inspect.FloatType: lambda _kind: {"type": "number", "format": "double"},
    inspect.BoolType: lambda _kind: {"type": "boolean"},
    inspect.NoneType: lambda _kind: {"type": "null"},
    inspect.DateTimeType: lambda _kind: {"type": "string", "format": "date-time"},
    inspect.LiteralType: lambda kind: {"type": "string", "enum": list(kind.values)},
    inspect.RawType: lambda _kind: {},
    inspect.AnyType: lambda _kind: {},
    inspect.CustomType: lambda _kind: {},
}
"""The schema of each kind of value without parts. A raw or custom value is any JSON value."""
