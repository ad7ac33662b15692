"""Rules for the code as a whole, beyond layers and types."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args, get_origin

import msgspec

from tallystick.adapters.telemetry.metric import Kind
from tallystick.adapters.telemetry.metric_table import METRICS
from tallystick.application.backfill import ApplyBackfill
from tallystick.application.limit_groups import LimitGroup
from tallystick.application.points import credit_batch
from tallystick.application.ports import CounterName, GaugeName, HistogramName
from tallystick.domain.ledger import OWN_EVENTS
from tests.integration import test_behaviours

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}

WIRE_ALONE = {
    "TestAccountLimit": "attempts are counted before any store is asked",
    "TestBadValues": "the values are refused before any store is asked; TestLargestAmounts asks both",
    "TestExternalIdentity": "a setting decides about the fields; sign-ups are bound by TestSignUpRoute",
    "TestParameters": "parameters are refused before any store is asked",
}
"""Behaviours that memory alone has to show, with the reason."""


def behaviours() -> Iterator[type]:
    """Yield every class of tests that says what must be true on every store."""
    for file in sorted((ROOT / "tests/unit/behaviours").glob("test_*.py")):
        yield from classes(import_module(f"tests.unit.behaviours.{file.stem}"))


def classes(module: ModuleType) -> Iterator[type]:
    """Yield the classes of tests that a module runs."""
    yield from (found for name, found in inspect.getmembers(module, inspect.isclass) if name.startswith("Test"))


def test_every_behaviour_is_bound_to_postgres() -> None:
    from tests.integration.http import test_flag_pairs, test_shared_limits  # noqa: PLC0415  no server is needed

    written = {test.__name__: test for test in behaviours()}
    modules = (test_behaviours, test_flag_pairs, test_shared_limits)
    bound = {base.__name__ for module in modules for test in classes(module) for base in test.__mro__}

    assert {"TestPurchaseRewards", "TestRepeatedPurchases"} <= written.keys()
    assert written.keys() - bound == WIRE_ALONE.keys()


def test_every_measurement_has_a_line_in_the_table() -> None:
    names = {kind: {row.name for row in METRICS.values() if row.kind == kind} for kind in get_args(Kind)}

    assert names["counter"] - {"http_problems", "process_cpu_seconds", "refusals"} == set(get_args(CounterName))
    assert names["histogram"] - {"http_request_seconds"} == set(get_args(HistogramName))
    assert names["gauge"] - {"build_info"} == set(get_args(GaugeName))
    assert set(METRICS["limit_hits"].labels["group"]) == set(get_args(LimitGroup))


def test_every_measurement_is_taken_somewhere() -> None:
    naming = {ROOT / "src/application/ports.py", *(ROOT / "src/adapters/telemetry/metric_table").glob("*.py")}
    text = "".join(file.read_text(encoding="utf-8") for file in SOURCES if file not in naming)

    for name in (*get_args(CounterName), *get_args(HistogramName), *get_args(GaugeName)):
        assert f'"{name}"' in text, name


def test_files_and_folders_are_named_by_meaning() -> None:
    named = {part for file in SOURCES for part in (*file.relative_to(ROOT).parts[:-1], file.stem)}

    assert not named & VAGUE


def test_time_and_chance_come_from_their_adapter_alone() -> None:
    reads = re.compile(
        r"datetime\.now\(|time\.time\(|utcnow\(|\brandom\.|\bsecrets\.(?:token|choice|rand|System)|uuid[14]\("
    )
    allowed = {"src/adapters/system.py", "src/adapters/memory/ports.py"}
    own_secrets = {
        "src/adapters/embedded/cluster.py",
        "src/adapters/embedded/logins.py",
        "src/entrypoints/cli/data_directory.py",
    }

    found = {str(file.relative_to(ROOT)) for file in SOURCES if reads.search(file.read_text(encoding="utf-8"))}

    assert found <= allowed | own_secrets


def test_the_environment_is_read_by_the_settings_alone() -> None:
    reads = re.compile(r"\bos\.environ|\bgetenv\b|from os import")
    reasons = {
        "src/entrypoints/settings/environment.py": "makes the settings",
        "src/entrypoints/cli/serve.py": "gives the workers the folder of their counters, which prometheus_client reads",
        "src/adapters/postgres/connecting.py": "names the variable whose file asyncpg could not read",
        "src/adapters/postgres/backups/programs.py": "hands the environment on to the programs of PostgreSQL",
        "src/adapters/telemetry/metrics.py": "tells whether prometheus_client has the counters of several workers",
    }

    found = {str(file.relative_to(ROOT)) for file in SOURCES if reads.search(file.read_text(encoding="utf-8"))}

    assert found == set(reasons)


def test_text_of_settings_is_taken_apart_in_one_place() -> None:
    splits = re.compile(r"""(?:split|partition)\(b?["'];["']""")
    wire_formats = {"src/entrypoints/http/authentication.py", "src/entrypoints/http/bodies.py"}

    found = {str(file.relative_to(ROOT)) for file in SOURCES if splits.search(file.read_text(encoding="utf-8"))}

    assert found - wire_formats == {"src/entrypoints/settings/pairs.py"}


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")

    for file in SOURCES:
        assert not marks.search(file.read_text(encoding="utf-8")), file


def test_every_module_says_what_it_is() -> None:
    for file in SOURCES:
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), file


def test_every_type_of_event_has_one_name_space_of_keys_and_is_reserved() -> None:
    places: dict[str, set[str]] = {}
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event":
                kind = node.args[0]
                if isinstance(kind, ast.Constant):
                    places.setdefault(str(kind.value), set()).add(str(file.relative_to(ROOT / "src")))

    assert set(places) <= OWN_EVENTS
    assert {kind for kind, files in places.items() if len(files) > 1} == set()


def imported_by(folder: str, package: str) -> Iterator[tuple[str, str, object]]:
    """Yield file, name and object of each name that a folder of the sources imports from a package."""
    for file in sorted((ROOT / "src" / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith(package) for alias in node.names), file
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    yield str(file.relative_to(ROOT)), alias.name, getattr(module, alias.name)


def is_port_value_or_error(thing: object) -> bool:
    """Return whether a thing is a port, a struct, an error, a constant or a type: no use case and no function."""
    if not inspect.isclass(thing):
        return not callable(thing) or get_origin(thing) is not None
    is_value = issubclass(thing, msgspec.Struct | tuple | BaseException) or is_dataclass(thing)
    return is_value or getattr(thing, "_is_protocol", False)


def test_no_adapter_calls_a_use_case() -> None:
    found = list(imported_by("adapters", "tallystick.application"))

    assert len(found) > 20
    assert [each for each in found if not is_port_value_or_error(each[2])] == []
    assert not is_port_value_or_error(ApplyBackfill)
    assert not is_port_value_or_error(credit_batch)


def test_no_test_fake_is_used_in_production() -> None:
    """The parts that tests drive are in one module, which wiring may not import."""
    fakes = "tallystick.adapters.memory.ports"
    users = {file.name for file in SOURCES if fakes in file.read_text(encoding="utf-8")}

    assert users == set()


def test_no_type_of_the_core_has_the_name_of_another_one() -> None:
    modules: dict[str, set[str]] = {}
    for file in SOURCES:
        path = file.relative_to(ROOT / "src")
        if path.parts[0] in {"domain", "application"}:
            for name in _types(ast.parse(file.read_text(encoding="utf-8"))):
                modules.setdefault(name, set()).add(str(path))

    assert len(modules) > 100
    assert {name: sorted(files) for name, files in modules.items() if len(files) > 1} == {}


def _types(module: ast.Module) -> Iterator[str]:
    """Yield the names of classes and of type aliases; a type variable has one letter."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z]\w*[a-z]\w+", target.id):
                yield target.id
