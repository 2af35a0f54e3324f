"""Predicts the case that grand-challenge.org puts into /input, and writes a JSON file per label to /output.

Usage: process.py [--input DIR] [--output DIR] [--artifact DIR] [--config FILE]"""

import argparse
import json
import pathlib

from universalclassifier import predict


def only_file(folder):
    """Return the one file in a folder of the input."""
    files = [p for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []
    if len(files) != 1:
        raise SystemExit(f"{folder}: {len(files)} files, expected 1; look whether task_config.json names the interfaces of this task")
    return files[0]


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=pathlib.Path, default="/input")
    parser.add_argument("--output", type=pathlib.Path, default="/output")
    parser.add_argument("--artifact", type=pathlib.Path, default=here / "artifact")
    parser.add_argument("--config", type=pathlib.Path, default=here / "task_config.json")
    options = parser.parse_args()
    config = json.loads(options.config.read_text(encoding="utf-8"))
    names = config.get("names", {})  # where the platform's folder or file is not called as the interface

    def image(interface):
        return only_file(options.input / "images" / names.get(interface, interface))

    mask = config.get("roi_segmentation_interface")
    results = predict(options.artifact, [image(i) for i in config["input_interfaces"]], image(mask) if mask else None)
    outputs = config["output_interfaces"]
    if len(results) != len(outputs):
        raise SystemExit(f"the model predicts {len(results)} labels, but task_config.json has {len(outputs)} output_interfaces")
    for interface, result in zip(outputs, results):
        (options.output / f"{names.get(interface, interface)}.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
