"""Predict classes of 3D medical images with a trained model.

>>> from universalclassifier import predict
>>> predict("artifact", ["ct.mha"])                                     # doctest: +SKIP
[0.39535823464393616]

The work is done by ``uc``, a program that comes with this package and that ``pip install`` also puts on the path. It is
started at the first call, keeps models loaded between calls, and ends with Python.
"""

from ._predict import Prediction, predict, predict_many
from ._version import __version__

__all__ = ["Prediction", "__version__", "predict", "predict_many"]
