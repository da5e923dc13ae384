#!/usr/bin/env python3
"""Holds YAML files to a schema: docker/validate.py SCHEMA FILE...

SCHEMA is a JSON Schema (Compose's, Ray's ray-schema.json) or a Kubernetes CustomResourceDefinition (KubeRay's). A CRD's
schema is read as strictly as `kubectl --validate=strict` does: a field that it does not name is an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml


class _Loader(yaml.SafeLoader):
    """Compose's own tags, `!reset` and `!override`, stand before plain values."""


def _plain(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _plain)


def documents(file: Path) -> list[Any]:
    """The documents of a YAML file, `<<` merged, or that of a JSON file."""
    if file.suffix == ".json":
        return [json.loads(file.read_text())]
    return [document for document in yaml.load_all(file.read_text(), Loader=_Loader) if document is not None]


def faults(document: Any, schema: Any) -> Iterator[str]:
    """What is wrong with the document, by a JSON Schema or a CustomResourceDefinition, each as `where: what`."""
    if schema.get("kind") == "CustomResourceDefinition":
        schema = _of_resource(schema, document)
    checker = jsonschema.validators.validator_for(schema)(schema)
    for error in checker.iter_errors(document):
        yield f"{'/'.join(map(str, error.absolute_path)) or '(top)'}: {error.message[:300]}"


def _of_resource(definition: dict[str, Any], document: Any) -> Any:
    """The JSON Schema of the version that the document names."""
    spec = definition["spec"]
    kind = spec["names"]["kind"]
    versions = {f"{spec['group']}/{version['name']}": version["schema"] for version in spec["versions"]}
    named = document.get("apiVersion"), document.get("kind")
    if named[1] != kind or named[0] not in versions:
        raise SystemExit(
            f"the definition is of {kind} in {', '.join(versions)}, and the file has {named[1]} in {named[0]}"
        )
    schema = _strict(versions[named[0]]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _strict(schema: Any) -> Any:
    """OpenAPI's schema as JSON Schema: no unknown fields, and numbers or strings where Kubernetes takes both."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _strict(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        changed.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string") is True:
        changed["type"] = ["integer", "string"]
    return changed


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        sys.exit("needs a schema and a file: docker/validate.py SCHEMA FILE...")
    schema = documents(Path(arguments[0]))[0]
    wrong = [
        f"{file}: {what}" for file in arguments[1:] for one in documents(Path(file)) for what in faults(one, schema)
    ]
    print("\n".join(wrong) if wrong else f"{len(arguments) - 1} valid")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
