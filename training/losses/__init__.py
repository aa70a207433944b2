"""Objectives: functions of a similarity matrix and a positives mask."""
