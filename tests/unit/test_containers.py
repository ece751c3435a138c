"""The container image and the compose file: right by their own rules, and in line with the code that runs in them."""

import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from paywindow.cli import app, processes
from paywindow.front import server
from paywindow.messages import ROLES
from paywindow.settings import REQUIRED, Role, Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PROGRAMS = Path(sys.executable).parent


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yml").read_text())


SERVICES = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
WORKERS = {name: service for name, service in OURS.items() if name.startswith("worker-")}
FOREIGN = set(SERVICES) - set(OURS)
#: What each of our services is, to the settings.
ROLE = {
    "front": Role.FRONT,
    "scheduler": Role.SCHEDULER,
    "migrate": Role.MIGRATE,
    **dict.fromkeys(WORKERS, Role.WORKER),
}


def example() -> dict[str, str]:
    """The settings of the example file."""
    lines = (DOCKER / "paywindow.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, lines joined, without comments."""
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]  # type: ignore[misc]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, text in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, text))
    return found


def arguments(name: str, stage: int = -1) -> list[str]:
    return [text for instruction, text in stages()[stage] if instruction == name]


def seconds(duration: str) -> int:
    assert duration.endswith("s"), duration
    return int(duration.removesuffix("s"))


def bytes_of(size: str) -> int:
    return int(size[:-1]) * {"M": 2**20, "G": 2**30}[size[-1].upper()]


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    run("hadolint", "docker/Dockerfile")


def test_the_compose_file_follows_the_compose_specification() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker/compose.yml")


def test_both_stages_start_from_the_same_exact_version_and_python_of_this_project() -> None:
    bases = [text.split()[0] for name, text in instructions() if name == "FROM"]

    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])


def test_every_foreign_image_has_an_exact_version() -> None:
    assert {"postgres", "redis", "prometheus", "alertmanager", "grafana"} == FOREIGN
    for name in FOREIGN:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-bookworm)?$", SERVICES[name]["image"]), name


