"""Rewards, one per module, each registered under the module's name; see `harness.rewards` for the interface."""
