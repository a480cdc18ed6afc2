"""Decides, with reasons, whether a candidate may replace the champion."""
