"""Learning curves on one core: DenSNet, MACE and NequIP, the same frames and processor time.

    OMP_NUM_THREADS=1 python tests/benchmarks/learning_curve.py examples/01_ethanol/ethanol.h5 \\
        --mace MACE_VENV --nequip NEQUIP_VENV --budget-minutes 60 --output learning-curve

Nested training sets of 50 to 950 frames, one validation set of 50, all test frames. For every code
and size: two short trainings tell what an epoch costs, so that the real one gets as many epochs as
the budget of processor time holds, validation included, start and final tables not; then it trains,
and its own command predicts the test frames. What is done is kept; the same command goes on after a
kill, also within a training. ``peers/README.md`` says how to install the other codes and where
their settings come from.
"""

import argparse
import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from densnet.cli.output import write_json
from densnet.errors import InputError, SimulationError
from densnet.plots.style import (
    CYCLE,
    TWO_COLUMNS,
    house_style,
    new_figure,
    save_figure,
)
from tests.benchmarks.peers.codes import (
    QUANTITIES,
    Code,
    DenSNet,
    Mace,
    Nequip,
    Task,
)
from tests.benchmarks.peers.frames import write_frames

# Steps of the longer of the two short trainings beyond the shorter one.
CALIBRATION_STEPS = 100
# Training frames between two validations, which so take a small part of the time.
FRAMES_BETWEEN_VALIDATIONS = 250


