"""docs/openapi.yaml, and whether an answer is what it says."""
import jsonschema
import yaml

from harness import ROOT

PREFIXES = ["", "/api/v1", "/api/v1/clustering"]
API = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))


def schema_check(value, schema):
    jsonschema.Draft202012Validator({**schema, "components": API["components"]}).validate(value)


def described(method, path):
    """The operation of a concrete path in the description, by the first template that fits."""
    for prefix in reversed(PREFIXES):
        rest = path[len(prefix):] or "/"
        if not path.startswith(prefix) or not rest.startswith("/"):
            continue
        for exact in (True, False):
            for template, operations in API["paths"].items():
                head, brace, _ = template.partition("{")
                fits = rest == template if exact else (
                    brace and rest.startswith(head) and "/" not in rest[len(head):])
                if fits and method.lower() in operations:
                    return operations[method.lower()]
    return None


def resolve(node):
    while "$ref" in node:
        target = API
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def check_described(method, path, status, kind, body):
    """What came is what the description says for this route and status."""
    operation = described(method, path)
    if operation is None or status == 405:
        assert status in (404, 405), (method, path, status)
        schema_check(body, {"$ref": "#/components/schemas/Problem"})
        return
    answers = operation["responses"]
    answer = answers.get(str(status)) or answers.get("default")
    if answer is None:  # 400, 413, 415: any route may refuse what it cannot read
        assert status in (400, 413, 415), (method, path, status)
        schema_check(body, {"$ref": "#/components/schemas/Problem"})
        return
    content = resolve(answer)["content"]
    assert kind in content, (method, path, status, kind)
    if kind in ("application/json", "application/problem+json"):
        schema_check(body, content[kind]["schema"])
