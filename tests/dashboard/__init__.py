"""Tests of the dashboard: what it reads, what it draws, how its pages behave."""
