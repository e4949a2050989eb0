"""The smallest value that fits a JSON Schema: arguments for tools and structured answers."""

from collections.abc import Mapping, Sequence

_DEPTH_MAX = 12
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: Mapping[str, object]) -> object:
    """Make a value that fits the schema; recursion ends at a stated depth, with null."""
    return _value(schema, schema, 0)


def _value(schema: object, root: Mapping[str, object], depth: int) -> object:
    if not isinstance(schema, Mapping) or depth > _DEPTH_MAX:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        return _value(_resolve(reference, root), root, depth + 1)
    if options := _first_list(schema, "anyOf", "oneOf", "allOf", "any_of"):
        return _value(options[0], root, depth + 1)
    if values := _first_list(schema, "enum"):
        return values[0]
    if "const" in schema:
        return schema["const"]
    match _kind(schema):
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, depth)
        case "integer" | "number":
            return _number(schema)
        case "string":
            return _string(schema)
        case "boolean":
            return True
        case "none":
            return {}
        case _:
            return None


def _first_list(schema: Mapping[str, object], *names: str) -> Sequence[object]:
    return next((found for name in names if isinstance(found := schema.get(name), list)), ())


def _kind(schema: Mapping[str, object]) -> str:
    """The type, the first real one where several are allowed; Gemini writes them in capitals."""
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return str(kind).lower()


def _object(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> dict[str, object]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    required = schema.get("required")
    # Below the first levels only what must be there, so that a tree of itself ends.
    names = required if isinstance(required, list) and depth > 3 else list(properties)
    return {name: _value(properties.get(name), root, depth + 1) for name in names}


def _array(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> list[object]:
    least = schema.get("minItems", schema.get("min_items", 1))
    length = least if isinstance(least, int) else 1
    if depth > 3 and "minItems" not in schema:
        length = 0
    return [_value(schema.get("items", {}), root, depth + 1) for _ in range(length)]


def _number(schema: Mapping[str, object]) -> int | float:
    above = schema.get("exclusiveMinimum")
    if isinstance(above, int | float):
        return above + 1
    least = schema.get("minimum", 1)
    most = schema.get("maximum")
    number = least if isinstance(least, int | float) else 1
    return min(number, most) if isinstance(most, int | float) else number


def _string(schema: Mapping[str, object]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "sun")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(least, "n")
    return text[:most] if isinstance(most, int) else text


def _resolve(reference: str, root: Mapping[str, object]) -> object:
    """Follow a reference inside the same document: #/$defs/Name."""
    found: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if not step:
            continue
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
