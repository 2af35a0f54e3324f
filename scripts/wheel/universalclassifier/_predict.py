"""predict() and predict_many()."""

from __future__ import annotations

import collections
import logging
import os
import warnings
from typing import Any, Deque, Dict, Iterable, List, Optional, Sequence, Union

from . import _server

_PathLike = Union[str, "os.PathLike[str]"]
_Folds = Union[None, str, int, Iterable[Union[str, int]]]

#: What is predicted of a case, with one entry per classification label, in the order of the training: for a label of two
#: classes the probability of class 1, for others the probabilities of all classes.
Prediction = List[Union[float, List[float]]]

_log = logging.getLogger("universalclassifier")

# How many requests of predict_many are under way at a time; uc works on a few of them side by side.
_AHEAD = 8


def predict(
    artifact_path: _PathLike,
    ordered_image_files: Sequence[_PathLike],
    roi_segmentation_file: Optional[_PathLike] = None,
    folds: _Folds = None,
    model: str = "3d_fullres",
    trainer_class_name: str = "ClassifierTrainer",
    plans_identifier: str = "UniversalClassifierPlansv1.0",
    disable_mixed_precision: bool = True,
    checkpoint_name: str = "model_final_checkpoint",
    *,
    mirroring: bool = False,
    device: str = "auto",
    threads: Optional[int] = None,
) -> Prediction:
    """Predict one case.

    The first call loads the model; later ones with the same model find it loaded. When files in the artifact change, the
    model is loaded again. Several threads may call at the same time. Nothing is written.

    Parameters
    ----------
    artifact_path
        Folder with the trained model: what ``uc package`` writes, or a folder of results (``RESULTS_FOLDER``). It holds
        ``nnUNet/3d_fullres/TaskXXX_Name/<trainer_class_name>__<plans_identifier>/``. With several tasks the first by name
        is taken, with a warning.
    ordered_image_files
        Image files of the case, one per modality, in the order of ``modality`` in the training's ``dataset.json``. They may
        have any name. All must share one grid.
    roi_segmentation_file
        Mask of the region of interest. Needed if, and only if, the model was trained with masks.
    folds
        Which trained folds to average: a number, ``"all"`` (the fold that was trained on all cases), or several in a list or
        tuple. ``"None"`` takes every folder ``fold_*``. By default ``"all"``; if the artifact has no such folder, every fold
        in it, with a warning.
    model, trainer_class_name, plans_identifier
        Names that make up the folder of the model.
    disable_mixed_precision
        Compute in float32 throughout. With ``False``, activations are kept in 16 bits where the device does that faster.
    checkpoint_name
        Name of the checkpoint within a fold, without suffix.
    mirroring
        Average over the eight mirror images of the case: a little more accurate, eight times as slow.
    device
        What computes: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    threads
        How many threads compute on the CPU; by default one per processor that this process may use.

    Returns
    -------
    list
        One entry per classification label, in the order of the training: for a label of two classes a ``float``, the
        probability of class 1, else a ``list`` of ``float`` that sums to 1. ``json.dump`` takes it as it is.

    Raises
    ------
    ValueError
        An argument or a file of the case is not as it should be: a mask too many or too few, another number of images than
        in training, a broken image.
    FileNotFoundError
        The artifact, a fold in it, or a file of the case is not there.
    RuntimeError
        Anything else, for instance a damaged checkpoint or too little memory.

    Examples
    --------
    >>> predict("artifact", ["ct.mha"], "lung.mha")                     # doctest: +SKIP
    [0.8123, [0.1, 0.2, 0.7]]
    """
    settings = _settings(artifact_path, folds, model, trainer_class_name, plans_identifier, disable_mixed_precision,
                         checkpoint_name, mirroring, device, threads)
    call = _server.send("predict", {**settings, **_case(ordered_image_files, roi_segmentation_file)})
    call.wait()
    _relay(call, stacklevel=3)
    return _outcome(call)


