"""Statistics: figures of a period, lists of tasks, figures of one task."""
