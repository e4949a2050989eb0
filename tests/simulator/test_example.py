"""The smallest value that fits a schema."""

import pytest

from farthing.simulator.example import example_of

NODE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        "parent": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({}, {}),
        ({"type": "string", "minLength": 5}, "sunnn"),
        ({"type": "string", "maxLength": 2}, "su"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "integer", "minimum": 7}, 7),
        ({"type": "number", "exclusiveMinimum": 1}, 2),
        ({"type": "integer", "maximum": 0}, 0),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 4}, 4),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, {"a": "sun"}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "sun"),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, object], example: object) -> None:
    assert example_of(schema) == example


def test_a_schema_of_itself_ends() -> None:
    example = example_of({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}})

    assert isinstance(example, dict)
    assert example["name"] == "sun"
    assert example["children"]
