"""The command `workbench-bids BIDS_DIR OUT participant|group`, as BIDS Apps have it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import workbench
from workbench.errors import WorkbenchError

ENCODER = "volta-tiny"  # the one that comes in the box


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="workbench-bids",
        description="Embeddings, attention maps and segmentations of a BIDS data set, as a BIDS derivative. "
        "A research tool, not for diagnosis.",
    )
    made.add_argument("bids_dir", type=Path, help="the data set, as BIDS has it")
    made.add_argument("output_dir", type=Path, help="where the derivatives go, such as BIDS_DIR/derivatives/volta")
    made.add_argument("analysis_level", choices=["participant", "group"], help="each scan; then all together")
    made.add_argument(
        "--participant-label", "--participant_label", nargs="+", default=[], metavar="LABEL", help="only these, as 01"
    )
    made.add_argument(
        "--session-label", "--session_label", nargs="+", default=[], metavar="LABEL", help="only these, as 1"
    )
    made.add_argument(
        "--contrast",
        nargs="+",
        default=[],
        metavar="NAME",
        help="of the scans, as T1w FLAIR; default: what the models take",
    )
    made.add_argument("--encoder", default=ENCODER, help="pretraining run, exported model, or an encoder's name")
    made.add_argument("--segmenter", default="", help="run of `workbench segment` whose model outlines each scan")
    made.add_argument("--accelerator", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="device kind")
    made.add_argument(
        "--skip-bids-validation",
        "--skip_bids_validation",
        action="store_true",
        help="taken and not needed: none is done",
    )
    made.add_argument("--version", action="version", version=f"workbench-bids {workbench.__version__}")
    return made


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 some scans could not be used, 2 refused, 130 stopped."""
    args = parser().parse_args(argv)
    try:
        return _group(args) if args.analysis_level == "group" else _participants(args)
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("stopped; what was written is whole. The same command does every scan again.", file=sys.stderr)
        return 130


def _participants(args: argparse.Namespace) -> int:
    from workbench.bids_app.participant import Models, chosen, run_participants
    from workbench.predict import load_encoder, load_segmenter

    bids, out = args.bids_dir.resolve(), args.output_dir.resolve()
    segmenter = load_segmenter(args.segmenter, device=args.accelerator) if args.segmenter else None
    encoder = load_encoder(args.encoder, device=args.accelerator)
    models = Models(encoder, args.encoder, segmenter, args.segmenter)
    contrasts = models.contrasts(args.contrast)
    scans = chosen(bids, args.participant_label, args.session_label, contrasts)
    done = run_participants(bids, out, scans, models, contrasts)
    failed = [one for one in done if one.problem]
    print(f"{len(done) - len(failed)} of {len(done)} scans written to {out}", file=sys.stderr)
    return 1 if failed else 0


def _group(args: argparse.Namespace) -> int:
    from workbench.bids_app.group import run_group

    scans = run_group(args.output_dir.resolve())
    print(f"{len(scans)} scans in {args.output_dir / 'group.html'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
