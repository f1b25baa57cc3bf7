"""A fitted classifier on disk: a folder or one ``.featx`` file, without pickle.

``model`` predicts; ``extractor`` is what its embeddings come from; ``saving`` saves it and
``bundle`` loads it; ``document`` is ``model.json``; ``heads`` puts the arrays of `featx.heads` into
files; ``ensemble`` is several heads in one; ``format_1`` reads heads of featx 0.1; ``trust``, with
``calibration`` and ``novelty``, is how far to believe an answer; ``drift`` is what new images are
held against; ``folder`` and ``archive`` are the containers.
"""

from featx.artifact.bundle import load_model
from featx.artifact.extractor import ModelExtractor
from featx.artifact.model import Model
from featx.artifact.saving import save_model

__all__ = ["Model", "ModelExtractor", "load_model", "save_model"]
