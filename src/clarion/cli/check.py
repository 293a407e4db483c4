"""`clarion check`: is this installation in order?"""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import msgspec
from cryptography import x509

from clarion.cli.channels import expiry_warning
from clarion.cli.context import Config, DataDir, Json, out, print_json, settings_of, with_foundation
from clarion.failures import ConfigurationError, StoreUnavailable
from clarion.foundation import Foundation
from clarion.ids import id_time_ms
from clarion.settings import Settings
from clarion.store.facts import largest_id
from clarion.tenants.directory import Directory
from clarion.vault import KEY_FILE
from clarion.web.tls import server_tls

_LOW_DISK = 1 << 30
_NO_DISK = 64 << 20
_FEW_FILES = 10_000
_CERTIFICATE_DAYS = 15
_CLOCK_SLACK_MS = 60_000


class Verdict(Enum):
    """How a check ended, with the sign and style it is shown with."""

    OK = "ok", "✓", "green"
    WARNING = "warning", "!", "yellow"
    FAULT = "fault", "✗", "red"

    def __init__(self, label: str, sign: str, style: str) -> None:
        self.label = label
        self.sign = sign
        self.style = style


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    text: str


def check(data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """Check configuration, credentials, certificates, disk and clock. Exit code 1 if something is wrong."""
    findings: list[Finding] = []
    try:
        settings = settings_of(data_dir, config)
    except ConfigurationError as error:
        findings.append(Finding("settings", Verdict.FAULT, str(error)))
    else:
        findings.append(Finding("settings", Verdict.OK, "read"))
        findings += _on_this_machine(settings)
        findings += _in_the_database(settings)
    _show(findings, as_json=json)
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise SystemExit(1)


def _show(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        faults = any(finding.verdict is Verdict.FAULT for finding in findings)
        checks = [{"name": f.name, "verdict": f.verdict.label, "text": f.text} for f in findings]
        print_json({"ok": not faults, "checks": checks})
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        out.print(finding.verdict.sign, style=finding.verdict.style, end="  ")
        out.print(f"{finding.name:{width}}  {finding.text}", markup=False)


def _on_this_machine(settings: Settings) -> Iterator[Finding]:
    directory = Path(settings.data_dir)
    if not directory.exists():
        yield Finding("data directory", Verdict.WARNING, f"{directory} is not there yet; it is made on first use")
        directory = directory.absolute().parent
    elif not os.access(directory, os.W_OK):
        yield Finding("data directory", Verdict.FAULT, f"{directory} cannot be written by this user")
    else:
        yield Finding("data directory", Verdict.OK, str(directory))
    if directory.exists():
        yield _disk(directory)
    yield from _master_key(settings)
    yield from _certificate(settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict = Verdict.OK if hard >= _FEW_FILES else Verdict.WARNING
    yield Finding("open files", verdict, f"at most {hard} (one a connected device; now {soft})")


def _disk(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    verdict = Verdict.FAULT if free < _NO_DISK else Verdict.WARNING if free < _LOW_DISK else Verdict.OK
    return Finding("disk", verdict, f"{free / (1 << 30):.1f} GiB free in {directory}")


def _master_key(settings: Settings) -> Iterator[Finding]:
    path = Path(settings.data_dir) / KEY_FILE
    if settings.master_key:
        yield Finding("master key", Verdict.OK, "from CLARION_MASTER_KEY")
    elif path.exists():
        loose = stat.S_IMODE(path.stat().st_mode) & 0o077
        if loose:
            yield Finding("master key", Verdict.FAULT, f"{path} can be read by others: chmod 600 {path}")
        else:
            yield Finding("master key", Verdict.OK, f"{path}; keep a copy elsewhere, secrets are lost without it")


def _certificate(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_cert_file:
        return
    try:
        server_tls(settings)
        certificate = x509.load_pem_x509_certificate(Path(settings.tls_cert_file).read_bytes())
    except (ConfigurationError, OSError, ValueError) as error:
        yield Finding("certificate", Verdict.FAULT, str(error))
        return
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    verdict = Verdict.FAULT if days < 0 else Verdict.WARNING if days < _CERTIFICATE_DAYS else Verdict.OK
    yield Finding("certificate", verdict, f"{settings.tls_cert_file} is valid for {days} more days")


def _in_the_database(settings: Settings) -> Iterator[Finding]:
    async def work(foundation: Foundation) -> list[Finding]:
        tenants = foundation.tenants
        apps, keys = await tenants.list_apps(), [key for key in await tenants.list_keys() if key.enabled]
        directory = foundation.directory
        await directory.refresh()  # opens every secret
        newest = await largest_id(foundation.database)
        ahead = (id_time_ms(newest) if newest else 0) - foundation.clock.now_ms()
        kind = "PostgreSQL" if settings.database_url else "SQLite"
        return [
            Finding("database", Verdict.OK, f"{kind}, schema up to date, secrets open"),
            _count("apps", len(apps), "clarion app create --app-id A --workspace-id W"),
            _count("access keys", len(keys), "clarion key create"),
            *await _channels(foundation, directory),
            Finding("clock", Verdict.OK, "not behind the newest record")
            if ahead < _CLOCK_SLACK_MS
            else Finding(
                "clock", Verdict.FAULT, f"is {ahead // 1000} s behind the newest record; signatures will fail"
            ),
        ]

    if not settings.database_url and not Path(settings.data_dir).exists():
        return
    try:
        yield from with_foundation(settings, work)
    except (ConfigurationError, StoreUnavailable) as error:
        yield Finding("database", Verdict.FAULT, str(error))


async def _channels(foundation: Foundation, directory: Directory) -> list[Finding]:
    """Whether the vendors take the credentials, and for how long."""
    wanted = [(app, label) for app in directory.apps for label in sorted(directory.channels(app.key))]
    if not wanted:
        return [Finding("channels", Verdict.OK, "none: all messages go over the own link")]
    checks = await foundation.channels.check_all([(app.key, label) for app, label in wanted])
    findings = []
    for (app, label), (_, found) in zip(wanted, checks, strict=True):
        verdict = Verdict.OK if found.ok else Verdict.FAULT if found.reached else Verdict.WARNING
        warning = expiry_warning(found)
        if warning and verdict is Verdict.OK:
            verdict = Verdict.WARNING
        text = f"{found.text}; {warning}" if warning else found.text
        findings.append(Finding(f"{label} of {app.app_id}", verdict, text))
    return findings


def _count(name: str, count: int, hint: str) -> Finding:
    if count:
        return Finding(name, Verdict.OK, str(count))
    return Finding(name, Verdict.WARNING, f"none yet: {hint}")