def main() -> None:
    """Train, test, write and draw what is not there yet."""
    args = arguments()
    # As Ctrl-C: the training that runs is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    codes: list[Code] = [DenSNet()]
    if args.mace is not None:
        codes += [Mace(args.mace, "mace-small"), Mace(args.mace, "mace-large")]
    if args.nequip is not None:
        codes.append(Nequip(args.nequip))
    codes = [code for code in codes if args.codes is None or code.name in args.codes]
    settings = {
        "data": str(args.data),
        "seed": args.seed,
        "budget_minutes": args.budget_minutes,
        "density_frames": args.density_frames,
    }
    prepare(args, settings)
    for size in args.sizes:
        for code in codes:
            folder = args.output / code.name / str(size)
            if (folder / "result.json").is_file():
                continue
            task = Task(
                frames=args.output / "frames",
                labels=args.data,
                n_train=size,
                epochs=0,
                validate_every=max(1, round(FRAMES_BETWEEN_VALIDATIONS / size)),
                seed=args.seed,
                density_frames=args.density_frames,
            )
            result = learn(code, task, folder, 60.0 * args.budget_minutes)
            write_json(folder / "result.json", result)
            print(line_of(result), flush=True)
            collect(args.output, settings)
    collect(args.output, settings)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="HDF5 file of labelled frames")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 950])
    parser.add_argument("--codes", nargs="+", metavar="NAME", help="only these, by their names")
    parser.add_argument("--mace", type=Path, metavar="VENV", help="environment with mace-torch")
    parser.add_argument("--nequip", type=Path, metavar="VENV", help="environment with nequip")
    parser.add_argument(
        "--budget-minutes", type=float, default=60.0, help="processor time of each training"
    )
    parser.add_argument("--density-frames", type=int, default=20, help="as in densnet evaluate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def prepare(args: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Write the frames, and refuse to mix results of other settings."""
    path = args.output / "settings.json"
    if path.is_file() and (before := json.loads(path.read_text("utf-8"))) != settings:
        raise InputError(f"{args.output} holds results for {before}; give another --output")
    missing = [n for n in args.sizes if not (args.output / "frames" / f"frames-{n}.h5").is_file()]
    if missing or not (args.output / "frames" / "test.xyz").is_file():
        write_frames(args.data, args.sizes, args.seed, args.output / "frames")
    write_json(path, settings)


def learn(code: Code, task: Task, folder: Path, budget: float) -> dict[str, Any]:
    """Calibrate, train and test one code on one training set; budget in seconds."""
    plan_path = folder / "plan.json"
    if plan_path.is_file():
        plan = json.loads(plan_path.read_text("utf-8"))
    else:
        plan = calibrate(code, task, folder / "calibration")
        plan["epochs"] = code.whole_epochs(budget / plan["epoch_seconds"], task.validate_every)
        write_json(plan_path, plan)
    task = replace(task, epochs=plan["epochs"])
    trained_path = folder / "trained.json"
    trained = json.loads(trained_path.read_text("utf-8")) if trained_path.is_file() else {}
    if "training_seconds" not in trained:
        # The seconds of a start that was killed are lost: more than one start says so.
        trained = {"starts": trained.get("starts", 0) + 1}
        write_json(trained_path, trained)
        seconds = run(code.training(task, folder / "run"), folder / "training.log")
        trained["training_seconds"] = seconds
        write_json(trained_path, trained)
    for command in code.testing(task, folder / "run"):
        run(command, folder / "testing.log")
    return {
        "code": code.name,
        "n_train": task.n_train,
        **plan,
        **trained,
        "errors": code.errors(task, folder / "run"),
    }


def calibrate(code: Code, task: Task, folder: Path) -> dict[str, Any]:
    """Return the processor seconds of an epoch: the slope between two short trainings."""
    short = code.whole_epochs(1, task.validate_every)
    steps = max(1, task.n_train // code.batch_size)
    longer = code.whole_epochs(short + math.ceil(CALIBRATION_STEPS / steps), task.validate_every)
    seconds = []
    for epochs in (short, longer):
        work = folder / str(epochs)
        command = code.training(replace(task, epochs=epochs), work)
        seconds.append(run(command, folder / f"{epochs}.log"))
    slope = (seconds[1] - seconds[0]) / (longer - short)
    if slope <= 0.0:
        raise SimulationError(
            f"{code.name}, {task.n_train} frames: {longer} epochs took no longer than {short} "
            f"({seconds[1]:.1f} and {seconds[0]:.1f} s); start again on a quieter machine"
        )
    return {"epoch_seconds": slope, "start_seconds": seconds[0] - short * slope}


def run(command: list[str], log: Path) -> float:
    """Run a command, its output into a log, and return the processor time it took, seconds.

    Raises
    ------
    SimulationError
        If it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text("utf-8", errors="replace").splitlines()[-15:]
        raise SimulationError(
            f"{' '.join(command)} ended with {process.returncode}; the end of {log}:\n"
            + "\n".join(tail)
        )
    return usage.ru_utime + usage.ru_stime


def collect(folder: Path, settings: dict[str, Any]) -> None:
    """Write all results as JSON, CSV and a picture."""
    paths = sorted(folder.glob("*/*/result.json"))
    results = [json.loads(path.read_text("utf-8")) for path in paths]
    results.sort(key=lambda row: (row["code"], row["n_train"]))
    if not results:
        return
    write_json(folder / "learning_curve.json", {"settings": settings, "results": results})
    with (folder / "learning_curve.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["code", "n_train", "temperature", "epochs", "seconds", *QUANTITIES])
        for row in results:
            for label, errors in row["errors"].items():
                values = ["" if errors[q] is None else f"{errors[q]:.4g}" for q in QUANTITIES]
                # Of a training that was killed and continued only the end was timed.
                whole = row.get("starts", 1) == 1
                seconds = f"{row['training_seconds']:.0f}" if whole else ""
                table.writerow(
                    [row["code"], row["n_train"], label, row["epochs"], seconds, *values]
                )
    draw(results, folder / "learning_curve.png")


def draw(results: list[dict[str, Any]], path: Path) -> Path:
    """A panel for each quantity; a colour for each code, solid at the lower temperature."""
    titles = {
        "forces_mev_angstrom": "forces MAE / meV Å⁻¹",
        "energy_mev": "energy MAE / meV",
        "dipole_millidebye": "dipole vector MAE / mD",
        "density_percent": "density, L1 / %",
    }
    names = list(dict.fromkeys(row["code"] for row in results))
    temperatures = list(dict.fromkeys(label for row in results for label in row["errors"]))
    with house_style():
        figure = new_figure(TWO_COLUMNS, 5.0)
        panels = figure.subplots(2, 2, sharex=True)
        for panel, (quantity, title) in zip(panels.flat, titles.items(), strict=True):
            for color, name in zip(CYCLE, names, strict=False):
                for style, label in zip(("o-", "s--", "^:"), temperatures, strict=False):
                    points = [
                        (row["n_train"], row["errors"][label][quantity])
                        for row in results
                        if row["code"] == name and row["errors"][label][quantity] is not None
                    ]
                    if points:
                        x, y = zip(*points, strict=True)
                        text = f"{name}, {label}"
                        panel.plot(x, y, style, color=color, markersize=3.5, label=text)
            panel.set(xscale="log", yscale="log", ylabel=title)
            sizes = sorted({row["n_train"] for row in results})
            panel.set_xticks(sizes, [str(n) for n in sizes])
            panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        for panel in panels.flat:
            # A decade has no room for all its ten numbers, a fraction of one needs more than 1.
            low, high = panel.get_ylim()
            shown = "12345" if high < 3.0 * low else "125"
            for ticks in (panel.yaxis.set_major_formatter, panel.yaxis.set_minor_formatter):
                ticks(lambda y, _, shown=shown: f"{y:g}" if f"{y:.0e}"[0] in shown else "")
        for panel in panels[1]:
            panel.set_xlabel("training frames")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=6.5)
        return save_figure(figure, path)


def line_of(result: dict[str, Any]) -> str:
    """One result in one line."""
    words = [f"{result['code']:12}{result['n_train']:5d} frames, {result['epochs']} epochs"]
    if result.get("starts", 1) == 1:
        words.append(f"{result['training_seconds'] / 60.0:.1f} min")
    else:
        words.append(f"{result['starts']} starts, so its time is not known")
    for label, errors in result["errors"].items():
        shown = [f"{q} {errors[q]:.3g}" for q in QUANTITIES if errors[q] is not None]
        words.append(f"{label}: {', '.join(shown)}")
    return "; ".join(words)


if __name__ == "__main__":
    try:
        main()
    except (InputError, SimulationError) as error:
        sys.exit(f"learning_curve.py: {error}")