def test_the_image_has_the_packages_of_the_makefile() -> None:
    packages = re.search(r"^PACKAGES := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (install,) = [text for text in arguments("RUN") if "apt-get" in text]
    words = shlex.split(install)
    first = words.index("--no-install-recommends") + 1

    assert packages is not None
    assert words[first : words.index("&&", first)] == packages[1].split()


def test_the_image_runs_as_nobody_special_without_a_shell() -> None:
    user = arguments("USER")
    for name in ("ENTRYPOINT", "CMD"):
        assert all(text.startswith('["') for text in arguments(name)), name

    assert user == ["10001:10001"]
    assert arguments("ENTRYPOINT") == ['["paywindow"]']
    (check,) = arguments("HEALTHCHECK")
    assert check.endswith('CMD ["paywindow", "alive"]')
    assert not [name for name, _ in instructions() if name == "ADD"]
    last = [name for name, _ in stages()[-1]]
    assert last.index("USER") > max(index for index, name in enumerate(last) if name in ("RUN", "COPY"))


def test_the_image_gets_every_package_and_the_builder_nothing_else() -> None:
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    folders = {
        line.split("=")[1].strip().split("/")[0] for line in setup["options"]["package_dir"].strip().splitlines()
    }
    copied = {word for text in arguments("COPY", 0) for word in text.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied == allowed
    assert folders <= copied
    assert all((ROOT / path).exists() for path in copied)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_lock_pins_all_that_the_product_needs_and_the_installer_has_its_hash() -> None:
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    lines = [line for line in setup["options"]["install_requires"].splitlines() if line and not line.startswith("#")]
    wanted = {re.split(r"[ ;<>=~\[]", line)[0].lower().replace("_", "-") for line in lines}
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert wanted <= pinned
    assert {"setuptools", "wheel"} <= pinned
    assert re.search(r"^pip==\d+\.\d+\S* \\\n    --hash=sha256:[0-9a-f]{64}$", (DOCKER / "pip.txt").read_text(), re.M)


def test_there_is_a_service_for_every_role_and_each_command_can_be_parsed() -> None:
    assert set(OURS) == {"migrate", "front", "scheduler", *(f"worker-{role}" for role in ROLES)}
    for name, service in OURS.items():
        words = [*service["command"]]
        command: Any = get_command(app).commands[words[0]]
        options = command.make_context(words[0], words[1:]).params
        assert name == (f"worker-{options['role']}" if words[0] == "worker" else words[0])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_a_setting_and_every_secret_a_file_that_it_gets(name: str) -> None:
    environment, secrets = OURS[name]["environment"], OURS[name].get("secrets", [])
    settings = {field.upper() for field in Settings.model_fields}

    assert {variable.removesuffix("_FILE") for variable in environment} <= settings
    files = {value for variable, value in environment.items() if variable.endswith("_FILE")}
    assert files == {f"/run/secrets/{secret}" for secret in secrets}
    kept = {variable for variable in environment if _is_secret(variable)}
    assert kept <= {"REDIS_URL"}, "a secret stands in the file itself"


def _is_secret(variable: str) -> bool:
    return not variable.endswith("_FILE") and "Secret" in str(Settings.model_fields[variable.lower()].annotation)


@pytest.mark.parametrize("name", OURS)
def test_every_service_has_the_settings_that_its_process_demands(name: str) -> None:
    given = {variable.removesuffix("_FILE") for variable in OURS[name]["environment"]} | set(example())

    assert {field.upper() for field in REQUIRED[ROLE[name]]} <= given
    if ROLE[name] in (Role.WORKER, Role.FRONT):
        assert "RECEIPT_URL_SECRET" in given


def test_the_example_names_settings_without_secrets_that_can_be_used() -> None:
    assert set(example()) <= {field.upper() for field in Settings.model_fields}
    assert not [variable for variable in example() if _is_secret(variable)]
    Settings.load(None, example())


def test_every_secret_is_a_file_of_one_folder_that_git_and_the_builder_ignore() -> None:
    files = {name: secret["file"] for name, secret in compose()["secrets"].items()}

    assert files == {name: f"secrets/{name}" for name in files}
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "docker/paywindow.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert set(files) == {secret for service in SERVICES.values() for secret in service.get("secrets", [])}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_limited_and_asked_how_it_is(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert 0 < float(limits["cpus"]) <= 2
    assert bytes_of(limits["memory"]) >= 128 * 2**20
    assert limits["pids"] >= 32
    assert "privileged" not in service
    check = service["healthcheck"]
    assert check == {"disable": True} if name == "migrate" else check["test"][0] == "CMD"


@pytest.mark.parametrize("name", [name for name in OURS if name != "migrate"])
def test_a_process_starts_after_the_migration_and_is_asked_for_its_own_sign_of_life(name: str) -> None:
    assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert OURS[name]["depends_on"]["redis"] == {"condition": "service_healthy"}
    command = OURS[name]["command"]
    role = command[: command.index("--role") + 2] if "--role" in command else command
    assert OURS[name]["healthcheck"]["test"] == ["CMD", "paywindow", "alive", *role]


def test_a_process_has_longer_to_stop_than_it_takes() -> None:
    for service in WORKERS.values():
        assert seconds(service["stop_grace_period"]) > processes._SHUTDOWN_MS / 1000
    assert seconds(OURS["front"]["stop_grace_period"]) > server._SHUTDOWN_SECONDS


def test_workers_leave_postgres_connections_for_others() -> None:
    used = 0
    for service in WORKERS.values():
        command = service["command"]
        options = dict(zip(command[1::2], command[2::2], strict=True))
        used += int(options.get("--processes", 1)) * int(options.get("--threads", 8))
    (allowed,) = [word for word in SERVICES["postgres"]["command"] if word.startswith("max_connections=")]

    assert used * 2 < int(allowed.removeprefix("max_connections=")), "a roll-out runs both versions at once"


def test_redis_keeps_every_message_and_evicts_none() -> None:
    words = SERVICES["redis"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    memory = bytes_of(SERVICES["redis"]["deploy"]["resources"]["limits"]["memory"])
    assert int(options["--maxmemory"].removesuffix("mb")) * 2**20 * 2 <= memory


def test_prometheus_scrapes_every_process_where_it_serves_its_metrics() -> None:
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    scraped = {
        (each["job_name"], name, each["dns_sd_configs"][0]["port"])
        for each in config["scrape_configs"]
        for name in each["dns_sd_configs"][0]["names"]
    }
    serving = {name: service["environment"] for name, service in OURS.items() if name != "migrate"}

    assert scraped == {
        (f"paywindow-{name}", name, int(environment["METRICS_PORT"])) for name, environment in serving.items()
    }
    for name, environment in serving.items():
        assert environment["METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - within its network
        assert set(OURS[name]["networks"]) & set(SERVICES["prometheus"]["networks"]) == {"metrics"}


def test_only_who_needs_redis_or_postgres_can_reach_it() -> None:
    def on(network: str) -> set[str]:
        return {name for name, service in SERVICES.items() if network in service["networks"]}

    assert on("queue") == {"redis", "front", "scheduler", *WORKERS}
    assert on("books") == {"postgres", "migrate", *WORKERS}
    assert {name for name, network in compose()["networks"].items() if (network or {}).get("internal")} == {
        "queue",
        "books",
        "metrics",
    }
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_monitoring_finds_its_files_and_keys_where_the_compose_file_puts_them() -> None:
    keys = re.findall(r"/run/secrets/(\w+)", (DOCKER / "alertmanager/alertmanager.yml").read_text())
    assert sorted(keys) == sorted(SERVICES["alertmanager"]["secrets"])

    mounts = [volume for name in FOREIGN for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
    assert all((DOCKER / mount.split(":")[0]).is_dir() and mount.endswith(":ro") for mount in mounts)
    provider = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/paywindow.yml").read_text())
    assert f"./grafana/dashboards:{provider['providers'][0]['options']['path']}:ro" in mounts
