"""A version as a wheel that predicts with numpy alone, for programs that run none of this.

``runtime`` is what the wheel holds beside the model: it imports numpy and itself, and goes in as it is.
"""