def predict_many(
    artifact_path: _PathLike,
    ordered_image_files: Iterable[Sequence[_PathLike]],
    roi_segmentation_files: Optional[Iterable[Optional[_PathLike]]] = None,
    folds: _Folds = None,
    model: str = "3d_fullres",
    trainer_class_name: str = "ClassifierTrainer",
    plans_identifier: str = "UniversalClassifierPlansv1.0",
    disable_mixed_precision: bool = True,
    checkpoint_name: str = "model_final_checkpoint",
    *,
    mirroring: bool = False,
    device: str = "auto",
    threads: Optional[int] = None,
    return_exceptions: bool = False,
) -> List[Any]:
    """Predict several cases: while the network has one, the next ones are read and preprocessed.

    Parameters
    ----------
    ordered_image_files
        Per case, the list of its image files, as ``predict`` takes it.
    roi_segmentation_files
        Per case, the mask of the region of interest; leave it out if the model was trained without masks.
    return_exceptions
        What to do with a case that cannot be predicted: by default its exception is raised and the rest is given up; with
        ``True`` the exception takes the place of the result, and the other cases are predicted.

    The other parameters are those of ``predict``.

    Returns
    -------
    list
        Per case, in the given order, what ``predict`` returns.

    Examples
    --------
    >>> predict_many("artifact", [["a.mha"], ["b.mha"]])                # doctest: +SKIP
    [[0.12], [0.97]]
    """
    settings = _settings(artifact_path, folds, model, trainer_class_name, plans_identifier, disable_mixed_precision,
                         checkpoint_name, mirroring, device, threads)
    if isinstance(ordered_image_files, (str, bytes, os.PathLike)):
        raise ValueError("ordered_image_files is one path; expected a list of cases, each a list of image files")
    images = list(ordered_image_files)
    masks: List[Optional[_PathLike]] = [None] * len(images) if roi_segmentation_files is None else list(roi_segmentation_files)
    if len(masks) != len(images):
        raise ValueError(f"{len(images)} cases, but {len(masks)} masks in roi_segmentation_files; expected one per case")
    params = [{**settings, **_case(i, m)} for i, m in zip(images, masks)]
    results: List[Any] = []
    under_way: Deque[_server.Call] = collections.deque()
    try:
        sent = 0
        while sent < len(params) or under_way:
            while sent < len(params) and len(under_way) < _AHEAD:
                under_way.append(_server.send("predict", params[sent]))
                sent += 1
            call = under_way[0]
            call.wait()
            under_way.popleft()
            _relay(call, stacklevel=3)
            try:
                results.append(_outcome(call))
            except (ValueError, OSError, RuntimeError) as e:
                if not return_exceptions:
                    raise
                results.append(e)
    finally:
        for call in under_way:
            call.cancel()
    return results


def _settings(artifact_path: _PathLike, folds: _Folds, model: str, trainer: str, plans: str, fp32: bool, checkpoint: str,
              mirroring: bool, device: str, threads: Optional[int]) -> Dict[str, Any]:
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}, expected 1 or more")
    return {
        "artifact": _absolute(artifact_path, "artifact_path"), "folds": _fold_names(folds), "model": model, "trainer": trainer, "plans": plans,
        "checkpoint": checkpoint, "mixed_precision": not fp32, "mirroring": bool(mirroring), "device": device,
        "threads": 0 if threads is None else int(threads),
    }


def _case(images: Sequence[_PathLike], mask: Optional[_PathLike]) -> Dict[str, Any]:
    if isinstance(images, (str, bytes, os.PathLike)):
        raise ValueError(f"ordered_image_files is one path, {os.fspath(images)!r}; expected a list of paths, one per modality")
    return {
        "images": [_absolute(p, "ordered_image_files") for p in images],
        "mask": "" if mask is None else _absolute(mask, "roi_segmentation_file"),
    }


def _absolute(path: _PathLike, argument: str) -> str:
    """uc runs in another folder, and this process may change its own at any time."""
    name = os.fsdecode(path)
    if not name or "\0" in name:
        raise ValueError(f"{argument}: {name!r} is not a path")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: {name!r} cannot be written in UTF-8; rename the file") from None
    return os.path.abspath(name)


def _fold_names(folds: _Folds) -> Optional[List[str]]:
    """What uc calls the folds: None for the default, an empty list for every folder fold_*."""
    if folds is None:
        return None
    if isinstance(folds, str):
        return [] if folds == "None" else [folds]
    try:
        names = [str(f) for f in folds]  # type: ignore[union-attr]
    except TypeError:
        return [str(folds)]
    if not names:
        raise ValueError("folds is empty; expected numbers of folds, or None for the default")
    return names


def _relay(call: _server.Call, stacklevel: int) -> None:
    for note in call.notes:
        _log.info("%s", note)
    for text in call.warnings:
        warnings.warn(text, stacklevel=stacklevel)


def _outcome(call: _server.Call) -> Prediction:
    if call.gone is not None:
        raise RuntimeError(str(call.gone))
    if call.error is not None:
        kinds = {"input": ValueError, "not found": FileNotFoundError}
        raise kinds.get(call.error["kind"], RuntimeError)(call.error["message"])
    assert call.result is not None
    return [float(p[1]) if len(p) == 2 else [float(v) for v in p] for p in call.result["probabilities"]]  # JSON has 1 for 1.0
