"""CPU against GPU: what the CPU swept for a cycle, swept again on this machine's GPU.

What a GPU swept needs no comparison of its own: its rows are compared with replays, which the CPU makes.
"""

from collections.abc import Callable

from openclaw_pipelines.contracts.factory import Comparison, ParityClass, Variant
from openclaw_pipelines.domain.factory.parity import Found, Report, RowSide, compare_row, equal_row, invalid, row_side
from openclaw_pipelines.services.factory.cycle import Cycle
from openclaw_pipelines.services.factory.gpu import log_comparison, usable_gpu
from openclaw_pipelines.services.factory.listing import Candidate
from openclaw_pipelines.services.factory.parity_rows import SweptRow, report_of, swept_row
from openclaw_pipelines.services.factory.replaying import run_variant
from openclaw_pipelines.services.factory.sweeping import sweep_train


def cpu_against_gpu(cycle: Cycle, listed: list[tuple[Candidate, str]], say: Callable[[str], object]) -> list[Report]:
    """Stored rows of the CPU against the same rows swept on the GPU; none where no GPU can be used, which is said.

    listed: rows and why they are compared.
    """
    stored = [(own, sample, swept_row(cycle, own)) for own, sample in listed]
    of_cpu = [(own, sample, row) for own, sample, row in stored if row.device is None]
    if not of_cpu:
        return []
    gpu, why = usable_gpu()
    if gpu is None:
        say(f"CPU and GPU are not compared: {why}")
        return []
    say(f"sweeping {len(of_cpu)} compared rows on {gpu} too")
    swept = sweep_train(cycle, [own.record for own, _, _ in of_cpu], gpu)
    return [
        _cpu_gpu(cycle, own, sample, row, row_side(swept, i), gpu) for i, (own, sample, row) in enumerate(of_cpu)
    ]  # fmt: skip


def found_wrong(report: Report) -> bool:
    """Whether a report shows that a GPU swept otherwise than the CPU."""
    return report.device is not None and report.found.verdict not in _NOT_WRONG


_NOT_WRONG = (ParityClass.EQUAL, ParityClass.INVALID_COMPARISON)


def log_reports(cycle: Cycle, reports: list[Report]) -> None:
    """One line in the log for each GPU that had a part in valid comparisons, or one that says that none had."""
    valid = [report for report in reports if report.found.verdict is not ParityClass.INVALID_COMPARISON]
    devices = sorted({report.device for report in valid if report.device})
    for device in devices:
        own = [report for report in valid if report.device == device]
        log_comparison(cycle, device, len(own), sum(found_wrong(report) for report in own))
    if reports and not devices and all(report.passed for report in reports):
        log_comparison(cycle, None, 0, 0)


def _cpu_gpu(cycle: Cycle, candidate: Candidate, sample: str, row: SweptRow, on_gpu: RowSide, gpu: str) -> Report:
    contracts = row.contract, cycle.train.contract.json
    found = invalid(*contracts) or _rows_compared(cycle, candidate, row.side, on_gpu)
    hashes = row.side.bits_hash, on_gpu.bits_hash
    return report_of(cycle, Comparison.CPU_GPU, candidate, sample, found, contracts, hashes, gpu)


def _rows_compared(cycle: Cycle, candidate: Candidate, left: RowSide, right: RowSide) -> Found:
    """Two sides of one row; the replay, which knows the trades, is made only where they differ."""
    if left.bits_hash == right.bits_hash:
        return equal_row(left)
    return compare_row(left, right, run_variant(cycle, candidate, Variant.TRAIN).result)
