"""A notebook over many values of its parameters: what is still to do is handed to an executor, and told together."""

from __future__ import annotations

from tqdm.auto import tqdm

from workbench.batch.batch_config import BatchConfig
from workbench.batch.collect import collect_batch
from workbench.batch.plan import RUNS, PlannedRun, plan_runs, save_plan
from workbench.batch.processes import end_strays
from workbench.errors import RunsFailed
from workbench.runs import Run, start_run


def run_batch(config: BatchConfig, *, overwrite: bool = False) -> Run:
    """Do every run of ``config`` that is missing, changed or failed, and collect all in ``results/runs.parquet``.

    Args:
        config: What to run; the folder may hold runs of other settings, which are kept and left out of the table.
        overwrite: Remove everything that is there, and do all again.

    Raises:
        ConfigError: the notebook cannot be read, a parameter it does not have, the same run twice; before any start.
        RunsFailed: some runs failed; all others have ended.
        KeyboardInterrupt: stopped; with Slurm the jobs stay in the queue.
    """
    runs = plan_runs(config)
    with start_run(config, overwrite=overwrite, n_runs=len(runs)) as batch:
        end_strays(config.out / RUNS)  # of a batch that was killed; they would write where its successor does
        save_plan(batch.path, runs)
        todo = [run for run in runs if run.state != "ok"]
        failed: dict[str, str] = {}
        try:
            if todo:
                _execute(config, todo, len(runs), failed)
        finally:
            table = collect_batch(batch.path)
            batch.note(n_ok=int((table["state"] == "ok").sum()), simulated=bool(table["simulated"].any()))
        if failed:
            names = sorted(failed)
            raise RunsFailed(
                f"{config.out}: {len(failed)} of {len(runs)} runs failed",
                cause="\n          ".join([f"{name}: {failed[name]}" for name in names[:5]] + ["…"] * (len(names) > 5)),
                remedy=f"each folder below {config.out / RUNS} holds notebook.html and traceback.txt; the "
                "same command does the failed ones again",
            )
    return batch


def _execute(config: BatchConfig, todo: list[PlannedRun], total: int, failed: dict[str, str]) -> None:
    with tqdm(total=total, initial=total - len(todo), desc="batch", unit="run") as bar:

        def told(run: PlannedRun, why: str) -> None:
            if why:
                failed[run.name] = why
                bar.write(f"failed: {run.name}: {why}", file=bar.fp)
                bar.set_postfix(failed=len(failed))
            bar.update()

        if config.executor == "slurm":
            from workbench.batch.slurm import run_on_slurm

            run_on_slurm(config, todo, told)
        else:
            from workbench.batch.local import run_locally

            run_locally(config, todo, told)
