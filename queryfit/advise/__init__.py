"""The best set of indexes for a workload and a budget: candidates, their sizes, selection, proof."""
