"""A fitted classifier on disk: a folder or one ``.featx`` file, without pickle.

``bundle`` is the model and its saving and loading; ``document`` is ``model.json``; ``head`` is
the scikit-learn part as skops data, of which ``saved`` reads the arrays, so that NumPy computes
heads that are ``linear`` or of support ``vectors``; ``folder`` and ``archive`` are the containers.
"""

from featx.model.bundle import Model, load_model, save_model

__all__ = ["Model", "load_model", "save_model"]
