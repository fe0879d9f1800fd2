"""Captures and reports by the clock: what runs when, in the words of systemd, cron, Kubernetes and GitHub.

`jobs` says what runs, a module each for the kinds of scheduler says how, and installs and removes it.
"""
