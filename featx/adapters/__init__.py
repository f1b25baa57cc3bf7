"""featx's parts as other libraries know them.

Scikit-learn's transformer and splitter, torch's dataset; and images in memory, for these and for
`featx.artifact.Model.predict_images`.

``images`` is a plug-in, found by name from below; the others are imported by ``featx`` itself.
"""
