"""Objectives of pretraining, one module each, over the same encoder, views, budget and loop.

A module with an `ObjectiveSettings` subclass is an objective: its settings, its losses, what it exports. Nothing else
has to be told of it: `table` finds it by its name.
"""
