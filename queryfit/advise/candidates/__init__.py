"""Indexes that may help a workload."""
