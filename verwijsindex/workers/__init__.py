# SPDX-License-Identifier: EUPL-1.2
"""Celery: thin tasks and the schedule; each task calls one function of a room."""
